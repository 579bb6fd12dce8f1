"""Reports of the quality control of a tile, one per checklist, in the QI_DATA of its granule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from s2dask.qc.checklists import load_checklists
from s2dask.qc.checks import CheckResult
from s2dask.qc.engine import check_item
from s2dask.qc.items import open_items
from s2dask.qc.olqc import Subject, report
from s2dask.qc.olqc_l2a import l2a_report
from s2dask.release.safe_xml import checklists, write_document
from s2dask.release.tile_store import TileStore

_OWN_FORM: Final = "L2A_QUALITY"
"""A checklist whose report has a schema of its own."""


def _result(check: Mapping[str, Any], level: str) -> CheckResult:
    """Return a check of the attributes of a tile; one that came from a SAFE tells less."""
    value, name = check.get("value"), str(check.get("id") or check["checklist"])
    values = tuple((str(k), str(v)) for k, v in check.get("values") or ())
    if not values and value is not None:
        values = ((name.upper(), f"{float(value):.9g}"),)
    status = "PASSED" if check["status"] == "PASSED" else "FAILED"
    message, title = str(check.get("message") or ""), str(check.get("title") or f"{name.replace('_', ' ')} ")
    severity = str(check.get("severity") or "informative")
    return CheckResult(name, str(check["checklist"]), level, severity, status, None, message, title, values)  # type: ignore[arg-type]


def write_reports(store: TileStore, folder: Path) -> None:
    """Write the reports of a tile: every check that its attributes hold, by checklist.

    That of Level-2A has the values that its metadata tell, which are there already.

    Parameters
    ----------
    store : TileStore
    folder : Path
        SAFE folder.
    """
    names, lists = store.names, load_checklists()
    target, moment = folder / names.granule_folder / "QI_DATA", names.tile.created
    file = next((n for n in store.attrs.get("gipps") or () if "GIP_OLQCPA" in str(n)), f"{lists.name}_{lists.version}")
    subject = Subject(
        str(names.tile), store.level[1:], "Tile", str(file).split("_21000101", 1)[0], lists.version, moment
    )
    for checklist in checklists(store):
        if checklist == _OWN_FORM:
            continue
        there = CheckResult(
            "checkMetadata", checklist, store.level, "concluding", "PASSED", None, "Metadata file is present.",
            "Metadata file check. ",
        )  # fmt: skip
        found = [_result(c, store.level) for c in store.attrs.get("checks") or () if c.get("checklist") == checklist]
        document = report(f"{names.granule_folder}/QI_DATA/{checklist}.xml", subject, checklist, [*found, there])
        write_document(document, target / f"{checklist}.xml")
    if store.level == "L2A":
        tile = next(i for i in open_items(str(folder), lists.inputs, look=False) if i.kind == "TILE")
        told = [r for r in check_item(tile, lists, (_OWN_FORM,)).results if r.group and r.done]
        write_document(l2a_report(_OWN_FORM, subject, told), target / f"{_OWN_FORM}.xml")
