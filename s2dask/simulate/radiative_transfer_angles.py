"""Generalised spherical functions: the angles of polarised scattering in Fourier modes of the azimuth."""

from math import factorial, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def spherical_functions(degree: int, m: int, n: int, cosine: Array) -> Array:
    """Return Wigner's functions d^l_mn of every degree: (degree + 1, angle) float64.

    Parameters
    ----------
    degree : int
        Highest l.
    m, n : int
    cosine : (angle) float64 [1]

    Notes
    -----
    Recurrence of Varshalovich, Moskalev and Khersonskii (1988), section 4.8; zero below ``max(|m|, |n|)``.
    """
    x = np.asarray(cosine, np.float64)
    out = np.zeros((degree + 1, x.size))
    low = max(abs(m), abs(n))
    if low > degree:
        return out
    sign = 1.0 if n >= m else (-1.0) ** (m - n)
    scale = sqrt(factorial(2 * low) / (factorial(abs(m - n)) * factorial(abs(m + n)))) / 2**low
    out[low] = sign * scale * (1 - x) ** (abs(m - n) / 2) * (1 + x) ** (abs(m + n) / 2)
    for k in range(low, degree):
        if k == 0:
            out[1] = x
            continue
        before = (k + 1) * sqrt((k * k - m * m) * (k * k - n * n)) * out[k - 1] if k > low else 0.0
        after = k * sqrt(((k + 1) ** 2 - m * m) * ((k + 1) ** 2 - n * n))
        out[k + 1] = ((2 * k + 1) * (k * (k + 1) * x - m * n) * out[k] - before) / after
    return out
