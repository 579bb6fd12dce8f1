"""The SAFE of an L1C tile: valid against the schemas of the PSD, complete, and read back as what went in."""

import hashlib
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from lxml import etree
from release_model import GRID, NAMES, attributes, image, make_l1c

from s2dask.errors import InputError
from s2dask.instrument import BANDS, band
from s2dask.io.grids import TileGrid
from s2dask.io.safe import SafeTile, open_safe, safe_grid
from s2dask.io.schema import footprint_path, quality_path, reflectance_path
from s2dask.io.template import consolidate
from s2dask.qc.engine import check_product
from s2dask.release.safe_l1c import write_safe_l1c
from s2dask.release.safe_l2a import write_safe_l2a
from s2dask.release.safe_product_xml import footprint

ALL = slice(None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    where = tmp_path_factory.mktemp("l1c")
    meteo = where / "meteo.grib"
    meteo.write_bytes(b"GRIB test")
    url = make_l1c(where / "tile.zarr")
    return url, write_safe_l1c(url, where, str(meteo))


def schema_of(reference_data: Path, name: str) -> etree.XMLSchema:
    path = reference_data / "radiometry" / "xsd" / "psd148_s2tbx" / name
    if not path.exists():
        pytest.skip(f"no schema at {path}")
    return etree.XMLSchema(etree.parse(str(path)))


@pytest.mark.row("IPF-34")
@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("S2_User_Product_Level-1C_Metadata.xsd", "MTD_MSIL1C.xml"),
        ("S2_PDI_Level-1C_Tile_Metadata.xsd", "GRANULE/*/MTD_TL.xml"),
    ],
)
def test_metadata_are_valid_against_the_psd(
    made: tuple[str, Path], reference_data: Path, schema: str, pattern: str
) -> None:
    schema_of(reference_data, schema).assertValid(etree.parse(str(next(made[1].glob(pattern)))))


def test_schema_notices_a_wrong_file(made: tuple[str, Path], reference_data: Path) -> None:
    document = etree.parse(str(made[1] / "MTD_MSIL1C.xml"))
    offsets = next(document.iter("Radiometric_Offset_List"))
    offsets.getparent().remove(offsets)  # type: ignore[union-attr]
    assert not schema_of(reference_data, "S2_User_Product_Level-1C_Metadata.xsd").validate(document)


def test_names_of_the_files(made: tuple[str, Path]) -> None:
    folder = made[1]
    assert folder.name == f"{NAMES['L1C']}.SAFE"
    granule = folder / "GRANULE" / "L1C_T28SCB_A026904_20200816T120225"
    images = sorted(p.name for p in (granule / "IMG_DATA").iterdir())
    assert images == sorted(f"T28SCB_20200816T120221_{name}.jp2" for name in (*BANDS, "TCI"))
    masks = {p.name for p in (granule / "QI_DATA").glob("*.jp2")}
    assert {"MSK_CLASSI_B00.jp2", "MSK_QUALIT_B8A.jp2", "MSK_DETFOO_B10.jp2"} <= masks
    assert len(masks) == 13 * 2 + 2
    assert (granule / "AUX_DATA" / "AUX_ECMWFT").read_bytes() == b"GRIB test"
    assert (folder / "DATASTRIP" / "DS_S2DK_20200816T143017_S20200816T120225" / "MTD_DS.xml").exists()


def test_manifest_lists_every_file_with_its_checksum(made: tuple[str, Path]) -> None:
    folder = made[1]
    root = etree.parse(str(folder / "manifest.safe")).getroot()
    listed = {}
    for entry in root.iter("dataObject"):
        stream = entry.find("byteStream")
        href = stream.find("fileLocation").get("href")
        path = folder / href
        assert int(stream.get("size")) == path.stat().st_size
        assert stream.findtext("checksum") == hashlib.sha3_256(path.read_bytes()).hexdigest()
        listed[entry.get("ID")] = href
    files = {f"./{p.relative_to(folder).as_posix()}" for p in folder.rglob("*") if p.is_file()}
    assert set(listed.values()) == files - {"./manifest.safe"}
    assert listed["S2_Level-1C_Product_Metadata"] == "./MTD_MSIL1C.xml"
    assert listed["S2_Level-1C_Tile1_Metadata"].endswith("/MTD_TL.xml")
    assert listed["IMG_DATA_Band_20m_4_Tile1_Data"].endswith("_B8A.jp2")
    units = {e.get("dataObjectID") for e in root.iter("dataObjectPointer")}
    assert units == set(listed)


