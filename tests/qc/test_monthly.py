"""The monthly report: the sections of the mission's, from stored results, every figure made again by its command."""

import base64
import json
import re
import shlex
import zlib
from pathlib import Path
from typing import Any

import pytest
from lxml import html as lxml_html
from production_model import GAINS, fill, production
from typer.testing import CliRunner

from s2dask.commands.qc_trend import app
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.qc.monthly import monthly_report, plan

DAYS = 123
MONTH = "2026-10"
PERFORMANCES = {
    "L1C": [
        "Geometric calibration status", "Absolute geolocation", "Multi-spectral registration",
        "Multi-temporal registration", "Radiometric calibration status", "Radiometric uncertainty", "Noise",
        "Modulation transfer function",
    ],
    "L2A": ["Surface reflectance", "Water vapour", "Aerosol optical depth", "Classification"],
}  # fmt: skip
"""What the mission's Data Quality Reports state each month (https://earth.esa.int/web/sentinel/data-product-quality-reports;
of L2A the report of 2021-11, S2-PDGS-MPC-L2ADQR issue 43, section 2.2)."""


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("monthly") / "the store")
    for level in PERFORMANCES:
        fill(folder, production(DAYS, drifting="S2B", level=level))
    return folder


@pytest.fixture(scope="module")
def written(store: str) -> Path:
    pytest.importorskip("reportlab", reason="the PDF needs the extra `report`")
    folder = Path(store).parent / "reports"
    for level in PERFORMANCES:
        run("monthly", MONTH, "--store", store, "--out", str(folder), "--level", level)
    return folder


def numbers(written: Path, level: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((written / f"S2_DQR_{level}_{MONTH}.json").read_text())
    return told


@pytest.mark.row("MPC-13")
@pytest.mark.parametrize("level", PERFORMANCES)
def test_the_sections_are_those_of_the_mission(written: Path, level: str) -> None:
    told = numbers(written, level)
    assert [section["title"] for section in told["sections"]] == PERFORMANCES[level]
    page = lxml_html.fromstring((written / f"S2_DQR_{level}_{MONTH}.html").read_bytes())
    headings = [heading.text_content() for heading in page.iter("h2")]
    for number, title in enumerate(PERFORMANCES[level], 1):
        assert f"{number}. {title}" in headings


@pytest.mark.row("MPC-13")
@pytest.mark.parametrize("level", PERFORMANCES)
def test_every_figure_is_made_again_by_its_command(written: Path, level: str) -> None:
    figures = [figure for section in numbers(written, level)["sections"] for figure in section["figures"]]
    page = lxml_html.fromstring((written / f"S2_DQR_{level}_{MONTH}.html").read_bytes())
    assert [pre.text_content() for pre in page.iter("pre")] == [figure["command"] for figure in figures]
    for figure in figures:
        program, group, *arguments = shlex.split(figure["command"])
        assert (program, group) == ("s2dask", "qc")
        assert json.loads(run(*arguments)) == figure


@pytest.mark.row("MPC-13")
def test_the_numbers_of_a_table_are_those_of_the_products(written: Path) -> None:
    (figure,) = [f for s in numbers(written, "L1C")["sections"] for f in s["figures"] if f["number"] == "5.1"]
    assert [(row["unit"], row["band"]) for row in figure["rows"]] == [(u, b) for u in ("S2A", "S2B") for b in GAINS]
    told = {b: [p["physical_gains"][b] for p in production(DAYS, drifting="S2B") if p["unit"] == "S2B"] for b in GAINS}
    (row,) = [row for row in figure["rows"] if (row["unit"], row["band"]) == ("S2B", "B04")]
    october, september = sorted(told["B04"][-31:]), sorted(told["B04"][-61:-31])
    assert (row["products"], row["minimum"], row["maximum"]) == (31, october[0], october[-1])
    assert row["median"] == october[15]
    assert row["before"] == pytest.approx((september[14] + september[15]) / 2)


def test_checks_failures_and_alarms_of_the_month(written: Path) -> None:
    told = numbers(written, "L1C")
    assert told["products"] == [
        {"unit": unit, "kind": "TILE", "baseline": "05.12", "products": 31} for unit in ("S2A", "S2B")
    ]
    (check,) = told["checks"]
    assert (check["check"], check["passed"], check["failed"]) == ("Data_Loss", 60, 2)
    assert [failure["value"] for failure in told["failed"]] == [7.0, 7.0]
    assert {alarm["key"]["unit"] for alarm in told["alarms"]} == {"S2B"}
    assert len(told["alarms"]) == len(GAINS)


def _text(pdf: bytes) -> str:
    """Return the text of the pages of a PDF of reportlab, whose streams are deflated and in base 85."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    pages = (
        zlib.decompress(base64.a85decode(s.strip().removesuffix(b"~>"))) for s in streams if s.strip().endswith(b"~>")
    )
    return " ".join(re.findall(r"\(((?:[^()\\]|\\.)*)\) Tj", b"\n".join(pages).decode("latin-1")))


@pytest.mark.row("MPC-13")
@pytest.mark.parametrize("level", PERFORMANCES)
def test_the_paper_says_what_the_page_says(written: Path, store: str, level: str) -> None:
    path = written / f"S2_DQR_{level}_{MONTH}.pdf"
    text = _text(path.read_bytes())
    for number, title in enumerate(PERFORMANCES[level], 1):
        assert f"{number}. {title}" in text
    assert "?" not in text, "a character that the fonts of the paper lack"
    again = path.parent / "again"
    run("monthly", MONTH, "--store", store, "--out", str(again), "--level", level)
    assert (again / path.name).read_bytes() == path.read_bytes()


def test_without_paper_and_with_damage(written: Path, store: str, tmp_path: Path) -> None:
    victim = next(path for path in Path(store).rglob("*.gz") if "month=2026-10" in str(path) and "L2A" in str(path))
    data = victim.read_bytes()
    try:
        victim.write_bytes(data[:50])
        run("monthly", MONTH, "--store", store, "--out", str(tmp_path), "--level", "L2A", "--no-pdf")
    finally:
        victim.write_bytes(data)
    told = numbers(tmp_path, "L2A")
    assert len(told["damaged"]) == 1
    assert victim.name in told["damaged"][0]
    assert sum(p["products"] for p in told["products"]) == 61
    assert not (tmp_path / f"S2_DQR_L2A_{MONTH}.pdf").exists()


def test_a_wrong_month_level_or_figure_is_refused(store: str) -> None:
    with pytest.raises(ConfigurationError, match="is no month"):
        monthly_report(store, "2026-13")
    with pytest.raises(ConfigurationError, match="no report for level"):
        monthly_report(store, MONTH, "L1B")
    with pytest.raises(InputMissing, match="no L1C product of 2025-01"):
        monthly_report(store, "2025-01")
    with pytest.raises(ConfigurationError, match=r"no figure 9\.9"):
        run("monthly", MONTH, "--store", store, "--figure", "9.9")


def test_the_plan_can_be_printed() -> None:
    for level in PERFORMANCES:
        for title, requirement, figures in plan(level):
            for text in (title, requirement, *(figure.title + figure.measure for figure in figures)):
                assert text.encode("latin-1")
