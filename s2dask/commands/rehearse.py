"""``s2dask rehearse``: a run of a session without its pixels, which tells what the engine itself costs."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer


def rehearse(
    session: Annotated[
        str, typer.Argument(help="CADU session, or one of `simulate --structure-only` (folder or URL).")
    ],
    workers: Annotated[int, typer.Option("--workers", "-w", help="Worker processes.")] = 2,
    speed: Annotated[
        float | None,
        typer.Option(help="Tasks rest, so many times shorter than they are expected to work; default: not at all."),
    ] = None,
    to: Annotated[str, typer.Option(help="Last level: L1C or L2A.")] = "L2A",
    delivery: Annotated[str, typer.Option(help="Of tiles: s2-strict, s2-fast, htj2k or zarr.")] = "s2-strict",
    split: Annotated[int | None, typer.Option(metavar="SCENES", help="Of a virtual datastrip.")] = None,
    aux: Annotated[str | None, typer.Option(help="Folder of auxiliary files; default: SESSION/aux.")] = None,
    history: Annotated[str | None, typer.Option(help="Folder or URL of measured runs, which the costs follow.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of tasks that scatter about their expected cost.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for ledger and products; default: one that is removed.")
    ] = None,
) -> None:
    """Run every unit of a session on a cluster here, its tasks resting instead of working."""
    from s2dask.cluster.local import local_client
    from s2dask.graph.cost_history import calibrated_costs
    from s2dask.production.ledger import Ledger
    from s2dask.production.plan import plan
    from s2dask.production.rehearsal import rehearse as run

    made = plan(session, to=to, aux=aux, delivery=delivery, costs=calibrated_costs(history), split=split)  # type: ignore[arg-type]
    expected = made.estimate.seconds
    with tempfile.TemporaryDirectory(prefix="rehearsal") as folder:
        place = out or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        with local_client(workers) as client, Ledger.open(place / "ledger.db") as ledger:
            done = run(made, place, client=client, ledger=ledger, speed=speed or float("inf"), seed=seed)
    typer.echo(f"{done.units} units, {done.products} products, {done.tasks} tasks, at most {done.most} at a time")
    typer.echo(
        f"{done.seconds:.1f} s; client, ledger and scheduler {done.cpu_seconds:.1f} core s, "
        f"{100 * done.cpu_seconds / expected:.2f} % of the {expected:.0f} core s of the tasks"
    )
    for reason in done.failed:
        typer.echo(f"failed: {reason}", err=True)
    if done.failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(rehearse)
