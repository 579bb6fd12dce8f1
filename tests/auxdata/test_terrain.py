"""Elevation model and geoid: conventions of real and synthetic rasters, seams, limits of the globe, voids."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
import zarr
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2dask.auxdata import raster_cell
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputError, InputMissing

Array = NDArray[np.float64]
Ground = Callable[[Array, Array], Array]


def plane(lon: Array, lat: Array) -> Array:
    """Return heights that bilinear interpolation reproduces anywhere."""
    return 100.0 + 40.0 * lon - 25.0 * lat


def hills(lon: Array, lat: Array) -> Array:
    return 800.0 + 300.0 * np.sin(40.0 * np.radians(lon)) * np.cos(50.0 * np.radians(lat))


def level(height: float) -> Ground:
    return lambda lon, lat: np.full(np.broadcast(lon, lat).shape, height)


def write(
    path: Path,
    west: float,
    north: float,
    steps: tuple[float, float],
    shape: tuple[int, int],
    ground: Ground = plane,
    **options: object,
) -> Path:
    """Write a raster whose first post (the centre of its first pixel) is at `west`, `north`."""
    tags = {"AREA_OR_POINT": options.pop("registration", "Area")}
    lon, lat = np.meshgrid(west + steps[0] * np.arange(shape[1]), north - steps[1] * np.arange(shape[0]))
    values = np.asarray(options.pop("values", ground(lon, lat)))
    profile = {
        "driver": "GTiff", "crs": "EPSG:4326", "dtype": "float32", "count": 1, "height": shape[0], "width": shape[1],
        "transform": rasterio.Affine(steps[0], 0, west - steps[0] / 2, 0, -steps[1], north + steps[1] / 2),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **(profile | options)) as raster:
        raster.write(values.astype(profile["dtype"] if "dtype" not in options else options["dtype"]), 1)
        raster.update_tags(**tags)
    return path


def copernicus(folder: Path, west: int, south: int, ground: Ground = hills, **options: object) -> Path:
    """Write a cell as Copernicus does: no shared posts, the first one on the north-west corner, fewer columns north."""
    rows = 60
    columns = rows if abs(south + 0.5) < 50 else rows * 2 // 3
    name = f"{'NS'[south < 0]}{abs(south):02d}_00_{'EW'[west < 0]}{abs(west):03d}_00"
    path = folder / f"Copernicus_DSM_COG_10_{name}_DEM" / f"Copernicus_DSM_COG_10_{name}_DEM.tif"
    return write(path, west, south + 1, (1 / columns, 1 / rows), (rows, columns), ground, **options)


@pytest.fixture
def dem(reference_data: Path) -> Path:
    return reference_data / "geometry/dem"


@pytest.fixture
def geoid(reference_data: Path) -> Path:
    return next((reference_data / "geometry/geoid").glob("*.gtx"))


def dted_posts(path: Path) -> Array:
    """Read the posts of a DTED file by its format (MIL-PRF-89020): columns from west to east, each from the south."""
    content = path.read_bytes()[80 + 648 + 2700 :]
    count = 1201
    records = np.frombuffer(content, np.uint8).reshape(count, 8 + 2 * count + 4)
    words = records[:, 8 : 8 + 2 * count].copy().view(">u2").astype(int)
    return np.where(words & 0x8000, -(words & 0x7FFF), words).T[::-1].astype(float)


@pytest.mark.parametrize(("name", "west", "north"), [("w016/n30.dt2", -16, 31), ("w017/n32.dt1", -17, 33)])
def test_a_post_of_dted_is_where_its_format_says(dem: Path, name: str, west: int, north: int) -> None:
    """Trap 8: DTED-1 in spite of its name; GDAL's origin is half a pixel away from the first post."""
    terrain = Terrain.open(dem / name, geoid=None)
    (cell,) = terrain.cells
    assert (cell.west, cell.north) == pytest.approx((west, north), abs=1e-9)
    assert (cell.rows, cell.columns, cell.step_lon) == (1201, 1201, pytest.approx(1 / 1200))
    posts = dted_posts(dem / name)
    assert np.ptp(posts) > 10
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, 1201, (2, 3000))
    found = terrain.height(west + column / 1200, north - row / 1200)
    np.testing.assert_allclose(found, posts[row, column], rtol=0, atol=1e-5)


