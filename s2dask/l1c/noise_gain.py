"""What interpolation does to noise: the sum of the squared weights by which the samples enter a pixel.

The variance of a pixel is this gain times the variance of the counts around it, as long as their noise is independent.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import inline_kernel, kernel
from s2dask.l1c.resampling import FILTERS, Filter, spline_taps, split_weights

REACH: Final = 3
"""Farthest two of the four taps are apart."""


def tap_correlation(name: Filter) -> NDArray[np.float32]:
    """Return the scalar products of the samples that two taps 0, 1, 2, 3 apart are made of (lag).

    Notes
    -----
    A tap of the B-spline is a coefficient, that is a filtered sample: neighbours share samples.
    """
    if FILTERS[name] != 3:
        return np.array([1.0, 0.0, 0.0, 0.0], np.float32)
    half = spline_taps().astype(np.float64)
    whole = np.concatenate([half[:0:-1], half])
    return np.array([whole[: whole.size - lag] @ whole[lag:] for lag in range(REACH + 1)], np.float32)


@inline_kernel
def _gain(a, b, c, d, r):  # type: ignore[no-untyped-def]
    two = np.float32(2.0)
    near, middle = a * b + b * c + c * d, a * c + b * d
    return r[0] * (a * a + b * b + c * c + d * d) + two * (r[1] * near + r[2] * middle + r[3] * a * d)


@kernel
def noise_gain(line, column, number, correlation, left, detector, footprint, out):  # type: ignore[no-untyped-def]
    """Fill the pixels that belong to a detector with the gain of the variance.

    Parameters
    ----------
    line, column : (y, x) float64
    number : int
        Of the filter, see `s2dask.l1c.resampling.FILTERS`.
    correlation : (lag) float32
        See `tap_correlation`.
    left : int
        Column of the following arrays that `line` begins with.
    detector : int
    footprint : (y, x) uint8
    out : (y, x) float32
        1 on a pixel; in the middle of four 0.57 (B-spline), 0.41 (bicubic), 0.25 (bilinear).
    """
    n = line.shape[1]
    whole, u, w = np.empty(n, np.int32), np.empty((4, n), np.float32), np.empty((4, n), np.float32)
    for r in range(line.shape[0]):
        split_weights(line[r], 0, number, whole, w)
        split_weights(column[r], 0, number, whole, u)
        for x in range(n):
            if footprint[r, left + x] == detector:
                rows = _gain(w[0, x], w[1, x], w[2, x], w[3, x], correlation)
                out[r, left + x] = rows * _gain(u[0, x], u[1, x], u[2, x], u[3, x], correlation)
