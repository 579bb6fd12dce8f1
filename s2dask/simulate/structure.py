"""A session of full size whose files are mostly holes: the structure of 60 GB on a few hundred megabytes of disk.

Names, sizes, DSIBs, frames, packets, orbit, attitude and geometry are those of a pass of 255 scenes, 12 detectors and
13 bands; the bytes are there where someone looks who does not read everything: at the begin and the end of each
channel, and at the begin of each file. Everywhere else a file has a hole, which reads as zeros. The pixels of every
packet of a band are the same.
"""

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.time import NANO, compact, gps_to_utc, utc_to_gps
from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, DETECTORS, LINE_PERIOD, SCENE_SECONDS, UNITS
from s2dask.instrument.telemetry import (
    CADU_BYTES,
    CRC_BYTES,
    ISP_HEAD_BYTES,
    MPDU_ZONE_BYTES,
    NO_FIRST_HEADER,
    VC_COUNTER_MODULO,
    VCID_HALF_SCENE,
    VCID_IDLE,
    VCID_SAD,
    apid,
    half_scene,
)
from s2dask.l0.codec.ccsds122 import encode_strip
from s2dask.simulate import gipp
from s2dask.simulate.coding import Bytes, PacketMultiplexer, frames, idle_frames, source_packets
from s2dask.simulate.mission import DATE
from s2dask.simulate.platform import Platform, bulletin, focal_plane, spacecraft_model, synthetic_platform
from s2dask.simulate.session import ABSOLUTE_ORBIT, ancillary_stream, housekeeping_stream
from s2dask.simulate.telemetry import HOUSEKEEPING_CHANNEL, IDLE_LEAD, VCID_HOUSEKEEPING, write_dsib

FRAMES_PER_FILE: Final = 153_900
"""Of a station's DSDB files."""
END_FRAMES: Final = 8_000
"""Frames that are there at the begin and the end of a channel: 16 MB, half a second of imaging."""
HEAD_FRAMES: Final = 256
"""Frames that are there at the begin of every file."""
CENTRE: Final = (22.0, 20.0)
"""Below the satellite in the middle of the pass [deg]: from the Baltic to the Congo."""
_PIECE: Final = 2_000
"""Frames that are made at a time."""


@dataclass(frozen=True, slots=True)
class StructureOptions:
    """What a session of holes is to be.

    Attributes
    ----------
    scenes : int
        Of 3.6 s; 255 are 60 GB with all detectors and bands.
    detectors : tuple of int
    bands : tuple of str
    unit : str
    seed : int
        Of orbit and attitude.
    centre : (float, float)
        Longitude and latitude below the satellite in the middle of the pass [deg].
    frames_per_file : int
    """

    scenes: int = 255
    detectors: tuple[int, ...] = DETECTORS
    bands: tuple[str, ...] = tuple(BANDS)
    unit: str = "S2A"
    seed: int = 1
    centre: tuple[float, float] = CENTRE
    frames_per_file: int = FRAMES_PER_FILE

    def __post_init__(self) -> None:
        for kind, values, known in (
            ("detector", self.detectors, DETECTORS), ("band", self.bands, tuple(BANDS)), ("unit", (self.unit,), UNITS),
        ):  # fmt: skip
            wrong = [v for v in values if v not in known]
            if wrong or not values or len(set(values)) != len(values):
                raise ConfigurationError(f"{kind} {wrong or values}", "simulate", "choose among those there are, once")
        if not 1 <= self.scenes <= 300 or self.frames_per_file < HEAD_FRAMES:
            what = f"{self.scenes} scenes in files of {self.frames_per_file} frames"
            raise ConfigurationError(what, "simulate", f"1 to 300 scenes, {HEAD_FRAMES} frames or more")


@dataclass(frozen=True, eq=False)
class _Scene:
    """Where the packets of a scene lie in the stream of a channel; every scene is alike.

    Attributes
    ----------
    apid, count : (packet) int64
    band : (packet) int64
        Rank in `BANDS`.
    time : (packet) int64
        After the begin of the scene [ns].
    offset : (packet + 1) int64
        First byte; the last is the length of a scene.
    """

    apid: NDArray[np.int64]
    count: NDArray[np.int64]
    band: NDArray[np.int64]
    time: NDArray[np.int64]
    offset: NDArray[np.int64]


