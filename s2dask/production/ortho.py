"""From L1B strips to L1C tiles, block by block."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import zarr

from s2dask.auxdata.gipp_radiometry import AbsoluteCalibration, read_r2abca
from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import BANDS, band, bands_of, unit
from s2dask.instrument.solar import reflectance_conversion
from s2dask.instrument.uncertainty import CountErrors
from s2dask.io import schema
from s2dask.io.chunk_files import open_for_reading
from s2dask.io.grids import TileGrid
from s2dask.io.storage import open_array, zarr_store
from s2dask.io.strips import StripSource
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_coordinates, write_whole
from s2dask.l1c.classification import CIRRUS, CLASSIFICATION_BANDS, OPAQUE, SNOW, average, classify
from s2dask.l1c.cloud_rule import CloudRule, classify_by_rule
from s2dask.l1c.reflectance import QUANTIFICATION, RADIO_ADD_OFFSET, decode
from s2dask.l1c.scratch import Scratch
from s2dask.l1c.shift_indicator import EDGE
from s2dask.l1c.stage import (
    OrthoParameters,
    TileGeometry,
    band_arrays,
    block_pixels,
    ortho_images,
    prepare_tile,
)
from s2dask.l1c.tile_geometry import mean_angles
from s2dask.l1c.tile_indicator import BlockIndicators, between_record, cover_record, deviations, tile_indicators
from s2dask.l1c.uncertainty import mean_uncertainty
from s2dask.production.blocks import Block, Blocking
from s2dask.production.count_errors import tile_errors
from s2dask.production.meteorology import cut_forecasts, forecast_variables, write_forecasts
from s2dask.production.reference_image import block_reference, patch_cell
from s2dask.production.resampling import USUAL, Resampling
from s2dask.production.setting import Setting, open_setting
from s2dask.production.strip import StripFacts, held_scenes, strip_facts
from s2dask.production.tile_gipps import check_tile, cloud_rule, colour_curves
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine
from s2dask.release.name_form import parse_compact_time
from s2dask.release.names import ProductName

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


def sensing_attributes(facts: StripFacts, setting: Setting, geometry: TileGeometry, how: Resampling) -> dict[str, Any]:
    """Return what is known of an orthoimage before its pixels, whatever its grid."""
    a = facts.attrs
    start, stop = (gps_to_utc(int(a[f"sensing_{end}_gps"])) for end in ("start", "stop"))
    absolute = _calibration(setting)
    # an imported L1B tells what its counts were made with
    gains = (a.get("radiometry") or {}).get("physical_gains") or absolute.gains
    zenith, azimuth = mean_angles(geometry.sun)
    return {
        "level": "L1C", "unit": facts.unit,
        "sensing_start": iso(start), "sensing_stop": iso(stop), "sensing_time": iso(gps_to_utc(geometry.date)),
        "datastrip_start": iso(start), "datatake_id": a["datatake_id"], "absolute_orbit": int(a["absolute_orbit"]),
        "relative_orbit": int(a["relative_orbit"]), "baseline": a["baseline"],
        "orbit_direction": "DESCENDING" if _descending(setting.model, geometry.date) else "ASCENDING",
        "detectors": list(facts.detectors), "bands": list(facts.bands),
        "quantification": QUANTIFICATION, "radio_add_offset": RADIO_ADD_OFFSET,
        "reflectance_conversion": reflectance_conversion(start),
        "solar_irradiance": {n: absolute.solar_irradiance[n] for n in facts.bands},
        "physical_gains": {n: gains[n] for n in facts.bands},
        "solar_zenith": zenith, "solar_azimuth": azimuth, "meteo": setting.meteo,
        "gipp_set": setting.gipps.id, "gipps": [file.stem for file in setting.gipps.files],
        **how.settled(setting.gipps).facts(),
    }  # fmt: skip


def tile_attributes(
    facts: StripFacts, setting: Setting, grid: TileGrid, geometry: TileGeometry, how: Resampling = USUAL,
    created: datetime | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the root attributes of the tile, as far as they are known before its pixels."""
    now, start = created or datetime.now(UTC), parse_compact_time(str(facts.attrs["datatake_id"])[5:20])
    out = sensing_attributes(facts, setting, geometry, how) | grid.facts()
    rule, curves = cloud_rule(setting.gipps), colour_curves(setting.gipps)
    if rule is not None:
        out["cloud_rule"] = asdict(rule)
    if curves is not None:
        out["colour_curves"] = curves
    name = ProductName(
        facts.unit, "L1C", start, str(out["baseline"]), int(out["relative_orbit"]), grid.tile_id,
        now.replace(microsecond=0),
    )  # fmt: skip
    return out | {"name": str(name), "generation_time": iso(now)}


