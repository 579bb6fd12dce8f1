"""SWIR re-arrangement: the pixels of the SWIR arrays are staggered over neighbouring lines, and are put back."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel

MARGIN: Final = 1
"""Lines that a line needs on either side."""
THIRDS: Final = ("B10",)
"""Bands whose shifts are thirds of a line; those of B11 and B12 are whole lines."""
PARABOLA: Final = (2 / 9, 8 / 9, -1 / 9)
"""Weights of three lines that give the parabola through them a third of a line before the middle one."""


def arrangement_taps(shift: ArrayLike, name: str, third: ArrayLike = PARABOLA) -> NDArray[np.float32]:
    """Return the filter along track that undoes the stagger of each column.

    Parameters
    ----------
    shift : (useful_column) array_like of int
        -1, 0 or 1: a column shows the ground of that many lines, or thirds of a line, further on.
    name : str
        Band.
    third : (3) array_like
        Weights that undo a third of a line: of the line before, of the line and of the next, of sum 1.

    Returns
    -------
    (3, useful_column) float32
        Weights of the line before, of the line and of the next. No column when nothing is shifted.

    Notes
    -----
    ``out[l, c] = in[l - s(c), c]`` (GIP_R2SWIR).
    """
    s, weights = np.asarray(shift, np.int64), np.asarray(third, np.float64)
    if np.abs(s).max(initial=0) > 1:
        raise ConfigurationError(f"shift of {np.abs(s).max()} lines in {name}", "GIP_R2SWIR", "shifts are -1, 0 or 1")
    if weights.shape != (3,) or not abs(weights.sum() - 1) <= 1e-6:
        raise ConfigurationError(f"filter {weights} of {name}", "GIP_R2SWIR", "give three taps of sum 1")
    moved = weights if name in THIRDS else np.array([1.0, 0.0, 0.0])
    table = np.stack([moved[::-1], np.array([0.0, 1.0, 0.0]), moved])[s + 1].T
    return np.ascontiguousarray(table if s.any() else table[:, :0], np.float32)


@kernel
def rearrange(
    lines: NDArray[np.float32], taps: NDArray[np.float32], start: int, stop: int, out: NDArray[np.float32]
) -> None:
    """Write a range of the lines with every column on the ground of its line.

    Parameters
    ----------
    lines : (line, useful_column) float32 [LSB]
        With `MARGIN` lines around the range unless the strip ends there.
    taps : (3, useful_column) float32
        As `arrangement_taps` makes them.
    start, stop : int
        Range of indices into the run.
    out : (line, useful_column) float32 [LSB]
        Its first lines are filled; NaN where a line that a pixel is made of has no data or lies beyond the strip.
    """
    zero = np.float32(0)
    beyond = np.full(lines.shape[1], np.nan, np.float32)
    first, third = taps[0], taps[2]
    for i in range(start, stop):
        here, row = lines[i], out[i - start]
        before = lines[i - 1] if i > 0 else beyond
        after = lines[i + 1] if i + 1 < lines.shape[0] else beyond
        for x in range(row.size):
            # The middle one has no say where a whole line is taken from the side, and may be without data there.
            a, b, c, w, v = before[x], here[x], after[x], first[x], third[x]
            mixed = b + w * (a - b) + v * (c - b)
            moved = a if w == 1 else c
            row[x] = b if (w == zero) & (v == zero) else (moved if (w == 1) | (v == 1) else mixed)


@kernel
def rearrange_quality(
    quality: NDArray[np.uint16], taps: NDArray[np.float32], start: int, stop: int, empty: int, out: NDArray[np.uint16]
) -> None:
    """Write the bits of every pixel that enters a re-arranged one.

    Parameters
    ----------
    quality : (line, useful_column) uint16
    taps, start, stop
        As in `rearrange`.
    empty : int
        Bits of a pixel beyond the strip.
    out : (line, useful_column) uint16
        Its first lines are filled.
    """
    none, beyond = np.uint16(0), np.full(quality.shape[1], empty, np.uint16)
    first, second, third = taps[0], taps[1], taps[2]
    for i in range(start, stop):
        here, row = quality[i], out[i - start]
        before = quality[i - 1] if i > 0 else beyond
        after = quality[i + 1] if i + 1 < quality.shape[0] else beyond
        for x in range(row.size):
            bits = here[x] if second[x] != 0 else none
            bits |= before[x] if first[x] != 0 else none
            row[x] = bits | (after[x] if third[x] != 0 else none)
