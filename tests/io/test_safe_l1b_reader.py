"""Real L1B products in SAFE form as our own: metadata of a real one with images made here, and round trips."""

import pickle
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import dask
import numpy as np
import pytest
import zarr
from l1_store_model import strip_store
from lxml import etree

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import DETECTOR_SHIFT, MSI_LOST, NODATA
from s2dask.io import schema
from s2dask.io.opener import open_product
from s2dask.io.safe_l1b import SafeStrip, import_l1b, open_l1b_safe, open_strip
from s2dask.io.storage import open_array
from s2dask.io.validation import validate
from s2dask.release.jpeg2000 import write_jp2
from s2dask.release.safe_l1ab import write_safe_l1ab

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = ("B09", "B12")
REAL = ("B01", "B09", "B10")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return strip_store(tmp_path_factory.mktemp("l1b"))


@pytest.fixture(scope="module")
def product(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_safe_l1ab(store, tmp_path_factory.mktemp("safe"), CREATED)


@pytest.fixture
def copy(product: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(product, tmp_path / product.name))


def test_the_store_comes_back_bit_by_bit(store: str, product: Path, tmp_path: Path) -> None:
    again = str(tmp_path / "again.zarr")
    assert import_l1b(product, again, aux="aux") == ()
    variables = schema.l1b((6, 7), NAMES, 2, 12, 30)
    validate(again, variables)
    for path in variables:
        expected, found = (np.asarray(open_array(url, path)[...]) for url in (store, again))
        np.testing.assert_array_equal(found, expected, err_msg=path)
    before, after = (dict(zarr.open_group(url, mode="r").attrs["s2dask"]) for url in (store, again))  # type: ignore[arg-type]
    for key in (
        "level", "unit", "absolute_orbit", "relative_orbit", "baseline", "datatake_id", "sensing_start", "line_period",
        "detectors", "bands", "scenes", "sensing_start_gps", "sensing_stop_gps", "equalization_mode", "nuc_table_id",
    ):  # fmt: skip
        assert after[key] == before[key], key
    assert after["radiometry"]["physical_gains"] == before["radiometry"]["physical_gains"]
    assert after["aux"] == "aux"


def test_the_tree_is_that_of_the_store_and_lazy(store: str, product: Path) -> None:
    tree, ours = open_l1b_safe(product), open_product(store)
    for path in schema.l1b((6, 7), NAMES, 2, 12, 30):
        assert tree[path].dims == ours[path].dims
        assert tree[path].dtype == ours[path].dtype
    variable = tree["measurements/d07/b12/img"]
    assert dask.is_dask_collection(variable.data)
    assert variable.data.chunks[0] == (1152, 1152)
    window = (slice(1100, 1300), slice(40, 60))
    expected = open_array(store, "measurements/d07/b12/img")[window]
    np.testing.assert_array_equal(variable[window].compute(scheduler="synchronous"), expected)
    again: SafeStrip = pickle.loads(pickle.dumps(open_strip(product)))
    np.testing.assert_array_equal(again.read(7, "B12", 1100, 1300)[0][:, 40:60], expected)


def test_a_zip_is_read_as_the_folder_is(product: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{product.stem}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in product.rglob("*"):
            archive.write(file, f"{product.name}/{file.relative_to(product)}")
    for mine, other in zip(
        open_strip(path).read(6, "B09", 0, 30), open_strip(product).read(6, "B09", 0, 30), strict=True
    ):
        np.testing.assert_array_equal(mine, other)


def test_a_granule_that_was_not_ordered_is_lost_and_named(store: str, copy: Path) -> None:
    gone = min((copy / "GRANULE").iterdir())
    shutil.rmtree(gone)
    strip = open_strip(copy)
    assert strip.attrs["missing_granules"] == [gone.name]
    counts, quality = strip.read(6, "B09", 380, 390)
    assert not counts[:4].any()
    assert (quality[:4] == 6 << DETECTOR_SHIFT | MSI_LOST | NODATA).all()
    np.testing.assert_array_equal(counts[4:], open_array(store, "measurements/d06/b09/img")[384:390])


def test_a_missing_image_is_refused_by_name(copy: Path) -> None:
    next(copy.rglob("IMG_DATA/*_D06_B12.jp2")).unlink()
    with pytest.raises(InputMissing, match=r"_D06_N05\.11: 0 files for the image of B12"):
        open_strip(copy)


def test_a_missing_mask_is_refused_by_name(copy: Path) -> None:
    next(copy.rglob("QI_DATA/*_D06_B12_MSIL1B.jp2")).unlink()
    with pytest.raises(InputMissing, match=r"0 files for the quality mask \(MSK_QUALIT\) of B12"):
        open_strip(copy)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.98])
def test_a_cut_image_is_refused_by_name(copy: Path, share: float) -> None:
    path = next(copy.rglob("IMG_DATA/*_S20200816T120223_D06_B12.jp2"))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"D06_B12\.jp2"):
        open_strip(copy).read(6, "B12", 0, 1152)
    with pytest.raises(InputError, match=r"D06_B12\.jp2"):
        import_l1b(copy, str(copy.parent / "again.zarr"))


