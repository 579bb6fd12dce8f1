"""The daily report, and the way of one product from its processing to a ticket."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html as lxml_html
from production_model import GAINS, facts, fill, production
from typer.testing import CliRunner

from s2dask.commands.qc import app
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.qc.collect import remember
from s2dask.qc.daily import daily_report
from s2dask.qc.indicators import Indicator, Product
from s2dask.qc.store import Query, append, scan

DAY = "2026-10-06"


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("daily") / "the store")
    for level in ("L1C", "L2A"):
        fill(folder, production(110, drifting="S2B", level=level))
    lost = Product("the strip", "L0", "S2A", f"{DAY}T09:00:00.000Z", "DATASTRIP", baseline="05.12")
    append(folder, lost, [
        Indicator("lost_packets", 7.0), Indicator("missing_frames", 0.0), Indicator("lost_packets", 9.0, "B04", 3),
        Indicator("Start_Stop_Time", None, checklist="FORMAT_CORRECTNESS", severity="concluding", status="ERROR"),
    ])  # fmt: skip
    (Path(folder) / "disclaimers.toml").write_text(
        '[[disclaimer]]\nid = "AN-1"\ntext = "Gains of S2B drift."\nunits = ["S2B"]\nsince = 2026-09-20\n'
        '[[disclaimer]]\nid = "AN-2"\ntext = "Over by then."\nuntil = "2026-09-22"\n'
        '[[disclaimer]]\nid = "AN-3"\ntext = "Of another level."\nlevels = ["L1A"]\n'
    )
    return folder


@pytest.mark.row("OPS-39")
def test_a_day_tells_statistics_checks_corruption_classes_disclaimers_and_anomalies(store: str, tmp_path: Path) -> None:
    written = run("daily", store, "--day", "2026-09-23", "--out", str(tmp_path)).split()
    assert [Path(p).suffix for p in written] == [".json", ".html"]
    told: dict[str, Any] = json.loads(Path(written[0]).read_text())
    assert told == json.loads(run(*shlex.split(told["command"])[2:]))
    assert [(p["level"], p["unit"], p["products"]) for p in told["products"]] == [
        ("L1C", "S2A", 1), ("L1C", "S2B", 1), ("L2A", "S2A", 1), ("L2A", "S2B", 1),
    ]  # fmt: skip
    by_band = {(s["unit"], s["band"]): s for s in told["statistics"] if s["indicator"] == "physical_gain"}
    rows = [r for r in scan(store, Query(("L1C",), ("S2B",), ("physical_gain",), ("B04",)), [])
            if r.product.sensing_time.startswith("2026-09-23")]  # fmt: skip
    assert by_band["S2B", "B04"]["median"] == rows[0].indicator.value
    assert len(by_band) == 2 * len(GAINS)
    assert [(q["level"], q["checklist"], q["passed_percentage"]) for q in told["quality"]] == [
        ("L1C", "GENERAL_QUALITY", 100.0), ("L2A", "GENERAL_QUALITY", 100.0),
    ]  # fmt: skip
    assert {(c["unit"], c["class"], c["mean"]) for c in told["classes"]} == {
        ("S2A", "water", 3.0),
        ("S2B", "water", 3.0),
    }
    assert [(d["id"], d["products"]) for d in told["disclaimers"]] == [("AN-1", 2)]
    around = [a for d in range(23, 27) for a in daily_report(store, f"2026-09-{d}").anomalies]
    assert {(a["key"]["unit"], a["key"]["band"]) for a in around} == {("S2B", band) for band in GAINS}
    assert len(around) == len(GAINS)
    page = lxml_html.fromstring(Path(written[1]).read_bytes())
    headings = [h.text_content() for h in page.iter("h2")]
    assert headings == [
        "Products and checks", "Corrupted products", "Indicators", "Surface classes", "Disclaimers", "Anomalies",
    ]  # fmt: skip


@pytest.mark.row("OPS-39")
def test_corrupted_products_are_listed_with_the_reason(store: str) -> None:
    told = daily_report(store, DAY)
    (one,) = told.corrupted
    assert one["product"] == "the strip"
    assert one["reasons"] == {"lost_packets": 7.0, "FORMAT_CORRECTNESS/Start_Stop_Time ERROR": None}
    assert next(q for q in told.quality if q["level"] == "L0")["error"] == 1
    failing = daily_report(store, "2026-09-12")  # one of 37 tiles of the model has lost data
    assert [c["reasons"] for c in failing.corrupted] == [{"data_loss_percentage": 7.0}] * 2
    assert {f["check"] for f in failing.failed} == {"Data_Loss"}


def test_what_cannot_be_told_says_so(store: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no day"):
        daily_report(store, "2026-13-01")
    with pytest.raises(InputMissing, match="no product of 2020-01-01"):
        daily_report(store, "2020-01-01")
    fill(str(tmp_path), production(1, units=("S2A",)))
    (tmp_path / "disclaimers.toml").write_text("[[disclaimer]]\nid = 1\n")
    with pytest.raises(ConfigurationError, match="without text"):
        daily_report(str(tmp_path), "2026-07-01")


def _product(folder: Path, i: int, gain: float) -> str:
    """Write the Zarr of a tile as the processor leaves it: attributes; no pixel is looked at."""
    import zarr

    told = facts(i, "S2A", {"B04": gain}, np.random.default_rng(i))
    url = str(folder / f"{told['name']}.zarr")
    zarr.open_group(url, mode="w", attributes={"s2dask": told})
    return url


@pytest.mark.row("MPC-21")
def test_from_processing_to_a_ticket(tmp_path: Path) -> None:
    """Each product is remembered as it is made; the one that leaves the band opens a ticket with its evidence."""
    store, rng = str(tmp_path / "store"), np.random.default_rng(8)
    for i in range(70):
        product = _product(tmp_path, i, 4.5 * (1.0 + 4e-4 * rng.standard_normal()) * (1.003 if i >= 60 else 1.0))
        assert remember(store, product) == ""
        if i == 40:
            assert "41 products moved" in run("compact", store)
    assert "ticket: " not in run("trend", "-i", "physical_gain", "--until", "2026-07", "--tickets", "-s", store)
    assert run("trend", "-i", "physical_gain", "--store", store, "--tickets").count("ticket: ") == 1
    (ticket,) = json.loads(run("tickets", "--store", store, "--json"))
    assert (ticket["state"], ticket["direction"]) == ("open", "up")
    day = ticket["opened"][:10]
    assert "2026-08-30" <= day <= "2026-09-01"
    assert any(e["out"] and e["product"] == ticket["product"] for e in ticket["evidence"])
    (anomaly,) = daily_report(store, day).anomalies
    assert anomaly["ticket"] == ticket["ticket"]
    assert [t["ticket"] for t in daily_report(store, "2026-07-03").tickets] == [ticket["ticket"]]
    (trend,) = json.loads(run(*shlex.split(ticket["command"])[2:], "--json"))["trends"]
    assert [alarm["ticket"] for alarm in trend["alarms"]] == [ticket["ticket"]]


def test_what_cannot_be_remembered_says_why_and_takes_nothing_with_it(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    assert "is not remembered" in remember(str(tmp_path / "store"), _product(tmp_path, 0, 4.5))
    assert "not a Zarr product" in remember(str(tmp_path), str(tmp_path / "nothing.zarr"))
    checks = [{"id": "own", "checklist": "GENERAL_QUALITY", "severity": "concluding", "status": "FAILED", "value": 1.0}]
    assert remember(str(tmp_path / "s"), _product(tmp_path, 0, 4.5), "its name", checks) == ""
    rows = list(scan(str(tmp_path / "s"), Query(), []))
    assert {row.product.name for row in rows} == {"its name"}
    assert [row.indicator.indicator for row in rows if row.indicator.checklist] == ["own"]


def test_the_page_of_a_product_has_its_identity_and_control_bands(tmp_path: Path) -> None:
    store, rng = str(tmp_path / "store"), np.random.default_rng(8)
    for i in range(60):
        remember(store, _product(tmp_path, i, 4.5 * (1.0 + 4e-4 * rng.standard_normal())))
    odd = _product(tmp_path, 61, 4.55)
    page = tmp_path / "page.html"
    assert "1 out of their band" in run("report", odd, "--store", store, "--out", str(page))
    text = page.read_text("utf-8")
    shown = lxml_html.fromstring(text)
    assert "31TCJ" in text
    assert "out of band" in text
    assert len(shown.findall(".//figure[@class='chart']")) == 1
    told = json.loads(run("report", odd, "--store", store, "--json"))
    gain = next(i for i in told["indicators"] if i["indicator"]["indicator"] == "physical_gain")
    assert (gain["state"], gain["others"]) == ("out", 60)
    assert gain["lower"] < 4.5 < gain["upper"] < 4.55
    assert gain["low"] < 4.5 < gain["high"]
    # a product among its own: with no store nothing is compared
    alone = json.loads(run("report", odd, "--json"))
    assert {i["state"] for i in alone["indicators"]} <= {"new", "scene"}
