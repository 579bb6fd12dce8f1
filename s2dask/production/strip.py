"""From the lines of a datastrip to its L1B images, granule by granule: one function for production and notebooks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import zarr

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import LINES_PER_PACKET, band
from s2dask.instrument.telemetry import apid
from s2dask.io import schema
from s2dask.io.schema import image_path, mask_path, packet_path
from s2dask.io.schema_strip import conditions
from s2dask.io.storage import open_array, zarr_store
from s2dask.io.strips import StripSource
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_whole
from s2dask.l0.codec import codec
from s2dask.l0.granules import COMPLETE
from s2dask.l0.packets import out_of_place
from s2dask.l1a.equalisation import InverseTable
from s2dask.l1a.line_quality import LOST, ancillary_flags, line_flags
from s2dask.l1a.stage import LineParameters, RawLines, decode_lines, line_parameters
from s2dask.l1b.parameters import RadiometricParameters
from s2dask.l1b.stage import GranuleBand, margins, process_granule, radiometric_parameters, sources
from s2dask.production.strip_indicators import finish_indicators, granule_sums
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine

TRIO = ("B10", "B11", "B12")
Level = Literal["L1A", "L1B"]


@dataclass(frozen=True, slots=True)
class StripFacts:
    """What the root of a datastrip store says.

    Attributes
    ----------
    level : str
        ``L0``, ``L1A`` or ``L1B``.
    unit : str
    detectors, bands : tuple
    scenes : int
    codec : str
        Of the source packets.
    nuc_table : int or None
        Table that the instrument equalised with, None when it did not. Public descriptions of the source packets do not
        say where they tell it: the metadata of a real L0 datastrip do (``EQUALIZATION_MODE``, ``NUC_TABLE_ID``), and
        whoever makes an L0 store leaves it as `equalization_mode` and `nuc_table_id` in its root.
    rearranged : bool
        Whether the SWIR lines of an L1A store are re-arranged.
    attrs : dict
        Everything.
    """

    level: str
    unit: str
    detectors: tuple[int, ...]
    bands: tuple[str, ...]
    scenes: int
    codec: str
    nuc_table: int | None
    rearranged: bool
    attrs: dict[str, Any]


@lru_cache(maxsize=16)
def strip_facts(url: str) -> StripFacts:
    """Return the facts of an L0, L1A or L1B store."""
    attrs: Any = zarr.open_group(zarr_store(url, read_only=True), mode="r").attrs["s2dask"]
    if attrs.get("equalization_mode", False) and "nuc_table_id" not in attrs:
        raise InputError("equalised on board by a table that it does not tell", f"{url} nuc_table_id", "add its id")
    return StripFacts(
        str(attrs["level"]),
        str(attrs["unit"]),
        tuple(int(d) for d in attrs["detectors"]),
        tuple(str(b) for b in attrs["bands"]),
        int(attrs["scenes"]),
        str(attrs["codec"]),
        int(attrs["nuc_table_id"]) if attrs.get("equalization_mode", False) else None,
        bool(attrs.get("swir_rearranged", False)),
        attrs,
    )


def held_scenes(url: str) -> tuple[int, int] | None:
    """Return the first scene and the last + 1 that a store holds, None when it holds all of its shape."""
    held = strip_facts(url).attrs.get("held")
    return None if held is None else (int(held[0]), int(held[1]))


def raw_parameters(store: str, gipps: GippSet, detector: int) -> LineParameters:
    """Return what undoes the on-board equalisation of a strip, and what re-arranges the SWIR lines of its L1A."""
    facts = strip_facts(store)
    return line_parameters(gipps, detector, facts.bands, facts.nuc_table if facts.level == "L0" else None)


def raw_lines(
    store: str, detector: int, name: str, start: int, stop: int, inverse: InverseTable | None = None
) -> tuple[int, RawLines]:
    """Return the raw lines of a band that hold lines [start, stop), from packets (step DECOMP) or an L1A store.

    Parameters
    ----------
    store : str
        L0 or L1A store.
    detector : int
    name : str
        Band.
    start, stop : int
        Lines beyond the strip are left out.
    inverse : InverseTable, optional
        What undoes the on-board equalisation; in an L1A store it is undone.

    Returns
    -------
    first : int
        Absolute number of the first line, a multiple of 16 when it comes from packets.
    lines : RawLines
    """
    facts = strip_facts(store)
    if facts.level == "L1A":
        first = max(start, 0)
        counts, quality = StripSource(store).read(detector, name, first, max(stop, first))
        return first, RawLines(counts, *line_flags(quality))
    where = packet_path(detector, name)
    status = open_array(store, f"{where}/status")
    first = max(start // LINES_PER_PACKET, 0)
    last = min(-(-stop // LINES_PER_PACKET), status.shape[0])
    packets, told = (np.asarray(a[first:last]) for a in (open_array(store, f"{where}/packets"), status))
    b = band(name)
    # a packet of another place would put its lines where they were not seen
    astray = out_of_place(packets, first, apid(detector, b.index), b.packets_per_scene)
    told = np.where(astray & (told == COMPLETE), LOST, told).astype(told.dtype)
    lines = decode_lines(packets, told, codec(facts.codec), detector, inverse)
    return first * LINES_PER_PACKET, lines


def ancillary_lines(store: str, detector: int, name: str, first: int, lines: int) -> np.ndarray:
    """Return the flags of lines whose ancillary data are lost or degraded, (line) uint8, by the dates of the strip."""
    facts = strip_facts(store)
    dates = open_array(store, "conditions/datation/first_line_date")
    start = int(np.asarray(dates[facts.detectors.index(detector), facts.bands.index(name)]))
    period = 1e9 * float(facts.attrs["line_period"]) * band(name).line_factor
    series = (np.asarray(open_array(store, f"conditions/{k}/gps_time")[...]) for k in ("ephemeris", "attitude"))
    return ancillary_flags(start + np.rint(period * np.arange(first, first + lines)).astype(np.int64), *series)


@overload
def process_scene(
    store: str,
    gipps: GippSet,
    detector: int,
    bands: Sequence[str],
    scene: int,
    until: None = None,
    only: Collection[str] | None = None,
) -> dict[str, GranuleBand]: ...


@overload
def process_scene(
    store: str,
    gipps: GippSet,
    detector: int,
    bands: Sequence[str],
    scene: int,
    until: str | None,
    only: Collection[str] | None = None,
) -> dict[str, GranuleBand] | dict[str, np.ndarray]: ...


def process_scene(
    store: str,
    gipps: GippSet,
    detector: int,
    bands: Sequence[str],
    scene: int,
    until: str | None = None,
    only: Collection[str] | None = None,
) -> dict[str, GranuleBand] | dict[str, np.ndarray]:
    """Return the L1B images of one granule (detector x scene), or an intermediate of them.

    Bands that leak into those asked for are decoded too.

    Parameters
    ----------
    store : str
        L0 store, or L1A store whose SWIR lines are as the instrument gave them: they share their offsets and crosstalk
        with their neighbours in time, not on the ground.
    gipps : GippSet
    detector, scene : int
    bands : sequence of str
    until : str, optional
        Name of an intermediate step.
    only : collection of str, optional
        The steps to do; every one by default.
    """
    given = _source_lines(store, gipps, detector, bands, scene).given(bands, scene)
    return process_granule(detector, until=until, only=only, **given)


class SourceLines(NamedTuple):
    """Raw lines of the bands of a granule, with the margins and the sources that their correction takes.

    Attributes
    ----------
    parameters : RadiometricParameters
    first : dict of str to int
        Number of the first line of each band.
    lines : dict of str to RawLines
    ancillary : dict of str to (line) uint8
    """

    parameters: RadiometricParameters
    first: dict[str, int]
    lines: dict[str, RawLines]
    ancillary: dict[str, np.ndarray]

    def given(self, bands: Sequence[str], scene: int) -> dict[str, Any]:
        """Return what `process_granule` is told to correct the bands of a scene."""
        return {
            "first_line": self.first,
            "lines": {name: raw.counts for name, raw in self.lines.items()},
            "bad": {name: raw.bad for name, raw in self.lines.items()},
            "degraded": {name: raw.degraded for name, raw in self.lines.items()},
            "parameters": self.parameters,
            "window": {name: _window(name, scene) for name in bands},
            "ancillary": self.ancillary,
        }


def _source_lines(store: str, gipps: GippSet, detector: int, bands: Sequence[str], scene: int) -> SourceLines:
    parameters, raw = granule_parameters(store, gipps, detector), raw_parameters(store, gipps, detector)
    if strip_facts(store).rearranged and set(TRIO) & set(bands):
        remedy = "make L1B of the L0 datastrip, or of an L1A without (R2PARA SWIR_REARRANGEMENT)"
        raise ConfigurationError("its SWIR lines are re-arranged", store, remedy)
    out, around = SourceLines(parameters, {}, {}, {}), margins(parameters)
    for name in sources(parameters, bands):
        start, stop = _window(name, scene)
        out.first[name], out.lines[name] = raw_lines(
            store, detector, name, start - around[name], stop + around[name], raw.inverse.get(name)
        )
        out.ancillary[name] = ancillary_lines(store, detector, name, out.first[name], out.lines[name].bad.size)
    return out


def _window(name: str, scene: int) -> tuple[int, int]:
    """Return the first line of a scene and of the next."""
    return scene * band(name).lines_per_scene, (scene + 1) * band(name).lines_per_scene


def _record(prefix: str, image: GranuleBand) -> Record:
    """Return the granule's statistics in the form that combines: sums instead of means."""
    numbers = {key: float(value) for key, value in image.statistics().items()}
    mean, low, high = (numbers.pop(key) for key in ("mean", "min", "max"))
    record = {f"{prefix}.{key}": value for key, value in numbers.items()}
    record[f"{prefix}.pixels"] = float(image.counts.size)
    if numbers["count"]:
        record[f"{prefix}.sum"] = mean * numbers["count"]
        record[f"{prefix}.value_min"], record[f"{prefix}.value_max"] = low, high
    return record


