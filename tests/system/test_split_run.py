"""A long datastrip in virtual ones: the same products to the byte, however it is cut, and killed on the way too."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import zarr

from s2dask.cluster.local import local_client
from s2dask.production import standing
from s2dask.production.chain import Summary, run
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

SCENES, PATIENCE = 7, 600.0


class _OneTime(datetime):
    """A clock that shows one time: products say when they were made."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)


@pytest.fixture(scope="module")
def strip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate seven scenes of one detector in two bands, over five tiles."""
    options = SimulationOptions(detectors=(6,), bands=("B01", "B10"), scenes=SCENES, window=6000, seed=3, codec="raw12")
    return Path(simulate(str(tmp_path_factory.mktemp("split") / "session"), options))


@pytest.fixture(scope="module")
def whole(strip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """Return where the products of the session lie that is not split, and what is told of them."""
    return _made(strip, tmp_path_factory.mktemp("whole"), keep=True)


def _made(session: Path, out: Path, **asked: Any) -> tuple[Path, Summary]:
    with pytest.MonkeyPatch.context() as patch, local_client(1, dashboard=False) as client:
        patch.setattr(standing, "datetime", _OneTime)
        summary = run(str(session), client=client, out=str(out), to="L1C", **asked)
    assert not summary.failed
    assert not summary.withheld
    return out, summary


def _contents(out: Path) -> dict[str, bytes]:
    products = [p for p in out.iterdir() if not p.name.startswith(".") and p.is_dir()]
    return {p.relative_to(out).as_posix(): p.read_bytes() for one in products for p in one.rglob("*") if p.is_file()}


def _tile_arrays(out: Path) -> dict[tuple[str, str], np.ndarray]:
    """Return every array of every delivered tile but the document that tells when it was made."""
    found = {}
    for url in out.glob("*/*.zarr"):
        group, tile = zarr.open_group(str(url), mode="r"), url.stem.split("_")[5]
        for path, node in group.members(max_depth=None):
            if isinstance(node, zarr.Array) and path != "conditions/datastrip/metadata":
                found[tile, path] = np.asarray(node[...])
    return found


def _differing(ours: dict[Any, Any], theirs: dict[Any, Any]) -> list[Any]:
    assert ours.keys() == theirs.keys()
    same = (lambda a, b: a == b) if ours and isinstance(next(iter(ours.values())), bytes) else _same_array
    return [key for key, value in ours.items() if not same(value, theirs[key])]


def _same_array(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _record(store: Path) -> dict[str, float]:
    attrs: Any = zarr.open_group(str(store), mode="r").attrs["s2dask"]
    return dict(attrs["record"])


@pytest.mark.slow
@pytest.mark.row("PS-05")
@pytest.mark.parametrize(("split", "keep"), [(4, True), (3, False)])
def test_a_split_run_delivers_the_same_bytes(
    strip: Path, whole: tuple[Path, Summary], tmp_path: Path, split: int, keep: bool
) -> None:
    out, summary = _made(strip, tmp_path / "products", split=split, keep=keep)
    ours, theirs = _contents(out), _contents(whole[0])
    assert len({path.split("/")[0] for path in ours}) == 5
    assert _differing(ours, theirs) == []
    assert sum(int(np.count_nonzero(a)) for (_, path), a in _tile_arrays(out).items() if "reflectance" in path) > 1e6
    made = [o.key for o in summary.outcomes if o.key.startswith("RADIO_AB")]
    assert len(made) > SCENES  # overlaps are made again
    if keep:
        (work,) = (out / ".work").iterdir()
        (before,) = (whole[0] / ".work").iterdir()
        assert len(list(work.glob("l1b-v*.zarr"))) == -(-SCENES // split)
        records = _record(work / "l1b-whole.zarr"), _record(before / "l1b.zarr")
        assert records[0] == pytest.approx(records[1], rel=1e-12)
    else:
        assert not (out / ".work").exists()


def _events(trace: Path) -> list[dict[str, Any]]:
    lines = trace.read_text().splitlines() if trace.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _ended(trace: Path) -> set[str]:
    return {event["task"] for event in _events(trace) if event["event"] == "END" and event["status"] == "OK"}


@pytest.mark.slow
@pytest.mark.row("PS-05")
def test_a_split_run_that_was_killed_goes_on(strip: Path, whole: tuple[Path, Summary], tmp_path: Path) -> None:
    out, trace = tmp_path / "products", tmp_path / "trace.jsonl"
    command = [
        sys.executable, "-c", "from s2dask.cli import main; main()", "run", str(strip), "--to", "L1C", "--split", "3",
        "--out", str(out), "--workers", "1", "--trace", str(trace),
    ]  # fmt: skip
    began = time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not any(task.startswith("CLEAN-") for task in _ended(trace)):
            assert running.poll() is None
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.02)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    before = _ended(trace)
    cleaned = {task.removeprefix("CLEAN-") for task in before if task.startswith("CLEAN-")}
    tiles = {task for task in before if task.startswith("TILE-")}
    assert cleaned
    assert "STRIP" not in before or len(tiles) < 5
    trace.unlink()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun = {event["task"] for event in _events(trace) if event["event"] == "BEGIN"}
    # nothing is made for tiles that stand: the images that were removed stay away
    assert not [task for task in begun for part in cleaned if task.startswith(f"L1B-{part}-")]
    assert len(list(out.glob("*/*.zarr"))) == 5
    assert _differing(_tile_arrays(out), _tile_arrays(whole[0])) == []
    assert not (out / ".work").exists()
