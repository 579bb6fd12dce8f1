"""Radiative transfer of one band out of the tables.

Between the nodes a cubic runs through the four nearest of every axis: for light scattered more than once, to which the
single scattering of the very angles is added, and for transmittances as the optical thickness along the vertical that
would make them, ``-mu ln T``.
"""

from functools import lru_cache, partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS
from s2dask.kernels import kernel
from s2dask.l2a.atmosphere import STANDARD_PRESSURE, Coefficients, gas_transmittance, water_dimming
from s2dask.lut.asset import Table, check_names, read_table
from s2dask.lut.single import cosine_of_scattering, single_scattering

Field = NDArray[np.float64]

CONTINENTAL: Final = "continental"
_WIDTH: Final = 4


class Transfer(NamedTuple):
    """The scattering of the atmosphere, the same shape each.

    Attributes
    ----------
    path : (...) float64 [1]
        Reflectance of the atmosphere over a black ground.
    down, up : (...) float64 [1]
        Transmittances, direct and diffuse.
    direct_down, direct_up : (...) float64 [1]
        Their direct parts, ``exp(-tau / mu)`` averaged over the band.
    spherical_albedo : (...) float64 [1]
    """

    path: Field
    down: Field
    up: Field
    direct_down: Field
    direct_up: Field
    spherical_albedo: Field


@kernel
def _cubic(axis, x, weights):  # type: ignore[no-untyped-def]
    """Fill the weights of four nodes around a place, exact for cubics; return the first of the nodes."""
    last = axis.size - _WIDTH
    first = 0
    while first < last and axis[first + 2] <= x:
        first += 1
    for i in range(_WIDTH):
        weight = 1.0
        for j in range(_WIDTH):
            if j != i:
                weight *= (x - axis[first + j]) / (axis[first + i] - axis[first + j])
        weights[i] = weight
    return first


@kernel
def _at_points(values, suns, views, azimuths, aots, pressures, points, out):  # type: ignore[no-untyped-def]
    """Interpolate to points.

    Parameters
    ----------
    values : (sun zenith, view zenith, relative azimuth, aot, pressure) float64
    suns, views, azimuths, aots, pressures : (node) float64
        The five axes.
    points : (point, 5) float64
        Sun zenith, view zenith, relative azimuth, aot, pressure.
    out : (point) float64
        Filled.
    """
    w = np.empty((5, _WIDTH))
    for k in range(points.shape[0]):
        a, b = _cubic(suns, points[k, 0], w[0]), _cubic(views, points[k, 1], w[1])
        c, d = _cubic(azimuths, points[k, 2], w[2]), _cubic(aots, points[k, 3], w[3])
        e = _cubic(pressures, points[k, 4], w[4])
        total = 0.0
        for i in range(_WIDTH):
            for j in range(_WIDTH):
                for m in range(_WIDTH):
                    part = 0.0
                    for n in range(_WIDTH):
                        line = values[a + i, b + j, c + m, d + n]
                        inner = (
                            w[4, 0] * line[e] + w[4, 1] * line[e + 1] + w[4, 2] * line[e + 2] + w[4, 3] * line[e + 3]
                        )
                        part += w[3, n] * inner
                    total += w[0, i] * w[1, j] * w[2, m] * part
        out[k] = total


@kernel
def _at_zeniths(values, zeniths, aots, pressures, points, out):  # type: ignore[no-untyped-def]
    """Interpolate (zenith, aot, pressure) to points (point, 3) of the same order."""
    w = np.empty((3, _WIDTH))
    for k in range(points.shape[0]):
        a, d = _cubic(zeniths, points[k, 0], w[0]), _cubic(aots, points[k, 1], w[1])
        e = _cubic(pressures, points[k, 2], w[2])
        total = 0.0
        for i in range(_WIDTH):
            for n in range(_WIDTH):
                for m in range(_WIDTH):
                    total += w[0, i] * w[1, n] * w[2, m] * values[a + i, d + n, e + m]
        out[k] = total


@lru_cache(maxsize=16)
def table(unit: str, aerosol: str = CONTINENTAL, folder: str | None = None) -> Table:
    """Return the table of a unit, with thicknesses along the vertical in place of its transmittances.

    Parameters
    ----------
    unit : str
    aerosol : str
    folder : str, optional
        Of tables that the user has built; default: those that come with s2dask.

    Returns
    -------
    Table
    """
    check_names(unit, aerosol)
    found = read_table(unit, aerosol, folder)
    cosine = np.cos(np.radians(found.zenith))[:, np.newaxis, np.newaxis]
    return found._replace(
        transmittance=-cosine * np.log(found.transmittance), direct=-cosine * np.log(np.maximum(found.direct, 1e-300))
    )


def _checked(name: str, values: ArrayLike, low: float, high: float, unit: str, clamp: bool) -> Field:
    found = np.asarray(values, np.float64)
    if np.isnan(found).any():
        raise InputError("not a number", name, "give a value everywhere")
    if clamp:
        return np.clip(found, low, high)
    if found.size and not (found.min() >= low and found.max() <= high):
        worst = float(found.max() if found.max() > high else found.min())
        raise InputError(f"{worst:g} {unit}".rstrip(), name, f"the tables hold {low:g} to {high:g}")
    return found


def _folded(azimuth: ArrayLike) -> Field:
    """Return an azimuth difference of any turn as 0 to 180 deg."""
    with np.errstate(invalid="ignore"):  # infinity turns into NaN, which is refused
        return np.asarray(np.abs((np.asarray(azimuth, np.float64) + 180.0) % 360.0 - 180.0))


