"""A small link for the tests: packets of known content into frames, and frames into the files of a session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band
from s2dask.instrument.telemetry import (
    APID_AOCS,
    APID_GPS,
    ASM_BYTES,
    CADU_BYTES,
    VCID_HALF_SCENE,
    VCID_SAD,
    apid,
    half_scene,
)
from s2dask.simulate.coding import PacketMultiplexer, ancillary_packets, append_crc, image_packets, pseudo_noise

Bytes = NDArray[np.uint8]
SESSION = "S2A_20200816120219026904"
START = 1_281_614_557_000_000_000
"""First line of the strip, GPS [ns]."""


def laid_out(packets: Sequence[Bytes]) -> tuple[Bytes, NDArray[np.int64]]:
    """Return packets end to end, and where each begins."""
    sizes = np.array([p.size for p in packets], np.int64)
    return np.concatenate(packets), np.cumsum(sizes) - sizes


def framed(packets: Sequence[Bytes], channel: int, counter: int = 0) -> Bytes:
    """Return the frames (frame, 2044) of packets, the last one filled up."""
    multiplexer = PacketMultiplexer(channel, counter)
    full = multiplexer.push(*laid_out(packets))
    return np.concatenate([full, multiplexer.flush()])


def plain(frames: Bytes) -> Bytes:
    """Return frames with the randomiser taken off."""
    out = frames.copy()
    out[:, ASM_BYTES:] ^= pseudo_noise()
    return out


def any_packet(random: np.random.Generator, size: int, number: int) -> Bytes:
    """Return a packet of APID 100 with random content and a right checksum."""
    packet = random.integers(0, 256, (1, size), np.uint8)
    packet[0, :6] = np.frombuffer(
        (0x0864).to_bytes(2, "big") + (0xC000 | number % 16384).to_bytes(2, "big") + (size - 7).to_bytes(2, "big"),
        np.uint8,
    )
    append_crc(packet)
    return packet[0]


@dataclass
class Link:
    """A session of random images with known bits.

    Attributes
    ----------
    detectors, bands, scenes : tuple of int, tuple of str, int
    counts : dict of (int, str) to (line, raw_column) uint16
    packets : dict of (int, str) to (packet, byte) uint8
    frames : dict of int to dict of int to (frame, 2044) uint8
        By channel and virtual channel.
    points, quaternions : (sample, value) float64
        Of the ancillary packets.
    point_time, attitude_time : (sample) int64
    """

    detectors: tuple[int, ...] = (6, 7)
    bands: tuple[str, ...] = ("B01", "B11")
    scenes: int = 2
    counters: Mapping[int, int] = field(default_factory=dict)
    counts: dict[tuple[int, str], NDArray[np.uint16]] = field(default_factory=dict)
    packets: dict[tuple[int, str], Bytes] = field(default_factory=dict)
    frames: dict[int, dict[int, Bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = np.random.default_rng(20)
        for d in self.detectors:
            for name in self.bands:
                b = band(name)
                lines = self.scenes * b.lines_per_scene
                self.counts[d, name] = random.integers(0, 4096, (lines, b.raw_columns), np.uint16)
                parts = [
                    image_packets(
                        self.counts[d, name][s * b.lines_per_scene : (s + 1) * b.lines_per_scene],
                        apid(d, b.index),
                        self.dates(d, name)[s * b.packets_per_scene : (s + 1) * b.packets_per_scene],
                    )
                    for s in range(self.scenes)
                ]
                self.packets[d, name] = np.concatenate(parts)
        seconds = round(self.scenes * SCENE_SECONDS + 10)
        self.point_time = START - 5_000_000_000 + np.arange(seconds + 1, dtype=np.int64) * 1_000_000_000
        self.points = random.normal(0, 7e3, (self.point_time.size, 6))
        self.points[:, :3] *= 7.16e6 / np.linalg.norm(self.points[:, :3], axis=1)[:, None]
        self.attitude_time = START - 5_000_000_000 + np.arange(10 * seconds + 1, dtype=np.int64) * 100_000_000
        self.quaternions = random.normal(0, 0.5, (self.attitude_time.size, 4))
        self.quaternions /= np.linalg.norm(self.quaternions, axis=1)[:, None]
        self.fill()

    def first_date(self, detector: int, name: str) -> int:
        """Return the date of line 0: later by some lines for each detector and band."""
        return START + 37_000_000 * (detector % 2) + 11_000_000 * band(name).index

    def dates(self, detector: int, name: str) -> NDArray[np.int64]:
        """Return the date of every packet [GPS ns]."""
        b = band(name)
        number = np.arange(self.scenes * b.packets_per_scene)
        since = np.round(number * 16 * LINE_PERIOD * b.line_factor * 1e9).astype(np.int64)
        return self.first_date(detector, name) + since

    def sequence(self, channel: int) -> list[tuple[int, str, int]]:
        """Return (detector, band, packet) of the image packets of a channel in the order in which they are sent."""
        rows = [
            (int(t), d, name, k)
            for d, name in self.packets
            if half_scene(d) == channel
            for k, t in enumerate(self.dates(d, name))
        ]
        return [row[1:] for row in sorted(rows)]

    def fill(self) -> None:
        """Make the frames of the packets as they are now."""
        for channel, virtual in VCID_HALF_SCENE.items():
            rows = [self.packets[d, n][k] for d, n, k in self.sequence(channel)]
            self.frames[channel] = {virtual: framed(rows, virtual, self.counters.get(virtual, 0))} if rows else {}
        house = [
            *ancillary_packets(APID_GPS, 1, self.point_time, self.points),
            *ancillary_packets(APID_AOCS, 105, self.attitude_time, self.quaternions),
        ]
        self.frames[2][VCID_SAD] = framed(house, VCID_SAD, self.counters.get(VCID_SAD, 0))

    def channel(self, number: int) -> Bytes:
        """Return all frames of a channel, one virtual channel after the other."""
        return np.concatenate([np.zeros((0, CADU_BYTES), np.uint8), *self.frames[number].values()])


def write_session(folder: Path, files: Mapping[int, Sequence[Bytes]], session: str = SESSION) -> dict[int, list[Path]]:
    """Write a session: for each channel the frames of each file, and the DSIB that lists them."""
    out: dict[int, list[Path]] = {}
    for channel, parts in files.items():
        where = folder / f"DCS_01_{session}_dat" / f"ch_{channel}"
        where.mkdir(parents=True)
        out[channel] = []
        for k, part in enumerate(parts):
            path = where / f"DCS_01_{session}_ch{channel}_DSDB_{k + 1:05d}.raw"
            path.write_bytes(part.tobytes())
            out[channel].append(path)
        names, size = [p.name for p in out[channel]], sum(p.size for p in parts)
        dsib(where / f"DCS_01_{session}_ch{channel}_DSIB.xml", session, names, size)
    return out


def dsib(path: Path, session: str, names: Sequence[str], size: int | str, head: str = "") -> None:
    """Write a DSIB."""
    listed = "".join(f"<dsdb_name>{name}</dsdb_name>" for name in names)
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<DCSU_Session_Information_Block>'
        f"<session_id>{session}</session_id><data_size>{size}</data_size><dsdb_list>{listed}</dsdb_list>"
        "</DCSU_Session_Information_Block>\n",
        "utf-8",
    )


def packet_frames(sizes: Sequence[int], lost: Sequence[int], zone: int = 1904) -> list[bool]:
    """Return which packets, laid end to end from the start of a frame, touch no lost frame."""
    ends = np.cumsum(sizes)
    gone = set(lost)
    return [
        not gone & set(range(int(end - size) // zone, int(end - 1) // zone + 1))
        for size, end in zip(sizes, ends, strict=True)
    ]
