"""Block writes: one task computes its variables, writes its own chunks and returns a small record."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import zarr

from s2dask.errors import SchemaError
from s2dask.io.chunk_files import ChunkFiles
from s2dask.io.grids import TileGrid
from s2dask.io.storage import open_array
from s2dask.io.variables import Schema


@lru_cache(maxsize=1024)
def _array(url: str, path: str) -> zarr.Array[Any]:
    """Return an array of a store that is no folder: each opening asks the network."""
    return open_array(url, path, mode="r+")


def write_block(url: str, blocks: Mapping[str, np.ndarray], origin: Mapping[str, tuple[int, ...]]) -> int:
    """Write arrays at their origins and return the bytes written, before compression.

    Parameters
    ----------
    url : str
        Store made by `s2dask.io.template.create`.
    blocks : mapping of path to array
        Each block must cover whole chunks (or reach the array's edge): two tasks never share one.
    origin : mapping of path to tuple of int
        Index of the block's first element.
    """
    total = 0
    for path, block in blocks.items():
        array = ChunkFiles.open(url, path) or _array(url, path)
        start = origin[path]
        stop = tuple(a + n for a, n in zip(start, block.shape, strict=True))
        for a, b, size, chunk in zip(start, stop, array.shape, array.chunks, strict=True):
            if a % chunk or (b % chunk and b != size) or b > size:
                raise SchemaError(f"block {start} to {stop} cuts a chunk of {array.chunks}", f"{url}/{path}")
        if isinstance(array, ChunkFiles):
            array.write(block, start)
        else:
            array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = block
        total += block.nbytes
    return total


def write_whole(url: str, path: str, values: Any) -> None:
    """Write a whole (small) variable."""
    open_array(url, path, mode="r+")[...] = np.asarray(values)


def _resolution(path: str) -> int:
    group = path.split("/")[-2]
    return int(group.removeprefix("r").removesuffix("m"))


def write_coordinates(url: str, schema: Schema, grid: TileGrid) -> None:
    """Fill x, y and the grid mapping of every group of a tile product."""
    from rasterio.crs import CRS

    wkt = CRS.from_epsg(grid.epsg).to_wkt()
    for path, spec in schema.items():
        name = path.rsplit("/", 1)[-1]
        if name == "spatial_ref":
            array = open_array(url, path, mode="r+")
            array.update_attributes({"crs_wkt": wkt, "spatial_ref": wkt, "grid_mapping_name": "transverse_mercator"})
            array[...] = 0
        elif name in ("x", "y") and path.startswith("conditions/geometry/"):
            step = 5000.0 * np.arange(spec.shape[0])
            write_whole(url, path, grid.x0 + step if name == "x" else grid.y0 - step)
        elif name in ("x", "y"):
            pixel = grid.pixel(_resolution(path))
            centre = pixel * (np.arange(spec.shape[0]) + 0.5)
            write_whole(url, path, grid.x0 + centre if name == "x" else grid.y0 - centre)
