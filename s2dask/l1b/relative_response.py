"""Relative response: what makes the pixels of a line, and their non-linearity, alike."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

CUBIC: Final = 0
"""VNIR model, coefficients A, B, C."""
BILINEAR: Final = 1
"""SWIR model, coefficients A1, A2, Zs."""


@kernel
def equalise(lines: NDArray[np.float32], model: int, coefficients: NDArray[np.float32]) -> None:
    """Remove the relative response of each pixel in place.

    Parameters
    ----------
    lines : (line, useful_column) float32 [LSB]
    model : int
        `CUBIC` or `BILINEAR`.
    coefficients : (3, useful_column) float32
        A [LSB-2], B [LSB-1], C [1] or A1 [1], A2 [1], Zs [LSB].

    Notes
    -----
    VNIR ``Z = A Y^3 + B Y^2 + C Y``; SWIR ``Z = A1 Y`` up to ``Zs``, then ``A2 Y + (A1 - A2) Zs`` (GIP_R2EQOG).
    """
    p, q, r = coefficients[0], coefficients[1], coefficients[2]
    for i in range(lines.shape[0]):
        row = lines[i]
        if model == CUBIC:
            for x in range(row.size):
                y = row[x]
                row[x] = y * (r[x] + y * (q[x] + y * p[x]))
        else:
            for x in range(row.size):
                y = row[x]
                low = p[x] * y
                high = q[x] * y + (p[x] - q[x]) * r[x]
                row[x] = low if y <= r[x] else high
