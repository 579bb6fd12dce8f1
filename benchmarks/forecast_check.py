"""What the simulation of a run foretells against what the run takes, on one worker and on two; what the second gains.

    python benchmarks/forecast_check.py [FIGURES] [--rest SECONDS]
    NUMBA_NUM_THREADS=1 python benchmarks/forecast_check.py --real [--scenes N] [--detectors 6,7] [--window METRES]
    NUMBA_NUM_THREADS=1 python benchmarks/forecast_check.py --real --session FOLDER [--delivery htj2k] [--history DIR]

Without ``--real`` the tasks of a session of five scenes and twelve detectors rest for their expected time, made so
short that one worker is busy for as long as told: what is checked is the scheduling, whatever else the machine does.
With it a session is simulated and a window of it run, or all tiles of a session that is there; before each time that
counts a window is run to have the kernels compiled. The costs come from the run on one worker, which `--history` keeps.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from reporting import Case, report

from s2dask.cluster.local import local_client
from s2dask.geometry.tiles import tile_at
from s2dask.graph.cost_history import calibrated_costs
from s2dask.instrument import BANDS, DETECTORS
from s2dask.production.chain import run
from s2dask.production.footprint import tile_grid
from s2dask.production.forecast import simulate_plan
from s2dask.production.ledger import Ledger
from s2dask.production.plan import Plan, plan
from s2dask.production.plan_source import PlanSource, StripShape
from s2dask.production.plan_work import Delivery, TileShape, tile_stages
from s2dask.production.rehearsal import rehearse
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

SPEED_UP = 1.8
"""Asked of the second worker."""
EDGE = 20_040
"""Of the window that is run first [m]."""


def _resting(rest: float) -> tuple[list[float], list[float]]:
    """Return what was foretold and what it took [s], on one worker and on two."""
    tiles = ("31TCJ", "31TDJ", "31TCH", "31TDH")
    strip = StripShape(DETECTORS, tuple(BANDS), 5, "ccsds122", (0, 18_040_000_000), tiles, dict.fromkeys(tiles, 0.5))
    made = plan(PlanSource("/nowhere/session", "session", "session", "S2A", (strip,), (200_000_000,) * 6))
    speed = made.estimate.seconds / rest
    told = [simulate_plan(made, n, pace=1.0 / speed).seconds for n in (1, 2)]
    took = []
    for n in (1, 2):
        with tempfile.TemporaryDirectory() as folder, local_client(n, dashboard=False) as client:
            with Ledger.open(f"{folder}/warm.db") as ledger:
                rehearse(made, f"{folder}/warm", client=client, ledger=ledger)
            with Ledger.open(f"{folder}/timed.db") as ledger:
                took.append(rehearse(made, f"{folder}/timed", client=client, ledger=ledger, speed=speed).seconds)
    return told, took


def _windowed(made: Plan, tile: str, window: tuple[int, int, int, int], cover: float = 1.0) -> Plan:
    """Return a plan whose only tile is a window of it."""
    shape = TileShape(tile_grid(tile, window), made.source.strips[0].bands, cover)
    stages = tile_stages(shape, made.to, made.delivery)
    units = tuple(replace(p, stages=stages) if p.unit.kind == "TILE" else p for p in made.units)
    return replace(made, units=units)


def _inside(tile: str, window: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return what a tile holds of a window, 20 km of it at most."""
    grid, (x0, y0, width, height) = tile_grid(tile), window
    west, north = max(x0, grid.x0), min(y0, grid.y0)
    east, south = min(x0 + width, grid.x0 + grid.width), max(y0 - height, grid.y0 - grid.height)
    return west, north, min(east - west, EDGE), min(north - south, EDGE)


def _real(
    root: Path, session: str, delivery: Delivery, history: str, whole: bool
) -> tuple[list[float], list[float], list[str]]:
    """Return what was foretold and what it took [s], on one worker and on two, and what each run says of itself."""
    truth = Truth(f"{session}/truth.zarr")
    tile, out, took, told, pace = tile_at(*truth.attrs["centre"]), str(root / "out"), [], [], 1.0
    place: dict[str, Any] = {"tile": tile, "window": _inside(tile, truth.window)}
    coding: Any = {"tile_safe": False} if delivery == "zarr" else {"jp2_profile": delivery}
    for n in (1, 2):
        with local_client(n, dashboard=False) as client:
            run(session, client=client, out=out, **place, **coding)
            shutil.rmtree(out)
            asked = ({} if whole else place) | ({"history": history} if n == 1 else {})
            begun = perf_counter()
            done = run(session, client=client, out=out, **asked, **coding)
            took.append(perf_counter() - begun)
            shutil.rmtree(out)
        spent = sum(o.core_seconds for o in done.outcomes)
        busy = f"{spent:.0f} core s in {took[-1] * n:.0f} s of workers"
        told.append(f"{n} workers: {len(done.products)} products, {busy}")
        if n == 1:
            pace = sum(o.seconds for o in done.outcomes) / spent
    costs = calibrated_costs(history)
    if whole:
        made = plan(session, delivery=delivery, costs=costs)
    else:
        made = _windowed(plan(session, tiles=[tile], delivery=delivery, costs=costs), tile, place["window"])
    return [simulate_plan(made, n, pace=pace).seconds for n in (1, 2)], took, told


def _cases(title: str, told: Sequence[float], took: Sequence[float]) -> Iterator[Case]:
    for n, foretold, seconds in zip((1, 2), told, took, strict=True):
        speed = {"ours": 1 / seconds, "foretold": 1 / foretold}
        yield Case(f"{title}, {n} workers", speed, "1/s", {"foretold s": foretold, "took s": seconds})
    gained, expected = took[0] / took[1], told[0] / told[1]
    yield Case(f"{title}, speed-up", {"ours": gained, "asked": SPEED_UP}, "", {"foretold": expected})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figures", nargs="?")
    parser.add_argument("--rest", type=float, default=150.0, help="of one worker [s]")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--scenes", type=int)
    parser.add_argument("--detectors", default="6,7")
    parser.add_argument("--window", type=int, default=EDGE)
    parser.add_argument("--session", help="that is there, of which all tiles are made")
    parser.add_argument("--delivery", default="s2-strict", choices=["s2-strict", "s2-fast", "htj2k", "zarr"])
    parser.add_argument("--history", help="folder that keeps what tasks of the run on one worker cost")
    asked = parser.parse_args()
    sys.argv[1:] = [asked.figures] if asked.figures else []
    if not asked.real:
        report("forecast", list(_cases("resting", *_resting(asked.rest))))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        detectors = tuple(int(d) for d in asked.detectors.split(","))
        options = SimulationOptions(scenes=asked.scenes, detectors=detectors, window=asked.window)
        session = asked.session or str(simulate(str(root / "session"), options))
        history = asked.history or str(root / "history")
        foretold, took, told = _real(root, session, asked.delivery, history, asked.session is not None)
        report("forecast", list(_cases("real", foretold, took)))
        print(*told, sep="\n")


if __name__ == "__main__":
    main()
