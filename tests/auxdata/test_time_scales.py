"""Time scales: the table of leap seconds, dates around a leap second, and pyerfa as the outside reference."""

from datetime import UTC, datetime
from pathlib import Path

import erfa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.auxdata.leap_seconds import BUILT_IN, LeapSeconds
from s2dask.auxdata.time import NANO, gps_nanoseconds, gps_to_utc, tt_days, utc_days, utc_to_gps
from s2dask.errors import InputError, InputMissing

BEFORE = gps_nanoseconds("2017-01-01T00:00:17")
"""The instant at which 2016-12-31T23:59:60 UTC begins: GPS was 17 s ahead of UTC until then."""


def test_the_table_of_the_iers_is_the_built_in_one(reference_data: Path) -> None:
    table = LeapSeconds.from_file(reference_data / "geometry/time/UTC-TAI.history")
    assert (table.dates[0], table.offsets[0]) == (datetime(1972, 1, 1, tzinfo=UTC), 10)
    assert table.dates[1] == datetime(1972, 7, 1, tzinfo=UTC)
    assert table.offsets == tuple(range(10, 38))
    known = dict(zip(table.dates, table.offsets, strict=True))
    assert known | dict(zip(BUILT_IN.dates, BUILT_IN.offsets, strict=True)) == known
    assert len(BUILT_IN.dates) == sum(date.year >= 1980 for date in table.dates)
    assert table.origin == "UTC-TAI.history"


def test_a_table_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    for text, reason in (
        ("Shopping list", "no rows of TAI-UTC"),
        (" 2015  Jul.  1 - 2017  Jan.  1    36s\n 2017  Jan.  1 -                  38s\n", "not one second each"),
        (" 2017  Jan.  1 -                  37s\n 2015  Jul.  1 - 2017  Jan.  1    36s\n", "in the order of their"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=f"table.txt: .*{reason}"):
            LeapSeconds.from_file(path)
    with pytest.raises(InputMissing, match="no such table"):
        LeapSeconds.from_file(tmp_path / "none")


def test_a_new_leap_second_counts(tmp_path: Path) -> None:
    path = tmp_path / "UTC-TAI.history"
    path.write_text(
        " 2017  Jan   1 - 2035  Jul.  1    37s\n 2035  Jul.  1 - 2036  Jan.  1    38s\n 2036  Jan.  1 -   39s\n"
    )
    table = LeapSeconds.from_file(path)
    date = "2035-09-01T00:00:00Z"
    assert utc_to_gps(date, table) - utc_to_gps(date) == NANO
    assert gps_to_utc(utc_to_gps(date, table), table) == datetime(2035, 9, 1, tzinfo=UTC)


def test_the_day_of_a_leap_second() -> None:
    texts = ("23:59:59", "23:59:59.75", "23:59:60", "23:59:60.999999999")
    gps = [utc_to_gps(f"2016-12-31T{text}Z") for text in texts] + [utc_to_gps("2017-01-01T00:00:00Z")]
    assert [t - BEFORE for t in gps] == [-NANO, -NANO // 4, 0, NANO - 1, NANO]
    day, fraction = utc_days(np.array(gps))
    np.testing.assert_array_equal(day, [57753, 57753, 57753, 57753, 57754])
    np.testing.assert_allclose(fraction * 86400, [86399, 86399.75, 86400, 86400.999999999, 0], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(BUILT_IN.inserted(np.array(gps)), [False, False, True, True, False])
    np.testing.assert_array_equal(BUILT_IN.at_gps(np.array(gps)), [36, 36, 36, 36, 37])
    dates = [gps_to_utc(t) for t in gps]
    assert dates == sorted(dates)
    assert dates[2] == datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert dates[4] == datetime(2017, 1, 1, tzinfo=UTC)
    for text in ("2016-12-30T23:59:60Z", "2018-12-31T23:59:60Z", "2016-12-31T12:30:60Z"):
        with pytest.raises(InputError, match="no leap second is inserted there"):
            utc_to_gps(text)


@given(st.integers(gps_nanoseconds("1981-01-01T00:00:00"), gps_nanoseconds("2040-01-01T00:00:00")))
def test_round_trip_at_any_date(gps: int) -> None:
    date = gps_to_utc(gps)
    back = utc_to_gps(f"{date:%Y-%m-%dT%H:%M:%S.%f}")
    assert 0 <= gps - back < (1000 if not BUILT_IN.inserted(np.array([gps]))[0] else 2 * NANO)


@given(
    st.one_of(
        st.integers(gps_nanoseconds("1982-01-01T00:00:00"), gps_nanoseconds("2026-01-01T00:00:00")),
        st.integers(BEFORE - 2 * NANO, BEFORE + 3 * NANO),
    )
)
def test_utc_and_tt_are_those_of_erfa(gps: int) -> None:
    day, fraction = utc_days(np.array([gps]))
    # pyerfa counts fractions of the day as long as it is
    dates = (erfa.jd2cal(2400000.5, d)[:3] for d in (float(day[0]), float(day[0]) + 1))
    leap, after = (float(erfa.dat(*date, 0.0)) for date in dates)
    tai = erfa.utctai(2400000.5 + day, fraction * 86400 / (86400 + after - leap))
    tt, found = tt_days(np.array([gps])), erfa.taitt(*tai)
    assert float(((tt[0] + 2400000.5 - found[0]) + (tt[1] - found[1]))[0]) == pytest.approx(0, abs=1e-13)
