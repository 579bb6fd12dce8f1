"""L1C on any grid from a scene: the tile's own pixels on the tile's grid, the ground on others, refusals by name."""

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from ortho_model import BANDS, GRID, Session, fill, make_session
from pyproj import Transformer

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import band
from s2dask.io.grids import MapGrid
from s2dask.production.resampling import Resampling
from s2dask.production.scene import Scene
from s2dask.production.setting import open_setting

WINDOW = (GRID.x0, GRID.y0, 1_200, 900)
UTM = MapGrid.around("EPSG:32628", (GRID.x0, GRID.y0 - 900, GRID.x0 + 1200, GRID.y0), 20.0)


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    made = make_session(tmp_path_factory.mktemp("grids"), request.getfixturevalue("reference_data") / "geometry")
    setting = open_setting(made.l0, made.aux)

    def ground(name: str, detector: int) -> NDArray[np.uint16]:
        b = band(name)
        line, column = np.meshgrid(np.arange(b.lines_per_scene), np.arange(b.columns), indexing="ij")
        lon, lat, _ = setting.model.direct(name, detector, line, column, setting.terrain)
        return np.round(ground_counts(lon, lat)).astype(np.uint16)

    fill(made, ("B11",), ground)
    return made


def ground_counts(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return smooth counts: waves of 3 and 5 km."""
    x, y = 93_500.0 * (lon + 17.0), 110_900.0 * (lat - 32.7)
    return np.asarray(2000 + 500 * np.sin(2 * np.pi * x / 3000) + 400 * np.cos(2 * np.pi * y / 5000))


@pytest.fixture
def scene(session: Session) -> Scene:
    return Scene(session.l0, session.aux, session.l1b)


def values(image: xr.DataArray) -> NDArray[Any]:
    """Return pixels, computed in threads: no cluster is asked."""
    with dask.config.set(scheduler="threads", num_workers=2):
        return np.asarray(image.values)


def test_on_the_grid_of_the_tile_it_is_the_tile(scene: Scene) -> None:
    assert (UTM.x0, UTM.y0, UTM.rows, UTM.columns) == (GRID.x0, GRID.y0, 45, 60)
    tile = scene.l1c("28SCB", WINDOW, ("B11",))["r20m/b11"]
    made = scene.l1c(grid=UTM)
    assert set(made.data_vars) == {name.lower() for name in BANDS}
    np.testing.assert_array_equal(made.x, tile.x)
    np.testing.assert_array_equal(made.y, tile.y)
    # the nodes of the inverse grids lie 220 m apart, not 240 m: the ground may differ by centimetres
    ours, theirs = values(made.b11), values(tile)
    assert np.isfinite(theirs).all()
    np.testing.assert_allclose(ours, theirs, atol=1.01e-4)
    for what in ("counts", "quality", "footprint"):
        ours, theirs = (values(scene.l1c_layer(g, "B11", what, w)) for g, w in ((UTM, None), ("28SCB", WINDOW)))  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, theirs, rtol=3e-5 if what == "counts" else 0)


@pytest.mark.parametrize(("crs", "pixel"), [("EPSG:3035", 20.0), ("EPSG:4326", 0.0002)], ids=["Europe", "degrees"])
def test_in_another_projection_it_is_the_ground(scene: Scene, crs: str, pixel: float) -> None:
    to_map = Transformer.from_crs("EPSG:32628", crs, always_xy=True)
    x, y = (float(v) for v in to_map.transform(GRID.x0 + 2_000.0, GRID.y0 - 2_000.0))
    grid = MapGrid.around(crs, (x, y, x + 100.5 * pixel, y + 80 * pixel), pixel)
    image = scene.l1c_layer(grid, "B11", "counts")
    assert image.shape == (grid.rows, grid.columns)
    # the coordinates of the image itself say where its pixels lie
    assert image.rio.crs.to_string() == crs
    np.testing.assert_allclose(image.rio.bounds(), grid.bounds, rtol=1e-12)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(image.x, image.y))
    error = values(image) / ground_counts(np.asarray(lon), np.asarray(lat)) - 1
    assert np.abs(error).max() < 5e-3
    assert np.abs(error).mean() < 5e-4


def test_the_grid_of_an_image_is_matched(scene: Scene) -> None:
    image = scene.l1c(grid=UTM, bands=("B11",))
    part = image.isel(x=slice(10, 40), y=slice(5, 25))
    again = scene.l1c(grid=part.b11.astype("int16"), bands=("B11",))
    np.testing.assert_array_equal(again.x, part.x)
    assert again.b11.spatial_ref.attrs["GeoTransform"] == f"{UTM.x0 + 200} 20.0 0.0 {UTM.y0 - 100} 0.0 -20.0"
    np.testing.assert_allclose(values(again.b11), values(image.b11)[5:25, 10:40], atol=1.01e-4)
    bare = xr.DataArray(np.zeros((4, 4)), {"y": [4.0, 3, 2, 1], "x": [1.0, 2, 3, 4]}, ("y", "x"))
    with pytest.raises(ConfigurationError, match="without a CRS"):
        scene.l1c(grid=bare)
    with pytest.raises(ConfigurationError, match="no image of a map"):
        scene.l1c(grid=bare.rename(x="a", y="b"))
    with pytest.raises(ConfigurationError, match="no squares north up"):
        scene.l1c(grid=bare.assign_coords(y=[1.0, 2, 3, 4]).rio.write_crs("EPSG:32628"))


def test_interpolation_cut_and_noise_gain(scene: Scene) -> None:
    spline = values(scene.l1c_layer(UTM, "B11", "noise_gain"))
    nearest = values(scene.l1c_layer(UTM, "B11", "noise_gain", resampling=Resampling("nearest")))
    assert (nearest == 1.0).all()
    assert 0.5 < spline.min() < spline.max() <= 1.01
    cut = MapGrid.around("EPSG:32628", (GRID.x0 - 3_000, GRID.y0 - 900, GRID.x0 + 6_000, GRID.y0), 60.0)
    lower, higher = (
        values(scene.l1c_layer(cut, "B11", "footprint", resampling=Resampling(cut=which)))
        for which in ("lower", "higher")
    )
    assert (lower == 8).sum() > (higher == 8).sum() > 0
    tile = values(scene.l1c_layer("28SCB", "B11", "footprint", WINDOW, Resampling(cut="lower")))
    assert set(np.unique(tile)) <= {8, 9}
    with pytest.raises(ConfigurationError, match="interpolation 'cubic'"):
        Resampling("cubic")
    with pytest.raises(ConfigurationError, match="cut 'left'"):
        Resampling(cut="left")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (MapGrid("arctic", "EPSG:3995", -60_000.0, 60_000.0, 60.0, 2_000, 2_000), "holds a pole"),
        (MapGrid("coarse", "EPSG:32628", 300_000.0, 3_700_000.0, 500.0, 10, 10), "use at most 240 m"),
        (MapGrid("nowhere", "EPSG:32628", 1e9, 1e9, 20.0, 10, 10), "no place on Earth"),
        (MapGrid("Europe", "EPSG:3035", 2_000_000.0, 4_000_000.0, 20.0, 50_000, 50_000), "cut it into parts"),
    ],
    ids=["pole", "coarse", "nowhere", "huge"],
)
def test_grids_that_cannot_be_are_refused_at_once(scene: Scene, grid: MapGrid, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        scene.l1c(grid=grid)


def test_what_is_not_there_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no reflectance of B02"):
        scene.l1c(grid=UTM, bands=("B02",))
    with pytest.raises(ConfigurationError, match="one place is needed"):
        scene.l1c("28SCB", grid=UTM)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="one place is needed"):
        scene.l1c()  # type: ignore[call-overload]
    far = MapGrid.around("EPSG:4326", (10.0, 50.0, 10.01, 50.01), 0.0002)
    with pytest.raises(InputError, match="sees nothing"):
        values(scene.l1c(grid=far, bands=("B11",)).b11)


@pytest.mark.parametrize("bounds", [(1, 0, 0, 1), (0, 0, 1, float("nan"))])
def test_bounds_that_are_none_are_refused(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="left, bottom, right, top"):
        MapGrid.around("EPSG:3035", bounds, 20.0)


def test_a_grid_around_holds_its_bounds() -> None:
    grid = MapGrid.around("EPSG:3035", (15.0, -25.0, 61.0, 40.0), 20.0)
    assert grid.bounds == (0.0, -40.0, 80.0, 40.0)
    # thirds that add up to a whole do not get a pixel more
    assert MapGrid.around("EPSG:4326", (0.1, 0.2, 0.1 + 3 * 1e-1, 0.2 + 0.1), 0.1).columns == 3
