"""Telemetry as the satellite writes it: source packets, CRC, Reed-Solomon, pseudo-noise, frames."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import (
    ASM,
    ASM_BYTES,
    CADU_BYTES,
    CRC_BYTES,
    CUC_BYTES,
    ISP_HEAD_BYTES,
    MPDU_ZONE_BYTES,
    NO_FIRST_HEADER,
    PACKET_PRIMARY_BYTES,
    RS_CODEWORD,
    RS_DATA,
    RS_INTERLEAVE,
    SEQUENCE_MODULO,
    VC_COUNTER_MODULO,
)
from s2dask.kernels import kernel
from s2dask.l0.codec.ccsds122 import encode_strip

Bytes = NDArray[np.uint8]
SPACECRAFT_ID: Final = 42
"""Of the simulated frames; the mission's own is not public."""
IDLE_APID: Final = 0x7FF
IMAGE_SECONDARY: Final = bytes.fromhex("0018011923")
"""The five bytes that follow the time in every known image packet."""
CUC_FRACTION: Final = 1 << 24


@cache
def _crc_table() -> NDArray[np.uint16]:
    table = np.zeros(256, np.uint16)
    for byte in range(256):
        register = byte << 8
        for _ in range(8):
            register = ((register << 1) ^ 0x1021 if register & 0x8000 else register << 1) & 0xFFFF
        table[byte] = register
    return table


@kernel
def _append_crc(packets, table):  # type: ignore[no-untyped-def]
    for k in range(packets.shape[0]):
        crc = np.uint32(0xFFFF)
        for i in range(packets.shape[1] - 2):
            crc = ((crc << np.uint32(8)) & np.uint32(0xFFFF)) ^ table[(crc >> np.uint32(8)) ^ packets[k, i]]
        packets[k, -2], packets[k, -1] = crc >> np.uint32(8), crc & np.uint32(0xFF)


def append_crc(packets: Bytes) -> None:
    """Fill the last two bytes of each packet (packet, byte) with CRC-16/CCITT-FALSE of the others."""
    _append_crc(packets, _crc_table())


