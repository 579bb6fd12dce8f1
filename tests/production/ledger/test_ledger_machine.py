"""Any order of claims, completions, failures and expiries leaves the ledger whole: a state machine looks for one."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledger_model import Clock, empty, made, unit

from s2dask.production.ledger import (
    DONE,
    FAILED,
    FINISHED,
    PARKED,
    RUNNING,
    Claim,
    Failure,
    LeaseLost,
    Ledger,
    Result,
    Retry,
)  # fmt: skip

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""Where a database costs no disk, if there is such a place."""
OWNERS = st.sampled_from(["first", "second"])


class Whole(RuleBasedStateMachine):
    """Two owners, any old lease among those that are used; the model is the leases that hold and what was done."""

    def __init__(self, opened: Callable[[Clock], Ledger]) -> None:
        super().__init__()
        self.clock = Clock()
        self.ledger = opened(self.clock)
        self.claims: list[Claim] = []
        self.holder: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.ledger.add("run", [unit("U0"), unit("U1", "U0")])
        self.count = 2

    @rule(before=st.lists(st.integers(0, 8), max_size=3, unique=True), number=st.integers(1, 2))
    def add(self, before: list[int], number: int) -> None:
        after = [f"U{n}" for n in before if n < self.count]
        new = [unit(f"U{self.count + n}", *after) for n in range(number)]
        assert self.ledger.add("run", [unit("U0"), *new]) == number
        self.count += number

    @rule(owner=OWNERS, limit=st.integers(1, 3))
    def claim(self, owner: str, limit: int) -> None:
        for claim in self.ledger.claim(None, owner, lease=10.0, limit=limit):
            assert all(name in self.done for name in claim.unit.after)
            assert claim.unit.name not in self.done
            self.holder[claim.unit.name] = claim.fence
            self.claims.append(claim)

    def _holds(self, claim: Claim) -> bool:
        return self.holder.get(claim.unit.name) == claim.fence

    @rule(pick=st.integers(0, 30), child=st.booleans())
    def complete(self, pick: int, child: bool) -> None:
        if not self.claims:
            return
        claim = self.claims[pick % len(self.claims)]
        name = claim.unit.name
        children = [unit(f"U{self.count}", name)] if child else []
        if self.done.get(name) == claim.fence:
            self.ledger.complete(claim, made("TWICE"))
        elif self._holds(claim):
            self.ledger.complete(claim, made(f"P-{name}"), children)
            self.done[name] = claim.fence
            self.count += len(children)
        else:
            with pytest.raises(LeaseLost):
                self.ledger.complete(claim, made("LATE"), children)
        self.holder.pop(name, None) if self.done.get(name) == claim.fence else None

    @rule(pick=st.integers(0, 30), kind=st.sampled_from(["transient", "missing", "bad", "bug"]))
    def fail(self, pick: int, kind: str) -> None:
        held = [claim for claim in self.claims if self._holds(claim)]
        if held:
            claim = held[pick % len(held)]
            self.ledger.fail(claim, Failure(kind, "told", missing=("AUX",) if kind == "missing" else ()))
            del self.holder[claim.unit.name]

    @rule(pick=st.integers(0, 30))
    def renew(self, pick: int) -> None:
        if self.claims:
            claim = self.claims[pick % len(self.claims)]
            assert bool(self.ledger.renew([claim], 10.0)) == self._holds(claim)

    @rule(pick=st.integers(0, 30))
    def release(self, pick: int) -> None:
        if self.claims:
            claim = self.claims[pick % len(self.claims)]
            self.ledger.release([claim])
            if self._holds(claim):
                del self.holder[claim.unit.name]

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.go(seconds)
        self.ledger.expire()
        leased = {row["name"] for row in self.ledger.units("run", states={RUNNING})}
        self.holder = {name: fence for name, fence in self.holder.items() if name in leased}

    @rule()
    def wake(self) -> None:
        self.ledger.wake(None, "AUX")

    @rule()
    def restart(self) -> None:
        failed = [row["name"] for row in self.ledger.units("run", states=FAILED)]
        assert self.ledger.restart("run") == failed

    @rule()
    def abort(self) -> None:
        self.ledger.abort("run")
        self.holder.clear()
        self.ledger.restart("run")

    @invariant()
    def whole(self) -> None:
        rows = {row["name"]: row for row in self.ledger.units("run")} if self.ledger.runs() else {}
        assert len(rows) == self.count  # none lost
        assert {name for name, row in rows.items() if row["state"] in FINISHED} == self.done.keys()
        for row in rows.values():
            assert row["waiting"] == sum(rows[name]["state"] not in FINISHED for name in row["after"])
            assert (row["state"] == RUNNING) == (row["name"] in self.holder)
            assert row["state"] not in (RUNNING, DONE) or row["waiting"] == 0
            assert bool(row["owner"]) == (row["state"] == RUNNING)
            assert not row["missing"] or row["state"] == PARKED
        if rows:
            outcomes = Counter((a["unit"], a["outcome"]) for a in self.ledger.attempts("run"))
            assert all(outcomes[name, DONE] == (name in self.done) for name in rows)  # none done twice
            assert all(outcomes[name, RUNNING] == (name in self.holder) for name in rows)
            assert sorted(p["name"] for p in self.ledger.products("run")) == sorted(f"P-{name}" for name in self.done)

    def teardown(self) -> None:
        """Whatever happened, a restart and patience bring the run to its end."""
        if self.ledger.runs():
            self.ledger.abort("run")
            self.ledger.restart("run")
            while claims := self.ledger.claim("run", "last", lease=60.0, limit=50):
                for claim in claims:
                    self.ledger.complete(claim, Result())
            assert self.ledger.summary("run")["state"] == "SUCCESS"
            assert {row["state"] for row in self.ledger.units("run")} <= {DONE}
        self.ledger.close()


FEW = settings(max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=15, stateful_step_count=30)


def test_any_order_leaves_it_whole_on_sqlite(empty_file: Path) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:

        def opened(clock: Clock) -> Ledger:
            path = Path(folder) / "ledger.db"
            for old in Path(folder).iterdir():
                old.unlink()
            path.write_bytes(empty_file.read_bytes())
            return Ledger.open(path, clock=clock, retry=Retry(attempts=3, first=5.0))

        run_state_machine_as_test(lambda: Whole(opened), settings=FEW)


@pytest.mark.slow
def test_any_order_leaves_it_whole_on_postgresql(shared_database: str) -> None:
    def opened(clock: Clock) -> Ledger:
        empty(shared_database)
        return Ledger.open(shared_database, clock=clock, retry=Retry(attempts=3, first=5.0))

    run_state_machine_as_test(lambda: Whole(opened), settings=MANY)
