"""The files of a virtual channel put in the order of its counter, with the packets that run across their seams."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import MPDU_ZONE_BYTES, PACKET_PRIMARY_BYTES, VC_COUNTER_MODULO
from s2dask.l0.channel_file import INDEX, Edge, FilePart, FileResult, index_rows
from s2dask.l0.packet_stream import Packets

_HALF = VC_COUNTER_MODULO // 2


@dataclass(slots=True)
class Joined:
    """A virtual channel over all files.

    Attributes
    ----------
    rows : (packet) of `INDEX`
    stream : (packet) int32
        Rank of the file of packets in `streams`.
    streams : list of str
    gaps : list of (int, int)
        Last counter before, frames missing.
    repeated : int
        Frames that another file holds too, or that came twice in one.
    first, last : int
        Numbers of its frames: counters, counted on beyond 2^24.
    """

    rows: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, INDEX))
    stream: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    streams: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    repeated: int = 0
    first: int = 0
    last: int = -1

    @property
    def lost_bytes(self) -> int:
        """Bytes of packets that the missing frames may have held."""
        return sum(number for _, number in self.gaps) * MPDU_ZONE_BYTES


def _placed(edges: Sequence[Edge]) -> list[tuple[int, Edge]]:
    """Return each edge with the number of its first frame, counted on over the whole channel, in that order.

    Notes
    -----
    Names of files may be swapped, so the order is that of the counter. It is a circle: when the frames fill at most
    half of it, the largest hole is where the channel begins and ends. A longer channel follows the names, each file
    next to the one before it by less than half a turn.
    """
    first = [edge.first % VC_COUNTER_MODULO for edge in edges]
    length = [edge.last - edge.first + 1 for edge in edges]
    if sum(length) <= _HALF:
        order = sorted(range(len(edges)), key=lambda k: first[k])
        end, holes = first[order[0]], []
        for k in order:
            holes.append((first[k] - end, k))
            end = max(end, first[k] + length[k])
        hole, begin = max(holes)
        # the hole across the wrap, from the end of the last to the first
        start = first[begin] if hole > first[order[0]] + VC_COUNTER_MODULO - end else first[order[0]]
        number = [start + (f - start) % VC_COUNTER_MODULO for f in first]
    else:
        number, top = [], first[0]
        for f in first:
            top += (f - top + _HALF) % VC_COUNTER_MODULO - _HALF
            number.append(top)
    return sorted(((number[k], edges[k]) for k in range(len(edges))), key=lambda item: (item[0], -item[1].last))


def _closed(packet: bytes) -> bool:
    """Tell whether bytes are exactly one packet."""
    return len(packet) > PACKET_PRIMARY_BYTES and int.from_bytes(packet[4:6], "big") + 7 == len(packet)


def _carried(tail: bytes, head: bytes, last: int) -> tuple[bytes, int, int]:
    """Return a packet, the number of the frame in which it begins, and how many carry it.

    Parameters
    ----------
    tail, head : bytes
        What frames hold of it up to the end of frame `last`, and from the beginning of the next one.
    last : int
    """
    frames = [-(-len(part) // MPDU_ZONE_BYTES) for part in (tail, head)]
    return tail + head, last + 1 - frames[0], sum(frames)


def _seams(placed: Sequence[tuple[int, Edge]], out: Joined) -> list[tuple[bytes, int, int]]:
    """Return the packets that run from one edge into others, as `_carried`; note gaps and repeats on the way."""
    packets: list[tuple[bytes, int, int]] = []
    top, tail = placed[0][0] - 1, b""
    for number, edge in placed:
        last = number + edge.last - edge.first
        if number <= top:
            out.repeated += min(top, last) - number + 1
            if last <= top:
                continue
            tail = b""
        elif number > top + 1:
            out.gaps.append((top % VC_COUNTER_MODULO, number - top - 1))
            tail = b""
        if tail and not edge.open and _closed(tail + edge.head):
            packets.append(_carried(tail, edge.head, number - 1))
        tail = tail + edge.head if tail and edge.open else edge.tail
        if edge.open and _closed(tail):
            packets.append(_carried(tail, b"", last))
            tail = b""
        top = last
    out.first, out.last = placed[0][0], top
    return packets


def _seam_file(data: bytes, frame: int, frames: int, virtual: int, work: Path) -> tuple[str, NDArray[np.void]]:
    """Write a packet to a file that is named after its content, and return its path and index."""
    path = work / f"seams-{hashlib.blake2b(data, digest_size=8).hexdigest()}.vc{virtual:02d}"
    path.write_bytes(data)
    column = (np.array([value], np.int64) for value in (0, len(data), frame, frames))
    return str(path), index_rows(Packets(np.frombuffer(data, np.uint8), *column), virtual)


def join_channel(results: Sequence[FileResult], virtual: int, work: Path) -> Joined:
    """Put what files hold of a virtual channel in order.

    Parameters
    ----------
    results : sequence of FileResult
        In any order.
    virtual : int
    work : Path
        Folder for packets across seams.
    """
    found = sorted(results, key=lambda r: (r.channel, r.name))
    parts: list[FilePart] = [r.parts[virtual] for r in found if virtual in r.parts]
    out = Joined(repeated=sum(part.duplicates for part in parts))
    edges = [edge for part in parts for edge in part.edges]
    if not edges:
        return out
    across = _seams(_placed(edges), out)
    tables = [part.rows() for part in parts]
    out.streams = [part.stream for part in parts]
    for packet, frame, frames in across:
        # a file for each, named after its content: a file that comes late then changes no other
        path, rows = _seam_file(packet, frame, frames, virtual, work)
        out.streams.append(path)
        tables.append(rows)
    out.rows = np.concatenate(tables)
    out.stream = np.repeat(np.arange(len(tables), dtype=np.int32), [t.size for t in tables])
    return out
