"""Scattering by spheres and by the continental mix of aerosols: where the table of the simulator's aerosol comes from.

`write_table` derives ``data/continental.csv`` from the refractive indices below; a test derives parts of it again.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.simulate.radiative_transfer_angles import spherical_functions

Array = NDArray[np.float64]
DEGREE: Final = 16
"""Highest degree of the expansions of the scattering matrix."""
ANGLES: Final = np.arange(60.0, 181.0)
"""Scattering angles of the tabulated phase function [deg]."""
WAVELENGTHS: Final = (
    0.400, 0.425, 0.450, 0.475, 0.500, 0.525, 0.550, 0.580, 0.620, 0.660, 0.700, 0.740, 0.780, 0.820, 0.860, 0.900,
    0.950, 1.000, 1.300, 1.370, 1.536, 1.600, 1.650, 1.800, 2.000, 2.100, 2.200, 2.300, 2.400,
)  # fmt: skip
"""Of the table [um]."""


LARGEST: Final = 20.0
"""Radius beyond which there are no particles [um]."""
RADII: Final = 500


class Component(NamedTuple):
    """Spheres of one substance with a lognormal distribution of their radii.

    Attributes
    ----------
    radius : float [um]
        Median by number.
    deviation : float [1]
        Geometric standard deviation.
    volume : float [1]
        Share of the volume of all aerosol.
    refraction : sequence of (float, float, float)
        Wavelength [um], real and imaginary part of the refractive index.
    """

    radius: float
    deviation: float
    volume: float
    refraction: Sequence[tuple[float, float, float]]


CONTINENTAL: Final = (
    Component(
        0.471, 2.512, 0.70,
        ((0.400, 1.53, 0.008), (0.694, 1.53, 0.008), (0.860, 1.52, 0.008), (1.060, 1.52, 0.008), (1.240, 1.46, 0.008),
         (1.536, 1.40, 0.008), (1.800, 1.33, 0.008), (2.000, 1.26, 0.008), (2.250, 1.22, 0.009), (2.500, 1.18, 0.009)),
    ),
    Component(
        0.0285, 2.239, 0.29,
        ((0.400, 1.53, 0.005), (0.515, 1.53, 0.005), (0.550, 1.53, 0.006), (0.633, 1.53, 0.006), (0.694, 1.53, 0.007),
         (0.860, 1.52, 0.011), (1.240, 1.51, 0.019), (1.536, 1.42, 0.023), (1.800, 1.42, 0.017), (2.000, 1.42, 0.080),
         (2.500, 1.42, 0.012)),
    ),
    Component(
        0.0118, 2.0, 0.01,
        ((0.400, 1.75, 0.46), (0.488, 1.75, 0.45), (0.515, 1.75, 0.45), (0.550, 1.75, 0.44), (0.633, 1.75, 0.43),
         (0.860, 1.75, 0.43), (1.060, 1.75, 0.44), (1.300, 1.76, 0.45), (1.536, 1.77, 0.46), (1.800, 1.79, 0.48),
         (2.000, 1.80, 0.49), (2.250, 1.81, 0.50), (2.500, 1.82, 0.51)),
    ),
)  # fmt: skip
"""Dust-like, water-soluble and soot: the continental mix of WMO (1983, WCP-55), which 6S has too (Vermote et al. 1997).

