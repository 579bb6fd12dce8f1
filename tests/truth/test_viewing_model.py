"""The viewing model against the reference grids of the operational geometry library (Sen2VM)."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.datastrip import DatastripMetadata, read_datastrip
from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.geometry.tiles import tile_corner
from s2dask.instrument import BANDS, band

DETECTORS = (1, 2, 5, 6, 9, 10)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("reference_data") / "geometry"


@pytest.fixture(scope="module")
def terrain(folder: Path) -> Terrain:
    return Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")


@pytest.fixture(scope="module")
def strip(folder: Path) -> DatastripMetadata:
    return read_datastrip(folder / "l1b")


def model_of(folder: Path, mode: str) -> ViewingModel:
    bulletin = next(folder.glob("iers/*.txt"))
    return ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=bulletin, mode=mode)


@pytest.fixture(scope="module")
def sxgeo(folder: Path) -> ViewingModel:
    return model_of(folder, "sxgeo")


@pytest.fixture(scope="module")
def smooth(folder: Path) -> ViewingModel:
    return model_of(folder, "smooth")


def reference_nodes(
    folder: Path, strip: DatastripMetadata, detector: int, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    resolution = band(name).resolution
    step = 6000 // resolution
    lines, columns, ground = [], [], []
    for file in sorted(folder.glob(f"ref/testDirectLoc/GRANULE/*_D{detector:02d}_*/GEO_DATA/*_{name}.tif")):
        start = strip.granules[file.parts[-3]][1] * 10 // resolution
        with rasterio.open(file) as raster:
            values = raster.read()
        first = int((start + step / 2) // step)
        line, column = np.meshgrid(
            step * (first + np.arange(values.shape[1])), step * np.arange(values.shape[2]), indexing="ij"
        )
        lines.append(line.ravel())
        columns.append(column.ravel())
        ground.append(values.reshape(3, -1).T)
    return np.concatenate(lines).astype(float), np.concatenate(columns).astype(float), np.concatenate(ground)


@pytest.mark.row("IPF-20")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_direct_location_of_every_reference_grid(folder: Path, terrain: Terrain, strip: DatastripMetadata) -> None:
    model = model_of(folder, "sxgeo")
    worst = np.zeros(3)
    for detector in DETECTORS:
        for name in BANDS:
            line, column, ground = reference_nodes(folder, strip, detector, name)
            found = np.stack(model.direct(name, detector, line, column, terrain), -1)
            worst = np.maximum(worst, np.abs(found - ground).max(axis=0))
    assert worst[0] < 1e-8
    assert worst[1] < 1e-8
    assert worst[2] < 1e-3


def inverse_references(
    folder: Path, case: str, detector: int, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return line and column (0-based) of a reference grid, and longitude and latitude of its nodes."""
    (file,) = folder.rglob(f"ref/{case}/**/*_D{detector:02d}_{name}.tif")
    with rasterio.open(file) as raster:
        column, row = raster.read()
    step, top = {10: 6000, 20: 3000, 60: 1000}[band(name).resolution], 3700020.0
    if case == "testInverseAreaHandling":
        top = 3600000.0
    x, y = 199980.0 + step * np.arange(column.shape[1]), top - step * np.arange(column.shape[0])
    convert = Transformer.from_crs("EPSG:32628", "EPSG:4326", always_xy=True)
    return row - 0.5, column - 0.5, *convert.transform(*np.meshgrid(x, y))


@pytest.mark.row("IPF-20")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("detector", [5, 6, 9])
@pytest.mark.parametrize("name", BANDS)
def test_inverse_location_within_the_references_own_error(
    folder: Path, terrain: Terrain, sxgeo: ViewingModel, detector: int, name: str
) -> None:
    line, column, lon, lat = inverse_references(folder, "testInverseLoc", detector, name)
    found = sxgeo.inverse(name, detector, lon, lat, terrain.height(lon, lat))
    both = np.isfinite(column) & np.isfinite(found[1])
    # the reference gives up some nodes more or less at the end of its margin beside the detector
    assert both.sum() > 0.95 * max(np.isfinite(column).sum(), np.isfinite(found[1]).sum()) > 10
    limit = 0.0105 if band(name).resolution == 60 else 0.02
    assert np.abs(found[0] - line)[both].max() < limit
    assert np.abs(found[1] - column)[both].max() < limit