def _scene(detectors: tuple[int, ...], bands: tuple[str, ...]) -> _Scene:
    parts = []
    for d in detectors:
        for name in bands:
            b = BANDS[name]
            count = np.arange(b.packets_per_scene)
            time = np.round(16 * count * LINE_PERIOD * b.line_factor * NANO).astype(np.int64)
            size = np.full(count.size, b.packet_length)
            parts.append(
                np.stack([time, np.full(count.size, apid(d, b.index)), count, np.full_like(count, b.index), size])
            )
    rows = np.concatenate(parts, 1) if parts else np.zeros((5, 0), np.int64)
    time, of, count, index, size = rows[:, np.lexsort((rows[1], rows[0]))]
    return _Scene(of, count, index, time, np.concatenate([[0], np.cumsum(size)]))


@dataclass(frozen=True, eq=False)
class StructuredChannel:
    """One channel of the session, any frames of which can be made.

    Attributes
    ----------
    options : StructureOptions
    number : int
    start : int
        Of the imaging, GPS [ns].
    platform : Platform
    """

    options: StructureOptions
    number: int
    start: int
    platform: Platform
    _bodies: dict[int, Bytes] = field(default_factory=dict, repr=False)

    @cached_property
    def _of(self) -> _Scene:
        mine = tuple(d for d in self.options.detectors if half_scene(d) == self.number)
        return _scene(mine, self.options.bands)

    @property
    def _bytes(self) -> int:
        return int(self._of.offset[-1]) * self.options.scenes

    @cached_property
    def tail(self) -> Bytes:
        """All frames after those of whole image zones: the rest, ancillary or housekeeping data, idle ones."""
        whole, rest = divmod(self._bytes, MPDU_ZONE_BYTES)
        out = []
        if rest:
            images = PacketMultiplexer(VCID_HALF_SCENE[self.number], whole % VC_COUNTER_MODULO)
            stream, starts = self._stream(whole * MPDU_ZONE_BYTES, self._bytes)
            # what is left of a packet that began before counts as none
            out += [images.push(stream, starts), images.flush()]
        for channel, virtual, made, first in (
            (2, VCID_SAD, ancillary_stream, 0),
            (HOUSEKEEPING_CHANNEL, VCID_HOUSEKEEPING, housekeeping_stream, VC_COUNTER_MODULO - 5),
        ):
            if channel == self.number:
                packets = PacketMultiplexer(virtual, first)
                out += [packets.push(*made(self.platform)), packets.flush()]
        return np.concatenate([*out, idle_frames(IDLE_LEAD, 0, VCID_IDLE)])

    @property
    def frames(self) -> int:
        """Frames of the channel."""
        return IDLE_LEAD + self._bytes // MPDU_ZONE_BYTES + len(self.tail)

    def _body(self, index: int) -> Bytes:
        """Return what every packet of a band holds: hills, coded as the mission does."""
        if index not in self._bodies:
            b = list(BANDS.values())[index]
            y, x = np.mgrid[0:16, 0 : b.raw_columns] * (b.resolution / 10.0)
            lines = np.round(900 + 150 * np.sin(x / 40 + index) + 60 * np.cos(x / 9 - y / 11)).astype(np.uint16)
            coded = encode_strip(lines, b.packet_length - ISP_HEAD_BYTES - CRC_BYTES)
            self._bodies[index] = np.frombuffer(coded, np.uint8)
        return self._bodies[index]

    def _stream(self, first: int, last: int) -> tuple[Bytes, NDArray[np.int64]]:
        """Return bytes [first, last) of the image packets, and where packets begin in them."""
        of, length = self._of, int(self._of.offset[-1])
        scene = np.arange(first // length, -(-last // length))
        begin = (scene[:, None] * length + of.offset[None, :-1]).ravel()
        packet = np.tile(np.arange(of.apid.size), scene.size)
        size = np.diff(of.offset)[packet]
        chosen = np.flatnonzero((begin + size > first) & (begin < last))
        begun = np.repeat(np.round(scene * SCENE_SECONDS * NANO).astype(np.int64), of.apid.size) + self.start
        out = np.empty(int(begin[chosen[-1]] + size[chosen[-1]] - begin[chosen[0]]), np.uint8)
        for key in np.unique(of.apid[packet[chosen]]):
            mine = chosen[of.apid[packet[chosen]] == key]
            k = packet[mine]
            body = np.broadcast_to(self._body(int(of.band[k[0]])), (k.size, self._body(int(of.band[k[0]])).size))
            made = source_packets(body, int(key), begun[mine] + of.time[k], of.count[k])
            for at, one in zip(begin[mine] - begin[chosen[0]], made, strict=True):
                out[at : at + one.size] = one
        cut = first - int(begin[chosen[0]])
        starts = begin[chosen] - first
        return out[cut : cut + last - first], starts[starts >= 0]

    def _images(self, first: int, last: int) -> Bytes:
        """Return the image frames [first, last)."""
        n = last - first
        stream, starts = self._stream(first * MPDU_ZONE_BYTES, last * MPDU_ZONE_BYTES)
        zones = np.arange(n) * MPDU_ZONE_BYTES
        following = np.append(starts, np.iinfo(np.int64).max)[np.searchsorted(starts, zones)] - zones
        pointers = np.where(following < MPDU_ZONE_BYTES, following, NO_FIRST_HEADER).astype(np.uint16)
        virtual = VCID_HALF_SCENE[self.number]
        return frames(stream.reshape(n, MPDU_ZONE_BYTES), pointers, virtual, first % VC_COUNTER_MODULO)

    def make(self, first: int, last: int) -> Bytes:
        """Return frames [first, last) of the channel, (frame, 2044) uint8."""
        images = self._bytes // MPDU_ZONE_BYTES
        a, b = first - IDLE_LEAD, last - IDLE_LEAD
        parts = [idle_frames(IDLE_LEAD, 0, VCID_IDLE)[first:last]] if a < 0 else []
        low, high = max(a, 0), min(b, images)
        if low < high:
            parts.append(self._images(low, high))
        if b > images:
            parts.append(self.tail[max(a - images, 0) : b - images])
        return np.concatenate(parts) if parts else np.zeros((0, CADU_BYTES), np.uint8)


def _write(channel: StructuredChannel, folder: Path, session: str, times: tuple[int, int]) -> None:
    """Write the files of a channel with their holes, and its DSIB."""
    folder.mkdir(parents=True)
    total, per = channel.frames, channel.options.frames_per_file
    there = [(k, min(k + HEAD_FRAMES, total)) for k in range(0, total, per)]
    # the last frames of a file tell it from any other of its size
    there += [(max(min(k + per, total) - 2, 0), min(k + per, total)) for k in range(0, total, per)]
    there += [(0, min(END_FRAMES, total)), (max(total - max(END_FRAMES, len(channel.tail) + 64), 0), total)]
    names: list[str] = []
    for first in range(0, total, per):
        last = min(first + per, total)
        names.append(f"DCS_01_{session}_ch{channel.number}_DSDB_{len(names) + 1:05d}.raw")
        with (folder / names[-1]).open("wb") as file:
            file.truncate((last - first) * CADU_BYTES)
            for begin, end in there:
                for k in range(max(begin, first), min(end, last), _PIECE):
                    file.seek((k - first) * CADU_BYTES)
                    file.write(channel.make(k, min(k + _PIECE, end, last)).tobytes())
    write_dsib(folder, session, channel.number, names, total * CADU_BYTES, times)


def _write_auxiliary(options: StructureOptions, middle: int, aux: Path) -> None:
    """Write what locates the images: viewing directions, Bulletin A, and a world of sea."""
    gipp.write_geometric(aux / "gipp", options.unit, [focal_plane(n) for n in options.bands], spacecraft_model())
    for kind in ("iers", "dem", "geoid", "meteo"):
        (aux / kind).mkdir()
    bulletin(aux / "iers" / "bulletina.txt", middle)
    (aux / "dem" / "SEA").write_text("Where there is no raster there is sea.\n", "utf-8")


def simulate_structure(folder: str, options: StructureOptions | None = None) -> str:
    """Write the structure of a session.

    Parameters
    ----------
    folder : str
        Written anew; a session that is there already is replaced.
    options : StructureOptions, optional

    Returns
    -------
    str
        The folder: ``DCS_01_<session>_dat`` with sparse DSDBs, and ``aux`` with what locates the images.
    """
    options, root = options or StructureOptions(), Path(folder)
    if root.exists():
        if any(root.iterdir()) and not (root / "aux").is_dir():
            raise ConfigurationError("folder holds something else than a session", folder, "choose an empty folder")
        shutil.rmtree(root)
    root.mkdir(parents=True)
    middle, length = utc_to_gps(DATE), round(options.scenes * SCENE_SECONDS * NANO)
    platform = synthetic_platform(middle, length / NANO, *options.centre, options.seed, 3e-7)
    start = middle - length // 2
    session = f"{options.unit}_{compact(gps_to_utc(start)).replace('T', '')}{ABSOLUTE_ORBIT:06d}"
    _write_auxiliary(options, middle, root / "aux")
    for number in (1, 2):
        where = root / f"DCS_01_{session}_dat" / f"ch_{number}"
        _write(StructuredChannel(options, number, start, platform), where, session, (start, start + length))
    return str(root)
