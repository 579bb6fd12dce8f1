"""Each step of the radiometric correction against its own forward model in plain NumPy."""

import numpy as np
import pytest
import radiometry_model as model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s2dask.errors import ConfigurationError
from s2dask.instrument import band
from s2dask.l1b.binning import bin_columns, bin_quality
from s2dask.l1b.blind_pixels import remove_line_offset
from s2dask.l1b.coding import code, radiance, raw_saturation
from s2dask.l1b.crosstalk import flag_leak, remove_leak
from s2dask.l1b.dark_signal import remove_dark_signal
from s2dask.l1b.defective_pixels import defects, flag_defective, replace_defective
from s2dask.l1b.missing_lines import fill_missing, flag_missing, neighbours
from s2dask.l1b.relative_response import BILINEAR, CUBIC, equalise
from s2dask.l1b.statistics import band_statistics

f4 = np.float32


def _model(name: str) -> tuple[model.Pixels, int, np.ndarray]:
    p = model.pixels(name)
    return p, CUBIC if p.cubic else BILINEAR, p.response[:, model.useful(name)].astype(f4)


@pytest.mark.row("IPF-12")
@pytest.mark.parametrize("name", ["B02", "B8A", "B01", "B12"])
@pytest.mark.parametrize("first_line", [0, 4])
def test_the_dark_signal_of_every_chronogram_phase_is_removed(name: str, first_line: int) -> None:
    p = model.pixels(name)
    raw = model.raw_counts(np.zeros((60, band(name).useful_columns)), p, first_line=first_line)
    left = remove_dark_signal(raw, p.dark.astype(f4), first_line)
    assert left.shape == raw.shape
    assert np.abs(left).max() <= 0.5 + 1e-3
    # Rounding of the converter is all that is left: its mean over the pixels of a line is far below 0.1 LSB.
    assert np.abs(left.mean(axis=1)).max() <= 0.1
    if band(name).chronogram_lines > 1:
        wrong = remove_dark_signal(raw, p.dark.astype(f4), first_line + 1)
        assert np.abs(wrong).max() > 1


@pytest.mark.row("IPF-12")
@pytest.mark.parametrize("name", ["B02", "B11"])
def test_the_blind_pixels_give_the_offset_of_the_line(name: str) -> None:
    b, p = band(name), model.pixels(name)
    offset = 12 * np.sin(np.arange(200) / 9.0)
    y = model.scene(name, 200)
    raw = model.raw_counts(y, p, offset)
    dark_free = remove_dark_signal(raw, p.dark.astype(f4), 0)
    image = remove_line_offset(dark_free, np.array(b.blind_columns), b.blind, b.useful_columns)
    residual = image - y
    assert image.shape == y.shape
    assert np.abs(residual.mean()) <= 0.1
    assert np.abs(residual.mean(axis=1)).max() <= 0.5
    without = dark_free[:, model.useful(name)] - y
    assert np.abs(without.mean(axis=1)).max() > 10


@pytest.mark.row("IPF-13")
@pytest.mark.parametrize("name", ["B02", "B05", "B09", "B10", "B11"])
def test_a_flat_scene_is_flat_after_equalisation(name: str) -> None:
    p, kind, coefficients = _model(name)
    for level in (50.0, 500.0, 800.0, 2500.0):
        z = np.full((3, band(name).useful_columns), level)
        y = model.unequalised(z, p, model.useful(name))
        image = equalise(y.astype(f4), kind, coefficients)
        assert np.abs(image - z).max() <= 0.5
        assert image[0].std() / level <= 1e-3 < y[0].std() / level


