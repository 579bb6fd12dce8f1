"""From L1B strips to L1C tiles, block by block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import zarr

from s2dask.auxdata.gipp_radiometry import AbsoluteCalibration, read_r2abca
from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import BANDS, band, bands_of
from s2dask.instrument.solar import reflectance_conversion
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.storage import open_array, zarr_store
from s2dask.io.strips import StripSource
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_coordinates, write_whole
from s2dask.l1c.classification import CIRRUS, CLASSIFICATION_BANDS, OPAQUE, SNOW, average, classify
from s2dask.l1c.footprint import Cut
from s2dask.l1c.reflectance import QUANTIFICATION, RADIO_ADD_OFFSET, decode
from s2dask.l1c.resampling import filter_of
from s2dask.l1c.stage import (
    OrthoParameters,
    TileGeometry,
    band_arrays,
    block_pixels,
    ortho_images,
    prepare_tile,
)
from s2dask.l1c.tile_geometry import mean_angles
from s2dask.production.blocks import Block, Blocking
from s2dask.production.setting import Setting, open_setting
from s2dask.production.strip import StripFacts, strip_facts
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine
from s2dask.release.names import ProductName, parse_compact_time

CLASSIFICATION: Final = "conditions/mask/l1c_classification/r60m/b00"
GEOMETRY: Final = "conditions/geometry"


def strip_lines(facts: StripFacts) -> dict[str, int]:
    """Return the lines of the images of each band of a datastrip."""
    return {name: band(name).lines_per_scene * facts.scenes for name in facts.bands}


def _calibration(setting: Setting) -> AbsoluteCalibration:
    return read_r2abca(setting.gipps.path("R2ABCA"), setting.gipps.unit)


def _descending(model: ViewingModel, date: int) -> bool:
    half = 500_000_000
    return bool(model.state(date + half)[0][2] < model.state(date - half)[0][2])


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a tile is resampled.

    Attributes
    ----------
    interpolation : str
        ``bspline``, ``bicubic``, ``bilinear`` or ``nearest``, or a name of GIP_RESPAR.
    cut : Cut
        Who keeps the overlap of two detectors, see `s2dask.l1c.footprint.claim`.
    noise_gain : bool
        Keep the sums of squared weights as a layer, for the uncertainty of the pixels.
    """

    interpolation: str = "bspline"
    cut: Cut = "middle"
    noise_gain: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what the attributes of a tile state of it."""
        return {"filter": filter_of(self.interpolation), "cut": self.cut, "noise_gain": self.noise_gain}


def tile_attributes(
    facts: StripFacts, setting: Setting, grid: TileGrid, geometry: TileGeometry, how: Resampling = Resampling()
) -> dict[str, Any]:
    """Return the root attributes of the tile, as far as they are known before its pixels."""
    a, now = facts.attrs, datetime.now(UTC)
    start, stop = (gps_to_utc(int(a[f"sensing_{end}_gps"])) for end in ("start", "stop"))
    absolute = _calibration(setting)
    # an imported L1B tells what its counts were made with
    gains = (a.get("radiometry") or {}).get("physical_gains") or absolute.gains
    zenith, azimuth = mean_angles(geometry.sun)
    datatake_start = parse_compact_time(str(a["datatake_id"])[5:20])
    name = ProductName(
        facts.unit, "L1C", datatake_start, str(a["baseline"]), int(a["relative_orbit"]), grid.tile_id,
        now.replace(microsecond=0),
    )  # fmt: skip
    return {
        "level": "L1C", "unit": facts.unit, **grid.facts(),
        "sensing_start": iso(start), "sensing_stop": iso(stop), "sensing_time": iso(gps_to_utc(geometry.date)),
        "datastrip_start": iso(start), "datatake_id": a["datatake_id"], "absolute_orbit": int(a["absolute_orbit"]),
        "relative_orbit": int(a["relative_orbit"]), "baseline": a["baseline"],
        "orbit_direction": "DESCENDING" if _descending(setting.model, geometry.date) else "ASCENDING",
        "detectors": list(facts.detectors), "bands": list(facts.bands),
        "quantification": QUANTIFICATION, "radio_add_offset": RADIO_ADD_OFFSET,
        "reflectance_conversion": reflectance_conversion(start),
        "solar_irradiance": {n: absolute.solar_irradiance[n] for n in facts.bands},
        "physical_gains": {n: gains[n] for n in facts.bands},
        "solar_zenith": zenith, "solar_azimuth": azimuth, "meteo": setting.meteo, "gipp_set": setting.gipps.id,
        **how.facts(), "name": str(name), "generation_time": iso(now),
    }  # fmt: skip


def _write_angles(l1c: str, detectors: Sequence[int], geometry: TileGeometry) -> None:
    view = geometry.view
    write_whole(l1c, f"{GEOMETRY}/sun_angles", geometry.sun)
    write_whole(l1c, f"{GEOMETRY}/viewing_incidence_angles", view)
    write_whole(l1c, f"{GEOMETRY}/mean_sun_angles", mean_angles(geometry.sun))
    write_whole(l1c, f"{GEOMETRY}/mean_viewing_incidence_angles", [mean_angles(view[i]) for i in range(len(BANDS))])
    write_whole(l1c, f"{GEOMETRY}/detector", list(detectors))
    write_whole(l1c, f"{GEOMETRY}/band", list(range(len(BANDS))))


def start_tile(
    l0: str, aux: str | None, grid: TileGrid, blocking: Blocking, l1c: str, how: Resampling = Resampling()
) -> dict[str, Any]:
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
    how : Resampling

    Returns
    -------
    dict
        ``attrs``, ``heights``, ``box``, ``lines``; JSON-able.
    """
    facts, setting, lines = strip_facts(l0), open_setting(l0, aux), strip_lines(strip_facts(l0))
    geometry = prepare_tile(setting.model, setting.terrain, grid, lines, facts.detectors)
    attrs = tile_attributes(facts, setting, grid, geometry, how)
    variables = schema.l1c(grid, facts.detectors, facts.bands, chunks=blocking.chunks(), noise_gain=how.noise_gain)
    create(l1c, variables, {"s2dask": attrs})
    write_coordinates(l1c, variables, grid)
    _write_angles(l1c, facts.detectors, geometry)
    return {"attrs": attrs, "heights": list(geometry.heights), "box": list(geometry.box), "lines": lines}