def granule_parameters(l0: str, gipps: GippSet, detector: int) -> RadiometricParameters:
    """Return the radiometric parameters of a detector for the bands of a strip."""
    return radiometric_parameters(gipps, detector, strip_facts(l0).bands)


def start_images(source: str, target: str, level: Level, **stated: Any) -> None:
    """Create the empty L1A or L1B store of a datastrip with its orbit, attitude and dates (step RADIO_INIT).

    Parameters
    ----------
    source : str
        L0 or L1A store.
    target : str
        Store to create.
    level : {"L1A", "L1B"}
    **stated : JSON-able
        What its root says beside what that of the source does.
    """
    facts = strip_facts(source)
    points, samples = (open_array(source, f"conditions/{k}/gps_time").size for k in ("ephemeris", "attitude"))
    variables = {"L1A": schema.l1a, "L1B": schema.l1b}[level]
    attrs = facts.attrs | {"level": level} | stated
    create(target, variables(facts.detectors, facts.bands, facts.scenes, points, samples), {"s2dask": attrs})
    for path in conditions(1, 1, 1, 1):
        write_whole(target, path, open_array(source, path)[...])


def start_l1b(l0: str, l1b: str) -> None:
    """Create the empty L1B store of a datastrip."""
    start_images(l0, l1b, "L1B")


