"""Coding: from equalised counts to the uint16 of the product, and from there to radiance."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

NO_DATA: Final = 0
SMALLEST, LARGEST = 1, 65534
"""Range of a valid count."""


@kernel
def code(lines: NDArray[np.float32], shift: int, out: NDArray[np.uint16]) -> None:
    """Write the coded lines; NaN has no data.

    Parameters
    ----------
    lines : (line, column) float32 [LSB]
    shift : int
        Added before coding: minus RADIO_ADD_OFFSET [LSB].
    out : (line, column) uint16 [DN]
        Its first lines are filled.

    Notes
    -----
    ``DN = floor(Z + shift + 1/2)``, kept in 1..65534.
    """
    up, low, high = np.float32(shift + 0.5), np.float32(SMALLEST), np.float32(LARGEST)
    for i in range(lines.shape[0]):
        values, row = lines[i], out[i]
        for x in range(row.size):
            v = values[x] + up
            kept = np.uint16(np.int32(min(max(v, low), high)))
            row[x] = np.uint16(NO_DATA) if np.isnan(v) else kept


@kernel
def flag_end_of_range(lines: NDArray[np.float32], level: float, flag: int, quality: NDArray[np.uint16]) -> None:
    """Flag in place the pixels whose corrected count reaches the end of the range.

    Parameters
    ----------
    lines : (line, column) float32 [LSB]
    level : float
        Smallest count that is flagged [LSB].
    flag : int
        Bit of such a pixel.
    quality : (line, column) uint16
    """
    bit, limit = np.uint16(flag), np.float32(level)
    for i in range(lines.shape[0]):
        values, row = lines[i], quality[i]
        for x in range(row.size):
            row[x] |= bit if values[x] >= limit else np.uint16(0)


def radiance(counts: NDArray[np.uint16], gain: float, shift: int) -> NDArray[np.float32]:
    """Return the top-of-atmosphere radiance; NaN where there is no data.

    Parameters
    ----------
    counts : (line, column) uint16 [DN]
    gain : float
        Absolute calibration coefficient A [LSB per W m-2 sr-1 um-1] (GIP_R2ABCA, PHYSICAL_GAINS).
    shift : int
        Minus RADIO_ADD_OFFSET [LSB].

    Returns
    -------
    (line, column) float32 [W m-2 sr-1 um-1]

    Notes
    -----
    ``L = (DN + RADIO_ADD_OFFSET) / A``.
    """
    values = (counts.astype(np.float32) - np.float32(shift)) / np.float32(gain)
    return np.where(counts == NO_DATA, np.float32(np.nan), values)
