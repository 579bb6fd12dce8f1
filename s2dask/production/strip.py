"""From the packets of a datastrip to its L1B images, granule by granule: one function for production and notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, overload

import numpy as np
import zarr

from s2dask.auxdata.gipp_set import GippSet
from s2dask.instrument import LINES_PER_PACKET, band
from s2dask.io.schema import image_path, mask_path, packet_path
from s2dask.io.schema import l1b as l1b_schema
from s2dask.io.schema_strip import conditions
from s2dask.io.storage import open_array, zarr_store
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_whole
from s2dask.l0.codec import codec
from s2dask.l1b.parameters import RadiometricParameters
from s2dask.l1b.stage import GranuleBand, process_granule, radiometric_parameters
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine

MARGIN_LINES_60M = LINES_PER_PACKET
"""Margin of every window, in 60 m lines: one packet of a 60 m band, the same time in the others."""
TRIO = ("B10", "B11", "B12")
LOST, DEGRADED = 1, 2


@dataclass(frozen=True, slots=True)
class StripFacts:
    """What the root of a datastrip store says."""

    unit: str
    detectors: tuple[int, ...]
    bands: tuple[str, ...]
    scenes: int
    codec: str
    attrs: dict[str, Any]


@lru_cache(maxsize=16)
def strip_facts(url: str) -> StripFacts:
    """Return the facts of an L0, L1A or L1B store."""
    attrs: Any = zarr.open_group(zarr_store(url, read_only=True), mode="r").attrs["s2dask"]
    return StripFacts(
        str(attrs["unit"]),
        tuple(int(d) for d in attrs["detectors"]),
        tuple(str(b) for b in attrs["bands"]),
        int(attrs["scenes"]),
        str(attrs["codec"]),
        attrs,
    )


def decode_lines(l0: str, detector: int, name: str, start: int, stop: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Decode the packets that hold lines [start, stop) of a band (step DECOMP).

    Returns
    -------
    first : int
        Absolute number of the first line decoded, a multiple of 16.
    lines : (line, raw_column) uint16 [LSB]
    status : (line) uint8
        0 complete, 1 lost, 2 degraded.
    """
    where = packet_path(detector, name)
    status = open_array(l0, f"{where}/status")
    first = max(start // LINES_PER_PACKET, 0)
    last = min(-(-stop // LINES_PER_PACKET), status.shape[0])
    flags = np.asarray(status[first:last])
    packets = np.asarray(open_array(l0, f"{where}/packets")[first:last])
    lines, bad = codec(strip_facts(l0).codec).decode(packets, flags)
    per_line = np.repeat(flags, LINES_PER_PACKET)
    per_line[bad & (per_line == 0)] = LOST
    return first * LINES_PER_PACKET, lines, per_line


@overload
def process_scene(
    l0: str, detector: int, bands: Sequence[str], scene: int, parameters: RadiometricParameters, until: None = None
) -> dict[str, GranuleBand]: ...


@overload
def process_scene(
    l0: str, detector: int, bands: Sequence[str], scene: int, parameters: RadiometricParameters, until: str | None
) -> dict[str, GranuleBand] | dict[str, np.ndarray]: ...


def process_scene(
    l0: str,
    detector: int,
    bands: Sequence[str],
    scene: int,
    parameters: RadiometricParameters,
    until: str | None = None,
) -> dict[str, GranuleBand] | dict[str, np.ndarray]:
    """Return the L1B images of one granule (detector x scene), or an intermediate of them.

    The SWIR bands leak into each other: when one is asked for, the others are decoded too.

    Parameters
    ----------
    l0 : str
        L0 store.
    detector, scene : int
    bands : sequence of str
    parameters : RadiometricParameters
        Of the detector; must hold all three SWIR bands when one is asked for.
    until : str, optional
        Name of an intermediate step.
    """
    decoded = [*bands, *(n for n in TRIO if n not in bands and n in parameters.bands and set(TRIO) & set(bands))]
    first, lines, status, window = {}, {}, {}, {}
    for name in decoded:
        b = band(name)
        margin = MARGIN_LINES_60M * 60 // b.resolution
        window[name] = (scene * b.lines_per_scene, (scene + 1) * b.lines_per_scene)
        first[name], lines[name], status[name] = decode_lines(
            l0, detector, name, window[name][0] - margin, window[name][1] + margin
        )
    bad = {name: flags == LOST for name, flags in status.items()}
    degraded = {name: flags == DEGRADED for name, flags in status.items()}
    if until is None:
        granule = process_granule(detector, first, lines, bad, parameters, window=window, degraded=degraded)
        return {name: granule[name] for name in bands}
    images = process_granule(detector, first, lines, bad, parameters, until, window=window, degraded=degraded)
    return {name: images[name] for name in bands}


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


def start_l1b(l0: str, l1b: str) -> None:
    """Create the empty L1B store of a datastrip with its orbit, attitude and dates (step RADIO_INIT)."""
    facts = strip_facts(l0)
    points, samples = (open_array(l0, f"conditions/{k}/gps_time").size for k in ("ephemeris", "attitude"))
    attrs = facts.attrs | {"level": "L1B"}
    create(l1b, l1b_schema(facts.detectors, facts.bands, facts.scenes, points, samples), {"s2dask": attrs})
    for path in conditions(1, 1, 1, 1):
        write_whole(l1b, path, open_array(l0, path)[...])


def finish_l1b(l1b: str, granules: Sequence[Record]) -> dict[str, Any]:
    """Combine the records of the granules, check them and state the result in the store (step OLQC_DS_L1B).

    Returns
    -------
    dict
        ``path``, ``record``, ``checks``.
    """
    record = combine(granules)
    pixels = max(sum(v for k, v in record.items() if k.endswith(".pixels")), 1.0)
    for what in ("saturated", "nodata"):
        total = sum(v for k, v in record.items() if k.endswith(f".{what}"))
        record[f"{what}_percentage"] = 100.0 * total / pixels
    checks = [result.as_dict() for result in run_checks("L1B", record)]
    set_attributes(l1b, {"s2dask": strip_facts(l1b).attrs | {"record": record, "checks": checks}})
    return {"path": l1b, "record": record, "checks": checks}


def write_scene(l0: str, l1b: str, gipps: GippSet, detector: int, scene: int) -> Record:
    """Make one L1B granule, write its chunks and return its record (steps DECOMP, RADIO_AB, RADIO_FINALIZE)."""
    facts = strip_facts(l0)
    parameters = granule_parameters(l0, gipps, detector)
    record: Record = {}
    granule = process_scene(l0, detector, facts.bands, scene, parameters)
    for name, image in granule.items():
        origin = (scene * band(name).lines_per_scene, 0)
        counts, mask = image_path(detector, name), mask_path(detector, name)
        write_block(l1b, {counts: image.counts, mask: image.quality}, {counts: origin, mask: origin})
        record |= _record(f"d{detector:02d}.{name.lower()}", image)
    return record
