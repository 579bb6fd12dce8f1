"""Where a tile lies against a reference image: patches of B04 and of a raster in any projection that GDAL reads."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import band
from s2dask.io.grids import TileGrid
from s2dask.io.tiles import open_tile
from s2dask.l1c.shift_indicator import (
    EDGE,
    corners_inside,
    patch_corners,
    shift_record,
    shifts,
    spectra_of,
    take_shifts,
)
from s2dask.l1c.tile_indicator import GEOLOCATION, GEOLOCATION_BAND, location_error
from s2dask.production.blocks import default_blocking

Patches = dict[int, NDArray[np.float32]]
Place = tuple[int, slice, slice]

RESOLUTION: Final = band(GEOLOCATION_BAND).resolution
SPREAD: Final = 1000.0
"""Standard deviation that a patch of the reference gets, whatever its unit [1e-4]."""
SUFFIXES: Final = (".tif", ".tiff", ".jp2", ".vrt")


def patch_cell(grid: TileGrid, resolution: int) -> int:
    """Return the edge of a cell of the lattice of patches [px]: a block of production, whatever the cut in use."""
    return default_blocking(grid).edge // grid.pixel(resolution)


@lru_cache(maxsize=4)
def reference_files(aux: str) -> tuple[Path, ...]:
    """Return the rasters of the folder ``reference`` of an auxiliary folder; none without one."""
    folder = Path(aux) / "reference"
    return tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)) if folder.is_dir() else ()


def _covers(raster: Any, grid: TileGrid) -> bool:
    left, bottom, right, top = transform_bounds(grid.crs, raster.crs, *grid.bounds)
    here = raster.bounds
    return bool(left < here.right and right > here.left and bottom < here.top and top > here.bottom)


def _read(vrt: Any, places: Iterable[Place]) -> Patches:
    out: Patches = {}
    for rank, y, x in places:
        part = vrt.read(1, window=Window.from_slices(y, x), masked=True)
        values = np.ma.filled(part.astype(np.float32), np.nan)
        spread = float(values.std())
        if spread > 0:  # NaN is not
            out[rank] = np.asarray(values * (SPREAD / spread), np.float32)
    return out


def reference_patches(files: Sequence[Path], grid: TileGrid, places: Sequence[Place]) -> Patches:
    """Return patches of reference images on the pixels of B04 of a tile, by rank; the first file that has it tells.

    Parameters
    ----------
    files : sequence of Path
        Rasters with a coordinate reference system; their first band is taken.
    grid : TileGrid
    places : sequence of (int, slice, slice)
        Rank, rows and columns in the tile.
    """
    rows, columns = grid.shape(RESOLUTION)
    how = {"crs": grid.crs, "transform": Affine(*grid.transform(RESOLUTION)), "width": columns, "height": rows}
    out: Patches = {}
    for file in files:
        try:
            with rasterio.open(file) as raster:
                if raster.crs is None:
                    raise InputError("a reference image without projection", str(file), "give it one (gdal_edit)")
                if not _covers(raster, grid):
                    continue
                with WarpedVRT(raster, resampling=Resampling.cubic, add_alpha=raster.nodata is None, **how) as vrt:
                    out = _read(vrt, places) | out
        except RasterioError as error:
            raise InputError(f"reference image cannot be read ({error})", str(file), "replace the file") from error
    return out


def block_reference(aux: str, grid: TileGrid, origin: tuple[int, int], shape: tuple[int, int]) -> Patches:
    """Return the patches of the reference of an auxiliary folder that lie in a block of 10 m pixels."""
    files = reference_files(aux)
    if not files:
        return {}
    edge = EDGE[RESOLUTION]
    corners = patch_corners(grid.shape(RESOLUTION), patch_cell(grid, RESOLUTION), edge)
    inside = [rank for rank, _, _ in corners_inside(corners, edge, origin, shape)]
    places = [
        (k, slice(corners[k][0], corners[k][0] + edge), slice(corners[k][1], corners[k][1] + edge)) for k in inside
    ]
    return reference_patches(files, grid, places)


def measure_location(product: str, reference: str) -> dict[str, float]:
    """Return the location error of an L1C product against a reference image; see `location_error`.

    Parameters
    ----------
    product : str
        Zarr of s2dask, or SAFE, folder or zip.
    reference : str
        Raster: a GRI image, or B04 of another date.
    """
    if not Path(reference).is_file():
        raise InputMissing("no reference image", reference, "give --reference a raster that GDAL reads")
    tile, edge = open_tile(product), EDGE[RESOLUTION]
    shape = tile.grid.shape(RESOLUTION)
    corners = patch_corners(shape, patch_cell(tile.grid, RESOLUTION), edge)
    places = list(corners_inside(corners, edge, (0, 0), shape))
    theirs = reference_patches([Path(reference)], tile.grid, places)
    ours = {k: 1e4 * tile.reflectance(GEOLOCATION_BAND, y, x) for k, y, x in places if k in theirs}
    record = shift_record(shifts(spectra_of(theirs, edge), spectra_of(ours, edge)), GEOLOCATION)
    found = location_error(take_shifts(record, GEOLOCATION), float(tile.grid.pixel(RESOLUTION)))
    if not found:
        what = f"too few patches with data and texture in both ({len(theirs)} of {len(places)} in the reference)"
        raise InputError(what, reference, "give a cloud-free image of the place")
    return found
