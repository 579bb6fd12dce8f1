"""A run to Level-1C that is killed at every stage and repeated: what it delivers is whole, and the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s2dask.release.publish import verify
from s2dask.simulate.comparison import Truth

STAGES = {
    "decoding": ".work/*/packets-*/*",
    "Level-1B": ".work/*/l1b*.zarr/measurements/*/*/img/c/**/*",
    "Level-1C": ".work/*/l1c*.zarr/measurements/reflectance/r10m/*/c/**/*",
    "delivery": "**/*.jp2",
}
"""When a run is killed, and the files that show that it is there."""
PATIENCE = 600.0
"""No stage takes so long [s]."""


def _command(session: Path, out: Path, tile: str, window: tuple[int, ...]) -> list[str]:
    script = Path(__file__).with_name("standing_clock.py")
    corner = ",".join(str(v) for v in window)
    return [
        sys.executable, str(script), "run", str(session), "--to", "L1C", "--tile", tile, "--window", corner,
        "--out", str(out), "--workers", "1", "--keep",
    ]  # fmt: skip


def _visible(out: Path) -> list[Path]:
    return sorted(p for p in out.iterdir() if not p.name.startswith(".")) if out.is_dir() else []


def _check_visible(out: Path) -> None:
    """Check that nothing can be seen that is not whole."""
    for product in _visible(out):
        assert verify(product) == []


def _contents(out: Path) -> dict[str, bytes]:
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for product in _visible(out)
        for p in product.rglob("*")
        if p.is_file()
    }


def _begun(out: Path, pattern: str) -> bool:
    try:
        return any(p.is_file() for p in out.glob(pattern))
    except FileNotFoundError:
        return False  # what was there before is being removed


def _killed(command: list[str], out: Path, pattern: str) -> None:
    """Start a run and kill it, workers and all, soon after it has written its first file of a stage."""
    began = time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not _begun(out, pattern):
            assert running.poll() is None, f"ended before {pattern}"
            assert time.monotonic() - began < PATIENCE
            _check_visible(out)
            time.sleep(0.005)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert running.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_at_every_stage_and_repeated_it_is_whole_and_the_same(few_bands: Path, tmp_path: Path) -> None:
    x0, y0, *_ = Truth(f"{few_bands}/truth.zarr").window
    where = "28SCB", (x0, y0, 1200, 1200)
    once, again = tmp_path / "once" / "products", tmp_path / "again" / "products"
    subprocess.run(_command(few_bands, once, *where), check=True, stdout=subprocess.DEVNULL)
    (product,) = _visible(once)
    assert {p.suffix for p in product.iterdir()} >= {".SAFE", ".zarr", ".json"}
    for pattern in STAGES.values():
        _killed(_command(few_bands, again, *where), again, pattern)
        assert not _visible(again)
    subprocess.run(_command(few_bands, again, *where), check=True, stdout=subprocess.DEVNULL)
    _check_visible(again)
    ours, theirs = _contents(again), _contents(once)
    assert ours.keys() == theirs.keys()
    assert [path for path, content in ours.items() if content != theirs[path]] == []
