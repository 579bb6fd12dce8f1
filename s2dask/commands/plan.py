"""``s2dask plan``: what a run will make and cost, before anything is spent."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from s2dask.production.forecast import Promise
    from s2dask.production.plan import Plan
    from s2dask.production.plan_page import Table

_TIMES = (2, 4, 8, 16, 32)
"""Numbers of workers that the table of promises tells the time of."""


def _reception(made: "Plan") -> float:
    """Return how long a session is received: as long as it was sensed."""
    return sum((stop - start) * 1e-9 for start, stop in (strip.sensing for strip in made.source.strips))


def _promises(made: "Plan", group: int, pace: float, split: int | None) -> "list[Promise]":
    from s2dask.production.forecast import promises

    return list(
        promises(
            made.source, costs=made.costs, reception=_reception(made), workers=_TIMES, pace=pace, group=group,
            memory=None, split=split,
        )
    )  # fmt: skip


def _beside(made: "Plan", sessions: int, pace: float) -> str:
    from s2dask.production.beside import cores_beside

    found = cores_beside(made, reception=_reception(made), sessions=sessions, pace=pace)
    if found is None:
        return f"no number of cores makes {sessions} sessions an orbit beside it"
    return (
        f"{found.workers} cores: done {found.nominal / 60:.1f} min after the last input while a campaign makes "
        f"{found.rate:.1f} such sessions an orbit"
    )


def _print(tables: "list[Table]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, header, rows in tables:
        out = Table(title=title, title_justify="left")
        for k, name in enumerate(header):
            out.add_column(name, justify="left" if k == 0 else "right", overflow="fold")
        for row in rows:
            out.add_row(*row)
        console.print(out)


def plan(
    source: Annotated[
        str, typer.Argument(help="CADU session (folder or URL), L0 datastrip (Zarr), L1B or L1C SAFE (folder or zip).")
    ],
    to: Annotated[str, typer.Option(help="Last level: L0, L1A, L1B, L1C or L2A.")] = "L2A",
    aux: Annotated[str | None, typer.Option(help="Folder of auxiliary files; default: SESSION/aux.")] = None,
    delivery: Annotated[
        str, typer.Option(help="Of tiles: SAFE coded s2-strict, s2-fast or htj2k, and Zarr; or zarr alone.")
    ] = "s2-strict",
    tile: Annotated[list[str] | None, typer.Option(help="Only this tile; may be given again.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-w", help="Tell when as many workers are done.")] = None,
    sla: Annotated[
        bool, typer.Option("--sla", help="Tell the cores for L1C within 75 min and L2A within 120, by delivery.")
    ] = False,
    beside: Annotated[
        int | None,
        typer.Option(metavar="SESSIONS", help="Tell the cores on which a campaign makes so many an orbit beside it."),
    ] = None,
    pace: Annotated[
        float, typer.Option(help="Seconds that a task takes for each core second, with --sla and --workers.")
    ] = 1.0,
    history: Annotated[
        str | None, typer.Option(help="Folder or URL of measured runs, which the costs then follow.")
    ] = None,
    memory: Annotated[float, typer.Option(help="Of a worker [GiB].")] = 3.0,
    group: Annotated[int, typer.Option(help="Scenes of an L0 or L1B unit.")] = 8,
    split: Annotated[
        int | None, typer.Option(metavar="SCENES", help="As of a run that makes the images of so many at a time.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Unit, for a session of EDRS.")] = None,
    orbit: Annotated[int | None, typer.Option(help="Absolute orbit, for a session of EDRS.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, unit by unit.")] = False,
    html: Annotated[Path | None, typer.Option(help="Page to write.")] = None,
) -> None:
    """Tell what a run will make, unit by unit, and what it will cost; nothing is decoded or written."""
    from s2dask.graph.cost_history import calibrated_costs
    from s2dask.production import plan_page
    from s2dask.production.forecast import simulate_plan
    from s2dask.production.plan import plan as make_plan

    made = make_plan(
        source, to=to, aux=aux, delivery=delivery, tiles=tile or (), group=group, unit=unit, orbit=orbit,  # type: ignore[arg-type]
        costs=calibrated_costs(history), memory=int(memory * 2**30), split=split,
    )  # fmt: skip
    kept = _promises(made, group, pace, split) if sla else []
    done = simulate_plan(made, workers, reception=_reception(made), pace=pace) if workers else None
    if html is not None:
        from s2dask.qc.sheet import html as render

        html.write_text(render(plan_page.plan_sheet(made, kept)), "utf-8")
    if as_json:
        facts = made.facts()
        if done is not None:
            facts["forecast"] = {
                "workers": workers, "seconds": done.seconds, "efficiency": done.efficiency,
                "disk": done.disk, "delivered": done.delivered,
            }  # fmt: skip
        facts["promises"] = [
            {"level": p.level, "delivery": p.delivery, "limit": p.limit, "cores": p.cores, "seconds": p.seconds,
             "core_seconds": p.core_seconds, "times": p.times, "stages": p.stages, "disk": p.disk}
            for p in kept
        ]  # fmt: skip
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(plan_page.headline(made))
    if beside is not None:
        typer.echo(_beside(made, beside, pace))
    _print(plan_page.tables(made, kept))
    if done is not None:
        typer.echo(
            f"{workers} workers: done {done.seconds / 60:.1f} min after the last input ({done.efficiency:.0%} busy)"
        )
        typer.echo(plan_page.disk_note(done))
    for note in plan_page.notes(made):
        typer.echo(note)
    if html is not None:
        typer.echo(html)


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(plan)
