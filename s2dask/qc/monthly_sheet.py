"""The monthly report and single trends as sheets."""

from collections.abc import Iterator, Sequence

from s2dask.qc.drawing import Drawing, trend_drawing
from s2dask.qc.monthly import Figure, Monthly
from s2dask.qc.sheet import Block, Command, Grid, Heading, Paragraph, Sheet, number
from s2dask.qc.trend import Alarm, Trend

_COLUMNS = ("products", "median", "5 %", "95 %", "minimum", "maximum", "month before")
_NUMBERS = ("median", "p05", "p95", "minimum", "maximum", "before")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1f} %"


def _figure(figure: Figure) -> Iterator[Block]:
    measure = f" [{figure.measure}]" if figure.measure else ""
    yield Heading(f"Figure {figure.number}: {figure.title}{measure}", 2)
    if not figure.rows:
        yield Paragraph("Not measured: no product of the store has it in this month.", "quiet")
        yield Command(figure.command)
        return
    if figure.maximum is not None:
        yield Paragraph(f"Limit: {figure.maximum:g}, either sign.", "quiet")
    for trend in figure.charts:
        yield _chart(trend)
    for problem in sorted({trend.problem for trend in figure.charts if trend.problem}):
        yield Paragraph(f"No control limits: {problem}.", "quiet")
    rows = [
        (
            row["unit"],
            row["indicator"],
            row["band"] or "-",
            str(row["products"]),
            *(number(row[name]) for name in _NUMBERS),
            *(() if figure.maximum is None else (_percent(row["inside"]),)),
        )
        for row in figure.rows
    ]
    header, weights = ["unit", "indicator", "band", *_COLUMNS], [0.6, 2.6, 0.7, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.3]
    if figure.maximum is not None:
        header, weights = [*header, "within limit"], [*weights, 1.2]
    yield Grid(header, rows, 3, weights)
    yield Command(figure.command)


def _chart(trend: Trend) -> Drawing:
    return trend_drawing(trend, marked=[f"{a.ticket} {a.direction}" for a in trend.alarms[:3]])


def _alarms(alarms: Sequence[Alarm]) -> Iterator[Block]:
    """Yield a table of alarms, and what changed between the baseline and them."""
    header = ("ticket", "series", "first product out", "change seen from", "chart", "shift")
    rows = [
        (
            a.ticket,
            str(a.key),
            a.product,
            a.onset,
            f"{a.chart} {a.direction}",
            f"{number(a.shift)} of {number(a.mean)}",
        )
        for a in alarms
    ]
    yield Grid(header, rows, 6, (1.3, 1.6, 2.4, 2.4, 1, 1.3))
    for change in sorted({change for alarm in alarms for change in alarm.changes}):
        yield Paragraph(f"Changed since the baseline: {change}.", "quiet")


def _overview(report: Monthly) -> Iterator[Block]:
    yield Heading("Products of the month")
    rows = [(p["unit"], p["kind"].lower(), p["baseline"], str(p["products"])) for p in report.products]
    yield Grid(("unit", "kind", "processing baseline", "number"), rows, 3)
    yield Heading("Quality checks")
    checks = [
        (
            c["checklist"],
            c["check"],
            *(str(c[status]) for status in ("passed", "failed", "error", "not_made")),
            _percent(c["passed_percentage"]),
        )
        for c in report.checks
    ]
    header = ("checklist", "check", "passed", "failed", "error", "not made", "passed")
    yield Grid(header, checks, 2, (2, 3, 0.8, 0.8, 0.8, 0.9, 1))
    if report.failed:
        yield Paragraph(f"The first {len(report.failed)} that did not pass:", "alarm")
        failed = [(f["product"], f["checklist"], f["check"], f["status"], number(f["value"])) for f in report.failed]
        yield Grid(("product", "checklist", "check", "status", "value"), failed, 4, (5, 2, 2, 1, 1))


def _anomalies(report: Monthly) -> Iterator[Block]:
    yield Heading("Alarms of the month")
    if report.alarms:
        yield Paragraph(f"{len(report.alarms)} charts left their control band.", "alarm")
        yield from _alarms(report.alarms)
    else:
        yield Paragraph("No watched indicator left its control band.")
    if report.damaged:
        yield Paragraph(f"{len(report.damaged)} files of the store cannot be read and are left out:", "alarm")
        yield Grid(("file and reason",), [(text,) for text in report.damaged], 1)


def monthly_sheet(report: Monthly) -> Sheet:
    """Return the monthly report as a document: the sections of its level between an overview and the alarms."""
    blocks: list[Block] = [*_overview(report)]
    for section in report.sections:
        blocks += [
            Heading(f"{section.number}. {section.title}"),
            Paragraph(f"Asked for: {section.requirement}", "quiet"),
        ]
        for figure in section.figures:
            blocks += _figure(figure)
    blocks += _anomalies(report)
    units = ", ".join(sorted({p["unit"] for p in report.products}))
    subtitle = f"Sentinel-2 MSI, {units}: {report.level}, sensed in {report.month}, from {report.store}"
    return Sheet(f"Data Quality Report {report.level}, {report.month}", subtitle, blocks)


def trend_sheet(trends: Sequence[Trend], store: str, until: str = "", baseline: str = "") -> Sheet:
    """Return trends as a document: a chart each with its command, and the alarms with their evidence."""
    blocks: list[Block] = []
    for trend in trends:
        blocks.append(_chart(trend))
        if trend.problem:
            blocks.append(Paragraph(f"No control limits: {trend.problem}.", "quiet"))
        blocks.append(Command(trend.series.key.command(store, until, baseline)))
    alarms = [alarm for trend in trends for alarm in trend.alarms]
    if alarms:
        blocks += [Heading("Alarms"), *_alarms(alarms)]
    for alarm in alarms:
        blocks.append(Heading(f"{alarm.ticket}: {alarm.key}", 2))
        rows = [
            (
                e["product"],
                e["sensing_time"],
                number(e["value"], 7),
                number(e["z"], 3),
                f"{number(e['ewma'], 3)} ({number(e['ewma_limit'], 3)})",
                f"{number(e['cusum'], 3)} ({number(e['cusum_limit'], 3)})",
                "out" if e["out"] else "",
            )
            for e in alarm.evidence
        ]
        header = ("product", "sensed", "value", "z", "EWMA (limit)", "CUSUM (limit)", "")
        blocks.append(Grid(header, rows, 2, (5, 2.5, 1.2, 1, 1.5, 1.5, 0.6)))
    plural = "" if len(alarms) == 1 else "s"
    return Sheet("Trends of quality indicators", f"{len(trends)} series, {len(alarms)} alarm{plural}", blocks)