def test_bilinear_between_posts_and_nodes(dem: Path, geoid: Path) -> None:
    terrain = Terrain.open(dem, geoid=geoid)
    posts = dted_posts(dem / "w017/n32.dt1")
    nodes = np.fromfile(geoid, "<f4").reshape(721, 1440).astype(float)

    def bilinear(grid: Array, x: Array, y: Array) -> Array:
        i, j = x.astype(int), y.astype(int)
        u, v = x - i, y - j
        upper = grid[j, i] * (1 - u) + grid[j, i + 1] * u
        return upper * (1 - v) + (grid[j + 1, i] * (1 - u) + grid[j + 1, i + 1] * u) * v

    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-17, -16, 2000), rng.uniform(32, 33, 2000)
    expected = bilinear(posts, (lon + 17) * 1200, (33 - lat) * 1200) + bilinear(nodes, (lon + 180) * 4, (90 - lat) * 4)
    np.testing.assert_allclose(terrain.height(lon, lat), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("registration", ["Point", "Area"])
@pytest.mark.parametrize("shape", [(61, 61), (37, 90), (300, 240)])
def test_both_registrations_and_any_size(tmp_path: Path, registration: str, shape: tuple[int, int]) -> None:
    """Trap 6: neither one degree nor on whole degrees."""
    path = write(tmp_path / "any.tif", 10.3, 47.7, (0.01, 0.02), shape, registration=registration)
    terrain = Terrain.open(path, geoid=None)
    rng = np.random.default_rng(2)
    lon = rng.uniform(10.3, 10.3 + 0.01 * (shape[1] - 1), 500)
    lat = rng.uniform(47.7 - 0.02 * (shape[0] - 1), 47.7, 500)
    np.testing.assert_allclose(terrain.height(lon, lat), plane(lon, lat), rtol=0, atol=2e-4)


def test_cells_of_copernicus_join_without_a_jump(tmp_path: Path) -> None:
    for west in (-18, -17):
        for south in (48, 49, 50):
            copernicus(tmp_path, west, south)
    (tmp_path / "eudem" / "INFO").mkdir(parents=True)
    terrain = Terrain.open(tmp_path, geoid=None)
    assert len(terrain.cells) == 6
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(-18, -16.03, 20_000), rng.uniform(48.02, 51, 20_000)
    # bilinear between posts 1/60 or 1/40 degree apart: within the curvature of the hills
    assert np.abs(terrain.height(lon, lat) - hills(lon, lat)).max() < 0.025
    along = np.linspace(-17.9, -16.1, 3001)
    for latitude in (49.0, 50.0):
        for offset in (0.0, 1 / 120, 1 / 60):
            jump = np.diff([terrain.height(along, latitude + offset + d) for d in (-1e-7, 1e-7)], axis=0)
            # two spacings side by side agree within the interpolation of the coarser one
            assert np.abs(jump).max() < (1e-3 if latitude < 50 else 0.02)
    across = terrain.height([[-17 - 1 / 120 - 1e-9], [-17 - 1 / 120 + 1e-9]], np.linspace(48.1, 50.9, 999))
    assert np.abs(np.diff(across, axis=0)).max() < 1e-3


def test_other_layers_of_copernicus_are_no_heights(tmp_path: Path) -> None:
    path = copernicus(tmp_path, 6, 45)
    for layer in ("EDM", "FLM", "HEM", "WBM", "QL"):
        write(path.with_name(path.name.replace("_DEM.tif", f"_{layer}.tif")), 6, 46, (0.1, 0.1), (10, 10))
    assert [cell.path for cell in Terrain.open(tmp_path, geoid=None).cells] == [path]


def test_a_mosaic_is_its_cells_and_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 6: one raster over several degrees."""
    values = np.random.default_rng(4).uniform(0, 3000, (180, 240)).astype(np.float32)
    step = (1 / 60, 1 / 60)
    whole = write(tmp_path / "mosaic.tif", 5, 48, step, values.shape, values=values)
    for i in range(4):
        for j in range(3):
            part = values[60 * j : 60 * j + 60, 60 * i : 60 * i + 60]
            write(tmp_path / "cells" / f"{i}{j}.tif", 5 + i, 48 - j, step, part.shape, values=part)
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(5, 8.98, 20_000), rng.uniform(45.02, 48, 20_000)
    expected = Terrain.open(whole, geoid=None).height(lon, lat)
    np.testing.assert_allclose(Terrain.open(tmp_path / "cells", geoid=None).height(lon, lat), expected, atol=1e-3)
    monkeypatch.setattr(raster_cell, "_LARGEST", 50)
    cut = Terrain.open(whole, geoid=None)
    assert len(cut.cells) == 4 * 5
    np.testing.assert_allclose(cut.height(lon, lat), expected, rtol=0, atol=1e-3)
    small = Terrain.open(whole, geoid=None)
    small.height(6.0, 47.0)
    assert small._state["relief"].posts.size < 4 * 52 * 52


def test_the_finest_of_overlapping_cells_counts(tmp_path: Path) -> None:
    write(tmp_path / "a_coarse.tif", 4, 51, (0.1, 0.1), (41, 41), level(0))
    write(tmp_path / "b_fine.tif", 5.25, 49.5, (0.01, 0.01), (51, 51), level(500))
    terrain = Terrain.open(tmp_path, geoid=None)
    assert terrain.height([5.5, 5.1], [49.25, 49.25]).tolist() == [500.0, 0.0]


def test_zarr_is_the_raster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(6).uniform(0, 3000, (70, 110)).round().astype(np.float32)
    raster = write(tmp_path / "dem.tif", 5, 48, (0.02, 0.01), values.shape, values=values)
    lon, lat = 5 + 0.02 * np.arange(110), 48 - 0.01 * np.arange(70)
    for name, names, up in (("one", ("longitude", "latitude", "elevation"), 1), ("two", ("x", "y", "z"), -1)):
        group = zarr.open_group(tmp_path / name, mode="w")
        group.create_array(names[0], data=lon)
        group.create_array(names[1], data=lat[::up])
        array = group.create_array(names[2], data=(values[::up] / 0.5 + 200).astype(np.int32))
        array.attrs.update(
            {"scale_factor": 0.5, "add_offset": -100.0, "_FillValue": -9999, "vertical_datum": "EGM2008"}
        )
    rng = np.random.default_rng(7)
    x, y = rng.uniform(lon[0], lon[-1], 3000), rng.uniform(lat[-1], lat[0], 3000)
    expected = Terrain.open(raster, geoid=None).height(x, y)
    for name in ("one", "two"):
        terrain = Terrain.open(tmp_path / name, geoid=None)
        np.testing.assert_allclose(terrain.height(x, y), expected, rtol=0, atol=1e-3)
        assert terrain.datum.heights == "EGM2008"
        monkeypatch.setattr(raster_cell, "_LARGEST", 40)
        np.testing.assert_allclose(Terrain.open(tmp_path / name, geoid=None).height(x, y), expected, atol=1e-3)
        monkeypatch.undo()
    assert len(Terrain.open(tmp_path, geoid=None).cells) == 3
    group = zarr.open_group(tmp_path / "two", mode="a")
    group["z"][3, 4] = -9999
    with pytest.raises(InputError, match="it is a void"):
        Terrain.open(tmp_path / "two", geoid=None).height(lon[4], lat[-4])


def test_zarr_that_is_no_elevation_model(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a", mode="w")
    with pytest.raises(InputError, match="no coordinates called longitude or lon or x"):
        Terrain.open(tmp_path / "a", geoid=None)
    group.create_array("lon", data=np.array([0.0, 1.0, 3.0]))
    group.create_array("lat", data=np.array([0.0, 1.0]))
    with pytest.raises(InputError, match=r"0 arrays of \(2, 3\) posts"):
        Terrain.open(tmp_path / "a", geoid=None)
    group.create_array("dem", data=np.zeros((2, 3)))
    with pytest.raises(InputError, match="not regular"):
        Terrain.open(tmp_path / "a", geoid=None)


def world(tmp_path: Path, name: str = "world.tif", **options: object) -> Path:
    """Write a raster of the whole Earth, posts on both poles, none twice."""

    def ground(lon: Array, lat: Array) -> Array:
        return 500.0 + 100.0 * np.cos(np.radians(lon)) * np.cos(np.radians(lat)) + lat

    return write(tmp_path / name, -180, 90, (0.5, 0.5), (361, 720), ground, **options)


def test_the_antimeridian_in_one_call(tmp_path: Path) -> None:
    def ground(lon: Array, lat: Array) -> Array:
        return 500.0 + 200.0 * np.sin(np.radians(20 * lon))

    for west in (179, -180):
        copernicus(tmp_path / "cells", west, -17, ground)
    lon = np.array([179.9, -179.9, 180.0, -180.0, 540.0, 180.1, -180.1, 179.99])
    for terrain in (Terrain.open(tmp_path / "cells", geoid=None), Terrain.open(world(tmp_path), geoid=None)):
        found = terrain.height(lon, -16.5)
        assert np.ptp(found[2:5]) < 1e-9
        assert found[5] == pytest.approx(found[1], abs=1e-9)
        assert found[6] == pytest.approx(found[0], abs=1e-9)
        across = terrain.height((np.linspace(179.5, 180.5, 2001) + 180) % 360 - 180, -16.4)
        assert np.abs(np.diff(across)).max() < 0.2
        window = terrain.window(179.9, -16.6, -179.9, -16.4)
        assert window.frame[0] < 179.9
        assert window.frame[0] + window.frame[2] * (window.heights.shape[1] - 1) > 180.1
        np.testing.assert_array_equal(terrain.crop(179.9, -16.6, -179.9, -16.4).height(lon, -16.5), found)
    cells = Terrain.open(tmp_path / "cells", geoid=None)
    np.testing.assert_allclose(cells.height(lon, -16.5), ground(lon, lon), rtol=0, atol=1.0)


def test_the_poles(tmp_path: Path) -> None:
    terrain = Terrain.open(world(tmp_path), geoid=None)
    lon = np.linspace(-180, 180, 73)
    assert np.ptp(terrain.height(lon, 90.0)) < 1e-3
    assert np.ptp(terrain.height(lon, -90.0)) < 1e-3
    assert terrain.height(0.0, [89.99, -89.99]).tolist() == pytest.approx([589.99, 410.01], abs=0.05)
    # as Copernicus has it: the last post is one spacing from the South pole
    for west in (0, 1):
        copernicus(tmp_path / "south", west, -90, level(2800))
        copernicus(tmp_path / "north", west, 89, level(0))
    for name, latitude, height in (("south", -90.0, 2800.0), ("north", 90.0, 0.0)):
        cells = Terrain.open(tmp_path / name, geoid=None)
        assert cells.height([0.5, 1.2], latitude).tolist() == [height, height]


def test_a_missing_cell(dem: Path, geoid: Path) -> None:
    """Trap 6: the peer takes sea level without a word."""
    places = np.array([-16.5, -15.5]), np.array([32.5, 32.5])
    with pytest.raises(InputMissing, match=r"cell n32w016: no terrain height at lon -15.5000 lat 32.5000 \(1 of 2"):
        Terrain.open(dem, geoid=geoid).height(*places)
    sea = Terrain.open(dem, geoid=geoid, missing="sea").height(*places)
    assert sea[1] == Terrain((), geoid, "sea").height(-15.5, 32.5)
    assert 40 < sea[1] < 60


@pytest.mark.parametrize(
    "options",
    [
        {"nodata": -32767.0}, {"nodata": 0.0}, {"dtype": "int16", "nodata": -32767}, {}, {"void": np.nan},
        {"void": 9999.0}, {"void": np.inf},
    ],
)  # fmt: skip
@pytest.mark.parametrize("missing", ["error", "sea"])
def test_a_void_is_an_error_and_never_zero(tmp_path: Path, options: dict[str, object], missing: str) -> None:
    options = dict(options)
    void = options.pop("void", options.get("nodata", -32768.0))
    values = np.full((20, 20), 700.0)
    values[10, 5] = void
    path = write(tmp_path / "void.tif", 0, 2, (0.1, 0.1), values.shape, values=values, **options)
    terrain = Terrain.open(path, geoid=None, missing=missing)  # type: ignore[arg-type]
    assert terrain.height([0.3, 0.35, 1.0], [1.0, 1.0, 1.0]).tolist() == [700.0, 700.0, 700.0]
    for place in ((0.5, 1.0), (0.45, 1.05), (0.55, 0.95)):
        with pytest.raises(InputError, match=r"void.tif: no terrain height at lon .*; it is a void"):
            terrain.height(*place)


def test_scaled_integers(tmp_path: Path) -> None:
    path = write(tmp_path / "scaled.tif", 0, 2, (0.1, 0.1), (20, 20), level(4000), dtype="int16")
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.25,), (-10.0,)
    assert float(Terrain.open(path, geoid=None).height(1.0, 1.0)) == 990.0


def test_the_geoid_in_any_form(tmp_path: Path, dem: Path, geoid: Path) -> None:
    """Trap 8: .gtx is ENVI here; what a file is, is found from its content."""
    nodes = np.fromfile(geoid, "<f4").reshape(721, 1440)
    step = (0.25, 0.25)
    tif = write(tmp_path / "a.tif", -180, 90, step, (721, 1440), values=nodes)
    twice = write(tmp_path / "b.tif", -180, 90, step, (721, 1441), values=np.c_[nodes, nodes[:, :1]])
    east = write(tmp_path / "c.tif", 0, 90, step, (721, 1440), values=np.roll(nodes, 720, axis=1))
    real = write(tmp_path / "d.gtx", -180, 90, step, (721, 1440), values=nodes, driver="GTX")
    part = write(tmp_path / "e.tif", -20, 40, step, (81, 41), values=nodes[200:281, 640:681])
    rng = np.random.default_rng(8)
    lon, lat = rng.uniform(-18, -10, 500), rng.uniform(25, 35, 500)
    expected = Terrain((), geoid, "sea").height(lon, lat)
    assert 20 < expected.min() < expected.max() < 60
    for path in (tif, twice, east, real, part):
        np.testing.assert_allclose(Terrain((), path, "sea").height(lon, lat), expected, rtol=0, atol=1e-5)
    for path in (tif, twice, east, real):
        around = Terrain((), path, "sea").height([179.9, -179.95, 0.1, -0.1, 12.0], [10, 10, 10, 10, 90])
        np.testing.assert_allclose(
            around, Terrain((), geoid, "sea").height([179.9, -179.95, 0.1, -0.1, 0], [10] * 4 + [90]), atol=1e-5
        )
    with pytest.raises(InputMissing, match="no terrain height"):
        Terrain((), part, "sea").height(0.0, 0.0)
    assert float(Terrain((), None, "sea").height(0.0, 0.0)) == 0.0
    with pytest.raises(InputError, match="undulations are not finite or above 200 m"):
        Terrain((), dem / "w017/n32.dt1", "sea")
    with pytest.raises(InputMissing, match="no such geoid"):
        Terrain((), tmp_path / "none.tif", "sea")


def test_the_vertical_datum_is_noted(tmp_path: Path, dem: Path, geoid: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Trap 8: heights and geoid of different models; the real ones are EGM2008 both, whatever the metadata say."""
    real = Terrain.open(dem, geoid=geoid)
    assert real.datum == ("EGM2008", "EGM2008", True)
    assert not caplog.records
    nodes = np.fromfile(geoid, "<f4").reshape(721, 1440).copy()
    nodes[0] = 13.606
    old = write(tmp_path / "egm.tif", -180, 90, (0.25, 0.25), nodes.shape, values=nodes)
    assert Terrain.open(dem, geoid=old).datum == ("EGM2008", "EGM96", False)
    assert "heights of EGM2008 on the geoid EGM96" in caplog.text
    named = write(tmp_path / "named.tif", 0, 2, (0.1, 0.1), (20, 20), crs=CRS.from_string("EPSG:4326+5773"))
    assert Terrain.open(named, geoid=geoid).datum == ("EGM96", "EGM2008", False)
    plain = write(tmp_path / "plain.tif", 0, 2, (0.1, 0.1), (20, 20))
    assert Terrain.open(plain, geoid=geoid).datum == ("", "EGM2008", None)
    assert Terrain.open(dem, geoid=None).datum.agrees is None


def test_rasters_that_are_no_elevation_model(tmp_path: Path) -> None:
    utm = write(tmp_path / "utm.tif", 300000, 4000000, (90, 90), (20, 20), crs="EPSG:32628", values=np.zeros((20, 20)))
    with pytest.raises(InputError, match=r"utm.tif: raster in EPSG:32628; warp it to EPSG:4326"):
        Terrain.open(utm, geoid=None)
    up = write(tmp_path / "up.tif", 0, 2, (0.1, 0.1), (20, 20), transform=rasterio.Affine(0.1, 0, 0, 0, 0.1, 0))
    with pytest.raises(InputError, match=r"up.tif: raster is not north up"):
        Terrain.open(up, geoid=None)
    high = write(tmp_path / "high.tif", 0, 95, (0.1, 0.1), (20, 20), values=np.zeros((20, 20)))
    with pytest.raises(InputError, match=r"high.tif: 2 degrees from latitude 93.1 to 95"):
        Terrain.open(high, geoid=None)
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    with pytest.raises(InputError, match=r"text.tif: no readable raster: ") as error:
        Terrain.open(text, geoid=None)
    assert "\n" not in str(error.value)
    whole = write(tmp_path / "cut.tif", 0, 2, (0.01, 0.01), (200, 200))
    whole.write_bytes(whole.read_bytes()[:60_000])
    with pytest.raises(InputError, match=r"cut.tif: no readable raster"):
        Terrain.open(whole, geoid=None).height(1.0, 0.5)
    with pytest.raises(InputMissing, match="no such elevation model"):
        Terrain.open(tmp_path / "none", geoid=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="no elevation raster"):
        Terrain.open(tmp_path / "empty", geoid=None)
    with pytest.raises(ConfigurationError, match="missing='zero'"):
        Terrain.open(tmp_path / "empty", geoid=None, missing="zero")  # type: ignore[arg-type]


def test_the_same_from_any_order_thread_and_process(dem: Path, geoid: Path) -> None:
    rng = np.random.default_rng(9)
    lon, lat = rng.uniform(-17.9, -16.1, 4000), rng.uniform(32.1, 32.9, 4000)
    expected = Terrain.open(dem, geoid=geoid).height(lon, lat)
    terrain = Terrain.open(dem, geoid=geoid)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda k: terrain.height(lon[k::8], lat[k::8]), range(8)))
    for k, part in enumerate(parts):
        np.testing.assert_array_equal(part, expected[k::8])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(terrain)).height(lon, lat), expected)
    assert np.isnan(terrain.height(np.nan, 32.5))
    assert terrain.height(np.zeros((0, 3)), 32.5).shape == (0, 3)
