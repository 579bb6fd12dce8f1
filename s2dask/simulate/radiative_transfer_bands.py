"""The sky in a band of the instrument: solved at a few angles and pressures, and between them by polynomials.

A band stands for two wavelengths (``data/band_wavelengths.csv``), at each of which the sky is solved; what they give is
averaged. Absorbing gases dim the path radiance only by what lies above the place where light was scattered.
"""

import csv
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel
from s2dask.simulate import radiative_transfer as transfer
from s2dask.simulate.radiative_transfer_mie import ANGLES, CONTINENTAL, Component, Optics, mix

Array = NDArray[np.float64]
STANDARD_PRESSURE: Final = 1013.25
"""[hPa]"""
REFERENCE_WAVELENGTH: Final = 0.55
"""At which the optical thickness of aerosol is given [um]."""
HIGHEST_SUN: Final = 86.0
"""Zenith angle beyond which the sun is taken to stand there: the sky is not plane any more [deg]."""
ABSORBER_NODES: Final = 8
AEROSOL_POWER: Final = 4.0
"""Of the pressure, with which aerosol thins: scale heights of 8 km and 2 km."""


def _chebyshev(low: float, high: float, count: int) -> Array:
    angle = np.pi * (np.arange(count) + 0.5) / count
    return np.asarray(0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle))


SUNS: Final = _chebyshev(0.0, HIGHEST_SUN, 15)
VIEWS: Final = _chebyshev(0.0, 16.0, 4)
PRESSURES: Final = _chebyshev(250.0, 1100.0, 7)
"""Nodes [deg, deg, hPa]."""


class BandSky(NamedTuple):
    """What the sky does in a band, for one load of aerosol.

    Attributes
    ----------
    weight : (wavelength) float64 [1]
    multiple : (pressure, view, sun, mode) float64 [1]
        ``pi I / F`` of light scattered more than once, mean of the wavelengths.
    loss : (wavelength, pressure, sun) float64 [1]
        Minus logarithm of the transmittance, times the cosine of the zenith angle: of sun or view.
    albedo : (wavelength, pressure) float64 [1]
        Spherical albedo.
    thin : (wavelength, 3) float64 [1]
        Of single scattering: thickness of molecules at standard pressure and of aerosol without its peak, and the
        albedo that goes with the latter.
    phase : (wavelength, angle) float64 [1]
        Of the aerosol, at `ANGLES`.
    thinning : (2) float64 [hPa, 1]
        Pressure above which the aerosol is that of `thin`, and the power of the pressure with which it grows.
    """

    weight: Array
    multiple: Array
    loss: Array
    albedo: Array
    thin: Array
    phase: Array
    thinning: Array


@cache
def _wavelengths() -> dict[tuple[str, str], Array]:
    """Return (wavelength, weight) of the two wavelengths [um, 1] of every unit and band."""
    text = files("s2dask.simulate").joinpath("data/band_wavelengths.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (row["unit"], row["band"]): np.array(
            [[float(row["first"]), float(row["second"])], [float(row["first_weight"]), float(row["second_weight"])]]
        )
        for row in rows
    }


def band_wavelengths(unit: str, band: str) -> Array:
    """Return the two wavelengths [um] of a band, and their weights: (2, wavelength) float64."""
    known = _wavelengths()
    found = known.get(("S2C" if unit == "S2D" else unit, band))
    if found is None:
        raise ConfigurationError("no spectral response", f"{unit} {band}", "choose a unit and band of the mission")
    return found


def molecular_thickness(wavelength: float, pressure: float = STANDARD_PRESSURE) -> float:
    """Return the optical thickness of the molecules above a pressure [hPa], at a wavelength [um].

    Notes
    -----
    Bodhaine et al. (1999), eq. 30.
    """
    square = wavelength * wavelength
    upper = 1.0455996 - 341.29061 / square - 0.90230850 * square
    return float(0.0021520 * upper / (1 + 0.0027059889 / square - 85.968563 * square) * pressure / STANDARD_PRESSURE)


@cache
def _optics(wavelength: float, kind: tuple[Component, ...]) -> Optics:
    return mix(wavelength, kind)


