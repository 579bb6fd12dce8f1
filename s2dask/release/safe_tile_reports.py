"""Reports of the quality control of a tile product, of its tile and its datastrip: one per checklist, in QI_DATA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s2dask.instrument import BANDS
from s2dask.qc.checklists import Checklists, load_checklists
from s2dask.qc.checks import CheckResult, Status, global_status
from s2dask.qc.engine import ItemReport, check_item
from s2dask.qc.items import Item, open_items
from s2dask.qc.olqc import write_reports as write_items
from s2dask.release.tile_store import TileStore


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one report says.

    Attributes
    ----------
    kind : {"DATASTRIP", "TILE"}
    item : str
        Identifier.
    checklist : str
    status : {"PASSED", "FAILED", "ERROR"}
    file : str
        Path in the SAFE.
    """

    kind: str
    item: str
    checklist: str
    status: Status
    file: str


def _measured(check: Mapping[str, Any], level: str) -> CheckResult:
    """Return a check of the attributes of a tile; one that came from a SAFE tells less."""
    value, name = check.get("value"), str(check.get("id") or check["checklist"])
    values = tuple((str(k), str(v)) for k, v in check.get("values") or ())
    if not values and value is not None:
        values = ((name.upper(), f"{float(value):.9g}"),)
    status = "PASSED" if check["status"] == "PASSED" else "FAILED"
    message, title = str(check.get("message") or ""), str(check.get("title") or f"{name.replace('_', ' ')} ")
    severity = str(check.get("severity") or "informative")
    return CheckResult(name, str(check["checklist"]), level, severity, status, None, message, title, values)  # type: ignore[arg-type]


def _record(store: TileStore, lost: float | None) -> dict[str, float]:
    """Return what is known of a tile without reading its images again: lost pixels, negative reflectances by band."""
    told = store.attrs.get("record") or {}
    out = {} if lost is None else {"lost_percentage": lost}
    for name in BANDS if store.level == "L2A" else ():
        found = next((f"r{r}m.{name.lower()}" for r in (10, 20, 60) if f"r{r}m.{name.lower()}.negative" in told), "")
        if found and told[f"{found}.valid"]:
            out[f"negative.{name}"] = 100.0 * told[f"{found}.negative"] / told[f"{found}.valid"]
    return out


def _better(results: Sequence[CheckResult], measured: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """Return the checks of the files with those of the processing: its failures count, its other checks join."""
    known = {(m.checklist, m.id): m for m in measured}
    out = []
    for result in results:
        told = known.pop((result.checklist, result.id), None)
        failed = told is not None and told.status != "PASSED" and result.status == "PASSED"
        out.append(told if told is not None and failed else result)
    return (*out, *known.values())


def _checked(item: Item, store: TileStore, lists: Checklists, lost: float | None) -> ItemReport:
    if item.kind != "TILE":
        return check_item(item, lists)
    made = check_item(replace(item, record=_record(store, lost)), lists)
    measured = [_measured(check, store.level) for check in store.attrs.get("checks") or ()]
    return replace(made, results=_better(made.results, measured))


def write_reports(store: TileStore, folder: Path, lost: float | None = None) -> list[Inspection]:
    """Check the tile and the datastrip of a SAFE, whose images and metadata are there, and write their reports.

    Parameters
    ----------
    store : TileStore
        What the SAFE is made of: its checks join those of the files.
    folder : Path
        SAFE folder.
    lost : float, optional
        Pixels that the quality masks call lost [%]; without it the masks are read.

    Returns
    -------
    list of Inspection
        Of each report.

    Notes
    -----
    Dates are that of the product and durations are left out: the same bytes at every run.
    """
    lists, out = load_checklists(), []
    for item in open_items(str(folder), lists.inputs):
        if item.kind == "PRODUCT":
            continue
        made = _checked(item, store, lists, lost)
        results = tuple(replace(result, milliseconds=0.0) for result in made.results)
        made = replace(made, results=results, moment=store.names.tile.created)
        paths = [path.relative_to(folder).as_posix() for path in write_items([made], folder)]
        out += [
            Inspection(item.kind, item.name, name, global_status(made.of(name)), path)
            for name, path in zip(made.names, paths, strict=True)
        ]
    return out