def test_our_reader_gets_the_same_tile(made: tuple[str, Path]) -> None:
    tile = SafeTile(made[1])
    assert safe_grid(made[1]) == GRID
    for name in BANDS:
        counts = image(GRID, band(name).resolution, band(name).index)
        expected = np.where(counts == 0, np.nan, (counts.astype(float) - 1000) / 10000)
        np.testing.assert_allclose(tile.reflectance(name, ALL, ALL), expected, rtol=1e-6)
    quality = tile.quality("B05", ALL, ALL)
    assert quality[0, 0] == 32
    assert quality[4, 5] == 128
    assert quality[6, 6] == 8
    assert not quality[8:].any()
    footprint_layer = tile.footprint("B05", ALL, ALL)
    assert np.unique(footprint_layer).tolist() == [6, 7]
    assert (footprint_layer[:, 75:] == 7).all()
    classes = tile.classification(ALL, ALL)
    assert (classes[6, 6], classes[21, 25], classes[31, 5], classes[0, 0]) == (1, 2, 4, 0)
    assert tile.meteo() is not None
    for key in (
        "unit",
        "tile_id",
        "absolute_orbit",
        "relative_orbit",
        "orbit_direction",
        "baseline",
        "detectors",
        "datatake_id",
        "sensing_start",
        "radio_add_offset",
        "solar_zenith",
        "cloud_percentage",
        "name",
        "reflectance_conversion",
        "solar_irradiance",
        "physical_gains",
        "bands",
    ):
        assert tile.attrs[key] == attributes("L1C")[key], key
    views = tile.view_angles("B02")
    assert views.shape == (2, 2, 2, 2)
    assert (views[0, 0] == 3.25).all()
    assert np.isnan(views[1, 0, :, 0]).all()
    assert (views[1, 1, :, 1] == 284.125).all()
    np.testing.assert_allclose(tile.sun_angles()[0, 0], [25.5, 25.51])
    assert tile.mean_view_angles("B12") == (3.5, 120.0)
    assert open_safe(made[1])["measurements/reflectance/r60m/b10"].shape == (40, 50)


def test_image_content_of_the_tile(made: tuple[str, Path]) -> None:
    text = next(made[1].glob("GRANULE/*/MTD_TL.xml")).read_text("utf-8")
    assert "<NROWS>240</NROWS>" in text
    assert "<NCOLS>300</NCOLS>" in text
    assert "<ULX>360000</ULX>" in text
    assert "WGS84 / UTM zone 28N" in text
    assert "<SNOW_PIXEL_PERCENTAGE>2.000000</SNOW_PIXEL_PERCENTAGE>" in text
    degraded = 100 * 13 / sum(np.prod(GRID.shape(band(name).resolution)) for name in BANDS)
    assert f"<DEGRADED_MSI_DATA_PERCENTAGE>{degraded:.6f}<" in text


def test_reports_of_the_quality_control(made: tuple[str, Path], reference_data: Path) -> None:
    path = reference_data / "radiometry/xsd/psd148_s2tbx/OLQC_Report.xsd"
    if not path.exists():
        pytest.skip(f"no schema at {path}")
    schema = etree.XMLSchema(etree.parse(path))
    written = set(made[1].glob("*/*/QI_DATA/*.xml"))
    for report in written:
        schema.assertValid(etree.parse(report))
    checklists = {"FORMAT_CORRECTNESS", "GENERAL_QUALITY", "GEOMETRIC_QUALITY", "RADIOMETRIC_QUALITY", "SENSOR_QUALITY"}
    # what a person finds who checks the product that was delivered
    for item in check_product(str(made[1]))[1:]:
        there = {p for p in written if p.relative_to(made[1]).as_posix().startswith(item.item.prefix)}
        told = {p.stem: _inspections(p) for p in there}
        assert told.keys() == set(item.names)
        assert told == {name: {r.id: r.status for r in item.of(name)} for name in item.names}
        assert item.item.kind == "TILE" or told.keys() == checklists
        written -= there
    assert not written
    manifest = etree.parse(made[1] / "manifest.safe")
    listed = {e.get("href") for e in manifest.iterfind(".//fileLocation")}
    assert len([href for href in listed if "/QI_DATA/" in str(href) and str(href).endswith(".xml")]) == 9


