"""Pieces of the tile's geometry that need no data."""

import numpy as np
import pytest

from s2dask.geometry.inverse_grid import PATCH
from s2dask.l1c.location import Pixels, build_lattice, pixel_heights, spread
from s2dask.l1c.tile_geometry import TileFrame, angle_positions, mean_angles


def test_mean_direction_across_north_and_without_any() -> None:
    angles = np.array([[[10.0, 10.0, np.nan]], [[350.0, 10.0, 20.0]]])
    zenith, azimuth = mean_angles(angles)
    assert min(azimuth, 360 - azimuth) < 1e-9
    assert zenith == pytest.approx(np.degrees(np.arctan(np.tan(np.radians(10)) * np.cos(np.radians(10)))))
    assert np.isnan(mean_angles(np.full((2, 3, 3), np.nan))).all()


def test_lattice_holds_whole_patches_around_the_block() -> None:
    pixels = Pixels(10, 1000, 407, 300, 77)
    row, column, rows, columns = pixels.nodes()
    assert (row, column) == (1000 // 24, 407 // 24)
    # the last pixel centre lies between the last two nodes
    assert row + rows - 2 == 1299 // 24
    assert column + columns - 2 == 483 // 24
    lattice = build_lattice("EPSG:32628", 300_000.0, 3_700_020.0, pixels)
    assert lattice.row % PATCH == lattice.column % PATCH == 0
    assert lattice.row <= row
    assert lattice.row + lattice.lat.shape[0] >= row + rows
    assert all(n % PATCH == 0 for n in lattice.lon.shape)
    assert lattice.corners().shape[1] == lattice.lon.size // PATCH**2


def test_a_plane_comes_through_the_nodes() -> None:
    y, x = np.mgrid[0:6, 0:7].astype(float)
    nodes = (3.0 * y - 2.0 * x)[None]
    out = np.empty((50, 60))
    spread(nodes, 12, 7, 11, out)
    rows, columns = (7 + np.arange(50) + 0.5) / 12, (11 + np.arange(60) + 0.5) / 12
    np.testing.assert_allclose(out, 3 * rows[:, None] - 2 * columns[None, :], atol=1e-12)


def test_heights_of_a_sloping_terrain() -> None:
    tile = TileFrame("28SCB", "EPSG:32628", 300_000.0, 3_700_020.0, 6_000, 6_000)
    pixels = Pixels(20, 30, 40, 100, 120)
    lattice = tile.lattice(pixels)
    frame = np.array([-17.2, 33.5, 1 / 1200, 1 / 1200])
    lon, lat = frame[0] + frame[2] * np.arange(300), frame[1] - frame[3] * np.arange(300)
    posts = (100 * (lon + 17)[None, :] + 50 * (lat - 33)[:, None]).astype(np.float32)
    heights = pixel_heights(lattice, pixels, frame, posts)
    from pyproj import Transformer

    x, y = 300_000 + 20 * (40 + np.arange(120) + 0.5), 3_700_020 - 20 * (30 + np.arange(100) + 0.5)
    place = Transformer.from_crs(tile.crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    np.testing.assert_allclose(heights, 100 * (place[0] + 17) + 50 * (place[1] - 33), atol=2e-5)


def test_angle_nodes_reach_beyond_the_tile() -> None:
    lon, _ = angle_positions(TileFrame("28SCB", "EPSG:32628", 300_000.0, 3_700_020.0, 109_800, 109_800))
    assert lon.shape == (23, 23)
