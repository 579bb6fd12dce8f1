"""The first crossing of rays with the ground, against a fine march; and what is nowhere to be found."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from engine_orbit import PERIOD, SEA, Orbit, model
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.relief import highest
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import InputMissing
from s2dask.geometry.ray import HIT, TOP, first_crossing

ORBIT = Orbit(98.6, 30.0, 35.0)
LINES = int(12.0 / PERIOD)
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
TO_LONLAT = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)


def write_cell(folder: Path, west: float, north: float, heights: NDArray[np.float32], step: float) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:4326", "nodata": -9999.0}
    transform = rasterio.Affine(step, 0, west - step / 2, 0, -step, north + step / 2)
    rows, columns = heights.shape
    name = folder / f"cell_{north:.1f}_{west:.1f}.tif"
    with rasterio.open(name, "w", height=rows, width=columns, transform=transform, **profile) as raster:
        raster.write(heights, 1)


def rugged(rows: int, columns: int, seed: int, peak: float) -> NDArray[np.float32]:
    """Return heights with needles and cliffs of every width: worse than any mountain."""
    rng = np.random.default_rng(seed)
    rough = sum(
        np.kron(rng.uniform(0, 1, (rows // n + 1, columns // n + 1)) ** 3, np.ones((n, n)))[:rows, :columns] * n**0.7
        for n in (1, 4, 16, 48)
    )
    return np.asarray(rough / rough.max() * peak, np.float32)


@pytest.fixture(scope="module")
def mountains(tmp_path_factory: pytest.TempPathFactory) -> Terrain:
    """Return four cells of different sizes with steps of 3 arc seconds, and a gap, under (10, 45)."""
    folder = tmp_path_factory.mktemp("mountains")
    step = 1 / 1200
    for n, (west, north) in enumerate(((10.0, 45.5), (10.25, 45.5), (10.0, 45.25), (10.3, 45.2))):
        write_cell(folder, west, north, rugged(301, 301, n, 3000.0), step)
    return Terrain.open(folder, None, missing="sea")


def march(terrain: Terrain, start: NDArray[np.float64], ray: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Return the distance along a ray of the first place at or under the ground: steps of 2 m, then halving."""
    def above(k: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat, h = TO_LONLAT.transform(*(start[:, None] + k * ray[:, None]))
        return np.asarray(h - terrain.height(lon, lat))

    k = np.arange(0.0, length, 2.0)
    under = np.flatnonzero(above(k) <= 0.0)
    if not under.size:
        return np.full(3, np.nan)
    low, high = k[max(under[0] - 1, 0)], k[under[0]]
    fine = np.linspace(low, high, 401)
    first = np.flatnonzero(above(fine) <= 0.0)[0]
    low, high = fine[max(first - 1, 0)], fine[first]
    for _ in range(30):
        middle = np.array([0.5 * (low + high)])
        low, high = (low, middle[0]) if above(middle)[0] <= 0.0 else (middle[0], high)
    return start + high * ray


@pytest.mark.parametrize("zenith", [0.0, 5.0, 12.0, 45.0, 75.0, 86.0])
def test_first_crossing_is_that_of_a_fine_march(mountains: Terrain, zenith: float) -> None:
    rng = np.random.default_rng(int(zenith))
    relief = mountains.relief(9.5, 44.5, 11.5, 46.0)
    way, hit = np.empty((3, 4)), np.empty(4)
    count = 400 if zenith < 50.0 else 60
    for lon, lat, azimuth in zip(
        rng.uniform(10.1, 10.5, count), rng.uniform(45.0, 45.4, count), rng.uniform(0, 2 * np.pi, count), strict=True
    ):
        target = np.array(TO_ECEF.transform(lon, lat, 0.0))
        lo, la, z = np.radians(lon), np.radians(lat), np.radians(zenith)
        east, up = np.array([-np.sin(lo), np.cos(lo), 0]), np.array([
            np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)
        ])  # fmt: skip
        ray = -np.cos(z) * up + np.sin(z) * (np.sin(azimuth) * east + np.cos(azimuth) * np.cross(up, east))
        position = target - 800_000.0 * ray
        *found, outcome = first_crossing(position, ray, relief, max(TOP, highest(relief)), way, hit)
        near = 5_000.0 / np.cos(z)
        want = march(mountains, target - near * ray, ray, near + 3000.0)
        assert outcome == HIT
        assert np.linalg.norm(np.array(TO_ECEF.transform(*found)) - want) < 1e-4


