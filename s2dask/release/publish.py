"""Publication: products are built out of sight and appear in one step, whole or not at all."""

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io.storage import is_local, is_s3
from s2dask.release.publish_objects import publish_objects, read_manifest, verify_objects
from s2dask.release.safe_manifest import checksum

Builder = Callable[[Path], object]
"""Builds something in the folder it is given."""
MANIFEST: Final = "manifest.json"
_STALE: Final = 24 * 3600.0


def file_list(folder: Path) -> list[dict[str, Any]]:
    """Return path, size [bytes] and SHA-256 of every file below a folder, sorted by path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    return [
        {"path": p.relative_to(folder).as_posix(), "bytes": p.stat().st_size, "sha256": checksum(p, "sha256")}
        for p in files
    ]


def _write_manifest(folder: Path) -> None:
    products = sorted(p.name for p in folder.iterdir())
    files = file_list(folder)
    content = {"products": products, "bytes": sum(f["bytes"] for f in files), "files": files}
    with (folder / MANIFEST).open("w", encoding="utf-8") as target:
        json.dump(content, target, indent=1)
        target.flush()
        os.fsync(target.fileno())


def verify(delivery: str | Path) -> list[str]:
    """Return what differs between a delivery and its manifest, a sentence each; nothing when it is intact."""
    if is_s3(str(delivery)):
        return verify_objects(str(delivery))
    folder = Path(delivery)
    if not (folder / MANIFEST).exists():
        raise InputMissing("no manifest.json", str(folder), "give a folder made by publish")
    stated = {f["path"]: f for f in json.loads((folder / MANIFEST).read_text("utf-8"))["files"]}
    found = {f["path"]: f for f in file_list(folder)}
    out = [f"{path} is missing" for path in sorted(stated.keys() - found.keys())]
    out += [f"{path} is not in the manifest" for path in sorted(found.keys() - stated.keys())]
    out += [f"{path} has changed" for path in sorted(stated.keys() & found.keys()) if stated[path] != found[path]]
    return out


def _remove_leftovers(target: Path) -> None:
    """Remove staging folders of this delivery that a killed process left a day ago or more."""
    for path in target.parent.glob(f".{target.name}.*.part"):
        if time.time() - path.stat().st_mtime > _STALE:
            shutil.rmtree(path, ignore_errors=True)


def _show(staging: Path, target: Path) -> None:
    """Rename the staging folder to its target; what is there already must be the same."""
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if (target / MANIFEST).exists() and (target / MANIFEST).read_bytes() == (staging / MANIFEST).read_bytes():
            return
        raise ConfigurationError(
            "already delivered, with other content", str(target), "remove it, or deliver to another folder"
        ) from None
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put(build: Builder, target: str | Path) -> Path:
    """Build one product out of sight and make it visible in one step under its own name.

    Parameters
    ----------
    build : callable
        Builds the product at the path that it is given.
    target : str or Path
        What appears. If it is there with the same files nothing happens; with others it is refused.
    """
    if not is_local(str(target)):
        raise ConfigurationError("products are put into local folders", str(target), "write locally, then copy")
    path = Path(str(target).removeprefix("file://")).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    staging = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        build(staging)
        if path.exists():
            if file_list(path) != file_list(staging):
                raise ConfigurationError("already there, with other content", str(path), "remove it, or name another")
        else:
            _show(staging, path)
    finally:
        if staging.exists():
            shutil.rmtree(staging, ignore_errors=True)
    return path


def files_of(product: str) -> list[dict[str, Any]]:
    """Return path, size [bytes] and SHA-256 of the files of the delivery that a product is in, from its manifest.

    Parameters
    ----------
    product : str
        One of the paths that `publish` has returned.
    """
    if is_s3(product):
        manifest = read_manifest(product.rsplit("/", 2)[0])
        if manifest is None:
            raise InputMissing("no manifest.json", product, "what is published has one")
    else:
        manifest = json.loads((Path(product).parent / MANIFEST).read_text("utf-8"))
    files: list[dict[str, Any]] = manifest["files"]
    return files


def publish(
    builders: Sequence[Builder], delivery: str | Path, job: str | None = None, fence: int | str = 0,
    room: Path | None = None, patience: float = 0.0,
) -> list[str]:  # fmt: skip
    """Build products and make them visible in one step.

    Parameters
    ----------
    builders : sequence of callable
        Each gets the staging folder and builds there, in this order; a later one sees what an earlier one made.
    delivery : str or Path
        Folder that appears, with everything built and ``manifest.json`` (sizes and SHA-256 of every file); or
        ``s3://bucket/out/NAME``, for which see `s2dask.release.publish_objects`.
    job, fence : optional
        Name of the unit of work and token of its attempt, for the notes of an S3 store.
    room, patience : optional
        Of an S3 store: where it is built, and how long the store is waited for [s].

    Returns
    -------
    list of str
        Paths of the products in the delivery.

    Notes
    -----
    The staging folder is hidden and lies beside the delivery, on the same file system, so that the last act is one
    rename. Whatever happens before it (an error, a kill, a full disk) leaves nothing to be seen; an error removes the
    staging folder too. Publishing the same bytes again is harmless, other bytes under the same name are refused.
    """
    if is_s3(str(delivery)):

        def build_all(folder: Path) -> list[dict[str, Any]]:
            for build in builders:
                build(folder)
            return file_list(folder)

        return publish_objects(build_all, str(delivery), job, fence, room, patience)
    if not is_local(str(delivery)):
        raise ConfigurationError("deliveries are folders, local or s3://", str(delivery), "name one of those")
    target = Path(str(delivery).removeprefix("file://")).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    staging = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.part"
    staging.mkdir()
    try:
        for build in builders:
            build(staging)
        _write_manifest(staging)
        _show(staging, target)
    finally:
        if staging.exists():
            shutil.rmtree(staging, ignore_errors=True)
    return sorted(str(p) for p in target.iterdir())


def link_file(source: str, target: str) -> None:
    """Give a file a second name, so that a delivery that is repeated finds it again; copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
