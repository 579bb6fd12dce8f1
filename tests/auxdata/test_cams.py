"""AUX_CAMSFO: files of our own and of an outside writer, and files that must be refused."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from s2dask.auxdata.cams import WAVELENGTHS, read_cams, write_cams
from s2dask.errors import ConfigurationError, InputError, InputMissing

TIME = datetime(2020, 8, 16, 12, 2)
ROWS, COLUMNS = np.mgrid[:9, :9].astype(float)
AOT = 0.12 + 0.01 * ROWS - 0.005 * COLUMNS


def _depths(*wavelengths: float) -> dict[float, np.ndarray]:
    return {w: AOT * (w / 550.0) ** -1.4 for w in wavelengths}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "AUX_CAMSFO"
    write_cams(path, -17.5, 33.5, 0.125, _depths(*WAVELENGTHS), TIME, 50.0 * COLUMNS)
    forecast = read_cams(path)
    np.testing.assert_allclose(forecast.aot, AOT, atol=1e-5)
    np.testing.assert_allclose(forecast.height, 50.0 * COLUMNS, atol=0.01)
    np.testing.assert_allclose(forecast.at(-17.4375, 33.4375), AOT[:2, :2].mean(), atol=1e-5)
    np.testing.assert_allclose(forecast.height_at([-17.375, -30.0], 33.5), [50.0, 0.0], atol=0.01)


def test_without_550_nm(tmp_path: Path) -> None:
    path = tmp_path / "AUX_CAMSFO"
    write_cams(path, -17.5, 33.5, 0.125, _depths(469.0, 670.0, 865.0), TIME)
    forecast = read_cams(path)
    np.testing.assert_allclose(forecast.aot, AOT, atol=1e-5)
    assert forecast.height is None
    assert forecast.height_at(0.0, 0.0) is None


def test_a_file_of_an_outside_writer(tmp_path: Path) -> None:
    # In a process of its own: the PROJ of eccodes and that of pyproj do not get on.
    script = """
import sys, eccodes, numpy as np
with open(sys.argv[1], "wb") as file:
    for number, value in ((210213, 0.3), (210207, 0.25), (210209, 0.1), (210214, 0.2), (210215, 0.15), (129, 980.665)):
        h = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
        for key, v in dict(paramId=number, Ni=9, Nj=9, latitudeOfFirstGridPointInDegrees=-8.0,
                           longitudeOfFirstGridPointInDegrees=159.0, latitudeOfLastGridPointInDegrees=-9.0,
                           longitudeOfLastGridPointInDegrees=160.0, iDirectionIncrementInDegrees=0.125,
                           jDirectionIncrementInDegrees=0.125, bitsPerValue=16).items():
            eccodes.codes_set(h, key, v)
        eccodes.codes_set_values(h, (value * (1 + 0.01 * np.arange(81))).astype(float))
        eccodes.codes_write(h, file)
"""
    path = tmp_path / "AUX_CAMSFO"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    forecast = read_cams(path)
    np.testing.assert_allclose(forecast.aot.ravel(), 0.25 * (1 + 0.01 * np.arange(81)), atol=1e-5)
    np.testing.assert_allclose(forecast.height.ravel(), 100 * (1 + 0.01 * np.arange(81)), atol=0.01)
    np.testing.assert_allclose([forecast.lon[-1], forecast.lat[-1]], [160.0, -9.0])


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "AUX_CAMSFO"
    with pytest.raises(InputMissing, match="no such aerosol file"):
        read_cams(path)
    with pytest.raises(ConfigurationError):
        write_cams(path, 0.0, 45.0, 0.5, {555.0: AOT}, TIME)
    write_cams(path, 0.0, 45.0, 0.5, _depths(670.0, 865.0), TIME)
    with pytest.raises(InputError, match="550 nm or around it"):
        read_cams(path)
    write_cams(path, 0.0, 45.0, 0.5, {550.0: -AOT}, TIME)
    with pytest.raises(InputError, match="at 550 nm outside 0"):
        read_cams(path)
    write_cams(path, 0.0, 45.0, 0.5, {550.0: AOT}, TIME, ROWS * 5000.0)
    with pytest.raises(InputError, match="ground of the aerosol model"):
        read_cams(path)
    first = tmp_path / "other"
    write_cams(first, 0.0, 45.0, 0.5, {469.0: AOT}, TIME)
    write_cams(path, 1.0, 45.0, 0.5, {670.0: AOT}, TIME)
    path.write_bytes(first.read_bytes() + path.read_bytes())
    with pytest.raises(InputError, match="two grids"):
        read_cams(path)
    path.write_bytes(first.read_bytes()[:-9])
    with pytest.raises(InputError, match="cut short"):
        read_cams(path)
