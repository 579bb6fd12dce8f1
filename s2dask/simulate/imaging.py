"""From ground to radiance: rays traced to the terrain on a coarse grid of the image, then pixels on their own rays."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import erfa
import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.time import NANO, gps_to_utc
from s2dask.instrument import BANDS, unit
from s2dask.instrument.solar import reflectance_conversion
from s2dask.kernels import kernel
from s2dask.simulate import ground_light
from s2dask.simulate.landscape import CELL, CLOUD_HEIGHT, METRES_PER_DEGREE, SHADE, Landscape, bilinear, blurred, sample
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.platform import Platform, line_seconds
from s2dask.simulate.sky import at_sensor, direct_light, forward, sun_position
from s2dask.simulate.spectra import cloud_reflectance

Array = NDArray[np.float64]
NODE_LINES: Final = 60
"""Node spacing along track, in 10 m lines."""
NODE_COLUMNS: Final = 44
"""Cells across a detector."""
LEVELS: Final = np.array([0.0, 1200.0, 2400.0])
"""Ellipsoidal heights at which rays are met [m]."""
GEOID: Final = (48.0, 0.35, -0.20)
"""Height of the simulated geoid at the window's centre [m] and its slope [m/deg] to east and north."""
DEGREE: Final = 3
"""Of the polynomials in the height that stand for the sky."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """What is known of the rays of one band and detector on a coarse grid of the image.

    Attributes
    ----------
    line, column : (node) float64
        In lines of the band, and useful raw columns.
    path : (6, line, column) float64
        Polynomials in the height [m] of longitude and latitude [deg], low degree first.
    view : (2, line, column) float64
        Zenith and azimuth of the satellite at the ground [deg].
    seconds : (line) float64
        Of the platform's time.
    """

    line: Array
    column: Array
    path: Array
    view: Array
    seconds: Array

    def ground(self, height: float) -> tuple[Array, Array]:
        """Return longitude and latitude (line, column) at a height [deg]."""
        powers = height ** np.arange(3)
        return np.tensordot(powers, self.path[:3], 1), np.tensordot(powers, self.path[3:], 1)


def _meet(origin: Array, direction: Array, height: float) -> Array:
    """Return the points (…, 3) where rays meet the ellipsoid raised by a height [m]."""
    a, b = 6_378_137.0 + height, 6_356_752.314245 + height
    scale = np.array([1 / a, 1 / a, 1 / b])
    o, d = origin * scale, direction * scale
    p, q, r = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1
    t = (-q - np.sqrt(q * q - p * r)) / p
    return np.asarray(origin + t[..., None] * direction)


def trace(platform: Platform, sight: Array, band: str, first_line_date: int, lines: int) -> Nodes:
    """Trace the rays of the nodes of a band and detector.

    Parameters
    ----------
    platform : Platform
    sight : (column, 3) float64
        Lines of sight of the L1B columns in the piloting frame.
    band : str
    first_line_date : int
        Centre of line 0, GPS [ns].
    lines : int
    """
    b = BANDS[band]
    step = NODE_LINES // b.line_factor
    line = np.arange(0, lines + step, step, dtype=float)
    column = np.linspace(0, b.useful_columns, NODE_COLUMNS + 1)
    where = column if b.binning == 1 else (column - (b.binning - 1) / 2) / b.binning
    i = np.clip(np.floor(where).astype(int), 0, b.columns - 2)
    u = (where - i)[:, None]
    seconds = line_seconds(platform, first_line_date, band, line)
    origin, direction = platform.rays(seconds, sight[i] * (1 - u) + sight[i + 1] * u)
    places = []
    for height in LEVELS:
        lon, lat, _ = erfa.gc2gd(1, _meet(origin[:, None, :], direction, height))
        places.append((np.degrees(lon), np.degrees(lat)))
    vandermonde = np.linalg.inv(np.vander(LEVELS, 3, increasing=True))
    path = np.concatenate([np.tensordot(vandermonde, np.stack([p[k] for p in places]), 1) for k in (0, 1)])
    return Nodes(line, column, path, _view(direction, *places[0]), seconds)


def _view(direction: Array, lon: Array, lat: Array) -> Array:
    """Zenith and azimuth of the satellite seen from the ground."""
    phi, lam = np.radians(lat), np.radians(lon)
    up = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)
    east = np.stack([-np.sin(lam), np.cos(lam), 0 * lam], -1)
    north = np.cross(up, east)
    back = -direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    zenith = np.degrees(np.arccos(np.clip((back * up).sum(-1), -1, 1)))
    return np.stack([zenith, np.degrees(np.arctan2((back * east).sum(-1), (back * north).sum(-1))) % 360.0])


def geoid_height(lon: Array, lat: Array, centre: tuple[float, float]) -> Array:
    """Return the height of the simulated geoid above the ellipsoid [m]."""
    return np.asarray(GEOID[0] + GEOID[1] * (lon - centre[0]) + GEOID[2] * (lat - centre[1]))


def sun_radiance(options: SimulationOptions, band: str, start: int) -> float:
    """Return the radiance of a white target under a zenith sun [W m-2 sr-1 um-1]."""
    distance = reflectance_conversion(gps_to_utc(start))
    return float(unit(options.unit).bands[band].solar_irradiance * distance / np.pi)


def shadow_shift(sun: tuple[Array, Array], lat: Array) -> tuple[Array, Array]:
    """Return how far a shadow lies from its cloud, in degrees of longitude and latitude per metre of height."""
    reach = np.tan(np.radians(sun[0]))
    north = reach * np.cos(np.radians(sun[1])) / METRES_PER_DEGREE
    return reach * np.sin(np.radians(sun[1])) / (METRES_PER_DEGREE * np.cos(np.radians(lat))), north


def _node_table(
    nodes: Nodes, options: SimulationOptions, band: str, date: int, top: float
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Stack what the pixel kernel mixes between nodes (line, column, quantity), and the shadow's shift."""
    lon, lat = nodes.ground(0.0)
    sun = sun_position(date, lon, lat)
    view = (nodes.view[0], nodes.view[1])
    heights = 0.5 * top * (1 - np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1)))
    powers = np.arange(DEGREE + 1)
    to_power = np.linalg.inv(np.vander(heights / top, DEGREE + 1, increasing=True)) / float(top) ** powers[:, None]
    at_heights = []
    for height in heights:
        path, through, albedo, gas = forward(options, band, sun, view, np.asarray(height))
        share = direct_light(options, band, sun[0], view[0], np.asarray(height))[2]
        parts = gas * path, through * share, through * (1 - share), albedo, np.log(gas)
        at_heights.append([np.broadcast_to(part, lon.shape) for part in parts])
    rows = [*nodes.path]
    for k in range(len(at_heights[0])):
        rows.extend(np.tensordot(to_power, np.stack([parts[k] for parts in at_heights]), 1))
    cloud = forward(options, band, sun, view, np.asarray(CLOUD_HEIGHT))
    rows.append(at_sensor(cloud, np.asarray(cloud_reflectance(band))))
    rows.append(np.cos(np.radians(sun[0])) * sun_radiance(options, band, date))
    middle = lon.shape[0] // 2, lon.shape[1] // 2
    shift = shadow_shift((sun[0][middle], sun[1][middle]), lat[middle])
    return np.ascontiguousarray(np.stack(rows, -1)), (float(shift[0]), float(shift[1]))


