"""Hung tasks: reported, their worker killed, tried again elsewhere, and given up in the end."""

import time
from pathlib import Path

import pytest
from distributed import Client, KilledWorker

from s2dask.cluster.connect import open_client
from s2dask.cluster.watch import Limits, hung_tasks


def sleep_once(mark: str) -> str:
    """Hang the first time, and answer the second."""
    path = Path(mark)
    if not path.exists():
        path.write_text("been here")
        time.sleep(600)
    return "done"


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_limits_are_by_step() -> None:
    limits = Limits(100.0, {"RADIO_AB": 5.0})
    assert limits.of("RADIO_AB-D05-G001-1a2b3c4d") == 5.0
    assert limits.of("L2A_AC-T28SCB-1a2b3c4d") == 100.0
    assert limits.interval == 1.0
    assert Limits().of("anything") == 14_400.0


@pytest.mark.slow
@pytest.mark.row("OPS-22")
def test_a_hung_task_is_killed_reported_and_done_again(tmp_path: Path) -> None:
    limits = Limits(60.0, {"RADIO_AB": 2.0})
    with open_client("local", workers=2, dashboard=False, limits=limits) as client:
        assert isinstance(client, Client)
        hung = client.submit(sleep_once, str(tmp_path / "mark"), key="RADIO_AB-D05-G001-x")
        calm = [client.submit(sleep, 0.1 * k, key=f"L2A_AC-{k}-x") for k in range(8)]
        always = client.submit(sleep, 500.0, key="RADIO_AB-D06-G001-x")
        assert hung.result(timeout=120) == "done"
        assert client.gather(calm) == [0.1 * k for k in range(8)]
        with pytest.raises(KilledWorker):
            always.result(timeout=120)
        told = hung_tasks(client)
        assert sorted(h.key for h in told) == ["RADIO_AB-D05-G001-x", *["RADIO_AB-D06-G001-x"] * 2]
        assert all(2.0 < h.seconds < 30.0 and h.limit == 2.0 for h in told)
        assert client.submit(sleep, 0.0).result(timeout=60) == 0.0
