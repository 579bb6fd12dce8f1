"""The checks of a product again, with a checklist file of the operator's in place of that of s2dask."""

from collections.abc import Mapping
from typing import Any

import zarr

from s2dask.io.storage import zarr_store
from s2dask.io.template import set_attributes
from s2dask.qc.checks import run_checks


def rejudge(result: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Check the record of a product against a checklist file, and state the outcome in its store.

    Parameters
    ----------
    result : mapping
        What the last task of the product returned: ``path``, ``record``, ``checks`` ….
    file : str
        Checklist file.

    Returns
    -------
    dict
        The same with the other ``checks``.
    """
    store = str(result["path"])
    attrs: Any = zarr.open_group(zarr_store(store, read_only=True), mode="r").attrs.asdict()["s2dask"]
    checks = [found.as_dict() for found in run_checks(str(attrs["level"]), result["record"], file)]
    set_attributes(store, {"s2dask": attrs | {"checks": checks}})
    return {**result, "checks": checks}
