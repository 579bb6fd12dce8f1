"""Earth orientation: real bulletins whose names lie, their limits, and a day with a leap second."""

import tarfile
from pathlib import Path

import erfa
import numpy as np
import pytest

from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.time import NANO, gps_nanoseconds, utc_days, utc_to_gps
from s2dask.errors import InputError, InputMissing


@pytest.fixture
def folder(reference_data: Path) -> Path:
    return reference_data / "geometry/iers"


def test_what_a_bulletin_covers_is_in_its_text(folder: Path, reference_data: Path) -> None:
    """Trap 8: the name says 2019-07-26 to 2020-07-25, the text is that of October 2019 with a year of predictions."""
    bulletin = EarthOrientation.from_bulletin(next(folder.glob("*.txt")))
    assert (bulletin.mjd[0], bulletin.mjd[-1], bulletin.mjd.size) == (58774, 59145, 372)
    rapid = [0.17830, 0.29558, -0.153137], [0.17013, 0.28992, -0.154249]
    predicted = [0.1688, 0.2894, -0.15499], [0.1860, 0.2675, -0.31215]
    found = bulletin.at([58774, 58780, 58781, 59145])
    np.testing.assert_allclose(found.T, [*rapid, *predicted], rtol=0, atol=1e-12)
    later = EarthOrientation.from_bulletin(next(reference_data.glob("ops/aux/S2__OPER_AUX_UT1UTC*/*.DBL")))
    assert (later.mjd[0], later.mjd[-1]) == (59612, 60041)


def test_the_doctored_bulletin_holds_three_days_apart(folder: Path) -> None:
    """Trap 4: the peer's own test of the bulletin uses this one."""
    bulletin = EarthOrientation.from_bulletin(next(folder.glob("constant_eop/*.txt")))
    assert bulletin.mjd.tolist() == [*range(58774, 58781), 59076, 59077, 59078]
    dates = np.linspace(59076, 59078, 21)
    expected = np.tile([[0.2393], [0.3620], [-0.27381]], 21)
    np.testing.assert_allclose(bulletin.at(dates), expected, rtol=0, atol=1e-12)
    for date in (58773.9, 58780.1, 58900.0, 59075.99, 59078.01):
        with pytest.raises(InputError, match=rf"MJD 58774 to 59078 with gaps does not cover MJD {date:.2f}; give the"):
            bulletin.at([59077.0, date])


def test_a_date_outside_the_bulletin_is_an_error(folder: Path) -> None:
    """Trap 5: the peer takes zero there, which is 14 m on the ground."""
    bulletin = EarthOrientation.from_bulletin(next(folder.glob("*.txt")))
    for date in ("2019-10-17T23:59:59Z", "2020-10-23T00:00:01Z", "2022-10-11T06:40:25Z"):
        with pytest.raises(InputError, match="does not cover MJD"):
            bulletin.at_gps(np.array([utc_to_gps(date)]))


def test_four_points_around_the_date(folder: Path) -> None:
    bulletin = EarthOrientation.from_bulletin(next(folder.glob("*.txt")))
    for date in (59077.3, 58774.2, 59144.9):
        days = np.clip(np.floor(date) - 1, 58774, 59142) + np.arange(4)
        rows = np.searchsorted(bulletin.mjd, days)
        for found, values in zip(bulletin.at([date])[:, 0], bulletin.values[:, rows], strict=True):
            assert found == pytest.approx(np.polynomial.Polynomial.fit(days, values, 3)(date), abs=1e-12)


def test_the_constants_of_the_metadata_hold_at_every_date() -> None:
    eop = EarthOrientation.constant(0.2393, 0.362, -0.27381)
    np.testing.assert_array_equal(eop.at([0.0, 99999.0]), np.tile([[0.2393], [0.362], [-0.27381]], 2))


