"""Rehearsals: a plan goes through dispatcher, runner, ledger and cluster, with the keys of its run, in due time."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from s2dask.errors import ConfigurationError
from s2dask.production.forecast import simulate_plan
from s2dask.production.ledger import DONE, REUSED, Ledger
from s2dask.production.plan import plan
from s2dask.production.plan_source import PlanSource, StripShape
from s2dask.production.rehearsal import Rehearsal, rehearse
from s2dask.production.runner import Runner
from s2dask.production.work import Context
from s2dask.release.publish import verify

SENSING = (1281700000_000000000, 1281700036_000000000)
WORKERS = 2


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Return a client of a cluster in this process: two workers of one thread."""
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as found,
    ):
        yield found


def source(tiles: tuple[str, ...] = ("31TCJ", "31TDJ"), scenes: int = 10, kind: str = "session") -> PlanSource:
    """Return a session of two detectors and three bands."""
    cover = dict.fromkeys(tiles, 0.5)
    strip = StripShape((5, 6), ("B02", "B11", "B01"), scenes, "ccsds122", SENSING, tiles, cover, {})
    return PlanSource("/nowhere/session", "session", kind, "S2A", (strip,), (10**8,) * 4, (0.5, 0.5, 1.0, 1.0))  # type: ignore[arg-type]


def _ledger(folder: Path) -> Ledger:
    return Ledger.open(folder / "ledger.db")


def test_every_unit_is_run_once_and_every_product_delivered(client: Client, tmp_path: Path) -> None:
    made = plan(source())
    with _ledger(tmp_path) as ledger:
        done = rehearse(made, tmp_path, client=client, ledger=ledger)
        rows = ledger.units(done.run)
        products = ledger.products(done.run)
    assert not done.failed
    assert [row["name"] for row in rows] == [p.unit.name for p in made.units]
    assert {row["state"] for row in rows} == {DONE}
    assert {row["name"]: row["after"] for row in rows} == {p.unit.name: list(p.unit.after) for p in made.units}
    assert done.tasks == made.cost.tasks
    assert 0 < done.most <= made.cost.tasks
    assert Counter((p["level"], p["tile"]) for p in products) == {
        (level, tile): 2 for level in ("L1C", "L2A") for tile in ("T31TCJ", "T31TDJ")
    }
    assert len({p["sha256"] for p in products}) > 1
    for product in products:
        assert verify(Path(product["url"]).parent) == []


def test_units_are_held_back_while_there_is_no_room(client: Client, tmp_path: Path) -> None:
    made = plan(source())
    largest = max(planned.unit.cost.tasks for planned in made.units)
    with _ledger(tmp_path) as ledger:
        free = rehearse(made, tmp_path / "free", client=client, ledger=ledger)
    with Ledger.open(tmp_path / "held.db") as ledger:
        held = rehearse(made, tmp_path / "held", client=client, ledger=ledger, room=largest)
    with Ledger.open(tmp_path / "alone.db") as ledger:
        alone = rehearse(made, tmp_path / "alone", client=client, ledger=ledger, room=1)
    assert alone.most <= held.most <= largest < free.most
    assert free.tasks == held.tasks == alone.tasks
    assert not [*free.failed, *held.failed, *alone.failed]


def test_what_was_rehearsed_is_not_rehearsed_again(client: Client, tmp_path: Path) -> None:
    made = plan(source())
    with _ledger(tmp_path) as ledger:
        rehearse(made, tmp_path, client=client, ledger=ledger)
        again = rehearse(made, tmp_path, client=client, ledger=ledger)
        states = {row["name"]: row["state"] for row in ledger.units(again.run)}
    assert states.pop("SESSION") == DONE
    assert set(states.values()) == {REUSED}
    assert again.tasks == len(made.source.files) + 2


@pytest.mark.parametrize(("to", "delivery"), [("L2A", "s2-strict"), ("L1C", "zarr")])
def test_tasks_rest_as_long_as_the_plan_says(client: Client, tmp_path: Path, to: str, delivery: str) -> None:
    made = plan(source(("31TCJ",), 2), to=to, delivery=delivery)  # type: ignore[arg-type]
    rehearsal, runner = Rehearsal(made, speed=2000.0), Runner(client)
    before = {"STRIP": {"facts": {"passed": True}}}
    root = Context(rehearsal.root(str(tmp_path)), runner)
    children = {unit.name: unit for unit in rehearsal.works["SESSION"](root).children}
    tile = children["TILE-T31TCJ"]
    dated = type(tile)(name=tile.name, kind=tile.kind, spec={**tile.spec, "created": "2026-01-01T00:00:00+00:00"})
    runner.outcomes.clear()
    rehearsal.works["TILE"](Context(dated, runner, before))
    planned = next(p for p in made.units if p.unit.kind == "TILE")
    rested = sum(outcome.seconds for outcome in runner.outcomes)
    assert rested >= made.costs.total(planned.works) / 2000.0 * 0.999
    steps = Counter(work.step.split("-")[0] for work in planned.works for _ in range(work.count))
    steps["FORMAT_IMG"] += sum(steps.pop(name, 0) for name in ("FORMAT_TCI", "FORMAT_MASK", "FORMAT_PVI"))
    assert Counter(outcome.step for outcome in runner.outcomes) == +steps


def test_a_plan_of_something_else_is_refused() -> None:
    made = plan(source())
    with pytest.raises(ConfigurationError, match="a plan of l0"):
        Rehearsal(plan(source(kind="l0"), to="L1B"))
    with pytest.raises(ConfigurationError, match="a speed of 0"):
        Rehearsal(made, speed=0.0)


def test_a_rehearsal_is_no_quicker_than_its_simulation(client: Client, tmp_path: Path) -> None:
    made = plan(source(("31TCJ",), 2), to="L1C", delivery="htj2k")
    speed = made.estimate.seconds / 4.0  # four seconds of rest in all
    told = simulate_plan(made, WORKERS, pace=1.0 / speed).seconds
    with _ledger(tmp_path) as ledger:
        done = rehearse(made, tmp_path, client=client, ledger=ledger, speed=speed)
    assert not done.failed
    assert done.seconds >= 0.95 * told
    assert done.cpu_seconds > 0
