"""The page of a quality control: one HTML file with everything in it, pictures and histograms too."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment

from s2dask.qc.checks import CheckResult, conclusion, global_status
from s2dask.qc.engine import ItemReport
from s2dask.qc.pixels import histogram_path, quicklook


def _shares(results: Sequence[CheckResult]) -> dict[str, int]:
    return {status: sum(r.status == status for r in results) for status in ("PASSED", "FAILED", "ERROR")}


def _bands(made: ItemReport) -> list[dict[str, Any]]:
    return [
        {
            "name": s.image.band, "resolution": s.image.resolution, "file": s.image.name,
            "rows": s.image.shape[0], "columns": s.image.shape[1], "valid": s.valid_percentage,
            "negative": s.negative_percentage, "saturated": s.saturated_percentage,
            "low": s.low, "mean": s.mean, "high": s.high, "path": histogram_path(s),
        }
        for s in made.item.statistics
    ]  # fmt: skip


def _item(made: ItemReport) -> dict[str, Any]:
    picture, caption = quicklook(made.item.statistics)
    lists = [
        {"name": name, "status": global_status(made.of(name)), "results": made.of(name), **_shares(made.of(name))}
        for name in made.names
    ]
    return {
        "name": made.item.name, "kind": made.item.kind.lower(), "level": made.item.level, "status": made.status,
        "conclusion": made.conclusion, "parent": made.parent, "lists": lists, "picture": picture, "caption": caption,
        "bands": _bands(made), "looked": made.item.look,
    }  # fmt: skip


def render(reports: Sequence[ItemReport], title: str) -> str:
    """Return the page of one or several items as HTML that refers to nothing outside of itself."""
    results = [result for made in reports for result in made.results]
    template = files("s2dask.qc").joinpath("data/page.html.j2").read_text("utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template).render(
        title=title, items=[_item(made) for made in reports], shares=_shares(results),
        conclusion=conclusion(results), moment=reports[0].moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        lists=f"{reports[0].checklists.name} {reports[0].checklists.version}",
    )  # fmt: skip


def write_page(reports: Sequence[ItemReport], title: str, path: str | Path) -> None:
    """Write the page as one HTML file."""
    Path(path).write_text(render(reports, title), "utf-8")
