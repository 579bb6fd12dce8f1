"""The steps that correct a pixel by itself or by another band, against their own forward models in plain NumPy."""

import numpy as np
import pytest
import radiometry_model as model
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.instrument import band
from s2dask.instrument.units import unit
from s2dask.l1b.blind_pixels import remove_line_offset
from s2dask.l1b.coding import code, flag_end_of_range, radiance
from s2dask.l1b.crosstalk import flag_leak, remove_leak
from s2dask.l1b.dark_signal import remove_dark_signal
from s2dask.l1b.noise import noise_sigma
from s2dask.l1b.raw_lines import RawLines, offset_free, raw_saturation
from s2dask.l1b.relative_response import BILINEAR, CUBIC, equalise
from s2dask.l1b.statistics import band_statistics

f4 = np.float32


def _coded(image: np.ndarray, shift: int) -> np.ndarray:
    out = np.empty(image.shape, np.uint16)
    code(image, shift, out)
    return out


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
        image = y.astype(f4)
        equalise(image, kind, coefficients)
        assert np.abs(image - z).max() <= 0.5
        assert image[0].std() / level <= 1e-3 < y[0].std() / level


@given(st.floats(0, 4000), st.floats(0.9, 1.1), st.floats(0.9, 1.1), st.floats(100, 3000))
def test_the_bilinear_response_is_continuous_and_its_own_inverse(y: float, a1: float, a2: float, zs: float) -> None:
    coefficients = np.array([[a1] * 2, [a2] * 2, [zs] * 2], f4)
    image = np.array([[y, zs]], f4)
    equalise(image, BILINEAR, coefficients)
    z = image[0]
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
    remove_leak(lines, 0, band(victim).line_factor, other, good, 0, band(source).line_factor, coefficient)
    return lines


def test_crosstalk_pairs_lines_by_time_and_flags_what_it_lacks() -> None:
    source = np.arange(12, dtype=f4)[:, None] * np.ones(4, f4)
    bad = np.zeros(12, bool)
    bad[[4, 6, 7, 8]] = True
    image = np.full((3, 4), 100, f4)
    # B10 lines 2..4 with B11 lines 6..17, of which 6..17 - 6 = 0..11 are at hand.
    out = image.copy()
    remove_leak(out, 2, 6, source, bad, 6, 2, 0.1)
    np.testing.assert_allclose(out[:, 0], [100 - 0.1 * 1, 100 - 0.1 * 4, 100], rtol=1e-6)
    saturated = np.zeros((12, 4), np.uint16)
    saturated[1, 3] = 128
    quality = np.zeros((3, 4), np.uint16)
    flag_leak(quality, 2, 6, saturated, bad, 6, 2, 128, 64)
    assert quality.tolist() == [[0, 0, 0, 64], [64] * 4, [64] * 4]
    beyond = np.zeros((1, 4), np.uint16)
    flag_leak(beyond, 9, 6, saturated, bad, 6, 2, 128, 64)
    assert (beyond == 64).all()
    out = image[:1].copy()
    remove_leak(out, 9, 6, source, bad, 6, 2, 0.1)
    np.testing.assert_array_equal(out, image[:1])
    # B11 lines 7..9 with B10 lines 2, 2 and 3.
    out = image.copy()
    remove_leak(out, 7, 2, source, np.zeros(12, bool), 0, 6, 1.0)
    assert out[:, 0].tolist() == [98, 98, 97]


