"""CCSDS 122.0-B image compression of strips of sixteen lines of 12-bit counts, lossless or at a fixed rate.

A strip is an image of one segment: two rows of blocks, 648 blocks at 10 m and 324 at 20 and 60 m, so that the rate is
shared over all its pixels and nothing outside the packet is needed to decode it.

What was verified, and what was not. The transform, the structure of the stream and the code tables follow the Blue
Book (issues 1 and 2), and the tables agree with two public implementations; every code is a complete prefix code. No
test vectors were at hand: bit-exactness with another implementation has not been tried. One thing leaves the standard:
a strip has sixteen lines where it asks for seventeen at least (see `wavelet`). The stream is not the mission's MRCPB,
which is not public; only its sizes are.
"""

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, LINES_PER_PACKET
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.kernels import kernel
from s2dask.l0.codec.bits import SPARE_WORDS, load, store
from s2dask.l0.codec.blocks import Layout, active, from_planes, layout, to_planes
from s2dask.l0.codec.integers import GAGGLE, read_integers, write_integers
from s2dask.l0.codec.interface import LOST
from s2dask.l0.codec.plane_decoder import State, read_dc_plane, read_planes
from s2dask.l0.codec.plane_encoder import MOST_WORDS, Lists, write_dc_plane, write_planes
from s2dask.l0.codec.segment import BAD, GOOD, HEAD_BITS, MAX_DEPTH, PIXEL_BITS, dc_shift, read_head, write_head
from s2dask.l0.codec.wavelet import clip, forward, inverse
from s2dask.l0.codec.words import Tables, tables

MIN_COLUMNS = 32
"""Narrower strips have fewer samples at the coarsest level than the transform's ends need."""
_LARGEST_RATIO = 3
"""Bytes that a lossless strip may take, over its pixels: noise of full range takes 1.7."""


def strip_bytes(columns: int, rate: float) -> int:
    """Return the bytes of a strip of the mission's fixed rate: four times a whole number.

    Parameters
    ----------
    columns : int
    rate : float
        Of `COMPRESSION_RATE` of the L0 metadata: 2.97 at 10 m, 2.655 at 20 m of VNIR and 60 m, 2.4 for B11 and B12.
    """
    return 4 * round(LINES_PER_PACKET * columns * PIXEL_BITS / 8 / rate / 4)


