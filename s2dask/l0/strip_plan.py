"""Datastrips of a session from the indices of its files: detectors, bands, scenes, dates, losses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, SCENE_SECONDS, Band, band
from s2dask.instrument.telemetry import APID_AOCS, APID_GPS, VCID_HALF_SCENE, VCID_SAD, detector_and_band
from s2dask.l0.ancillary import Samples, inadequacy, parse_samples
from s2dask.l0.channel_file import FileResult
from s2dask.l0.codec import codec_of_packet
from s2dask.l0.datatake import ImageChannel, cut_datastrips
from s2dask.l0.datation import (
    TOLERANCE,
    DatationModel,
    LineDates,
    StripDates,
    date_strip,
    packet_step,
    scene_starts,
    strip_origins,
)
from s2dask.l0.join import Joined, join_channel
from s2dask.l0.reception import Reception, receptions

Key = tuple[int, str]
_BEFORE, _AFTER = 30, 60
"""Ancillary packets that go with a datastrip [s]: real ones reach from 26 s before it to 60 s after it."""
_NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PacketTable:
    """Where the packets of one detector and band are: 30 bytes for each.

    Attributes
    ----------
    number : (packet) int32
        Rank in the strip.
    time : (packet) int64
        GPS [ns].
    stream : (packet) int32
        File, rank in `StripPlan.streams`.
    offset : (packet) int64
        First byte in it.
    good : (packet) bool
    first_line_date : int
    size : int
        Of one packet [byte].
    frame : (packet) uint32
        Counter of the frame in which it begins.
    frames : (packet) uint8
        Frames that carry it.
    shift : int
        What the datation model has added to the dates of packets for those of lines [ns].
    """

    number: NDArray[np.int32]
    time: NDArray[np.int64]
    stream: NDArray[np.int32]
    offset: NDArray[np.int64]
    good: NDArray[np.bool_]
    first_line_date: int
    size: int
    frame: NDArray[np.uint32]
    frames: NDArray[np.uint8]
    shift: int = 0


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
        Frames are those of the session, packets those of the strip.
    gaps : tuple of (int, int, int)
        Virtual channel, last counter before, frames missing; of the session.
    datation : StripDates
    reception : tuple of Reception
        Of the session, by virtual channel.
    degraded : tuple of str
        Why nothing beyond L0 may be made of the strip; empty when it may.
    """

    detectors: tuple[int, ...]
    bands: tuple[str, ...]
    scenes: int
    codec: str
    start: int
    stop: int
    tables: Mapping[Key, PacketTable]
    streams: tuple[str, ...]
    points: Samples
    attitude: Samples
    counters: Mapping[str, int]
    gaps: tuple[tuple[int, int, int], ...]
    datation: StripDates
    reception: tuple[Reception, ...]
    degraded: tuple[str, ...]

    @property
    def residual(self) -> float:
        """Largest residual of the datation [ns]."""
        return max(line.largest for line in self.datation.dates.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """Packets of one detector and band: index, rank of the file, start of the scene [GPS ns]."""

    rows: NDArray[np.void]
    stream: NDArray[np.int32]
    begun: NDArray[np.int64]

    def part(self, chosen: NDArray[np.bool_]) -> "_Image":
        return self if chosen.all() else _Image(self.rows[chosen], self.stream[chosen], self.begun[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """What all strips of a session share."""

    house: Joined
    streams: Sequence[str]
    counters: Mapping[str, int]
    gaps: Sequence[tuple[int, int, int]]
    reception: tuple[Reception, ...]


def _images(joined: Joined, shift: int, where: str) -> dict[Key, _Image]:
    """Sort image packets by detector and band; those of a foreign APID or a wrong size are refused."""
    out: dict[Key, _Image] = {}
    bands, rows = list(BANDS), joined.rows
    order = np.argsort(rows["apid"], kind="stable")
    apids, first = np.unique(rows["apid"][order], return_index=True)
    for apid, chosen in zip(apids, np.split(order, first[1:]) if apids.size else (), strict=True):
        # a packet with a wrong checksum may lie about itself: its head is believed only if it fits the others
        mine = rows[chosen]
        if not mine["good"].any():
            continue
        key = detector_and_band(int(apid))
        if key is None:
            raise InputError(f"APID {apid} on an image channel", where, "the session is of another instrument")
        fits = mine["size"] == np.bincount(mine["size"][mine["good"]]).argmax()
        mine, name = mine[fits], bands[key[1]]
        begun = scene_starts(mine["time"], mine["count"].astype(np.int64), band(name))
        out[key[0], name] = _Image(mine, joined.stream[chosen][fits] + np.int32(shift), begun)
    return out


def _numbers(image: _Image, origin: int, b: Band) -> NDArray[np.int64]:
    """Return the ranks of packets in the strip, as their dates and sequence counts tell."""
    scene = np.round((image.begun - origin) / (SCENE_SECONDS * 1e9)).astype(np.int64)
    number: NDArray[np.int64] = scene * b.packets_per_scene + image.rows["count"]
    return number


def _dated(image: _Image, number: NDArray[np.int64], b: Band, where: str) -> tuple[NDArray[np.int64], ...]:
    """Return dates and ranks of the packets that date a strip: those with a right checksum."""
    rows = image.rows
    good, count = rows["good"], rows["count"]
    if (count[good] >= b.packets_per_scene).any():
        most = f"a scene has {b.packets_per_scene} packets"
        raise InputError(f"sequence count {int(count[good].max())}", where, most)
    return rows["time"][good], number[good]


def _table(image: _Image, number: NDArray[np.int64], dates: LineDates, period: float, name: str) -> PacketTable:
    b, rows = band(name), image.rows
    good, time = rows["good"], rows["time"]
    step = packet_step(b, period)
    off = np.abs(time - (dates.first_line_date - dates.shift) - np.round(number * step).astype(np.int64))
    # a date that lies elsewhere does not tell the scene; a head that nothing vouches for is to fit closely
    near = np.where(good, 0.5 * step, max(TOLERANCE, dates.largest))
    keep = (off < near) & (number >= 0) & (rows["count"] < b.packets_per_scene)
    # a packet that came twice is kept once, the good one first
    order = np.lexsort((~good[keep], number[keep]))
    ranks, first = np.unique(number[keep][order], return_index=True)
    pick = np.flatnonzero(keep)[order[first]]
    return PacketTable(
        ranks.astype(np.int32), time[pick].copy(), image.stream[pick], rows["offset"][pick].copy(), good[pick].copy(),
        dates.first_line_date, int(rows["size"][0]), rows["frame"][pick].copy(), rows["frames"][pick].copy(),
        dates.shift,
    )  # fmt: skip


def _samples(house: Joined, apid: int, start: int, stop: int) -> Samples:
    rows = house.rows
    chosen = (rows["apid"] == apid) & rows["good"]
    chosen &= (rows["time"] >= start - _BEFORE * _NANO) & (rows["time"] <= stop + _AFTER * _NANO)
    packets: list[bytes] = []
    for rank in np.unique(house.stream[chosen]):
        data = np.memmap(house.streams[rank], np.uint8, mode="r")
        some = rows[chosen & (house.stream == rank)]
        packets.extend(data[o : o + s].tobytes() for o, s in zip(some["offset"], some["size"].tolist(), strict=True))
    return parse_samples(packets, apid)


def _lost_elsewhere(plan: Mapping[Key, PacketTable]) -> None:
    detectors, bands = {d for d, _ in plan}, {n for _, n in plan}
    missing = [(d, n) for d in sorted(detectors) for n in BANDS if n in bands and (d, n) not in plan]
    if missing:
        raise InputError(f"no packet of D{missing[0][0]:02d} {missing[0][1]}", "MSI_Merge", "a whole band was lost")


def _first_good(table: PacketTable, streams: Sequence[str]) -> NDArray[np.uint8]:
    """Return the first packet of a table with a right checksum, which tells the codec."""
    k = int(np.argmax(table.good))
    return np.fromfile(streams[int(table.stream[k])], np.uint8, table.size, offset=int(table.offset[k]))


def _tables(images: dict[Key, _Image], model: DatationModel) -> tuple[dict[Key, PacketTable], StripDates]:
    """Date a strip and lay out its packets; images are given up on the way."""
    begun = {key: image.begun[image.rows["good"]] for key, image in images.items() if image.rows["good"].any()}
    origin = strip_origins(begun)
    number = {(d, n): _numbers(images[d, n], origin[d, n], band(n)) for d, n in begun}
    dated = {(d, n): _dated(images[d, n], number[d, n], band(n), f"D{d:02d} {n}") for d, n in begun}
    dates = date_strip({key: (time, ranks) for key, (time, ranks) in dated.items()}, model)
    return {
        key: _table(images.pop(key), number[key], dates.dates[key], dates.clock_period, key[1]) for key in begun
    }, dates  # fmt: skip


def _strip(images: dict[Key, _Image], session: _Heard, model: DatationModel, checked: bool) -> StripPlan:
    tables, dates = _tables(images, model)
    streams = session.streams
    codecs = {codec_of_packet(t.size, band(n).raw_columns, _first_good(t, streams)) for (_, n), t in tables.items()}
    if len(codecs) != 1:
        raise InputError(f"image packets of {sorted(codecs)}", "MSI_Merge", "one datatake has one compression")
    if checked:
        _lost_elsewhere(tables)
    scenes = max(int(t.number.max()) // band(n).packets_per_scene + 1 for (_, n), t in tables.items())
    start = min(t.first_line_date for t in tables.values())
    stop = max(t.first_line_date for t in tables.values()) + round(scenes * SCENE_SECONDS * 1e9)
    points, attitude = (_samples(session.house, apid, start, stop) for apid in (APID_GPS, APID_AOCS))
    found = sum(t.number.size for t in tables.values())
    unlocated = inadequacy(points, attitude, start, stop)
    own = {
        "packets": found,
        "lost_packets": sum(scenes * band(n).packets_per_scene for _, n in tables) - found,
        "degraded_packets": sum(int((~t.good).sum()) for t in tables.values()),
        "ancillary_inadequacies": len(unlocated),
    }
    reasons = (*unlocated, *((f"datation: {dates.problem}",) if dates.problem else ()))
    return StripPlan(
        tuple(sorted({d for d, _ in tables})), tuple(n for n in BANDS if any(n == name for _, name in tables)),
        scenes, codecs.pop(), start, stop, tables, tuple(streams), points, attitude, {**session.counters, **own},
        tuple(session.gaps), dates, session.reception, reasons,
    )  # fmt: skip


def plan_strips(
    results: Sequence[FileResult],
    session: str,
    work: str,
    *,
    checked: bool = True,
    model: DatationModel | None = None,
) -> tuple[StripPlan, ...]:
    """Find the datastrips of a session, their detectors, bands, scenes, dates and gaps (steps MSI_Merge, ANC_DATA).

    Parameters
    ----------
    results : sequence of FileResult
        In any order.
    session : str
        For messages.
    work : str
        Folder for packets that run from one file into the next.
    checked : bool
        Refuse a strip without any packet of a band.
    model : DatationModel, optional
        How lines are dated; default: by the public constants.

    Returns
    -------
    tuple of StripPlan
        By date; what they are cut at tells `cut_datastrips`.
    """
    images: dict[Key, _Image] = {}
    streams: list[str] = []
    joined: dict[int, Joined] = {}
    for number, virtual in VCID_HALF_SCENE.items():
        joined[virtual] = join_channel([r for r in results if r.channel == number], virtual, Path(work))
        images |= _images(joined[virtual], len(streams), session)
        streams += joined[virtual].streams
        joined[virtual].rows = joined[virtual].rows[:0]
    if not images:
        raise InputError("no image packet in the session", session, "nothing was sensed, or frames are missing")
    lost = sum(channel.lost_bytes for channel in joined.values())
    house = joined[VCID_SAD] = join_channel(results, VCID_SAD, Path(work))
    gaps = [(virtual, *gap) for virtual, channel in joined.items() for gap in channel.gaps]
    counters = {key: sum(r.counters[key] for r in results) for key in results[0].counters}
    counters["missing_frames"] = sum(gap[2] for gap in gaps)
    counters["duplicate_frames"] = sum(channel.repeated for channel in joined.values())
    scenes = {
        key: ImageChannel(i.begun[i.rows["good"]], int(i.rows["size"][0]) * band(key[1]).packets_per_scene)
        for key, i in images.items()
    }
    heard = _Heard(house, streams, counters, gaps, receptions(results, joined))
    cuts = cut_datastrips(scenes, lost)
    edges = [np.iinfo(np.int64).min, *cuts, np.iinfo(np.int64).max]
    strips = []
    for low, high in pairwise(edges):
        part = {key: i.part((i.begun >= low) & (i.begun < high)) for key, i in images.items()}
        if high == edges[-1]:
            images.clear()
        some = {key: i for key, i in part.items() if i.rows.size}
        strips.append(_strip(some, heard, model or DatationModel(), checked))
    return tuple(strips)


def plan_strip(results: Sequence[FileResult], session: str, work: str) -> StripPlan:
    """Return the only datastrip of a session; see `plan_strips`."""
    strips = plan_strips(results, session, work)
    if len(strips) > 1:
        raise InputError(f"{len(strips)} datastrips", session, "plan them with plan_strips")
    return strips[0]
