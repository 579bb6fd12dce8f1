"""Reading L1C tiles of our own."""

from pathlib import Path

import numpy as np
import pytest

from s2dask.errors import InputError, InputMissing
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.template import create
from s2dask.io.tiles import TileReader, ZarrTile, open_tile
from s2dask.io.writer import write_whole

GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 1200, 600)
ALL = slice(None)


def _attrs() -> dict[str, object]:
    return {
        "level": "L1C", "unit": "S2A", "tile_id": GRID.tile_id, "crs": GRID.crs, "x0": GRID.x0, "y0": GRID.y0,
        "width": GRID.width, "height": GRID.height, "decimation": 1, "detectors": [6, 7], "bands": ["B02", "B09"],
        "quantification": 10000, "radio_add_offset": -1000,
    }  # fmt: skip


def _tile(folder: Path, **changes: object) -> str:
    url = str(folder / "l1c.zarr")
    create(url, schema.l1c(GRID, (6, 7), ("B02", "B09")), {"s2dask": _attrs() | changes})
    return url


def test_counts_become_reflectance(tmp_path: Path) -> None:
    url = _tile(tmp_path)
    counts = np.full((60, 120), 3500, np.uint16)
    counts[0, 0], counts[1, 1] = 0, 1
    write_whole(url, schema.reflectance_path(10, "B02"), counts)
    write_whole(url, schema.quality_path(10, "B02"), np.full((60, 120), 128, np.uint8))
    write_whole(url, schema.footprint_path(10, "B02"), np.full((60, 120), 7, np.uint8))
    tile = open_tile(url)
    assert isinstance(tile, TileReader)
    assert tile.grid == GRID
    assert (tile.bands, tile.detectors, tile.meteo()) == (("B02", "B09"), (6, 7), None)
    rho = tile.reflectance("B02", slice(0, 2), slice(0, 3))
    assert rho.dtype == np.float32
    np.testing.assert_allclose(rho, [[np.nan, 0.25, 0.25], [0.25, -0.0999, 0.25]], atol=1e-7)
    assert tile.quality("B02", slice(0, 1), slice(4, 6)).tolist() == [[128, 128]]
    assert tile.footprint("B02", slice(0, 1), slice(4, 6)).tolist() == [[7, 7]]
    assert np.isnan(tile.reflectance("B09", ALL, ALL)).all()


def test_the_offset_is_the_one_stated(tmp_path: Path) -> None:
    url = _tile(tmp_path, radio_add_offset=0)
    write_whole(url, schema.reflectance_path(10, "B02"), np.full((60, 120), 3500, np.uint16))
    assert open_tile(url).reflectance("B02", slice(0, 1), slice(0, 1)) == np.float32(0.35)


def test_angles(tmp_path: Path) -> None:
    url = _tile(tmp_path)
    views = np.random.default_rng(0).random((13, 2, 2, 2, 2))
    write_whole(url, "conditions/geometry/viewing_incidence_angles", views)
    write_whole(url, "conditions/geometry/sun_angles", views[0, 0])
    tile = open_tile(url)
    np.testing.assert_array_equal(tile.view_angles("B09"), views[9])
    np.testing.assert_array_equal(tile.sun_angles(), views[0, 0])


def test_what_is_refused(tmp_path: Path) -> None:
    url = _tile(tmp_path)
    with pytest.raises(InputMissing, match="no band B05"):
        open_tile(url).reflectance("B05", ALL, ALL)
    with pytest.raises(InputMissing, match="no such product"):
        open_tile(str(tmp_path / "nothing.zarr"))
    with pytest.raises(InputError, match="is level L2A"):
        ZarrTile.open(_tile(tmp_path, level="L2A"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not a Zarr"):
        open_tile(str(tmp_path / "empty"))


def test_a_weather_file_that_is_gone_is_none(tmp_path: Path) -> None:
    file = tmp_path / "AUX_ECMWFT.grib"
    url = _tile(tmp_path, meteo=str(file))
    assert open_tile(url).meteo() is None
    file.touch()
    assert open_tile(url).meteo() == str(file)
