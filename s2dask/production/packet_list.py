"""What is in a file of packets: one row per packet, and totals."""

from pathlib import Path
from typing import Any

import numpy as np

from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import APID_IDLE, SAD_STRUCTURE_AT, image_address, packet_kind
from s2dask.l0.packet_counts import count_packets
from s2dask.l0.packet_file import DAY, PacketFile, is_ancillary, read_packets
from s2dask.l0.packets import PacketIndex, crc_good, index_packets

LARGEST = 8_000_000_000
"""A band of a whole orbit has some 5 GB; all of it is read."""
_NAMES = tuple(BANDS)


def list_packets(path: Path) -> dict[str, Any]:
    """Return what a band or SAD file of Level 0 holds.

    Returns
    -------
    dict
        ``file``, ``kind``, ``annotated``, ``packets`` (a dict for each: number, apid, detector and band or sid,
        sequence, time [UTC], size, offset, crc ``good``, ``bad`` or ``cut``; and from the annotation downlink [UTC],
        virtual_channel, frames, bad_frames) and ``totals``.
    """
    if not path.is_file():
        raise InputMissing("no such file", str(path))
    size = path.stat().st_size
    if not 0 < size <= LARGEST:
        raise InputError(f"{size} bytes, no file of packets", path.name, "give a band or SAD file of Level 0")
    found = read_packets(np.asarray(np.memmap(path, np.uint8, mode="c")), path.name)
    if is_ancillary(found.packet(0)):
        kind = "ancillary"
    else:
        kind = found.kind if found.kind in ("image", "idle") else "housekeeping"
    return _listed(found, kind, path.name)


def _listed(found: PacketFile, kind: str, name: str) -> dict[str, Any]:
    there = np.minimum(found.size, found.data.size - found.offset)
    head = found.data[found.offset[:, None] + np.arange(6)].astype(np.int64)
    apid, count = (head[:, 0] & 7) << 8 | head[:, 1], (head[:, 2] << 8 | head[:, 3]) & 0x3FFF
    index = index_packets(found.data, found.offset, there, "ancillary" if kind == "ancillary" else "image")
    good = crc_good(found.data, found.offset, there)
    row_of = {int(at): k for k, at in enumerate(index.offset)}
    dated = kind in ("image", "ancillary")
    rows = []
    for k in range(len(found)):
        at = row_of.get(int(found.offset[k]))
        row: dict[str, Any] = {"number": k, "apid": int(apid[k]), **_source(found, k, int(apid[k]))}
        row["sequence"] = int(count[k])
        row["time"] = _utc(int(index.time[at])) if dated and at is not None else None
        row |= {"size": int(found.size[k]), "offset": int(found.offset[k])}
        row["crc"] = "cut" if there[k] < found.size[k] else "good" if good[k] else "bad"
        rows.append(row)
    if found.annotation.shape[1]:
        columns = zip(found.downlink, found.channel, found.frames, found.bad_frames, strict=True)
        for row, (downlink, channel, frames, bad) in zip(rows, columns, strict=True):
            row |= {"downlink": _date2000(int(downlink)), "virtual_channel": int(channel)}
            row |= {"frames": int(frames), "bad_frames": int(bad)}
    return {
        "file": name, "kind": kind, "annotated": bool(found.annotation.shape[1]), "packets": rows,
        "totals": _totals(found, rows, index, dated=dated),
    }  # fmt: skip


def _source(found: PacketFile, k: int, apid: int) -> dict[str, Any]:
    """Return where a packet comes from: detector, band, half of the unit and compressor; or the structure."""
    address = image_address(apid)
    if address is not None:
        name = _NAMES[address.band_index]
        return {"detector": address.detector, "band": name, "vcm": address.vcm, "wicom": address.wicom}
    packet = found.data[found.offset[k] : found.offset[k] + min(int(found.size[k]), 64)].tobytes()
    return {"sid": packet[SAD_STRUCTURE_AT + 1]} if is_ancillary(packet) else {}


def _totals(found: PacketFile, rows: list[dict[str, Any]], index: PacketIndex, *, dated: bool) -> dict[str, Any]:
    verdicts = [row["crc"] for row in rows]
    times = sorted(row["time"] for row in rows if row["time"] and row["crc"] == "good") or sorted(
        row["time"] for row in rows if row["time"]
    )
    counts = count_packets(index) if dated else {}
    return {
        "packets": len(rows), "bytes": int(found.data.size), "packet_bytes": int(found.size.sum()),
        "sizes": sorted({row["size"] for row in rows}),
        "crc_good": verdicts.count("good"), "crc_bad": verdicts.count("bad"), "cut": verdicts.count("cut"),
        "first_time": times[0] if times else None, "last_time": times[-1] if times else None,
        "apids": {
            str(apid): {
                "kind": "idle" if apid == APID_IDLE else packet_kind(apid),
                "packets": sum(row["apid"] == apid for row in rows),
                **({n: getattr(counts[apid], n) for n in ("lost", "degraded", "repeated")} if apid in counts else {}),
            }
            for apid in sorted({row["apid"] for row in rows})
        },
    }  # fmt: skip


def _utc(gps: int) -> str:
    """Return a GPS time [ns] as UTC to the nearest microsecond, as the metadata have it."""
    return iso(gps_to_utc(gps + 500), 6)


def _date2000(micro: int) -> str:
    """Return microseconds since 2000-01-01 UTC, in days of 86400 s, as text."""
    date = np.datetime64("2000-01-01", "us") + np.timedelta64(micro // DAY, "D") + np.timedelta64(micro % DAY, "us")
    return f"{date}Z"
