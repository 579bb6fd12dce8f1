"""Runs of a session that still arrives, at a URL, through the relay, or of two strips: the bits of a plain run."""

import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import fsspec
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster
from lxml import etree
from object_store import serve
from system_model import announce, cut_files
from typer.testing import CliRunner

from s2dask import cli
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.graph.tasks import Outcome
from s2dask.production.chain import Summary, run
from s2dask.production.progress import Silent
from s2dask.production.session_info import session_info
from s2dask.simulate.coding import PacketMultiplexer
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

OPTIONS = SimulationOptions(detectors=(6,), bands=("B01", "B09"), window=600, scenes=2, seed=4, codec="raw12")
FRAMES = 200
RELAY = "L20200816120219514000011"
ORBIT = 26904
PATIENCE = 20.0
"""Longer than anything here takes to come [s]."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One worker in this process, which sees the file system in memory."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as one,
    ):
        yield one


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate one detector, two bands, two scenes, in files of 200 frames."""
    folder = Path(simulate(str(tmp_path_factory.mktemp("arrival") / "session"), OPTIONS))
    cut_files(folder, FRAMES)
    return folder


@pytest.fixture(scope="module")
def plain(session: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Return what a plain run delivers at L0."""
    return _delivered(run(str(session), client=client, to="L0", out=str(tmp_path_factory.mktemp("plain") / "out")))


def _arrays(url: str) -> dict[str, np.ndarray]:
    members = zarr.open_group(url, mode="r").members(max_depth=None)
    return {path: node[...] for path, node in members if isinstance(node, zarr.Array)}


def _zarrs(summary: Summary) -> list[str]:
    return [path for path in summary.products if path.endswith(".zarr")]


def _delivered(summary: Summary) -> dict[str, np.ndarray]:
    (store,) = _zarrs(summary)
    return _arrays(store)


def _same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    assert any(values.any() for path, values in found.items() if path.endswith("packets"))
    for path, values in wanted.items():
        np.testing.assert_array_equal(found[path], values, err_msg=path)


def _cadus(session: Path) -> list[Path]:
    return sorted((path for path in session.glob("DCS_*/**/*") if path.is_file()), key=lambda path: path.name)


def _place(source: Path, target: Path) -> None:
    """Put a file there in one step, as stations do."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name("fresh.part")
    shutil.copyfile(source, fresh)
    fresh.replace(target)


def _steps(summary: Summary, step: str) -> list[str]:
    return [outcome.key for outcome in summary.outcomes if outcome.step == step]


class _Watch(Silent):
    """Tells when the first file is decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.decoded = threading.Event()

    def end(self, outcome: Outcome) -> None:
        """Hear of a task."""
        super().end(outcome)
        if outcome.step == "EISPProcessor":
            self.decoded.set()


class _Station(threading.Thread):
    """Delivers while a run follows; what goes wrong is raised when it is left."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self._deliver, self._error = deliver, None

    def run(self) -> None:
        """Deliver."""
        try:
            self._deliver()
        except BaseException as error:  # noqa: BLE001 - raised by __exit__
            self._error = error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()
        if self._error is not None:
            raise self._error


@pytest.mark.row("OPS-02", "OPS-04")
@pytest.mark.parametrize("seed", [0, 1])
def test_files_in_any_order_while_following(
    session: Path, client: Client, plain: dict[str, np.ndarray], tmp_path: Path, seed: int
) -> None:
    """Before any DSIB comes the first files are decoded; one is cut short at first, one comes twice, one anew."""
    files, target, watch = _cadus(session), tmp_path / "session", _Watch()
    random = np.random.default_rng(seed)
    blocks = [files[k] for k in random.permutation(len(files)) if files[k].suffix == ".raw"]
    hurt, again = blocks[1], blocks[2]

    def deliver() -> None:
        place = {path: target / path.relative_to(session) for path in files}
        place[hurt].parent.mkdir(parents=True, exist_ok=True)
        place[hurt].write_bytes(hurt.read_bytes()[:100_001])
        _place(blocks[0], place[blocks[0]])
        place[again].parent.mkdir(parents=True, exist_ok=True)
        place[again].write_bytes(blocks[3].read_bytes())  # the content of another, until it comes again
        assert watch.decoded.wait(30), "nothing is decoded before the DSIBs come"
        for path in blocks[3:]:
            _place(path, place[path])
        _place(blocks[0], target / "RETRANSFER" / blocks[0].name)
        for path in (p for p in files if p.suffix == ".xml"):
            time.sleep(0.2)
            _place(path, place[path])
        _place(hurt, place[hurt])
        _place(again, target / "RETRANSFER" / again.name)

    with _Station(deliver):
        summary = run(
            str(target), client=client, to="L0", out=str(tmp_path / "out"), aux=str(session / "aux"), follow=PATIENCE,
            listener=watch,
        )  # fmt: skip
    _same(_delivered(summary), plain)
    decoded = _steps(summary, "EISPProcessor")
    assert len(decoded) == len(set(decoded))
    assert len(decoded) in (len(blocks), len(blocks) + 1)  # the file with foreign content may have been seen


def test_what_did_not_come_is_named(session: Path, client: Client, tmp_path: Path) -> None:
    target = tmp_path / "session"
    order = partial(run, str(target), client=client, to="L0", out=str(tmp_path / "out"), follow=0.3)
    aux = str(session / "aux")
    with pytest.raises(InputMissing, match=r"no DSIB .* and no DSDB"):
        order(aux=aux)
    files = _cadus(session)
    lost = [path.name for path in files if path.suffix == ".raw"][1:3]
    for path in files:
        if path.name not in lost and not path.name.endswith("ch1_DSIB.xml"):
            _place(path, target / path.relative_to(session))
    with pytest.raises(InputMissing, match=r"nothing new for 0\.3 s, and these did not come: DSIB of channel 1, DCS_"):
        order(aux=aux)
    with pytest.raises(InputMissing, match="no folder of auxiliary files"):
        order()
    summary = order(aux=aux, allow_gaps=True)
    assert any("did not come" in flag for flag in summary.flags)
    with pytest.raises(ConfigurationError, match="--follow"):
        order(aux=aux, follow=-1.0)


@pytest.mark.row("OPS-04", "IPF-01")
def test_a_repeated_run_decodes_only_what_is_new(session: Path, client: Client, tmp_path: Path) -> None:
    """A file is missing, comes late and comes anew: packets of the granules it touches are moved, and no others."""
    target, out = tmp_path / "session", tmp_path / "out"
    shutil.copytree(session, target)
    (path,) = target.rglob("*_ch2_DSDB_00002.raw")
    whole = path.read_bytes()
    path.unlink()

    def order(**asked: bool) -> Summary:
        time.sleep(1 - time.time() % 1)  # a product's name tells the second it was made in
        return run(str(target), client=client, to="L1B", out=str(out), keep=True, **asked)

    with pytest.raises(InputMissing, match=f"{path.name}: listed in"):
        order()
    first = order(allow_gaps=True)

    def stamps() -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in out.rglob("*.result")}

    before, lost = stamps(), _arrays(first.stores["L0"])["measurements/d06/b01/status"]
    assert len(_steps(first, "MSI_Merge")) == 1 + 2
    path.write_bytes(whole)
    second = order()
    after = stamps()
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1
    touched = [f"MSI_Merge-D06-G{k:03d}" for k in range(2) if (np.split(lost, 2)[k] == 1).any()]
    assert lost.any()
    assert sorted(_steps(second, "MSI_Merge")) == [*touched, "MSI_Merge-plan"]
    third = order()
    assert stamps() == after
    assert _steps(third, "MSI_Merge") == ["MSI_Merge-plan"]
    whole_run = run(str(session), client=client, to="L1B", out=str(tmp_path / "other"), keep=True)
    _same(_arrays(third.stores["L0"]), _arrays(whole_run.stores["L0"]))


