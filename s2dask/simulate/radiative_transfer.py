"""Polarised light in a plane-parallel sky of molecules and aerosol, by successive orders of scattering.

The sky is described by ``x = exp(-z / 8 km)``: molecules above a height grow with x, aerosol, whose scale height is
2 km, with x^4. The source of light scattered more than once is calculated in Fourier modes of the azimuth for the
Stokes components I, Q and U, with the forward peak of the aerosol cut off (delta-M); light scattered once is added with
the whole phase function (Nakajima and Tanaka 1988).
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.simulate.radiative_transfer_angles import spherical_functions

Array = NDArray[np.float64]
STREAMS: Final = 8
"""Directions of each hemisphere."""
MODES: Final = 5
"""Fourier modes of the azimuth."""
LEVELS: Final = 41
DEPOLARISATION: Final = 0.0279
"""Of the molecules (Young 1980)."""
NEGLIGIBLE: Final = 1e-7
"""Source of an order after which no other is calculated."""
_MOST_ORDERS: Final = 200
_ONCE: Final = np.polynomial.legendre.leggauss(8)


class Sky(NamedTuple):
    """Atmosphere at one wavelength.

    Attributes
    ----------
    molecules, aerosol : float [1]
        Optical thickness above the ground.
    albedo : float [1]
        Of single scattering by the aerosol.
    expansion : (4, degree) float64 [1]
        alpha1, alpha2, alpha3, beta1 of the aerosol, as many degrees as twice `STREAMS` and one.
    """

    molecules: float
    aerosol: float
    albedo: float
    expansion: Array


class Light(NamedTuple):
    """What a sky does with the light of the sun, above a black surface.

    Attributes
    ----------
    multiple : (mode, view, sun) float64 [1]
        Radiance of light scattered more than once at the top, ``pi I / F``; to be added with ``cos(mode azimuth)``,
        azimuth 0 where the light goes on forward.
    transmittance : (sun) float64 [1]
        Of the irradiance, direct and diffuse.
    direct : (sun) float64 [1]
        The part of it that keeps its direction, or nearly so.
    plane_albedo : (sun) float64 [1]
    upward : (view) float64 [1]
        Transmittance from an isotropic surface into the directions of view.
    spherical_albedo : float [1]
    """

    multiple: Array
    transmittance: Array
    direct: Array
    plane_albedo: Array
    upward: Array
    spherical_albedo: float


class _Angles(NamedTuple):
    """Cosines and weights of the streams (down, then up), and the functions of every direction.

    `streams` is (mode, 3 direction + Stokes, 3 degree + Stokes), `suns` and `views` (mode, direction, 3 degree +
    Stokes), of which only I counts: the sun is not polarised and the instrument does not see polarisation.
    """

    cosine: Array
    weight: Array
    streams: Array
    suns: Array
    views: Array


def _functions(m: int, cosine: Array) -> Array:
    """Return the matrix (direction, Stokes, degree, Stokes) of mode m: de Haan et al. (1987), real form."""
    degree = 2 * STREAMS
    zero, minus, plus = (spherical_functions(degree - 1, m, n, cosine).T for n in (0, -2, 2))
    out = np.zeros((cosine.size, 3, degree, 3))
    out[:, 0, :, 0] = zero
    out[:, 1, :, 1] = out[:, 2, :, 2] = -0.5 * (minus + plus)
    out[:, 1, :, 2] = out[:, 2, :, 1] = -0.5 * (minus - plus)
    return out


@lru_cache(maxsize=8)
def _angles(suns: tuple[float, ...], views: tuple[float, ...]) -> _Angles:
    x, w = np.polynomial.legendre.leggauss(STREAMS)
    mu, weight = 0.5 * (x + 1), 0.5 * w
    cosine, size = np.concatenate([mu, -mu]), 6 * STREAMS
    streams = np.stack([_functions(m, cosine).reshape(size, size) for m in range(MODES)])
    rows = [
        np.stack([_functions(m, sign * np.array(c))[:, 0].reshape(len(c), size) for m in range(MODES)])
        for c, sign in ((suns, 1.0), (views, -1.0))
    ]
    return _Angles(cosine, np.concatenate([weight, weight]), streams, rows[0], rows[1])


def molecular_expansion() -> Array:
    """Return the expansion (4, degree) of the scattering by molecules, as many degrees as a `Sky` wants."""
    out = np.zeros((4, 2 * STREAMS + 1))
    share = (1 - DEPOLARISATION) / (1 + DEPOLARISATION / 2)
    out[0, 0], out[0, 2], out[1, 2], out[3, 2] = 1.0, share / 2, 3 * share, np.sqrt(6.0) / 2 * share
    return out


def molecular_phase(cosine: Array) -> Array:
    """Return the phase function of the molecules."""
    share = (1 - DEPOLARISATION) / (1 + DEPOLARISATION / 2)
    return np.asarray(1 + 0.5 * share * 0.5 * (3 * cosine**2 - 1))


def without_peak(sky: Sky) -> tuple[float, float, Array, float]:
    """Return thickness, albedo and expansion of the aerosol without its forward peak, and the share of the peak."""
    degree = np.arange(2 * STREAMS)
    peak = float(sky.expansion[0, 2 * STREAMS] / (4 * STREAMS + 1))
    cut = sky.expansion[:, : 2 * STREAMS].copy()
    cut[0] -= peak * (2 * degree + 1)
    cut[1:3, 2:] -= peak * (2 * degree[2:] + 1)
    rest = 1 - peak * sky.albedo
    return sky.aerosol * rest, sky.albedo * (1 - peak) / rest, cut / (1 - peak), peak


def _spread(expansion: Array) -> Array:
    """Return the matrix (3 degree + Stokes, 3 degree + Stokes) of an expansion."""
    count = expansion.shape[1]
    out = np.zeros((count, 3, count, 3))
    at = np.arange(count)
    for row, column, k in ((0, 0, 0), (1, 1, 1), (2, 2, 2), (0, 1, 3), (1, 0, 3)):
        out[at, row, at, column] = expansion[k]
    return out.reshape(3 * count, 3 * count)


def _levels(molecules: float, aerosol: float) -> tuple[Array, Array, Array]:
    """Return optical depth of the levels, in equal steps, and the shares of molecules and aerosol there."""
    whole = molecules + aerosol
    depth = np.linspace(0, whole, LEVELS)
    fine = np.linspace(0, 1, 4001)
    x = np.interp(depth, molecules * fine + aerosol * fine**4, fine)
    for _ in range(4):
        slope = molecules + 4 * aerosol * x**3
        x = x - np.divide(molecules * x + aerosol * x**4 - depth, slope, out=np.zeros(LEVELS), where=slope > 0)
    slope = molecules + 4 * aerosol * x**3
    share = np.divide(molecules, slope, out=np.full(LEVELS, float(molecules > 0)), where=slope > 0)
    return depth, share, 1 - share


@kernel
def _pass(step, cosine, source, field):  # type: ignore[no-untyped-def]
    """Fill the radiance (level, stream, column) that a source gives, linear in depth between levels, nothing outside.

    `cosine` is that of each row of the streams: positive downward.
    """
    levels, rows, columns = source.shape
    for s in range(rows):
        t = step / abs(cosine[s])
        reach = np.exp(-t)
        if t > 1e-3:
            far = (1 - reach) / t - reach
            near = 1 - (1 - reach) / t
        else:
            far, near = t / 2 - t * t / 3, t / 2 - t * t / 6
        if cosine[s] > 0:
            for c in range(columns):
                field[0, s, c] = 0.0
            for k in range(1, levels):
                for c in range(columns):
                    field[k, s, c] = field[k - 1, s, c] * reach + far * source[k - 1, s, c] + near * source[k, s, c]
        else:
            for c in range(columns):
                field[levels - 1, s, c] = 0.0
            for k in range(levels - 2, -1, -1):
                for c in range(columns):
                    field[k, s, c] = field[k + 1, s, c] * reach + far * source[k + 1, s, c] + near * source[k, s, c]


@kernel
def _orders(step, cosine, molecules, aerosol, share, bright, source, total):  # type: ignore[no-untyped-def]
    """Add up the radiance of all orders of scattering of one mode.

    Parameters
    ----------
    step : float [1]
        Optical thickness between levels.
    cosine : (row) float64 [1]
        Of the direction of each row; a row is a direction and a Stokes component.
    molecules, aerosol : (row, row) float64 [1]
        What the streams of one order send into the next.
    share, bright : (level) float64 [1]
        Part of the extinction that is scattering by molecules, and by aerosol.
    source : (level, row, column) float64 [1]
        Of the first order; overwritten.
    total : (level, row, column) float64 [1]
        Added to.
    """
    levels = source.shape[0]
    mixed = np.empty((levels, *molecules.shape))
    for k in range(levels):
        mixed[k] = share[k] * molecules + bright[k] * aerosol
    field = np.empty_like(source)
    for _ in range(_MOST_ORDERS):
        _pass(step, cosine, source, field)
        total += field
        largest = 0.0
        for k in range(levels):
            source[k] = np.dot(mixed[k], field[k])
            largest = max(largest, np.abs(source[k]).max())
        if largest < NEGLIGIBLE:
            break


class _Medium(NamedTuple):
    """A sky between its levels: what each mode of its light needs.

    Attributes
    ----------
    step : float [1]
        Optical thickness between levels.
    depth, share, bright : (level) float64 [1]
        Optical depth, and the parts of the extinction that are scattering by molecules and by aerosol.
    expansions : two of (3 degree + Stokes, 3 degree + Stokes) float64 [1]
        Of molecules and aerosol.
    """

    step: float
    depth: Array
    share: Array
    bright: Array
    expansions: tuple[Array, Array]

    def mixed(self, molecules: Array, aerosol: Array) -> Array:
        """Return (level, ...) of what molecules and aerosol do, each (...) or (level, ...)."""
        return np.asarray(self.share[:, None, None] * molecules + self.bright[:, None, None] * aerosol)


def _medium(sky: Sky) -> _Medium:
    aerosol, albedo, expansion, _ = without_peak(sky)
    depth, share, rest = _levels(sky.molecules, aerosol)
    expansions = _spread(molecular_expansion()[:, : 2 * STREAMS]), _spread(expansion)
    return _Medium(float(depth[1]), depth, share, albedo * rest, expansions)


def _towards(medium: _Medium, mu: Array, source: Array) -> Array:
    """Return the radiance (view, column) at the top from a source (level, view, column), linear between levels."""
    t = medium.step / mu
    reach = np.exp(-t)
    if float(t.max()) > 1e-3:
        lower, upper = (1 - reach) / t - reach, 1 - (1 - reach) / t
    else:
        lower, upper = t / 2 - t * t / 3, t / 2 - t * t / 6
    seen = np.exp(-medium.depth[:, None] / mu)
    weight = np.zeros_like(seen)
    weight[:-1] += seen[:-1] * upper
    weight[1:] += seen[:-1] * lower
    return np.asarray(np.einsum("kv,kvc->vc", weight, source))


def _mode(m: int, at: _Angles, medium: _Medium, beam: Array, lamp: Array | None) -> tuple[Array, Array]:
    """Return the diffuse radiance of a mode (level, row, column), and its source to the views (level, view, column).

    The columns are the suns; the lamp, an isotropic ground whose own light (level, row) is not diffuse, comes last.
    """
    weight = 0.5 * np.repeat(at.weight, 3)
    spread = [at.streams[m] @ s for s in medium.expansions]
    kernels = [np.ascontiguousarray(s @ at.streams[m].T * weight) for s in spread]
    first = [(2 - (m == 0)) / 4 * (s @ at.suns[m].T) for s in spread]
    into = [at.views[m] @ s @ at.streams[m].T * weight for s in medium.expansions]
    source = medium.mixed(*first) * beam[:, None, :]
    if lamp is not None:
        source = np.concatenate([source, medium.mixed(*(k @ lamp[:, :, None] for k in kernels))], 2)
    total = np.zeros_like(source)
    rows = np.repeat(at.cosine, 3)
    _orders(medium.step, rows, kernels[0], kernels[1], medium.share, medium.bright, np.ascontiguousarray(source), total)
    seen = total.copy()
    if lamp is not None:
        seen[:, :, -1] += lamp
    return total, medium.mixed(*(k @ seen for k in into))


def illuminate(sky: Sky, suns: tuple[float, ...], views: tuple[float, ...]) -> Light:
    """Return what a sky does with the light of the sun.

    Parameters
    ----------
    sky : Sky
    suns, views : tuple of float [1]
        Cosines of the zenith angles.
    """
    at, medium = _angles(suns, views), _medium(sky)
    mu0, mu = np.array(suns), np.array(views)
    beam = np.exp(-medium.depth[:, None] / mu0)
    rows, depth = np.repeat(at.cosine, 3), medium.depth[:, None]
    lamp = np.where(rows < 0, np.exp((depth[-1] - depth) / np.minimum(rows, -1e-9)), 0.0)
    lamp[:, np.arange(rows.size) % 3 != 0] = 0.0
    total, source = _mode(0, at, medium, beam, lamp)
    flux = 2 * at.weight * np.abs(at.cosine)
    down = (flux * (at.cosine > 0)) @ total[-1, ::3]
    up = (flux * (at.cosine < 0)) @ total[0, ::3]
    seen = _towards(medium, mu, source)
    multiple = [seen[:, :-1], *(_towards(medium, mu, _mode(m, at, medium, beam, None)[1]) for m in range(1, MODES))]
    return Light(
        np.stack(multiple), down[:-1] / mu0 + beam[-1], beam[-1], up[:-1] / mu0,
        seen[:, -1] + np.exp(-medium.depth[-1] / mu), float(down[-1]),
    )  # fmt: skip


def once(sky: Sky, phase: tuple[Array, Array], mu0: Array, mu: Array) -> tuple[Array, Array]:
    """Return the reflectance of light scattered once, by molecules and by aerosol.

    Parameters
    ----------
    sky : Sky
    phase : two of (...) float64 [1]
        Phase functions of molecules and aerosol, whole, at the scattering angle.
    mu0, mu : (...) float64 [1]
        Cosines of the zenith angles of sun and view.
    """
    aerosol, _, _, peak = without_peak(sky)
    rest = sky.albedo / (1 - peak * sky.albedo)
    mass = 1 / mu0 + 1 / mu
    by_molecules = by_aerosol = np.zeros(np.shape(mass))
    for node, weight in zip(*_ONCE, strict=True):
        x = 0.5 * (node + 1)
        light = 0.5 * weight * np.exp(-mass * (sky.molecules * x + aerosol * x**4)) / (4 * mu0 * mu)
        by_molecules = by_molecules + sky.molecules * light
        by_aerosol = by_aerosol + rest * aerosol * 4 * x**3 * light
    return np.asarray(phase[0] * by_molecules), np.asarray(phase[1] * by_aerosol)
