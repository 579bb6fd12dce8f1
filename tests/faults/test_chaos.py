"""Whatever dies, and however often: no product lost, none doubled, every byte the same, nothing finished done again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ceph_server import Ceph
from ceph_server import absent as absent_programs
from chaos import FAULTS, Account, Machine, small_disk
from chaos_store import STORE_FAULTS, make_bucket, store_faults
from postgres_server import Postgres, absent

from s2dask.cluster.connect import open_client
from s2dask.cluster.watch import Limits, hung_tasks
from s2dask.graph.tasks import TaskGraph
from s2dask.graph.unit import Unit
from s2dask.io.object_store import DeadlineS3
from s2dask.io.storage import filesystem, is_s3
from s2dask.production.dispatch import Dispatcher
from s2dask.production.failure import read_bundle
from s2dask.production.ledger import DEAD, DONE, Ledger, Retry
from s2dask.production.runner import Runner
from s2dask.production.work import Context, Done, Told
from s2dask.release.publish_objects import reap
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

KILLS = int(os.environ.get("S2DASK_KILLS", "100"))
DISK = 300 << 20
"""Of a run: four times what it needs [B]."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate one detector, five bands, one scene, uncompressed: the least that makes a tile of Level-1C."""
    bands = ("B01", "B02", "B03", "B04", "B11")
    options = SimulationOptions(detectors=(6,), bands=bands, window=2400, scenes=1, seed=3, codec="raw12")
    return Path(simulate(str(tmp_path_factory.mktemp("chaos") / "session"), options))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if reason := absent():
        pytest.skip(reason)
    server = Postgres.make()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph | None]:
    """Return an S3 server that the environment speaks for, None where none can be started."""
    if absent_programs():
        yield None
        return
    server = Ceph.start(tmp_path_factory.mktemp("ceph"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            DeadlineS3.clear_instance_cache()
            yield server
    finally:
        server.stop()
        DeadlineS3.clear_instance_cache()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small disk for root, a folder for others."""
    if os.geteuid() == 0:
        with small_disk(tmp_path / "disk", DISK) as found:
            yield found
    else:
        (tmp_path / "disk").mkdir()
        yield tmp_path / "disk"


def _order(session: Path, out: Path, ledger: str) -> dict[str, Any]:
    x0, y0, *_ = Truth(f"{session}/truth.zarr").window
    return {
        "source": str(session), "to": "L1C", "out": str(out), "tile": "28SCB", "window": (x0, y0, 1200, 1200),
        "keep": True, "ledger": ledger,
    }  # fmt: skip


def _remote(order: dict[str, Any], bucket: str) -> dict[str, Any]:
    """Return an order that delivers to a store and works where it would have delivered to."""
    make_bucket(f"s3://{bucket}")
    return order | {"out": f"s3://{bucket}/out", "scratch": order["out"]}


def _files(machine: Machine) -> dict[str, str]:
    """Return the digest of every file that was delivered."""
    return {file["path"]: file["sha256"] for one in machine.visible() for file in json.loads(one)["files"]}


@pytest.fixture(scope="module")
def calm(session: Path, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the files of a run that nothing disturbs; its account is that of one."""
    folder, ledger = tmp_path_factory.mktemp("calm"), postgres.create()
    machine = Machine(folder / "log", _order(session, folder / "products", ledger))
    try:
        machine.run()
        found = _files(machine)
    finally:
        machine.stop()
    account = Account.of(ledger)
    assert not account.recomputed
    assert len(account.products) == 2  # SAFE and Zarr
    found["products"] = repr(account.products)
    return found


def _check(machine: Machine, ledger: str, calm: dict[str, str]) -> None:
    """Check that nothing is lost, doubled, another, or was done again."""
    account = Account.of(ledger)
    assert account.recomputed == [], machine.history
    assert repr(account.products) == calm["products"], machine.history
    assert set(account.states) == {DONE}, account.states
    assert _files(machine) | {"products": calm["products"]} == calm
    if is_s3(out := machine.order["out"]):
        fs, path = filesystem(out)
        delivered = {f"s3://{name.rpartition('/')[0]}" for name in fs.glob(f"{path}/*/manifest.json")}
        assert reap(out, delivered, timedelta(0)).unknown == ()
        assert len(fs.find(path)) == len(calm)  # the files, and a manifest in the place of "products"


def _faults(store: Ceph | None = None) -> tuple[str, ...]:
    mine = FAULTS if os.geteuid() == 0 else tuple(name for name in FAULTS if name != "disk")
    return mine if store is None else (*mine, *STORE_FAULTS)


@pytest.mark.slow
@pytest.mark.row("OPS-21")
def test_each_piece_dies_once(session: Path, postgres: Postgres, disk: Path, tmp_path: Path, calm: Any) -> None:
    ledger = postgres.create()
    machine = Machine(tmp_path / "log", _order(session, disk / "products", ledger), 7, postgres)
    kills = list(_faults())
    machine.random.shuffle(kills)
    try:
        assert machine.run(kills, pause=(0.3, 1.5)) >= len(kills) - 2  # a quick machine is done before the last
        _check(machine, ledger, calm)
    finally:
        machine.stop()


@pytest.mark.slow
@pytest.mark.row("OPS-21")
def test_a_store_that_fails_in_every_way(
    session: Path, postgres: Postgres, disk: Path, tmp_path: Path, calm: Any, store: Ceph | None
) -> None:
    if store is None:
        pytest.skip(f"no {', '.join(absent_programs())}: deploy/ceph/rgw.sh --install")
    ledger = postgres.create()
    order = _remote(_order(session, disk / "products", ledger), "every-way")
    machine = Machine(tmp_path / "log", order, 3, postgres, store_faults(store, order["out"]))
    # the last of them waits for the delivery, and so do those after it
    kills = [name for name in STORE_FAULTS if name.endswith("delivery")] * 2 + ["store refuses", "store overloaded"]
    try:
        assert machine.run(kills, pause=(0.3, 0.8)) >= 1
        _check(machine, ledger, calm)
    finally:
        machine.stop()
        print(Account.of(ledger).attempts, machine.history)  # noqa: T201


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
@pytest.mark.row("OPS-21", "OPS-31")
def test_a_hundred_deaths(session: Path, postgres: Postgres, tmp_path: Path, calm: Any, store: Ceph | None) -> None:
    deaths, seed = 0, 0
    while deaths < KILLS:
        seed += 1
        ledger = postgres.create()
        with small_disk(tmp_path / f"disk-{seed}", DISK) if os.geteuid() == 0 else _folder(tmp_path, seed) as disk:
            order = _order(session, disk / "products", ledger)
            order = order if store is None else _remote(order, f"deaths-{seed}")
            machine = Machine(tmp_path / f"log-{seed}", order, seed, postgres)
            if store is not None:
                machine.more.update(store_faults(store, order["out"]))
            kills = [machine.random.choice(_faults(store)) for _ in range(min(25, KILLS - deaths))]
            try:
                deaths += machine.run(kills, patience=1800.0)
                _check(machine, ledger, calm)
            finally:
                machine.stop()
                print(seed, deaths, Account.of(ledger).attempts, machine.history)  # noqa: T201


class _folder:  # noqa: N801 - stands in for a function
    def __init__(self, root: Path, seed: int) -> None:
        self.path = root / f"disk-{seed}"

    def __enter__(self) -> Path:
        self.path.mkdir()
        return self.path

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.slow
@pytest.mark.row("OPS-21", "OPS-31")
def test_the_client_dies_around_every_change_of_the_ledger(
    session: Path, postgres: Postgres, tmp_path: Path, calm: Any
) -> None:
    ledger, marks = postgres.create(), tmp_path / "marks"
    marks.mkdir()
    machine = Machine(tmp_path / "log", _order(session, tmp_path / "products", ledger) | {"marks": str(marks)})
    try:
        machine.run()
        points = {
            f"{when}-{kind}" for when in ("before", "after") for kind in ("SESSION", "L0", "L1B", "STRIP", "TILE")
        }
        assert {p.name for p in marks.iterdir()} == points
        assert machine.starts["client"] == len(points) + 1
        _check(machine, ledger, calm)
    finally:
        machine.stop()


@pytest.mark.slow
@pytest.mark.row("OPS-20", "OPS-21")
def test_of_two_services_one_dies_and_the_other_takes_over(
    session: Path, postgres: Postgres, tmp_path: Path, calm: Any
) -> None:
    ledger = postgres.create()
    machine = Machine(tmp_path / "log", _order(session, tmp_path / "products", ledger))
    try:
        machine.run_services(die_at="TILE")
        _check(machine, ledger, calm)
        owners = machine.owners()
        assert len({owner for outcome, owner in owners if outcome == "LOST"}) == 1
        assert {owner for outcome, owner in owners if outcome == "LOST"} != {
            owner for outcome, owner in owners if outcome == "DONE"
        }
    finally:
        machine.stop()


@pytest.mark.slow
def test_a_polite_end_gives_units_back_at_once(session: Path, postgres: Postgres, tmp_path: Path) -> None:
    ledger = postgres.create()
    machine = Machine(tmp_path / "log", _order(session, tmp_path / "products", ledger))
    try:
        while not machine.at_work():
            machine.supervise()
            time.sleep(0.05)
        client = machine.piece("client")
        client.send_signal(signal.SIGTERM)
        assert client.wait(60) == 128 + signal.SIGTERM
        account = Account.of(ledger)
        assert account.attempts["RELEASED"] == 1
        assert set(account.states) <= {"WAITING", DONE}
    finally:
        machine.stop()


def _die(seconds: float) -> None:
    os._exit(1)


def _task(context: Context) -> Done:
    graph = TaskGraph()
    function = {"POISON": _die, "HANG": time.sleep}.get(context.unit.name, abs)
    graph.add(f"{context.unit.name}-x", function, 500.0)
    context.graph("x", graph)
    return Done(Told())


@pytest.mark.slow
@pytest.mark.row("OPS-21", "OPS-22", "PS-10")
def test_poison_and_hung_units_end_and_the_others_are_done(tmp_path: Path) -> None:
    names = ["POISON", "HANG", *(f"GOOD{k}" for k in range(12))]
    limits = Limits(60.0, {"HANG": 2.0})
    with (
        open_client("local", workers=2, dashboard=False, limits=limits) as client,
        Ledger.open(tmp_path / "ledger.db", retry=Retry(attempts=2, first=0.1)) as ledger,
    ):
        ledger.add("run", [Unit(name=name, kind="TASK", spec={}) for name in names])
        Dispatcher(ledger, Runner(client), {"TASK": _task}, "run", failures=tmp_path / "failures").drain()
        rows = {row["name"]: row for row in ledger.units("run")}
        assert {name for name, row in rows.items() if row["state"] == DEAD} == {"POISON", "HANG"}
        assert {row["state"] for name, row in rows.items() if name.startswith("GOOD")} == {DONE}
        assert rows["POISON"]["attempts"] == rows["HANG"]["attempts"] == 2
        assert {task.key.split("-")[0] for task in hung_tasks(client)} == {"HANG"}
        for name in ("POISON", "HANG"):
            assert read_bundle(rows[name]["error"]["bundle"])[0].name == name
