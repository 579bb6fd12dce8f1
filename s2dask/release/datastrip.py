"""Delivery of a datastrip: its Zarr store under the name that the product specification gives it, and the L0 SAFE."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import zarr

from s2dask.errors import ConfigurationError
from s2dask.io.storage import zarr_store
from s2dask.io.template import set_attributes
from s2dask.release.names import DatastripName, parse_iso
from s2dask.release.publish import Builder, publish
from s2dask.release.safe_l0 import write_safe_l0
from s2dask.release.tile_store import SITE

FORMATS = ("zarr", "safe")


def release_datastrip(
    zarr_url: str, delivery: str, formats: Sequence[str] = ("zarr",), schemas: str | Path | None = None
) -> list[str]:
    """Move an L0 or L1B store into a delivery folder, named and in one step.

    Parameters
    ----------
    zarr_url : str
        Local working store; it is moved, not copied.
    delivery : str
    formats : sequence of {"zarr", "safe"}
        What to deliver. The SAFE of L0 (datastrip and granules) needs the footprints that
        `s2dask.production.quicklook.quicklook` leaves in the store; without the Zarr the store stays where it is.
    schemas : str or Path, optional
        Folder with the mission's XSD files, for ``rep_info`` of the SAFE.

    Returns
    -------
    list of str
        Paths of what was delivered.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ConfigurationError(f"formats {unknown or formats}", "release", f"some of {', '.join(FORMATS)}")
    attrs = dict(zarr.open_group(zarr_store(zarr_url, read_only=True), mode="r").attrs["s2dask"])  # type: ignore[arg-type]
    if "safe" in formats and attrs["level"] != "L0":
        raise ConfigurationError(f"no SAFE of {attrs['level']}", zarr_url, "the SAFE of a datastrip is made of L0")
    created = datetime.now(UTC).replace(microsecond=0)
    name = DatastripName(
        str(attrs["unit"]), str(attrs["level"]), SITE, created, parse_iso(str(attrs["sensing_start"])),
        str(attrs["baseline"]),
    )  # fmt: skip
    stated = {"name": str(name), "generation_time": created.isoformat().replace("+00:00", "Z")}
    set_attributes(zarr_url, {"s2dask": attrs | stated})

    def move(folder: Path) -> None:
        shutil.move(zarr_url, folder / name.zarr)

    def safe(folder: Path) -> None:
        write_safe_l0(zarr_url, folder, created, schemas)

    builders: list[Builder] = []
    if "safe" in formats:
        builders.append(safe)
    if "zarr" in formats:
        builders.append(move)  # last: it takes the store away
    return publish(builders, Path(delivery) / str(name))
