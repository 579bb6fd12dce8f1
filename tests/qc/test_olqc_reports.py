"""The real reports of the mission are made again from the same metadata."""

import csv
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from s2dask.io.safe_archive import SafeArchive
from s2dask.qc.checklists import load_checklists
from s2dask.qc.checks import CheckResult
from s2dask.qc.engine import ItemReport, check_item, check_product
from s2dask.qc.functions import FUNCTIONS
from s2dask.qc.images import Image
from s2dask.qc.items import Item
from s2dask.qc.olqc import Subject, report, write_reports

DATASTRIP = "S2B_OPER_MSI_L1C_DS_REFS_20221124T170956_S20221011T064025"
STRIP = f"radiometry/metadata/l1c/{DATASTRIP}_N04.00"
FAILING = "radiometry/metadata/l2a/S2A_MSIL2A_20150826T185436_N0212_R070_T11SLT_20210412T023147"
Told = dict[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
def schema(reference_data: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(reference_data / "radiometry/xsd/rep_info_coprs/OLQC_Report.xsd"))


def _checks(root: etree._Element) -> Iterator[tuple[etree._Element, etree._Element]]:
    for check in root.iter("{*}check"):
        inspection = check.find("{*}inspection")
        assert inspection is not None
        yield check, inspection


def told(path: Path) -> Told:
    """Return what a report says of each check: all but times and places."""
    return {
        str(i.get("id")): (
            i.get("status"), i.get("processingStatus"), i.get("priority"), i.get("name"), i.get("item"),
            check.findtext("{*}message"), [(v.get("name"), v.text) for v in check.iter("{*}value")],
        )
        for check, i in _checks(etree.parse(path).getroot())
    }  # fmt: skip


def head(path: Path) -> dict[str, str | None]:
    """Return what a report says of itself, but for times and its maker."""
    root = etree.parse(path).getroot()
    texts = ("File_Name", "Mission", "File_Class", "File_Type", "Validity_Start", "Validity_Stop", "parentID", "name")
    item, report = root.find(".//{*}item"), root.find(".//{*}report")
    assert item is not None
    assert report is not None
    out = {name: root.findtext(f".//{{*}}{name}") for name in texts} | {"status": report.get("globalStatus")}
    return out | {name: item.get(name) for name in ("class", "className", "name")}


@pytest.mark.row("OPS-35")
def test_the_56_checks_of_a_real_datastrip(reference_data: Path, tmp_path: Path, schema: etree.XMLSchema) -> None:
    (made,) = check_product(str(reference_data / STRIP))
    written = write_reports([made], tmp_path)
    real = sorted((reference_data / "radiometry/olqc").glob(f"{DATASTRIP}_*_report.xml"))
    assert [p.name for p in sorted(written)] == [p.name for p in real]
    for path, original in zip(sorted(written), real, strict=True):
        assert told(path) == told(original)
        assert head(path) == head(original)
        schema.assertValid(etree.parse(path))
    assert len(made.results) == sum(len(told(path)) for path in real) == 56
    assert made.conclusion == "PASSED"
    assert all(r.traceback == "" for r in made.results)


def restate(path: Path) -> None:
    """Let a manifest tell the sizes and checksums of the files that lie there."""
    tree = etree.parse(path)
    path.unlink()
    for stream in tree.iterfind(".//byteStream"):
        place, told = stream.find("fileLocation"), stream.find("checksum")
        assert place is not None
        assert told is not None
        file = path.parent / str(place.get("href"))
        if file.exists():
            stream.set("size", str(file.stat().st_size))
            told.text = hashlib.new(str(told.get("checksumName")).lower(), file.read_bytes()).hexdigest()
    tree.write(path)


@pytest.mark.row("OPS-35")
def test_the_checks_of_a_real_granule_of_level_0(reference_data: Path, tmp_path: Path, schema: etree.XMLSchema) -> None:
    source, folder = reference_data / "ops/l0_granule", tmp_path / "granule"
    for path in source.rglob("*"):
        if path.is_file() and "QI_DATA" not in path.parts:
            (folder / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(source)).symlink_to(path)
    stem = next((folder / "IMG_DATA").glob("*_B01.bin")).name.removesuffix("B01.bin")
    real = sorted((source / "QI_DATA").glob("*_report.xml"))
    # as it lies there, seven of its images are absent and the others cut to their first KiB, and both are said
    (part,) = check_product(str(folder))
    assert [r.id for r in part.results if r.status != "PASSED"] == ["hrefExist", "File_Sizes"]
    assert "B01.bin has 1024 bytes, 284448 are stated" in next(r.message for r in part.results if r.id == "File_Sizes")
    assert "7 of 14 external references" in next(r.message for r in part.results if r.id == "hrefExist")
    for name in ("B04", "B06", "B07", "B08", "B8A", "B10", "B12"):
        (folder / "IMG_DATA" / f"{stem}{name}.bin").write_bytes(b"")
    restate(folder / "manifest.safe")
    (made,) = check_product(str(folder))
    written = sorted(write_reports([made], tmp_path / "reports"))
    assert [p.name for p in written] == [p.name for p in real]
    for path, original in zip(written, real, strict=True):
        assert told(path) == told(original)
        assert head(path)["className"] == head(original)["className"] == "PDI Level-0 Granule Folder"
        assert head(path)["class"] == head(original)["class"]
        schema.assertValid(etree.parse(path))
    assert len(made.results) == 34


def test_the_real_failing_product_fails_for_the_same_reason(reference_data: Path, tmp_path: Path) -> None:
    product, tile = check_product(str(reference_data / FAILING))
    stated = {r.checklist: r for r in product.results if r.id == "Stated_Inspection"}
    original = etree.parse(reference_data / FAILING / "MTD_MSIL2A.xml").getroot()
    assert {name: r.status for name, r in stated.items() if r.message != "No inspections are stated."} == {
        e.get("checkType"): e.text for e in original.iterfind(".//quality_check")
    }
    report = original.find(".//Failed_Inspections/Granule_Report")
    assert report is not None
    message = stated["FORMAT_CORRECTNESS"].message
    assert f"{report.get('granuleId')}: {report.findtext('REPORT_FILENAME')}" in message
    assert {name: product.as_dict()["checklists"][name] for name in stated} == {
        "FORMAT_CORRECTNESS": "FAILED", "GENERAL_QUALITY": "PASSED", "GEOMETRIC_QUALITY": "PASSED",
        "RADIOMETRIC_QUALITY": "PASSED", "SENSOR_QUALITY": "PASSED", "L2A_QUALITY": "PASSED",
    }  # fmt: skip
    assert (tile.item.kind, tile.item.is_part) == ("TILE", True)
    # the two items lie flat in one folder; their reports do not
    assert len(set(write_reports([product, tile], tmp_path))) == len(product.names) + len(tile.names)


def _result(results: tuple[CheckResult, ...], name: str) -> CheckResult:
    return next(r for r in results if r.id == name)


def test_a_tile_without_its_pixels(reference_data: Path) -> None:
    folder = next((reference_data / "radiometry/metadata/l1c").glob("*_T46RER_*.SAFE"))
    product, tile = check_product(str(folder))
    zenith = _result(tile.results, "Solar_Angle_Zenith")
    # wording and order of values as the reports of baseline 05.09 have them
    assert zenith.message == "Zenith solar angle (26.4931642669439) is within the threshold limit (82.0) "
    assert zenith.values == (("EXPECTED", "82.0"), ("SOLAR_ZENITH_ANGLE", "26.4931642669439"))
    azimuth = _result(tile.results, "Solar_Angle_Azimuth")
    assert azimuth.message == "Azimuth solar angle (142.987598836457) is in the limit of the threshold (360.0) "
    assert _result(tile.results, "Sensing_Time").values == (("SENSING_TIME", "2021-09-08T04:40:48.758475Z"),)
    assert _result(tile.results, "Missing_Lines").values == (("MISSING_LINES", "0"),)
    of_pixels = ("Data_Loss", "Granule_Dimensions_10m", "Granule_Dimensions_20m", "Granule_Dimensions_60m")
    assert [r.id for r in tile.results if not r.done] == list(of_pixels)
    for name in of_pixels:
        result = _result(tile.results, name)
        assert result.status == "ERROR"
        assert result.message.startswith("not checked: the ")
        assert "absent" in result.message
    assert (product.conclusion, tile.conclusion) == ("PASSED", "PASSED")
    assert _result(product.results, "hrefExist").status == "FAILED"


# what the tile reports of S2B_MSIL1C_20230823T095559_N0509_R122_T34UCF say (GDAL's autotest data)
ZENITH, AZIMUTH, SENSING = 43.8765807295268, 165.030490026582, "2023-08-23T10:05:35.271949Z"
TILE_REPORTS = {
    "GENERAL_QUALITY": {
        "checkMetadata": ("Metadata file check. ", "Metadata file is present.", ()),
        "Solar_Angle_Zenith": (
            "Check the zenith solar angle. ",
            "Zenith solar angle (43.8765807295268) is within the threshold limit ({limit}) ",
            (("EXPECTED", "{limit}"), ("SOLAR_ZENITH_ANGLE", "43.8765807295268")),
        ),
        "Data_Loss": ("Check TECQUA for data loss ", "No data loss in this tile.", ()),
    },
    "GEOMETRIC_QUALITY": {
        "Solar_Angle_Azimuth": (
            "Check the azimuth solar angle. ",
            "Azimuth solar angle (165.030490026582) is in the limit of the threshold (360.0) ",
            (("EXPECTED", "360.0"), ("SOLAR_AZIMUTH_ANGLE", "165.030490026582")),
        ),
        **{
            f"Granule_Dimensions_{n}m": (
                f"Check the {n}m consistency of granules/tiles. ",
                f"{n}m resolution granules/tiles dimensions are correct.", (),
            )
            for n in (10, 20, 60)
        },
    },
    "SENSOR_QUALITY": {
        "checkMetadata": ("Metadata file check. ", "Metadata file is present.", ()),
        "Missing_Lines": ("Check the number of missing lines. ", "No missing lines ", (("MISSING_LINES", "0"),)),
        "Sensing_Time": (
            "Check the consistency of the sensing time. ", "Sensing time is valid ", (("SENSING_TIME", SENSING),)
        ),
        "Corrupted_ISP": ("Check the consistency of the granules. ", "No Error detected. ", (("CORRUPTED_ISP", "0"),)),
    },
}  # fmt: skip


@pytest.mark.parametrize(("level", "limit"), [("L1C", "82.0"), ("L2A", "70.0")])
def test_the_wording_of_the_real_reports_of_a_tile(
    level: str, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"solar_zenith": ZENITH, "solar_azimuth": AZIMUTH, "SENSING_TIME": SENSING}
    name = f"S2B_OPER_MSI_{level}_TL_2BPS_20230823T120234_A033753_T34UCF_N05.09"
    (tmp_path / "MTD_TL.xml").write_text("<tile/>")
    archive = SafeArchive.open(tmp_path)
    images = tuple(Image(f"B{n}", "B02", n, "", (109800 // n, 109800 // n)) for n in (10, 20, 60))
    monkeypatch.setattr(Item, "images", images)
    monkeypatch.setattr(Item, "lost_percentage", lambda _: 0.0)
    item = Item("TILE", level, name, "MTD_TL.xml", load_checklists().inputs, archive, record=record)
    made = check_item(item)
    for checklist, rows in TILE_REPORTS.items():
        # the reports of Level-2A leave two checks of packets out
        left_out = ("Missing_Lines", "Corrupted_ISP") if level == "L2A" else ()
        expected = {
            key: (title, message.format(limit=limit), tuple((k, v.format(limit=limit)) for k, v in values))
            for key, (title, message, values) in rows.items() if key not in left_out
        }  # fmt: skip
        assert {r.id: (r.title, r.message, r.values) for r in made.of(checklist)} == expected
        assert {r.status for r in made.of(checklist)} == {"PASSED"}


def test_a_real_product_of_polygons_with_decimated_pixels(reference_data: Path) -> None:
    (path,) = (reference_data / "l2a/pixels/safe_decimated").glob("*MSIL1C*.zip")
    product, strip, tile = check_product(str(path))
    assert strip.status == "PASSED"
    # whoever decimated the images left the manifest as it was
    assert [r.id for r in product.results if r.status != "PASSED"] == ["File_Sizes"]
    assert len(strip.results) == 28
    assert product.parent == "S2A_OPER_GIP_OLQCPA_MPC__20171012T090014_V20150622T000000"
    assert _result(tile.results, "Data_Loss").message == "No data loss in this tile."
    assert [r.id for r in tile.results if r.status != "PASSED"] == [f"Granule_Dimensions_{n}m" for n in (10, 20, 60)]
    assert "T55JEJ_20171207T002051_B02.jp2 has 172 x 172" in _result(tile.results, "Granule_Dimensions_10m").message


def test_a_mean_angle_that_is_stated_as_no_number_fails(reference_data: Path) -> None:
    folder = next((reference_data / "radiometry/metadata/l2a").glob("*_T01WCP_*.SAFE"))
    tile = check_product(str(folder))[-1]
    assert _result(tile.results, "Solar_Angle_Zenith").status == "FAILED"
    assert "nan" in _result(tile.results, "Solar_Angle_Zenith").message


def test_the_values_of_the_real_report_of_level_2a(reference_data: Path, tmp_path: Path) -> None:
    original = etree.parse(reference_data / "radiometry/olqc/L2A_QUALITY_S2B_T34UCF_N0509.xml").getroot()
    values = {str(v.get("name")): (v.text or "") for v in original.iter("{*}value")}
    record = {(f"negative.{name}" if len(name) == 3 else name): text for name, text in values.items()}
    name = "S2B_OPER_MSI_L2A_TL_2BPS_20230823T124759_A033753_T34UCF_N05.09"
    item = Item("TILE", "L2A", name, "MTD_TL.xml", load_checklists().inputs, record=record)
    (path,) = write_reports([check_item(item, wanted=("L2A_QUALITY",))], tmp_path)
    made = etree.parse(path).getroot()

    def told_of(root: etree._Element) -> list[tuple[Any, ...]]:
        return [
            (
                listed.findtext("{*}parentID"), listed.findtext("{*}name"), listed.find("{*}item").get("className"),  # type: ignore[union-attr]
                [(c.findtext("{*}message"), {v.get("name"): v.text for v in c.iter("{*}value")})
                 for c in listed.iter("{*}check")],
            )
            for listed in root.iter("{*}checkList")
        ]  # fmt: skip

    assert told_of(made) == told_of(original)
    reports = [next(root.iter("{*}report")).get("globalStatus") for root in (made, original)]
    assert reports == ["PASSED", "PASSED"]
    schema = etree.XMLSchema(etree.parse(reference_data / "radiometry/xsd/psd148_s2tbx/L2A_QUALITY.xsd"))
    schema.assertValid(made)


def test_every_row_of_the_table_of_real_checks_is_there(reference_data: Path) -> None:
    with (reference_data / "radiometry/csv/olqc_checks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(rows) == 87
    there: dict[tuple[str, str, str], set[str]] = {}
    for check in load_checklists().checks:
        report = f"L2A_QUALITY: {check.group}" if check.group else check.checklist
        for item in check.items:
            there.setdefault((item, report, check.id), set()).update(check.levels)
    other_names = {"negative BOA percentage per band": "NEGATIVE_BOA"}
    for row in rows:
        kind, level = {"L1C_DS": ("DATASTRIP", "L1C"), "TILE": ("TILE", "L1C"), "L2A_TILE": ("TILE", "L2A")}[
            row["item"]
        ]
        for name in other_names.get(row["check_id"], row["check_id"]).split(" / "):
            assert level in there[kind, row["report"], name], (row["item"], row["report"], name)


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("ops/l0c", [("DATASTRIP", "L0")]),
        ("ops/l0_granule", [("GRANULE", "L0")]),
        ("geometry/l1b", [("DATASTRIP", "L1B"), *[("GRANULE", "L1B")] * 72]),
        (STRIP, [("DATASTRIP", "L1C")]),
        ("ops/l0u/S2B_OPER_MTD_L0U_DS_REFS_20220614T090618_S20220413T114741.xml", [("DATASTRIP", "L0")]),
        (FAILING, [("PRODUCT", "L2A"), ("TILE", "L2A")]),
    ],
)
def test_what_lies_in_real_folders(reference_data: Path, source: str, items: list[tuple[str, str]]) -> None:
    reports = check_product(str(reference_data / source))
    assert [(made.item.kind, made.item.level) for made in reports] == items
    assert all(not r.traceback for made in reports for r in made.results)
    assert len({made.item.name for made in reports}) == len(reports)
    assert all(made.item.name.startswith("S2") for made in reports)


@pytest.mark.parametrize(("unit", "mission"), [("S2A", "S2A"), ("S2C", "S2_"), ("S2D", "S2_")])
def test_units_that_the_schema_does_not_know(unit: str, mission: str, schema: etree.XMLSchema) -> None:
    name = f"{unit}_OPER_MSI_L1C_TL_2CPS_20260101T000000_A000001_T28SCB_N05.11"
    subject = Subject(name, "1C", "Tile", "s2dask_checklists_2.0", "2.0", datetime(2026, 1, 1, tzinfo=UTC))
    result = CheckResult("a", "GENERAL_QUALITY", "L1C", "informative", "ERROR", None, "text \x07", done=False)
    document = report("GENERAL_QUALITY.xml", subject, "GENERAL_QUALITY", [result])
    schema.assertValid(document)
    assert document.findtext(".//{*}Mission") == mission
    assert next(document.iter("{*}inspection")).get("processingStatus") == "canceled"


def test_functions_are_known_by_name() -> None:
    used = {check.function for check in load_checklists().checks}
    assert used == set(FUNCTIONS), "a function that no row uses"


def _reports(made: ItemReport) -> list[str]:
    return [r.id for r in made.results]


def test_only_the_checklists_that_are_asked_for(reference_data: Path) -> None:
    (made,) = check_product(str(reference_data / STRIP), wanted=("SENSOR_QUALITY",))
    assert sorted(_reports(made)) == ["Datation_Model_GPS_SYNC", "Datation_Model_RMOY", "Degraded_SAD", "checkMetadata"]