def _inspections(report: Path) -> dict[str | None, str | None]:
    return {e.get("id"): e.get("status") for e in etree.parse(report).getroot().iterfind(".//{*}inspection")}


def test_previews_are_georeferenced(made: tuple[str, Path]) -> None:
    with rasterio.open(next(made[1].glob("GRANULE/*/QI_DATA/*_PVI.jp2"))) as source:
        assert source.shape == (8, 10)
        assert source.count == 3
        assert source.transform.a == 320
        assert source.read().max() > 0
    with rasterio.open(next(made[1].glob("GRANULE/*/IMG_DATA/*_TCI.jp2"))) as source:
        assert source.count == 3
        assert (source.read()[:, :2, :3] == 0).all()


def test_footprint_is_the_corners_on_the_ellipsoid() -> None:
    ring = footprint(GRID)
    assert ring[0] == ring[-1]
    assert len(ring) == 17
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) / 2
    assert area > 0
    assert all(-17 < x < -16 and 33 < y < 34 for x, y in ring)


def test_checks_that_failed_are_told(tmp_path: Path) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 360000, 3690000, 600, 600)
    checks = [
        {"checklist": "GENERAL_QUALITY", "status": "FAILED"}, {"checklist": "SENSOR_QUALITY", "status": "PASSED"},
        {"id": "noise", "checklist": "RADIOMETRIC_QUALITY", "status": "PASSED", "value": 0.5},
    ]  # fmt: skip
    folder = write_safe_l1c(make_l1c(tmp_path / "t.zarr", grid, checks=checks), tmp_path)
    product = etree.parse(folder / "MTD_MSIL1C.xml")
    stated = {e.get("checkType"): e.text for e in product.iterfind(".//quality_check")}
    assert {name for name, status in stated.items() if status == "FAILED"} == {"GENERAL_QUALITY"}
    (report,) = [e.text for e in product.iterfind(".//Failed_Inspections/Granule_Report/REPORT_FILENAME")]
    assert _inspections(folder / str(report))["GENERAL_QUALITY"] == "FAILED"
    # what only the processing measures stands beside what the files tell
    assert _inspections((folder / str(report)).with_stem("RADIOMETRIC_QUALITY")) == {"noise": "PASSED"}
    told = {check["id"]: check["status"] for check in SafeTile(folder).attrs["checks"]}
    assert {name for name, status in told.items() if status == "FAILED"} == {"GENERAL_QUALITY"}


def test_a_tile_of_some_bands_says_which(tmp_path: Path, reference_data: Path) -> None:
    url, names = make_l1c(tmp_path / "t.zarr", bands=["B01", "B04", "B11"]), ("B01", "B04", "B11")
    store = Path(url)
    for name in set(BANDS) - set(names):
        r = band(name).resolution
        for path in (reflectance_path(r, name), quality_path(r, name), footprint_path(r, name)):
            shutil.rmtree(store / path)
    consolidate(url)
    folder = write_safe_l1c(url, tmp_path)
    assert SafeTile(folder).bands == names
    assert not list(folder.rglob("*TCI*"))
    product = etree.parse(str(folder / "MTD_MSIL1C.xml"))
    schema_of(reference_data, "S2_User_Product_Level-1C_Metadata.xsd").assertValid(product)
    assert [e.text for e in product.iter("BAND_NAME")] == ["B1", "B4", "B11"]
    with rasterio.open(f"SENTINEL2_L1C:{folder}/MTD_MSIL1C.xml:20m:EPSG_32628") as source:
        listed = [source.tags(number)["BANDNAME"] for number in source.indexes]
        np.testing.assert_array_equal(source.read(listed.index("B11") + 1), image(GRID, 20, BANDS["B11"].index))


def test_another_level_is_refused(made: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="level L1C, not L2A"):
        write_safe_l2a(made[0], tmp_path)
