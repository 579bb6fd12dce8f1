"""A session as a station delivers it: what the DSIBs promise, and whether it is there."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lxml import etree

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import UNITS, unit
from s2dask.instrument.telemetry import CADU_BYTES

_SESSION_ID: Final = re.compile(r"(S2[A-Z])_(\d{14})(\d{6})$")
_MAX_DSIB_BYTES: Final = 10_000_000
_FETCH: Final = "fetch it again from the station"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a session.

    Attributes
    ----------
    number : int
    dsib : str
        Path of the DSIB.
    files : tuple of str
        Paths of the DSDBs in their order.
    bytes : int
    """

    number: int
    dsib: str
    files: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session whose files are complete.

    Attributes
    ----------
    id : str
    unit : str
    start : datetime
        Date in the identifier.
    orbit : int
        Absolute orbit of the downlink.
    channels : tuple of Channel
    folder : str
    """

    id: str
    unit: str
    start: datetime
    orbit: int
    channels: tuple[Channel, ...]
    folder: str

    def facts(self) -> dict[str, Any]:
        """Return what ``s2dask info`` shows."""
        out: dict[str, Any] = {"session": self.id, "format": "CADU session (DSDB, DSIB)", "unit": self.unit}
        out |= {"absolute_orbit": self.orbit, "relative_orbit": unit(self.unit).relative_orbit(self.orbit)}
        for channel in self.channels:
            out[f"channel_{channel.number}"] = f"{len(channel.files)} files, {channel.bytes // CADU_BYTES} frames"
        return out


def _parse_dsib(path: Path) -> etree._Element:
    if path.stat().st_size > _MAX_DSIB_BYTES:
        raise InputError("DSIB is unreasonably large", path.name, _FETCH)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        tree = etree.parse(str(path), parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"DSIB is no well-formed XML ({error.msg})", path.name, _FETCH) from None
    if tree.docinfo.doctype:  # type: ignore[union-attr]  # the stubs do not know it
        raise InputError("DSIB declares a document type", path.name, "a DSIB never has one: it is refused")
    return tree.getroot()


def _text(root: etree._Element, tag: str, where: str) -> str:
    value = root.findtext(f".//{tag}")
    if not value or not value.strip():
        raise InputError(f"DSIB has no {tag}", where, _FETCH)
    return value.strip()


def _read_channel(dsib: Path, session: str) -> Channel:
    root = _parse_dsib(dsib)
    found = _text(root, "session_id", dsib.name)
    if found != session:
        raise InputError(f"DSIB is of session {found}, not {session}", dsib.name, "fetch the DSIB of this session")
    match = re.search(r"_ch([12])_DSIB", dsib.name)
    if not match:
        raise InputError("DSIB name tells no channel", dsib.name, "names end in _ch1_DSIB.xml or _ch2_DSIB.xml")
    names = [(e.text or "").strip() for e in root.findall(".//dsdb_list/dsdb_name")]
    if len(set(names)) != len(names):
        raise InputError("DSIB lists a file twice", dsib.name, _FETCH)
    total = 0
    for name in names:
        path = dsib.parent / name
        if name in ("", "..") or Path(name).name != name:
            raise InputError(f"DSIB lists {name!r}, which is no file name", dsib.name, _FETCH)
        if not path.is_file():
            raise InputMissing(f"listed in {dsib.name} but not there", name, _FETCH)
        if path.stat().st_size % CADU_BYTES:
            raise InputError(f"truncated: {path.stat().st_size} bytes are no whole number of CADUs", name, _FETCH)
        total += path.stat().st_size
    size = _text(root, "data_size", dsib.name)
    if size.lstrip("0") != str(total).lstrip("0"):
        raise InputError(f"DSIB promises {size:.20} bytes, its files hold {total}", dsib.name, _FETCH)
    return Channel(int(match[1]), str(dsib), tuple(str(dsib.parent / n) for n in names), total)


def _date(digits: str) -> datetime | None:
    try:
        return datetime.strptime(digits + "+0000", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None


def scan_session(folder: str) -> Session:
    """Read the DSIBs of a session and check that every file that they list is there and whole.

    Parameters
    ----------
    folder : str
        Holds ``DCS_…_dat/ch_1`` and ``ch_2``, or is that folder.

    Raises
    ------
    InputMissing
        Without a DSIB, or with a listed file absent.
    InputError
        For a truncated file or a DSIB that contradicts its files.
    """
    root = Path(folder)
    dsibs = sorted(root.rglob("*_DSIB.xml")) if root.is_dir() else []
    if not dsibs:
        raise InputMissing("no DSIB (*_DSIB.xml)", folder, "give the folder of a CADU session")
    name = re.match(r"DCS_\d+_(.+)_ch\d_DSIB\.xml", dsibs[0].name)
    match = _SESSION_ID.match(name[1]) if name else None
    start = _date(match[2]) if match else None
    if name is None or match is None or start is None or match[1] not in UNITS:
        expected = "expected DCS_01_S2x_<date><orbit>_chN_DSIB.xml"
        raise InputError("DSIB name holds no session identifier", dsibs[0].name, expected)
    channels = tuple(_read_channel(dsib, name[1]) for dsib in dsibs)
    numbers = [c.number for c in channels]
    if len(set(numbers)) != len(numbers):
        raise InputError(f"channels {numbers}", folder, "give one session at a time")
    return Session(name[1], match[1], start, int(match[3]), channels, folder)
