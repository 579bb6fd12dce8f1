"""The store of indicators: any number of writers, products counted once, damage named and left out."""

import gzip
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from production_model import GAINS, facts, fill, production

from s2dask.errors import InputError
from s2dask.qc.indicators import Indicator, indicators_of, product_of
from s2dask.qc.store import Query, append, scan

GAIN = Query(indicators=("physical_gain",), bands=("B04",))


def read(store: Path | str, query: Query = GAIN) -> tuple[list[float | None], list[str]]:
    damaged: list[str] = []
    return [row.indicator.value for row in scan(str(store), query, damaged)], damaged


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    told = facts(0, "S2A", dict(GAINS), np.random.default_rng(0))
    product, indicators = product_of(told, "x"), indicators_of(told)
    append(str(tmp_path), product, indicators)
    damaged: list[str] = []
    rows = list(scan(str(tmp_path), Query(), damaged))
    assert damaged == []
    assert [row.indicator for row in rows] == list(indicators)
    assert {row.product for row in rows} == {product}


@given(
    name=st.text(min_size=1),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    detector=st.integers(0, 12),
)
@settings(max_examples=40, deadline=None)
def test_any_name_and_number_survive(name: str, value: float | None, detector: int) -> None:
    told = facts(0, "S2A", dict(GAINS), np.random.default_rng(0)) | {"name": name}
    indicator = Indicator(name, value, "B04", detector)
    with TemporaryDirectory() as folder:
        append(folder, product_of(told, "x"), [indicator])
        assert [(row.product.name, row.indicator) for row in scan(folder, Query(), [])] == [(name, indicator)]


def test_a_product_counts_once_however_often_it_is_appended(tmp_path: Path) -> None:
    for _ in range(2):
        fill(str(tmp_path), production(5, units=("S2A",)))
    assert len(read(tmp_path)[0]) == 5
    (first, *_) = sorted(tmp_path.rglob("*.gz"))
    first.with_name("copy-of-it.jsonl.gz").write_bytes(first.read_bytes())
    assert len(read(tmp_path)[0]) == 5


def test_another_inspection_of_it_stands_beside_its_record(tmp_path: Path) -> None:
    told = facts(0, "S2A", dict(GAINS), np.random.default_rng(0))
    product = product_of(told, "x")
    append(str(tmp_path), product, indicators_of(told))
    append(str(tmp_path), product, [Indicator("noise", 0.5, "B04")], "check")
    assert read(tmp_path)[0] == [GAINS["B04"]]
    assert read(tmp_path, Query(indicators=("noise",)))[0] == [0.5]
    with pytest.raises(InputError, match="is no name"):
        append(str(tmp_path), product, [], "../up")


def _write(store: str, seed: int) -> int:
    fill(store, production(20, units=("S2A",), seed=seed))
    return fill(store, production(20, units=(f"S2{'ABCD'[seed]}",), seed=9))


def test_processes_append_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(_write, [str(tmp_path)] * 4, range(4))) == 80
    values, damaged = read(tmp_path)
    assert (len(values), damaged) == (80, [])
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".jsonl.gz")]


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "foreign", "schema"])
def test_a_damaged_file_is_named_and_the_rest_is_read(tmp_path: Path, harm: str) -> None:
    fill(str(tmp_path), production(4, units=("S2A",)))
    victim = sorted(tmp_path.rglob("*.gz"))[1]
    data = victim.read_bytes()
    text = gzip.decompress(data).decode()
    harmed = {
        "cut": data[: len(data) // 2],
        "changed": gzip.compress(text.replace('"B04"', '"B05"').encode()),
        "empty": b"",
        "foreign": gzip.compress(b'{"schema": "another/1"}\n'),
        "schema": gzip.compress(text.replace("s2dask-indicators/1", "s2dask-indicators/9").encode()),
    }
    victim.write_bytes(harmed[harm])
    values, damaged = read(tmp_path)
    assert len(values) == 3
    assert len(damaged) == 1
    assert victim.name in damaged[0]


def test_a_query_touches_only_its_folders(tmp_path: Path) -> None:
    fill(str(tmp_path), production(70))
    july = [path for path in tmp_path.rglob("*.gz") if "month=2026-07" in str(path)]
    for path in july:
        path.write_bytes(b"")
    values, damaged = read(
        tmp_path, Query(units=("S2B",), indicators=("solar_zenith",), since="2026-08", until="2026-08")
    )
    assert (len(values), damaged) == (31, [])
    assert len(read(tmp_path)[1]) == len(july) == 62


def test_products_with_seeded_defects_stay_out_of_trends(tmp_path: Path) -> None:
    """What a rate of detection needs: the defect of each product, beside the outcome of each check on it."""
    for i, seeded in enumerate([(), ("dead_pixel",), ("lost_frames",), ()]):
        told = facts(36 if seeded == ("lost_frames",) else i, "S2A", dict(GAINS), np.random.default_rng(0))
        append(str(tmp_path), product_of(told, "x"), indicators_of(told), seeded=seeded)
    assert len(read(tmp_path)[0]) == 2
    rows = list(scan(str(tmp_path), Query(indicators=("Data_Loss",), seeded=True), []))
    failed = {row.seeded: row.indicator.status == "FAILED" for row in rows}
    assert failed == {(): False, ("dead_pixel",): False, ("lost_frames",): True}


def test_a_store_elsewhere_than_on_disk() -> None:
    store = "memory://indicators"
    try:
        fill(store, production(3, units=("S2A",)))
        assert len(read(store)[0]) == 3
    finally:
        fsspec.filesystem("memory").rm("/indicators", recursive=True)
