"""Reading of EOPF Zarr products, ours in any form and ESA's of Zarr 2 or 3: reflectance decoded, masks as they are."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from s2dask.errors import InputError

_CODING: Final = ("scale_factor", "add_offset")
_MEASURED: Final = "/measurements/reflectance/"
_FIRST_WITH_OFFSET: Final = 4.0
"""Baseline from which counts carry an offset (PSD 14.9: RADIO_ADD_OFFSET since 04.00)."""


def tile_facts(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the facts of a product of ours from its root attributes: those of a working store or of a delivered one.

    A delivered store has them in ``other_metadata``: EOPF allows no root attribute of another name.
    """
    found = attrs.get("s2dask")
    if not isinstance(found, Mapping):
        other = attrs.get("other_metadata")
        found = other.get("s2dask") if isinstance(other, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def is_eopf(attrs: Mapping[Any, Any]) -> bool:
    """Tell whether root attributes are those of an EOPF Sentinel-2 product."""
    item = attrs.get("stac_discovery")
    properties = item.get("properties") if isinstance(item, Mapping) else None
    return isinstance(properties, Mapping) and str(properties.get("product:type", "")).startswith("S02MSI")


def _baseline(attrs: Mapping[Any, Any]) -> float | None:
    """Return the processing baseline that a product states; None when it states none."""
    properties = (attrs.get("stac_discovery") or {}).get("properties") or {}
    text = tile_facts(attrs).get("baseline") or properties.get("eopf:baseline")
    try:
        return float(text) if text else None
    except (TypeError, ValueError):
        return None


def _stated_offset(attrs: Mapping[Any, Any]) -> float | None:
    """Return the offset in reflectance that our facts state; None when there are none."""
    facts = tile_facts(attrs)
    offset = facts.get("radio_add_offset", facts.get("boa_add_offset"))
    return None if offset is None else float(offset) / float(facts.get("quantification", 10000))


def _images(tree: xr.DataTree) -> Iterator[tuple[str, xr.Variable]]:
    for node in tree.subtree:
        if f"{node.path}/".startswith(_MEASURED):
            yield from (
                (f"{node.path}/{name}", v)
                for name, v in node.to_dataset(inherit=False).variables.items()
                if v.dims[-2:] == ("y", "x")
            )


def check_coding(tree: xr.DataTree, url: str) -> None:
    """Refuse a product of which the reflectance cannot be told from its counts.

    Parameters
    ----------
    tree : xarray.DataTree
        Opened without decoding: scale and offset still stand in the attributes.
    url : str
        For messages.
    """
    attrs, remedy = tree.attrs, "do not use the counts as reflectance; fetch or convert the product again"
    baseline, expected = _baseline(attrs), _stated_offset(attrs)
    for path, variable in _images(tree):
        if variable.dtype.kind not in "iu":
            continue
        missing = [key for key in _CODING if key not in variable.attrs]
        if missing:
            raise InputError(f"{path} holds counts without {' and '.join(missing)}", url, remedy)
        offset = float(variable.attrs["add_offset"])
        if float(variable.attrs["scale_factor"]) <= 0 or not np.isfinite(offset):
            raise InputError(f"{path} has no valid scale_factor and add_offset", url, remedy)
        if expected is not None and abs(offset - expected) > 1e-9:
            raise InputError(f"{path} has add_offset {offset:g}, the metadata say {expected:g}", url, remedy)
        if baseline is not None and baseline >= _FIRST_WITH_OFFSET and offset == 0:
            raise InputError(f"{path} has add_offset 0, baseline {baseline:05.2f} has one", url, remedy)


def decode(tree: xr.DataTree) -> xr.DataTree:
    """Return a tree with what carries a scale or an offset decoded to float, no data as NaN, and the rest untouched.

    Masks stay integers also in Zarr 2, where every array has a fill value and CF decoding would make floats of them.
    """
    nodes: dict[str, xr.Dataset] = {}
    for node in tree.subtree:
        dataset = node.to_dataset(inherit=False)
        coded = [name for name, v in dataset.data_vars.items() if any(key in v.attrs for key in _CODING)]
        if coded:
            decoded = xr.decode_cf(dataset[coded], decode_times=False)
            dataset = dataset.assign({name: decoded[name] for name in coded})
        for variable in dataset.variables.values():
            variable.attrs.pop("_FillValue", None)
            variable.attrs.pop("_eopf_attrs", None)
        nodes[node.path] = dataset
    out = xr.DataTree.from_dict(nodes)
    facts = tile_facts(tree.attrs)
    if facts:
        out.attrs["s2dask"] = facts
    return out
