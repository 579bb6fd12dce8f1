"""Source packets: what their heads say, and whether their checksums are right."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import APID_IDLE, PACKET_PRIMARY_BYTES
from s2dask.kernels import kernel

_CUC_AT: Final = {"image": 6, "ancillary": 10}


@cache
def _crc_tables() -> NDArray[np.uint16]:
    """Return what a byte leaves in the register when 0 to 7 more bytes follow it: (following, byte) uint16."""
    values = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        values = np.where(values & 0x8000, values << 1 ^ 0x1021, values << 1) & 0xFFFF
    tables = [values]
    for _ in range(7):
        tables.append(tables[-1] << 8 & 0xFF00 ^ values[tables[-1] >> 8])
    return np.stack(tables).astype(np.uint16)


@kernel
def _crc_good(stream, offset, size, tables, out):  # type: ignore[no-untyped-def]
    """CRC-16/CCITT-FALSE over packet and CRC leaves nothing; eight bytes at a time."""
    t0, t1, t2, t3, t4, t5, t6, t7 = (
        tables[0], tables[1], tables[2], tables[3], tables[4], tables[5], tables[6], tables[7],
    )  # fmt: skip
    for k in range(offset.size):
        register = np.uint16(0xFFFF)
        at, end = offset[k], offset[k] + size[k]
        while at + 8 <= end:
            a = np.uint8(register >> np.uint16(8)) ^ stream[at]
            b = np.uint8(register & np.uint16(0xFF)) ^ stream[at + 1]
            register = np.uint16(
                t7[a] ^ t6[b] ^ t5[stream[at + 2]] ^ t4[stream[at + 3]]
                ^ t3[stream[at + 4]] ^ t2[stream[at + 5]] ^ t1[stream[at + 6]] ^ t0[stream[at + 7]]
            )  # fmt: skip
            at += 8
        while at < end:
            a = np.uint8(register >> np.uint16(8)) ^ stream[at]
            register = np.uint16(np.uint16(register << np.uint16(8)) ^ t0[a])
            at += 1
        out[k] = register == 0


def crc_good(stream: NDArray[np.uint8], offset: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which packets have a right checksum."""
    out = np.zeros(offset.size, np.bool_)
    _crc_good(stream, offset, size, _crc_tables(), out)
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
    real = apid != APID_IDLE
    heads, offset, size, apid = heads[real], offset[real], size[real], apid[real]
    count = (heads[:, 2].astype(np.int64) << 8 | heads[:, 3]) & 0x3FFF
    ticks = np.zeros(len(heads), np.int64)
    for i in range(7):
        ticks = ticks << 8 | heads[:, _CUC_AT[kind] + i]
    seconds, fraction = ticks >> 24, ticks & 0xFFFFFF
    time = seconds * 1_000_000_000 + np.round(fraction * (1e9 / (1 << 24))).astype(np.int64)
    return PacketIndex(apid, count, time, offset, size, crc_good(stream, offset, size))


def out_of_place(packets: NDArray[np.uint8], first: int, image_apid: int, per_scene: int) -> NDArray[np.bool_]:
    """Return which stored packets of a band have the sequence count of another place in their scene.

    Parameters
    ----------
    packets : (packet, byte) uint8
        From their primary headers on; one with another APID, or with an empty head, is not judged.
    first : int
        Rank of the first in the strip.
    image_apid : int
        Of the band and detector.
    per_scene : int
        Packets of a scene, which are counted from 0.

    Returns
    -------
    (packet) bool
    """
    heads = packets[:, :PACKET_PRIMARY_BYTES].astype(np.int64)
    mine = heads.any(axis=1) & (((heads[:, 0] & 7) << 8 | heads[:, 1]) == image_apid)
    count = (heads[:, 2] << 8 | heads[:, 3]) & 0x3FFF
    return np.asarray(mine & (count != (first + np.arange(len(packets))) % per_scene))
