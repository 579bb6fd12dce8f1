"""Sun and viewing angles on the ground."""

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Proj

from s2dask.auxdata.time import tt_days, utc_days
from s2dask.geometry.inverse_grid import TileView
from s2dask.geometry.tiles import map_positions
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument.earth import EARTH_A, EARTH_F

_MANY, _NODES = 4096, 100_000_000


def itrf(lon: NDArray[np.float64], lat: NDArray[np.float64], h: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return ITRF coordinates (…, 3) [m] of geodetic ones [degree, degree, m]."""
    e2 = EARTH_F * (2 - EARTH_F)
    la, lo = np.radians(lat), np.radians(lon)
    n = EARTH_A / np.sqrt(1 - e2 * np.sin(la) ** 2)
    return np.stack(
        [(n + h) * np.cos(la) * np.cos(lo), (n + h) * np.cos(la) * np.sin(lo), (n * (1 - e2) + h) * np.sin(la)], -1
    )


def zenith_azimuth(
    vector: NDArray[np.float64], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return zenith and azimuth [degree, clockwise from north] of ITRF directions (…, 3) seen from ground points."""
    la, lo = np.radians(lat), np.radians(lon)
    v = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    east = -np.sin(lo) * v[..., 0] + np.cos(lo) * v[..., 1]
    north = -np.sin(la) * (np.cos(lo) * v[..., 0] + np.sin(lo) * v[..., 1]) + np.cos(la) * v[..., 2]
    up = np.cos(la) * (np.cos(lo) * v[..., 0] + np.sin(lo) * v[..., 1]) + np.sin(la) * v[..., 2]
    zenith = np.degrees(np.arctan2(np.hypot(east, north), up))
    return zenith, np.degrees(np.arctan2(east, north)) % 360.0


def sun_direction(gps: int) -> NDArray[np.float64]:
    """Return the ITRF direction of the sun from the Earth's centre at a GPS date [ns].

    Apparent direction: Earth ephemeris (erfa.epv00) with annual aberration; polar motion and UT1-UTC are left out
    (below 0.002 degree).
    """
    date = np.array([gps], np.int64)
    day, tt = (float(v[0]) for v in tt_days(date))
    utc_day, utc = (float(v[0]) for v in utc_days(date))
    heliocentric, barycentric = erfa.epv00(2400000.5 + day, tt)
    sun = -np.asarray(heliocentric["p"])
    velocity = np.asarray(barycentric["v"]) / 173.1446327
    apparent = sun / np.linalg.norm(sun) + velocity
    x, y, s = erfa.xys06a(2400000.5 + day, tt)
    turn = erfa.rz(erfa.era00(2400000.5 + utc_day, utc), erfa.c2ixys(x, y, s))
    return np.asarray(turn @ (apparent / np.linalg.norm(apparent)))


def sun_angles(
    gps: int | NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return solar zenith and azimuth [degree] at ground points; no refraction.

    Parameters
    ----------
    gps : int or (…) int64
        GPS date [ns] of all points, or of each.
    lon, lat : (…) float64 [degree]
    """
    au = 1.496e11
    direction = sun_direction(gps) if isinstance(gps, int) else _sun_directions(gps)
    return zenith_azimuth(direction * au - itrf(lon, lat, 0.0), lon, lat)


def _sun_directions(gps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return directions (…, 3) of the sun, linear over spans of 10 s at most: 1e-7 rad."""
    first, last = int(gps.min()), int(gps.max())
    nodes = np.linspace(0, last - first, max(2, -(-(last - first) // 10_000_000_000) + 1)).astype(np.int64)
    known = np.array([sun_direction(first + int(node)) for node in nodes])
    return np.stack([np.interp(gps - first, nodes, column) for column in known.T], -1)


def view_angles(
    model: ViewingModel,
    name: str,
    detector: int,
    line: NDArray[np.float64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    h: NDArray[np.float64] | float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return viewing zenith and azimuth [degree] at ground points seen in given lines; NaN where the line is NaN."""
    flat = np.asarray(line, float).ravel()
    position = np.full((flat.size, 3), np.nan)
    known = np.isfinite(flat)
    if known.any():
        position[known] = _positions(model, model.date(name, detector, flat[known]))
    return zenith_azimuth(position.reshape(*np.shape(line), 3) - itrf(lon, lat, h), lon, lat)


def _positions(model: ViewingModel, gps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ITRF positions (date, 3) [m] of the satellite; of very many dates linear over 0.1 s, which is 1 cm."""
    after = gps - gps.min()
    nodes = np.unique(after) if after.size < _MANY else np.arange(0, after.max() + _NODES, _NODES)
    known = np.array([model.state(int(gps.min() + node))[0] for node in nodes])
    return np.stack([np.interp(after, nodes, column) for column in known.T], -1)


def pixel_angles(
    view: TileView, x: ArrayLike, y: ArrayLike, height: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sun and viewing angles (angle, …) [degree] of the pixels of a tile: zenith and azimuth from true north.

    Parameters
    ----------
    view : TileView
        Of the detector that the pixels are taken from.
    x, y : (…) float [m]
        Map places.
    height : (…) float [m]
        Ellipsoidal.

    Returns
    -------
    sun, view : (2, …) float64 [degree]
        At the date at which each pixel is seen; NaN where the detector does not look.
    """
    x, y, h = (np.asarray(a, np.float64) for a in np.broadcast_arrays(x, y, height))
    left, _, _, top = view.bounds
    lon, lat = map_positions(view.crs, (left, top), x, y)
    line, _ = view.locate(x, y, h)
    sun = np.full((2, *line.shape), np.nan)
    known = np.isfinite(line)
    if known.any():
        dates = view.model.date(view.name, view.detector, line[known])
        sun[:, known] = sun_angles(dates, lon[known], lat[known])
    return sun, np.stack(view_angles(view.model, view.name, view.detector, line, lon, lat, h))


def grid_azimuth(
    azimuth: NDArray[np.float64], crs: str, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return azimuths from grid north [degree] of azimuths from true north."""
    convergence = np.asarray(Proj(crs).get_factors(lon, lat).meridian_convergence)
    return np.asarray((azimuth - convergence) % 360.0)


def node_positions(
    crs: str, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude (y, x) [degree] of map nodes."""
    return map_positions(crs, (float(x[0]), float(y[0])), *np.meshgrid(x, y))
