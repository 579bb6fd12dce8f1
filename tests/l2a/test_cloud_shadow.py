"""Shadows of clouds of known height."""

import time

import numpy as np
import pytest

from s2dask.l2a.cloud_shadow import CLOUD, DARK, IGNORED, Slant, darker_than_around, label, shadows, slant
from s2dask.l2a.conditions import tangents


def _slant(sun: tuple[float, float], view: tuple[float, float]) -> Slant:
    return slant(*(tangents(np.array(angles, float)) for angles in (sun, view)))


def _scene(height: float, sun: tuple[float, float], view: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return a ragged cloud and its shadow, by the geometry of each point."""
    rows, columns = np.mgrid[:150, :150]
    cloud = (rows - 75) ** 2 / 90 + (columns - 70) ** 2 / 40 < 1
    cloud |= (abs(rows - 70) < 3) & (abs(columns - 80) < 9)
    # The foot of a cloud lies towards the satellite from its image; from there on away from the sun.
    foot_east = columns[cloud] * 60.0 + height * np.tan(np.radians(view[0])) * np.sin(np.radians(view[1]))
    foot_north = -rows[cloud] * 60.0 + height * np.tan(np.radians(view[0])) * np.cos(np.radians(view[1]))
    east = foot_east - height * np.tan(np.radians(sun[0])) * np.sin(np.radians(sun[1]))
    north = foot_north - height * np.tan(np.radians(sun[0])) * np.cos(np.radians(sun[1]))
    shadow = np.zeros_like(cloud)
    shadow[np.rint(-north / 60).astype(int), np.rint(east / 60).astype(int)] = True
    return cloud, shadow & ~cloud


@pytest.mark.parametrize("height", [700.0, 2500.0, 5400.0])
@pytest.mark.parametrize("azimuth", [30.0, 150.0, 330.0])
def test_the_shadow_is_found(height: float, azimuth: float) -> None:
    sun, view = (35.0, azimuth), (8.0, 100.0)
    cloud, shadow = _scene(height, sun, view)
    kind = np.zeros(cloud.shape, np.uint8)
    kind[shadow], kind[cloud] = DARK, CLOUD
    kind[5:9, 5:140] = DARK
    found = shadows(kind, 60.0, _slant(sun, view))
    assert (found & shadow).sum() > 0.95 * shadow.sum()
    assert (found & ~shadow).sum() <= 0.02 * shadow.sum()


def test_ground_is_compared_with_the_ground_around() -> None:
    random = np.random.default_rng(4)
    near = random.integers(50, 70, (90, 110)).astype(np.uint8)
    near[20:30, 40:50], near[60:, 60:] = 20, 8
    kind = np.zeros(near.shape, np.uint8)
    kind[60:, 60:], kind[25, 45] = IGNORED, CLOUD
    found = darker_than_around(kind, near, 60.0)
    expected = kind.copy()
    expected[20:30, 40:50] = DARK
    expected[25, 45] = CLOUD
    np.testing.assert_array_equal(found, expected)
    assert not darker_than_around(kind[:6, :6], near[:6, :6], 60.0).any()


def test_nothing_dark_no_shadow() -> None:
    kind = np.zeros((80, 80), np.uint8)
    assert not shadows(kind, 60.0, _slant((40, 150), (0, 0))).any()
    kind[30:40, 30:40] = CLOUD
    kind[60:] = IGNORED
    assert not shadows(kind, 60.0, _slant((40, 150), (0, 0))).any()


def test_clouds_are_told_apart() -> None:
    random = np.random.default_rng(5)
    kind = (random.random((40, 60)) < 0.4).astype(np.uint8)
    found = label(kind).reshape(kind.shape)
    # Flooding by repeated minima, the slow way.
    slow = np.where(kind == CLOUD, np.arange(kind.size).reshape(kind.shape), -1)
    while True:
        framed = np.pad(np.where(slow < 0, kind.size, slow), 1, constant_values=kind.size)
        near = np.min([framed[i : i + 40, j : j + 60] for i in range(3) for j in range(3)], axis=0)
        after = np.where(kind == CLOUD, near, -1)
        if (after == slow).all():
            break
        slow = after
    np.testing.assert_array_equal(found, slow)


def test_a_whole_tile_takes_seconds() -> None:
    random = np.random.default_rng(2)
    coarse = random.random((61, 61))
    kind = np.where(np.kron(coarse, np.ones((30, 30))) > 0.5, CLOUD, DARK).astype(np.uint8)
    shadows(kind[:30, :30], 60.0, _slant((40, 150), (5, 100)))
    start = time.process_time()
    shadows(kind, 60.0, _slant((40, 150), (5, 100)))
    assert time.process_time() - start < 8.0