def _renamed(session: Path, target: Path, name: str) -> None:
    """Copy the CADUs of a session as those of a session of another name."""
    for path in _cadus(session):
        old = path.parents[1].name.removeprefix("DCS_01_").removesuffix("_dat")
        copy = target / str(path.relative_to(session)).replace(old, name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes().replace(old.encode(), name.encode()) if path.suffix == ".xml" else b"")
        if path.suffix == ".raw":
            shutil.copyfile(path, copy)


@pytest.mark.row("OPS-05")
def test_a_session_through_edrs(client: Client, tmp_path: Path) -> None:
    """It tells neither unit nor orbit; what is told goes into the metadata of the L0 SAFE."""
    options = SimulationOptions(detectors=(6,), bands=("B10",), window=600, scenes=1, seed=2, codec="raw12")
    ground, relay, out = tmp_path / "ground", tmp_path / "relay", tmp_path / "out"
    simulate(str(ground), options)
    _renamed(ground, relay, RELAY)
    order = partial(run, str(relay), client=client, to="L0", out=str(out), aux=str(ground / "aux"))
    with pytest.raises(ConfigurationError, match=r"nothing tells the unit; .* add --unit"):
        order(orbit=ORBIT)
    with pytest.raises(ConfigurationError, match=r"nothing tells the orbit; .* add --orbit"):
        order(unit="S2A", follow=PATIENCE)
    with pytest.raises(ConfigurationError, match="no unit S3A"):
        order(unit="S3A", orbit=ORBIT)
    summary = order(unit="S2A", orbit=ORBIT, formats=("zarr", "safe"))
    (metadata,) = (p for p in out.rglob("S2A_OPER_MTD_L0*_DS_*.xml") if "_DS_" in p.parent.name)
    root = etree.parse(metadata).getroot()
    assert root.findtext(".//RECEPTION_STATION") == "EDRS"
    assert f"_{ORBIT:06d}_" in root.find(".//Datatake_Info").get("datatakeIdentifier")
    straight = run(str(ground), client=client, to="L0", out=str(tmp_path / "straight"))
    _same({k: v for k, v in _delivered(summary).items() if k in _delivered(straight)}, _delivered(straight))
    with pytest.raises(ConfigurationError, match=f"of orbit {ORBIT:d}, not of 7"):
        run(str(ground), client=client, to="L0", out=str(tmp_path / "straight"), orbit=7)


