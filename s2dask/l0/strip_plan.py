"""Datastrips of a session from the indices of its files: detectors, bands, scenes, dates, losses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, SCENE_SECONDS, band
from s2dask.instrument.telemetry import APID_AOCS, APID_GPS, VCID_HALF_SCENE, VCID_SAD, detector_and_band
from s2dask.l0.ancillary import Samples, check_coverage, parse_samples
from s2dask.l0.channel_file import FileResult
from s2dask.l0.codec import codec_of_packet
from s2dask.l0.datatake import ImageChannel, cut_datastrips
from s2dask.l0.datation import date_lines, packet_step, scene_starts, strip_origins
from s2dask.l0.join import Joined, join_channel

Key = tuple[int, str]
_BEFORE, _AFTER = 30, 60
"""Ancillary packets that go with a datastrip [s]: real ones reach from 26 s before it to 60 s after it."""
_NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PacketTable:
    """Where the packets of one detector and band are: 25 bytes for each.

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
    """

    number: NDArray[np.int32]
    time: NDArray[np.int64]
    stream: NDArray[np.int32]
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
        Frames are those of the session, packets those of the strip.
    gaps : tuple of (int, int, int)
        Virtual channel, last counter before, frames missing; of the session.
    residual : float
        Largest residual of the datation [ns].
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
    residual: float


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """Packets of one detector and band: index, rank of the file, start of the scene [GPS ns]."""

    rows: NDArray[np.void]
    stream: NDArray[np.int32]
    begun: NDArray[np.int64]

    def part(self, chosen: NDArray[np.bool_]) -> "_Image":
        return self if chosen.all() else _Image(self.rows[chosen], self.stream[chosen], self.begun[chosen])


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


def _table(image: _Image, origin: int, detector: int, name: str) -> tuple[PacketTable, float]:
    b, rows = band(name), image.rows
    good, time, count = rows["good"], rows["time"], rows["count"].astype(np.int64)
    fit = date_lines(time[good], count[good], origin, b, f"D{detector:02d} {name}")
    # scenes of doubtful packets follow from the same rule; what does not fit the dates is dropped
    scene = np.round((image.begun - origin) / (SCENE_SECONDS * 1e9)).astype(np.int64)
    number = scene * b.packets_per_scene + count
    expected = fit.first_line_date + np.round(number * packet_step(b)).astype(np.int64)
    keep = good | (np.abs(time - expected) < 1000) & (number >= 0) & (count < b.packets_per_scene)
    # a packet that came twice is kept once, the good one first
    order = np.lexsort((~good[keep], number[keep]))
    ranks, first = np.unique(number[keep][order], return_index=True)
    pick = np.flatnonzero(keep)[order[first]]
    return PacketTable(
        ranks.astype(np.int32), time[pick].copy(), image.stream[pick], rows["offset"][pick].copy(), good[pick].copy(),
        fit.first_line_date, int(rows["size"][0]),
    ), fit.residual  # fmt: skip


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


def _lost_elsewhere(plan: Mapping[Key, tuple[PacketTable, float]]) -> None:
    detectors, bands = {d for d, _ in plan}, {n for _, n in plan}
    missing = [(d, n) for d in sorted(detectors) for n in BANDS if n in bands and (d, n) not in plan]
    if missing:
        raise InputError(f"no packet of D{missing[0][0]:02d} {missing[0][1]}", "MSI_Merge", "a whole band was lost")


def _first_good(table: PacketTable, streams: Sequence[str]) -> NDArray[np.uint8]:
    """Return the first packet of a table with a right checksum, which tells the codec."""
    k = int(np.argmax(table.good))
    return np.fromfile(streams[int(table.stream[k])], np.uint8, table.size, offset=int(table.offset[k]))


def _strip(
    images: dict[Key, _Image],
    house: Joined,
    streams: Sequence[str],
    counters: Mapping[str, int],
    gaps: Sequence[tuple[int, int, int]],
    checked: bool,
) -> StripPlan:
    begun = {key: image.begun[image.rows["good"]] for key, image in images.items() if image.rows["good"].any()}
    origin = strip_origins(begun)
    made = {key: _table(images.pop(key), origin[key], *key) for key in begun}
    tables = {key: table for key, (table, _) in made.items()}
    codecs = {codec_of_packet(t.size, band(n).raw_columns, _first_good(t, streams)) for (_, n), t in tables.items()}
    if len(codecs) != 1:
        raise InputError(f"image packets of {sorted(codecs)}", "MSI_Merge", "one datatake has one compression")
    if checked:
        _lost_elsewhere(made)
    scenes = max(int(t.number.max()) // band(n).packets_per_scene + 1 for (_, n), t in tables.items())
    start = min(t.first_line_date for t in tables.values())
    stop = max(t.first_line_date for t in tables.values()) + round(scenes * SCENE_SECONDS * 1e9)
    points, attitude = (_samples(house, apid, start, stop) for apid in (APID_GPS, APID_AOCS))
    if checked:
        check_coverage(points, start, stop, "GPS", 6)
        check_coverage(attitude, start, stop, "attitude", 8)
    found = sum(t.number.size for t in tables.values())
    own = {
        "packets": found,
        "lost_packets": sum(scenes * band(n).packets_per_scene for _, n in tables) - found,
        "degraded_packets": sum(int((~t.good).sum()) for t in tables.values()),
    }
    return StripPlan(
        tuple(sorted({d for d, _ in tables})), tuple(n for n in BANDS if any(n == name for _, name in tables)),
        scenes, codecs.pop(), start, stop, tables, tuple(streams), points, attitude, {**counters, **own},
        tuple(gaps), max(r for _, r in made.values()),
    )  # fmt: skip


def plan_strips(
    results: Sequence[FileResult], session: str, work: str, *, checked: bool = True
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
        Refuse a strip without its ancillary data or without any packet of a band.

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
    cuts = cut_datastrips(scenes, lost)
    edges = [np.iinfo(np.int64).min, *cuts, np.iinfo(np.int64).max]
    strips = []
    for low, high in pairwise(edges):
        part = {key: i.part((i.begun >= low) & (i.begun < high)) for key, i in images.items()}
        if high == edges[-1]:
            images.clear()
        some = {key: i for key, i in part.items() if i.rows.size}
        strips.append(_strip(some, house, streams, counters, gaps, checked))
    return tuple(strips)


def plan_strip(results: Sequence[FileResult], session: str, work: str) -> StripPlan:
    """Return the only datastrip of a session; see `plan_strips`."""
    strips = plan_strips(results, session, work)
    if len(strips) > 1:
        raise InputError(f"{len(strips)} datastrips", session, "plan them with plan_strips")
    return strips[0]
