"""Aerosol forecast over one tile: AUX_CAMSFO, a GRIB file of total optical depths on a small grid."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.grib import Grid, between_points, message, read_messages
from s2dask.errors import ConfigurationError, InputError, InputMissing

WAVELENGTHS: Final = {469.0: 210213, 550.0: 210207, 670.0: 210214, 865.0: 210215, 1240.0: 210216}
"""ECMWF's number of the total aerosol optical depth at each wavelength [nm]: ``aod469`` to ``aod1240``."""
GEOPOTENTIAL: Final = 129
"""``z`` of the model's ground [m2 s-2]."""
GRAVITY: Final = 9.80665
"""[m s-2]"""
REFERENCE: Final = 550.0
"""Wavelength at which the correction counts aerosol [nm]."""
LARGEST: Final = 10.0
"""Optical depth beyond which a field is none."""

Field = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AerosolForecast:
    """Aerosol optical thickness on a small grid of longitude and latitude.

    Attributes
    ----------
    lon : (column) float64 [deg]
        Ascending.
    lat : (row) float64 [deg]
        Descending.
    aot : (row, column) float64 [1]
        At 550 nm, above the ground of the model.
    height : (row, column) float64 [m] or None
        Of that ground, where the file tells it.
    """

    lon: Field
    lat: Field
    aot: Field
    height: Field | None

    def at(self, lon: ArrayLike, lat: ArrayLike) -> Field:
        """Return the optical thickness at places [1], bilinear; the edge of the grid is carried on outside."""
        return between_points(self.lon, self.lat, self.aot, lon, lat)

    def height_at(self, lon: ArrayLike, lat: ArrayLike) -> Field | None:
        """Return the height of the model's ground at places [m], None where it is not told."""
        return None if self.height is None else between_points(self.lon, self.lat, self.height, lon, lat)


def at_reference(depths: dict[float, Field]) -> Field | None:
    """Return the optical depth at 550 nm from those at other wavelengths, None where they do not enclose it.

    Parameters
    ----------
    depths : dict of float to (...) float64 [1]
        By wavelength [nm].

    Notes
    -----
    Ångström's law between the nearest wavelengths on both sides.
    """
    if REFERENCE in depths:
        return depths[REFERENCE]
    below, above = ([w for w in depths if (w < REFERENCE) == side] for side in (True, False))
    if not below or not above:
        return None
    short, long = max(below), min(above)
    share = np.log(REFERENCE / short) / np.log(long / short)
    first, second = (np.log(np.maximum(depths[w], 1e-6)) for w in (short, long))
    return np.asarray(np.exp(first * (1 - share) + second * share))


def read_cams(path: str | Path) -> AerosolForecast:
    """Read an AUX_CAMSFO file.

    Parameters
    ----------
    path : path
        GRIB, edition 1, with the fields of `WAVELENGTHS` on one grid: that at 550 nm, or two around it. Others are
        passed over.

    Raises
    ------
    InputMissing
        No such file.
    InputError
        Not GRIB, no optical depth at or around 550 nm, two grids, or values that no air has.
    """
    file, where = Path(path), str(path)
    if not file.is_file():
        raise InputMissing("no such aerosol file", where)
    found = {number: (grid, values) for number, grid, values in read_messages(file.read_bytes(), where)}
    depths = {wavelength: found[number] for wavelength, number in WAVELENGTHS.items() if number in found}
    aot = at_reference({wavelength: values for wavelength, (_, values) in depths.items()})
    if aot is None:
        raise InputError(
            "no aerosol optical depth at 550 nm or around it", where, "an AUX_CAMSFO file holds aod469 to aod865"
        )
    used = [*depths.values(), *([found[GEOPOTENTIAL]] if GEOPOTENTIAL in found else [])]
    grid = used[0][0]
    if any(other != grid for other, _ in used):
        raise InputError("aerosol fields on two grids", where)
    for wavelength, (_, values) in depths.items():
        if not ((values >= 0) & (values <= LARGEST)).all():
            raise InputError(f"aerosol optical depth at {wavelength:g} nm outside 0 to {LARGEST:g}", where)
    height = used[-1][1] / GRAVITY if GEOPOTENTIAL in found else None
    if height is not None and not ((height >= -1000.0) & (height <= 9000.0)).all():
        raise InputError("ground of the aerosol model outside -1000 to 9000 m", where)
    return AerosolForecast(grid.lon, grid.lat, aot, height)


def write_cams(
    path: str | Path,
    lon0: float,
    lat0: float,
    step: float,
    depths: dict[float, Field],
    time: datetime,
    height: Field | None = None,
) -> None:
    """Write an AUX_CAMSFO file: GRIB edition 1, 16-bit packing.

    Parameters
    ----------
    path : path
    lon0, lat0 : float [deg]
        First point, the north-western one.
    step : float [deg]
    depths : dict of float to (row, column) float64 [1]
        Total aerosol optical depth by wavelength [nm], some of `WAVELENGTHS`.
    time : datetime
        UTC of the analysis.
    height : (row, column) float64 [m], optional
        Of the model's ground.
    """
    unknown = sorted(set(depths) - set(WAVELENGTHS))
    if unknown or not depths or step <= 0:
        raise ConfigurationError(f"depths at {unknown or 'no wavelength'} every {step} degrees", str(path))
    shape = next(iter(depths.values())).shape
    grid = Grid(lon0, lat0, step, step, *shape)
    fields = {WAVELENGTHS[wavelength]: values for wavelength, values in depths.items()}
    if height is not None:
        fields[GEOPOTENTIAL] = height * GRAVITY
    Path(path).write_bytes(b"".join(message(number, grid, values, time) for number, values in fields.items()))
