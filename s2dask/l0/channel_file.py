"""One DSDB file: frames to packets on disk, in blocks, so that memory does not grow with the file.

A result is addressed by what it was made of (name, size and stamp of the file): the same file is decoded once.
"""

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import VC_COUNTER_MODULO, VCID_HALF_SCENE, VCID_IDLE, VCID_SAD, channel_kind
from s2dask.l0.blocks import block_of, file_name, read_pieces
from s2dask.l0.frames import Frames, FrameStream
from s2dask.l0.packet_stream import Packets, PacketStream
from s2dask.l0.packets import index_packets

INDEX: Final = np.dtype(
    [
        ("apid", "<u2"), ("count", "<u2"), ("size", "<u4"), ("time", "<i8"), ("offset", "<i8"), ("good", "?"),
        ("frame", "<u4"), ("frames", "u1"),
    ]
)  # fmt: skip
"""What is kept of a packet beside its bytes: 30 bytes; time in GPS ns, offset in the file of packets, counter of the
frame in which it begins, frames that carry it."""
HOUSEKEEPING: Final = np.dtype(
    [("rank", "<u4"), ("channel", "u1"), ("counter", "<u4"), ("symbols", "<u2"), ("marker", "u1"), ("inverted", "?")]
)
"""What is kept of a frame of housekeeping telemetry beside its bytes: rank among the good frames of the file, virtual
channel and its counter, symbols put right, wrong bits of the marker, inverted polarity."""
BLOCK: Final = 2044 * 2000
"""Bytes that are decoded at a time."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Frames that follow each other without a gap, and what their ends hold of packets that lie partly elsewhere.

    Attributes
    ----------
    first, last : int
        Numbers of the frames: virtual channel counters, counted on beyond 2^24 inside a file.
    head : bytes
        What comes before the first packet that begins here.
    tail : bytes
        The beginning of a packet that ends elsewhere.
    open : bool
        No packet begins here: all of it is `head`.
    """

    first: int
    last: int
    head: bytes
    tail: bytes
    open: bool


@dataclass(frozen=True, slots=True)
class FilePart:
    """What one file holds of one virtual channel.

    Attributes
    ----------
    stream, index : str
        Files with the packets, end to end, and with their index.
    packets : int
    edges : tuple of Edge
        By number.
    frames, duplicates : int
        Frames, each once, and those that came again.
    resynchronised : int
        Times that a frame's pointer and the packet lengths disagreed.
    ranks : (int, int)
        First and last of its frames among the good frames of the file.
    """

    stream: str
    index: str
    packets: int
    edges: tuple[Edge, ...]
    frames: int
    duplicates: int
    resynchronised: int
    ranks: tuple[int, int] = (0, 0)

    def rows(self) -> NDArray[np.void]:
        """Return the index, (packet) of `INDEX`."""
        return np.fromfile(self.index, INDEX)


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file of CADUs, decoded.

    Attributes
    ----------
    name : str
    channel : int
    parts : mapping of int to FilePart
        By virtual channel.
    counters : mapping of str to int
        frames, skipped_bytes, corrected_frames, corrected_symbols, uncorrectable_frames, corrected_codewords,
        uncorrectable_codewords, bit_slips, inverted_frames, housekeeping_frames.
    housekeeping : str or None
        File with the transfer frames of housekeeping telemetry, 1912 bytes each; see `housekeeping_rows`.
    good_frames : int
        Frames that could be read, of all virtual channels.
    """

    name: str
    channel: int
    parts: Mapping[int, FilePart]
    counters: Mapping[str, int]
    housekeeping: str | None = None
    good_frames: int = 0


def packet_kind(virtual: int) -> str:
    """Return where the packets of a virtual channel have their time; see `index_packets`."""
    return "ancillary" if virtual == VCID_SAD else "image"


def index_rows(packets: Packets, virtual: int) -> NDArray[np.void]:
    """Return the index of packets, idle ones left out; offsets are those in their stream."""
    found = index_packets(packets.stream, packets.offset, packets.size, packet_kind(virtual))
    rows = np.empty(found.apid.size, INDEX)
    for name in ("apid", "count", "size", "time", "offset", "good"):
        rows[name] = getattr(found, name)
    # idle packets are left out: what is left lies where it lay
    order = np.argsort(packets.offset)
    place = order[np.searchsorted(packets.offset, found.offset, sorter=order)]
    rows["frame"], rows["frames"] = packets.frame[place] % VC_COUNTER_MODULO, packets.frames[place]
    return rows


def _runs(offset: NDArray[np.int64], size: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a stream that packets fill without a hole."""
    cuts = np.flatnonzero(offset[1:] != offset[:-1] + size[:-1]) + 1
    for part in np.split(np.arange(offset.size), cuts):
        if part.size:
            yield int(offset[part[0]]), int(offset[part[-1]] + size[part[-1]])


