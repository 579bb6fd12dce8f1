"""The wavelet packets: a decomposition by levels, sample by sample, and the noise that they hold and keep."""

import numpy as np
import pytest

from s2dask.l1b.restoration.deconvolution import design
from s2dask.l1b.restoration.denoising import kept_variance
from s2dask.l1b.restoration.plan import DENOISING, DenoisingParameters, margin, restoration_plan, restore
from s2dask.l1b.restoration.wavelet_packets import FilterPair, least_asymmetric, packet_filters, packet_norms

f4 = np.float32
MTF, TARGET = (0.34, 0.36), (0.45, 0.45)  # B02 of S2A (mtf_from_public_psf.csv)


def _by_levels(image: np.ndarray, pair: FilterPair, depth: int, thresholds: np.ndarray) -> np.ndarray:
    """Denoise a periodic image level by level: the definition, sample by sample."""
    channels = (pair.analysis_low, pair.synthesis_low), (pair.analysis_high, pair.synthesis_high)

    def analyse(x: np.ndarray, taps: np.ndarray) -> np.ndarray:
        n = x.shape[0]
        return np.stack([taps @ x[(2 * m + np.arange(taps.size)) % n] for m in range(n // 2)])

    def synthesise(c: np.ndarray, taps: np.ndarray) -> np.ndarray:
        x = np.zeros((2 * c.shape[0], c.shape[1]))
        for m in range(c.shape[0]):
            np.add.at(x, (2 * m + np.arange(taps.size)) % x.shape[0], taps[:, None] * c[m])
        return x

    def walk(x: np.ndarray, level: int, s: int, t: int) -> np.ndarray:
        if level == depth:
            limit = thresholds[s, t]
            return np.sign(x) * np.maximum(np.abs(x) - limit, 0)
        out = np.zeros_like(x)
        for i, (a, b) in enumerate(
            ((pair.analysis_low, pair.synthesis_low), (pair.analysis_high, pair.synthesis_high))
        ):
            half = analyse(x, a)
            for j, (c, d) in enumerate(channels):
                quarter = walk(analyse(half.T, c).T, level + 1, 2 * s + i, 2 * t + j)
                out += synthesise(synthesise(quarter.T, d).T, b)
        return out

    return walk(image, 0, 0, 0)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_packets_are_those_of_the_levels(depth: int) -> None:
    random = np.random.default_rng(6)
    tile, pair, m = random.normal(500, 5, (64, 64)), least_asymmetric(3), 2**depth
    thresholds = random.uniform(0, 6, (m, m))
    filters = packet_filters(pair, depth)
    plan = restoration_plan(DENOISING, None, DenoisingParameters(pair, depth, thresholds, 1, 0))
    expected = _by_levels(tile, pair, depth, thresholds)
    # periods of the image all around; its coefficients begin `centre` lines and columns before those of the plan
    image = np.roll(np.tile(tile, (3, 3)), -filters.centre, axis=(0, 1)).astype(f4)
    found = np.roll(restore(image, 0, plan), filters.centre, axis=(0, 1))
    assert np.abs(found - np.tile(expected, (3, 3)))[64:128, 64:128].max() <= 1e-3


def test_the_variance_that_a_threshold_keeps() -> None:
    x = np.random.default_rng(3).normal(size=2_000_000)
    for t in (0.5, 1.5, 3.0):
        soft = np.sign(x) * np.maximum(np.abs(x) - t, 0)
        assert kept_variance(t, soft=True) == pytest.approx(np.mean(soft**2), rel=0.05)
        assert kept_variance(t, soft=False) == pytest.approx(np.mean(np.where(np.abs(x) > t, x, 0) ** 2), rel=0.02)
    assert kept_variance(0, soft=True) == kept_variance(0, soft=False) == 1


def test_the_norms_are_the_noise_of_the_packets() -> None:
    """White noise keeps its deviation in the packets of an orthonormal wavelet; a deconvolution colours it."""
    filters = packet_filters(least_asymmetric(4), 2)
    assert packet_norms(filters.analysis) == pytest.approx(np.ones((4, 4)), abs=1e-9)
    norms = packet_norms(filters.analysis, design(MTF, TARGET).kernel)
    assert norms[0, 0] < 1.05
    # channel 2 holds the highest frequencies: the second level turns those of a high-pass channel round
    assert norms.max() == norms[2, 2]
    assert np.sqrt((norms**2).mean()) == pytest.approx(design(MTF, TARGET).noise_gain)


def test_biorthogonal_filters_do_as_well() -> None:
    """The filters 5/3 of Le Gall, filled up to one length with the high channels a sample later."""
    r, image = np.sqrt(2), np.random.default_rng(1).uniform(0, 500, (50, 40)).astype(f4)
    pair = FilterPair(
        np.array([-1, 2, 6, 2, -1, 0]) * r / 8,
        np.array([0, 0, 1, -2, 1, 0]) * r / 4,
        np.array([0, 1, 2, 1, 0, 0]) * r / 4,
        np.array([0, 1, 2, -6, 2, 1]) * r / 8,
    )
    plan = restoration_plan(DENOISING, None, DenoisingParameters(pair, 2, np.full((4, 4), 1e9), 1, 0), (-1e6, 1e6))
    assert np.abs(restore(image, 5, plan)).max() <= 1e-3
    assert margin(plan) == 15
