"""What interpolation does to frequencies and to noise."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from s2dask.errors import ConfigurationError
from s2dask.instrument.quality import PARTIALLY_CORRECTED, SATURATED
from s2dask.l1c.interpolation import interpolate
from s2dask.l1c.noise_gain import fill_gain, gain_table, mean_gain
from s2dask.l1c.prefilter import basis
from s2dask.l1c.resampling import FILTERS, INTERPOLATIONS, Filter, filter_of, prepare_image

LINES, COLUMNS = 900, 120


def _resample(
    counts: NDArray[np.uint16], line: NDArray[np.float64], column: NDArray[np.float64], name: Filter
) -> NDArray[np.float32]:
    image = prepare_image(counts, np.zeros_like(counts), 0, counts.shape[0], name)
    out, flags, one = np.zeros(line.shape, np.float32), np.zeros(line.shape, np.uint8), np.ones(line.shape, np.uint8)
    assert interpolate(image, line, column, 0, 1, one, out, flags) == 0
    return out


def _chirp(line: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts and local frequency [cycles/px] of a wave whose frequency grows from 0 to 0.45 over the lines."""
    rate = 0.45 / LINES
    return 20_000 + 18_000 * np.sin(np.pi * rate * line**2), rate * line


def _measured(name: Filter, along_lines: bool) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies, how much of the wave is left at each, and the error of single values (share of amplitude)."""
    along = np.arange(LINES, dtype=float)
    counts = np.tile(np.round(_chirp(along)[0]).astype(np.uint16)[:, None], (1, COLUMNS))
    where = np.arange(30.0, LINES - 30.0, 1 / 16)
    line, other = np.meshgrid(where, np.array([50.0, 50.5, 51.3]), indexing="ij")
    # the columns see the same chirp when the image is turned
    got = _resample(counts, line, other, name) if along_lines else _resample(counts.T.copy(), other, line, name)
    truth, frequency = _chirp(line)
    wave, error = (truth - 20_000) / 18_000, (got - truth) / 18_000
    edges = np.arange(0.02, 0.41, 0.02)
    parts = [(frequency >= a) & (frequency < a + 0.02) for a in edges]
    left = [1 + (error[i] * wave[i]).sum() / (wave[i] ** 2).sum() for i in parts]
    return edges + 0.01, np.array(left), np.array([np.sqrt(2 * np.mean(error[i] ** 2)) for i in parts])


@pytest.mark.parametrize("along_lines", [True, False])
def test_the_frequency_response_is_that_of_the_cardinal_spline(along_lines: bool) -> None:
    # Unser, Splines, 1999: sinc^4 over the transform of (1/6, 4/6, 1/6): 1 % is lost at 0.23 cycles/px, 8.5 % at 0.35
    f, left, error = _measured("SPLINE3", along_lines)
    theory = np.sinc(f) ** 4 / ((4 + 2 * np.cos(2 * np.pi * f)) / 6)
    np.testing.assert_allclose(left[f < 0.35], theory[f < 0.35], atol=2e-3)
    assert np.abs(left[f < 0.23] - 1).max() < 0.01
    assert error[f < 0.22].max() < 0.01
    keys = _measured("BCO", along_lines)
    assert (keys[2][f > 0.1] > 1.5 * error[f > 0.1]).all()
    assert (1 - keys[1][f > 0.1] > 1.5 * (1 - left[f > 0.1])).all()


@pytest.mark.parametrize("along_lines", [True, False])
def test_degree_seven_keeps_what_degree_three_cannot(along_lines: bool) -> None:
    # the cardinal splines of degree 5 and 7: sinc^(degree + 1) over the transform of their samples
    f, seven, error = _measured("SPLINE7", along_lines)
    assert np.abs(seven[f < 0.36] - 1).max() < 0.01
    assert error[f < 0.34].max() < 0.01
    five = _measured("SPLINE5", along_lines)[1]
    for degree, left in ((5, five), (7, seven)):
        k = np.arange(-degree, degree + 1)
        samples = (basis(degree, k.astype(float)) * np.cos(2 * np.pi * np.outer(f, k))).sum(axis=1)
        np.testing.assert_allclose(left[f < 0.35], (np.sinc(f) ** (degree + 1) / samples)[f < 0.35], atol=2e-3)
    assert np.abs(five[f < 0.27] - 1).max() < 0.01 < np.abs(five[f < 0.35] - 1).max()


@pytest.mark.parametrize(("name", "order"), [("SPLINE3", 3), ("SPLINE5", 5), ("BLN", 1), ("PPV", 0)])
def test_any_filter_agrees_with_scipy(name: Filter, order: int) -> None:
    random = np.random.default_rng(5)
    counts = random.integers(200, 4000, (90, 80)).astype(np.uint16)
    line, column = random.uniform(20, 70, (9, 31)), random.uniform(20, 60, (9, 31))
    expected = map_coordinates(counts.astype(float), [line, column], order=order)
    assert np.abs(_resample(counts, line, column, name) - expected).max() < 0.05


@pytest.mark.parametrize("name", list(FILTERS))
def test_the_noise_gain_is_the_variance_of_interpolated_noise(name: Filter) -> None:
    counts = np.round(np.random.default_rng(7).normal(2000, 100, (1200, 700))).astype(np.uint16)
    for t, u in ((0.0, 0.0), (0.5, 0.5), (0.25, 0.7)):
        y, x = np.mgrid[30:1170:1.0, 30:670:1.0]
        variance = _resample(counts, y + t, x + u, name)[::1, ::1].var()
        gain = np.zeros(1, np.float32)
        fill_gain(np.array([50 + t]), np.array([-60 + u]), gain_table(name), gain)
        assert gain[0] == pytest.approx(variance / counts.var(), rel=0.01)


@pytest.mark.parametrize("name", list(FILTERS))
def test_the_mean_noise_gain_is_that_of_pixels_anywhere(name: Filter) -> None:
    random = np.random.default_rng(8)
    counts = np.round(random.normal(2000, 100, (700, 700))).astype(np.uint16)
    line, column = random.uniform(30, 670, (2, 400, 600))
    found = _resample(counts, line, column, name).var() / counts.var()
    assert mean_gain(name) == pytest.approx(found, rel=0.01)
    if name == "BLN":
        assert mean_gain(name) == pytest.approx(4 / 9, rel=1e-4)


def test_names_of_interpolations() -> None:
    assert {filter_of(name) for name in INTERPOLATIONS} == set(FILTERS) == {filter_of(name) for name in FILTERS}
    with pytest.raises(ConfigurationError, match="bspline, bspline5, bspline7, bicubic, bilinear, nearest"):
        filter_of("lanczos")


def test_flags_reach_pixels_of_runs_of_any_length() -> None:
    counts = np.full((80, 60), 900, np.uint16)
    quality = np.zeros_like(counts)
    quality[40, 20] = SATURATED
    image = prepare_image(counts, quality, 0, 80)
    line, column = np.meshgrid(np.arange(30.0, 50.0), np.arange(10.0, 33.0), indexing="ij")
    footprint = np.where(np.arange(23) % 7 < 5, 1, 2).astype(np.uint8) * np.ones((20, 1), np.uint8)
    out, flags = np.zeros(line.shape, np.float32), np.zeros(line.shape, np.uint8)
    interpolate(image, line, column, 0, 1, footprint, out, flags)
    mine = footprint == 1
    assert (flags[~mine] == 0).all()
    assert (out[~mine] == 0).all()
    np.testing.assert_allclose(out[mine], 900, rtol=1e-6)
    near = (line >= 39) & (line <= 40) & (column >= 19) & (column <= 20)
    np.testing.assert_array_equal(flags[mine] == SATURATED, near[mine])
    assert not (flags[mine] & PARTIALLY_CORRECTED).any()
