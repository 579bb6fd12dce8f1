"""Files of packets as Level-0 products hold them: each packet after an annotation; and the frames of an HKTM product.

The record of band and SAD files, 20 bytes and the packet: u16 0, u16 days since 2000-01-01, u32 ms, u16 us (UTC of the
downlink), u16 length field of the packet, u16 frames that carried it, u16 bad frames among them, u8 0, u8 0x80 and
virtual channel, u8 0x80, u8 0 (read off real files; what the constant bytes mean is not public, they are kept).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import (
    ANNOTATION_BYTES,
    CRC_BYTES,
    HKTM_ANNOTATION_BYTES,
    HKTM_FRAME_BYTES,
    PACKET_PRIMARY_BYTES,
    SAD_SERVICE,
    SAD_STRUCTURE_AT,
    packet_kind,
)
from s2dask.kernels import kernel

DAY: Final = 86_400_000_000
"""[us]."""
_AGAIN: Final = "it is no L0 band or SAD file, or it is damaged: fetch it again"
_HKTM_STATUS: Final = 0x8000
_HKTM_INVERTED: Final = 0x20
"""In the high byte of the status."""


@dataclass(frozen=True, slots=True, eq=False)
class PacketFile:
    """The records of a file.

    Attributes
    ----------
    data : (byte) uint8
        The file.
    kind : str
        ``image``, ``ancillary``, ``housekeeping`` or ``idle``, by the APID of the first packet.
    annotation : (packet, 20) uint8
        As they stand; no columns in a file of bare packets.
    offset, size : (packet) int64
        Of the packet in the file, as its header says.
    cut : int
        Bytes that the last packet lacks; it is the only one that may.
    """

    data: NDArray[np.uint8]
    kind: str
    annotation: NDArray[np.uint8]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    cut: int

    def __len__(self) -> int:
        return self.offset.size

    def packet(self, k: int) -> bytes:
        """Return one packet, as much of it as is there."""
        return self.data[self.offset[k] : self.offset[k] + self.size[k]].tobytes()

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which packets are complete, (packet) bool."""
        return self.offset + self.size <= self.data.size

    @property
    def downlink(self) -> NDArray[np.int64]:
        """When each packet came down, (packet) int64 UTC [us since 2000-01-01]."""
        return (
            _number(self.annotation, 2, 2) * DAY
            + _number(self.annotation, 4, 4) * 1000
            + _number(self.annotation, 8, 2)
        )

    @property
    def frames(self) -> NDArray[np.int64]:
        """Frames that carried each packet, (packet) int64."""
        return _number(self.annotation, 12, 2)

    @property
    def bad_frames(self) -> NDArray[np.int64]:
        """Bad ones among them, (packet) int64."""
        return _number(self.annotation, 14, 2)

    @property
    def channel(self) -> NDArray[np.int64]:
        """Virtual channel of each packet, (packet) int64."""
        return _number(self.annotation, 17, 1) & 0x3F


def _number(rows: NDArray[np.uint8], at: int, size: int) -> NDArray[np.int64]:
    """Return big-endian numbers of (row, byte)."""
    out = np.zeros(len(rows), np.int64)
    for i in range(at, at + size):
        out = out << 8 | rows[:, i]
    return out