@dataclass(slots=True)
class _Writer:
    """Packets of one virtual channel on their way to disk."""

    virtual: int
    path: Path
    kept: bool
    stream: PacketStream = field(default_factory=PacketStream)
    end: int = 0
    count: int = 0
    files: list[IO[bytes]] = field(default_factory=list)
    ranks: tuple[int, int] | None = None

    @property
    def index(self) -> Path:
        return self.path.with_name(f"{self.path.name}.index")

    def feed(self, frames: Frames, chosen: NDArray[np.bool_], before: int) -> None:
        ranks = before + np.flatnonzero(chosen)[[0, -1]]
        self.ranks = (self.ranks[0] if self.ranks else int(ranks[0]), int(ranks[1]))
        if not self.files:
            self.files = [self.path.open("wb"), self.index.open("wb")]
        rows = slice(None) if chosen.all() else chosen
        packets = self.stream.feed(frames.counter[rows], frames.pointer[rows], frames.zone[rows])
        if not len(packets):
            return
        index = index_rows(packets, self.virtual)
        offset, size = index["offset"].copy(), index["size"].astype(np.int64)
        for first, last in _runs(offset, size) if self.kept else ():
            self.files[0].write(packets.stream[first:last].data)
        index["offset"] = self.end + np.cumsum(size) - size
        self.files[1].write(index.tobytes())
        self.end += int(size.sum())
        self.count += index.size

    def close(self) -> FilePart:
        for file in self.files:
            file.close()
        s = self.stream
        edges = tuple(Edge(*edge) for edge in s.edges)
        return FilePart(
            str(self.path), str(self.index), self.count, edges, s.frames, s.duplicates,
            s.resynchronised, self.ranks or (0, 0),
        )  # fmt: skip


@dataclass(slots=True)
class Demultiplexer:
    """Frames of one channel of a session to packets on disk, one file per virtual channel.

    Parameters
    ----------
    channel : int
        Of the session: 1 or 2.
    stem : Path
        What the paths of the files begin with.
    where : str
        For messages.
    images : bool
        Write the image packets too, not only their index.
    """

    channel: int
    stem: Path
    where: str
    images: bool = True
    writers: dict[int, _Writer] = field(default_factory=dict)
    housekeeping: int = 0
    frames: int = 0

    @property
    def known(self) -> tuple[int, ...]:
        """Virtual channels of images, ancillary data and nothing that may come here."""
        return tuple(sorted({VCID_HALF_SCENE[self.channel], VCID_SAD, VCID_IDLE}))

    @property
    def housekeeping_file(self) -> Path:
        """Where the frames of housekeeping telemetry are kept, end to end, as its products hold them."""
        return self.stem.with_name(f"{self.stem.name}.hktm")

    def feed(self, frames: Frames) -> None:
        """Take frames; those of the other half scene are refused, those of no named channel are housekeeping."""
        there = [int(c) for c in np.unique(frames.channel)]
        strange = [c for c in there if c in VCID_HALF_SCENE.values() and c not in self.known]
        if strange:
            expected = f"expected {list(self.known)}"
            raise InputError(f"virtual channels {strange} on channel {self.channel}", self.where, expected)
        self._keep(frames, [c for c in there if channel_kind(c) == "housekeeping"])
        for virtual in (c for c in there if c in self.known and c != VCID_IDLE):
            path = self.stem.with_name(f"{self.stem.name}.vc{virtual:02d}")
            writer = self.writers.setdefault(virtual, _Writer(virtual, path, self.images or virtual == VCID_SAD))
            writer.feed(frames, frames.channel == virtual, self.frames)
        self.frames += frames.channel.size

    def _keep(self, frames: Frames, channels: list[int]) -> None:
        """Put the frames of housekeeping telemetry aside, as they came."""
        chosen = np.flatnonzero(np.isin(frames.channel, channels))
        if not chosen.size:
            return
        rows = np.zeros(chosen.size, HOUSEKEEPING)
        rows["rank"], rows["channel"] = self.frames + chosen, frames.channel[chosen]
        rows["counter"] = frames.counter[chosen]
        for name in ("symbols", "marker", "inverted"):
            rows[name] = frames.notes[name][chosen]
        kept = np.concatenate([frames.header[chosen], frames.zone[chosen]], 1)
        for path, data in ((self.housekeeping_file, kept), (_index_of(str(self.housekeeping_file)), rows)):
            with path.open("ab" if self.housekeeping else "wb") as file:
                file.write(data.tobytes())
        self.housekeeping += chosen.size

    def close(self) -> dict[int, FilePart]:
        """Return what was found, by virtual channel."""
        return {virtual: self.writers[virtual].close() for virtual in sorted(self.writers)}


