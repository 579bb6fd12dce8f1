"""The engine of the checks: whatever a product is like, there is a report, and it tells."""

import json
import re
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from lxml import etree
from release_model import make_l1c, make_l2a
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.io.grids import TileGrid
from s2dask.qc import functions
from s2dask.qc.checklists import load_checklists
from s2dask.qc.checks import Check, CheckResult, Finding, conclusion, global_status, run_checks
from s2dask.qc.engine import check_product, worst
from s2dask.qc.items import Item
from s2dask.qc.olqc import write_reports
from s2dask.qc.page import render
from s2dask.release.safe_l1c import write_safe_l1c
from s2dask.release.safe_l2a import write_safe_l2a

RUN = CliRunner()
GRID = TileGrid("28SCB", "EPSG:32628", 360000, 3690000, 600, 600)


@pytest.fixture(scope="module")
def l1c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("l1c")
    return Path(write_safe_l1c(make_l1c(folder / "t.zarr", GRID), folder))


def _by_name(results: tuple[CheckResult, ...]) -> dict[str, CheckResult]:
    return {r.id: r for r in results}


def test_a_product_with_pixels(l1c: Path) -> None:
    product, strip, tile = check_product(str(l1c))
    assert [made.item.kind for made in (product, strip, tile)] == ["PRODUCT", "DATASTRIP", "TILE"]
    assert product.status == "PASSED"
    found = _by_name(tile.results)
    assert found["Granule_Dimensions_10m"].status == "PASSED"
    assert found["Data_Loss"].message == "No data loss in this tile."
    assert tile.status == "PASSED"
    first = tile.item.statistics[0]
    assert (first.image.band, first.image.shape, first.sample.shape) == ("B02", (60, 60), (60, 60))
    with rasterio.open(next(l1c.glob("GRANULE/*/IMG_DATA/*_B02.jp2"))) as source:
        counts = source.read(1)
    assert first.mean == pytest.approx(counts[(counts > 0) & (counts < 65535)].mean())
    assert (first.sample == counts).all()
    assert first.valid_percentage == pytest.approx(100 * (counts > 0).mean())
    assert first.saturated_percentage == pytest.approx(100 / (counts > 0).sum())
    assert first.histogram.sum() == pytest.approx((counts > 0).sum() - 1, rel=0.02)


def test_a_zip_is_a_folder(l1c: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "p"), "zip", l1c.parent, l1c.name)
    inside = [[(r.id, r.status) for r in made.results] for made in check_product(str(tmp_path / "p.zip"))]
    assert inside == [[(r.id, r.status) for r in made.results] for made in check_product(str(l1c))]


def test_lost_lines_and_a_wrong_size_are_found(tmp_path: Path) -> None:
    lines = np.zeros((60, 60), np.uint8)
    lines[10:20] = 4
    url = make_l1c(tmp_path / "t.zarr", GRID)
    from s2dask.io import schema
    from s2dask.io.writer import write_whole

    write_whole(url, schema.quality_path(10, "B02"), lines)
    folder = Path(write_safe_l1c(url, tmp_path))
    metadata = next(folder.glob("GRANULE/*/MTD_TL.xml"))
    metadata.write_text(metadata.read_text().replace("<NROWS>30<", "<NROWS>31<"))
    found = _by_name(check_product(str(folder))[-1].results)
    assert found["Data_Loss"].status == "FAILED"
    share = found["Data_Loss"].value
    pixels = 4 * 60**2 + 6 * 30**2 + 3 * 10**2
    assert share == pytest.approx(100 * 600 / pixels)
    assert "B05.jp2 has 30 x 30" in found["Granule_Dimensions_20m"].message
    assert found["Granule_Dimensions_60m"].status == "PASSED"


def test_pixels_that_are_not_looked_at(l1c: Path) -> None:
    tile = check_product(str(l1c), look=False)[-1]
    undone = [r for r in tile.results if not r.done]
    assert [r.id for r in undone] == ["Data_Loss", *(f"Granule_Dimensions_{n}m" for n in (10, 20, 60))]
    assert {r.status for r in undone} == {"ERROR"}
    assert "not looked at" in render([tile], "t")


