"""A cluster that grows with its backlog and shrinks when it is idle, and loses no work meanwhile."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from distributed import Client, wait

from s2dask.cluster import connect
from s2dask.cluster.connect import open_client


def _rest(folder: str, number: int) -> int:
    """Leave a file for each time that it is run."""
    time.sleep(0.5)
    (Path(folder) / f"{number}.{time.time_ns()}").touch()
    return number


def _until(true: Callable[[], bool], seconds: float = 120.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.2)
    return False


def _workers(client: Client) -> int:
    return len(client.scheduler_info(n_workers=-1)["workers"])


@pytest.mark.slow
@pytest.mark.row("PS-03")
def test_workers_come_with_the_backlog_and_go_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"interval": "200ms", "wait_count": 5, "target_duration": "5s"}
    monkeypatch.setattr(connect, "ADAPTIVE", quick)
    with open_client("local", workers=1, dashboard=False, adapt=(1, 3)) as client:
        first = [client.submit(_rest, str(tmp_path), k, pure=False, key=f"REST-{k}") for k in range(120)]
        assert _until(lambda: _workers(client) >= 2)
        wait(first, timeout=300)
        assert [future.result() for future in first] == list(range(120))
        assert _until(lambda: _workers(client) == 1)
        # what stays on the workers is still there after some have gone
        assert sum(client.gather(first)) == sum(range(120))
        again = [client.submit(_rest, str(tmp_path), 1000 + k, pure=False, key=f"MORE-{k}") for k in range(60)]
        assert _until(lambda: _workers(client) >= 2)
        wait(again, timeout=300)
    ran = sorted(int(path.name.partition(".")[0]) for path in tmp_path.iterdir())
    assert ran == [*range(120), *range(1000, 1060)]  # each once: none was lost with a worker and done again
