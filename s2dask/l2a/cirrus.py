"""Thin cirrus: what B10 sees of it, and how much of that is in the other bands (Richter et al., 2011).

Over the darkest ground of a tile a band grows with B10 by the light that cirrus scatters into both. How much is read
off the lower edge of the scatter of the two over the cells of the tile: of B02 for visible and near infrared, where
ice scatters alike, and of B11 and B12 for themselves.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

STEP: Final = 0.002
"""Of the reflectance of B10 in the scatter [1]."""
STEPS: Final = 20
"""Up to 0.04: thicker cirrus cannot be looked through [1]."""
LEVEL: Final = 0.001
"""Of the reflectance of the other band in the scatter [1]."""
LEVELS: Final = 400
FEWEST: Final = 100
"""Cells that a step needs to have a lower edge."""
EDGE: Final = 0.05
"""Share of the cells of a step below its lower edge [1]."""
DRIEST: Final = 0.25
"""Water vapour below which B10 sees the ground: nothing is taken off [cm] (Sen2Cor's WV_Thres_Cirrus)."""
SCATTER_BANDS: Final = ("B02", "B11", "B12")


def scatter(b10: ArrayLike, other: ArrayLike) -> NDArray[np.int64]:
    """Return how many cells have which reflectance in B10 and another band: (STEPS, LEVELS) int64.

    Parameters
    ----------
    b10, other : (...) float [1]
        Means over cells; NaN, infinite and what lies outside the scatter is left out.
    """
    x, y = (np.asarray(v, np.float64).ravel() for v in (b10, other))
    with np.errstate(invalid="ignore"):
        known = (x >= 0) & (x < STEP * STEPS) & (y >= 0) & (y < LEVEL * LEVELS)
    cell = (x[known] / STEP).astype(np.int64) * LEVELS + (y[known] / LEVEL).astype(np.int64)
    return np.bincount(cell, minlength=STEPS * LEVELS).reshape(STEPS, LEVELS)


def growth(counts: NDArray[np.int64]) -> float:
    """Return by how much a band grows with B10 over dark ground [1]; 0 where the tile does not show it.

    Parameters
    ----------
    counts : (STEPS, LEVELS) int64
        See `scatter`; of all blocks of a tile together.
    """
    cells = counts.sum(axis=1)
    told = np.flatnonzero(cells >= FEWEST)
    if told.size < 3:
        return 0.0
    edge = LEVEL * ((counts.cumsum(axis=1) >= EDGE * cells[:, None]).argmax(axis=1)[told] + 0.5)
    x = STEP * (told + 0.5)
    slope = float(np.polyfit(x, edge, 1)[0])
    return min(max(slope, 0.0), 3.0)


def cirrus_reflectance(b10: ArrayLike, water_vapour: ArrayLike) -> NDArray[np.float32]:
    """Return the reflectance of B10 that is cirrus to be taken off.

    Parameters
    ----------
    b10 : (...) float [1]
        Means over cells, NaN without data.
    water_vapour : (...) float [cm]

    Returns
    -------
    (...) float32 [1]
        0 where there is none, where it is too thick, and where the air is too dry to tell.
    """
    seen = np.asarray(b10, np.float32)
    with np.errstate(invalid="ignore"):
        thin = (seen >= STEP) & (seen < STEP * STEPS) & (np.asarray(water_vapour) >= DRIEST)
    return np.where(thin, seen, 0).astype(np.float32)
