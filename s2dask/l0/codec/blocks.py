"""Blocks of a transformed strip: 64 coefficients that see the same 8 x 8 pixels, as bit planes of 64-bit masks.

The order in a block is that in which the Blue Book (122.0-B, 4.1 and 4.5.3) scans it: DC, the three parents, three
groups of four children, three times four groups of four grandchildren. The families are HL, LH and HH. Coefficient k is
bit 63 - k, so that each group is a nibble: 0 DC and parents, 1 to 3 children, 4 to 15 grandchildren.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import LINES_PER_PACKET
from s2dask.kernels import kernel
from s2dask.l0.codec.segment import FLOAT, MAX_DEPTH

SIZE: Final = 64
_PARENTS, _CHILDREN, _GRANDCHILDREN = (3, 3, 2), (2, 2, 1), (1, 1, 0)
"""Weights of the families HL, LH, HH at each level, as shifts (122.0-B, 3.9): what the integer transform is worth.

The float transform has none.
"""
_FRACTION_BITS: Final = 5
"""Of the coefficients that the float transform is undone from."""


class Layout(NamedTuple):
    """Where the coefficients of a block are in a transformed strip laid out in one dimension, and what they are worth.

    Attributes
    ----------
    first, down, right : (64) int64
        Place in the first block, and how much further it is one block down and one to the right.
    weight : (64) int32
        Shift.
    live : (MAX_DEPTH) uint64
        For each bit plane, the AC coefficients that may have a bit there: not those of a larger weight.
    rest, rest_dc : (MAX_DEPTH + 1) int32
        What stands for the unknown bits of a coefficient, by their number, with `fraction` bits after the point.
    fraction : int
    """

    first: NDArray[np.int64]
    down: NDArray[np.int64]
    right: NDArray[np.int64]
    weight: NDArray[np.int32]
    live: NDArray[np.uint64]
    rest: NDArray[np.int32]
    rest_dc: NDArray[np.int32]
    fraction: int


def _places() -> list[tuple[int, int, int, int, int]]:
    """Return level (8: the coarsest), high rows, high columns, row and column inside the block's part, in order."""
    highs = ((0, 1), (1, 0), (1, 1))
    places = [(8, 0, 0, 0, 0), *((8, *high, 0, 0) for high in highs)]
    places += [(4, *high, row, column) for high in highs for row in range(2) for column in range(2)]
    places += [
        (2, *high, 2 * (group >> 1) + row, 2 * (group & 1) + column)
        for high in highs
        for group in range(4)
        for row in range(2)
        for column in range(2)
    ]
    return places


@cache
def layout(columns: int, transform: int) -> Layout:
    """Return where the coefficients are in a strip of a width, and what they are worth.

    Notes
    -----
    The standard leaves what is unknown of a coefficient to the decoder; small ones are likelier than large ones. On a
    textured ground at the mission's rates fifteen 32nds of what is unknown give the float transform up to 0.06 dB more
    than the middle; three eighths give the integer transform, where it is cut off, 0.2 to 0.5 dB. A coefficient of the
    float transform is a rounded number: what is known of it begins half a unit below.
    """
    first, down, right = [], [], []
    for level, high_row, high_column, row, column in _places():
        per = 8 // level
        line, place = high_row * LINES_PER_PACKET // level + row, high_column * columns // level + column
        first.append(line * columns + place)
        down.append(per * columns)
        right.append(per)
    shifts = [3, *_PARENTS, *(w for w in _CHILDREN for _ in range(4)), *(w for w in _GRANDCHILDREN for _ in range(16))]
    places, step = np.array([first, down, right], np.int64), 1 << np.arange(MAX_DEPTH + 1, dtype=np.int32)
    if transform == FLOAT:
        shifts, half = [0] * SIZE, 1 << (_FRACTION_BITS - 1)
        rest, middle, fraction = step * 15 - half, step * half - half, _FRACTION_BITS
        rest[0] = 0
    else:
        rest, middle, fraction = step * 3 >> 3, np.where(step > 8, step >> 1, 0), 0
    live = [sum(1 << (63 - k) for k in range(1, SIZE) if shifts[k] <= b) for b in range(MAX_DEPTH)]
    weight = np.array(shifts, np.int32)
    return Layout(
        places[0], places[1], places[2], weight, np.array(live, np.uint64), rest.astype(np.int32),
        middle.astype(np.int32), fraction,
    )  # fmt: skip


@kernel
def bit_length(value):  # type: ignore[no-untyped-def]
    """Return how many bits a non-negative number takes."""
    count = 0
    while value:
        value >>= 1
        count += 1
    return count


