"""The delivered Zarr of a tile: the same arrays, compressed to last."""

from typing import Any

import numpy as np
import zarr

from s2dask.io.storage import open_array, zarr_store
from s2dask.io.template import create
from s2dask.io.variables import Schema, VariableSpec
from s2dask.release.tile_store import TileStore


def _spec(array: "zarr.Array[Any]") -> VariableSpec:
    names = getattr(array.metadata, "dimension_names", None) or ()
    fill = array.fill_value
    attrs: dict[str, Any] = dict(array.attrs.asdict())
    if "grid_mapping" in attrs:
        # makes the grid mapping a coordinate: EOPF readers refuse data variables that have no chunks
        attrs.setdefault("coordinates", attrs["grid_mapping"])
    return VariableSpec(
        tuple(str(name) for name in names), array.shape, array.chunks, str(array.dtype), attrs,
        0 if fill is None else fill.item() if isinstance(fill, np.generic) else fill,
    )


def _copy_array(source: "zarr.Array[Any]", target: "zarr.Array[Any]") -> None:
    """Copy an array a row of chunks at a time."""
    if not source.shape:
        target[...] = source[...]
        return
    height = source.chunks[0]
    for start in range(0, source.shape[0], height):
        window = slice(start, min(start + height, source.shape[0]))
        target[window] = source[window]


def copy_zarr(store: TileStore, target: str) -> str:
    """Copy a tile store in the delivery profile (zstd, bit-shuffled), values and chunks unchanged.

    Parameters
    ----------
    store : TileStore
    target : str
        Store to make; one that is there is replaced.
    """
    schema: Schema = {path: _spec(array) for path, array in store.arrays.items()}
    group = zarr.open_group(zarr_store(store.url, read_only=True), mode="r", use_consolidated=False)
    create(target, schema, group.attrs.asdict(), profile="delivery")
    for path, array in store.arrays.items():
        _copy_array(array, open_array(target, path, mode="r+"))
    return target
