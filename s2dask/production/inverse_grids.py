"""3-D inverse grids on disk: a few hundred kB for a detector and band of a tile, as Zarr."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from s2dask.errors import SchemaError
from s2dask.geometry.inverse_grid import STEP, InverseGrid, TileView
from s2dask.io.schema_grid import PIXEL_QUANTUM, UNSEEN, inverse_grid
from s2dask.io.storage import open_array, zarr_store
from s2dask.io.template import create
from s2dask.io.writer import write_whole

_KEY = "s2dask"


def write_inverse_grid(url: str, view: TileView) -> None:
    """Write the grid of what a detector sees of a tile; a store that is there is replaced.

    Parameters
    ----------
    url : str
        Local path or fsspec URL.
    view : TileView
    """
    grid = view.grid
    left, bottom, right, top = view.bounds
    attrs = {
        "level": "GRID", "band": view.name, "detector": view.detector, "crs": view.crs, "step": STEP,
        "bounds": [left, bottom, right, top], "row": grid.row, "column": grid.column,
        "heights": grid.heights.tolist(), "mode": view.model.mode,
    }  # fmt: skip
    create(url, inverse_grid(*grid.line.shape[1:]), {_KEY: attrs}, profile="delivery")
    for what, layers in zip(("line", "column"), grid.layers(), strict=True):
        coded = [_coded(layer) for layer in layers]
        known = coded[1] != UNSEEN
        write_whole(url, f"{what}_middle", coded[1])
        for name, layer in (("low", coded[0]), ("high", coded[2])):
            write_whole(url, f"{what}_{name}", np.where(known & (layer != UNSEEN), layer - coded[1], UNSEEN))


def _coded(layer: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.where(np.isfinite(layer), np.round(np.nan_to_num(layer) / PIXEL_QUANTUM), UNSEEN).astype(np.int64)


def open_inverse_grid(url: str) -> InverseGrid:
    """Open a grid that was written; lines and columns are as before to half of 1e-5 pixel."""
    attrs: Any = zarr.open_group(zarr_store(url, read_only=True), mode="r").attrs.get(_KEY, {})
    if attrs.get("level") != "GRID":
        raise SchemaError("no 3-D inverse grid", url)
    found = []
    for what in ("line", "column"):
        low, middle, high = (_decoded(url, f"{what}_{layer}") for layer in ("low", "middle", "high"))
        found.append(np.stack([middle + low, middle, middle + high]))
    return InverseGrid.of_layers(int(attrs["row"]), int(attrs["column"]), np.array(attrs["heights"]), *found)


def _decoded(url: str, path: str) -> NDArray[np.float64]:
    values = np.asarray(open_array(url, path)[...])
    return np.where(values == UNSEEN, np.nan, values * PIXEL_QUANTUM)
