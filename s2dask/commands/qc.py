"""``s2dask qc``: the quality control of a product that lies there."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from s2dask.commands import qc_geolocation, qc_mtf, qc_trend

if TYPE_CHECKING:
    from s2dask.qc.engine import ItemReport

app = typer.Typer(name="qc", help="Quality control of products.", no_args_is_help=True)
app.add_typer(qc_trend.app)
qc_geolocation.register(app)
qc_mtf.register(app)

EXIT: Final = {"PASSED": 0, "FAILED": 8, "ERROR": 9}
"""Exit code by the worst concluding check."""


def _lines(reports: "Sequence[ItemReport]") -> Iterator[str]:
    """Yield what is shown: of an item that passed one line, of another one what did not, by message."""
    from s2dask.qc.checks import global_status

    for made in reports:
        yield f"{made.item.level} {made.item.kind.lower()} {made.item.name}: {made.status}, {len(made.results)} checks"
        for name in made.names if made.status != "PASSED" else ():
            results = made.of(name)
            passed = sum(r.status == "PASSED" for r in results)
            yield f"  {name:<20} {global_status(results):<7} {passed} of {len(results)} passed"
            told: dict[tuple[str, str, str], list[str]] = {}
            for r in results:
                if r.status != "PASSED":
                    told.setdefault((r.status, r.severity, r.message), []).append(r.id)
            yield from (f"    {s:<6} {severity:<11} {', '.join(ids)}: {m}" for (s, severity, m), ids in told.items())


@app.callback()
def main() -> None:
    """Quality control of products."""


@app.command()
def check(
    product: Annotated[
        str,
        typer.Argument(help="SAFE (folder or zip), folder or metadata file of a PDI of any level, or Zarr of s2dask."),
    ],
    checklist: Annotated[
        list[str] | None, typer.Option(help="Only this checklist, e.g. GENERAL_QUALITY; may be given again.")
    ] = None,
    checklists: Annotated[
        Path | None, typer.Option(help="Checklist file of your own (TOML) in place of that of s2dask.")
    ] = None,
    xml: Annotated[Path | None, typer.Option(help="Folder for the reports as the mission has them.")] = None,
    html: Annotated[Path | None, typer.Option(help="File for a page with pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    pixels: Annotated[bool, typer.Option(help="Look at the pixels too.")] = True,
) -> None:
    """Run the checklists on a product or PDI, also on one whose pixels are absent.

    Exit code 0: every concluding check passed; 8: one failed; 9: one could not be told.
    """
    from s2dask.qc.engine import check_product, worst

    reports = check_product(product, None if checklists is None else str(checklists), checklist or (), pixels)
    if xml is not None:
        from s2dask.qc.olqc import write_reports

        write_reports(reports, xml)
    if html is not None:
        from s2dask.qc.page import write_page

        write_page(reports, Path(product.rstrip("/")).name, html)
    if as_json:
        typer.echo(json.dumps([made.as_dict() for made in reports], indent=2))
    else:
        for line in _lines(reports):
            typer.echo(line)
    if code := EXIT[worst(reports)]:
        sys.exit(code)


@app.command()
def report(
    product: Annotated[str, typer.Argument(help="SAFE (folder or zip), PDI of any level, or Zarr of s2dask.")],
    store: Annotated[
        str, typer.Option("--store", "-s", envvar="S2DASK_QC_STORE", help="Indicators of others; empty: none.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page to write; default: <name>_quality.html.")
    ] = None,
    pixels: Annotated[bool, typer.Option(help="Look at the pixels too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, to the terminal.")] = False,
) -> None:
    """Write the page of one product: what it is, its indicators in their control bands, its checks, its pictures."""
    from dataclasses import asdict

    from s2dask.qc.collect import told_by
    from s2dask.qc.engine import check_product
    from s2dask.qc.page import write_page
    from s2dask.qc.standing import standings

    damaged: list[str] = []
    reports = check_product(product, look=pixels)
    told = told_by(product, reports)
    found = standings(store, [(what, indicators) for what, indicators, _ in told], damaged)
    for text in damaged:
        typer.echo(f"damaged, left out: {text}", err=True)
    if as_json:
        facts = [{name: value for name, value in asdict(one).items() if name != "trend"} for one in found]
        told_of = [asdict(what) for what, *_ in told]
        checks = [made.as_dict() for made in reports]
        typer.echo(json.dumps({"products": told_of, "indicators": facts, "checks": checks}, indent=2))
        return
    name = Path(product.rstrip("/")).name
    path = out or Path(f"{Path(name).stem}_quality.html")
    write_page(reports, name, path, [what for what, *_ in told], found)
    states = [one.state for one in found]
    typer.echo(f"{path}: {len(found)} indicators, {states.count('out')} out of their band, {states.count('in')} inside")