def test_zarr_products_have_their_record(tmp_path: Path) -> None:
    record = {"solar_zenith": 84.0, "data_loss_percentage": 0.0}
    (made,) = check_product(make_l1c(tmp_path / "a.zarr", GRID, record=record, solar_zenith=84.0))
    found = _by_name(made.results)
    assert (made.item.kind, made.item.level) == ("TILE", "L1C")
    assert found["Solar_Angle_Zenith"].status == "FAILED"
    assert made.conclusion == "FAILED"
    assert made.item.statistics[0].image.shape == (60, 60)
    (surface,) = check_product(make_l2a(tmp_path / "b.zarr", GRID, record={"vegetation_percentage": 12.5}))
    assert _by_name(surface.results)["VEGETATION_PERCENTAGE"].values == (("VEGETATION_PERCENTAGE", "12.5"),)
    assert "negative.B02" in surface.item.measured


def test_what_the_processing_told_is_not_measured_again(tmp_path: Path) -> None:
    told = {"negative.B02": 1.5, "negative.B03": 0.5}
    (surface,) = check_product(make_l2a(tmp_path / "b.zarr", GRID, record=told))
    assert dict(_by_name(surface.results)["NEGATIVE_BOA"].values) == {"B02": "1.5", "B03": "0.5"}
    assert not {"measured", "statistics"} & set(vars(surface.item))  # no image was decoded


def test_a_check_that_crashes_is_an_error_and_takes_nothing_with_it(
    l1c: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reference_data: Path
) -> None:
    def crash(check: Check, item: Item) -> Finding:
        raise ZeroDivisionError("of a plug-in \x00")

    monkeypatch.setitem(functions.FUNCTIONS, "limits", crash)
    tile = check_product(str(l1c))[-1]
    found = _by_name(tile.results)
    zenith = found["Solar_Angle_Zenith"]
    assert (zenith.status, zenith.done) == ("ERROR", True)
    assert zenith.message.startswith("the check crashed: ZeroDivisionError")
    assert "in crash" in zenith.traceback
    assert found["Sensing_Time"].status == found["Granule_Dimensions_10m"].status == "PASSED"
    assert tile.conclusion == "ERROR"
    schema = etree.XMLSchema(etree.parse(reference_data / "radiometry/xsd/rep_info_coprs/OLQC_Report.xsd"))
    paths = write_reports([tile], tmp_path)
    for path in paths:
        schema.assertValid(etree.parse(path))
    text = next(p for p in paths if p.name == "GENERAL_QUALITY.xml").read_text()
    assert "Traceback (most recent call last)" in text
    assert 'globalStatus="ERROR"' in text
    assert "ZeroDivisionError" in render([tile], "t")
    records = run_checks("L1C", {"solar_zenith": 30.0, "data_loss_percentage": 0.0})
    assert {r.status for r in records if r.done} == {"ERROR"}