def sky_at(wavelength: float, aot: float, pressure: float, kind: tuple[Component, ...] = CONTINENTAL) -> transfer.Sky:
    """Return the sky at a wavelength [um], above a pressure [hPa], with aerosol of thickness `aot` at 550 nm."""
    optics = _optics(wavelength, kind)
    aerosol = aot * optics.extinction / _optics(REFERENCE_WAVELENGTH, kind).extinction
    return transfer.Sky(molecular_thickness(wavelength, pressure), aerosol, optics.albedo, optics.expansion)


@cache
def band_sky(
    unit: str, band: str, aot: float, sea: float | None = None, kind: tuple[Component, ...] = CONTINENTAL
) -> BandSky:
    """Return what the sky does in a band, for one load of aerosol.

    Parameters
    ----------
    unit, band : str
    aot : float [1]
        At 550 nm.
    sea : float, optional [hPa]
        Pressure above which there is that much; above a lower one there is less, by the power of `AEROSOL_POWER`. None:
        as much above any pressure.
    kind : tuple of Component
        What the aerosol is a mix of.
    """
    wavelengths, weight = band_wavelengths(unit, band)
    thinning = np.array([STANDARD_PRESSURE, 0.0] if sea is None else [sea, AEROSOL_POWER])
    above = [(p, aot * (p / float(thinning[0])) ** float(thinning[1])) for p in PRESSURES.tolist()]
    mu0, mu = (tuple(np.cos(np.radians(angles)).tolist()) for angles in (SUNS, VIEWS))
    multiple, loss, albedo, thin = 0.0, [], [], []
    for wavelength, part in zip(wavelengths.tolist(), weight.tolist(), strict=True):
        lights = [transfer.illuminate(sky_at(wavelength, load, p, kind), mu0, mu) for p, load in above]
        multiple = multiple + part * np.stack([light.multiple.transpose(1, 2, 0) for light in lights])
        loss.append([-np.log(light.transmittance) * mu0 for light in lights])
        albedo.append([light.spherical_albedo for light in lights])
        sky = sky_at(wavelength, aot, STANDARD_PRESSURE, kind)
        cut, _, _, peak = transfer.without_peak(sky)
        thin.append([sky.molecules, cut, sky.albedo / (1 - peak * sky.albedo)])
    phase = np.stack([_optics(w, kind).phase for w in wavelengths.tolist()])
    tables = np.ascontiguousarray(multiple), np.array(loss), np.array(albedo), np.array(thin)
    return BandSky(weight, *tables, phase, thinning)


@kernel
def _lagrange(nodes, x, out):  # type: ignore[no-untyped-def]
    """Fill the weights of the polynomial through all nodes at x."""
    for i in range(nodes.size):
        out[i] = 1.0
        for j in range(nodes.size):
            if j != i:
                out[i] *= (x - nodes[j]) / (nodes[i] - nodes[j])


@kernel
def _loss_at(loss, by_pressure, by_angle):  # type: ignore[no-untyped-def]
    total = 0.0
    for p in range(by_pressure.size):
        for s in range(by_angle.size):
            total += by_pressure[p] * by_angle[s] * loss[p, s]
    return total


@kernel
def _often(multiple, by_pressure, by_view, by_sun, azimuth):  # type: ignore[no-untyped-def]
    """Return ``pi I / F`` of the light scattered more than once."""
    turn = np.empty(multiple.shape[3])
    for m in range(turn.size):
        turn[m] = np.cos(m * (azimuth + np.pi))
    out = 0.0
    for p in range(by_pressure.size):
        for v in range(by_view.size):
            both = by_pressure[p] * by_view[v]
            for s in range(by_sun.size):
                total = 0.0
                for m in range(turn.size):
                    total += turn[m] * multiple[p, v, s, m]
                out += both * by_sun[s] * total
    return out


@kernel
def _once(mass, air, dust, by_air, by_dust, depth, heights):  # type: ignore[no-untyped-def]
    """Return the light scattered once, times ``4 mu0 mu``, without absorbing gases and with them."""
    xs, dx, share = heights
    bare, dimmed = 0.0, 0.0
    for n in range(xs.size):
        x = xs[n]
        light = dx[n] * (air * by_air + 4.0 * x**3 * dust * by_dust) * np.exp(-mass * (air * x + dust * x**4))
        above = 0.0
        for g in range(depth.size):
            above += depth[g] * share[n, g]
        bare += light
        dimmed += light * np.exp(above)
    return bare, dimmed


