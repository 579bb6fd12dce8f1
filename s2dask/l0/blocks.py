"""DSDB files as they lie on a file system: each name and each content once."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from s2dask.errors import InputError, InputMissing
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.io.storage import filesystem, is_local
from s2dask.l0.dsib import block_name

_EDGE: Final = 4096
"""Bytes at either end that tell most files apart: a frame holds its counter."""
_READ: Final = 1 << 22
_RETRANSFER: Final = "RETRANSFER"


@dataclass(frozen=True, slots=True)
class Block:
    """One DSDB file.

    Attributes
    ----------
    name, session : str
    channel, number : int
    url : str
    size : int
        [byte]
    stamp : str
        Entity tag or date of change.
    time : float
        When it came [s since 1970].
    """

    name: str
    session: str
    channel: int
    number: int
    url: str
    size: int
    stamp: str
    time: float

    @property
    def key(self) -> str:
        """Address of the content, as far as name, size and stamp tell it: that of its results."""
        return hashlib.blake2b(f"{self.name}|{self.size}|{self.stamp}".encode(), digest_size=8).hexdigest()


class Promise(NamedTuple):
    """What a station says of a file: its size [byte], and its MD5 or None."""

    size: int
    md5: str | None = None


class Kept(NamedTuple):
    """Files that count, and what became of the others; see `SessionState`."""

    blocks: tuple[Block, ...]
    damaged: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, str], ...]
    retransferred: tuple[str, ...]


def _when(info: Mapping[str, Any]) -> float:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return 0.0


def _stamp(info: Mapping[str, Any]) -> str:
    tag = next((info[k] for k in ("ETag", "etag", "md5Hash", "md5") if info.get(k)), None)
    return str(tag) if tag else repr(_when(info))


def file_name(url: str) -> str:
    """Return the name of a file by its path or URL, of the inner one of a chain such as ``zip://…::file://…``."""
    parts = url.split("::")
    return PurePosixPath(next((part for part in parts if "://" in part), parts[0])).name


def _url(fs: Any, path: str, folder: str) -> str:
    """Return the URL of a file that was listed below a folder."""
    if is_local(folder):
        return path
    first, *rest = folder.split("::")
    if rest and "://" in first:  # a container: its own path tells nothing of where it lies
        return "::".join([f"{first.split('://')[0]}://{path.lstrip('/')}", *rest])
    url: str = fs.unstrip_protocol(path)
    return f"{first}::{url}" if rest else url


def block_of(url: str) -> Block:
    """Return a DSDB file by its path or URL; one whose name is of another kind has channel 0."""
    fs, path = filesystem(url)
    try:
        info = fs.info(path)
    except FileNotFoundError:
        raise InputMissing("no such file", url, "check the path") from None
    return _block(url, info)


def _block(url: str, info: Mapping[str, Any]) -> Block:
    name = file_name(url)
    session, channel, number = block_name(name) or ("", 0, 0)
    return Block(name, session, channel, number, url, int(info["size"] or 0), _stamp(info), _when(info))


def list_session(folder: str) -> tuple[list[Block], list[tuple[str, int, float]]]:
    """Return the DSDB files below a folder or URL, and (path, size, date) of the DSIBs, by path."""
    fs, root = filesystem(folder)
    fs.invalidate_cache()  # a listing of before does not know what has come since
    blocks, dsibs = [], []
    for path, info in sorted(fs.find(root, detail=True).items()):
        url = _url(fs, path, folder)
        if path.endswith("_DSIB.xml"):
            dsibs.append((url, int(info["size"]), _when(info)))
        elif block_name(PurePosixPath(path).name):
            blocks.append(_block(url, info))
    # a file is no session, though it may be one's
    return ([], []) if fs.isfile(root) else (blocks, dsibs)


def read_whole(url: str) -> bytes:
    """Return a small file."""
    fs, path = filesystem(url)
    try:
        data: bytes = fs.cat_file(path)
    except FileNotFoundError:
        raise InputMissing("no such file", url, "check the path") from None
    return data


def read_pieces(url: str, size: int = _READ) -> Iterator[bytes]:
    """Yield a file in pieces of a size [byte]."""
    fs, path = filesystem(url)
    try:
        with fs.open(path, "rb", **({} if is_local(url) else {"block_size": size})) as file:
            while piece := file.read(size):
                yield piece
    except FileNotFoundError:
        raise InputMissing("no such file", url, "check the path") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", url, "look at the storage") from None


def md5(url: str) -> str:
    """Return the MD5 of a file."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in read_pieces(url):
        digest.update(piece)
    return digest.hexdigest()


def _edges(block: Block) -> bytes:
    fs, path = filesystem(block.url)
    if block.size <= 2 * _EDGE:
        return read_whole(block.url)
    try:
        ends = ((0, _EDGE), (block.size - _EDGE, block.size))
        return b"".join(bytes(fs.cat_file(path, start=start, end=end)) for start, end in ends)
    except FileNotFoundError:
        raise InputMissing("no such file", block.url, "check the path") from None


def _fault(block: Block, promised: Mapping[str, Promise]) -> str:
    """Return what is wrong with a file, nothing if it is whole."""
    promise = promised.get(block.name)
    if block.size % CADU_BYTES or not block.size:
        return f"truncated: {block.size} bytes are no whole number of CADUs"
    if promise and block.size != promise.size:
        return f"{block.size} bytes, the station promises {promise.size}"
    if promise and promise.md5 and md5(block.url) != promise.md5.lower():
        return "its MD5 is not the one that the station promises"
    return ""


def _same(blocks: Sequence[Block]) -> dict[Block, str]:
    """Return the MD5 of those files that may have the same content as another."""
    alike: dict[tuple[int, bytes], list[Block]] = defaultdict(list)
    sizes: dict[int, list[Block]] = defaultdict(list)
    for block in blocks:
        sizes[block.size].append(block)
    for group in sizes.values():
        for block in group if len(group) > 1 else ():
            alike[block.size, _edges(block)].append(block)
    return {block: md5(block.url) for group in alike.values() if len(group) > 1 for block in group}


def keep_once(blocks: Sequence[Block], order: Mapping[str, int], promised: Mapping[str, Promise]) -> Kept:
    """Choose the files that count: of those with one name the last that came, of those with one content the first.

    Parameters
    ----------
    blocks : sequence of Block
        Of one session, both channels.
    order : mapping of str to int
        Rank of the announced names in their channel; others follow by number.
    promised : mapping of str to Promise
    """
    faults = {b: _fault(b, promised) for b in blocks}
    good = [b for b in blocks if not faults[b]]
    contents, again, duplicates = _same(good), [], []
    named: dict[str, Block] = {}
    for block in sorted(good, key=lambda b: (_RETRANSFER in PurePosixPath(b.url).parts, b.time, b.url)):
        known = named.get(block.name)
        if known is None:
            named[block.name] = block
        elif block.size == known.size and contents.get(block, "") == contents.get(known, "-"):
            duplicates.append((block.url, block.name))
        else:
            again.append(block.name)
            named[block.name] = block
    kept: list[Block] = []
    seen: dict[str, Block] = {}
    for block in sorted(named.values(), key=lambda b: (b.channel, order.get(b.name, len(order)), b.number)):
        first = seen.setdefault(contents.get(block, block.url), block)
        if first is block:
            kept.append(block)
        else:
            duplicates.append((block.url, first.name))
    damaged = {b.name: fault for b, fault in faults.items() if b.name not in named}
    return Kept(tuple(kept), tuple(sorted(damaged.items())), tuple(duplicates), tuple(dict.fromkeys(again)))
