"""The bit planes of a strip, written: stages 0 to 4 of each plane (CCSDS 122.0-B, 4.5).

A gaggle chooses the code options of a plane by the lengths of all its words in stages 1 to 3, before the first of them
is written: the words of a plane are listed first, stage by stage.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l0.codec.bits import put
from s2dask.l0.codec.sets import (
    DESCENDANTS,
    UNKNOWN_OPTIONS,
    count_ones,
    families_in,
    grandchildren_in,
    groups_in,
    kind_of,
    options_field,
)
from s2dask.l0.codec.words import CHILDREN, FAMILIES, GRANDCHILDREN

MOST_WORDS = 16
"""Of a block in one stage: in stage 3 one of G, three of H and twelve of types."""


class Lists(NamedTuple):
    """Words of one plane.

    Attributes
    ----------
    words : (3 stages, 16 block) uint16
        Word, four bits; signs, four; number of signs, three; kind, three: from the lowest bit.
    ends : (3, gaggle) int64
        Where the words of a gaggle end.
    options : (gaggle) uint64
        Chosen options, a nibble for each length of words.
    next : (3) int64
        Where the next word goes.
    cost : (4) uint64
        By length of words: the bits of a gaggle under each option, sixteen bits each.
    """

    words: NDArray[np.uint16]
    ends: NDArray[np.int64]
    options: NDArray[np.uint64]
    next: NDArray[np.int64]
    cost: NDArray[np.uint64]


@kernel
def _list(lists, stage, entry, t):  # type: ignore[no-untyped-def]
    """Add a word to the list of a stage, and its lengths to the costs."""
    lists.words[stage, lists.next[stage]] = entry
    lists.next[stage] += 1
    kind = np.int64(entry >> np.uint64(11))
    lists.cost[options_field(kind) >> np.uint64(2)] += t.cost[kind, entry & np.uint64(15)]


@kernel
def _list_sets(lists, stage, places, bits, last, t):  # type: ignore[no-untyped-def]
    """List which of the sets at the places of a nibble become significant."""
    if places:
        kind = np.uint64(kind_of(np.int64(t.ones[places]), last))
        _list(lists, stage, t.gather[places, bits & places] | kind << np.uint64(11), t)


@kernel
def _list_types(lists, stage, places, bits, negative, last, t):  # type: ignore[no-untyped-def]
    """List which of the coefficients at the places of a nibble become significant, and the signs of those."""
    if places:
        kind = np.uint64(kind_of(np.int64(t.ones[places]), last))
        new = bits & places
        signs = t.gather[new, negative & new] << np.uint64(4) | np.uint64(t.ones[new]) << np.uint64(8)
        _list(lists, stage, t.gather[places, new] | signs | kind << np.uint64(11), t)


@kernel
def _list_block(lists, known, now, signs, live, t):  # type: ignore[no-untyped-def]
    """List the words of one block in a plane.

    Parameters
    ----------
    lists : Lists
    known, now, signs, live : uint64
        Significant before, and with this plane; negative; what may be significant in it.
    t : Tables
    """
    four, below, may = np.uint64(15), np.uint64(DESCENDANTS), ~known & live
    parents = may >> np.uint64(60) & np.uint64(7)
    _list_types(lists, 0, parents, now >> np.uint64(60), signs >> np.uint64(60), CHILDREN, t)
    if known & below == np.uint64(0):
        _list(lists, 1, np.uint64(now & below != np.uint64(0)), t)
        if now & below == np.uint64(0):
            return
    hit = families_in(now)
    _list_sets(lists, 1, ~families_in(known) & families_in(live), hit, FAMILIES, t)
    for i in range(3):
        shift = np.uint64(56 - 4 * i)
        if hit >> np.uint64(2 - i) & np.uint64(1):
            _list_types(lists, 1, may >> shift & four, now >> shift, signs >> shift & four, CHILDREN, t)
    possible = grandchildren_in(live)
    wide = grandchildren_in(now) & possible
    _list_sets(lists, 2, hit & ~grandchildren_in(known) & possible, wide, CHILDREN, t)
    groups = np.uint64(0)
    for i in range(3):
        groups <<= np.uint64(4)
        if wide >> np.uint64(2 - i) & np.uint64(1):
            groups |= groups_in(now, i)
            _list_sets(lists, 2, ~groups_in(known, i) & four, groups, GRANDCHILDREN, t)
    for j in range(12):
        shift = np.uint64(44 - 4 * j)
        if groups >> np.uint64(11 - j) & np.uint64(1):
            _list_types(lists, 2, may >> shift & four, now >> shift, signs >> shift & four, GRANDCHILDREN, t)


@kernel
def _cheapest(cost, length):  # type: ignore[no-untyped-def]
    """Return the option under which words take the fewest bits; `length` is theirs less one.

    Of equals it is uncoded, else the first: the standard leaves it open; the University of Nebraska's coder does so.
    """
    options, best = 1 if length == 1 else 3, np.uint64(1 if length == 1 else 3)
    fewest = cost >> np.uint64(16) * best & np.uint64(0xFFFF)
    for option in range(options):
        bits = cost >> np.uint64(16 * option) & np.uint64(0xFFFF)
        if bits < fewest and not (length == 2 and option == 2):
            best, fewest = np.uint64(option), bits
    return best


@kernel
def _list_plane(b, live, planes, signs, known, depth, lists, t):  # type: ignore[no-untyped-def]
    """List the words of a plane and choose the options of each gaggle."""
    lists.next[:] = 0
    for gaggle in range(lists.options.size):
        lists.cost[:] = np.uint64(0)
        for m in range(16 * gaggle, min(16 * gaggle + 16, depth.size)):
            if depth[m] > b:
                _list_block(lists, known[m], known[m] | planes[b, m], signs[m], live, t)
        for stage in range(3):
            lists.ends[stage, gaggle] = lists.next[stage]
        options = np.uint64(0)
        for length in range(1, 4):
            options |= _cheapest(lists.cost[length], length) << np.uint64(4 * length)
        lists.options[gaggle] = options


@kernel
def _write_stage(stage, lists, named, words, at, end, t):  # type: ignore[no-untyped-def]
    """Write the words of a stage; return the next position, beyond the end when it is reached."""
    k = 0
    for gaggle in range(lists.options.size):
        options = lists.options[gaggle]
        while k < lists.ends[stage, gaggle]:
            entry = np.uint64(lists.words[stage, k])
            kind = np.int64(entry >> np.uint64(11))
            field = options_field(kind)
            option = options >> field & np.uint64(15)
            if named[gaggle] >> field & np.uint64(15):
                at = put(words, at, option, 1 if kind == 1 else 2)
                named[gaggle] &= ~(np.uint64(15) << field)
            code = np.uint64(t.encode[kind, option, entry & np.uint64(15)])
            ones = entry >> np.uint64(8) & np.uint64(7)
            signed = (code & np.uint64(255)) << ones | entry >> np.uint64(4) & np.uint64(15)
            at = put(words, at, signed, np.int64((code >> np.uint64(8)) + ones))
            k += 1
        if at > end:
            return at
    return at


@kernel
def _refine(places, bits, words, at, t):  # type: ignore[no-untyped-def]
    """Write the bits of a block's plane at some places (stage 4)."""
    more = np.uint64(0)
    for i in range(8):
        eight = places >> np.uint64(56 - 8 * i) & np.uint64(255)
        word = t.gather8[eight, bits >> np.uint64(56 - 8 * i) & np.uint64(255)]
        more = more << np.uint64(t.ones[eight]) | np.uint64(word)
    return put(words, at, more, count_ones(places))


