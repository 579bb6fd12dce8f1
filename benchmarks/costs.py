"""Cost of every step of the chain: what `s2dask plan` comes with, measured by the tasks of production themselves.

    NUMBA_NUM_THREADS=1 python benchmarks/costs.py HISTORY [session] [tile] [htj2k] [s2-fast]

A simulated session of two detectors goes from its CADUs to L2A, and a full tile from L1B (as in ``full_tile.py``) to
its delivery, for each JPEG 2000 profile named; processor time of one worker. Each becomes a run of the history, from
which ``python benchmarks/costs.py HISTORY --table`` prints the table of ``s2dask/data/costs.toml``.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from s2dask.cluster.local import local_client
from s2dask.geometry.tiles import tile_at
from s2dask.graph.cost import CostModel
from s2dask.graph.cost_history import add_run, fit_costs, read_runs
from s2dask.graph.tasks import Outcome, TaskGraph
from s2dask.production import levels
from s2dask.production.blocks import default_blocking
from s2dask.production.chain import run
from s2dask.production.footprint import tile_grid
from s2dask.production.plan_measure import Made, samples_of
from s2dask.production.strip import strip_facts
from s2dask.production.tile_release import add_release
from s2dask.release.tile import TileRelease
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate


def _session(history: str, root: Path) -> None:
    """Measure a session of two detectors: the second of two runs, which has everything compiled."""
    session = simulate(str(root / "session"), SimulationOptions())
    truth = Truth(f"{session}/truth.zarr")
    window, tile = truth.window, tile_at(*truth.attrs["centre"])
    with local_client(1) as client:
        for kept in (None, history):
            run(session, client=client, out=str(root / "out"), tile=tile, window=window, history=kept)
            shutil.rmtree(root / "out")


def _tile(history: str, root: Path, profiles: list[str]) -> None:
    """Measure a full tile: L1B to L2A, and its delivery by every profile."""
    from full_tile import TILE, build

    l0, l1b, aux = build(root)
    grid = tile_grid(TILE)
    plan = levels.TilePlan(grid, default_blocking(grid), str(root / "l1c.zarr"), str(root / "l2a.zarr"))
    outcomes: list[Outcome] = []
    with local_client(1) as client:
        graph = TaskGraph()
        last = levels.add_l1c(graph, plan, l0, l1b, aux)
        levels.add_l2a(graph, plan, plan.l1c, aux, (last,))
        outcomes += graph.run(client).values()
        made = Made(strip_facts(l0).bands, "ccsds122", {plan.name: grid})
        add_run(history, "tile", "2026-11-21T17:10:00", list(samples_of(outcomes, made)))
        for profile in profiles:
            graph, delivery = TaskGraph(), root / f"delivery-{profile}"
            delivery.mkdir()
            for store, masks in ((plan.l1c, None), (plan.l2a, plan.l1c)):
                what = TileRelease(store, masks, jp2_profile=profile)  # type: ignore[arg-type]
                add_release(graph, what, root, str(delivery), plan.name)
            done = list(graph.run(client).values())
            shutil.rmtree(delivery)
            made = Made(made.bands, made.codec, made.tiles, profile)  # type: ignore[arg-type]
            cover = [o for o in outcomes if o.step == "GEN_ORTHO_TOA"]
            samples = [s for s in samples_of([*done, *cover], made) if not s.step.startswith("GEN_ORTHO")]
            add_run(history, f"delivery-{profile}", "2026-11-21T17:20:00", samples)


def _print(model: CostModel) -> None:
    print("shared = 0.35\n")
    for name, cost in sorted(model.steps.items()):
        print(f'[steps."{name}"]')
        peak = -(-cost.peak_bytes // (1 << 20))
        print(
            f"fixed = {cost.fixed:.4g}\nper_mega = {cost.per_mega:.4g}\nspread = {cost.spread:.2f}\npeak_mib = {peak}\n"
        )


def main() -> None:
    """Measure, or print the table of what was measured."""
    history, *what = sys.argv[1:]
    if "--table" in what:
        _print(fit_costs(read_runs(history), CostModel({}, 0.35)))
        return
    root = Path(tempfile.mkdtemp(prefix="costs", dir=os.environ.get("TMPDIR")))
    try:
        if "session" in what:
            _session(history, root)
        if "tile" in what:
            _tile(history, root, ["s2-strict", *(p for p in ("s2-fast", "htj2k") if p in what)])
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
