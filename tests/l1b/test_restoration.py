"""Deconvolution and denoising against sinusoids, edges and noise, plain convolution, and a decomposition by levels."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from s2dask.errors import ConfigurationError, InputError
from s2dask.l1b.restoration.deconvolution import (
    convolve,
    design,
    gaussian_transfer,
    kernel_of_transfer,
    response,
    separable_filters,
)
from s2dask.l1b.restoration.plan import (
    BOTH,
    CONVOLUTION,
    DENOISING,
    NONE,
    SCENARIOS,
    DenoisingParameters,
    RestorationPlan,
    deconvolution_kernel,
    margin,
    noise_gain,
    norm_thresholds,
    nyquist_gain,
    restoration_plan,
    restore,
    table_thresholds,
)
from s2dask.l1b.restoration.wavelet_packets import FilterPair, least_asymmetric, packet_filters, packet_norms

f4 = np.float32
ALPHA, BETA = 0.529, 0.0104  # B02 of S2A (noise_model.csv)
MTF, TARGET = (0.34, 0.36), (0.45, 0.45)  # B02 of S2A (mtf_from_public_psf.csv)


def plan_of(
    scenario: str, *, moments: int = 4, depth: int = 2, amplification: float = 1.5, soft: bool = True, radius: int = 7
) -> RestorationPlan:
    kernel, pair = design(MTF, TARGET, radius=radius).kernel, least_asymmetric(moments)
    norms = packet_norms(packet_filters(pair, depth).analysis, kernel if scenario == BOTH else None)
    thresholds = norm_thresholds(norms, amplification)
    return restoration_plan(
        scenario, kernel, DenoisingParameters(pair, depth, thresholds, ALPHA, BETA, soft=soft), spatial_margin=120
    )


def noise(z: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=z.shape) * np.sqrt(ALPHA**2 + BETA * z)


def slanted_edge(lines: int, columns: int, sigma: float, low: float, high: float, slope: float = 0.07) -> np.ndarray:
    """Return an edge along track, blurred by a Gaussian and sampled by pixels that the blur includes."""
    y, x = np.mgrid[:lines, :columns]
    return low + (high - low) * ndtr((x - columns / 2 - slope * (y - lines / 2)) / sigma)


def edge_transfer(image: np.ndarray, frequency: float, slope: float = 0.07) -> float:
    """Return the transfer across a slanted edge: the transform of the derivative of its oversampled profile."""
    lines, columns = image.shape
    y, x = np.mgrid[:lines, :columns]
    at = (x - columns / 2 - slope * (y - lines / 2)).ravel()
    bins = np.arange(-12, 12.01, 0.2)
    total, _ = np.histogram(at, bins, weights=image.ravel().astype(float))
    count, _ = np.histogram(at, bins)
    profile, centres = total / count, 0.5 * (bins[1:] + bins[:-1])
    spread = np.diff(profile)
    where = 0.5 * (centres[1:] + centres[:-1])
    value = abs((spread * np.exp(-2j * np.pi * frequency * where)).sum() / spread.sum())
    # two means over a bin: the profile itself, and its difference
    return float(value / np.sinc(0.2 * frequency) ** 2)


def nyquist_sigma(mtf: float) -> float:
    return float(np.sqrt(-2 * np.log(mtf)) / np.pi)


@pytest.mark.row("IPF-16")
@pytest.mark.parametrize("noise_limit", [np.inf, 1.1])
def test_the_transfer_at_nyquist_rises_as_designed(noise_limit: float) -> None:
    made = design(MTF, TARGET, noise_limit)
    plan = restoration_plan(CONVOLUTION, made.kernel)
    n = np.arange(120)
    for axis in (0, 1):
        if noise_limit == np.inf:
            assert made.mtf_nyquist[axis] == pytest.approx(TARGET[axis], rel=1e-9)
        for frequency in (0.0, 0.25, 0.5):
            wave = 500 + 100 * gaussian_transfer(MTF[axis], np.array(frequency)) * np.cos(2 * np.pi * frequency * n)
            image = np.broadcast_to(wave[:, None] if axis == 0 else wave, (120, 120)).astype(f4)
            out = np.moveaxis(restore(image, 0, plan), axis, 0)[20:100, 60].astype(float) - 500
            amplitude = out @ np.cos(2 * np.pi * frequency * n[20:100])
            amplitude /= (np.cos(2 * np.pi * frequency * n[20:100]) ** 2).sum()
            if frequency == 0.5:
                assert amplitude / 100 == pytest.approx(made.mtf_nyquist[axis], rel=1e-4)
            if frequency == 0:
                assert amplitude == pytest.approx(100, rel=1e-4)
            if noise_limit == np.inf:
                wanted = gaussian_transfer(TARGET[axis], np.array(frequency))
                assert amplitude / 100 == pytest.approx(float(wanted), rel=0.02)
    assert made.noise_gain <= noise_limit + 1e-6
    assert nyquist_gain(plan) == pytest.approx([m / i for m, i in zip(made.mtf_nyquist, MTF, strict=True)], rel=1e-6)


@pytest.mark.row("IPF-16")
def test_a_slanted_edge_shows_the_same_rise() -> None:
    image = slanted_edge(200, 80, nyquist_sigma(MTF[1]), 200, 1200)
    before = edge_transfer(image, 0.5)
    after = edge_transfer(restore(image.astype(f4), 0, plan_of(CONVOLUTION))[10:-10], 0.5)
    assert before == pytest.approx(MTF[1], rel=0.02)
    # the edge stands at 4 degrees to the columns: its spectrum lies along the across-track axis
    assert after == pytest.approx(TARGET[1], rel=0.02)


@pytest.mark.row("IPF-16")
def test_the_bands_of_every_unit_can_be_brought_to_one_transfer(reference_data: Path) -> None:
    with (reference_data / "radiometry/csv/mtf_from_public_psf.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    for row in rows:
        mtf = float(row["mtf_nyquist_rows(along-track assumed)"]), float(row["mtf_nyquist_cols(across-track assumed)"])
        made = design(mtf, (max(0.3, mtf[0]), max(0.3, mtf[1])))
        assert made.mtf_nyquist == pytest.approx([max(0.3, m) for m in mtf], rel=1e-9)
        limited = design(mtf, (0.5, 0.5), 1.25)
        assert limited.noise_gain <= 1.25 + 1e-6
        assert all(m >= i for m, i in zip(limited.mtf_nyquist, mtf, strict=True))


@pytest.mark.row("IPF-16")
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("soft", [True, False])
def test_the_noise_changes_as_predicted(scenario: str, soft: bool) -> None:
    plan = plan_of(scenario, soft=soft)
    flat = np.full((700, 600), 900.0)
    image = (flat + noise(flat, 4)).astype(f4)
    gain = np.std(restore(image, 3, plan) - 900) / np.std(image - 900)
    assert gain == pytest.approx(noise_gain(plan), rel=0.03)
    if scenario == DENOISING:
        assert noise_gain(plan) < 0.75
    if scenario == CONVOLUTION:
        assert noise_gain(plan) == pytest.approx(np.sqrt((deconvolution_kernel(plan) ** 2).sum()))


@pytest.mark.row("IPF-16")
@pytest.mark.parametrize("soft", [True, False])
def test_denoising_keeps_edges_and_their_transfer(soft: bool) -> None:
    clean = slanted_edge(600, 80, nyquist_sigma(MTF[1]), 200, 1200)
    plan = plan_of(DENOISING, soft=soft)
    exact = edge_transfer(clean, 0.5)
    assert edge_transfer(restore(clean.astype(f4), 0, plan), 0.5) == pytest.approx(exact, rel=0.02)
    noisy = (clean + noise(clean, 8)).astype(f4)
    assert edge_transfer(restore(noisy, 0, plan), 0.5) == pytest.approx(exact, rel=0.02)


def test_the_thresholds_follow_the_radiometry() -> None:
    plan = plan_of(DENOISING)
    gains = []
    for level in (20.0, 3000.0):
        flat = np.full((400, 400), level)
        image = flat + noise(flat, 2)
        gains.append(np.std(restore(image.astype(f4), 0, plan)) / np.std(image))
    assert gains == pytest.approx([noise_gain(plan)] * 2, rel=0.05)


@pytest.mark.parametrize(("moments", "depth"), [(1, 1), (2, 3), (4, 2), (3, 2)])
def test_the_packets_reconstruct_the_image(moments: int, depth: int) -> None:
    image = np.random.default_rng(1).uniform(0, 500, (97, 61)).astype(f4)
    # nothing is taken away: the same bytes
    same = restore(image, 5, plan_of(DENOISING, moments=moments, depth=depth, amplification=0))
    assert np.array_equal(same, image)
    # every coefficient is taken away: the image less its reconstruction is nothing
    pair, everything = least_asymmetric(moments), np.full((2**depth, 2**depth), 1e9)
    plan = restoration_plan(
        DENOISING, None, DenoisingParameters(pair, depth, everything, 1, 0), levels=(-1e6, 1e6), spatial_margin=99
    )
    assert np.abs(restore(image, 5, plan)).max() <= 1e-4 * 5  # float32 resolves 3e-5 of 500 LSB


@pytest.mark.parametrize("rank", [1, 3])
def test_any_kernel_is_a_sum_of_separable_filters(rank: int) -> None:
    random = np.random.default_rng(rank)
    kernel = sum(np.outer(random.normal(size=9), random.normal(size=13)) for _ in range(rank))
    kernel /= kernel.sum()
    along, across = separable_filters(kernel)
    assert along.shape == (rank, 9)
    assert across.shape == (rank, 13)
    image = random.uniform(0, 1, (40, 50)).astype(f4)
    out = np.empty_like(image)
    convolve(image, along, across, out)
    wide = np.pad(image.astype(float), ((4, 4), (6, 6)), mode="reflect")
    exact = sum(kernel[i, j] * wide[8 - i : 48 - i, 12 - j : 62 - j] for i in range(9) for j in range(13))
    assert np.abs(out - exact).max() <= 1e-5 * np.abs(kernel).sum()


def test_the_kernel_of_an_inverse_transfer_filters_as_its_gains_say() -> None:
    f = np.linspace(0, 0.5, 129)
    round_blur = 1 / (0.4 + 0.6 * np.exp(-3 * np.hypot(*np.meshgrid(f, f, indexing="ij")) ** 2))
    kernel = kernel_of_transfer(round_blur)
    plan = restoration_plan(CONVOLUTION, kernel, spatial_margin=50)
    assert plan.along.shape[0] > 1  # not separable
    spectrum = np.abs(np.fft.fft2(deconvolution_kernel(plan), (256, 256)))[:129, :129]
    assert np.abs(spectrum - round_blur).max() <= 0.02 * round_blur.max()
    assert margin(plan) < 20
    with pytest.raises(ConfigurationError, match="reaches beyond"):
        kernel_of_transfer(np.random.default_rng(0).uniform(1, 2, (33, 33)))
    with pytest.raises(ConfigurationError, match="finite gains"):
        kernel_of_transfer(np.full((9, 9), np.nan))


def test_separable_taps_follow_the_design_at_every_frequency() -> None:
    made = design((0.2, 0.3), (0.3, 0.4), radius=15)
    along = made.kernel.sum(axis=1)
    for frequency in np.linspace(0, 0.5, 21):
        wanted = gaussian_transfer(0.3 / 0.2, np.array(frequency))
        assert response(along, frequency) == pytest.approx(float(wanted), rel=0.01)
    assert made.share == 1
    assert made.kernel.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.row("IPF-16")
@settings(max_examples=30, deadline=None)
@given(
    scenario=st.sampled_from([CONVOLUTION, DENOISING, BOTH]),
    soft=st.booleans(),
    shape=st.sampled_from([(4, 2), (2, 3), (1, 1), (3, 2)]),
    first=st.integers(-5, 10_000),
    cut=st.tuples(st.integers(0, 159), st.integers(1, 160)),
    gaps=st.lists(st.tuples(st.integers(0, 159), st.integers(1, 20)), max_size=3),
)
def test_a_window_with_its_margin_has_the_bytes_of_the_whole(
    scenario: str,
    soft: bool,
    shape: tuple[int, int],
    first: int,
    cut: tuple[int, int],
    gaps: list[tuple[int, int]],
) -> None:
    plan = plan_of(scenario, moments=shape[0], depth=shape[1], soft=soft)
    image = np.random.default_rng(first + 9).gamma(2, 200, (160, 45)).astype(f4)
    for at, length in gaps:
        image[at : at + length] = np.nan
    whole = restore(image, first, plan)
    start, stop = cut[0], min(cut[0] + cut[1], 160)
    low, high = max(start - margin(plan), 0), min(stop + margin(plan), 160)
    part = restore(image[low:high], first + low, plan)[start - low : stop - low]
    assert part.tobytes() == whole[start:stop].tobytes()
    assert np.array_equal(np.isnan(whole), np.isnan(image))
    # what lies beyond a gap has no say
    if gaps:
        at = gaps[0][0]
        other = image.copy()
        other[:at] = 77
        assert restore(other, first, plan)[at:].tobytes() == whole[at:].tobytes()


def test_values_are_levelled_and_the_operational_scenario_changes_nothing() -> None:
    image = np.random.default_rng(0).choice([-20.0, 4000.0], (60, 60)).astype(f4)
    assert restore(image, 0, plan_of(NONE)) is image
    filled = np.empty_like(image)
    assert restore(image, 0, plan_of(NONE), filled) is filled
    assert np.array_equal(filled, image)
    for scenario in (CONVOLUTION, DENOISING, BOTH):
        out = restore(image, 0, plan_of(scenario), filled)
        assert out is filled
        assert out.min() == 0
        assert out.max() <= 4095


def test_a_table_of_thresholds_scales_with_the_noise_that_it_was_made_for() -> None:
    table = np.array([[0, 2.0], [2, 4]])
    assert table_thresholds(table, 0.5) == pytest.approx(table * 2)
    with pytest.raises(ConfigurationError, match="NOISE_IMAGE_SIGMA"):
        table_thresholds(table, 0)


def test_what_cannot_be_done_is_refused() -> None:
    pair = least_asymmetric(2)
    good = DenoisingParameters(pair, 1, np.ones((2, 2)), 0.5, 0.01)
    kernel = design(MTF, TARGET).kernel
    bad_pair = FilterPair(pair.analysis_low, pair.analysis_high, pair.synthesis_low, 2 * pair.synthesis_high)
    for match, scenario, k, d in (
        ("RESTORATION_SCENARIO", "FULL", kernel, good),
        ("R2DECT", BOTH, None, good),
        ("R2WAFI", BOTH, kernel, None),
        ("sum", CONVOLUTION, 2 * kernel, None),
        ("R2DECT", CONVOLUTION, kernel * np.nan, None),
        ("odd", CONVOLUTION, np.full((2, 2), 0.25), None),
        ("perfect reconstruction", DENOISING, None, good._replace(pair=bad_pair)),
        ("even length", DENOISING, None, good._replace(pair=FilterPair(*([np.ones(3)] * 4)))),
        ("DECOMPOSITION_DEPTH", DENOISING, None, good._replace(depth=0)),
        ("INFO", DENOISING, None, good._replace(thresholds=np.ones((4, 4)))),
        ("INFO", DENOISING, None, good._replace(thresholds=np.full((2, 2), np.nan))),
        ("R2NOMO", DENOISING, None, good._replace(alpha=np.nan)),
        ("SPATIAL_MARGIN", DENOISING, None, DenoisingParameters(least_asymmetric(6), 3, np.ones((8, 8)), 0.5, 0.01)),
    ):
        with pytest.raises(ConfigurationError, match=match):
            restoration_plan(scenario, k, d)
    with pytest.raises(ConfigurationError, match="LEVELLING"):
        restoration_plan(NONE, levels=(5, 5))
    for mtf, target, limit, radius in (((0.3, 0), (1, 1), 2, 7), ((0.3, 0.3), (0.2, 0.4), 2, 7), (MTF, TARGET, 0.5, 7)):
        with pytest.raises(ConfigurationError):
            design(mtf, target, limit, radius)
    with pytest.raises(ConfigurationError, match="radius"):
        design(MTF, TARGET, 2, 51)
    with pytest.raises(ConfigurationError, match="moments"):
        least_asymmetric(7)
    image = np.ones((9, 9), f4)
    for wrong, out in ((image.astype(float), None), (image, image), (image, np.ones((8, 9), f4))):
        with pytest.raises(InputError):
            restore(wrong, 0, plan_of(CONVOLUTION), out)
    image[4, 3] = np.nan
    with pytest.raises(InputError, match="line 14 "):
        restore(image, 10, plan_of(CONVOLUTION))


def test_locked_arrays_of_another_layout_make_no_difference() -> None:
    plan = plan_of(BOTH)
    image = np.random.default_rng(2).uniform(0, 900, (50, 60)).astype(f4)
    expected = restore(image, 0, plan)
    locked = np.asfortranarray(image)
    locked.setflags(write=False)
    for array in (plan.along, plan.packets.analysis, plan.shrinkage.thresholds):
        array.setflags(write=False)
    before = len(convolve.signatures)
    assert np.array_equal(restore(locked, 0, plan), expected)
    assert len(convolve.signatures) == before == 1
