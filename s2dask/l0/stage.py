"""Level 0, step by step: files of CADUs to packets, packets to a datastrip.

`decode_file` is one task per DSDB file; `plan_strip` sees only the small indices and finds scenes, dates and gaps;
`gather_packets` collects the packets of one detector, band and scene.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, SCENE_SECONDS, band
from s2dask.instrument.telemetry import APID_AOCS, APID_GPS, VCID_HALF_SCENE, VCID_IDLE, VCID_SAD, detector_and_band
from s2dask.l0.ancillary import Samples, check_coverage, parse_samples
from s2dask.l0.codec import codec_of_packet
from s2dask.l0.datation import date_lines, packet_step, scene_starts, strip_origins
from s2dask.l0.frames import decode_frames
from s2dask.l0.packets import PacketIndex, PacketRun, index_packets, missing_frames, packet_runs

STEPS: Final = (
    Step("EISPProcessor", "L0", summary="frames of one file: synchronise, correct, extract packets"),
    Step("MSI_Merge", "L0", summary="packets of both channels: gaps, datation, scenes"),
    Step("ANC_DATA", "L0", summary="orbit and attitude of the ancillary packets"),
)
"""The steps of the level."""
COMPLETE, LOST, DEGRADED = 0, 1, 2
Edge = tuple[int, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class FilePart:
    """What one file holds of one virtual channel.

    Attributes
    ----------
    stream : str
        File with the packets, end to end.
    index : PacketIndex
    head, tail : (int, bytes)
        Counter of the first and last frame, and what is there of packets that begin or end in another file.
    gaps : tuple of (int, int)
        Frames missing inside the file: last counter before, number.
    resynchronised : int
    """

    stream: str
    index: PacketIndex
    head: Edge
    tail: Edge
    gaps: tuple[tuple[int, int], ...]
    resynchronised: int


@dataclass(frozen=True, slots=True, eq=False)
class FileResult:
    """One file of CADUs, decoded.

    Attributes
    ----------
    name : str
    channel : int
    parts : mapping of int to FilePart
        By virtual channel.
    counters : mapping of str to int
        frames, skipped_bytes, corrected_frames, corrected_symbols, uncorrectable_frames.
    """

    name: str
    channel: int
    parts: Mapping[int, FilePart]
    counters: Mapping[str, int]


def _kind(channel: int) -> str:
    return "ancillary" if channel == VCID_SAD else "image"


def _part(runs: list[PacketRun], channel: int, stream: Path) -> FilePart:
    kept, offset, size, end = [], [], [], 0
    for run in runs:
        kept.append(run.stream)
        offset.append(run.offset + end)
        size.append(run.size)
        end += run.stream.size
    data = np.concatenate(kept)
    index = index_packets(data, np.concatenate(offset), np.concatenate(size), _kind(channel))
    data.tofile(stream)
    gaps = tuple(
        (a.last, missing_frames(a.last, b.first)) for a, b in pairwise(runs)
    )
    # a run without any packet start keeps its bytes in `head`; its tail is empty and continues nothing
    return FilePart(
        str(stream), index, (runs[0].first, runs[0].head.tobytes()), (runs[-1].last, runs[-1].tail.tobytes()), gaps,
        sum(run.resynchronised for run in runs),
    )  # fmt: skip


def decode_file(path: str, channel: int, work: str) -> FileResult:
    """Decode one DSDB file (step EISPProcessor).

    Parameters
    ----------
    path : str
    channel : int
        Of the session: 1 or 2.
    work : str
        Folder for the packets, end to end.
    """
    name = Path(path).name
    frames = decode_frames(np.fromfile(path, np.uint8), name)
    known = {VCID_HALF_SCENE[channel], VCID_SAD, VCID_IDLE}
    strange = sorted({int(c) for c in np.unique(frames.channel)} - known)
    if strange:
        raise InputError(f"virtual channels {strange} on channel {channel}", name, f"expected {sorted(known)}")
    parts = {}
    for virtual in sorted(known - {VCID_IDLE}):
        chosen = frames.channel == virtual
        if chosen.any():
            runs = packet_runs(frames.counter[chosen], frames.pointer[chosen], frames.zone[chosen])
            parts[virtual] = _part(runs, virtual, Path(work) / f"{name}.vc{virtual:02d}")
    counters = {
        "frames": frames.received, "skipped_bytes": frames.skipped_bytes, "corrected_frames": frames.corrected,
        "corrected_symbols": frames.corrected_symbols, "uncorrectable_frames": frames.uncorrectable,
    }  # fmt: skip
    return FileResult(name, channel, parts, counters)


@dataclass(frozen=True, slots=True, eq=False)
class PacketTable:
    """Where the packets of one detector and band are.

    Attributes
    ----------
    number : (packet) int64
        Rank in the strip.
    count, time : (packet) int64
    stream, offset : (packet) int64
        File (rank in `StripPlan.streams`) and first byte.
    good : (packet) bool
    first_line_date : int
    size : int
        Of one packet [byte].
    """

    number: NDArray[np.int64]
    count: NDArray[np.int64]
    time: NDArray[np.int64]
    stream: NDArray[np.int64]
    offset: NDArray[np.int64]
    good: NDArray[np.bool_]
    first_line_date: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class StripPlan:
    """A datastrip before its packets are moved.

    Attributes
    ----------
    detectors : tuple of int
    bands : tuple of str
    scenes : int
    codec : str
    start, stop : int
        Of the sensing, GPS [ns].
    tables : mapping of (int, str) to PacketTable
    streams : tuple of str
    points, attitude : Samples
    counters : mapping of str to int
    gaps : tuple of (int, int, int)
        Virtual channel, last counter before, frames missing.
    residual : float
        Largest residual of the datation [ns].
    """

    detectors: tuple[int, ...]
    bands: tuple[str, ...]
    scenes: int
    codec: str
    start: int
    stop: int
    tables: Mapping[tuple[int, str], PacketTable]
    streams: tuple[str, ...]
    points: Samples
    attitude: Samples
    counters: Mapping[str, int]
    gaps: tuple[tuple[int, int, int], ...]
    residual: float


@dataclass(slots=True)
class _Rows:
    """Packets of a virtual channel over all files."""

    apid: list[NDArray[np.int64]]
    count: list[NDArray[np.int64]]
    time: list[NDArray[np.int64]]
    offset: list[NDArray[np.int64]]
    size: list[NDArray[np.int64]]
    good: list[NDArray[np.bool_]]
    stream: list[NDArray[np.int64]]

    def add(self, index: PacketIndex, stream: int) -> None:
        for name in ("apid", "count", "time", "offset", "size", "good"):
            getattr(self, name).append(getattr(index, name))
        self.stream.append(np.full(index.apid.size, stream, np.int64))


def _seam(before: FilePart, after: FilePart, work: Path, name: str, channel: int) -> tuple[Path, PacketIndex] | None:
    """Return the packet that runs from one file into the next, when no frame is missing between them."""
    if missing_frames(before.tail[0], after.head[0]) or not before.tail[1]:
        return None
    joined = np.frombuffer(before.tail[1] + after.head[1], np.uint8)
    if joined.size < 7 or (int(joined[4]) << 8 | int(joined[5])) + 7 > joined.size:
        return None
    path = work / f"{name}.vc{channel:02d}.seam"
    joined.tofile(path)
    size = np.array([(int(joined[4]) << 8 | int(joined[5])) + 7])
    return path, index_packets(joined, np.zeros(1, np.int64), size, _kind(channel))


def _join(
    results: Sequence[FileResult], channel: int, work: Path, streams: list[str]
) -> tuple[_Rows, list[tuple[int, int, int]]]:
    """Put the parts of a virtual channel in order, with the packets across their seams."""
    rows, gaps = _Rows([], [], [], [], [], [], []), []
    before: FilePart | None = None
    for result in results:
        part = result.parts.get(channel)
        if part is None:
            continue
        if before is not None:
            lost = missing_frames(before.tail[0], part.head[0])
            if lost:
                gaps.append((channel, before.tail[0], lost))
            seam = _seam(before, part, work, result.name, channel)
            if seam:
                streams.append(str(seam[0]))
                rows.add(seam[1], len(streams) - 1)
        gaps.extend((channel, *gap) for gap in part.gaps)
        streams.append(part.stream)
        rows.add(part.index, len(streams) - 1)
        before = part
    return rows, gaps


def _images(rows: _Rows, where: str) -> dict[tuple[int, str], dict[str, NDArray[np.int64]]]:
    """Sort image packets by detector and band; those of a foreign APID or a wrong size are refused."""
    names = ("apid", "count", "time", "offset", "size", "good", "stream")
    columns = {n: np.concatenate(getattr(rows, n)) for n in names}
    out: dict[tuple[int, str], dict[str, NDArray[np.int64]]] = {}
    bands = list(BANDS)
    # a packet with a wrong checksum may lie about itself: its head is believed only if it fits the others
    for apid in np.unique(columns["apid"][columns["good"]]):
        key = detector_and_band(int(apid))
        if key is None:
            raise InputError(f"APID {apid} on an image channel", where, "the session is of another instrument")
        chosen = columns["apid"] == apid
        size = int(np.bincount(columns["size"][chosen & columns["good"]]).argmax())
        chosen &= columns["size"] == size
        out[key[0], bands[key[1]]] = {n: v[chosen] for n, v in columns.items()}
    return out


def _table(rows: Mapping[str, NDArray[np.int64]], origin: int, detector: int, name: str) -> tuple[PacketTable, float]:
    b, good = band(name), rows["good"].astype(bool)
    where = f"D{detector:02d} {name}"
    fit = date_lines(rows["time"][good], rows["count"][good], origin, b, where)
    # scenes of doubtful packets follow from the same rule; what does not fit the dates is dropped
    start = scene_starts(rows["time"], rows["count"], b)
    scene = np.round((start - origin) / (SCENE_SECONDS * 1e9)).astype(np.int64)
    number = scene * b.packets_per_scene + rows["count"]
    expected = fit.first_line_date + np.round(number * packet_step(b)).astype(np.int64)
    keep = (np.abs(rows["time"] - expected) < 1000) & (number >= 0) & (rows["count"] < b.packets_per_scene)
    # a packet that came twice is kept once, the good one first
    order = np.lexsort((~good[keep], number[keep]))
    ranks, first = np.unique(number[keep][order], return_index=True)
    pick = np.flatnonzero(keep)[order[first]]
    count, time, stream, offset = (rows[n][pick] for n in ("count", "time", "stream", "offset"))
    size = int(rows["size"][0])
    return PacketTable(ranks, count, time, stream, offset, good[pick], fit.first_line_date, size), fit.residual


def _samples(rows: _Rows, streams: Sequence[str], apid: int) -> Samples:
    packets: list[bytes] = []
    for apids, offset, size, good, stream in zip(
        rows.apid, rows.offset, rows.size, rows.good, rows.stream, strict=True
    ):
        chosen = (apids == apid) & good
        if chosen.any():
            data = np.fromfile(streams[int(stream[0])], np.uint8)
            packets.extend(data[o : o + s].tobytes() for o, s in zip(offset[chosen], size[chosen], strict=True))
    return parse_samples(packets, apid)


def plan_strip(results: Sequence[FileResult], session: str, work: str) -> StripPlan:
    """Find detectors, bands, scenes, dates and gaps from the indices of all files (steps MSI_Merge, ANC_DATA).

    Parameters
    ----------
    results : sequence of FileResult
    session : str
        For messages.
    work : str
        Folder for packets that run from one file into the next.
    """
    streams: list[str] = []
    ordered = sorted(results, key=lambda r: (r.channel, r.name))
    images: dict[tuple[int, str], dict[str, NDArray[np.int64]]] = {}
    gaps: list[tuple[int, int, int]] = []
    for number, virtual in VCID_HALF_SCENE.items():
        rows, lost = _join([r for r in ordered if r.channel == number], virtual, Path(work), streams)
        gaps += lost
        if rows.apid:
            images |= _images(rows, session)
    if not images:
        raise InputError("no image packet in the session", session, "nothing was sensed, or frames are missing")
    house, lost = _join(ordered, VCID_SAD, Path(work), streams)
    gaps += lost
    begun = {}
    for (detector, name), r in images.items():
        good = r["good"].astype(bool)
        if good.any():
            begun[detector, name] = scene_starts(r["time"][good], r["count"][good], band(name))
    origin = strip_origins(begun)
    made = {key: _table(rows, origin[key], *key) for key, rows in images.items() if key in origin}
    return _assemble(made, streams, gaps, house, results)


def _assemble(
    made: Mapping[tuple[int, str], tuple[PacketTable, float]],
    streams: Sequence[str],
    gaps: Sequence[tuple[int, int, int]],
    house: _Rows,
    results: Sequence[FileResult],
) -> StripPlan:
    tables = {key: table for key, (table, _) in made.items()}
    detectors = tuple(sorted({d for d, _ in tables}))
    bands = tuple(n for n in BANDS if any(n == name for _, name in tables))
    scenes = max(int(t.number.max()) // band(n).packets_per_scene + 1 for (_, n), t in tables.items())
    codecs = {codec_of_packet(t.size, band(n).raw_columns) for (_, n), t in tables.items()}
    if len(codecs) != 1:
        raise InputError(f"image packets of {sorted(codecs)}", "MSI_Merge", "one datatake has one compression")
    missing = [(d, n) for d in detectors for n in bands if (d, n) not in tables]
    if missing:
        raise InputError(f"no packet of D{missing[0][0]:02d} {missing[0][1]}", "MSI_Merge", "a whole band was lost")
    start = min(t.first_line_date for t in tables.values())
    stop = max(t.first_line_date for t in tables.values()) + round(scenes * SCENE_SECONDS * 1e9)
    points, attitude = (_samples(house, streams, apid) for apid in (APID_GPS, APID_AOCS))
    check_coverage(points, start, stop, "GPS", 6)
    check_coverage(attitude, start, stop, "attitude", 8)
    counters = {key: sum(r.counters[key] for r in results) for key in results[0].counters}
    counters["missing_frames"] = sum(gap[2] for gap in gaps)
    wanted = sum(scenes * band(n).packets_per_scene for _, n in tables)
    counters["packets"] = sum(t.number.size for t in tables.values())
    counters["lost_packets"] = wanted - counters["packets"]
    counters["degraded_packets"] = sum(int((~t.good).sum()) for t in tables.values())
    residual = max(r for _, r in made.values())
    return StripPlan(
        detectors, bands, scenes, codecs.pop(), start, stop, tables, tuple(streams), points, attitude, counters,
        tuple(gaps), residual,
    )  # fmt: skip


def gather_packets(plan: StripPlan, detector: int, name: str, scene: int) -> dict[str, NDArray[np.generic]]:
    """Return the packets of one detector, band and scene.

    Returns
    -------
    dict
        ``packets`` (packet, byte) uint8, ``sequence_count`` (packet) uint16, ``packet_time`` (packet) int64 GPS [ns],
        ``status`` (packet) uint8: 0 complete, 1 lost, 2 degraded.
    """
    per, table = band(name).packets_per_scene, plan.tables[detector, name]
    packets = np.zeros((per, table.size), np.uint8)
    count, time = np.arange(per, dtype=np.uint16), np.zeros(per, np.int64)
    # whole nanoseconds before they are added: a date of GPS in float64 is good to 256 ns only
    time[:] = np.round((scene * per + np.arange(per)) * packet_step(band(name)))
    time += table.first_line_date
    status = np.full(per, LOST, np.uint8)
    chosen = np.flatnonzero(table.number // per == scene)
    for rank in np.unique(table.stream[chosen]):
        data = np.memmap(plan.streams[rank], np.uint8, mode="r")
        for k in chosen[table.stream[chosen] == rank]:
            place = table.number[k] - scene * per
            packets[place] = data[table.offset[k] : table.offset[k] + table.size]
            time[place] = table.time[k]
            status[place] = COMPLETE if table.good[k] else DEGRADED
    return {"packets": packets, "sequence_count": count, "packet_time": time, "status": status}
