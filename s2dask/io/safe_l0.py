"""Level-0 granules and datastrips in SAFE form: their packets and conditions, as the variables of an L0 store.

Each band file is a row of records: a 20-byte annotation of the reception, then the source packet as it was received.
Packets that were lost are not there; the sequence count, which begins at 0 with every scene, tells which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, LINES_PER_PACKET, SCENE_SECONDS, Band, band
from s2dask.instrument.telemetry import ANNOTATION_BYTES, PACKET_PRIMARY_BYTES
from s2dask.instrument.timing import SCENE_LINES_10M
from s2dask.io import schema_strip
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_l0_metadata import DatastripFacts, GranuleFacts, datastrip_facts, granule_facts
from s2dask.io.template import create
from s2dask.io.writer import write_block, write_whole

COMPLETE, LOST, DEGRADED = 0, 1, 2
_GPS_EPOCH: Final = datetime(1980, 1, 6, tzinfo=UTC)
_REMEDY: Final = "fetch the granule again, or read with allow_truncated"
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Records:
    """The records of a file of packets.

    Attributes
    ----------
    annotation : (record, 20) uint8
    packets : (record, byte) uint8
        A record that the end of the file cuts is there too, zeros after the cut.
    apid, count, time : (record) int64
        Of the packets' heads; the time is GPS [ns].
    cut : bool
        Whether the last record is incomplete.
    """

    annotation: Bytes
    packets: Bytes
    apid: NDArray[np.int64]
    count: NDArray[np.int64]
    time: NDArray[np.int64]
    cut: bool

    @property
    def frames(self) -> NDArray[np.uint16]:
        """How many frames carried each packet; 0 when the annotation does not tell."""
        return np.ascontiguousarray(self.annotation[:, 12:14]).view(">u2")[:, 0].astype(np.uint16)

    @property
    def downlink(self) -> NDArray[np.int64]:
        """When each packet was received, UTC since 2000 [ns]; 0 when the annotation does not tell."""
        days, milli, micro = (
            np.ascontiguousarray(self.annotation[:, a:b]).view(kind)[:, 0].astype(np.int64)
            for a, b, kind in ((2, 4, ">u2"), (4, 8, ">u4"), (8, 10, ">u2"))
        )
        return np.asarray((days * 86_400_000 + milli) * 1_000_000 + micro * 1000)

    @property
    def degraded(self) -> NDArray[np.bool_]:
        """Which packets came in frames that could not be corrected, or are cut."""
        bad: NDArray[np.bool_] = (self.annotation[:, 14] > 0) | (self.annotation[:, 15] > 0)
        bad[-1:] |= self.cut
        return bad


def read_records(data: bytes, where: str, kind: str = "image") -> Records:
    """Split a file of equally long records.

    Parameters
    ----------
    data : bytes
    where : str
        For messages.
    kind : {"image", "ancillary"}
        Where the time stands: after the primary header, or after the service header too.
    """
    at = PACKET_PRIMARY_BYTES if kind == "image" else PACKET_PRIMARY_BYTES + 4
    if len(data) < ANNOTATION_BYTES + at + 7:
        raise InputError(f"{len(data)} bytes hold no packet", where, "fetch the granule again")
    length = int.from_bytes(data[ANNOTATION_BYTES + 4 : ANNOTATION_BYTES + 6], "big") + PACKET_PRIMARY_BYTES + 1
    record = ANNOTATION_BYTES + length
    whole, rest = divmod(len(data), record)
    usable = rest >= ANNOTATION_BYTES + at + 7
    table, kept = np.zeros((whole + usable, record), np.uint8), whole * record + rest * usable
    table.reshape(-1)[:kept] = np.frombuffer(data, np.uint8)[:kept]
    heads = table[:, ANNOTATION_BYTES : ANNOTATION_BYTES + at + 7].astype(np.int64)
    wrong = np.flatnonzero((heads[:, 4] << 8 | heads[:, 5]) + PACKET_PRIMARY_BYTES + 1 != length)
    if wrong.size:
        raise InputError(f"record {wrong[0]} has another length than the first", where, "fetch the granule again")
    ticks = np.zeros(len(heads), np.int64)
    for i in range(7):
        ticks = ticks << 8 | heads[:, at + i]
    fraction = np.round((ticks & 0xFFFFFF) * (1e9 / (1 << 24))).astype(np.int64)
    return Records(
        table[:, :ANNOTATION_BYTES], table[:, ANNOTATION_BYTES:], (heads[:, 0] & 7) << 8 | heads[:, 1],
        (heads[:, 2] << 8 | heads[:, 3]) & 0x3FFF, (ticks >> 24) * 1_000_000_000 + fraction, rest > 0,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Granule:
    """A granule that was read.

    Attributes
    ----------
    facts : GranuleFacts
    bands : mapping of str to Records
    notes : tuple of str
        What is cut or missing, a sentence each; empty for a whole granule.
    """

    facts: GranuleFacts
    bands: Mapping[str, Records]
    notes: tuple[str, ...]

    @property
    def scene(self) -> int:
        """Rank of the scene in the datastrip."""
        return max(self.facts.position - 1, 0) // SCENE_LINES_10M

    @property
    def codec(self) -> str:
        """Name of the image codec: as the metadata say, else the mission's own, which no open decoder reads."""
        return dict(part.partition("=")[::2] for part in self.facts.parameters.split(";")).get("CODEC", "mrcpb")


