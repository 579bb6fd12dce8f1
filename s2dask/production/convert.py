"""Conversion of L1C and L2A products between SAFE and Zarr, the pixels unchanged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS, band
from s2dask.io import schema
from s2dask.io.datastrip_document import DATASTRIP, archived_document, document_spec
from s2dask.io.safe import SafeTile
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_facts import further_facts
from s2dask.io.safe_l2a import SafeSurface, is_l2a
from s2dask.io.storage import is_local
from s2dask.io.variables import VariableSpec
from s2dask.io.writer import write_coordinates
from s2dask.production.meteorology import carried_forecasts, forecast_variables
from s2dask.release.eopf_form import ZarrForm, check_form, resolution_of
from s2dask.release.publish import put
from s2dask.release.safe_l1c import write_safe_l1c
from s2dask.release.safe_l2a import write_safe_l2a
from s2dask.release.stac import root_attributes
from s2dask.release.tile_store import MASKS, TileStore
from s2dask.release.zarr_copy import Layer, copy_zarr, write_zarr

Read = Callable[[slice], np.ndarray]


def _rows_of(method: Callable[..., np.ndarray], *arguments: str) -> Read:
    """Return a reader of whole rows by a method of a tile."""
    return lambda rows: method(*arguments, rows, slice(None))


def _slices_of(values: np.ndarray) -> Read:
    return lambda rows: np.asarray(values[rows])


def _masks(tile: SafeTile) -> dict[str, Read]:
    """Return readers of the masks that an L1C has and an L2A may have taken over."""
    out: dict[str, Read] = {}
    for name in tile.mask_bands:
        r = band(name).resolution
        out[schema.quality_path(r, name)] = _rows_of(tile.quality, name)
        out[schema.footprint_path(r, name)] = _rows_of(tile.footprint, name)
    out["conditions/mask/l1c_classification/r60m/b00"] = _rows_of(tile.classification)
    return out


def _surface_images(tile: SafeSurface) -> dict[str, Read]:
    out: dict[str, Read] = {}
    for layer in tile.layers:
        content, r = layer[:3], int(layer[4:-1])
        if content in BANDS:
            path = schema.reflectance_path(r, content)
        elif content == "SCL":
            path = f"conditions/mask/l2a_classification/r{r}m/scl"
        elif content in ("AOT", "WVP"):
            path = f"quality/atmosphere/r{r}m/{content.lower()}"
        else:  # TCI: made again of the bands
            continue
        out[path] = _rows_of(tile.layer, layer)
    for short in tile.probabilities:
        out[f"quality/probability/r20m/{short}"] = _rows_of(tile.probability, short)
    return out | (_masks(tile) if tile.has_masks else {})


def _images(tile: SafeTile) -> dict[str, Read]:
    if isinstance(tile, SafeSurface):
        return _surface_images(tile)
    out: dict[str, Read] = {}
    for name in tile.bands:
        path = schema.reflectance_path(band(name).resolution, name)
        out[path] = _rows_of(tile.counts, name)
    return out | _masks(tile)


def _geometry(tile: SafeTile) -> dict[str, Read]:
    where = "conditions/geometry"
    views = np.stack([tile.view_angles(name) for name in BANDS])
    means = np.array([tile.mean_view_angles(name) for name in BANDS])
    grid, sun = tile.grid, tile.sun_angles()
    values = {
        "sun_angles": sun,
        "viewing_incidence_angles": views,
        "mean_sun_angles": np.array([tile.attrs["solar_zenith"], tile.attrs["solar_azimuth"]]),
        "mean_viewing_incidence_angles": means,
        "detector": np.array(tile.detectors, np.int64),
        "band": np.arange(len(BANDS)),
        "y": grid.y0 - float(schema.ANGLE_STEP) * np.arange(sun.shape[1]),
        "x": grid.x0 + float(schema.ANGLE_STEP) * np.arange(sun.shape[2]),
    }
    return {f"{where}/{name}": _slices_of(v) for name, v in values.items()}


def _coded(path: str, spec: VariableSpec, tile: SafeTile) -> VariableSpec:
    """Return the spec of a reflectance image with the scale and offset that the product states for its band."""
    if not path.startswith("measurements/"):
        return spec
    offsets: dict[str, int] = tile.attrs.get("radio_add_offsets") or tile.attrs["boa_add_offsets"]
    scale = float(tile.attrs["quantification"])
    offset = offsets[path.rsplit("/", 1)[-1].upper()] / scale
    return replace(spec, attrs=dict(spec.attrs) | {"scale_factor": 1.0 / scale, "add_offset": offset})


def _is_coordinate(path: str, readers: dict[str, Read]) -> bool:
    """Tell whether a variable is x, y or the grid mapping of a group that has images."""
    group, _, name = path.rpartition("/")
    return name in ("x", "y", "spatial_ref") and any(p.rpartition("/")[0] == group for p in readers)


def _place(grid: Any, path: str, spec: VariableSpec) -> Read:
    """Return a reader of the coordinates of a group of images."""
    name, pixel = path.rsplit("/", 1)[-1], grid.pixel(resolution_of(path))
    if name == "spatial_ref":
        return lambda _: np.array(0, np.int64)
    centre = pixel * (np.arange(spec.shape[0]) + 0.5)
    values = grid.x0 + centre if name == "x" else grid.y0 - centre
    return _slices_of(values)


def safe_to_zarr(source: str, target: str, form: ZarrForm = "eopf") -> str:
    """Write an L1C or L2A SAFE as Zarr.

    Parameters
    ----------
    source : str
        ``.SAFE`` folder, or a zip of one.
    target : str
        Store to make.
    form : {"eopf", "geozarr"}
    """
    tile: SafeTile = SafeSurface(source) if is_l2a(source) else SafeTile(source)
    readers = _images(tile) | _geometry(tile)
    variables = schema.l1c(tile.grid, tile.detectors, tile.mask_bands)
    if isinstance(tile, SafeSurface):
        masks = {path: spec for path, spec in variables.items() if path.startswith(MASKS) and tile.has_masks}
        variables = masks | schema.l2a(tile.grid, len(tile.detectors))
    layers: dict[str, Layer] = {}
    for path, spec in variables.items():
        if path in readers:
            layers[path] = Layer(_coded(path, spec, tile), readers[path])
        elif _is_coordinate(path, readers):
            layers[path] = Layer(spec, _place(tile.grid, path, spec))
    archive = SafeArchive.open(source)
    attrs = tile.attrs | further_facts(archive, tile.level)
    if told := archived_document(archive):
        layers[DATASTRIP] = Layer(document_spec(len(told)), _slices_of(np.frombuffer(told, np.uint8)))
    for path, (spec, values) in forecast_variables(carried_forecasts(tile)).items():
        layers[path] = Layer(spec, _slices_of(values))
    store = TileStore(target, attrs, {})
    write_zarr(target, layers, root_attributes(store), tile.grid, form)
    write_coordinates(target, {path: layer.spec for path, layer in layers.items()}, tile.grid)
    return target


def zarr_to_safe(source: str, target: Path) -> None:
    """Write an L1C or L2A Zarr of ours as the SAFE folder `target`."""
    store = TileStore.open(source)
    write = write_safe_l1c if store.level == "L1C" else write_safe_l2a
    made = write(source, target)
    # one level up: the writer makes a folder named after the product in the folder that it is given
    inner = target.with_name(f"{target.name}.in")
    made.rename(inner)
    target.rmdir()
    inner.rename(target)


def _names(source: str, target: str, to_safe: bool) -> Path:
    """Return the path of the product to make: `target`, or in it when it is a folder."""
    suffix = ".SAFE" if to_safe else ".zarr"
    path = Path(target.removeprefix("file://"))
    if path.suffix == suffix:
        return path
    if path.suffix in (".SAFE", ".zarr", ".zip"):
        raise ConfigurationError(f"{path.suffix} cannot be made of {source}", target, f"name a {suffix}, or a folder")
    if not to_safe:
        return path / f"{Path(SafeArchive.open(source).name).stem}.zarr"
    return path / str(TileStore.open(source).names.product.safe)


def convert(source: str, target: str, form: ZarrForm = "eopf") -> str:
    """Convert an L1C or L2A product: SAFE to Zarr, Zarr to SAFE, or Zarr to the other form of Zarr.

    Parameters
    ----------
    source : str
        ``.SAFE`` folder, a zip of one, or a Zarr of ours (local path or URL).
    target : str
        ``.zarr`` or ``.SAFE`` to make, or the folder to make it in under its own name.
    form : {"eopf", "geozarr"}
        Of a Zarr.

    Returns
    -------
    str
        Path of what was made.

    Notes
    -----
    The product appears in one step when it is whole. A conversion that is killed leaves nothing to be seen, and
    repeated it makes the same bytes. True-colour and preview images are made again of the bands, probabilities at
    60 m of those at 20 m.
    """
    check_form(form)
    if is_local(source) and source.rstrip("/").endswith((".SAFE", ".zip")):
        path = _names(source, target, to_safe=False)
        return str(put(lambda staging: safe_to_zarr(source, str(staging), form), path))
    if target.rstrip("/").endswith(".zarr"):
        store = TileStore.open(source)
        return str(put(lambda staging: copy_zarr(store, str(staging), form), target))
    store = TileStore.open(source)
    if not store.arrays:
        raise InputError("the store holds no variable", source, "make it again")
    return str(put(lambda staging: zarr_to_safe(source, staging), _names(source, target, to_safe=True)))
