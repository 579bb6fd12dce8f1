"""The quick-look: cells of 8 x 8 pixels straight from the packets, seen where another band sees them, and their clouds.

A cell is what the lowest level of a three-level wavelet holds; of uncompressed packets it is the mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from s2dask.instrument import Band
from s2dask.kernels import kernel
from s2dask.l0.codec.interface import LOST

CELL: Final = 8
"""Pixels of a cell, along and across."""
QUICKLOOK_BANDS: Final = ("B02", "B03", "B04", "B10", "B11")
"""Bands of the quick-look (``ql_bands`` of the mission's job orders)."""
CLEAR, OPAQUE, CIRRUS, NO_DATA = 0, 1, 2, 255


@kernel
def _average12(packets, head, bad, out):  # type: ignore[no-untyped-def]
    per = out.shape[1] * 12
    for k in range(packets.shape[0]):
        for half in range(2):
            for cell in range(out.shape[1]):
                total = np.int64(0)
                for line in range(8 * half, 8 * half + 8):
                    at = head + line * per + cell * 12
                    for i in range(at, at + 12, 3):
                        a, b, c = np.int64(packets[k, i]), np.int64(packets[k, i + 1]), np.int64(packets[k, i + 2])
                        total += (a << 4 | b >> 4) + ((b & 15) << 8 | c)
                out[2 * k + half, cell] = np.float32(np.nan) if bad[k] else np.float32(total / 64.0)


def average_packed(
    packets: NDArray[np.uint8], status: NDArray[np.uint8], head: int, columns: int
) -> NDArray[np.float32]:
    """Return the cells of uncompressed packets without decoding their lines.

    Parameters
    ----------
    packets : (packet, byte) uint8
        Sixteen lines of packed 12-bit counts after `head` bytes.
    status : (packet) uint8
    head, columns : int

    Returns
    -------
    (2 packet, columns / 8) float32 [LSB]
        NaN where the packet was lost.
    """
    out = np.empty((2 * packets.shape[0], columns // CELL), np.float32)
    _average12(packets, head, status == LOST, out)
    return out


def average_lines(lines: NDArray[np.uint16], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the cells of decoded lines: for codecs that have no coarse level.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
    bad : (line) bool

    Returns
    -------
    (line / 8, raw_column / 8) float32 [LSB]
        NaN where a line is bad.
    """
    rows, columns = lines.shape[0] // CELL, lines.shape[1] // CELL
    cells: NDArray[np.float32] = lines.reshape(rows, CELL, columns, CELL).mean((1, 3), dtype=np.float32)
    cells[bad.reshape(rows, CELL).any(1)] = np.nan
    return cells


def dark_level(cells: NDArray[np.float32]) -> float:
    """Return the dark level of a granule [LSB]: the mean of the outermost cells, whose pixels see no light."""
    edge = cells[:, [0, -1]]
    return float(np.mean(edge[np.isfinite(edge)])) if np.isfinite(edge).any() else 0.0


def smoothed(cells: NDArray[np.float32], along: int, across: int) -> NDArray[np.float32]:
    """Return the means of `along` x `across` cells around the corner that starts each of them, NaN left out.

    The mean that stands at (row, column) is of rows from ``row`` to ``row + along - 1``, and so across.
    """
    shape, valid = (along, across), np.isfinite(cells)
    total, count = (
        sliding_window_view(v, shape).sum((2, 3)) for v in (np.where(valid, cells, 0.0).astype(np.float64), valid)
    )
    mean = np.full(total.shape, np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean


def sample(
    cells: NDArray[np.float32], line: NDArray[np.float64], column: NDArray[np.float64], b: Band, size: float
) -> NDArray[np.float32]:
    """Return the means of squares of a band's image, bilinear between cells.

    Parameters
    ----------
    cells : (row, column) float32
        Of a band.
    line, column : (…) float64
        Middle of each square in the L1B image of the band [pixel]; NaN gives NaN.
    b : Band
    size : float
        Edge of the square [m].

    Returns
    -------
    (…) float32
        NaN outside the image and where packets are lost.
    """
    pixel = 10.0 * b.line_factor, 10.0 if b.resolution == 10 else 20.0
    along, across = (max(1, round(size / (CELL * p))) for p in pixel)
    dark = -(-b.blind // CELL)
    lit = cells.copy()
    lit[:, :dark] = lit[:, cells.shape[1] - dark :] = np.nan
    mean = smoothed(lit, along, across)
    raw = column * b.binning + b.blind + 0.5 * (b.binning - 1)
    row = (line + 0.5) / CELL - 0.5 * along
    place = (raw + 0.5) / CELL - 0.5 * across
    inside = (line > -0.5) & (line < CELL * cells.shape[0] - 0.5) & (column > -0.5) & (column < b.columns - 0.5)
    row = np.clip(np.where(inside, row, 0.0), 0.0, mean.shape[0] - 1.0)
    # the squares beside the blind pixels are shown by the nearest that has light in it
    edge = dark - across + 1
    place = np.clip(np.where(inside, place, 0.0), max(edge, 0), mean.shape[1] - 1.0 - max(edge, 0))
    i, j = row.astype(np.int64), place.astype(np.int64)
    down, right = np.minimum(i + 1, mean.shape[0] - 1), np.minimum(j + 1, mean.shape[1] - 1)
    u, v = row - i, place - j
    upper = mean[i, j] * (1 - v) + mean[i, right] * v
    lower = mean[down, j] * (1 - v) + mean[down, right] * v
    return np.where(inside, upper * (1 - u) + lower * u, np.nan).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CloudLimits:
    """Limits of the preliminary cloud mask on top-of-atmosphere reflectance.

    Attributes
    ----------
    blue, swir : float
        Opaque cloud: B02 above `blue` and B11 above `swir`, which keeps snow out.
    cirrus : float
        Thin cirrus: B10 above it.

    Notes
    -----
    The operational limits (GIP_CLOINV) are not public. Blue: clear land and haze stay below 0.2 in B02; cirrus: the
    lower B10 limit of the Sen2Cor ATBD.
    """

    blue: float = 0.24
    swir: float = 0.2
    cirrus: float = 0.012


def cloud_mask(reflectance: Mapping[str, NDArray[np.float32]], limits: CloudLimits | None = None) -> NDArray[np.uint8]:
    """Return the preliminary cloud mask of cells: 0 clear, 1 opaque, 2 cirrus, 255 no data (step QL_CLOUD_MASK).

    Parameters
    ----------
    reflectance : mapping of str to (…) float32
        By band. The bands do not begin together: at the ends of a strip each rule uses those that see a cell, and no
        data is where neither B02 nor B10 do.
    limits : CloudLimits, optional
    """
    limits = limits or CloudLimits()
    shape = next(iter(reflectance.values())).shape
    blue, swir, cirrus = (reflectance.get(name, np.full(shape, np.nan)) for name in ("B02", "B11", "B10"))
    out = np.full(shape, CLEAR, np.uint8)
    out[cirrus > limits.cirrus] = CIRRUS
    out[(blue > limits.blue) & ~(swir <= limits.swir)] = OPAQUE
    out[~np.isfinite(blue) & ~np.isfinite(cirrus)] = NO_DATA
    return out


def cloud_percentage(mask: NDArray[np.uint8]) -> float:
    """Return the share of cells with cloud, opaque or cirrus, among those with data [%]; 0 without any."""
    known = mask != NO_DATA
    return float(100.0 * np.isin(mask[known], (OPAQUE, CIRRUS)).mean()) if known.any() else 0.0
