"""Light that is scattered once: the angular detail of the path reflectance, in closed form but for height."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.float64]

DEPOLARISATION: Final = 0.0279
"""Of air (Young, 1980)."""
HEIGHT_RATIO: Final = 4
"""Scale height of the molecules over that of the particles, 8 km and 2 km as in 6S (Vermote et al., 1997)."""
NODES: Final = 32


def cosine_of_scattering(sun_zenith: ArrayLike, view_zenith: ArrayLike, relative_azimuth: ArrayLike) -> Field:
    """Return the cosine of the scattering angle; angles in deg, azimuth 0 is backscatter."""
    sun, view = np.radians(np.asarray(sun_zenith, np.float64)), np.radians(np.asarray(view_zenith, np.float64))
    turn = np.cos(np.radians(np.asarray(relative_azimuth, np.float64)))
    return np.asarray(np.clip(-(np.cos(sun) * np.cos(view) + np.sin(sun) * np.sin(view) * turn), -1.0, 1.0))


def single_scattering(
    molecules: ArrayLike,
    particles: ArrayLike,
    scattered: ArrayLike,
    phase: ArrayLike,
    cosine: ArrayLike,
    sun_zenith: ArrayLike,
    view_zenith: ArrayLike,
) -> Field:
    """Return the reflectance by light that is scattered once; the arguments broadcast.

    Parameters
    ----------
    molecules, particles : (...) float [1]
        Optical thicknesses, the latter without what the forward peak sends straight on.
    scattered : (...) float [1]
        Of the particles, with the peak.
    phase : (...) float [1]
        Function of the particles, mean 1 over the sphere.
    cosine : (...) float [1]
        Of the scattering angle.
    sun_zenith, view_zenith : (...) float [deg]

    Returns
    -------
    (...) float64 [1]

    Notes
    -----
    The correction of Nakajima and Tanaka (1988): the whole phase function, the peak left out of the beams. With
    ``x = exp(-z / 8 km)`` there is ``x`` of the molecules above and ``x^4`` of the particles.
    """
    mu0, mu = np.cos(np.radians(np.asarray(sun_zenith))), np.cos(np.radians(np.asarray(view_zenith)))
    weight = (1 - DEPOLARISATION) / (2 + DEPOLARISATION)
    molecular = 1 + weight * (1.5 * np.asarray(cosine) ** 2 - 0.5)
    air, dust = np.asarray(molecules, np.float64), np.asarray(particles, np.float64)
    mass = 1 / mu0 + 1 / mu
    total: Field = np.zeros(())
    for node, share in zip(*np.polynomial.legendre.leggauss(NODES), strict=True):
        x = (node + 1) / 2
        seen = np.exp(-(air * x + dust * x**HEIGHT_RATIO) * mass)
        source = molecular * air + np.asarray(phase) * np.asarray(scattered) * HEIGHT_RATIO * x ** (HEIGHT_RATIO - 1)
        total = total + share / 2 * source * seen
    return np.asarray(total / (4 * mu0 * mu))
