"""Analytic radiative transfer of one band over arrays: path reflectance, transmittances and spherical albedo.

It is evaluated on coarse grids, of which the pixels take what lies between the nodes.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.instrument import unit as unit_of
from s2dask.instrument.gas import absorptions

STANDARD_PRESSURE: Final = 1013.25
"""[hPa]"""
PRESSURE_SCALE_HEIGHT: Final = 8000.0
"""[m]"""
WATER_VAPOUR_SCALE_HEIGHT: Final = 2000.0
"""[m]"""
ANGSTROM_EXPONENT: Final = 1.3
SINGLE_SCATTERING_ALBEDO: Final = 0.95
ASYMMETRY: Final = 0.65

Field = NDArray[np.float64]


class Coefficients(NamedTuple):
    """What turns surface into top-of-atmosphere reflectance: ``Tg (path + T rho / (1 - S rho))``.

    Attributes
    ----------
    path : (...) float64 [1]
        Reflectance of the atmosphere alone, without gaseous absorption.
    transmittance : (...) float64 [1]
        Scattering transmittance, down times up.
    spherical_albedo : (...) float64 [1]
    gas : (...) float64 [1]
        Gaseous transmittance, down and up.
    """

    path: Field
    transmittance: Field
    spherical_albedo: Field
    gas: Field


class _Layer(NamedTuple):
    """One homogeneous layer: optical thickness, its scattering part, and the mixed phase function and asymmetry."""

    total: Field
    scattered: Field
    absorbed: Field
    phase: Field
    anisotropy: Field


def pressure_at(elevation: ArrayLike, sea_level: ArrayLike) -> Field:
    """Return the pressure at a height of an isothermal atmosphere.

    Parameters
    ----------
    elevation : (...) float [m]
    sea_level : (...) float [hPa]

    Returns
    -------
    (...) float64 [hPa]
    """
    return np.asarray(sea_level, np.float64) * np.exp(-np.asarray(elevation, np.float64) / PRESSURE_SCALE_HEIGHT)


def water_vapour_at(elevation: ArrayLike, sea_level: ArrayLike) -> Field:
    """Return the water vapour column above a height.

    Parameters
    ----------
    elevation : (...) float [m]
    sea_level : (...) float [cm]

    Returns
    -------
    (...) float64 [cm]
    """
    return np.asarray(sea_level, np.float64) * np.exp(-np.asarray(elevation, np.float64) / WATER_VAPOUR_SCALE_HEIGHT)


def rayleigh_thickness(wavelength: float, pressure: ArrayLike) -> Field:
    """Return the optical thickness of the molecules.

    Parameters
    ----------
    wavelength : float [um]
    pressure : (...) float [hPa]

    Returns
    -------
    (...) float64 [1]

    Notes
    -----
    Hansen and Travis (1974), eq. 2.30.
    """
    square = wavelength**-2
    standard = 0.008569 * square**2 * (1 + 0.0113 * square + 0.00013 * square**2)
    return np.asarray(standard * np.asarray(pressure, np.float64) / STANDARD_PRESSURE)


def aerosol_thickness(wavelength: float, aot: ArrayLike) -> Field:
    """Return the optical thickness of the aerosol at a wavelength [um], from that at 550 nm."""
    return np.asarray(np.asarray(aot, np.float64) * (wavelength / 0.55) ** -ANGSTROM_EXPONENT)


def gas_transmittance(
    unit: str,
    band: str,
    air_mass: ArrayLike,
    pressure: ArrayLike,
    water_vapour: ArrayLike,
    ozone: ArrayLike,
    table: str | None = None,
) -> Field:
    """Return the transmittance of the absorbing gases along the whole path.

    Parameters
    ----------
    unit, band : str
    air_mass : (...) float [1]
        Down plus up.
    pressure : (...) float [hPa]
    water_vapour : (...) float [cm]
    ozone : (...) float [DU]
    table : str, optional
        Another table of absorption: see `s2dask.instrument.gas.absorptions`.

    Returns
    -------
    (...) float64 [1]

    Notes
    -----
    SMAC form (Rahman and Dedieu, 1994) with the shared table of `s2dask.instrument.gas`.
    """
    amounts = {"h2o": np.asarray(water_vapour, np.float64), "o3": np.asarray(ozone, np.float64) / 1000.0}
    relative = np.asarray(pressure, np.float64) / STANDARD_PRESSURE
    exponent: Field = np.zeros(())
    for absorber in absorptions(unit, band, table):
        amount = amounts.get(absorber.gas)
        if amount is None:
            amount = relative**absorber.p
        exponent = exponent + absorber.a * (np.asarray(air_mass) * np.maximum(amount, 0.0)) ** absorber.n
    return np.exp(exponent)


def water_dimming(
    unit: str, band: str, air_mass: ArrayLike, water_vapour: ArrayLike, molecular: ArrayLike, path: ArrayLike
) -> Field:
    """Return by how much less than light from the ground water vapour dims the path reflectance.

    Parameters
    ----------
    unit, band : str
    air_mass : (...) float [1]
        Down plus up.
    water_vapour : (...) float [cm]
    molecular, path : (...) float [1]
        Path reflectance of the molecules alone, and of all.

    Returns
    -------
    (...) float64 [1]
        1 or more, to be multiplied with the path reflectance where the whole is multiplied with all gases.

    Notes
    -----
    As in 6S (Vermote et al., 1997): the molecules are above the water vapour, the aerosol in the midst of it,
    ``rho_R + (rho - rho_R) T(u / 2)`` in place of ``rho T(u)``.
    """
    found = [absorber for absorber in absorptions(unit, band) if absorber.gas == "h2o"]
    if not found:
        return np.ones(np.broadcast_shapes(np.shape(air_mass), np.shape(water_vapour), np.shape(path)))
    slant = np.asarray(air_mass, np.float64) * np.maximum(np.asarray(water_vapour, np.float64), 0.0)
    whole, half = (np.exp(found[0].a * (slant * share) ** found[0].n) for share in (1.0, 0.5))
    share = np.minimum(np.asarray(molecular, np.float64) / np.maximum(np.asarray(path, np.float64), 1e-12), 1.0)
    return np.asarray((share + (1 - share) * half) / whole)


def _layer(wavelength: float, aot: ArrayLike, pressure: ArrayLike, cos_scattering: Field) -> _Layer:
    molecules, aerosol = rayleigh_thickness(wavelength, pressure), aerosol_thickness(wavelength, aot)
    particles = SINGLE_SCATTERING_ALBEDO * aerosol
    total, scattered = molecules + aerosol, molecules + particles
    g = ASYMMETRY
    molecular = 0.75 * (1 + cos_scattering**2)
    henyey = (1 - g * g) / (1 + g * g - 2 * g * cos_scattering) ** 1.5
    phase = (molecules * molecular + particles * henyey) / scattered
    return _Layer(total, scattered, total - scattered, phase, 3 * particles * g / scattered)


def _eddington(mu: Field, layer: _Layer) -> Field:
    return 1 + 1.5 * mu + (1 - 1.5 * mu) * np.exp(-layer.scattered / mu)


def _path(layer: _Layer, mu0: Field, mu: Field) -> Field:
    mass = 1 / mu0 + 1 / mu
    x = layer.anisotropy
    albedo = layer.scattered / layer.total
    single = albedo * layer.phase / (4 * (mu0 + mu)) * (1 - np.exp(-layer.total * mass))
    diffuse = 1 - _eddington(mu0, layer) * _eddington(mu, layer) / (4 + (3 - x) * layer.scattered)
    extra = ((3 + x) * mu * mu0 - 2 * (mu + mu0)) / (4 * (mu + mu0)) * (1 - np.exp(-layer.scattered * mass))
    return np.asarray(single + np.maximum(diffuse + extra, 0.0) * np.exp(-0.5 * layer.absorbed * mass))


def _transmittance(layer: _Layer, mu: Field) -> Field:
    reach = 2 * _eddington(mu, layer) / (4 + (3 - layer.anisotropy) * layer.scattered)
    return np.asarray(reach * np.exp(-layer.absorbed / mu))


def coefficients(
    unit: str,
    band: str,
    sun_zenith: ArrayLike,
    view_zenith: ArrayLike,
    relative_azimuth: ArrayLike,
    aot: ArrayLike,
    pressure: ArrayLike,
    water_vapour: ArrayLike,
    ozone: ArrayLike,
) -> Coefficients:
    """Return the coefficients of a band; the arguments broadcast.

    Parameters
    ----------
    unit, band : str
    sun_zenith, view_zenith : (...) float [deg]
    relative_azimuth : (...) float [deg]
        Sun minus view azimuth, both seen from the target: 0 is the backscatter side.
    aot : (...) float [1]
        Aerosol optical thickness at 550 nm.
    pressure : (...) float [hPa]
        At the surface.
    water_vapour : (...) float [cm]
        Above the surface.
    ozone : (...) float [DU]

    Returns
    -------
    Coefficients

    Notes
    -----
    Exact single scattering plus the multiple scattering of Sobolev (1975) as in SMAC and 5S-like codes; transmittance
    and spherical albedo in the Eddington approximation, with the absorbed part of the aerosol taken apart.
    """
    wavelength = unit_of(unit).bands[band].centre / 1000.0
    sun, view = np.radians(np.asarray(sun_zenith, np.float64)), np.radians(np.asarray(view_zenith, np.float64))
    mu0, mu = np.cos(sun), np.cos(view)
    azimuth = np.radians(np.asarray(relative_azimuth, np.float64))
    layer = _layer(wavelength, aot, pressure, -(mu0 * mu + np.sin(sun) * np.sin(view) * np.cos(azimuth)))
    thickness = (3 - layer.anisotropy) * layer.scattered
    return Coefficients(
        _path(layer, mu0, mu),
        _transmittance(layer, mu0) * _transmittance(layer, mu),
        thickness / (4 + thickness) * np.exp(-2 * layer.absorbed),
        gas_transmittance(unit, band, 1 / mu0 + 1 / mu, pressure, water_vapour, ozone),
    )
