"""The 3-D inverse grid over a tile, on disk, and the angles of its pixels."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from lxml import etree
from pyproj import Transformer

from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import utc_to_gps
from s2dask.errors import InputError, SchemaError
from s2dask.geometry import ViewingModel
from s2dask.geometry.angles import pixel_angles, sun_angles, view_angles
from s2dask.geometry.inverse_grid import InverseGrid, TileView, lattice_of, layers
from s2dask.geometry.tiles import map_positions
from s2dask.production.inverse_grids import open_inverse_grid, write_inverse_grid


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("reference_data") / "geometry"


@pytest.fixture(scope="module")
def model(folder: Path) -> ViewingModel:
    return ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=next(folder.glob("iers/*.txt")))


@pytest.fixture(scope="module")
def terrain(folder: Path) -> Terrain:
    return Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")


@pytest.fixture(scope="module")
def view(model: ViewingModel, terrain: Terrain) -> TileView:
    return model.grid("28SCB", "B02", 9, terrain=terrain)


def test_a_plane_in_space_comes_back() -> None:
    rows, columns = np.mgrid[3:9, 5:12].astype(float)
    heights = layers(-20.0, 700.0)
    line = 2.0 * rows - columns + 1e-3 * heights[:, None, None] + 1e-7 * heights[:, None, None] ** 2
    grid = InverseGrid.of_layers(3, 5, heights, line, -line)
    np.testing.assert_allclose(grid.layers(), (line, -line), atol=1e-9)
    np.testing.assert_allclose(grid.heights, heights)
    x, y, h = np.array([1300.0, 1999.0, 2639.0]), np.array([721.0, 1200.0, 1919.0]), np.array([-10.0, 300.0, 690.0])
    expected = 2.0 * y / 240 - x / 240 + 1e-3 * h + 1e-7 * h * h
    found = grid.locate(x, y, h)
    np.testing.assert_allclose(found, (expected, -expected), atol=1e-9)
    assert grid.locate(1300.0, 721.0, -10.0)[0].shape == ()
    # outside the nodes nothing is made up
    assert np.isnan(grid.locate(1199.0, 800.0, 0.0)).all()
    assert np.isnan(grid.locate(1300.0, 1921.0, 0.0)).all()


def test_a_whole_tile_against_the_exact_location(view: TileView, model: ViewingModel, terrain: Terrain) -> None:
    x, y = np.meshgrid(np.arange(300_105.0, 409_000, 330.0), np.arange(3_699_900.0, 3_591_000, -330.0))
    lon, lat = Transformer.from_crs("EPSG:32628", "EPSG:4326", always_xy=True).transform(x, y)
    height = terrain.height(lon, lat)
    line, column = view.locate(x, y, height)
    exact = model.inverse("B02", 9, lon, lat, height)
    error = 10.0 * np.hypot(line - exact[0], column - exact[1])
    known = np.isfinite(error)
    assert known.sum() > 20_000
    assert np.sqrt(np.mean(error[known] ** 2)) < 0.03
    assert error[known].max() < 0.12
    # every pixel in the image has its place
    seen = (exact[0] >= 0) & (exact[0] <= 13_823) & (exact[1] >= -0.5) & (exact[1] <= 2551.5)
    assert known[seen].all()


def test_a_window_and_a_copy_are_the_same_grid(view: TileView, model: ViewingModel, terrain: Terrain) -> None:
    part = model.grid("T28SCB", "B02", 9, terrain=terrain, window=(316_020.0, 3_636_000.0, 10_020.0, 10_020.0))
    x, y = np.meshgrid(np.arange(316_025.0, 326_000, 500.0), np.arange(3_635_995.0, 3_626_000, -500.0))
    # nodes and heights of the layers differ
    np.testing.assert_allclose(part.locate(x, y, 500.0), view.locate(x, y, 500.0), atol=0.005)
    again = pickle.loads(pickle.dumps(part))
    np.testing.assert_array_equal(again.locate(x, y, 500.0), part.locate(x, y, 500.0))


def test_the_grid_on_disk(view: TileView, tmp_path: Path) -> None:
    url = str(tmp_path / "grid.zarr")
    write_inverse_grid(url, view)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 900_000
    grid = open_inverse_grid(url)
    np.testing.assert_allclose(grid.layers(), view.grid.layers(), rtol=0, atol=6e-6)
    assert (grid.row, grid.column) == (view.grid.row, view.grid.column)
    with pytest.raises((SchemaError, FileNotFoundError)):
        open_inverse_grid(str(tmp_path))


def test_a_detector_that_sees_nothing(model: ViewingModel, terrain: Terrain) -> None:
    with pytest.raises(InputError, match="sees nothing"):
        _ = model.grid("28SDB", "B02", 1, terrain=terrain).grid


def test_longitudes_do_not_jump_at_the_antimeridian() -> None:
    lattice = lattice_of("EPSG:32701", 99_960.0, 8_200_000.0, (0, 0, 40, 460))
    assert np.ptp(lattice.lon) < 1.2
    assert lattice.lon.max() > 180.0 or lattice.lon.min() < -180.0 or np.ptp(np.sign(lattice.lon)) == 0
    lon, _ = map_positions("EPSG:32760", (799_980.0, 8_200_000.0), np.array([8.0e5, 9.0e5]), np.full(2, 8.1e6))
    assert 0 < lon[1] - lon[0] < 1.0


@pytest.mark.row("IPF-28")
def test_angles_of_real_granules(folder: Path, terrain: Terrain, model: ViewingModel) -> None:
    """Zenith to 0.01 degrees at the centres of granules; azimuth as far as a small zenith angle defines it."""
    worst = np.zeros((2, 2))
    for path in sorted(folder.glob("l1b/GRANULE/*/*.xml"))[::3]:
        root = etree.parse(path).getroot()
        line = int(root.findtext(".//POSITION")) - 1 + 1151.5
        detector = int(root.findtext(".//DETECTOR_ID"))
        lon, lat, h = (np.atleast_1d(v) for v in model.direct("B04", detector, line, 1275.5, terrain))
        view = view_angles(model, "B04", detector, np.array([line]), lon, lat, h)
        sun = sun_angles(model.date("B04", detector, np.array([line])), lon, lat)
        for i, (ours, kind) in enumerate(((view, "Incidence"), (sun, "Solar"))):
            zenith, azimuth = (float(root.findtext(f".//{kind}_Angles/{a}_ANGLE")) for a in ("ZENITH", "AZIMUTH"))
            across = (float(ours[1][0]) - azimuth) * np.sin(np.radians(zenith))
            worst[i] = np.maximum(worst[i], np.abs([float(ours[0][0]) - zenith, across]))
    assert worst.max() < 0.012


@pytest.mark.row("IPF-28")
def test_the_sun_over_a_real_tile(reference_data: Path) -> None:
    """The 5 km grid of a real L1C tile."""
    path = next((reference_data / "radiometry/metadata/l1c").rglob("MTD_TL.xml"))
    root = etree.parse(path).getroot()
    grids = [
        np.array([row.text.split() for row in root.findall(f".//Sun_Angles_Grid/{a}/Values_List/VALUES")], float)
        for a in ("Zenith", "Azimuth")
    ]
    place = root.find(".//Geoposition[@resolution='10']")
    x, y = (float(place.findtext(f"UL{axis}")) + sign * 5000.0 * np.arange(23) for axis, sign in (("X", 1), ("Y", -1)))
    crs = root.findtext(".//HORIZONTAL_CS_CODE")
    lon, lat = map_positions(crs, (x[0], y[0]), *np.meshgrid(x, y))
    zenith, azimuth = sun_angles(utc_to_gps(root.findtext(".//SENSING_TIME")), lon, lat)
    assert np.abs(zenith - grids[0]).max() < 0.05
    assert np.abs((azimuth - grids[1] + 180) % 360 - 180).max() < 0.6


def test_angles_per_pixel_are_those_of_the_nodes(view: TileView, model: ViewingModel) -> None:
    x, y = np.meshgrid(np.linspace(318_000.0, 330_000.0, 80), np.linspace(3_636_000.0, 3_626_000.0, 80))
    sun, seen = pixel_angles(view, x, y, 100.0)
    lon, lat = Transformer.from_crs("EPSG:32628", "EPSG:4326", always_xy=True).transform(x, y)
    line, _ = model.inverse("B02", 9, lon, lat, 100.0)
    known = np.isfinite(line)
    assert known.sum() > 500
    dates = model.date("B02", 9, line[known])
    i = np.flatnonzero(known.ravel())[:: max(known.sum() // 20, 1)]
    place = (a.ravel()[i] for a in (line, lon, lat))
    exact = np.stack(view_angles(model, "B02", 9, *place, np.full(i.size, 100.0)))
    np.testing.assert_allclose(seen.reshape(2, -1)[:, i], exact, rtol=0, atol=1e-3)
    middle = sun_angles(int(dates.mean()), lon, lat)
    assert np.nanmax(np.abs(sun - np.stack(middle))) < 0.05
    assert np.isnan(seen[:, ~np.isfinite(view.locate(x, y, 100.0)[0])]).all()
