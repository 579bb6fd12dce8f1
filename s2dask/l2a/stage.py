"""Level-2A of one tile: look at every block, settle the atmosphere of the tile, correct every block.

Every pixel is worked out from itself, its 60 m cell and the few numbers settled for the tile, but for the shadows of
clouds, which are found on the cells of the whole tile: the cut into blocks leaves no trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.cams import AerosolForecast
from s2dask.auxdata.meteo import Meteo
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.geometry.angles import node_positions
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, band
from s2dask.io.schema import L2A_BANDS, reflectance_path
from s2dask.io.tiles import TileReader
from s2dask.l2a import cloud_shadow
from s2dask.l2a.aerosol import SAMPLE_BANDS, LandSample
from s2dask.l2a.atmosphere import water_vapour_at
from s2dask.l2a.cells import SATURATED, between_nodes, cell_means, cell_union, repeat
from s2dask.l2a.conditions import NODE_STEP, Conditions, whole_field, whole_views
from s2dask.l2a.correction import coefficient_table, correct, gas_gain, over_cells, water_law
from s2dask.l2a.scene_class import CLASS_BANDS, CLASSES, DARK, SHADED, SHADOW, SOIL, UNCLASSIFIED, VEGETATION, WATER
from s2dask.l2a.scene_rules import SceneRules, classify_scene, clear_air, default_rules, map_hints
from s2dask.l2a.tile_atmosphere import AtmosphereState, BlockStatistics, solve
from s2dask.l2a.water_vapour import retrieve, side_weight, smooth
from s2dask.l2a.window import CELL, Window

STEPS: Final = (
    Step("L2A_INIT", "L2A", summary="angles and weather at the 5 km nodes, empty product"),
    Step("L2A_DDV", "L2A", summary="classification, sample of clear land, kinds of the 60 m cells"),
    Step("L2A_AOT_WV", "L2A", summary="aerosol from dark vegetation, water vapour of the land, cloud shadows"),
    Step("L2A_AC", "L2A", summary="classification, water vapour and surface reflectance of every pixel"),
    Step("L2A_FINALIZE", "L2A", summary="percentages, checks, attributes"),
)
"""The steps of the level."""
LOW_SUN: Final = 80.0
"""Zenith angle of the sun beyond which the product says so [deg] ..."""
LOWEST_SUN: Final = 88.0
"""... and beyond which no light is corrected for [deg]."""
AEROSOLS: Final = ("continental", "maritime")
"""Models of the aerosol."""
SAMPLE_CELLS: Final = 150_000
"""Cells of a tile that are looked at for its sample of land."""

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def _sun(tile: TileReader) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the angles of the sun without holes, and what there is to say of them."""
    told = tile.sun_angles()
    sun = whole_field(told)
    where = f"L1C tile {tile.grid.tile_id}"
    if sun is None:
        raise InputMissing("no solar angles", where, "make L1C again")
    lowest, highest = float(np.nanmin(told[0])), float(np.nanmax(told[0]))
    if lowest > LOWEST_SUN:
        raise InputError(f"sun {lowest:.1f} degrees from the zenith", where, "take a tile seen by day")
    flags = (f"sun {highest:.1f} degrees from the zenith: hardly any light",) if highest > LOW_SUN else ()
    sun[0] = np.minimum(sun[0], LOWEST_SUN)
    return sun, flags


def tile_conditions(
    tile: TileReader, meteo: Meteo, cams: AerosolForecast | None = None, aerosol: str = "continental"
) -> tuple[Conditions, tuple[str, ...]]:
    """Return geometry and weather of a tile, and what had to be assumed; refuse a tile that lacks a band.

    Parameters
    ----------
    tile : TileReader
    meteo : Meteo
    cams : AerosolForecast, optional
    aerosol : str
        Model of the aerosol, one of `AEROSOLS`.
    """
    missing = [name for name in BANDS if name not in tile.bands]
    if missing:
        raise InputMissing(
            f"no band {', '.join(missing)}", f"L1C tile {tile.grid.tile_id}", "make L1C with all 13 bands"
        )
    if aerosol not in AEROSOLS:
        raise ConfigurationError(f"no aerosol {aerosol}", "L2A", f"choose {' or '.join(AEROSOLS)}")
    sun, flags = _sun(tile)
    shape = sun.shape[1:]
    views, assumed = whole_views({n: tile.view_angles(n) for n in BANDS}, tile.detectors, (shape[0], shape[1]))
    x = tile.grid.x0 + NODE_STEP * np.arange(shape[1], dtype=np.float64)
    y = tile.grid.y0 - NODE_STEP * np.arange(shape[0], dtype=np.float64)
    lon, lat = node_positions(tile.grid.crs, x, y)
    flags = (*flags, *assumed)
    if meteo.is_default:
        flags = (*flags, "no weather: standard pressure and ozone assumed")
    expected = (None, None) if cams is None else (cams.at(lon, lat), cams.height_at(lon, lat))
    unit, cell, detectors = str(tile.attrs["unit"]), float(tile.grid.pixel(CELL)), tuple(tile.detectors)
    weather = meteo.at(lon, lat)
    return (
        Conditions(
            unit,
            cell,
            detectors,
            sun,
            views,
            lon,
            lat,
            *weather,
            aot=expected[0],
            aot_height=expected[1],
            aerosol=aerosol,
        ),
        flags,
    )


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


