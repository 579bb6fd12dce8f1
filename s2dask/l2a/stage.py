"""Level-2A of one tile: look at every block, settle the atmosphere of the tile, correct every block.

Every pixel is worked out from itself, its 60 m cell and the few numbers settled for the tile, but for the shadows of
clouds, which are found on the cells of the whole tile: the cut into blocks leaves no trace.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.meteo import Meteo
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.geometry.angles import node_positions
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, band
from s2dask.io.schema import L2A_BANDS, reflectance_path
from s2dask.io.tiles import TileReader
from s2dask.l2a import cloud_shadow
from s2dask.l2a.aerosol import SAMPLE_BANDS, Aerosol, LandSample, mean_water_vapour, retrieve_aot
from s2dask.l2a.cells import SATURATED, cell_means, cell_union, repeat
from s2dask.l2a.conditions import NODE_STEP, Conditions, whole_field, whole_views
from s2dask.l2a.correction import coefficient_table, correct, gas_gain, height_nodes, over_cells, water_law
from s2dask.l2a.scene_class import CLASS_BANDS, CLASSES, DARK, SHADOW, SOIL, UNCLASSIFIED, VEGETATION, classify
from s2dask.l2a.water_vapour import retrieve

STEPS: Final = (
    Step("L2A_INIT", "L2A", summary="angles and weather at the 5 km nodes, empty product"),
    Step("L2A_DDV", "L2A", summary="classification, sample of clear land, kinds of the 60 m cells"),
    Step("L2A_AOT_WV", "L2A", summary="aerosol from dark vegetation, water vapour of the land, cloud shadows"),
    Step("L2A_AC", "L2A", summary="classification, water vapour and surface reflectance of every pixel"),
    Step("L2A_FINALIZE", "L2A", summary="percentages, checks, attributes"),
)
"""The steps of the level."""
CELL: Final = 60
"""Resolution of the cells [m]."""
SAMPLE_CELLS: Final = 60_000
"""Cells of a tile that are looked at for its sample of land."""

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a tile: pixels of one resolution that begin with a cell."""

    resolution: int
    rows: slice
    columns: slice

    def __post_init__(self) -> None:
        if self.rows.start % self.factor or self.columns.start % self.factor:
            raise ConfigurationError(f"window at {self.rows.start}, {self.columns.start} cuts a 60 m cell", "L2A")

    @property
    def factor(self) -> int:
        """Pixels on the edge of a cell."""
        return CELL // self.resolution

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def at(self, resolution: int, whole: tuple[int, int]) -> "Window":
        """Return the pixels of another resolution that lie in these, inside a tile of `whole` such pixels."""

        def turn(span: slice, size: int) -> slice:
            first = span.start * self.resolution // resolution
            return slice(first, min(-(-span.stop * self.resolution // resolution), size))

        return Window(resolution, turn(self.rows, whole[0]), turn(self.columns, whole[1]))


@dataclass(frozen=True, slots=True, eq=False)
class BlockStatistics:
    """What a block of 20 m pixels says for its tile.

    Attributes
    ----------
    origin : (int, int)
        First cell.
    kind, near, slots : (row, column) uint8
        Of the cells, for the shadows: what they are, reflectance of B8A in 1/200, and the slots of the detectors.
    sample : LandSample
    heights : (float, float)
        Lowest and highest elevation [m].
    """

    origin: tuple[int, int]
    kind: Bytes
    near: Bytes
    slots: Bytes
    sample: LandSample
    heights: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class AtmosphereState:
    """What was settled for a tile; two are equal when all their numbers are.

    Attributes
    ----------
    conditions : Conditions
    aerosol : Aerosol
    water_vapour : float [cm]
        Above sea level, median of the land.
    heights : (height) float64 [m]
        Of the tables of coefficients.
    shadow : (row, byte) uint8
        Cells in the shadow of a cloud, packed bits.
    digest : str
    """

    conditions: Conditions
    aerosol: Aerosol
    water_vapour: float
    heights: NDArray[np.float64]
    shadow: Bytes
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtmosphereState) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def tile_conditions(tile: TileReader, meteo: Meteo) -> tuple[Conditions, tuple[str, ...]]:
    """Return geometry and weather of a tile, and what had to be assumed; refuse a tile that lacks a band."""
    missing = [name for name in BANDS if name not in tile.bands]
    if missing:
        raise InputMissing(
            f"no band {', '.join(missing)}", f"L1C tile {tile.grid.tile_id}", "make L1C with all 13 bands"
        )
    sun = whole_field(tile.sun_angles())
    if sun is None:
        raise InputMissing("no solar angles", f"L1C tile {tile.grid.tile_id}", "make L1C again")
    shape = sun.shape[1:]
    views, flags = whole_views({n: tile.view_angles(n) for n in BANDS}, tile.detectors, (shape[0], shape[1]))
    x = tile.grid.x0 + NODE_STEP * np.arange(shape[1], dtype=np.float64)
    y = tile.grid.y0 - NODE_STEP * np.arange(shape[0], dtype=np.float64)
    lon, lat = node_positions(tile.grid.crs, x, y)
    weather = meteo.at(lon, lat)
    if meteo.is_default:
        flags = (*flags, "no weather: standard pressure and ozone assumed")
    unit, cell = str(tile.attrs["unit"]), float(tile.grid.pixel(CELL))
    return Conditions(unit, cell, tuple(tile.detectors), sun, views, lon, lat, *weather), flags


def read_image(tile: TileReader, name: str, window: Window) -> Float:
    """Return a band at the resolution of a window: means of smaller pixels, copies of larger ones.

    Returns
    -------
    (y, x) float32 [1]
        NaN without data, infinite where saturated.
    """
    own = band(name).resolution
    there = window.at(own, tile.grid.shape(own))
    image = tile.reflectance(name, there.rows, there.columns)
    if own < window.resolution:
        means: Float = cell_means(image, window.resolution // own)
        return means
    image[image > SATURATED] = np.inf
    return image if own == window.resolution else repeat(image, own // window.resolution, *window.shape)


def _read_quality(tile: TileReader, names: Sequence[str], window: Window) -> Bytes:
    out = np.zeros(window.shape, np.uint8)
    for name in names:
        own = band(name).resolution
        there = window.at(own, tile.grid.shape(own))
        bits = tile.quality(name, there.rows, there.columns)
        if own < window.resolution:
            out |= cell_union(bits, window.resolution // own)
        else:
            out |= repeat(bits, own // window.resolution, *window.shape)
    return out


def _read_slots(tile: TileReader, conditions: Conditions, name: str, cells: Window) -> Bytes:
    """Return the slot of the detector in the middle of each cell."""
    own = band(name).resolution
    there = cells.at(own, tile.grid.shape(own))
    footprint = tile.footprint(name, there.rows, there.columns)
    factor = CELL // own
    rows, columns = (
        np.minimum(factor * np.arange(n) + factor // 2, size - 1)
        for n, size in zip(cells.shape, footprint.shape, strict=True)
    )
    return conditions.slots(footprint[np.ix_(rows, columns)])


def _cells(tile: TileReader, window: Window) -> Window:
    return window.at(CELL, tile.grid.shape(CELL))


def _elevation(conditions: Conditions, terrain: Terrain | None, cells: Window) -> Float:
    if terrain is None:
        return np.zeros(cells.shape, np.float32)
    lon, lat = conditions.places(cells.rows.start, cells.columns.start, cells.shape)
    return terrain.height(lon, lat).astype(np.float32)


def scene_layers(tile: TileReader, window: Window) -> tuple[Bytes, Bytes, Bytes, dict[str, Float]]:
    """Return class, cloud and snow confidence [%] of a window of 20 or 60 m pixels, and the images used.

    Cloud shadows are not among the classes yet: they take the whole tile.
    """
    images = {name: read_image(tile, name, window) for name in CLASS_BANDS}
    quality = _read_quality(tile, CLASS_BANDS, window)
    scl, cld, snw = (np.empty(window.shape, np.uint8) for _ in range(3))
    b02, b03, b04, b8a, b10, b11, b12 = (images[name] for name in CLASS_BANDS)
    classify(b02, b03, b04, b8a, b10, b11, b12, quality, scl, cld, snw)
    return scl, cld, snw, images


def gather(tile: TileReader, conditions: Conditions, terrain: Terrain | None, window: Window) -> BlockStatistics:
    """Return what a window of 20 m pixels says for its tile (step L2A_DDV)."""
    scl, _, _, images = scene_layers(tile, window)
    cells = _cells(tile, window)
    elevation = _elevation(conditions, terrain, cells)
    land = cell_means(np.isin(scl, (VEGETATION, SOIL)).astype(np.float32), window.factor)
    green = cell_means((scl == VEGETATION).astype(np.float32), window.factor)
    reflectance = np.stack(
        [
            cell_means(images[name], window.factor) if name in images else read_image(tile, name, cells)
            for name in SAMPLE_BANDS
        ]
    )
    rows, columns = np.indices(cells.shape, np.int64)
    rows, columns = rows + cells.rows.start, columns + cells.columns.start
    height, width = tile.grid.shape(CELL)
    chosen = (rows * 7919 + columns * 104_729) % max(height * width // SAMPLE_CELLS, 1) == 0
    chosen &= (land == 1) & np.isfinite(reflectance).all(axis=0)
    slots = _read_slots(tile, conditions, "B8A", cells)
    sample = LandSample(
        rows[chosen].astype(np.int32), columns[chosen].astype(np.int32), slots[chosen], green[chosen] == 1,
        elevation[chosen], np.ascontiguousarray(reflectance[:, chosen]),
    )  # fmt: skip
    kind = cloud_shadow.cell_kinds(scl, window.factor)
    origin = (int(cells.rows.start), int(cells.columns.start))
    near = np.nan_to_num(200.0 * reflectance[SAMPLE_BANDS.index("B8A")], nan=0.0).clip(0, 255).astype(np.uint8)
    return BlockStatistics(origin, kind, near, slots, sample, (float(elevation.min()), float(elevation.max())))


def _mosaic(blocks: Sequence[BlockStatistics], name: str, fill: int) -> Bytes:
    """Return a layer of cells of the whole tile."""
    rows, columns = (max(s.origin[k] + s.kind.shape[k] for s in blocks) for k in (0, 1))
    out = np.full((rows, columns), fill, np.uint8)
    for s in blocks:
        part = getattr(s, name)
        out[s.origin[0] : s.origin[0] + part.shape[0], s.origin[1] : s.origin[1] + part.shape[1]] = part
    return out


def solve(conditions: Conditions, statistics: Sequence[BlockStatistics]) -> AtmosphereState:
    """Settle the atmosphere of a tile and the shadows of its clouds from all its blocks (step L2A_AOT_WV)."""
    blocks = sorted(statistics, key=lambda s: s.origin)
    kind, slots = _mosaic(blocks, "kind", cloud_shadow.IGNORED), _mosaic(blocks, "slots", 0)
    kind = cloud_shadow.darker_than_around(kind, _mosaic(blocks, "near", 0), conditions.cell)
    direction = cloud_shadow.slant(*conditions.tangents_over("B8A", slots))
    shadow = cloud_shadow.shadows(kind, conditions.cell, direction)
    sample = LandSample.join([s.sample for s in blocks])
    forecast = float(conditions.water_vapour.mean())
    vapour = mean_water_vapour(conditions, sample, 0.2, forecast)
    aerosol = retrieve_aot(conditions, sample, vapour)
    vapour = mean_water_vapour(conditions, sample, aerosol.aot, forecast)
    heights = height_nodes(min(s.heights[0] for s in blocks), max(s.heights[1] for s in blocks))
    packed = np.packbits(shadow, axis=1)
    facts = [conditions.unit.encode(), repr((conditions.cell, conditions.detectors, aerosol.aot, vapour)).encode()]
    fields = (conditions.sun, conditions.pressure, conditions.ozone, *conditions.views.values(), heights, packed)
    digest = hashlib.sha256(b"".join([*facts, *(np.ascontiguousarray(f).tobytes() for f in fields)])).hexdigest()
    return AtmosphereState(conditions, aerosol, vapour, heights, packed, digest)


@lru_cache(maxsize=32)
def _table(state: AtmosphereState, name: str) -> NDArray[np.float64]:
    return coefficient_table(state.conditions, name, state.aerosol.aot, state.heights)


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """The atmosphere above a window.

    Attributes
    ----------
    window, cells : Window
        Pixels, and the cells that hold them.
    elevation : (row, column) float32 [m]
    water_vapour : (row, column) float64 [cm]
    """

    window: Window
    cells: Window
    elevation: Float
    water_vapour: NDArray[np.float64]


def _coefficients(
    tile: TileReader, state: AtmosphereState, name: str, cells: Window, elevation: Float
) -> NDArray[np.float64]:
    slots = _read_slots(tile, state.conditions, name, cells)
    origin = (int(cells.rows.start), int(cells.columns.start))
    return over_cells(state.conditions, _table(state, name), state.heights, origin, slots, elevation)


def air_above(tile: TileReader, state: AtmosphereState, terrain: Terrain | None, window: Window) -> Air:
    """Return elevation and water vapour of the cells of a window."""
    cells = _cells(tile, window)
    elevation = _elevation(state.conditions, terrain, cells)
    expected = state.water_vapour * np.exp(-elevation.astype(np.float64) / 2000.0)
    vapour = np.empty(cells.shape)
    unit = state.conditions.unit
    near, deep = (_coefficients(tile, state, name, cells, elevation) for name in ("B8A", "B09"))
    b8a, b09 = (read_image(tile, name, cells) for name in ("B8A", "B09"))
    retrieve(b8a, b09, near, deep, water_law(unit, "B8A"), water_law(unit, "B09"), expected, vapour)
    return Air(window, cells, elevation, vapour)


def surface_reflectance(tile: TileReader, state: AtmosphereState, air: Air, name: str) -> NDArray[np.uint16]:
    """Return the coded surface reflectance of a band in a window: (y, x) uint16 [DN]."""
    cells = _coefficients(tile, state, name, air.cells, air.elevation)
    gain = gas_gain(cells, air.water_vapour, *water_law(state.conditions.unit, name))
    out = np.empty(air.window.shape, np.uint16)
    correct(read_image(tile, name, air.window), cells, gain, air.window.factor, out)
    return out


def scene_class(tile: TileReader, state: AtmosphereState, window: Window) -> tuple[Bytes, Bytes, Bytes]:
    """Return class, with cloud shadows, and cloud and snow confidence of a window of 20 or 60 m pixels."""
    scl, cld, snw, _ = scene_layers(tile, window)
    cells = _cells(tile, window)
    width = tile.grid.shape(CELL)[1]
    shadow = np.unpackbits(state.shadow[cells.rows], axis=1, count=width)[:, cells.columns]
    covered = repeat(np.ascontiguousarray(shadow), window.factor, *window.shape) == 1
    scl[covered & np.isin(scl, (DARK, VEGETATION, SOIL, UNCLASSIFIED))] = SHADOW
    return scl, cld, snw


def correct_block(
    tile: TileReader, state: AtmosphereState, terrain: Terrain | None, window: Window
) -> dict[str, NDArray[np.uint8] | NDArray[np.uint16]]:
    """Return every variable of a window of an L2A product, by its path (step L2A_AC)."""
    air, r = air_above(tile, state, terrain, window), window.resolution
    out: dict[str, NDArray[np.uint8] | NDArray[np.uint16]] = {
        reflectance_path(r, name): surface_reflectance(tile, state, air, name) for name in L2A_BANDS[r]
    }
    seen = np.asarray(out[reflectance_path(r, L2A_BANDS[r][-1])]) != 0
    vapour = np.floor(1000.0 * np.clip(air.water_vapour, 0.0, 65.0) + 0.5).astype(np.uint16)
    out[f"quality/atmosphere/r{r}m/aot"] = seen * np.uint16(np.floor(1000.0 * state.aerosol.aot + 0.5))
    out[f"quality/atmosphere/r{r}m/wvp"] = seen * repeat(vapour, window.factor, *window.shape)
    if r != 10:
        scl, cld, snw = scene_class(tile, state, window)
        out[f"conditions/mask/l2a_classification/r{r}m/scl"] = scl
        if r == 20:
            out |= {"quality/probability/r20m/cld": cld, "quality/probability/r20m/snw": snw}
    return out


__all__ = [
    "CLASSES", "STEPS", "Air", "AtmosphereState", "BlockStatistics", "Window", "air_above", "correct_block", "gather",
    "scene_class", "solve", "surface_reflectance", "tile_conditions",
]  # fmt: skip
