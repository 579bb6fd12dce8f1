"""Forecasts cut to a tile: the real product's form and size, global and regional files, times, edges, refusals."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.auxdata.cams import read_cams
from s2dask.auxdata.forecast import CutOut, cut_forecast, read_cutout, tile_points, valid_time
from s2dask.auxdata.grib import Grid, encode, message, read_fields
from s2dask.auxdata.meteo import read_meteo, write_meteo
from s2dask.errors import InputError, InputMissing

TIME = datetime(2020, 8, 16, 12, 2, 31, tzinfo=UTC)
TILE = tile_points((-17.1305, 33.4297, -15.9601, 32.4369))


def _plane(grid: Grid) -> NDArray[np.float64]:
    """Return a field that bilinear interpolation keeps: the longitude turns on across 180 degrees."""
    lon, lat = np.meshgrid(grid.lon, grid.lat)
    return np.asarray(20.0 + 0.1 * ((lon + 180.0) % 360.0) + 0.2 * lat)


def _file(path: Path, grid: Grid, *steps: tuple[datetime, float]) -> Path:
    path.write_bytes(b"".join(message(137, grid, _plane(grid) * factor, time) for time, factor in steps))
    return path


@pytest.mark.row("IPF-28")
def test_the_cut_out_has_the_form_of_the_real_file(reference_data: Path, tmp_path: Path) -> None:
    real = (reference_data / "l2a/aux/AUX_ECMWFT_20200202_Solomon.grib").read_bytes()
    path = tmp_path / "AUX_ECMWFT"
    write_meteo(path, -18.0, 34.0, 0.125, (20, 20), 1.5, 1013.0, 300.0, TIME)
    made = cut_forecast(path, TILE, TIME)
    assert len(made.content) == len(real) == 810
    for ours, theirs in zip(read_fields(made.content, "ours"), read_fields(real, "theirs"), strict=True):
        assert ours.parameter == theirs.parameter
        assert ours.values.shape == theirs.values.shape == (9, 9)
        assert ours.product[:12] == theirs.product[:12]
        # but for the dates the product definitions are the same, reserved octets and local section included
        assert ours.product[17:24] + ours.product[25:] == theirs.product[17:24] + theirs.product[25:]
    assert not made.notes


def test_the_real_file_cut_for_its_own_tile_stays_as_it_is(reference_data: Path) -> None:
    path = reference_data / "l2a/aux/AUX_ECMWFT_20200202_Solomon.grib"
    real = read_cutout(path.read_bytes(), "real")
    points = tile_points((real.lon[0], real.lat[0], real.lon[-1], real.lat[-1]))
    again = cut_forecast(path, points, real.time)
    assert again.time == real.time == datetime(2020, 2, 2, 23, 38, tzinfo=UTC)
    for number, values in real.fields.items():
        np.testing.assert_allclose(again.fields[number], values, atol=np.ptp(values) / 2**15)


@pytest.mark.parametrize(
    ("grid", "corners"),
    [
        (Grid(0.0, 90.0, 0.4, 0.4, 451, 900), (-17.1, 33.4, -15.9, 32.4)),
        (Grid(-180.0, 90.0, 0.75, 0.75, 241, 480), (12.0, 46.0, 13.4, 45.0)),
        (Grid(0.0, 90.0, 0.4, 0.4, 451, 900), (-0.3, 52.0, 0.9, 51.0)),
        (Grid(-18.0, 34.0, 0.1, 0.2, 12, 30), (-17.1, 33.4, -15.9, 32.4)),
        (Grid(342.0, 34.0, 0.1, 0.2, 12, 30), (-17.1, 33.4, -15.9, 32.4)),
    ],
    ids=["global from 0", "global from -180", "across Greenwich", "regional", "regional east of 180"],
)
def test_any_grid_is_cut_bilinearly(grid: Grid, corners: tuple[float, ...], tmp_path: Path) -> None:
    points = tile_points(corners)  # type: ignore[arg-type]
    made = cut_forecast(_file(tmp_path / "ECMWF.grib", grid, (TIME, 1.0)), points, TIME)
    packing = np.ptp(_plane(grid)) / 2**15
    np.testing.assert_allclose(made.fields[137], _plane(points), atol=packing)
    np.testing.assert_allclose(made.lon, points.lon, atol=1e-9)
    np.testing.assert_allclose(made.lat, points.lat, atol=1e-9)
    assert not made.notes


def test_across_the_antimeridian(tmp_path: Path) -> None:
    grid = Grid(0.0, 80.0, 0.4, 0.4, 51, 900)
    lon, _ = np.meshgrid(grid.lon, grid.lat)
    path = tmp_path / "z.grib"
    path.write_bytes(message(129, grid, lon, TIME))
    made = cut_forecast(path, tile_points((179.6, 70.0, -178.0, 69.0)), TIME)
    np.testing.assert_allclose(made.fields[129][0], np.linspace(179.6, 182.0, 9), atol=0.02)


def test_between_two_steps_it_is_linear_in_time(tmp_path: Path) -> None:
    grid = Grid(-18.0, 34.0, 0.25, 0.25, 9, 13)
    noon = datetime(2020, 8, 16, 12, 0, tzinfo=UTC)
    path = _file(tmp_path / "a.grib", grid, (noon + timedelta(hours=3), 2.0), (noon, 1.0))

    def at(hours: float) -> CutOut:
        return cut_forecast(path, TILE, noon + timedelta(hours=hours))

    for hours, factor in ((0, 1.0), (0.75, 1.25), (3, 2.0), (-2, 1.0), (5, 2.0)):
        np.testing.assert_allclose(at(hours).fields[137], factor * _plane(TILE), atol=1e-3)
        assert at(hours).time == noon + timedelta(hours=hours)
        assert not at(hours).notes
    assert at(24).notes == ("a.grib: 21 h between it and the sensing",)


def test_what_lies_beside_the_tile_is_said(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.grib", Grid(-16.5, 33.0, 0.125, 0.125, 9, 9), (TIME, 1.0))
    made = cut_forecast(path, TILE, TIME)
    assert made.notes == ("a.grib does not reach over the tile: its edge is carried on",)
    assert made.fields[137][0, 0] == pytest.approx(20 + 0.1 * 163.5 + 0.2 * 33.0, abs=1e-3)


def test_steps_in_every_form(tmp_path: Path) -> None:
    grid = Grid(-18.0, 34.0, 0.25, 0.25, 9, 13)
    plain = next(read_fields(message(137, grid, _plane(grid), TIME), "a")).product
    start = TIME.replace(second=0)
    for unit, step, kind, minutes in ((0, 30, 0, 30), (1, 9, 0, 540), (11, 2, 0, 720), (1, 5, 1, 0)):
        changed = bytearray(plain)
        changed[17], changed[18], changed[20] = unit, step, kind
        assert valid_time(bytes(changed), "a") == start + timedelta(minutes=minutes)
    changed = bytearray(plain)
    changed[17:21] = bytes([0, 633 >> 8, 633 & 255, 10])
    assert valid_time(bytes(changed), "a") == start + timedelta(minutes=633)
    for place, value, reason in ((20, 3, "time range 3"), (17, 4, "time unit 4"), (13, 13, "no date")):
        changed = bytearray(plain)
        changed[place] = value
        (tmp_path / "a.grib").write_bytes(encode(bytes(changed), grid, _plane(grid)))
        with pytest.raises(InputError, match=reason):
            cut_forecast(tmp_path / "a.grib", TILE, TIME)


def test_a_global_file_of_an_outside_writer_with_aerosol(tmp_path: Path) -> None:
    # In a process of its own: the PROJ of eccodes and that of pyproj do not get on.
    script = """
