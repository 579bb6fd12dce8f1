"""The aerosol models of the tables: lognormal modes, their mixture, and what Mie theory makes of them."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError

Field = NDArray[np.float64]

REFERENCE_WAVELENGTH: Final = 0.55
"""[um]"""
LARGEST_RADIUS: Final = 20.0
"""Where the modes end, and their volume too [um]."""
RADII: Final = 1000
MOMENTS: Final = 400
_REMEDY: Final = "name one of the models of s2dask.lut.particles"


@dataclass(frozen=True, slots=True)
class Mode:
    """One component: number median radius [um], geometric standard deviation, refractive index over wavelength."""

    radius: float
    deviation: float
    real: tuple[float, ...]
    imaginary: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Optics:
    """One model at one wavelength.

    Attributes
    ----------
    extinction : float [um2]
        Per particle.
    albedo : float [1]
        Of single scattering.
    angles : (angle) float64 [deg]
    phase : (angle) float64 [1]
        Mean 1 over the sphere.
    moments : (a1 a2 a3 b1, order) float64 [1]
        Of the scattering matrix in generalised spherical functions.
    """

    extinction: float
    albedo: float
    angles: Field
    phase: Field
    moments: Field


_WAVELENGTHS: Final = (0.40, 0.488, 0.515, 0.55, 0.60, 0.65, 0.70, 0.80, 0.90, 1.0, 1.25, 1.536, 1.65, 1.95, 2.25, 2.5)
"""Where the refractive indices are given [um]."""

COMPONENTS: Final = {
    "dust-like": Mode(
        0.471,
        2.512,
        (1.53, 1.53, 1.53, 1.53, 1.53, 1.53, 1.53, 1.524, 1.52, 1.52, 1.46, 1.40, 1.368, 1.276, 1.22, 1.18),
        (8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8e-3, 8.5e-3, 9e-3),
    ),
    "water-soluble": Mode(
        0.0285,
        2.239,
        (1.53, 1.53, 1.53, 1.53, 1.53, 1.53, 1.53, 1.524, 1.52, 1.52, 1.51, 1.42, 1.42, 1.42, 1.42, 1.42),
        (
            *(5e-3, 5e-3, 5e-3, 6e-3, 6e-3, 7e-3, 7e-3, 1e-2),
            *(1.22e-2, 1.55e-2, 1.9e-2, 2.2e-2, 1.95e-2, 6.8e-2, 4.6e-2, 4.6e-2),
        ),
    ),
    "oceanic": Mode(
        0.3,
        2.51,
        (
            1.385,
            1.382,
            1.381,
            1.381,
            1.379,
            1.377,
            1.376,
            1.374,
            1.372,
            1.368,
            1.366,
            1.358,
            1.354,
            1.348,
            1.328,
            1.309,
        ),
        (
            *(9.9e-9, 6.4e-9, 3.7e-9, 4.3e-9, 1e-8, 1.6e-8, 5e-8, 1e-6),
            *(1e-5, 6e-5, 2.8e-4, 1.1e-3, 9.6e-4, 2.1e-3, 9e-3, 9e-3),
        ),
    ),
    "soot": Mode(
        0.0118,
        2.0,
        (1.75, 1.75, 1.75, 1.75, 1.75, 1.75, 1.75, 1.75, 1.75, 1.76, 1.77, 1.79, 1.795, 1.81, 1.815, 1.82),
        (0.46, 0.45, 0.45, 0.44, 0.43, 0.43, 0.43, 0.43, 0.43, 0.44, 0.45, 0.463, 0.472, 0.488, 0.50, 0.51),
    ),
}
"""The basic components of the standard radiation atmosphere of the WMO (1983, WCP-55), dust-like and water-soluble with
the sizes of d'Almeida et al. (1991). Refractive indices: the same sources to 1.25 um, and from there those that
reproduce extinction, albedo and phase functions of the three models of 6SV1.1 (Kotchenova et al., 2006)."""

MODELS: Final = {
    "continental": {"dust-like": 0.70, "water-soluble": 0.29, "soot": 0.01},
    "maritime": {"water-soluble": 0.05, "oceanic": 0.95},
    "urban": {"dust-like": 0.17, "water-soluble": 0.61, "soot": 0.22},
}
"""Shares of the volume (WMO, 1983), as in 6S (Vermote et al., 1997)."""


def _angles() -> Field:
    return np.unique(np.concatenate([np.linspace(0, 3, 301), np.linspace(3, 180, 1417)]))


def _index(mode: Mode, wavelength: float) -> complex:
    real = np.interp(wavelength, _WAVELENGTHS, mode.real)
    return complex(real, -np.interp(wavelength, _WAVELENGTHS, mode.imaginary))


def _of_mode(mode: Mode, wavelength: float, angles: Field) -> tuple[float, float, Field]:
    """Return extinction, scattering [um2] and P11, P12, P33 times scattering, per unit of volume [um3]."""
    from sasktran2.mie import LinearizedMie

    spread = np.log(mode.deviation)
    centre = np.log(mode.radius)
    top = min(centre + 3 * spread**2 + 4 * spread, np.log(LARGEST_RADIUS))
    logs = np.linspace(centre - 4 * spread, top, RADII)
    radius = np.exp(logs)
    number = np.exp(-0.5 * ((logs - centre) / spread) ** 2)
    wave_number = 2 * np.pi / wavelength
    cosines = np.cos(np.radians(angles))
    found: Any = LinearizedMie().calculate(wave_number * radius, _index(mode, wavelength), cosines).values
    one, two = np.asarray(found.S1), np.asarray(found.S2)
    area = number * np.pi * radius**2
    scale = 2 * np.pi / wave_number**2
    matrix = [abs(one) ** 2 + abs(two) ** 2, abs(one) ** 2 - abs(two) ** 2, 2 * np.real(one * np.conj(two))]
    volume = float(np.sum(number * 4 / 3 * np.pi * radius**3))
    extinction, scattering = float(np.sum(area * found.Qext)), float(np.sum(area * found.Qsca))
    return extinction / volume, scattering / volume, np.array([scale * number @ part for part in matrix]) / volume


def optics(model: str, wavelength: float) -> Optics:
    """Return the optical properties of a model at a wavelength.

    Parameters
    ----------
    model : str
    wavelength : float [um]

    Returns
    -------
    Optics

    Raises
    ------
    ConfigurationError
        No such model, or a wavelength outside the refractive indices.
    """
    from sasktran2.legendre import compute_greek_coefficients

    if model not in MODELS:
        raise ConfigurationError(f"no aerosol model {model!r}: {', '.join(MODELS)}", "--aerosol", _REMEDY)
    if not _WAVELENGTHS[0] <= wavelength <= _WAVELENGTHS[-1]:
        raise ConfigurationError(f"no refractive index at {wavelength} um", "wavelength", "stay within 0.4 to 2.5 um")
    angles = _angles()
    extinction = scattering = 0.0
    matrix: Field = np.zeros((3, angles.size))
    for name, share in MODELS[model].items():
        part = _of_mode(COMPONENTS[name], wavelength, angles)
        extinction, scattering = extinction + share * part[0], scattering + share * part[1]
        matrix += share * part[2]
    p11, p12, p33 = (row[np.newaxis] / scattering for row in matrix)
    zero = np.zeros_like(p11)
    a1, a2, a3, _, b1, _ = compute_greek_coefficients(p11, p12, p11, p33, zero, p33, angles, MOMENTS)
    moments = np.squeeze(np.array([a1, a2, a3, b1]))
    return Optics(extinction, scattering / extinction, angles, p11[0], moments)
