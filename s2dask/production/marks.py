"""Marks of finished units beside a store that many of them write: what a store holds is not what the ledger hopes.

A unit's mark names its identity. It is taken away before the unit writes and set when it is done, so that a store whose
chunks came from another unit of the same name, or from one that was killed, is never taken for finished.
"""

from s2dask.io.storage import filesystem, remove


def _folder(store: str) -> str:
    return f"{store.rstrip('/')}.marks"


def forget(store: str) -> None:
    """Remove the marks of a store that is made anew."""
    remove(_folder(store))


def mark(store: str, unit: str, identity: str) -> None:
    """Note that a unit is done."""
    fs, path = filesystem(f"{_folder(store)}/{unit}")
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path, identity.encode())


def unmark(store: str, unit: str) -> None:
    """Note that what a unit has written is about to change."""
    fs, path = filesystem(f"{_folder(store)}/{unit}")
    if fs.exists(path):
        fs.rm(path)


def marked(store: str, unit: str) -> str | None:
    """Return the identity that a store holds of a unit, None when it holds none whole."""
    fs, path = filesystem(f"{_folder(store)}/{unit}")
    if not fs.exists(path) or not fs.exists(filesystem(store)[1]):
        return None
    return str(fs.cat_file(path).decode())
