"""Points and rays on the ellipsoid, for kernels."""

import math
from typing import Final

import numpy as np

from s2dask.instrument.earth import EARTH_A, EARTH_F
from s2dask.kernels import bare_kernel

A: Final = EARTH_A
E2: Final = EARTH_F * (2.0 - EARTH_F)
"""Square of the first eccentricity."""
_B = EARTH_A * (1.0 - EARTH_F)
_EP2 = E2 / (1.0 - E2)


@bare_kernel
def latitude(p, z):  # type: ignore[no-untyped-def]
    """Return sine and cosine of the latitude of a point p from the axis, z above the equator (Bowring, twice)."""
    s, c = z * A, p * _B
    up, out = s, c
    for _ in range(2):
        r = 1.0 / math.sqrt(s * s + c * c)
        s, c = s * r, c * r
        up, out = z + _EP2 * _B * s * s * s, p - E2 * A * c * c * c
        s, c = _B * up, A * out
    r = 1.0 / math.sqrt(up * up + out * out)
    return up * r, out * r


@bare_kernel
def geodetic(x, y, z):  # type: ignore[no-untyped-def]
    """Return longitude, latitude [rad], height [m] of an ITRF point, to 1e-9 m under 20 km."""
    p = math.sqrt(x * x + y * y)
    sl, cl = latitude(p, z)
    return math.atan2(y, x), math.atan2(sl, cl), p * cl + z * sl - A * math.sqrt(1.0 - E2 * sl * sl)


@bare_kernel
def enter_shell(position, ray, h):  # type: ignore[no-untyped-def]
    """Return the distances along a ray to where it enters and leaves the ellipsoid raised by h [m]; NaN on a miss."""
    ia, ib = 1.0 / (A + h), 1.0 / (_B + h)
    px, py, pz = position[0] * ia, position[1] * ia, position[2] * ib
    lx, ly, lz = ray[0] * ia, ray[1] * ia, ray[2] * ib
    a = lx * lx + ly * ly + lz * lz
    b = px * lx + py * ly + pz * lz
    disc = b * b - a * (px * px + py * py + pz * pz - 1.0)
    if not disc >= 0.0:
        return np.nan, np.nan
    root = math.sqrt(disc)
    return (-b - root) / a, (-b + root) / a
