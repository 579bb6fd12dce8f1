"""Celestial and terrestrial frames, IERS 2010 conventions (pyerfa)."""

import erfa
import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.time import tt_days

_ARCSEC = np.pi / 648000
_MJD = 2400000.5
_FRAME_BIAS = erfa.bp00(2451545.0, 0.0)[0]


def eme2000_to_itrf(gps: NDArray[np.int64], eop: EarthOrientation) -> NDArray[np.float64]:
    """Return the rotation matrices EME2000 to ITRF (date, 3, 3) at GPS times [ns].

    Notes
    -----
    ``POM(xp, yp, s') R3(ERA(UT1)) C(X, Y, s) B^T`` with X, Y, s of IAU 2006/2000A, no tidal terms in the Earth
    orientation, dX = dY = 0, B the frame bias.
    """
    day, tt = tt_days(gps)
    (pole_x, pole_y), ut1_day, ut1 = eop.at_gps(gps)
    x, y, s = erfa.xys06a(_MJD + day, tt)
    era = erfa.era00(_MJD + ut1_day, ut1)
    pole = erfa.pom00(pole_x * _ARCSEC, pole_y * _ARCSEC, erfa.sp00(_MJD + day, tt))
    matrix: NDArray[np.float64] = erfa.c2tcio(erfa.c2ixys(x, y, s), era, pole) @ _FRAME_BIAS.T
    return matrix
