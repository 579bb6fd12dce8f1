"""Validation of a store against the schema of its level."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import zarr

from s2dask.errors import InputError, SchemaError
from s2dask.io.storage import zarr_store
from s2dask.io.variables import Schema


def differences(url: str, schema: Schema) -> Iterator[str]:
    """Yield what differs from the schema, a sentence each; nothing when the store conforms."""
    try:
        group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"not a readable Zarr group ({type(error).__name__})", url, "check the path") from error
    arrays: dict[str, zarr.Array[Any]] = {
        path: node for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)
    }
    for path, spec in schema.items():
        array = arrays.get(path)
        if array is None:
            yield f"variable {path} is missing"
            continue
        if array.shape != spec.shape:
            yield f"variable {path} has shape {array.shape}, expected {spec.shape}"
        if array.dtype != np.dtype(spec.dtype):
            yield f"variable {path} has type {array.dtype}, expected {spec.dtype}"
        dims = getattr(array.metadata, "dimension_names", None) or ()  # None for a scalar
        if dims != spec.dims:
            yield f"variable {path} has dims {dims}, expected {spec.dims}"
        for key, value in spec.attrs.items():
            if array.attrs.get(key) != value:
                yield f"variable {path} has {key}={array.attrs.get(key)!r}, expected {value!r}"


def validate(url: str, schema: Schema) -> None:
    """Raise `SchemaError` naming the first differences between a store and a schema."""
    found = list(differences(url, schema))
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise SchemaError("; ".join(found[:5]) + more, url, "the store is of another level or version")
