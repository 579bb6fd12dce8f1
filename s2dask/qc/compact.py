"""Compaction: the journal of a store of indicators moves into its table, a file once its row is there."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from s2dask.errors import InputError
from s2dask.io.storage import filesystem, is_local
from s2dask.qc.store import Query, journal, read_journal, table_url
from s2dask.qc.table import Table, extend, has_room

_BATCH: Final = 1024
"""Products that are added at once, and appear together."""
_STALE: Final = timedelta(hours=2)
_ALL: Final = Query(seeded=True)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did.

    Attributes
    ----------
    moved : int
        Files of the journal that the table holds now.
    added : int
        Rows that are new in the table.
    rows : int
        Rows of the table.
    left : list of str
        Files that stay in the journal, each with the reason.
    """

    moved: int
    added: int
    rows: int
    left: list[str]


def compact(store: str) -> Compaction:
    """Move the journal of a store into its table; what is there already is replaced, never doubled.

    Parameters
    ----------
    store : str
        Folder or URL of the indicators.

    Notes
    -----
    Writers and readers go on meanwhile: a file leaves the journal when its row is visible, and until then the journal
    is what a reader believes. A file that is written anew between reading and leaving stays. After an interruption the
    rest is moved by the next run.
    """
    fs, _ = filesystem(store)
    left: list[str] = []
    moved = added = 0
    with _alone(store):
        paths = journal(store, _ALL)
        for start in range(0, len(paths), _BATCH):
            chosen = paths[start : start + _BATCH]
            before = {path: _state(fs, path) for path in chosen}
            told = dict(read_journal(store, chosen, _ALL, left))
            fitting = {path: entry for path, entry in told.items() if has_room(entry)}
            left += [f"{path}: a band, detector or status that the table has no place for"
                     for path in told if path not in fitting]  # fmt: skip
            added += extend(table_url(store), fitting.values())
            for path in fitting:
                if _state(fs, path) == before[path]:
                    fs.rm_file(path)
                    moved += 1
    return Compaction(moved, added, Table.open(table_url(store)).length, left)


def _state(fs: Any, path: str) -> tuple[Any, ...]:
    """Return what changes when a file is written anew, None of it where it is gone."""
    fs.invalidate_cache()
    try:
        told = fs.info(path)
    except FileNotFoundError:
        return ()
    return tuple(str(told.get(name)) for name in ("size", "mtime", "ino", "ETag", "created", "LastModified"))


@contextmanager
def _alone(store: str) -> Iterator[None]:
    """Keep a second compaction out; the mark of one that died is taken after two hours."""
    fs, path = filesystem(f"{store.rstrip('/')}/compaction.json")
    mark = json.dumps({"since": datetime.now(UTC).isoformat(), "process": os.getpid()}).encode()
    try:
        _create(fs, path, mark, local=is_local(store))
    except OSError as error:
        if not fs.exists(path):
            raise
        since = datetime.fromisoformat(json.loads(fs.cat_file(path))["since"])
        if datetime.now(UTC) - since < _STALE:
            remedy = f"wait for it; if it died, remove {path}"
            raise InputError(f"a compaction is under way since {since:%Y-%m-%d %H:%M} UTC", store, remedy) from error
        fs.pipe_file(path, mark)
    try:
        yield
    finally:
        fs.rm_file(path)


def _create(fs: Any, path: str, data: bytes, *, local: bool) -> None:
    """Write a file that is not there; one that is there is an error."""
    if local:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("xb") as file:
            file.write(data)
        return
    fs.pipe_file(path, data, mode="create")
