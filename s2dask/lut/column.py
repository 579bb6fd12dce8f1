"""One wavelength of a table: SASKTRAN2 solves the columns in vector mode, plane-parallel, over a black ground."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.lut.particles import REFERENCE_WAVELENGTH, Optics, optics
from s2dask.lut.single import DEPOLARISATION, HEIGHT_RATIO, cosine_of_scattering, single_scattering

Field = NDArray[np.float64]

STANDARD_PRESSURE: Final = 1013.25
"""[hPa]"""
MOLECULES_HEIGHT: Final = 8.0
PARTICLES_HEIGHT: Final = MOLECULES_HEIGHT / HEIGHT_RATIO
TOP: Final = 60.0
"""Scale heights, and the end of the column [km]."""
STREAMS: Final = 12
LAYERS: Final = 20
NADIR: Final = 0.05
"""What stands for 0 deg, where SASKTRAN2 has no azimuth [deg]."""
NEARLY_ONE: Final = 1.0 - 1e-9


class Grid(NamedTuple):
    """The axes of a table: angles [deg], aerosol optical thickness at 550 nm [1], pressure at the ground [hPa]."""

    sun_zenith: Field
    view_zenith: Field
    relative_azimuth: Field
    aot: Field
    pressure: Field

    @property
    def zenith(self) -> Field:
        """Of the transmittances, which are the same down and up (reciprocity): those of sun and view [deg]."""
        return np.union1d(self.sun_zenith, self.view_zenith)


GRID: Final = Grid(
    np.array([0.0, 10, 20, 30, 38, 46, 52, 58, 62, 66, 70, 74, 77, 80]),
    np.array([0.0, 5, 10, 15]),
    np.arange(0.0, 181, 30),
    np.array([0.0, 0.05, 0.12, 0.22, 0.36, 0.55, 0.8, 1.15, 1.55, 2.0]),
    np.array([300.0, 560, 820, 1080]),
)


class Monochromatic(NamedTuple):
    """What the columns give at one wavelength.

    Attributes
    ----------
    path : (sun zenith, view zenith, relative azimuth, aot, pressure) float64 [1]
        Reflectance of the atmosphere.
    transmittance : (zenith, aot, pressure) float64 [1]
        Direct and diffuse.
    spherical_albedo : (aot, pressure) float64 [1]
    extinction : float [1]
        Of the particles, against 550 nm.
    """

    path: Field
    transmittance: Field
    spherical_albedo: Field
    extinction: float


class _Medium(NamedTuple):
    """A column after the forward peak is taken out (delta-M): optical thicknesses and moments."""

    molecules: float
    particles: float
    albedo: float
    moments: Field
    scattered: float


def rayleigh_thickness(wavelength: float) -> float:
    """Return the optical thickness of the molecules at 1013.25 hPa.

    Parameters
    ----------
    wavelength : float [um]

    Returns
    -------
    float [1]

    Notes
    -----
    Bodhaine et al. (1999), eq. 30.
    """
    square = wavelength**2
    above = 1.0455996 - 341.29061 / square - 0.90230850 * square
    return 0.0021520 * above / (1 + 0.0027059889 / square - 85.968563 * square)


def peak_share(particles: Optics) -> float:
    """Return the share of scattered light in the forward peak, which `STREAMS` streams cannot tell from the beam."""
    return float(particles.moments[0, STREAMS] / (2 * STREAMS + 1))


def _media(particles: Optics, wavelength: float, extinction: float, aot: Field, pressure: Field) -> list[_Medium]:
    peak = peak_share(particles)
    moments = particles.moments[:, :STREAMS].copy()
    taken = peak * (2 * np.arange(STREAMS) + 1)
    moments[0] -= taken
    moments[1:3, 2:] -= taken[2:]
    moments /= 1 - peak
    left = 1 - particles.albedo * peak
    albedo = particles.albedo * (1 - peak) / left
    return [
        _Medium(
            rayleigh_thickness(wavelength) * float(at) / STANDARD_PRESSURE,
            float(load) * extinction * left,
            albedo,
            moments,
            float(load) * extinction * particles.albedo,
        )
        for load in aot
        for at in pressure
    ]


def _levels() -> Field:
    """Return levels between which molecules and particles thin out alike [km]."""
    heights = np.linspace(0, TOP, 60_001)
    above = 2 - np.exp(-heights / MOLECULES_HEIGHT) - np.exp(-heights / PARTICLES_HEIGHT)
    return np.interp(np.linspace(0, above[-1], LAYERS + 1), above, heights)


def _layered(levels: Field, scale: float) -> Field:
    """Return the density of each layer, the top level repeating its own; the column is 1 [1/m]."""
    left = np.exp(-levels / scale)
    left[-1] = 0.0
    density = -np.diff(left) / np.diff(levels * 1000)
    return np.append(density, density[-1])


def _molecular_moments() -> Field:
    weight = (1 - DEPOLARISATION) / (2 + DEPOLARISATION)
    moments = np.zeros((4, STREAMS))
    moments[0, 0] = 1.0
    moments[0, 2], moments[1, 2], moments[3, 2] = weight, 6 * weight, np.sqrt(6) * weight
    return moments


def _fill(atmosphere: Any, media: list[_Medium], levels: Field) -> None:
    thin, low = _layered(levels, MOLECULES_HEIGHT), _layered(levels, PARTICLES_HEIGHT)
    molecular = _molecular_moments()[:, :, np.newaxis]
    for index, medium in enumerate(media):
        air, dust = medium.molecules * thin, medium.particles * low
        scattering = air + dust * medium.albedo
        atmosphere.storage.total_extinction[:, index] = air + dust
        atmosphere.storage.ssa[:, index] = np.minimum(scattering / (air + dust), NEARLY_ONE)
        share = air / scattering
        mixed = molecular * share + medium.moments[:, :, np.newaxis] * (1 - share)
        for name, moments in zip(("a1", "a2", "a3", "b1"), mixed, strict=True):
            getattr(atmosphere.leg_coeff, name)[:, :, index] = moments


def _solve(media: list[_Medium], sun: float, rays: list[tuple[float, float]], albedo: float) -> tuple[Field, Field]:
    """Return the multiply scattered reflectance (medium, ray) and the diffuse light at the ground (medium)."""
    import sasktran2 as sk

    config = sk.Config()
    config.num_stokes, config.num_streams, config.num_singlescatter_moments = 3, STREAMS, STREAMS
    config.multiple_scatter_source = sk.MultipleScatterSource.DiscreteOrdinates
    config.single_scatter_source = sk.SingleScatterSource.NoSource
    config.delta_m_scaling, config.num_threads = False, 1
    levels = _levels()
    cosine = float(np.cos(np.radians(sun)))
    geometry = sk.Geometry1D(
        cosine,
        0.0,
        6_371_000.0,
        levels * 1000,
        sk.InterpolationMethod.LowerInterpolation,
        sk.GeometryType.PlaneParallel,
    )
    viewing = sk.ViewingGeometry()
    for view, azimuth in rays:
        viewing.add_ray(
            sk.GroundViewingSolar(cosine, np.radians(180 - azimuth), float(np.cos(np.radians(view))), 200_000.0)
        )
    viewing.add_flux_observer(sk.FluxObserverSolar(cosine, 0.0))
    atmosphere = sk.Atmosphere(geometry, config, numwavel=len(media), calculate_derivatives=False)
    _fill(atmosphere, media, levels)
    atmosphere.surface.albedo[:] = albedo
    found = sk.Engine(config, geometry, viewing).calculate_radiance(atmosphere)
    radiance = np.asarray(found["radiance"])[:, :, 0] if rays else np.zeros((len(media), 0))
    return np.pi * radiance / cosine, np.asarray(found["downwelling_flux"]).ravel() / cosine


def _single(media: list[_Medium], particles: Optics, sun: float, rays: list[tuple[float, float]]) -> Field:
    """Return the singly scattered reflectance (medium, ray)."""
    view, azimuth = np.array(rays).T
    cosine = cosine_of_scattering(sun, view, azimuth)
    phase = np.interp(np.degrees(np.arccos(cosine)), particles.angles, particles.phase)
    molecules, thickness, scattered = (
        np.array([getattr(medium, name) for medium in media])[:, np.newaxis]
        for name in ("molecules", "particles", "scattered")
    )
    return single_scattering(molecules, thickness, scattered, phase, cosine, sun, view)


def monochromatic(model: str, wavelength: float, grid: Grid = GRID) -> Monochromatic:
    """Solve every column of a table at one wavelength.

    Parameters
    ----------
    model : str
    wavelength : float [um]
    grid : Grid

    Returns
    -------
    Monochromatic

    Notes
    -----
    The transmittance is the light that reaches the ground under a unit sun, direct and diffuse; by reciprocity it is
    that of the way up too. The spherical albedo follows from the same light over a white ground, ``F1 = F0 / (1 - S)``.
    The peak of the phase function counts as light that goes straight on.
    """
    particles = optics(model, wavelength)
    extinction = particles.extinction / optics(model, REFERENCE_WAVELENGTH).extinction
    media = _media(particles, wavelength, extinction, grid.aot, grid.pressure)
    cells = (grid.aot.size, grid.pressure.size)
    rays = [(max(float(view), NADIR), float(azimuth)) for view in grid.view_zenith for azimuth in grid.relative_azimuth]
    straight = np.array([medium.molecules + medium.particles for medium in media])
    path = np.empty((grid.sun_zenith.size, len(media), len(rays)))
    light = np.empty((grid.zenith.size, len(media)))
    for index, zenith in enumerate(grid.zenith):
        sun = max(float(zenith), NADIR)
        wanted = np.flatnonzero(grid.sun_zenith == zenith)
        multiple, diffuse = _solve(media, sun, rays if wanted.size else rays[:1], 0.0)
        light[index] = diffuse + np.exp(-straight / np.cos(np.radians(sun)))
        if wanted.size:
            path[wanted[0]] = multiple + _single(media, particles, sun, rays)
    index = int(np.argmin(abs(grid.zenith - 38)))
    sun = max(float(grid.zenith[index]), NADIR)
    white = _solve(media, sun, rays[:1], 1.0)[1] + np.exp(-straight / np.cos(np.radians(sun)))
    path = np.moveaxis(path, 1, 2).reshape(
        grid.sun_zenith.size, grid.view_zenith.size, grid.relative_azimuth.size, *cells
    )
    albedo = (1 - light[index] / white).reshape(cells)
    return Monochromatic(path, light.reshape(-1, *cells), albedo, extinction)
