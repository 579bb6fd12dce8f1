"""Units on their way: claimed from the ledger, run side by side on a cluster, completed or failed, each once."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from distributed.client import FutureCancelledError

from s2dask.cluster.connect import Connection
from s2dask.errors import WorkerLost
from s2dask.graph.tasks import Outcome
from s2dask.graph.unit import TASK_BUDGET, Unit
from s2dask.production.failure import failure_of, keep_bundle, kind_of
from s2dask.production.ingest import BASELINE
from s2dask.production.ledger import ABORTED, Claim, LeaseLost, Ledger, Result
from s2dask.production.owner import is_dead, owner_name
from s2dask.production.product_digest import product_of
from s2dask.production.runner import Runner
from s2dask.production.standing import needed, standing
from s2dask.production.trace import Trace
from s2dask.production.work import Context, Work

_log = logging.getLogger(__name__)
LEASE: Final = 120.0
"""A unit whose service is silent for so long goes to another [s]."""
POLL: Final = 0.5
"""Between two looks at the ledger while nothing ends [s]."""
LOOK: Final = 10.0
"""Between two looks at a cluster that seems to live [s]."""
_FAREWELL: Final = 60.0
"""Time that units have to end whose cluster is gone [s]."""


@dataclass
class Dispatcher:
    """Runs the units of a ledger on a cluster.

    Attributes
    ----------
    ledger : Ledger
    runner : Runner
    works : mapping of str to Work
        What runs a unit, by kind.
    run : str or None
        Only the units of this run; None: of all.
    width : int
        Units side by side; each hands over some ten to some hundred tasks.
    room : int
        Tasks that the scheduler may hold of units that run side by side; one that has more goes alone.
    failures : Path or None
        Folder for what is needed to see a bug again.
    trace : Trace or None
    measure : callable or None
        Hears of each unit that was run to its end, and of its tasks with their results.
    connection : Connection or None
        The way back to the cluster when its scheduler has died; None: the run ends then.
    owner : str
    lease : float
        [s]
    told : dict of (str, str) to dict
        What the units that ended well here have told, by run and name, in that order.
    errors : dict of (str, str) to BaseException
        What the units that failed last failed of.
    """

    ledger: Ledger
    runner: Runner
    works: Mapping[str, Work]
    run: str | None = None
    width: int = 4
    room: int = TASK_BUDGET
    failures: Path | None = None
    trace: Trace | None = None
    measure: Callable[[Unit, Sequence[Outcome]], None] | None = None
    connection: Connection | None = None
    owner: str = field(default_factory=owner_name)
    lease: float = LEASE
    told: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    errors: dict[tuple[str, str], BaseException] = field(default_factory=dict)
    _flying: dict["Future[None]", tuple[Claim, Runner]] = field(default_factory=dict, repr=False)
    _renewed: float = field(default=0.0, repr=False)
    _looked: float = field(default=-math.inf, repr=False)
    _buried: float = field(default=-math.inf, repr=False)

    def drain(self) -> None:
        """Run units until nothing more will happen by itself; whatever ends it early, they are given back at once."""
        with ThreadPoolExecutor(self.width, thread_name_prefix="unit") as pool:
            try:
                while self._step(pool):
                    pass
            except BaseException:
                self._give_back()
                raise

    def _step(self, pool: ThreadPoolExecutor) -> bool:
        """Claim what there is room for, wait a moment, and settle what has ended; return whether there is more."""
        if not self._cluster_lives():
            time.sleep(POLL)
            return True
        self._bury()
        self._claim(pool)
        if not self._flying:
            pending = self.ledger.pending(self.run)
            if pending.over:
                return False
            if pending.ready and self._claim(pool, alone=True):
                return True
            time.sleep(POLL if pending.due is None else min(max(pending.due - time.time(), 0.01), POLL))
            return True
        ended, _ = wait(self._flying, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in ended:
            del self._flying[future]
            future.result()
        self._watch()
        return True

    def _cluster_lives(self) -> bool:
        """Return whether units can be handed over; a cluster that is gone is waited for, and what it had given back."""
        client, now = self.runner.client, time.monotonic()
        if client.status == "running" and now - self._looked < LOOK:
            return True
        self._looked = now
        if self.connection is None:
            if client.status == "closed":
                raise WorkerLost("the scheduler is gone", str(client), "start the run again: what is finished stands")
            return bool(client.status == "running")
        if not self.connection.alive():
            for _, runner in self._flying.values():
                runner.lost.set()
            ended, _ = wait(self._flying, timeout=_FAREWELL)
            for future in ended:
                del self._flying[future]
                future.result()
            self.runner.client = self.connection.reopen()
        return True

    def _bury(self) -> None:
        """Take over from services of this machine that died, without waiting for their leases to run out."""
        if time.monotonic() - self._buried < LOOK:
            return
        self._buried = time.monotonic()
        if dead := [owner for owner in self.ledger.owners() if is_dead(owner)]:
            _log.warning("dead, and their units taken over: %s", ", ".join(dead))
            self.ledger.disown(dead)

    def _claim(self, pool: ThreadPoolExecutor, *, alone: bool = False) -> bool:
        """Claim units that there is room for, or a single one whatever its size; return whether there was any."""
        free = 1 if alone else self.width - len(self._flying)
        if free <= 0:
            return False
        room = None if alone else self.room - sum(claim.unit.cost.tasks for claim, _ in self._flying.values())
        claims = self.ledger.claim(self.run, self.owner, lease=self.lease, limit=free, room=room)
        for claim in claims:
            runner = self.runner.alone()
            # in the span of the run, which a thread of a pool does not inherit
            self._flying[pool.submit(copy_context().run, self._perform, claim, runner)] = (claim, runner)
        return bool(claims)

    def _watch(self) -> None:
        """Renew the leases, and take back the tasks of units that are not ours any more."""
        if time.monotonic() - self._renewed < self.lease / 4:
            return
        self._renewed = time.monotonic()
        flying = list(self._flying.values())
        kept = {(c.id, c.fence) for c in self.ledger.renew([claim for claim, _ in flying], self.lease)}
        for claim, runner in flying:
            if (claim.id, claim.fence) not in kept or self.ledger.control(claim.run) == ABORTED:
                runner.cancel()

    def _give_back(self) -> None:
        """Leave the units to whoever comes next, at once."""
        self.runner.stopped.set()
        for _, runner in self._flying.values():
            runner.lost.set()
            runner.cancel()
        self.ledger.release([claim for claim, _ in self._flying.values()])

    def _perform(self, claim: Claim, runner: Runner) -> None:
        """Run a claimed unit to its end, good or bad."""
        begun = time.perf_counter()
        try:
            before = self._before(claim)
            if self.trace is not None:
                self.trace.begin(claim, before)
            try:
                self._run(claim, Context(claim.unit, runner, before), begun)
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a unit fails of is for the ledger
                self._fail(claim, runner, before, error, time.perf_counter() - begun)
        except LeaseLost as error:
            _log.warning("%s", error)
        finally:
            # results are for the unit alone: those of 60 GB would fill the memory
            self.runner.outcomes.extend(outcome.without_result() for outcome in runner.outcomes)

    def _run(self, claim: Claim, context: Context, begun: float) -> None:
        unit = claim.unit
        made = standing(self.ledger, unit)
        if made is not None:
            self.ledger.complete(claim, made, reused=True)
            self._note(claim, made, reused=True)
            return
        done = self.works[unit.kind](context)
        outcomes = context.runner.outcomes
        value: dict[str, Any] = _plain(asdict(done.told))
        result = Result(
            value, tuple(product_of(made, f"N{BASELINE}") for made in done.products),
            sum(o.core_seconds for o in outcomes), time.perf_counter() - begun,
            sum(o.bytes_in for o in outcomes), sum(o.bytes_out for o in outcomes),
            peak_bytes=max((o.peak_bytes for o in outcomes), default=0), gipps=done.gipps, versions=done.versions,
        )  # fmt: skip
        self.ledger.complete(claim, result, needed(self.ledger, done.children))
        self._note(claim, result, reused=False)
        if self.measure is not None:
            self.measure(unit, outcomes)

    def _note(self, claim: Claim, result: Result, *, reused: bool) -> None:
        self.told[claim.run, claim.unit.name] = result.value
        self.errors.pop((claim.run, claim.unit.name), None)
        if self.trace is not None:
            self.trace.end(claim, result, reused=reused)

    def _before(self, claim: Claim) -> dict[str, dict[str, Any]]:
        """Return what the units before one have told, here or in another process."""
        found = {name: told for name in claim.unit.after if (told := self.told.get((claim.run, name))) is not None}
        absent = [name for name in claim.unit.after if name not in found]
        return found | (self.ledger.values(claim.run, absent) if absent else {})

    def _fail(
        self, claim: Claim, runner: Runner, before: Mapping[str, Any], error: Exception, seconds: float
    ) -> None:  # fmt: skip
        if _interrupted(runner, error):
            _log.info("%s given back: %s", claim.unit.name, error)
            self._looked = -math.inf
            self.ledger.release([claim])
            return
        bundle = self._bundle(claim, before, error)
        self.errors[claim.run, claim.unit.name] = error
        if self.ledger.control(claim.run) == ABORTED:
            return
        state = self.ledger.fail(claim, failure_of(error, bundle, self.failures))
        _log.info("%s %s: %s", claim.unit.name, state.lower(), error)
        if self.trace is not None:
            self.trace.fail(claim, state, error, seconds)

    def _bundle(self, claim: Claim, before: Mapping[str, Any], error: Exception) -> str | None:
        """Keep what is needed to see a failure again that may be the unit's own fault, and the last one of any."""
        kind = kind_of(error, self.failures)
        last = kind == "transient" and claim.attempt >= self.ledger.retry.attempts
        if self.failures is None or not (last or kind == "bug" or isinstance(error, WorkerLost)):
            return None
        try:
            return keep_bundle(self.failures, claim.unit, claim.attempt, before, error)
        except OSError as full:
            _log.warning("%s: nothing kept of its failure: %s", claim.unit.name, full)
            return None


def _interrupted(runner: Runner, error: Exception) -> bool:
    """Return whether the cluster, or the service, went away under a unit, which is no failure of the unit."""
    if runner.lost.is_set() or runner.client.status != "running":
        return True
    return isinstance(error, FutureCancelledError) and error.reason == "scheduler-connection-lost"


def _plain(value: Any) -> Any:
    """Return JSON without numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