@given(st.floats(0, 4000), st.floats(0.9, 1.1), st.floats(0.9, 1.1), st.floats(100, 3000))
def test_the_bilinear_response_is_continuous_and_its_own_inverse(y: float, a1: float, a2: float, zs: float) -> None:
    coefficients = np.array([[a1] * 2, [a2] * 2, [zs] * 2], f4)
    z = equalise(np.array([[y, zs]], f4), BILINEAR, coefficients)[0]
    expected = a1 * y if y <= zs else a2 * y + (a1 - a2) * zs
    assert z[0] == pytest.approx(expected, abs=2e-3)
    assert z[1] == pytest.approx(a1 * zs, abs=2e-3)


@pytest.mark.row("IPF-14")
def test_injected_crosstalk_shrinks_at_least_ten_times() -> None:
    clean = {
        "B10": model.scene("B10", 20, high=400),
        "B11": model.scene("B11", 60, seed=3),
        "B12": model.scene("B12", 60, seed=4),
    }
    dirty = model.disturbed(clean)
    for (victim, source), coefficient in model.CROSSTALK.items():
        one = dict(clean)
        injected = coefficient * model.leak(victim, source, clean[source], clean[victim].shape[0])
        one[victim] = clean[victim] + injected
        rest = _without(victim, source, coefficient, one) - clean[victim]
        assert np.abs(rest).max() <= np.abs(injected).max() / 10 + 2e-4
    for victim, wanted in clean.items():
        image = dirty[victim].astype(f4)
        for (name, source), coefficient in model.CROSSTALK.items():
            if name == victim:
                image = _without(victim, source, coefficient, dirty | {victim: image})
        before = np.abs(dirty[victim] - wanted).max()
        assert np.abs(image - wanted).max() <= before / 10


def _without(victim: str, source: str, coefficient: float, images: dict[str, np.ndarray]) -> np.ndarray:
    lines, other = images[victim].astype(f4), images[source].astype(f4)
    good = np.zeros(other.shape[0], bool)
    return remove_leak(lines, 0, band(victim).line_factor, other, good, 0, band(source).line_factor, coefficient)


def test_crosstalk_pairs_lines_by_time_and_flags_what_it_lacks() -> None:
    source = np.arange(12, dtype=f4)[:, None] * np.ones(4, f4)
    bad = np.zeros(12, bool)
    bad[[4, 6, 7, 8]] = True
    image = np.full((3, 4), 100, f4)
    # B10 lines 2..4 with B11 lines 6..17, of which 6..17 - 6 = 0..11 are at hand.
    out = remove_leak(image, 2, 6, source, bad, 6, 2, 0.1)
    np.testing.assert_allclose(out[:, 0], [100 - 0.1 * 1, 100 - 0.1 * 4, 100], rtol=1e-6)
    saturated = np.zeros((12, 4), np.uint16)
    saturated[1, 3] = 128
    quality = np.zeros((3, 4), np.uint16)
    flag_leak(quality, 2, 6, saturated, bad, 6, 2, 128, 64)
    assert quality.tolist() == [[0, 0, 0, 64], [64] * 4, [64] * 4]
    beyond = np.zeros((1, 4), np.uint16)
    flag_leak(beyond, 9, 6, saturated, bad, 6, 2, 128, 64)
    assert (beyond == 64).all()
    np.testing.assert_array_equal(remove_leak(image[:1], 9, 6, source, bad, 6, 2, 0.1), image[:1])
    # B11 lines 7..9 with B10 lines 2, 2 and 3.
    out = remove_leak(image, 7, 2, source, np.zeros(12, bool), 0, 6, 1.0)
    assert out[:, 0].tolist() == [98, 98, 97]


@pytest.mark.row("IPF-15")
def test_defective_pixels_are_interpolated_and_flagged() -> None:
    table = defects([0, 5, 6, 19, -3, 25], 20)
    ramp = np.arange(20, dtype=f4)[None] * 3 + np.array([[7], [9]], f4)
    broken = ramp.copy()
    broken[:, [0, 5, 6, 19]] = 4095
    image = replace_defective(broken, table)
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


