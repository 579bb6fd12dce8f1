"""Simulated runs of a plan: closed cases, order, and promises."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from s2dask.errors import ConfigurationError
from s2dask.graph.cost import CostModel, StepCost, Work, shipped_costs
from s2dask.graph.unit import REPROCESSING, Unit
from s2dask.production.beside import beside, cores_beside, together
from s2dask.production.forecast import Forecast, cores_for, promises, simulate_plan
from s2dask.production.plan import Plan, PlannedUnit, plan
from s2dask.production.plan_source import PlanSource
from s2dask.production.plan_work import Stage

_COSTS = CostModel({"A": StepCost(0.0, 1.0, 0.3)}, 0.1)
_SOURCE = PlanSource("x", "x", "session", "S2A", arrivals=(0.25, 0.5, 0.75, 1.0))


def _unit(name: str, stages: Sequence[Stage], after: tuple[str, ...] = (), **more: object) -> PlannedUnit:
    return PlannedUnit(Unit(name=name, kind=name.split("-", maxsplit=1)[0], after=after, **more), tuple(stages))  # type: ignore[arg-type]


def _plan(*units: PlannedUnit) -> Plan:
    return Plan(_SOURCE, "L2A", "zarr", units, _COSTS, ())


def _run(made: Plan, workers: int, **more: object) -> Forecast:
    return simulate_plan(made, workers, **{"task_seconds": 0.0, "unit_seconds": 0.0, **more})  # type: ignore[arg-type]


def test_tasks_of_a_stage_run_side_by_side_and_stages_one_after_the_other() -> None:
    made = _plan(_unit("A", [(Work("A", 3.0, 4),), (Work("A", 5.0),)]))
    assert [_run(made, n).seconds for n in (1, 2, 3, 4, 9)] == [17.0, 11.0, 11.0, 8.0, 8.0]
    assert _run(made, 1).efficiency == pytest.approx(1.0)
    assert _run(made, 4).busy == pytest.approx(17.0)


def test_a_unit_waits_for_those_before_it() -> None:
    made = _plan(
        _unit("A", [(Work("A", 2.0),)]), _unit("B", [(Work("A", 3.0),)]),
        _unit("C", [(Work("A", 1.0),)], ("A", "B")), _unit("D", [(Work("A", 10.0),)], ("A",)),
    )  # fmt: skip
    assert dict(_run(made, 2).finish) == {"A": 2.0, "B": 3.0, "C": 4.0, "D": 12.0}


def test_the_nominal_goes_before_the_reprocessing() -> None:
    old = _unit("OLD", [(Work("A", 2.0),)], priority=REPROCESSING)
    made = _plan(old, _unit("NEW", [(Work("A", 2.0),)]))
    assert _run(made, 1).finish["NEW"] < _run(made, 1).finish["OLD"]


def test_only_so_many_units_are_under_way() -> None:
    made = _plan(*(_unit(f"U-{k}", [(Work("A", 1.0),)]) for k in range(12)))
    assert _run(made, 12, width=4).seconds == 3.0
    assert _run(made, 12, width=12).seconds == 1.0


def test_files_are_decoded_while_others_arrive() -> None:
    session = _unit("SESSION", [(Work("A", 10.0, 4),), (Work("A", 1.0),)])
    made = _plan(session)
    # the last file is there at 0: three are done by then
    assert _run(made, 1, reception=100.0).seconds == 11.0
    assert _run(made, 1, reception=100.0).begun == -75.0
    assert _run(made, 1).seconds == 41.0
    # one worker cannot keep pace with files that come every five seconds
    assert _run(made, 1, reception=20.0).seconds == 26.0


def test_the_scheduler_hands_out_one_task_after_the_other() -> None:
    made = _plan(_unit("A", [(Work("A", 0.01, 1000),)]))
    assert _run(made, 1000, task_seconds=0.001).seconds == pytest.approx(1.01)
    assert _run(made, 2, task_seconds=0.001).seconds == pytest.approx(500 * 0.011, rel=0.02)


def test_scatter_is_repeatable_and_hardly_changes_the_whole(found: PlanSource) -> None:
    made = plan(found)
    one, two = (simulate_plan(made, 3, seed=7).seconds for _ in range(2))
    assert one == two
    assert one == pytest.approx(simulate_plan(made, 3).seconds, rel=0.05)
    assert one != simulate_plan(made, 3, seed=8).seconds


def test_more_workers_are_never_much_slower_and_one_does_all_the_work(found: PlanSource) -> None:
    made = plan(found)
    times = [simulate_plan(made, n).seconds for n in (1, 2, 4, 8)]
    assert times[0] >= made.estimate.seconds
    assert times[0] == pytest.approx(made.estimate.seconds, rel=0.05)
    assert times[1] < 0.55 * times[0]
    assert all(b <= 1.001 * a for a, b in pairwise(times))


def test_the_fewest_cores_that_keep_a_promise(found: PlanSource) -> None:
    made = plan(found)
    limit = simulate_plan(made, 3).seconds
    cores, seconds = cores_for(made, limit, reception=0.0)
    assert (cores, seconds) == (3, limit)
    assert cores_for(made, 1.0, reception=0.0)[0] is None
    with pytest.raises(ConfigurationError):
        simulate_plan(made, 0)


def test_promises_by_delivery(found: PlanSource) -> None:
    kept = list(promises(found, reception=100.0, workers=(2,), deliveries=("zarr", "s2-strict")))
    assert [(p.level, p.delivery) for p in kept] == [
        ("L1C", "zarr"), ("L1C", "s2-strict"), ("L2A", "zarr"), ("L2A", "s2-strict")
    ]  # fmt: skip
    assert all(p.cores is not None and p.seconds <= p.limit for p in kept)
    assert kept[0].core_seconds < kept[1].core_seconds


def test_a_unit_without_tasks_ends_at_once() -> None:
    made = _plan(_unit("A", [()]), _unit("B", [(Work("A", 1.0),)], ("A",)))
    assert _run(made, 1).seconds == 1.0
    assert replace(made, units=()).works is not None


@pytest.mark.row("OPS-34")
def test_a_campaign_beside_nominal_production(found: PlanSource) -> None:
    """Five sessions an orbit are made while the nominal one is done as early as on its own, but for tasks under way."""
    made = plan(found, to="L2A", costs=shipped_costs())
    least = cores_beside(made, reception=120.0)
    assert least is not None
    assert least.kept
    assert least.rate >= 5.0
    assert least.nominal <= 120 * 60
    if least.workers > 1:
        assert not beside(made, least.workers - 1, reception=120.0).kept
    alone = simulate_plan(made, least.workers, reception=120.0).seconds
    longest = max(made.costs.seconds(work) / work.count for work in made.works)
    assert alone <= least.nominal + 1e-6
    assert least.nominal <= 2.0 * alone + 3 * longest
    both = together(made, 2)
    assert len(both.units) == 3 * len(made.units)
    assert len({planned.unit.name for planned in both.units}) == len(both.units)