import sys, eccodes, numpy as np
lat, lon = np.mgrid[90:-90.1:-1.0, 0:360:1.0]
with open(sys.argv[1], "wb") as file:
    for number, level in ((210207, "surface"), (210213, "surface"), (129, "surface"), (157, "isobaricInhPa")):
        for step in (0, 3):
            h = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
            for key, v in dict(Ni=360, Nj=181, latitudeOfFirstGridPointInDegrees=90.0,
                               longitudeOfFirstGridPointInDegrees=0.0, latitudeOfLastGridPointInDegrees=-90.0,
                               longitudeOfLastGridPointInDegrees=359.0, iDirectionIncrementInDegrees=1.0,
                               jDirectionIncrementInDegrees=1.0, bitsPerValue=24, dataDate=20200816, dataTime=1200,
                               typeOfLevel=level, level=0 if level == "surface" else 1000, step=step).items():
                eccodes.codes_set(h, key, v)
            eccodes.codes_set(h, "paramId", number)
            eccodes.codes_set_values(h, (0.2 + 0.001 * lat + 0.1 * step).ravel())
            eccodes.codes_write(h, file)
"""
    path = tmp_path / "CAMS.grib"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    made = cut_forecast(path, TILE, datetime(2020, 8, 16, 13, 30, tzinfo=UTC))
    expected = (0.35 + 0.001 * TILE.lat)[:, None] * np.ones(9)
    assert set(made.fields) == {210207, 210213, 129, 157}
    assert made.levels[157] == (100, 1000)
    for values in made.fields.values():
        np.testing.assert_allclose(values, expected, atol=1e-6)
    cut = tmp_path / "AUX_CAMSFO"
    cut.write_bytes(made.content)
    np.testing.assert_allclose(read_cams(cut).aot, expected, atol=1e-6)
    script = """
import sys, eccodes
with open(sys.argv[1], "rb") as file:
    while (h := eccodes.codes_grib_new_from_file(file)) is not None:
        print(*(eccodes.codes_get(h, k) for k in ("edition", "shortName", "Ni", "Nj", "validityDate", "validityTime")))
"""
    run = subprocess.run([sys.executable, "-c", script, str(cut)], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert lines == [f"1 {name} 9 9 20200816 1330" for name in ("aod550", "aod469", "z", "r")]


def test_what_is_no_forecast_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no such forecast"):
        cut_forecast(tmp_path / "none", TILE, TIME)
    path = tmp_path / "a.grib"
    path.write_bytes(b"no message at all")
    with pytest.raises(InputError, match="no message"):
        cut_forecast(path, TILE, TIME)
    with pytest.raises(InputError, match="no message"):
        read_cutout(b"", "empty")
    two = message(137, TILE, _plane(TILE), TIME) + message(151, Grid(0.0, 9.0, 1.0, 1.0, 9, 9), _plane(TILE), TIME)
    with pytest.raises(InputError, match="several grids"):
        read_cutout(two, "two")
    whole = _file(path, TILE, (TIME, 1.0)).read_bytes()
    for size in range(4, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            cut_forecast(path, TILE, TIME)


def test_what_is_cut_is_read_as_weather(tmp_path: Path) -> None:
    path = tmp_path / "AUX_ECMWFT"
    write_meteo(path, -18.0, 34.0, 0.125, (20, 20), 1.5, 1013.0, 300.0, TIME)
    path.write_bytes(cut_forecast(path, TILE, TIME).content)
    meteo = read_meteo(path)
    assert meteo.water_vapour == pytest.approx(1.5, abs=1e-6)
    assert meteo.pressure == pytest.approx(1013.0, abs=1e-3)
    assert meteo.lon[0] == pytest.approx(-17.13, abs=1.1e-3)
