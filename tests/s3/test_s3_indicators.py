"""The store of indicators in a real S3 store: journal, compaction, readers."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr

from s2dask.errors import InputError
from s2dask.io.storage import filesystem
from s2dask.qc.compact import compact
from s2dask.qc.indicators import Indicator, Product
from s2dask.qc.store import Query, append, scan, table_url


def _fill(store: str, days: int) -> None:
    for day in range(1, days + 1):
        product = Product(f"tile {day}", "L1C", "S2A", f"2026-07-{day:02d}T10:30:00.024Z", tile="31TCJ")
        append(store, product, [Indicator("physical_gain", 4.5 + 0.01 * day, "B04"), Indicator("solar_zenith", 40.0)])


def _values(store: str) -> list[float | None]:
    damaged: list[str] = []
    values = [row.indicator.value for row in scan(store, Query(indicators=("physical_gain",)), damaged)]
    assert damaged == []
    return values


@pytest.mark.slow
def test_journal_and_table_in_s3(bucket: str) -> None:
    store = f"{bucket}/indicators"
    _fill(store, 3)
    before = _values(store)
    done = compact(store)
    assert (done.moved, done.rows, done.left) == (3, 3, [])
    assert _values(store) == before == pytest.approx([4.51, 4.52, 4.53])
    _fill(store, 4)
    assert _values(store) == pytest.approx([4.51, 4.52, 4.53, 4.54])
    assert (compact(store).added, len(_values(store))) == (1, 4)
    with xr.open_zarr(table_url(store), chunks=None) as table:
        assert np.allclose(table["physical_gain_by_band"].sel(band="B04"), [4.51, 4.52, 4.53, 4.54])


@pytest.mark.slow
def test_a_second_compaction_is_kept_out(bucket: str) -> None:
    store = f"{bucket}/indicators"
    _fill(store, 1)
    fs, path = filesystem(f"{store}/compaction.json")
    fs.pipe_file(path, json.dumps({"since": datetime.now(UTC).isoformat(), "process": 1}).encode())
    with pytest.raises(InputError, match="compaction is under way"):
        compact(store)
    fs.rm_file(path)
    assert compact(store).moved == 1
