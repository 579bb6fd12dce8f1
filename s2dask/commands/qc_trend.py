"""``s2dask qc`` over many products: append to the store of indicators, trends, alarms, the monthly report."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from s2dask.qc.sheet import Sheet
    from s2dask.qc.trend import Series, Trend

app = typer.Typer(no_args_is_help=True)

Store = Annotated[str, typer.Option("--store", "-s", envvar="S2DASK_QC_STORE", help="Folder or URL of the indicators.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
_SPARKS = "▁▂▃▄▅▆▇█"


@app.command()
def add(
    products: Annotated[list[str], typer.Argument(help="Products of any level: Zarr of s2dask, SAFE, PDI.")],
    store: Store = "indicators",
    check: Annotated[bool, typer.Option(help="Run the checklists on products of s2dask too.")] = False,
    pixels: Annotated[bool, typer.Option(help="Look at the pixels of products that are checked.")] = True,
    seeded: Annotated[
        list[str] | None,
        typer.Option(help="A defect put in on purpose: kept out of trends and reports; may be given again."),
    ] = None,
) -> None:
    """Append every indicator of products to the store; a product that is there already counts once."""
    from s2dask.errors import S2Error
    from s2dask.qc.collect import collect
    from s2dask.qc.store import append

    refused = []
    for product in products:
        try:
            told = collect(product, check, pixels)
        except S2Error as error:
            refused.append(error)
            typer.echo(f"refused: {error}", err=True)
            continue
        for what, indicators, origin in told:
            append(store, what, indicators, origin, seeded or ())
            typer.echo(f"{what.level} {what.name}: {len(indicators)} indicators ({origin})")
    if refused:
        sys.exit(max(error.exit_code for error in refused))


@app.command("compact")
def compact_(
    store: Annotated[str, typer.Argument(envvar="S2DASK_QC_STORE", help="Folder or URL of the indicators.")],
    as_json: Json = False,
) -> None:
    """Move the journal of the store into its one Zarr table, `indicators.zarr`; while others write and read."""
    from dataclasses import asdict

    from s2dask.qc.compact import compact

    done = compact(store)
    for text in done.left:
        typer.echo(f"left in the journal: {text}", err=True)
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2))
    else:
        typer.echo(f"{done.moved} products moved, {done.added} new; the table has {done.rows}")


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return the newest values as bars of a line of text."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    steps = len(_SPARKS) - 1
    return "".join(
        _SPARKS[round(steps * (value - low) / (high - low)) if high > low else steps // 2] for value in shown
    )


def _line(trend: "Trend") -> str:
    values = trend.series.values.tolist()
    reference = trend.reference
    state = trend.problem or (f"alarms: {len(trend.alarms)}" if trend.alarms else "in control")
    limits = "" if reference is None else f"{reference.mean:.6g} ± {reference.sigma:.2g}"
    return f"{trend.series.key!s:<36} {len(values):>5}  {limits:<22} {values[-1]:<11.6g} {sparkline(values)}  {state}"


@app.command()
def trend(
    indicator: Annotated[
        list[str], typer.Option("--indicator", "-i", help="Name of an indicator; may be given again.")
    ],
    store: Store = "indicators",
    level: Annotated[str | None, typer.Option(help="L0, L1A, L1B, L1C or L2A.")] = None,
    unit: Annotated[str | None, typer.Option(help="S2A, S2B, S2C or S2D.")] = None,
    band: Annotated[str | None, typer.Option(help="B04.")] = None,
    detector: Annotated[int | None, typer.Option(help="1 to 12; 0: of all detectors.")] = None,
    tile: Annotated[str | None, typer.Option(help="Only this tile: for indicators that depend on the place.")] = None,
    pooled: Annotated[
        str, typer.Option("--pool", help="day or datatake: the mean of its tiles, each held against its own site.")
    ] = "",
    over: Annotated[str, typer.Option(help="Band that a band is divided by, tile by tile; with --pool.")] = "",
    until: Annotated[str, typer.Option(help="Last month, 2026-10.")] = "",
    baseline: Annotated[
        str, typer.Option(help="Number of products, or months 2026-01..2026-03; default: the first 50 products.")
    ] = "",
    page: Annotated[Path | None, typer.Option("--html", help="Page to write, with charts and evidence.")] = None,
    tickets: Annotated[bool, typer.Option(help="Open a ticket in the store for each alarm that has none.")] = False,
    as_json: Json = False,
) -> None:
    """Follow indicators over products on EWMA and CUSUM charts, with an alarm where a chart leaves its band."""
    from s2dask.errors import InputMissing
    from s2dask.qc.derived import rows_of
    from s2dask.qc.monthly import trend_facts
    from s2dask.qc.store import Query
    from s2dask.qc.trend import follow, gather

    def one(value: str | None) -> tuple[str, ...]:
        return () if value is None else (value,)

    damaged: list[str] = []
    bands = () if band is None else (band, over) if over else (band,)
    query = Query(one(level), one(unit), tuple(indicator), bands, one(tile), detector, until=until)
    found = gather(rows_of(store, query, damaged), tile is not None or bool(pooled))
    followed = [follow(series, baseline) for series in _pooled(found, pooled, over, baseline)]
    for text in damaged:
        typer.echo(f"damaged, left out: {text}", err=True)
    if not followed:
        raise InputMissing(f"no product with {', '.join(indicator)}", store, "append products with `s2dask qc add`")
    if as_json:
        typer.echo(json.dumps({"trends": [trend_facts(t) for t in followed], "damaged": damaged}, indent=2))
    else:
        typer.echo(f"{'series':<36} {'n':>5}  {'mean ± sigma':<22} {'newest':<11} {'':<40}  state")
        for made in followed:
            typer.echo(_line(made))
        _say_alarms(followed)
    if page is not None:
        from s2dask.qc.monthly_sheet import trend_sheet
        from s2dask.qc.sheet import html

        page.write_text(html(trend_sheet(followed, store, until, baseline)), encoding="utf-8")
    if tickets:
        from s2dask.qc.tickets import open_tickets

        alarms = (alarm for made in followed for alarm in made.alarms)
        for url in open_tickets(store, alarms, until, baseline):
            typer.echo(f"ticket: {url}", err=as_json)


def _pooled(found: "list[Series]", by: str, over: str, baseline: str) -> "list[Series]":
    """Return series as they are, or pooled if so wanted."""
    from s2dask.errors import ConfigurationError
    from s2dask.qc.pooling import Pooling, pool

    if over and not by:
        raise ConfigurationError("a band is divided by another one tile by tile", "--over", "add --pool day")
    return list(pool(found, Pooling(by, over), baseline)) if by else found


def _say_alarms(followed: Sequence["Trend"]) -> None:
    for made in followed:
        for alarm in made.alarms:
            typer.echo(
                f"{alarm.ticket}: {alarm.key} went {alarm.direction} ({alarm.chart}); first out {alarm.product}, "
                f"change seen from {alarm.onset}; shift {alarm.shift:.4g} of {alarm.mean:.6g}"
            )
            for change in alarm.changes:
                typer.echo(f"  changed meanwhile: {change}")


@app.command()
def tickets(store: Store = "indicators", as_json: Json = False) -> None:
    """List the tickets of the store, the oldest first."""
    from s2dask.qc.tickets import read_tickets

    found = read_tickets(store)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for ticket in found:
        typer.echo(
            f"{ticket['ticket']} {ticket['state']:<8} {ticket['opened']} {ticket['chart']} {ticket['direction']}"
        )
        typer.echo(f"  first out {ticket['product']}; {ticket['command']}")


@app.command()
def daily(
    store: Annotated[str, typer.Argument(envvar="S2DASK_QC_STORE", help="Folder or URL of the indicators.")],
    day: Annotated[str, typer.Option(help="Day of sensing, 2026-10-05.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for HTML, JSON and PDF.")] = Path("reports"),
    paper: Annotated[bool, typer.Option("--pdf/--no-pdf", help="PDF too; needs the extra `report`.")] = False,
    as_json: Json = False,
) -> None:
    """Write the report of a day: statistics of indicators, checks, what is corrupted, classes, anomalies."""
    from s2dask.qc.daily import daily_report
    from s2dask.qc.daily_sheet import daily_sheet

    report = daily_report(store, day)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
        return
    _write(out / f"S2_QC_{report.day}", report.as_dict(), daily_sheet(report), paper)


def _write(stem: Path, facts: dict[str, Any], sheet: "Sheet", paper: bool) -> None:
    """Write a report in all its forms, and say where."""
    from s2dask.qc.sheet import html

    files = {"json": json.dumps(facts, indent=2).encode() + b"\n", "html": html(sheet).encode()}
    if paper:
        from s2dask.qc.sheet_pdf import pdf

        files["pdf"] = pdf(sheet)
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix, data in files.items():
        path = stem.with_name(f"{stem.name}.{suffix}")
        path.write_bytes(data)
        typer.echo(path)


@app.command()
def monthly(
    month: Annotated[str, typer.Argument(help="Month of sensing, 2026-10.")],
    store: Store = "indicators",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for HTML, PDF and JSON.")] = Path("reports"),
    level: Annotated[str, typer.Option(help="L1C: eight sections, or L2A: four.")] = "L1C",
    figure: Annotated[str | None, typer.Option(help="Only this figure, 5.1, as JSON to the terminal.")] = None,
    paper: Annotated[bool, typer.Option("--pdf/--no-pdf", help="PDF; needs the extra `report`.")] = True,
    as_json: Json = False,
) -> None:
    """Write the Data Quality Report of a month from the stored indicators: HTML, PDF and the numbers as JSON."""
    from s2dask.errors import ConfigurationError
    from s2dask.qc.monthly import monthly_report
    from s2dask.qc.monthly_sheet import monthly_sheet

    report = monthly_report(store, month, level)
    facts = report.as_dict()
    if figure is not None:
        chosen = [made.as_dict() for section in report.sections for made in section.figures if made.number == figure]
        if not chosen:
            raise ConfigurationError(f"no figure {figure}", "--figure", "the report numbers them")
        facts = chosen[0]
    if as_json or figure is not None:
        typer.echo(json.dumps(facts, indent=2))
        return
    _write(out / f"S2_DQR_{level}_{month}", facts, monthly_sheet(report), paper)