def finish_images(store: str, granules: Sequence[Record]) -> dict[str, Any]:
    """Combine the records of the granules, check them and state the result in the store (step OLQC_DS).

    Parameters
    ----------
    store : str
        L1A or L1B store.
    granules : sequence of Record

    Returns
    -------
    dict
        ``path``, ``record``, ``checks``.
    """
    record = finish_indicators(combine(granules))
    pixels = max(sum(v for k, v in record.items() if k.endswith(".pixels")), 1.0)
    for what in ("saturated", "nodata"):
        total = sum(v for k, v in record.items() if k.endswith(f".{what}"))
        record[f"{what}_percentage"] = 100.0 * total / pixels
    facts = strip_facts(store)
    checks = [result.as_dict() for result in run_checks(facts.level, record)]
    set_attributes(store, {"s2dask": facts.attrs | {"record": record, "checks": checks}})
    return {"path": store, "record": record, "checks": checks}


def write_scene(l0: str, l1b: str, gipps: GippSet, detector: int, scene: int) -> Record:
    """Make one L1B granule, write its chunks and return its record (steps DECOMP, RADIO_AB, RADIO_FINALIZE)."""
    record: Record = {}
    bands = strip_facts(l0).bands
    found = _source_lines(l0, gipps, detector, bands, scene)
    granule: dict[str, GranuleBand] = process_granule(detector, until=None, **found.given(bands, scene))
    for name, image in granule.items():
        origin = (scene * band(name).lines_per_scene, 0)
        counts, mask = image_path(detector, name), mask_path(detector, name)
        write_block(l1b, {counts: image.counts, mask: image.quality}, {counts: origin, mask: origin})
        record |= _record(f"d{detector:02d}.{name.lower()}", image)
    windows = {name: _window(name, scene) for name in bands}
    return record | granule_sums(found.parameters, found.first, found.lines, windows, granule)