def _bulletin(path: Path, first: int, ut1_utc: list[float]) -> EarthOrientation:
    lines = []
    for k, value in enumerate(ut1_utc):
        year, month, day, _ = erfa.jd2cal(2400000.5, float(first + k))
        lines.append(f"       {year} {month:2d} {day:2d}  {first + k}       0.1000      0.2000     {value:.5f}")
    path.write_text("\n".join(lines))
    return EarthOrientation.from_bulletin(path)


def test_ut1_runs_on_through_a_leap_second(tmp_path: Path) -> None:
    """UT1-UTC jumps by a second at the end of 2016; the Earth does not."""
    eop = _bulletin(tmp_path / "a.txt", 57751, [-0.4060, -0.4070, -0.4080, 0.5910, 0.5900, 0.5890])
    start = utc_to_gps("2016-12-31T18:00:00Z")
    gps = np.append(start + NANO * np.arange(0, 40_000, 100), utc_to_gps("2016-12-31T23:59:60.5Z"))
    gps.sort()
    pole, day, fraction = eop.at_gps(gps)
    np.testing.assert_allclose(pole, np.tile([[0.1], [0.2]], gps.size), atol=1e-12)
    # the length of day of the table: 1 ms more than 86400 s
    ut1 = (day - day[0] + fraction) * 86400
    expected = ut1[0] + (gps - gps[0]) / NANO * (1 - 1e-3 / 86400)
    np.testing.assert_allclose(ut1, expected, rtol=0, atol=2e-8)
    whole, part = utc_days(gps[:1])
    assert ut1[0] == pytest.approx(part[0] * 86400 + eop.at(whole + part)[2, 0], abs=1e-9)
    assert eop.at([57753.9999, 57754.0001])[2] == pytest.approx([-0.409, 0.591], abs=1e-5)


def test_ut1_is_utc_and_the_difference(folder: Path) -> None:
    eop = EarthOrientation.from_bulletin(next(folder.glob("*.txt")))
    gps = gps_nanoseconds("2020-08-16T12:02:38") + NANO * np.arange(0, 100_000, 7_777)
    day, part = utc_days(gps)
    pole, ut1_day, ut1 = eop.at_gps(gps)
    found = eop.at(day + part)
    np.testing.assert_array_equal(pole, found[:2])
    np.testing.assert_allclose((ut1_day - day + ut1 - part) * 86400, found[2], rtol=0, atol=1e-10)


def test_the_archive_of_the_service(folder: Path, tmp_path: Path) -> None:
    source = next(folder.glob("*.txt"))
    (tmp_path / f"{source.stem}.DBL").write_bytes(source.read_bytes())
    with tarfile.open(tmp_path / f"{source.stem}.TGZ", "w:gz") as archive:
        archive.add(tmp_path / f"{source.stem}.DBL", f"{source.stem}.DBL")
    packed = EarthOrientation.from_bulletin(tmp_path / f"{source.stem}.TGZ")
    np.testing.assert_array_equal(packed.values, EarthOrientation.from_bulletin(source).values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no daily rows of a Bulletin A"),
        ("<xml/>", "no daily rows"),
        ("       2020  8 15  59076       0.2393      0.3620     -0.27381\n", "no daily rows"),
        ("       2020  8 15  59076   0.2  0.3  -0.2\n       2020  8 15  59076   0.2  0.3  -0.3\n", "two rows for MJD"),
        ("       2020  8 15  59077   0.2  0.3  -0.2\n", "contradicts itself"),
        ("       2020 13 15  59077   0.2  0.3  -0.2\n", "contradicts itself"),
        ("       2020  8 15  59076   0.2  0-3  -0.2\n", "contradicts itself"),
    ],
)
def test_what_is_no_bulletin(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "bulletina.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=f"bulletina.txt: .*{reason}"):
        EarthOrientation.from_bulletin(path)
    with pytest.raises(InputMissing, match="no such Bulletin A"):
        EarthOrientation.from_bulletin(tmp_path / "none.txt")
