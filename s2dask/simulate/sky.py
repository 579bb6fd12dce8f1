"""The simulator's atmosphere and sun: its own polarised radiative transfer, written apart from what inverts it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.time import gps_to_utc
from s2dask.instrument.gas import absorptions
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.radiative_transfer_bands import (
    AEROSOL_POWER,
    HIGHEST_SUN,
    STANDARD_PRESSURE,
    band_coefficients,
    band_sky,
    direct_transmittance,
)
from s2dask.simulate.radiative_transfer_mie import CONTINENTAL, Component

Array = NDArray[np.float64]
PRESSURE_SCALE: Final = 8000.0
"""Height over which air and the gases mixed with it thin to 1/e [m]."""
WATER_SCALE: Final = 2000.0
"""Likewise water vapour [m]."""
AEROSOL_SCALE: Final = PRESSURE_SCALE / AEROSOL_POWER
"""Likewise aerosol [m]."""


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
    options: SimulationOptions,
    band: str,
    sun: tuple[Array, Array],
    view: tuple[Array, Array],
    height: Array,
    kind: tuple[Component, ...] = CONTINENTAL,
) -> tuple[Array, Array, Array, Array]:
    """Return path reflectance, transmittance, spherical albedo and gas transmittance of a band.

    ``rho_toa = gas (path + transmittance rho / (1 - albedo rho))``; gases dim the path reflectance less than the
    ground's, hence it is larger here than that of a sky without them.

    Parameters
    ----------
    options : SimulationOptions
    band : str
    sun, view : (zenith, azimuth) of (...) float64 [deg]
    height : (...) float64 [m]
    kind : tuple of Component
        What the aerosol is a mix of.
    """
    pressure = options.pressure * np.exp(-height / PRESSURE_SCALE)
    water = options.water_vapour * np.exp(-height / WATER_SCALE)
    mass = sum(1 / np.cos(np.radians(np.minimum(zenith, HIGHEST_SUN))) for zenith in (sun[0], view[0]))
    absorbers = []
    for absorber in absorptions(options.unit, band):
        if absorber.gas == "h2o":
            amount, power = water, PRESSURE_SCALE / WATER_SCALE
        elif absorber.gas == "o3":
            amount, power = np.asarray(options.ozone / 1000.0), 0.0
        else:
            amount, power = (pressure / STANDARD_PRESSURE) ** absorber.p, absorber.p
        absorbers.append((absorber.a * (mass * amount) ** absorber.n, power * absorber.n))
    sky = band_sky(options.unit, band, options.aot, options.pressure, kind)
    return band_coefficients(sky, sun[0], view[0], sun[1] - view[1], pressure, absorbers)


def direct_light(
    options: SimulationOptions,
    band: str,
    sun: Array,
    view: Array,
    height: Array,
    kind: tuple[Component, ...] = CONTINENTAL,
) -> tuple[Array, Array, Array]:
    """Return the direct and the whole transmittance down, and the direct share of that up, without gases.

    Parameters
    ----------
    options : SimulationOptions
    band : str
    sun, view : (...) float64 [deg]
        Zenith angles.
    height : (...) float64 [m]
    kind : tuple of Component
        What the aerosol is a mix of.
    """
    sky = band_sky(options.unit, band, options.aot, options.pressure, kind)
    return direct_transmittance(sky, sun, view, options.pressure * np.exp(-height / PRESSURE_SCALE))


def at_sensor(
    coefficients: tuple[Array, Array, Array, Array],
    surface: Array,
    surroundings: tuple[Array, Array] | None = None,
) -> Array:
    """Return the top-of-atmosphere reflectance of a surface.

    Parameters
    ----------
    coefficients : (path, transmittance, spherical albedo, gas transmittance) of (...) float64 [1]
    surface : (...) float64 [1]
        Reflectance, times the light that falls on it over that on level ground.
    surroundings : (share, reflectance) of (...) float64 [1], optional
        Direct share of the transmittance up, and the mean of `surface` around, whose light the air scatters into the
        sight, and again onto the ground. None: the surroundings are as the surface.
    """
    path, through, albedo, gas = coefficients
    share, around = surroundings or (1.0, surface)
    seen = share * surface + (1 - share) * around
    return np.asarray(gas * (path + through * seen / (1 - albedo * around)))