def _write_angles(l1c: str, detectors: Sequence[int], geometry: TileGeometry) -> None:
    view = geometry.view
    write_whole(l1c, f"{GEOMETRY}/sun_angles", geometry.sun)
    write_whole(l1c, f"{GEOMETRY}/viewing_incidence_angles", view)
    write_whole(l1c, f"{GEOMETRY}/mean_sun_angles", mean_angles(geometry.sun))
    write_whole(l1c, f"{GEOMETRY}/mean_viewing_incidence_angles", [mean_angles(view[i]) for i in range(len(BANDS))])
    write_whole(l1c, f"{GEOMETRY}/detector", list(detectors))
    write_whole(l1c, f"{GEOMETRY}/band", list(range(len(BANDS))))


def start_tile(
    l0: str, aux: str | None, grid: TileGrid, blocking: Blocking, l1c: str, how: Resampling = USUAL,
    created: datetime | None = None,
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
    created : datetime, optional
        Of the product; default: now.

    Returns
    -------
    dict
        ``attrs``, ``heights``, ``box``, ``lines``, ``flags`` (what had to be assumed); JSON-able.
    """
    facts, setting, lines = strip_facts(l0), open_setting(l0, aux), strip_lines(strip_facts(l0))
    check_tile(setting.gipps, grid)
    geometry = prepare_tile(setting.model, setting.terrain, grid, lines, facts.detectors)
    attrs = tile_attributes(facts, setting, grid, geometry, how, created)
    variables = schema.l1c(
        grid, facts.detectors, facts.bands, blocking.chunks(), noise_gain=how.noise_gain, uncertainty=how.uncertainty
    )
    files, flags = cut_forecasts(setting, grid, geometry.date)
    forecasts = forecast_variables(files)
    create(l1c, variables | {path: spec for path, (spec, _) in forecasts.items()}, {"s2dask": attrs})
    write_coordinates(l1c, variables, grid)
    write_forecasts(l1c, forecasts)
    _write_angles(l1c, facts.detectors, geometry)
    return {
        "attrs": attrs, "heights": list(geometry.heights), "box": list(geometry.box), "lines": lines, "flags": flags,
    }  # fmt: skip


def ortho_parameters(
    attrs: Mapping[str, Any],
    lines: Mapping[str, int],
    box: Sequence[float],
    heights: Sequence[float],
    sun_zenith: np.ndarray,
    errors: Mapping[str, CountErrors] = MappingProxyType({}),
) -> OrthoParameters:
    """Return what the blocks of a tile share, from its attributes and its geometry."""
    west, south, east, north = box
    low, high = heights
    return OrthoParameters(
        tuple(attrs["detectors"]), lines, (west, south, east, north), (low, high), sun_zenith,
        attrs["physical_gains"], attrs["solar_irradiance"], attrs["reflectance_conversion"], attrs["filter"],
        attrs["cut"], attrs["noise_gain"], errors,
    )  # fmt: skip


def _indicators(aux: str | None, l0: str, grid: TileGrid, block: Block) -> BlockIndicators:
    """Return what measures the images of a block, with the reference image if the auxiliary folder has one."""
    r, reference = block.resolution, {}
    shape = (block.rows.stop - block.rows.start, block.columns.stop - block.columns.start)
    if r == 10:
        folder = aux or str(strip_facts(l0).attrs["aux"])
        reference = block_reference(folder, grid, block.origin, shape)
    return BlockIndicators(r, block.origin, grid.shape(r), patch_cell(grid, r), reference)


def write_ortho(
    l0: str, l1b: str, aux: str | None, l1c: str, block: Block, init: Mapping[str, Any], measured: bool = True
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
    measured : bool
        False leaves what the metadata state and no indicator: what quality control costs is told by the difference.
    """
    grid, setting = TileGrid.of(init["attrs"]), open_setting(l0, aux)
    names = [name for name in bands_of(block.resolution) if name in init["attrs"]["bands"]]
    if not names:
        return {}
    sun = np.asarray(open_array(l1c, f"{GEOMETRY}/sun_angles")[0])
    record: Record = {}
    indicators = _indicators(aux, l0, grid, block) if measured else None
    errors = tile_errors(l1b, init["attrs"]) if init["attrs"]["toa_uncertainty"] else {}
    parameters = ortho_parameters(init["attrs"], init["lines"], init["box"], init["heights"], sun, errors)
    source = StripSource(l1b, held_scenes(l1b))
    images = ortho_images(
        grid, block_pixels(block.resolution, block.rows, block.columns), names, source, setting.model,
        setting.terrain, parameters, Scratch(),
    )  # fmt: skip
    for name, image in images:
        arrays = band_arrays(name, image)
        write_block(l1c, arrays, dict.fromkeys(arrays, block.origin))
        record |= image.record(name.lower())
        if indicators is not None:
            indicators.see(name, image.reflectance, image.footprint, image.uncertainty)
    return record if indicators is None else record | indicators.record()


def _tile_attributes(l1c: str) -> dict[str, Any]:
    attrs: Any = zarr.open_group(zarr_store(l1c, read_only=True), mode="r").attrs["s2dask"]
    return dict(attrs)


def _around(part: slice, margin: int, size: int) -> slice:
    return slice(max(part.start - margin, 0), min(part.stop + margin, size))


def write_classification(l1c: str, block: Block, measured: bool = True) -> Record:
    """Write MSK_CLASSI of a block at 60 m, and return how many pixels fall into each class (step MASK_S2).

    With `measured`, the shifts between bands of different resolution and the clouds over all patches too.
    """
    attrs = _tile_attributes(l1c)
    rule = CloudRule(**attrs["cloud_rule"]) if attrs.get("cloud_rule") else None
    size, margin = TileGrid.of(attrs).shape(block.resolution), 0 if rule is None else rule.margin
    rows, columns = (_around(s, margin, n) for s, n in zip((block.rows, block.columns), size, strict=True))
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    reflectance: dict[str, np.ndarray] = {}
    valid = np.zeros(shape, np.bool_)
    for name in CLASSIFICATION_BANDS if rule is None else rule.bands:
        if name not in attrs["bands"]:
            continue
        r = band(name).resolution
        f = block.resolution // r
        start, stop = (rows.start * f, columns.start * f), (rows.stop * f, columns.stop * f)
        image = decode(open_for_reading(l1c, schema.reflectance_path(r, name)).read(start, stop))
        reflectance[name] = average(image, f)
        valid |= np.isfinite(reflectance[name])
    whole = classify(reflectance, shape) if rule is None else classify_by_rule(reflectance, shape, rule)
    inner = tuple(
        slice(part.start - wide.start, part.stop - wide.start)
        for part, wide in ((block.rows, rows), (block.columns, columns))
    )
    classes = np.ascontiguousarray(whole[inner])
    write_block(l1c, {CLASSIFICATION: classes}, {CLASSIFICATION: block.origin})
    bits = {"opaque": OPAQUE, "cirrus": CIRRUS, "snow": SNOW}
    counts = {f"classi.{key}": float((classes == bit).sum()) for key, bit in bits.items()}
    counts["classi.valid"] = float(valid[inner].sum())
    if not measured:
        return counts
    there = {name: image[inner] for name, image in reflectance.items()}
    grid = TileGrid.of(attrs)
    lattices = {r: (grid.shape(r), patch_cell(grid, r)) for r in EDGE}
    shifts = between_record(there, block.origin, *lattices[block.resolution])
    return counts | shifts | cover_record((classes & OPAQUE) != 0, block.origin, lattices)


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


def _uncertainties(record: Mapping[str, float]) -> Record:
    """Return the record with the mean uncertainty of each band [%] in the place of its sums."""
    mark = ":uncertainty_"
    out: Record = {name: value for name, value in record.items() if mark not in name}
    for name in (name for name in record if name.endswith(f"{mark}known")):
        prefix = name.removesuffix(f"{mark}known")
        mean = mean_uncertainty(*(record[f"{prefix}{mark}{what}"] for what in ("known", "codes", "levels")))
        if math.isfinite(mean):
            out[f"{prefix}.uncertainty_mean"] = mean
    return out


def _deviations(attrs: Mapping[str, Any]) -> dict[str, float]:
    """Return how far the radiometry that a tile states lies from that of its unit and its date [%]."""
    known = {name: facts.solar_irradiance for name, facts in unit(str(attrs["unit"])).bands.items()}
    expected = reflectance_conversion(parse_compact_time(str(attrs["datatake_id"])[5:20]))
    return deviations(attrs["solar_irradiance"], known, attrs["reflectance_conversion"], expected)


def finish_tile(l1c: str, init: Mapping[str, Any], blocks: Sequence[Record], masks: Sequence[Record]) -> dict[str, Any]:
    """Combine the records of a tile, run its checks and complete its attributes (step TILE_FINALIZE).

    Returns
    -------
    dict
        ``path``, ``record``, ``checks``, ``flags``.
    """
    attrs = dict(init["attrs"])
    record = _uncertainties(combine([*blocks, *masks]))
    percentages = _percentages(record, attrs["bands"])
    record |= tile_indicators(record) | _deviations(attrs)
    record |= percentages | {"solar_zenith": float(attrs["solar_zenith"])}
    checks = [result.as_dict() for result in run_checks("L1C", record)]
    set_attributes(l1c, {"s2dask": attrs | percentages | {"checks": checks, "record": record}})
    return {"path": l1c, "record": record, "checks": checks, "flags": list(init["flags"])}
