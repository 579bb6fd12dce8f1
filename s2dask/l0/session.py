"""A session as a station delivers it: what the DSIBs promise, what is there, and what is wrong with it.

XBIP, CADIP and EDRS lay a session out alike: ``[NOMINAL|RETRANSFER/<unit>/]DCS_<nn>_<session>_dat/ch_<n>/`` with
``…_ch<n>_DSDB_<number>.raw`` and, last, ``…_ch<n>_DSIB.xml``. Files may come in any order, twice, and again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import UNITS, unit
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.blocks import Block, Kept, Promise, file_name, keep_once, list_session, read_whole
from s2dask.l0.datatake import NOMINAL
from s2dask.l0.dsib import FETCH, MAX_BYTES, Dsib, dsib_session, parse_dsib

_GROUND: Final = re.compile(r"(?P<unit>S2[A-Z])_(?P<date>\d{14})(?P<orbit>\d{6})")
_RELAY: Final = re.compile(r"L(?P<date>\d{14})\d{3}\d{6}")
"""Of a session through EDRS: it tells neither unit nor orbit."""
CHANNELS: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a session.

    Attributes
    ----------
    number : int
    dsib : str
        Path of the DSIB, empty before it has come.
    files : tuple of str
        Paths of the DSDBs in their order, each content once.
    bytes : int
    received : (datetime, datetime) or None
        When it began and ended to be received [UTC]; None before the DSIB tells.
    """

    number: int
    dsib: str
    files: tuple[str, ...]
    bytes: int
    received: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session that may be processed.

    Attributes
    ----------
    id : str
    unit : str
    start : datetime
        Date in the identifier.
    orbit : int
        Absolute orbit of the downlink; 0 when nothing tells it (EDRS).
    channels : tuple of Channel
    folder : str
    station : str
        ``EDRS`` for a session through the relay, else empty: the identifier does not tell.
    missing : tuple of str
        Announced files that are not there; only of a session that was asked to go on without them.
    missing_frames : int
        What they held, by the bytes that the DSIBs promise.
    datatake_type : str
        Telemetry does not tell it: the mission plan does, and whoever orders the run says it.
    """

    id: str
    unit: str
    start: datetime
    orbit: int
    channels: tuple[Channel, ...]
    folder: str
    station: str = ""
    missing: tuple[str, ...] = ()
    missing_frames: int = 0
    datatake_type: str = NOMINAL

    def facts(self) -> dict[str, Any]:
        """Return what ``s2dask info`` shows."""
        out: dict[str, Any] = {"session": self.id, "format": "CADU session (DSDB, DSIB)", "unit": self.unit}
        if self.orbit:
            out |= {"absolute_orbit": self.orbit, "relative_orbit": unit(self.unit).relative_orbit(self.orbit)}
        if self.station:
            out["reception_station"] = self.station
        for channel in self.channels:
            out[f"channel_{channel.number}"] = f"{len(channel.files)} files, {channel.bytes // CADU_BYTES} frames"
        if self.missing:
            out["missing_files"] = list(self.missing)
        return out


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session while it arrives.

    Attributes
    ----------
    id, unit, start, orbit, station, folder
        As in `Session`.
    dsibs : mapping of int to Dsib
        By channel, those that have come.
    dsib_paths : mapping of int to str
    blocks : tuple of Block
        Files that can be processed, each name and each content once, by channel and number.
    missing : tuple of str
        Announced and not there, or not whole.
    damaged : tuple of (str, str)
        There with a size or MD5 that cannot be, and why: as good as missing until it comes again.
    unannounced : tuple of str
        There, but not in the DSIB of their channel; left out.
    duplicates : tuple of (str, str)
        Path of a file that is left out, and the name of the one with the same content.
    retransferred : tuple of str
        Names that came again with another content; the later one counts.
    late : tuple of str
        Announced files that came after their DSIB.
    """

    id: str
    unit: str
    start: datetime
    orbit: int
    station: str
    folder: str
    dsibs: Mapping[int, Dsib]
    dsib_paths: Mapping[int, str]
    blocks: tuple[Block, ...]
    missing: tuple[str, ...]
    damaged: tuple[tuple[str, str], ...]
    unannounced: tuple[str, ...]
    duplicates: tuple[tuple[str, str], ...]
    retransferred: tuple[str, ...]
    late: tuple[str, ...]

    @property
    def announced(self) -> int:
        """Number of files that the DSIBs list."""
        return sum(len(d.names) for d in self.dsibs.values())

    @property
    def present(self) -> int:
        """Number of announced files that are there and whole, whatever they hold."""
        return self.announced - len(self.missing)

    @property
    def lacking(self) -> tuple[str, ...]:
        """What has to come yet: DSIBs, and files that those which are there announce."""
        return (*(f"DSIB of channel {k}" for k in CHANNELS if k not in self.dsibs), *self.missing)

    @property
    def whole(self) -> bool:
        """Whether it is complete to the byte that the DSIBs promise."""
        return self.complete and all(d.bytes == self.held(k) for k, d in self.dsibs.items())

    @property
    def complete(self) -> bool:
        """Whether the DSIBs of both channels are there and as many files as they list together."""
        return set(self.dsibs) == set(CHANNELS) and self.present == self.announced

    def files(self, channel: int) -> tuple[str, ...]:
        """Return the paths of the files of a channel that can be processed, in their order."""
        return tuple(b.url for b in self.blocks if b.channel == channel)

    def held(self, channel: int) -> int:
        """Return the bytes of the announced files of a channel that are there."""
        there = {b.name: b.size for b in self.blocks}
        double = {file_name(path): there[name] for path, name in self.duplicates if name in there}
        dsib = self.dsibs.get(channel)
        return sum(there.get(name, double.get(name, 0)) for name in dsib.names) if dsib else 0

    def missing_frames(self, channel: int) -> int | None:
        """Return how many frames the missing files of a channel held, None before its DSIB tells."""
        dsib = self.dsibs.get(channel)
        return None if dsib is None or dsib.bytes is None else (dsib.bytes - self.held(channel)) // CADU_BYTES

    def changed(self, before: "SessionState") -> tuple[Block, ...]:
        """Return the files that are new or another than before: those that are to be decoded."""
        known = {b.key for b in before.blocks}
        return tuple(b for b in self.blocks if b.key not in known)

    def _received(self, channel: int) -> tuple[datetime, datetime] | None:
        dsib = self.dsibs.get(channel)
        return (dsib.start, dsib.stop) if dsib and dsib.start and dsib.stop else None

    def session(self) -> Session:
        """Return the session as it is there now."""
        channels = tuple(
            Channel(
                k, self.dsib_paths.get(k, ""), self.files(k), sum(b.size for b in self.blocks if b.channel == k),
                self._received(k),
            )
            for k in CHANNELS
            if k in self.dsibs or self.files(k)
        )  # fmt: skip
        lost = sum(max(self.missing_frames(k) or 0, 0) for k in CHANNELS) if self.missing else 0
        return Session(
            self.id, self.unit, self.start, self.orbit, channels, self.folder, self.station, self.missing, lost
        )


