"""Measured quality of L1C: what is put into images comes out of their indicators, at the right size, and only that."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2dask.l1c.seam_indicator import level_record, seam_record, take_levels, take_steps
from s2dask.l1c.shift_indicator import median_shift, own_share, patch_corners
from s2dask.l1c.tile_indicator import BlockIndicators, between_record, cover_record, deviations, tile_indicators
from s2dask.qc.records import combine

SIZE, CELL = 480, 240
RNG = np.random.default_rng(5)
Image = NDArray[np.float64]


def texture(size: int = SIZE, grain: float = 1.5) -> Image:
    """Return ground of reflectance 0.2 with structure of a few pixels, periodic."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    waves = np.fft.fft2(RNG.normal(size=(size, size))) * np.exp(-2 * (np.pi * grain * f) ** 2)
    image = np.fft.ifft2(waves).real
    return 2000 + 300 * image / image.std()


def moved(image: Image, down: float, right: float) -> Image:
    """Return an image that lies elsewhere by a fraction of a pixel."""
    y, x = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None, :]
    return np.asarray(np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (y * down + x * right))).real)


def coded(image: Image, noise: float = 10.0) -> NDArray[np.uint16]:
    """Return an image as counts of 1e-4 with an offset."""
    return np.round(image + 1000 + RNG.normal(0, noise, image.shape)).clip(1, 65534).astype(np.uint16)


GROUND = texture()
ONE = np.full((SIZE, SIZE), 5, np.uint8)


def blocks_of(
    images: dict[str, NDArray[np.uint16]], footprint: NDArray[np.uint8], edges: Sequence[int], resolution: int = 10
) -> dict[str, float]:
    """Return the combined record of the blocks between edges along both axes."""
    records = []
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            at = (slice(top, bottom), slice(left, right))
            block = BlockIndicators(resolution, (top, left), footprint.shape, CELL)
            for name, image in images.items():
                block.see(name, image[at], footprint[at])
            records.append(block.record())
    return combine(records)


@settings(max_examples=6, deadline=None)
@given(down=st.floats(-2.0, 2.0), right=st.floats(-2.0, 2.0))
def test_a_shift_between_bands_is_told_to_a_fiftieth_of_a_pixel(down: float, right: float) -> None:
    images = {"B02": coded(0.5 * moved(GROUND, down, right) + 300), "B04": coded(GROUND), "B03": coded(GROUND)}
    found = tile_indicators(blocks_of(images, ONE, (0, SIZE)))
    assert found["b02.band_shift_y"] == pytest.approx(down, abs=0.02 + 0.015 * abs(down))
    assert found["b02.band_shift_x"] == pytest.approx(right, abs=0.02 + 0.015 * abs(right))
    assert found["b03.band_shift"] < 0.02
    assert found["band_shift"] == max(found["b02.band_shift"], found["b03.band_shift"])


def test_opposite_contrast_and_one_patch_under_a_cloud_do_not_matter() -> None:
    other = moved(6000 - 2 * GROUND, 0.4, 0.0)
    other[:120, :120] = texture(120)
    found = tile_indicators(blocks_of({"B08": coded(other), "B04": coded(GROUND)}, ONE, (0, SIZE)))
    assert found["b08.band_shift_y"] == pytest.approx(0.4, abs=0.03)
    assert found["b08.band_shift_patches"] >= 30


def test_patches_under_cloud_do_not_count() -> None:
    red, other = (image[:240, :240].copy() for image in (GROUND, moved(GROUND, 0.1, 0.0)))
    # six of nine patches of a cell have a cloud that lies two pixels off in the other band
    clouds = texture()[:240, :170]
    red[:, :170], other[:, :170] = clouds, np.roll(clouds, 2, axis=0)
    record = blocks_of({"B08": coded(other), "B04": coded(red)}, ONE[:240, :240], (0, 240))
    assert tile_indicators(dict(record))["b08.band_shift_y"] > 1.0
    cloudy, lattice = np.zeros((40, 40), bool), {10: ((240, 240), CELL)}
    cloudy[:, :28] = True
    whole = cover_record(cloudy, (0, 0), lattice)
    assert combine([cover_record(cloudy[:20], (0, 0), lattice), cover_record(cloudy[20:], (20, 0), lattice)]) == whole
    record |= whole
    assert tile_indicators(record)["b08.band_shift_y"] == pytest.approx(0.1, abs=0.04)
    assert record == {key: value for key, value in record.items() if "level" in key}


def test_patches_that_overlap_count_as_fewer() -> None:
    assert own_share((10_980, 10_980), 3660, 64) == 1.0
    assert own_share((180, 180), 90, 64) == pytest.approx((30 / 64) ** 2)
    apart = np.array([[0.0, 0.0], [0.2, 0.2], [-0.2, -0.2], [0.1, -0.1], [-0.1, 0.1]])
    assert median_shift(apart) is not None
    assert median_shift(apart, share=0.3) is None


def test_no_shift_is_told_of_what_has_no_structure_or_no_data() -> None:
    flat, holed = np.full((SIZE, SIZE), 2000.0), coded(GROUND)
    holed[::40] = 0
    found = tile_indicators(blocks_of({"B02": coded(flat), "B03": holed, "B04": coded(GROUND)}, ONE, (0, SIZE)))
    assert not any("shift" in name for name in found)


def test_bands_of_different_resolution() -> None:
    coarse = GROUND[:120, :120]
    red, near = (image.astype(np.float32) / 1e4 for image in (coarse, moved(GROUND, 0.0, 0.5)[:120, :120]))
    record = between_record({"B04": red, "B8A": near}, (0, 0), (120, 120), 60)
    # half a pixel of 60 m is one and a half of 20 m
    assert tile_indicators(dict(record))["b8a.cross_shift_x"] == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("edges", [(0, 240, 480), (0, 60, 300, 480)])
