"""The checks of a product that lies there: each item of it against the checklists, whatever happens on the way."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from s2dask.errors import ConfigurationError
from s2dask.qc.checklists import Checklists, load_checklists
from s2dask.qc.checks import CHECKLISTS, Check, CheckResult, Status, conclusion, global_status, judge
from s2dask.qc.functions import FUNCTIONS
from s2dask.qc.functions_item import FUNCTIONS as OF_FILES
from s2dask.qc.items import Item, open_items

_OF_MANIFEST: Final = (
    "manifest_present", "manifest_object", "manifest_object_exists", "id_references", "href_exist", "extra_data",
    "file_sizes", "file_checksums",
)  # fmt: skip
"""Functions that a part of a product, whose manifest is that of the product, is not asked."""


@dataclass(frozen=True)
class ItemReport:
    """What the checks of an item found.

    Attributes
    ----------
    item : Item
    results : tuple of CheckResult
        In the order of the checklist file.
    checklists : Checklists
    moment : datetime
        When the checks were made.
    """

    item: Item
    results: tuple[CheckResult, ...]
    checklists: Checklists
    moment: datetime

    @property
    def parent(self) -> str:
        """GIP_OLQCPA that the product names, without its end of validity; else the checklist file."""
        found = [text for text in self.item.texts("GIPP_FILENAME") if "GIP_OLQCPA" in text]
        return found[0].split("_21000101")[0] if found else f"{self.checklists.name}_{self.checklists.version}"

    @property
    def names(self) -> tuple[str, ...]:
        """Checklists with results, in the mission's order."""
        there = {r.checklist for r in self.results}
        return tuple(name for name in CHECKLISTS if name in there)

    def of(self, checklist: str) -> tuple[CheckResult, ...]:
        """Return the results of one checklist."""
        return tuple(r for r in self.results if r.checklist == checklist)

    @property
    def status(self) -> Status:
        """Worst of the checks."""
        return global_status(self.results)

    @property
    def conclusion(self) -> Status:
        """Worst of the concluding checks."""
        return conclusion(self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "item": self.item.name, "kind": self.item.kind, "level": self.item.level, "gipp": self.parent,
            "checklist_file": {"name": self.checklists.name, "version": self.checklists.version},
            "date": self.moment.isoformat(timespec="milliseconds"), "status": self.status,
            "conclusion": self.conclusion,
            "checklists": {name: global_status(self.of(name)) for name in self.names},
            "checks": [result.as_dict() for result in self.results],
        }  # fmt: skip


def _applies(check: Check, item: Item) -> bool:
    if item.level not in check.levels:
        return False
    if item.url:  # a Zarr has its record and no files that a manifest could name
        return ("RECORD" in check.items or item.kind in check.items) and check.function not in OF_FILES
    return item.kind in check.items and not (item.is_part and check.function in _OF_MANIFEST)


def _chosen(lists: Checklists, item: Item, wanted: Sequence[str]) -> Iterable[Check]:
    """Yield the checks of an item, of several of one name the first: a Zarr has those of a record and of a tile."""
    seen: set[tuple[str, str]] = set()
    for check in lists.checks:
        if _applies(check, item) and (not wanted or check.checklist in wanted):
            if (check.checklist, check.id) not in seen:
                yield check
            seen.add((check.checklist, check.id))


def check_item(item: Item, lists: Checklists | None = None, wanted: Sequence[str] = ()) -> ItemReport:
    """Return the report of an item.

    Parameters
    ----------
    item : Item
    lists : Checklists, optional
        Default: those of s2dask.
    wanted : sequence of str
        Only these checklists; default: all.
    """
    lists = lists or load_checklists()
    moment = datetime.now(UTC)
    results = []
    for check in _chosen(lists, item, wanted):
        began = time.perf_counter()
        result = judge(check, item, FUNCTIONS[check.function])
        if item.url and not result.done and "RECORD" not in check.items:
            continue  # a Zarr has no metadata files: it is asked what it tells
        if check.quiet and result.status != "FAILED" and not result.traceback:
            continue
        spent = round(1e3 * (time.perf_counter() - began), 3)
        where = item.metadata if check.on_metadata else ""
        results.append(replace(result, milliseconds=spent, item=where))
    return ItemReport(item, tuple(results), lists, moment)


def check_product(
    source: str, file: str | None = None, wanted: Sequence[str] = (), look: bool = True
) -> list[ItemReport]:
    """Check a product or PDI: a report per item, the product first.

    Parameters
    ----------
    source : str
        Folder or zip of a SAFE, folder of a PDI, a metadata file alone, or a Zarr product of s2dask.
    file : str, optional
        Checklist file in place of that of s2dask.
    wanted : sequence of str
        Only these checklists.
    look : bool
        Whether pixels may be read.
    """
    strangers = [name for name in wanted if name not in CHECKLISTS]
    if strangers:
        raise ConfigurationError(f"no checklist {strangers[0]}", "--checklist", f"one of {', '.join(CHECKLISTS)}")
    lists = load_checklists(file)
    return [check_item(item, lists, wanted) for item in open_items(source, lists.inputs, look)]


def worst(reports: Sequence[ItemReport]) -> Status:
    """Return the worst conclusion of several items: what the exit code tells."""
    return conclusion(result for report in reports for result in report.results)
