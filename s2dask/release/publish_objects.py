"""Publication in an S3 store: objects are laid down out of sight, and one small write makes them the product.

A store has no rename, so a delivery ``s3://bucket/out/NAME`` consists of

* ``NAME/<generation>/…``: everything that one attempt wrote, under a name that no other attempt has; never overwritten;
* ``NAME/manifest.json``: which generation is the product, and size and SHA-256 of each of its files.

The manifest is one PUT with ``If-None-Match: *``: of any number of attempts one wins, and its product is there whole
or not at all. While an attempt is under way ``.staging/<job>/<fence>.json`` says so; `reap` clears up after the dead.
"""

import errno
import hashlib
import json
import logging
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io.object_store import http_status, patiently, publication_caps, put_if_absent
from s2dask.io.storage import filesystem

_log = logging.getLogger(__name__)
_FORBIDDEN: Final = 403
MANIFEST: Final = "manifest.json"
STAGING: Final = ".staging"
STALE: Final = timedelta(hours=24)
"""Age of an attempt that nobody continues."""
_AT_MOST: Final = 0.5 * STALE.total_seconds()
"""Age at which an attempt gives up [s], long before it may be cleared away under it."""
_STREAMS: Final = 8
"""Requests under way at the same time."""
_BLOCK: Final = 1 << 20

Files = list[dict[str, Any]]
"""Path, bytes and sha256 of files."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to publish a delivery.

    Attributes
    ----------
    url : str
        ``s3://bucket/out/NAME``.
    job, fence : str
        Whose try it is; of a unit of a ledger its name and its fencing token.
    generation : str
        Folder of its objects below the delivery.
    """

    url: str
    job: str
    fence: str
    generation: str

    @property
    def root(self) -> str:
        """Folder of the deliveries, on the file system."""
        return filesystem(self.url)[1].rpartition("/")[0]

    @property
    def folder(self) -> str:
        """Where its objects go, on the file system."""
        return f"{filesystem(self.url)[1]}/{self.generation}"

    @property
    def note(self) -> str:
        """What says that it is under way, on the file system."""
        return f"{self.root}/{STAGING}/{self.job}/{self.fence}.json"


def read_manifest(url: str) -> dict[str, Any] | None:
    """Return the manifest of a delivery, None while there is none."""
    fs, path = filesystem(url)
    try:
        content: dict[str, Any] = json.loads(fs.cat_file(f"{path}/{MANIFEST}"))
    except FileNotFoundError:
        return None
    return content


def products_of(url: str, manifest: dict[str, Any]) -> list[str]:
    """Return the URLs of what a delivery holds, its manifest included."""
    base = url.rstrip("/")
    return sorted([*(f"{base}/{manifest['generation']}/{name}" for name in manifest["products"]), f"{base}/{MANIFEST}"])


def _digest(fs: Any, path: str) -> tuple[int, str]:
    """Return size and SHA-256 of an object, as read from the store."""
    digest, size = hashlib.sha256(), 0
    with fs.open(path, "rb", block_size=8 * _BLOCK, cache_type="readahead") as source:
        while block := source.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def differences(url: str, generation: str, files: Files) -> list[str]:
    """Return what of a generation is not what its files are said to be, a sentence each; every byte is read again."""
    fs, path = filesystem(url)

    def look(stated: dict[str, Any]) -> str | None:
        try:
            size, digest = _digest(fs, f"{path}/{generation}/{stated['path']}")
        except FileNotFoundError:
            return f"{stated['path']} is missing"
        return None if (size, digest) == (stated["bytes"], stated["sha256"]) else f"{stated['path']} has changed"

    with ThreadPoolExecutor(_STREAMS) as pool:
        found = [text for text in pool.map(look, files) if text is not None]
    there = {p.removeprefix(f"{path}/{generation}/") for p in fs.find(f"{path}/{generation}")}
    return found + [f"{p} is not in the manifest" for p in sorted(there - {f["path"] for f in files})]


def verify_objects(url: str) -> list[str]:
    """Return what differs between a delivery in a store and its manifest; nothing when it is intact."""
    manifest = read_manifest(url)
    if manifest is None:
        raise InputMissing("no manifest.json", url, "nothing is published there")
    return differences(url, manifest["generation"], manifest["files"])


def _settled(url: str, manifest: dict[str, Any] | None, files: Files) -> list[str] | None:
    """Return the products of a delivery that is there already, None if none is; other content is refused."""
    if manifest is None:
        return None
    if manifest["files"] != files:
        raise ConfigurationError(
            "already delivered, with other content", url, "remove it, or deliver under another name"
        )
    return products_of(url, manifest)


def _upload(folder: Path, files: Files, attempt: Attempt) -> None:
    fs, _ = filesystem(attempt.url)
    with ThreadPoolExecutor(_STREAMS) as pool:
        for _ in pool.map(lambda f: fs.put_file(str(folder / f["path"]), f"{attempt.folder}/{f['path']}"), files):
            pass


def check_store(root: str) -> None:
    """Refuse a folder ``s3://bucket/out`` that nothing can be published in, before anything is made for it.

    Raises
    ------
    ConfigurationError
        For a key that the store refuses, and a store that overwrites.
    InputMissing
        Without the bucket.
    """
    fs, path = filesystem(root)
    try:
        publication_caps(fs, path)
    except OSError as error:
        if http_status(error) != _FORBIDDEN:
            raise
        remedy = "look at the key, and at what it may do in this bucket"
        raise ConfigurationError(f"the store refuses us: {error}", root, remedy) from error


