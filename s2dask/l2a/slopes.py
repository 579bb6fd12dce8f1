"""How much more or less light a slope receives than level ground."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import inline_kernel, kernel

STEEP: Final = 6.0
"""Slope from which on a cell counts as steep [degree] (Sen2Cor: 6 to 8)."""
STEEP_SHARE: Final = 0.05
"""Share of steep cells from which on a tile is corrected for its slopes [1] (Sen2Cor)."""
MARGIN: Final = 2
"""Cells more on every side that slopes need."""
LEAST_LIGHT: Final = 0.2
"""Of level ground's: a slope is taken to receive no less [1] (ATCOR's lower bound of its terrain factor is 0.2)."""

Float = NDArray[np.float32]


class Relief(NamedTuple):
    """The lie of the land.

    Attributes
    ----------
    cosine : (row, column) float32 [1]
        Cosine of the angle between sun and slope over that between sun and vertical; 0 where the slope turns away.
    sky : (row, column) float32 [1]
        Share of the sky that a slope sees.
    """

    cosine: Float
    sky: Float


@inline_kernel
def _rise(z, i, j, per_rise):  # type: ignore[no-untyped-def]
    """Return the rise towards east and north of an inner cell."""
    y, x = i + MARGIN, j + MARGIN
    east = 2 * (np.float64(z[y, x + 1]) - np.float64(z[y, x - 1])) + np.float64(z[y, x + 2]) - np.float64(z[y, x - 2])
    north = 2 * (np.float64(z[y - 1, x]) - np.float64(z[y + 1, x])) + np.float64(z[y - 2, x]) - np.float64(z[y + 2, x])
    return east / per_rise, north / per_rise


@kernel
def gradients(elevation, cell):  # type: ignore[no-untyped-def]
    """Return the rise towards east and north of the inner cells.

    Parameters
    ----------
    elevation : (row + 2 MARGIN, column + 2 MARGIN) float [m]
        With more cells on every side; rows go south.
    cell : float
        Edge of a cell [m].

    Returns
    -------
    east, north : (row, column) float64 [1]
        The mean of the differences over two and over four cells: posts of an elevation model are farther apart than the
        cells, and the steps of what is bilinear between them would show.
    """
    shape = elevation.shape[0] - 2 * MARGIN, elevation.shape[1] - 2 * MARGIN
    east, north = np.empty(shape), np.empty(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            east[i, j], north[i, j] = _rise(elevation, i, j, 8 * cell)
    return east, north


@kernel
def _face(elevation, cell, sun_east, sun_north, cosine, sky):  # type: ignore[no-untyped-def]
    for i in range(cosine.shape[0]):
        for j in range(cosine.shape[1]):
            east, north = _rise(elevation, i, j, 8 * cell)
            up = 1 / np.sqrt(1 + east * east + north * north)
            cosine[i, j] = max((1 - east * sun_east[i, j] - north * sun_north[i, j]) * up, 0.0)
            sky[i, j] = (1 + up) / 2


def steep_cells(elevation: NDArray[np.floating], cell: float) -> int:
    """Return how many of the inner cells are steeper than `STEEP`; see `gradients` for the parameters."""
    east, north = gradients(elevation, cell)
    return int(np.count_nonzero(np.hypot(east, north) > np.tan(np.radians(STEEP))))


def relief(
    elevation: NDArray[np.floating], cell: float, sun: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> Relief:
    """Return how the slopes of the inner cells lie towards sun and sky.

    Parameters
    ----------
    elevation : (row + 2 MARGIN, column + 2 MARGIN) float [m]
    cell : float [m]
    sun : (east, north), each (row, column) float64
        Components of the direction to the sun over its vertical one.

    Notes
    -----
    With the rises p, q towards east and north, ``cos(beta) / cos(theta) = (1 - p s_e - q s_n) / sqrt(1 + p^2 + q^2)``;
    the share of the sky is ``cos^2(slope / 2)``.
    """
    shape = sun[0].shape
    out = Relief(np.empty(shape, np.float32), np.empty(shape, np.float32))
    _face(elevation, cell, *sun, *out)
    return out
