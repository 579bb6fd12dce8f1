"""A campaign of simulated sessions: killed and resumed it makes the same bytes, a fork makes what it changes alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from s2dask.cluster.local import local_client
from s2dask.production.campaign import Campaign
from s2dask.production.ledger import DONE
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

FEW = ("B01", "B02", "B03", "B04", "B11")
PATIENCE = 900.0
"""[s]"""


def _asked(archive: Path, out: Path, *levels: str) -> dict[str, Any]:
    x0, y0, *_ = Truth(str(next(archive.rglob("truth.zarr")))).window
    return {
        "source": str(archive), "deliver": str(out), "tiles": ["28SCB"], "window": (x0, y0, 1200, 1200),
        "levels": levels,
    }  # fmt: skip


def _counts(campaign: Campaign) -> dict[tuple[str, str], int]:
    """Return how often each unit that is finished was begun."""
    return {(r, u["name"]): u["attempts"] for r in campaign.runs() for u in campaign.book.units(r, states=[DONE])}


def _submit_and_kill(asked: dict[str, Any], stage: str) -> None:
    """Submit from the command line, and kill it with its workers when the first file of a stage is there."""
    window = ",".join(str(v) for v in asked["window"])
    command = [
        sys.executable, "-c", "from s2dask.commands.campaign import app; app()", "submit", "camp", asked["source"],
        "--out", asked["deliver"], "--tile", "28SCB", "--to", "L1C", "--set", f"window=[{window}]", "--workers", "1",
        "--lease", "5",
    ]  # fmt: skip
    begun = time.monotonic()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not any(Path(asked["deliver"]).glob(stage)):
            assert running.poll() is None, f"ended before {stage}"
            assert time.monotonic() - begun < PATIENCE
            time.sleep(0.02)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.slow
@pytest.mark.row("OPS-30", "OPS-31", "OPS-32")
def test_killed_and_resumed_it_makes_the_same_and_nothing_twice(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for unit, seed in (("S2A", 3), ("S2B", 4)):
        options = SimulationOptions((6,), FEW, 1, unit, seed, 1200, codec="raw12")
        simulate(str(archive / unit / f"pass_of_{unit}"), options)
    killed = _asked(archive, tmp_path / "killed", "L1C")
    planned = Campaign("camp", **killed).plan()
    assert (planned.datastrips, planned.tiles, planned.missing) == (2, 2, {})
    finished: dict[tuple[str, str], int] = {}
    with local_client(1, dashboard=False) as client:
        whole = Campaign("camp", **_asked(archive, tmp_path / "whole", "L1C"))
        assert whole.submit(client).wait(PATIENCE).state == "SUCCESS"
        for stage in (".work/*/l1b*.zarr/measurements/*/*/img/c/**/*", "S2*"):
            _submit_and_kill(killed, stage)
            campaign = Campaign.open("camp", f"{killed['deliver']}/.campaigns.db")
            here = _counts(campaign)
            assert {key: here[key] for key in finished} == finished
            finished = here
        assert finished
        assert campaign.resume(client, lease=5.0).wait(PATIENCE).state == "SUCCESS"
    after = _counts(campaign)
    assert {key: after[key] for key in finished} == finished
    account = campaign.ledger()
    assert account.complete
    assert account.expected == 2
    assert account.hashes() == whole.ledger().hashes()
    assert {e.baseline for e in account.entries} == {"N05.11"}
    assert all(len(gipps) > 5 for gipps in account.gipps.values())


@pytest.mark.slow
def test_a_fork_with_another_option_of_l2a_makes_l2a_alone(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    simulate(str(archive / "session"), SimulationOptions((6,), scenes=1, seed=3, window=1200, codec="raw12"))
    with local_client(1, dashboard=False) as client:
        campaign = Campaign("camp", **_asked(archive, tmp_path / "out", "L1C", "L2A"))
        assert campaign.submit(client).wait(PATIENCE).state == "SUCCESS"
        fork = campaign.fork("fork", corrections={"surroundings": False})
        progress = fork.submit(client).wait(PATIENCE)
    assert progress.state == "SUCCESS"
    made = {kind for kind, states in progress.units.items() if "DONE" in states}
    assert made == {"SESSION", "L2A"}  # a session is looked at, in case something came since
    ours, theirs = fork.ledger().hashes(), campaign.ledger().hashes()
    assert {key for key, value in ours.items() if theirs[key] == value} == {k for k in ours if "/L1C/" in k}
    assert len(ours) == len(theirs) == 4
