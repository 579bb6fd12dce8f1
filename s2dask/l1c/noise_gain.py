"""What interpolation does to noise: the sum of the squared weights by which the samples enter a pixel.

The variance of a pixel is this gain times the variance of the counts around it, as long as their noise is independent.
It is the product of two numbers, one for where the pixel lies between lines, one for columns.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import bare_kernel
from s2dask.l1c.interpolation import MOST_TAPS, split_base, split_weights
from s2dask.l1c.prefilter import HALVES, spline_taps
from s2dask.l1c.resampling import FILTERS, Filter

STEPS: Final = 256
"""Of a pixel, at which the gain is worked out; straight between."""
NO_TABLE: Final = np.empty(0, np.float32)
"""Where no gain is asked for."""


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


@lru_cache(maxsize=8)
def gain_table(name: Filter) -> NDArray[np.float32]:
    """Return the gain of a filter along one axis (step) at fractions 0 to 1 of a pixel.

    Notes
    -----
    Of both axes together 1 on a pixel; in the middle of four 0.57 (B-spline), 0.41 (bicubic), 0.25 (bilinear).
    """
    correlation = tap_correlation(name).astype(np.float64)
    position, taps = np.arange(STEPS) / STEPS, np.zeros((MOST_TAPS, STEPS), np.float32)
    base, whole, rest = np.empty(STEPS, np.int32), np.empty(STEPS, np.int32), np.empty(STEPS, np.float32)
    split_base(position, base, rest)
    split_weights(rest, base, 0, FILTERS[name], whole, taps)
    lags = np.abs(np.subtract.outer(np.arange(correlation.size), np.arange(correlation.size)))
    weights = taps[: correlation.size].astype(np.float64)
    gain = np.einsum("ks,km,ms->s", weights, correlation[lags], weights)
    table = np.append(gain, gain[0]).astype(np.float32)
    table.setflags(write=False)
    return table


def mean_gain(name: Filter) -> float:
    """Return the gain of the variance of both axes together, the mean over all places of a pixel.

    Notes
    -----
    0.76 (B-spline), 0.66 (bicubic), 4/9 (bilinear).
    """
    return float(gain_table(name)[:STEPS].mean(dtype=np.float64)) ** 2


@bare_kernel
def _at(table, position):  # type: ignore[no-untyped-def]
    t = (position - np.floor(position)) * np.float32(STEPS)
    i = np.int32(t)
    a, b = table[i], table[i + 1]
    return a + (t - np.float32(i)) * (b - a)


@bare_kernel
def fill_gain(line, column, table, out):  # type: ignore[no-untyped-def]
    """Write the gain of the variance of pixels in a row.

    Parameters
    ----------
    line, column : (pixel) float32 or float64
        Where they lie in the image, give or take whole numbers.
    table : (step) float32
        See `gain_table`.
    out : (pixel) float32
    """
    for q in range(out.size):
        out[q] = _at(table, line[q]) * _at(table, column[q])
