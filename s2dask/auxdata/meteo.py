"""Weather of one tile: AUX_ECMWFT, a GRIB file with water vapour, pressure and ozone on a small grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import eccodes
import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import ConfigurationError, InputError, InputMissing

DOBSON: Final = 2.1415e-5
"""Ozone mass of one Dobson unit [kg m-2]."""
FIELDS: Final = {"water_vapour": 137, "pressure": 151, "ozone": 206}
"""ECMWF parameters: ``tcwv`` [kg m-2], ``msl`` [Pa], ``tco3`` [kg m-2]."""
_TO_OURS: Final = {"water_vapour": 0.1, "pressure": 0.01, "ozone": 1 / DOBSON}
_PLAUSIBLE: Final = {"water_vapour": (0.0, 15.0), "pressure": (850.0, 1100.0), "ozone": (50.0, 700.0)}

Field = NDArray[np.float64]


class Weather(NamedTuple):
    """Weather at places.

    Attributes
    ----------
    water_vapour : (...) float64 [cm]
        Column above sea level.
    pressure : (...) float64 [hPa]
        At mean sea level.
    ozone : (...) float64 [DU]
    """

    water_vapour: Field
    pressure: Field
    ozone: Field


@dataclass(frozen=True, slots=True, eq=False)
class Meteo:
    """Weather on a small grid of longitude and latitude.

    Attributes
    ----------
    lon : (column) float64 [deg]
        Ascending.
    lat : (row) float64 [deg]
        Descending.
    water_vapour, pressure, ozone : (row, column) float64 [cm, hPa, DU]
    is_default : bool
        True where no forecast was at hand and a standard atmosphere stands in.
    """

    lon: Field
    lat: Field
    water_vapour: Field
    pressure: Field
    ozone: Field
    is_default: bool = False

    @classmethod
    def default(cls) -> "Meteo":
        """Return a mid-latitude standard: 1.5 cm, 1013.25 hPa, 300 DU everywhere, flagged."""
        wv, pressure, ozone = (np.full((1, 1), value) for value in (1.5, 1013.25, 300.0))
        return cls(np.zeros(1), np.zeros(1), wv, pressure, ozone, is_default=True)

    def at(self, lon: ArrayLike, lat: ArrayLike) -> Weather:
        """Return the weather at places, bilinear; the edge of the grid is carried on outside.

        Parameters
        ----------
        lon, lat : (...) float [deg]
        """
        x, y = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        x = self.lon[0] + (x - self.lon[0] + 180.0) % 360.0 - 180.0
        columns = np.interp(x, self.lon, np.arange(self.lon.size))
        rows = np.interp(-y, -self.lat, np.arange(self.lat.size))
        return Weather(*(_bilinear(f, rows, columns) for f in (self.water_vapour, self.pressure, self.ozone)))


def _bilinear(values: Field, rows: Field, columns: Field) -> Field:
    i, j = rows.astype(np.int64), columns.astype(np.int64)
    below, right = np.minimum(i + 1, values.shape[0] - 1), np.minimum(j + 1, values.shape[1] - 1)
    u, v = columns - j, rows - i
    upper = values[i, j] * (1 - u) + values[i, right] * u
    lower = values[below, j] * (1 - u) + values[below, right] * u
    return np.asarray(upper * (1 - v) + lower * v)


class _Message(NamedTuple):
    lon: Field
    lat: Field
    values: Field


def _messages(path: Path) -> Iterator[tuple[int, _Message]]:
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            try:
                yield eccodes.codes_get_long(handle, "paramId"), _message(handle, str(path))
            finally:
                eccodes.codes_release(handle)


def _message(handle: int, where: str) -> _Message:
    kind = eccodes.codes_get_string(handle, "gridType")
    if kind != "regular_ll":
        raise InputError(f"grid of type {kind}", where, "give a regular longitude and latitude grid")
    rows, columns = (eccodes.codes_get_long(handle, key) for key in ("Nj", "Ni"))
    values = np.asarray(eccodes.codes_get_values(handle), np.float64).reshape(rows, columns)
    ends = [
        eccodes.codes_get_double(handle, f"{name}Of{end}GridPointInDegrees")
        for name in ("longitude", "latitude")
        for end in ("First", "Last")
    ]
    west, east, north, south = ends
    east = west + (east - west) % 360.0
    lat = np.linspace(north, south, rows)
    if rows > 1 and south > north:
        lat, values = lat[::-1], values[::-1]
    return _Message(np.linspace(west, east, columns), lat, values)


def read_meteo(path: str | Path) -> Meteo:
    """Read an AUX_ECMWFT file.

    Parameters
    ----------
    path : path
        GRIB, edition 1 or 2, with the fields of `FIELDS` on one grid.

    Raises
    ------
    InputMissing
        No such file.
    InputError
        Not GRIB, a field not there, two grids, or values that no weather has.
    """
    file, where = Path(path), str(path)
    if not file.is_file():
        raise InputMissing("no such weather file", where)
    try:
        found = dict(_messages(file))
    except eccodes.CodesInternalError as error:
        raise InputError(f"not readable as GRIB ({error})", where) from None
    missing = [name for name, number in FIELDS.items() if number not in found]
    if missing:
        raise InputError(f"no field {', '.join(missing)}", where, "an AUX_ECMWFT file holds tcwv, msl and tco3")
    first = found[FIELDS["water_vapour"]]
    values = {}
    for name, number in FIELDS.items():
        message = found[number]
        if message.values.shape != first.values.shape or not np.allclose(message.lon, first.lon):
            raise InputError(f"{name} is on another grid", where)
        values[name] = message.values * _TO_OURS[name]
        low, high = _PLAUSIBLE[name]
        if not ((values[name] >= low) & (values[name] <= high)).all():
            raise InputError(f"{name} outside {low:g} to {high:g}", where)
    return Meteo(first.lon, first.lat, values["water_vapour"], values["pressure"], values["ozone"])


def write_meteo(
    path: str | Path,
    lon0: float,
    lat0: float,
    step: float,
    shape: tuple[int, int],
    water_vapour: ArrayLike,
    pressure: ArrayLike,
    ozone: ArrayLike,
    time: datetime,
) -> None:
    """Write an AUX_ECMWFT file: GRIB edition 1, 16-bit packing, as the mission's.

    Parameters
    ----------
    path : path
    lon0, lat0 : float [deg]
        First point, the north-western one.
    step : float [deg]
    shape : (int, int)
        Rows, columns.
    water_vapour, pressure, ozone : (row, column) float or float [cm, hPa, DU]
    time : datetime
        UTC of the analysis.
    """
    if min(shape) < 1 or step <= 0:
        raise ConfigurationError(f"grid of {shape} points every {step} degrees", str(path))
    with Path(path).open("wb") as file:
        for (name, number), values in zip(FIELDS.items(), (water_vapour, pressure, ozone), strict=True):
            handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
            try:
                _set_head(handle, number, (lon0, lat0, step), shape, time)
                field = np.broadcast_to(np.asarray(values, np.float64) / _TO_OURS[name], shape)
                eccodes.codes_set_values(handle, np.ascontiguousarray(field).ravel())
                eccodes.codes_write(handle, file)
            finally:
                eccodes.codes_release(handle)


def _set_head(
    handle: int, parameter: int, place: tuple[float, float, float], shape: tuple[int, int], time: datetime
) -> None:
    (lon, lat, step), (rows, columns) = place, shape
    numbers = {
        "centre": 98, "table2Version": 128, "indicatorOfParameter": parameter, "level": 0,
        "dataDate": int(time.strftime("%Y%m%d")), "dataTime": time.hour * 100 + time.minute,
        "Ni": columns, "Nj": rows, "jScansPositively": 0, "bitsPerValue": 16,
    }  # fmt: skip
    for key, number in numbers.items():
        eccodes.codes_set_long(handle, key, number)
    degrees = {
        "longitudeOfFirstGridPointInDegrees": lon, "latitudeOfFirstGridPointInDegrees": lat,
        "longitudeOfLastGridPointInDegrees": lon + step * (columns - 1),
        "latitudeOfLastGridPointInDegrees": lat - step * (rows - 1),
        "iDirectionIncrementInDegrees": step, "jDirectionIncrementInDegrees": step,
    }  # fmt: skip
    for key, angle in degrees.items():
        eccodes.codes_set_double(handle, key, angle)
