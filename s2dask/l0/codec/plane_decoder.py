"""The bit planes of a strip, read: stages 0 to 4 of each plane (CCSDS 122.0-B, 4.5).

A stage goes over all blocks before the next one begins. A gaggle names its code options where it first needs them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l0.codec.bits import peek
from s2dask.l0.codec.segment import BAD, GOOD
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

FULL = 2
"""Verdict of a stage that met the end of the data."""
_FAULT = 1 << 16
"""Beside the options of a gaggle: a code was met that no encoder writes."""


class State(NamedTuple):
    """A strip on its way from bits to coefficients, by block.

    Attributes
    ----------
    planes : (MAX_DEPTH, block) uint64
        Bits of the magnitudes; zero at first.
    signs, known, fresh : (block) uint64
        Negative coefficients; those significant in the planes that are complete; those known one plane further.
    hit : (block) uint64
        Families with a significant descendant, the first one highest of three bits.
    dc, dc_low : (block) int32
        DC coefficients and the lowest bit known of them.
    depth, low : (block) int32
        Bits of the AC coefficients and the lowest one known.
    options : (gaggle) uint64
        Code options, a nibble for each length of words.
    """

    planes: NDArray[np.uint64]
    signs: NDArray[np.uint64]
    known: NDArray[np.uint64]
    fresh: NDArray[np.uint64]
    hit: NDArray[np.uint64]
    dc: NDArray[np.int32]
    dc_low: NDArray[np.int32]
    depth: NDArray[np.int32]
    low: NDArray[np.int32]
    options: NDArray[np.uint64]


@kernel
def _entry(words, at, kind, options, t):  # type: ignore[no-untyped-def]
    """Return the table's entry of the word at a position, the window after the word, where that begins, the options."""
    field, window = options_field(kind), peek(words, at)
    option = options >> field & np.uint64(15)
    if option == np.uint64(15):
        bits = np.uint64(1 if kind == 1 else 2)
        option = window >> (np.uint64(64) - bits)
        options ^= (option ^ np.uint64(15)) << field
        window <<= bits
        at += np.int64(bits)
    entry = np.uint64(t.decode[kind, option, window >> np.uint64(56)])
    if entry == np.uint64(0):
        options |= np.uint64(_FAULT)
    size = entry >> np.uint64(4) & np.uint64(15)
    return entry, window << size, at + np.int64(size), options


@kernel
def _transitions(words, at, places, last, options, t):  # type: ignore[no-untyped-def]
    """Read which sets of those at the places of a nibble become significant.

    Returns
    -------
    new : uint64
        Nibble.
    at : int
    options : uint64
    """
    if places == np.uint64(0):
        return np.uint64(0), at, options
    entry, _, at, options = _entry(words, at, kind_of(np.int64(t.ones[places]), last), options, t)
    return t.spread[places, entry & np.uint64(15)], at, options


@kernel
def _types(words, at, places, last, options, t):  # type: ignore[no-untyped-def]
    """Read which coefficients of those at the places of a nibble become significant, and their signs.

    Returns
    -------
    new, negative : uint64
        Nibbles.
    at : int
    options : uint64
    """
    if places == np.uint64(0):
        return np.uint64(0), np.uint64(0), at, options
    entry, window, at, options = _entry(words, at, kind_of(np.int64(t.ones[places]), last), options, t)
    ones, new = entry >> np.uint64(8), t.spread[places, entry & np.uint64(15)]
    return new, t.spread[new, window >> np.uint64(1) >> (np.uint64(63) - ones)], at + np.int64(ones), options


@kernel
def _close(at, end, options):  # type: ignore[no-untyped-def]
    """Return the verdict on a block's stage; a fault is none where the data end, and zeros were read for them."""
    if options >= np.uint64(_FAULT):
        return BAD if at + 16 <= end else FULL
    return GOOD if at <= end else FULL


@kernel
def _stage1(words, at, end, b, live, s, t):  # type: ignore[no-untyped-def]
    """Read the parents."""
    for m in range(s.depth.size):
        if s.depth[m] <= b:
            continue
        if at > end:
            return at, FULL
        places = (~s.known[m] & live) >> np.uint64(60) & np.uint64(7)
        new, negative, at, options = _types(words, at, places, CHILDREN, s.options[m >> 4], t)
        verdict = _close(at, end, options)
        if verdict != GOOD:
            return at, verdict
        s.options[m >> 4] = options
        s.planes[b, m] = new << np.uint64(60)
        s.signs[m] |= negative << np.uint64(60)
    return at, GOOD


@kernel
def _children(words, at, known, hit, live, options, t):  # type: ignore[no-untyped-def]
    """Read the children of the families that are hit; return those new, negative, the position, the options."""
    fresh, signs = np.uint64(0), np.uint64(0)
    for i in range(3):
        if hit >> np.uint64(2 - i) & np.uint64(1):
            shift = np.uint64(56 - 4 * i)
            places = (~known & live) >> shift & np.uint64(15)
            new, negative, at, options = _types(words, at, places, CHILDREN, options, t)
            fresh |= new << shift
            signs |= negative << shift
    return fresh, signs, at, options


