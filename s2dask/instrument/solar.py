"""The sun as the products see it: the correction for its distance on the day of the datatake."""

import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike

from s2dask.errors import InputError

_EPOCH = datetime(1950, 1, 1, 12, tzinfo=UTC)


def reflectance_conversion(datatake_start: datetime) -> float:
    """Return U, which carries E0 from 1 au to the day: about one over the squared distance of the sun in au.

    Parameters
    ----------
    datatake_start : datetime
        DATATAKE_SENSING_START; naive is taken as UTC.

    Notes
    -----
    ``U = (1 - 0.01673 cos(0.0172 (t - 2)))^-2``, t in days since 1950-01-01T12:00 UTC; it agrees with the ``U`` of real
    product metadata to rounding. ``rho = pi L / (E0 U cos(sza))``.

    Examples
    --------
    >>> reflectance_conversion(datetime(2021, 9, 8, 4, 27, 1, 24000))
    0.9838419903844313
    """
    start = datatake_start if datatake_start.tzinfo else datatake_start.replace(tzinfo=UTC)
    days = (start - _EPOCH).total_seconds() / 86400.0
    return float((1.0 - 0.01673 * math.cos(0.0172 * (days - 2.0))) ** -2)


def band_irradiance(wavelength: ArrayLike, response: ArrayLike, sun_wavelength: ArrayLike, sun: ArrayLike) -> float:
    """Return E0 of a band: the solar spectrum at 1 au, weighted by the spectral response of the band.

    Parameters
    ----------
    wavelength : (sample) array_like [nm]
        Of the response, in equal steps.
    response : (sample) array_like [1]
    sun_wavelength : (value) array_like [nm]
        Ascending; it covers the response.
    sun : (value) array_like [W m-2 um-1]

    Notes
    -----
    With the spectrum of Thuillier (2003) it agrees with ``SOLAR_IRRADIANCE`` of real product metadata to 0.03 %.

    Examples
    --------
    >>> band_irradiance([500, 501, 502], [0.5, 1.0, 0.5], [400, 600], [1800, 2000])
    1901.0
    """
    at, weight, known, values = (np.asarray(v, np.float64) for v in (wavelength, response, sun_wavelength, sun))
    if not weight.sum() > 0 or not (np.isfinite(weight).all() and np.isfinite(values).all()):
        raise InputError("not a number, or no response at all", "spectral response or solar spectrum")
    if at.min() < known[0] or at.max() > known[-1]:
        span = f"{at.min():g} to {at.max():g} nm"
        raise InputError(f"no irradiance for all of {span}", "solar spectrum", "give one that covers the response")
    return float((np.interp(at, known, values) * weight).sum() / weight.sum())
