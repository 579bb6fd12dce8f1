"""Frames in a stream of bits: markers at any bit, of either polarity, where one is due or else where one is believed.

A marker where one is due is a frame; so is one with up to `MARKER_ERRORS` wrong bits, if its codewords check or, where
no code can tell, if another marker stands where the next one is due. Where there is none, the search goes back to the
bit after the last marker, since bits may be missing, and believes the first marker that another one follows after a
frame, early or late by no more than `TOLERANCE` bits, or whose frame ends the stream, or whose frame decodes. Decisions
depend on the stream alone, never on how it is cut into blocks: with too little ahead to decide, the search stops and
goes on when more is there.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import ASM, ASM_BYTES
from s2dask.kernels import kernel
from s2dask.l0.reed_solomon import ReedSolomon, Tables, bad_lanes, correct_lanes, tables

MARKER_BITS: Final = 8 * ASM_BYTES
TOLERANCE: Final = 64
"""Bits that may slip between two frames without the first being doubted [bit]."""


MARKER_ERRORS: Final = 4
"""Wrong bits of the 32 that a marker may have where one is due: noise has as few at one place of 51,000."""


class Rule(NamedTuple):
    """What a frame of the stream looks like, for the kernels.

    Attributes
    ----------
    marker, marker_bits, frame_bits, tolerance : int
        Lengths [bit] with the marker.
    mask : (coded_bytes) uint8
        What is taken off a frame before it is checked: the randomiser, or nothing.
    versions : int
        Of the frame header that are then possible, as a set of bits.
    """

    marker: int
    marker_bits: int
    frame_bits: int
    tolerance: int
    mask: NDArray[np.uint8]
    versions: int


def rule(cadu_bytes: int, mask: NDArray[np.uint8], versions: int) -> Rule:
    """Return the rule of frames of a length [byte], marker included."""
    return Rule(ASM, MARKER_BITS, 8 * cadu_bytes, TOLERANCE, mask, versions)


@kernel
def wrong_bits(data, bit, marker):  # type: ignore[no-untyped-def]
    """Return how many of the 32 bits at a place differ from a marker; 32 is an inverted one."""
    at, phase = bit // 8, bit % 8
    window = np.int64(0)
    for i in range(4):
        window = window << 8 | np.int64(data[at + i])
    if phase:
        window = (window << phase | np.int64(data[at + 4]) >> (8 - phase)) & 0xFFFFFFFF
    left = window ^ marker
    count = 0
    while left:
        left &= left - 1
        count += 1
    return count


@kernel
def polarity(data, bit, marker):  # type: ignore[no-untyped-def]
    """Return 1 for a marker at a bit, -1 for an inverted one, 0 for none."""
    wrong = wrong_bits(data, bit, marker)
    return 1 if wrong == 0 else -1 if wrong == MARKER_BITS else 0


@kernel
def find_marker(data, first, last, marker):  # type: ignore[no-untyped-def]
    """Return the first bit from `first` to `last` where a marker of either polarity begins, -1 for none."""
    if last < first:
        return -1
    at = first // 8
    window = np.uint64(0)
    for i in range(4):
        window = window << np.uint64(8) | np.uint64(data[at + i])
    wanted, all_ones = np.uint32(marker), np.uint32(0xFFFFFFFF)
    for byte in range(at, last // 8 + 1):
        # the last byte of the stream is followed by nothing, and by then only phase 0 is left
        after = data[byte + 4] if byte + 4 < data.size else np.uint8(0)
        window = (window << np.uint64(8) | np.uint64(after)) & np.uint64(0xFFFFFFFFFF)
        hit = False
        for phase in range(8):
            word = np.uint32(window >> np.uint64(8 - phase)) ^ wanted
            hit |= (word == 0) | (word == all_ones)
        if hit:
            for bit in range(max(first, 8 * byte), min(last, 8 * byte + 7) + 1):
                word = np.uint32(window >> np.uint64(8 - bit % 8)) ^ wanted
                if word in (np.uint32(0), all_ones):
                    return bit
    return -1


@kernel
def copy_frame(data, bit, mask, inverted, row):  # type: ignore[no-untyped-def]
    """Copy the coded part of the frame whose marker begins at a bit, less a mask, turned if it is inverted."""
    at, phase = bit // 8 + 4, bit % 8
    turn = np.uint8(0xFF) if inverted else np.uint8(0)
    source = data[at : at + row.size]
    if phase == 0:
        for i in range(row.size):
            row[i] = source[i] ^ mask[i] ^ turn
        return
    following, left, right = data[at + 1 : at + 1 + row.size], np.uint8(phase), np.uint8(8 - phase)
    for i in range(row.size):
        row[i] = np.uint8(source[i] << left | following[i] >> right) ^ mask[i] ^ turn


@kernel
def _gather(data, starts, inverted, mask, code, out, lanes):  # type: ignore[no-untyped-def]
    for f in range(starts.size):
        copy_frame(data, starts[f], mask, inverted[f], out[f])
        lanes[f] = bad_lanes(out[f], code)


def gather(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    inverted: NDArray[np.bool_],
    mask: NDArray[np.uint8],
    code: ReedSolomon | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Copy frames out of a stream, less a mask, and check their codewords while they are at hand.

    Returns
    -------
    frames : (frame, coded_bytes) uint8
    lanes : (frame) int64
        Codewords with errors, as a set of bits.
    """
    out, lanes = np.empty((starts.size, mask.size), np.uint8), np.zeros(starts.size, np.int64)
    _gather(data, starts, inverted, mask, tables(code), out, lanes)
    return out, lanes