@kernel
def _interpolate(where, nodes, sky, molecular, angles, heights, out):  # type: ignore[no-untyped-def]
    """Fill the coefficients of places.

    Parameters
    ----------
    where : (sun, view, azimuth, pressure, depth), of (place) float64 [rad, rad, rad, hPa]; depth (place, absorber)
        Zenith angles; azimuth of the view from that of the sun; exponent of each absorber over the whole path.
    nodes : (suns, views, pressures)
        Of the tables [rad, rad, hPa].
    sky : (weight, multiple, loss, albedo, thin, phase, thinning)
        As `BandSky`.
    molecular : float [1]
        Share of the phase function of the molecules that depends on the angle.
    angles : (float, float) [rad]
        First of the angles of the phase function, and step.
    heights : (x, weight, share); share (node, absorber)
        Nodes of the integral over ``x = exp(-z / 8 km)``, and how much of each absorber is above.
    out : (4, place) float64
        Path reflectance, transmittance down and up, spherical albedo, transmittance of the gases.
    """
    sun, view, azimuth, pressure, depth = where
    suns, views, pressures = nodes
    weight, multiple, loss, albedo, thin, phase, thinning = sky
    by_sun, by_sight, by_view = np.empty(suns.size), np.empty(suns.size), np.empty(views.size)
    by_pressure = np.empty(pressures.size)
    for i in range(sun.size):
        mu0, mu = np.cos(sun[i]), np.cos(view[i])
        _lagrange(suns, sun[i], by_sun)
        _lagrange(suns, view[i], by_sight)
        _lagrange(views, view[i], by_view)
        _lagrange(pressures, pressure[i], by_pressure)
        cosine = max(-(mu0 * mu + np.sin(sun[i]) * np.sin(view[i]) * np.cos(azimuth[i])), -1.0)
        place = (np.arccos(cosine) - angles[0]) / angles[1]
        k = int(max(min(place, phase.shape[1] - 2.0), 0.0))
        by_air = 1.0 + 0.25 * molecular * (3.0 * cosine * cosine - 1.0)
        load = (pressure[i] / thinning[0]) ** thinning[1]
        bare, dimmed, through, dark = 0.0, 0.0, 0.0, 0.0
        for w in range(weight.size):
            by_dust = thin[w, 2] * ((1.0 - (place - k)) * phase[w, k] + (place - k) * phase[w, k + 1])
            air = thin[w, 0] * pressure[i] / STANDARD_PRESSURE
            light = _once(1 / mu0 + 1 / mu, air, load * thin[w, 1], by_air, by_dust, depth[i], heights)
            bare += weight[w] * light[0]
            dimmed += weight[w] * light[1]
            gone = _loss_at(loss[w], by_pressure, by_sun) / mu0 + _loss_at(loss[w], by_pressure, by_sight) / mu
            part = weight[w] * np.exp(-gone)
            through += part
            dark += part * (by_pressure @ albedo[w])
        gas = np.exp(depth[i].sum())
        often = _often(multiple, by_pressure, by_view, by_sun, azimuth[i]) / mu0
        out[0, i] = (bare / (4.0 * mu0 * mu) + often) * dimmed / (bare * gas)
        out[1, i] = through
        out[2, i] = dark / through
        out[3, i] = gas


