"""Coding: from equalised counts to the uint16 of the product, and from there to radiance."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

NO_DATA: Final = 0
SMALLEST, LARGEST = 1, 65534
"""Range of a valid count."""


@kernel
def code(lines: NDArray[np.float32], shift: int) -> NDArray[np.uint16]:
    """Return the coded lines; a line that begins with NaN has no data.

    Parameters
    ----------
    lines : (line, column) float32 [LSB]
    shift : int
        Added before coding: minus RADIO_ADD_OFFSET [LSB].

    Returns
    -------
    (line, column) uint16 [DN]

    Notes
    -----
    ``DN = floor(Z + shift + 1/2)``, kept in 1..65534.
    """
    out = np.empty(lines.shape, np.uint16)
    up = np.float32(shift + 0.5)
    for i in range(lines.shape[0]):
        values, row = lines[i], out[i]
        if np.isnan(values[0]):
            row[:] = NO_DATA
            continue
        for x in range(row.size):
            v = min(max(values[x] + up, np.float32(SMALLEST)), np.float32(LARGEST))
            row[x] = np.uint16(np.int32(v))
    return out


@kernel
def raw_saturation(lines: NDArray[np.uint16], left: int, useful: int, level: int, flag: int) -> NDArray[np.uint16]:
    """Return the bit of saturation of the useful pixels.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
    left, useful : int
        First useful raw column and their number.
    level : int
        Smallest saturated count [LSB].
    flag : int
        Bit of a saturated pixel.

    Returns
    -------
    (line, useful_column) uint16
    """
    out = np.empty((lines.shape[0], useful), np.uint16)
    limit, bit = np.uint16(level), np.uint16(flag)
    for i in range(lines.shape[0]):
        values, row = lines[i, left : left + useful], out[i]
        for x in range(useful):
            row[x] = bit if values[x] >= limit else np.uint16(0)
    return out


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