@contextmanager
def _room(url: str, room: Path | None) -> Iterator[Path]:
    """Yield an empty folder to build a delivery in; what a killed attempt at the same has left there goes."""
    name = url.rstrip("/").rpartition("/")[2]
    if room is not None:
        for left in room.glob(f".{name}.*.part"):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(".part", f".{name}.", room, ignore_cleanup_errors=True) as made:
        yield Path(made)


def publish_objects(
    build: Callable[[Path], Files], url: str, job: str | None = None, fence: int | str = 0, room: Path | None = None,
    patience: float = 0.0,
) -> list[str]:  # fmt: skip
    """Build products in a local folder and publish them in an S3 store.

    Parameters
    ----------
    build : callable
        Fills the empty folder that it is given and returns its files.
    url : str
        ``s3://bucket/out/NAME``.
    job : str, optional
        Name of the unit of work; default: one of its own.
    fence : int or str
        Token of its attempt.
    room : Path, optional
        Folder to build it in, where what is there can be linked; default: that of the system for temporary files.
    patience : float
        How long a store that is away or refuses us is waited for [s]: what is built is not built again.

    Returns
    -------
    list of str
        URLs of the products and of the manifest.

    Notes
    -----
    What is there with the same files is left as it is; other files under the same name are refused. When the PUT of the
    manifest gets no answer, whether it came through is not known: nothing is removed then, and the next attempt finds
    the product, or makes it.
    """
    with _room(url, room) as folder:
        files = build(folder)
        return patiently(lambda: _publish(folder, files, url, job, str(fence)), f"publication of {url}", patience)


def _publish(folder: Path, files: Files, url: str, job: str | None, fence: str) -> list[str]:
    """Lay down what is built and make it the product, unless it is there."""
    fs, path = filesystem(url)
    caps = publication_caps(fs, path.rpartition("/")[0])
    begun, token = time.monotonic(), uuid.uuid4().hex[:12]
    attempt = Attempt(url, job or token, fence, token)
    products = sorted(p.name for p in folder.iterdir())
    there = _settled(url, read_manifest(url), files)
    if there is not None:
        return there
    note = {"delivery": path, "generation": token, "capabilities": caps.as_dict()}
    fs.pipe_file(attempt.note, json.dumps(note).encode())
    try:
        _upload(folder, files, attempt)
        wrong = differences(url, token, files)
        if wrong:
            raise OSError(errno.EIO, f"{len(wrong)} objects are not what was sent: {wrong[0]}", url)
        if time.monotonic() - begun > _AT_MOST:
            raise TimeoutError(errno.ETIMEDOUT, f"took more than {_AT_MOST / 3600:.0f} h", url)
    except BaseException:
        _forget(attempt)
        raise
    content = {"products": products, "bytes": sum(f["bytes"] for f in files), "generation": token, "files": files}
    if not put_if_absent(fs, f"{path}/{MANIFEST}", json.dumps(content, indent=1).encode()):
        found = read_manifest(url)
        if found is not None and found["generation"] != token:
            _forget(attempt)
            content = found
        _settled(url, found, files)
    fs.rm_file(attempt.note)
    return products_of(url, content)


def _forget(attempt: Attempt) -> None:
    """Remove what a failed attempt wrote, as far as the store answers; `reap` finds the rest."""
    fs, _ = filesystem(attempt.url)
    try:
        if fs.exists(attempt.folder):
            fs.rm(attempt.folder, recursive=True)
        fs.rm(attempt.note)
    except Exception as error:  # noqa: BLE001 - what it failed of is on its way up already
        _log.warning("%s: not cleared up: %s", attempt.folder, error)


@dataclass(frozen=True, slots=True)
class Reaped:
    """What clearing up found.

    Attributes
    ----------
    removed : tuple of str
        URLs of generations that died before they were published.
    under_way : tuple of str
        Notes of attempts that are too young to be judged.
    unknown : tuple of str
        URLs of deliveries that nobody has on record: a process died between publishing and telling so.
    """

    removed: tuple[str, ...]
    under_way: tuple[str, ...]
    unknown: tuple[str, ...]


def reap(root: str, known: Collection[str] | None = None, stale: timedelta = STALE) -> Reaped:
    """Remove what dead attempts left in a folder of deliveries, and name the products that nobody has on record.

    Parameters
    ----------
    root : str
        ``s3://bucket/out``.
    known : collection of str, optional
        URLs of the deliveries of the ledger; default: that is not compared.
    stale : timedelta
        Age at which an attempt counts as dead.
    """
    fs, path = filesystem(root)
    limit = datetime.now(UTC) - stale
    removed: list[str] = []
    young: list[str] = []
    notes = fs.find(f"{path}/{STAGING}", detail=True) if fs.exists(f"{path}/{STAGING}") else {}
    for name, facts in sorted(notes.items()):
        if facts["LastModified"] > limit:
            young.append(f"s3://{name}")
        elif name.endswith(".json"):
            removed += _reap_one(fs, name)
        else:  # an object of a measurement of the store
            fs.rm_file(name)
    manifests = [] if known is None else fs.glob(f"{path}/*/{MANIFEST}")
    told = {url.rstrip("/") for url in known or ()}
    found = [f"s3://{name.removesuffix(f'/{MANIFEST}')}" for name in manifests]
    return Reaped(tuple(removed), tuple(young), tuple(url for url in found if url not in told))


def _reap_one(fs: Any, name: str) -> Sequence[str]:
    """Remove the generation that a note names unless it is the product, then the note."""
    note = json.loads(fs.cat_file(name))
    removed: list[str] = []
    manifest = read_manifest(f"s3://{note['delivery']}")
    folder = f"{note['delivery']}/{note['generation']}"
    if (manifest is None or manifest["generation"] != note["generation"]) and fs.exists(folder):
        fs.rm(folder, recursive=True)
        removed.append(f"s3://{folder}")
    fs.rm_file(name)
    return removed
