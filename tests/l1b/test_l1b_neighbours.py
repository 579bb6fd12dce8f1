"""The steps that make a pixel from others of its band: defects, lost and staggered lines, binning."""

import numpy as np
import pytest
import radiometry_model as model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s2dask.auxdata.gipp_defect_filters import DefectFilter, DefectFilters
from s2dask.errors import ConfigurationError
from s2dask.l1b.binning import bin_columns, bin_quality, binning_kernel
from s2dask.l1b.defective_pixels import configured_taps, defects, flag_defective, only_flagged, replace_defective
from s2dask.l1b.missing_lines import fill_missing, flag_missing, neighbours
from s2dask.l1b.swir_rearrangement import arrangement_taps, rearrange, rearrange_quality

f4 = np.float32


def _binned(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    out = np.empty((image.shape[0], image.shape[1] // 3), f4)
    bin_columns(image, weights, 0, image.shape[0], out)
    return out


def _binned_bits(quality: np.ndarray, weights: np.ndarray) -> np.ndarray:
    out = np.empty((quality.shape[0], quality.shape[1] // 3), np.uint16)
    bin_quality(quality, weights, 0, quality.shape[0], 32, out)
    return out


@pytest.mark.row("IPF-15")
def test_defective_pixels_are_interpolated_and_flagged() -> None:
    table = defects([0, 5, 6, 19, -3, 25], 20)
    ramp = np.arange(20, dtype=f4)[None] * 3 + np.array([[7], [9]], f4)
    broken = ramp.copy()
    broken[:, [0, 5, 6, 19]] = 4095
    image = broken.copy()
    replace_defective(image, table)
    np.testing.assert_allclose(image[:, 1:19], ramp[:, 1:19], rtol=1e-6)
    np.testing.assert_array_equal(image[:, 0], ramp[:, 1])
    np.testing.assert_array_equal(image[:, 19], ramp[:, 18])
    quality = np.zeros((2, 20), np.uint16)
    quality[0, [5, 7]] = 128
    flag_defective(quality, table, 16)
    assert quality[1, [0, 5, 6, 19]].tolist() == [16] * 4
    # A stuck pixel's own saturation is replaced by that of its neighbours.
    assert quality[0, 4:8].tolist() == [0, 16 | 128, 16 | 128, 128]
    assert defects([], 20).column.size == 0
    with pytest.raises(ConfigurationError, match="every pixel"):
        defects(range(4), 4)


def test_a_filter_of_the_configuration_replaces_a_run_of_defects() -> None:
    # A cubic through two good columns on each side; only linear interpolation fits the run of one.
    cubic = np.array([[-1 / 5, 4 / 5, 8 / 15 + 0.0, -2 / 15], [-2 / 15, 8 / 15, 4 / 5, -1 / 5]])
    cubic /= cubic.sum(axis=1, keepdims=True)
    filters = DefectFilters("S2A", "R2DEFI", "B02", (DefectFilter(2, 2, 2, cubic),))
    table = defects([5, 6, 12, 19], 20, configured_taps(filters.of))
    x = np.arange(20.0)
    truth = (0.5 * (x - 5) ** 2 + 3 * x)[None]
    image = truth.astype(f4)
    image[:, [5, 6, 12, 19]] = 4095
    replace_defective(image, table)
    good = truth[0, [3, 4, 7, 8]]
    np.testing.assert_allclose(image[0, 5:7], cubic @ good, rtol=1e-6)
    assert image[0, 12] == pytest.approx((truth[0, 11] + truth[0, 13]) / 2)
    assert image[0, 19] == truth[0, 18]
    flat = np.full((1, 20), 777, f4)
    replace_defective(flat, table)
    assert (flat == 777).all()
    # Next to another defect there are too few good ones for the filter.
    near = defects([5, 6, 8], 20, configured_taps(filters.of))
    assert near.source[0].tolist()[:2] == [4, 7]
    quality = np.zeros((1, 20), np.uint16)
    quality[0, 3] = 128
    flag_defective(quality, table, 16)
    assert quality[0, [5, 6, 12]].tolist() == [144, 144, 16]
    kept = only_flagged(table)
    image[0, 5] = 4095
    replace_defective(image, kept)
    assert image[0, 5] == 4095
    bits = np.zeros((1, 20), np.uint16)
    flag_defective(bits, kept, 16)
    assert np.flatnonzero(bits[0]).tolist() == [5, 6, 12, 19]


def test_short_gaps_are_interpolated_long_ones_are_left() -> None:
    bad = np.zeros(20, bool)
    bad[[0, 4, 5, 9, 10, 11, 12, 18, 19]] = True
    lines = np.where(bad[:, None], f4(-999), (np.arange(20, dtype=f4) * 10)[:, None]) * np.ones(3, f4)
    image = lines.astype(f4)
    fill_missing(image, bad, 3)
    np.testing.assert_allclose(image[4:6, 0], [40, 50], rtol=1e-6)
    assert np.isnan(image[[0, 9, 10, 11, 12, 18, 19]]).all()
    np.testing.assert_array_equal(image[~bad], lines[~bad])
    quality = np.full((20, 3), 7, np.uint16)
    quality[3, 1], quality[6, 2] = 128, 64
    flag_missing(quality, bad, 3, 4, 32)
    assert quality[4].tolist() == [7 | 4, 128 | 7 | 4, 64 | 7 | 4]
    assert (quality[9] == 36).all()
    assert (quality[1] == 7).all()
    assert neighbours(bad, 4, 0) == (-1, -1)


@given(arrays(bool, st.integers(1, 40)), st.integers(0, 5), st.data())
def test_neighbours_by_their_definition_and_within_the_margin(
    bad: np.ndarray, longest: int, data: st.DataObject
) -> None:
    line = data.draw(st.integers(0, bad.size - 1))
    bad[line] = True
    before = [k for k in range(line) if not bad[k]]
    after = [k for k in range(line + 1, bad.size) if not bad[k]]
    fits = bool(before) and bool(after) and after[0] - before[-1] - 1 <= longest
    expected = (before[-1], after[0]) if fits else (-1, -1)
    assert neighbours(bad, line, longest) == expected
    low, high = max(0, line - longest), min(bad.size, line + longest + 1)
    found = neighbours(bad[low:high].copy(), line - low, longest)
    assert found == ((expected[0] - low, expected[1] - low) if fits else (-1, -1))


@pytest.mark.parametrize("name", ["B11", "B10"])
def test_staggered_lines_are_put_back(name: str) -> None:
    random = np.random.default_rng(6)
    shift = random.integers(-1, 2, 1276)
    line = np.arange(-2, 22)[:, None]
    ground = model.staggered(lambda at: 500 + 0.7 * at + 0.2 * at**2 + 0 * at, line, shift, name)
    image = ground.astype(f4)
    taps = arrangement_taps(shift, name)
    out = np.empty_like(image)
    rearrange(image, taps, 0, 24, out)
    wanted = 500 + 0.7 * line + 0.2 * line**2
    # Exact for whole lines; for the thirds of B10 the parabola is.
    assert np.abs(out[1:-1] - wanted[1:-1]).max() <= 2e-4
    still = shift == 0
    assert not np.isnan(out[:, still]).any()
    ends = (shift == 1, shift == -1) if name == "B11" else (~still, ~still)
    np.testing.assert_array_equal(np.isnan(out[0]), ends[0])
    np.testing.assert_array_equal(np.isnan(out[-1]), ends[1])
    quality = np.zeros((24, 1276), np.uint16)
    quality[7, :] = 128
    moved = np.empty_like(quality)
    rearrange_quality(quality, taps, 0, 24, 32, moved)
    np.testing.assert_array_equal(moved[0] == 32, ends[0])
    for at, reached in ((6, shift == -1), (7, still), (8, shift == 1)):
        expected = reached if name == "B11" else np.full(1276, True) if at == 7 else ~still
        np.testing.assert_array_equal(moved[at] == 128, expected)
    assert arrangement_taps(np.zeros(1276, int), name).shape == (3, 0)
    with pytest.raises(ConfigurationError, match="shift of 2 lines"):
        arrangement_taps([0, 2], name)


@pytest.mark.row("IPF-17")
@pytest.mark.parametrize("weights", [(1 / 3,) * 3, (0.02, 0.08, 0.24, 0.32, 0.24, 0.08, 0.02)])
def test_binning_conserves_flux(weights: tuple[float, ...]) -> None:
    taps = binning_kernel(weights, "B01")
    flat = _binned(np.full((2, 1276), 1234.5, f4), taps)
    assert flat.shape == (2, 425)
    np.testing.assert_allclose(flat, 1234.5, rtol=1e-6)
    random = np.random.default_rng(1)
    image = np.zeros((4, 1276), f4)
    image[:, 30:1245] = random.uniform(0, 4000, (4, 1215))
    binned = _binned(image, taps)
    # Over many pixels a filter of sum 1 whose three phases weigh alike keeps the sum; the mean of three does exactly.
    if len(weights) == 3:
        np.testing.assert_allclose(3 * binned.sum(axis=1, dtype=float), image.sum(axis=1, dtype=float), rtol=1e-6)
        np.testing.assert_allclose(binned, image[:, :1275].reshape(4, 425, 3).mean(axis=2), rtol=1e-5)


def test_binning_keeps_the_bits_of_every_pixel_that_enters() -> None:
    quality = np.zeros((1, 10), np.uint16)
    quality[0, [2, 3, 9]] = 16, 128, 64
    assert _binned_bits(quality, np.full((1, 3), 1 / 3, f4)).tolist() == [[16, 128, 0]]
    assert _binned_bits(quality, np.array([[0, 0, 1, 0, 0]], f4)).tolist() == [[0, 0, 0]]


@pytest.mark.row("IPF-17")
def test_a_kernel_of_three_lines_conserves_flux_and_passes_over_what_is_not_there() -> None:
    random = np.random.default_rng(4)
    one = np.array([0.25, 0.5, 0.25])[:, None] * np.array([0, 0, 1, 1, 1, 0, 0]) / 3
    taps = binning_kernel(one, "B10")
    image = np.zeros((12, 1276), f4)
    image[2:10, 3:1270] = random.uniform(0, 4000, (8, 1267))
    binned = _binned(image, taps)
    assert 3 * binned.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=1e-6)
    inner = image[:, :1275].reshape(12, 425, 3).mean(axis=2)
    np.testing.assert_allclose(binned[5], inner[4:7].T @ [0.25, 0.5, 0.25], rtol=1e-5)
    np.testing.assert_allclose(_binned(np.full((3, 1276), 1234.5, f4), taps), 1234.5, rtol=1e-6)
    # The middle line stands for a line beyond the strip and for one without data, and only for that one.
    image[4] = np.nan
    holed = _binned(image, taps)
    np.testing.assert_allclose(holed[5], inner[5] * 0.75 + inner[6] * 0.25, rtol=1e-5)
    assert np.isnan(holed[4]).all()
    assert not np.isnan(np.delete(holed, 4, axis=0)).any()
    bits = np.zeros((4, 1276), np.uint16)
    bits[1], bits[3] = 32 | 4, 128
    assert _binned_bits(bits, taps)[:, 0].tolist() == [0, 36, 128, 128]
    only_middle = binning_kernel(np.pad([[0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0]], ((1, 1), (0, 0))), "B10")
    assert only_middle.shape == (1, 3)
    with pytest.raises(ConfigurationError, match=r"R2BINN: binning filter \(3, 7\) of sum 0.9 for B10"):
        binning_kernel(one * 0.9, "B10")
