"""The two forms of a delivered Zarr: ``eopf``, as ESA's processors write it, and ``geozarr``, for map servers."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS
from s2dask.io.grids import TileGrid
from s2dask.io.schema_tile import CHUNK
from s2dask.io.variables import VariableSpec

ZarrForm = Literal["eopf", "geozarr"]
"""``eopf``: chunks of ESA's grid, only the attributes that the structure of EOPF allows. ``geozarr``: shards, a CF
grid mapping on every image, the conventions spatial, proj and multiscales, and overviews."""
FORMS: Final = ("eopf", "geozarr")
OVERVIEWS: Final = (120, 360, 720)
"""Pixel of the overviews of the geozarr form [m], as the optimised products of the EOPF explorer have them."""
_INNER: Final = 610
_SHARD: Final = {10: 3660, 20: 1830}
"""Edges of a chunk and of a shard at each resolution [px]: few objects, windows within milliseconds."""
_COORDINATES: Final = {"x", "y", "band", "angle", "detector", "spatial_ref"}
_CONVENTIONS: Final = {
    "multiscales": ("d35379db-88df-4056-af3a-620245f8e347", "zarr-conventions/multiscales", "Multiscale layout"),
    "spatial:": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "zarr-conventions/spatial", "Spatial coordinate information"),
    "proj:": ("f17cb550-5864-4468-aeb7-f3180cfb622f", "zarr-experimental/geo-proj", "Coordinate reference system"),
}


def check_form(form: str) -> None:
    """Refuse a form that does not exist."""
    if form not in FORMS:
        raise ConfigurationError(f"no form {form}", "zarr_form", f"choose {' or '.join(FORMS)}")


def resolution_of(path: str) -> int | None:
    """Return the resolution that the group of a variable names [m]: 10 of ``measurements/reflectance/r10m/b02``."""
    found = re.search(r"(?:^|/)r(\d+)m/[^/]+$", path)
    return int(found[1]) if found else None


def _chunked(spec: VariableSpec, resolution: int) -> VariableSpec:
    """Return an image in the chunks of ESA's products."""
    edge = CHUNK.get(resolution, max(spec.shape))
    rows, columns = spec.shape
    return replace(spec, chunks=(min(edge, rows), min(edge, columns)), shards=None)


def _sharded(spec: VariableSpec, resolution: int) -> VariableSpec:
    """Return an image in shards; what is no larger than a chunk stays one object."""
    if max(spec.shape) <= _INNER:
        return replace(spec, chunks=spec.shape, shards=None)
    edge = min(_SHARD.get(resolution, 1830), -(-max(spec.shape) // _INNER) * _INNER)
    return replace(spec, chunks=(_INNER, _INNER), shards=(edge, edge))


def delivered(path: str, spec: VariableSpec, form: ZarrForm) -> VariableSpec:
    """Return what a variable of a working store is in a delivered one.

    Parameters
    ----------
    path : str
    spec : VariableSpec
        Of the working store.
    form : {"eopf", "geozarr"}
    """
    name = path.rsplit("/", 1)[-1]
    if name in _COORDINATES:
        return spec
    attrs: dict[str, Any] = dict(spec.attrs) | {"dtype": np.dtype(spec.dtype).str}
    attrs.setdefault("short_name", name)
    if attrs.get("valid_min") == 1:
        attrs.pop("_FillValue", None)  # the template sets it, in one place among the attributes
    mapping = attrs.pop("grid_mapping", attrs.get("coordinates"))
    if mapping is not None:
        # makes the grid mapping a coordinate: EOPF readers refuse data variables that have no chunks
        attrs["coordinates"] = mapping
        if form == "geozarr":
            attrs["grid_mapping"] = mapping
    out = replace(spec, attrs=attrs)
    resolution = resolution_of(path)
    if resolution is None or spec.dims != ("y", "x"):
        return out
    return _sharded(out, resolution) if form == "geozarr" else _chunked(out, resolution)


def labels() -> dict[str, tuple[VariableSpec, np.ndarray]]:
    """Return the coordinates of the angles that ESA's products have as text, by path."""
    where = "conditions/geometry"
    out = {}
    for name, values, text in (
        ("band", [name.lower() for name in BANDS], "spectral band"),
        ("angle", ["zenith", "azimuth"], "kind of angle"),
    ):
        spec = VariableSpec((name,), (len(values),), (len(values),), "str", {"long_name": text}, "")
        out[f"{where}/{name}"] = spec, np.array(values, object)
    return out


def _declared(*names: str) -> list[dict[str, str]]:
    raw, page = "https://raw.githubusercontent.com", "https://github.com"
    return [
        {
            "uuid": uuid,
            "name": name,
            "description": text,
            "schema_url": f"{raw}/{repository}/refs/tags/v1/schema.json",
            "spec_url": f"{page}/{repository}/blob/v1/README.md",
        }
        for name, (uuid, repository, text) in _CONVENTIONS.items()
        if name in names
    ]


def _placed(grid: TileGrid, resolution: int) -> dict[str, Any]:
    return {
        "spatial:dimensions": ["y", "x"],
        "spatial:registration": "pixel",
        "proj:code": grid.crs,
        "spatial:bbox": [float(v) for v in grid.bounds],
        "spatial:shape": list(grid.shape(resolution)),
        "spatial:transform": list(grid.transform(resolution)),
    }


def conventions(grid: TileGrid, groups: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return the attributes of the groups of the geozarr form.

    Parameters
    ----------
    grid : TileGrid
    groups : mapping of str to int
        Resolution [m] of each group that holds images; those of reflectance make the pyramid.

    Returns
    -------
    dict
        By path, the root ``""`` among them.
    """
    out: dict[str, dict[str, Any]] = {
        "": {
            "zarr_conventions": _declared("spatial:", "proj:"),
            "proj:code": grid.crs,
            "spatial:bbox": [float(v) for v in grid.bounds],
        }
    }
    for path, resolution in groups.items():
        out[path] = {"zarr_conventions": _declared("spatial:", "proj:"), **_placed(grid, resolution)}
    pyramid = "measurements/reflectance"
    levels = sorted(r for path, r in groups.items() if path.startswith(f"{pyramid}/"))
    layout: list[dict[str, Any]] = []
    for r in levels:
        level: dict[str, Any] = {
            "asset": f"r{r}m",
            "spatial:shape": list(grid.shape(r)),
            "spatial:transform": list(grid.transform(r)),
        }
        if r != levels[0]:
            scale = r / levels[0]
            level |= {"derived_from": f"r{levels[0]}m", "transform": {"scale": [scale] * 2, "translation": [0.0, 0.0]}}
        layout.append(level)
    out[pyramid] = {
        "zarr_conventions": _declared("multiscales", "spatial:", "proj:"),
        "multiscales": {"layout": layout, "resampling_method": "average"},
        **{k: v for k, v in _placed(grid, levels[0]).items() if k not in ("spatial:shape", "spatial:transform")},
    }
    return out
