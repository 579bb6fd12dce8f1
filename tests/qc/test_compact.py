"""Compaction: the journal becomes one Zarr table, and nobody who reads the store notices."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from production_model import GAINS, facts, fill, production
from typer.testing import CliRunner

import s2dask.qc.table as table_module
from s2dask.commands.qc_trend import app
from s2dask.errors import InputError
from s2dask.instrument import BANDS
from s2dask.qc.compact import compact
from s2dask.qc.indicators import Indicator, product_of
from s2dask.qc.monthly import monthly_report
from s2dask.qc.store import Query, Row, append, scan, table_url
from s2dask.qc.table import Table


def rows(store: Path | str, query: Query | None = None) -> set[Row]:
    damaged: list[str] = []
    found = list(scan(str(store), query or Query(seeded=True), damaged))
    assert damaged == []
    assert len(set(found)) == len(found)
    return set(found)


def told(i: int = 0, **more: object) -> dict[str, object]:
    return facts(i, "S2A", dict(GAINS), np.random.default_rng(0)) | more


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "indicators")
        return
    yield "memory://compacted"
    fsspec.filesystem("memory").rm("/compacted", recursive=True)


def test_a_reader_does_not_notice(store: str) -> None:
    fill(store, production(35, drifting="S2B"))
    fill(store, production(35, units=("S2A",), level="L2A"))
    queries = [
        Query(seeded=True), Query(levels=("L1C",), units=("S2B",), indicators=("physical_gain",), bands=("B04",)),
        Query(since="2026-08", until="2026-08", indicators=("Data_Loss",)), Query(tiles=("30XXX",)), Query(detector=3),
    ]  # fmt: skip
    before, report = [rows(store, q) for q in queries], monthly_report(store, "2026-07").as_dict()
    done = compact(store)
    assert (done.moved, done.added, done.rows, done.left) == (105, 105, 105, [])
    assert [rows(store, q) for q in queries] == before
    assert monthly_report(store, "2026-07").as_dict() == report
    assert compact(store).moved == 0
    fill(store, production(37, drifting="S2B"))  # all but four are there already
    both = rows(store)
    again = compact(store)
    assert (again.moved, again.added, again.rows) == (74, 4, 109)
    assert rows(store) == both


def test_xarray_opens_it(tmp_path: Path) -> None:
    fill(str(tmp_path), production(3, units=("S2A",)))
    compact(str(tmp_path))
    with xr.open_zarr(table_url(str(tmp_path)), chunks=None) as table:
        gains = table["physical_gain_by_band"].sel(band=["B02", "B04"])
        assert gains.dims == ("product", "band")
        assert np.allclose(gains, [GAINS["B02"], GAINS["B04"]], rtol=0.01)
        assert set(table.coords) >= {"time", "unit", "tile", "orbit", "relative_orbit", "baseline", "level"}
        assert table.time.values[1] == np.datetime64("2026-07-02T10:30:00.024")
        assert table.orbit.values.tolist() == [26904, 26905, 26906]
        assert table.tile.values.tolist() == ["31TCJ"] * 3
        status = table["GENERAL_QUALITY.Data_Loss.status"]
        meanings = dict(zip(status.flag_values, status.flag_meanings.split(), strict=True))
        assert [meanings[code] for code in status.values.tolist()] == ["informative_passed"] * 3


def test_what_is_told_again_replaces_what_the_table_holds(store: str) -> None:
    product = product_of(told(), "x")
    append(store, product, [Indicator("noise", 0.5, "B04", 3), Indicator("old", 1.0)])
    append(store, product, [Indicator("noise", 0.7, "B04", 3)], "check", seeded=("dead_pixel", "lost frames"))
    compact(store)
    append(store, product, [Indicator("noise", 0.6, "B04", 3)])
    assert {row.indicator.value for row in rows(store)} == {0.6, 0.7}
    compact(store)
    assert {(r.indicator.indicator, r.indicator.value, r.seeded) for r in rows(store)} == {
        ("noise", 0.6, ()), ("noise", 0.7, ("dead_pixel", "lost frames")),
    }  # fmt: skip
    assert Table.open(table_url(store)).length == 2


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["before the length", "half of the arrays"])
def test_an_interrupted_addition_leaves_no_trace(store: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, production(3, units=("S2A",)))
    compact(store)
    fill(store, production(6, units=("S2A",)))
    before, calls = rows(store), []

    def die(*arguments: object, **_: object) -> None:
        calls.append(arguments)
        if moment == "before the length" or len(calls) > 4:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(table_module, "consolidate" if moment == "before the length" else "_fill", die)
        with pytest.raises(Killed):
            compact(store)
    assert rows(store) == before
    assert Table.open(table_url(store)).length == 3
    assert compact(store).rows == 6
    assert rows(store) == before


def test_one_compaction_at_a_time(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, production(2, units=("S2A",)))
    with monkeypatch.context() as patch:
        patch.setattr("s2dask.qc.compact.extend", lambda *_: compact(store))
        with pytest.raises(InputError, match="compaction is under way"):
            compact(store)
    assert compact(store).moved == 2


def test_a_file_written_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product = product_of(told(), "x")
    append(str(tmp_path), product, [Indicator("noise", 0.5)])

    def extend(url: str, entries: object) -> int:
        append(str(tmp_path), product, [Indicator("noise", 0.6)])
        return table_module.extend(url, entries)  # type: ignore[arg-type]

    monkeypatch.setattr("s2dask.qc.compact.extend", extend)
    assert (compact(str(tmp_path)).moved, compact(str(tmp_path)).moved) == (0, 0)
    assert [row.indicator.value for row in rows(tmp_path)] == [0.6]


def test_what_the_table_cannot_hold_stays_and_is_named(tmp_path: Path) -> None:
    append(str(tmp_path), product_of(told(), "x"), [Indicator("noise", 0.5, "B99")])
    victim = append(str(tmp_path), product_of(told(1), "x"), [Indicator("noise", 0.5)])
    Path(victim).write_bytes(b"")
    done = compact(str(tmp_path))
    assert (done.moved, done.rows, len(done.left)) == (0, 0, 2)
    assert "no place" in done.left[1]


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
            | st.sampled_from(["time", "band", "a/b", "..", "x.status"]),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from(["", "B04", "B8A"]), st.integers(0, 12), st.sampled_from(["", "GENERAL_QUALITY"]),
        ),
        max_size=6, unique_by=lambda t: (t[0], *t[2:]),
    )
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_any_indicator_survives(found: list[tuple[str, float | None, str, int, str]]) -> None:
    indicators = [
        Indicator(name, value, band, detector, checklist, "sample" if checklist else "", "FAILED" if checklist else "")
        for name, value, band, detector, checklist in found
    ]
    with TemporaryDirectory() as folder:
        append(folder, product_of(told(), "x"), indicators)
        compact(folder)
        told_again = {row.indicator for row in scan(folder, Query(), [])}
        assert {i for i in told_again if i.value is not None or i.status} == {
            i for i in indicators if i.value is not None or i.status
        }


def test_the_command(tmp_path: Path) -> None:
    fill(str(tmp_path), production(4, units=("S2A",)))
    result = CliRunner().invoke(app, ["compact", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "4 products moved, 4 new; the table has 4" in result.output
    assert not list(tmp_path.rglob("*.gz"))


def test_every_band_and_detector_has_a_place(tmp_path: Path) -> None:
    product = product_of(told(), "x")
    indicators = [Indicator("noise", 100.0 * d + k, b, d) for d in range(13) for k, b in enumerate(["", *BANDS])]
    append(str(tmp_path), replace(product, level="L1B", kind="DATASTRIP", tile=""), indicators)
    compact(str(tmp_path))
    assert {row.indicator for row in rows(tmp_path)} == set(indicators)
