"""The charts: against their definition, and what they promise about false alarms and slow drifts."""

import csv
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from production_model import NOISE, drift

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS
from s2dask.qc.control_chart import ALLOWANCE, FEWEST, SMOOTHING, InControl, control_chart, in_control

BASELINE = 50
CLEAN = 100
RAMP = 30


def gain(seed: int, factor: np.ndarray, noise: float = NOISE) -> np.ndarray:
    """Return (n) float64 a gain with the noise of real ones."""
    return 4.5 * factor * (1.0 + noise * np.random.default_rng(seed).standard_normal(len(factor)))


def out_of(values: np.ndarray) -> np.ndarray:
    """Return (n - baseline) bool of a series that begins with its baseline."""
    return control_chart(values[BASELINE:], in_control(values[:BASELINE])).out


def test_charts_follow_their_definition() -> None:
    z = np.random.default_rng(5).standard_normal(40) + 0.5
    chart = control_chart(z, InControl(0.0, 1.0, 10**9, 0, 0.0))
    ages = np.subtract.outer(np.arange(40), np.arange(40))
    weights = np.where(ages >= 0, SMOOTHING * (1.0 - SMOOTHING) ** np.abs(ages), 0.0)
    assert chart.ewma == pytest.approx(weights @ z)
    assert chart.ewma_limit == pytest.approx(4.38 * np.sqrt((weights**2).sum(axis=1)))
    for side, path in ((1.0, chart.above), (-1.0, chart.below)):
        sums = np.concatenate([[0.0], np.cumsum(side * z - ALLOWANCE)])
        assert path == pytest.approx(sums[1:] - np.minimum.accumulate(sums)[1:])


@pytest.mark.row("MPC-21")
def test_a_drift_of_one_percent_over_30_products_is_flagged_within_8() -> None:
    """300 seeds: every drift seen by its 8th product (0.27 % by then), no alarm in the 100 clean ones before it."""
    factor = drift(BASELINE + CLEAN, RAMP, 0.01)
    late, false = 0, 0
    for seed in range(300):
        out = out_of(gain(seed, factor))
        false += bool(out[:CLEAN].any())
        late += not out[CLEAN : CLEAN + 8].any()
    assert (late, false) == (0, 0)


def test_the_noise_is_that_of_gains_in_real_products(reference_data: Path) -> None:
    """Gains of S2A of 2020-08 about the line between 2019-02 and 2021-09: an upper bound, real changes are in it."""
    lines = (reference_data / "radiometry/csv/physical_gains_history.csv").read_text().splitlines()
    found = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        if row["unit"] == "S2A":
            found[row["datatake_sensing_start"][:10]] = np.array([float(row[name]) for name in BANDS])
    before, middle, after = (found[day] for day in ("2019-02-12", "2020-08-16", "2021-09-08"))
    days = [datetime.fromisoformat(day) for day in ("2019-02-12", "2020-08-16", "2021-09-08")]
    share = (days[1] - days[0]) / (days[2] - days[0])
    apart = (middle - (1.0 - share) * before - share * after) / middle
    noise = apart / np.sqrt(1.0 + share**2 + (1.0 - share) ** 2)
    assert 0.8 * NOISE < np.sqrt(np.mean(noise**2)) < NOISE


@pytest.mark.parametrize("size", [-0.01, 0.003])
def test_other_drifts_are_flagged_before_their_end(size: float) -> None:
    factor = drift(BASELINE + CLEAN, RAMP, size)
    assert all(out_of(gain(seed, factor))[CLEAN:].any() for seed in range(100))


def test_a_sudden_change_of_one_percent_is_flagged_at_ten_times_the_noise() -> None:
    factor = np.concatenate([np.ones(BASELINE + CLEAN), np.full(8, 1.01)])
    seen = [out_of(gain(seed, factor, 10.0 * NOISE))[CLEAN:].any() for seed in range(300)]
    assert np.mean(seen) > 0.85


@pytest.mark.parametrize("products", [30, 50, 150])
def test_false_alarms_are_rare_for_any_baseline(products: int) -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(1000):
        values = rng.standard_normal(products + CLEAN)
        alarms += bool(control_chart(values[products:], in_control(values[:products])).out.any())
    assert alarms <= 6


def test_neighbours_that_hang_together_are_no_alarm() -> None:
    """A first-order autoregressive series, as a site under a wandering sun makes it."""
    alarms = 0
    for seed in range(200):
        steps, values = np.random.default_rng(seed).standard_normal(250), np.zeros(250)
        for i in range(1, 250):
            values[i] = 0.6 * values[i - 1] + steps[i]
        alarms += bool(out_of(values[100:]).any())
    assert alarms <= 10


def test_a_few_odd_products_do_not_widen_the_limits() -> None:
    values = gain(1, np.ones(BASELINE))
    odd = values.copy()
    odd[[7, 21, 33]] *= 1.5
    clean, robust = in_control(values), in_control(odd)
    assert robust.apart == 3
    assert robust.mean == pytest.approx(clean.mean, rel=1e-4)
    assert robust.sigma == pytest.approx(clean.sigma, rel=0.1)


def test_what_never_moved_alarms_at_once() -> None:
    values = np.full(BASELINE + 3, 4.5)
    assert not out_of(values).any()
    values[-1] = 4.5000001
    assert out_of(values).tolist() == [False, False, True]


def test_too_few_products_and_no_steady_process_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="too few"):
        in_control(np.ones(FEWEST - 1))
    with pytest.raises(ConfigurationError, match="no steady process"):
        in_control(np.where(np.arange(50) % 4 == 0, np.arange(50) * 1.0, 0.0))
