"""Level-2A of one tile: look at every block, settle the atmosphere of the tile, correct every block.

Every pixel is worked out from itself, its 60 m cell and the few numbers settled for the tile, but for the shadows of
clouds, which are found on the cells of the whole tile: the cut into blocks leaves no trace.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.cams import AerosolForecast
from s2dask.auxdata.meteo import Meteo
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import InputError, InputMissing
from s2dask.geometry.angles import node_positions
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, band
from s2dask.io.schema import L2A_BANDS, reflectance_path, uncertainty_path
from s2dask.io.tiles import TileReader
from s2dask.l2a import cirrus, cloud_shadow
from s2dask.l2a.aerosol import SAMPLE_BANDS, LandSample
from s2dask.l2a.air import Air, air_above, cells_of, elevation_of, in_cells, invert_image, surface_reflectance
from s2dask.l2a.cells import cell_means, repeat, repeat_where
from s2dask.l2a.conditions import NODE_STEP, Conditions, whole_field, whole_views
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.l2a.scene_class import CLASS_BANDS, CLASSES, SHADED, SOIL, VEGETATION
from s2dask.l2a.scene_rules import SceneRules, classify_scene, clear_air, default_rules, map_hints
from s2dask.l2a.slopes import MARGIN, steep_cells
from s2dask.l2a.surroundings import node_sums
from s2dask.l2a.tile_atmosphere import AtmosphereState, BlockStatistics, solve
from s2dask.l2a.tile_images import (
    Scene,
    at_resolution,
    block_scenes,
    read_image,
    read_noise_gain,
    read_quality,
    read_slots,
)
from s2dask.l2a.uncertainty_tile import Radiometry, grains_above, uncertainty_of
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
SAMPLE_CELLS: Final = 150_000
"""Cells of a tile that are looked at for its sample of land."""
CORRECTED: Final = tuple(name for name in BANDS if name != "B10")
"""Bands of which there is surface reflectance."""

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Counts = NDArray[np.uint16]
Layers = dict[str, Bytes | Counts]


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
        Model of the aerosol.
    """
    missing = [name for name in BANDS if name not in tile.bands]
    if missing:
        raise InputMissing(
            f"no band {', '.join(missing)}", f"L1C tile {tile.grid.tile_id}", "make L1C with all 13 bands"
        )
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


def _hints(
    tile: TileReader, conditions: Conditions, state: AtmosphereState | None, window: Window, rules: SceneRules
) -> Bytes:
    """Return what relief and maps say of the pixels of a window."""
    cells = cells_of(tile, window)
    hints = np.zeros(cells.shape, np.uint8)
    if rules.maps is not None:
        hints |= map_hints(rules.maps.at(*conditions.places(*cells.origin, cells.shape)), cells.shape)
    if state is not None:
        hints[in_cells(state.shade, tile, cells)] |= SHADED
    out: Bytes = repeat(hints, window.factor, *window.shape)
    return out


