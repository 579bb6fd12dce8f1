"""A campaign of simulated sessions: killed and resumed it makes the same bytes, a fork makes what it changes alone."""

import os
import shutil
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Run a campaign of a session in all bands up to Level-2A."""
    root = tmp_path_factory.mktemp("made")
    simulate(str(root / "archive" / "session"), SimulationOptions((6,), scenes=1, seed=3, window=1200, codec="raw12"))
    campaign = Campaign("camp", **_asked(root / "archive", root / "out", "L1C", "L2A"))
    with local_client(1, dashboard=False) as client:
        assert campaign.submit(client).wait(PATIENCE).state == "SUCCESS"
    return campaign


def _run(campaign: Campaign) -> set[str]:
    """Run a campaign to its end; return the kinds of the units that were run, and not found done."""
    with local_client(1, dashboard=False) as client:
        progress = campaign.submit(client).wait(PATIENCE)
    assert progress.state == "SUCCESS"
    return {kind for kind, states in progress.units.items() if "DONE" in states}


@pytest.mark.slow
def test_a_fork_with_another_option_of_l2a_makes_l2a_alone(made: Campaign) -> None:
    fork = made.fork("fork", corrections={"surroundings": False})
    assert _run(fork) == {"SESSION", "L2A"}  # a session is looked at, in case something came since
    ours, theirs = fork.ledger().hashes(), made.ledger().hashes()
    assert {key for key, value in ours.items() if theirs[key] == value} == {k for k in ours if "/L1C/" in k}
    assert len(ours) == len(theirs) == 4


def _changed(aux: Path, folder: Path, kind: str, band: str, old: str, new: str) -> str:
    """Copy the GIPPs of a session and replace a text once in one of them; return their folder."""
    shutil.copytree(aux / "gipp", folder)
    (path,) = folder.glob(f"*_GIP_{kind}_*_{band}.*")
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "old", "new", "again"),
    [
        # where a pixel of B04 looks: images stay, tiles do not
        ("VIEDIR", "<TAN_PSI_X_LIST>-0.18", "<TAN_PSI_X_LIST>-0.19", {"SESSION", "STRIP", "L1C", "L2A"}),
        # another remark in an equalisation: a file is what its bytes are
        ("R2EQOG", "simulated by s2dask", "measured", {"SESSION", "L1B", "STRIP", "L1C", "L2A"}),
    ],
)
def test_a_fork_with_another_gipp_makes_what_follows_from_it(
    made: Campaign, tmp_path: Path, kind: str, old: str, new: str, again: set[str]
) -> None:
    aux = Path(made.request.source) / "session" / "aux"
    fork = made.fork(f"fork-{kind}", gipps=_changed(aux, tmp_path / "gipp", kind, "B04", old, new))
    assert _run(fork) == again
    account = fork.ledger()
    assert account.complete
    ours, theirs = account.hashes(), made.ledger().hashes()
    assert ours.keys() == theirs.keys()


@pytest.mark.slow
def test_a_campaign_of_l1c_products_makes_their_l2a(made: Campaign, tmp_path: Path) -> None:
    safe = min(Path(made.request.deliver).glob("*/S2A_MSIL1C_*.SAFE"))  # each fork has made another
    shutil.copytree(safe, tmp_path / "archive" / "2020" / safe.name)
    aux = Path(made.request.source) / "session" / "aux"
    campaign = Campaign("tiles", source=str(tmp_path / "archive"), deliver=str(tmp_path / "out"), aux=str(aux))
    planned = campaign.plan()
    assert (planned.datastrips, planned.tiles, planned.missing) == (1, 1, {})
    assert _run(campaign) == {"TILE"}
    account = campaign.ledger()
    assert account.complete
    assert {(e.tile, e.level) for e in account.entries if e.product} == {("28SCB", "L2A")}
    assert [p.name[:10] for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")] == ["S2A_MSIL2A"]
