"""From an L1C tile of any form to L2A, block by block: one set of functions for production and notebooks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.base import tokenize
from dask.delayed import delayed

from s2dask.auxdata.cams import AerosolForecast, read_cams
from s2dask.auxdata.meteo import Meteo, read_meteo
from s2dask.auxdata.scene_maps import SceneMaps
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS, band
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.storage import zarr_store
from s2dask.io.template import create, set_attributes
from s2dask.io.tiles import TileReader, open_tile
from s2dask.io.writer import write_block, write_coordinates, write_whole
from s2dask.l2a import scene_indicator, stage
from s2dask.l2a.atmosphere_indicator import atmosphere_indicators
from s2dask.l2a.cloud_indicator import cloud_indicators
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.l2a.scene_rules import SceneRules, default_rules, read_rules
from s2dask.l2a.stage import AtmosphereState, BlockStatistics, Window
from s2dask.l2a.uncertainty import percentage
from s2dask.l2a.uncertainty_tile import transfer_accuracy
from s2dask.production.blocks import Block, Blocking, default_blocking
from s2dask.production.meteorology import carried_forecasts, forecast_variables, write_forecasts
from s2dask.production.setting import AuxFolder
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine

PERCENTAGES: Final = (
    "nodata", "saturated_defective", "cast_shadow", "cloud_shadow", "vegetation", "not_vegetated", "water",
    "unclassified", "medium_proba_clouds", "high_proba_clouds", "thin_cirrus", "snow_ice",
)  # fmt: skip
"""What the share of each class is called, as in the product metadata."""
SCL = "conditions/mask/l2a_classification/r20m/scl"
WVP = "quality/atmosphere/r20m/wvp"
AOT = "quality/atmosphere/r20m/aot"
_COMPARED: Final = {name: schema.reflectance_path(20, name) for name in scene_indicator.COMPARED}


@lru_cache(maxsize=4)
def _terrain(aux: str | None) -> Terrain | None:
    """Open the terrain of an auxiliary folder, once per worker; None where it has none."""
    if aux is None or not (Path(aux) / "dem").is_dir():
        return None
    return AuxFolder(aux).terrain()


def _forecasts(tile: TileReader, aux: str | None) -> tuple[Meteo, AerosolForecast | None, tuple[str, ...]]:
    """Read weather and aerosol: the files that came with the tile, else those of the auxiliary folder.

    The aerosol is known without its forecast, less well: one that cannot be read is said and passed over.
    """
    meteo: str | Path | None = tile.meteo()
    cams: str | Path | None = tile.cams()
    if aux is not None:
        meteo, cams = meteo or AuxFolder(aux).meteo, cams or AuxFolder(aux).cams
    weather = Meteo.default() if meteo is None else read_meteo(meteo)
    if cams is None:
        return weather, None, ()
    try:
        return weather, read_cams(cams), ()
    except InputError as error:
        return weather, None, (f"aerosol forecast not used: {error.what}",)


@lru_cache(maxsize=4)
def _rules(aux: str | None) -> SceneRules:
    """Return how scenes are classified: a folder ``scene`` of the auxiliary files may say it, once per worker."""
    folder = None if aux is None else Path(aux) / "scene"
    if folder is None or not folder.is_dir():
        return default_rules()
    thresholds = folder / "thresholds.toml"
    return read_rules(thresholds if thresholds.is_file() else None, SceneMaps.open(folder))


def _window(block: Block) -> Window:
    return Window(block.resolution, block.rows, block.columns)


def begin_tile(source: str | TileReader, aux: str | None, corrections: Corrections = DEFAULT) -> dict[str, Any]:
    """Return what every block of a tile needs: geometry, weather, terrain and what had to be assumed.

    Parameters
    ----------
    source : str
        L1C tile: our Zarr, a SAFE folder or zip.
    aux : str or None
        Folder with ``dem``, ``geoid`` and ``meteo``.
    corrections : Corrections
        What is corrected for, and the model of the aerosol.
    """
    tile = open_tile(source)
    meteo, cams, unread = _forecasts(tile, aux)
    conditions, flags = stage.tile_conditions(tile, meteo, cams, corrections.aerosol)
    flags = (*flags, *unread)
    if _terrain(aux) is None:
        flags = (*flags, "no DEM: sea level assumed")
    attrs = dict(tile.attrs)
    return {"attrs": attrs, "conditions": conditions, "corrections": corrections, "aux": aux, "flags": list(flags)}


def _write_geometry(l2a: str, tile: TileReader) -> None:
    """Copy the angles of the tile to its surface product."""
    where = "conditions/geometry"
    sun = tile.sun_angles()
    views = np.full((len(BANDS), len(tile.detectors), *sun.shape), np.nan)
    for name in tile.bands:
        views[BANDS[name].index] = tile.view_angles(name)
    write_whole(l2a, f"{where}/sun_angles", sun)
    write_whole(l2a, f"{where}/viewing_incidence_angles", views)
    write_whole(l2a, f"{where}/mean_sun_angles", _mean_angles(sun))
    means = np.stack([_mean_angles(view.swapaxes(0, 1)) for view in views])
    write_whole(l2a, f"{where}/mean_viewing_incidence_angles", means)
    write_whole(l2a, f"{where}/detector", np.array(tile.detectors))
    write_whole(l2a, f"{where}/band", np.arange(len(BANDS)))


def _mean_angles(angles: np.ndarray) -> np.ndarray:
    """Return the mean zenith and azimuth of angles (2, ...) [deg], NaN where nothing is known."""
    zenith, azimuth = (a[np.isfinite(a)] for a in angles)
    if zenith.size == 0:
        return np.full(2, np.nan)
    a = np.radians(azimuth)
    return np.array([zenith.mean(), np.degrees(np.arctan2(np.sin(a).mean(), np.cos(a).mean())) % 360.0])


def _attributes(attrs: Mapping[str, Any], grid: TileGrid) -> dict[str, Any]:
    """Return the root attributes of an L2A product from those of its L1C."""
    dropped = ("radio_add_offset", "checks", "record", "cloud_percentage", "nodata_percentage")
    out = {key: value for key, value in attrs.items() if key not in dropped}
    out |= {"level": "L2A", "boa_add_offset": -1000, "quantification": 10000, "bands": list(BANDS)}
    out |= grid.facts()
    if "name" in attrs:
        out["source"], out["name"] = attrs["name"], str(attrs["name"]).replace("MSIL1C", "MSIL2A")
    return out


def start_tile(
    source: str, aux: str | None, l2a: str, grid: TileGrid, blocking: Blocking, corrections: Corrections = DEFAULT
) -> dict[str, Any]:
    """Create the empty product of a tile and return what its blocks need (step L2A_INIT).

    Parameters
    ----------
    source : str
        L1C tile.
    aux : str or None
        Folder of auxiliary files; without a DEM the ground is at sea level, without weather a standard one.
    l2a : str
        Store to make.
    grid : TileGrid
        Of the L1C tile.
    blocking : Blocking

    Returns
    -------
    dict
        ``attrs``, ``conditions``, ``aux``, ``flags``.
    """
    tile = open_tile(source)
    if tile.grid != grid:
        raise ConfigurationError(f"L1C tile on {tile.grid}", l2a, "plan the surface product on the grid of its L1C")
    begin = begin_tile(source, aux, corrections)
    variables = schema.l2a(grid, len(tile.detectors), blocking.chunks(), corrections.uncertainty)
    forecasts = forecast_variables(carried_forecasts(tile))
    specs = {path: spec for path, (spec, _) in forecasts.items()}
    create(l2a, variables | specs, {"s2dask": _attributes(tile.attrs, grid)})
    write_coordinates(l2a, variables, grid)
    write_forecasts(l2a, forecasts)
    _write_geometry(l2a, tile)
    return begin


def gather(source: str | TileReader, block: Block, begin: Mapping[str, Any]) -> BlockStatistics:
    """Return what a block of 20 m pixels says for its tile (step L2A_DDV)."""
    return stage.gather(
        open_tile(source), begin["conditions"], _terrain(begin["aux"]), _window(block), _rules(begin["aux"]),
        begin["corrections"],
    )  # fmt: skip


def solve(begin: Mapping[str, Any], statistics: Sequence[BlockStatistics]) -> AtmosphereState:
    """Settle aerosol, water vapour and cloud shadows of a tile (step L2A_AOT_WV)."""
    return stage.solve(begin["conditions"], statistics, begin["corrections"])


def write_surface(
    source: str, l2a: str, block: Block, begin: Mapping[str, Any], state: AtmosphereState, measured: bool = True
) -> Record:
    """Make one block of a surface product at all resolutions, write its chunks and return its record (step L2A_AC).

    Without `measured` the record has the pixels of each class only: what quality control costs is the difference.
    """
    tile = open_tile(source)
    cells = stage.cells_of(tile, _window(block))
    record: Record = {}
    compared: dict[str, np.ndarray] = {}
    aux, uncertainty = begin["aux"], begin["corrections"].uncertainty
    for r, out in stage.correct_block(tile, state, _terrain(aux), cells, _rules(aux), uncertainty):
        origin = tuple(o * cells.resolution // r for o in cells.origin)
        write_block(l2a, out, dict.fromkeys(out, origin))
        if measured:
            for path, values in out.items():
                if path.startswith("measurements/"):
                    record |= scene_indicator.count_record(values, f"r{r}m.{path.rsplit('/', 1)[1]}")
            compared |= {n: scene_indicator.middle_pixels(out[p]) for n, p in _COMPARED.items() if p in out}
        if r == 20 and SCL in out:
            if measured:
                for short, path in (("wvp", WVP), ("aot", AOT)):
                    record |= scene_indicator.layer_record(out[path], short)
                record |= scene_indicator.class_record(out[SCL], compared, out[AOT], block.origin)
            counts = np.bincount(out[SCL].ravel(), minlength=stage.CLASSES)
            record |= {f"scl.{PERCENTAGES[i]}": float(n) for i, n in enumerate(counts)}
    return record


def indicators(begin: Mapping[str, Any], state: AtmosphereState, record: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of a tile that are checked and delivered, from its combined record."""
    total = sum(record[f"scl.{name}"] for name in PERCENTAGES)
    valid = max(total - record["scl.nodata"], 1.0)
    out = {f"{name}_percentage": 100.0 * record[f"scl.{name}"] / valid for name in PERCENTAGES[1:]}
    out["nodata_percentage"] = 100.0 * record["scl.nodata"] / max(total, 1.0)
    out |= cloud_indicators(out, begin["attrs"])
    conditions = state.conditions
    out["solar_zenith"] = float(begin["attrs"].get("solar_zenith", conditions.sun[0].mean()))
    settled = {"aot": float(state.aerosol.aot.mean()), "wvp": state.vapour.mean}
    for short, name in (("aot", "aot_mean"), ("wvp", "water_vapour_mean")):
        seen = record.get(f"{short}.valid", 0.0)
        out[name] = record[f"{short}.sum"] / seen / 1000.0 if seen else settled[short]
    out["aot_uncertainty"] = float(np.sqrt((state.aerosol.sigma**2).mean()))
    out["water_vapour_uncertainty"] = state.vapour.sigma
    out["aot_accuracy"] = percentage(out["aot_uncertainty"], out["aot_mean"])
    out["water_vapour_accuracy"] = percentage(state.vapour.sigma, out["water_vapour_mean"])
    out["radiative_transfer_accuracy"] = transfer_accuracy(state)
    out["ozone_mean"] = float(conditions.ozone.mean())
    assumed = any(flag.startswith("no weather") for flag in begin["flags"])
    return out | atmosphere_indicators(state, not assumed) | scene_indicator.negative_shares(record)


