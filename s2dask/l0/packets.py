"""Source packets out of the packet zones of a virtual channel, and their index."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import MPDU_ZONE_BYTES, NO_FIRST_HEADER, VC_COUNTER_MODULO
from s2dask.kernels import kernel

IDLE_APID: Final = 0x7FF
_CUC_AT: Final = {"image": 6, "ancillary": 10}


@dataclass(frozen=True, slots=True, eq=False)
class PacketRun:
    """The packets of frames that follow each other without a gap.

    Attributes
    ----------
    head : (byte) uint8
        What comes before the first packet that begins here: the end of an earlier one.
    stream : (byte) uint8
        Zones end to end.
    offset, size : (packet) int64
        Whole packets in the stream.
    tail : (byte) uint8
        The beginning of a packet that ends elsewhere.
    first, last : int
        Virtual channel counters.
    resynchronised : int
        Times that a frame's pointer and the packet lengths disagreed.
    """

    head: NDArray[np.uint8]
    stream: NDArray[np.uint8]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    tail: NDArray[np.uint8]
    first: int
    last: int
    resynchronised: int


@kernel
def _walk(stream, pointers, zone, none, offsets, sizes):  # type: ignore[no-untyped-def]  # noqa: C901 - one walk
    """Walk packets by their lengths, checked by the pointer of every frame; return count, end and disagreements."""
    frames = pointers.size
    begin = 0
    while begin < frames and pointers[begin] >= zone:
        begin += 1
    if begin == frames:
        return 0, -1, 0
    at, count, wrong = begin * zone + pointers[begin], 0, 0
    checked = begin
    while at + 6 <= stream.size:
        frame = at // zone
        if frame > checked:
            # a packet begins here: no frame in between may claim a first header, and this one must point at it
            for k in range(checked + 1, frame + 1):
                wanted = at - k * zone if k == frame else none
                if pointers[k] != wanted and pointers[k] < zone:
                    wrong += 1
                    at = k * zone + pointers[k]
                    frame = k
                    if count and offsets[count - 1] + sizes[count - 1] > at:
                        count -= 1
                    break
            checked = frame
        size = (np.int64(stream[at + 4]) << 8) + np.int64(stream[at + 5]) + 7
        if at + size > stream.size:
            # it ends elsewhere; or it lies about its length, if a frame that it should fill points at a header
            frame += 1
            while frame < frames and pointers[frame] >= zone:
                frame += 1
            if frame == frames:
                break
            wrong += 1
            at = frame * zone + pointers[frame]
            checked = frame
            continue
        offsets[count], sizes[count] = at, size
        count += 1
        at += size
    return count, at, wrong


def _run(zones: NDArray[np.uint8], pointers: NDArray[np.int64], first: int, last: int) -> PacketRun:
    stream = zones.reshape(-1)
    offsets = np.zeros(stream.size // 7 + 1, np.int64)
    sizes = np.zeros_like(offsets)
    count, end, wrong = _walk(stream, pointers, MPDU_ZONE_BYTES, NO_FIRST_HEADER, offsets, sizes)
    if end < 0:
        return PacketRun(stream.copy(), stream[:0], offsets[:0], sizes[:0], stream[:0], first, last, 0)
    start = int(np.flatnonzero(pointers < MPDU_ZONE_BYTES)[0])
    head = stream[: start * MPDU_ZONE_BYTES + pointers[start]]
    return PacketRun(
        head.copy(), stream, offsets[:count].copy(), sizes[:count].copy(), stream[min(end, stream.size) :].copy(),
        first, last, wrong,
    )  # fmt: skip


def packet_runs(counter: NDArray[np.int64], pointer: NDArray[np.int64], zone: NDArray[np.uint8]) -> list[PacketRun]:
    """Cut the frames of one virtual channel at every gap and find the packets of each piece.

    Parameters
    ----------
    counter, pointer : (frame) int64
    zone : (frame, 1904) uint8
        A frame that repeats the one before it is dropped.
    """
    if not counter.size:
        return []
    fresh = np.concatenate([[True], np.diff(counter) != 0])
    counter, pointer, zone = counter[fresh], pointer[fresh], zone[fresh]
    cuts = np.flatnonzero(np.diff(counter) % VC_COUNTER_MODULO != 1) + 1
    pieces = np.split(np.arange(counter.size), cuts)
    return [
        _run(zone[p[0] : p[-1] + 1], pointer[p[0] : p[-1] + 1], int(counter[p[0]]), int(counter[p[-1]])) for p in pieces
    ]


def missing_frames(before: int, after: int) -> int:
    """Return how many frames lie between two counters of a channel."""
    return (after - before - 1) % VC_COUNTER_MODULO


@cache
def _crc_table() -> NDArray[np.uint32]:
    values = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        values = np.where(values & 0x8000, values << 1 ^ 0x1021, values << 1) & 0xFFFF
    return values.astype(np.uint32)


@kernel
def _crc_good(stream, offset, size, table, out):  # type: ignore[no-untyped-def]
    """CRC-16/CCITT-FALSE over packet and CRC leaves nothing."""
    for k in range(offset.size):
        register = np.uint32(0xFFFF)
        for i in range(offset[k], offset[k] + size[k]):
            register = (register << np.uint32(8) & np.uint32(0xFF00)) ^ table[register >> np.uint32(8) ^ stream[i]]
        out[k] = register == 0


def crc_good(stream: NDArray[np.uint8], offset: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which packets have a right checksum."""
    out = np.zeros(offset.size, np.bool_)
    _crc_good(stream, offset, size, _crc_table(), out)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class PacketIndex:
    """What the heads of packets say.

    Attributes
    ----------
    apid, count : (packet) int64
    time : (packet) int64
        GPS [ns].
    offset, size : (packet) int64
        In the stream.
    good : (packet) bool
        Whether the checksum is right.
    """

    apid: NDArray[np.int64]
    count: NDArray[np.int64]
    time: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    good: NDArray[np.bool_]


def index_packets(
    stream: NDArray[np.uint8], offset: NDArray[np.int64], size: NDArray[np.int64], kind: str
) -> PacketIndex:
    """Read the heads of packets and check their checksums; idle packets are left out.

    Parameters
    ----------
    stream : (byte) uint8
    offset, size : (packet) int64
    kind : {"image", "ancillary"}
        Where the time stands: after the primary header, or after the service header too.
    """
    long_enough = size >= _CUC_AT[kind] + 9
    offset, size = offset[long_enough], size[long_enough]
    heads = stream[offset[:, None] + np.arange(_CUC_AT[kind] + 7)] if offset.size else np.zeros((0, 17), np.uint8)
    apid = (heads[:, 0].astype(np.int64) & 7) << 8 | heads[:, 1]
    real = apid != IDLE_APID
    heads, offset, size, apid = heads[real], offset[real], size[real], apid[real]
    count = (heads[:, 2].astype(np.int64) << 8 | heads[:, 3]) & 0x3FFF
    ticks = np.zeros(len(heads), np.int64)
    for i in range(7):
        ticks = ticks << 8 | heads[:, _CUC_AT[kind] + i]
    seconds, fraction = ticks >> 24, ticks & 0xFFFFFF
    time = seconds * 1_000_000_000 + np.round(fraction * (1e9 / (1 << 24))).astype(np.int64)
    return PacketIndex(apid, count, time, offset, size, crc_good(stream, offset, size))


