"""Line dates by both models: to a microsecond of what the simulator wrote, whatever is missing."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.auxdata.time import gps_to_utc, utc_to_gps
from s2dask.errors import InputError
from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band
from s2dask.instrument.telemetry import apid
from s2dask.l0.datation import DatationModel, StripDates, date_strip, scene_starts, strip_origins
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
        strip = date_strip({(detector, name): (times, rank * b.packets_per_scene + counts)})
        fit = strip.dates[detector, name]
        assert (strip.gps_sync, fit.rejected) == (True, 0)
        line = np.arange(scenes * b.lines_per_scene)
        wanted = truth[0] + np.round(line * LINE_PERIOD * b.line_factor * 1e9).astype(np.int64)
        assert np.abs(fit.at(line) - wanted).max() < 1000
        assert np.abs(fit.at(line) - wanted).max() < 60


def scene_step() -> int:
    """Return the length of a scene [ns]."""
    return round(SCENE_SECONDS * 1e9)


def _worst(strip: StripDates, truth: dict[tuple[int, str], int], period: float, scenes: int) -> float:
    """Return the largest error of a line date [ns]."""
    worst = 0.0
    for (d, name), origin in truth.items():
        line = np.arange(0, scenes * band(name).lines_per_scene, 7)
        wanted = origin + np.round(line * (period * band(name).line_factor * 1e9)).astype(np.int64)
        worst = max(worst, float(np.abs(strip.dates[d, name].at(line) - wanted).max()))
    return worst


@pytest.mark.row("IPF-03")
@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.floats(-5e-5, 5e-5), st.integers(0, 2**32 - 1), st.floats(2e3, 6e3), st.integers(0, 12),
)  # fmt: skip
def test_a_clock_without_gps_is_fitted_to_a_microsecond(drift: float, seed: int, jitter: float, outliers: int) -> None:
    """Another period, a jitter up to 6 us, packets missing and dates that are plainly wrong."""
    random, period, packets, truth = np.random.default_rng(seed), LINE_PERIOD * (1 + drift), {}, {}
    for d in (6, 7):
        for name in NAMES:
            dates = _dates(name, 16, period) + 400_000_003 * d
            truth[d, name] = int(dates[0])
            number = np.sort(random.permutation(dates.size)[: dates.size * 9 // 10])
            noise = np.round(random.uniform(-jitter, jitter, number.size)).astype(np.int64)
            wrong = random.permutation(number.size)[:outliers]
            noise[wrong] += np.where(random.random(outliers) < 0.5, -1, 1) * random.integers(10**6, 10**9, outliers)
            packets[d, name] = dates[number] + noise, number
    strip = date_strip(packets)
    assert (strip.gps_sync, strip.used_model, strip.problem) == (False, "CORRECTED", "")
    assert sum(fit.rejected for fit in strip.dates.values()) >= 6 * outliers
    assert strip.residual == pytest.approx(jitter / np.sqrt(3), rel=0.05)
    assert strip.line_period == pytest.approx(period, rel=1.5e-8)
    assert _worst(strip, truth, period, 16) < 1000


@pytest.mark.row("IPF-03")
def test_a_normal_jitter_of_four_microseconds_leaves_less_than_one() -> None:
    random, keys = np.random.default_rng(8), [(d, name) for d in range(1, 13) for name in NAMES]
    packets, truth = {}, {}
    for d, name in keys:
        dates = _dates(name, 16)
        truth[d, name] = START
        packets[d, name] = dates + random.normal(0, 4000, dates.size).astype(np.int64), np.arange(dates.size)
    strip = date_strip(packets)
    assert not strip.gps_sync
    assert _worst(strip, truth, LINE_PERIOD, 16) < 1000


def test_limits_are_those_of_the_gipp() -> None:
    dates = _dates("B01", 16, LINE_PERIOD * (1 + 1e-4))
    jitter = np.random.default_rng(1).integers(-3000, 3000, dates.size)
    packets = {(6, "B01"): (dates + jitter, np.arange(dates.size))}
    assert date_strip(packets).problem == ""
    tight = date_strip(packets, DatationModel(largest_residual=1e-6))
    assert re.fullmatch(r"packet dates scatter by 1\.\d us, 1 us are allowed", tight.problem)
    drifting = date_strip(packets, DatationModel(largest_period_error=1e-7))
    assert re.fullmatch(r"the line period is 156\.\d ns from the theoretical one, 100 ns are allowed", drifting.problem)
    strict = date_strip(packets, DatationModel(sigmas=1.0))
    assert strict.dates[6, "B01"].rejected > date_strip(packets).dates[6, "B01"].rejected == 0
    with pytest.raises(InputError, match="D06 B01: no packet to date"):
        date_strip({(6, "B01"): (dates[:0], dates[:0])})
    with pytest.raises(InputError, match="DATATION_SCENARIO: scenario 'OTHER'"):
        DatationModel("OTHER")


def test_scenarios() -> None:
    dates = _dates("B05", 16)
    packets = {(6, "B05"): (dates, np.arange(dates.size))}
    fitted = date_strip(packets, DatationModel("LINEAR_REGRESSION"))
    assert (fitted.used_model, fitted.gps_sync) == ("CORRECTED", True)
    assert fitted.line_period == pytest.approx(LINE_PERIOD, rel=1e-12)
    shifted = date_strip(packets, DatationModel(time_shift={"B05": 0.003}))
    assert (shifted.dates[6, "B05"].first_line_date, shifted.dates[6, "B05"].shift) == (START + 3_000_000, 3_000_000)
    refined = LINE_PERIOD * (1 + 1e-8)
    model = DatationModel("EXOGENEOUS", delta_on_t0={(6, "B05"): -0.002}, refined_period=refined)
    given = date_strip(packets, model)
    assert (given.used_model, given.line_period, given.clock_period) == ("EXOGENEOUS", refined, LINE_PERIOD)
    assert given.dates[6, "B05"].at(np.array([0, 1000])).tolist() == [
        START - 2_000_000, START - 2_000_000 + round(2e12 * refined),
    ]  # fmt: skip


def test_the_leap_second_is_not_in_the_dates() -> None:
    """A strip over 2016-12-31T23:59:60 UTC: GPS time runs on."""
    start = utc_to_gps("2016-12-31T23:59:50Z")
    time = start + _dates("B02", 8) - START
    strip = date_strip({(6, "B02"): (time, np.arange(time.size))})
    fit = strip.dates[6, "B02"]
    assert (strip.gps_sync, fit.first_line_date) == (True, start)
    dates = fit.at(np.array([0, 8 * 2304]))
    assert dates[1] - dates[0] == round(8 * SCENE_SECONDS * 1e9)
    seconds = (gps_to_utc(int(dates[1])) - gps_to_utc(int(dates[0]))).total_seconds()
    assert seconds == pytest.approx(8 * SCENE_SECONDS - 1, abs=2e-6)