def test_info_of_a_session_through_edrs(session: Path, tmp_path: Path) -> None:
    _renamed(session, tmp_path / "relay", RELAY)
    for command in (["info"], ["l0", "info"]):
        failed = CliRunner().invoke(cli.app, [*command, str(tmp_path / "relay")])
        assert isinstance(failed.exception, ConfigurationError)
        shown = CliRunner().invoke(cli.app, [*command, str(tmp_path / "relay"), "--unit", "S2A", "--orbit", str(ORBIT)])
        assert str(ORBIT) in shown.output
        assert "S2A" in shown.output


@pytest.fixture
def stored(session: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the CADUs of the session at URLs of several kinds."""
    cadus, archive = tmp_path / "cadus" / "night", tmp_path / "night.zip"
    for path in _cadus(session):
        _place(path, cadus / path.relative_to(session))
    with zipfile.ZipFile(archive, "w") as packed:
        for path in _cadus(session):
            packed.write(path, str(path.relative_to(session)))
    memory = fsspec.filesystem("memory")
    memory.put(str(cadus), "/station/night", recursive=True)
    try:
        yield {
            "memory": "memory://station/night",
            "file": f"file://{cadus}",
            "zip": f"zip://::file://{archive}",
            "cached": "simplecache::memory://station/night",
        }
    finally:
        memory.rm("/station", recursive=True)


@pytest.mark.parametrize("kind", ["memory", "file", "zip", "cached"])
def test_a_session_at_a_url(
    session: Path, client: Client, plain: dict[str, np.ndarray], stored: dict[str, str], tmp_path: Path, kind: str
) -> None:
    order = partial(run, stored[kind], client=client, to="L0", out=str(tmp_path / "out"))
    with pytest.raises(InputMissing, match="give --aux"):
        order()
    _same(_delivered(order(aux=f"file://{session / 'aux'}", follow=PATIENCE)), plain)
    shown = CliRunner().invoke(cli.app, ["info", stored[kind]])
    assert "CADU session" in shown.output


def test_a_session_that_arrives_in_an_object_store(
    session: Path, client: Client, plain: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing of before does not hide what has come since."""
    bucket = tmp_path / "bucket"
    files = sorted(_cadus(session), key=lambda path: path.suffix)

    def deliver() -> None:
        for path in files:
            time.sleep(1.2 if path.suffix == ".xml" else 0.1)
            _place(path, bucket / "night" / path.relative_to(session))

    with serve(bucket) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "test")
        with _Station(deliver):
            summary = run(
                "s3://station/night", client=client, to="L0", out=str(tmp_path / "out"), aux=str(session / "aux"),
                follow=PATIENCE,
            )  # fmt: skip
    _same(_delivered(summary), plain)


