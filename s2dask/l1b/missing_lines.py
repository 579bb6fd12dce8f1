"""Missing lines: short gaps are interpolated along track, longer ones stay without data."""

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel


@kernel
def neighbours(bad: NDArray[np.bool_], line: int, longest: int) -> tuple[int, int]:
    """Return the good lines around a missing one, (-1, -1) when there is none on a side or the gap is too long.

    Parameters
    ----------
    bad : (line) bool
    line : int
        A missing line.
    longest : int
        Longest gap that is interpolated [line].

    Notes
    -----
    Looks at most `longest` lines away, which is the margin that makes the answer independent of how an image is cut.
    """
    before = line - 1
    while before >= 0 and before >= line - longest and bad[before]:
        before -= 1
    after = line + 1
    while after < bad.size and after <= line + longest and bad[after]:
        after += 1
    if before < max(0, line - longest) or after > min(bad.size - 1, line + longest):
        return -1, -1
    if after - before - 1 > longest:
        return -1, -1
    return before, after


@kernel
def fill_missing(lines: NDArray[np.float32], bad: NDArray[np.bool_], longest: int) -> None:
    """Interpolate short gaps in place; the lines that stay without data become NaN.

    Parameters
    ----------
    lines : (line, column) float32 [LSB]
    bad : (line) bool
        Missing lines.
    longest : int
        Longest gap that is interpolated [line] (GIP_R2PARA ``MISSING_LINES_THRESHOLD``).
    """
    for i in range(lines.shape[0]):
        if not bad[i]:
            continue
        before, after = neighbours(bad, i, longest)
        if before < 0:
            lines[i, :] = np.nan
            continue
        weight = np.float32((i - before) / (after - before))
        for x in range(lines.shape[1]):
            a = lines[before, x]
            lines[i, x] = a + weight * (lines[after, x] - a)


@kernel
def flag_missing(quality: NDArray[np.uint16], bad: NDArray[np.bool_], longest: int, lost: int, empty: int) -> None:
    """Flag the missing lines in place; otherwise interpolated ones take the bits of the lines that replace them.

    Parameters
    ----------
    quality : (line, column) uint16
    bad, longest
        As in `fill_missing`.
    lost, empty : int
        Bits of an interpolated line, bits that a line without data gets besides.
    """
    for i in range(quality.shape[0]):
        if not bad[i]:
            continue
        before, after = neighbours(bad, i, longest)
        for x in range(quality.shape[1]):
            bits = lost | empty if before < 0 else quality[before, x] | quality[after, x] | lost
            quality[i, x] = np.uint16(bits)
