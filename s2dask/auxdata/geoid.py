"""The geoid: undulations on a regular grid, and which model they are of."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.raster_cell import Cell
from s2dask.errors import InputError, InputMissing

_POLES: Final = {"EGM2008": 14.8985, "EGM96": 13.606}
"""Undulation at the North pole by model [m]: the first value of egm2008-25 and of WW15MGH."""
_HIGHEST: Final = 200.0
"""No undulation reaches this [m]."""


class Geoid(NamedTuple):
    """Undulations as kernels take them.

    Attributes
    ----------
    values : (row, column) float32 [m]
    frame : (5) float64
        Longitude and latitude of the first node [deg], nodes per degree of longitude and latitude, 1 if the geoid goes
        round the Earth.
    model : str
        ``EGM2008``, ``EGM96``, or nothing when it is not known.
    """

    values: NDArray[np.float32]
    frame: NDArray[np.float64]
    model: str


def read_geoid(path: Path | None) -> Geoid:
    """Read a raster of undulations in any format of GDAL, whatever its name says; None is the ellipsoid.

    Notes
    -----
    The nodes are the centres of the raster's pixels. Its values tell the model where the file does not: the names of
    real ones are wrong, and the metadata of products too.
    """
    if path is None:
        return Geoid(np.zeros((2, 2), np.float32), np.array([-180.0, 90.0, 1 / 180.0, 1 / 180.0, 1.0]), "")
    if not path.is_file():
        raise InputMissing("no such geoid", str(path))
    cell = Cell.open(path)
    values = cell.read()
    if not np.isfinite(values).all() or np.abs(values).max() > _HIGHEST:
        raise InputError("geoid undulations are not finite or above 200 m", str(path), "give the geoid, not a DEM")
    if abs((cell.columns - 1) * cell.step_lon - 360.0) < cell.step_lon / 2:
        # the meridian of the first column again
        values = np.ascontiguousarray(values[:, :-1])
    around = abs(values.shape[1] * cell.step_lon - 360.0) < cell.step_lon / 2
    frame = np.array([cell.west, cell.north, 1 / cell.step_lon, 1 / cell.step_lat, float(around)])
    return Geoid(values, frame, cell.datum or _recognise(cell, values))


def _recognise(cell: Cell, values: NDArray[np.float32]) -> str:
    """Return the model by the undulation at the North pole, where it is one of its grid's nodes."""
    if abs(cell.north - 90.0) > 1e-6:
        return ""
    pole = float(values[0].mean())
    return next((name for name, value in _POLES.items() if abs(pole - value) < 0.02), "")
