"""Binning: the 60 m bands are read at 20 m across track, and weighted three to one on the ground."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel

MEAN_OF_THREE: Final = (1 / 3, 1 / 3, 1 / 3)
"""Across-track filter that conserves flux pixel by pixel."""
_FLUX_TOLERANCE: Final = 1e-6


def binning_kernel(weights: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return the binning filter as the kernels take it; one that loses or makes flux is refused.

    Parameters
    ----------
    weights : (tap) or (row, tap) array_like
        Odd numbers of across-track taps and of lines, centred; of sum 1.
    name : str
        Band.

    Returns
    -------
    (row, tap) float32
        One row where the others of three are zero; at least three taps, without outer ones that are zero.
    """
    table = np.atleast_2d(np.asarray(weights, np.float64))
    rows, taps = table.shape if table.ndim == 2 else (0, 0)
    if rows not in (1, 3) or taps % 2 == 0 or not abs(table.sum() - 1) <= _FLUX_TOLERANCE:
        raise ConfigurationError(
            f"binning filter {np.shape(weights)} of sum {table.sum():g} for {name}",
            "GIP_R2BINN",
            "give one or three rows of an odd number of taps, of sum 1",
        )
    if rows == 3 and not table[::2].any():
        table = table[1:2]
    while table.shape[1] > len(MEAN_OF_THREE) and not table[:, [0, -1]].any():
        table = table[:, 1:-1]
    return np.ascontiguousarray(table, np.float32)


@kernel
def bin_columns(
    lines: NDArray[np.float32], weights: NDArray[np.float32], start: int, stop: int, out: NDArray[np.float32]
) -> None:
    """Write a range of the lines binned three to one across track, centred on the middle one of each three pixels.

    Parameters
    ----------
    lines : (line, useful_column) float32 [LSB]
    weights : (row, tap) float32
        As `binning_kernel` makes them. Beyond an edge the outermost pixel is repeated; a line that is not there, or a
        pixel without data in the line before or after, is replaced by the middle line.
    start, stop : int
        Range of indices into the run.
    out : (line, useful_column // 3) float32 [LSB]
        Its first lines are filled.

    Notes
    -----
    1276 useful pixels give 425 binned ones: the last useful pixel has no place (GIP_VIEDIR, ``NB_OF_PIXELS`` 425).
    """
    rows, taps = weights.shape
    last = lines.shape[1] - 1
    for i in range(start, stop):
        here, row = lines[i], out[i - start]
        if rows == 1 and taps == 3:
            a, b, c = weights[0, 0], weights[0, 1], weights[0, 2]
            for x in range(row.size):
                row[x] = a * here[3 * x] + b * here[3 * x + 1] + c * here[3 * x + 2]
            continue
        row[:] = np.float32(0)
        for j in range(rows):
            line = i + j - rows // 2
            values = lines[line] if 0 <= line < lines.shape[0] else here
            for k in range(taps):
                weight, first = weights[j, k], 1 + k - taps // 2
                if weight == 0:
                    continue
                for x in range(row.size):
                    at = min(max(3 * x + first, 0), last)
                    v = values[at]
                    row[x] += weight * (here[at] if np.isnan(v) else v)


@kernel
def bin_quality(
    quality: NDArray[np.uint16],
    weights: NDArray[np.float32],
    start: int,
    stop: int,
    empty: int,
    out: NDArray[np.uint16],
) -> None:
    """Write the bits of every pixel that enters a binned one.

    Parameters
    ----------
    quality : (line, useful_column) uint16
    weights, start, stop
        As in `bin_columns`.
    empty : int
        Bit of a pixel without data: in another line it is replaced by the middle line.
    out : (line, useful_column // 3) uint16
        Its first lines are filled.
    """
    rows, taps = weights.shape
    last, none = quality.shape[1] - 1, np.uint16(empty)
    for i in range(start, stop):
        here, row = quality[i], out[i - start]
        if rows == 1 and taps == 3 and weights.all():
            for x in range(row.size):
                row[x] = here[3 * x] | here[3 * x + 1] | here[3 * x + 2]
            continue
        row[:] = np.uint16(0)
        for j in range(rows):
            line = i + j - rows // 2
            values = quality[line] if 0 <= line < quality.shape[0] else here
            for k in range(taps):
                first = 1 + k - taps // 2
                if weights[j, k] != 0:
                    for x in range(row.size):
                        at = min(max(3 * x + first, 0), last)
                        row[x] |= here[at] if values[at] & none else values[at]