Sizes and refractive indices of d'Almeida, Koepke and Shettle (1991); those of water-soluble particles beyond 1.3 um are
the ones that make the mix agree with that of 6SV1.1, whose absorption at 2 um is ten times theirs.
"""


class Optics(NamedTuple):
    """How particles scatter at one wavelength.

    Attributes
    ----------
    extinction : float [um-1]
        Cross section of a unit of volume of particles.
    albedo : float [1]
        Of single scattering.
    expansion : (4, degree) float64 [1]
        alpha1, alpha2, alpha3 and beta1 of the scattering matrix in generalised spherical functions.
    phase : (angle) float64 [1]
        At the angles asked for; its mean over the sphere is 1.
    """

    extinction: float
    albedo: float
    expansion: Array
    phase: Array


@kernel
def _coefficients(x, m, a, b):  # type: ignore[no-untyped-def]
    """Fill the coefficients of a sphere of size `x`, index `m`; return their number."""
    count = min(int(x + 4.05 * x ** (1.0 / 3.0) + 2.0), a.size - 1)
    z = m * x
    start = int(max(float(count), abs(z))) + 16
    slope = np.zeros(start + 1, np.complex128)
    for n in range(start, 0, -1):
        slope[n - 1] = n / z - 1.0 / (slope[n] + n / z)
    psi0, psi1 = np.cos(x), np.sin(x)
    chi0, chi1 = -np.sin(x), np.cos(x)
    for n in range(1, count + 1):
        psi = (2 * n - 1) * psi1 / x - psi0
        chi = (2 * n - 1) * chi1 / x - chi0
        xi, xi1 = complex(psi, -chi), complex(psi1, -chi1)
        p, q = slope[n] / m + n / x, slope[n] * m + n / x
        a[n] = (p * psi - psi1) / (p * xi - xi1)
        b[n] = (q * psi - psi1) / (q * xi - xi1)
        psi0, psi1, chi0, chi1 = psi1, psi, chi1, chi
    return count


@kernel
def sphere_sums(size, weight, m, cosine, sums, matrix):  # type: ignore[no-untyped-def]
    """Add up the scattering of spheres (Bohren and Huffman 1983, chapter 4).

    Parameters
    ----------
    size : (size) float64 [1]
        ``2 pi r / wavelength``.
    weight : (size) float64 [1]
        Number of spheres.
    m : complex
        Refractive index, its imaginary part positive.
    cosine : (angle) float64 [1]
    sums : (2) float64
        Extinction and scattering cross sections times ``k^2 / (2 pi)``; added to.
    matrix : (3, angle) float64
        F11, F12 and F33 times ``k^2``; added to.
    """
    a = np.zeros(int(size.max() * 1.2) + 40, np.complex128)
    b = np.zeros_like(a)
    for k in range(size.size):
        count = _coefficients(size[k], m, a, b)
        for n in range(1, count + 1):
            sums[0] += weight[k] * (2 * n + 1) * (a[n] + b[n]).real
            sums[1] += weight[k] * (2 * n + 1) * (abs(a[n]) ** 2 + abs(b[n]) ** 2)
        for j in range(cosine.size):
            c, pi0, pi1 = cosine[j], 0.0, 1.0
            s1, s2 = 0.0j, 0.0j
            for n in range(1, count + 1):
                tau = n * c * pi1 - (n + 1) * pi0
                f = (2 * n + 1) / (n * (n + 1.0))
                s1 += f * (a[n] * pi1 + b[n] * tau)
                s2 += f * (a[n] * tau + b[n] * pi1)
                pi0, pi1 = pi1, ((2 * n + 1) * c * pi1 - (n + 1) * pi0) / n
            matrix[0, j] += weight[k] * 0.5 * (abs(s1) ** 2 + abs(s2) ** 2)
            matrix[1, j] += weight[k] * 0.5 * (abs(s2) ** 2 - abs(s1) ** 2)
            matrix[2, j] += weight[k] * (s1 * s2.conjugate()).real


def _quadrature() -> tuple[Array, Array]:
    """Return cosines and weights that resolve the forward peak of large spheres."""
    edges = np.radians([0.0, 0.5, 2.0, 8.0, 30.0, 90.0, 180.0])
    parts = []
    for low, high, count in zip(edges[:-1], edges[1:], (40, 40, 40, 40, 50, 80), strict=True):
        x, w = np.polynomial.legendre.leggauss(count)
        angle = 0.5 * (high - low) * (x + 1) + low
        parts.append((np.cos(angle), 0.5 * (high - low) * w * np.sin(angle)))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def expand(cosine: Array, weight: Array, matrix: Array, degree: int) -> Array:
    """Return the expansion (4, degree + 1) of a scattering matrix (F11, F12, F33) given at nodes of a quadrature.

    Notes
    -----
    de Haan, Bosma and Hovenier (1987); spheres, so that F22 = F11.
    """
    half = (2 * np.arange(degree + 1) + 1) / 2
    function = {n: spherical_functions(degree, *n, cosine) for n in ((0, 0), (0, 2), (2, 2), (2, -2))}
    f11, f12, f33 = matrix * weight
    alpha1, beta1 = half * (function[0, 0] @ f11), -half * (function[0, 2] @ f12)
    together, apart = half * (function[2, 2] @ (f11 + f33)), half * (function[2, -2] @ (f11 - f33))
    return np.stack([alpha1, (together + apart) / 2, (together - apart) / 2, beta1])


def lognormal(component: Component) -> tuple[Array, Array]:
    """Return radii [um] of a component, and the number of particles at each in a unit of volume of the mix [um-3]."""
    centre, width = np.log(component.radius), np.log(component.deviation)
    at = np.linspace(centre - 4.5 * width, min(centre + 7.5 * width, np.log(LARGEST)), RADII)
    number, radii = np.exp(-0.5 * ((at - centre) / width) ** 2), np.exp(at)
    return radii, component.volume * number / (number @ (4 / 3 * np.pi * radii**3))


@cache
def _spheres(wavelength: float, component: Component, angles: tuple[float, ...]) -> tuple[Array, Array]:
    """Return what a component of unit volume scatters at a wavelength: sums and matrix, see `sphere_sums`."""
    cosine = np.concatenate([_quadrature()[0], np.cos(np.radians(angles))])
    sums, matrix = np.zeros(2), np.zeros((3, cosine.size))
    table = np.array(component.refraction).T
    index = complex(*(float(np.interp(wavelength, table[0], table[i])) for i in (1, 2)))
    radii, share = lognormal(component._replace(volume=1.0))
    sphere_sums(2 * np.pi / wavelength * radii, share, index, cosine, sums, matrix)
    return sums, matrix


def mix(
    wavelength: float, components: Sequence[Component] = CONTINENTAL, angles: Array = ANGLES, degree: int = DEGREE
) -> Optics:
    """Return how a mix of lognormal components scatters at a wavelength [um]; `angles` in degrees."""
    nodes, weight = _quadrature()
    at = tuple(angles.tolist())
    sums, matrix = np.zeros(2), np.zeros((3, nodes.size + angles.size))
    for c in components:
        total, scattered = _spheres(wavelength, c._replace(volume=1.0), at)
        sums += c.volume * total
        matrix += c.volume * scattered
    k = 2 * np.pi / wavelength
    matrix /= 0.5 * sums[1]  # mean over the sphere: 4 pi F11 / (k2 Csca)
    return Optics(
        float(sums[0]) * 2 * np.pi / k**2,
        float(sums[1] / sums[0]),
        expand(nodes, weight, matrix[:, : nodes.size], degree),
        matrix[0, nodes.size :],
    )
