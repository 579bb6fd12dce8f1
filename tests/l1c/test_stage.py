"""Orthoimages of an analytic ground, on the real geometry over the relief of Madeira."""

import tracemalloc
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ground_source import GroundSource, ground_counts
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry import ViewingModel
from s2dask.geometry.inverse_grid import locate_nodes
from s2dask.instrument import band, unit
from s2dask.instrument.quality import MSI_LOST, NODATA
from s2dask.io.grids import TileGrid
from s2dask.l1c.location import locate, pixel_heights
from s2dask.l1c.memory import block_bytes
from s2dask.l1c.reflectance import decode
from s2dask.l1c.scratch import Scratch
from s2dask.l1c.stage import (
    STEPS,
    OrthoParameters,
    TileGeometry,
    block_pixels,
    ortho_block,
    ortho_images,
    prepare_tile,
    tile_frame,
    tile_terrain,
)
from s2dask.qc.records import combine

GRID = TileGrid("28SCB", "EPSG:32628", 305_040, 3_628_020, 6_000, 4_800)
BANDS = ("B02", "B05", "B09")
LINES = {name: 13824 * 10 // band(name).resolution for name in BANDS}
DETECTORS = (7, 8, 9)
U = 0.97


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
def geometry(model: ViewingModel, terrain: Terrain) -> TileGeometry:
    return prepare_tile(model, terrain, GRID, LINES, DETECTORS)


@pytest.fixture(scope="module")
def source(model: ViewingModel, terrain: Terrain) -> GroundSource:
    return GroundSource(model, terrain, LINES)


@pytest.fixture(scope="module")
def parameters(geometry: TileGeometry) -> OrthoParameters:
    bands = unit("S2A").bands
    return OrthoParameters(
        DETECTORS, LINES, geometry.box, geometry.heights, geometry.sun[0],
        {name: bands[name].gain for name in BANDS}, {name: bands[name].solar_irradiance for name in BANDS}, U,
    )  # fmt: skip


Block = tuple[dict[str, NDArray[np.generic]], dict[str, float]]


def _whole(name: str, source: GroundSource, model: ViewingModel, terrain: Terrain, p: OrthoParameters) -> Block:
    r = band(name).resolution
    rows, columns = GRID.shape(r)
    return ortho_block(GRID, r, slice(0, rows), slice(0, columns), (name,), source, model, terrain, p)


def _paths(name: str) -> tuple[str, str, str]:
    where = f"r{band(name).resolution}m/{name.lower()}"
    return (
        f"measurements/reflectance/{where}", f"quality/mask/{where}", f"conditions/mask/detector_footprint/{where}"
    )  # fmt: skip


def _centres(resolution: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = GRID.shape(resolution)
    x = GRID.x0 + resolution * (np.arange(columns) + 0.5)
    y = GRID.y0 - resolution * (np.arange(rows) + 0.5)
    lon, lat = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    return np.asarray(lon), np.asarray(lat)


@pytest.mark.row("IPF-29")
@pytest.mark.row("IPF-30")
@pytest.mark.parametrize("name", BANDS)
def test_the_orthoimage_is_the_ground(
    name: str,
    source: GroundSource,
    model: ViewingModel,
    terrain: Terrain,
    parameters: OrthoParameters,
    geometry: TileGeometry,
) -> None:
    arrays, record = _whole(name, source, model, terrain, parameters)
    image, mask, footprint = (arrays[path] for path in _paths(name))
    assert np.ptp(geometry.heights) > 1000
    assert (mask == 0).all()
    assert set(np.unique(footprint)) == {8, 9}
    lon, lat = _centres(band(name).resolution)
    counts = ground_counts(lon, lat)
    # sun angles vary by 0.05 degree over the window: their mean is enough here
    scale = np.pi / (parameters.gains[name] * parameters.solar_irradiance[name] * U)
    truth = (counts - 100) * scale / np.cos(np.radians(geometry.sun[0].mean()))
    error = decode(image) / truth - 1  # type: ignore[arg-type]
    assert np.abs(error).max() < 5e-3
    assert np.sqrt(np.mean(error**2)) < 1e-3
    prefix = name.lower()
    assert record[f"{prefix}.valid"] == image.size
    assert record[f"{prefix}.sum"] / image.size == pytest.approx(float(truth.mean()), rel=1e-3)


def test_any_blocking_gives_the_same_bytes(
    source: GroundSource, model: ViewingModel, terrain: Terrain, parameters: OrthoParameters
) -> None:
    source.dead[8, "B05"] = slice(3600, 3640)
    whole, record = _whole("B05", source, model, terrain, parameters)
    pieces = {path: np.zeros_like(array) for path, array in whole.items()}
    records = []
    edges_y, edges_x = (0, 33, 34, 150, 240), (0, 61, 180, 300)
    for top, bottom in pairwise(edges_y):
        for left, right in pairwise(edges_x):
            rows, columns = slice(top, bottom), slice(left, right)
            part, one = ortho_block(GRID, 20, rows, columns, ("B05",), source, model, terrain, parameters)
            records.append(one)
            for path, array in part.items():
                pieces[path][rows, columns] = array
    source.dead.clear()
    for path, array in whole.items():
        np.testing.assert_array_equal(pieces[path], array)
    assert combine(records) == pytest.approx(combine([record]), rel=1e-12)
    assert 0 < record["b05.nodata"] < record["b05.pixels"]
    assert record["b05.lost"] >= record["b05.nodata"]


def test_lost_lines_leave_no_data_and_only_there(
    source: GroundSource, model: ViewingModel, terrain: Terrain, parameters: OrthoParameters
) -> None:
    whole, _ = _whole("B05", source, model, terrain, parameters)
    source.dead[8, "B05"] = slice(3600, 3640)
    holed, _ = _whole("B05", source, model, terrain, parameters)
    source.dead.clear()
    image, mask, footprint = (holed[path] for path in _paths("B05"))
    before = whole[_paths("B05")[0]]
    gone = mask & NODATA != 0
    assert (image[gone] == 0).all()
    assert (footprint[gone] == 8).all()
    assert (mask[gone] & MSI_LOST != 0).all()
    assert (image[~gone] > 0).all()
    # the B-spline sees the repaired lines from afar: a trace on the pixels beside, none beyond the filter
    change = np.abs(image.astype(int) - before.astype(int))[~gone]
    assert change.max() < 60
    assert np.median(change) == 0
    assert (footprint == whole[_paths("B05")[2]]).all()


def test_the_cut_is_in_the_middle_of_the_overlap(
    source: GroundSource, model: ViewingModel, terrain: Terrain, parameters: OrthoParameters, geometry: TileGeometry
) -> None:
    arrays, _ = _whole("B05", source, model, terrain, parameters)
    footprint = arrays[_paths("B05")[2]]
    pixels = block_pixels(20, slice(0, 240), slice(0, 300))
    lattice, window = tile_frame(GRID).lattice(pixels), tile_terrain(terrain, geometry.box)
    heights = pixel_heights(lattice, pixels, window.frame, window.heights)
    distance = {}
    for d in (8, 9):
        nodes = locate_nodes(model, "B05", d, lattice, geometry.heights, LINES["B05"])
        assert nodes is not None
        column = locate(nodes, pixels, heights)[1]
        inside = (column >= -0.5) & (column <= band("B05").columns - 0.5)
        distance[d] = np.where(inside, np.minimum(column + 0.5, band("B05").columns - 0.5 - column), -1.0)
    both = (distance[8] >= 0) & (distance[9] >= 0)
    assert both.sum() > 5000
    np.testing.assert_array_equal(footprint, np.where(distance[8] >= distance[9], 8, 9))
    taken = footprint[both] == 8
    assert 0.4 < taken.mean() < 0.6


def test_location_per_pixel_against_the_exact_model(
    model: ViewingModel, terrain: Terrain, geometry: TileGeometry
) -> None:
    pixels = block_pixels(10, slice(100, 480), slice(100, 600))
    lattice, window = tile_frame(GRID).lattice(pixels), tile_terrain(terrain, geometry.box)
    heights = pixel_heights(lattice, pixels, window.frame, window.heights)
    lon, lat = (a[100:480:7, 100:600:7] for a in _centres(10))
    assert np.abs(terrain.height(lon, lat) - heights[::7, ::7]).max() < 0.01
    nodes = locate_nodes(model, "B02", 9, lattice, geometry.heights, LINES["B02"])
    assert nodes is not None
    line, column = (a[::7, ::7] for a in locate(nodes, pixels, heights))
    exact = model.inverse("B02", 9, lon, lat, terrain.height(lon, lat))
    good = np.isfinite(exact[0])
    assert good.sum() > 1000
    error = np.hypot(line - exact[0], column - exact[1])[good]
    assert error.max() < 0.01
    assert np.sqrt(np.mean(error**2)) < 0.003


@pytest.mark.row("IPF-28")
def test_angles_of_the_tile(geometry: TileGeometry) -> None:
    assert geometry.sun.shape == (2, 2, 3)
    # 2020-08-16T12:02 UTC over Madeira: the sun stands in the south-east, 67 degrees high
    assert 22 < geometry.sun[0].min() < geometry.sun[0].max() < 28
    assert 125 < geometry.sun[1].min() < geometry.sun[1].max() < 150
    b02 = geometry.view[band("B02").index]
    assert geometry.view.shape == (13, 3, 2, 2, 3)
    assert np.isnan(b02[0]).all()
    assert np.isfinite(b02[1:, :, :, 1]).all()
    # a node that no pixel of the detector needs: 8 km beside it
    assert np.isnan(b02[1, :, :, 2]).all()
    assert 3.0 < np.nanmean(b02[1, 0]) < 5.0
    assert np.nanmean(b02[2, 0]) > np.nanmean(b02[1, 0])
    assert np.isnan(geometry.view[band("B03").index]).all()


def test_a_tile_elsewhere_is_refused(model: ViewingModel, terrain: Terrain) -> None:
    far = TileGrid("31TCJ", "EPSG:32631", 300_000, 4_900_020, 6_000, 6_000)
    with pytest.raises(InputError, match=r"T?31TCJ"):
        prepare_tile(model, terrain, far, {"B09": 2304}, (8, 9), views=False)
    with pytest.raises(ConfigurationError, match="decimated"):
        tile_frame(TileGrid("31TCJ", "EPSG:32631", 300_000, 4_900_020, 6_000, 6_000, decimation=4))


def test_outside_the_strip_there_is_no_data(
    source: GroundSource, model: ViewingModel, terrain: Terrain, parameters: OrthoParameters
) -> None:
    alone = replace(parameters, detectors=(9,))
    arrays, record = _whole("B09", source, model, terrain, alone)
    image, mask, footprint = (arrays[path] for path in _paths("B09"))
    unseen = footprint == 0
    assert 0.1 < unseen.mean() < 0.9
    assert (image[unseen] == 0).all()
    assert (mask[unseen] == NODATA).all()
    assert (image[~unseen] > 0).all()
    assert record["b09.unseen"] == unseen.sum()


@dataclass
class _Level:
    """A source of the same counts everywhere, with a lost line in each window or without any flag."""

    flagged: bool

    def lines(self, name: str) -> int:
        return LINES[name]

    def read(self, detector: int, name: str, line0: int, line1: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        shape = line1 - line0, band(name).columns
        counts, quality = np.full(shape, 900, np.uint16), np.full(shape, detector << 8, np.uint16)
        if self.flagged:
            counts[100], quality[100] = 0, detector << 8 | NODATA | MSI_LOST
        return counts, quality


@pytest.mark.parametrize("flagged", [False, True])
def test_a_block_takes_no_more_memory_than_projected(
    flagged: bool, model: ViewingModel, terrain: Terrain, parameters: OrthoParameters
) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 299_940, 3_643_020, 24_000, 24_000)
    p = replace(parameters, detectors=(6, 7, 8, 9, 10, 11))
    pixels, names = block_pixels(20, slice(0, 1200), slice(0, 1200)), ("B05",)

    def run() -> None:
        for _ in ortho_images(grid, pixels, names, _Level(flagged), model, terrain, p, Scratch()):
            pass

    run()  # compiles
    # the large arrays are NumPy's, which tells tracemalloc of them; kernels make small ones only
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    projected = block_bytes(pixels, 20.0, names, 4, p.filter, flagged=flagged)
    assert 0.5 * projected < peak < projected


def test_steps_are_named_as_in_operations() -> None:
    assert [step.name for step in STEPS] == ["TILE_INIT", "GEN_ORTHO_TOA", "MASK_S2", "TILE_FINALIZE"]
