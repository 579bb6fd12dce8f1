"""Air and gases above the ground: pressure, water vapour, and what absorption leaves of the light."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.instrument.gas import Absorption, absorptions

STANDARD_PRESSURE: Final = 1013.25
"""[hPa]"""
PRESSURE_SCALE_HEIGHT: Final = 8000.0
"""[m]"""
WATER_VAPOUR_SCALE_HEIGHT: Final = 2000.0
"""[m]"""

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


def absorber_exponents(
    unit: str,
    band: str,
    air_mass: ArrayLike,
    pressure: ArrayLike,
    water_vapour: ArrayLike,
    ozone: ArrayLike,
    table: str | None = None,
) -> list[tuple[Absorption, Field]]:
    """Return the absorbers of a band and the logarithm of the transmittance of each.

    Parameters
    ----------
    unit, band, air_mass, pressure, water_vapour, ozone, table
        See `gas_transmittance`.
    """
    amounts = {"h2o": np.asarray(water_vapour, np.float64), "o3": np.asarray(ozone, np.float64) / 1000.0}
    relative = np.asarray(pressure, np.float64) / STANDARD_PRESSURE
    found = []
    for absorber in absorptions(unit, band, table):
        amount = amounts.get(absorber.gas)
        if amount is None:
            amount = relative**absorber.p
        exponent = absorber.a * (np.asarray(air_mass) * np.maximum(amount, 0.0)) ** absorber.n
        found.append((absorber, np.asarray(exponent)))
    return found


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
    exponent: Field = np.zeros(())
    for _, part in absorber_exponents(unit, band, air_mass, pressure, water_vapour, ozone, table):
        exponent = exponent + part
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
