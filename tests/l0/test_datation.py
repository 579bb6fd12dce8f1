"""Dates of packets: the straight line through them, what may leave it, and scenes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band
from s2dask.l0.datation import StripDates, date_strip, packet_step, scene_starts, strip_origins

START = 1_281_614_557_123_456_789
Whole = NDArray[np.int64]


def _strip(name: str, scenes: int) -> tuple[Whole, Whole, Whole]:
    """Return scene, sequence count and date of every packet of a strip that starts at START."""
    per = band(name).packets_per_scene
    number = np.arange(scenes * per)
    time = START + np.round(number * 16 * LINE_PERIOD * band(name).line_factor * 1e9).astype(np.int64)
    return number // per, number % per, time


def _fit(name: str, time: Whole, scene: Whole, count: Whole) -> StripDates:
    return date_strip({(6, name): (time, scene * band(name).packets_per_scene + count)})


@pytest.mark.row("IPF-03")
@pytest.mark.parametrize("name", ["B01", "B02", "B05", "B11"])
def test_clock_of_sixty_nanoseconds_dates_within_thirty(name: str) -> None:
    scene, count, time = _strip(name, 5)
    ticks = START + np.round((time - START) / 60).astype(np.int64) * 60
    fit = _fit(name, ticks, scene, count)
    line = fit.dates[6, name]
    assert (fit.gps_sync, fit.used_model, fit.line_period, fit.problem) == (True, "INITIAL", LINE_PERIOD, "")
    assert abs(line.first_line_date - START) < 30
    assert line.largest <= 61
    assert line.rejected == 0


def test_jitter_of_sixty_nanoseconds_is_averaged() -> None:
    scene, count, time = _strip("B02", 4)
    jitter = np.random.default_rng(5).integers(-60, 61, time.size)
    fit = _fit("B02", time + jitter, scene, count)
    assert abs(fit.dates[6, "B02"].first_line_date - START) < 8
    assert 55 < fit.dates[6, "B02"].largest < 70
    assert fit.residual == pytest.approx(60 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize("wrong", [1_200, -50_000, 400_000_000])
def test_an_outlier_is_not_believed(wrong: int) -> None:
    scene, count, time = _strip("B01", 3)
    time[40] += wrong
    fit = _fit("B01", time, scene, count)
    assert (fit.gps_sync, fit.dates[6, "B01"].rejected) == (True, 1)
    assert abs(fit.dates[6, "B01"].first_line_date - START) <= 1


@pytest.mark.parametrize("late", [-1.7, 0.0, 0.9, 1.7])
def test_each_detector_and_band_has_its_own_origin(late: float) -> None:
    scene, count, time = _strip("B01", 3)
    chosen = np.random.default_rng(6).permutation(np.flatnonzero(count % 5 > 0))
    number = (scene * 24 + count)[chosen]
    moved = time[chosen] + round(late * 1e9)
    fit = date_strip({(6, "B01"): (time[chosen], number), (7, "B09"): (moved, number)})
    assert abs(fit.dates[6, "B01"].first_line_date - START) <= 1
    assert abs(fit.dates[7, "B09"].first_line_date - START - round(late * 1e9)) <= 1


def test_steps_are_those_of_the_mission() -> None:
    assert {n: band(n).packets_per_scene for n in ("B02", "B05", "B01")} == {"B02": 144, "B05": 72, "B01": 24}
    for name in ("B02", "B05", "B01"):
        scene = packet_step(band(name)) * band(name).packets_per_scene
        np.testing.assert_allclose(scene, SCENE_SECONDS * 1e9, rtol=1e-12)
        _, count, time = _strip(name, 2)
        starts = scene_starts(time, count, band(name))
        np.testing.assert_allclose(np.unique(np.round((starts - START) / 1e3)), [0, round(SCENE_SECONDS * 1e6)], atol=1)


def test_each_detector_and_band_has_its_own_first_scene() -> None:
    start = 1_281_614_560_000_000_000
    step = round(SCENE_SECONDS * 1e9)
    offset = {(5, "B02"): 0, (6, "B02"): 2_600_000_000, (5, "B12"): 1_100_000_000, (6, "B12"): 900_000_000}
    begun = {key: start + late + step * np.repeat(np.arange(4), 3) for key, late in offset.items()}
    assert strip_origins(begun) == {key: start + late for key, late in offset.items()}
    first_lost, last_lost = dict(begun), dict(begun)
    first_lost[6, "B12"], last_lost[6, "B12"] = begun[6, "B12"][3:], begun[6, "B12"][:-3]
    for lost in (first_lost, last_lost):
        assert strip_origins(lost) == {key: start + late for key, late in offset.items()}
    assert strip_origins({}) == {}
