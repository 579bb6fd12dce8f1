"""The ledger: what is to be done, who does it, what came of it; the memory that outlives every process."""

import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, select, update

from s2dask.errors import ConfigurationError
from s2dask.graph.unit import Unit
from s2dask.production.ledger import control, intake, queue, report, view
from s2dask.production.ledger.database import Database, chunks
from s2dask.production.ledger.records import (
    ABORTED,
    PAUSED,
    RUNNING,
    STOPPED,
    Claim,
    Event,
    Failure,
    Pending,
    Result,
    Retry,
)  # fmt: skip
from s2dask.production.ledger.schema import prepare
from s2dask.production.ledger.tables import runs, units


class Ledger:
    """A ledger in a database that several processes share.

    Units are run at least once and take effect once: each lease has a number, the fence, and what an older lease says
    is refused. Every change is one transaction, with the events that tell of it. Where the connection is lost, a
    change is tried again: it finds what an earlier try left.

    Parameters
    ----------
    database : Database
    clock : callable
        Returns the moment [s since 1970 UTC].
    retry : Retry
    """

    def __init__(self, database: Database, clock: Callable[[], float], retry: Retry) -> None:
        self._database, self._clock, self._retry = database, clock, retry

    @classmethod
    def open(
        cls, url: str | Path, *, clock: Callable[[], float] = time.time, retry: Retry | None = None,
        patience: float = 60.0,
    ) -> Self:  # fmt: skip
        """Open a ledger; its tables are made or brought up to date.

        Parameters
        ----------
        url : str or Path
            A path (SQLite), ``sqlite:///path`` or ``postgresql://user@host/database``.
        clock : callable
            Returns the moment [s since 1970 UTC].
        retry : Retry, optional
        patience : float
            How long a lost connection is waited for [s].

        Raises
        ------
        LedgerError
            The database is not a ledger, a newer one, read-only, full, or does not answer.
        """
        database = Database(url, patience)
        try:
            database.check_server(clock())
            prepare(database)
        except BaseException:
            database.close()
            raise
        return cls(database, clock, retry or Retry())

    def close(self) -> None:
        """Let the connections go; the ledger can be used again all the same."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def retry(self) -> Retry:
        """How failures are tried again."""
        return self._retry

    @property
    def where(self) -> str:
        """Its address, without the password."""
        return self._database.where

    def runs(self) -> list[str]:
        """Return the names of the runs, the oldest first."""
        return self._database.read(lambda c: list(c.scalars(select(runs.c.name).order_by(runs.c.id))))

    def open_run(
        self, run: str, *, request: Mapping[str, Any] | None = None, baseline: str = "",
        gipps: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Begin a run, or find it again.

        Parameters
        ----------
        run : str
        request : mapping
            The order, JSON-able.
        baseline : str
            Processing baseline; products of another one are refused. Empty: not frozen.
        gipps : mapping of str to str
            Checksum of each GIPP by its type; units with others are refused. Empty: not frozen.
        """
        self._database.write(lambda c: intake.open_run(c, self._clock(), run, request or {}, baseline, gipps or {}))

    def add(self, run: str, given: Sequence[Unit]) -> int:
        """Add units to a run, which is begun if it is not there; those that are there stay as they are.

        Returns
        -------
        int
            Number of those that were new.
        """

        def work(connection: Connection) -> int:
            now = self._clock()
            intake.open_run(connection, now, run, {}, "", {})
            return intake.add_units(connection, now, run, given)

        return self._database.write(work)

    def planned(self, identities: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the spec of the first unit of each identity, in whichever run, of those that there are."""
        return self._database.read(lambda c: view.planned(c, identities))

    def finished_values(self, identities: Collection[str]) -> dict[str, Any]:
        """Return the value of what `finished` returns for each identity, of those that there are."""
        return self._database.read(lambda c: view.finished_values(c, identities))

    def finished(self, identity: str) -> Result | None:
        """Return what a unit of this identity has made, in whichever run; None if none was run to its end."""
        return self._database.read(lambda c: view.finished(c, identity))

    def claim(
        self, run: str | None, owner: str, *, lease: float, limit: int = 1, kinds: Collection[str] | None = None,
        room: int | None = None,
    ) -> list[Claim]:  # fmt: skip
        """Lease units that are ready: what they wait for is done, they are due, their run goes on.

        Parameters
        ----------
        run : str or None
            None: of every run.
        owner : str
            Who asks, for people to read.
        lease : float
            How long [s]; `renew` in time, or another gets the unit.
        limit : int
        kinds : collection of str, optional
            None: of every kind.
        room : int, optional
            Tasks that all of them together may bring; who does not fit is waited for, not overtaken.

        Returns
        -------
        list of Claim
            The larger priority first, then in the order in which they came.
        """
        if lease <= 0 or limit < 1:
            raise ConfigurationError("a claim takes a lease above 0 s and a limit of at least 1", owner)
        ticket, tries = uuid.uuid4().hex, count()

        def work(connection: Connection) -> list[Claim]:
            now = self._clock()  # after the wait for the lock: the lease begins with the claim
            if next(tries) and (got := queue.claimed(connection, ticket)):
                return got
            queue.expire(connection, now, self._retry)
            return queue.claim(
                connection, now, run, owner, lease=lease, limit=limit, kinds=kinds, room=room, ticket=ticket
            )

        return self._database.write(work)

    def renew(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """Prolong leases from now on, and return those that still stand: the others were lost."""

        def work(connection: Connection) -> list[Claim]:
            until = self._clock() + lease
            mine = [claim for some in chunks(claims) for claim in queue.held(connection, some)]
            for some in chunks([claim.id for claim in mine]):
                connection.execute(update(units).where(units.c.id.in_(some)).values(lease_until=until))
            return [queue.prolonged(claim, until) for claim in mine]

        return self._database.write(work) if claims else []

    def complete(self, claim: Claim, result: Result, children: Sequence[Unit] = (), *, reused: bool = False) -> None:
        """Record that a unit is done: result, products, provenance and the units that it adds, all or nothing.

        Saying it twice is saying it once.

        Parameters
        ----------
        claim : Claim
        result : Result
        children : sequence of Unit
        reused : bool
            It was not run: the result is that of a unit of the same identity (`finished`).

        Raises
        ------
        LeaseLost
            Another has the unit, or it was taken away; nothing was changed.
        """
        self._database.write(lambda c: queue.complete(c, self._clock(), claim, result, children, reused))

    def fail(self, claim: Claim, failure: Failure) -> str:
        """Record that a unit failed, and return the state that it is in now.

        Raises
        ------
        LeaseLost
        """
        return self._database.write(lambda c: queue.fail(c, self._clock(), claim, failure, self._retry))

    def release(self, claims: Sequence[Claim]) -> None:
        """Give units back, as a service does that closes down; it does not count as a failure."""
        self._database.write(lambda c: control.release(c, self._clock(), claims))

    def expire(self) -> int:
        """Take back the units whose lease ran out, as each claim does; return how many."""
        return self._database.write(lambda c: queue.expire(c, self._clock(), self._retry))

    def owners(self) -> list[str]:
        """Return who holds units now."""
        question = select(units.c.owner).where(units.c.state == RUNNING).distinct()
        return self._database.read(lambda c: list(c.scalars(question)))

    def disown(self, owners: Collection[str]) -> None:
        """End the leases of owners that are known to be dead, so that nobody waits for them to run out."""
        self._database.write(lambda c: queue.disown(c, owners))

    def wake(self, run: str | None, what: str) -> int:
        """Note the arrival of what units are parked for, and return how many lack nothing more; None: in every run."""
        return self._database.write(lambda c: control.wake(c, self._clock(), run, what))

    def alarm(self, longest: float) -> list[tuple[str, str, float]]:
        """Return run, unit and time [s] of those parked for longer than allowed; each is told of once."""
        return self._database.write(lambda c: control.alarm(c, self._clock(), longest))

    def restart(self, run: str, names: Collection[str] = ()) -> list[str]:
        """Make units ready again, and a run go on that was stopped or aborted; return the names of the units.

        Parameters
        ----------
        run : str
        names : collection of str
            Empty: all that failed, were parked, refused or aborted. A unit named here that is done is made again, with
            every unit behind it; their products are superseded.
        """
        return self._database.write(lambda c: control.restart(c, self._clock(), run, names))

    def pause(self, run: str) -> None:
        """Give out no units of a run until it is resumed."""
        self._steer(run, PAUSED)

    def resume(self, run: str) -> None:
        """Give out units of a run that was paused or stopped."""
        self._steer(run, RUNNING)

    def stop(self, run: str) -> None:
        """Give out no units of a run any more; those that run end."""
        self._steer(run, STOPPED)

    def abort(self, run: str) -> None:
        """Abort all units that are not at their end; those that run lose their lease."""
        self._steer(run, ABORTED)

    def _steer(self, run: str, state: str) -> None:
        self._database.write(lambda c: control.steer(c, self._clock(), run, state))

    def control(self, run: str) -> str:
        """Return RUNNING, PAUSED, STOPPED or ABORTED."""
        return self._database.read(lambda c: str(view.run_row(c, run).control))

    def progress(self, run: str) -> dict[str, dict[str, int]]:
        """Return the number of units by kind and state."""
        return self._database.read(lambda c: view.progress(c, run))

    def pending(self, run: str | None = None) -> Pending:
        """Return what is still to come, of a run or of all."""
        return self._database.read(lambda c: view.pending(c, self._clock(), run))

    def values(self, run: str, names: Sequence[str]) -> dict[str, Any]:
        """Return what finished units handed to those after them, by name."""
        return self._database.read(lambda c: view.values(c, run, names))

    def units(
        self, run: str, *, kinds: Collection[str] | None = None, states: Collection[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the units of a run in the order in which they came."""
        return self._database.read(lambda c: view.unit_rows(c, run, kinds, states))

    def products(self, run: str) -> list[dict[str, Any]]:
        """Return the products of a run, superseded ones too, each with its unit and its hash."""
        return self._database.read(lambda c: view.product_rows(c, run))

    def attempts(self, run: str, unit: str | None = None) -> list[dict[str, Any]]:
        """Return the attempts of a run, or of one of its units."""
        return self._database.read(lambda c: view.attempt_rows(c, run, unit))

    def provenance(self, run: str, unit: str) -> dict[str, dict[str, str]]:
        """Return what a unit was made from: ``inputs``, ``gipps`` and ``versions``, each by name."""
        return self._database.read(lambda c: view.provenance_of_unit(c, run, unit))

    def events(self, after: int = 0, *, run: str | None = None, limit: int = 1000) -> list[Event]:
        """Return the events after a number, in the order in which they took effect."""
        return self._database.read(lambda c: view.event_rows(c, after, run, limit))

    def summary(self, run: str) -> dict[str, Any]:
        """Return the state of a run (RUNNING, PAUSED, STOPPED, ABORTED, SUCCESS or FAILED) and its units by state."""
        return self._database.read(lambda c: report.summary(c, self._clock(), run))

    def report(self, run: str) -> dict[str, Any]:
        """Return what was expected and produced, the reason of each gap, and what it took; JSON-able."""
        return self._database.read(lambda c: report.report(c, self._clock(), run))
