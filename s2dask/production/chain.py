"""The whole chain: a session, or a real L1B or L1C product, to delivered and checked products."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from distributed import Client

from s2dask.cluster.connect import Connection
from s2dask.cluster.report import reported
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.graph.cost_history import Sample, add_run
from s2dask.graph.tasks import Outcome
from s2dask.graph.unit import TASK_BUDGET, Unit
from s2dask.io.object_store import patiently
from s2dask.io.safe_l1b import is_l1b_safe
from s2dask.io.storage import exists, is_s3
from s2dask.production.dispatch import Dispatcher
from s2dask.production.failure import read_bundle
from s2dask.production.ledger import FINISHED, Ledger, Retry
from s2dask.production.order import Order
from s2dask.production.plan_measure import samples_of_unit
from s2dask.production.progress import Listener, Silent
from s2dask.production.provenance import remembering
from s2dask.production.resumption import same_run, stamp
from s2dask.production.runner import Runner
from s2dask.production.session_work import run_session
from s2dask.production.standing import needed
from s2dask.production.strip_work import close, run_granules, run_packets
from s2dask.production.tile_work import import_unit, l1c_unit, run_import, run_tile
from s2dask.production.trace import Trace
from s2dask.production.unit_cost import priced_root
from s2dask.production.unit_table import session_unit, units_at_once
from s2dask.production.virtual_strip import run_clean
from s2dask.production.work import Account, Context, Work
from s2dask.release.publish_objects import check_store

_WORKS: Final[Mapping[str, Work]] = {
    "SESSION": run_session, "L0": run_packets, "L1A": run_granules, "L1B": run_granules, "STRIP": close,
    "IMPORT": run_import, "TILE": run_tile, "CLEAN": run_clean,
}  # fmt: skip
WORKS: Final[Mapping[str, Work]] = {kind: remembering(work) for kind, work in _WORKS.items()}
"""What runs the units of each kind."""
LEDGER: Final = "ledger.db"
"""In the folder of the working stores, where no other ledger is named."""
RETRY: Final = Retry(attempts=6, first=2.0, longest=120.0, losses=20)
"""Of a run: a minute of patience with a full disk; a task that takes its worker with it takes 24 at the most."""


@dataclass(slots=True)
class Summary(Account):
    """What a run made.

    Attributes
    ----------
    outcomes : list of Outcome
    failed : list of str
        Units that came to no end, and why; the others did.
    run : str
        Name of the run in the ledger.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    run: str = ""

    def notes(self) -> list[str]:
        """Return what a person should know, a line each: what was assumed, failed or kept back."""
        failed = [c for c in self.checks if c["status"] != "PASSED"]
        return [
            *(f"assumed: {flag}" for flag in dict.fromkeys(self.flags)),
            *(f"unseen: {what}" for what in self.unseen),
            *(f"as expected: {what}" for what in self.expected),
            *(
                f"{c['severity']} check {c['level']} {c['checklist']}/{c['id']} {c['status']}: {c['message']}"
                for c in failed
            ),
            *(f"withheld: {reason}" for reason in self.withheld),
            *(f"flagged: {reason}" for reason in self.flagged),
            *(f"failed: {reason}" for reason in self.failed),
        ]


