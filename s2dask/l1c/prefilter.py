"""From counts to the coefficients of a B-spline of any odd degree, along lines and columns.

The exact inverse of a sampled B-spline falls off on either side like a power: what is cut off adds up to 2e-6 of the
signal. A filter of finite length, unlike a recursive one, gives the same bytes wherever a window begins.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import bare_kernel, kernel

HALF: Final = 10
"""Half width of the prefilter of the cubic B-spline."""
HALVES: Final = {3: HALF, 5: 16, 7: 22}
"""Half width of the prefilter by degree."""
_WIDTH: Final = 128
_ROWS: Final = 64
"""Piece that is filtered at a time: the lines that one result takes stay in the first-level cache."""


def basis(degree: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centred B-spline of a degree at some places, by its recursion (Unser, Splines, 1999)."""
    if degree == 0:
        return np.asarray((x >= -0.5) & (x < 0.5), np.float64)
    reach = 0.5 * (degree + 1)
    left, right = basis(degree - 1, x + 0.5), basis(degree - 1, x - 0.5)
    return np.asarray(((reach + x) * left + (reach - x) * right) / degree)


def spline_taps(degree: int = 3) -> NDArray[np.float32]:
    """Return the half filter (half width + 1) that turns samples into B-spline coefficients, sum one."""
    period = 512
    k = np.arange(period)
    samples = basis(degree, np.minimum(k, period - k).astype(np.float64))
    taps = np.fft.irfft(1.0 / np.fft.rfft(samples).real, period)[: HALVES[degree] + 1]
    return np.asarray(taps / (taps[0] + 2.0 * taps[1:].sum()), np.float32)


@bare_kernel
def _along_lines(block, r, taps, out):  # type: ignore[no-untyped-def]
    """Write the filtered row r + half width of a block."""
    half = taps.size - 1
    if half == HALF:  # a width that the compiler knows: half as long again without
        for x in range(out.size):
            total = taps[0] * block[r + HALF, x]
            for k in range(1, HALF + 1):
                total += taps[k] * (block[r + HALF - k, x] + block[r + HALF + k, x])
            out[x] = total
        return
    for x in range(out.size):
        out[x] = taps[0] * block[r + half, x]
    for k in range(1, half + 1):
        above, below, t = block[r + half - k], block[r + half + k], taps[k]
        for x in range(out.size):
            out[x] += t * (above[x] + below[x])


@bare_kernel
def _along_columns(line, taps, out):  # type: ignore[no-untyped-def]
    """Write a filtered line, which has the half width more on either side than the result."""
    half = taps.size - 1
    if half == HALF:
        for x in range(out.size):
            total = taps[0] * line[x + HALF]
            for k in range(1, HALF + 1):
                total += taps[k] * (line[x + HALF - k] + line[x + HALF + k])
            out[x] = total
        return
    for x in range(out.size):
        out[x] = taps[0] * line[x + half]
    for k in range(1, half + 1):
        left, right, t = line[half - k :], line[half + k :], taps[k]
        for x in range(out.size):
            out[x] += t * (left[x] + right[x])


@bare_kernel
def _take(values, line, column, out):  # type: ignore[no-untyped-def]
    """Copy a part of a line of an image; beyond the edges of the image it repeats."""
    rows, columns = values.shape
    source = values[min(max(line, 0), rows - 1)]
    left, right = max(-column, 0), min(columns - column, out.size)
    inside, whole = out[left:right], source[column + left : column + right]
    for x in range(inside.size):
        inside[x] = whole[x]
    for x in range(left):
        out[x] = source[0]
    for x in range(right, out.size):
        out[x] = source[columns - 1]


@kernel
def prefilter(values, offset, taps, spans, strip, reach, out):  # type: ignore[no-untyped-def]
    """Write the coefficients of some lines.

    Parameters
    ----------
    values : (line, column) uint16 or float32
        A window of the image. Beyond it the first and the last line repeat.
    offset : int
        Line of `out` that the first line of the window falls on.
    taps : (half width + 1) float32
        One tap alone copies.
    spans : (strip, 2) int
        First and last + 1 line of `out` to write in each strip of columns.
    strip : int
        Columns of a strip.
    reach : int
        Columns that `out` has more on either side than the image.
    out : (line, column) float32
    """
    half, columns = taps.size - 1, values.shape[1]
    block = np.empty((_ROWS + 2 * half, _WIDTH + 2 * half), np.float32)
    line = np.empty(_WIDTH + 2 * half, np.float32)
    for s in range(spans.shape[0]):
        left = s * strip - (reach if s == 0 else 0)
        right = columns + reach if s == spans.shape[0] - 1 else (s + 1) * strip
        if half == 0:
            for r in range(spans[s, 0], spans[s, 1]):
                _take(values, r - offset, left, out[r, left + reach : right + reach])
            continue
        for x in range(left, right, _WIDTH):
            n = min(_WIDTH, right - x)
            for r in range(spans[s, 0], spans[s, 1], _ROWS):
                rows = min(_ROWS, spans[s, 1] - r)
                for i in range(rows + 2 * half):
                    _take(values, r - offset - half + i, x - half, block[i, : n + 2 * half])
                for i in range(rows):
                    _along_lines(block, i, taps, line[: n + 2 * half])
                    _along_columns(line[: n + 2 * half], taps, out[r + i, x + reach : x + reach + n])
