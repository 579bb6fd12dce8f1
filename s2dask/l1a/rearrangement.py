"""The re-arrangement of SWIR lines: the pixels of an array are staggered over neighbouring lines."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import (
    ANC_DEGRADED,
    ANC_LOST,
    DETECTOR_MASK,
    MSI_DEGRADED,
    MSI_LOST,
    NODATA,
    SATURATED,
)
from s2dask.kernels import kernel
from s2dask.l1a.line_quality import SATURATION

MARGIN: Final = 1
"""Lines that a line needs on either side."""
_CARRIED: Final = ANC_LOST | ANC_DEGRADED | MSI_LOST | MSI_DEGRADED | NODATA | SATURATED


def arrangement_taps(shift: NDArray[np.int8], third: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Return the filter along track that undoes the stagger of each column.

    Parameters
    ----------
    shift : (raw_column) int8
        -1, 0 or 1: a downlinked line shows the ground of that many lines, or thirds of one, further on.
    third : (3) float64, optional
        Weights of the line before, of the line and of the next that undo a shift of a third of a line forward; turned
        round they undo one backward. None: shifts are whole lines.

    Returns
    -------
    (3, raw_column) float32
        Weights of the line before, of the line and of the next; their sum is 1.

    Notes
    -----
    GIP_R2SWIR chooses a detector line per column, on the grid of the 20 m bands: thirds of a line of B10. Then
    ``out[l, c] = in[l - s(c), c]`` for whole lines.
    """
    forward = np.array([1.0, 0.0, 0.0]) if third is None else third
    by_shift = np.stack([forward[::-1], [0.0, 1.0, 0.0], forward])
    return np.ascontiguousarray(by_shift[shift.astype(np.int64) + 1].T, np.float32)


@kernel
def rearrange(
    counts: NDArray[np.uint16], quality: NDArray[np.uint16], taps: NDArray[np.float32], start: int, stop: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return a range of the lines with every column on the ground of its line.

    Parameters
    ----------
    counts, quality : (line, raw_column) uint16
        Raw lines and their quality layer, with `MARGIN` lines around the range unless the strip ends there.
    taps : (3, raw_column) float32
        As `arrangement_taps` makes them.
    start, stop : int
        Range of indices into the run.

    Returns
    -------
    counts, quality : (line, raw_column) uint16
        Counts rounded to the nearest. A pixel has the flags of all that it is made of; it is 0 without data where one
        of them is lost or lies beyond the strip.
    """
    shape = (stop - start, counts.shape[1])
    out, flags = np.empty(shape, np.uint16), np.empty(shape, np.uint16)
    for i in range(start, stop):
        for x in range(counts.shape[1]):
            total = np.float32(0)
            bits = quality[i, x] & np.uint16(DETECTOR_MASK)
            for k in range(3):
                weight, line = taps[k, x], i + k - 1
                if weight == 0:
                    continue
                if 0 <= line < counts.shape[0]:
                    total += weight * np.float32(counts[line, x])
                    bits |= quality[line, x] & np.uint16(_CARRIED)
                else:
                    bits |= np.uint16(NODATA)
            total = min(max(total, np.float32(0)), np.float32(SATURATION))
            out[i - start, x] = np.uint16(0) if bits & np.uint16(NODATA) else np.uint16(total + np.float32(0.5))
            flags[i - start, x] = bits
    return out, flags