def _assumed(state: AtmosphereState, record: Mapping[str, float]) -> list[str]:
    """Return what a tile could not tell of its own atmosphere."""
    stood_in = {"DEFAULT": "default aerosol assumed", "CAMS": "forecast aerosol taken"}
    flags = []
    if record["scl.nodata"] == sum(record[f"scl.{name}"] for name in PERCENTAGES):
        flags.append("no pixel with data")
    if state.aerosol.method in stood_in:
        flags.append(f"too little dark vegetation: {stood_in[state.aerosol.method]}")
    if not state.vapour.retrieved:
        flags.append("no clear land: forecast water vapour taken")
    return flags


def finish_tile(
    l2a: str, begin: Mapping[str, Any], state: AtmosphereState, blocks: Sequence[Record],
    created: datetime | None = None,
) -> dict[str, Any]:
    """Combine the records of a tile, check them and state them in the product (step L2A_FINALIZE).

    Parameters
    ----------
    l2a : str
    begin, state, blocks
        What the tasks before have returned.
    created : datetime, optional
        Of the product; default: now.

    Returns
    -------
    dict
        ``path``, ``record``, ``checks`` and ``flags``.
    """
    record = combine(blocks)
    numbers = scene_indicator.class_indicators(record) | indicators(begin, state, record)
    checks = [result.as_dict() for result in run_checks("L2A", numbers)]
    flags = [*begin["flags"], *_assumed(state, record)]
    numbers = {key: round(value, 6) for key, value in numbers.items()}
    stated = ("cloud_percentage", "nodata_percentage", "solar_zenith")
    attrs = _attributes_of(l2a) | {key: numbers[key] for key in stated}
    attrs |= {"record": record | numbers, "checks": checks, "flags": flags}
    attrs["scene_rules"] = _rules(begin["aux"]).facts()
    attrs |= {
        "aot_retrieval_method": state.aerosol.method,
        "aot_cells": state.aerosol.cells,
        "corrections": begin["corrections"].facts() | {"slopes": state.sloped, "cirrus_growth": dict(state.growth)},
        "aerosol_model": state.conditions.aerosol,
        "water_vapour_land": round(state.vapour.mean, 4),
        "generation_time": (created or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    set_attributes(l2a, {"s2dask": attrs})
    return {"path": l2a, "record": record | numbers, "checks": checks, "flags": flags}


def _attributes_of(url: str) -> dict[str, Any]:
    """Return the ``s2dask`` attributes of a store."""
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    return dict(group.attrs.asdict()["s2dask"])  # type: ignore[arg-type]


def make_surface(
    source: str, l2a: str, aux: str | None = None, blocking: Blocking | None = None, corrections: Corrections = DEFAULT
) -> dict[str, Any]:
    """Make the surface product of a tile here and now, block after block; the result of `finish_tile`."""
    grid = open_tile(source).grid
    cut = blocking or default_blocking(grid)
    begin = start_tile(source, aux, l2a, grid, cut, corrections)
    state = solve(begin, [gather(source, block, begin) for block in cut.blocks(grid, 20)])
    blocks = [write_surface(source, l2a, block, begin, state) for block in cut.blocks(grid, 20)]
    return finish_tile(l2a, begin, state, blocks)


def _lazy_block(
    source: str | TileReader, name: str, block: Block, begin: Mapping[str, Any], state: AtmosphereState
) -> np.ndarray:
    tile, window = open_tile(source), _window(block)
    if name == "SCL":
        return stage.scene_class(tile, state, window, _rules(begin["aux"]))[0]
    air = stage.air_above(tile, state, _terrain(begin["aux"]), stage.cells_of(tile, window))
    counts = stage.surface_reflectance(tile, state, air, name, window.resolution)
    out = (counts.astype(np.float32) - 1000) * np.float32(1e-4)
    out[(counts == 0) | (counts == 65535)] = np.nan
    return out


def l2a_dataset(
    source: str | TileReader,
    bands: Sequence[str] = ("B02", "B03", "B04", "B08"),
    aux: str | None = None,
    resolution: int | None = None,
    corrections: Corrections = DEFAULT,
) -> xr.Dataset:
    """Return the surface reflectance of a tile lazily, from the functions of production, with nothing written.

    Parameters
    ----------
    source : str or TileReader
        L1C tile: our Zarr, a SAFE folder or zip; or open already.
    bands : sequence of str
        Of one resolution, or of any with `resolution`; ``SCL`` for the scene classification (20 or 60 m).
    aux : str, optional
        Folder with ``dem``, ``geoid`` and ``meteo``.
    resolution : int, optional
        [m]; default: the coarsest among the bands, 20 for ``SCL``.
    corrections : Corrections

    Returns
    -------
    Dataset
        (y, x) float32 [1] for each band, NaN without data; uint8 for ``SCL``.
    """
    size = resolution or max(20 if name == "SCL" else band(name).resolution for name in bands)
    offered = {10: (), 20: ("SCL",), 60: ("SCL",)}
    if size not in offered or any(name not in (*schema.L2A_BANDS[size], *offered[size]) for name in bands):
        raise ConfigurationError(f"no {', '.join(bands)} at {size} m", str(source), "see s2dask.io.schema.L2A_BANDS")
    grid = open_tile(source).grid
    cut = default_blocking(grid)
    token = tokenize(source, aux, grid, corrections)
    tag = f"T{grid.tile_id}-{token}"
    begin = delayed(begin_tile, pure=True)(source, aux, corrections, dask_key_name=f"L2A_INIT-{tag}")
    statistics = [
        delayed(gather)(source, block, begin, dask_key_name=f"L2A_DDV-{tag}-{block.name}")
        for block in cut.blocks(grid, 20)
    ]
    state = delayed(solve)(begin, statistics, dask_key_name=f"L2A_AOT_WV-{tag}")
    images = {name: _lazy_image(source, name, grid, cut, size, tag, begin, state) for name in bands}
    pixel, (rows, columns) = grid.pixel(size), grid.shape(size)
    coordinates = {
        "y": grid.y0 - pixel * (np.arange(rows) + 0.5),
        "x": grid.x0 + pixel * (np.arange(columns) + 0.5),
    }
    arrays = {name.lower(): (("y", "x"), image) for name, image in images.items()}
    return xr.Dataset(arrays, coords=coordinates, attrs={"crs": grid.crs, "tile_id": grid.tile_id, "level": "L2A"})


def _lazy_image(
    source: str | TileReader, name: str, grid: TileGrid, cut: Blocking, size: int, tag: str, begin: Any, state: Any
) -> da.Array:
    dtype = np.dtype("uint8" if name == "SCL" else "float32")
    lines: dict[int, list[da.Array]] = {}
    for block in cut.blocks(grid, size):
        key = f"L2A_AC-{name}-{tag}-{block.name}"
        part = delayed(_lazy_block)(source, name, block, begin, state, dask_key_name=key)
        shape = (block.rows.stop - block.rows.start, block.columns.stop - block.columns.start)
        lines.setdefault(block.row, []).append(da.from_delayed(part, shape, dtype))
    image: da.Array = da.block([lines[row] for row in sorted(lines)])
    return image