def ortho_parameters(
    attrs: Mapping[str, Any],
    lines: Mapping[str, int],
    box: Sequence[float],
    heights: Sequence[float],
    sun_zenith: np.ndarray,
) -> OrthoParameters:
    """Return what the blocks of a tile share, from its attributes and its geometry."""
    west, south, east, north = box
    low, high = heights
    return OrthoParameters(
        tuple(attrs["detectors"]), lines, (west, south, east, north), (low, high), sun_zenith,
        attrs["physical_gains"], attrs["solar_irradiance"], attrs["reflectance_conversion"], attrs["filter"],
        attrs["cut"], attrs["noise_gain"],
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
    grid, setting = TileGrid.of(init["attrs"]), open_setting(l0, aux)
    names = [name for name in bands_of(block.resolution) if name in init["attrs"]["bands"]]
    if not names:
        return {}
    sun = np.asarray(open_array(l1c, f"{GEOMETRY}/sun_angles")[0])
    record: Record = {}
    parameters = ortho_parameters(init["attrs"], init["lines"], init["box"], init["heights"], sun)
    images = ortho_images(
        grid, block_pixels(block.resolution, block.rows, block.columns), names, StripSource(l1b), setting.model,
        setting.terrain, parameters,
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
    checks = [result.as_dict() for result in run_checks("L1C", record)]
    set_attributes(l1c, {"s2dask": attrs | percentages | {"checks": checks, "record": record}})
    return {"path": l1c, "record": record, "checks": checks}
