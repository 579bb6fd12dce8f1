"""Water vapour of each cell from the depth of its absorption: B09 against B8A (APDA).

Schläpfer et al. (1998): the radiance of the atmosphere itself is taken off both bands before their ratio is formed, and
because it depends on the amount sought, this is repeated.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.kernels import kernel

BRIGHT: Final = 0.08
"""Surface reflectance of B8A below which the ratio says too little [1]."""
LARGEST: Final = 10.0
"""[cm]"""
ITERATIONS: Final = 2
"""The vapour takes 0.1 % off B8A: from any start the second time is within 0.001 cm of the tenth."""
UNKNOWN: Final = -1.0
"""Water vapour of a cell whose bands say nothing [cm]."""
SMOOTHED: Final = 100.0
"""Width at half height of the bell that the water vapour is smoothed with [m] [1]."""
RATIO_ERROR: Final = 0.02
"""Of B09 against B8A, the calibration of one band against another [1]."""
SURFACE_ERROR: Final = 0.02
"""Of taking the surface to reflect alike in both, 80 nm apart: own estimate, soils rise by up to twice as much [1]."""


@kernel
def _one(b8a, b09, near, deep, near_law, deep_law, start):  # type: ignore[no-untyped-def]
    """Return the water vapour of a cell, negative where its bands say nothing."""
    amount, below = start, b09 / np.exp(deep[3])
    for _ in range(ITERATIONS):
        gas = np.exp(near[3] + near_law[0] * (near[4] * amount) ** near_law[1])
        level = b8a / gas - near[0]
        rho = level / (near[1] + near[2] * level)
        if not (BRIGHT <= rho <= 1.5):
            return UNKNOWN
        half = np.exp(deep_law[0] * (0.5 * deep[4] * amount) ** deep_law[1])
        path = deep[0] * (deep[8] + (1.0 - deep[8]) * half)
        ground = deep[1] * rho / (1.0 - deep[2] * rho)
        depth = np.log(min(max((below - path) / ground, 1e-9), 1.0))
        amount = min((depth / deep_law[0]) ** (1.0 / deep_law[1]) / deep[4], LARGEST)
    return amount


@kernel
def retrieve(b8a, b09, near, deep, near_law, deep_law, start, hidden, out):  # type: ignore[no-untyped-def]
    """Retrieve the water vapour above cells.

    Parameters
    ----------
    b8a, b09 : (row, column) float32 [1]
        Top-of-atmosphere reflectance.
    near, deep : (row, column, 9) float64
        Coefficients of B8A and B09.
    near_law, deep_law : (float, float)
        ``a`` and ``n`` of the absorption by water vapour in B8A and B09.
    start : (row, column) float64 [cm]
        Where the iteration starts.
    hidden : (row, column) bool
        Cells under clouds.
    out : (row, column) float64 [cm]
        Filled; `UNKNOWN` over dark, hidden, saturated or missing cells.

    Notes
    -----
    The surface is taken to reflect as much in B09 as in B8A. Of the path reflectance water vapour dims that of the
    aerosol by half its column and that of the molecules not at all, as in 6S.
    """
    rows, columns = out.shape
    for i in range(rows):
        for j in range(columns):
            out[i, j] = UNKNOWN
            if np.isfinite(b8a[i, j]) and np.isfinite(b09[i, j]) and not hidden[i, j]:
                out[i, j] = _one(b8a[i, j], b09[i, j], near[i, j], deep[i, j], near_law, deep_law, start[i, j])


@kernel
def smooth(found, scale, weight, expected, out):  # type: ignore[no-untyped-def]
    """Smooth the water vapour of cells, and put the expected one where none was found.

    Parameters
    ----------
    found : (row, column) float64 [cm]
        Negative where unknown.
    scale : (row, column) float64 [1]
        Share of the column above sea level that is above a cell: smoothing follows the ground.
    weight : float [1]
        Of the next cell to a side; that of a corner is its square.
    expected : (row, column) float64 [cm]
    out : (row, column) float64 [cm]
        Filled; a cell counts itself and the eight around it that are known.
    """
    rows, columns = found.shape
    weights = (1.0, weight, weight * weight)
    for i in range(rows):
        for j in range(columns):
            out[i, j] = expected[i, j]
            if found[i, j] < 0.0:
                continue
            total, share = 0.0, 0.0
            for k in range(max(i - 1, 0), min(i + 2, rows)):
                for m in range(max(j - 1, 0), min(j + 2, columns)):
                    if found[k, m] >= 0.0:
                        w = weights[abs(k - i) + abs(m - j)]
                        total += w * found[k, m] / scale[k, m]
                        share += w
            out[i, j] = total / share * scale[i, j]


def side_weight(cell: float) -> float:
    """Return the weight of the next cell in a bell `SMOOTHED` wide; `cell` is their distance [m]."""
    return float(0.5 ** ((2.0 * cell / SMOOTHED) ** 2))


def uncertainty(
    amount: ArrayLike, mass: ArrayLike, deep_law: tuple[float, float], gas_error: float
) -> NDArray[np.float64]:
    """Return the standard uncertainty of retrieved water vapour [cm].

    Parameters
    ----------
    amount : (...) float [cm]
    mass : (...) float [1]
        Air mass down and up.
    deep_law : (float, float)
        ``a`` and ``n`` of the absorption in B09.
    gas_error : float [1]
        Of the logarithm of its transmittance, relative, as the table of gases states it.

    Notes
    -----
    With ``T = exp(a (m W)^n)``, ``dW / W = (dT / T) / (n |ln T|)``.
    """
    a, n = deep_law
    depth = np.abs(a) * (np.asarray(mass) * np.maximum(np.asarray(amount), 0.01)) ** n
    relative = np.sqrt(RATIO_ERROR**2 + SURFACE_ERROR**2 + (gas_error * depth) ** 2)
    return np.asarray(np.maximum(np.asarray(amount), 0.01) * relative / (n * depth))


def surface_uncertainty(amount: ArrayLike, mass: ArrayLike, deep_law: tuple[float, float]) -> NDArray[np.float64]:
    """Return the part of it [cm] that the surface has, which alone comes back in the reflectance of B09.

    The vapour that is wrong by the table or by the calibration of B09 takes off as much as these add: B09 is corrected
    by what it told itself.
    """
    a, n = deep_law
    depth = np.abs(a) * (np.asarray(mass) * np.maximum(np.asarray(amount), 0.01)) ** n
    return np.asarray(np.maximum(np.asarray(amount), 0.01) * SURFACE_ERROR / (n * depth))
