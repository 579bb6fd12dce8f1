"""The release of a tile as tasks: one per JPEG 2000 file and one for the Zarr, and what is told of its datastrip."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lxml import etree

from s2dask.graph.tasks import Ref, TaskGraph
from s2dask.instrument import unit
from s2dask.io.datastrip_document import archived_document, parse_document, read_document, write_document
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_facts import datastrip_facts as stated_facts
from s2dask.io.storage import is_local
from s2dask.io.template import set_attributes
from s2dask.production.initial_location import locate
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts
from s2dask.production.strip_release import radiometry_of
from s2dask.release.name_form import parse_iso
from s2dask.release.publish import link_file
from s2dask.release.safe_l0_strip import LOCATION, L0Strip, datastrip_facts
from s2dask.release.safe_l1ab_xml import datastrip_metadata
from s2dask.release.safe_pieces import L1C_MASKS, Counts, Piece
from s2dask.release.tile import Prepared, TileRelease, release_tile
from s2dask.release.tile_store import TileStore

_ECMWF = r"S2[A-Z_]_\w{4}_\w{10}_\w{4}_\d{8}T\d{6}_V\d{8}T\d{6}_\d{8}T\d{6}"


def strip_document(l0: str, aux: str, created: str) -> bytes:
    """Return the metadata of the L1B datastrip of an L0 store.

    Parameters
    ----------
    l0 : str
    aux : str
        Folder of auxiliary files.
    created : str
        When it is made, ISO.
    """
    facts, setting = strip_facts(l0), open_setting(l0, aux)
    attrs = facts.attrs | {LOCATION: locate(setting, facts, aux)}
    strip = L0Strip(l0, attrs, parse_iso(created).replace(microsecond=0))
    radiometry = radiometry_of(setting.gipps, facts.bands, "L1B")
    told = datastrip_facts(strip)
    bands = {b.index: (float(radiometry["physical_gains"][b.name]), *told.bands[b.index][1:]) for b in strip.bands}
    told = replace(told, bands=bands, references={**told.references, "ancillary": ""})
    root = datastrip_metadata(told, replace(strip.name, level="L1B"), radiometry, unit(facts.unit))
    return bytes(etree.tostring(root, encoding="UTF-8"))


def source_document(source: str) -> bytes | None:
    """Return the metadata of the datastrip that a product of another processor, or a store, brings with it."""
    if is_local(source) and source.rstrip("/").endswith((".SAFE", ".zip")):
        return archived_document(SafeArchive.open(source))
    return read_document(source)


def describe_tile(stores: Sequence[str], source: str, aux: str | None) -> list[str]:
    """Put the metadata of its datastrip into the stores of a tile, and what they state into their attributes.

    Parameters
    ----------
    stores : sequence of str
        L1C and L2A stores of the tile.
    source : str
        L0 store, imported L1B store, or L1C product that they are made of.
    aux : str or None
        Folder of auxiliary files; of an L0 store.

    Returns
    -------
    list of str
        `stores`.
    """
    told = source_document(source)
    for url in stores:
        store = TileStore.open(url)
        if told is None and aux is not None:
            told = strip_document(source, aux, str(store.attrs["generation_time"]))
        if told is None:
            break
        stated: dict[str, Any] = stated_facts(parse_document(told, url))
        weather = Path(str(store.attrs.get("meteo") or "")).stem
        if re.fullmatch(_ECMWF, weather):
            stated["ecmwf"] = weather
        write_document(url, told)
        set_attributes(url, {"s2dask": stated | store.attrs})
    return list(stores)


@dataclass(frozen=True, slots=True)
class Released:
    """The tasks that deliver a tile.

    Attributes
    ----------
    last : Ref
        Returns the paths of what was delivered.
    what : TileRelease
    folder : str
        Of what is not delivered yet.
    files : mapping of Piece to Ref
        Of the JPEG 2000 files; what they return goes into the metadata.
    """

    last: Ref
    what: TileRelease
    folder: str
    files: Mapping[Piece, Ref]


def add_release(
    graph: TaskGraph,
    what: TileRelease,
    work: Path,
    delivery: str,
    name: str,
    after: Sequence[Ref] = (),
    l1c: Released | None = None,
) -> Released:
    """Add the tasks that deliver a tile.

    Parameters
    ----------
    graph : TaskGraph
    what : TileRelease
    work : Path
        Folder for what is not delivered yet, on the file system of `delivery`.
    delivery : str
    name : str
        Of the tile, in the names of the tasks: ``T28SCB``.
    after : sequence of Ref
        What the store waits for.
    l1c : Released, optional
        Of an L2A: its L1C, where that is delivered too; their masks are the same files.
    """
    level, there = what.store.level, set(what.pieces)
    what = replace(what)  # without the store, which each task opens: it is described before
    folder, label, after = str(work / f"release-{level}-{name}"), f"{level}-{name}", tuple(after)
    shared = [] if l1c is None else [piece for piece in l1c.files if piece in there and piece.kind in L1C_MASKS]
    files = {
        piece: graph.add(f"FORMAT_IMG-{label}-{piece}", TileRelease.write_piece, what, piece, folder, after=after)
        for piece in sorted(there - set(shared), key=lambda piece: (-_cost(piece), str(piece)))
    }
    ready = [graph.add(f"FORMAT_ZARR-{label}", TileRelease.write_zarr, what, folder, after=after)]
    counts = list(files.values())
    if l1c is not None and shared:
        told = [l1c.files[piece] for piece in shared]
        counts += told
        ready.append(
            graph.add(f"FORMAT_LINK-{label}", _link, what, folder, l1c.what, l1c.folder, shared, after=(*after, *told))
        )
    last = graph.add(f"FORMAT_METADATA-{label}", _deliver, what, delivery, folder, counts, after=tuple(ready))
    return Released(last, what, folder, files)


def _cost(piece: Piece) -> int:
    """Return a measure of the time of a piece: images first, the finest of them first, lest one is waited for."""
    return (2 if piece.kind == "image" else 1) * (360 // piece.resolution) ** 2


def _link(what: TileRelease, folder: str, other: TileRelease, its_folder: str, shared: Sequence[Piece]) -> None:
    """Give files of another product a second name in this one."""
    for piece in shared:
        source = Path(its_folder) / f"{other.name}.SAFE" / piece.path(other.store.names)
        target = Path(folder) / f"{what.name}.SAFE" / piece.path(what.store.names)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # of an attempt before
        link_file(str(source), str(target))


def _deliver(what: TileRelease, delivery: str, folder: str, counts: Sequence[Counts]) -> list[str]:
    return release_tile(what, delivery, Prepared(folder, counts))
