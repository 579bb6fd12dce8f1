"""SWIR lines put back where they look, against lines staggered in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l1a_model import THIRD, staggered

from s2dask.instrument.quality import ANC_LOST, DETECTOR_SHIFT, MSI_DEGRADED, MSI_LOST, NODATA, SATURATED
from s2dask.l1a.rearrangement import MARGIN, arrangement_taps, rearrange
from s2dask.l1b import swir_rearrangement

DETECTOR = 7 << DETECTOR_SHIFT


def _shift(columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, columns).astype(np.int8)


def _quality(shape: tuple[int, int]) -> np.ndarray:
    return np.full(shape, DETECTOR, np.uint16)


@pytest.mark.row("IPF-10")
def test_staggered_lines_come_back_bit_by_bit() -> None:
    ground = np.random.default_rng(1).integers(1, 4096, (60, 200)).astype(np.uint16)
    shift = _shift(200)
    counts, quality = rearrange(staggered(ground, shift), _quality(ground.shape), arrangement_taps(shift, None), 0, 60)
    np.testing.assert_array_equal(counts[1:-1], ground[1:-1])
    assert (quality[1:-1] == DETECTOR).all()
    # beyond the ends there is nothing: a column needs the line before if its shift is 1, the next if it is -1
    np.testing.assert_array_equal(quality[0] == DETECTOR | NODATA, shift == 1)
    np.testing.assert_array_equal(quality[-1] == DETECTOR | NODATA, shift == -1)
    assert not counts[quality == DETECTOR | NODATA].any()


@pytest.mark.row("IPF-10")
def test_thirds_of_a_line_come_back_to_half_a_count_where_the_ground_is_a_parabola() -> None:
    shift = _shift(90)

    def ground(line: np.ndarray) -> np.ndarray:
        return np.asarray(900 + 31.0 * line - 0.4 * line**2)

    line = np.arange(40.0)[:, np.newaxis]
    lines = np.rint(ground(line + shift / 3)).astype(np.uint16)
    counts, _ = rearrange(lines, _quality(lines.shape), arrangement_taps(shift, THIRD), 0, 40)
    # the input is rounded too, and the absolute weights add up to 11/9
    assert np.abs(counts[1:-1] - ground(line)[1:-1]).max() <= 0.5 * 11 / 9 + 0.5 + 1e-3


@pytest.mark.row("IPF-10")
@settings(max_examples=50, deadline=None)
@given(cut=st.integers(1, 39), third=st.sampled_from([None, THIRD]), seed=st.integers(0, 9))
def test_pieces_with_their_margin_give_the_whole(cut: int, third: np.ndarray | None, seed: int) -> None:
    lines = np.random.default_rng(seed).integers(0, 4096, (40, 30)).astype(np.uint16)
    bits = np.array([0, MSI_DEGRADED, SATURATED], np.uint16)
    quality = _quality(lines.shape) | np.random.default_rng(seed + 1).choice(bits, lines.shape)
    taps = arrangement_taps(_shift(30, seed), third)
    whole = rearrange(lines, quality, taps, 0, 40)
    end = min(cut + MARGIN, 40)
    first = rearrange(lines[:end], quality[:end], taps, 0, cut)
    begin = cut - MARGIN
    last = rearrange(lines[begin:], quality[begin:], taps, MARGIN, 40 - begin)
    for k in range(2):
        np.testing.assert_array_equal(np.concatenate([first[k], last[k]]), whole[k])


def test_a_pixel_has_the_flags_of_all_that_it_is_made_of() -> None:
    lines = np.full((5, 3), 1000, np.uint16)
    quality = _quality(lines.shape)
    quality[2] |= MSI_LOST | NODATA
    quality[0] |= SATURATED
    quality[4] |= ANC_LOST
    taps = arrangement_taps(np.array([1, 0, -1], np.int8), None)
    counts, found = rearrange(lines, quality, taps, 1, 4)
    lost = DETECTOR | MSI_LOST | NODATA
    np.testing.assert_array_equal(
        found,
        [[DETECTOR | SATURATED, DETECTOR, lost], [DETECTOR, lost, DETECTOR], [lost, DETECTOR, DETECTOR | ANC_LOST]],
    )
    np.testing.assert_array_equal(counts == 0, (found & NODATA) != 0)
    thirds = rearrange(lines, quality, arrangement_taps(np.array([1, 0, -1], np.int8), THIRD), 1, 4)[1]
    np.testing.assert_array_equal((thirds & NODATA) != 0, [[1, 0, 1], [1, 1, 1], [1, 0, 1]])


@pytest.mark.parametrize("name", ["B10", "B11"])
def test_level_1b_means_the_same(name: str) -> None:
    """The two levels share no code; in single precision before rounding they say the same."""
    shift = _shift(64)
    third = THIRD if name == "B10" else None
    lines = np.random.default_rng(4).integers(300, 3000, (32, 64)).astype(np.uint16)
    ours, _ = rearrange(lines, _quality(lines.shape), arrangement_taps(shift, third), 1, 31)
    taps = swir_rearrangement.arrangement_taps(shift, name)
    theirs = np.empty((30, 64), np.float32)
    swir_rearrangement.rearrange(lines.astype(np.float32), taps, 1, 31, theirs)
    assert np.abs(ours - theirs).max() <= 0.501
    if name == "B11":
        np.testing.assert_array_equal(ours, theirs)
