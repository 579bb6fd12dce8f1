"""Where stores live: local paths and any fsspec URL, through one small layer."""

from pathlib import Path
from typing import Any

import fsspec
import zarr
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore


def is_local(url: str) -> bool:
    """Tell whether a URL names the local file system."""
    return "://" not in url or url.startswith("file://")


def filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return (file system, path on it) of a URL or local path."""
    if is_local(url):
        return LocalFileSystem(), str(Path(url.removeprefix("file://")).absolute())
    if is_s3(url):
        return _s3(), url.removeprefix("s3://").rstrip("/")
    fs, path = fsspec.core.url_to_fs(url)
    return fs, path


def is_s3(url: str) -> bool:
    """Tell whether a URL names an S3 store."""
    return url.startswith("s3://")


def _s3(**options: Any) -> Any:
    """Return the S3 file system, as the environment and the configuration of fsspec describe it."""
    from s2dask.io.object_store import DeadlineS3

    return DeadlineS3(**options)


def zarr_store(url: str, read_only: bool = False) -> Store:
    """Return the Zarr store at a URL or local path."""
    if is_local(url):
        return LocalStore(url.removeprefix("file://"), read_only=read_only)
    if is_s3(url):
        return FsspecStore(_s3(asynchronous=True), read_only=read_only, path=url.removeprefix("s3://").rstrip("/"))
    return FsspecStore.from_url(url, read_only=read_only)


def open_array(url: str, path: str, mode: str = "r") -> zarr.Array[Any]:
    """Open one array of a store; it is not evaluated."""
    return zarr.open_array(zarr_store(url, read_only=mode == "r"), path=path, mode=mode)


def exists(url: str) -> bool:
    """Tell whether anything is there."""
    fs, path = filesystem(url)
    return bool(fs.exists(path))


def remove(url: str) -> None:
    """Delete a tree if it is there."""
    fs, path = filesystem(url)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def rename(source: str, target: str) -> None:
    """Move a tree; on the local file system the target appears whole or not at all."""
    if is_local(source) and is_local(target):
        Path(source).replace(target)
        return
    fs, path = filesystem(source)
    fs.mv(path, filesystem(target)[1], recursive=True)
