"""Top-of-atmosphere reflectance: from calibrated counts, and its coding."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import NODATA, SATURATED
from s2dask.kernels import kernel
from s2dask.l1c.location import Pixels, spread

QUANTIFICATION: Final = 10_000
RADIO_ADD_OFFSET: Final = -1000
COUNTS_OFFSET: Final = 100.0
"""What L1B adds to its counts (minus its RADIO_ADD_OFFSET) [DN]."""
SATURATED_VALUE: Final = 65535
LARGEST_VALUE: Final = 65534


@kernel
def _inverse_cosine(zenith, ratio, row, column, out):  # type: ignore[no-untyped-def]
    """Write 1 / cos at places `ratio` of a node apart, bilinear in the angle."""
    rows, columns = zenith.shape
    for r in range(out.shape[0]):
        y = (row + r) * ratio
        i = min(int(y), rows - 2)
        v = y - i
        for x in range(out.shape[1]):
            p = (column + x) * ratio
            j = min(int(p), columns - 2)
            u = p - j
            angle = (1 - v) * ((1 - u) * zenith[i, j] + u * zenith[i, j + 1]) + v * (
                (1 - u) * zenith[i + 1, j] + u * zenith[i + 1, j + 1]
            )
            out[r, x] = 1.0 / math.cos(math.radians(angle))


def inverse_cosine(zenith: NDArray[np.float64], step: float, pixels: Pixels) -> NDArray[np.float32]:
    """Return one over the cosine of the solar zenith angle (y, x) of a block, bilinear between the nodes of the tile.

    Parameters
    ----------
    zenith : (y, x) float64 [degree]
        Nodes every `step` from the tile's corner.
    step : float
        [unit of the map].
    pixels : Pixels

    Notes
    -----
    The cosine is taken every 240 m only and is bilinear between: 1e-8 away from one for each pixel.
    """
    row, column, rows, columns = pixels.nodes()
    coarse = np.empty((1, rows, columns))
    _inverse_cosine(np.ascontiguousarray(zenith), pixels.node / step, row, column, coarse[0])
    out = np.empty((pixels.rows, pixels.columns), np.float32)
    k = pixels.per_node
    spread(coarse, k, pixels.row - row * k, pixels.column - column * k, out)
    return out


def reflectance_scale(gain: float, solar_irradiance: float, conversion: float) -> float:
    """Return the reflectance of one count under a sun at the zenith.

    Parameters
    ----------
    gain : float
        A [DN per W m-2 sr-1 um-1].
    solar_irradiance : float
        E0 at 1 au [W m-2 um-1].
    conversion : float
        U, one over the squared distance of the sun [au-2].

    Notes
    -----
    ``rho = pi L / (E0 U cos(sza))`` with ``L = (DN - 100) / A``; EOPF L1 ATBD and PSD 14.
    """
    return math.pi / (gain * solar_irradiance * conversion)


@kernel
def encode(counts, flags, footprint, scale, inverse, out):  # type: ignore[no-untyped-def]
    """Write coded reflectance, and complete the flags where no detector looks.

    Parameters
    ----------
    counts : (y, x) float32 [DN]
        L1B counts, offset included.
    flags : (y, x) uint8
        MSK_QUALIT bits; changed in place: NODATA alone where the footprint is 0.
    footprint : (y, x) uint8
    scale : float
        See `reflectance_scale`.
    inverse : (y, x) float32
        One over the cosine of the solar zenith angle.
    out : (y, x) uint16
        ``round(10000 rho) + 1000`` within 1 … 65534 (half up); 0 no data, 65535 saturated.
    """
    factor = np.float32(scale * QUANTIFICATION)
    offset, half = np.float32(COUNTS_OFFSET), np.float32(0.5 - RADIO_ADD_OFFSET)
    for r in range(out.shape[0]):
        for x in range(out.shape[1]):
            if footprint[r, x] == 0:
                flags[r, x] = NODATA
            bits = flags[r, x]
            value = np.floor((counts[r, x] - offset) * factor * inverse[r, x] + half)
            coded = np.uint16(min(max(value, np.float32(1.0)), np.float32(LARGEST_VALUE)))
            coded = np.uint16(SATURATED_VALUE) if bits & SATURATED else coded
            out[r, x] = np.uint16(0) if bits & NODATA else coded


@kernel
def _decode(values, out):  # type: ignore[no-untyped-def]
    offset, one = np.float32(RADIO_ADD_OFFSET), np.float32(QUANTIFICATION)
    for q in range(values.size):
        rho = (np.float32(values[q]) + offset) / one
        out[q] = rho if values[q] != 0 else np.float32(np.nan)


def decode(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the reflectance of coded values; NaN for no data, 6.4535 for saturated pixels."""
    rho = np.empty(values.shape, np.float32)
    _decode(np.ascontiguousarray(values).reshape(-1), rho.reshape(-1))
    return rho


@kernel
def _moments(values):  # type: ignore[no-untyped-def]
    n, saturated = 0, 0
    total, square, low, high = np.int64(0), np.int64(0), np.int64(65536), np.int64(-1)
    for r in range(values.shape[0]):
        for x in range(values.shape[1]):
            v = np.int64(values[r, x])
            if v == 0:
                continue
            if v == SATURATED_VALUE:
                saturated += 1
                continue
            n += 1
            total += v
            square += v * v
            low, high = min(low, v), max(high, v)
    return n, saturated, total, square, low, high


def reflectance_record(values: NDArray[np.uint16], prefix: str) -> dict[str, float]:
    """Return the record of coded reflectances: pixels, valid, saturated, nodata, sum, square_sum, extremes.

    Sums are made of whole numbers: the same for any cut of the tile.
    """
    n, saturated, total, square, low, high = (int(v) for v in _moments(values))
    o, q = RADIO_ADD_OFFSET, QUANTIFICATION
    record = {
        f"{prefix}.pixels": float(values.size),
        f"{prefix}.valid": float(n),
        f"{prefix}.saturated": float(saturated),
        f"{prefix}.nodata": float(values.size - n - saturated),
        f"{prefix}.sum": (total + o * n) / q,
        f"{prefix}.square_sum": (square + 2 * o * total + o * o * n) / q**2,
    }
    if n:
        record[f"{prefix}.value_min"], record[f"{prefix}.value_max"] = (low + o) / q, (high + o) / q
    return record
