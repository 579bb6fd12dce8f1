"""``s2dask ledger``: look into the ledger of production, and steer its runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s2dask.errors import ConfigurationError

if TYPE_CHECKING:
    from s2dask.production.ledger import Ledger

app = typer.Typer(name="ledger", help="The ledger of production: runs, units, products, events.")

Run = Annotated[str | None, typer.Argument(help="Run; default: the newest.")]
NamedRun = Annotated[str, typer.Argument(help="Run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    url: Annotated[
        str, typer.Argument(help="File of the ledger (SQLite), or postgresql://USER@HOST/DATABASE.", metavar="URL")
    ],
) -> None:
    """Open a ledger: `s2dask ledger URL` lists its runs, `s2dask ledger URL units` and so on look into them."""
    from s2dask.production.ledger import Ledger

    if "://" not in url and not Path(url).is_file():
        raise ConfigurationError("no such ledger", url, "give the file that a run has made, or an address")
    context.obj = context.with_resource(Ledger.open(url, patience=5.0))
    if context.invoked_subcommand is None:
        runs(context)


def _run(context: typer.Context, run: str | None) -> "tuple[Ledger, str]":
    ledger: Ledger = context.obj
    if run is not None:
        return ledger, run
    names = ledger.runs()
    if not names:
        raise ConfigurationError("no runs", ledger.where)
    return ledger, names[-1]


def _say(rows: Sequence[Mapping[str, Any]], as_json: bool, line: str) -> None:
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    for row in rows:
        typer.echo(line.format_map(row).rstrip())


@app.command()
def runs(context: typer.Context, as_json: AsJson = False) -> None:
    """List the runs, the oldest first, with their state."""
    ledger: Ledger = context.obj
    rows = [{**told, **told["units"]} for told in map(ledger.summary, ledger.runs())]
    _say(rows, as_json, "{run:<40} {state:<8} {finished:>6} of {expected:>6} units")


@app.command()
def units(
    context: typer.Context,
    run: Run = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be given again.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="Only this state; may be given again.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the units of a run."""
    ledger, name = _run(context, run)
    upper = None if state is None else [one.upper() for one in state]
    rows = ledger.units(name, kinds=kind, states=upper)
    line = "{name:<32} {kind:<8} {state:<8} priority {priority:>4} attempts {attempts:>3}  {error[what]}"
    _say(rows, as_json, line)


@app.command()
def products(context: typer.Context, run: Run = None, as_json: AsJson = False) -> None:
    """List the products of a run with their hashes."""
    ledger, name = _run(context, run)
    _say(ledger.products(name), as_json, "{sha256:<64} {level:<4} {state:<10} {name}  {url}")


@app.command()
def events(
    context: typer.Context,
    run: Run = None,
    after: Annotated[int, typer.Option(help="Only those after this number.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List what happened, in its order: of one run, or of all."""
    from s2dask.production.ledger.report import instant

    ledger: Ledger = context.obj
    found = ledger.events(after, run=run, limit=limit)
    rows = [
        {"seq": e.seq, "moment": instant(e.moment), "run": e.run, "unit": e.unit, "what": e.what, "detail": e.detail}
        for e in found
    ]
    _say(rows, as_json, "{seq:>8} {moment} {run} {unit:<32} {what:<10}")


@app.command()
def report(
    context: typer.Context,
    run: Run = None,
    html: Annotated[Path | None, typer.Option(help="File for a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what was expected, what was produced, and the reason of each gap."""
    from s2dask.production.ledger.sheet import write_sheet

    ledger, name = _run(context, run)
    told = ledger.report(name)
    if html is not None:
        write_sheet(told, html, ledger.where)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    counted = told["units"]
    typer.echo(f"{name}: {told['state']}, {counted['finished']} of {counted['expected']} units")
    for kind in told["kinds"]:
        typer.echo("  {kind:<8} {finished:>6} of {expected:>6}".format_map(kind))
    for strip in told["datastrips"]:
        typer.echo("  {datastrip:<12} {finished:>6} of {units:>6} units, {core_hours:.3f} core hours".format_map(strip))
    typer.echo(f"  {len(told['products'])} products, {told['core_seconds']:.1f} core-seconds, "
               f"{told['wasted_core_seconds']:.1f} in vain")  # fmt: skip
    for why in told["expected"]:
        typer.echo(f"  as expected: {why}")
    for gap in told["gaps"]:
        typer.echo("  {unit}: {state}, {reason}".format_map(gap))


@app.command()
def restart(
    context: typer.Context,
    run: NamedRun,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Units; default: all that failed, were parked, refused or aborted.", metavar="[UNIT]..."),
    ] = None,
) -> None:
    """Make units ready again; one that is done is made again with all behind it."""
    for name in context.obj.restart(run, names or ()):
        typer.echo(name)


@app.command()
def pause(context: typer.Context, run: NamedRun) -> None:
    """Begin no units of a run until it is resumed."""
    context.obj.pause(run)


@app.command()
def resume(context: typer.Context, run: NamedRun) -> None:
    """Go on with a run that was paused or stopped."""
    context.obj.resume(run)


@app.command()
def stop(context: typer.Context, run: NamedRun) -> None:
    """End a run: what is under way is finished, nothing more is begun."""
    context.obj.stop(run)


@app.command()
def abort(context: typer.Context, run: NamedRun) -> None:
    """End a run at once: what is under way is lost."""
    context.obj.abort(run)