@kernel
def _find_markers(data, marker, out):  # type: ignore[no-untyped-def]
    count, last = 0, 8 * data.size - 32
    at = find_marker(data, 0, last, marker)
    while at >= 0 and count < out.size:
        out[count] = at
        count += 1
        at = find_marker(data, at + 1, last, marker)
    return count


def find_markers(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return where markers begin in a stream (byte) uint8: (marker) int64 [bit]."""
    out = np.zeros(data.size // 4 + 1, np.int64)
    return out[: _find_markers(data, ASM, out)]


@kernel
def _decodes(data, bit, inverted, rule, codes, row):  # type: ignore[no-untyped-def]
    """Whether the frame at a bit is one of some code, as it is or corrected; zeros are, but have no header."""
    for code in codes:
        if code.interleave == 0:
            continue
        copy_frame(data, bit, rule.mask, inverted, row)
        lanes = bad_lanes(row, code)
        if (lanes == 0 or correct_lanes(row, lanes, code)[2] == 0) and rule.versions >> (row[0] >> 6) & 1:
            return True
    return False


@kernel
def _believed(data, bit, total, rule, codes, row):  # type: ignore[no-untyped-def]
    """Whether a marker in the middle of nowhere is one: the frame is whole."""
    after = bit + rule.frame_bits
    if after + rule.marker_bits > total:
        return True
    last = min(after + rule.tolerance, total - rule.marker_bits)
    if find_marker(data, after - rule.tolerance, last, rule.marker) >= 0:
        return True
    return _decodes(data, bit, polarity(data, bit, rule.marker) < 0, rule, codes, row)


@kernel
def _kept(data, bit, total, inverted, rule, codes, row):  # type: ignore[no-untyped-def]
    """Whether a marker with wrong bits, where one is due, is one: the frame decodes, or an uncoded one is followed."""
    for code in codes:
        if code.interleave:
            return _decodes(data, bit, inverted, rule, codes, row)
    after = bit + rule.frame_bits
    return after + rule.marker_bits > total or polarity(data, after, rule.marker) != 0


@kernel
def _synchronise(data, final, last, at, searching, rule, codes, starts, turned, wrong):  # type: ignore[no-untyped-def]
    """Positions [bit] of frames up to the end of the data, or as many as there is room for, and what they have.

    `last` is the last marker before (below 0 for none), `at` where the next is due, or where the search goes on.
    Returns how many, and `last`, `at`, `searching` as they are now.
    """
    found, total = 0, 8 * data.size
    row = np.zeros(rule.mask.size, np.uint8)
    while found < starts.size:
        if not searching and at + rule.frame_bits <= total:
            errors = wrong_bits(data, at, rule.marker)
            inverted = errors > rule.marker_bits // 2
            if inverted:
                errors = rule.marker_bits - errors
            if 0 < errors <= MARKER_ERRORS and not final and at + rule.frame_bits + rule.marker_bits > total:
                break
            if errors == 0 or (errors <= MARKER_ERRORS and _kept(data, at, total, inverted, rule, codes, row)):
                starts[found], turned[found], wrong[found] = at, inverted, errors
                found += 1
                last = at
                at += rule.frame_bits
                continue
        elif not searching and not final:
            break
        if not searching:
            searching = True
            at = last + 1 if last >= 0 else at
        # ahead: a frame, the marker after it, late or not
        ahead = rule.frame_bits if final else rule.frame_bits + rule.tolerance + rule.marker_bits
        stop = total - ahead
        here = find_marker(data, at, stop, rule.marker)
        if here < 0:
            at = max(at, stop + 1)
            break
        if _believed(data, here, total, rule, codes, row):
            at, searching = here, False
        else:
            at = here + 1
    return found, last, at, searching


class Position:
    """Where a stream stands: in the bytes kept from the last block, [bit]."""

    __slots__ = ("at", "last", "searching")

    def __init__(self) -> None:
        self.last, self.at, self.searching = -1, 0, False

    def move(self, bits: int) -> None:
        """Forget that many bits at the front."""
        self.at -= bits
        self.last -= bits


def synchronise(
    data: NDArray[np.uint8], final: bool, position: Position, frame: Rule, codes: tuple[Tables, ...], room: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.uint8]]:
    """Find the next frames that are whole and certain, and move the position behind them.

    Parameters
    ----------
    data : (byte) uint8
    final : bool
        Whether the stream ends with the data.
    position : Position
    frame : Rule
    codes : tuple of Tables
        Any of which a frame that no other follows may be in.
    room : int
        Most frames to return.

    Returns
    -------
    starts : (frame) int64
        Of the markers [bit].
    inverted : (frame) bool
    wrong : (frame) uint8
        Wrong bits of the marker.
    """
    starts = np.zeros(room, np.int64)
    turned, wrong = np.zeros(room, np.bool_), np.zeros(room, np.uint8)
    found, position.last, position.at, position.searching = _synchronise(
        data, final, position.last, position.at, position.searching, frame, codes, starts, turned, wrong
    )
    return starts[:found], turned[:found], wrong[:found]
