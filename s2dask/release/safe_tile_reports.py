"""Reports of the quality control of a tile, one per checklist, in the QI_DATA of its granule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from s2dask.release.safe_l0_reports import Inspection, report
from s2dask.release.safe_xml import checklists, write_document
from s2dask.release.tile_store import TileStore

_OWN_FORM: Final = "L2A_QUALITY"
"""A checklist whose report has a schema of its own."""


def _inspection(check: Mapping[str, Any]) -> Inspection:
    value, name = check.get("value"), str(check.get("id") or check["checklist"])
    values = () if value is None else ((name.upper(), f"{float(value):.9g}"),)
    passed, message = check["status"] == "PASSED", str(check.get("message") or "")
    return Inspection(name, name.replace("_", " "), message, passed, values)


def write_reports(store: TileStore, folder: Path) -> None:
    """Write the reports of a tile: every check that its attributes hold, by checklist.

    Parameters
    ----------
    store : TileStore
    folder : Path
        SAFE folder.
    """
    names = store.names
    there = Inspection("checkMetadata", "Metadata check.", "Metadata file is present.", passed=True)
    for checklist in checklists(store):
        if checklist == _OWN_FORM:
            continue
        checks = [_inspection(c) for c in store.attrs.get("checks") or () if c.get("checklist") == checklist]
        document = report(f"{checklist}.xml", str(names.tile), "Tile", checklist, [*checks, there], names.tile.created)
        write_document(document, folder / names.granule_folder / "QI_DATA" / f"{checklist}.xml")
