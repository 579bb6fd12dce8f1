"""Exponential and logarithm that the compiler turns into vector instructions, the same on every machine.

Those of the system's library are called for one number at a time. Both are right to 2e-15, relative for the one and
for the other relative to the larger of 1 and its value.
"""

from typing import Final

import numpy as np

from s2dask.kernels import inline_kernel

LN2_HIGH: Final = 0.693147180369123816490
LN2_LOW: Final = 1.90821492927058770002e-10
"""Logarithm of 2 in two parts, of which the first has zeros behind (Cody and Waite, 1980)."""
PER_LN2: Final = 1.4426950408889634
BIAS, MANTISSA = 1023, 52
"""Of the exponent of a float64, and its bits before."""


@inline_kernel
def exp(x):  # type: ignore[no-untyped-def]
    """Return e to the power of x, from -708 to 708; 0 below."""
    whole = np.floor(max(x, -709.0) * PER_LN2 + 0.5)
    r = (max(x, -709.0) - whole * LN2_HIGH) - whole * LN2_LOW
    p = 1.0 + r / 12.0
    p = 1.0 + r / 11.0 * p
    p = 1.0 + r / 10.0 * p
    p = 1.0 + r / 9.0 * p
    p = 1.0 + r / 8.0 * p
    p = 1.0 + r / 7.0 * p
    p = 1.0 + r / 6.0 * p
    p = 1.0 + r / 5.0 * p
    p = 1.0 + r / 4.0 * p
    p = 1.0 + r / 3.0 * p
    p = 1.0 + r / 2.0 * p
    p = 1.0 + r * p
    return p * np.int64((np.int64(whole) + BIAS) << MANTISSA).view(np.float64)


@inline_kernel
def log(x):  # type: ignore[no-untyped-def]
    """Return the natural logarithm of a number above 1e-307; of 0, -709."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits >> MANTISSA) - BIAS
    m = np.int64((bits & ((1 << MANTISSA) - 1)) | (BIAS << MANTISSA)).view(np.float64)
    above = m > 1.4142135623730951
    m = 0.5 * m if above else m
    power = np.float64(exponent + 1 if above else exponent)
    f = (m - 1.0) / (m + 1.0)
    q = f * f
    p = 1.0 / 21.0
    p = p * q + 1.0 / 19.0
    p = p * q + 1.0 / 17.0
    p = p * q + 1.0 / 15.0
    p = p * q + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    return power * LN2_HIGH + (2.0 * f + (2.0 * f * q * p + power * LN2_LOW))
