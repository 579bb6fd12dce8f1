"""What an archive holds: the sessions and SAFE products below a folder or URL, found by their names alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from s2dask.errors import InputMissing, S2Error
from s2dask.instrument.units import unit as unit_of
from s2dask.io.storage import filesystem, is_local
from s2dask.l0.dsib import block_name, dsib_session
from s2dask.l0.session import session_identity
from s2dask.production.campaign_request import CYCLE, Request
from s2dask.release.names import DatastripName, ProductName

Kind = Literal["session", "l1b", "l1c"]
_DOWNLINK: Final = timedelta(hours=12)
"""A session begins at the latest so long after what it holds was sensed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something that an archive holds.

    Attributes
    ----------
    url : str
    name : str
        Unique in the archive: that of its run.
    kind : {"session", "l1b", "l1c"}
    unit : str
        Empty: its name does not tell.
    date : datetime or None
        Of a session when it was received, of a product when it was sensed [UTC].
    orbit : int
        Absolute of a session, relative of a product; 0: its name does not tell.
    tile : str
        Of an L1C product.
    """

    url: str
    name: str
    kind: Kind
    unit: str = ""
    date: datetime | None = None
    orbit: int = 0
    tile: str = ""

    def relative_orbit(self) -> int:
        """Return its relative orbit, 0 when its name does not tell."""
        return unit_of(self.unit).relative_orbit(self.orbit) if self.orbit > CYCLE and self.unit else self.orbit


def _session(url: str, identifier: str) -> Source:
    name = PurePosixPath(url.rstrip("/")).name
    try:
        unit, date, orbit, _ = session_identity(identifier, url, None, None)
    except S2Error:  # through EDRS nothing tells the unit; a damaged name says so when its run begins
        return Source(url, name, "session")
    return Source(url, name, "session", unit, date, orbit)


def _product(url: str) -> Source:
    file = PurePosixPath(url.rstrip("/")).name
    name = file.removesuffix(".zip").removesuffix(".SAFE")
    try:
        told = ProductName.parse(name)
        return Source(url, name, "l1c", told.unit, told.datatake_start, told.relative_orbit, told.tile)
    except S2Error:
        pass
    try:
        strip = DatastripName.parse(name)
        return Source(url, name, "l1b", strip.unit, strip.sensing_start)
    except S2Error:
        return Source(url, name, "l1c" if "MSIL1C" in name else "l1b", name[:3] if name.startswith("S2") else "")


def _walk(fs: Any, root: str) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, path, session identifier) of what lies below a folder; products are not entered."""
    front = [root]
    while front:
        folder = front.pop()
        entries = sorted(fs.ls(folder, detail=True), key=lambda e: str(e["name"]))
        own = {"session": ""}
        for entry in entries:
            path = str(entry["name"]).rstrip("/")
            name = PurePosixPath(path).name
            if path == folder.rstrip("/"):
                continue
            if name.endswith((".SAFE", ".zip")):
                if "MSIL1C" in name or "MSI_L1B" in name:
                    yield "product", path, ""
            elif entry["type"] == "directory" and not name.startswith(".") and name not in ("aux", "truth.zarr"):
                front.append(path)
            elif found := dsib_session(name) or (block_name(name) or ("",))[0]:
                own["session"] = found
        if own["session"]:
            yield "session", folder, own["session"]


def _place(path: str) -> str:
    """Return the folder of a session from one of its channels."""
    found = PurePosixPath(path)
    return str(found.parent) if found.name.startswith("ch_") else str(found)


def find_sources(url: str) -> list[Source]:
    """Return what an archive holds, by date and name.

    Parameters
    ----------
    url : str
        Folder or fsspec URL; may itself be a session or a product.

    Raises
    ------
    InputMissing
        Where nothing is there.
    """
    fs, root = filesystem(url)
    fs.invalidate_cache()
    if not fs.exists(root):
        raise InputMissing("nothing there", url, "check the path")

    def told(path: str) -> str:
        return path if is_local(url) else str(fs.unstrip_protocol(path))

    if url.rstrip("/").endswith((".SAFE", ".zip")):
        return [_product(url)]
    sessions: dict[str, str] = {}
    products = []
    for kind, path, identifier in _walk(fs, root):
        if kind == "product":
            products.append(_product(told(path)))
        else:
            sessions[_place(path)] = identifier
    folders = [PurePosixPath(path).parent for path in sessions]
    found = []
    for path, identifier in sessions.items():
        # a session with its auxiliary files beside it is the folder of both
        above = PurePosixPath(path).parent
        alone = folders.count(above) == 1 and fs.exists(f"{above}/aux") and PurePosixPath(path).name.startswith("DCS_")
        found.append(_session(told(str(above) if alone else path), identifier))
    return sorted([*found, *products], key=lambda s: (s.date or datetime.max.replace(tzinfo=UTC), s.name, s.url))


def refusal(source: Source, request: Request, wanted: frozenset[str] | None) -> str:
    """Return why a source is not of a campaign, as far as its name tells; empty if it may be."""
    if request.unit and source.unit and source.unit not in request.unit:
        return f"of {source.unit}"
    if request.orbits and source.orbit:
        known = {source.orbit, source.relative_orbit()}
        if not known & set(request.orbits):
            return f"of orbit {source.orbit}"
    if request.dates is not None and source.date is not None:
        first, stop = request.dates
        late = _DOWNLINK if source.kind == "session" else timedelta(0)
        if not first <= source.date < stop + late:
            return f"of {source.date:%Y-%m-%d}"
    if wanted is not None and source.tile and source.tile not in wanted:
        return f"of tile T{source.tile}"
    if source.kind == "l1c" and request.to != "L2A":
        return f"an L1C product, of which no {request.to} is made"
    if source.kind == "l1b" and request.to not in ("L1C", "L2A"):
        return f"an L1B product, of which no {request.to} is made"
    return ""