@pytest.mark.row("IPF-20")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("detector", [1, 2, 10])
def test_inverse_location_is_nowhere_where_the_references_are(
    folder: Path, terrain: Terrain, sxgeo: ViewingModel, detector: int
) -> None:
    for name in BANDS:
        line, column, lon, lat = inverse_references(folder, "testInverseLoc", detector, name)
        found = sxgeo.inverse(name, detector, lon, lat, terrain.height(lon, lat))
        assert np.isnan([line, column, *found]).all()


@pytest.mark.row("IPF-20")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_inverse_location_far_outside_the_image(folder: Path, terrain: Terrain, sxgeo: ViewingModel) -> None:
    line, column, lon, lat = inverse_references(folder, "testInverseAreaHandling", 5, "B02")
    found = sxgeo.inverse("B02", 5, lon, lat, terrain.height(lon, lat))
    both = np.isfinite(column) & np.isfinite(found[1])
    assert both.sum() > 0.9 * np.isfinite(found[1]).sum() > 10
    assert np.abs(found[0] - line)[both].max() < 0.02
    assert np.abs(found[1] - column)[both].max() < 0.02


@pytest.mark.row("IPF-20")
@pytest.mark.parametrize("name", BANDS)
def test_round_trip_in_smooth_mode(terrain: Terrain, smooth: ViewingModel, name: str) -> None:
    rng = np.random.default_rng(1)
    for detector in (1, 6, 9, 12):
        line = rng.uniform(-5, 13824 * 10 / band(name).resolution + 5, 300)
        column = rng.uniform(-5, band(name).columns + 4, 300)
        back = smooth.inverse(name, detector, *smooth.direct(name, detector, line, column, terrain))
        error = np.hypot(back[0] - line, back[1] - column) * band(name).resolution
        assert error.max() < 1e-4


def test_three_dimensional_grid_on_relief(folder: Path, terrain: Terrain) -> None:
    model = model_of(folder, "smooth")
    bounds = (316_020.0, 3_625_980.0, 326_040.0, 3_636_000.0)
    grid = model.grid("28SCB", "B02", 9, terrain=terrain, window=(bounds[0], bounds[3], 10_020.0, 10_020.0))
    x, y = np.arange(bounds[0] + 5, bounds[2], 70.0), np.arange(bounds[3] - 5, bounds[1], -70.0)
    lon, lat = Transformer.from_crs("EPSG:32628", "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    height = terrain.height(lon, lat)
    assert np.ptp(height) > 1000.0
    line, column = grid.locate(*np.meshgrid(x, y), height)
    exact = model.inverse("B02", 9, lon, lat, height)
    error = 10.0 * np.hypot(line - exact[0], column - exact[1])
    error = error[np.isfinite(error)]
    assert error.size > 10_000
    assert np.sqrt(np.mean(error**2)) < 0.03
    assert error.max() < 0.12


@pytest.mark.row("IPF-27")
@pytest.mark.parametrize(
    ("tile", "crs", "x", "y"),
    [
        ("28SBB", "EPSG:32628", 199980, 3700020),
        ("10SDG", "EPSG:32610", 399960, 4200000),
        ("46RER", "EPSG:32646", 499980, 3100020),
        ("32TLQ", "EPSG:32632", 300000, 5000040),
        ("55JEJ", "EPSG:32755", 499980, 6900040),
    ],
)
def test_corners_of_real_tiles(tile: str, crs: str, x: int, y: int) -> None:
    assert tile_corner(tile) == (crs, x, y)
