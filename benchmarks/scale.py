"""What the engine costs that carries a session of 60 GB, against what is allowed of it.

    python benchmarks/scale.py [FIGURES [SESSION]]

The structure of such a session (``s2dask simulate --structure-only``; made here if none is named) is planned, and
rehearsed on two workers: every unit, key, argument and dependency of the run, tasks that return at once. Processor time
of this process, in which client, dispatcher, ledger and scheduler are, over what the tasks would take with the cheapest
JPEG 2000; a ratio above 1 keeps the limit.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from reporting import Case, report
from sqlalchemy import Connection

from s2dask.cluster.local import local_client
from s2dask.production.ledger import Ledger, Retry
from s2dask.production.ledger.database import Database
from s2dask.production.ledger.schema import prepare
from s2dask.production.plan import plan
from s2dask.production.rehearsal import rehearse
from s2dask.simulate.structure import StructureOptions, simulate_structure

WORKERS = 2
PLAN_SECONDS, TASKS, ENGINE_SHARE, LEDGER_SHARE = 60.0, 20_000, 0.05, 0.01
"""What is allowed: of a plan [s], on the scheduler, of client and scheduler, of the ledger."""
T = TypeVar("T")


class Metered(Database):
    """A database that counts the processor time of its transactions, whichever thread they run in."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, 60.0)
        self.cpu, self._lock = 0.0, threading.Lock()

    def _try(self, work: Callable[[Connection], T], options: Mapping[str, Any]) -> T:
        begun = time.thread_time()
        try:
            return super()._try(work, options)
        finally:
            with self._lock:
                self.cpu += time.thread_time() - begun


@contextmanager
def _session() -> Iterator[str]:
    if len(sys.argv) > 2:
        yield sys.argv[2]
        return
    with tempfile.TemporaryDirectory() as folder:
        yield simulate_structure(f"{folder}/session", StructureOptions())


def _planned(session: str) -> Iterator[Case]:
    wall, cpu = time.perf_counter(), time.process_time()
    plan(session)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    yield Case(
        "plan of 60 GB", {"ours": 1 / cpu, "allowed": 1 / PLAN_SECONDS}, "plans/core-s", {"core-s": cpu, "s": wall}
    )


def _rehearsed(session: str, folder: Path) -> Iterator[Case]:
    made = plan(session, delivery="htj2k")
    expected, strict = made.estimate.seconds, plan(made.source).estimate.seconds
    database = Metered(folder / "ledger.db")
    prepare(database)
    with local_client(WORKERS, dashboard=False) as client, Ledger(database, time.time, Retry()) as ledger:
        done = rehearse(made, folder, client=client, ledger=ledger)
    if done.failed:
        raise SystemExit("\n".join(done.failed))
    facts = {"units": float(done.units), "tasks": float(done.tasks), "s": done.seconds, "task core-s": expected}
    most = float(done.most)
    yield Case("tasks on the scheduler", {"ours": 1 / most, "allowed": 1 / TASKS}, "1/task", {"most": most})
    for title, cpu, share in (
        ("client and scheduler", done.cpu_seconds - database.cpu, ENGINE_SHARE),
        ("ledger", database.cpu, LEDGER_SHARE),
    ):
        speed = {"ours": expected / cpu, "allowed": 1 / share}
        shares = {"share %": 100 * cpu / expected, "share of s2-strict %": 100 * cpu / strict}
        yield Case(title, speed, "core-s/core-s", {"core-s": cpu, **shares, **facts})


def main() -> None:
    """Measure and print."""
    with _session() as session, tempfile.TemporaryDirectory() as folder:
        report("scale", [*_planned(session), *_rehearsed(session, Path(folder))])


if __name__ == "__main__":
    main()