def manifest_sizes(safe: SafeArchive) -> dict[str, int]:
    """Return the size [byte] of every file that the manifest of a product lists."""
    sizes = {}
    for stream in safe.xml(safe.one("manifest.safe")).iter("byteStream"):
        location = stream.find("fileLocation")
        if location is None:
            raise InputError("a byteStream without fileLocation", safe.describe("manifest.safe"), _REMEDY)
        name = PurePosixPath(str(location.get("href")).removeprefix("./")).as_posix()
        sizes[name] = int(stream.get("size", "-1"))
    return sizes


def _check(safe: SafeArchive, name: str, sizes: Mapping[str, int]) -> str:
    """Return how a file of the manifest falls short, empty when it does not."""
    if name not in safe.names:
        return f"{PurePosixPath(name).name} is missing"
    size = (safe.path / name).stat().st_size if not safe.root else len(safe.read(name))
    return "" if size == sizes[name] else f"{PurePosixPath(name).name} has {size} of {sizes[name]} bytes"


def read_granule(path: str | Path, allow_truncated: bool = False) -> Granule:
    """Read a Level-0 granule.

    Parameters
    ----------
    path : str or Path
        Its folder.
    allow_truncated : bool
        Read what is there of band files that are cut or missing, instead of refusing the granule.
    """
    safe = SafeArchive.open(path)
    facts = granule_facts(safe.xml(safe.one("S2?_OPER_MTD_L0*_GR_*.xml")))
    sizes = manifest_sizes(safe)
    listed = {name: size for name, size in sizes.items() if name.endswith(".bin")}
    notes = [note for name in listed if (note := _check(safe, name, sizes))]
    if notes and not allow_truncated:
        rest = f" and {len(notes) - 1} more" if len(notes) > 1 else ""
        raise InputError(f"{notes[0]}{rest}", safe.describe("IMG_DATA"), _REMEDY)
    bands = {}
    for name in listed:
        if name in safe.names:
            label = PurePosixPath(name).stem.rsplit("_", 1)[-1]
            bands[label] = read_records(safe.read(name), safe.describe(name))
            notes += _counted(bands[label], facts, label, safe.describe(name), allow_truncated)
    return Granule(facts, {n: bands[n] for n in BANDS if n in bands}, tuple(notes))


def _counted(records: Records, facts: GranuleFacts, name: str, where: str, lenient: bool) -> list[str]:
    whole, stated = records.count.size - records.cut, facts.packets.get(band(name).index, (0, 0, 0))[2]
    if whole == stated:
        return []
    note = f"{name}: {whole} whole packets of {stated}"
    if not lenient:
        raise InputError(note, where, _REMEDY)
    return [note]


