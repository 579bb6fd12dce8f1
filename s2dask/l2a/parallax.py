"""The cloud displacement index: what lies high above the ground is seen by B07 and B08 at different places.

The detectors of B8A look nearly where those of B07 look, those of B08 elsewhere. Over high clouds the ratio of B08 to
B8A is therefore rougher than that of B07 to B8A; over the ground, however bright, it is not (Frantz et al. 2018,
Improvement of the Fmask algorithm for Sentinel-2 images, Remote Sensing of Environment 215).
"""

from typing import Final

import numpy as np

from s2dask.kernels import kernel

RADIUS: Final = 3
"""Half the square that roughness is taken over, less its middle [pixels of 20 m] (Frantz et al. 2018: 7 x 7)."""
PARALLAX_BANDS: Final = ("B07", "B08", "B8A")


@kernel
def _index(b07, b08, b8a, top, bottom, left, right):  # type: ignore[no-untyped-def]
    """Return the index of one pixel from the square around it."""
    n = mean7 = mean8 = rough7 = rough8 = 0.0
    for y in range(top, bottom):
        for x in range(left, right):
            near = b8a[y, x]
            if near > 0.0 and np.isfinite(b07[y, x] + b08[y, x] + near):
                # ratios are near 1, and their variances small
                r7, r8 = b07[y, x] / near - 1.0, b08[y, x] / near - 1.0
                n, mean7, mean8, rough7, rough8 = n + 1.0, mean7 + r7, mean8 + r8, rough7 + r7 * r7, rough8 + r8 * r8
    if n < 2.0:
        return np.nan
    v7, v8 = max(rough7 / n - (mean7 / n) ** 2, 0.0), max(rough8 / n - (mean8 / n) ** 2, 0.0)
    return (v7 - v8) / (v7 + v8) if v7 + v8 > 0.0 else np.nan


@kernel
def displacement_index(b07, b08, b8a, radius):  # type: ignore[no-untyped-def]
    """Return the cloud displacement index.

    Parameters
    ----------
    b07, b08, b8a : (y, x) float32 [1]
        Reflectance at one resolution.
    radius : int
        Of the square, `RADIUS` at 20 m.

    Returns
    -------
    (y, x) float32 [1]
        From -1, high clouds, to 1; NaN where there is nothing to compare.

    Notes
    -----
    ``(V7 - V8) / (V7 + V8)`` with the variances of B07 / B8A and B08 / B8A in a square.
    """
    rows, columns = b8a.shape
    out = np.full((rows, columns), np.float32(np.nan))
    for y in range(rows):
        top, bottom = max(y - radius, 0), min(y + radius + 1, rows)
        for x in range(columns):
            if np.isfinite(b8a[y, x]):
                out[y, x] = _index(b07, b08, b8a, top, bottom, max(x - radius, 0), min(x + radius + 1, columns))
    return out
