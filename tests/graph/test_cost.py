"""The cost model: fits, intervals, history."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.errors import InputError
from s2dask.graph.cost import CostModel, StepCost, Work, shipped_costs
from s2dask.graph.cost_history import Sample, add_run, calibrated_costs, fit_costs, read_runs

_KNOWN = CostModel({"A": StepCost(1.0, 0.1), "B": StepCost(0.0, 2.0), "C": StepCost(3.0, 0.0)}, 0.35)


def _run(random: np.random.Generator, factor: float, count: int = 60) -> list[Sample]:
    """Tasks of a machine that needs 0.5 s + 0.2 s for each million, times a factor, with a scatter of a fifth."""
    mega = random.uniform(1, 20, count)
    seconds = factor * (0.5 + 0.2 * mega) * random.lognormal(0, 0.2, count)
    return [Sample("A", float(m), float(s), 1 << 30) for m, s in zip(mega, seconds, strict=True)]


def test_a_line_is_found_in_spite_of_compilations(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    samples = _run(random, 1.0, 200)
    spoilt = [*samples, *(Sample("A", 1.0, 60.0) for _ in range(6))]
    add_run(str(tmp_path), "one", "2026-11-21T10:00:00", spoilt)
    cost = calibrated_costs(str(tmp_path)).of("A")
    assert cost.per_mega == pytest.approx(0.2, rel=0.15)
    assert cost.fixed == pytest.approx(0.5, abs=0.25)
    assert cost.spread == pytest.approx(0.2, abs=0.05)
    assert cost.peak_bytes == 1 << 30
    true = sum(s.seconds for s in samples)
    assert sum(cost.seconds(s.mega) for s in samples) == pytest.approx(true, rel=0.05)


def test_the_interval_holds_the_truth_in_eighty_of_a_hundred_runs(tmp_path: Path) -> None:
    random, held = np.random.default_rng(2), 0
    for machine in range(10):
        history = str(tmp_path / str(machine))
        for k in range(10):
            add_run(history, f"run-{k}", f"2026-11-{k + 1:02d}T00:00:00", _run(random, random.lognormal(0, 0.15), 30))
        model = calibrated_costs(history)
        assert model.shared == pytest.approx(0.16, abs=0.09)
        for _ in range(20):
            told = _run(random, random.lognormal(0, 0.15), int(random.integers(5, 200)))
            estimate = model.predict(Work(s.step, s.mega) for s in told)
            held += estimate.low <= sum(s.seconds for s in told) <= estimate.high
    assert 0.75 < held / 200 < 0.92


def test_a_sum_of_many_tasks_is_known_better_than_one_but_never_better_than_the_machine() -> None:
    one, many = _KNOWN.predict([Work("A", 5.0)]), _KNOWN.predict([Work("A", 5.0, 10_000)])
    assert one.high / one.seconds > many.high / many.seconds > np.exp(1.28 * _KNOWN.shared) * 0.99
    assert many.seconds == pytest.approx(10_000 * one.seconds)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0, 100), st.integers(1, 50)), max_size=20))
def test_costs_add_up(works: list[tuple[str, float, int]]) -> None:
    parts = [Work(*w) for w in works]
    estimate = _KNOWN.predict(parts)
    assert estimate.seconds == pytest.approx(sum(_KNOWN.seconds(p) for p in parts), abs=1e-8)
    assert estimate.low <= estimate.seconds <= estimate.high


def test_tasks_of_one_size_keep_what_is_known_of_larger_ones() -> None:
    samples = {"count": 9, "mega": 90.0, "seconds": 36.0, "peak_bytes": 1, "tasks": [[10.0, 4.0]] * 9}
    cost = fit_costs([{"run": "x", "date": "", "steps": {"A": samples}}], _KNOWN).of("A")
    assert (cost.fixed, cost.per_mega) == (pytest.approx(2.0), pytest.approx(0.2))


def test_steps_that_were_not_measured_are_as_much_slower_as_the_others() -> None:
    tasks = [[m, 3 * (1.0 + 0.1 * m)] for m in (1.0, 5.0, 10.0, 20.0, 40.0, 80.0)]
    told = {"count": 6, "mega": 156.0, "seconds": 1.0, "peak_bytes": 1, "tasks": tasks}
    model = fit_costs([{"run": "x", "date": "", "steps": {"A": told}}], _KNOWN)
    assert model.of("C").fixed == pytest.approx(9.0, rel=0.01)
    assert model.runs == 1


def test_a_run_that_is_added_again_replaces_itself(tmp_path: Path) -> None:
    for seconds in (1.0, 2.0):
        add_run(str(tmp_path / "h"), "same", "2026-11-21T10:00:00", [Sample("A", 1.0, seconds)])
    (run,) = read_runs(str(tmp_path / "h"))
    assert run["steps"]["A"]["tasks"] == [[1.0, 2.0]]
    assert read_runs(str(tmp_path / "nothing")) == []


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_times_that_are_none_are_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(InputError, match="A took"):
        add_run(str(tmp_path), "run", "2026", [Sample("A", 1.0, seconds)])
    with pytest.raises(InputError, match="name of a run"):
        add_run(str(tmp_path), "../run", "2026", [Sample("A", 1.0, 1.0)])


def test_a_damaged_history_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"run": "bad"}')
    with pytest.raises(InputError, match=r"bad\.json"):
        read_runs(str(tmp_path))


def test_the_costs_that_come_along_are_of_every_step() -> None:
    model = shipped_costs()
    assert model.runs == 0
    assert all(c.fixed >= 0 and c.per_mega >= 0 and c.fixed + c.per_mega > 0 for c in model.steps.values())
    with pytest.raises(InputError, match="NO_SUCH"):
        model.of("NO_SUCH")
