"""CCSDS 122.0-B image compression of strips of sixteen lines of 12-bit counts, lossless or at a fixed rate.

A strip is an image of one segment: two rows of blocks, 648 blocks at 10 m and 324 at 20 and 60 m, so that the rate is
shared over all its pixels and nothing outside the packet is needed to decode it.

At a fixed rate the transform is the float one, lossless the integer one, as the standard means them; a strip of so
little contrast that the float one comes to its last plane is lossless where that fits. At 2.97, 2.655 and 2.4 a
textured ground with noise of two counts keeps 71.8, 71.7 and 74.2 dB. JPEG 2000 (OpenJPEG, 9/7) keeps 72.9, 72.7 and
75.6 dB of the whole scene and 71.5, 71.2 and 73.4 dB of strips of sixteen lines in the same bytes: about 0.6 dB are the
coder's, as the Green Book (CCSDS 120.1-G) has it, the other 0.5 to 0.7 dB the transform's that ends after sixteen
lines.

What was verified, and what was not. The transforms, the structure of the stream and the code tables follow the Blue
Book (issues 1 and 2); every code is a complete prefix code. Header, DC and depth coding, order of stages and of
refinement, places and weights of the coefficients and code tables agree with the sources of the University of
Nebraska's coder and of another public one. Public bit streams were not at hand: equality of bytes with another program
has not been tried. One thing leaves the standard: a strip has sixteen lines where it asks for seventeen at least (see
`wavelet`). The stream is not the mission's MRCPB, which is not public; only its sizes are.
"""

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, LINES_PER_PACKET
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.kernels import kernel
from s2dask.l0.codec.bits import SPARE_WORDS, load, store
from s2dask.l0.codec.blocks import Layout, from_planes, layout, to_planes
from s2dask.l0.codec.float_wavelet import forward_float, inverse_float
from s2dask.l0.codec.integers import GAGGLE, read_integers, write_integers
from s2dask.l0.codec.interface import LOST
from s2dask.l0.codec.plane_decoder import State, read_dc_plane, read_planes
from s2dask.l0.codec.plane_encoder import MOST_WORDS, Lists, write_dc_plane, write_planes
from s2dask.l0.codec.segment import (
    BAD,
    DC_SHIFTS,
    FLOAT,
    GOOD,
    HEAD_BITS,
    INTEGER,
    MAX_DEPTH,
    PIXEL_BITS,
    dc_shift,
    read_head,
    write_head,
)
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
def _encode(lines, end, transform, lay, t, words):  # type: ignore[no-untyped-def]
    """Write a strip; return the bits written, which may be beyond the end, and the first plane that is not all there.

    `end` 0: lossless, if the transform is the integer one.
    """
    blocks = lines.size // 64
    work = lines.astype(np.int32)
    if transform == FLOAT:
        forward_float(lines, work)
    else:
        forward(work, np.empty(lines.shape, np.int32))
    planes, signs = np.empty((MAX_DEPTH, blocks), np.uint64), np.empty(blocks, np.uint64)
    dc, depth = np.empty(blocks, np.int32), np.empty(blocks, np.int32)
    depth_dc, depth_ac = to_planes(work, lay, planes, signs, dc, depth)
    shift, zeros = dc_shift(transform, depth_dc, depth_ac), DC_SHIFTS[transform]
    at = write_head(words, transform, depth_dc, depth_ac, end >> 3, blocks, lines.shape[1])
    width = max(depth_dc - shift, 1)
    at = write_integers(dc >> np.int32(shift), width, -(1 << (width - 1)), words, at)
    for b in range(shift - 1, max(depth_ac, zeros) - 1, -1):
        at = write_dc_plane(dc, b, words, at)
    if depth_ac:
        at = write_integers(depth, _width(depth_ac), 0, words, at)
    gaggles = -(-blocks // GAGGLE)
    lists = Lists(
        np.empty((3, MOST_WORDS * blocks), np.uint16), np.empty((3, gaggles), np.int64), np.empty(gaggles, np.uint64),
        np.empty(3, np.int64), np.empty(4, np.uint64),
    )  # fmt: skip
    limit = end or 64 * (words.size - SPARE_WORDS)
    left = min(shift, depth_ac)
    return write_planes(planes, signs, dc, depth, depth_ac, left, zeros, lay.live, lists, words, at, limit, t)


@kernel
def _width(depth_ac):  # type: ignore[no-untyped-def]
    """Return the bits of a block's depth."""
    return 1 if depth_ac < 2 else 2 if depth_ac < 4 else 3 if depth_ac < 8 else 4 if depth_ac < 16 else 5


def _coded(lines: NDArray[np.uint16], size: int, transform: int) -> tuple[NDArray[np.uint64], int, int]:
    """Return words, the bits in them, and the first plane that is not all there: -1 when everything is."""
    words = np.zeros((lines.size * _LARGEST_RATIO + 4096 + size) // 8 + SPARE_WORDS, np.uint64)
    end, plane = _encode(lines, 8 * size, transform, layout(lines.shape[1], transform), tables(), words)
    words[-(-int(end) // 64) :] = 0
    return words, int(end), int(plane)


def encode_strip(lines: NDArray[np.uint16], size: int | None) -> bytes:
    """Return a strip as coded bytes.

    Parameters
    ----------
    lines : (16, column) uint16 [LSB]
        Of 12 bits; columns are a multiple of 8, 32 at least.
    size : int or None
        Bytes to return, exactly: planes that do not fit are left out, room to spare is filled with zeros (UseFill).
        None: everything, and no more bytes than that takes.

    Notes
    -----
    What is left out costs the float transform less than the integer one, which alone is lossless: the standard has
    them for the two. The integer transform is tried at a fixed size where the float one came to its last plane.
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
    lines = np.ascontiguousarray(lines)
    words, end, plane = _coded(lines, size or 0, INTEGER if size is None else FLOAT)
    if size is not None and plane <= 0:
        exact, _, plane = _coded(lines, size, INTEGER)
        words = exact if plane < 0 else words
    out = np.empty(-(-end // 8) if size is None else size, np.uint8)
    store(words, out)
    return out.tobytes()


@kernel
def _read_dc(words, size, columns, s):  # type: ignore[no-untyped-def]
    """Read a strip up to its DC coefficients; return what follows from them.

    Returns
    -------
    transform, at, end, depth_ac, left, verdict : int
        `left` counts the planes of the DC coefficients that follow.
    """
    transform, depth_dc, depth_ac, end, verdict = read_head(words, size, s.dc.size, columns)
    shift = dc_shift(transform, depth_dc, depth_ac)
    width = max(depth_dc - shift, 1)
    if verdict != GOOD or width > 10:
        return 0, 0, 0, 0, 0, BAD
    at, verdict = read_integers(s.dc, width, -(1 << (width - 1)), words, HEAD_BITS, end)
    for m in range(s.dc.size):
        s.dc[m] <<= np.int32(shift)
    s.dc_low[:] = shift
    left = min(shift, max(depth_ac, DC_SHIFTS[transform]))
    for b in range(shift - 1, left - 1, -1):
        if verdict == GOOD:
            at, verdict = read_dc_plane(words, at, end, b, s)
    return transform, at, end, depth_ac, left, GOOD if verdict == GOOD else BAD


@kernel
def _decode(payload, columns, words, s, lays, t, work):  # type: ignore[no-untyped-def]
    """Decode a strip into wavelet coefficients; return their transform and the verdict."""
    load(payload, words)
    transform, at, end, depth_ac, left, verdict = _read_dc(words, payload.size, columns, s)
    if verdict != GOOD:
        return transform, BAD
    s.depth[:] = 0
    if depth_ac:
        at, verdict = read_integers(s.depth, _width(depth_ac), 0, words, at, end)
    for m in range(s.depth.size):
        if s.depth[m] > depth_ac:
            verdict = BAD
    if verdict != GOOD:
        return transform, BAD
    zero, lay, zeros = np.uint64(0), lays[transform], DC_SHIFTS[transform]
    s.planes[:depth_ac], s.signs[:], s.known[:], s.fresh[:], s.low[:] = zero, zero, zero, zero, depth_ac
    plane, verdict = read_planes(words, at, end, depth_ac, left, zeros, lay.live, s, t)
    from_planes(s.planes, s.signs, s.dc, s.dc_low, s.depth, s.low, s.fresh, plane, lay, work)
    return transform, verdict


@kernel
def _decode_packets(packets, head, tail, bad, lays, t, out):  # type: ignore[no-untyped-def]
    """Decode packets into lines; bad ones become zero."""
    columns = out.shape[1]
    s = _state(columns // 4)
    work, scratch = np.empty((16, columns), np.int32), np.empty((16, columns), np.int32)
    words = np.empty(packets.shape[1] // 8 + SPARE_WORDS + 1, np.uint64)
    for k in range(packets.shape[0]):
        lines, transform = out[16 * k : 16 * k + 16], INTEGER
        if not bad[k]:
            payload = packets[k, head : packets.shape[1] - tail]
            transform, verdict = _decode(payload, columns, words, s, lays, t, work)
            bad[k] = verdict != GOOD
        if bad[k]:
            lines[:] = 0
        elif transform == FLOAT:
            inverse_float(work, scratch)
            clip(scratch, lines)
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
def _coarse_packets(packets, head, tail, bad, lays, out):  # type: ignore[no-untyped-def]
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
        transform, _, _, _, _, verdict = _read_dc(words, payload.size, 8 * across, s)
        bad[k] = verdict != GOOD
        if bad[k]:
            continue
        lay = lays[transform]
        for m in range(s.dc.size):
            count = s.dc[m] + (lay.rest_dc[s.dc_low[m]] >> np.int32(lay.fraction)) + 4 >> 3
            out[2 * k + m // across, m % across] = min(max(count, 0), (1 << PIXEL_BITS) - 1)


def _layouts(columns: int) -> tuple[Layout, Layout]:
    """Return the layouts of strips of both transforms, by DWTtype."""
    return layout(columns, FLOAT), layout(columns, INTEGER)


class Ccsds122:
    """Sixteen lines, compressed, after the packet's head."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return counts and bad lines; lines of a packet that is lost or no strip are bad and 0."""
        bad, columns = status == LOST, _columns(packets)
        out = np.empty((LINES_PER_PACKET * packets.shape[0], columns), np.uint16)
        t: Tables = tables()
        _decode_packets(np.ascontiguousarray(packets), ISP_HEAD_BYTES, CRC_BYTES, bad, _layouts(columns), t, out)
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
        _coarse_packets(np.ascontiguousarray(packets), ISP_HEAD_BYTES, CRC_BYTES, bad, _layouts(columns), out)
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
    if columns % 8 or columns < MIN_COLUMNS or read_head(words, payload.size, columns // 4, columns)[-1] != GOOD:
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
