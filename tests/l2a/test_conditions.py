"""Angles without holes, and what lies between nodes."""

from dataclasses import replace

import numpy as np
import pytest

from s2dask.errors import ConfigurationError
from s2dask.l2a.cells import (
    BOW,
    around,
    between_nodes,
    cell_coefficients,
    cell_means,
    cell_union,
    repeat,
    scattered_coefficients,
)
from s2dask.l2a.conditions import Conditions, tangents, whole_field, whole_views
from s2dask.l2a.window import Window


def _linear(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.indices(shape)
    east, north = 0.10 + 0.006 * x - 0.001 * y, -0.03 + 0.002 * y
    return np.stack([np.degrees(np.arctan(np.hypot(east, north))), np.degrees(np.arctan2(east, north)) % 360])


def test_holes_continue_the_swath() -> None:
    angles = _linear((23, 23))
    holed = angles.copy()
    holed[:, :, 7:] = np.nan
    np.testing.assert_allclose(whole_field(holed), angles, atol=1e-9)
    assert whole_field(np.full((2, 3, 3), np.nan)) is None


def test_slots_of_detectors() -> None:
    angles = np.stack([_linear((3, 3)), np.full((2, 3, 3), np.nan)])
    views, flags = whole_views({"B02": angles, "B03": angles * np.nan}, (6, 7), (3, 3))
    assert views["B02"].shape == (3, 2, 3, 3)
    for slot in views["B02"]:
        np.testing.assert_allclose(slot, angles[0], atol=1e-9)
    assert not views["B03"].any()
    assert flags == ("no viewing angles of B03: nadir assumed",)


def _conditions() -> Conditions:
    sun = np.stack([np.full((3, 3), 30.0), np.full((3, 3), 150.0)])
    views = {"B02": np.stack([_linear((3, 3))] * 2)}
    y, x = np.indices((3, 3)).astype(float)
    return Conditions("S2A", 60.0, (6,), sun, views, 10 + x, 50 - y, 2 + x, 1000 + y, 300 + x)


def test_sampled_equals_gridded() -> None:
    c = _conditions()
    rows, columns = np.array([0, 80, 165]), np.array([3, 90, 120])
    found = c.sample("B02", rows, columns, np.array([1, 0, 1]))
    lon, lat = c.places(80, 90, (1, 1))
    at = c.positions(80, 1), c.positions(90, 1)
    np.testing.assert_allclose(found["pressure"][1], between_nodes(c.pressure, *at)[0, 0], rtol=1e-14)
    np.testing.assert_allclose([lon[0, 0], lat[0, 0]], [10 + 90.5 * 60 / 5000, 50 - 80.5 * 60 / 5000])
    np.testing.assert_allclose(found["sun_zenith"], 30)
    east = between_nodes(tangents(c.views["B02"][0])[0], *at)[0, 0]
    north = between_nodes(tangents(c.views["B02"][0])[1], *at)[0, 0]
    np.testing.assert_allclose(found["view_zenith"][1], np.degrees(np.arctan(np.hypot(east, north))))
    assert c.slots(np.array([[0, 6, 7]], np.uint8)).tolist() == [[0, 1, 0]]


def test_the_same_between_boxes_as_between_nodes() -> None:
    c = _conditions()
    boxes = replace(c, aot=0.1 * c.water_vapour).at_boxes(50, (3, 3))
    rows, columns = c.positions(25, 100), c.positions(25, 100)
    own = boxes.positions(25, 100)
    np.testing.assert_allclose(own[[0, -1]], [0.01, 1.99])
    for name in ("water_vapour", "pressure", "lon", "lat"):
        ours, theirs = (between_nodes(getattr(x, name), *at) for x, at in ((boxes, (own, own)), (c, (rows, columns))))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for k in (0, 1):
        ours = between_nodes(tangents(boxes.views["B02"][1])[k], own, own)
        np.testing.assert_allclose(ours, between_nodes(tangents(c.views["B02"][1])[k], rows, columns), atol=1e-12)
    assert boxes.aot is not None
    np.testing.assert_allclose(boxes.aot, 0.1 * boxes.water_vapour)
    assert boxes.aot_height is None


def test_windows_with_a_margin() -> None:
    whole = (20, 30)
    cells = Window(60, slice(0, 8), slice(10, 30))
    wider = cells.wider(1, whole)
    assert (wider.rows, wider.columns, wider.origin) == (slice(0, 9), slice(9, 30), (0, 9))
    assert cells.inside(wider) == (slice(0, 8), slice(1, 21))
    with pytest.raises(ConfigurationError, match="cuts a 60 m cell"):
        Window(20, slice(1, 4), slice(0, 3))


def test_around_a_mask() -> None:
    mask = np.random.default_rng(2).random((23, 17)) < 0.03
    expected = np.zeros(mask.shape, np.bool_)
    for i, j in zip(*np.nonzero(mask), strict=True):
        expected[max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3] = True
    np.testing.assert_array_equal(around(mask, 2), expected)


def test_means_over_cells() -> None:
    image = np.arange(35, dtype=np.float32).reshape(5, 7) / 10
    image[0, 0], image[4, 6] = np.nan, 6.4535
    out = cell_means(image, 2)
    assert out.shape == (3, 4)
    assert np.isnan(out[0, 0])
    assert np.isinf(out[2, 3])
    np.testing.assert_allclose(out[1, 1], image[2:4, 2:4].mean(), rtol=1e-6)
    np.testing.assert_allclose(out[2, 1], image[4, 2:4].mean(), rtol=1e-6)
    bits = np.zeros((4, 4), np.uint8)
    bits[0, 1], bits[1, 0] = 1, 128
    assert cell_union(bits, 2).tolist() == [[129, 0], [0, 0]]
    np.testing.assert_array_equal(repeat(np.arange(4).reshape(2, 2), 3, 5, 4)[4], [2, 2, 2, 3])


def test_coefficients_are_linear_in_place_and_bent_in_height() -> None:
    k, i, j = np.indices((3, 4, 5)).astype(float)
    table = np.stack([np.stack([2 * k + 3 * i - j, j * i], axis=-1), np.zeros((3, 4, 5, 2))])
    rows, columns = np.array([0.25, 2.5]), np.array([0.5, 3.75, 9.0])
    elevation = np.array([[0, 250, 500], [-900, 750, 5000]], np.float32)
    slot = np.array([[0, 0, 0], [0, 1, 0]], np.uint8)
    out = np.empty((2, 3, 2))
    cell_coefficients(table, 0.0, 500.0, rows, columns, slot, elevation, out)
    x, y = np.minimum(columns, 4.0)[None, :], rows[:, None]
    z = np.clip(elevation / 500.0, 0, 2)
    z += BOW * (z % 1) * (1 - z % 1)
    expected = np.stack([2 * z + 3 * y - x, x * y + 0 * z], axis=-1)
    expected[1, 1] = 0
    np.testing.assert_allclose(out, expected, atol=1e-12)
    row, column = (np.ascontiguousarray(a.ravel()) for a in np.broadcast_arrays(rows[:, None], columns))
    scattered = np.empty((6, 2))
    scattered_coefficients(table, 0.0, 500.0, row, column, slot.ravel(), elevation.ravel(), scattered)
    np.testing.assert_allclose(scattered, out.reshape(6, 2), atol=1e-12)
