"""A simulated pass whose images need no telemetry: what its detectors see, straight to the orthoimages of Level-1C."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.geometry.tiles import tile_at
from s2dask.instrument import LINE_PERIOD, band, unit
from s2dask.io.grids import TileGrid
from s2dask.l1c.stage import OrthoBand, OrthoParameters, TileGeometry, block_pixels, ortho_images, prepare_tile
from s2dask.simulate.auxiliary import write_elevation, write_geoid
from s2dask.simulate.imaging import Camera, Nodes, geoid_height
from s2dask.simulate.landscape import Landscape, build_landscape, landscape_on, sample
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import Pass, plan_pass

Floats = NDArray[np.float64]
Counts = NDArray[np.uint16]
METRES = 111_320.0
"""In a degree of latitude."""
AROUND = 0.012
"""Degrees around the window in which images tell coordinates: more than any filter reaches."""
PAGE = 192
"""Lines of 10 m that are made at a time."""


@dataclass(frozen=True, eq=False)
class Overflight:
    """A simulated pass over its landscape, and what Level-1C is told of both.

    Attributes
    ----------
    job : Pass
    landscape : Landscape
    model : ViewingModel
        Of the orbit and attitude that the satellite tells.
    terrain : Terrain
        Read from the rasters that a session delivers.
    """

    job: Pass
    landscape: Landscape
    model: ViewingModel
    terrain: Terrain

    @classmethod
    def of(cls, folder: Path, options: SimulationOptions) -> "Overflight":
        """Plan a pass, and write what of it Level-1C reads into a folder."""
        job = plan_pass(options)
        mission = job.mission
        ground = np.concatenate([np.reshape(n.ground(h), (2, -1)) for n in job.nodes.values() for h in (0, 2400)], 1)
        (west, south), (east, north) = ground.min(1) - 0.04, ground.max(1) + 0.04
        box = float(west), float(south), float(east), float(north)
        if mission.relief is None:
            landscape = build_landscape(box, mission.centre, options)
        else:
            landscape = landscape_on(*mission.relief(box), box, options)
        write_elevation(folder / "dem", landscape.heights, landscape.relief)
        write_geoid(folder / "geoid.tif", mission.centre)
        mission.write_bulletin(folder / "bulletin.txt")
        eop = EarthOrientation.from_bulletin(folder / "bulletin.txt")
        model = ViewingModel.build(
            mission.platform.reported, job.start, LINE_PERIOD, mission.directions, mission.spacecraft, eop
        )
        return cls(job, landscape, model, Terrain.open(folder / "dem", folder / "geoid.tif", missing="sea"))

    @property
    def grid(self) -> TileGrid:
        """The window that every band sees."""
        return TileGrid(tile_at(*self.job.mission.centre), self.job.crs, *self.job.window)

    @property
    def lines(self) -> dict[str, int]:
        """Lines of the images, by band."""
        return {name: self.job.scenes * band(name).lines_per_scene for name in self.job.options.bands}

    @property
    def camera(self) -> Camera:
        """The instrument above the landscape."""
        return Camera(self.job.options, self.landscape, self.job.mission.centre, min(self.job.start.values()))

    def centres(self, resolution: int) -> tuple[Floats, Floats]:
        """Return longitude and latitude (y, x) [degree] of the pixels of the window."""
        x0, y0, width, height = self.job.window
        x = x0 + resolution * (np.arange(width // resolution) + 0.5)
        y = y0 - resolution * (np.arange(height // resolution) + 0.5)
        lon, lat = Transformer.from_crs(self.job.crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
        return np.asarray(lon), np.asarray(lat)

    def geometry(self) -> TileGeometry:
        """Return what TILE_INIT makes of the window."""
        return prepare_tile(self.model, self.terrain, self.grid, self.lines, self.job.options.detectors, views=False)

    def parameters(self, geometry: TileGeometry, **others: Any) -> OrthoParameters:
        """Return the parameters of the orthoimages of the window, those of radiometry as the unit has them."""
        table, names = unit(self.job.options.unit).bands, self.job.options.bands
        told = OrthoParameters(
            self.job.options.detectors, self.lines, geometry.box, geometry.heights, geometry.sun[0],
            {n: table[n].gain for n in names}, {n: table[n].solar_irradiance for n in names}, 1.0,
        )  # fmt: skip
        return replace(told, **others)

    def ortho(self, name: str, source: "PageSource", parameters: OrthoParameters) -> OrthoBand:
        """Return the orthoimage of a band over the window."""
        grid, r = self.grid, band(name).resolution
        pixels = block_pixels(r, *(slice(0, n) for n in grid.shape(r)))
        ((_, image),) = ortho_images(grid, pixels, (name,), source, self.model, self.terrain, parameters)
        return image


@dataclass
class PageSource:
    """L1B lines, made page by page when they are first read.

    Attributes
    ----------
    size : mapping of str to int
        Lines by band.
    make : callable
        Returns (line, column) uint16 counts of a detector, band, first line and number of lines.
    reads : list of (int, str, int, int)
        Detector, band and range of lines, of every read.
    """

    size: Mapping[str, int]
    make: Callable[[int, str, int, int], Counts]
    reads: list[tuple[int, str, int, int]] = field(default_factory=list)
    pages: dict[tuple[int, str, int], Counts] = field(default_factory=dict)

    def lines(self, name: str) -> int:
        return self.size[name]

    def _page(self, detector: int, name: str, page: int, length: int) -> Counts:
        key = detector, name, page
        if key not in self.pages:
            self.pages[key] = self.make(*key[:2], page * length, length)
        return self.pages[key]

    def read(self, detector: int, name: str, line0: int, line1: int) -> tuple[Counts, Counts]:
        self.reads.append((detector, name, line0, line1))
        length = PAGE // band(name).line_factor
        parts = [self._page(detector, name, p, length) for p in range(line0 // length, -(-line1 // length))]
        counts = np.concatenate(parts)[line0 % length :][: line1 - line0]
        return counts, np.full(counts.shape, detector << 8, np.uint16)


def _between(nodes: Nodes, line: Floats, column: Floats) -> Floats:
    """Return the six terms of the paths of the rays (term, line, column), linear between the nodes."""
    table = nodes.path
    for axis, at in ((1, line / nodes.line[1]), (2, column / nodes.column[1])):
        i = np.clip(at.astype(int), 0, table.shape[axis] - 2)
        share = np.expand_dims(at - i, (0, 3 - axis))
        table = np.take(table, i, axis) * (1 - share) + np.take(table, i + 1, axis) * share
    return table


def _place(path: Floats, height: Floats | float) -> tuple[Floats, Floats]:
    lon, lat = (p[0] + height * (p[1] + height * p[2]) for p in (path[:3], path[3:]))
    return lon, lat


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Images whose counts tell where on the ground each pixel looks: the simulator's own rays on its own terrain.

    Attributes
    ----------
    flight : Overflight
    which : int
        0: longitude, 1: latitude.
    """

    flight: Overflight
    which: int

    @property
    def scale(self) -> tuple[float, float]:
        """Coordinate of count 1000, and counts per degree."""
        place = self.flight.centres(60)[self.which]
        return float(place.min()) - AROUND, 64_000 / (float(np.ptp(place)) + 2 * AROUND)

    def _counts(self, detector: int, name: str, first: int, count: int) -> Counts:
        place = ground(self.flight, detector, name, first, count)[self.which]
        low, per_degree = self.scale
        return np.round(np.clip((place - low) * per_degree, 0, 64_000) + 1000).astype(np.uint16)

    def errors(self, name: str, parameters: OrthoParameters) -> tuple[Floats, OrthoBand]:
        """Return how far from where they should be the pixels of an orthoimage look [m], and that orthoimage."""
        image = self.flight.ortho(name, PageSource(self.flight.lines, self._counts), parameters)
        low, per_degree = self.scale
        places = self.flight.centres(band(name).resolution)
        off = low + (image.counts.astype(np.float64) - 1000) / per_degree - places[self.which]
        return off * METRES * (1.0 if self.which else np.cos(np.radians(places[1]))), image


