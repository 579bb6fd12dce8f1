"""Outside readers open our SAFE products: GDAL's Sentinel-2 driver, at both levels, windows of tiles included."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from release_model import GRID, image, make_l1c, make_l2a

from s2dask.instrument import BANDS, bands_of
from s2dask.io.grids import TileGrid
from s2dask.io.schema import L2A_BANDS
from s2dask.release.safe_l1c import write_safe_l1c
from s2dask.release.safe_l2a import write_safe_l2a
from s2dask.release.tile import release_l1c

GDAL = tuple(int(part) for part in rasterio.__gdal_version__.split(".")[:2])
ORDER = {
    10: ("B04", "B03", "B02", "B08"),
    20: ("B05", "B06", "B07", "B8A", "B11", "B12"),
    60: ("B01", "B09", "B10"),
}
"""Bands of GDAL's L1C subdatasets, in its order."""


@pytest.fixture(scope="module")
def l1c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("l1c")
    return write_safe_l1c(make_l1c(where / "tile.zarr"), where)


@pytest.fixture(scope="module")
def l2a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("l2a")
    return write_safe_l2a(make_l2a(where / "tile.zarr"), where)


@pytest.mark.row("IPF-34")
@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_gdal_opens_l1c(l1c: Path, resolution: int) -> None:
    with rasterio.open(f"SENTINEL2_L1C:{l1c}/MTD_MSIL1C.xml:{resolution}m:EPSG_32628") as source:
        assert source.shape == GRID.shape(resolution)
        assert source.crs.to_epsg() == 32628
        assert tuple(source.transform)[:6] == GRID.transform(resolution)
        assert source.count == len(ORDER[resolution])
        for number, name in enumerate(ORDER[resolution], start=1):
            tags = source.tags(number)
            assert tags["BANDNAME"] == name.replace("B0", "B")
            np.testing.assert_array_equal(source.read(number), image(GRID, resolution, BANDS[name].index))
        tags = source.tags()
    assert tags["PROCESSING_BASELINE"] == "05.11"
    assert float(tags["CLOUD_COVERAGE_ASSESSMENT"]) == 12.5
    assert sorted(bands_of(resolution)) == sorted(ORDER[resolution])


def test_gdal_opens_the_l1c_true_colour(l1c: Path) -> None:
    with rasterio.open(f"SENTINEL2_L1C:{l1c}/MTD_MSIL1C.xml:TCI:EPSG_32628") as source:
        assert source.count == 3
        assert source.read().max() == 255


@pytest.mark.row("IPF-36")
@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_gdal_opens_l2a(l2a: Path, resolution: int) -> None:
    with rasterio.open(f"SENTINEL2_L2A:{l2a}/MTD_MSIL2A.xml:{resolution}m:EPSG_32628") as source:
        assert source.shape == GRID.shape(resolution)
        assert source.crs.to_epsg() == 32628
        names = [source.tags(number)["BANDNAME"] for number in source.indexes]
        for name in L2A_BANDS[resolution]:
            short = name.replace("B0", "B")
            if short in names:
                counts = source.read(names.index(short) + 1)
                np.testing.assert_array_equal(counts, image(GRID, resolution, BANDS[name].index))
        for name, value in (("AOT", 125), ("WVP", 2500)):
            assert (source.read(names.index(name) + 1) == value).all()
        tags = source.tags()
    assert len(names) > 4
    assert tags["PROCESSING_LEVEL"] == "Level-2A"


def test_gdal_opens_the_product_as_a_whole(l1c: Path, l2a: Path) -> None:
    for path, level in ((l1c / "MTD_MSIL1C.xml", "L1C"), (l2a / "MTD_MSIL2A.xml", "L2A")):
        with (
            pytest.warns(rasterio.errors.NotGeoreferencedWarning),
            rasterio.open(path, driver="SENTINEL2") as source,
        ):
            found = source.subdatasets
        assert len(found) == 4
        assert all(name.startswith(f"SENTINEL2_{level}:") for name in found)


def test_a_decimated_tile(tmp_path: Path) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 109800, 109800, 64)
    first = write_safe_l1c(make_l1c(tmp_path / "a.zarr", grid, decimation=64), tmp_path)
    with rasterio.open(f"SENTINEL2_L1C:{first}/MTD_MSIL1C.xml:20m:EPSG_32628") as source:
        assert source.shape == (86, 86)
    images = first.glob("GRANULE/*/IMG_DATA/*_B02.jp2")
    with rasterio.open(next(images)) as source:
        assert source.transform.a == 640
        np.testing.assert_array_equal(source.read(1), image(grid, 10, 1))
    second = write_safe_l2a(make_l2a(tmp_path / "b.zarr", grid, decimation=64), tmp_path)
    with rasterio.open(next(second.glob("GRANULE/*/QI_DATA/MSK_CLDPRB_60m.jp2"))) as source:
        assert source.shape == (29, 29)
        assert (source.read(1) == 40).all()


@pytest.mark.skipif(GDAL < (3, 12), reason="the Zarr driver of this GDAL does not know the codecs of Zarr 3")
def test_a_delivered_zarr_opens_in_gdal(tmp_path: Path) -> None:
    paths = release_l1c(make_l1c(tmp_path / "t.zarr"), str(tmp_path / "out"))
    url = next(path for path in paths if path.endswith(".zarr"))
    with rasterio.open(f'ZARR:"{url}":/measurements/reflectance/r10m/b02') as source:
        # the EOPF form has no place where GDAL looks for a CRS; the form geozarr has
        assert tuple(source.transform)[:6] == GRID.transform(10)
        assert (source.scales[0], source.offsets[0]) == (1e-4, -0.1)
        np.testing.assert_array_equal(source.read(1), image(GRID, 10, 1))


def test_a_twenty_kilometre_window(tmp_path: Path) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 339960, 3660000, 20040, 20040)
    folder = write_safe_l1c(make_l1c(tmp_path / "t.zarr", grid), tmp_path)
    with rasterio.open(f"SENTINEL2_L1C:{folder}/MTD_MSIL1C.xml:20m:EPSG_32628") as source:
        assert source.shape == (1002, 1002)
        np.testing.assert_array_equal(source.read(1), image(grid, 20, 4))
        assert source.bounds == (339960, 3639960, 360000, 3660000)