def _index_of(housekeeping: str) -> Path:
    return Path(f"{housekeeping}.index")


def housekeeping_rows(result: FileResult) -> NDArray[np.void]:
    """Return what is kept of the frames of housekeeping telemetry of a file, (frame) of `HOUSEKEEPING`."""
    if result.housekeeping is None:
        return np.zeros(0, HOUSEKEEPING)
    return np.fromfile(_index_of(result.housekeeping), HOUSEKEEPING)


def result_key(path: str, channel: int) -> str:
    """Return the address of the result of a file; it changes with name, size and stamp of the file."""
    return hashlib.blake2b(f"{block_of(path).key}|{channel}".encode(), digest_size=8).hexdigest()


def decode_blocks(pieces: Iterator[bytes], channel: int, stem: Path, where: str, *, images: bool = True) -> FileResult:
    """Decode a stream of CADUs that comes in pieces of any size.

    Parameters
    ----------
    pieces : iterator of bytes
    channel : int
        Of the session.
    stem : Path
        What the paths of the packet files begin with.
    where : str
        Name of the stream, for messages.
    images : bool
        Write the image packets too, not only their index.
    """
    stream, sorter, good = FrameStream(where), Demultiplexer(channel, stem, where, images), 0
    for piece in pieces:
        frames = stream.feed(piece)
        good += frames.channel.size
        sorter.feed(frames)
    frames = stream.finish()
    good += frames.channel.size
    sorter.feed(frames)
    found = stream.counters
    if not found.received:
        raise InputError("no frame marker", where, "the file is no CADU stream: fetch it again")
    if not good:
        raise InputError("no codeword decodes", where, "the file is no Sentinel-2 CADU stream: fetch it again")
    counters = {
        "frames": found.received, "skipped_bytes": found.skipped_bytes, "corrected_frames": found.corrected,
        "corrected_symbols": found.corrected_symbols, "uncorrectable_frames": found.uncorrectable,
        "corrected_codewords": found.corrected_codewords, "uncorrectable_codewords": found.uncorrectable_codewords,
        "bit_slips": found.slips, "inverted_frames": found.inverted, "housekeeping_frames": sorter.housekeeping,
    }  # fmt: skip
    kept = str(sorter.housekeeping_file) if sorter.housekeeping else None
    return FileResult(where, channel, sorter.close(), counters, kept, sorter.frames)


def decode_file(path: str, channel: int, work: str) -> FileResult:
    """Decode one DSDB file, unless it was decoded into the same folder before (step EISPProcessor).

    Parameters
    ----------
    path : str
        Local path or fsspec URL.
    channel : int
        Of the session: 1 or 2.
    work : str
        Local folder for packets and index.
    """
    name = file_name(path)
    stem = Path(work) / f"{Path(name).stem}-{result_key(path, channel)}"
    done = stem.with_name(f"{stem.name}.result")
    if done.is_file():
        result: FileResult = pickle.loads(done.read_bytes())  # noqa: S301 - our own file, made below
        return result
    result = decode_blocks(read_pieces(path, BLOCK), channel, stem, name)
    fresh = done.with_suffix(".fresh")
    fresh.write_bytes(pickle.dumps(result))
    fresh.replace(done)
    return result