@kernel
def _stage2(words, at, end, b, live, s, t):  # type: ignore[no-untyped-def]
    """Read whether there are descendants, in which families, and the children."""
    possible = families_in(live)
    for m in range(s.depth.size):
        if s.depth[m] <= b:
            continue
        if at >= end:
            return at, FULL
        known = s.known[m]
        s.hit[m] = np.uint64(0)
        if known & np.uint64(DESCENDANTS) == np.uint64(0):
            at += 1
            if peek(words, at - 1) >> np.uint64(63) == np.uint64(0):
                continue
        hit = families_in(known)
        more, at, options = _transitions(words, at, ~hit & possible, FAMILIES, s.options[m >> 4], t)
        hit |= more
        fresh, signs, at, options = _children(words, at, known, hit, live, options, t)
        verdict = _close(at, end, options)
        if verdict != GOOD:
            return at, verdict
        s.hit[m], s.options[m >> 4] = hit, options
        s.planes[b, m] |= fresh
        s.signs[m] |= signs
    return at, GOOD


@kernel
def _groups(words, at, known, hit, options, t):  # type: ignore[no-untyped-def]
    """Read the groups of grandchildren in the families that are hit; return twelve bits, the position, the options."""
    groups = np.uint64(0)
    for i in range(3):
        four = np.uint64(0)
        if hit >> np.uint64(2 - i) & np.uint64(1):
            four = groups_in(known, i)
            more, at, options = _transitions(words, at, ~four & np.uint64(15), GRANDCHILDREN, options, t)
            four |= more
        groups = groups << np.uint64(4) | four
    return groups, at, options


@kernel
def _stage3(words, at, end, b, live, s, t):  # type: ignore[no-untyped-def]
    """Read in which families and groups there are grandchildren, and the grandchildren."""
    possible = grandchildren_in(live)
    for m in range(s.depth.size):
        if s.depth[m] <= b or s.hit[m] & possible == np.uint64(0):
            continue
        if at >= end:
            return at, FULL
        known, options = s.known[m], s.options[m >> 4]
        hit = grandchildren_in(known)
        more, at, options = _transitions(words, at, s.hit[m] & ~hit & possible, CHILDREN, options, t)
        groups, at, options = _groups(words, at, known, (hit | more) & possible, options, t)
        fresh, signs = np.uint64(0), np.uint64(0)
        for j in range(12):
            if groups >> np.uint64(11 - j) & np.uint64(1):
                shift = np.uint64(44 - 4 * j)
                new, negative, at, options = _types(
                    words, at, ~known >> shift & np.uint64(15), GRANDCHILDREN, options, t
                )
                fresh |= new << shift
                signs |= negative << shift
        verdict = _close(at, end, options)
        if verdict != GOOD:
            return at, verdict
        s.options[m >> 4] = options
        s.planes[b, m] |= fresh
        s.signs[m] |= signs
    return at, GOOD


@kernel
def _refinement(places, window, t):  # type: ignore[no-untyped-def]
    """Return the next bits of a window at the places of a mask."""
    more = np.uint64(0)
    for i in range(8):
        eight = places >> np.uint64(56 - 8 * i) & np.uint64(255)
        ones = np.uint64(t.ones[eight])
        head = window >> np.uint64(1) >> (np.uint64(63) - ones)
        more = more << np.uint64(8) | np.uint64(t.spread8[eight, head])
        window <<= ones
    return more


@kernel
def _stage4(words, at, end, b, live, s, t):  # type: ignore[no-untyped-def]
    """Read a bit of each coefficient that was significant before, and close the plane of each block."""
    for m in range(s.depth.size):
        places = s.known[m] & live
        if places:
            count = count_ones(places)
            if at + count > end:
                return at, FULL
            s.planes[b, m] |= _refinement(places, peek(words, at), t)
            at += count
        s.known[m] |= s.planes[b, m]
        s.low[m] = b
    return at, GOOD


@kernel
def read_dc_plane(words, at, end, b, s):  # type: ignore[no-untyped-def]
    """Read one bit of each DC coefficient (stage 0, and the planes above the AC coefficients)."""
    for m in range(s.dc.size):
        if at + m >= end:
            return at + m, FULL
        s.dc[m] |= np.int32(peek(words, at + m) >> np.uint64(63)) << np.int32(b)
        s.dc_low[m] = b
    return at + s.dc.size, GOOD


@kernel
def read_planes(words, at, end, depth_ac, shift, zeros, live, s, t):  # type: ignore[no-untyped-def]
    """Read bit planes to the last one or to the end of the data.

    Parameters
    ----------
    words : (word) uint64
    at, end : int
        [bit]
    depth_ac, shift, zeros : int
        Planes of the AC coefficients; planes of the DC coefficients that have not been read, and that are zero.
    live : (MAX_DEPTH) uint64
        `blocks.Layout`.
    s : State
    t : Tables

    Returns
    -------
    plane : int
        The plane that was begun last.
    verdict : int
        `BAD` when the data are no planes; data that end early are good.
    """
    for b in range(depth_ac - 1, -1, -1):
        if zeros <= b < shift:
            at, verdict = read_dc_plane(words, at, end, b, s)
            if verdict != GOOD:
                return b, GOOD
        s.options[:] = np.uint64(UNKNOWN_OPTIONS)
        at, verdict = _stage1(words, at, end, b, live[b], s, t)
        if verdict == GOOD:
            at, verdict = _stage2(words, at, end, b, live[b], s, t)
        if verdict == GOOD:
            at, verdict = _stage3(words, at, end, b, live[b], s, t)
        if verdict == GOOD:
            at, verdict = _stage4(words, at, end, b, live[b], s, t)
        if verdict != GOOD:
            for m in range(s.depth.size):
                if s.low[m] > b:
                    s.fresh[m] = s.planes[b, m] & ~s.known[m]
            return b, BAD if verdict == BAD else GOOD
    return 0, GOOD