def ground(flight: Overflight, detector: int, name: str, first: int, count: int) -> tuple[Floats, Floats]:
    """Return longitude and latitude (line, column) [degree] of the pixels of an L1B image, far from the window at sea.

    Of 60 m bands, which are three pixels in one, it is the middle one's.
    """
    b, landscape, centre = band(name), flight.landscape, flight.job.mission.centre
    line = first + np.arange(count, dtype=float)
    column = b.binning * np.arange(b.columns, dtype=float) + (b.binning - 1) / 2
    path = _between(flight.job.nodes[name, detector], line, column)
    lon, lat = _place(path, 0.0)
    around = flight.centres(60)
    near = np.ones(lon.shape, bool)
    for place, edge in zip((lon, lat), around, strict=True):
        near &= (place > edge.min() - 2 * AROUND) & (place < edge.max() + 2 * AROUND)
    rows, columns = (np.flatnonzero(near.any(axis)) for axis in (1, 0))
    if rows.size:
        cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        lon[cut], lat[cut] = _on_terrain(path[:, *cut], landscape, centre)
    return lon, lat


def _on_terrain(path: Floats, landscape: Landscape, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    height: Floats | float = 0.0
    for _ in range(30):
        lon, lat = _place(path, height)
        before = height
        height = sample(landscape.heights, landscape.relief.frame(), lon, lat) + geoid_height(lon, lat, centre)
        if np.abs(height - before).max() < 0.02:
            break
    return _place(path, height)
