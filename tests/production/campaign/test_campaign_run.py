"""Campaigns are run, killed, paused and accounted; of the sessions few are on the disk at a time."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_model import TILES, Killed, Works, made_up
from distributed import Client, get_worker

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.graph.tasks import TaskGraph
from s2dask.production.campaign import Campaign
from s2dask.production.campaign_cluster import some_workers
from s2dask.production.campaign_request import Request
from s2dask.production.identity import folder_digest
from s2dask.production.ledger import DONE, Ledger

UNITS = 3 * (1 + 2 + 1 + 2 * len(TILES))


def test_each_unit_runs_once_and_few_sessions_are_begun_at_a_time(here: Client, tmp_path: Path) -> None:
    campaign, works = made_up(tmp_path)
    progress = campaign.submit(here, abreast=1).wait(60)
    assert progress.state == "SUCCESS"
    assert (sum(works.ran().values()), len(works.ran())) == (UNITS, UNITS)
    sessions = [name.partition(" ")[0] for name in works.order()]
    assert sessions == sorted(sessions)  # the next is begun when one is through
    assert progress.units["L2A"] == {"DONE": 6}
    assert progress.eta == 0.0
    assert "SUCCESS" in progress._repr_html_()
    assert progress.__rich__().row_count == len(progress.units) + 1


def test_submitted_twice_it_is_run_once(here: Client, tmp_path: Path) -> None:
    campaign, works = made_up(tmp_path)
    campaign.submit(here).wait(60)
    campaign.submit(here).wait(60)
    assert set(works.ran().values()) == {1}
    campaign.names = (*campaign.names, "session-d")  # what came into the archive since
    assert campaign.submit(here).wait(60).sessions == {"SUCCESS": 4}
    assert set(works.ran().values()) == {1}


@pytest.mark.parametrize("after", [1, 13])
def test_what_is_finished_is_not_made_again_after_a_death(here: Client, tmp_path: Path, after: int) -> None:
    whole, _ = made_up(tmp_path / "whole")
    whole.submit(here).wait(60)
    campaign, works = made_up(tmp_path / "killed")
    works.lethal = after
    campaign.submit(here, lease=0.5)
    with pytest.raises(Killed):
        campaign.wait(60)
    finished = {
        f"{run.partition('/')[2]} {unit['name']}"
        for run in campaign.runs()
        for unit in campaign.book.units(run, states=[DONE])
    }
    assert len(finished) <= after
    works.lethal = None
    found = type(campaign).open("camp", campaign.url)
    found.works = works.kinds
    assert found.resume(here).wait(60).state == "SUCCESS"
    assert all(works.ran()[name] == 1 for name in finished)
    assert len(works.ran()) == UNITS
    assert found.ledger().hashes() == whole.ledger().hashes()


@pytest.mark.row("OPS-32")
def test_every_gap_has_its_reason(here: Client, tmp_path: Path) -> None:
    campaign, works = made_up(tmp_path)
    works.failing = {
        "session-a L1C-T28SCB": InputMissing("no DEM", "N37W017"), "session-b SESSION": InputError("no CADU", "a file"),
        "session-c TILE-T28SDB": ValueError("seven"),
    }  # fmt: skip
    assert campaign.submit(here).wait(60).state == "FAILED"
    account = campaign.ledger()
    gaps = {(e.session, e.tile, e.level): e.reason for e in account.gaps}
    assert gaps.pop(("session-a", "28SCB", "L1C")).startswith("input missing since")
    assert gaps.pop(("session-a", "28SCB", "L2A")).startswith("behind L1C-T28SCB (PARKED)")
    assert "ValueError: seven" in gaps.pop(("session-c", "28SDB", "L2A"))
    assert set(gaps.values()) == {"bad input: a file: no CADU"}
    assert {key[0] for key in gaps} == {"session-b"}
    assert (account.produced, account.produced + len(account.gaps)) == (4 - 2 + 4 - 1, account.expected)
    assert all(row["sha256"] for row in account.table() if row["state"] == "PRODUCED")
    page = "".join(type(block).__name__ for block in account.sheet().blocks)
    assert page.count("Grid") == 2
    works.failing = {}
    assert campaign.restart(here).wait(60).state == "SUCCESS"
    assert campaign.ledger().complete
    assert set(works.ran().values()) == {1}


def test_it_is_paused_stopped_and_aborted_from_anywhere(here: Client, tmp_path: Path) -> None:
    campaign, works = made_up(tmp_path)
    campaign.submit(here, abreast=1)
    other = Campaign.open("camp", campaign.url)  # as another process would
    other.pause()
    campaign.wait(0.6)
    assert campaign.active
    assert campaign.progress().state == "PAUSED"
    other.stop()
    assert campaign.wait(30).state == "STOPPED"
    begun = sum(works.ran().values())
    assert begun < UNITS
    assert campaign.resume(here).wait(60).state == "SUCCESS"
    assert set(works.ran().values()) == {1}
    late, late_works = made_up(tmp_path / "late", "late")
    late_works.lethal = 0
    late.submit(here)
    with pytest.raises(Killed):
        late.wait(30)
    late.abort()
    assert late.progress().state == "ABORTED"
    assert {e.reason for e in late.ledger().gaps} == {"aborted by an operator"}


@pytest.mark.row("OPS-30")
def test_no_mix_of_versions_baselines_and_campaigns(
    here: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, works = made_up(tmp_path)
    works.lethal = 3
    with pytest.raises(Killed):
        campaign.submit(here, lease=0.5).wait(60)
    fork = campaign.fork("other", corrections={"surroundings": False})
    fork.names = campaign.names
    with pytest.raises(ConfigurationError, match="is at work on session"):
        fork.submit(here)
    with pytest.raises(ConfigurationError, match=r"baseline N05\.12 cannot be made"):
        campaign.fork("newer", baseline="N05.12")
    with pytest.raises(ConfigurationError, match="works in the stores"):
        campaign.fork("elsewhere", deliver="x")
    run = campaign.runs()[0]
    with Ledger.open(campaign.url) as ledger:
        ledger.open_run(run, gipps={"R2ABCA/B00": "0"})
        with pytest.raises(ConfigurationError, match="another gipps"):
            ledger.open_run(run, gipps={"R2ABCA/B00": "1"})
    monkeypatch.setattr("s2dask.production.campaign.__version__", "9.9")
    with pytest.raises(ConfigurationError, match=r"begun with s2dask .*, this is 9\.9"):
        Campaign.open("camp", campaign.url)


@pytest.mark.row("OPS-30")
def test_gipps_that_changed_since_are_refused(here: Client, archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive / "session-b", tmp_path / "archive" / "session-b")
    works = Works(tmp_path)
    works.lethal = 1
    campaign = Campaign("camp", source=str(tmp_path / "archive"), deliver=str(tmp_path))
    campaign.works = works.kinds
    with pytest.raises(Killed):
        campaign.submit(here, lease=0.5).wait(60)
    (told,) = campaign.ledger().gipps.values()
    assert "VIEDIR/B04" in told
    changed = next((tmp_path / "archive" / "session-b" / "aux" / "gipp").glob("*SPAMOD*"))
    changed.write_text(changed.read_text() + "<!-- another -->")
    works.lethal = None
    again = Campaign.open("camp", campaign.url)
    for go_on in (again.resume, again.submit):
        with pytest.raises(ConfigurationError, match="begun with another gipps"):
            go_on(here)
    assert not again.active


def test_working_stores_go_with_the_end_of_a_session(here: Client, tmp_path: Path) -> None:
    campaign, works = made_up(tmp_path)
    works.failing = {"session-b STRIP": ValueError("seven")}
    campaign.request = replace(campaign.request, keep=False)
    stores = [tmp_path / ".work" / name for name in campaign.names]
    for store in stores:
        (store / "l0.zarr").mkdir(parents=True)
    campaign.submit(here).wait(60)
    assert [store.exists() for store in stores] == [False, True, False]  # what failed can be gone on with


def test_other_gipps_are_laid_beside_the_same_files(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "gipps").mkdir()
    source = str(archive / "session-b")
    request = Request(name="c", source=str(archive), deliver=str(tmp_path / "out"), gipps=str(tmp_path / "gipps"))
    request.prepare(source)
    request.prepare(source)
    aux = Path(request.order(source).aux_folder())
    assert (aux / "gipp").resolve() == (tmp_path / "gipps").resolve()
    assert (aux / "dem").resolve() == (archive / "session-b" / "aux" / "dem").resolve()
    assert folder_digest(str(aux)) == folder_digest(f"{source}/aux")  # packets and DEM are the same


def _address() -> str:
    return str(get_worker().address)


def test_some_cores_are_left_free(here: Client) -> None:
    graph = TaskGraph()
    for k in range(20):
        graph.add(f"LOOK-{k}", _address)
    few = some_workers(here, 1)
    assert len({outcome.result for outcome in graph.run(few).values()}) == 1
    assert some_workers(here, None) is here
    with pytest.raises(ConfigurationError, match="0 cores"):
        some_workers(here, 0)