def band_variables(records: Records, b: Band) -> dict[str, NDArray[Any]]:
    """Return the packets of a band of one granule in their places, as an L0 store has them.

    Returns
    -------
    dict
        ``packets`` (packet, byte) uint8, ``sequence_count`` (packet) uint16, ``packet_time`` (packet) int64 GPS [ns],
        0 where lost, ``status`` (packet) uint8, ``frames`` (packet) uint16.
    """
    per = b.packets_per_scene
    if records.count.size and int(records.count.max()) >= per:
        raise InputError(f"sequence count {int(records.count.max())}", b.name, f"a scene has {per} packets")
    packets = np.zeros((per, records.packets.shape[1]), np.uint8)
    time, status = np.zeros(per, np.int64), np.full(per, LOST, np.uint8)
    packets[records.count], time[records.count] = records.packets, records.time
    status[records.count] = np.where(records.degraded, DEGRADED, COMPLETE)
    count, frames = np.arange(per, dtype=np.uint16), np.zeros(per, np.uint16)
    frames[records.count] = records.frames
    return {"packets": packets, "sequence_count": count, "packet_time": time, "status": status, "frames": frames}


def read_datastrip(path: str | Path) -> DatastripFacts:
    """Read the metadata of a Level-0 datastrip folder."""
    safe = SafeArchive.open(path)
    return datastrip_facts(safe.xml(safe.one("S2?_OPER_MTD_L0_*_DS_*.xml")))


def gps_date(text: str) -> int:
    """Return a GPS date in ISO form as nanoseconds since 1980-01-06."""
    whole, _, fraction = text.strip().partition(".")
    try:
        seconds = round((datetime.fromisoformat(whole).replace(tzinfo=UTC) - _GPS_EPOCH).total_seconds())
        return seconds * 1_000_000_000 + int((fraction + "0" * 9)[:9])
    except ValueError:
        raise InputError(f"{text!r} is not a date", "datastrip metadata", "fetch the datastrip again") from None


def first_line_dates(facts: DatastripFacts) -> dict[tuple[int, int], int]:
    """Return the GPS date [ns] of the centre of the first line by detector and band index.

    Notes
    -----
    The metadata date the beginning of the reference line; 0 and 1 both mean the first one.
    """
    names, out = list(BANDS), {}
    for (detector, index), (line, date) in facts.dates.items():
        step = facts.line_period * 1e-3 * band(names[index]).line_factor
        out[detector, index] = gps_date(date) + round((0.5 - (max(line, 1) - 1)) * step * 1e9)
    return out


