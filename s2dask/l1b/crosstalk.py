"""Electronic crosstalk: what leaks between the SWIR bands B10, B11 and B12 when they are read together."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

TRIO: Final = ("B10", "B11", "B12")
"""Bands that disturb each other."""


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
def remove_leak(
    lines: NDArray[np.float32],
    first_line: int,
    factor: int,
    source: NDArray[np.float32],
    bad: NDArray[np.bool_],
    source_line: int,
    source_factor: int,
    coefficient: float,
) -> NDArray[np.float32]:
    """Return the lines without what leaked in from one other band.

    Parameters
    ----------
    lines, source : (line, useful_column) float32 [LSB]
        Offset-free lines of the disturbed band and of the one that disturbs it.
    first_line, source_line : int
        Absolute number of their first lines; lines of one number and factor are simultaneous.
    factor, source_factor : int
        Line period over the 10 m line period.
    bad : (source_line) bool
        Source lines without usable counts: the others that were read with the line stand for them.
    coefficient : float
        Share of the source in the disturbed band [1].

    Returns
    -------
    (line, useful_column) float32 [LSB]

    Notes
    -----
    ``Y_k <- Y_k - sum_l c_kl Y_l`` on the same pixel at the same time of acquisition (GIP_R2CRCO ``ELECTRICAL``): one
    line of B10 is read with three of B11 and B12, and takes their mean. That pairing is inferred from the cause (a
    read-out effect), not published.
    """
    out = lines.copy()
    total = np.empty(lines.shape[1], np.float32)
    for i in range(lines.shape[0]):
        first, count = simultaneous_lines(first_line + i, factor, source_factor)
        found = 0
        for k in range(first - source_line, first - source_line + count):
            if 0 <= k < bad.size and not bad[k]:
                values = source[k]
                if found == 0:
                    for x in range(total.size):
                        total[x] = values[x]
                else:
                    for x in range(total.size):
                        total[x] += values[x]
                found += 1
        if found > 0:
            share, row = np.float32(coefficient / found), out[i]
            for x in range(total.size):
                row[x] -= share * total[x]
    return out


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
        Quality of the disturbed band and of the one that disturbs it.
    first_line, factor, bad, source_line, source_factor
        As in `remove_leak`.
    saturated, flag : int
        Bit of a saturated pixel; bit to set.
    """
    for i in range(quality.shape[0]):
        first, count = simultaneous_lines(first_line + i, factor, source_factor)
        row = quality[i]
        for k in range(first - source_line, first - source_line + count):
            if 0 <= k < bad.size and not bad[k]:
                values = source[k]
                for x in range(row.size):
                    row[x] |= np.uint16(flag) if values[x] & np.uint16(saturated) else np.uint16(0)
            else:
                for x in range(row.size):
                    row[x] |= np.uint16(flag)
