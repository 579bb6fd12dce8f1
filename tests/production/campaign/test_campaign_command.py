"""``s2dask campaign`` says what the campaign says."""

import json
from pathlib import Path

from campaign_model import made_up
from distributed import Client
from typer.testing import CliRunner

from s2dask.commands.campaign import app


def _say(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_plan_is_told_and_written(archive: Path, tmp_path: Path) -> None:
    asked = ("plan", "camp", str(archive), "--out", str(tmp_path), "--unit", "S2A")
    text = _say(*asked, "--cores", "8", "--price", "0.04", "--html", str(tmp_path / "plan.html"))
    assert "camp to L2A, N05.11: 1 sources, 1 datastrips" in text
    assert "on 8 cores done in" in text
    assert "costs 0.00 (" in text
    assert "GIP_R2EQOG" in (tmp_path / "plan.html").read_text()
    facts = json.loads(_say(*asked, "--json", "--set", 'corrections={"cirrus": true}', "--to", "L2A"))
    assert facts["campaign"]["options"]["corrections"]["cirrus"]
    assert len(facts["left_out"]) == 1


def test_a_campaign_is_watched_steered_and_accounted(here: Client, tmp_path: Path) -> None:
    campaign, _ = made_up(tmp_path)
    campaign.submit(here).wait(60)
    where = ("--ledger", campaign.url)
    assert "SUCCESS" in _say("progress", "camp", *where)
    assert json.loads(_say("progress", "camp", *where, "--json"))["sessions"] == {"SUCCESS": 3}
    rows = json.loads(_say("ledger", "camp", *where, "--json"))
    assert {row["state"] for row in rows} == {"PRODUCED"}
    assert "12 of 12 expected" in _say("ledger", "camp", *where, "--html", str(tmp_path / "page.html"))
    assert rows[0]["sha256"] in (tmp_path / "page.html").read_text()
    for act in ("pause", "stop", "abort"):
        assert not _say(act, "camp", *where)  # nothing is left to steer
    assert campaign.progress().state == "SUCCESS"
    missing = CliRunner().invoke(app, ["progress", "other", *where])
    assert "no such campaign" in str(missing.exception)