def _samples(facts: DatastripFacts, section: str, entry: str, value: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    root = etree.fromstring(facts.kept[f"Satellite_Ancillary_Data_Info/{section}"])
    nodes = list(root.iter(entry))
    time = np.array([gps_date(node.findtext("GPS_TIME", "")) for node in nodes], np.int64)
    values = np.array([[float(word) for word in node.findtext(value, "").split()] for node in nodes])
    order, first = np.unique(time, return_index=True)
    return order, values[first]


def conditions(facts: DatastripFacts) -> dict[str, NDArray[Any]]:
    """Return orbit, attitude and dates of a datastrip as an L0 store has them."""
    detectors = sorted({d for d, _ in facts.dates})
    indices = sorted({i for _, i in facts.dates})
    time, position = _samples(facts, "Ephemeris", "GPS_Point", "POSITION_VALUES")
    _, velocity = _samples(facts, "Ephemeris", "GPS_Point", "VELOCITY_VALUES")
    sampled, quaternion = _samples(facts, "Attitudes/Corrected_Attitudes", "Values", "QUATERNION_VALUES")
    dates = first_line_dates(facts)
    return {
        "conditions/ephemeris/gps_time": time,
        "conditions/ephemeris/position": position / 1e3,
        "conditions/ephemeris/velocity": velocity / 1e3,
        "conditions/attitude/gps_time": sampled,
        "conditions/attitude/quaternion": quaternion,
        "conditions/datation/detector": np.array(detectors),
        "conditions/datation/band": np.array(indices),
        "conditions/datation/first_line_date": np.array([[dates[d, i] for i in indices] for d in detectors]),
    }


def import_l0(
    datastrip: str | Path, granules: Sequence[str | Path], url: str, aux: str = "", allow_truncated: bool = False
) -> tuple[str, ...]:
    """Make an L0 store of a datastrip and its granules.

    Parameters
    ----------
    datastrip : str or Path
    granules : sequence of str or Path
        Folders; packets of a granule that is not given are lost.
    url : str
        Store to make.
    aux : str
        Folder of auxiliary files that goes with it.
    allow_truncated : bool
        Take what is there of granules that are cut.

    Returns
    -------
    tuple of str
        What is cut or missing, a sentence each.
    """
    facts = read_datastrip(datastrip)
    known = {name: (d, position) for d, listed in facts.granules.items() for name, position in listed}
    made = conditions(facts)
    names = [name for name in BANDS if BANDS[name].index in made["conditions/datation/band"]]
    detectors = [int(d) for d in made["conditions/datation/detector"]]
    scenes = 1 + max((position - 1) // SCENE_LINES_10M for _, position in known.values())
    notes: list[str] = []
    # one granule after the other: a datastrip does not fit in memory
    for number, folder in enumerate(granules):
        granule = read_granule(folder, allow_truncated)
        if granule.facts.granule not in known:
            raise InputError(f"{granule.facts.granule} is of another datastrip", str(folder), "give its own granules")
        notes += [f"{granule.facts.granule}: {note}" for note in granule.notes]
        if number == 0:
            points, samples = (made[f"conditions/{k}/gps_time"].size for k in ("ephemeris", "attitude"))
            variables = schema_strip.l0(detectors, names, scenes, granule.codec, points, samples)
            attrs = strip_attributes(facts, detectors, names, scenes, granule.codec, made, aux)
            create(url, variables, {"s2dask": attrs})
            for path, values in made.items():
                write_whole(url, path, values)
        _write(url, granule, first_line_dates(facts))
    missing = sorted(known.keys() - {Path(str(g)).name for g in granules})
    return (*notes, *(f"{name} is missing" for name in missing))


def _write(url: str, granule: Granule, dates: Mapping[tuple[int, int], int]) -> None:
    detector = granule.facts.detector
    for name, records in granule.bands.items():
        b = band(name)
        found = band_variables(records, b)
        first, where = granule.scene * b.packets_per_scene, schema_strip.packet_path(detector, name)
        ranks = first + np.arange(b.packets_per_scene)
        step = LINES_PER_PACKET * SCENE_SECONDS / SCENE_LINES_10M * b.line_factor * 1e9
        expected = np.round(ranks * step).astype(np.int64) + dates[detector, b.index]
        found["packet_time"] = np.where(found["status"] == LOST, expected, found["packet_time"])
        received = np.zeros(b.packets_per_scene, np.int64)
        received[records.count] = records.downlink
        paths = {f"{where}/{key}": values for key, values in found.items()}
        paths[schema_strip.downlink_path(detector, name)] = received
        write_block(url, paths, {path: (first, *(0,) * (values.ndim - 1)) for path, values in paths.items()})


def strip_attributes(
    facts: DatastripFacts, detectors: list[int], names: list[str], scenes: int, codec: str,
    made: Mapping[str, NDArray[Any]], aux: str, level: str = "L0",
) -> dict[str, Any]:  # fmt: skip
    """Return the root attribute ``s2dask`` of the store of an imported datastrip."""
    dates, identifier = made["conditions/datation/first_line_date"], facts.datatake["id"]
    packets = sum(n for _, _, n in facts.packets.values())
    percentage, lost, _, kept = facts.degradation
    table = facts.configuration["nuc_table"]
    if not table.isdecimal():
        raise InputError(f"NUC_TABLE_ID: {table[:20]!r} is no number", identifier, "fetch the metadata again")
    return {
        "level": level, "unit": f"S2{facts.datatake['spacecraft'][-1]}", "session_id": "",
        "absolute_orbit": int(identifier.split("_")[2]), "relative_orbit": int(facts.datatake["orbit"]),
        "baseline": facts.processing["baseline"], "datatake_id": identifier,
        "sensing_start": facts.start, "sensing_stop": facts.stop, "sensing_start_gps": int(dates.min()),
        "sensing_stop_gps": int(dates.max()) + round(scenes * SCENE_SECONDS * 1e9),
        "line_period": facts.line_period * 1e-3, "detectors": detectors, "bands": names, "scenes": scenes,
        "codec": codec, "aux": aux, "gaps": [], "datation_residual_ns": 0.0,
        "counters": {"packets": packets, "lost_packets": lost, "degraded_packets": kept},
        "degradation_percentage": percentage,
        "equalization_mode": facts.configuration["equalization"] == "true",
        "nuc_table_id": int(table),
    }  # fmt: skip