@kernel
def _mix(table, v, i, out):  # type: ignore[no-untyped-def]
    for n in range(table.shape[1]):
        for q in range(table.shape[2]):
            out[n, q] = table[i, n, q] * (1.0 - v) + table[i + 1, n, q] * v


@kernel
def _cubic(q, k, h):  # type: ignore[no-untyped-def]
    return q[k] + h * (q[k + 1] + h * (q[k + 2] + h * q[k + 3]))


@kernel
def _render(table, step, first, fields, alone, heights, relief, geoid, shift, out):  # type: ignore[no-untyped-def]
    """Radiance of every pixel (line, useful column) from line `first` on; `fields` as `Fields`."""
    field, frame, opacity, cloud_frame, around, near_frame = fields
    row = np.empty((table.shape[1], table.shape[2]))
    q = np.empty(table.shape[2])
    west, north = relief[0], relief[1]
    east, south = west + relief[2] * (heights.shape[1] - 1), north - relief[3] * (heights.shape[0] - 1)
    hc = 2200.0
    for r in range(out.shape[0]):
        y = (first + r) / step[0]
        i = min(int(y), table.shape[0] - 2)
        _mix(table, y - i, i, row)
        h = geoid[0]
        for c in range(out.shape[1]):
            x = c / step[1]
            n = min(int(x), table.shape[1] - 2)
            u = x - n
            for k in range(table.shape[2]):
                q[k] = row[n, k] * (1.0 - u) + row[n + 1, k] * u
            lon, lat, land = 0.0, 0.0, 0.0
            for _ in range(12):
                lon, lat = q[0] + h * (q[1] + h * q[2]), q[3] + h * (q[4] + h * q[5])
                if lon > west and lon < east and lat < north and lat > south:
                    land = bilinear(heights, relief, lon, lat)
                else:
                    land = 0.0
                new = land + geoid[0] + geoid[1] * (lon - geoid[3]) + geoid[2] * (lat - geoid[4])
                change = new - h
                h = new
                if abs(change) < 0.02:
                    break
            shade = bilinear(opacity, cloud_frame, lon + (hc - h) * shift[0], lat + (hc - h) * shift[1])
            lit = bilinear(field, frame, lon, lat) * (1.0 - 0.65 * shade)
            near = lit if alone else bilinear(around, near_frame, lon, lat)
            seen = _cubic(q, 10, h) * lit + _cubic(q, 14, h) * near
            toa = _cubic(q, 6, h) + np.exp(_cubic(q, 22, h)) * seen / (1.0 - _cubic(q, 18, h) * near)
            cover = bilinear(opacity, cloud_frame, q[0] + hc * (q[1] + hc * q[2]), q[3] + hc * (q[4] + hc * q[5]))
            out[r, c] = (toa + cover * (q[26] - toa)) * q[27]


