"""U of the products: real metadata, to rounding."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from s2dask.instrument.solar import reflectance_conversion


@pytest.mark.row("IPF-18")
def test_u_is_that_of_the_real_products(reference_data: Path) -> None:
    text = (reference_data / "radiometry/csv/u_factor_test_vectors.csv").read_text()
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) >= 10
    for row in rows:
        start = datetime.fromisoformat(row["datatake_sensing_start"])
        assert abs(reflectance_conversion(start) - float(row["U_metadata"])) <= 1e-12


def test_u_follows_the_distance_of_the_sun() -> None:
    days = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=k) for k in range(365)]
    values = [reflectance_conversion(day) for day in days]
    assert days[values.index(max(values))].month == 1
    assert days[values.index(min(values))].month == 7
    assert 1.033 < max(values) < 1.035
    assert reflectance_conversion(datetime(2021, 1, 1)) == values[0]