@kernel
def _encode(lines, end, lay, live, t, words):  # type: ignore[no-untyped-def]
    """Write a strip; return the bits written, which may be beyond the end. `end` 0: lossless."""
    blocks = lines.size // 64
    work, scratch = lines.astype(np.int32), np.empty(lines.shape, np.int32)
    forward(work, scratch)
    planes, signs = np.empty((MAX_DEPTH, blocks), np.uint64), np.empty(blocks, np.uint64)
    dc, depth = np.empty(blocks, np.int32), np.empty(blocks, np.int32)
    depth_dc, depth_ac = to_planes(work, lay, planes, signs, dc, depth)
    shift = dc_shift(depth_dc, depth_ac)
    at = write_head(words, depth_dc, depth_ac, end >> 3, blocks, lines.shape[1])
    width = max(depth_dc - shift, 1)
    at = write_integers(dc >> np.int32(shift), width, -(1 << (width - 1)), words, at)
    for b in range(shift - 1, max(depth_ac, 3) - 1, -1):
        at = write_dc_plane(dc, b, words, at)
    if depth_ac:
        at = write_integers(depth, _width(depth_ac), 0, words, at)
    gaggles = -(-blocks // GAGGLE)
    lists = Lists(
        np.empty((3, MOST_WORDS * blocks), np.uint16), np.empty((3, gaggles), np.int64), np.empty(gaggles, np.uint64),
        np.empty(3, np.int64), np.empty(4, np.uint64),
    )  # fmt: skip
    limit = end or 64 * (words.size - SPARE_WORDS)
    return write_planes(planes, signs, dc, depth, depth_ac, min(shift, depth_ac), live, lists, words, at, limit, t)


@kernel
def _width(depth_ac):  # type: ignore[no-untyped-def]
    """Return the bits of a block's depth."""
    return 1 if depth_ac < 2 else 2 if depth_ac < 4 else 3 if depth_ac < 8 else 4 if depth_ac < 16 else 5


def encode_strip(lines: NDArray[np.uint16], size: int | None) -> bytes:
    """Return a strip as coded bytes.

    Parameters
    ----------
    lines : (16, column) uint16 [LSB]
        Of 12 bits; columns are a multiple of 8, 32 at least.
    size : int or None
        Bytes to return, exactly: planes that do not fit are left out, room to spare is filled with zeros (UseFill).
        None: everything, and no more bytes than that takes.
    """
    height, columns = lines.shape
    if height != LINES_PER_PACKET or columns % 8 or columns < MIN_COLUMNS:
        what = f"strip of {height} lines and {columns} columns"
        raise InputError(what, "ccsds122", "code 16 lines of a multiple of 8 columns, 32 at least")
    if lines.max() >> PIXEL_BITS:
        raise InputError(f"count {lines.max()}", "ccsds122", "code counts of 12 bits")
    smallest = HEAD_BITS // 8 + 1
    if size is not None and size < smallest:
        raise InputError(f"{size} bytes for a strip", "ccsds122", f"give it {smallest} at least")
    room = (lines.size * _LARGEST_RATIO + 4096 + (size or 0)) // 8
    words = np.zeros(room + SPARE_WORDS, np.uint64)
    end = _encode(np.ascontiguousarray(lines), 8 * (size or 0), layout(columns), active(), tables(), words)
    out = np.empty(-(-int(end) // 8) if size is None else size, np.uint8)
    words[-(-int(end) // 64) :] = 0
    store(words, out)
    return out.tobytes()


@kernel
def _read_dc(words, size, columns, s):  # type: ignore[no-untyped-def]
    """Read a strip up to its DC coefficients; return position, end, depth of AC, planes of DC left, verdict."""
    depth_dc, depth_ac, end, verdict = read_head(words, size, s.dc.size, columns)
    shift = dc_shift(depth_dc, depth_ac)
    width = max(depth_dc - shift, 1)
    if verdict != GOOD or width > 10:
        return 0, 0, 0, 0, BAD
    at, verdict = read_integers(s.dc, width, -(1 << (width - 1)), words, HEAD_BITS, end)
    for m in range(s.dc.size):
        s.dc[m] <<= np.int32(shift)
    s.dc_low[:] = shift
    left = min(shift, max(depth_ac, 3))
    for b in range(shift - 1, left - 1, -1):
        if verdict == GOOD:
            at, verdict = read_dc_plane(words, at, end, b, s)
    return at, end, depth_ac, left, GOOD if verdict == GOOD else BAD


@kernel
def _centre_dc(s):  # type: ignore[no-untyped-def]
    """Set what is unknown of each DC coefficient to the middle."""
    for m in range(s.dc.size):
        if s.dc_low[m] > 3:
            s.dc[m] |= np.int32(1) << (s.dc_low[m] - np.int32(1))


@kernel
def _decode(payload, columns, words, s, lay, live, t, work):  # type: ignore[no-untyped-def]
    """Decode a strip into wavelet coefficients; return the verdict."""
    load(payload, words)
    at, end, depth_ac, left, verdict = _read_dc(words, payload.size, columns, s)
    if verdict != GOOD:
        return BAD
    s.depth[:] = 0
    if depth_ac:
        at, verdict = read_integers(s.depth, _width(depth_ac), 0, words, at, end)
    for m in range(s.depth.size):
        if s.depth[m] > depth_ac:
            verdict = BAD
    if verdict != GOOD:
        return BAD
    zero = np.uint64(0)
    s.planes[:depth_ac], s.signs[:], s.known[:], s.fresh[:], s.low[:] = zero, zero, zero, zero, depth_ac
    plane, verdict = read_planes(words, at, end, depth_ac, left, live, s, t)
    _centre_dc(s)
    from_planes(s.planes, s.signs, s.dc, s.depth, s.low, s.fresh, plane, lay, work)
    return verdict


@kernel
def _decode_packets(packets, head, tail, bad, lay, live, t, out):  # type: ignore[no-untyped-def]
    """Decode packets into lines; bad ones become zero."""
    columns = out.shape[1]
    s = _state(columns // 4)
    work, scratch = np.empty((16, columns), np.int32), np.empty((16, columns), np.int32)
    words = np.empty(packets.shape[1] // 8 + SPARE_WORDS + 1, np.uint64)
    for k in range(packets.shape[0]):
        lines = out[16 * k : 16 * k + 16]
        if not bad[k]:
            payload = packets[k, head : packets.shape[1] - tail]
            bad[k] = _decode(payload, columns, words, s, lay, live, t, work) != GOOD
        if bad[k]:
            lines[:] = 0
        else:
            inverse(work, scratch)
            clip(work, lines)


@kernel
def _state(blocks):  # type: ignore[no-untyped-def]
    """Return room for the state of a strip."""
    return State(
        np.empty((MAX_DEPTH, blocks), np.uint64), np.empty(blocks, np.uint64), np.empty(blocks, np.uint64),
        np.empty(blocks, np.uint64), np.empty(blocks, np.uint64), np.empty(blocks, np.int32),
        np.empty(blocks, np.int32), np.empty(blocks, np.int32), np.empty(blocks, np.int32),
        np.empty(-(-blocks // GAGGLE), np.uint64),
    )  # fmt: skip


@kernel
def _coarse_packets(packets, head, tail, bad, out):  # type: ignore[no-untyped-def]
    """Decode the LL3 band of packets alone; bad ones become zero."""
    across = out.shape[1]
    s = _state(2 * across)
    words = np.empty(packets.shape[1] // 8 + SPARE_WORDS + 1, np.uint64)
    for k in range(packets.shape[0]):
        out[2 * k : 2 * k + 2] = 0
        if bad[k]:
            continue
        payload = packets[k, head : packets.shape[1] - tail]
        load(payload, words)
        bad[k] = _read_dc(words, payload.size, 8 * across, s)[4] != GOOD
        if bad[k]:
            continue
        _centre_dc(s)
        for m in range(s.dc.size):
            out[2 * k + m // across, m % across] = min(max(s.dc[m] + 4 >> 3, 0), (1 << PIXEL_BITS) - 1)


class Ccsds122:
    """Sixteen lines, compressed, after the packet's head."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return counts and bad lines; lines of a packet that is lost or no strip are bad and 0."""
        bad, columns = status == LOST, _columns(packets)
        out = np.empty((LINES_PER_PACKET * packets.shape[0], columns), np.uint16)
        lay: Layout = layout(columns)
        t: Tables = tables()
        _decode_packets(np.ascontiguousarray(packets), ISP_HEAD_BYTES, CRC_BYTES, bad, lay, active(), t, out)
        return out, np.repeat(bad, LINES_PER_PACKET)

    def decode_coarse(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return (2 packet, raw_column / 8) uint16 counts of the coarsest level, and which rows are bad.

        Only the heads of the strips are read: a count is good to half a step of 1 to 16 counts, coarser where the
        image has more contrast.
        """
        bad, columns = status == LOST, _columns(packets)
        out = np.empty((2 * packets.shape[0], columns // 8), np.uint16)
        _coarse_packets(np.ascontiguousarray(packets), ISP_HEAD_BYTES, CRC_BYTES, bad, out)
        return out, np.repeat(bad, 2)


def decode_coarse(packet: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return (2, raw_column / 8) uint16 counts of one packet, for a quick-look; zeros when it holds no strip."""
    return Ccsds122().decode_coarse(packet[np.newaxis], np.zeros(1, np.uint8))[0]


def packet_columns(packet: NDArray[np.uint8]) -> int | None:
    """Return the columns of the strip that a packet holds, None when it is no strip."""
    payload = packet[ISP_HEAD_BYTES : packet.size - CRC_BYTES]
    if payload.size <= HEAD_BITS // 8:
        return None
    words = np.zeros(payload.size // 8 + SPARE_WORDS + 1, np.uint64)
    load(np.ascontiguousarray(payload), words)
    columns = int(words[1] >> np.uint64(4)) & 0xFFFFF
    if columns % 8 or columns < MIN_COLUMNS or read_head(words, payload.size, columns // 4, columns)[3] != GOOD:
        return None
    return columns


def _columns(packets: NDArray[np.uint8]) -> int:
    """Return the columns of packets: those of a band with packets of that length, else those of the first strip."""
    size = packets.shape[1]
    for b in BANDS.values():
        if size == b.packet_length:
            return b.raw_columns
    for packet in packets:
        columns = packet_columns(packet)
        if columns in {b.raw_columns for b in BANDS.values()}:
            return columns
    raise InputError(f"packets of {size} bytes hold no ccsds122 lines", "codec", "name the right codec")
