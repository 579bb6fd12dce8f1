"""The auxiliary rasters of a simulated session: elevation model and geoid."""

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from s2dask.errors import InputMissing
from s2dask.simulate.imaging import geoid_height
from s2dask.simulate.landscape import Lattice


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

