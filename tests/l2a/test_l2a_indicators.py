"""Measured quality of L2A: sums of the counts, and classes that contradict the ground they name."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.l2a.scene_class import CLOUD_HIGH, SHADOW, SNOW, SOIL, VEGETATION, WATER
from s2dask.l2a.scene_indicator import (
    COMPARED,
    REACH_CELLS,
    class_indicators,
    class_record,
    count_record,
    layer_record,
    middle_pixels,
    negative_shares,
)
from s2dask.qc.records import combine

# B03 B04 B8A B11
SPECTRA = {
    VEGETATION: (0.05, 0.03, 0.40, 0.15), SOIL: (0.12, 0.16, 0.28, 0.34), WATER: (0.03, 0.01, 0.002, 0.001),
    SNOW: (0.9, 0.9, 0.85, 0.07), SHADOW: (0.02, 0.02, 0.1, 0.05), CLOUD_HIGH: (0.7, 0.7, 0.7, 0.4),
}  # fmt: skip
RNG = np.random.default_rng(2)
Images = dict[str, NDArray[np.uint16]]


def scene(classes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Images, NDArray[np.uint16]]:
    """Return classes on pixels of 20 m, the images that belong to them, and clear air."""
    scl = np.repeat(np.repeat(classes, 3, 0), 3, 1)
    images = {name: np.full(scl.shape, 1000, np.uint16) for name in COMPARED}
    for c, values in SPECTRA.items():
        for name, rho in zip(COMPARED, values, strict=True):
            images[name][scl == c] = round(1000 + 1e4 * rho)
    return scl, images, np.full(scl.shape, 150, np.uint16)


def measured(scl: NDArray[np.uint8], images: Images, aot: NDArray[np.uint16], *edges: int) -> dict[str, float]:
    """Return the indicators of a scene, cut at some rows."""
    records = []
    for first, last in zip((0, *edges), (*edges, scl.shape[0]), strict=True):
        part = slice(first, last)
        middle = {name: middle_pixels(image[part]) for name, image in images.items()}
        records.append(class_record(scl[part], middle, aot[part], (first, 0)))
    return class_indicators(combine(records))


def test_sums_are_those_of_numpy() -> None:
    counts = RNG.integers(0, 65536, (300, 200)).astype(np.uint16)
    counts[:50], counts[50:60] = 0, 65535
    there = counts[(counts > 0) & (counts < 65535)].astype(np.int64)
    record = count_record(counts, "r10m.b02")
    assert record == {
        "r10m.b02.pixels": 60_000, "r10m.b02.valid": there.size, "r10m.b02.sum": there.sum(),
        "r10m.b02.negative": (there < 1000).sum(), "r10m.b02.value_min": there.min(), "r10m.b02.value_max": there.max(),
    }  # fmt: skip
    assert combine([count_record(counts[:77], "r10m.b02"), count_record(counts[77:], "r10m.b02")]) == record
    assert "aot.negative" not in layer_record(counts, "aot")
    assert "b.value_min" not in count_record(np.zeros((4, 4), np.uint16), "b")


def test_the_share_of_negative_reflectance_is_of_the_pixels_with_data() -> None:
    counts = np.full((10, 10), 1200, np.uint16)
    counts[0], counts[1, :9] = 0, 990
    found = negative_shares(count_record(counts, "r10m.b02") | count_record(counts, "r20m.b02"))
    assert found == {"b02.negative_percentage": 10.0, "negative_percentage": 10.0}
    assert negative_shares({}) == {}


def test_classes_that_agree_with_their_ground_do_not_contradict() -> None:
    classes = np.full((60, 40), VEGETATION, np.uint8)
    classes[:20], classes[20:30], classes[30:34], classes[34:36], classes[36:38] = SOIL, WATER, SNOW, CLOUD_HIGH, SHADOW
    found = measured(*scene(classes))
    assert found["scl_inconsistent"] == 0.0
    assert found["scl_fragmented"] == 0.0


@pytest.mark.parametrize(
    ("wrong", "ground", "rule"),
    [(VEGETATION, SOIL, None), (VEGETATION, WATER, "vegetation"), (SOIL, VEGETATION, "soil"),
     (WATER, VEGETATION, "water"), (SNOW, SOIL, "snow")],
)  # fmt: skip
def test_a_class_on_the_wrong_ground_is_counted(wrong: int, ground: int, rule: str | None) -> None:
    scl, images, aot = scene(np.full((50, 40), ground, np.uint8))
    scl[:60] = wrong
    found = measured(scl, images, aot)
    expected = 40.0 if rule else 0.0  # young leaves and soil are much alike
    assert found["scl_inconsistent"] == pytest.approx(expected)
    if rule:
        assert found[f"scl_inconsistent_{rule}"] == pytest.approx(expected)


def test_snow_under_thick_aerosol_is_doubted() -> None:
    scl, images, aot = scene(np.full((50, 40), SNOW, np.uint8))
    aot[:30] = 900
    assert measured(scl, images, aot)["scl_inconsistent_hazy_snow"] == pytest.approx(20.0)


def test_a_shadow_needs_a_cloud_within_reach() -> None:
    classes = np.full((5 * REACH_CELLS, 30), SOIL, np.uint8)
    classes[10:20], classes[60:70] = SHADOW, CLOUD_HIGH
    near = measured(*scene(classes))
    assert near["scl_inconsistent_shadow"] == 0.0
    classes[60:70], classes[-10:] = SOIL, CLOUD_HIGH
    far = measured(*scene(classes))
    assert far["scl_inconsistent_shadow"] == pytest.approx(100.0 * 10 / (5 * REACH_CELLS - 10))


def test_scattered_classes_are_fragmented() -> None:
    scl, images, aot = scene(np.full((40, 40), SOIL, np.uint8))
    scl[:, ::2] = VEGETATION
    assert measured(scl, images, aot)["scl_fragmented"] == 100.0


def test_another_cut_adds_up_to_the_same_classes() -> None:
    scl, images, aot = scene(RNG.choice(np.array(list(SPECTRA), np.uint8), (250, 30)))
    assert measured(scl, images, aot, 60, 330) == measured(scl, images, aot)


def test_a_tile_without_clear_pixels_has_nothing_to_compare() -> None:
    assert measured(*scene(np.zeros((20, 20), np.uint8))) == {}
