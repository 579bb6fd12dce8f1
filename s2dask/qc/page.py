"""The page of a quality control: one HTML file with everything in it, pictures and histograms too."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment

from s2dask.qc.checks import CheckResult, conclusion, global_status
from s2dask.qc.drawing import svg, trend_drawing
from s2dask.qc.engine import ItemReport
from s2dask.qc.indicators import Product
from s2dask.qc.pixels import detector_of, histogram_path, quicklook
from s2dask.qc.sheet import number
from s2dask.qc.standing import Standing


def _shares(results: Sequence[CheckResult]) -> dict[str, int]:
    return {status: sum(r.status == status for r in results) for status in ("PASSED", "FAILED", "ERROR")}


def _bands(made: ItemReport) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{s.image.band} {detector_of(s.image)}".rstrip(), "resolution": s.image.resolution,
            "file": s.image.name,
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


_IDENTITY = {
    "name": "Product", "level": "Level", "unit": "Unit", "kind": "Kind", "sensing_time": "Sensed",
    "generation_time": "Made", "tile": "Tile", "baseline": "Processing baseline", "datatake": "Datatake",
    "gipp_set": "GIPP set",
}  # fmt: skip
_MOST_CHARTS = 12


def _identity(products: Sequence[Product]) -> list[tuple[str, list[str]]]:
    """Return (heading, text of each product) of what is told of any."""
    products = list(dict.fromkeys(products))
    rows = [(title, [str(getattr(product, name)) for product in products]) for name, title in _IDENTITY.items()]
    return [(title, texts) for title, texts in rows if any(texts)]


def _rows(found: Sequence[Standing]) -> list[dict[str, Any]]:
    return [
        {
            "name": s.indicator.indicator, "band": s.indicator.band, "level": s.product.level, "state": s.state,
            "detector": f"D{s.indicator.detector:02d}" if s.indicator.detector else "",
            "value": number(s.indicator.value, 6), "others": s.others, "median": number(s.median),
            "usual": "-" if s.low is None else f"{number(s.low)} … {number(s.high)}", "unusual": s.unusual,
            "ewma": number(s.ewma), "band_of": "-" if s.lower is None else f"{number(s.lower)} … {number(s.upper)}",
        }
        for s in found
    ]  # fmt: skip


def _charts(found: Sequence[Standing]) -> list[str]:
    """Return charts as SVG: of what is out, or else of what is watched, the whole product before its parts."""
    drawn = [s for s in found if s.trend is not None and s.state in ("out", "in")]
    out = [s for s in drawn if s.state == "out"] or drawn
    out.sort(key=lambda s: (s.indicator.detector, s.indicator.band != ""))
    return [svg(trend_drawing(s.trend)) for s in out[:_MOST_CHARTS] if s.trend is not None]


def render(
    reports: Sequence[ItemReport], title: str, products: Sequence[Product] = (), found: Sequence[Standing] = ()
) -> str:
    """Return the page of one or several items as HTML that refers to nothing outside of itself.

    Parameters
    ----------
    reports : sequence of ItemReport
    title : str
    products : sequence of Product
        Identities to show.
    found : sequence of Standing
        Indicators to show, with their usual range and control band.
    """
    results = [result for made in reports for result in made.results]
    template = files("s2dask.qc").joinpath("data/page.html.j2").read_text("utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template).render(
        title=title, items=[_item(made) for made in reports], shares=_shares(results),
        conclusion=conclusion(results), moment=reports[0].moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        lists=f"{reports[0].checklists.name} {reports[0].checklists.version}", identity=_identity(products),
        indicators=_rows(found), charts=_charts(found),
    )  # fmt: skip


def write_page(
    reports: Sequence[ItemReport],
    title: str,
    path: str | Path,
    products: Sequence[Product] = (),
    found: Sequence[Standing] = (),
) -> None:
    """Write the page as one HTML file; arguments as for `render`."""
    Path(path).write_text(render(reports, title, products, found), "utf-8")
