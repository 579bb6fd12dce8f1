"""The 3-D inverse grid: smooth viewing geometry kept apart from the terrain.

Line and column of the ground nodes of a map grid at three heights, 240 m apart. Between the nodes they are
interpolated with each pixel's own terrain height: 0.02 m against metres for a plain grid of the same size.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band
from s2dask.kernels import kernel

STEP: Final = 240.0
"""Node spacing [m]: fine enough to follow the 10 Hz attitude."""


@dataclass(frozen=True, eq=False)
class InverseGrid:
    """Line and column of one detector and band over a map rectangle.

    Attributes
    ----------
    x0, y0 : float
        Upper left node [m].
    heights : (3) float64
        Ellipsoidal heights of the layers [m].
    line, column : (height, y, x) float64
        0-based; NaN where the detector does not look.
    """

    x0: float
    y0: float
    heights: NDArray[np.float64]
    line: NDArray[np.float64]
    column: NDArray[np.float64]

    @property
    def empty(self) -> bool:
        """Whether the detector sees nothing of the rectangle."""
        return not np.isfinite(self.line).any()

    def locate(
        self, x: NDArray[np.float64], y: NDArray[np.float64], height: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return line and column (y, x) of the pixels of map columns x and rows y [m] at their heights (y, x) [m]."""
        line, column = np.empty(height.shape), np.empty(height.shape)
        _interpolate(
            (x - self.x0) / STEP, (self.y0 - y) / STEP, height, self.heights, self.line, self.column, line, column
        )
        return line, column


@kernel
def _interpolate(x, y, height, layers, line, column, out_line, out_column):  # type: ignore[no-untyped-def]
    """Bilinear between nodes, quadratic between the three layers."""
    rows, columns = line.shape[1], line.shape[2]
    h0, h1, h2 = layers[0], layers[1], layers[2]
    d0, d1, d2 = 1.0 / ((h0 - h1) * (h0 - h2)), 1.0 / ((h1 - h0) * (h1 - h2)), 1.0 / ((h2 - h0) * (h2 - h1))
    for r in range(y.size):
        i = min(max(int(np.floor(y[r])), 0), rows - 2)
        v = y[r] - i
        for c in range(x.size):
            j = min(max(int(np.floor(x[c])), 0), columns - 2)
            u = x[c] - j
            h = float(height[r, c])
            w0, w1, w2 = (h - h1) * (h - h2) * d0, (h - h0) * (h - h2) * d1, (h - h0) * (h - h1) * d2
            a, b, e, f = (1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v
            out_line[r, c] = (
                w0 * (a * line[0, i, j] + b * line[0, i, j + 1] + e * line[0, i + 1, j] + f * line[0, i + 1, j + 1])
                + w1 * (a * line[1, i, j] + b * line[1, i, j + 1] + e * line[1, i + 1, j] + f * line[1, i + 1, j + 1])
                + w2 * (a * line[2, i, j] + b * line[2, i, j + 1] + e * line[2, i + 1, j] + f * line[2, i + 1, j + 1])
            )
            k, m = i + 1, j + 1
            out_column[r, c] = (
                w0 * (a * column[0, i, j] + b * column[0, i, m] + e * column[0, k, j] + f * column[0, k, m])
                + w1 * (a * column[1, i, j] + b * column[1, i, m] + e * column[1, k, j] + f * column[1, k, m])
                + w2 * (a * column[2, i, j] + b * column[2, i, m] + e * column[2, k, j] + f * column[2, k, m])
            )


def layers(low: float, high: float) -> NDArray[np.float64]:
    """Return three heights that hold a range, at least 100 m apart."""
    middle, half = 0.5 * (low + high), max(0.5 * (high - low) + 10.0, 100.0)
    return np.array([middle - half, middle, middle + half])


def build(
    model: ViewingModel,
    name: str,
    detector: int,
    crs: str,
    bounds: tuple[float, float, float, float],
    heights: NDArray[np.float64],
) -> InverseGrid:
    """Return the inverse grid of a detector and band over (left, bottom, right, top) [m] of a CRS."""
    left, bottom, right, top = bounds
    x = left + STEP * np.arange(int(np.ceil((right - left) / STEP)) + 1)
    y = top - STEP * np.arange(int(np.ceil((top - bottom) / STEP)) + 1)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    # nodes beside the detector are needed to interpolate up to its very edge
    margin = 3.0 * STEP / band(name).resolution
    layers_found = [model.inverse(name, detector, lon, lat, h, margin) for h in heights]
    return InverseGrid(
        left, top, heights, np.stack([f[0] for f in layers_found]), np.stack([f[1] for f in layers_found])
    )
