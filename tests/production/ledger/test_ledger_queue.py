"""The queue: what is given out, in which order, to whom, and what a lease is worth."""

import pytest
from ledger_model import Clock, made, names, one, take, unit

from s2dask.errors import ConfigurationError
from s2dask.production.ledger import DEAD, DONE, REUSED, RUNNING, WAITING, LeaseLost, Ledger, Pending, Result


def test_what_is_added_twice_is_there_once(ledger: Ledger) -> None:
    units = [unit("A"), unit("B", "A")]
    assert ledger.add("run", units) == 2
    assert ledger.add("run", [*units, unit("C", "B")]) == 1
    assert ledger.progress("run") == {"L1B": {WAITING: 3}}
    assert ledger.pending("run") == Pending(0, 1, 0, 2, None)
    assert ledger.runs() == ["run"]


@pytest.mark.parametrize(
    ("units", "told"),
    [
        ([unit("A", "Z")], "run A: waits for Z, which is not in the run"),
        ([unit("A", "B"), unit("B", "A")], "units wait for each other"),
        ([unit("A"), unit("A", kind="L0")], "two different units of one name"),
        ([unit("OLD", identity="22")], "the run has it as another piece of work (11, not 22)"),
    ],
)
def test_units_that_contradict_are_refused_together(ledger: Ledger, units: list, told: str) -> None:
    ledger.add("run", [unit("OLD", identity="11")])
    with pytest.raises(ConfigurationError, match=told.replace("(", r"\(").replace(")", r"\)")):
        ledger.add("run", [unit("GOOD"), *units])
    assert [row["name"] for row in ledger.units("run")] == ["OLD"]


def test_a_unit_runs_after_those_before_it(ledger: Ledger) -> None:
    ledger.add("run", [unit("C", "A", "B"), unit("A"), unit("B")])
    a, b = take(ledger, 5)
    assert names([a, b]) == ["A", "B"]
    ledger.complete(a, Result())
    assert take(ledger) == []
    ledger.complete(b, Result({"rows": [1, 2]}))
    (c,) = take(ledger)
    assert c.unit == unit("C", "A", "B")
    assert ledger.values("run", c.unit.after) == {"A": None, "B": {"rows": [1, 2]}}


def test_a_unit_added_after_one_that_is_done_is_ready(ledger: Ledger) -> None:
    ledger.add("run", [unit("A")])
    ledger.complete(*take(ledger), Result())
    ledger.add("run", [unit("B", "A")])
    assert names(take(ledger)) == ["B"]


def test_larger_priority_first_then_order_of_coming(ledger: Ledger) -> None:
    ledger.add("campaign", [unit("OLD-1", priority=10), unit("OLD-2", priority=10)])
    ledger.add("nominal", [unit("NEW-1"), unit("NEW-2")])
    assert names(take(ledger, 3, run=None)) == ["NEW-1", "NEW-2", "OLD-1"]
    assert names(take(ledger, 3, run="nominal")) == []
    assert names(take(ledger, 3, run="campaign")) == ["OLD-2"]


def test_kinds_and_room(ledger: Ledger) -> None:
    ledger.add("run", [unit("A", tasks=40), unit("B", tasks=70), unit("C", tasks=10), unit("T", kind="TILE")])
    assert names(ledger.claim("run", "me", lease=60, limit=9, kinds={"TILE"})) == ["T"]
    # C would fit; if it overtook B again and again, B would never come
    assert names(ledger.claim("run", "me", lease=60, limit=9, room=100)) == ["A"]
    assert ledger.claim("run", "me", lease=60, limit=9, room=69) == []
    assert names(ledger.claim("run", "me", lease=60, limit=9, room=80)) == ["B", "C"]


def test_a_claim_without_sense_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ConfigurationError, match="lease above 0 s"):
        ledger.claim(None, "me", lease=0.0)


def test_children_come_with_the_completion_or_not_at_all(ledger: Ledger) -> None:
    ledger.add("run", [unit("STRIP", kind="STRIP")])
    (claim,) = take(ledger)
    with pytest.raises(ConfigurationError, match="not in the run"):
        ledger.complete(claim, made("P"), [unit("TILE-1", "STRIP"), unit("TILE-2", "NOWHERE")])
    assert one(ledger, "STRIP")["state"] == RUNNING
    assert ledger.products("run") == []
    ledger.complete(claim, made("P"), [unit("TILE-1", "STRIP"), unit("TILE-2", "TILE-1")])
    assert names(take(ledger, 9)) == ["TILE-1"]
    assert one(ledger, "TILE-2")["parent"] == "STRIP"


