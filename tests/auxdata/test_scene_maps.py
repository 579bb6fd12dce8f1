"""Maps of the world, read where they are needed."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from s2dask.auxdata.scene_maps import SceneMaps
from s2dask.errors import InputError

PLACE = Affine(0.01, 0, 10.0, 0, -0.01, 46.0)


def _write(path: Path, values: np.ndarray, **changes: object) -> None:
    shape = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype.name}
    options = {"driver": "GTiff", "crs": "EPSG:4326", "transform": PLACE} | shape | changes
    with rasterio.open(path, "w", **options) as raster:
        raster.write(values, 1)


def test_values_at_places(tmp_path: Path) -> None:
    assert SceneMaps.open(tmp_path) is None
    values = np.arange(200, dtype=np.uint8).reshape(10, 20)
    _write(tmp_path / "water.tif", values, nodata=45)
    _write(tmp_path / "snow.tif", values[::-1].copy())
    maps = SceneMaps.open(tmp_path)
    assert maps is not None
    lon, lat = np.array([[10.005, 10.055], [10.195, 10.3]]), np.array([[45.995, 45.975], [45.905, 45.95]])
    found = maps.at(lon, lat)
    assert found.keys() == {"water", "snow"}
    assert found["water"][0][found["water"][1]].tolist() == [0, 199]
    assert found["water"][1].tolist() == [[True, False], [True, False]]
    assert found["snow"][0][found["snow"][1]].tolist() == [180, 145, 19]
    far, known = maps.at(lon + 90, lat)["water"]
    assert not known.any()
    assert not far.any()


def test_another_projection(tmp_path: Path) -> None:
    values = np.zeros((50, 50), np.uint8)
    values[:, 25:] = 2
    place = Affine(100, 0, 497_500, 0, -100, 5_100_000)
    _write(tmp_path / "water.tif", values, crs="EPSG:32632", transform=place)
    maps = SceneMaps.open(tmp_path)
    assert maps is not None
    # the middle of zone 32 is the meridian of 9 degrees east
    lon = np.array([8.99, 8.999, 9.001, 9.01])
    assert maps.at(lon, np.full(4, 46.03))["water"][0].tolist() == [0, 0, 2, 2]


def test_what_is_no_map(tmp_path: Path) -> None:
    place = np.array([10.05]), np.array([45.95])
    _write(tmp_path / "snow.tif", np.zeros((10, 20), np.float32))
    with pytest.raises(InputError, match="1 bands of float32"):
        SceneMaps.open(tmp_path).at(*place)
    (tmp_path / "snow.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(InputError, match="unreadable map"):
        SceneMaps.open(tmp_path).at(*place)
