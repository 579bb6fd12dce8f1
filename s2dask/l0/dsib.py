"""DSIB: the small file in which a station says which DSDB files a channel of a session has, and how many bytes."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

from lxml import etree

from s2dask.errors import InputError

MAX_BYTES: Final = 10_000_000
FETCH: Final = "fetch it again from the station"
_NAME: Final = re.compile(r"DCS_\d+_(?P<session>.+?)_ch(?P<channel>\d+)_DSIB\.xml")
_BLOCK: Final = re.compile(r"DCS_\d+_(?P<session>.+?)_ch(?P<channel>\d+)_DSDB_(?P<number>\d+)\.raw")


@dataclass(frozen=True, slots=True)
class Dsib:
    """What a DSIB announces.

    Attributes
    ----------
    name : str
        Of the file.
    session : str
    channel : int
    names : tuple of str
        DSDB files in their order.
    size : str
        Bytes of all of them, as written.
    start, stop : datetime or None
        When the channel began and ended to be received [UTC] (time_start, time_stop), None when it does not tell.
    """

    name: str
    session: str
    channel: int
    names: tuple[str, ...]
    size: str
    start: datetime | None = None
    stop: datetime | None = None

    @property
    def bytes(self) -> int | None:
        """Bytes of all files together; None when that is no number. 0 with no file is an empty channel."""
        digits = self.size.lstrip("0") or "0"
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def block_name(name: str) -> tuple[str, int, int] | None:
    """Return (session, channel, number) of the name of a DSDB file, None for any other name."""
    match = _BLOCK.fullmatch(name)
    return (match["session"], int(match["channel"]), int(match["number"])) if match else None


def dsib_session(name: str) -> str | None:
    """Return the session that the name of a DSIB tells, None for any other name."""
    match = _NAME.fullmatch(name)
    return match["session"] if match else None


def _root(content: bytes, name: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"DSIB is no well-formed XML ({error.msg})", name, FETCH) from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]  # the stubs do not know it
        raise InputError("DSIB declares a document type", name, "a DSIB never has one: it is refused")
    return root


def _text(root: etree._Element, tag: str, where: str) -> str:
    value = root.findtext(f".//{tag}")
    if not value or not value.strip():
        raise InputError(f"DSIB has no {tag}", where, FETCH)
    return value.strip()


def _time(root: etree._Element, tag: str, where: str) -> datetime | None:
    text = (root.findtext(f".//{tag}") or "").strip()
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"DSIB has {tag} {text[:40]!r}, which is no date", where, FETCH) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_dsib(content: bytes, name: str) -> Dsib:
    """Read a DSIB.

    Parameters
    ----------
    content : bytes
    name : str
        Of the file; tells session and channel.

    Raises
    ------
    InputError
        When it is damaged, or names files that can be none of its channel.
    """
    root, match = _root(content, name), _NAME.fullmatch(name)
    session = match["session"] if match else ""
    found = _text(root, "session_id", name)
    if found != session:
        raise InputError(f"DSIB is of session {found}, not {session}", name, "fetch the DSIB of this session")
    if not match or match["channel"] not in ("1", "2"):
        raise InputError("DSIB name tells no channel", name, "names end in _ch1_DSIB.xml or _ch2_DSIB.xml")
    channel, size = int(match["channel"]), _text(root, "data_size", name)
    names = tuple((e.text or "").strip() for e in root.findall(".//dsdb_list/dsdb_name"))
    if len(set(names)) != len(names):
        raise InputError("DSIB lists a file twice", name, FETCH)
    for listed in names:
        if listed in ("", "..") or PurePosixPath(listed).name != listed:
            raise InputError(f"DSIB lists {listed!r}, which is no file name", name, FETCH)
        told = block_name(listed)
        if told is None or told[0] != session:
            raise InputError(f"DSIB lists {listed!r}, which is no DSDB of session {session}", name, FETCH)
        if told[1] != channel:
            raise InputError(f"DSIB of channel {channel} lists {listed!r}, of channel {told[1]}", name, FETCH)
    start, stop = (_time(root, tag, name) for tag in ("time_start", "time_stop"))
    if start and stop and stop < start:
        raise InputError(f"DSIB ends at {stop:%Y-%m-%dT%H:%M:%S}, before it begins", name, FETCH)
    return Dsib(name, session, channel, names, size, start, stop)
