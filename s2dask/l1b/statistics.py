"""Statistics of a corrected granule: a few numbers per band, for quality control."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import DEFECTIVE, MSI_LOST, NODATA, PARTIALLY_CORRECTED, SATURATED
from s2dask.kernels import kernel

_COUNTED: Final = NODATA | MSI_LOST | DEFECTIVE | PARTIALLY_CORRECTED | SATURATED


@kernel
def _tally(counts: NDArray[np.uint16], quality: NDArray[np.uint16]) -> NDArray[np.int64]:
    # Everything is an integer sum, so the order of the pixels cannot change the result. Within a line 32 bits hold it.
    out = np.zeros(9, np.int64)
    out[2], out[3] = 65535, 0
    for i in range(counts.shape[0]):
        row, flags = counts[i], quality[i]
        any_bit, full, total, low, high = np.uint16(0), np.uint32(0), np.uint32(0), np.uint16(65535), np.uint16(0)
        nodata, lost, defective, partly = np.uint32(0), np.uint32(0), np.uint32(0), np.uint32(0)
        for x in range(row.size):
            any_bit |= flags[x]
        if any_bit & _COUNTED == 0:
            for x in range(row.size):
                total += np.uint32(row[x])
                low, high = min(low, row[x]), max(high, row[x])
            out[0] += row.size
        else:
            for x in range(row.size):
                q, v = flags[x], row[x]
                none = q & NODATA != 0
                nodata += np.uint32(none)
                lost += np.uint32(q & MSI_LOST != 0)
                defective += np.uint32(q & DEFECTIVE != 0)
                partly += np.uint32(q & PARTIALLY_CORRECTED != 0)
                full += np.uint32(not none and q & SATURATED != 0)
                total += np.uint32(0) if none else np.uint32(v)
                low = min(low, np.uint16(65535) if none else v)
                high = max(high, np.uint16(0) if none else v)
            out[0] += row.size - np.int64(nodata)
        out[1] += np.int64(total)
        out[2], out[3] = min(out[2], np.int64(low)), max(out[3], np.int64(high))
        out[4] += np.int64(full)
        out[5] += np.int64(nodata)
        out[6] += np.int64(lost)
        out[7] += np.int64(defective)
        out[8] += np.int64(partly)
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
