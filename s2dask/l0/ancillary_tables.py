"""Satellite ancillary data by structure: raw tables of what each source tells, and the files of an AUX_SADATA.

The heads of the packets are public, the layout of their data is not: the bytes are kept beside date and structure
identifier (SID). A structure is a file ``AUX_S<PRID><SID>``, PRID being the APID without its last four bits.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError, InputMissing
from s2dask.instrument.telemetry import CRC_BYTES, SAD_SERVICE, SAD_SOURCES, SAD_STRUCTURE_AT, packet_kind
from s2dask.l0.packet_file import PacketFile, file_bytes, read_packets
from s2dask.l0.packets import PacketIndex, index_packets

SECONDS_BEFORE: Final = 26
SECONDS_AFTER: Final = 60
"""What the packets of a real AUX_SADATA span around its datastrip; its name says something else."""
_DATA_AT: Final = SAD_STRUCTURE_AT + 2
_LARGEST_TABLE: Final = 1 << 28
_FILE = re.compile(r"S2[A-Z]_[A-Z]{4}_AUX_S(\d{2})(\d{3})_\S+\.bin")


@dataclass(frozen=True, slots=True, eq=False)
class SadTable:
    """The packets of one APID and structure in the order of their dates, each once.

    Attributes
    ----------
    apid, sid : int
    time : (packet) int64
        GPS [ns].
    count : (packet) int64
        Sequence count.
    size : (packet) int64
        Bytes of data.
    data : (packet, byte) uint8
        What follows the SID, filled up with zeros to the longest.
    """

    apid: int
    sid: int
    time: NDArray[np.int64]
    count: NDArray[np.int64]
    size: NDArray[np.int64]
    data: NDArray[np.uint8]

    @property
    def kind(self) -> str:
        """``ephemeris``, ``attitude``, ``thermal``, or ``other`` for a foreign APID."""
        return SAD_SOURCES.get(self.apid, "other")

    @property
    def file_part(self) -> str:
        """What stands for SADATA in the name of its file: ``S09123``."""
        return file_part(self.apid, self.sid)


def file_part(apid: int, sid: int) -> str:
    """Return what stands for SADATA in the name of the file of a structure."""
    return f"S{apid >> 4:02d}{sid:03d}"


def _structures(stream: NDArray[np.uint8], index: PacketIndex) -> NDArray[np.int64]:
    """Return the SIDs of packets; -1 where there is no service header of ancillary data."""
    long_enough = index.size >= _DATA_AT + CRC_BYTES
    out = np.full(index.size.size, -1, np.int64)
    at = index.offset[long_enough]
    service = (stream[at[:, None] + np.arange(6, 6 + len(SAD_SERVICE))] == np.frombuffer(SAD_SERVICE, np.uint8)).all(1)
    out[long_enough] = np.where(service, stream[at + SAD_STRUCTURE_AT + 1].astype(np.int64), -1)
    return out


def demultiplex(stream: NDArray[np.uint8], index: PacketIndex) -> dict[tuple[int, int], SadTable]:
    """Sort ancillary packets by APID and structure; packets with a wrong checksum or another service are left out.

    Parameters
    ----------
    stream : (byte) uint8
        Holds the packets.
    index : PacketIndex
        Of them, read as ``ancillary``.
    """
    sid = _structures(stream, index)
    key = np.where(index.good & (sid >= 0), index.apid << 8 | sid, -1)
    out = {}
    for value in np.unique(key[key >= 0]).tolist():
        rows = np.flatnonzero(key == value)
        rows = rows[np.lexsort((index.count[rows], index.time[rows]))]
        same = (np.diff(index.time[rows]) == 0) & (np.diff(index.count[rows]) == 0)
        rows = rows[np.concatenate([[True], ~same])]
        size = index.size[rows] - _DATA_AT - CRC_BYTES
        width = int(size.max())
        if width * rows.size > _LARGEST_TABLE:
            raise InputError(
                f"{rows.size} packets of up to {width} bytes", f"APID {value >> 8}", "cut the data by time"
            )
        data = np.zeros((rows.size, width), np.uint8)
        for length in np.unique(size).tolist():
            of = np.flatnonzero(size == length)
            data[of, :length] = stream[(index.offset[rows[of]] + _DATA_AT)[:, None] + np.arange(length)]
        out[value >> 8, value & 255] = SadTable(
            value >> 8, value & 255, index.time[rows], index.count[rows], size, data
        )
    return out


def of_kind(tables: Mapping[tuple[int, int], SadTable], kind: str) -> list[SadTable]:
    """Return the tables of ``ephemeris``, ``attitude``, ``thermal`` or ``other``, by APID and SID."""
    return [table for _, table in sorted(tables.items()) if table.kind == kind]


def split_files(
    stream: NDArray[np.uint8],
    index: PacketIndex,
    annotation: NDArray[np.uint8],
    sensing: tuple[int, int] | None = None,
) -> dict[str, NDArray[np.uint8]]:
    """Return the content of the files of an AUX_SADATA by the part of their name, ``S09123``.

    Parameters
    ----------
    stream : (byte) uint8
        Holds the packets.
    index : PacketIndex
    annotation : (packet, 20) uint8
        Of the packets of the index.
    sensing : (int, int), optional
        First and last date of the datastrip, GPS [ns]: packets more than 26 s before or 60 s after are left out.
    """
    sid = _structures(stream, index)
    key = np.where(sid >= 0, index.apid >> 4 << 8 | sid, -1)
    if sensing is not None:
        low, high = sensing[0] - SECONDS_BEFORE * 1_000_000_000, sensing[1] + SECONDS_AFTER * 1_000_000_000
        key[(index.time < low) | (index.time > high)] = -1
    out = {}
    for value in np.unique(key[key >= 0]).tolist():
        rows = np.flatnonzero(key == value)
        rows = rows[np.argsort(index.time[rows], kind="stable")]
        content = file_bytes(stream, index.offset[rows], index.size[rows], annotation[rows])
        out[f"S{value >> 8:02d}{value & 255:03d}"] = content
    return out


def write_files(folder: Path, name: str, files: Mapping[str, NDArray[np.uint8]]) -> list[Path]:
    """Write the files of an AUX_SADATA into a folder.

    Parameters
    ----------
    folder : Path
        ``ANC_DATA`` of a datastrip.
    name : str
        Of the AUX_SADATA; the part of each structure takes the place of SADATA.
    files : mapping of str to (byte) uint8
    """
    if "_AUX_SADATA_" not in name:
        raise InputError("no name of an AUX_SADATA", name, "give its name, S2?_OPER_AUX_SADATA_...")
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for part, content in sorted(files.items()):
        path = folder / f"{name.replace('_AUX_SADATA_', f'_AUX_{part}_')}.bin"
        path.write_bytes(content.tobytes())
        out.append(path)
    return out


def read_files(folder: Path) -> dict[tuple[int, int], SadTable]:
    """Read the files of an AUX_SADATA; a file that holds another structure than its name says is refused."""
    paths = sorted(path for path in folder.glob("*_AUX_S*.bin") if _FILE.fullmatch(path.name))
    if not paths:
        raise InputMissing("no file AUX_S<PRID><SID>", str(folder), "give the folder ANC_DATA of a datastrip")
    out: dict[tuple[int, int], SadTable] = {}
    for path in paths:
        tables = _read(path)
        named = _FILE.fullmatch(path.name)
        wrong = [t for t in tables.values() if named and t.file_part != f"S{named[1]}{named[2]}"]
        if wrong:
            raise InputError(
                f"holds {wrong[0].file_part}", path.name, "the name is that of another file: fetch it again"
            )
        out |= tables
    return out


def _read(path: Path) -> dict[tuple[int, int], SadTable]:
    found = read_packets(np.fromfile(path, np.uint8), path.name)
    return demultiplex(found.data, index_of(found))


def index_of(found: PacketFile) -> PacketIndex:
    """Return the index of the whole packets of a file."""
    kind = "ancillary" if found.kind == "ancillary" else "image"
    return index_packets(found.data, found.offset[found.whole], found.size[found.whole], kind)


def split_kinds(index: PacketIndex, kinds: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return which packets are of each kind (see `packet_kind`), for those of housekeeping to be kept apart."""
    told = {int(a): packet_kind(int(a)) for a in np.unique(index.apid)}
    return {kind: np.isin(index.apid, [a for a, k in told.items() if k == kind]) for kind in kinds}