def test_metadata_that_are_damaged_are_told(l1c: Path, tmp_path: Path) -> None:
    folder = tmp_path / l1c.name
    shutil.copytree(l1c, folder)
    metadata = next(folder.glob("GRANULE/*/MTD_TL.xml"))
    text = metadata.read_text()
    metadata.write_text(re.sub(r"<SENSING_TIME([^>]*)>[^<]*<", r"<SENSING_TIME\1>yesterday<", text))
    found = _by_name(check_product(str(folder))[-1].results)
    assert (found["Sensing_Time"].status, found["Sensing_Time"].done) == ("ERROR", False)
    assert "'yesterday' is no date" in found["Sensing_Time"].message
    manifest = folder / "manifest.safe"
    manifest.write_text(manifest.read_text()[:2000])
    product = check_product(str(folder))[0]
    undone = {r.id for r in product.results if not r.done}
    assert {"checkSafeManifest", "hrefExist", "extraData", "idReferences"} < undone
    assert all("manifest.safe: not well-formed XML" in r.message for r in product.results if not r.done)
    assert not any(r.traceback for r in product.results)
    metadata.write_text(text[: len(text) // 2])
    made = check_product(str(folder))
    assert [report.item.kind for report in made] == ["PRODUCT", "DATASTRIP", "TILE"]
    assert {r.status for r in made[-1].results if r.id == "checkMetadata"} == {"FAILED"}
    assert made[-1].status != "PASSED"
    with pytest.raises(InputError, match="no metadata of a datastrip, granule, tile or product"):
        check_product(str(tmp_path))
    with pytest.raises(InputMissing, match="no such product"):
        check_product(str(tmp_path / "none"))


USER = """
version = "mine"
[inputs]
orbit = "SENSING_ORBIT_NUMBER"
[[check]]
id = "My_Orbit"
checklist = "GENERAL_QUALITY"
items = ["DATASTRIP"]
levels = ["L1C"]
function = "limits"
severity = "concluding"
inputs = ["orbit"]
maximum = 10
[[check]]
id = "My_Sample"
checklist = "GENERAL_QUALITY"
items = ["DATASTRIP", "RECORD"]
levels = ["L1C"]
function = "limits"
severity = "sample"
inputs = ["solar_zenith"]
maximum = 0
"""


@pytest.mark.row("OPS-37")
def test_a_users_checklist_replaces_that_of_s2dask(l1c: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(USER)
    reports = check_product(str(l1c), str(path))
    assert [[r.id for r in made.results] for made in reports] == [[], ["My_Orbit", "My_Sample"], []]
    (orbit, _) = reports[1].results
    assert (orbit.status, orbit.value, orbit.message) == ("FAILED", 23.0, "orbit = 23 (expected value <= 10)")
    assert worst(reports) == "FAILED"
    path.write_text(USER.replace("maximum = 10", "maximum = 143"))
    assert worst(check_product(str(l1c), str(path))) == "PASSED"
    # a sample is told, and fails nothing; what informs fails the report, what concludes the product too
    (told,) = run_checks("L1C", {"solar_zenith": 30.0}, str(path))
    assert (told.status, global_status([told]), conclusion([told])) == ("FAILED", "PASSED", "PASSED")
    for severity, report, product in (("informative", "FAILED", "PASSED"), ("concluding", "FAILED", "FAILED")):
        path.write_text(USER.replace('"sample"', f'"{severity}"'))
        (told,) = run_checks("L1C", {"solar_zenith": 30.0}, str(path))
        assert (global_status([told]), conclusion([told])) == (report, product)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"limits"', '"limit"', "function 'limit'"),
        ('"concluding"', '"fatal"', "severity 'fatal'"),
        ('"GENERAL_QUALITY"', '"GENERAL"', "checklist 'GENERAL'"),
        ("maximum = 10", 'maximum = "ten"', "a limit is no number"),
        ("maximum = 10", "maximum = nan", "a limit is no number"),
        ("maximum = 10", "maximal = 10", "unknown field maximal"),
        ('id = "My_Orbit"', "", "no id"),
        ('"My_Sample"', '"My_Orbit"', "twice"),
        ('version = "mine"', "", "no version"),
        ("[inputs]", "[inputs", "not TOML"),
    ],
)
def test_a_wrong_checklist_is_refused_by_name(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(USER.replace(before, after))
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_checklists(str(path))
    assert "wrong.toml" in str(caught.value)
    with pytest.raises(InputMissing):
        load_checklists(str(tmp_path / "none.toml"))


def test_the_file_of_s2dask_can_be_copied_and_edited(tmp_path: Path, l1c: Path) -> None:
    text = files("s2dask.qc").joinpath("data/checklists.toml").read_text("utf-8")
    assert tomllib.loads(text)["version"] == load_checklists().version
    path = tmp_path / "copy.toml"
    path.write_text(text.replace("maximum = 82.0", "maximum = 20.0"))
    zenith = _by_name(check_product(str(l1c), str(path))[-1].results)["Solar_Angle_Zenith"]
    assert (zenith.status, zenith.values[0]) == ("FAILED", ("EXPECTED", "20.0"))
    assert zenith.message == "Zenith solar angle (25.5) is not within the threshold limit (20.0) "


def test_the_page_holds_everything_it_shows(l1c: Path) -> None:
    page = render(check_product(str(l1c)), "a <product>")
    root = etree.fromstring(page.encode(), etree.HTMLParser())
    assert root.findtext(".//h1") == "a <product>"
    links = [value for e in root.iter() for key, value in e.attrib.items() if key in ("src", "href")]
    assert len(links) == 1
    assert all(str(link).startswith("data:image/png;base64,") for link in links)
    assert len(list(root.iter("svg"))) == 13
    assert len(list(root.iter("details"))) == 5 + 5 + 4
    assert "nan" not in page.lower().replace("nanometre", "")


def test_the_command(l1c: Path, tmp_path: Path) -> None:
    xml, html = tmp_path / "xml", tmp_path / "page.html"
    arguments = ["qc", "check", str(l1c), "--xml", str(xml), "--html", str(html), "--json"]
    result = RUN.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    told: list[dict[str, Any]] = json.loads(result.stdout)
    assert [one["kind"] for one in told] == ["PRODUCT", "DATASTRIP", "TILE"]
    assert told[2]["checklists"] == dict.fromkeys(told[2]["checklists"], "PASSED")
    assert html.read_text().startswith("<!doctype html>")
    parts = {p.relative_to(xml).parent.as_posix() for p in xml.rglob("*.xml")}
    names = [p.parent.relative_to(l1c).as_posix() for p in l1c.rglob("MTD_[DT][SL].xml")]
    assert parts == {".", *(f"{name}/QI_DATA" for name in names)}
    short = RUN.invoke(app, ["qc", "check", str(l1c), "--checklist", "GEOMETRIC_QUALITY", "--no-pixels"])
    assert "Granule_Dimensions_10m, Granule_Dimensions_20m, Granule_Dimensions_60m" not in short.stdout
    assert "ERROR  informative Granule_Dimensions_10m: not checked" in short.stdout
    strict = tmp_path / "strict.toml"
    strict.write_text(USER)
    failed = RUN.invoke(app, ["qc", "check", str(l1c), "--checklists", str(strict)])
    assert failed.exit_code == 8
    assert "FAILED concluding  My_Orbit" in failed.stdout
    strict.write_text(USER.replace("SENSING_ORBIT_NUMBER", "NOT_THERE"))
    assert RUN.invoke(app, ["qc", "check", str(l1c), "--checklists", str(strict)]).exit_code == 9
    refused = RUN.invoke(app, ["qc", "check", str(l1c), "--checklist", "QUALITY"])
    assert isinstance(refused.exception, ConfigurationError)


@pytest.mark.row("OPS-36")
def test_what_failed_stands_in_the_product(tmp_path: Path, reference_data: Path) -> None:
    checks = [
        {"id": "Solar_Angle_Zenith", "checklist": "GENERAL_QUALITY", "level": "L1C", "severity": "concluding",
         "status": "FAILED", "value": 84.0, "message": "the sun is low", "values": [["EXPECTED", "82.0"]]},
    ]  # fmt: skip
    url = make_l1c(tmp_path / "t.zarr", GRID, checks=checks)
    folder = Path(write_safe_l1c(url, tmp_path))
    product = etree.parse(folder / "MTD_MSIL1C.xml").getroot()
    (report,) = product.iterfind(".//Failed_Inspections/Granule_Report")
    file = report.findtext("REPORT_FILENAME") or ""
    assert next(folder.glob("GRANULE/*/QI_DATA/GENERAL_QUALITY.xml")).relative_to(folder).as_posix() == file
    inspections = etree.parse(folder / file).getroot().iterfind(".//{*}inspection")
    assert {i.get("id"): i.get("status") for i in inspections}["Solar_Angle_Zenith"] == "FAILED"
    made = check_product(str(folder))[0]
    stated = {r.checklist: r for r in made.results if r.id == "Stated_Inspection"}
    assert {name for name, r in stated.items() if r.status == "FAILED"} == {"GENERAL_QUALITY"}
    assert f"{report.get('granuleId')}: {file}" in stated["GENERAL_QUALITY"].message


def test_the_report_of_level_2a_lies_in_the_product(tmp_path: Path, reference_data: Path) -> None:
    folder = Path(write_safe_l2a(make_l2a(tmp_path / "t.zarr", GRID), tmp_path))
    document = etree.parse(next(folder.glob("GRANULE/*/QI_DATA/L2A_QUALITY.xml")))
    etree.XMLSchema(etree.parse(reference_data / "radiometry/xsd/psd148_s2tbx/L2A_QUALITY.xsd")).assertValid(document)
    names = [e.text for e in document.getroot().iterfind(".//{*}checkList/{*}name")]
    assert names == ["SCENE_CLASS_QUALITY", "ATMOSPHERIC_CORRECTION_QUALITY", "AUX_DATA_QUALITY"]
