"""The air above a rectangle of cells and the light on it, and the reflectance of the ground seen through it."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.l2a import cirrus
from s2dask.l2a.atmosphere import water_vapour_at
from s2dask.l2a.band_lines import band_lines
from s2dask.l2a.cells import between_nodes, cell_means, repeat
from s2dask.l2a.conditions import Conditions, tangents
from s2dask.l2a.correction import coefficient_table, over_cells, water_law
from s2dask.l2a.inversion import LINES, invert
from s2dask.l2a.slopes import MARGIN, Relief, relief
from s2dask.l2a.surroundings import node_positions
from s2dask.l2a.tile_atmosphere import AtmosphereState
from s2dask.l2a.tile_images import TileImages, read_image, read_slots
from s2dask.l2a.water_vapour import retrieve, side_weight, smooth
from s2dask.l2a.window import CELL, Window

RELIEF_FACTOR: Final = 3
"""Pixels of the relief on the edge of a cell: they are 20 m."""
LEVEL: Final = np.zeros((0, 0), np.float32)
"""How level ground faces the sun, for `s2dask.l2a.inversion.invert`."""

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Heights(Protocol):
    """An elevation model, such as `s2dask.auxdata.terrain.Terrain`."""

    def height(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the height of the ground at places [deg]: (...) float64 [m]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """The atmosphere above a rectangle of cells, and the light on the ground.

    Attributes
    ----------
    cells : Window
    elevation : (row, column) float32 [m]
    aot : (row, column) float64 [1]
        Aerosol optical thickness at 550 nm.
    water_vapour : (row, column) float64 [cm]
    cirrus : (row, column) float32 [1]
        Reflectance in B10 to be taken off.
    land : Relief or None
        Pixels of 20 m; None where slopes do not matter.
    sky : (row, column) float32 [1]
        Share of the sky that the cells see.
    cosines : dict of int to (y, x) float32 [1]
        How pixels face the sun over how level ground does, by resolution [m] ...
    lines : dict of str to (row, column, 6) float32
        ... and numbers of the bands by which pixels are inverted, as far as they were asked for.
    """

    cells: Window
    elevation: Float
    aot: NDArray[np.float64]
    water_vapour: NDArray[np.float64]
    cirrus: Float
    land: Relief | None
    sky: Float
    cosines: dict[int, Float] = field(default_factory=dict)
    lines: dict[str, Float] = field(default_factory=dict)

    def cosine(self, window: Window) -> Float:
        """Return how the pixels of a window face the sun over how level ground does, empty where all is level."""
        if self.land is None:
            return LEVEL
        if window.resolution not in self.cosines:
            here: Float = self.land.cosine
            if window.factor > RELIEF_FACTOR:
                here = repeat(here, window.factor // RELIEF_FACTOR, *window.shape)
            elif window.factor < RELIEF_FACTOR:
                here = cell_means(here, RELIEF_FACTOR // window.factor)
            self.cosines[window.resolution] = np.ascontiguousarray(here[: window.shape[0], : window.shape[1]])
        return self.cosines[window.resolution]


def cells_of(tile: TileImages, window: Window) -> Window:
    """Return the cells that hold the pixels of a window."""
    return window.at(CELL, tile.grid.shape(CELL))


def elevation_of(conditions: Conditions, terrain: Heights | None, cells: Window, margin: int = 0) -> Float:
    """Return the elevation of cells [m], with `margin` more on every side."""
    rows, columns = (n + 2 * margin for n in cells.shape)
    if terrain is None:
        return np.zeros((rows, columns), np.float32)
    lon, lat = conditions.places(cells.rows.start - margin, cells.columns.start - margin, (rows, columns))
    return terrain.height(lon, lat).astype(np.float32)


def _relief(conditions: Conditions, terrain: Heights, cells: Window) -> Relief:
    """Return how the ground of cells faces the sun, on pixels of 20 m."""
    f = RELIEF_FACTOR
    fine = replace(conditions, cell=conditions.cell / f)
    rows, columns = (slice(f * span.start, f * span.stop) for span in (cells.rows, cells.columns))
    pixels = Window(CELL // f, rows, columns)
    y, x = (fine.positions(n, m) for n, m in zip(pixels.origin, pixels.shape, strict=True))
    east, north = (between_nodes(np.ascontiguousarray(part), y, x) for part in tangents(conditions.sun))
    return relief(elevation_of(fine, terrain, pixels, MARGIN), fine.cell, (east, north))


@lru_cache(maxsize=32)
def settled_table(state: AtmosphereState, name: str) -> NDArray[np.float64]:
    """Return the coefficients of a band under the settled aerosol, see `s2dask.l2a.correction.coefficient_table`."""
    return coefficient_table(state.nodes, name, state.aerosol.at_heights(state.heights), state.heights)


def _coefficients(
    tile: TileImages, state: AtmosphereState, name: str, cells: Window, elevation: Float
) -> NDArray[np.float64]:
    slots = read_slots(tile, state.nodes, name, cells)
    return over_cells(state.nodes, settled_table(state, name), state.heights, cells.origin, slots, elevation)


def in_cells(packed: Bytes, tile: TileImages, cells: Window) -> NDArray[np.bool_]:
    """Return a rectangle of a mask of the tile's cells."""
    width = tile.grid.shape(CELL)[1]
    bits = np.unpackbits(packed[cells.rows], axis=1, count=width)[:, cells.columns]
    return np.asarray(bits == 1)


