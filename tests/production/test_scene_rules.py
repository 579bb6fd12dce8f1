"""A tile classified with a user's thresholds, maps, filters and relief, in one piece and in several."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import surface_model as model
import zarr
from affine import Affine
from pyproj import Transformer

from s2dask.errors import ConfigurationError
from s2dask.io.storage import zarr_store
from s2dask.production.blocks import Blocking
from s2dask.production.surface import make_surface

SCL = "conditions/mask/l2a_classification/r{}m/scl"
KEYS = (SCL.format(20), SCL.format(60), "quality/probability/r20m/cld", "quality/probability/r20m/snw")


def _layers(url: str) -> list[np.ndarray]:
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    return [group[key][...] for key in KEYS]


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return an L1C tile and its auxiliary files, with a folder ``scene`` among them."""
    folder = tmp_path_factory.mktemp("scene")
    aux = Path(model.make_aux(folder / "aux"))
    (aux / "scene").mkdir()
    (aux / "scene/thresholds.toml").write_text("version = 1\n[options]\nmajority = 1\nparallax = 1\n")
    never = np.zeros((60, 60), np.uint8)
    place = {"transform": Affine(0.005, 0, -17.3, 0, -0.005, 33.55), "crs": "EPSG:4326", "count": 1, "dtype": "uint8"}
    with rasterio.open(aux / "scene/snow.tif", "w", driver="GTiff", width=60, height=60, **place) as raster:
        raster.write(never, 1)
    return model.make_l1c(str(folder / "l1c.zarr"), 0.2), aux


def test_the_folder_is_followed_and_the_cut_leaves_no_trace(tile: tuple[str, Path], tmp_path: Path) -> None:
    source, aux = tile
    whole, cut = str(tmp_path / "whole.zarr"), str(tmp_path / "cut.zarr")
    make_surface(source, whole, str(aux), Blocking(3000, 3000))
    make_surface(source, cut, str(aux), Blocking(960, 960))
    for one, other in zip(_layers(whole), _layers(cut), strict=True):
        np.testing.assert_array_equal(one, other)
    snow = np.repeat(np.repeat(model.targets() == model.SNOW, 3, 0), 3, 1)
    facts = zarr.open_group(zarr_store(whole), mode="r").attrs["s2dask"]["scene_rules"]
    assert facts == {
        "cloud_mask": "", "maps": ["snow"], "thresholds": {"options_majority": 1.0, "options_parallax": 1.0}
    }  # fmt: skip
    scl, _, _, snw = _layers(whole)
    assert not (scl == 11).any()
    assert not snw[snow].any()


def test_ground_in_the_shade_of_a_mountain(tile: tuple[str, Path], tmp_path: Path) -> None:
    source, aux = tile
    (dem,) = (aux / "dem").glob("*.tif")
    steep = tmp_path / "aux"
    for kind in ("dem", "geoid", "meteo"):
        (steep / kind).mkdir(parents=True)
        for path in (aux / kind).glob("*"):
            (steep / kind / path.name).write_bytes(path.read_bytes())
    with rasterio.open(dem) as raster:
        profile, heights = raster.profile, raster.read(1)
    # a wall along the southern edge of the tile, where the sun stands: it shades the sea before it
    south = Transformer.from_crs(model.GRID.crs, "EPSG:4326", always_xy=True).transform(
        model.GRID.x0 + 1500, model.GRID.y0 - 2850
    )[1]
    lat = 33.55 - 0.005 * np.arange(heights.shape[0])[:, None]
    with rasterio.open(steep / "dem" / dem.name, "w", **profile) as raster:
        raster.write(np.where(lat < south, 2500.0, 100.0).astype(np.float32) + 0 * heights, 1)
    make_surface(source, str(tmp_path / "l2a.zarr"), str(steep))
    sea = np.repeat(np.repeat(model.targets() == model.WATER, 3, 0), 3, 1)
    scl = _layers(str(tmp_path / "l2a.zarr"))[0]
    assert (scl[sea] == 2).mean() > 0.5
    assert np.isin(scl[sea], (2, 6)).all()
    # sunlit grass and soil are too bright to be shaded, whatever the relief says
    assert not (scl[~sea] == 2).any()


def test_a_wrong_file_stops_the_tile(tile: tuple[str, Path], tmp_path: Path) -> None:
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene/thresholds.toml").write_text("version = 1\n[cloud]\nmedium = 'much'\n")
    with pytest.raises(ConfigurationError, match="is no number"):
        make_surface(tile[0], str(tmp_path / "l2a.zarr"), str(tmp_path))