def band_coefficients(
    sky: BandSky, sun: Array, view: Array, azimuth: Array, pressure: Array, absorbers: list[tuple[Array, float]]
) -> tuple[Array, Array, Array, Array]:
    """Return path reflectance, transmittance, spherical albedo and gas transmittance.

    ``rho_toa = gas (path + transmittance rho / (1 - albedo rho))``: where gases absorb, the path reflectance is larger
    than that of the scattering sky, because less than all of the gas dims it.

    Parameters
    ----------
    sky : BandSky
    sun, view : (...) float64 [deg]
        Zenith angles.
    azimuth : (...) float64 [deg]
        Of the sun from that of the view, both seen from the ground: 0 on the side of the sun.
    pressure : (...) float64 [hPa]
    absorbers : list of ((...) float64 [1], float)
        Exponent of the transmittance down and up, and the power of ``x = exp(-z / 8 km)`` with which it grows
        downward: 0 for a gas above all the others.
    """
    zenith = np.minimum(np.asarray(sun, np.float64), HIGHEST_SUN)
    parts = np.broadcast_arrays(zenith, view, azimuth, pressure, *(a for a, _ in absorbers))
    flat = [np.array(np.ravel(part), np.float64) for part in parts]
    depth = np.stack(flat[4:], -1) if absorbers else np.zeros((flat[0].size, 0))
    node, weight = np.polynomial.legendre.leggauss(ABSORBER_NODES)
    x = 0.5 * (node + 1)
    share = np.stack([x**power for _, power in absorbers], -1) if absorbers else np.zeros((x.size, 0))
    out = np.empty((4, flat[0].size))
    where = (*(np.radians(angle) for angle in flat[:3]), flat[3], depth)
    step = np.radians(ANGLES[1] - ANGLES[0]), np.radians(ANGLES[0])
    molecular = (1 - transfer.DEPOLARISATION) / (1 + transfer.DEPOLARISATION / 2)
    _interpolate(
        where, (np.radians(SUNS), np.radians(VIEWS), PRESSURES), tuple(sky), molecular,
        (float(step[1]), float(step[0])), (x, 0.5 * weight, np.ascontiguousarray(share)), out,
    )  # fmt: skip
    path, through, albedo, gas = (row.reshape(parts[0].shape) for row in out)
    return path, through, albedo, gas


@kernel
def _direct(where, nodes, sky, out):  # type: ignore[no-untyped-def]
    """Fill direct and whole transmittance down, and the direct share of that up: (3, place); else as `_interpolate`."""
    sun, view, pressure = where
    suns, pressures = nodes
    weight, loss, thin, thinning = sky
    by_sun, by_sight, by_pressure = np.empty(suns.size), np.empty(suns.size), np.empty(pressures.size)
    for i in range(sun.size):
        mu0, mu = np.cos(sun[i]), np.cos(view[i])
        _lagrange(suns, sun[i], by_sun)
        _lagrange(suns, view[i], by_sight)
        _lagrange(pressures, pressure[i], by_pressure)
        load = (pressure[i] / thinning[0]) ** thinning[1]
        out[:, i] = 0.0
        both = 0.0
        for w in range(weight.size):
            depth = thin[w, 0] * pressure[i] / STANDARD_PRESSURE + load * thin[w, 1]
            down = weight[w] * np.exp(-_loss_at(loss[w], by_pressure, by_sun) / mu0)
            out[0, i] += weight[w] * np.exp(-depth / mu0)
            out[1, i] += down
            out[2, i] += down * np.exp(-depth / mu)
            both += down * np.exp(-_loss_at(loss[w], by_pressure, by_sight) / mu)
        out[2, i] /= both


def direct_transmittance(sky: BandSky, sun: Array, view: Array, pressure: Array) -> tuple[Array, Array, Array]:
    """Return the direct and the whole transmittance down, and the share of the one up that is direct.

    Direct is light that keeps its direction or nearly so: the forward peak of the aerosol counts as unscattered.

    Parameters
    ----------
    sky : BandSky
    sun, view : (...) float64 [deg]
        Zenith angles.
    pressure : (...) float64 [hPa]
    """
    parts = np.broadcast_arrays(np.minimum(np.asarray(sun, np.float64), HIGHEST_SUN), view, pressure)
    flat = [np.array(np.ravel(part), np.float64) for part in parts]
    out = np.empty((3, flat[0].size))
    where = np.radians(flat[0]), np.radians(flat[1]), flat[2]
    _direct(where, (np.radians(SUNS), PRESSURES), (sky.weight, sky.loss, sky.thin, sky.thinning), out)
    direct, whole, share = (row.reshape(parts[0].shape) for row in out)
    return direct, whole, share
