"""Delivery of a datastrip: its Zarr store under the name that the product specification gives it, and the L0 SAFE."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.io.object_store import PATIENCE
from s2dask.io.storage import zarr_store
from s2dask.io.template import set_attributes
from s2dask.release.name_form import parse_iso
from s2dask.release.names import DatastripName
from s2dask.release.publish import Builder, link_file, publish
from s2dask.release.safe_hktm import Housekeeping, write_hktm
from s2dask.release.safe_l0 import write_safe_l0
from s2dask.release.safe_l1ab import write_safe_l1ab
from s2dask.release.tile_store import SITE

FORMATS = ("zarr", "safe")


def _name(attrs: Mapping[str, Any], created: datetime) -> DatastripName:
    return DatastripName(
        str(attrs["unit"]), str(attrs["level"]), SITE, created.replace(microsecond=0),
        parse_iso(str(attrs["sensing_start"])), str(attrs["baseline"]),
    )  # fmt: skip


def release_datastrip(
    zarr_url: str,
    delivery: str,
    formats: Sequence[str] = ("zarr",),
    schemas: str | Path | None = None,
    house: Housekeeping | None = None,
    pictures: Mapping[str, NDArray[np.uint16]] | None = None,
    product: Path | None = None,
    created: datetime | None = None,
) -> list[str]:
    """Deliver an L0, L1A or L1B store under its name, in one step; the working store is removed then.

    Parameters
    ----------
    zarr_url : str
        Local working store; its files are linked, not copied, and it is removed when they are delivered.
    delivery : str
    formats : sequence of {"zarr", "safe"}
        What to deliver. The SAFE (datastrip and granules) needs the footprints that
        `s2dask.production.quicklook.quicklook` leaves in an L0 store, and of L1A and L1B what
        `s2dask.production.strip_release.describe_strip` does; without the Zarr the store stays where it is.
    schemas : str or Path, optional
        Folder with the mission's XSD files, for ``rep_info`` of the SAFE.
    house : Housekeeping, optional
        Of the session of an L0 strip: its PRD_HKTM goes beside the strip.
    pictures : mapping of str to (line, column) uint16, optional
        Images of the quick-look, for the SAFE of L0.
    product : Path, optional
        SAFE of L1A or L1B that tasks have made; default: it is made here.
    created : datetime, optional
        Of the name, of a `product` that of its own; default: now.

    Returns
    -------
    list of str
        Paths of what was delivered.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ConfigurationError(f"formats {unknown or formats}", "release", f"some of {', '.join(FORMATS)}")
    attrs = dict(zarr.open_group(zarr_store(zarr_url, read_only=True), mode="r").attrs["s2dask"])  # type: ignore[arg-type]
    name = _name(attrs, created or datetime.now(UTC)) if product is None else DatastripName.parse(product.stem)
    made = name.created
    stated = {"name": str(name), "generation_time": made.isoformat().replace("+00:00", "Z")}
    set_attributes(zarr_url, {"s2dask": attrs | stated})

    def link(folder: Path) -> None:
        shutil.copytree(zarr_url, folder / name.zarr, copy_function=link_file)

    def safe(folder: Path) -> None:
        if product is not None:
            shutil.move(product, folder)
        elif attrs["level"] == "L0":
            write_safe_l0(zarr_url, folder, made, schemas, pictures)
        else:
            write_safe_l1ab(zarr_url, folder, made, schemas)

    builders: list[Builder] = [lambda folder: write_hktm(house, folder)] if house else []
    if "safe" in formats:
        builders.append(safe)
    if "zarr" in formats:
        builders.append(link)
    delivered = publish(builders, f"{delivery.rstrip('/')}/{name}", room=Path(zarr_url).parent, patience=PATIENCE)
    if "zarr" in formats:
        shutil.rmtree(zarr_url)  # after it: who is killed before finds the store again
    return delivered
