"""Cells that the relief keeps the sun from: slopes that turn away from it, and what mountains throw their shadow on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

TOLERANCE: Final = 10.0
"""How far the ground has to rise above the line to the sun [m]: elevation models are no better than a few metres."""


@kernel
def _shade(elevation, east, north, cell, highest, tolerance, out):  # type: ignore[no-untyped-def]
    rows, columns = elevation.shape
    for i in range(rows):
        for j in range(columns):
            tangent = np.hypot(east[i, j], north[i, j])
            if tangent < 1e-3:
                continue
            down, right, rise = -north[i, j] / tangent, east[i, j] / tangent, cell / tangent
            y, x, line = float(i), float(j), elevation[i, j] + tolerance
            while line < highest:
                y, x, line = y + down, x + right, line + rise
                if not (-0.5 <= y <= rows - 0.5 and -0.5 <= x <= columns - 0.5):
                    break
                v, u = min(max(y, 0.0), rows - 1.0), min(max(x, 0.0), columns - 1.0)
                a, b = int(v), int(u)
                v, u, a1, b1 = v - a, u - b, min(a + 1, rows - 1), min(b + 1, columns - 1)
                upper = elevation[a, b] * (1.0 - u) + elevation[a, b1] * u
                lower = elevation[a1, b] * (1.0 - u) + elevation[a1, b1] * u
                if upper * (1.0 - v) + lower * v > line:
                    out[i, j] = True
                    break


def shaded_cells(
    elevation: NDArray[np.floating], sun: tuple[NDArray[np.float64], NDArray[np.float64]], cell: float
) -> NDArray[np.bool_]:
    """Return the cells of a tile that the sun does not reach.

    Parameters
    ----------
    elevation : (row, column) float [m]
        Rows go south.
    sun : (east, north), each (row, column) float64 [1]
        Components of the direction to the sun over its vertical one.
    cell : float [m]

    Returns
    -------
    (row, column) bool

    Notes
    -----
    The line from each cell to the sun is followed, a cell at a time, until it is above all ground of the tile. What
    lies outside the tile shades nothing.
    """
    out = np.zeros(elevation.shape, np.bool_)
    ground = np.ascontiguousarray(elevation, np.float64)
    _shade(ground, sun[0], sun[1], cell, float(ground.max(initial=-np.inf)), TOLERANCE, out)
    return out