def test_an_occluded_place_gives_what_hides_it(tmp_path: Path) -> None:
    heights = np.zeros((101, 101), np.float32)
    heights[:, 50] = 200.0
    write_cell(tmp_path, 20.0, 0.05, heights, 1 / 1000)
    wall = Terrain.open(tmp_path, None, missing="sea")
    relief, work = wall.relief(19.9, -0.1, 20.2, 0.1), (np.empty((3, 4)), np.empty(4))
    target = np.array(TO_ECEF.transform(20.048, 0.0, 0.0))
    for above, hidden in ((6.0, False), (-6.0, False), (60.0, True)):
        lo = np.radians(20.048 + 0.0)
        east, up = np.array([-np.sin(lo), np.cos(lo), 0]), np.array([np.cos(lo), np.sin(lo), 0])
        z = np.radians(above)
        ray = -np.cos(z) * up - np.sin(z) * east
        lon, _, h, outcome = first_crossing(target - 8e5 * ray, ray, relief, TOP, *work)
        assert outcome == HIT
        # a wall of 200 m stands at 20.05, 222 m to the east of the target
        assert (lon > 20.0485) == hidden
        assert (h > 100.0) == hidden


def test_rays_that_meet_nothing() -> None:
    relief, work = SEA.relief(-1, -1, 1, 1), (np.empty((3, 4)), np.empty(4))
    position = np.array([7_164_137.0, 0.0, 0.0])
    horizon = np.arcsin(6378137.0 / position[0])
    for angle, seen in ((0.0, True), (horizon - 1e-4, True), (horizon + 2e-3, False), (3.0, False)):
        ray = np.array([-np.cos(angle), np.sin(angle), 0.0])
        lon, lat, h, outcome = first_crossing(position, ray, relief, TOP, *work)
        assert (outcome == HIT) == seen
        assert np.isfinite([lon, lat, h]).all() == seen
    away = np.array([1.0, 0.0, 0.0])
    assert np.isnan(first_crossing(position, away, relief, TOP, *work)[0])
    # grazing by 0.1 mrad: the crossing is on the ellipsoid and before the tangent point
    lon, _, h, _ = first_crossing(
        position, np.array([-np.cos(horizon - 1e-4), np.sin(horizon - 1e-4), 0.0]), relief, TOP, *work
    )
    assert abs(h) < 1e-6
    assert lon < np.degrees(np.pi / 2 - horizon)


def test_points_and_pixels_that_are_nowhere() -> None:
    m = model(ORBIT)
    bad = np.array([np.nan, np.inf, -np.inf])
    for line, column in ((bad, 5.0), (5.0, bad), (1e9, 5.0), (-1e9, 5.0), (5.0, 1e6), (5.0, -1e6)):
        assert np.isnan(m.direct("B02", 1, line, column, SEA)).all()
    lon, lat, h = (float(v) for v in m.direct("B02", 1, 3000.0, 1000.0, SEA))
    for place in ((bad, lat, h), (lon, bad, h), (lon, lat, bad)):
        assert np.isnan(m.inverse("B02", 1, *place)).all()
    far = [(lon + 2.0, lat, h), (lon + 180.0, -lat, h), (lon, lat + 40.0, h), (lon, 95.0, h), (lon, lat, 1e7)]
    for place in far:
        assert np.isnan(m.inverse("B02", 1, *place)).all()
    world = np.meshgrid(np.arange(-180.0, 180.0, 3.0), np.arange(-90.0, 91.0, 3.0))
    line, column = m.inverse("B02", 1, *world, 0.0)
    assert np.isnan(line).mean() > 0.99
    assert np.array_equal(np.isnan(line), np.isnan(column))


def test_shapes() -> None:
    m = model(ORBIT)
    for shape in ((), (0,), (3, 0), (2, 3, 4)):
        found = m.direct("B02", 1, np.full(shape, 3000.0), 1000.0, SEA)
        assert [v.shape for v in found] == [shape] * 3
        assert [v.shape for v in m.inverse("B02", 1, *found)] == [shape] * 2
    lon, lat, h = m.direct("B02", 1, np.array([[1.0], [2.0]]), np.arange(3), SEA)
    assert lon.shape == (2, 3)
    assert np.isfinite(np.stack([lon, lat, h])).all()


