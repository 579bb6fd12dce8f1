"""Units on their way: each runs once, after those before it, whatever fails, pauses or dies beside it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from s2dask.cluster.report import reported
from s2dask.errors import InputError, InputMissing
from s2dask.graph.tasks import TaskGraph
from s2dask.graph.unit import Unit, identity_of
from s2dask.production.dispatch import Dispatcher
from s2dask.production.failure import read_bundle
from s2dask.production.ledger import DEAD, DONE, PARKED, REFUSED, REUSED, Ledger, Retry
from s2dask.production.marks import forget, mark
from s2dask.production.runner import Runner
from s2dask.production.standing import needed
from s2dask.production.work import Context, Done, Told, Work


def _count(folder: str, name: str) -> str:
    """Leave a file for each time that a unit is run."""
    (Path(folder) / f"{name}.{time.time_ns()}").touch()
    return name


def _task(context: Context) -> Done:
    graph = TaskGraph()
    last = graph.add(f"COUNT-{context.unit.name}", _count, context.unit.spec["folder"], context.unit.name)
    name = context.graph("COUNT", graph)[last.key].result
    return Done(Told(flags=[name], facts={"before": sorted(context.before)}))


def _parent(context: Context) -> Done:
    folder = context.unit.spec["folder"]
    children = [Unit(name=f"child-{k}", kind="TASK", spec={"folder": folder}) for k in range(3)]
    last = Unit(name="last", kind="TASK", spec={"folder": folder}, after=tuple(c.name for c in children))
    return Done(Told(), children=(*children, last))


def _marked(context: Context) -> Done:
    done = _task(context)
    mark(context.unit.spec["l0"], context.unit.name, context.unit.identity)
    return done


WORKS: dict[str, Work] = {"TASK": _task, "PARENT": _parent, "L0": _marked}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Return a client of a cluster in this process."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as found,
    ):
        yield found


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger that tries again at once."""
    with Ledger.open(tmp_path / "ledger.db", retry=Retry(attempts=3, first=0.0)) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for what was run."""
    (tmp_path / "ran").mkdir()
    return tmp_path / "ran"


def _ran(folder: Path) -> Counter[str]:
    return Counter(path.name.rpartition(".")[0] for path in sorted(folder.iterdir()))


def _dispatcher(ledger: Ledger, client: Client, run: str = "run", **other: Work) -> Dispatcher:
    return Dispatcher(ledger, Runner(client), WORKS | other, run)


def _states(ledger: Ledger, run: str = "run") -> dict[str, str]:
    return {row["name"]: row["state"] for row in ledger.units(run)}


def test_children_run_once_and_in_their_order(ledger: Ledger, client: Client, folder: Path) -> None:
    ledger.add("run", [Unit(name="root", kind="PARENT", spec={"folder": str(folder)})])
    dispatcher = _dispatcher(ledger, client)
    dispatcher.drain()
    assert _ran(folder) == {"child-0": 1, "child-1": 1, "child-2": 1, "last": 1}
    assert [p.name.rpartition(".")[0] for p in sorted(folder.iterdir(), key=lambda p: p.suffix)][-1] == "last"
    assert dispatcher.told["run", "last"]["facts"]["before"] == ["child-0", "child-1", "child-2"]
    assert {outcome.key for outcome in dispatcher.runner.outcomes} == {f"COUNT-{name}" for name in _ran(folder)}
    assert set(_states(ledger).values()) == {DONE}


def _spans(dask_scheduler: Any) -> dict[tuple[str, ...], set[str]]:
    """Return the prefixes of the tasks of every span that the scheduler knows."""
    spans = dask_scheduler.extensions["spans"].spans.values()
    return {span.name: {group.prefix.name for group in span.traverse_groups()} for span in spans}


def test_tasks_are_told_by_run_and_step_and_a_page_on_request(
    ledger: Ledger, client: Client, folder: Path, tmp_path: Path
) -> None:
    ledger.add("run-of-spans", [Unit(name="root", kind="PARENT", spec={"folder": str(folder)})])
    with reported(client, "run-of-spans", page=tmp_path / "new" / "report.html"):
        _dispatcher(ledger, client, "run-of-spans").drain()
    assert client.run_on_scheduler(_spans)["run-of-spans",] == {"COUNT-child", "COUNT-last"}
    assert "COUNT" in (tmp_path / "new" / "report.html").read_text("utf-8")


def test_two_services_share_the_units(ledger: Ledger, client: Client, folder: Path) -> None:
    units = [Unit(name=f"unit-{k}", kind="TASK", spec={"folder": str(folder)}) for k in range(12)]
    ledger.add("run", units)
    services = [_dispatcher(ledger, client) for _ in range(2)]
    threads = [threading.Thread(target=service.drain) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _ran(folder) == {unit.name: 1 for unit in units}
    assert sum(len(service.told) for service in services) == 12


def _failing(*errors: Exception) -> Callable[[Context], Done]:
    left = list(errors)

    def work(context: Context) -> Done:
        if left:
            raise left.pop(0)
        return _task(context)

    return work


@pytest.mark.row("OPS-21", "PS-10")
def test_a_bug_is_kept_and_the_others_go_on(
    ledger: Ledger, client: Client, folder: Path, tmp_path: Path
) -> None:
    spec = {"folder": str(folder)}
    ledger.add("run", [
        Unit(name="good", kind="TASK", spec=spec), Unit(name="bad", kind="BAD", spec=spec, after=("good",)),
        Unit(name="behind", kind="TASK", spec=spec, after=("bad",)),
    ])  # fmt: skip
    dispatcher = _dispatcher(ledger, client, BAD=_failing(ValueError("seven")))
    dispatcher.failures = tmp_path / "failures"
    dispatcher.drain()
    assert _states(ledger) == {"good": DONE, "bad": DEAD, "behind": "WAITING"}
    (bundle,) = dispatcher.failures.iterdir()
    unit, before = read_bundle(bundle)
    assert unit.name == "bad"
    assert list(before) == ["good"]
    assert "ValueError: seven" in (bundle / "traceback.txt").read_text()
    ledger.restart("run", ["bad"])
    dispatcher.drain()
    assert _states(ledger) == {"good": DONE, "bad": DONE, "behind": DONE}
    assert _ran(folder) == {"good": 1, "bad": 1, "behind": 1}


def test_what_passes_is_tried_again_and_what_lasts_is_not(ledger: Ledger, client: Client, folder: Path) -> None:
    spec = {"folder": str(folder)}
    ledger.add("run", [Unit(name=name, kind=name.upper(), spec=spec) for name in ("passing", "lasting", "bad", "gone")])
    works = {
        "PASSING": _failing(ConnectionError("once"), OSError(28, "No space left on device")),
        "LASTING": _failing(*[ConnectionError("always")] * 9), "BAD": _failing(InputError("no CADU", "a file")),
        "GONE": _failing(InputMissing("no DEM", "N43E001")),
    }  # fmt: skip
    dispatcher = _dispatcher(ledger, client, **works)
    dispatcher.drain()
    assert _states(ledger) == {"passing": DONE, "lasting": DEAD, "bad": REFUSED, "gone": PARKED}
    assert [row["attempts"] for row in ledger.units("run")] == [3, 3, 1, 1]
    assert str(dispatcher.errors["run", "bad"]) == "a file: no CADU"
    assert ledger.wake("run", "N43E001") == 1
    dispatcher.drain()
    assert _states(ledger)["gone"] == DONE
    assert _ran(folder) == {"passing": 1, "gone": 1}


@pytest.mark.row("OPS-24")
def test_a_run_is_paused_resumed_and_aborted(ledger: Ledger, client: Client, folder: Path) -> None:
    ledger.add("run", [Unit(name=f"unit-{k}", kind="TASK", spec={"folder": str(folder)}) for k in range(3)])
    ledger.pause("run")
    dispatcher = _dispatcher(ledger, client)
    thread = threading.Thread(target=dispatcher.drain)
    thread.start()
    time.sleep(0.3)
    assert not _ran(folder)
    ledger.resume("run")
    thread.join(30)
    assert not thread.is_alive()
    assert set(_states(ledger).values()) == {DONE}
    ledger.add("other", [Unit(name="late", kind="TASK", spec={"folder": str(folder)})])
    ledger.abort("other")
    _dispatcher(ledger, client, "other").drain()
    assert _states(ledger, "other") == {"late": "ABORTED"}
    assert "late" not in _ran(folder)


@pytest.mark.row("OPS-23")
def test_nominal_goes_before_reprocessing(ledger: Ledger, client: Client, folder: Path) -> None:
    spec = {"folder": str(folder)}
    ledger.add("campaign", [Unit(name=f"old-{k}", kind="TASK", spec=spec, priority=10) for k in range(3)])
    ledger.add("today", [Unit(name=f"new-{k}", kind="TASK", spec=spec, priority=100) for k in range(3)])
    dispatcher = Dispatcher(ledger, Runner(client), WORKS, width=1)
    dispatcher.drain()
    order = [p.name[:3] for p in sorted(folder.iterdir(), key=lambda p: p.suffix)]
    assert order == ["new"] * 3 + ["old"] * 3


def test_what_stands_is_not_made_again(ledger: Ledger, client: Client, folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "l0.zarr"
    store.mkdir()
    spec: dict[str, Any] = {"folder": str(folder), "l0": str(store)}
    units = [
        Unit(name=f"L0-{k}", kind="L0", spec=spec, identity=identity_of("L0", {}, {"k": k}, {})) for k in range(2)
    ]
    for run in ("first", "second"):
        ledger.add(run, units)
        _dispatcher(ledger, client, run).drain()
    assert _ran(folder) == {"L0-0": 1, "L0-1": 1}
    assert set(_states(ledger, "second").values()) == {REUSED}
    forget(str(store))
    ledger.add("third", units)
    _dispatcher(ledger, client, "third").drain()
    assert _ran(folder) == {"L0-0": 2, "L0-1": 2}


def test_what_only_finished_units_need_is_left_out(ledger: Ledger, client: Client, tmp_path: Path) -> None:
    def unit(name: str, *after: str) -> Unit:
        store = tmp_path / "store"
        store.mkdir(exist_ok=True)
        spec = {"folder": str(tmp_path), "l0": str(store)}
        return Unit(name=name, kind="L0", spec=spec, after=after, identity=identity_of("L0", {}, {"n": name}, {}))

    plan = [unit("a"), unit("b"), unit("x", "a"), unit("y", "a", "b")]
    ledger.add("run", [plan[0], plan[2]])
    _dispatcher(ledger, client).drain()
    # x stands; y is to be made, and b for it; a stands too
    assert [(u.name, u.after) for u in needed(ledger, plan)] == [
        ("a", ()), ("b", ()), ("x", ("a",)), ("y", ("a", "b")),
    ]  # fmt: skip
    ledger.add("more", [plan[1], plan[3], plan[0]])
    _dispatcher(ledger, client, "more").drain()
    forget(str(tmp_path / "store"))
    mark(str(tmp_path / "store"), "y", plan[3].identity)
    # now y alone stands: a is made for x, b for nobody
    assert [(u.name, u.after) for u in needed(ledger, plan)] == [("a", ()), ("x", ("a",)), ("y", ("a",))]
    dates = {u.spec["created"] for u in needed(ledger, plan)}
    assert len(dates) == 1 or all(dates)
