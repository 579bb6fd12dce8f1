"""The daily report as a sheet."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from s2dask.qc.daily import Daily
from s2dask.qc.sheet import Block, Command, Grid, Heading, Paragraph, Sheet, number


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1f} %"


def _quality(report: Daily) -> Iterator[Block]:
    yield Heading("Products and checks")
    rows = [(p["level"], p["unit"], p["kind"].lower(), p["baseline"], str(p["products"])) for p in report.products]
    yield Grid(("level", "unit", "kind", "processing baseline", "products"), rows, 4)
    judged = [
        (q["level"], q["checklist"], *(str(q[n]) for n in ("products", "passed", "failed", "error")),
         _percent(q["passed_percentage"]))
        for q in report.quality
    ]  # fmt: skip
    if judged:
        header = ("level", "checklist", "products", "passed", "failed", "not told", "passed")
        yield Grid(header, judged, 2, (1, 3, 1, 1, 1, 1, 1))
    else:
        yield Paragraph("No product tells of a check.", "quiet")
    if report.failed:
        yield Paragraph(f"The first {len(report.failed)} checks that did not pass:", "alarm")
        failed = [(f["level"], f["product"], f"{f['checklist']}/{f['check']}", f["status"], number(f["value"]))
                  for f in report.failed]  # fmt: skip
        yield Grid(("level", "product", "check", "status", "value"), failed, 4, (0.7, 5, 3.4, 1, 1))


def _corrupted(report: Daily) -> Iterator[Block]:
    yield Heading("Corrupted products")
    if not report.corrupted:
        yield Paragraph("No product has lost or degraded data, or failed a concluding check.")
        return
    yield Paragraph(
        f"{len(report.corrupted)} products have lost or degraded data, or failed a concluding check:", "alarm"
    )
    rows = [
        (c["level"], c["product"], "; ".join(f"{what.replace('_', ' ')}: {number(value)}" if value is not None else what
                                             for what, value in c["reasons"].items()))
        for c in report.corrupted
    ]  # fmt: skip
    yield Grid(("level", "product", "what, and how much"), rows, 3, (0.7, 5, 4))


def _statistics(report: Daily) -> Iterator[Block]:
    """Yield the indicators; one of many bands in one row, from the least median of a band to the largest."""
    yield Heading("Indicators")
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in report.statistics:
        found[row["level"], row["unit"], row["indicator"]].append(row)
    rows = []
    for (level, unit, name), bands in sorted(found.items()):
        medians = np.array([band["median"] for band in bands])
        one = f"{number(medians.min())} to {number(medians.max())}" if len(bands) > 1 else number(medians[0])
        rows.append(
            (level, unit, name, str(len(bands)) if bands[0]["band"] else "-", str(max(b["products"] for b in bands)),
             one, number(min(b["minimum"] for b in bands)), number(max(b["maximum"] for b in bands)))
        )  # fmt: skip
    header = ("level", "unit", "indicator", "bands", "numbers", "median", "minimum", "maximum")
    yield Grid(header, rows, 3, (0.7, 0.6, 3.6, 0.7, 1, 2.4, 1.2, 1.2))
    yield Paragraph("Of several bands the least and the largest median; the JSON has every band.", "quiet")


def _classes(report: Daily) -> Iterator[Block]:
    yield Heading("Surface classes")
    if not report.classes:
        yield Paragraph("No L2A tile of this day tells them.", "quiet")
        return
    rows = [(c["unit"], c["class"].replace("_", " "), str(c["tiles"]), f"{c['mean']:.2f} %") for c in report.classes]
    yield Grid(("unit", "class", "tiles", "mean share"), rows, 2, (0.6, 2, 0.8, 1))


def _anomalies(report: Daily) -> Iterator[Block]:
    yield Heading("Disclaimers")
    if report.disclaimers:
        known = [(d["id"], d["text"], str(d["products"])) for d in report.disclaimers]
        yield Grid(("id", "what holds", "products"), known, 2, (1, 7, 1))
    else:
        yield Paragraph("No known limit concerns a product of this day.")
    yield Heading("Anomalies")
    if report.anomalies:
        yield Paragraph(f"{len(report.anomalies)} charts left their control band in this day.", "alarm")
        keys = [a["key"] for a in report.anomalies]
        left = [
            (a["ticket"], " ".join(str(k[n]) for n in ("indicator", "level", "unit", "band") if k[n]), a["product"],
             f"{a['chart']} {a['direction']}", f"{number(a['shift'])} of {number(a['mean'])}")
            for a, k in zip(report.anomalies, keys, strict=True)
        ]  # fmt: skip
        yield Grid(("ticket", "series", "first product out", "chart", "shift"), left, 5, (1.4, 2.2, 4, 1.2, 1.6))
    else:
        yield Paragraph("No watched indicator left its control band in this day.")
    if report.tickets:
        names = ("ticket", "opened", "product", "command")
        waiting = [tuple(str(t[name])[: 10 if name == "opened" else None] for name in names) for t in report.tickets]
        yield Paragraph(f"{len(waiting)} tickets are open:")
        yield Grid(("ticket", "since", "first product out", "command"), waiting, 4, (1.4, 1, 3, 4))
    if report.damaged:
        yield Paragraph(f"{len(report.damaged)} files of the store cannot be read and are left out:", "alarm")
        yield Grid(("file and reason",), [(text,) for text in report.damaged], 1)


def daily_sheet(report: Daily) -> Sheet:
    """Return the daily report as a document."""
    blocks: list[Block] = [Command(report.command)]
    for part in (_quality, _corrupted, _statistics, _classes, _anomalies):
        blocks += part(report)
    units = ", ".join(sorted({p["unit"] for p in report.products}))
    subtitle = f"Sentinel-2 MSI, {units}: sensed on {report.day}, from {report.store}"
    return Sheet(f"Quality report of {report.day}", subtitle, blocks)
