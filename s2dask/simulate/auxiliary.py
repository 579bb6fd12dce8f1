"""The auxiliary files of a simulated session that are no GIPPs: elevation model, geoid, forecasts."""

from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from s2dask.auxdata.cams import WAVELENGTHS, write_cams
from s2dask.auxdata.meteo import write_meteo
from s2dask.errors import InputMissing
from s2dask.simulate.imaging import geoid_height
from s2dask.simulate.landscape import Lattice
from s2dask.simulate.options import SimulationOptions

FORECAST_STEP: Final = 0.125
"""Of the grid of the forecasts [deg]."""
FORECAST_ERROR: Final = 1.2
"""Forecast over true aerosol optical thickness: chosen, so that what trusts the forecast alone is seen to."""
ANGSTROM: Final = 1.3
"""Exponent of the optical thickness over wavelength: continental aerosol."""


def _write(path: Path, values: NDArray[np.float32], lattice: Lattice) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    corner = lattice.west - lattice.dlon / 2, lattice.north + lattice.dlat / 2
    transform = Affine(lattice.dlon, 0.0, corner[0], 0.0, -lattice.dlat, corner[1])
    rows, columns = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32", crs="EPSG:4326",
        transform=transform, compress="deflate", tiled=True,
    ) as raster:  # fmt: skip
        raster.write(values, 1)


def write_elevation(folder: Path, heights: NDArray[np.float32], lattice: Lattice) -> None:
    """Write the elevation model, orthometric heights [m]; the file SEA says that there is sea all around it."""
    _write(folder / "dem.tif", heights, lattice)
    (folder / "SEA").write_text("Where there is no raster there is sea.\n", "utf-8")


def write_geoid(path: Path, centre: tuple[float, float]) -> None:
    """Write the geoid around a place, on nodes of a quarter of a degree."""
    step = 0.25
    west, north = np.floor(centre[0] / step) * step - 3.0, np.floor(centre[1] / step) * step + 3.0
    lattice = Lattice(float(west), float(north), step, step, 25, 25)
    lon, lat = np.meshgrid(lattice.longitudes(), lattice.latitudes())
    _write(path, geoid_height(lon, lat, centre).astype(np.float32), lattice)


def read_elevation(folder: Path, box: tuple[float, float, float, float]) -> tuple[Lattice, NDArray[np.float32]]:
    """Return the posts of real rasters within a box (west, south, east, north) [deg]; 0 where there is none.

    The result keeps the spacing of the first raster found.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".dt1", ".dt2", ".dt0", ".tif"))
    step, out, lattice = 0.0, np.zeros((0, 0), np.float32), None
    for path in files:
        with rasterio.open(path) as raster:
            t = raster.transform
            if lattice is None:
                step = t.a
                west, north = np.floor(box[0] / step) * step, np.ceil(box[3] / step) * step
                columns, rows = int((box[2] - west) / step) + 2, int((north - box[1]) / step) + 2
                lattice = Lattice(float(west), float(north), step, step, rows, columns)
                out = np.zeros((rows, columns), np.float32)
            column, row = round((t.c + t.a / 2 - lattice.west) / step), round((lattice.north - t.f - t.e / 2) / step)
            a, b = max(column, 0), min(column + raster.width, lattice.columns)
            c, d = max(row, 0), min(row + raster.height, lattice.rows)
            if a < b and c < d:
                posts = raster.read(1)[c - row : d - row, a - column : b - column].astype(np.float32)
                out[c:d, a:b] = np.maximum(out[c:d, a:b], np.clip(posts, 0, 9000))
    if lattice is None:
        raise InputMissing("no elevation raster", str(folder), "give DTED or GeoTIFF files")
    return lattice, out


def write_forecasts(folder: Path, centre: tuple[float, float], options: SimulationOptions, time: datetime) -> None:
    """Write the forecasts of the weather, which is as it will be, and of the aerosol, which is off by a fifth.

    Parameters
    ----------
    folder : Path
    centre : (float, float)
        Longitude and latitude [deg]; the forecasts reach a degree beyond it.
    options : SimulationOptions
    time : datetime
        UTC.
    """
    folder.mkdir(parents=True, exist_ok=True)
    west, north, shape = centre[0] - 1.0, centre[1] + 1.0, (17, 17)
    write_meteo(
        folder / "AUX_ECMWFT", west, north, FORECAST_STEP, shape, options.water_vapour, options.pressure,
        options.ozone, time,
    )  # fmt: skip
    aot = options.aot * FORECAST_ERROR
    depths = {w: np.full(shape, aot * (w / 550.0) ** -ANGSTROM) for w in WAVELENGTHS}
    write_cams(folder / "AUX_CAMSFO", west, north, FORECAST_STEP, depths, time)