def test_missing_terrain_is_refused(tmp_path: Path) -> None:
    write_cell(tmp_path, 10.0, 45.5, np.zeros((11, 11), np.float32), 0.01)
    with pytest.raises(InputMissing, match="no terrain height"):
        model(ORBIT).direct("B02", 1, 3000.0, 1000.0, Terrain.open(tmp_path, None))


def relief_under(m: object, folder: Path) -> tuple[Terrain, NDArray[np.float64], NDArray[np.float64]]:
    """Return terrain with relief under a part of the strip, and the lines and columns that see it."""
    line, column = np.meshgrid(np.arange(3000.0, 3060.0), np.arange(0.0, 2552.0, 11.0), indexing="ij")
    lon, lat, _ = m.direct("B02", 1, line, column, SEA)  # type: ignore[attr-defined]
    write_cell(folder, np.floor(lon.min() * 10) / 10 - 0.1, np.ceil(lat.max() * 10) / 10 + 0.1,
               rugged(901, 1201, 8, 2000.0), 1 / 1200)  # fmt: skip
    return Terrain.open(folder, None, missing="sea"), line, column


def test_the_same_bits_in_any_order_and_in_any_company(tmp_path: Path) -> None:
    m = model(ORBIT)
    terrain, line, column = relief_under(m, tmp_path)
    ground = m.direct("B02", 1, line, column, terrain)
    assert np.ptp(ground[2]) > 500.0
    image = m.inverse("B02", 1, *ground)
    assert 10.0 * np.hypot(image[0] - line, image[1] - column).max() < 1e-4
    order = np.random.default_rng(0).permutation(line.size)
    mixed = m.direct("B02", 1, line.ravel()[order], column.ravel()[order], terrain)
    back = m.inverse("B02", 1, *(v.ravel()[order] for v in ground))
    for got, want in zip((*mixed, *back), (*ground, *image), strict=True):
        assert np.array_equal(got, want.ravel()[order])
    fresh = Terrain.open(tmp_path, None, missing="sea")
    for q in order[:20]:
        alone = m.direct("B02", 1, line.ravel()[q], column.ravel()[q], fresh)
        assert [float(v) for v in alone] == [float(v.ravel()[q]) for v in ground]
        single = m.inverse("B02", 1, *(v.ravel()[q] for v in ground))
        assert [float(v) for v in single] == [float(v.ravel()[q]) for v in image]


def test_threads_share_a_model(tmp_path: Path) -> None:
    m = model(ORBIT)
    terrain, line, column = relief_under(m, tmp_path)
    want = m.direct("B02", 1, line, column, terrain)
    fresh, other = model(ORBIT), Terrain.open(tmp_path, None, missing="sea")
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda i: fresh.direct("B02", 1, line[i::4], column[i::4], other), range(4))
        for i, part in enumerate(parts):
            for got, value in zip(part, want, strict=True):
                assert np.array_equal(got, value[i::4])


def test_a_cell_that_crosses_the_antimeridian(tmp_path: Path) -> None:
    orbit = Orbit(98.6, 328.05, 20.0)
    m = model(orbit)
    heights = rugged(2401, 2401, 3, 1500.0)
    for west in (179.0, -181.0):
        folder = tmp_path / str(west)
        folder.mkdir()
        write_cell(folder, west, 20.5, heights, 1 / 1200)
    line, column = np.meshgrid(np.arange(0.0, LINES, 300.0), np.arange(0.0, 2552.0, 50.0), indexing="ij")
    grounds = [
        m.direct("B02", 1, line, column, Terrain.open(tmp_path / str(west), None, missing="sea"))
        for west in (179.0, -181.0)
    ]
    for a, b in zip(*grounds, strict=True):
        assert np.abs(a - b).max() < 1e-6
    lon, _, h = grounds[0]
    assert lon.min() < -179.0
    assert lon.max() > 179.0
    assert h.max() > 100.0
    back = m.inverse("B02", 1, *grounds[0])
    assert 10.0 * np.hypot(back[0] - line, back[1] - column).max() < 1e-4
