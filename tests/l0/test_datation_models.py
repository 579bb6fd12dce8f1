"""Line dates by both models: to a microsecond of what the simulator wrote, whatever is missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.auxdata.time import gps_to_utc, utc_to_gps
from s2dask.errors import InputError
from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band
from s2dask.instrument.telemetry import apid
from s2dask.l0.datation import RegressionLimits, exogenous_dates, fit_dates, scene_starts, strip_origins
from s2dask.l0.packets import index_packets
from s2dask.simulate.coding import source_packets

START = 1_281_614_557_123_456_789
NAMES = ("B02", "B05", "B01")


def _dates(name: str, scenes: int, period: float = LINE_PERIOD) -> np.ndarray:
    b = band(name)
    number = np.arange(scenes * b.packets_per_scene)
    return START + np.round(number * 16 * period * b.line_factor * 1e9).astype(np.int64)


@pytest.mark.row("IPF-03")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("detector", [1, 6, 7, 12])
def test_dates_of_simulated_packets_are_those_of_the_truth(name: str, detector: int) -> None:
    """Written by the simulator, cut at the front, read: the dates of all lines within a microsecond."""
    b, scenes = band(name), 4
    truth = _dates(name, scenes) + 137_000_003 * detector
    time, count = [], []
    for scene in range(scenes):
        rows = slice(scene * b.packets_per_scene, (scene + 1) * b.packets_per_scene)
        made = source_packets(np.zeros((b.packets_per_scene, 4), np.uint8), apid(detector, b.index), truth[rows])
        at = np.arange(b.packets_per_scene) * made.shape[1]
        index = index_packets(made.reshape(-1), at, np.full(at.size, made.shape[1]), "image")
        time.append(index.time)
        count.append(index.count)
    # the first packets are missing, and more than a scene of them elsewhere
    for lost in (5, b.packets_per_scene + 3):
        times, counts = np.concatenate(time)[lost:], np.concatenate(count)[lost:]
        begun = scene_starts(times, counts, b)
        origin = strip_origins({(detector, name): begun, (3, name): truth[0] + scene_step() * np.arange(scenes)})
        rank = np.round((begun - origin[detector, name]) / scene_step()).astype(np.int64)
        fit = fit_dates(times, rank * b.packets_per_scene + counts, b, "x")
        assert (fit.gps_sync, fit.rejected) == (True, 0)
        line = np.arange(scenes * b.lines_per_scene)
        wanted = truth[0] + np.round(line * LINE_PERIOD * b.line_factor * 1e9).astype(np.int64)
        assert np.abs(fit.at(line) - wanted).max() < 1000
        assert np.abs(fit.at(line) - wanted).max() < 60


def scene_step() -> int:
    """Return the length of a scene [ns]."""
    return round(SCENE_SECONDS * 1e9)


@pytest.mark.row("IPF-03")
@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.sampled_from(NAMES), st.floats(-5e-5, 5e-5), st.integers(0, 2**32 - 1), st.floats(2e3, 2e4),
    st.integers(0, 12),
)  # fmt: skip
def test_a_clock_that_drifts_is_fitted(name: str, drift: float, seed: int, jitter: float, outliers: int) -> None:
    """Without GPS the period is another one; jitter of the clock averages out, outliers do not count."""
    b, random = band(name), np.random.default_rng(seed)
    truth = _dates(name, 16, LINE_PERIOD * (1 + drift))
    number = np.sort(random.permutation(truth.size)[: truth.size * 9 // 10])
    noise = np.round(random.uniform(-jitter, jitter, number.size)).astype(np.int64)
    wrong = random.permutation(number.size)[:outliers]
    noise[wrong] += np.where(random.random(outliers) < 0.5, -1, 1) * random.integers(10**6, 10**9, outliers)
    fit = fit_dates(truth[number] + noise, number, b, "x")
    assert not fit.gps_sync
    assert fit.rejected >= outliers
    line = np.arange(0, 16 * b.lines_per_scene, 7)
    wanted = truth[0] + np.round(line * (LINE_PERIOD * (1 + drift) * b.line_factor * 1e9)).astype(np.int64)
    # four standard deviations of the fit at the ends of the strip
    bound = 4 * 2 * jitter / np.sqrt(3 * number.size)
    assert np.abs(fit.at(line) - wanted).max() < bound + 2
    assert fit.residual == pytest.approx(jitter / np.sqrt(3), rel=0.25)


@pytest.mark.row("IPF-03")
def test_a_jitter_of_ten_microseconds_leaves_one() -> None:
    truth = _dates("B02", 16)
    noise = np.random.default_rng(8).normal(0, 10_000, truth.size).astype(np.int64)
    fit = fit_dates(truth + noise, np.arange(truth.size), band("B02"), "x")
    assert abs(fit.first_line_date - START) < 1000
    assert np.abs(fit.at(np.array([0, 16 * 2304])) - START - [0, round(16 * SCENE_SECONDS * 1e9)]).max() < 1000


def test_limits_are_those_of_the_gipp() -> None:
    truth = _dates("B01", 16)
    number = np.arange(truth.size)
    moved = truth.copy()
    moved[[3, 77, 200]] += [9_100_000, -9_100_000, 8_900_000]
    jitter = np.random.default_rng(1).integers(-3000, 3000, truth.size)
    assert fit_dates(moved + jitter, number, band("B01"), "x").rejected >= 3
    with pytest.raises(InputError, match=r"x: packet dates scatter by 0\.0 ms; look at the clock"):
        fit_dates(moved + jitter, number, band("B01"), "x", RegressionLimits(largest_residual=1000))
    with pytest.raises(InputError, match="no two packet dates agree"):
        fit_dates(np.array([START, START + 10**12]), np.array([0, 1]), band("B01"), "x")
    with pytest.raises(InputError, match="no packet to date"):
        fit_dates(truth[:0], number[:0], band("B01"), "x")


def test_the_leap_second_is_not_in_the_dates() -> None:
    """A strip over 2016-12-31T23:59:60 UTC: GPS time runs on."""
    start = utc_to_gps("2016-12-31T23:59:50Z")
    time = start + _dates("B02", 8) - START
    fit = fit_dates(time, np.arange(time.size), band("B02"), "x")
    assert (fit.gps_sync, fit.first_line_date) == (True, start)
    dates = fit.at(np.array([0, 8 * 2304]))
    assert dates[1] - dates[0] == round(8 * SCENE_SECONDS * 1e9)
    seconds = (gps_to_utc(int(dates[1])) - gps_to_utc(int(dates[0]))).total_seconds()
    assert seconds == pytest.approx(8 * SCENE_SECONDS - 1, abs=2e-6)


def test_dates_from_elsewhere() -> None:
    fit = exogenous_dates(START, -0.002, LINE_PERIOD, band("B05"))
    assert fit.at(np.array([0, 1000])).tolist() == [START - 2_000_000, START - 2_000_000 + round(2e12 * LINE_PERIOD)]
