"""Weather of one tile: AUX_ECMWFT, a GRIB file with water vapour, pressure and ozone on a small grid."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.grib import Grid, between_points, message, read_messages
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
        fields = (self.water_vapour, self.pressure, self.ozone)
        return Weather(*(between_points(self.lon, self.lat, field, lon, lat) for field in fields))


def read_meteo(path: str | Path) -> Meteo:
    """Read an AUX_ECMWFT file.

    Parameters
    ----------
    path : path
        GRIB, edition 1, with the fields of `FIELDS` on one grid.

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
    found = {number: (grid, values) for number, grid, values in read_messages(file.read_bytes(), where)}
    missing = [name for name, number in FIELDS.items() if number not in found]
    if missing:
        raise InputError(f"no field {', '.join(missing)}", where, "an AUX_ECMWFT file holds tcwv, msl and tco3")
    grid, out = found[FIELDS["water_vapour"]][0], {}
    for name, number in FIELDS.items():
        if found[number][0] != grid:
            raise InputError(f"{name} is on another grid", where)
        out[name] = found[number][1] * _TO_OURS[name]
        low, high = _PLAUSIBLE[name]
        if not ((out[name] >= low) & (out[name] <= high)).all():
            raise InputError(f"{name} outside {low:g} to {high:g}", where)
    return Meteo(grid.lon, grid.lat, out["water_vapour"], out["pressure"], out["ozone"])


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
    grid = Grid(lon0, lat0, step, step, *shape)
    fields = zip(FIELDS.items(), (water_vapour, pressure, ozone), strict=True)
    Path(path).write_bytes(
        b"".join(
            message(number, grid, np.broadcast_to(np.asarray(values, np.float64) / _TO_OURS[name], shape), time)
            for (name, number), values in fields
        )
    )
