"""What a product or session is, in a few facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

from s2dask.errors import InputMissing
from s2dask.io.storage import exists, is_local, zarr_store


def _zarr_facts(url: str) -> dict[str, Any]:
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    arrays = [(path, node) for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)]
    attrs: Mapping[str, Any] = group.attrs.asdict()
    stac = attrs.get("stac_discovery", {})
    facts: dict[str, Any] = {"product": stac.get("id", Path(url).name), "format": "Zarr 3"}
    facts |= {f"{key}": value for key, value in stac.get("properties", {}).items()}
    facts |= dict(attrs.get("s2dask", {}))
    facts["variables"] = len(arrays)
    facts["bytes_decoded"] = sum(node.nbytes for _, node in arrays)
    images = {path.rsplit("/", 1)[0] for path, node in arrays if node.ndim == 2 and min(node.shape) > 32}
    facts["groups"] = ", ".join(sorted(images)[:12]) + (" …" if len(images) > 12 else "")
    return facts


def _session_facts(session: str) -> dict[str, Any]:
    from s2dask.l0.session import scan_session

    return scan_session(session).facts()


def _safe_facts(path: str) -> dict[str, Any]:
    from s2dask.io.safe import open_safe

    tree = open_safe(path)
    facts: dict[str, Any] = {"product": Path(path).name, "format": "SAFE"}
    facts |= {key: value for key, value in tree.attrs.items() if isinstance(value, (str, int, float))}
    return facts


def describe(product: str) -> dict[str, Any]:
    """Return the facts of a Zarr product, an L1C SAFE or a session folder, by name."""
    if not exists(product):
        raise InputMissing("nothing there", product, "check the path")
    if is_local(product) and product.rstrip("/").endswith((".SAFE", ".zip")):
        return _safe_facts(product)
    if is_local(product) and not (Path(product) / "zarr.json").exists():
        return _session_facts(product)
    return _zarr_facts(product)