if (CLOUD_HEIGHT, SHADE) != (2200.0, 0.65):  # pragma: no cover - the kernel holds the two as literals
    raise RuntimeError("the kernel of s2dask.simulate.imaging and the landscape disagree")


class Fields(NamedTuple):
    """What a band sees of the ground and the clouds, each with the frame of its lattice.

    Attributes
    ----------
    lit : (row, column) float32 [1]
        Surface reflectance times the light on it over that on level ground, as the instrument blurs it.
    opacity : (row, column) float32 [1]
        Of the clouds, blurred.
    around : (row, column) float32 [1]
        Mean of what `lit` is before it is blurred, over a kilometre to every side.
    """

    lit: NDArray[np.float32]
    lit_frame: Array
    opacity: NDArray[np.float32]
    opacity_frame: Array
    around: NDArray[np.float32]
    around_frame: Array


@dataclass(frozen=True, eq=False)
class Camera:
    """A band of the instrument above a landscape.

    Attributes
    ----------
    options : SimulationOptions
    landscape : Landscape
    centre : (lon, lat)
        Origin of the geoid [deg].
    date : int
        Sensing start, to which sun and distance refer, GPS [ns].
    """

    options: SimulationOptions
    landscape: Landscape
    centre: tuple[float, float]
    date: int

    def psf(self, band: str) -> float:
        """Return the deviation of the point spread of a band on the ground [m]."""
        b = unit(self.options.unit).bands[band]
        return 0.5 * (b.psf_sigma_lines + b.psf_sigma_columns) * BANDS[band].resolution

    def above(self, box: tuple[float, float, float, float]) -> "Camera":
        """Return the camera above the part of its landscape that matters in a (west, south, east, north) [deg]."""
        return replace(self, landscape=self.landscape.around(box))

    @cached_property
    def slopes(self) -> ground_light.Slopes:
        """The lie of the land."""
        geoid = geoid_height(*self._posts(), self.centre)
        return ground_light.lie(self.landscape.heights, self.landscape.relief, geoid, self.date)

    def _posts(self) -> tuple[Array, Array]:
        """Return longitude and latitude of the posts of the relief [deg]."""
        relief = self.landscape.relief
        lon, lat = np.meshgrid(relief.longitudes(), relief.latitudes())
        return lon, lat

    def _light(self, band: str, around: NDArray[np.float32], frame: Array) -> NDArray[np.float32]:
        """Return the light on the posts of the relief over that on level ground."""
        at_posts = sample(around, frame, *self._posts())
        return ground_light.light_on(self.slopes, self.options, band, at_posts).astype(np.float32)

    def fields(self, band: str) -> Fields:
        """Return what a band sees of the ground and the clouds."""
        lattice, image = self.landscape.surface, self.landscape.image(band)
        around = ground_light.surroundings(image, lattice, CELL)
        if self.options.slopes:
            light = self._light(band, *around)
            ground_light.shine(image, lattice.frame(), light, self.landscape.relief.frame())
            around = ground_light.surroundings(image, lattice, CELL)
        opacity = self.landscape.opacity(0.45 * BANDS[band].resolution)
        return Fields(*blurred(image, lattice, self._spread(band)), *opacity, *around)

    def _spread(self, band: str) -> float:
        """Return the deviation of the point spread of a band on the ground [m], as much of it as the lattice shows."""
        return max(self.psf(band), 0.3 * CELL)

    def surface(self, band: str, lon: Array, lat: Array) -> Array:
        """Return the surface reflectance of a band at places, as the instrument blurs it."""
        box = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
        return sample(*self.landscape.reflectance(band, self._spread(band), box), lon, lat)

    def radiance(self, band: str, nodes: Nodes, lines: int, fields: Fields, first: float = 0.0) -> NDArray[np.float32]:
        """Return the radiance (line, useful column) float32 [W m-2 sr-1 um-1] of a band and detector from a line on."""
        top = float(self.landscape.heights.max()) + 120.0
        table, shift = _node_table(nodes, self.options, band, self.date, max(top, 300.0))
        out = np.empty((lines, BANDS[band].useful_columns), np.float32)
        geoid = np.array([*GEOID, *self.centre])
        _render(
            table, (nodes.line[1], nodes.column[1]), first, tuple(fields), not self.options.surroundings,
            self.landscape.heights, self.landscape.relief.frame(), geoid, np.array(shift), out,
        )  # fmt: skip
        return out


def middle_date(platform: Platform, nodes: Nodes) -> int:
    """Return the GPS date [ns] in the middle of the nodes."""
    return platform.origin + round(float(nodes.seconds.mean()) * NANO)
