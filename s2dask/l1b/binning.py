"""Binning: the 60 m bands are read at 20 m across track, and weighted three to one on the ground."""

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel


@kernel
def bin_columns(lines: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lines binned three to one across track; the filter is centred on the middle one of each three pixels.

    Parameters
    ----------
    lines : (line, useful_column) float32 [LSB]
    weights : (tap) float32
        An odd number of taps of sum 1. Beyond an edge the outermost pixel is repeated.

    Returns
    -------
    (line, useful_column // 3) float32 [LSB]

    Notes
    -----
    1276 useful pixels give 425 binned ones: the last useful pixel has no place (GIP_VIEDIR, ``NB_OF_PIXELS`` 425).
    """
    out = np.zeros((lines.shape[0], lines.shape[1] // 3), np.float32)
    last = lines.shape[1] - 1
    for i in range(out.shape[0]):
        values, row = lines[i], out[i]
        for k in range(weights.size):
            weight, first = weights[k], 1 + k - weights.size // 2
            for x in range(row.size):
                row[x] += weight * values[min(max(3 * x + first, 0), last)]
    return out


@kernel
def bin_quality(quality: NDArray[np.uint16], weights: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the bits of every pixel that enters a binned one.

    Parameters
    ----------
    quality : (line, useful_column) uint16
    weights : (tap) float32
        As in `bin_columns`.

    Returns
    -------
    (line, useful_column // 3) uint16
    """
    out = np.zeros((quality.shape[0], quality.shape[1] // 3), np.uint16)
    last = quality.shape[1] - 1
    for i in range(out.shape[0]):
        values, row = quality[i], out[i]
        for k in range(weights.size):
            first = 1 + k - weights.size // 2
            if weights[k] != 0:
                for x in range(row.size):
                    row[x] |= values[min(max(3 * x + first, 0), last)]
    return out
