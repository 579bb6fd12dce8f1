"""The SAFE reader on a complete real product (images thinned out), in a zip and in a folder, and on damaged ones."""

import gc
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.io.grids import TileGrid
from s2dask.io.opener import open_product
from s2dask.io.safe import SafeTile, open_safe, safe_grid

EVERYTHING = slice(None)


@pytest.fixture(scope="session")
def zipped(reference_data: Path) -> Path:
    return next((reference_data / "l2a" / "pixels" / "safe_decimated").glob("*.zip"))


@pytest.fixture(scope="session")
def folder(zipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("safe")
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(where, [n for n in archive.namelist() if "MTD_DS" not in n and "HTML" not in n])
    return next(where.glob("*.SAFE"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_grid_of_a_decimated_product(zipped: Path, folder: Path) -> None:
    grid = TileGrid("55JEJ", "EPSG:32755", 499980, 6900040, 109800, 109800, 64)
    assert safe_grid(zipped) == safe_grid(folder) == grid
    assert [grid.shape(r) for r in (10, 20, 60)] == [(172, 172), (86, 86), (29, 29)]


def test_attributes_are_those_of_the_metadata(zipped: Path) -> None:
    attrs = SafeTile(zipped).attrs
    assert attrs["unit"] == "S2A"
    assert (attrs["absolute_orbit"], attrs["relative_orbit"], attrs["baseline"]) == (12840, 116, "02.06")
    assert attrs["sensing_start"] == "2017-12-07T00:22:52.127Z"
    assert attrs["datatake_id"] == "GS2A_20171207T002051_012840_N02.06"
    assert attrs["radio_add_offset"] == 0
    assert attrs["bands"] == list(BANDS)
    assert attrs["detectors"] == [7, 8, 9, 10, 11, 12]
    assert attrs["solar_irradiance"]["B8A"] == 955.19
    assert attrs["physical_gains"]["B12"] == 106.20651341
    assert attrs["reflectance_conversion"] == 1.02945457689196
    assert attrs["decimation"] == 64


@pytest.mark.parametrize("name", ["B02", "B8A", "B10"])
def test_reflectance_is_the_image_over_the_quantification(zipped: Path, folder: Path, name: str) -> None:
    image = next(folder.glob(f"GRANULE/*/IMG_DATA/*_{name}.jp2"))
    with rasterio.open(image) as source:
        counts = source.read(1)
    expected = np.where(counts == 0, np.nan, counts / 1e4)
    for where in (zipped, folder):
        tile = SafeTile(where)
        np.testing.assert_allclose(tile.reflectance(name, EVERYTHING, EVERYTHING), expected, atol=1e-7)
        window = tile.reflectance(name, slice(5, 9), slice(20, 400))
        assert window.dtype == np.float32
        np.testing.assert_array_equal(window, expected[5:9, 20:400].astype(np.float32))


def test_offset_is_read_never_assumed(copy: Path) -> None:
    before = SafeTile(copy).reflectance("B04", EVERYTHING, EVERYTHING)
    other = copy.with_name("other.SAFE")
    copy.rename(other)
    offsets = "".join(f'<RADIO_ADD_OFFSET band_id="{n}">-1000</RADIO_ADD_OFFSET>' for n in range(13))
    edit(other / "MTD_MSIL1C.xml", "<Reflectance_Conversion>",
         f"<Radiometric_Offset_List>{offsets}</Radiometric_Offset_List><Reflectance_Conversion>")
    tile = SafeTile(other)
    assert tile.attrs["radio_add_offset"] == -1000
    np.testing.assert_allclose(tile.reflectance("B04", EVERYTHING, EVERYTHING), before - 0.1, atol=1e-6)


def test_angles_are_the_lists_of_the_metadata(zipped: Path, folder: Path) -> None:
    tile = SafeTile(zipped)
    text = next(folder.glob("GRANULE/*/MTD_TL.xml")).read_text("utf-8")
    first = re.search(r"<VALUES>([^<]*)</VALUES>", text)
    assert first is not None
    np.testing.assert_array_equal(tile.sun_angles()[0, 0], np.array(first[1].split(), float))
    assert tile.sun_angles().shape == (2, 23, 23)
    views = tile.view_angles("B02")
    assert views.shape == (6, 2, 23, 23)
    block = text[text.index('bandId="1" detectorId="9"') :]
    values = np.array(re.findall(r"<VALUES>([^<]*)</VALUES>", block)[4].split(), float)
    np.testing.assert_array_equal(views[2, 0, 4], values)
    seen = np.isfinite(views).any(axis=(0, 1))
    assert seen.mean() > 0.98
    assert 0 < np.nanmax(views[:, 0]) < 13


def test_polygon_masks_become_pixels(zipped: Path) -> None:
    tile = SafeTile(zipped)
    footprint = tile.footprint("B02", EVERYTHING, EVERYTHING)
    assert set(np.unique(footprint)) <= {0, 7, 8, 9, 10, 11, 12}
    assert (footprint > 0).mean() > 0.99
    assert np.median(footprint[:, :20]) < np.median(footprint[:, -20:])
    quality = tile.quality("B12", EVERYTHING, EVERYTHING)
    assert set(np.unique(quality)) == {0, 64}
    part = tile.quality("B12", slice(10, 40), slice(30, 80))
    np.testing.assert_array_equal(part, quality[10:40, 30:80])
    assert not tile.classification(EVERYTHING, EVERYTHING).any()


def test_meteo_of_a_zip_lives_as_long_as_the_tile(zipped: Path, folder: Path) -> None:
    tile = SafeTile(zipped)
    path = tile.meteo()
    assert path is not None
    stored = next(folder.glob("GRANULE/*/AUX_DATA/AUX_ECMWFT"))
    assert Path(path).read_bytes() == stored.read_bytes()
    assert SafeTile(folder).meteo() == str(stored)
    del tile
    gc.collect()
    assert not Path(path).exists()


def test_a_tile_pickles_by_its_path(zipped: Path) -> None:
    tile = SafeTile(zipped)
    data = pickle.dumps(tile)
    assert len(data) < 1000
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.reflectance("B01", EVERYTHING, EVERYTHING),
                                  tile.reflectance("B01", EVERYTHING, EVERYTHING))


def test_tree_is_lazy_and_laid_out_as_our_stores(zipped: Path) -> None:
    tree = open_safe(zipped)
    image = tree["measurements/reflectance/r10m/b02"]
    assert image.chunks is not None
    assert float(image.x[0]) == 499980 + 320
    assert float(image.y[0]) == 6900040 - 320
    np.testing.assert_array_equal(image.values, SafeTile(zipped).reflectance("B02", EVERYTHING, EVERYTHING))
    assert tree["conditions/mask/detector_footprint/r60m/b01"].shape == (29, 29)
    assert tree["quality/mask/r20m/b12"].max().compute() == 64
    assert tree["conditions/geometry/viewing_incidence_angles"].shape == (13, 6, 2, 23, 23)
    assert tree.attrs["s2dask"]["tile_id"] == "55JEJ"
    assert open_product(str(zipped))["measurements/reflectance/r60m/b10"].shape == (29, 29)


def test_a_truncated_image_is_named(copy: Path) -> None:
    image = next(copy.glob("GRANULE/*/IMG_DATA/*_B04.jp2"))
    image.write_bytes(image.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"_B04\.jp2.*fetch the product again"):
        SafeTile(copy).reflectance("B04", EVERYTHING, EVERYTHING)


def test_a_missing_image_is_named(copy: Path) -> None:
    next(copy.glob("GRANULE/*/IMG_DATA/*_B11.jp2")).unlink()
    with pytest.raises(InputError, match=r"_B11\.jp2: the image is missing; fetch"):
        SafeTile(copy)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t[: len(t) // 2], "not well-formed"),
        (lambda t: t.replace("CODE>EPSG:32755<", "CODE><"), "HORIZONTAL_CS_CODE is missing"),
        (lambda t: t.replace("<NROWS>10980", "<NROWS>10000"), "the metadata say"),
        (lambda t: t.replace("<ULX>499980", "<ULX>far away"), "ULX is no number"),
        (lambda t: re.sub(r"<VALUES>[\d.]+ ", "<VALUES>", t, count=1), "angle grid"),
    ],
)
def test_damaged_metadata_are_named(copy: Path, damage: object, message: str) -> None:
    path = next(copy.glob("GRANULE/*/MTD_TL.xml"))
    path.write_text(damage(path.read_text("utf-8")), "utf-8")  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        SafeTile(copy)


def test_entities_are_not_resolved(copy: Path) -> None:
    secret = copy.parent / "secret.txt"
    secret.write_text("20")
    path = copy / "MTD_MSIL1C.xml"
    edit(path, "<n1:Level-1C_User_Product", f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><n1:Level-1C_User_Product')
    edit(path, "<Cloud_Coverage_Assessment>0.0", "<Cloud_Coverage_Assessment>&e;")
    with pytest.raises(InputError, match="DOCTYPE"):
        SafeTile(copy)


def test_metadata_cannot_point_outside_of_the_product(copy: Path) -> None:
    edit(copy / "MTD_MSIL1C.xml", "IMG_DATA/T55JEJ_20171207T002051_B03<", "IMG_DATA/../../../../../x_B03<")
    with pytest.raises(InputError, match="the image is missing"):
        SafeTile(copy)


def test_damaged_zips_are_refused(zipped: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.zip"
    cut.write_bytes(zipped.read_bytes()[:100000])
    with pytest.raises(InputError, match="not a readable zip"):
        SafeTile(cut)
    for number, names in enumerate((["a.SAFE/x", "b.SAFE/x"], ["x"], ["a.SAFE/x", "a.SAFE/../../x"])):
        path = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
        with pytest.raises(InputError, match=r"SAFE folders in one zip|outside of itself"):
            SafeTile(path)


def test_nothing_there_and_no_product(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="absent"):
        SafeTile(tmp_path / "absent.SAFE")
    (tmp_path / "empty.SAFE").mkdir()
    with pytest.raises(InputError, match=r"MTD_MSIL1C\.xml is missing"):
        SafeTile(tmp_path / "empty.SAFE")


def test_unknown_band(zipped: Path) -> None:
    with pytest.raises(Exception, match="no such band"):
        SafeTile(zipped).reflectance("B99", EVERYTHING, EVERYTHING)
