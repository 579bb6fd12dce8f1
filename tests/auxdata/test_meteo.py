"""AUX_ECMWFT: a real file, files of our own, and files that must be refused."""

import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from s2dask.auxdata.meteo import Meteo, read_meteo, write_meteo
from s2dask.errors import InputError, InputMissing

TIME = datetime(2020, 8, 16, 12, 2)


def test_the_real_file(reference_data: Path, tmp_path: Path) -> None:
    archive = min((reference_data / "l2a/pixels/safe_decimated").glob("*.zip"))
    with zipfile.ZipFile(archive) as content:
        name = next(n for n in content.namelist() if n.endswith("AUX_ECMWFT"))
        (tmp_path / "AUX_ECMWFT").write_bytes(content.read(name))
    meteo = read_meteo(tmp_path / "AUX_ECMWFT")
    assert meteo.water_vapour.shape == (9, 9)
    assert not meteo.is_default
    np.testing.assert_allclose([meteo.lon[0], meteo.lon[-1], meteo.lat[0], meteo.lat[-1]], [147, 148, -28.025, -29.025])
    # The extremes that eccodes' own tools print.
    np.testing.assert_allclose([meteo.water_vapour.min(), meteo.water_vapour.max()], [1.39131, 1.49716], atol=1e-5)
    np.testing.assert_allclose([meteo.pressure.min(), meteo.pressure.max()], [1008.67, 1009.06], atol=5e-3)
    np.testing.assert_allclose(meteo.ozone.mean(), 277.3, atol=0.5)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:5, :7]
    wv, p, o3 = 1.0 + 0.1 * columns, 1010.0 + rows, 300.0 - columns
    path = tmp_path / "AUX_ECMWFT.grib"
    write_meteo(path, -17.5, 33.5, 0.125, (5, 7), wv, p, o3, TIME)
    meteo = read_meteo(path)
    np.testing.assert_allclose(meteo.water_vapour, wv, atol=1e-4)
    np.testing.assert_allclose(meteo.pressure, p, atol=1e-3)
    np.testing.assert_allclose(meteo.ozone, o3, atol=1e-2)
    np.testing.assert_allclose(meteo.lon, -17.5 + 0.125 * np.arange(7) + 360.0 * (meteo.lon[0] > 180))
    np.testing.assert_allclose(meteo.lat, 33.5 - 0.125 * np.arange(5))
    # An outside reader, in a process of its own: its PROJ and pyproj's do not get on.
    script = """
import sys, eccodes
with open(sys.argv[1], "rb") as file:
    while (h := eccodes.codes_grib_new_from_file(file)) is not None:
        keys = ("shortName", "units", "dataDate", "dataTime", "Nj", "latitudeOfLastGridPointInDegrees")
        print(*(eccodes.codes_get(h, key) for key in keys), *eccodes.codes_get_values(h)[[0, 34]].round(6), sep=";")
"""
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows_read = [line.split(";") for line in run.stdout.splitlines()]
    assert [row[:6] for row in rows_read] == [
        ["tcwv", "kg m**-2", "20200816", "1202", "5", "33.0"],
        ["msl", "Pa", "20200816", "1202", "5", "33.0"],
        ["tco3", "kg m**-2", "20200816", "1202", "5", "33.0"],
    ]
    np.testing.assert_allclose([float(v) for v in rows_read[0][6:]], [10.0, 16.0], atol=1e-3)
    np.testing.assert_allclose([float(v) for v in rows_read[1][6:]], [101000.0, 101400.0], atol=0.1)


def test_between_and_beyond_the_points(tmp_path: Path) -> None:
    path = tmp_path / "m.grib"
    rows, columns = np.mgrid[:3, :3]
    write_meteo(path, -17.0, 33.0, 0.5, (3, 3), 1.0 + 0.1 * columns, 1000.0 + 2.0 * rows, 300.0, TIME)
    meteo = read_meteo(path)
    weather = meteo.at(np.array([-16.75, -20.0, 343.25]), np.array([32.75, 40.0, 32.75]))
    np.testing.assert_allclose(weather.water_vapour, [1.05, 1.0, 1.05], atol=1e-4)
    np.testing.assert_allclose(weather.pressure, [1001.0, 1000.0, 1001.0], atol=1e-3)
    assert weather.ozone.shape == (3,)


def test_default_is_flagged() -> None:
    meteo = Meteo.default()
    assert meteo.is_default
    assert float(meteo.at(12.0, 45.0).pressure) == 1013.25


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no such weather file"):
        read_meteo(tmp_path / "none")
    path = tmp_path / "m.grib"
    write_meteo(path, 0.0, 45.0, 0.5, (3, 3), 1.0, 1000.0, 300.0, TIME)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"7777") + 4])
    with pytest.raises(InputError, match="no field pressure, ozone"):
        read_meteo(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        read_meteo(path)
    for size in range(len(whole) // 3):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            read_meteo(path)
    path.write_bytes(whole.replace(b"\x01", b"\x02", 1))
    with pytest.raises(InputError, match="edition"):
        read_meteo(path)
    path.write_bytes(b"not weather")
    with pytest.raises(InputError):
        read_meteo(path)
    write_meteo(path, 0.0, 45.0, 0.5, (3, 3), 1.0, 100.0, 300.0, TIME)
    with pytest.raises(InputError, match="pressure outside"):
        read_meteo(path)