def _hints(
    tile: TileReader, conditions: Conditions, state: AtmosphereState | None, window: Window, rules: SceneRules
) -> Bytes:
    """Return what relief and maps say of the pixels of a window."""
    cells = _cells(tile, window)
    hints = np.zeros(cells.shape, np.uint8)
    if rules.maps is not None:
        hints |= map_hints(rules.maps.at(*conditions.places(*cells.origin, cells.shape)), cells.shape)
    if state is not None:
        hints[_cells_of(state.shade, tile, cells)] |= SHADED
    out: Bytes = repeat(hints, window.factor, *window.shape)
    return out


def scene_layers(
    tile: TileReader,
    conditions: Conditions,
    window: Window,
    rules: SceneRules | None = None,
    state: AtmosphereState | None = None,
) -> tuple[Bytes, Bytes, Bytes, dict[str, Float]]:
    """Return class, cloud and snow confidence [%] of a window of 20 or 60 m pixels, and the images used.

    Cloud shadows are not among the classes yet, nor is the shade of the relief without a `state`: they take the whole
    tile.
    """
    rules = default_rules() if rules is None else rules
    whole = tile.grid.shape(window.resolution)
    wide = window.wider(rules.margin * window.factor, whole) if rules.margin else window
    images = {name: read_image(tile, name, wide) for name in rules.bands}
    quality = _read_quality(tile, CLASS_BANDS, wide)
    hints = _hints(tile, conditions, state, wide, rules)
    air = clear_air(conditions.unit, float(conditions.sun[0].mean()))
    layers = classify_scene(images, quality, rules, tile.grid.pixel(window.resolution), hints, air)
    if rules.margin:
        part = window.inside(wide)
        layers = (layers[0][part], layers[1][part], layers[2][part])
        images = {name: np.ascontiguousarray(image[part]) for name, image in images.items()}
    return (*layers, images)


def gather(
    tile: TileReader,
    conditions: Conditions,
    terrain: Terrain | None,
    window: Window,
    rules: SceneRules | None = None,
) -> BlockStatistics:
    """Return what a window of 20 m pixels says for its tile (step L2A_DDV)."""
    scl, _, _, images = scene_layers(tile, conditions, window, rules)
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
    return BlockStatistics(origin, kind, near, slots, sample, elevation)


@lru_cache(maxsize=32)
def _table(state: AtmosphereState, name: str) -> NDArray[np.float64]:
    return coefficient_table(state.nodes, name, state.aerosol.at_heights(state.heights), state.heights)


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """The atmosphere above a window.

    Attributes
    ----------
    window, cells : Window
        Pixels, and the cells that hold them.
    elevation : (row, column) float32 [m]
    aot : (row, column) float64 [1]
        Aerosol optical thickness at 550 nm.
    water_vapour : (row, column) float64 [cm]
    """

    window: Window
    cells: Window
    elevation: Float
    aot: NDArray[np.float64]
    water_vapour: NDArray[np.float64]


def _coefficients(
    tile: TileReader, state: AtmosphereState, name: str, cells: Window, elevation: Float
) -> NDArray[np.float64]:
    slots = _read_slots(tile, state.nodes, name, cells)
    return over_cells(state.nodes, _table(state, name), state.heights, cells.origin, slots, elevation)


def _cells_of(packed: Bytes, tile: TileReader, cells: Window) -> NDArray[np.bool_]:
    """Return a rectangle of a mask of the tile's cells."""
    width = tile.grid.shape(CELL)[1]
    bits = np.unpackbits(packed[cells.rows], axis=1, count=width)[:, cells.columns]
    return np.asarray(bits == 1)


