"""Several at once: no unit goes to two, a killed service and a killed database lose and double nothing."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_model import Clock, made, names, take, unit
from postgres_server import Postgres, absent

from s2dask.production.ledger import DONE, RUNNING, Claim, Failure, Ledger, LedgerError, Result

WORKER = Path(__file__).resolve().parents[2] / "ledger_worker.py"


class Service:
    """A process that works, and what it has said."""

    def __init__(self, address: str, *arguments: str) -> None:
        command = [sys.executable, str(WORKER), address, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines: list[list[str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.split() for line in output)

    def said(self, word: str) -> list[str]:
        return [line[-1] for line in list(self.lines) if line[0] == word]

    def wait_for(self, word: str, number: int = 1) -> None:
        end = time.monotonic() + 120
        while len(self.said(word)) < number:
            assert time.monotonic() < end
            assert self.process.poll() is None
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        code = self.process.wait(240)
        self._reader.join()
        return code


def _chain(number: int) -> list:
    """Return units of which every fifth waits for the four before it."""
    return [unit(f"U{n}", *(f"U{m}" for m in range(n - 4, n))) if n % 5 == 4 else unit(f"U{n}") for n in range(number)]


def _check_all_done_once(ledger: Ledger, number: int) -> Counter:
    assert ledger.summary("run")["units"] == {"expected": number, "finished": number, DONE: number}
    attempts = ledger.attempts("run")
    outcomes = Counter(a["outcome"] for a in attempts)
    assert Counter(a["unit"] for a in attempts if a["outcome"] == DONE) == {f"U{n}": 1 for n in range(number)}
    assert sorted(p["name"] for p in ledger.products("run")) == sorted(f"P-U{n}" for n in range(number))
    # what it waits for is done before it begins: events have their numbers in the order of the commits
    told = ledger.events(run="run", limit=10 * number)
    done = {event.unit: event.seq for event in told if event.what == DONE}
    after = {row["name"]: row["after"] for row in ledger.units("run")}
    assert all(done[name] < event.seq for event in told if event.what == RUNNING for name in after[event.unit])
    return outcomes


@pytest.mark.slow
def test_two_services_share_and_one_is_killed(address: str) -> None:
    with Ledger.open(address) as ledger:
        ledger.add("run", _chain(2000))
        first, second = Service(address, "first", "3", "400"), Service(address, "second", "3")
        first.wait_for("HOLDING")
        held = first.said("CLAIMED")[-3:]
        first.kill()
        assert second.end() == 0
        outcomes = _check_all_done_once(ledger, 2000)
        assert outcomes == {DONE: 2000, "LOST": len(set(held) - set(first.said("DONE")))}
        given = Counter(first.said("CLAIMED")) + Counter(second.said("CLAIMED"))
        assert {name for name, number in given.items() if number > 1} == set(held)  # never given to both at once
        assert set(held) <= set(second.said("DONE"))
        assert not set(first.said("DONE")) & set(second.said("DONE"))
        assert min(len(first.said("DONE")), len(second.said("DONE"))) >= 400


def test_threads_share(address: str) -> None:
    with Ledger.open(address) as ledger:
        ledger.add("run", _chain(30))
        given: list[Claim] = []

        def work(owner: str) -> None:
            while not ledger.pending("run").over:
                for claim in take(ledger, 2, owner=owner):
                    given.append(claim)
                    ledger.complete(claim, made(f"P-{claim.unit.name}"))

        threads = [threading.Thread(target=work, args=(f"T{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(names(given)) == sorted(f"U{n}" for n in range(30))
        _check_all_done_once(ledger, 30)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    if reason := absent():
        pytest.skip(reason)
    server = Postgres.make()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def durable(mortal: Postgres) -> Postgres:
    """Return a server that runs, and keeps what it says that it keeps."""
    if mortal.process is None:
        mortal.start()
    return mortal


def test_a_crash_of_the_database_is_sat_out(durable: Postgres) -> None:
    with Ledger.open(durable.create()) as ledger:
        ledger.add("run", _chain(10))
        claims = take(ledger, 4)
        for claim in claims[:2]:
            ledger.complete(claim, made(f"P-{claim.unit.name}"))
        durable.crash()
        back = threading.Timer(0.5, durable.start)
        back.start()
        for claim in claims[2:]:  # waits until the server is there again
            ledger.complete(claim, made(f"P-{claim.unit.name}"))
        back.join()
        while claims := take(ledger, 4):
            for claim in claims:
                ledger.complete(claim, made(f"P-{claim.unit.name}"))
        assert _check_all_done_once(ledger, 10) == {DONE: 10}


def test_a_database_that_stays_away_is_told_of(durable: Postgres) -> None:
    with Ledger.open(durable.create(), patience=0.5) as ledger:
        ledger.add("run", [unit("A")])
        durable.crash()
        with pytest.raises(LedgerError, match="the database does not answer"):
            take(ledger)


@pytest.mark.slow
def test_services_outlive_crashes_of_the_database(durable: Postgres) -> None:
    address = durable.create()
    with Ledger.open(address) as ledger:
        ledger.add("run", _chain(600))
        services = [Service(address, name, "3") for name in ("first", "second")]
        for number in (50, 100):
            for service in services:
                service.wait_for("DONE", number)
            durable.crash()
            time.sleep(0.5)
            durable.start()
        assert [service.end() for service in services] == [0, 0]
        _check_all_done_once(ledger, 600)
        told = Counter(name for service in services for name in service.said("DONE"))
        assert told == {f"U{n}": 1 for n in range(600)}


def _said_twice(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction be done twice: the answer to the first is lost with the connection after its commit."""
    write = ledger._database.write

    def twice(work: Callable) -> object:
        write(work)
        return write(work)

    monkeypatch.setattr(ledger._database, "write", twice)


def test_an_answer_that_is_lost_after_the_commit(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    _said_twice(ledger, monkeypatch)
    ledger.open_run("run", baseline="N05.11")
    ledger.add("run", [unit("A"), unit("B", "A"), unit("C")])
    a, c = take(ledger, 2)
    assert names([a, c]) == ["A", "C"]
    assert ledger.fail(c, Failure("missing", "no AUX", missing=("CAMS",))) == "PARKED"
    ledger.complete(a, made("P-A"), [unit("D", "A")])
    ledger.wake(None, "CAMS")
    b, c, d = take(ledger, 9)
    assert names([b, c, d]) == ["B", "C", "D"]
    assert names(ledger.renew([b, c], 60)) == ["B", "C"]
    ledger.release([b])
    assert ledger.fail(c, Failure("transient", "reset")) == "WAITING"
    ledger.pause("run")
    ledger.resume("run")
    clock.go(10)
    for claim in (d, *take(ledger, 9)):
        ledger.complete(claim, Result())
    assert ledger.report("run")["attempts"] == {DONE: 4, "missing": 1, "transient": 1, "RELEASED": 1}
    assert [p["name"] for p in ledger.products("run")] == ["P-A"]
    assert ledger.summary("run")["state"] == "SUCCESS"
    assert Counter(e.what for e in ledger.events(run="run")) == {
        "OPENED": 1, "ADDED": 2, "RUNNING": 8, "PARKED": 1, DONE: 4, "WOKEN": 1, "RELEASED": 1, "WAITING": 1,
        "PAUSED": 1,
    }  # fmt: skip
