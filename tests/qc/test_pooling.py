"""Pooling: many tiles tell a drift of the gain that none of them alone could."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from production_model import GAINS, drift, facts
from site_model import REVISIT, START, sites
from typer.testing import CliRunner

from s2dask.commands.qc_trend import app
from s2dask.errors import ConfigurationError
from s2dask.qc.indicators import Product, indicators_of, product_of
from s2dask.qc.pooling import Pooling, pool, relative
from s2dask.qc.store import append
from s2dask.qc.trend import Key, Series, Trend, follow

YEAR, CLEAN = 365, 100


def followed(tiles: int, shared: float, own: float, seed: int, over: str = "") -> Trend:
    """Return the trend of a unit of which one band drifts by 1 % over the last 30 days."""
    gain = drift(YEAR + CLEAN, 30, 0.01)
    found = sites(tiles, gain, shared, own, seed, ("B04", over) if over else ("B04",))
    (series,) = pool(found, Pooling("day", over), str(YEAR))
    return follow(series, str(YEAR))


def days_until_seen(trend: Trend) -> tuple[bool, int]:
    """Return (whether there was an alarm before the drift, day of the drift with the first alarm)."""
    assert trend.chart is not None
    out = trend.chart.out
    return bool(out[:CLEAN].any()), 1 + int(np.flatnonzero(np.append(out[CLEAN:], True))[0])


@pytest.mark.row("MPC-21")
def test_ratios_of_60_tiles_a_day_tell_a_drift_of_one_percent_within_8_days() -> None:
    """Visits with 1.5 % that all bands share and 0.3 % of each band: 0.42 % in a ratio, 0.06 % in the mean of a day."""
    for seed in range(1):
        trend = followed(60, 0.015, 0.003, seed, "B8A")
        false, day = days_until_seen(trend)
        assert not false
        assert day <= 8
        assert trend.reference is not None
        assert trend.reference.sigma < 0.0007
        (alarm,) = trend.alarms
        assert (alarm.direction, str(alarm.key)) == ("up", "mean L1C S2A B04/B8A by day")


@pytest.mark.slow
@pytest.mark.parametrize(("tiles", "shared", "own", "over"), [(300, 0.0095, 0.003, ""), (100, 0.015, 0.004, "B8A")])
def test_at_the_noise_of_desert_tiles(tiles: int, shared: float, own: float, over: str) -> None:
    """Single bands with 1 % a visit need 300 tiles a day, ratios with 0.6 % a hundred."""
    seen = [days_until_seen(followed(tiles, shared, own, seed, over)) for seed in range(10, 16)]
    assert [false for false, _ in seen] == [False] * 6
    assert max(day for _, day in seen) <= 8


def _site(values: np.ndarray, name: str = "31TCJ", step: int = REVISIT) -> Series:
    days = step * np.arange(len(values))
    stamps = np.datetime64(START, "ms") + days.astype("timedelta64[D]")
    told = tuple(Product(f"{name} {d}", "L1C", "S2A", f"{t}Z", tile=name) for d, t in zip(days, stamps, strict=True))
    return Series(Key("mean", "L1C", "S2A", "B04", tile=name), told, values)


def test_a_site_is_held_against_its_own_season() -> None:
    days = REVISIT * np.arange(60)
    season = 0.3 * (1 + 0.05 * np.cos(2 * np.pi * days / 365.25 + 1.0))
    site = _site(season)
    assert relative(site, site.products[36].sensing_time) == pytest.approx(np.ones(60), abs=1e-9)
    # a month tells no season, two visits tell nothing
    assert np.ptp(relative(site, site.products[3].sensing_time)) > 0.05
    assert np.isnan(relative(site, site.products[1].sensing_time)).all()


def test_a_spoilt_visit_spoils_neither_site_nor_point() -> None:
    values = 0.3 * (1 + 0.01 * np.random.default_rng(3).standard_normal(60))
    spoilt = values.copy()
    spoilt[[5, 50]] *= 1.8
    until = _site(values).products[36].sensing_time
    there = np.delete(np.arange(60), [5, 50])
    assert relative(_site(spoilt), until)[there] == pytest.approx(relative(_site(values), until)[there], abs=2e-3)
    cloudy = [_site(spoilt if i == 0 else values, f"{i}") for i in range(8)]
    (clear,), (cloud,) = (
        (list(pool([_site(values, f"{i}") for i in range(8)], Pooling(), "36"))),
        list(pool(cloudy, Pooling(), "36")),
    )
    assert cloud.values == pytest.approx(clear.values, abs=1e-3)


def test_residuals_of_the_baseline_are_as_wide_as_those_after_it() -> None:
    rng = np.random.default_rng(0)
    found = [relative(_site(1 + 0.01 * rng.standard_normal(28)), _site(np.ones(28)).products[3].sensing_time)
             for _ in range(700)]  # fmt: skip
    inside, after = np.std(np.array(found)[:, :4]), np.std(np.array(found)[:, 4:])
    assert inside == pytest.approx(after, rel=0.08)


def test_groups_ratios_and_refusals() -> None:
    few = [_site(np.full(60, 0.3), f"{i}") for i in range(4)]
    assert [len(s.values) for s in pool(few, Pooling(fewest=4), "30")] == [60]
    assert not list(pool(few, Pooling(fewest=5), "30"))
    other = [
        replace(s, key=replace(s.key, band="B8A"), values=s.values[:50] * 2, products=s.products[:50]) for s in few
    ]
    (ratio,) = pool([*few, *other], Pooling("day", "B8A", 4), "30")
    assert ratio.values == pytest.approx(np.ones(50))
    assert ratio.products[0].name == "2024-01-01, 4 tiles"
    (late,) = pool(few, Pooling(fewest=4), "2024-03..2024-12")
    assert late.products[0].month == "2024-03"
    with pytest.raises(ConfigurationError, match="no groups by 'week'"):
        Pooling("week")


def test_the_command(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for i in range(40):
        for tile in range(6):
            told = facts(i, "S2A", dict(GAINS), rng) | {"tile_id": f"3{tile}TCJ", "name": f"{i} {tile}"}
            append(str(tmp_path), product_of(told, "x"), indicators_of(told))
    ask = ["trend", "-i", "mean", "--band", "B04", "--pool", "day", "--baseline", "30", "--store", str(tmp_path)]
    result = CliRunner().invoke(app, [*ask, "--over", "B02", "--json"], catch_exceptions=False)
    (trend,) = json.loads(result.output)["trends"]
    assert (len(trend["values"]), trend["baseline"], trend["alarms"]) == (40, 30, [])
    assert (trend["series"]["over"], trend["series"]["pool"]) == ("B02", "day")
    assert "mean L1C S2A B04 by day" in CliRunner().invoke(app, ask, catch_exceptions=False).output
    with pytest.raises(ConfigurationError, match="add --pool day"):
        CliRunner().invoke(app, [*ask[:5], "--over", "B02", "--store", str(tmp_path)], catch_exceptions=False)
