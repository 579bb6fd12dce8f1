"""Orthoimages straight to any map grid, on the real geometry over the relief of Madeira."""

from pathlib import Path

import numpy as np
import pytest
from ground_source import GroundSource, ground_counts
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry import ViewingModel
from s2dask.instrument import unit
from s2dask.instrument.quality import NODATA
from s2dask.io.grids import MapGrid
from s2dask.l1c.any_grid import ground_pixel
from s2dask.l1c.reflectance import decode
from s2dask.l1c.stage import OrthoBand, OrthoParameters, map_pixels, ortho_images, prepare_tile, tile_frame

LINES = {"B05": 6912}
DETECTORS = (7, 8, 9)


@pytest.fixture(scope="module")
def terrain(request: pytest.FixtureRequest) -> Terrain:
    folder = request.getfixturevalue("reference_data") / "geometry"
    return Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> ViewingModel:
    folder: Path = request.getfixturevalue("reference_data") / "geometry"
    bulletin = next(folder.glob("iers/*.txt"))
    return ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=bulletin)


@pytest.fixture(scope="module")
def source(model: ViewingModel, terrain: Terrain) -> GroundSource:
    return GroundSource(model, terrain, LINES)


def _parameters(model: ViewingModel, terrain: Terrain, grid: MapGrid) -> OrthoParameters:
    geometry = prepare_tile(model, terrain, grid, LINES, DETECTORS, views=False)
    b = unit("S2A").bands["B05"]
    return OrthoParameters(
        DETECTORS, LINES, geometry.box, geometry.heights, geometry.sun[0], {"B05": b.gain},
        {"B05": b.solar_irradiance}, 0.97,
    )  # fmt: skip


def _corner(crs: str) -> tuple[float, float]:
    to_map = Transformer.from_crs("EPSG:32628", crs, always_xy=True)
    x, y = to_map.transform(306_000.0, 3_627_000.0)
    return float(x), float(y)


def _centres(grid: MapGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = grid.x0 + grid.pixel * (np.arange(grid.columns) + 0.5)
    y = grid.y0 - grid.pixel * (np.arange(grid.rows) + 0.5)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    return np.asarray(lon), np.asarray(lat)


@pytest.mark.parametrize(
    ("crs", "pixel"),
    [("EPSG:32627", 20.0), ("EPSG:4326", 0.00019), ("EPSG:3035", 17.3)],
    ids=["the next UTM zone", "degrees", "Europe"],
)
def test_the_image_on_any_grid_is_the_ground(
    crs: str, pixel: float, model: ViewingModel, terrain: Terrain, source: GroundSource
) -> None:
    grid = MapGrid("part", crs, *_corner(crs), pixel, 130, 150)
    assert 15 < ground_pixel(tile_frame(grid)) < 22
    p = _parameters(model, terrain, grid)

    def image(rows: slice, columns: slice) -> OrthoBand:
        ((_, made),) = ortho_images(grid, map_pixels(grid, rows, columns), ("B05",), source, model, terrain, p)
        return made

    whole = image(slice(0, 130), slice(0, 150))
    assert not whole.quality.any()
    assert whole.footprint.all()
    truth = ground_counts(*_centres(grid))
    assert np.abs(whole.counts / truth - 1).max() < 5e-3
    scale = np.pi / (p.gains["B05"] * p.solar_irradiance["B05"] * 0.97) / np.cos(np.radians(p.sun_zenith.mean()))
    np.testing.assert_allclose(decode(whole.reflectance), (truth - 100) * scale, rtol=6e-3)
    part = image(slice(31, 90), slice(57, 150))
    for ours, theirs in ((part.counts, whole.counts), (part.reflectance, whole.reflectance)):
        np.testing.assert_array_equal(ours, theirs[31:90, 57:150])


def test_what_nobody_sees_is_no_data(model: ViewingModel, terrain: Terrain, source: GroundSource) -> None:
    x, y = _corner("EPSG:4326")
    grid = MapGrid("east", "EPSG:4326", x, y, 0.001, 60, 400)
    ((_, made),) = ortho_images(
        grid, map_pixels(grid, slice(0, 60), slice(0, 400)), ("B05",), source, model, terrain,
        _parameters(model, terrain, grid),
    )  # fmt: skip
    unseen = made.footprint == 0
    assert 0.1 < unseen.mean() < 0.9
    assert (made.quality[unseen] == NODATA).all()
    assert (made.reflectance[unseen] == 0).all()
    assert (made.reflectance[~unseen] > 0).all()
    with pytest.raises(InputError, match="sees nothing"):
        prepare_tile(model, terrain, MapGrid("far", "EPSG:4326", 10.0, 50.0, 0.001, 60, 60), LINES, DETECTORS)


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (MapGrid("arctic", "EPSG:3995", -60_000.0, 60_000.0, 20.0, 6_000, 6_000), "holds a pole"),
        (MapGrid("top", "EPSG:4326", 10.0, 90.0, 0.0002, 100, 100), "holds a pole"),
        (MapGrid("coarse", "EPSG:32628", 300_000.0, 3_700_000.0, 500.0, 10, 10), "use at most 240 m"),
        (MapGrid("nowhere", "EPSG:32628", 1e9, 1e9, 20.0, 10, 10), "no place on Earth"),
    ],
)
def test_grids_that_cannot_be_are_refused(grid: MapGrid, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        tile_frame(grid)


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="positive sizes"):
        MapGrid("none", "EPSG:4326", 0.0, 0.0, 0.0, 10, 10)


@pytest.mark.parametrize("crs", ["EPSG:32660", "EPSG:3995", "EPSG:4326"])
def test_longitudes_run_on_across_the_antimeridian(crs: str) -> None:
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(179.95, 70.0)
    grid = MapGrid(
        "fiji",
        crs,
        float(x) - (0 if crs != "EPSG:3995" else 6_000),
        float(y),
        20.0 if crs != "EPSG:4326" else 2e-4,
        600,
        600,
    )
    frame = tile_frame(grid)
    lattice = frame.lattice(frame.whole())
    assert np.ptp(lattice.lon) < 2
    assert lattice.lon.min() < 180 < lattice.lon.max() or lattice.lon.min() < -180 < lattice.lon.max()
    assert np.abs(np.diff(lattice.lon, axis=1)).max() < 0.02
