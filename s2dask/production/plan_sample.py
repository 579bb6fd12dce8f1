"""What a session holds, from a few looks into its files: none of them is read whole.

Each channel is looked at at its begin and end, in the middle, and at the begin of some files between. Frames are
synchronised and corrected, packets found and indexed as in a run; their heads tell detectors, bands and dates, and the
ancillary ones orbit and attitude. Where the dates between two looks do not follow each other, there is a break: it is
searched for by halves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, SCENE_SECONDS
from s2dask.instrument.telemetry import (
    APID_AOCS,
    APID_GPS,
    CADU_BYTES,
    VCID_HALF_SCENE,
    VCID_SAD,
    detector_and_band,
)
from s2dask.io.storage import filesystem
from s2dask.l0.ancillary import Samples, parse_samples
from s2dask.l0.blocks import Block
from s2dask.l0.channel_file import index_rows
from s2dask.l0.codec import codec_of_packet
from s2dask.l0.datatake import scenes_begun
from s2dask.l0.datation import scene_starts
from s2dask.l0.frames import FrameStream
from s2dask.l0.packet_stream import PacketStream
from s2dask.l0.session import SessionState
from s2dask.production.plan_work import granule_packet_bytes

WIDE: Final = 8_000 * CADU_BYTES
"""Bytes of a look that shows every detector and band: half a second of imaging."""
NARROW: Final = 256 * CADU_BYTES
"""Bytes of a look that shows where in the datatake it is."""
LOOKS: Final = 8
"""Files between that are looked at."""
_SCENE: Final = SCENE_SECONDS * 1e9
_ALIGNED: Final = 2_000.0
"""Scenes of one datastrip follow each other to so many ns."""
_TRIES: Final = 6
"""Looks, one after the other, until one shows images: ancillary data may lie between those of two datastrips."""
Key = tuple[int, str]


@dataclass(slots=True)
class Look:
    """What a stretch of a channel shows.

    Attributes
    ----------
    at : int
        First byte, counted over the files of the channel.
    begun : dict of (int, str) to (packet) int64
        By detector and band: when the scene of each packet began, GPS [ns].
    first : dict of (int, str) to bytes
        A packet of each: they tell the codec.
    ancillary : dict of int to list of bytes
        Packets by APID.
    """

    at: int
    begun: dict[Key, NDArray[np.int64]] = field(default_factory=dict)
    first: dict[Key, bytes] = field(default_factory=dict)
    ancillary: dict[int, list[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampledStrip:
    """A datastrip of a session, as far as looks tell it.

    Attributes
    ----------
    detectors : tuple of int
    bands : tuple of str
    scenes : int
    codec : str
    first_line_date : mapping of (int, str) to int
        GPS [ns].
    points, attitude : Samples
    """

    detectors: tuple[int, ...]
    bands: tuple[str, ...]
    scenes: int
    codec: str
    first_line_date: Mapping[Key, int]
    points: Samples
    attitude: Samples

    @property
    def sensing(self) -> tuple[int, int]:
        """Start and stop, GPS [ns]."""
        dates = self.first_line_date.values()
        return min(dates), max(dates) + round(self.scenes * _SCENE)


class _Channel:
    """The files of a channel as one row of bytes."""

    def __init__(self, number: int, blocks: Sequence[Block]) -> None:
        self.number, self.blocks = number, blocks
        self.ends = np.cumsum([b.size for b in blocks]) if blocks else np.zeros(0, np.int64)
        self.read = 0

    @property
    def size(self) -> int:
        return int(self.ends[-1]) if self.blocks else 0

    @property
    def begins(self) -> NDArray[np.int64]:
        return np.concatenate([[0], self.ends[:-1]]).astype(np.int64)

    def _bytes(self, first: int, last: int) -> Iterator[bytes]:
        for k in range(int(np.searchsorted(self.ends, first, side="right")), len(self.blocks)):
            begin = int(self.begins[k])
            if begin >= last:
                return
            fs, path = filesystem(self.blocks[k].url)
            low, high = max(first - begin, 0), min(last - begin, self.blocks[k].size)
            with fs.open(path, "rb") as file:
                file.seek(low)
                yield file.read(high - low)

    def look(self, first: int, last: int) -> Look:
        """Decode bytes [first, last)."""
        first, last = max(first, 0), min(last, self.size)
        stream = FrameStream(f"channel {self.number}")
        parts = [stream.feed(piece) for piece in self._bytes(first, last)]
        parts.append(stream.finish())
        self.read += last - first
        out = Look(first)
        for virtual in (VCID_HALF_SCENE[self.number], VCID_SAD):
            packets = PacketStream()
            for frames in parts:
                mine = frames.channel == virtual
                if mine.any():
                    found = packets.feed(frames.counter[mine], frames.pointer[mine], frames.zone[mine])
                    rows = index_rows(found, virtual)
                    _note(out, rows[rows["good"]], found.stream, virtual)
        return out


def _note(look: Look, rows: NDArray[np.void], stream: NDArray[np.uint8], virtual: int) -> None:
    """Put the packets of a virtual channel into a look."""
    for apid in np.unique(rows["apid"]):
        mine = rows[rows["apid"] == apid]
        if virtual == VCID_SAD:
            kept = look.ancillary.setdefault(int(apid), [])
            kept += [stream[o : o + s].tobytes() for o, s in zip(mine["offset"], mine["size"].tolist(), strict=True)]
            continue
        key = detector_and_band(int(apid))
        if key is None:
            raise InputError(f"APID {apid} on an image channel", "session", "it is of another instrument")
        name = list(BANDS)[key[1]]
        begun = scene_starts(mine["time"], mine["count"].astype(np.int64), BANDS[name])
        before = look.begun.get((key[0], name), np.zeros(0, np.int64))
        look.begun[key[0], name] = np.concatenate([before, begun])
        offset, size = int(mine["offset"][0]), int(mine["size"][0])
        look.first.setdefault((key[0], name), stream[offset : offset + size].tobytes())


def _looks(channel: _Channel) -> list[Look]:
    """Return the looks at a channel, by place; those that show no image are kept for their ancillary data."""
    wide = {0, int(channel.begins[len(channel.blocks) // 2])}
    chosen = np.unique(np.linspace(0, len(channel.blocks) - 1, LOOKS + 2).round().astype(int))
    places = {int(channel.begins[k]): NARROW for k in chosen} | dict.fromkeys(wide, WIDE)
    looks = [channel.look(at, at + size) for at, size in sorted(places.items())]
    return [*looks, channel.look(max(channel.size - WIDE, 0), channel.size)]


def _in_step(before: NDArray[np.int64], after: NDArray[np.int64]) -> bool:
    """Tell whether scenes of one detector and band that began at these dates can be of one datastrip."""
    step = float(after.min() - before.max())
    return abs(step - round(step / _SCENE) * _SCENE) <= _ALIGNED


def _follows(before: Look, after: Look) -> bool:
    """Tell whether two looks can be of one datastrip; what both show decides."""
    return all(_in_step(before.begun[key], after.begun[key]) for key in before.begun.keys() & after.begun.keys())


def _between(channel: _Channel, low: Look, high: Look) -> Look | None:
    """Return a look at images about midway between two, None where none are shown."""
    middle = (low.at + high.at) // 2 // CADU_BYTES * CADU_BYTES
    for shift in range(_TRIES):
        at = middle + shift * NARROW
        if at >= high.at:
            return None
        look = channel.look(at, at + NARROW)
        if look.begun:
            return look
    return None


def _breaks(looks: list[Look], channel: _Channel) -> list[Look]:
    """Return the looks together with those next to each break between them."""
    out = list(looks)
    for before, after in pairwise([look for look in looks if look.begun]):
        low, high = before, after
        while not _follows(low, high) and high.at - low.at > 2 * NARROW:
            middle = _between(channel, low, high)
            if middle is None:
                break
            low, high = (middle, high) if _follows(low, middle) else (low, middle)
            out.append(middle)
    return out


def _codec(looks: Sequence[Look]) -> str:
    found = {
        codec_of_packet(len(packet), BANDS[name].raw_columns, np.frombuffer(packet, np.uint8))
        for look in looks
        for (_, name), packet in look.first.items()
    }
    if len(found) != 1:
        raise InputError(f"image packets of {sorted(found)}", "session", "one datatake has one compression")
    return found.pop()


def _gathered(looks: Sequence[Look]) -> dict[Key, NDArray[np.int64]]:
    """Return when scenes began, by detector and band, each once, rising."""
    parts: dict[Key, list[NDArray[np.int64]]] = {}
    for look in looks:
        for key, dates in look.begun.items():
            parts.setdefault(key, []).append(dates)
    return {key: scenes_begun(np.concatenate(dates)) for key, dates in parts.items()}


def _cuts(begun: Mapping[Key, NDArray[np.int64]]) -> list[int]:
    """Return the dates between datastrips: scenes after one are out of step with those before it."""
    intervals = sorted(
        (int(a), int(b))
        for dates in begun.values()
        for a, b in pairwise(dates)
        if not _in_step(np.array([a]), np.array([b]))
    )
    merged: list[tuple[int, int]] = []
    for a, b in intervals:
        if merged and a < merged[-1][1]:
            merged[-1] = max(a, merged[-1][0]), min(b, merged[-1][1])
        else:
            merged.append((a, b))
    return [(a + b) // 2 for a, b in merged]


def _strip(begun: Mapping[Key, NDArray[np.int64]], codec: str, points: Samples, attitude: Samples) -> SampledStrip:
    start = min(int(dates.min()) for dates in begun.values())
    # detectors and bands begin less than a scene apart: that tells which scene of theirs was the first
    ranks = {key: np.floor((dates - start + _SCENE * 1e-3) / _SCENE).astype(np.int64) for key, dates in begun.items()}
    first = {key: int((begun[key] - np.round(ranks[key] * _SCENE).astype(np.int64)).min()) for key in begun}
    scenes = 1 + max(int(rank.max()) for rank in ranks.values())
    names = {name for _, name in begun}
    return SampledStrip(
        tuple(sorted({d for d, _ in begun})), tuple(n for n in BANDS if n in names), scenes, codec, first,
        points, attitude,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SampledSession:
    """What looks into a session show.

    Attributes
    ----------
    strips : tuple of SampledStrip
        By date.
    bytes, read : int
        Of all its files, and of what was looked at.
    flags : tuple of str
        What does not fit together.
    """

    strips: tuple[SampledStrip, ...]
    bytes: int
    read: int
    flags: tuple[str, ...]


def _flags(strips: Sequence[SampledStrip], channels: Sequence[_Channel]) -> Iterator[str]:
    for k, strip in enumerate(strips):
        lacking = [f"D{d:02d} {n}" for d in strip.detectors for n in strip.bands if (d, n) not in strip.first_line_date]
        if lacking:
            yield f"datastrip {k + 1}: no look shows {', '.join(lacking[:4])}; taken to be there"
    expected = sum(
        s.scenes * len(s.detectors) * granule_packet_bytes(s.bands, s.codec) * CADU_BYTES / 1904 for s in strips
    )
    held = sum(channel.size for channel in channels)
    if held < 0.98 * expected:
        yield f"the files hold {held / expected:.0%} of what {sum(s.scenes for s in strips)} scenes take"


def sample_session(state: SessionState) -> SampledSession:
    """Look into the files of a session.

    Parameters
    ----------
    state : SessionState
        Of `s2dask.l0.session.survey`.

    Raises
    ------
    InputMissing
        When no look shows an image packet.
    """
    channels = [_Channel(k, [b for b in state.blocks if b.channel == k]) for k in VCID_HALF_SCENE]
    looks = [look for channel in channels if channel.blocks for look in _breaks(_looks(channel), channel)]
    ancillary: dict[int, list[bytes]] = {}
    for look in looks:
        for apid, packets in look.ancillary.items():
            ancillary.setdefault(apid, []).extend(packets)
    begun = _gathered(looks)
    if not begun:
        remedy = "nothing was sensed, or all is lost"
        raise InputMissing("no image packet where it was looked for", state.folder, remedy)
    points, attitude = (parse_samples(ancillary.get(apid, []), apid) for apid in (APID_GPS, APID_AOCS))
    edges, strips = [np.iinfo(np.int64).min, *_cuts(begun), np.iinfo(np.int64).max], []
    for low, high in pairwise(edges):
        part = {key: dates[(dates >= low) & (dates < high)] for key, dates in begun.items()}
        strips.append(_strip({key: d for key, d in part.items() if d.size}, _codec(looks), points, attitude))
    total, read = sum(c.size for c in channels), sum(c.read for c in channels)
    return SampledSession(tuple(strips), total, read, tuple(_flags(strips, channels)))
