"""Trends: series out of the store, alarms with evidence, tickets, and the commands that show them."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from production_model import GAINS, NOISE, START, facts, fill, production
from typer.testing import CliRunner, Result

from s2dask.commands.qc_trend import app, sparkline
from s2dask.errors import InputMissing
from s2dask.qc.indicators import indicators_of, product_of
from s2dask.qc.store import Query, append, scan
from s2dask.qc.trend import Trend, follow, gather

DAYS = 123
FIRST_DRIFTING = DAYS - 30


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("store") / "indicators")
    fill(folder, production(DAYS, drifting="S2B"))
    return folder


def trends(store: str, **asked: Any) -> list[Trend]:
    return [follow(series) for series in gather(scan(store, Query(**asked), []))]


@pytest.mark.row("MPC-21")
def test_the_drifting_unit_and_no_other_has_alarms(store: str) -> None:
    for trend in trends(store, indicators=("physical_gain",)):
        key = trend.series.key
        assert len(trend.alarms) == (key.unit == "S2B"), str(key)
        for alarm in trend.alarms:
            named = [product.name for product in trend.series.products]
            assert FIRST_DRIFTING <= named.index(alarm.product) < FIRST_DRIFTING + 8
            assert named.index(alarm.onset) <= named.index(alarm.product)
            assert (alarm.direction, alarm.back) == ("up", "")
            assert 0.002 < alarm.shift / alarm.mean < 0.01
            assert len(alarm.changes) == 2
            assert "05.11 to 05.12 on 2026-08-30" in alarm.changes[0]
            values = {e["product"]: e["value"] for e in alarm.evidence}
            assert values[alarm.product] == trend.series.values[named.index(alarm.product)]


@pytest.mark.row("MPC-21")
def test_a_ticket_is_opened_once_and_stays_as_people_left_it(store: str) -> None:
    ask = ("trend", "--indicator", "physical_gain", "--store", store, "--tickets")
    assert run(*ask).output.count("ticket: ") == len(GAINS)
    assert "ticket: " not in run(*ask).output
    tickets = json.loads(run("tickets", "--store", store, "--json").stdout)
    assert {t["key"]["band"] for t in tickets} == set(GAINS)
    first = tickets[0]
    assert (first["state"], first["key"]["unit"]) == ("open", "S2B")
    assert next(e for e in first["evidence"] if e["product"] == first["product"])["out"]
    path = Path(store) / "tickets" / f"{first['ticket']}.json"
    path.write_text(json.dumps(first | {"state": "closed"}))
    run(*ask)
    listed = json.loads(run("tickets", "--store", store, "--json").stdout)
    assert {t["ticket"]: t["state"] for t in listed}[first["ticket"]] == "closed"
    assert f"{first['ticket']} closed" in run("tickets", "--store", store).output
    again = json.loads(run(*shlex.split(first["command"])[2:], "--json").stdout)["trends"]
    assert [alarm["ticket"] for trend in again for alarm in trend["alarms"]] == [first["ticket"]]


def test_the_table_the_page_and_the_numbers_tell_the_same(store: str, tmp_path: Path) -> None:
    page = tmp_path / "trend.html"
    ask = ("trend", "-i", "physical_gain", "--unit", "S2B", "--band", "B04", "--store", store)
    shown = run(*ask, "--html", str(page)).output
    (trend,) = json.loads(run(*ask, "--json").stdout)["trends"]
    (alarm,) = trend["alarms"]
    assert "alarms: 1" in shown
    assert alarm["ticket"] in shown
    assert sparkline(trend["values"]) in shown
    html = page.read_text("utf-8")
    assert html.count("<svg") == 1
    assert html.count("<circle") == DAYS + sum(
        abs(w) > limit or c > trend["chart"]["cusum_limit"]
        for w, limit, c in zip(*(trend["chart"][name] for name in ("ewma", "ewma_limit", "cusum")), strict=True)
    )
    assert all(text in html for text in (alarm["product"], alarm["onset"], trend["products"][0]))
    assert len(trend["values"]) == DAYS


def test_a_baseline_of_months_and_a_last_month(store: str) -> None:
    ask = ("trend", "-i", "physical_gain", "--unit", "S2A", "--band", "B04", "--store", store, "--json")
    (trend,) = json.loads(run(*ask, "--baseline", "2026-08..2026-09", "--until", "2026-10").stdout)["trends"]
    assert (trend["baseline"], trend["products"][0][11:17]) == (61, "202608")
    (short,) = json.loads(run(*ask, "--until", "2026-07").stdout)["trends"]
    assert short["problem"] == "31 of the 50 products of a baseline"


def test_of_a_scene_made_again_the_newest_product_counts(tmp_path: Path) -> None:
    for value, made in ((4.5, "2026-10-02"), (4.6, "2027-02-02"), (4.55, "2026-12-02")):
        told = facts(0, "S2A", {"B04": value}, np.random.default_rng(0)) | {"generation_time": f"{made}T00:00:00.000Z"}
        append(str(tmp_path), product_of(told, "x"), indicators_of(told))
    (series,) = gather(scan(str(tmp_path), Query(indicators=("physical_gain",)), []))
    assert series.values.tolist() == [4.6]


def test_a_single_odd_product_is_an_alarm_that_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for i in range(90):
        odd = 1.006 if i == 70 else 1.0
        told = facts(i, "S2A", {"B04": 4.5 * odd * (1.0 + NOISE * rng.standard_normal())}, rng)
        append(str(tmp_path), product_of(told, "x"), indicators_of(told))
    (trend,) = trends(str(tmp_path), indicators=("physical_gain",))
    (alarm,) = trend.alarms
    assert alarm.opened.startswith(f"{START.replace(month=9, day=9):%Y-%m-%d}")
    assert alarm.back
    assert len(alarm.evidence) < 20


def test_tiles_apart(tmp_path: Path) -> None:
    for i in range(4):
        told = facts(i, "S2A", {"B04": 4.5}, np.random.default_rng(0)) | {"tile_id": f"3{i % 2}TCJ"}
        append(str(tmp_path), product_of(told, "x"), indicators_of(told))
    rows = list(scan(str(tmp_path), Query(indicators=("mean",)), []))
    assert [len(series.values) for series in gather(rows)] == [4]
    assert [(series.key.tile, len(series.values)) for series in gather(rows, by_tile=True)] == [
        ("30TCJ", 2),
        ("31TCJ", 2),
    ]
    (one,) = json.loads(run("trend", "-i", "mean", "--tile", "31TCJ", "-s", str(tmp_path), "--json").stdout)["trends"]
    assert len(one["values"]) == 2


def test_nothing_to_follow_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="qc add"):
        run("trend", "-i", "physical_gain", "--store", str(tmp_path))
