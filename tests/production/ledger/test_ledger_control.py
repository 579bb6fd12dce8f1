"""Runs: steered by an operator, frozen to one baseline, reported and shown."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_model import Clock, made, names, one, take, unit
from typer.testing import CliRunner

from s2dask.commands.ledger import app
from s2dask.errors import ConfigurationError
from s2dask.production.ledger import ABORTED, PAUSED, RUNNING, STOPPED, Failure, LeaseLost, Ledger, Result
from s2dask.production.ledger.sheet import size, write_sheet


def test_pause_and_resume(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B")])
    ledger.add("other", [unit("X")])
    (a,) = take(ledger)
    ledger.pause("run")
    assert ledger.control("run") == PAUSED
    assert take(ledger) == []
    assert names(take(ledger, 9, run=None)) == ["X"]
    ledger.complete(a, made("P"))  # what is under way ends
    ledger.resume("run")
    assert (ledger.control("run"), names(take(ledger))) == (RUNNING, ["B"])


def test_stop_lets_end_what_runs(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B")])
    (a,) = take(ledger)
    ledger.stop("run")
    ledger.complete(a, made("P"))
    assert take(ledger) == []
    assert ledger.report("run")["state"] == STOPPED
    ledger.stop("run")
    assert [e.what for e in ledger.events() if e.unit == ""] == ["OPENED", "ADDED", STOPPED]


def test_abort_takes_the_leases_and_a_restart_brings_all_back(ledger: Ledger) -> None:
    ledger.add("run", [unit("A"), unit("B"), unit("C", "B"), unit("D")])
    a, b, d = take(ledger, 3)
    ledger.complete(a, made("P"))
    ledger.fail(d, Failure("missing", "no AUX", missing=("CAMS",)))
    ledger.abort("run")
    with pytest.raises(LeaseLost, match="aborted"):
        ledger.complete(b, made("LATE"))
    assert ledger.progress("run") == {"L1B": {"ABORTED": 3, "DONE": 1}}
    with pytest.raises(ConfigurationError, match="the run was aborted; restart it"):
        ledger.resume("run")
    assert ledger.wake(None, "CAMS") == 0
    assert ledger.control("run") == ABORTED
    assert ledger.restart("run") == ["B", "C", "D"]
    assert names(take(ledger, 9)) == ["B", "D"]


def test_a_run_that_is_not_there(ledger: Ledger) -> None:
    for look in (ledger.control, ledger.progress, ledger.pause, ledger.report, ledger.units):
        with pytest.raises(ConfigurationError, match="X: no such run"):
            look("X")
    with pytest.raises(ConfigurationError, match="a run needs a name"):
        ledger.add("", [unit("A")])


def test_a_frozen_run_refuses_another_baseline_and_other_gipps(ledger: Ledger) -> None:
    ledger.open_run("run", request={"orbit": 22}, baseline="N05.11", gipps={"GIP_PRDLOC": "aa", "GIP_R2EQOG": "bb"})
    ledger.open_run("run", request={"orbit": 22})
    ledger.add("run", [unit("A")])
    with pytest.raises(ConfigurationError, match="begun with another baseline and gipps"):
        ledger.open_run("run", baseline="N05.12", gipps={"GIP_PRDLOC": "cc"})
    (claim,) = take(ledger)
    with pytest.raises(ConfigurationError, match=r"A: made with baseline N05\.10 in a run of N05\.11"):
        ledger.complete(claim, made("P", baseline="N05.10"))
    with pytest.raises(ConfigurationError, match="GIPPs that are not those of the run: GIP_PRDLOC"):
        ledger.complete(claim, Result(gipps={"GIP_PRDLOC": "cc", "GIP_R2EQOG": "bb"}))
    ledger.complete(claim, Result(products=made("P").products, gipps={"GIP_R2EQOG": "bb"}))
    report = ledger.report("run")
    assert (report["baseline"], report["request"], len(report["gipps"])) == ("N05.11", {"orbit": 22}, 2)


def test_a_run_is_frozen_later_but_once(ledger: Ledger) -> None:
    ledger.add("run", [unit("A")])
    ledger.open_run("run", baseline="N05.11")
    with pytest.raises(ConfigurationError, match="begun with another baseline"):
        ledger.open_run("run", baseline="N05.12")


def _broken(ledger: Ledger, clock: Clock) -> None:
    """Leave a run with a gap of every reason."""
    ledger.open_run("run", baseline="N05.11", gipps={"GIP_PRDLOC": "aa"})
    units = [unit(f"L0-{n}", kind="L0") for n in "ABCDEF"]
    after = [unit("STRIP", "L0-A", "L0-B", "L0-C", kind="STRIP"), unit("TILE", "STRIP", kind="TILE")]
    ledger.add("run", [*units, *after, unit("LATER", "L0-E"), unit("READY", priority=1)])
    a, b, c, d, e, _ = take(ledger, 6)
    ledger.complete(a, made("P"))
    ledger.fail(b, Failure("transient", "connection reset", "s3://b"))
    ledger.fail(c, Failure("bug", "division by zero", "L0-C", "report it", bundle="bundles/L0-C"))
    ledger.fail(d, Failure("bad", "frame 3 is no CADU", "d.dat"))
    ledger.fail(e, Failure("missing", "no meteo", missing=("AUX_ECMWFD",)))


def test_each_gap_has_its_reason(ledger: Ledger, clock: Clock) -> None:
    _broken(ledger, clock)
    report = ledger.report("run")
    assert report["state"] == RUNNING
    assert report["units"]["expected"] == 10
    reasons = {gap["unit"]: gap["reason"] for gap in report["gaps"]}
    start = "2027-01-15T08:00:00Z"
    assert reasons == {
        "L0-B": "tried again at 2027-01-15T08:00:10Z after s3://b: connection reset",
        "L0-C": "defect: L0-C: division by zero; report it",
        "L0-D": "bad input: d.dat: frame 3 is no CADU",
        "L0-E": f"input missing since {start}: AUX_ECMWFD",
        "L0-F": f"under way since {start} by me",
        "STRIP": "behind L0-C (DEAD): defect: L0-C: division by zero; report it",
        "TILE": "behind L0-C (DEAD): defect: L0-C: division by zero; report it",
        "LATER": f"behind L0-E (PARKED): input missing since {start}: AUX_ECMWFD",
        "READY": "ready, not begun",
    }
    assert report["attempts"] == {"DONE": 1, "RUNNING": 1, "transient": 1, "missing": 1, "bad": 1, "bug": 1}
    assert report["core_seconds"] == 4.0
    clock.go(10)
    told = {gap["unit"]: gap["reason"] for gap in ledger.report("run")["gaps"]}
    assert told["L0-B"] == "ready, after s3://b: connection reset"
    ledger.abort("run")
    told = {gap["unit"]: gap["reason"] for gap in ledger.report("run")["gaps"]}
    assert told["TILE"] == "aborted by an operator"


def test_what_was_reused_is_not_spent_twice_and_datastrips_are_told_apart(ledger: Ledger) -> None:
    ledger.add("first", [unit("A", identity="11")])
    ledger.complete(*take(ledger, run="first"), made("P"))
    strips = [replace(unit(f"S{rank}", "A"), spec={"strip": rank}) for rank in (0, 1)]
    ledger.add("second", [unit("A", identity="11"), *strips])
    ledger.complete(*take(ledger, run="second"), made("P"), reused=True)
    for claim in take(ledger, 2, run="second"):
        ledger.complete(claim, made(claim.unit.name))
    told = ledger.report("second")
    assert (told["core_seconds"], told["reused_core_seconds"], told["bytes_out"]) == (8.0, 4.0, 100)
    assert [(d["datastrip"], d["units"], round(d["core_hours"] * 3600, 9)) for d in told["datastrips"]] == [
        ("before", 1, 0.0), ("datastrip 1", 1, 4.0), ("datastrip 2", 1, 4.0),
    ]  # fmt: skip


def test_files_of_a_second_datastrip_are_no_mix(ledger: Ledger) -> None:
    ledger.open_run("run", gipps={"R2EQOG/B04": "aa", "R2EQOG/B04#2": "bb"})
    ledger.add("run", [unit("A"), unit("B"), unit("C")])
    first, second, third = take(ledger, 3)
    ledger.complete(first, Result(gipps={"R2EQOG/B04": "aa"}))
    ledger.complete(second, Result(gipps={"R2EQOG/B04": "bb"}))
    with pytest.raises(ConfigurationError, match="R2EQOG/B04"):
        ledger.complete(third, Result(gipps={"R2EQOG/B04": "cc"}))


def test_the_page_of_a_run(ledger: Ledger, clock: Clock, tmp_path: Path) -> None:
    _broken(ledger, clock)
    write_sheet(ledger.report("run"), tmp_path / "run.html", "ledger.db")
    page = (tmp_path / "run.html").read_text("utf-8")
    broken, frozen = ("defect: L0-C: division by zero", "bundles/L0-C", "restart run"), ("N05.11", "GIP_PRDLOC")
    for told in (*broken, *frozen, "1 of 10 units"):
        assert told in page
    assert one(ledger, "L0-F")["owner"] == "me"
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_page_without_gaps(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add("run", [unit("A")])
    ledger.complete(*take(ledger), made("P"))
    ledger.restart("run", ["A"])
    ledger.complete(*take(ledger), made("P"))
    write_sheet(ledger.report("run"), tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text("utf-8")
    assert "every unit is finished" in page
    assert "1 products of earlier attempts" in page
    assert [size(n) for n in (10, 12_345, 3e15)] == ["10 B", "12.3 kB", "3e+03 TB"]


def _say(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    with Ledger.open(path) as ledger:
        ledger.add("old", [unit("X")])
        ledger.add("run", [unit("A"), unit("B"), unit("C", "A")])
        a, b = take(ledger, 2)
        ledger.complete(a, made("P"))
        ledger.fail(b, Failure("bug", "division by zero"))
    assert [line.split() for line in _say(path).splitlines()] == [
        ["old", "RUNNING", "0", "of", "1", "units"], ["run", "RUNNING", "1", "of", "3", "units"],
    ]  # fmt: skip
    assert [row["name"] for row in json.loads(_say(path, "units", "--state", "dead", "--json"))] == ["B"]
    assert "division by zero" in _say(path, "units", "run", "--kind", "L1B")
    assert [row["sha256"] for row in json.loads(_say(path, "products", "--json"))] == ["ab"]
    assert "P  s3://bucket/P" in _say(path, "products", "run")
    assert [row["what"] for row in json.loads(_say(path, "events", "--after", "2", "--limit", "2", "--json"))] == [
        "OPENED", "ADDED",
    ]  # fmt: skip
    assert json.loads(_say(path, "report", "--json"))["run"] == "run"
    shown = _say(path, "report", "run", "--html", str(tmp_path / "page.html"))
    assert "B: DEAD, defect: division by zero" in shown
    assert (tmp_path / "page.html").is_file()
    for command, state in (("pause", PAUSED), ("resume", RUNNING), ("stop", STOPPED), ("abort", ABORTED)):
        _say(path, command, "run")
        with Ledger.open(path) as ledger:
            assert ledger.control("run") == state
    assert _say(path, "restart", "run", "B").split() == ["B"]
    assert _say(path, "restart", "run").split() == ["C"]


def test_the_commands_make_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such ledger"):
        _say(str(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []
    Ledger.open(tmp_path / "ledger.db").close()
    with pytest.raises(ConfigurationError, match="no runs"):
        _say(str(tmp_path / "ledger.db"), "units")
