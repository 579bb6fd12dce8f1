"""From L1B strips to L1C tiles, block by block: one set of functions for production and notebooks."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, Literal

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.base import tokenize
from dask.delayed import delayed

from s2dask.auxdata.gipp_radiometry import AbsoluteCalibration, read_r2abca
from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.errors import ConfigurationError
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import BANDS, band, bands_of
from s2dask.instrument.solar import reflectance_conversion
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.storage import open_array, zarr_store
from s2dask.io.strips import ImageSource, StripSource
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_coordinates, write_whole
from s2dask.l1c.classification import CIRRUS, CLASSIFICATION_BANDS, OPAQUE, SNOW, average, classify
from s2dask.l1c.reflectance import QUANTIFICATION, RADIO_ADD_OFFSET, decode
from s2dask.l1c.stage import (
    OrthoParameters,
    TileGeometry,
    band_arrays,
    block_pixels,
    ortho_images,
    prepare_tile,
    tile_terrain,
)
from s2dask.l1c.tile_geometry import mean_angles
from s2dask.production.blocks import Block, Blocking, default_blocking
from s2dask.production.scene import Scene
from s2dask.production.setting import Setting, open_setting
from s2dask.production.strip import StripFacts, strip_facts
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine
from s2dask.release.names import ProductName, parse_compact_time

CLASSIFICATION: Final = "conditions/mask/l1c_classification/r60m/b00"
GEOMETRY: Final = "conditions/geometry"
Layer = Literal["reflectance", "counts", "quality", "footprint"]
_LAYERS: Final = {"reflectance": "float32", "counts": "float32", "quality": "uint8", "footprint": "uint8"}


def strip_lines(facts: StripFacts) -> dict[str, int]:
    """Return the lines of the images of each band of a datastrip."""
    return {name: band(name).lines_per_scene * facts.scenes for name in facts.bands}


def _calibration(setting: Setting) -> AbsoluteCalibration:
    return read_r2abca(setting.gipps.path("R2ABCA"), setting.gipps.unit)


def _descending(model: ViewingModel, date: int) -> bool:
    half = 500_000_000
    return bool(model.state(date + half)[0][2] < model.state(date - half)[0][2])


def _attributes(facts: StripFacts, setting: Setting, grid: TileGrid, geometry: TileGeometry) -> dict[str, Any]:
    """Return the root attributes of the tile, as far as they are known before its pixels."""
    a, now = facts.attrs, datetime.now(UTC)
    start, stop = (gps_to_utc(int(a[f"sensing_{end}_gps"])) for end in ("start", "stop"))
    absolute = _calibration(setting)
    zenith, azimuth = mean_angles(geometry.sun)
    datatake_start = parse_compact_time(str(a["datatake_id"])[5:20])
    name = ProductName(
        facts.unit, "L1C", datatake_start, str(a["baseline"]), int(a["relative_orbit"]), grid.tile_id,
        now.replace(microsecond=0),
    )  # fmt: skip
    return {
        "level": "L1C", "unit": facts.unit, "tile_id": grid.tile_id, "crs": grid.crs, "x0": grid.x0, "y0": grid.y0,
        "width": grid.width, "height": grid.height, "decimation": grid.decimation,
        "sensing_start": iso(start), "sensing_stop": iso(stop), "sensing_time": iso(gps_to_utc(geometry.date)),
        "datastrip_start": iso(start), "datatake_id": a["datatake_id"], "absolute_orbit": int(a["absolute_orbit"]),
        "relative_orbit": int(a["relative_orbit"]), "baseline": a["baseline"],
        "orbit_direction": "DESCENDING" if _descending(setting.model, geometry.date) else "ASCENDING",
        "detectors": list(facts.detectors), "bands": list(facts.bands),
        "quantification": QUANTIFICATION, "radio_add_offset": RADIO_ADD_OFFSET,
        "reflectance_conversion": reflectance_conversion(start),
        "solar_irradiance": {n: absolute.solar_irradiance[n] for n in facts.bands},
        "physical_gains": {n: absolute.gains[n] for n in facts.bands},
        "solar_zenith": zenith, "solar_azimuth": azimuth, "meteo": setting.meteo, "gipp_set": setting.gipps.id,
        "filter": "SPLINE3", "name": str(name), "generation_time": iso(now),
    }  # fmt: skip


def _write_angles(l1c: str, detectors: Sequence[int], geometry: TileGeometry) -> None:
    view = geometry.view
    write_whole(l1c, f"{GEOMETRY}/sun_angles", geometry.sun)
    write_whole(l1c, f"{GEOMETRY}/viewing_incidence_angles", view)
    write_whole(l1c, f"{GEOMETRY}/mean_sun_angles", mean_angles(geometry.sun))
    write_whole(l1c, f"{GEOMETRY}/mean_viewing_incidence_angles", [mean_angles(view[i]) for i in range(len(BANDS))])
    write_whole(l1c, f"{GEOMETRY}/detector", list(detectors))
    write_whole(l1c, f"{GEOMETRY}/band", list(range(len(BANDS))))


def start_tile(l0: str, aux: str | None, grid: TileGrid, blocking: Blocking, l1c: str) -> dict[str, Any]:
    """Create the store of a tile with its coordinates and angles, and return what its blocks share (step TILE_INIT).

    Parameters
    ----------
    l0 : str
        L0 store: orbit, attitude, line dates and facts of the datastrip.
    aux : str or None
        Folder of auxiliary files; default: the one named in the store.
    grid : TileGrid
    blocking : Blocking
    l1c : str
        Store to create; one that is there is replaced.

    Returns
    -------
    dict
        ``attrs``, ``heights``, ``box``, ``lines``; JSON-able.
    """
    facts, setting, lines = strip_facts(l0), open_setting(l0, aux), strip_lines(strip_facts(l0))
    geometry = prepare_tile(setting.model, setting.terrain, grid, lines, facts.detectors)
    attrs = _attributes(facts, setting, grid, geometry)
    variables = schema.l1c(grid, facts.detectors, facts.bands, chunks=blocking.chunks())
    create(l1c, variables, {"s2dask": attrs})
    write_coordinates(l1c, variables, grid)
    _write_angles(l1c, facts.detectors, geometry)
    return {"attrs": attrs, "heights": list(geometry.heights), "box": list(geometry.box), "lines": lines}


def tile_grid(attrs: Mapping[str, Any]) -> TileGrid:
    """Return the grid that the attributes of a tile state."""
    keys = ("tile_id", "crs", "x0", "y0", "width", "height", "decimation")
    return TileGrid(*(attrs[key] for key in keys))


def _parameters(init: Mapping[str, Any], sun_zenith: np.ndarray) -> OrthoParameters:
    a = init["attrs"]
    west, south, east, north = init["box"]
    low, high = init["heights"]
    return OrthoParameters(
        tuple(a["detectors"]), init["lines"], (west, south, east, north), (low, high), sun_zenith,
        a["physical_gains"], a["solar_irradiance"], a["reflectance_conversion"], a["filter"],
    )  # fmt: skip


def write_ortho(
    l0: str, l1b: str, aux: str | None, l1c: str, block: Block, init: Mapping[str, Any]
) -> Record:
    """Make the orthoimages of a block, band after band, write its chunks and return its record (step GEN_ORTHO_TOA).

    Parameters
    ----------
    l0, l1b : str
        Stores of the datastrip.
    aux : str or None
    l1c : str
        Store made by `start_tile`.
    block : Block
    init : dict
        What `start_tile` returned.
    """
    grid, setting = tile_grid(init["attrs"]), open_setting(l0, aux)
    names = [name for name in bands_of(block.resolution) if name in init["attrs"]["bands"]]
    if not names:
        return {}
    sun = np.asarray(open_array(l1c, f"{GEOMETRY}/sun_angles")[0])
    record: Record = {}
    images = ortho_images(
        grid, block_pixels(block.resolution, block.rows, block.columns), names, StripSource(l1b), setting.model,
        setting.terrain, _parameters(init, sun),
    )  # fmt: skip
    for name, image in images:
        arrays = band_arrays(name, image)
        write_block(l1c, arrays, dict.fromkeys(arrays, block.origin))
        record |= image.record(name.lower())
    return record


def _tile_bands(l1c: str) -> tuple[str, ...]:
    attrs: Any = zarr.open_group(zarr_store(l1c, read_only=True), mode="r").attrs["s2dask"]
    return tuple(str(name) for name in attrs["bands"])


def write_classification(l1c: str, block: Block) -> Record:
    """Write MSK_CLASSI of a block at 60 m, and return how many pixels fall into each class (step MASK_S2)."""
    shape = (block.rows.stop - block.rows.start, block.columns.stop - block.columns.start)
    reflectance: dict[str, np.ndarray] = {}
    valid = np.zeros(shape, np.bool_)
    present = _tile_bands(l1c)
    for name in CLASSIFICATION_BANDS:
        if name not in present:
            continue
        r = band(name).resolution
        f = block.resolution // r
        window = tuple(slice(s.start * f, s.stop * f) for s in (block.rows, block.columns))
        image = decode(np.asarray(open_array(l1c, schema.reflectance_path(r, name))[window]))
        reflectance[name] = average(image, f)
        valid |= np.isfinite(reflectance[name])
    classes = classify(reflectance, shape)
    write_block(l1c, {CLASSIFICATION: classes}, {CLASSIFICATION: block.origin})
    bits = {"opaque": OPAQUE, "cirrus": CIRRUS, "snow": SNOW}
    counts = {f"classi.{key}": float((classes == bit).sum()) for key, bit in bits.items()}
    return counts | {"classi.valid": float(valid.sum())}


def _percentages(record: Mapping[str, float], bands: Sequence[str]) -> dict[str, float]:
    def total(what: str) -> float:
        return sum(record.get(f"{name.lower()}.{what}", 0.0) for name in bands)

    pixels, seen = max(total("pixels"), 1.0), max(total("pixels") - total("unseen"), 1.0)
    classified = max(record.get("classi.valid", 0.0), 1.0)
    return {
        "cloud_percentage": 100.0 * (record["classi.opaque"] + record["classi.cirrus"]) / classified,
        "snow_percentage": 100.0 * record["classi.snow"] / classified,
        "nodata_percentage": 100.0 * total("nodata") / pixels,
        "data_loss_percentage": 100.0 * (total("nodata") - total("unseen")) / seen,
        "degraded_percentage": 100.0 * (total("lost") + total("degraded")) / seen,
        "saturated_defective_percentage": 100.0 * (total("saturated") + total("defective")) / seen,
    }


def finish_tile(
    l1c: str, init: Mapping[str, Any], blocks: Sequence[Record], masks: Sequence[Record]
) -> dict[str, Any]:
    """Combine the records of a tile, run its checks and complete its attributes (step TILE_FINALIZE).

    Returns
    -------
    dict
        ``path``, ``record``, ``checks``.
    """
    attrs = dict(init["attrs"])
    record = combine([*blocks, *masks])
    percentages = _percentages(record, attrs["bands"])
    record |= percentages | {"solar_zenith": float(attrs["solar_zenith"])}
    # what the swath does not reach is no loss of data
    measured = record | {"nodata_percentage": percentages["data_loss_percentage"]}
    checks = [result.as_dict() for result in run_checks("L1C", measured)]
    set_attributes(l1c, {"s2dask": attrs | percentages | {"checks": checks, "record": record}})
    return {"path": l1c, "record": record, "checks": checks}


@dataclass(frozen=True)
class _Bench:
    """What a worker keeps of an interactive tile."""

    source: ImageSource
    setting: Setting
    parameters: OrthoParameters


_BENCHES: "OrderedDict[str, _Bench]" = OrderedDict()
_LOCK = Lock()


def _bench(token: str, scene: Scene, grid: TileGrid, bands: Sequence[str]) -> _Bench:
    """Return the opened data of a tile; a worker keeps the last four, with the granules that they computed."""
    with _LOCK:
        if token not in _BENCHES:
            facts, setting = strip_facts(scene.l0), scene.setting
            lines = {name: n for name, n in strip_lines(facts).items() if name in bands}
            geometry = prepare_tile(setting.model, setting.terrain, grid, lines, facts.detectors, views=False)
            absolute = _calibration(setting)
            start = gps_to_utc(int(facts.attrs["sensing_start_gps"]))
            parameters = OrthoParameters(
                facts.detectors, lines, geometry.box, geometry.heights, geometry.sun[0], absolute.gains,
                absolute.solar_irradiance, reflectance_conversion(start),
            )  # fmt: skip
            tile_terrain(setting.terrain, geometry.box)
            _BENCHES[token] = _Bench(scene.source(), setting, parameters)
            while len(_BENCHES) > 4:
                _BENCHES.popitem(last=False)
        _BENCHES.move_to_end(token)
        return _BENCHES[token]


def _ortho_chunk(
    token: str, grid: TileGrid, name: str, what: Layer, bands: Sequence[str], scene: Scene, block_info: Any = None
) -> np.ndarray:
    bench = _bench(token, scene, grid, bands)
    rows, columns = (slice(a, b) for a, b in block_info[None]["array-location"])
    pixels = block_pixels(band(name).resolution, rows, columns)
    ((_, image),) = ortho_images(
        grid, pixels, (name,), bench.source, bench.setting.model, bench.setting.terrain, bench.parameters
    )
    return decode(image.reflectance) if what == "reflectance" else np.asarray(getattr(image, what))


def ortho_array(
    scene: Scene, grid: TileGrid, name: str, blocking: Blocking | None = None, what: Layer = "reflectance"
) -> xr.DataArray:
    """Return an orthoimage of a band, lazily, from the function that production runs; nothing is written.

    Parameters
    ----------
    scene : Scene
    grid : TileGrid
    name : str
        Band.
    blocking : Blocking, optional
    what : {"reflectance", "counts", "quality", "footprint"}
        Reflectance with NaN for no data; resampled L1B counts; MSK_QUALIT bits; detector numbers.

    Returns
    -------
    (y, x), one chunk per block
    """
    if name not in scene.bands or what not in _LAYERS:
        raise ConfigurationError(f"no {what} of {name}", scene.l0, f"bands {scene.bands}, layers {tuple(_LAYERS)}")
    r = band(name).resolution
    shape, step = grid.shape(r), (blocking or default_blocking(grid)).edge // r
    chunks = tuple(tuple(min(step, n - a) for a in range(0, n, step)) for n in shape)
    # the height range, which all bands must share, comes from every band of the scene
    token, dtype = tokenize(scene.l0, scene.setting.gipps.id, grid), np.dtype(_LAYERS[what])
    image = da.map_blocks(  # type: ignore[no-untyped-call]
        _ortho_chunk, token, grid, name, what, scene.bands, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype),
        name=f"GEN_ORTHO_TOA-{name}-T{grid.tile_id}-{tokenize(token, name, what, chunks)}",
        scene=delayed(scene, pure=False, name=f"scene-{token}", traverse=False),
    )  # fmt: skip
    x, y = (grid.x0 + r * (np.arange(shape[1]) + 0.5), grid.y0 - r * (np.arange(shape[0]) + 0.5))
    attrs = {"crs": grid.crs, "long_name": f"TOA {what} of {name}" if what == "reflectance" else f"{what} of {name}"}
    return xr.DataArray(image, {"y": y, "x": x}, ("y", "x"), name.lower(), attrs)


def ortho_tree(
    scene: Scene, grid: TileGrid, bands: Sequence[str] | None = None, blocking: Blocking | None = None
) -> xr.DataTree:
    """Return the reflectance of several bands lazily, in one group per resolution: ``r10m``, ``r20m``, ``r60m``."""
    groups: dict[str, dict[str, xr.DataArray]] = {}
    for name in bands or scene.bands:
        group = groups.setdefault(f"/r{band(name).resolution}m", {})
        group[name.lower()] = ortho_array(scene, grid, name, blocking)
    return xr.DataTree.from_dict({path: xr.Dataset(arrays) for path, arrays in groups.items()})
