"""What a product or session is, in a few facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

from s2dask.errors import InputMissing
from s2dask.io.eopf_reader import tile_facts
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_metadata import product_facts
from s2dask.io.storage import exists, filesystem, is_local, zarr_store


def _zarr_facts(url: str) -> dict[str, Any]:
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    arrays = [(path, node) for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)]
    attrs: Mapping[str, Any] = group.attrs.asdict()
    stac = attrs.get("stac_discovery", {})
    facts: dict[str, Any] = {"product": stac.get("id", Path(url).name), "format": f"Zarr {group.metadata.zarr_format}"}
    facts |= tile_facts(attrs) or dict(stac.get("properties", {}))
    facts["variables"] = len(arrays)
    facts["bytes_decoded"] = int(sum(node.nbytes for _, node in arrays))
    images = {path.rsplit("/", 1)[0] for path, node in arrays if node.ndim == 2 and min(node.shape) > 32}
    facts["groups"] = ", ".join(sorted(images)[:12]) + (" …" if len(images) > 12 else "")
    return facts


def _session_facts(session: str, unit: str | None, orbit: int | None) -> dict[str, Any]:
    from s2dask.l0.session import scan_session

    return scan_session(session, unit=unit, orbit=orbit).facts()


def _safe_facts(path: str) -> dict[str, Any]:
    archive = SafeArchive.open(path)
    return {"product": archive.name.removesuffix(".SAFE"), "format": "SAFE", **product_facts(archive)}


def describe(product: str, unit: str | None = None, orbit: int | None = None) -> dict[str, Any]:
    """Return the facts of a Zarr product, a SAFE or a session, by name.

    Parameters
    ----------
    product : str
        Local path or fsspec URL.
    unit, orbit : str, int, optional
        Unit and absolute orbit of a session through EDRS, whose identifier tells neither.
    """
    if not exists(product):
        raise InputMissing("nothing there", product, "check the path")
    if is_local(product) and product.rstrip("/").endswith((".SAFE", ".zip")):
        return _safe_facts(product)
    fs, path = filesystem(product)
    if not fs.exists(f"{path}/zarr.json"):
        return _session_facts(product, unit, orbit)
    return _zarr_facts(product)


def shown(value: Any) -> str:
    """Return a fact in a few words: tables of numbers are counted, checks are summed up."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, Mapping) and "status" in v for v in value):
        states = [str(v["status"]) for v in value]
        return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    if isinstance(value, Mapping):
        return f"{len(value)} entries" if value else "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value) if len(value) <= 16 else f"{len(value)} entries"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