def scene_layers(
    tile: TileReader,
    conditions: Conditions,
    window: Window,
    rules: SceneRules | None = None,
    state: AtmosphereState | None = None,
    scene: Scene | None = None,
) -> tuple[Bytes, Bytes, Bytes, dict[str, Float]]:
    """Return class, cloud and snow confidence [%] of a window of 20 or 60 m pixels, and the images used.

    Cloud shadows are not among the classes yet, nor is the shade of the relief without a `state`: they take the whole
    tile. A `scene` that was read already is not read again, unless the rules ask for more around the window.
    """
    rules = default_rules() if rules is None else rules
    whole = tile.grid.shape(window.resolution)
    wide = window.wider(rules.margin * window.factor, whole) if rules.margin else window
    if scene is None or rules.margin:
        images = {name: read_image(tile, name, wide) for name in rules.bands}
        scene = Scene(images, read_quality(tile, CLASS_BANDS, wide))
    images = scene.images
    hints = _hints(tile, conditions, state, wide, rules)
    air = clear_air(conditions.unit, float(conditions.sun[0].mean()))
    layers = classify_scene(images, scene.quality, rules, tile.grid.pixel(window.resolution), hints, air)
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
    corrections: Corrections = DEFAULT,
) -> BlockStatistics:
    """Return what a window of 20 m pixels says for its tile (step L2A_DDV)."""
    scl, _, _, images = scene_layers(tile, conditions, window, rules)
    cells, f = cells_of(tile, window), window.factor
    wider = elevation_of(conditions, terrain, cells, MARGIN)
    elevation = np.ascontiguousarray(wider[MARGIN:-MARGIN, MARGIN:-MARGIN])
    needed = {*SAMPLE_BANDS, *(CORRECTED if corrections.surroundings else ())}
    needed |= {"B10", *cirrus.SCATTER_BANDS} if corrections.cirrus else set()
    means = {name: cell_means(images[name], f) if name in images else read_image(tile, name, cells) for name in needed}
    land = cell_means(np.isin(scl, (VEGETATION, SOIL)).astype(np.float32), f)
    green = cell_means((scl == VEGETATION).astype(np.float32), f)
    reflectance = np.stack([means[name] for name in SAMPLE_BANDS])
    rows, columns = np.indices(cells.shape, np.int64)
    rows, columns = rows + cells.rows.start, columns + cells.columns.start
    height, width = tile.grid.shape(CELL)
    chosen = (rows * 7919 + columns * 104_729) % max(height * width // SAMPLE_CELLS, 1) == 0
    chosen &= (land == 1) & np.isfinite(reflectance).all(axis=0)
    slots = read_slots(tile, conditions, "B8A", cells)
    sample = LandSample(
        rows[chosen].astype(np.int32), columns[chosen].astype(np.int32), slots[chosen], green[chosen] == 1,
        elevation[chosen], np.ascontiguousarray(reflectance[:, chosen]),
    )  # fmt: skip
    kind = cloud_shadow.cell_kinds(scl, f)
    near = np.nan_to_num(200.0 * means["B8A"], nan=0.0).clip(0, 255).astype(np.uint8)
    hidden = kind == cloud_shadow.CLOUD
    sums = {name: node_sums(means[name], hidden, cells.origin) for name in CORRECTED if corrections.surroundings}
    pairs = cirrus.SCATTER_BANDS if corrections.cirrus else ()
    veils = {name: cirrus.scatter(means["B10"], means[name]) for name in pairs}
    steep = 0 if terrain is None else steep_cells(wider, conditions.cell)
    return BlockStatistics(cells.origin, kind, near, slots, sample, elevation, steep, sums, veils)


def scene_class(
    tile: TileReader,
    state: AtmosphereState,
    window: Window,
    rules: SceneRules | None = None,
    scene: Scene | None = None,
) -> tuple[Bytes, Bytes, Bytes]:
    """Return class, with cloud shadows, and cloud and snow confidence of a window of 20 or 60 m pixels."""
    scl, cld, snw, _ = scene_layers(tile, state.conditions, window, rules, state, scene)
    scl, shadow = np.ascontiguousarray(scl), in_cells(state.shadow, tile, cells_of(tile, window))
    cloud_shadow.cast(np.ascontiguousarray(shadow), window.factor, scl)
    return scl, cld, snw


def _layers(air: Air, counts: Counts, window: Window) -> dict[str, Counts]:
    """Return the maps of aerosol and water vapour of a window, 0 where the counts of a band say that nothing is."""
    out = {}
    for short, amount in (("aot", air.aot), ("wvp", air.water_vapour)):
        coded = np.floor(np.clip(1000.0 * amount, 1.0, 65_000.0) + 0.5).astype(np.uint16)
        layer = np.empty(window.shape, np.uint16)
        repeat_where(coded, window.factor, counts, layer)
        out[f"quality/atmosphere/r{window.resolution}m/{short}"] = layer
    return out


def correct_block(
    tile: TileReader,
    state: AtmosphereState,
    terrain: Terrain | None,
    cells: Window,
    rules: SceneRules | None = None,
    uncertainty: bool = False,
) -> Iterator[tuple[int, Layers]]:
    """Yield the variables of a rectangle of cells of an L2A product by resolution and path (step L2A_AC).

    Each band is read once, whatever the resolutions that it is delivered at, and at 10 m is in memory alone.
    With `uncertainty`, how well each band is known at its own resolution comes too.
    """
    air = air_above(tile, state, terrain, cells)
    grains = grains_above(tile, state, terrain, cells) if uncertainty else None
    windows = {r: cells.at(r, tile.grid.shape(r)) for r in L2A_BANDS}
    kept: dict[int, dict[str, Float]] = {r: {} for r in windows}
    last: dict[int, Counts] = {}
    for name in CORRECTED:
        own = band(name).resolution
        image = read_image(tile, name, windows[own])
        if grains is not None:
            radiometry = Radiometry.of(tile.attrs, name)
            noise_gain = read_noise_gain(tile, name, windows[own])
            pair = uncertainty_of(state, grains, air, name, radiometry, image, windows[own], noise_gain)
            parts = ("random", "systematic")
            yield own, {uncertainty_path(name, part): codes for part, codes in zip(parts, pair, strict=True)}
        for r, names in L2A_BANDS.items():
            if name in names:
                seen = at_resolution(image, own, windows[r])
                last[r] = invert_image(tile, state, air, name, seen, windows[r])
                if r != 10 and name in CLASS_BANDS:
                    kept[r][name] = seen
                yield r, {reflectance_path(r, name): last[r]}
    scenes = {} if rules is not None and rules.margin else block_scenes(tile, kept, windows)
    for r, window in windows.items():
        out: Layers = dict(_layers(air, last[r], window))
        if r != 10:
            scl, cld, snw = scene_class(tile, state, window, rules, scenes.get(r))
            out[f"conditions/mask/l2a_classification/r{r}m/scl"] = scl
            if r == 20:
                out |= {"quality/probability/r20m/cld": cld, "quality/probability/r20m/snw": snw}
        yield r, out


__all__ = [
    "CLASSES", "STEPS", "Air", "AtmosphereState", "BlockStatistics", "Window", "air_above", "cells_of", "correct_block",
    "gather", "scene_class", "solve", "surface_reflectance", "tile_conditions",
]  # fmt: skip