def _vapour_above(
    tile: TileImages, state: AtmosphereState, terrain: Heights | None, cells: Window
) -> NDArray[np.float64]:
    """Return the water vapour above cells, smoothed [cm]; one cell more on each side is looked at."""
    wider = cells.wider(1, tile.grid.shape(CELL))
    elevation = elevation_of(state.conditions, terrain, wider)
    scale = water_vapour_at(elevation, 1.0)
    rows, columns = (state.conditions.positions(n, m) for n, m in zip(wider.origin, wider.shape, strict=True))
    expected = scale * between_nodes(state.vapour.field, rows, columns)
    found, out = np.empty(wider.shape), np.empty(wider.shape)
    laws = water_law(state.conditions.unit, "B8A"), water_law(state.conditions.unit, "B09")
    near, deep = (_coefficients(tile, state, name, wider, elevation) for name in ("B8A", "B09"))
    b8a, b09 = (read_image(tile, name, wider) for name in ("B8A", "B09"))
    retrieve(b8a, b09, near, deep, laws[0], laws[1], expected, in_cells(state.cloud, tile, wider), found)
    smooth(found, scale, side_weight(state.conditions.cell), expected, out)
    return np.ascontiguousarray(out[cells.inside(wider)])


def air_above(tile: TileImages, state: AtmosphereState, terrain: Heights | None, cells: Window) -> Air:
    """Return elevation, aerosol, water vapour, cirrus and light of a rectangle of cells."""
    elevation = elevation_of(state.conditions, terrain, cells)
    rows, columns = (state.nodes.positions(n, m) for n, m in zip(cells.origin, cells.shape, strict=True))
    aot = state.aerosol.over_cells(rows, columns, elevation)
    vapour = _vapour_above(tile, state, terrain, cells)
    veil = np.zeros(cells.shape, np.float32)
    if state.growth:
        veil = cirrus.cirrus_reflectance(read_image(tile, "B10", cells), vapour)
    land, sky = None, np.ones(cells.shape, np.float32)
    if terrain is not None and state.sloped:
        land = _relief(state.conditions, terrain, cells)
        sky = cell_means(land.sky, RELIEF_FACTOR)
    return Air(cells, elevation, aot, vapour, veil, land, sky)


def _around(state: AtmosphereState, name: str, cells: Window) -> Float:
    """Return the reflectance of what surrounds cells, NaN where it is not asked for."""
    if name not in state.surroundings:
        return np.full(cells.shape, np.nan, np.float32)
    rows, columns = (node_positions(n, m) for n, m in zip(cells.origin, cells.shape, strict=True))
    nodes = state.surroundings[name].astype(np.float64)
    return np.asarray(between_nodes(nodes, rows, columns), np.float32)


def _lines(tile: TileImages, state: AtmosphereState, air: Air, name: str) -> Float:
    """Return the numbers by which the pixels of a band are inverted; kept with the air."""
    if name not in air.lines:
        window, heights = air.cells, state.heights
        out = np.empty((*window.shape, LINES), np.float32)
        law, growth = water_law(state.conditions.unit, name), state.growth.get(name, state.growth.get("B02", 0.0))
        rows, columns = (state.nodes.positions(n, m) for n, m in zip(window.origin, window.shape, strict=True))
        band_lines(
            settled_table(state, name), float(heights[0]), float(heights[1] - heights[0]), rows, columns,
            read_slots(tile, state.nodes, name, window), air.elevation, air.water_vapour, *law,
            _around(state, name, window), air.sky, air.cirrus, growth, out,
        )  # fmt: skip
        air.lines[name] = out
    return air.lines[name]


def invert_image(
    tile: TileImages, state: AtmosphereState, air: Air, name: str, image: Float, window: Window
) -> NDArray[np.uint16]:
    """Return the coded surface reflectance of an image of the pixels of a window: (y, x) uint16 [DN]."""
    out = np.empty(window.shape, np.uint16)
    invert(image, _lines(tile, state, air, name), air.cosine(window), window.factor, out)
    return out


def surface_reflectance(
    tile: TileImages, state: AtmosphereState, air: Air, name: str, resolution: int
) -> NDArray[np.uint16]:
    """Return the coded surface reflectance of a band at a resolution [m]: (y, x) uint16 [DN]."""
    window = air.cells.at(resolution, tile.grid.shape(resolution))
    return invert_image(tile, state, air, name, read_image(tile, name, window), window)