def test_what_an_older_lease_says_is_refused_and_changes_nothing(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A"), unit("B", "A")])
    (first,) = take(ledger, owner="first", lease=30)
    clock.go(31)
    (second,) = take(ledger, owner="second")
    assert (second.attempt, second.fence > first.fence) == (2, True)
    before = (ledger.units("run"), ledger.events(), ledger.attempts("run"))
    with pytest.raises(LeaseLost, match=r"run A: lease 1 of first does not hold any more \(lost\)"):
        ledger.complete(first, made("LATE"), [unit("CHILD")])
    assert ledger.renew([first], 60) == []
    ledger.release([first])
    assert (ledger.units("run"), ledger.events(), ledger.attempts("run")) == before
    assert ledger.products("run") == []
    ledger.complete(second, made("P"))
    with pytest.raises(LeaseLost):
        ledger.complete(first, made("LATE"))
    assert [p["name"] for p in ledger.products("run")] == ["P"]
    assert [(a["owner"], a["outcome"]) for a in ledger.attempts("run", "A")] == [("first", "LOST"), ("second", DONE)]


def test_a_lease_that_ran_out_and_that_nobody_took_still_counts(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A")])
    (claim,) = take(ledger, lease=30)
    clock.go(100)
    ledger.complete(claim, made("P"))
    assert one(ledger, "A")["state"] == DONE


def test_a_renewed_lease_goes_on(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A"), unit("B")])
    claims = take(ledger, 2, lease=30)
    clock.go(20)
    kept = ledger.renew(claims[:1], 30)
    clock.go(20)
    assert names(take(ledger, 9, owner="other")) == ["B"]
    assert names(kept) == ["A"]
    assert kept[0].until == clock.now + 10
    assert names(ledger.renew(claims, 30)) == ["A"]
    assert ledger.renew([], 30) == []


def test_saying_it_twice_is_saying_it_once(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B", "A")])
    (claim,) = take(ledger)
    for _ in range(2):
        ledger.complete(claim, made("P"), [unit("C", "A", "B")])
    assert len(ledger.products("run")) == 1
    assert ledger.pending("run") == Pending(0, 1, 0, 1, None)


def test_a_unit_whose_lease_runs_out_too_often_is_dead(ledger: Ledger, clock: Clock) -> None:
    ledger.add("run", [unit("A")])
    for attempt in (1, 2, 3):
        (claim,) = take(ledger, lease=30)
        assert claim.attempt == attempt
        clock.go(31)
    assert ledger.expire() == 1
    assert take(ledger) == []
    held = one(ledger, "A")
    assert held["state"] == DEAD
    assert held["error"]["what"] == "its lease ran out, held by me"


def test_units_given_back_are_ready_and_have_not_failed(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B")])
    a, b = take(ledger, 2)
    ledger.release([a, b])
    assert one(ledger, "A")["failures"] == 0
    assert names(take(ledger, 2)) == ["A", "B"]
    with pytest.raises(LeaseLost, match="released"):
        ledger.complete(a, Result())


def test_what_is_the_same_is_found_and_reused(ledger: Ledger) -> None:
    ledger.add("first", [unit("A", identity="11")])
    assert ledger.finished("11") is None
    assert ledger.planned(["11", "12", ""]) == {"11": {"of": "A"}}
    result = Result(
        {"x": 1}, made("P").products, 4.0, 2.0, 100, 50, 1000, {"in": "aa"}, {"GIP_R2EQOG": "bb"}, {"GEN_ORTHO": "3"}
    )
    ledger.complete(*take(ledger, run="first"), result)
    assert ledger.finished("11") == result
    assert ledger.finished("") is None
    assert ledger.provenance("first", "A") == {
        "inputs": {"in": "aa"}, "gipps": {"GIP_R2EQOG": "bb"}, "versions": {"GEN_ORTHO": "3"},
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="first Z: no such unit"):
        ledger.provenance("first", "Z")
    ledger.add("second", [unit("A2", identity="11"), unit("B2", "A2")])
    (claim,) = take(ledger, run="second")
    ledger.complete(claim, result, reused=True)
    assert one(ledger, "A2", "second")["state"] == REUSED
    assert names(take(ledger, run="second")) == ["B2"]
    # what was reused is not found again: the one who made it is
    ledger.restart("first", ["A"])
    assert ledger.finished("11") is None


def test_events_tell_every_change_in_its_order(ledger: Ledger) -> None:
    ledger.add("run", [unit("A")])
    ledger.complete(*take(ledger), made("P"))
    told = ledger.events()
    assert [(e.unit, e.what) for e in told] == [("", "OPENED"), ("", "ADDED"), ("A", RUNNING), ("A", DONE)]
    assert told[-1].detail == {"products": ["P"]}
    assert ledger.events(told[1].seq, limit=1) == told[2:3]
    assert ledger.events(run="another") == []


def test_a_value_that_no_json_can_hold_is_refused(ledger: Ledger) -> None:
    ledger.add("run", [unit("A")])
    (claim,) = take(ledger)
    with pytest.raises(ConfigurationError, match="A: not to be written as JSON"):
        ledger.complete(claim, Result(float("nan")))
    assert one(ledger, "A")["state"] == RUNNING
