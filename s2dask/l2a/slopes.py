"""How much more or less light a slope receives than level ground."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def gradients(elevation: NDArray[np.floating], cell: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
    z = np.asarray(elevation, np.float64)
    along, across = z[2:-2], z[:, 2:-2]
    east = 2 * (along[:, 3:-1] - along[:, 1:-3]) + along[:, 4:] - along[:, :-4]
    north = 2 * (across[1:-3] - across[3:-1]) + across[:-4] - across[4:]
    return east / (8 * cell), north / (8 * cell)


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
    east, north = gradients(elevation, cell)
    up = 1 / np.sqrt(1 + east**2 + north**2)
    cosine = np.maximum((1 - east * sun[0] - north * sun[1]) * up, 0.0)
    return Relief(cosine.astype(np.float32), ((1 + up) / 2).astype(np.float32))