@kernel
def write_dc_plane(dc, b, words, at):  # type: ignore[no-untyped-def]
    """Write one bit of each DC coefficient (stage 0, and the planes above the AC coefficients)."""
    for value in dc:
        at = put(words, at, value >> b & 1, 1)
    return at


@kernel
def write_planes(planes, signs, dc, depth, depth_ac, shift, zeros, live, lists, words, at, end, t):  # type: ignore[no-untyped-def]
    """Write bit planes until the last one or the end is reached; return the next position and the first plane left.

    Parameters
    ----------
    planes : (MAX_DEPTH, block) uint64
    signs : (block) uint64
    dc, depth : (block) int32
    depth_ac, shift, zeros : int
        Planes of the AC coefficients; planes of the DC coefficients that have not been written, and that are zero.
    live : (MAX_DEPTH) uint64
        `blocks.Layout`.
    lists : Lists
    words : (word) uint64
        Room for a gaggle beyond the end.
    at, end : int
        [bit]
    t : Tables
    """
    known, named = np.zeros(depth.size, np.uint64), np.empty(lists.options.size, np.uint64)
    for b in range(depth_ac - 1, -1, -1):
        if zeros <= b < shift:
            at = write_dc_plane(dc, b, words, at)
        if at > end:
            return at, b
        _list_plane(b, live[b], planes, signs, known, depth, lists, t)
        named[:] = np.uint64(UNKNOWN_OPTIONS)
        for stage in range(3):
            at = _write_stage(stage, lists, named, words, at, end, t)
            if at > end:
                return at, b
        for m in range(depth.size):
            if depth[m] <= b:
                continue
            places = known[m] & live[b]
            if places:
                at = _refine(places, planes[b, m], words, at, t)
            known[m] |= planes[b, m]
            if at > end:
                return at, b
    return at, -1
