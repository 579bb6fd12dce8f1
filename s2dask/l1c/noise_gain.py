"""What interpolation does to noise: the sum of the squared weights by which the samples enter a pixel.

The variance of a pixel is this gain times the variance of the counts around it, as long as their noise is independent.
"""

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import inline_kernel, kernel
from s2dask.l1c.interpolation import MOST_TAPS, split_base, split_weights
from s2dask.l1c.prefilter import HALVES, spline_taps
from s2dask.l1c.resampling import FILTERS, Filter


def tap_correlation(name: Filter) -> NDArray[np.float32]:
    """Return the scalar products of the samples that two taps 0, 1, 2 … apart are made of (lag).

    Notes
    -----
    A tap of the B-spline is a coefficient, that is a filtered sample: neighbours share samples.
    """
    if FILTERS[name] not in HALVES:
        return np.array([1.0, 0.0, 0.0, 0.0], np.float32)
    half = spline_taps(FILTERS[name]).astype(np.float64)
    whole = np.concatenate([half[:0:-1], half])
    return np.array([whole[: whole.size - lag] @ whole[lag:] for lag in range(FILTERS[name] + 1)], np.float32)


@inline_kernel
def _gain(weights, x, r):  # type: ignore[no-untyped-def]
    """Return the sum of the products of any two weights (tap, pixel) of a pixel, by how far apart they are."""
    total = np.float32(0.0)
    for k in range(r.size):
        total += r[0] * weights[k, x] * weights[k, x]
        for m in range(k):
            total += np.float32(2.0) * r[k - m] * weights[k, x] * weights[m, x]
    return total


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
    base, whole, rest = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float32)
    u, w = np.empty((MOST_TAPS, n), np.float32), np.empty((MOST_TAPS, n), np.float32)
    for r in range(line.shape[0]):
        for position, taps in ((line, w), (column, u)):
            split_base(position[r], base, rest)
            split_weights(rest, base, 0, number, whole, taps)
        for x in range(n):
            if footprint[r, left + x] == detector:
                out[r, left + x] = _gain(w, x, correlation) * _gain(u, x, correlation)
