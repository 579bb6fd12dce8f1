"""The cloud masks of L1C by the mission's parameters: thresholds, erosion and dilation, what prevails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from s2dask.errors import ConfigurationError
from s2dask.l1c.classification import CIRRUS, OPAQUE, SNOW
from s2dask.l1c.cloud_rule import CloudRule, classify_by_rule, dilate, erode

RULE = CloudRule("B01", 0.2, 0.01, "B11", 0.15, 0, 0)
SHAPE = (12, 14)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 5, 9]), st.floats(0.05, 0.95))
def test_erosion_and_dilation_are_those_of_scipy(seed: int, size: int, share: float) -> None:
    mask = np.random.default_rng(seed).random(SHAPE) < share
    edge = max(size, 1)
    np.testing.assert_array_equal(dilate(mask, size), maximum_filter(mask, edge, mode="nearest"))
    np.testing.assert_array_equal(erode(mask, size), minimum_filter(mask, edge, mode="nearest"))


def _scene(**levels: float) -> dict[str, NDArray[np.float32]]:
    usual = {"B01": 0.1, "B03": 0.1, "B04": 0.1, "B8A": 0.3, "B10": 0.001, "B11": 0.2}
    return {name: np.full(SHAPE, value, np.float32) for name, value in (usual | levels).items()}


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        ({}, 0),
        ({"B01": 0.4, "B11": 0.3}, OPAQUE),
        ({"B10": 0.02}, CIRRUS),
        ({"B01": 0.4, "B11": 0.3, "B10": 0.02}, OPAQUE),
        ({"B01": 0.6, "B03": 0.6, "B8A": 0.5, "B11": 0.05}, SNOW),
    ],
)
@pytest.mark.row("IPF-31")
def test_each_kind_is_what_it_is(levels: dict[str, float], found: int) -> None:
    assert (classify_by_rule(_scene(**levels), SHAPE, RULE) == found).all()


def test_single_pixels_go_and_the_rest_grows() -> None:
    scene = _scene()
    scene["B01"][2, 2] = scene["B01"][5:9, 6:10] = 0.5
    scene["B10"][:, :3] = 0.05
    classes = classify_by_rule(scene, SHAPE, CloudRule("B01", 0.2, 0.01, "B11", 0.15, 3, 5))
    opaque = np.zeros(SHAPE, bool)
    opaque[4:10, 5:11] = True  # eroded to 2 x 2, grown by two pixels
    np.testing.assert_array_equal(classes == OPAQUE, opaque)
    assert (classes[:, :2] == CIRRUS).all()


def test_no_data_is_no_cloud_and_a_missing_band_says_nothing() -> None:
    scene = _scene(B01=0.5, B11=0.5)
    for values in scene.values():
        values[:, :4] = np.nan
    classes = classify_by_rule(scene, SHAPE, CloudRule("B01", 0.2, 0.01, "B11", 0.15, 0, 3))
    assert (classes[:, :4] == 0).all()
    assert (classes[:, 4:] == OPAQUE).all()
    assert (classify_by_rule({"B03": scene["B03"]}, SHAPE, RULE) == 0).all()


@pytest.mark.parametrize("changes", [{"blue": 0.0}, {"cirrus": 3.0}, {"erosion": -1}, {"dilation": 1000}])
def test_what_makes_no_sense_is_refused(changes: dict[str, float]) -> None:
    values = {"blue": 0.2, "cirrus": 0.01, "swir": 0.15, "erosion": 1, "dilation": 1} | changes
    with pytest.raises(ConfigurationError, match="cloud mask"):
        CloudRule(blue_band="B01", swir_band="B11", **values)  # type: ignore[arg-type]