@pytest.mark.row("IPF-14")
@pytest.mark.parametrize(("victim", "source"), [("B02", "B05"), ("B05", "B02"), ("B02", "B01"), ("B01", "B04")])
def test_optical_crosstalk_joins_bands_of_any_resolution(victim: str, source: str) -> None:
    clean, other = model.scene(victim, 24, seed=1), model.scene(source, 144, seed=2)
    injected = 2e-3 * model.met(victim, source, other)[:24]
    image = (clean + injected).astype(f4)
    bad = np.zeros(other.shape[0], bool)
    to, of = band(victim).line_factor, band(source).line_factor
    remove_leak(image, 0, to, other.astype(f4), bad, 0, of, 2e-3)
    assert np.abs(image - clean).max() <= np.abs(injected).max() / 10
    full, quality = np.zeros(other.shape, np.uint16), np.zeros(clean.shape, np.uint16)
    full[13, 41] = 128
    flag_leak(quality, 0, to, full, bad, 0, of, 128, 64)
    expected = np.zeros(clean.shape, bool)
    scale = band(victim).useful_columns / band(source).useful_columns
    columns = {1.0: [41], 2.0: [82, 83], 0.5: [20]}[scale]
    hit = [i for i in range(24) if i * to <= 13 * of + of - 1 and 13 * of <= i * to + to - 1]
    expected[np.ix_(hit, columns)] = True
    np.testing.assert_array_equal(quality != 0, expected)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 3))
def test_offsets_come_off_in_one_go_as_step_by_step(first_line: int, start: int) -> None:
    b, p = band("B02"), model.pixels("B02")
    raw = np.random.default_rng(first_line).integers(0, 4096, (6, b.raw_columns)).astype(np.uint16)
    blind = np.array(b.blind_columns)
    dark = p.dark.astype(f4)
    lines = RawLines(raw, np.zeros(6, bool), first_line, 1, dark, blind, b.blind, b.useful_columns, 4095)
    out = np.empty((6, b.useful_columns), f4)
    offset_free(lines, start, 6, out)
    steps = remove_line_offset(remove_dark_signal(raw, dark, first_line), blind, b.blind, b.useful_columns)
    np.testing.assert_array_equal(out[: 6 - start], steps[start:])
    none = remove_line_offset(remove_dark_signal(raw, dark, first_line), blind[:0], b.blind, b.useful_columns)
    assert np.abs(none[:, 0] - (raw[:, b.blind] - dark[(first_line + np.arange(6)) % 6, b.blind])).max() == 0


def test_the_noise_model_gives_the_published_ratio_of_signal_to_noise() -> None:
    # radiometry reference, noise_model.csv: SNR of S2A at the reference radiance.
    for name, snr in (("B02", 209.3), ("B8A", 157.5), ("B12", 184.7)):
        values = unit("S2A").bands[name]
        light = band(name).radiance_reference * values.gain
        sigma = noise_sigma(np.array([light, 0.0, -5.0, np.nan]), values.noise_alpha, values.noise_beta)
        assert light / sigma[0] == pytest.approx(snr, rel=0.1)
        assert sigma[1] == sigma[2] == pytest.approx(values.noise_alpha)
        assert np.isnan(sigma[3])


@pytest.mark.row("IPF-18")
def test_coding_and_radiance() -> None:
    z = np.array([[0.0, 0.49, 0.5, -99.4, -150.0, 4200.0, 1e6], [np.nan] * 7], f4)
    counts = _coded(z, 100)
    assert counts.tolist() == [[100, 100, 101, 1, 1, 4300, 65534], [0] * 7]
    light = np.linspace(0, 500, 1001, dtype=f4)[None]
    gain = 4.50362
    back = radiance(_coded(light * f4(gain), 100), gain, 100)
    assert np.abs(back - light).max() <= 0.5 / gain + 1e-4
    assert np.isnan(radiance(np.zeros((1, 1), np.uint16), gain, 100)).all()


def test_saturation_is_that_of_the_raw_count_or_of_the_corrected_one() -> None:
    raw = np.array([[4095, 10, 4094, 4095, 4095]], np.uint16)
    lines = RawLines(raw, np.zeros(1, bool), 0, 1, np.zeros((1, 5), f4), np.array([0]), 1, 3, 4095)
    out = np.full((1, 3), 9, np.uint16)
    raw_saturation(lines, 0, 1, 128, out)
    assert out.tolist() == [[0, 0, 128]]
    raw_saturation(lines._replace(saturation=65536), 0, 1, 128, out)
    assert out.tolist() == [[0, 0, 0]]
    flag_end_of_range(np.array([[4095, 4094.9, np.nan]], f4), 4095.0, 4096, out)
    assert out.tolist() == [[4096, 0, 0]]


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