def run(
    source: str, *, client: Client | Connection, listener: Listener | None = None, retry: Retry = RETRY,
    room: int = TASK_BUDGET, page: str | Path | None = None, **asked: Any,
) -> Summary:  # fmt: skip
    """Process a session or a real L1B or L1C product and deliver what comes of it.

    A run that was killed is gone on with, and one that failed repeated: what was finished stands.

    Parameters
    ----------
    source : str
        Folder or fsspec URL of a CADU session, or a local L1B or L1C SAFE (folder or zip).
    client : Client or Connection
        Of the cluster that works; its workers see the source and the local folders. A connection finds the way back to
        a cluster whose scheduler has died.
    listener : Listener, optional
    retry : Retry
        How often units that fail by chance are tried.
    room : int
        Tasks that the scheduler may hold; a unit that has more goes alone.
    page : path, optional
        HTML file for what Dask has to say about the run; of a scheduler that dies meanwhile there is none.
    **asked
        The other attributes of `Order`: ``to``, ``out``, ``aux``, ``keep``, ``follow`` …

    Returns
    -------
    Summary

    Raises
    ------
    S2Error
        Where nothing is delivered because of it; a failure beside which something is delivered is in the summary.
    """
    order = Order(source=source, **asked)
    if order.follow is None and not exists(source):
        raise InputMissing("nothing there", source, "check the path")
    root = _root(order)
    _prepare(order)
    connection, samples = client if isinstance(client, Connection) else None, list[Sample]()
    runner = Runner(client.client if isinstance(client, Connection) else client, listener or Silent())
    with Ledger.open(order.ledger or order.work / LEDGER, retry=retry) as ledger:
        name = _begin(ledger, order, root)
        workers = max(len(runner.client.scheduler_info(n_workers=-1)["workers"]), 1)
        dispatcher = Dispatcher(
            ledger, runner, WORKS, name, width=units_at_once(workers), room=room, failures=order.failures,
            trace=None if order.trace is None else Trace(order.trace), connection=connection,
            measure=None if order.history is None else lambda unit, done: samples.extend(samples_of_unit(unit, done)),
        )  # fmt: skip
        with reported(runner.client, name, page=page):
            dispatcher.drain()
        _keep_costs(order, name, samples)
        summary = _summary(dispatcher, ledger, name)
    # what was finished is worth going on with
    if not order.keep and not (summary.failed and dispatcher.told):
        _clear(order)
    if summary.failed and not summary.products and dispatcher.errors:
        raise next(iter(dispatcher.errors.values()))
    if summary.unseen and not summary.products and not summary.withheld:
        raise ConfigurationError(summary.unseen[0], "--tile", "name one of those")
    return summary


def _keep_costs(order: Order, run: str, samples: Sequence[Sample]) -> None:
    """Add what the tasks of a run cost to the history of measured runs, if the order names one."""
    if order.history and samples:
        add_run(order.history, re.sub(r"[^\w.-]", "_", run, flags=re.ASCII), datetime.now(UTC).isoformat(), samples)


def _root(order: Order) -> Unit:
    """Return the first unit of a run: it calls for the others."""
    if not order.is_safe:
        shared = {"order": order.spec()} | ({} if order.follow else {"of": stamp(order)})
        return priced_root(session_unit(shared=shared), order)
    return priced_root(import_unit(order) if is_l1b_safe(order.source) else l1c_unit(order), order)


def _begin(ledger: Ledger, order: Order, root: Unit) -> str:
    """Return the run in the ledger: one that was killed, or a new one."""
    begins = f"{order.work.name}-"
    found = same_run(ledger, root, begins) if "of" in root.spec else None
    if found is not None:
        return found
    name = f"{begins}{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    ledger.open_run(name, request=order.spec())
    ledger.add(name, needed(ledger, [root]))
    return name


def _prepare(order: Order) -> None:
    """Make the folder of the working stores; what a run that did not end has left there is gone on with.

    A delivery folder that nothing can be delivered to is refused before anything is made for it.
    """
    if is_s3(order.out):
        patiently(lambda: check_store(order.out), order.out)
    if not order.keep and order.ledger is None and not (order.work / LEDGER).is_file():
        shutil.rmtree(order.work, ignore_errors=True)
    order.work.mkdir(parents=True, exist_ok=True)


def _clear(order: Order) -> None:
    work = order.work
    shutil.rmtree(work, ignore_errors=True)
    if order.scratch is None and work.parent.is_dir() and not any(work.parent.iterdir()):
        work.parent.rmdir()


def _summary(dispatcher: Dispatcher, ledger: Ledger, run: str) -> Summary:
    """Return what the units of a run have told, in the order in which they were planned."""
    rows = ledger.units(run)
    failed = [
        f"{row['name']} {row['state'].lower()}: "
        f"{dispatcher.errors.get((run, row['name'])) or row['error']['what'] or 'not run'}"
        for row in rows
        if row["state"] not in FINISHED
    ]
    summary = Summary(outcomes=dispatcher.runner.outcomes, failed=failed, run=run)
    for row in rows:
        if row["state"] in FINISHED:
            summary.add(row["value"])
    return summary


def repeat(bundle: str | Path, client: Client, listener: Listener | None = None) -> dict[str, Any]:
    """Run a unit that failed of a bug once more, with what it was given then, and return what it tells.

    Parameters
    ----------
    bundle : path
        Folder ``logs_FAILURE_…`` that the failure has left; it needs the working stores that were there then.
    client : Client
    listener : Listener, optional
    """
    unit, before = read_bundle(bundle)
    done = WORKS[unit.kind](Context(unit, Runner(client, listener or Silent()), before))
    return asdict(done.told)
