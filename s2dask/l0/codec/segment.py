"""The header of a coded strip: an image of one segment, its four parts always there, twenty bytes.

Source: CCSDS 122.0-B-2, 4.2: part 1A, 1B (last segment), 2 (limits), 3 (blocks), 4 (image).
"""

from s2dask.kernels import kernel
from s2dask.l0.codec.bits import put, take

HEAD_BITS = 160
PIXEL_BITS = 12
MAX_DEPTH = 20
"""Bits of a coefficient, no more: the sum of the taps of the filters, the weights and 12-bit counts stay below."""
GOOD, BAD = 0, 1
FLOAT, INTEGER = 0, 1
"""DWTtype: the transform of a strip; an index into what differs between the two."""
DC_SHIFTS = (0, 3)
"""Weight of the LL3 band under each transform, as a shift: as many low bits of a DC coefficient are zero."""


@kernel
def write_head(words, transform, depth_dc, depth_ac, byte_limit, blocks, columns):  # type: ignore[no-untyped-def]
    """Write the header of a strip; return the position after it.

    Parameters
    ----------
    words : (word) uint64
    transform : int
        `FLOAT` or `INTEGER`.
    depth_dc, depth_ac : int
        Bits of the largest DC and AC coefficient.
    byte_limit : int
        SegByteLimit, which is filled up; 0: the standard's largest, 2^27, and no fill.
    blocks, columns : int
    """
    at = put(words, 0, 0b11, 2)  # first and last segment of the image
    at = put(words, at, 0, 8)  # its count
    at = put(words, at, depth_dc, 5)
    at = put(words, at, depth_ac, 5)
    at = put(words, at, 0b0111, 4)  # reserved; parts 2, 3 and 4 follow
    at = put(words, at, 0, 8)  # no padding rows
    at = put(words, at, byte_limit, 27)
    at = put(words, at, 0b0_00000_11, 8)  # not DC alone; down to bit plane 0, stage 4
    at = put(words, at, 1 if byte_limit else 0, 1)
    at = put(words, at, 0, 4)
    at = put(words, at, blocks, 20)
    at = put(words, at, 0, 4)  # code options by the heuristic
    at = put(words, at, transform << 3, 4)  # up to 16 bits, unsigned
    at = put(words, at, PIXEL_BITS, 4)
    at = put(words, at, columns, 20)
    at = put(words, at, 0b0000, 4)  # not transposed; coded words of 8 bits
    return put(words, at, 0, 32)  # the standard's weights


@kernel
def read_head(words, size, blocks, columns):  # type: ignore[no-untyped-def]
    """Return the transform, the depths of DC and AC, the end of the segment [bit], whether the header is a strip's.

    Parameters
    ----------
    words : (word) uint64
    size : int
        Bytes there are.
    blocks, columns : int
        Expected.
    """
    depth_dc, depth_ac, limit = take(words, 10, 5), take(words, 15, 5), take(words, 32, 27)
    good = size * 8 > HEAD_BITS
    good &= take(words, 0, 10) == 0b11 << 8 and take(words, 20, 12) == 0b0111 << 8
    good &= take(words, 59, 8) == 0b0_00000_11 and take(words, 68, 4) == 0
    good &= take(words, 72, 20) == blocks and take(words, 94, 2) == 0
    good &= take(words, 97, 7) == PIXEL_BITS and take(words, 104, 20) == columns
    good &= take(words, 124, 4) == 0 and take(words, 128, 32) == 0
    good &= 1 <= depth_dc <= MAX_DEPTH and depth_ac <= MAX_DEPTH
    end = 8 * min(size, limit) if limit else 8 * size
    return take(words, 96, 1), depth_dc, depth_ac, end, GOOD if good and end > HEAD_BITS else BAD


@kernel
def dc_shift(transform, depth_dc, depth_ac):  # type: ignore[no-untyped-def]
    """Return how many low bits of a DC coefficient are left to the bit planes: 4.3.1, not fewer than are zero."""
    half = 1 + (depth_ac >> 1)
    if depth_dc <= 3:
        shift = 0
    elif depth_dc - half <= 1:
        shift = depth_dc - 3
    elif depth_dc - half > 10:
        shift = depth_dc - 10
    else:
        shift = half
    return max(shift, DC_SHIFTS[transform])