def test_another_cut_adds_up_to_the_same(edges: tuple[int, ...]) -> None:
    footprint = ONE.copy()
    footprint[:, 200:] = 6
    images = {"B02": coded(moved(GROUND, 0.2, 0.1)), "B04": coded(GROUND)}
    whole, cut = (blocks_of(images, footprint, e) for e in ((0, SIZE), edges))
    if edges[1] == CELL:  # a cell of the lattice of patches
        assert cut == whole
    else:
        assert {k: v for k, v in cut.items() if "patch" not in k} == {
            k: v for k, v in whole.items() if "patch" not in k
        }
        assert cut.items() <= whole.items()


def test_patches_of_a_tile_lie_in_blocks_of_production() -> None:
    corners = patch_corners((10_980, 10_980), 3660, 64)
    assert len(corners) == 81
    assert all(at // 3660 == (at + 63) // 3660 for corner in corners for at in corner)
    assert patch_corners((100, 300), 60, 64) == []


@pytest.mark.parametrize("step", [0.0, 0.03, -0.05])
def test_the_step_between_detectors_has_its_size_and_sign(step: float) -> None:
    image, footprint = 1900 + texture() / 20, ONE.copy()
    seam = 200 + np.arange(SIZE)[:, None] // 20
    right = np.arange(SIZE)[None, :] >= seam
    footprint[right] = 6
    record = seam_record(coded(np.where(right, image * (1 + step), image)), footprint, 10, (0, 0), "b04")
    found = take_steps(record, "b04")
    (detector, (told, error)), *others = found.items()
    assert (detector, others) == (5, [])
    assert told == pytest.approx(200 * step / (2 + step), abs=0.4)
    assert error < 0.4
    assert record == {}
    # from the lower to the higher number, whichever lies to the east
    mirrored = seam_record(
        coded(np.where(right, image * (1 + step), image))[:, ::-1].copy(), footprint[:, ::-1].copy(), 10, (0, 0), "b04"
    )
    assert take_steps(mirrored, "b04")[5][0] == pytest.approx(told, abs=0.3)


def test_the_error_of_a_step_is_what_steps_err_over_fields() -> None:
    pulls = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        # fields of ten pixels on the average, from 0.05 to 0.35: every seventh row has an edge at the seam
        ends = np.sort(rng.integers(0, 960, (80, 2)), axis=0)
        y, x = np.mgrid[0:480, 0:60]
        fields = rng.uniform(500, 3500, (81, 81))
        image = fields[np.searchsorted(ends[:, 0], y), np.searchsorted(ends[:, 1], x + 8 * y // 5)]
        footprint = np.where(x >= 30, 6, 5).astype(np.uint8)
        counts = np.where(x >= 30, 1.02, 1.0) * image * rng.normal(1, 0.01, image.shape) + 1000
        step, error = take_steps(seam_record(counts.astype(np.uint16), footprint, 10, (0, 0), "b04"), "b04")[5]
        pulls.append((step - 1.98) / error)
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.2
    assert abs(np.mean(pulls)) < 0.4


def test_a_step_at_least_is_what_three_errors_leave() -> None:
    footprint = ONE.copy()
    footprint[:, 240 + 20 :] = 6
    image = np.where(footprint == 6, 1.08, 1.0) * (1900 + texture() / 20)
    found = tile_indicators(blocks_of({"B04": coded(image)}, footprint, (0, 240, 480)))
    step, error = found["d05.b04.detector_step"], found["d05.b04.detector_step_error"]
    assert step == found["detector_step"] == pytest.approx(7.7, abs=0.4)
    assert found["detector_step_least"] == pytest.approx(step - 3 * error, abs=1e-5)


def test_dark_ground_and_edges_of_the_landscape_tell_no_step() -> None:
    footprint = ONE.copy()
    footprint[:, 240 + 20 :] = 6
    dark, edge = np.full((SIZE, SIZE), 50.0), np.where(footprint == 6, 6000.0, 2000.0)
    assert seam_record(coded(dark), footprint, 10, (0, 0), "b12") == {}
    assert seam_record(coded(edge), footprint, 10, (0, 0), "b12") == {}


def test_the_darkest_pixels_tell_a_wrong_offset() -> None:
    scene = np.where(RNG.random((SIZE, SIZE)) < 0.1, 20.0, 2500.0)
    for offset in (-1000, 0, 1000):
        record = level_record(coded(scene + offset, 2.0), 10, (0, 0), "b10")
        darkest, negative = take_levels(record, "b10") or (np.nan, np.nan)
        assert darkest == pytest.approx((20 + max(offset, -1000)) / 1e4, abs=0.0051)
        assert (negative > 5) == (offset < 0)
        assert record == {}
    assert take_levels(level_record(np.zeros((SIZE, SIZE), np.uint16), 10, (0, 0), "b10"), "b10") is None


def test_holes_are_of_what_a_detector_looks_at() -> None:
    record = {"b04.pixels": 1000.0, "b04.unseen": 400.0, "b04.nodata": 412.0, "b03.pixels": 1000.0, "b03.nodata": 0.0}
    found = tile_indicators(record)
    assert (found["b04.footprint_holes"], found["b03.footprint_holes"], found["footprint_holes"]) == (2.0, 0.0, 2.0)


def test_irradiance_and_distance_of_the_sun_against_what_they_should_be() -> None:
    found = deviations({"B02": 1950.0, "B04": 1500.0}, {"B02": 1950.0, "B04": 1515.0}, 0.98, 1.0)
    assert found["solar_irradiance_deviation"] == pytest.approx(100 * 15 / 1515)
    assert found["reflectance_conversion_deviation"] == pytest.approx(2.0)