def _vapour_above(
    tile: TileReader, state: AtmosphereState, terrain: Terrain | None, cells: Window
) -> NDArray[np.float64]:
    """Return the water vapour above cells, smoothed [cm]; one cell more on each side is looked at."""
    wider = cells.wider(1, tile.grid.shape(CELL))
    elevation = _elevation(state.conditions, terrain, wider)
    scale = water_vapour_at(elevation, 1.0)
    rows, columns = (state.conditions.positions(n, m) for n, m in zip(wider.origin, wider.shape, strict=True))
    expected = scale * between_nodes(state.vapour.field, rows, columns)
    found, out = np.empty(wider.shape), np.empty(wider.shape)
    laws = water_law(state.conditions.unit, "B8A"), water_law(state.conditions.unit, "B09")
    near, deep = (_coefficients(tile, state, name, wider, elevation) for name in ("B8A", "B09"))
    b8a, b09 = (read_image(tile, name, wider) for name in ("B8A", "B09"))
    retrieve(b8a, b09, near, deep, laws[0], laws[1], expected, _cells_of(state.cloud, tile, wider), found)
    smooth(found, scale, side_weight(state.conditions.cell), expected, out)
    return np.ascontiguousarray(out[cells.inside(wider)])


def air_above(tile: TileReader, state: AtmosphereState, terrain: Terrain | None, window: Window) -> Air:
    """Return elevation, aerosol and water vapour of the cells of a window."""
    cells = _cells(tile, window)
    elevation = _elevation(state.conditions, terrain, cells)
    rows, columns = (state.nodes.positions(n, m) for n, m in zip(cells.origin, cells.shape, strict=True))
    aot = state.aerosol.over_cells(rows, columns, elevation)
    return Air(window, cells, elevation, aot, _vapour_above(tile, state, terrain, cells))


def surface_reflectance(tile: TileReader, state: AtmosphereState, air: Air, name: str) -> NDArray[np.uint16]:
    """Return the coded surface reflectance of a band in a window: (y, x) uint16 [DN]."""
    cells = _coefficients(tile, state, name, air.cells, air.elevation)
    gain = gas_gain(cells, air.water_vapour, *water_law(state.conditions.unit, name))
    out = np.empty(air.window.shape, np.uint16)
    correct(read_image(tile, name, air.window), cells, gain, air.window.factor, out)
    return out


def scene_class(
    tile: TileReader, state: AtmosphereState, window: Window, rules: SceneRules | None = None
) -> tuple[Bytes, Bytes, Bytes]:
    """Return class, with cloud shadows, and cloud and snow confidence of a window of 20 or 60 m pixels."""
    scl, cld, snw, _ = scene_layers(tile, state.conditions, window, rules, state)
    shadow = _cells_of(state.shadow, tile, _cells(tile, window))
    covered = repeat(np.ascontiguousarray(shadow), window.factor, *window.shape)
    scl[covered & np.isin(scl, (DARK, VEGETATION, SOIL, WATER, UNCLASSIFIED))] = SHADOW
    return scl, cld, snw


def correct_block(
    tile: TileReader,
    state: AtmosphereState,
    terrain: Terrain | None,
    window: Window,
    rules: SceneRules | None = None,
) -> dict[str, NDArray[np.uint8] | NDArray[np.uint16]]:
    """Return every variable of a window of an L2A product, by its path (step L2A_AC)."""
    air, r = air_above(tile, state, terrain, window), window.resolution
    out: dict[str, NDArray[np.uint8] | NDArray[np.uint16]] = {
        reflectance_path(r, name): surface_reflectance(tile, state, air, name) for name in L2A_BANDS[r]
    }
    seen = np.asarray(out[reflectance_path(r, L2A_BANDS[r][-1])]) != 0
    for short, amount in (("aot", air.aot), ("wvp", air.water_vapour)):
        counts = np.floor(np.clip(1000.0 * amount, 1.0, 65_000.0) + 0.5).astype(np.uint16)
        out[f"quality/atmosphere/r{r}m/{short}"] = seen * repeat(counts, window.factor, *window.shape)
    if r != 10:
        scl, cld, snw = scene_class(tile, state, window, rules)
        out[f"conditions/mask/l2a_classification/r{r}m/scl"] = scl
        if r == 20:
            out |= {"quality/probability/r20m/cld": cld, "quality/probability/r20m/snw": snw}
    return out


__all__ = [
    "CLASSES", "STEPS", "Air", "AtmosphereState", "BlockStatistics", "Window", "air_above", "correct_block", "gather",
    "scene_class", "solve", "surface_reflectance", "tile_conditions",
]  # fmt: skip
