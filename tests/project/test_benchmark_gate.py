"""The gate of the benchmarks on made-up records: what falls is noticed, what only shakes is not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPT = """
from reporting import Case, report
def main():
    cases = [Case("work", {{"ours": {ours}, "peer": 10.0}})]
    report("made", cases + [Case("alone", {{"ours": 5.0}})] * {alone})
main()
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """Import the script that runs the benchmarks, with a folder and a history of its own."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import run as module

    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "HISTORY", tmp_path / "history.jsonl")
    monkeypatch.setattr(module, "_cpu", lambda: "this")
    yield module
    for name in ("run", "gate"):
        sys.modules.pop(name, None)


def case(ratio: float, title: str = "work", peer: str = "peer") -> dict[str, Any]:
    return {"title": title, "speed": {"ours": ratio, peer: 1.0}, "unit": "Mpx/s", "extra": {}, "ratio": {peer: ratio}}


def record(ratio: float, cpu: str = "this", **more: Any) -> dict[str, Any]:
    return {"cpu": cpu, "benchmarks": {"made": [case(ratio)]}, **more}


KEY = ("made", "work", "peer")


@pytest.mark.row("IPF-35")
@pytest.mark.parametrize(("ratio", "passes"), [(8.0, True), (7.7, True), (7.59, False), (4.0, False), (12.0, True)])
def test_a_fall_above_five_percent_does_not_pass(run: ModuleType, ratio: float, passes: bool) -> None:
    before = run.references([record(8.0)])
    found = run.regressions({"made": [case(ratio)]}, before)
    assert (not found) == passes
    if found:
        assert found[KEY] == (ratio, pytest.approx(7.6))


def test_the_noise_of_the_records_is_allowed_for(run: ModuleType) -> None:
    before = run.references([record(ratio) for ratio in (8.0, 7.2, 8.8, 8.1, 7.3)])
    assert before[KEY].ratio == 8.0
    assert before[KEY].noise > 0.05
    assert not run.regressions({"made": [case(7.3)]}, before)
    assert run.regressions({"made": [case(5.5)]}, before)


def test_small_steps_down_add_up(run: ModuleType) -> None:
    series = [10.0, 10.0, 10.0, 9.7, 9.6]
    assert run.regressions({"made": [case(9.4)]}, run.references([record(r) for r in series]))


def test_only_records_of_the_same_kind_of_machine_count(run: ModuleType) -> None:
    lines = [record(20.0, "another"), record(8.0)]
    run.HISTORY.write_text("\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    assert run.references(run.records(run.HISTORY, "this"))[KEY].ratio == 8.0
    assert run.references(run.records(run.HISTORY, "third")) == {}
    assert not run.regressions({"made": [case(1.0)]}, {})


def test_an_accepted_fall_is_what_later_ones_are_compared_with(run: ModuleType) -> None:
    accepted = {"reason": "it is exact now", "ratios": [list(KEY)]}
    before = run.references([record(10.0), record(10.0), record(5.0, accepted=accepted)])
    assert before[KEY].ratio == 5.0
    assert not run.regressions({"made": [case(4.9)]}, before)


@pytest.mark.parametrize(
    ("later", "passes", "times"), [([8.1], True, 1), ([4.0, 7.9], True, 2), ([5.0, 5.1], False, 2)]
)
def test_what_fell_is_measured_again(run: ModuleType, later: list[float], passes: bool, times: int) -> None:
    before, asked = run.references([record(8.0)]), []

    def repeat(name: str) -> list[dict[str, Any]]:
        asked.append(name)
        return [case(later[len(asked) - 1])]

    results = run.settle({"made": [case(5.0)], "other": [case(1.0, "b")]}, before, repeat)
    assert asked == ["made"] * times
    assert (not run.regressions(results, before)) == passes


def _main(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, ours: float, *arguments: str, alone: int = 0
) -> list[dict[str, Any]]:
    (run.FOLDER / "made.py").write_text(SCRIPT.format(ours=ours, alone=alone), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    monkeypatch.setattr(run.os, "sched_setaffinity", lambda *_: None)
    try:
        run.main()
    finally:
        lines = run.HISTORY.read_text("utf-8").splitlines() if run.HISTORY.exists() else []
    return [json.loads(line) for line in lines]


@pytest.mark.row("IPF-35")
def test_a_run_that_fell_fails_and_is_not_recorded(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (first,) = _main(run, monkeypatch, 80.0, alone=1)
    titles = {c["title"]: c["ratio"] for c in first["benchmarks"]["made"]}
    assert titles["work"] == {"peer": 8.0}
    assert titles["alone"].keys() == {"yardstick"}
    with pytest.raises(SystemExit, match="1 ratios fell"):
        _main(run, monkeypatch, 60.0)
    assert "worse: at least 7.6" in capsys.readouterr().out
    assert len(run.HISTORY.read_text("utf-8").splitlines()) == 1
    found = _main(run, monkeypatch, 60.0, "--accept", "it does more")
    assert found[-1]["accepted"] == {"reason": "it does more", "ratios": [["made", "work", "peer"]]}
    assert len(_main(run, monkeypatch, 59.0)) == 3


def test_the_script_says_how_to_use_it() -> None:
    done = subprocess.run([sys.executable, FOLDER / "run.py", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--accept" in done.stdout