def _date(rows: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return dates of days, milliseconds and microseconds, (row) int64 [us since 2000-01-01]."""
    return _number(rows, 0, 2) * DAY + _number(rows, 2, 4) * 1000 + _number(rows, 6, 2)


def _text(values: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Return numbers as big-endian bytes, (row, size) uint8."""
    return np.ascontiguousarray(values.astype(">i8")).view(np.uint8).reshape(-1, 8)[:, 8 - size :]


@kernel
def _records(data, lead, offset, size):  # type: ignore[no-untyped-def]
    """Walk records; return their number, where the next would be, and whether what is there is one."""
    at, count = 0, 0
    while at < data.size:
        packet = at + lead
        if packet + 6 > data.size:
            return count, at, False
        length = (np.int64(data[packet + 4]) << 8) + np.int64(data[packet + 5])
        good = data[packet] >> 5 == 0
        if lead:
            noted = (np.int64(data[at + 10]) << 8) + np.int64(data[at + 11])
            good = good and noted == length and data[at] == 0 and data[at + 1] == 0
        if not good:
            return count, at, False
        offset[count], size[count] = packet, length + 7
        count += 1
        at = packet + length + 7
    return count, at, True


def _walk(data: NDArray[np.uint8], lead: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int, bool]:
    offset = np.empty(data.size // (lead + 7) + 1, np.int64)
    size = np.empty_like(offset)
    count, end, good = _records(data, lead, offset, size)
    return offset[:count].copy(), size[:count].copy(), end, good


def read_packets(data: NDArray[np.uint8], where: str) -> PacketFile:
    """Find the packets of a file, with annotations or bare: which it is, the bytes tell.

    Parameters
    ----------
    data : (byte) uint8
    where : str
        File, for messages.
    """
    if not data.size:
        raise InputError("the file is empty", where, _AGAIN)
    lead = ANNOTATION_BYTES
    offset, size, end, good = _walk(data, lead)
    if not good and not offset.size:
        bare, sizes, _, whole = _walk(data, 0)
        if whole and int(bare[-1] + sizes[-1]) == data.size:
            lead, offset, size, end, good = 0, bare, sizes, data.size, True
    if not good:
        raise InputError(f"no packet at byte {end}, after {offset.size} packets", where, _AGAIN)
    annotation = data[(offset - lead)[:, None] + np.arange(lead)]
    kind = packet_kind((int(data[offset[0]]) & 7) << 8 | int(data[offset[0] + 1]))
    return PacketFile(data, kind, annotation, offset, size, end - data.size)


def annotations(
    size: NDArray[np.int64],
    downlink: NDArray[np.int64],
    frames: NDArray[np.int64],
    channel: int,
    bad_frames: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """Return the annotations of packets, (packet, 20) uint8.

    Parameters
    ----------
    size : (packet) int64
        Of the packets.
    downlink : (packet) int64
        UTC [us since 2000-01-01].
    frames, bad_frames : (packet) int64
        That carried each, and bad ones among them (default: none).
    channel : int
        Virtual channel.
    """
    out = np.zeros((size.size, ANNOTATION_BYTES), np.uint8)
    out[:, 2:4], out[:, 4:8] = _text(downlink // DAY, 2), _text(downlink % DAY // 1000, 4)
    out[:, 8:10], out[:, 10:12] = _text(downlink % 1000, 2), _text(size - 7, 2)
    out[:, 12:14] = _text(frames, 2)
    if bad_frames is not None:
        out[:, 14:16] = _text(bad_frames, 2)
    out[:, 17], out[:, 18] = 0x80 | channel, 0x80
    return out


def file_bytes(
    stream: NDArray[np.uint8], offset: NDArray[np.int64], size: NDArray[np.int64], annotation: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the content of a file of packets: N times the annotation and the packet.

    Parameters
    ----------
    stream : (byte) uint8
        Holds the packets.
    offset, size : (packet) int64
    annotation : (packet, 20) uint8
    """
    parts: list[NDArray[np.uint8]] = []
    for note, at, length in zip(annotation, offset, size, strict=True):
        parts += [note, stream[at : at + length]]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def is_ancillary(packet: bytes) -> bool:
    """Whether a packet has the service header of the ancillary data and is long enough for its data."""
    begin = PACKET_PRIMARY_BYTES
    return packet[begin : begin + len(SAD_SERVICE)] == SAD_SERVICE and len(packet) >= SAD_STRUCTURE_AT + 2 + CRC_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class FrameNotes:
    """The annotations of an HKTM product: one for every transfer frame.

    Attributes
    ----------
    downlink : (frame) int64
        UTC [us since 2000-01-01].
    status : (frame) uint16
        Frame synchroniser (2 bits), inverted, CRC error, best match, flash, slip, its direction, bits slipped (3),
        errors in the marker (5).
    frame_length : (frame) int64
        As noted: 2043, one less than a CADU.
    channel : (frame) int64
    """

    downlink: NDArray[np.int64]
    status: NDArray[np.uint16]
    frame_length: NDArray[np.int64]
    channel: NDArray[np.int64]


def read_frame_notes(data: NDArray[np.uint8], where: str) -> FrameNotes:
    """Decode the annotation file of an HKTM product (records of 18 bytes, see its schema)."""
    if not data.size or data.size % HKTM_ANNOTATION_BYTES:
        raise InputError(f"{data.size} bytes are no whole records of {HKTM_ANNOTATION_BYTES}", where, "fetch it again")
    rows = data.reshape(-1, HKTM_ANNOTATION_BYTES)
    return FrameNotes(
        _date(rows), _number(rows, 8, 2).astype(np.uint16), _number(rows, 10, 2), _number(rows, 16, 1) >> 6
    )


def frame_notes(
    downlink: NDArray[np.int64],
    cadu_bytes: int,
    channel: int = 1,
    inverted: NDArray[np.bool_] | None = None,
    marker_errors: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Return the annotation file of good frames, (byte) uint8: those without a defect are noted as in the real one.

    Parameters
    ----------
    downlink : (frame) int64
        UTC [us since 2000-01-01].
    cadu_bytes : int
        Length of a frame with its marker.
    channel : int
        Of the session.
    inverted : (frame) bool, optional
    marker_errors : (frame) uint8, optional
        Wrong bits of the marker.
    """
    out = np.zeros((downlink.size, HKTM_ANNOTATION_BYTES), np.uint8)
    out[:, 0:2], out[:, 2:6] = _text(downlink // DAY, 2), _text(downlink % DAY // 1000, 4)
    out[:, 6:8] = _text(downlink % 1000, 2)
    for at, value in ((8, _HKTM_STATUS), (10, cadu_bytes - 1), (12, _HKTM_STATUS), (14, cadu_bytes - 1)):
        out[:, at : at + 2] = np.frombuffer(value.to_bytes(2, "big"), np.uint8)
    if inverted is not None:
        out[:, 8] |= np.where(inverted, _HKTM_INVERTED, 0).astype(np.uint8)
    if marker_errors is not None:
        out[:, 9] |= marker_errors & 0x1F
    out[:, 16] = channel << 6
    return out.reshape(-1)


def split_frames(data: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """Return the transfer frames of an HKTM measurement file, (frame, 1912) uint8: header and packet zone."""
    if not data.size or data.size % HKTM_FRAME_BYTES:
        raise InputError(f"{data.size} bytes are no whole frames of {HKTM_FRAME_BYTES}", where, "fetch it again")
    return data.reshape(-1, HKTM_FRAME_BYTES)
