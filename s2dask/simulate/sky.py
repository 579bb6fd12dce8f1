"""The simulator's atmosphere and sun: a plane-parallel forward model, written apart from the one that inverts it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.time import gps_to_utc
from s2dask.instrument import unit
from s2dask.instrument.gas import absorptions
from s2dask.simulate.options import SimulationOptions

Array = NDArray[np.float64]


def sun_position(gps: int, lon: Array, lat: Array) -> tuple[Array, Array]:
    """Return zenith and azimuth of the sun [deg]; geodetic latitude, no refraction.

    Notes
    -----
    Low-precision formulae of the Astronomical Almanac, 0.01 degree.
    """
    date = gps_to_utc(gps)
    days = (date.timestamp() - 946_728_000.0) / 86400.0
    anomaly = np.radians((357.528 + 0.9856003 * days) % 360.0)
    ecliptic = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    right_ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    sidereal = np.radians((280.46061837 + 360.98564736629 * days) % 360.0)
    hour = sidereal + np.radians(lon) - right_ascension
    phi = np.radians(lat)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    return np.degrees(np.arccos(up)), np.degrees(np.arctan2(east, north)) % 360.0


def forward(
    options: SimulationOptions, band: str, sun: tuple[Array, Array], view: tuple[Array, Array], height: Array
) -> tuple[Array, Array, Array, Array]:
    """Return path reflectance, transmittance, spherical albedo and gas transmittance of a band.

    ``rho_toa = gas (path + transmittance rho / (1 - albedo rho))``.

    Parameters
    ----------
    options : SimulationOptions
    band : str
    sun, view : (zenith, azimuth) of (...) float64 [deg]
    height : (...) float64 [m]
    """
    wavelength = unit(options.unit).bands[band].centre * 1e-3
    pressure = options.pressure * np.exp(-height / 8000.0)
    water = options.water_vapour * np.exp(-height / 2000.0)
    theta0, theta = np.radians(sun[0]), np.radians(view[0])
    mu0, mu = np.cos(theta0), np.cos(theta)
    scattering = -(mu0 * mu + np.sin(theta0) * np.sin(theta) * np.cos(np.radians(sun[1] - view[1])))

    molecules = 0.008569 / wavelength**4 * (1 + 0.0113 / wavelength**2 + 0.00013 / wavelength**4) * pressure / 1013.25
    aerosol = options.aot * (wavelength / 0.55) ** (-1.3)
    bright = 0.95 * aerosol
    whole, spread = molecules + aerosol, molecules + bright
    lost = whole - spread
    phase = (
        molecules * 0.75 * (1 + scattering**2)
        + bright * (1 - 0.65**2) / (1 + 0.65**2 - 2 * 0.65 * scattering) ** 1.5
    ) / spread
    forwardness = 3 * bright * 0.65 / spread
    slant = 1 / mu0 + 1 / mu

    def edge(x: Array) -> Array:
        value: Array = 1 + 1.5 * x + (1 - 1.5 * x) * np.exp(-spread / x)
        return value

    below = 4 + (3 - forwardness) * spread
    once = spread / whole * phase / (4 * (mu0 + mu)) * (1 - np.exp(-whole * slant))
    often = 1 - edge(mu0) * edge(mu) / below
    often = often + ((3 + forwardness) * mu * mu0 - 2 * (mu + mu0)) / (4 * (mu + mu0)) * (1 - np.exp(-spread * slant))
    path = once + np.clip(often, 0, None) * np.exp(-lost * slant / 2)
    through = (2 * edge(mu0) / below * np.exp(-lost / mu0)) * (2 * edge(mu) / below * np.exp(-lost / mu))
    albedo = (below - 4) / below * np.exp(-2 * lost)
    depth = np.zeros(np.broadcast(slant, pressure).shape)
    for absorber in absorptions(options.unit, band):
        amounts: dict[str, Any] = {"h2o": water, "o3": options.ozone / 1000.0}
        amount = amounts.get(absorber.gas)
        if amount is None:
            amount = (pressure / 1013.25) ** absorber.p
        depth = depth + absorber.a * (slant * amount) ** absorber.n
    return path, through, albedo, np.exp(depth)


def at_sensor(coefficients: tuple[Array, Array, Array, Array], surface: Array) -> Array:
    """Return the top-of-atmosphere reflectance of a surface."""
    path, through, albedo, gas = coefficients
    return np.asarray(gas * (path + through * surface / (1 - albedo * surface)))
