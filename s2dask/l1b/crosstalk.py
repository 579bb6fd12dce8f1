"""Crosstalk: what leaks into a band from others while they are read out together.

Electronic crosstalk joins the SWIR bands B10, B11 and B12; optical crosstalk any two bands. Both are removed alike and
at once: the product of the two, which tells one after the other from both together, is as small as the second order
that the correction leaves out anyway.

What leaks is the light of a source, not what a defective pixel of it makes of that light: the listed defective pixels
of a source are replaced before its leak is taken off, counts and saturation alike.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

TRIO: Final = ("B10", "B11", "B12")
"""Bands that disturb each other electronically."""


@kernel
def simultaneous_lines(line: int, factor: int, other: int) -> tuple[int, int]:
    """Return the first line of another band that is read with a line, and how many are.

    Parameters
    ----------
    line : int
        Absolute line.
    factor, other : int
        Line period over the 10 m line period of its band and of the other one.
    """
    return line * factor // other, max(1, factor // other)


@kernel
def _subtract(row: NDArray[np.float32], values: NDArray[np.float32], share: np.float32) -> None:
    # The same pixel of the detector: half as many or twice as many columns see the same place.
    if values.size == row.size:
        for x in range(row.size):
            row[x] -= share * values[x]
    elif values.size < row.size:
        for x in range(values.size):
            row[2 * x] -= share * values[x]
            row[2 * x + 1] -= share * values[x]
    else:
        for x in range(row.size):
            row[x] -= share * (np.float32(0.5) * (values[2 * x] + values[2 * x + 1]))


@kernel
def remove_leak(
    lines: NDArray[np.float32],
    first_line: int,
    factor: int,
    source: NDArray[np.float32],
    bad: NDArray[np.bool_],
    source_line: int,
    source_factor: int,
    coefficient: float,
) -> None:
    """Remove what leaked in from one other band, in place.

    Parameters
    ----------
    lines, source : (line, useful_column) float32 [LSB]
        Offset-free lines of the disturbed band and of the one that disturbs it, its defective pixels replaced.
    first_line, source_line : int
        Absolute number of their first lines; lines of one number and factor are simultaneous.
    factor, source_factor : int
        Line period over the 10 m line period.
    bad : (source_line) bool
        Source lines without usable counts: the others that were read with the line stand for them.
    coefficient : float
        Share of the source in the disturbed band [1].

    Notes
    -----
    ``Y_k <- Y_k - sum_l c_kl Y_l`` on the same pixel at the same time of acquisition (GIP_R2CRCO ``OPTICAL`` and
    ``ELECTRICAL``): one line of B10 is read with three of B11 and B12, and takes their mean. That pairing is inferred
    from the cause (a read-out effect), not published. A pixel of 20 m is the mean of two of 10 m.
    """
    total = np.empty(source.shape[1], np.float32)
    for i in range(lines.shape[0]):
        first, count = simultaneous_lines(first_line + i, factor, source_factor)
        found, only = 0, 0
        for k in range(first - source_line, first - source_line + count):
            if 0 <= k < bad.size and not bad[k]:
                if found == 1:
                    total[:] = source[only]
                if found > 0:
                    values = source[k]
                    for x in range(total.size):
                        total[x] += values[x]
                found, only = found + 1, k
        if found > 0:
            _subtract(lines[i], source[only] if found == 1 else total, np.float32(coefficient / found))


@kernel
def flag_leak(
    quality: NDArray[np.uint16],
    first_line: int,
    factor: int,
    source: NDArray[np.uint16],
    bad: NDArray[np.bool_],
    source_line: int,
    source_factor: int,
    saturated: int,
    flag: int,
) -> None:
    """Flag in place the pixels whose leak could not be fully removed: a source line is missing or a pixel saturated.

    Parameters
    ----------
    quality, source : (line, useful_column) uint16
        Quality of the disturbed band and of the one that disturbs it, its defective pixels replaced.
    first_line, factor, bad, source_line, source_factor
        As in `remove_leak`.
    saturated, flag : int
        Bit of a saturated pixel; bit to set.
    """
    full, bit, none = np.uint16(saturated), np.uint16(flag), np.uint16(0)
    for i in range(quality.shape[0]):
        first, count = simultaneous_lines(first_line + i, factor, source_factor)
        row = quality[i]
        for k in range(first - source_line, first - source_line + count):
            if not (0 <= k < bad.size) or bad[k]:
                row[:] |= bit
                continue
            values = source[k]
            if values.size == row.size:
                for x in range(row.size):
                    row[x] |= bit if values[x] & full else none
            else:
                for x in range(row.size):
                    at = x // 2 if values.size < row.size else 2 * x
                    both = values[at] if values.size < row.size else values[at] | values[at + 1]
                    row[x] |= bit if both & full else none