@kernel
def to_planes(work, lay, planes, signs, dc, depth):  # type: ignore[no-untyped-def]
    """Take the blocks of a transformed strip apart; return the depths of its DC and AC coefficients.

    Parameters
    ----------
    work : (16, column) int32
    lay : Layout
    planes : (MAX_DEPTH, block) uint64
        Bits of the weighted magnitudes; written where a plane is not above a block's depth.
    signs : (block) uint64
    dc, depth : (block) int32
        Weighted DC coefficients; bits of the largest AC coefficient.
    """
    flat, across = work.reshape(-1), work.shape[1] >> 3
    magnitude, negative = np.empty(64, np.uint32), np.empty(64, np.uint32)
    depth_dc, depth_ac = 1, 0
    for m in range(2 * across):
        r, k = m // across, m % across
        largest = np.uint32(0)
        for i in range(64):
            value = flat[lay.first[i] + r * lay.down[i] + k * lay.right[i]] << lay.weight[i]
            magnitude[i] = np.uint32(abs(value))
            negative[i] = np.uint32(value < 0)
        value = np.int32(magnitude[0])
        dc[m] = -value if negative[0] else value
        depth_dc = max(depth_dc, 1 + bit_length(value - 1 if negative[0] else value))
        magnitude[0], negative[0] = 0, 0
        for i in range(64):
            largest |= magnitude[i]
        depth[m] = bit_length(largest)
        depth_ac = max(depth_ac, depth[m])
        signs[m] = _packed(negative, np.uint32(0))
        for b in range(depth[m]):
            planes[b, m] = _packed(magnitude, np.uint32(b))
    return depth_dc, depth_ac


@kernel
def _packed(values, bit):  # type: ignore[no-untyped-def]
    """Return one bit of each of 64 values, the first value's highest."""
    high, low = np.uint32(0), np.uint32(0)
    for i in range(32):
        high |= (values[i] >> bit & np.uint32(1)) << np.uint32(31 - i)
    for i in range(32):
        low |= (values[32 + i] >> bit & np.uint32(1)) << np.uint32(31 - i)
    return np.uint64(high) << np.uint64(32) | np.uint64(low)


@kernel
def from_planes(planes, signs, dc, dc_low, depth, low, fresh, plane, lay, work):  # type: ignore[no-untyped-def]
    """Put the blocks of a strip together.

    Parameters
    ----------
    planes : (MAX_DEPTH, block) uint64
    signs : (block) uint64
    dc, dc_low : (block) int32
        Weighted, and the lowest bit that is known.
    depth, low : (block) int32
        Bits of the AC coefficients, and the lowest plane that is known.
    fresh : (block) uint64
        Coefficients known one plane further: `plane`.
    plane : int
    lay : Layout
    work : (16, column) int32
        Filled, with `lay.fraction` bits after the point.
    """
    up = np.int32(lay.fraction)
    flat, across = work.reshape(-1), work.shape[1] >> 3
    magnitude, value = np.empty(64, np.int32), np.empty(64, np.int32)
    for m in range(dc.size):
        magnitude[:] = 0
        for b in range(min(plane, low[m]), depth[m]):
            _unpacked(planes[b, m], np.int32(b), magnitude)
        rest = lay.rest[low[m]]
        value[:] = 0
        if fresh[m]:
            _unpacked(fresh[m], np.int32(0), value)
            finer = lay.rest[plane]
            for i in range(64):
                value[i] = finer if value[i] else rest
        else:
            value[:] = rest
        for i in range(64):
            value[i] = ((magnitude[i] << up) + value[i]) >> lay.weight[i] if magnitude[i] else 0
        magnitude[:] = 0
        _unpacked(signs[m], np.int32(0), magnitude)
        for i in range(64):
            value[i] = -value[i] if magnitude[i] else value[i]
        value[0] = ((dc[m] << up) + lay.rest_dc[dc_low[m]]) >> lay.weight[0]
        r, k = m // across, m % across
        for i in range(64):
            flat[lay.first[i] + r * lay.down[i] + k * lay.right[i]] = value[i]


@kernel
def _unpacked(mask, bit, values):  # type: ignore[no-untyped-def]
    """Add the bits of a mask to 64 values, at a bit of theirs."""
    high, low = np.int32(mask >> np.uint64(32)), np.int32(mask & np.uint64(0xFFFFFFFF))
    for i in range(32):
        values[i] |= (high >> np.int32(31 - i) & np.int32(1)) << bit
    for i in range(32):
        values[32 + i] |= (low >> np.int32(31 - i) & np.int32(1)) << bit
