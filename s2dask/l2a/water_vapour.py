"""Water vapour of each cell from the depth of its absorption: B09 against B8A (APDA).

Schläpfer et al. (1998): the radiance of the atmosphere itself is taken off both bands before their ratio is formed, and
because it depends on the amount sought, this is repeated.
"""

from typing import Final

import numpy as np

from s2dask.kernels import kernel

BRIGHT: Final = 0.08
"""Surface reflectance of B8A below which the ratio says too little [1]."""
LARGEST: Final = 10.0
"""[cm]"""
ITERATIONS: Final = 4


@kernel
def _one(b8a, b09, near, deep, near_law, deep_law, start):  # type: ignore[no-untyped-def]
    """Return the water vapour of a cell, negative where its bands say nothing."""
    amount = start
    for _ in range(ITERATIONS):
        gas = np.exp(near[3] + near_law[0] * (near[4] * amount) ** near_law[1])
        level = b8a / gas - near[0]
        rho = level / (near[1] + near[2] * level)
        if not (BRIGHT <= rho <= 1.5):
            return -1.0
        continuum = np.exp(deep[3]) * (deep[0] + deep[1] * rho / (1.0 - deep[2] * rho))
        transmittance = min(max(b09 / continuum, 1e-6), 1.0)
        amount = min((np.log(transmittance) / deep_law[0]) ** (1.0 / deep_law[1]) / deep[4], LARGEST)
    return amount


@kernel
def retrieve(b8a, b09, near, deep, near_law, deep_law, expected, out):  # type: ignore[no-untyped-def]
    """Retrieve the water vapour above cells.

    Parameters
    ----------
    b8a, b09 : (row, column) float32 [1]
        Top-of-atmosphere reflectance.
    near, deep : (row, column, 5) float64
        Coefficients of B8A and B09.
    near_law, deep_law : (float, float)
        ``a`` and ``n`` of the absorption by water vapour in B8A and B09.
    expected : (row, column) float64 [cm]
        What stands in over dark, saturated or missing cells, and where the iteration starts.
    out : (row, column) float64 [cm]
        Filled.

    Notes
    -----
    The surface is taken to reflect as much in B09 as in B8A.
    """
    rows, columns = out.shape
    for i in range(rows):
        for j in range(columns):
            out[i, j] = expected[i, j]
            if np.isfinite(b8a[i, j]) and np.isfinite(b09[i, j]):
                found = _one(b8a[i, j], b09[i, j], near[i, j], deep[i, j], near_law, deep_law, expected[i, j])
                if found >= 0.0:
                    out[i, j] = found