def cuc(gps: NDArray[np.int64]) -> Bytes:
    """Return CUC 4+3 of GPS times [ns], rounded to the nearest 2^-24 s: (date, 7) uint8."""
    ticks = (gps // 1_000_000_000) * CUC_FRACTION
    ticks += np.round((gps % 1_000_000_000) * (CUC_FRACTION / 1e9)).astype(np.int64)
    return np.ascontiguousarray(ticks.astype(">i8")).view(np.uint8).reshape(-1, 8)[:, 1:]


def primary_header(apid: int, counts: NDArray[np.int64], size: int) -> Bytes:
    """Return CCSDS primary headers (packet, 6) of whole packets of `size` bytes."""
    head = np.empty((counts.size, PACKET_PRIMARY_BYTES), np.uint8)
    head[:, :2] = np.frombuffer((0x0800 | apid).to_bytes(2, "big"), np.uint8)
    head[:, 2:4] = (0xC000 | (counts % SEQUENCE_MODULO)).astype(">u2").view(np.uint8).reshape(-1, 2)
    head[:, 4:] = np.frombuffer((size - PACKET_PRIMARY_BYTES - 1).to_bytes(2, "big"), np.uint8)
    return head


@kernel
def pack12(lines, out):  # type: ignore[no-untyped-def]
    """Pack counts (line, column) as 12-bit big-endian pairs into out (packet, byte), 16 lines each."""
    per = out.shape[1] // 16
    for line in range(lines.shape[0]):
        k, at = line // 16, (line % 16) * per
        for i in range(0, lines.shape[1], 2):
            a, b = lines[line, i], lines[line, i + 1]
            out[k, at], out[k, at + 1], out[k, at + 2] = a >> 4, ((a & 15) << 4) | (b >> 8), b & 255
            at += 3


def image_packets(
    lines: NDArray[np.uint16], apid: int, gps: NDArray[np.int64], packet_length: int | None = None
) -> Bytes:
    """Return the source packets of the lines of one scene, (packet, byte) uint8.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
        A multiple of 16 lines.
    apid : int
    gps : (packet) int64 [ns]
        Date of the first line of each packet.
    packet_length : int, optional
        Bytes of a packet, which CCSDS 122.0-B fills at a fixed rate; default: uncompressed.
    """
    if packet_length is None:
        payload = np.empty((lines.shape[0] // 16, 16 * lines.shape[1] * 3 // 2), np.uint8)
        pack12(lines, payload)
    else:
        size = packet_length - ISP_HEAD_BYTES - CRC_BYTES
        strips = (encode_strip(lines[k : k + 16], size) for k in range(0, lines.shape[0], 16))
        payload = np.frombuffer(b"".join(strips), np.uint8).reshape(-1, size)
    return source_packets(payload, apid, gps)


def source_packets(payload: Bytes, apid: int, gps: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> Bytes:
    """Return the source packets of one scene around what a codec made, (packet, byte) uint8.

    Parameters
    ----------
    payload : (packet, byte) uint8
    apid : int
    gps : (packet) int64 [ns]
        Date of the first line of each packet.
    counts : (packet) int64, optional
        Ranks in the scene; default: all of a scene, from 0 on.
    """
    lead = PACKET_PRIMARY_BYTES + CUC_BYTES + len(IMAGE_SECONDARY)
    packets = np.zeros((payload.shape[0], ISP_HEAD_BYTES + payload.shape[1] + CRC_BYTES), np.uint8)
    packets[:, :6] = primary_header(apid, np.arange(payload.shape[0]) if counts is None else counts, packets.shape[1])
    packets[:, 6:13] = cuc(gps)
    packets[:, 13:lead] = np.frombuffer(IMAGE_SECONDARY, np.uint8)
    packets[:, ISP_HEAD_BYTES:-CRC_BYTES] = payload
    append_crc(packets)
    return packets


def ancillary_packets(apid: int, sid: int, gps: NDArray[np.int64], values: NDArray[np.float64]) -> Bytes:
    """Return ancillary packets: the real heads, and a layout of our own for the data.

    Parameters
    ----------
    apid, sid : int
    gps : (packet) int64 [ns]
    values : (packet, value) float64

    Notes
    -----
    Data: the date as big-endian int64 [GPS ns], then the values as big-endian float64. The mission's is not public.
    """
    data = np.concatenate(
        [gps.astype(">i8").view(np.uint8).reshape(-1, 8), values.astype(">f8").view(np.uint8).reshape(gps.size, -1)], 1
    )
    packets = np.zeros((gps.size, 6 + 4 + 7 + 2 + data.shape[1] + 2), np.uint8)
    packets[:, :6] = primary_header(apid, np.arange(gps.size), packets.shape[1])
    packets[:, 6:10] = np.frombuffer(bytes.fromhex("10031900"), np.uint8)
    packets[:, 10:17] = cuc(gps)
    packets[:, 17], packets[:, 18] = 0x1F, sid
    packets[:, 19:-2] = data
    append_crc(packets)
    return packets


@cache
def _field() -> tuple[list[int], list[int]]:
    """Return powers and logarithms of GF(256) over x^8 + x^7 + x^2 + x + 1."""
    power, log, x = [0] * 510, [0] * 256, 1
    for i in range(255):
        power[i] = power[i + 255] = x
        log[x] = i
        x = (x << 1) ^ (0x187 if x & 0x80 else 0)
    return power, log


@cache
def _generator_rows() -> NDArray[np.uint64]:
    """Return, per feedback byte, the sixteen products with the generator polynomial as two words."""
    power, log = _field()
    half = (RS_CODEWORD - RS_DATA) // 2
    poly = [1]
    for j in range(128 - half, 128 + half):
        root = power[(11 * j) % 255]
        shifted = [*poly, 0]
        for i, c in enumerate(poly):
            shifted[i + 1] ^= power[log[c] + log[root]] if c else 0
        poly = shifted
    rows = np.zeros((256, 2), np.uint64)
    for feedback in range(1, 256):
        products = [power[log[feedback] + log[c]] if c else 0 for c in poly[1:]]
        rows[feedback] = [int.from_bytes(bytes(products[i : i + 8]), "big") for i in (0, 8)]
    return rows


@kernel
def _encode(frames, offset, data, interleave, rows):  # type: ignore[no-untyped-def]
    eight, top = np.uint64(8), np.uint64(56)
    for f in range(frames.shape[0]):
        for lane in range(interleave):
            high, low = np.uint64(0), np.uint64(0)
            for i in range(data):
                byte = np.uint64(frames[f, offset + i * interleave + lane])
                feedback = byte ^ (high >> top)
                high = ((high << eight) | (low >> top)) ^ rows[feedback, 0]
                low = (low << eight) ^ rows[feedback, 1]
            for j in range(8):
                shift = np.uint64(56 - 8 * j)
                at = offset + (data + j) * interleave + lane
                frames[f, at] = (high >> shift) & np.uint64(255)
                frames[f, at + 8 * interleave] = (low >> shift) & np.uint64(255)


@cache
def pseudo_noise() -> Bytes:
    """Return one period's worth of the CCSDS randomiser for a frame: h(x) = x^8 + x^7 + x^5 + x^3 + 1, all ones."""
    bits, state = [], [1] * 8
    for _ in range((CADU_BYTES - ASM_BYTES) * 8):
        bits.append(state[0])
        state = [*state[1:], state[0] ^ state[3] ^ state[5] ^ state[7]]
    return np.packbits(np.array(bits, np.uint8))


def frames(zones: Bytes, pointers: NDArray[np.uint16], channel: int, counter: int) -> Bytes:
    """Return coded and randomised frames with their markers.

    Parameters
    ----------
    zones : (frame, 1904) uint8
        Packet zones.
    pointers : (frame) uint16
        First header pointers.
    channel : int
        Virtual channel.
    counter : int
        Virtual channel counter of the first frame.
    """
    n = zones.shape[0]
    out = np.zeros((n, CADU_BYTES), np.uint8)
    out[:, :4] = np.frombuffer(ASM.to_bytes(4, "big"), np.uint8)
    out[:, 4:6] = np.frombuffer((0x4000 | SPACECRAFT_ID << 6 | channel).to_bytes(2, "big"), np.uint8)
    counts = ((counter + np.arange(n)) % VC_COUNTER_MODULO).astype(">u4").view(np.uint8).reshape(-1, 4)
    out[:, 6:9] = counts[:, 1:]
    out[:, 10:12] = pointers.astype(">u2").view(np.uint8).reshape(-1, 2)
    out[:, 12 : 12 + MPDU_ZONE_BYTES] = zones
    _encode(out, ASM_BYTES, RS_DATA, RS_INTERLEAVE, _generator_rows())
    out[:, ASM_BYTES:] ^= pseudo_noise()
    return out


def idle_packet(size: int) -> Bytes:
    """Return an idle packet of a size of at least seven bytes."""
    head = primary_header(IDLE_APID, np.zeros(1, np.int64), size)[0]
    return np.concatenate([head, np.full(size - head.size, 0xA5, np.uint8)])


class PacketMultiplexer:
    """Fills the packet zones of one virtual channel with packets of any length."""

    def __init__(self, channel: int, counter: int = 0) -> None:
        self.channel, self.counter = channel, counter
        self._rest = np.zeros(0, np.uint8)
        self._starts = np.zeros(0, np.int64)

    def push(self, stream: Bytes, starts: NDArray[np.int64]) -> Bytes:
        """Add packets laid end to end, beginning at `starts`; return the frames that are full."""
        starts = np.concatenate([self._starts, starts + self._rest.size])
        stream = np.concatenate([self._rest, stream])
        n = stream.size // MPDU_ZONE_BYTES
        cut = n * MPDU_ZONE_BYTES
        first = np.searchsorted(starts, np.arange(n) * MPDU_ZONE_BYTES)
        following = np.append(starts, np.iinfo(np.int64).max)[first] - np.arange(n) * MPDU_ZONE_BYTES
        pointers = np.where(following < MPDU_ZONE_BYTES, following, NO_FIRST_HEADER).astype(np.uint16)
        out = frames(stream[:cut].reshape(n, MPDU_ZONE_BYTES), pointers, self.channel, self.counter)
        self.counter = (self.counter + n) % VC_COUNTER_MODULO
        self._rest, self._starts = stream[cut:].copy(), starts[starts >= cut] - cut
        return out

    def flush(self) -> Bytes:
        """Fill the last zone with an idle packet and return its frame, or none."""
        missing = -self._rest.size % MPDU_ZONE_BYTES
        if not missing:
            return np.zeros((0, CADU_BYTES), np.uint8)
        if missing < PACKET_PRIMARY_BYTES + 1:
            missing += MPDU_ZONE_BYTES
        return self.push(idle_packet(missing), np.zeros(1, np.int64))


def idle_frames(count: int, counter: int, channel: int) -> Bytes:
    """Return frames of the idle channel."""
    zones = np.full((count, MPDU_ZONE_BYTES), 0x55, np.uint8)
    return frames(zones, np.full(count, 0x7FE, np.uint16), channel, counter)
