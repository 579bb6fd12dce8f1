"""``s2dask campaign``: the bulk processing of an archive, planned, run, watched, steered and accounted."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s2dask.commands.cluster import Ca, Cert, Cluster, Key, Workers, connected
from s2dask.errors import ConfigurationError

if TYPE_CHECKING:
    from s2dask.production.campaign import Campaign

app = typer.Typer(name="campaign", help="Bulk processing of an archive.", no_args_is_help=True)

GAPS = 9
"""Exit code when something expected was not produced."""
Name = Annotated[str, typer.Argument(help="Campaign.")]
LedgerUrl = Annotated[str, typer.Option("--ledger", help="File or postgresql:// URL of the ledger.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
Source = Annotated[str, typer.Argument(help="Archive: folder or URL of sessions, L1B and L1C SAFE, at any depth.")]
Out = Annotated[str, typer.Option("--out", "-o", help="Delivery folder, or s3://bucket/prefix.")]
WorkFolder = Annotated[
    str | None,
    typer.Option(
        "--work", metavar="FOLDER", help="Local folder of the working stores, seen by all workers; default: OUT/.work."
    ),
]
Units = Annotated[list[str] | None, typer.Option("--unit", help="Only this unit; may be given again.")]
Orbits = Annotated[list[int] | None, typer.Option("--orbit", help="Only this orbit, relative or absolute.")]
Tiles = Annotated[list[str] | None, typer.Option("--tile", help="Only this tile; may be given again.")]
Aoi = Annotated[str | None, typer.Option(help="Tiles touched by west,south,east,north [deg] or WKT.")]
Period = Annotated[str | None, typer.Option(help="Sensed from, and before: 2020-08-01/2020-09-01.")]
To = Annotated[str, typer.Option(help="Last level: L0, L1A, L1B, L1C or L2A (with L1C).")]
Baseline = Annotated[str | None, typer.Option(help="Processing baseline; default: that of this version.")]
Aux = Annotated[str | None, typer.Option(help="Folder of auxiliary files; default: that beside each session.")]
Gipps = Annotated[str | None, typer.Option(help="Folder of GIPPs in the place of that of the auxiliary files.")]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="Keep working stores, for forks.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Another attribute of the order: NAME=VALUE, VALUE as JSON or text.")
]
Cores = Annotated[int | None, typer.Option(help="At most so many of the cluster's cores.")]
Lease = Annotated[float, typer.Option(help="A unit of a service that died is waited for so long [s].")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _options(given: list[str] | None) -> dict[str, Any]:
    found = {}
    for one in given or ():
        name, equals, value = one.partition("=")
        if not equals:
            raise ConfigurationError(f"{one!r} sets nothing", "--set", "write NAME=VALUE")
        found[name] = _value(value)
    return found


def _area(text: str | None) -> str | list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        return text


def _made(
    name: str, source: str, out: str, work: str | None, unit: list[str] | None, orbit: list[int] | None,
    tile: list[str] | None, aoi: str | None, period: str | None, to: str, baseline: str | None, aux: str | None,
    gipps: str | None, keep: bool, options: list[str] | None, ledger: str | None,
) -> "Campaign":  # fmt: skip
    from s2dask.production.campaign import Campaign

    told: dict[str, Any] = {} if baseline is None else {"baseline": baseline}
    dates = None if period is None else period.partition("/")
    return Campaign(
        name, source=source, deliver=out, work=work, unit=unit or (), orbits=orbit or (), tiles=tile or (),
        aoi=_area(aoi), period=None if dates is None else (dates[0], dates[2]),
        levels=("L1C", "L2A") if to == "L2A" else (to,), aux=aux, gipps=gipps, keep=keep, ledger=ledger, **told,
        **_options(options),
    )  # fmt: skip


def _open(name: str, ledger: str) -> "Campaign":
    from s2dask.production.campaign import Campaign

    if "://" not in ledger and not Path(ledger).is_file():
        raise ConfigurationError("no such ledger", ledger, "give the file that `campaign submit` has made")
    return Campaign.open(name, ledger)


def _work(
    campaign: "Campaign", how: str, workers: int | None, cluster: str | None,
    tls: tuple[Path | None, Path | None, Path | None], **given: Any,
) -> None:  # fmt: skip
    """Run a campaign to its end, telling where it is."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with connected(workers, cluster, tls) as connection:
        typer.echo(f"dashboard {connection.client.dashboard_link}")
        getattr(campaign, how)(connection.client, **given)
        with Live(campaign.progress(), console=console, refresh_per_second=1) as live:
            while campaign.active:
                time.sleep(2.0)
                live.update(campaign.progress())
        campaign.wait()
    account = campaign.ledger()
    typer.echo(f"{account.produced} of {account.expected} expected")
    for gap in account.gaps:
        typer.echo(f"  {gap.session} {gap.tile} {gap.level} {gap.state.lower()}: {gap.reason}")
    if account.gaps:
        raise typer.Exit(GAPS)


def _write(sheet: Any, path: Path | None) -> None:
    from s2dask.qc.sheet import html

    if path is not None:
        path.write_text(html(sheet), "utf-8")