def _points(t: Table, fields: dict[str, ArrayLike], clamp: bool) -> tuple[tuple[int, ...], Field]:
    units = {"sun_zenith": "deg", "view_zenith": "deg", "pressure": "hPa"}
    checked = [
        _checked(name, values, getattr(t, name)[0], getattr(t, name)[-1], units.get(name, ""), clamp)
        for name, values in fields.items()
    ]
    shape = np.broadcast_shapes(*(field.shape for field in checked))
    return shape, np.stack([np.broadcast_to(field, shape).ravel() for field in checked], axis=-1)


def _transmitted(values: Field, t: Table, points: Field) -> Field:
    out = np.empty(points.shape[0])
    _at_zeniths(values, t.zenith, t.aot, t.pressure, points, out)
    return np.asarray(np.exp(-out / np.cos(np.radians(points[:, 0]))))


def _single(t: Table, at: int, points: Field) -> Field:
    sun, view, azimuth, aot, pressure = points.T
    cosine = cosine_of_scattering(sun, view, azimuth)
    phase = np.interp(np.degrees(np.arccos(cosine)), t.angle, t.phase[at])
    air, dust, scattered = t.thin[at]
    return single_scattering(air * pressure / STANDARD_PRESSURE, dust * aot, scattered * aot, phase, cosine, sun, view)


def transfer(
    unit: str,
    band: str,
    sun_zenith: ArrayLike,
    view_zenith: ArrayLike,
    relative_azimuth: ArrayLike,
    aot: ArrayLike,
    pressure: ArrayLike,
    *,
    aerosol: str = CONTINENTAL,
    folder: str | None = None,
    clamp: bool = False,
) -> Transfer:
    """Return the scattering of a band; the arguments broadcast.

    Parameters
    ----------
    unit, band : str
    sun_zenith, view_zenith : (...) float [deg]
    relative_azimuth : (...) float [deg]
        Sun minus view azimuth, both seen from the target: 0 is the backscatter side. Any turn.
    aot : (...) float [1]
        At 550 nm, above the ground.
    pressure : (...) float [hPa]
        At the ground.
    aerosol : str
    folder : str, optional
        Of tables built by the user.
    clamp : bool
        Take the end of an axis for what lies beyond it, instead of refusing it.

    Returns
    -------
    Transfer

    Raises
    ------
    InputError
        Not a number, or outside the table.
    ConfigurationError
        No such band.
    """
    t = table(unit, aerosol, folder)
    if band not in BANDS:
        raise ConfigurationError(f"no band {band!r}", "band", f"one of {', '.join(BANDS)}")
    at = list(BANDS).index(band)
    shape, points = _points(
        t,
        {
            "sun_zenith": sun_zenith,
            "view_zenith": view_zenith,
            "relative_azimuth": _folded(relative_azimuth),
            "aot": aot,
            "pressure": pressure,
        },
        clamp,
    )
    path, flat = np.empty(points.shape[0]), np.empty(points.shape[0])
    _at_points(t.multiple[at], t.sun_zenith, t.view_zenith, t.relative_azimuth, t.aot, t.pressure, points, path)
    path += _single(t, at, points)
    down, up = (np.ascontiguousarray(points[:, [which, 3, 4]]) for which in (0, 1))
    parts = [_transmitted(values[at], t, way) for values in (t.transmittance, t.direct) for way in (down, up)]
    level = np.repeat(t.spherical_albedo[at][np.newaxis], _WIDTH, axis=0)
    _at_zeniths(level, np.arange(float(_WIDTH)), t.aot, t.pressure, down * [0, 1, 1], flat)
    return Transfer(*(part.reshape(shape) for part in (np.maximum(path, 0.0), *parts, flat)))


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
    aerosol: str = CONTINENTAL,
    *,
    folder: str | None = None,
    clamp: bool = False,
) -> Coefficients:
    """Return the coefficients of a band; the arguments broadcast.

    Parameters
    ----------
    unit, band : str
    sun_zenith, view_zenith, relative_azimuth : (...) float [deg]
        See `transfer`.
    aot, pressure : (...) float [1, hPa]
    water_vapour : (...) float [cm]
        Above the ground.
    ozone : (...) float [DU]
    aerosol, folder, clamp
        See `transfer`.

    Returns
    -------
    Coefficients
        The path reflectance is such that ``gas path`` is dimmed by water vapour as in 6S: see `water_dimming`.
    """
    scattering_of = partial(
        transfer, unit, band, sun_zenith, view_zenith, relative_azimuth, aerosol=aerosol, folder=folder, clamp=clamp
    )
    scattering = scattering_of(aot, pressure)
    vapour, column = (
        _checked(name, values, 0.0, np.inf, "", clamp)
        for name, values in (("water_vapour", water_vapour), ("ozone", ozone))
    )
    t = table(unit, aerosol, folder)
    sun = np.clip(sun_zenith, 0.0, t.sun_zenith[-1])
    mass = 1 / np.cos(np.radians(sun)) + 1 / np.cos(np.radians(np.clip(view_zenith, 0.0, t.view_zenith[-1])))
    gas = gas_transmittance(unit, band, mass, pressure, vapour, column)
    molecular = scattering_of(0.0, pressure).path if vapour.any() else 0.0
    dimming = water_dimming(unit, band, mass, vapour, molecular, scattering.path)
    shape = np.broadcast_shapes(scattering.path.shape, gas.shape, dimming.shape)
    parts = (scattering.path * dimming, scattering.down * scattering.up, scattering.spherical_albedo, gas)
    return Coefficients(*(np.broadcast_to(part, shape).astype(np.float64) for part in parts))