def _date(digits: str) -> datetime | None:
    try:
        return datetime.strptime(digits + "+0000", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None


def _orbit(own: int, name: str, told: int | None) -> int:
    """Return the absolute orbit by the identifier or as it was told, 0 when neither knows."""
    if told is not None and told < 1:
        raise ConfigurationError(f"no orbit {told}", "--orbit", "absolute orbits begin with 1")
    if told is not None and own not in (0, told):
        raise ConfigurationError(f"the session is of orbit {own}, not of {told}", name, "leave --orbit away")
    return own or told or 0


def session_identity(name: str, where: str, told: str | None, orbit: int | None) -> tuple[str, datetime, int, str]:
    """Return (unit, date, orbit, station) of a session by its identifier and what was told beside it."""
    ground, relay = _GROUND.fullmatch(name), _RELAY.fullmatch(name)
    match = ground or relay
    start = _date(match["date"]) if match else None
    if told is not None and told not in UNITS:
        raise ConfigurationError(f"no unit {told}", "--unit", f"one of {', '.join(UNITS)}")
    of = ground["unit"] if ground else (told or next((p for p in PurePosixPath(where).parts if p in UNITS), ""))
    if match is None or start is None or (ground and of not in UNITS):
        expected = "expected DCS_01_S2x_<date><orbit>_chN_DSIB.xml, or _L<date>… of EDRS"
        raise InputError("DSIB name holds no session identifier", file_name(where), expected)
    if not of:
        remedy = f"an EDRS identifier does not: add --unit {next(iter(UNITS))}, or put it under a folder of that name"
        raise ConfigurationError("nothing tells the unit", name, remedy)
    if told not in (None, of):
        raise ConfigurationError(f"the session is of {of}, not of {told}", name, "leave --unit away")
    return of, start, _orbit(int(ground["orbit"]) if ground else 0, name, orbit), "" if ground else "EDRS"


def _read_dsibs(
    listed: Sequence[tuple[str, int, float]], folder: str
) -> tuple[dict[int, Dsib], dict[int, str], dict[int, float]]:
    """Return the DSIBs, their paths and when they came, by channel; the later of two of a channel counts."""
    dsibs: dict[int, Dsib] = {}
    paths: dict[int, str] = {}
    when: dict[int, float] = {}
    for path, size, date in listed:
        name = file_name(path)
        if size > MAX_BYTES:
            raise InputError("DSIB is unreasonably large", name, FETCH)
        dsib = parse_dsib(read_whole(path), name)
        other = next((d for d in dsibs.values() if d.session != dsib.session), None)
        if other:
            found = f"DSIB is of session {dsib.session}, not {other.session}"
            raise InputError(found, name, "give one session at a time")
        known = dsibs.get(dsib.channel)
        if known and known.name != dsib.name:
            raise InputError(f"two DSIBs of channel {dsib.channel}", folder, "give one session at a time")
        if known is None or date >= when[dsib.channel]:
            dsibs[dsib.channel], paths[dsib.channel], when[dsib.channel] = dsib, path, date
    return dsibs, paths, when


def survey(
    folder: str,
    unit: str | None = None,
    promised: Mapping[str, Promise] | None = None,
    *,
    orbit: int | None = None,
) -> SessionState:
    """Look at what has come of a session.

    Parameters
    ----------
    folder : str
        Local path or fsspec URL; holds ``DCS_…_dat/ch_1`` and ``ch_2``, or is that folder.
    unit : str, optional
        Of a session through EDRS, whose identifier does not tell.
    promised : mapping of str to Promise, optional
        Size and MD5 by file name, where the station tells them (CADIP).
    orbit : int, optional
        Absolute orbit of a session through EDRS.

    Raises
    ------
    InputMissing
        When nothing of a session is there.
    InputError
        For a DSIB that is damaged or of another session.
    """
    listed_blocks, listed_dsibs = list_session(folder)
    if not listed_blocks and not listed_dsibs:
        raise InputMissing("no DSIB (*_DSIB.xml) and no DSDB", folder, "give the folder of a CADU session")
    first = listed_dsibs[0][0] if listed_dsibs else listed_blocks[0].url
    found = dsib_session(file_name(first)) if listed_dsibs else listed_blocks[0].session
    identity = session_identity(found or "", first, unit, orbit)
    dsibs, paths, closed = _read_dsibs(listed_dsibs, folder)
    foreign = next((b for b in listed_blocks if b.session != found), None)
    if foreign:
        raise InputError(f"DSDB is of session {foreign.session}, not {found}", foreign.name, "give one session")
    names = {name for d in dsibs.values() for name in d.names}
    strange = [b for b in listed_blocks if b.channel in dsibs and b.name not in names]
    odd = [b for b in listed_blocks if b.channel not in CHANNELS]
    rest = [b for b in listed_blocks if b not in strange and b not in odd]
    order = {name: k for d in dsibs.values() for k, name in enumerate(d.names)}
    kept: Kept = keep_once(rest, order, promised or {})
    here = {b.name for b in kept.blocks} | {file_name(path) for path, _ in kept.duplicates}
    return SessionState(
        str(found), identity[0], identity[1], identity[2], identity[3], folder, dsibs, paths, kept.blocks,
        tuple(name for d in dsibs.values() for name in d.names if name not in here), kept.damaged,
        tuple(b.name for b in (*strange, *odd)), kept.duplicates, kept.retransferred,
        tuple(b.name for b in kept.blocks if b.name in names and b.time > closed[b.channel]),
    )  # fmt: skip


def _refuse_gaps(state: SessionState) -> None:
    lacking = [k for k in CHANNELS if k not in state.dsibs]
    if lacking:
        raise InputMissing(f"no DSIB of channel {lacking[0]}", state.folder, f"{FETCH}, or allow gaps")
    if state.damaged:
        raise InputError(state.damaged[0][1], state.damaged[0][0], FETCH)
    if state.missing:
        by = next(d.name for d in state.dsibs.values() if state.missing[0] in d.names)
        raise InputMissing(f"listed in {by} but not there", state.missing[0], f"{FETCH}, or allow gaps")


def accept_session(state: SessionState, *, allow_gaps: bool = False) -> Session:
    """Return the session that may be processed of what is there; see `scan_session`."""
    if not state.dsibs and not allow_gaps:
        raise InputMissing("no DSIB (*_DSIB.xml)", state.folder, "give the folder of a CADU session")
    if not allow_gaps:
        _refuse_gaps(state)
    for k, dsib in state.dsibs.items():
        held, absent = state.held(k), any(name in state.missing for name in dsib.names)
        if dsib.bytes is None or dsib.bytes < held or (dsib.bytes > held and not absent):
            raise InputError(f"DSIB promises {dsib.size:.20} bytes, its files hold {held}", dsib.name, FETCH)
    return state.session()


def scan_session(
    folder: str, *, allow_gaps: bool = False, unit: str | None = None, orbit: int | None = None
) -> Session:
    """Read the DSIBs of a session and check that every file that they list is there and whole.

    Parameters
    ----------
    folder : str
        Local path or fsspec URL; holds ``DCS_…_dat/ch_1`` and ``ch_2``, or is that folder.
    allow_gaps : bool
        Go on without missing files, or without a DSIB; what is lost is counted.
    unit, orbit : str, int, optional
        Unit and absolute orbit of a session through EDRS, whose identifier tells neither.

    Raises
    ------
    InputMissing
        Without a DSIB, or with a listed file absent.
    InputError
        For a truncated file or a DSIB that contradicts its files.
    ConfigurationError
        When nothing tells the unit, or `unit` or `orbit` contradicts the identifier.
    """
    return accept_session(survey(folder, unit, orbit=orbit), allow_gaps=allow_gaps)
