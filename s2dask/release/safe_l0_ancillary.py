"""Files of ancillary packets of a datastrip (AUX_S<APID // 16><SID>): annotation and packet, one after the other."""

import binascii
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np

from s2dask.instrument.telemetry import APID_AOCS, APID_GPS, SEQUENCE_MODULO, VCID_SAD
from s2dask.io.storage import open_array
from s2dask.release.name_form import parse_iso
from s2dask.release.names import AncillaryName
from s2dask.release.safe_l0_strip import L0Strip
from s2dask.release.tile_store import SITE

_SERVICE: Final = bytes.fromhex("10031900")
_SID: Final = {APID_GPS: 1, APID_AOCS: 105}
_DAY: Final = 86_400_000_000_000
_MARGIN: Final = timedelta(seconds=30)
"""The validity in the name of a real file ends this much after the datastrip."""


def annotation(channel: int, length: int, bad_frames: int = 0, frames: int = 0, downlink: int = 0) -> bytes:
    """Return the annotation of a packet.

    Parameters
    ----------
    channel : int
        Virtual channel.
    length : int
        Of the packet [byte].
    bad_frames : int
        Frames that could not be corrected. Such frames are given up here, with the packets in them; 1 marks a packet
        with a wrong checksum.
    frames : int
        That carry it, 0 when not known.
    downlink : int
        When it began to be received, UTC since 2000 [ns], 0 when not known.

    Notes
    -----
    Fields, as decoded from real granules: u16 0, u16 days since 2000, u32 milliseconds of the day, u16 microseconds,
    u16 length field of the packet, u16 frames, u16 bad frames, 0, 0x80 + virtual channel, 0x80, 0. What the two 0x80
    mean is not known.
    """
    days, rest = divmod(downlink, _DAY)
    milliseconds, rest = divmod(rest, 1_000_000)
    time = days.to_bytes(2, "big") + milliseconds.to_bytes(4, "big") + (rest // 1000).to_bytes(2, "big")
    field, counts = (length - 7).to_bytes(2, "big"), frames.to_bytes(2, "big") + bad_frames.to_bytes(2, "big")
    return bytes(2) + time + field + counts + bytes((0, 0x80 | channel, 0x80, 0))


def _packet(apid: int, count: int, gps: int, values: Iterable[float]) -> bytes:
    """Return an ancillary packet: the heads of real packets, and this system's own layout of the data.

    Notes
    -----
    Data: the date as big-endian int64 [GPS ns], then the values as big-endian float64. The mission's is not public.
    """
    ticks = (gps // 1_000_000_000 << 24) + round((gps % 1_000_000_000) * (1 << 24) / 1e9)
    data = gps.to_bytes(8, "big", signed=True) + np.asarray(list(values), ">f8").tobytes()
    body = _SERVICE + ticks.to_bytes(7, "big") + bytes((0x1F, _SID[apid])) + data
    size = (0x0800 | apid).to_bytes(2, "big") + (0xC000 | count % SEQUENCE_MODULO).to_bytes(2, "big")
    head = size + (len(body) + 1).to_bytes(2, "big")
    return head + body + binascii.crc_hqx(head + body, 0xFFFF).to_bytes(2, "big")


def write_ancillary(strip: L0Strip, folder: Path) -> list[str]:
    """Write the ancillary packets of a strip's orbit and attitude to a folder; return the names of the files.

    Notes
    -----
    The packets are made again of what the store keeps of them, so that dates and values are those received, to the
    bit; their sequence counts begin at 0. When and in how many frames they came is not kept, and is 0.
    """
    base, start = "conditions", parse_iso(strip.attrs["sensing_start"])
    stop = start + timedelta(microseconds=(strip.attrs["sensing_stop_gps"] - strip.attrs["sensing_start_gps"]) // 1000)
    read = {
        APID_GPS: ("ephemeris", ("position", "velocity")),
        APID_AOCS: ("attitude", ("quaternion",)),
    }
    names = []
    for apid, (group, variables) in read.items():
        time = np.asarray(open_array(strip.url, f"{base}/{group}/gps_time")[...])
        values = np.concatenate([np.asarray(open_array(strip.url, f"{base}/{group}/{v}")[...]) for v in variables], 1)
        content = f"S{apid // 16:02d}{_SID[apid]:03d}"
        orbit = int(strip.attrs["relative_orbit"])
        name = f"{AncillaryName(strip.name.unit, content, SITE, strip.created, start, stop + _MARGIN, orbit)}.bin"
        with (folder / name).open("wb") as target:
            for count, (gps, row) in enumerate(zip(time.tolist(), values, strict=True)):
                packet = _packet(apid, count, gps, row)
                target.write(annotation(VCID_SAD, len(packet)) + packet)
        names.append(name)
    return names