def test_an_image_of_another_size_is_refused(copy: Path) -> None:
    path = next(copy.rglob("IMG_DATA/*_S20200816T120223_D06_B09.jp2"))
    path.unlink()
    write_jp2(path, np.ones((384, 432), np.uint16), None, 60)
    with pytest.raises(InputError, match=r"\(384, 432\) pixels, expected \(384, 425\)"):
        open_strip(copy).read(6, "B09", 0, 10)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (">1</POSITION>", ">2</POSITION>", "no first line of a scene"),
        ("<NCOLS>425</NCOLS>", "<NCOLS>432</NCOLS>", "a granule has"),
        ("DS_S2DK_20260102", "DS_S2DK_20260103", "not of"),
        (">06</DETECTOR_ID>", ">13</DETECTOR_ID>", "DETECTOR_ID"),
    ],
)
def test_wrong_granule_metadata_are_refused(copy: Path, old: str, new: str, message: str) -> None:
    path = next(copy.rglob("*_GR_*_S20200816T120223_D06.xml"))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        open_strip(copy)


def test_counts_of_another_offset_come_with_ours(store: str, copy: Path) -> None:
    path = next(copy.rglob("*_MTD_L1B_DS_*.xml"))
    path.write_text(path.read_text().replace(">-100</RADIO_ADD_OFFSET>", ">0</RADIO_ADD_OFFSET>"))
    told = open_array(store, "measurements/d07/b12/img")[1190:1260].astype(int)
    strip = open_strip(copy)
    found = strip.counts(7, "B12", 1190, 1260)
    np.testing.assert_array_equal(found, np.where(told == 0, 0, told + 100))
    assert strip.attrs["radiometry"]["radio_add_offset"] == -100
    path.write_text(path.read_text().replace(">0</RADIO_ADD_OFFSET>", ">-90</RADIO_ADD_OFFSET>", 1))
    with pytest.raises(InputError, match="RADIO_ADD_OFFSET differs"):
        SafeStrip(copy)


@pytest.fixture(scope="module")
def real(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a product with the metadata of a real one, of its 60 m bands, and images made here."""
    source = reference_data / "radiometry/metadata/l1b"
    folder = tmp_path_factory.mktemp("real") / "S2A_L1B.SAFE"
    for path in source.glob("*.xml"):
        root = etree.parse(path).getroot()
        name = (root.get("datastripIdentifier") or root.findtext(".//GRANULE_ID") or "").strip()
        target = folder / ("DATASTRIP" if "_DS_" in name else "GRANULE") / name
        target.mkdir(parents=True)
        for stamp in root.findall(".//Band_Time_Stamp"):
            if stamp.get("bandId") not in {str(BANDS[n].index) for n in REAL}:
                stamp.getparent().remove(stamp)  # type: ignore[union-attr]
        (target / path.name).write_bytes(etree.tostring(root))
        if "_GR_" in name:
            _fill(target, name)
    return folder


def _fill(target: Path, name: str) -> None:
    for part in ("IMG_DATA", "QI_DATA"):
        (target / part).mkdir()
    stem, detector = name.rsplit("_N", 1)[0], int(name.rsplit("_D", maxsplit=1)[-1][:2])
    for b in (band(n) for n in REAL):
        y, x = np.mgrid[0 : b.lines_per_scene, 0 : b.columns]
        write_jp2(target / "IMG_DATA" / f"{stem}_{b.name}.jp2", (300 + detector + x + y).astype(np.uint16), None, 60)
        layers = np.zeros((8, *x.shape), np.uint8)
        layers[4, :, 3] = 1
        mask = f"{stem.replace('_MSI_L1B_GR_', '_MSK_QUALIT_')}_{b.name}_MSIL1B.jp2"
        write_jp2(target / "QI_DATA" / mask, layers, None, 60)


def test_a_real_product_is_read(real: Path, tmp_path: Path) -> None:
    strip = open_strip(real)
    assert (strip.detectors, strip.bands, strip.scenes, strip.offset) == ((1, 5, 6), REAL, 6, -100)
    assert strip.attrs["datatake_id"] == "GS2A_20200816T120221_026904_N05.00"
    assert strip.attrs["radiometry"]["refining"]["refined"]
    assert len(strip.attrs["missing_granules"]) == 3 * 6 - 3
    counts, quality = strip.read(5, "B09", 0, 384)
    y, x = np.mgrid[0:384, 0:425]
    np.testing.assert_array_equal(counts, 305 + x + y)
    np.testing.assert_array_equal(quality, (5 << DETECTOR_SHIFT) | np.where(x == 3, 16, 0))
    tree = open_l1b_safe(real)
    assert tree["conditions/attitude/quaternion"].shape == (950, 4)
    assert tree["conditions/datation/first_line_date"].shape == (3, 3)
    (url,) = (str(tmp_path / "real.zarr"),)
    assert set(import_l1b(real, url)) == set(strip.attrs["missing_granules"])
    np.testing.assert_array_equal(open_array(url, "measurements/d05/b09/img")[:384], counts)


def test_without_granules_or_product_it_says_so(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real / "DATASTRIP", tmp_path / "P.SAFE/DATASTRIP")
    with pytest.raises(InputMissing, match="no granules"):
        open_strip(tmp_path / "P.SAFE")
    with pytest.raises(InputMissing, match="no such product"):
        open_l1b_safe(tmp_path / "Q.SAFE")
