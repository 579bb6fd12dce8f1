"""Statistics of a corrected granule: a few numbers per band, for quality control."""

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import DEFECTIVE, MSI_LOST, NODATA, PARTIALLY_CORRECTED, SATURATED
from s2dask.kernels import kernel


@kernel
def _tally(counts: NDArray[np.uint16], quality: NDArray[np.uint16]) -> NDArray[np.int64]:
    # Everything is an integer sum, so the order of the pixels cannot change the result.
    out = np.zeros(9, np.int64)
    out[2], out[3] = 65535, 0
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            q = quality[i, j]
            out[5] += 1 if q & NODATA else 0
            out[6] += 1 if q & MSI_LOST else 0
            out[7] += 1 if q & DEFECTIVE else 0
            out[8] += 1 if q & PARTIALLY_CORRECTED else 0
            if q & NODATA:
                continue
            v = np.int64(counts[i, j])
            out[0] += 1
            out[1] += v
            out[2] = min(out[2], v)
            out[3] = max(out[3], v)
            out[4] += 1 if q & SATURATED else 0
    return out


def band_statistics(counts: NDArray[np.uint16], quality: NDArray[np.uint16]) -> dict[str, float]:
    """Return the statistics of one band.

    Parameters
    ----------
    counts : (line, column) uint16 [DN]
    quality : (line, column) uint16

    Returns
    -------
    dict of str to number
        ``count`` of pixels with data, their ``mean``, ``min`` and ``max`` [DN] (NaN without any), and the pixels
        ``saturated``, ``nodata``, ``lost``, ``defective`` and ``partially_corrected``.
    """
    count, total, low, high, saturated, nodata, lost, defective, partly = (int(v) for v in _tally(counts, quality))
    return {
        "count": count,
        "mean": total / count if count else float("nan"),
        "min": low if count else float("nan"),
        "max": high if count else float("nan"),
        "saturated": saturated,
        "nodata": nodata,
        "lost": lost,
        "defective": defective,
        "partially_corrected": partly,
    }