def test_a_url_where_nothing_is(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="nothing there"):
        run("memory://nowhere/session", client=client, out=str(tmp_path))


@pytest.fixture(scope="module")
def two_strips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return two sessions, two minutes apart, and one of the files of both: two scenes, then one."""
    folder = tmp_path_factory.mktemp("strips")
    first, second, both = (folder / name for name in ("first", "second", "both"))
    simulate(str(first), OPTIONS)
    counters = {int(vc): held["frames"] for vc, held in session_info(str(first))["virtual_channels"].items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2dask.simulate.mission.DATE", "2020-08-16T12:04:25Z")
        patch.setattr(
            "s2dask.simulate.session.PacketMultiplexer",
            lambda vc, counter=0: PacketMultiplexer(vc, counters.get(vc, counter)),
        )
        simulate(str(second), replace(OPTIONS, scenes=1))
    shutil.copytree(first, both)
    for channel in (1, 2):
        (one,), (two,) = (list(s.rglob(f"*_ch{channel}_DSDB_*.raw")) for s in (both, second))
        next_file = one.with_name(one.name.replace("00001", "00002"))
        shutil.copyfile(two, next_file)
        announce(next(both.rglob(f"*_ch{channel}_DSIB.xml")), (one, next_file))
    return first, second, both


@pytest.mark.row("IPF-02")
def test_two_datastrips_are_those_of_each_alone(
    two_strips: tuple[Path, Path, Path], client: Client, tmp_path: Path
) -> None:
    first, second, both = two_strips
    order = partial(run, client=client, to="L1B", aux=str(first / "aux"), keep=True)
    together = order(str(both), out=str(tmp_path / "both"))
    assert sorted(together.stores) == ["L0", "L0-2"]
    assert len(_zarrs(together)) == 2
    assert not together.withheld
    starts = []
    for rank, session in enumerate((first, second)):
        alone = order(str(session), out=str(tmp_path / session.name))
        suffix = f"-{rank + 1}" if rank else ""
        # when packets came down is told by the DSIB of the session, and is that of another session here
        sensed = [
            {path: values for path, values in _arrays(url).items() if not path.startswith("conditions/downlink")}
            for url in (together.stores[f"L0{suffix}"], alone.stores["L0"])
        ]
        _same(*sensed)
        ours, theirs = _zarrs(together)[rank], _zarrs(alone)[0]
        images, wanted = _arrays(ours), _arrays(theirs)
        assert images.keys() == wanted.keys()
        for path, values in wanted.items():
            np.testing.assert_array_equal(images[path], values, err_msg=path)
        facts = [dict(zarr.open_group(url, mode="r").attrs["s2dask"]) for url in (ours, theirs)]  # type: ignore[call-overload]
        for key in ("sensing_start", "sensing_stop", "scenes", "detectors", "bands", "absolute_orbit"):
            assert facts[0][key] == facts[1][key], key
        starts.append(facts[0]["sensing_start_gps"])
        assert facts[0]["scenes"] == (2, 1)[rank]
    assert 100e9 < starts[1] - starts[0] < 140e9
