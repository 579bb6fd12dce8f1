"""The delivered Zarr of a tile: the same values, in the form of ESA's products or in that of map servers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import zarr

from s2dask.io.chunk_files import ChunkFiles
from s2dask.io.grids import TileGrid
from s2dask.io.storage import open_array
from s2dask.io.template import create, set_group_attributes
from s2dask.io.variables import Schema, VariableSpec
from s2dask.io.writer import write_coordinates, write_whole
from s2dask.release.eopf_form import OVERVIEWS, ZarrForm, conventions, delivered, labels, resolution_of
from s2dask.release.stac import root_attributes
from s2dask.release.tile_store import TileStore

_REFLECTANCE = "measurements/reflectance/"
_IMAGE = 2
_STRIP = 7200
"""Height of what is averaged at once for the overviews [m], a multiple of their pixels."""


@dataclass(frozen=True)
class Layer:
    """A variable to write.

    Attributes
    ----------
    spec : VariableSpec
        Of a working store.
    read : callable
        Returns the rows that a slice names; everything for ``slice(None)``.
    files : ChunkFiles or None
        That hold it, where it is an image in a local store.
    """

    spec: VariableSpec
    read: Callable[[slice], np.ndarray]
    files: ChunkFiles | None = None


def _of_array(array: "zarr.Array[Any]") -> Layer:
    names = getattr(array.metadata, "dimension_names", None) or ()
    fill = array.fill_value
    spec = VariableSpec(
        tuple(str(name) for name in names),
        array.shape,
        array.chunks,
        str(array.dtype),
        array.attrs.asdict(),
        0 if fill is None else fill.item() if isinstance(fill, np.generic) else fill,
    )
    files = ChunkFiles.open(str(array.store), array.path) if len(array.shape) == _IMAGE else None
    read = (lambda rows: np.asarray(array[rows])) if array.shape else (lambda _: np.asarray(array[...]))
    return Layer(spec, read, files)


def _overview_specs(layers: Mapping[str, Layer], grid: TileGrid) -> dict[str, tuple[str, VariableSpec]]:
    """Return (source, spec) of the overviews of each band, from its finest image."""
    finest: dict[str, str] = {}
    for path in sorted(layers, key=lambda path: resolution_of(path) or 0):
        if path.startswith(_REFLECTANCE) and layers[path].spec.dims == ("y", "x"):
            finest.setdefault(path.rsplit("/", 1)[-1], path)
    out = {}
    for name, path in finest.items():
        for r in OVERVIEWS:
            shape = grid.shape(r)
            out[f"{_REFLECTANCE}r{r}m/{name}"] = path, replace(layers[path].spec, shape=shape, chunks=shape)
    return out


def _mean(image: np.ndarray, factor: int) -> np.ndarray:
    """Return means over cells of pixels with data, (y, x) float64, 0 where there are none."""
    rows, columns = (-(-n // factor) for n in image.shape)
    padding = [(0, m * factor - n) for m, n in zip((rows, columns), image.shape, strict=True)]
    cells = np.pad(np.asarray(image, np.float64), padding).reshape(rows, factor, columns, factor)
    counted = np.count_nonzero(cells, axis=(1, 3))
    return np.asarray(cells.sum(axis=(1, 3)) / np.maximum(counted, 1))


def _write_overviews(url: str, name: str, layer: Layer, resolution: int) -> None:
    """Average a band over 120, 360 and 720 m, each level from the one before it, rounded once."""
    step = _STRIP // resolution
    strips = range(0, layer.spec.shape[0], step)
    mean = np.concatenate([_mean(layer.read(slice(a, a + step)), OVERVIEWS[0] // resolution) for a in strips])
    for below, r in zip((OVERVIEWS[0], *OVERVIEWS), OVERVIEWS, strict=False):
        mean = _mean(mean, r // below)
        write_whole(url, f"{_REFLECTANCE}r{r}m/{name}", np.floor(mean + 0.5).astype(layer.spec.dtype))


def _overview_coordinates(layers: Mapping[str, Layer], grid: TileGrid) -> Schema:
    out: Schema = {}
    for r in OVERVIEWS:
        rows, columns = grid.shape(r)
        for name, n in (("y", rows), ("x", columns), ("spatial_ref", 0)):
            source = next(p for p in sorted(layers) if p.startswith(_REFLECTANCE) and p.endswith(f"/{name}"))
            shape = (n,) if n else ()
            out[f"{_REFLECTANCE}r{r}m/{name}"] = replace(layers[source].spec, shape=shape, chunks=shape)
    return out


def write_zarr(
    target: str, layers: Mapping[str, Layer], attrs: Mapping[str, Any], grid: TileGrid, form: ZarrForm = "eopf"
) -> str:
    """Write a delivered Zarr; one that is there is replaced.

    Parameters
    ----------
    target : str
        Store to make.
    layers : mapping of str to Layer
        Every variable by path.
    attrs : mapping
        Root attributes.
    grid : TileGrid
    form : {"eopf", "geozarr"}

    Returns
    -------
    str
        `target`.
    """
    text = labels() if any(path.startswith("conditions/geometry/") for path in layers) else {}
    schema: Schema = {path: delivered(path, layer.spec, form) for path, layer in layers.items()}
    schema |= {path: spec for path, (spec, _) in text.items()}
    overviews = _overview_specs(layers, grid) if form == "geozarr" else {}
    more = _overview_coordinates(layers, grid) if overviews else {}
    schema |= more | {path: delivered(path, spec, form) for path, (_, spec) in overviews.items()}
    create(target, schema, attrs, profile="delivery")
    for path, layer in layers.items():
        if path not in text:
            _write(target, path, layer)
    for path, (_, values) in text.items():
        open_array(target, path, mode="r+")[...] = values
    if form == "geozarr":
        write_coordinates(target, more, grid)
        for source in sorted({source for source, _ in overviews.values()}):
            _write_overviews(target, source.rsplit("/", 1)[-1], layers[source], resolution_of(source) or 0)
        groups = {path.rsplit("/", 1)[0]: resolution_of(path) for path in schema}
        set_group_attributes(target, conventions(grid, {path: r for path, r in groups.items() if r}))
    return target


def _write(url: str, path: str, layer: Layer) -> None:
    """Write an array a row of its objects at a time; an image chunk by chunk where both stores are folders."""
    files = ChunkFiles.open(url, path)
    if files is not None and layer.files is not None:
        (rows, columns), (height, width) = files.shape, files.chunks
        for row, column in product(range(0, rows, height), range(0, columns, width)):
            start, stop = (row, column), (min(row + height, rows), min(column + width, columns))
            files.write(layer.files.read(start, stop), start)
        return
    target = open_array(url, path, mode="r+")
    if not target.shape:
        target[...] = layer.read(slice(None))
        return
    step = (target.shards or target.chunks)[0]
    for begin in range(0, target.shape[0], step):
        part = slice(begin, min(begin + step, target.shape[0]))
        target[part] = layer.read(part)


def copy_zarr(store: TileStore, target: str, form: ZarrForm = "eopf") -> str:
    """Copy a tile store into its delivered form, values unchanged.

    Parameters
    ----------
    store : TileStore
    target : str
        Store to make; one that is there is replaced.
    form : {"eopf", "geozarr"}
    """
    layers = {path: _of_array(array) for path, array in store.arrays.items() if not _derived(path)}
    return write_zarr(target, layers, root_attributes(store), store.grid, form)


def _derived(path: str) -> bool:
    """Tell whether a variable is made by the delivery itself: overviews and text labels."""
    return resolution_of(path) in OVERVIEWS or path in labels()
