"""Warm-up: every call is made on every worker, one process at a time, and never in the way of a task."""

import threading
import time
from pathlib import Path

import pytest

from s2dask.cluster.warm_up import TOPIC, WarmUp, warm

MADE: list[str] = []


def one() -> None:
    MADE.append("one")


def two() -> None:
    MADE.append("two")


def broken() -> None:
    raise ValueError("no such kernel")


def long() -> None:
    time.sleep(0.3)
    MADE.append("long")


def test_calls_are_made_and_a_broken_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    MADE.clear()
    assert warm([one, broken, two]) >= 0.0
    assert MADE == ["one", "two"]
    assert "no warm-up by broken" in caplog.text


def test_what_another_is_making_is_put_off() -> None:
    MADE.clear()
    threads = [threading.Thread(target=warm, args=(calls,)) for calls in ([long, one], [long, two])]
    threads[0].start()
    time.sleep(0.1)
    threads[1].start()
    for thread in threads:
        thread.join()
    # the second does not wait for the long one, which is made twice, one after the other
    assert MADE == ["two", "long", "one", "long"]


def test_the_rest_can_be_let_be() -> None:
    MADE.clear()
    stop = threading.Event()
    stop.set()
    warm([one, two], stop)
    assert MADE == []


def note() -> None:
    import os

    Path(os.environ["WARM_NOTES"], str(os.getpid())).touch()


@pytest.mark.slow
def test_workers_warm_up_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2dask.cluster.connect import open_client

    monkeypatch.setenv("WARM_NOTES", str(tmp_path))
    with open_client("local", workers=2, dashboard=False, warm=[note]) as client:
        until = time.monotonic() + 60
        while len(client.get_events(TOPIC)) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        told = [event for _, event in client.get_events(TOPIC)]
        assert sorted(event["worker"] for event in told) == sorted(client.scheduler_info()["workers"])
        assert all(event["calls"] == 1 for event in told)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_plug_in_stops_with_its_worker() -> None:
    MADE.clear()
    plugin = WarmUp([long, one])
    from types import SimpleNamespace

    worker = SimpleNamespace(address="inproc://1", loop=SimpleNamespace(add_callback=lambda *_: MADE.append("told")))
    plugin.setup(worker)
    plugin.teardown(worker)
    time.sleep(0.5)
    assert "told" not in MADE