@app.command()
def plan(
    name: Name, source: Source, out: Out = "products", work: WorkFolder = None, unit: Units = None,
    orbit: Orbits = None, tile: Tiles = None, aoi: Aoi = None, period: Period = None, to: To = "L2A",
    baseline: Baseline = None, aux: Aux = None, gipps: Gipps = None, options: Set = None, cores: Cores = None,
    price: Annotated[float | None, typer.Option(help="Of a core hour: tell what it costs.")] = None,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Page to write.")] = None,
) -> None:  # fmt: skip
    """Tell what a campaign will make, what it costs and what is missing; nothing is run."""
    from rich.console import Console
    from rich.table import Table

    from s2dask.production.campaign_page import duration

    made = _made(
        name, source, out, work, unit, orbit, tile, aoi, period, to, baseline, aux, gipps, True, options, None
    ).plan()  # fmt: skip
    _write(made.sheet(), html)
    if as_json:
        typer.echo(json.dumps(made.facts(), indent=2))
        return
    typer.echo(made.headline())
    if cores is not None:
        middle, low, high = map(duration, made.eta(cores))
        typer.echo(f"on {cores} cores done in {middle} ({low} to {high})")
    if price is not None:
        typer.echo("costs {:,.2f} ({:,.2f} to {:,.2f})".format(*made.price(price)))
    for title, header, rows in made.tables():
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        Console().print(table)


@app.command()
def submit(
    name: Name, source: Source, out: Out = "products", work: WorkFolder = None, unit: Units = None,
    orbit: Orbits = None, tile: Tiles = None, aoi: Aoi = None, period: Period = None, to: To = "L2A",
    baseline: Baseline = None, aux: Aux = None, gipps: Gipps = None, keep: Keep = True, options: Set = None,
    ledger: Annotated[str | None, typer.Option(help="File or URL; default: in the folder --work, or --out.")] = None,
    priority: Annotated[int, typer.Option(help="The larger goes first; nominal production has 100.")] = 10,
    max_cores: Cores = None, workers: Workers = None, cluster: Cluster = None, lease: Lease = 60.0,
    tls_ca: Ca = None, tls_cert: Cert = None, tls_key: Key = None,
) -> None:  # fmt: skip
    """Run a campaign; one that was killed goes on with `resume`."""
    made = _made(
        name, source, out, work, unit, orbit, tile, aoi, period, to, baseline, aux, gipps, keep, options, ledger
    )
    typer.echo(made.plan().headline())
    _work(
        made,
        "submit",
        workers,
        cluster,
        (tls_ca, tls_cert, tls_key),
        priority=priority,
        max_cores=max_cores,
        lease=lease,
    )


@app.command()
def resume(
    name: Name, ledger: LedgerUrl, max_cores: Cores = None, workers: Workers = None, cluster: Cluster = None,
    tls_ca: Ca = None, tls_cert: Cert = None, tls_key: Key = None, lease: Lease = 60.0,
    failed: Annotated[bool, typer.Option("--failed", help="What failed or was parked, too.")] = False,
) -> None:  # fmt: skip
    """Go on with a campaign after a pause, a stop or a crash; nothing that is finished is made again."""
    how = "restart" if failed else "resume"
    _work(_open(name, ledger), how, workers, cluster, (tls_ca, tls_cert, tls_key), max_cores=max_cores, lease=lease)


@app.command()
def fork(
    name: Name, fresh: Annotated[str, typer.Argument(help="Name of the fork.")], ledger: LedgerUrl,
    baseline: Baseline = None, aux: Aux = None, gipps: Gipps = None, options: Set = None, max_cores: Cores = None,
    workers: Workers = None, cluster: Cluster = None, lease: Lease = 60.0,
    tls_ca: Ca = None, tls_cert: Cert = None, tls_key: Key = None,
) -> None:  # fmt: skip
    """Run a campaign that differs from another: only what the difference changes is made."""
    changes = {"baseline": baseline, "aux": aux, "gipps": gipps}
    told = {key: value for key, value in changes.items() if value is not None}
    made = _open(name, ledger).fork(fresh, **told, **_options(options))
    _work(made, "submit", workers, cluster, (tls_ca, tls_cert, tls_key), max_cores=max_cores, lease=lease)


@app.command()
def progress(name: Name, ledger: LedgerUrl, as_json: AsJson = False) -> None:
    """Tell where a campaign is."""
    from dataclasses import asdict

    from rich.console import Console

    found = _open(name, ledger).progress()
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        Console().print(found)


@app.command()
def pause(name: Name, ledger: LedgerUrl) -> None:
    """Begin no unit until it is resumed, whoever works on it."""
    _open(name, ledger).pause()


@app.command()
def stop(name: Name, ledger: LedgerUrl) -> None:
    """End a campaign: what is under way is finished, nothing more is begun."""
    _open(name, ledger).stop()


@app.command()
def abort(name: Name, ledger: LedgerUrl) -> None:
    """End a campaign at once: what is under way is lost."""
    _open(name, ledger).abort()


@app.command("ledger")
def account(
    name: Name, ledger: LedgerUrl, as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Page to write.")] = None,
) -> None:  # fmt: skip
    """Tell what was expected, what was produced with its hash, and the reason of each gap."""
    found = _open(name, ledger).ledger()
    _write(found.sheet(), html)
    if as_json:
        typer.echo(json.dumps(found.table(), indent=2))
        return
    typer.echo(f"{name}: {found.produced} of {found.expected} expected, {found.core_seconds:,.0f} core seconds")
    for entry in found.entries:
        what = entry.product or entry.reason
        typer.echo(
            f"  {entry.session} {entry.tile or '-'} {entry.level} {entry.state:<8} {entry.sha256[:12]:<12} {what}"
        )
