"""What the simulation of a run foretells against what the run takes, on one worker and on two; what the second gains.

    python benchmarks/forecast_check.py [FIGURES] [--rest SECONDS]
    NUMBA_NUM_THREADS=1 python benchmarks/forecast_check.py --real [--scenes N] [--detectors 6,7] [--window METRES]

Without ``--real`` the tasks of a session of five scenes and twelve detectors rest for their expected time, made so
short that one worker is busy for as long as told: what is checked is the scheduling, whatever else the machine does.
With it a session is simulated and run, once to compile; the costs come from the run on one worker.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

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
from s2dask.production.plan_work import TileShape, tile_stages
from s2dask.production.rehearsal import rehearse
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

SPEED_UP = 1.8
"""Asked of the second worker."""


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


def _real(root: Path, scenes: int | None, detectors: Sequence[int], window: int) -> tuple[list[float], list[float]]:
    options = SimulationOptions(scenes=scenes, detectors=tuple(detectors), window=window)
    session = simulate(str(root / "session"), options)
    truth = Truth(f"{session}/truth.zarr")
    place, tile, history, took, pace = truth.window, tile_at(*truth.attrs["centre"]), str(root / "history"), [], 1.0
    for n in (1, 2):
        with local_client(n, dashboard=False) as client:
            for timed in (False, True):
                begun = perf_counter()
                kept = history if timed and n == 1 else None
                done = run(session, client=client, out=str(root / "out"), tile=tile, window=place, history=kept)
                seconds = perf_counter() - begun
                shutil.rmtree(root / "out")
        took.append(seconds)
        if n == 1:
            pace = sum(o.seconds for o in done.outcomes) / sum(o.core_seconds for o in done.outcomes)
    made = _windowed(plan(session, tiles=[tile], costs=calibrated_costs(history)), tile, place)
    return [simulate_plan(made, n, pace=pace).seconds for n in (1, 2)], took


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
    parser.add_argument("--window", type=int, default=20_040)
    asked = parser.parse_args()
    sys.argv[1:] = [asked.figures] if asked.figures else []
    if not asked.real:
        report("forecast", list(_cases("resting", *_resting(asked.rest))))
        return
    with tempfile.TemporaryDirectory() as folder:
        detectors = [int(d) for d in asked.detectors.split(",")]
        report("forecast", list(_cases("real", *_real(Path(folder), asked.scenes, detectors, asked.window))))


if __name__ == "__main__":
    main()