def test_short_gaps_are_interpolated_long_ones_are_left() -> None:
    bad = np.zeros(20, bool)
    bad[[0, 4, 5, 9, 10, 11, 12, 18, 19]] = True
    lines = np.where(bad[:, None], f4(-999), (np.arange(20, dtype=f4) * 10)[:, None]) * np.ones(3, f4)
    image = fill_missing(lines.astype(f4), bad, 3)
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


@pytest.mark.row("IPF-17")
@pytest.mark.parametrize("weights", [(1 / 3,) * 3, (0.02, 0.08, 0.24, 0.32, 0.24, 0.08, 0.02)])
def test_binning_conserves_flux(weights: tuple[float, ...]) -> None:
    taps = np.array(weights, f4)
    flat = bin_columns(np.full((2, 1276), 1234.5, f4), taps)
    assert flat.shape == (2, 425)
    np.testing.assert_allclose(flat, 1234.5, rtol=1e-6)
    random = np.random.default_rng(1)
    image = np.zeros((4, 1276), f4)
    image[:, 30:1245] = random.uniform(0, 4000, (4, 1215))
    binned = bin_columns(image, taps)
    # Over many pixels a filter of sum 1 whose three phases weigh alike keeps the sum; the mean of three does exactly.
    if len(weights) == 3:
        np.testing.assert_allclose(3 * binned.sum(axis=1, dtype=float), image.sum(axis=1, dtype=float), rtol=1e-6)
        np.testing.assert_allclose(binned, image[:, :1275].reshape(4, 425, 3).mean(axis=2), rtol=1e-5)


def test_binning_keeps_the_bits_of_every_pixel_that_enters() -> None:
    quality = np.zeros((1, 10), np.uint16)
    quality[0, [2, 3, 9]] = 16, 128, 64
    assert bin_quality(quality, np.full(3, 1 / 3, f4)).tolist() == [[16, 128, 0]]
    assert bin_quality(quality, np.array([0, 0, 1, 0, 0], f4)).tolist() == [[0, 0, 0]]


@pytest.mark.row("IPF-18")
def test_coding_and_radiance() -> None:
    z = np.array([[0.0, 0.49, 0.5, -99.4, -150.0, 4200.0, 1e6], [np.nan] * 7], f4)
    counts = code(z, 100)
    assert counts.tolist() == [[100, 100, 101, 1, 1, 4300, 65534], [0] * 7]
    light = np.linspace(0, 500, 1001, dtype=f4)[None]
    gain = 4.50362
    back = radiance(code(light * f4(gain), 100), gain, 100)
    assert np.abs(back - light).max() <= 0.5 / gain + 1e-4
    assert np.isnan(radiance(np.zeros((1, 1), np.uint16), gain, 100)).all()


def test_saturation_is_that_of_the_raw_count() -> None:
    raw = np.array([[4095, 10, 4094, 4095, 4095]], np.uint16)
    assert raw_saturation(raw, 1, 3, 4095, 128).tolist() == [[0, 0, 128]]


def test_statistics_count_what_is_there() -> None:
    random = np.random.default_rng(5)
    counts = random.integers(1, 4000, (40, 30)).astype(np.uint16)
    quality = random.choice([0x600, 0x600 | 36, 0x600 | 128, 0x600 | 16, 0x600 | 64, 0x604], (40, 30)).astype(np.uint16)
    record = band_statistics(counts, quality)
    valid = counts[(quality & 32) == 0]
    assert record == {
        "count": valid.size,
        "mean": pytest.approx(valid.mean(dtype=float)),
        "min": valid.min(),
        "max": valid.max(),
        "saturated": np.count_nonzero(quality & 128),
        "nodata": np.count_nonzero(quality & 32),
        "lost": np.count_nonzero(quality & 4),
        "defective": np.count_nonzero(quality & 16),
        "partially_corrected": np.count_nonzero(quality & 64),
    }
    empty = band_statistics(counts, np.full_like(quality, 36))
    assert empty["count"] == 0
    assert np.isnan(empty["mean"])
