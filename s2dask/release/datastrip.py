"""Delivery of a datastrip: its Zarr store under the name that the product specification gives it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import zarr

from s2dask.io.storage import zarr_store
from s2dask.io.template import set_attributes
from s2dask.release.names import DatastripName, parse_iso
from s2dask.release.publish import publish
from s2dask.release.tile_store import SITE


def release_datastrip(zarr_url: str, delivery: str) -> list[str]:
    """Move an L0 or L1B store into a delivery folder, named and in one step.

    Parameters
    ----------
    zarr_url : str
        Local working store; it is moved, not copied.
    delivery : str

    Returns
    -------
    list of str
        Paths of what was delivered.
    """
    attrs = dict(zarr.open_group(zarr_store(zarr_url, read_only=True), mode="r").attrs["s2dask"])  # type: ignore[arg-type]
    created = datetime.now(UTC).replace(microsecond=0)
    name = DatastripName(
        str(attrs["unit"]), str(attrs["level"]), SITE, created, parse_iso(str(attrs["sensing_start"])),
        str(attrs["baseline"]),
    )  # fmt: skip
    stated = {"name": str(name), "generation_time": created.isoformat().replace("+00:00", "Z")}
    set_attributes(zarr_url, {"s2dask": attrs | stated})

    def move(folder: Path) -> None:
        shutil.move(zarr_url, folder / name.zarr)

    return publish([move], Path(delivery) / str(name))
