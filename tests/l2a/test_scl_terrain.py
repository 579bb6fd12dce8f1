"""Shade of mountains whose shape is known."""

import numpy as np

from s2dask.l2a.conditions import tangents
from s2dask.l2a.terrain_shade import shaded_cells

CELL = 60.0


def _sun(zenith: float, azimuth: float, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    east, north = tangents(np.array([zenith, azimuth]))
    return np.full(shape, east), np.full(shape, north)


def test_a_wall_throws_its_shadow() -> None:
    ground = np.zeros((40, 80))
    ground[:, 40] = 600.0
    shade = shaded_cells(ground, _sun(45.0, 90.0, ground.shape), CELL)
    # 600 m of wall and the sun half way up the sky, in the east: 600 m of shadow, in the west
    assert shade[:, 31:40].all()
    assert not shade[:, :30].any()
    assert not shade[:, 40:].any()
    shade = shaded_cells(ground.T.copy(), _sun(60.0, 180.0, ground.T.shape), CELL)
    assert shade[24:40].all()
    assert not shade[:22].any()
    assert not shade[40:].any()


def test_slopes_that_turn_away() -> None:
    rows, columns = np.mgrid[:90, :90] * CELL
    cone = np.maximum(1500.0 - np.hypot(rows - 2700, columns - 2700), 0.0)
    shade = shaded_cells(cone, _sun(60.0, 135.0, cone.shape), CELL)
    # the sun, 30 degrees high in the south-east, does not reach the far side of a slope of 45 degrees
    assert shade[35, 35]
    assert shade[20, 20]
    assert not shade[55, 55]
    assert not shaded_cells(cone, _sun(30.0, 135.0, cone.shape), CELL)[20:70, 20:70].any()


def test_level_ground_and_a_sun_overhead() -> None:
    hills = np.random.default_rng(1).uniform(0, 500, (30, 30))
    assert not shaded_cells(hills, _sun(0.0, 10.0, hills.shape), CELL).any()
    assert not shaded_cells(np.full((30, 30), 700.0), _sun(75.0, 10.0, (30, 30)), CELL).any()
