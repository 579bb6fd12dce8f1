"""What products tell together: the shift of a tile between dates."""

import json
from pathlib import Path

import numpy as np
import pytest
from production_model import GAINS, facts
from typer.testing import CliRunner

from s2dask.commands.qc_trend import app
from s2dask.qc.derived import rows_of
from s2dask.qc.indicators import indicators_of, product_of
from s2dask.qc.monthly import monthly_report
from s2dask.qc.store import Query, append


def _tile(store: Path, i: int, unit: str, east: float, north: float, tile: str = "31TCJ", made: str = "") -> None:
    told = facts(i, unit, dict(GAINS), np.random.default_rng(0)) | {"tile_id": tile}
    told["record"] |= {"geolocation_east": east, "geolocation_north": north, "geolocation_error": np.hypot(east, north)}
    told |= {"generation_time": made} if made else {}
    append(str(store), product_of(told, "x"), indicators_of(told))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    _tile(tmp_path, 0, "S2A", 1.0, 2.0)
    _tile(tmp_path, 5, "S2B", 4.0, 6.0)
    _tile(tmp_path, 10, "S2A", 40.0, 60.0)
    _tile(tmp_path, 10, "S2A", 4.0, 7.0, made="2026-12-01T00:00:00.000Z")  # made again
    _tile(tmp_path, 3, "S2A", 50.0, 50.0, tile="32TXX")  # alone
    return tmp_path


def test_successive_dates_of_a_tile_whichever_unit(store: Path) -> None:
    rows = list(rows_of(str(store), Query(indicators=("temporal_shift",)), []))
    assert sorted((r.product.unit, r.product.sensing_time[:10], r.indicator.value) for r in rows) == [
        ("S2A", "2026-07-11", 1.0), ("S2B", "2026-07-06", 5.0),
    ]  # fmt: skip
    only = Query(units=("S2B",), indicators=("temporal_shift_east", "geolocation_east"))
    assert {(r.indicator.indicator, r.indicator.value) for r in rows_of(str(store), only, [])} == {
        ("temporal_shift_east", 3.0), ("geolocation_east", 4.0),
    }  # fmt: skip


def test_report_and_trend_tell_it(store: Path) -> None:
    sections = {s.title: s for s in monthly_report(str(store), "2026-07").sections}
    (figure,) = sections["Multi-temporal registration"].figures
    assert {(r["unit"], r["indicator"]): r["maximum"] for r in figure.rows}["S2B", "temporal_shift"] == 5.0
    ask = ["trend", "-i", "temporal_shift", "--store", str(store), "--unit", "S2B", "--json"]
    (trend,) = json.loads(CliRunner().invoke(app, ask, catch_exceptions=False).output)["trends"]
    assert trend["values"] == [5.0]
