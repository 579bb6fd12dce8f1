"""Packets of one virtual channel out of its frames, whatever the blocks, the order and the repeats they come in."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import (
    IDLE_ONLY,
    MPDU_ZONE_BYTES,
    PACKET_MAX_BYTES,
    PACKET_PRIMARY_BYTES,
    VC_COUNTER_MODULO,
)
from s2dask.kernels import inline_kernel, kernel

AHEAD: Final = 1 << 22
"""A counter up to that much ahead of the highest one is new (8.5 GB lost at once), any other is late or a repeat: so a
repeat is known 12.6 million frames later, and a whole pass has 11 million."""
EDGES: Final = 1024
"""Gaps whose edges are kept, so that late frames can still complete packets."""
_OPEN, _IN, _OUT = 0, 1, 2
"""Where a walk stands: before the first header of its piece, in step, out of step until a header is pointed at."""
_HEAD_FRAMES: Final = -(-PACKET_MAX_BYTES // MPDU_ZONE_BYTES)


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """Whole packets.

    Attributes
    ----------
    stream : (byte) uint8
        Holds the packets, and perhaps bytes of none.
    offset, size : (packet) int64
        In the stream.
    frame : (packet) int64
        Number of the frame in which the packet begins: its counter, counted on beyond 2^24.
    frames : (packet) int64
        Frames that carry it.
    """

    stream: NDArray[np.uint8]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    frame: NDArray[np.int64]
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        return self.offset.size

    def packet(self, k: int) -> bytes:
        """Return one packet."""
        return self.stream[self.offset[k] : self.offset[k] + self.size[k]].tobytes()


@dataclass(slots=True)
class _Piece:
    """Frames that follow each other; `held` are the bytes of the packet at its end, of the head while it is open."""

    first: int
    last: int
    state: int
    held: NDArray[np.uint8]
    began: int
    head: NDArray[np.uint8] | None = None


@kernel
def _number(counter, top, modulo, ahead, out):  # type: ignore[no-untyped-def]
    """Counters counted on beyond their modulus, from the highest number so far; return the highest."""
    for k in range(counter.size):
        step = (counter[k] - top) % modulo
        out[k] = top + step if step < ahead else top + step - modulo
        top = max(top, out[k])
    return top


@inline_kernel
def _length(stream, at):  # type: ignore[no-untyped-def]
    return (np.int64(stream[at + 4]) << 8) + np.int64(stream[at + 5]) + 7


@kernel
def _walk(zones, pointers, number, state, held, began, limit, out, offset, size, frame, frames):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915 - one walk
    """Lay zones end to end into `out` after the bytes that are held and find packets; one frame at a time.

    Returns packets found, state, where the unfinished packet begins and ends, the number of its first frame, bytes of
    the head (-1: none closed here), and how often pointer and lengths disagreed. What is found does not depend on
    where the frames are cut into calls.
    """
    width = zones.shape[1]
    out[: held.size] = held
    start, end, count, wrong, head = 0, held.size, 0, 0, -1
    for k in range(zones.shape[0]):
        pointer = pointers[k]
        if pointer >= width:
            if pointer == IDLE_ONLY:
                if state == _OPEN:
                    head = end
                elif state == _IN and end > start:
                    wrong += 1
                state, start = _OUT, end
            elif state == _OPEN:
                if end - start < limit:
                    out[end : end + width] = zones[k]
                    end += width
            elif state == _IN:
                if end == start:
                    # a packet is due here, the frame denies it
                    wrong += 1
                    state = _OUT
                    continue
                out[end : end + width] = zones[k]
                end += width
                have = end - start
                if have >= 6:
                    need = _length(out, start)
                    if have == need:
                        offset[count], size[count], frame[count] = start, need, began
                        frames[count] = number + k - began + 1
                        count, start = count + 1, end
                    elif have > need:
                        wrong += 1
                        state, start = _OUT, end
            continue
        out[end : end + width] = zones[k]
        at = end + pointer
        if state == _OPEN:
            head = at
        elif state == _IN and at > start:
            have = at - start
            if end > start and have >= 6 and _length(out, start) == have:
                offset[count], size[count], frame[count] = start, have, began
                frames[count] = number + k - began + 1
                count += 1
            else:
                wrong += 1
        end += width
        while end - at >= 6:
            need = _length(out, at)
            if need > end - at:
                break
            offset[count], size[count], frame[count], frames[count] = at, need, number + k, 1
            count, at = count + 1, at + need
        state, start, began = _IN, at, number + k
    return count, state, start, end, began, head, wrong


class PacketStream:
    """Reassembles the packets of one virtual channel.

    Frames come in blocks of any size. What is found does not depend on how the frames are cut into blocks; blocks that
    come late or swapped give the packets that they would have given in time, and frames that come twice are dropped.

    Attributes
    ----------
    frames : int
        Frames received, each once.
    duplicates : int
        Frames that came again.
    packets : int
        Packets found, idle ones among them.
    resynchronised : int
        Times that a frame's pointer and the packet lengths disagreed: a packet lies about its length.
    """

    def __init__(self) -> None:
        self.frames = self.duplicates = self.packets = self.resynchronised = 0
        self._top: int | None = None
        self._forgotten = 0
        self._width = MPDU_ZONE_BYTES
        self._pieces: list[_Piece] = []

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Frames that are missing so far: the counter of the last one before, and how many."""
        return [(a.last % VC_COUNTER_MODULO, b.first - a.last - 1) for a, b in pairwise(self._pieces)]

    @property
    def missing(self) -> int:
        """Number of frames between the first and the last one that have not come."""
        return sum(b.first - a.last - 1 for a, b in pairwise(self._pieces))

    @property
    def edges(self) -> list[tuple[int, int, bytes, bytes, bool]]:
        """Frames without a gap between them, in order: see `Edge` of the files of a channel."""
        none = np.zeros(0, np.uint8)
        return [
            (
                p.first, p.last, (p.held if p.state == _OPEN else none if p.head is None else p.head).tobytes(),
                (p.held if p.state == _IN else none).tobytes(), p.state == _OPEN,
            )
            for p in self._pieces
        ]  # fmt: skip

    @property
    def unfinished(self) -> int:
        """Packets that begin, and end in a frame that is not there."""
        return sum(piece.state == _IN and piece.held.size > 0 for piece in self._pieces)

    @property
    def span(self) -> tuple[int, int] | None:
        """Numbers of the first and the last frame, None before any came."""
        return (self._pieces[0].first, self._pieces[-1].last) if self._pieces else None

    def feed(self, counter: NDArray[np.int64], pointer: NDArray[np.int64], zone: NDArray[np.uint8]) -> Packets:
        """Take frames and return the packets that are whole now.

        Parameters
        ----------
        counter, pointer : (frame) int64
            Virtual channel counter and first header pointer.
        zone : (frame, 1904) uint8
            Packet zones; read, not kept.
        """
        if not counter.size:
            return _together([])
        self._width = zone.shape[1]
        number = np.empty(counter.size, np.int64)
        top = int(counter[0]) if self._top is None else self._top
        self._top = int(_number(counter.astype(np.int64), top, VC_COUNTER_MODULO, AHEAD, number))
        pointer = pointer.astype(np.int64)
        found = []
        for first, rows in self._new(number):
            found += self._piece(first, pointer[rows], zone[rows])
        self._forget()
        out = _together(found)
        self.packets += len(out)
        return out

    def _new(self, number: NDArray[np.int64]) -> list[tuple[int, slice | NDArray[np.int64]]]:
        """Return runs of frames that were not there yet: number of the first, and their rows."""
        last = self._pieces[-1].last if self._pieces else number[0] - 1
        if number[0] > last and (np.diff(number) > 0).all():
            cuts = np.flatnonzero(np.diff(number) != 1) + 1
            edges = [0, *cuts.tolist(), number.size]
            self.frames += number.size
            return [(int(number[a]), slice(a, b)) for a, b in pairwise(edges)]
        values, rows = np.unique(number, return_index=True)
        firsts = np.array([p.first for p in self._pieces], np.int64)
        lasts = np.array([p.last for p in self._pieces], np.int64)
        before = np.searchsorted(firsts, values, "right") - 1
        fresh = np.ones(values.size, bool)
        inside = before >= 0
        fresh[inside] = values[inside] > lasts[before[inside]]
        values, rows = values[fresh], rows[fresh]
        self.frames += values.size
        self.duplicates += number.size - values.size
        cuts = np.flatnonzero(np.diff(values) != 1) + 1
        return [(int(v[0]), r) for v, r in zip(np.split(values, cuts), np.split(rows, cuts), strict=True) if v.size]

    def _piece(self, first: int, pointer: NDArray[np.int64], zone: NDArray[np.uint8]) -> list[Packets]:
        """Add a run of new frames to the piece that ends before it, and that to the piece that begins behind it."""
        at = bisect_right(self._pieces, first, key=lambda p: p.first)
        if at and self._pieces[at - 1].last == first - 1:
            at -= 1
        else:
            self._pieces.insert(at, _Piece(first, first - 1, _OPEN, np.zeros(0, np.uint8), first))
        piece = self._pieces[at]
        found = [self._walk(piece, pointer, zone)]
        if at + 1 < len(self._pieces) and self._pieces[at + 1].first == piece.last + 1:
            found.append(self._join(piece, self._pieces.pop(at + 1)))
        return found

    def _walk(self, piece: _Piece, pointer: NDArray[np.int64], zone: NDArray[np.uint8]) -> Packets:
        size = piece.held.size + zone.size
        stream = np.empty(size, np.uint8)
        # pages that no packet writes to cost nothing
        offset, sizes, frame, frames = (np.empty(size // 7 + 1, np.int64) for _ in range(4))
        count, state, start, end, began, head, wrong = _walk(
            zone, pointer, piece.last + 1, piece.state, piece.held, piece.began, _HEAD_FRAMES * MPDU_ZONE_BYTES, stream,
            offset, sizes, frame, frames,
        )  # fmt: skip
        if head >= 0:
            piece.head = stream[:head].copy()
        piece.last += zone.shape[0]
        piece.state, piece.held, piece.began = state, stream[start:end].copy(), began
        self.resynchronised += wrong
        return Packets(stream, *(column[:count].copy() for column in (offset, sizes, frame, frames)))

    def _join(self, before: _Piece, after: _Piece) -> Packets:
        """Walk on from one piece through the head of the next, which then is a part of it."""
        closed = after.state != _OPEN
        head = after.head if closed else after.held
        if head is None:  # forgotten
            head = np.zeros(0, np.uint8)
            before.state, before.held = _OUT, head
        whole = head.size // self._width
        zones = head[: whole * self._width].reshape(whole, self._width)
        before.last = after.first - 1
        found = self._walk(before, np.full(whole, self._width, np.int64), zones)
        rest = head[zones.size :]
        if not closed:
            before.last = after.last
            return found
        packet = np.concatenate([before.held, rest])
        if before.state == _OPEN:
            before.head = packet
        elif before.state == _IN and packet.size:
            if before.held.size and packet.size >= PACKET_PRIMARY_BYTES and _length(packet, 0) == packet.size:
                frames = after.first + whole - before.began + (1 if rest.size else 0)
                found = _together([found, _single(packet, before.began, frames)])
            else:
                self.resynchronised += 1
        before.last, before.state, before.held, before.began = after.last, after.state, after.held, after.began
        return found

    def _forget(self) -> None:
        """Drop the edges of the oldest gaps: memory is bounded, and what comes that late finds only whole packets."""
        upto = len(self._pieces) - EDGES
        for before, after in pairwise(self._pieces[max(self._forgotten - 1, 0) : max(upto, 0)]):
            before.state, before.held, after.head = _OUT, np.zeros(0, np.uint8), None
        self._forgotten = max(upto, self._forgotten)


def _single(packet: NDArray[np.uint8], frame: int, frames: int) -> Packets:
    at = np.zeros(1, np.int64)
    return Packets(packet, at, at + packet.size, at + frame, at + frames)


def _together(parts: list[Packets]) -> Packets:
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        none = np.zeros(0, np.int64)
        return Packets(np.zeros(0, np.uint8), none, none, none, none)
    ends = np.cumsum([0, *(part.stream.size for part in parts)])
    offset = np.concatenate([part.offset + end for part, end in zip(parts, ends, strict=False)])
    size, frame, frames = (np.concatenate([getattr(p, n) for p in parts]) for n in ("size", "frame", "frames"))
    return Packets(np.concatenate([part.stream for part in parts]), offset, size, frame, frames)
