"""Failures by their class: tried again, parked and woken, refused, dead; nothing is dropped in silence."""

import pytest
from ledger_model import Clock, made, names, one, take, unit

from s2dask.errors import ConfigurationError
from s2dask.production.ledger import DEAD, PARKED, REFUSED, WAITING, Failure, LeaseLost, Ledger, Pending, Result, Retry


def test_a_chance_failure_is_tried_again_later_and_later_then_dead(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A")])
    states, pauses = [], []
    for _ in range(3):
        (claim,) = take(ledger)
        begun = clock.now
        states.append(ledger.fail(claim, Failure("transient", "connection reset", "s3://b", core_seconds=1.5)))
        due = ledger.pending("run").due
        pauses.append(None if due is None else due - begun)
        assert take(ledger) == []
        clock.go(15)
    assert states == [WAITING, WAITING, DEAD]
    assert pauses == [10.0, 15.0, None]
    assert take(ledger) == []
    assert [(a["outcome"], a["core_seconds"]) for a in ledger.attempts("run", "A")] == [("transient", 1.5)] * 3
    assert one(ledger, "A")["error"]["where"] == "s3://b"


def test_saying_a_failure_twice_is_saying_it_once(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A")])
    (claim,) = take(ledger)
    failure = Failure("transient", "connection reset")
    assert [ledger.fail(claim, failure) for _ in range(2)] == [WAITING, WAITING]
    assert one(ledger, "A")["failures"] == 1
    with pytest.raises(LeaseLost):
        ledger.complete(claim, Result())
    clock.go(10)
    take(ledger)
    assert ledger.fail(claim, failure) == "RUNNING"  # said before; the unit has gone on since


def test_a_late_failure_changes_nothing(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A")])
    (first,) = take(ledger, lease=30)
    clock.go(31)
    (second,) = take(ledger, owner="second")
    with pytest.raises(LeaseLost):
        ledger.fail(first, Failure("bug", "too late"))
    ledger.complete(second, made("P"))
    with pytest.raises(LeaseLost):
        ledger.fail(first, Failure("bug", "too late"))
    assert ledger.report("run")["state"] == "SUCCESS"


@pytest.mark.parametrize(("kind", "state"), [("bad", REFUSED), ("bug", DEAD), ("missing", PARKED)])
def test_what_no_repetition_helps_is_put_aside(ledger: Ledger, kind: str, state: str) -> None:
    ledger.add("run", [unit("A"), unit("B", "A")])
    (claim,) = take(ledger)
    failure = Failure(kind, "broken", "file.bin", "look", "Traceback …", bundle="bundles/A")
    assert ledger.fail(claim, failure) == state
    assert take(ledger) == []
    assert one(ledger, "A")["error"] == {
        "class": kind, "what": "broken", "where": "file.bin", "remedy": "look", "bundle": "bundles/A",
    }  # fmt: skip
    assert ledger.attempts("run", "A")[0]["traceback"] == "Traceback …"
    assert ledger.pending("run") == Pending(0, 0, 0, 1, None)
    assert ledger.pending("run").over


def test_an_arrival_wakes_what_lacks_nothing_more(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B")])
    ledger.add("other", [unit("C")])
    a, b = take(ledger, 2)
    (c,) = take(ledger, run="other")
    assert ledger.fail(a, Failure("missing", "no AUX", missing=("ECMWF", "CAMS"))) == PARKED
    for claim in (b, c):
        ledger.fail(claim, Failure("missing", "no AUX", missing=("CAMS",)))
    assert one(ledger, "A")["missing"] == ["CAMS", "ECMWF"]
    assert ledger.wake("run", "CAMS") == 1
    assert names(take(ledger, 9)) == ["B"]
    assert take(ledger, run="other") == []
    assert ledger.wake(None, "CAMS") == 1
    assert names(take(ledger, run="other")) == ["C"]
    assert ledger.wake(None, "ECMWF") == 1
    assert names(take(ledger)) == ["A"]
    assert [(e.unit, e.detail) for e in ledger.events(run="run") if e.what == "WOKEN"] == [
        ("B", {"by": "CAMS"}), ("A", {"by": "ECMWF"}),
    ]  # fmt: skip


def test_an_arrival_between_the_look_and_the_parking_is_not_missed(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A"), unit("B")])
    a, b = take(ledger, 2)
    clock.go(5)
    ledger.wake(None, "CAMS")
    clock.go(5)
    assert ledger.fail(a, Failure("missing", "no AUX", missing=("CAMS",))) == WAITING
    assert ledger.fail(b, Failure("missing", "no AUX", missing=("CAMS", "DEM"))) == PARKED
    assert one(ledger, "B")["missing"] == ["DEM"]
    clock.go(1)
    (again,) = take(ledger)  # it looked after the arrival: what it still does not find is missing
    assert ledger.fail(again, Failure("missing", "no AUX", missing=("CAMS",))) == PARKED


def test_who_is_parked_too_long_raises_one_alarm(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A")])
    ledger.fail(*take(ledger), Failure("missing", "no AUX", missing=("CAMS",)))
    clock.go(100)
    assert ledger.alarm(200) == []
    clock.go(150)
    assert ledger.alarm(200) == [("run", "A", 250.0)]
    assert ledger.alarm(200) == []
    assert [e.detail for e in ledger.events() if e.what == "ALARM"] == [{"parked": 250.0}]
    ledger.wake(None, "CAMS")
    assert names(take(ledger)) == ["A"]


def test_a_restart_begins_what_failed_again(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A"), unit("B"), unit("C", "A", "B")])
    a, b = take(ledger, 2)
    ledger.fail(a, Failure("bug", "division by zero"))
    ledger.complete(b, made("P"))
    assert ledger.restart("run") == ["A"]
    (a,) = take(ledger)
    assert one(ledger, "A")["error"]["what"] == ""
    ledger.complete(a, Result())
    assert names(take(ledger)) == ["C"]
    assert ledger.restart("run") == []


def test_a_finished_unit_is_made_again_with_all_behind_it(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B", "A"), unit("C", "B"), unit("D"), unit("E", "C", "D")])
    for name in ("A", "B", "C", "D"):
        (claim,) = take(ledger)
        assert claim.unit.name == name
        ledger.complete(claim, made(f"P-{name}"))
    (running,) = take(ledger)
    assert ledger.restart("run", ["B"]) == ["B", "C", "E"]
    with pytest.raises(LeaseLost, match="restarted"):
        ledger.complete(running, made("LATE"))
    assert {p["name"]: p["state"] for p in ledger.products("run")} == {
        "P-A": "PRODUCED", "P-B": "SUPERSEDED", "P-C": "SUPERSEDED", "P-D": "PRODUCED",
    }  # fmt: skip
    for name in ("B", "C", "E"):
        (claim,) = take(ledger)
        assert claim.unit.name == name
        ledger.complete(claim, made(f"P-{name}"))
    report = ledger.report("run")
    assert (report["state"], report["superseded"], len(report["products"])) == ("SUCCESS", 2, 5)


def test_a_restart_of_what_is_not_there_is_refused(ledger: Ledger) -> None:
    ledger.add("run", [unit("A")])
    with pytest.raises(ConfigurationError, match="run Z: no such unit"):
        ledger.restart("run", ["A", "Z"])


def test_how_often_and_how_long() -> None:
    retry = Retry(attempts=9, first=2.0, longest=30.0)
    assert [retry.pause(n) for n in (1, 2, 3, 4, 5, 2000)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    with pytest.raises(ConfigurationError, match="at least 1 attempt"):
        Retry(attempts=0)
