"""L1A and L1B products in SAFE form, against the mission's schemas, GDAL's own driver and the store they come from."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import zarr
from l1_store_model import image, location, radiometry, strip_store
from lxml import etree

from s2dask.auxdata.datastrip import read_datastrip
from s2dask.auxdata.granule import find_granules, read_granule
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.instrument import band, unit
from s2dask.instrument.quality import FLAGS
from s2dask.io.safe_l0_metadata import datastrip_facts
from s2dask.io.safe_l1b_metadata import radiometry as told_radiometry
from s2dask.io.storage import open_array
from s2dask.io.template import set_attributes
from s2dask.qc.engine import check_product
from s2dask.release.datastrip import release_datastrip
from s2dask.release.names import DatastripName, GranuleName
from s2dask.release.safe_l1ab import count_packets, write_safe_l1ab
from s2dask.release.safe_l1ab_xml import datastrip_metadata

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMAS = {"L1A": "psd148_s2tbx", "L1B": "v15_sen2vm/Datastrip"}
NAMES = ("B09", "B12")


@pytest.fixture(scope="module", params=["L1B", "L1A"])
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(f"safe_{request.param}")
    return request.param, write_safe_l1ab(strip_store(folder, request.param), folder, CREATED)


def _validate(path: Path, level: str, kind: str, reference: Path) -> None:
    schema = reference / f"radiometry/xsd/{SCHEMAS[level]}/S2_PDI_Level-{level[1:]}_{kind}_Metadata.xsd"
    etree.XMLSchema(etree.parse(schema)).assertValid(etree.parse(path))


@pytest.mark.row("IPF-19")
def test_all_metadata_are_valid(product: tuple[str, Path], reference_data: Path) -> None:
    level, folder = product
    for kind, short in (("Granule", "GR"), ("Datastrip", "DS")):
        found = sorted(folder.rglob(f"*_MTD_{level}_{short}_*.xml"))
        assert len(found) == {"GR": 4, "DS": 1}[short]
        for path in found:
            _validate(path, level, kind, reference_data)
    reports = etree.XMLSchema(etree.parse(reference_data / "radiometry/xsd/rep_info_coprs/OLQC_Report.xsd"))
    found = sorted(folder.rglob("*_report.xml"))
    assert len(found) == 4 * 3 + 5  # those of granules, and of the datastrip
    for path in found:
        reports.assertValid(etree.parse(path))


@pytest.mark.row("OPS-35")
def test_reports_say_what_a_check_of_the_delivered_folders_finds(product: tuple[str, Path]) -> None:
    _, folder = product
    for part in [*(folder / "DATASTRIP").iterdir(), *(folder / "GRANULE").iterdir()]:
        (made,) = check_product(str(part))
        found = {p: etree.parse(p).getroot().iterfind(".//{*}inspection") for p in (part / "QI_DATA").glob("*.xml")}
        told = {e.get("id"): e.get("status") for p, of in found.items() for e in of if "SENSOR" not in p.name}
        # of the sensor the reports know more than metadata tell
        expected = {r.id: r.status for r in made.results if r.checklist != "SENSOR_QUALITY"}
        assert told == expected, part.name


def test_names_are_those_of_the_mission(product: tuple[str, Path]) -> None:
    level, folder = product
    (strip,) = (folder / "DATASTRIP").iterdir()
    assert DatastripName.parse(folder.stem) == DatastripName.parse(strip.name)
    granules = sorted((folder / "GRANULE").iterdir())
    names = [GranuleName.parse(g.name) for g in granules]
    assert {(n.detector, n.level) for n in names} == {(6, level), (7, level)}
    assert len({n.sensing_time for n in names}) == 2
    for folder_of, name in zip(granules, names, strict=True):
        assert {p.name for p in (folder_of / "IMG_DATA").iterdir()} == {name.image(b) for b in NAMES}
        masks = {f"{name.mask(b)}.jp2" for b in NAMES}
        assert masks == {p.name for p in (folder_of / "QI_DATA").glob("*.jp2")}
        listed = etree.parse(folder_of / name.metadata).getroot().iterfind(".//MASK_FILENAME")
        assert {f"{e.text}.jp2" for e in listed} == masks
        assert {"manifest.safe", "Inventory_Metadata.xml"} <= {p.name for p in folder_of.iterdir()}
    assert names[0].mask("B04") == (
        f"S2A_OPER_MSK_QUALIT_S2DK_20260102T030405_S20200816T120223_D{names[0].detector:02d}_B04_MSI{level}"
    )


def test_manifest_lists_every_image_and_mask_with_its_size(product: tuple[str, Path]) -> None:
    level, folder = product
    granule = next((folder / "GRANULE").iterdir())
    root = etree.parse(granule / "manifest.safe").getroot()
    listed = {
        str(e.find("fileLocation").get("href")): int(str(e.get("size")))  # type: ignore[union-attr]
        for e in root.iter("byteStream")
    }
    there = {f"./{p.relative_to(granule).as_posix()}": p.stat().st_size for p in granule.rglob("*.jp2")}
    assert there.items() <= listed.items()
    assert len(listed) == len(there) + 1
    assert f"Level-{level[1:]}_Granule" in etree.tostring(root).decode()
    assert len({e.get("ID") for e in root.iter("dataObject")}) == len(listed)
    text = (granule / "Inventory_Metadata.xml").read_text()
    assert f"<File_Type>MSI_{level}_GR</File_Type>" in text


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_images_and_masks_are_those_of_the_store(product: tuple[str, Path]) -> None:
    level, folder = product
    for path in sorted((folder / "GRANULE").iterdir()):
        name = GranuleName.parse(path.name)
        scene = int(name.sensing_time.second > 24)
        for b in (band(n) for n in NAMES):
            rows = slice(scene * b.lines_per_scene, (scene + 1) * b.lines_per_scene)
            counts, quality = image(level, name.detector, b.name, 2)
            with rasterio.open(path / "IMG_DATA" / name.image(b.name)) as source:
                assert source.dtypes == ("uint16",)
                np.testing.assert_array_equal(source.read(1), counts[rows])
            with rasterio.open(path / "QI_DATA" / f"{name.mask(b.name)}.jp2") as source:
                layers = source.read()
            assert layers.shape[0] == len(FLAGS)
            for layer, (_, bit) in zip(layers, FLAGS, strict=True):
                np.testing.assert_array_equal(layer, (quality[rows] & bit) > 0)


@pytest.mark.row("IPF-19")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gdal_opens_a_granule_with_its_size_and_corners(tmp_path: Path) -> None:
    names = ("B02", "B05", "B09")
    product = write_safe_l1ab(strip_store(tmp_path, detectors=(5,), names=names, scenes=1), tmp_path, CREATED)
    (path,) = (product / "GRANULE").rglob("*_MTD_*.xml")
    with rasterio.open(path, driver="SENTINEL2") as source:
        found = {s.rsplit(":", 1)[1]: s for s in source.subdatasets}
    assert sorted(found) == ["10m", "20m", "60m"]
    ring = np.array(location((5,), 1)["granules"][0]["footprint"])[:4, 1::-1]
    for name in names:
        b = band(name)
        with rasterio.open(found[f"{b.resolution}m"]) as source:
            assert (source.shape, source.dtypes) == ((b.lines_per_scene, b.columns), ("uint16",))
            points, _ = source.gcps
            assert [(p.row, p.col) for p in points] == [
                (0, 0), (b.lines_per_scene, 0), (b.lines_per_scene, b.columns), (0, b.columns),
            ]  # fmt: skip
            np.testing.assert_allclose([(p.x, p.y) for p in points], ring)
            np.testing.assert_array_equal(source.read(1), image("L1B", 5, name, 1)[0])


def test_our_readers_of_real_products_read_it(tmp_path: Path) -> None:
    names = ("B01", "B09", "B10")
    store = strip_store(tmp_path, names=names, scenes=2, detectors=(7,))
    product = write_safe_l1ab(store, tmp_path, CREATED)
    datastrip = read_datastrip(product)
    assert (datastrip.unit, datastrip.level) == ("S2A", "L1B")
    dates = open_array(store, "conditions/datation/first_line_date")[...]
    for j, name in enumerate(names):
        assert datastrip.first_line_date[7, name] == dates[0, j]
    np.testing.assert_array_equal(datastrip.trajectory.quaternion.shape, (30, 4))
    granule = read_granule(sorted(find_granules(product).values())[1])
    assert granule.sizes == {10: (2304, 2552), 20: (1152, 1276), 60: (384, 425)}
    assert (granule.detector, granule.first_line) == (7, 2304)


def test_radiometry_comes_back_from_the_metadata(tmp_path: Path) -> None:
    changes = {
        "crosstalk_optical": True, "saturated_pixels": False, "no_data_pixels": "detection", "restored": True,
        "restoration": {"B09": ["NONE", 0, 4095], "B12": ["F_CONVOLUTION", 2, 4000]},
        "noise": {"B09": [0.1, 0.2], "B12": [0.3, 0.4]}, "degraded_ancillary": 1.5, "radio_add_offset": 0,
        "refining": {
            "rgm": "REUSED", "refined": True, "rotation": {"X": [1e-6, 2e-8]}, "homothety": {"Z": [-3e-6]},
            "position": {"Y": [0.5]}, "focal_planes": {"SWIR": {"rotation": {"Z": [1e-7]}, "homothety": {}}},
        },
        "reference_images": ["S2A_OPER_GRI_MSIL1B_MPC__20160723T191003_S20160708T120223"],
    }  # fmt: skip
    product = write_safe_l1ab(strip_store(tmp_path, scenes=1, **changes), tmp_path, CREATED, granules=[])
    (path,) = product.rglob("*_MTD_L1B_DS_*.xml")
    root = etree.parse(path).getroot()
    found = told_radiometry(root, datastrip_facts(root))
    expected = radiometry(NAMES, **changes) | {"spectra": found["spectra"]}
    assert found == expected
    low, high, centre, step, values = found["spectra"]["B12"]
    assert (centre, step) == (unit("S2A").bands["B12"].centre, 1)
    assert len(values) == high - low + 1
    assert max(values) == pytest.approx(1.0, abs=1e-3)


def test_the_real_metadata_written_again_are_valid_and_say_the_same(reference_data: Path) -> None:
    path = next((reference_data / "radiometry/metadata/l1b").glob("*_DS_*.xml"))
    root = etree.parse(path, etree.XMLParser(remove_comments=True)).getroot()
    facts = datastrip_facts(root)
    told = told_radiometry(root, facts)
    assert (told["radio_add_offset"], told["physical_gains"]["B01"]) == (-100, 4.10907633)
    assert told["noise"]["B10"] == [1.067, 0.00961]
    quality = root.find("Quality_Indicators_Info/Geometric_Info/Geometric_QI")
    assert quality is not None
    quality.tag = "Geometric_Info"
    kept = {**facts.kept, "Quality_Indicators_Info/Geometric_Info": etree.tostring(quality)}
    facts.kept.clear()  # type: ignore[attr-defined]
    facts.kept.update(kept)  # type: ignore[attr-defined]
    name = DatastripName.parse(str(root.get("datastripIdentifier")))
    written = etree.fromstring(etree.tostring(datastrip_metadata(facts, name, told, unit("S2A"))))
    schema = reference_data / "radiometry/xsd/v15_sen2vm/Datastrip/S2_PDI_Level-1B_Datastrip_Metadata.xsd"
    etree.XMLSchema(etree.parse(schema)).assertValid(written)
    again = datastrip_facts(written)
    assert told_radiometry(written, again) == told
    assert (again.dates, again.packets, again.bands) == (facts.dates, facts.packets, facts.bands)


def test_lost_packets_are_counted_from_the_masks(tmp_path: Path) -> None:
    assert count_packets(image("L1B", 7, "B12", 2)[1][1152:]) == (72, 3, 1)
    product = write_safe_l1ab(strip_store(tmp_path, detectors=(7,)), tmp_path, CREATED)
    (path,) = product.rglob("*_MTD_L1B_DS_*.xml")
    facts = datastrip_facts(etree.parse(path).getroot())
    expected = 2 * (24 + 72)
    assert facts.degradation == (pytest.approx(100 * 4 / expected, rel=1e-5), 3, 0, 1)
    shares = [etree.parse(p).findtext(".//DEGRADED_MSI_DATA_PERCENTAGE") for p in sorted(product.rglob("*_GR_*.xml"))]
    values = sorted(float(text) for text in shares if text)
    assert values == [0.0, pytest.approx(100 * 4 / 96, rel=1e-5)]


def test_what_is_not_described_is_not_written(tmp_path: Path) -> None:
    store = strip_store(tmp_path, scenes=1)
    attrs = dict(zarr.open_group(store, mode="r").attrs["s2dask"])  # type: ignore[arg-type]
    set_attributes(store, {"s2dask": {k: v for k, v in attrs.items() if k != "radiometry"}})
    with pytest.raises(InputMissing, match=r"radiometry: .*how it was corrected"):
        write_safe_l1ab(store, tmp_path, CREATED)
    assert not list(tmp_path.glob("*.SAFE"))


def test_delivery_holds_zarr_and_safe_under_one_name(tmp_path: Path) -> None:
    store = strip_store(tmp_path, scenes=1, detectors=(6,), names=("B09",))
    products = release_datastrip(store, str(tmp_path / "out"), ("zarr", "safe"))
    names = [Path(p).name for p in products]
    assert sorted(Path(n).suffix for n in names if n != "manifest.json") == [".SAFE", ".zarr"]
    assert len({Path(n).stem for n in names if n != "manifest.json"}) == 1
    with pytest.raises(ConfigurationError, match="tiff"):
        release_datastrip(products[0], str(tmp_path / "out"), ("tiff",))
