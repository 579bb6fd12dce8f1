"""Sun and viewing angles on the ground."""

import erfa
import numpy as np
from numpy.typing import NDArray
from pyproj import Proj, Transformer

from s2dask.auxdata.time import tt_days, utc_days
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument.earth import EARTH_A, EARTH_F


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
    gps: int, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return solar zenith and azimuth [degree] at ground points and a GPS date [ns]; no refraction."""
    au = 1.496e11
    return zenith_azimuth(sun_direction(gps) * au - itrf(lon, lat, 0.0), lon, lat)


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
    for i in np.flatnonzero(np.isfinite(flat)):
        position[i] = model.state(int(model.date(name, detector, flat[i])))[0]
    return zenith_azimuth(position.reshape(*np.shape(line), 3) - itrf(lon, lat, h), lon, lat)


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
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    return np.asarray(lon), np.asarray(lat)
