"""True colour and classification pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from release_model import GRID, image, make_l1c, make_l2a

from s2dask.errors import InputError
from s2dask.io.template import set_attributes
from s2dask.release.picture import SCL_COLOURS, curved, stretch, tci, tile_tci, write_rgb, write_scl
from s2dask.release.tile_store import TileStore


def test_stretch_is_the_documented_line() -> None:
    coded = np.array([0, 1, 1000, 1001, 1000 + 1785, 1000 + 3558, 30000, 65535], np.uint16)
    assert stretch(coded).tolist() == [0, 1, 1, 1, 128, 255, 255, 255]
    assert stretch(np.array([3000], np.uint16), saturation=0.2).tolist() == [255]
    assert stretch(np.array([1785], np.uint16), offset=0).tolist() == [128]


def test_no_data_in_one_band_is_black() -> None:
    red, green, blue = (np.full((2, 2), 2000, np.uint16) for _ in range(3))
    green[0, 1] = 0
    picture = tci(red, green, blue)
    assert picture.shape == (3, 2, 2)
    assert picture[:, 0, 1].tolist() == [0, 0, 0]
    assert picture[:, 0, 0].tolist() == [72, 72, 72]


@pytest.mark.row("IPF-33")
def test_tile_picture_is_the_stretch_of_its_bands(tmp_path: Path) -> None:
    store = TileStore.open(make_l1c(tmp_path / "a.zarr"), "L1C")
    picture = tile_tci(store)
    np.testing.assert_array_equal(picture[0, 10:], stretch(image(GRID, 10, 3))[10:])
    np.testing.assert_array_equal(picture[2, 10:], stretch(image(GRID, 10, 1))[10:])


def test_quick_look_is_small_and_means_the_cells(tmp_path: Path) -> None:
    url = make_l1c(tmp_path / "a.zarr")
    path = write_rgb(url, tmp_path / "a.png", max_size=60)
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (48, 60, 3)
    cell = image(GRID, 10, 3)[50:55, 100:105].astype(float).mean()
    assert pixels[10, 20, 0] == stretch(np.array(cell))
    assert pixels[47, 59].min() > 0
    assert np.asarray(Image.open(write_rgb(url, tmp_path / "b.png", max_size=4000))).shape == (240, 300, 3)


def test_scene_classes_have_their_colours_and_a_legend(tmp_path: Path) -> None:
    path = write_scl(make_l2a(tmp_path / "a.zarr"), tmp_path / "scl.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    for value in range(12):
        assert tuple(pixels[0, value]) == SCL_COLOURS[value][1]
    legend = pixels[:, 150:]
    for _, colour in SCL_COLOURS:
        assert (legend == colour).all(axis=-1).any()


def test_a_store_of_another_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="level L1C, not L2A"):
        write_scl(make_l1c(tmp_path / "a.zarr"), tmp_path / "scl.png")


@pytest.mark.row("IPF-33")
def test_a_curve_takes_the_place_of_the_stretch(tmp_path: Path) -> None:
    coded = np.array([0, 900, 1000, 2000, 3000, 5000, 9000], np.uint16)
    assert curved(coded, (0.0, 0.4, 1.0)).tolist() == [0, 1, 1, 65, 128, 255, 255]
    assert curved(coded, (0.0, 0.4, 2.0)).tolist() == [0, 1, 1, 128, 181, 255, 255]
    assert curved(coded, (0.1, 0.2, 1.0)).tolist() == [0, 1, 1, 1, 255, 255, 255]
    assert curved(coded, (0.0, 0.4, 1.0), offset=0).tolist() == [0, 58, 65, 128, 192, 255, 255]
    url = make_l1c(tmp_path / "l1c.zarr")
    plain, curves = tile_tci(TileStore.open(url)), {name: [0, 0.2, 2] for name in ("B02", "B03", "B04")}
    set_attributes(url, {"s2dask": TileStore.open(url).attrs | {"colour_curves": curves}})
    store = TileStore.open(url)
    picture = tile_tci(store)
    reds = store.read("measurements/reflectance/r10m/b04")
    np.testing.assert_array_equal(picture[0], np.where((plain > 0).all(axis=0), curved(reds, (0, 0.2, 2)), 0))
    assert (picture != plain).any()
