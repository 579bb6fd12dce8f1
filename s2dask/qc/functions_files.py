"""Functions of checks on what the files of an item hold: their sizes, checksums and codestreams."""

import hashlib
import struct
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from lxml import etree

from s2dask.errors import InputError
from s2dask.qc.checks import Check, Finding, Function, NotTold

if TYPE_CHECKING:
    from s2dask.qc.items import Item

_BLOCK: Final = 1 << 20
_SHOWN: Final = 3
"""Files that a message names."""
_METADATA: Final = (".xml", ".xsd", ".html", ".css", ".jpg", ".png", ".gml")
_SIGNATURE: Final = bytes.fromhex("0000000c6a5020200d0a870a")
_SOC, _EOC = b"\xff\x4f", b"\xff\xd9"
_SOT: Final = 0xFF90


def _listed(check: Check, item: "Item") -> Iterator[tuple[str, int | None, str, str]]:
    """Yield (file, size, checksum, name of the checksum) of the files that lie there, as the manifest states them.

    With ``files``, patterns of names, of these alone: real datastrips were completed after their manifest was written.
    """
    patterns = [str(p) for p in check.parameters.get("files", ("*",))]
    if item.manifest is None:
        raise NotTold("manifest.safe is absent", item.name, "give the whole folder")
    there = set(item.files)
    for stream in item.manifest.iterfind(".//byteStream"):
        name = _href(stream)
        if name in there and any(fnmatchcase(name, p) for p in patterns):
            size, told = stream.get("size") or "", stream.find("checksum")
            text, kind = (
                ("", "") if told is None else ((told.text or "").strip().lower(), told.get("checksumName") or "")
            )
            yield name, int(size) if size.isdigit() else None, text, kind


def _href(stream: etree._Element) -> str:
    place = stream.find("fileLocation")
    return "" if place is None else (place.get("href") or "").removeprefix("./")


def _finding(wrong: list[str], seen: int) -> Finding:
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Finding(not wrong, {"wrong": "; ".join(wrong[:_SHOWN]) + more, "count": len(wrong), "of": seen})


def file_sizes(check: Check, item: "Item") -> Finding:
    """Find whether every file that is there has the size that the manifest states; nothing is read for it."""
    wrong, seen = [], 0
    for name, stated, _, _ in _listed(check, item):
        if stated is not None:
            with item.opened(name) as (_, found):
                seen += 1
                if found != stated:
                    wrong.append(f"{name} has {found} bytes, {stated} are stated")
    return _finding(wrong, seen) if seen else Finding(None)


def _digest(source: IO[bytes], algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    while block := source.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def file_checksums(check: Check, item: "Item") -> Finding:
    """Find whether files have the checksum that the manifest states: all, or without a look at pixels the metadata.

    A file of another size is told by its size, and not read.
    """
    wrong, seen = [], 0
    for name, stated, expected, kind in _listed(check, item):
        if not expected or not (item.look or name.endswith(_METADATA)):
            continue
        algorithm = kind.lower().replace("-", "_")
        if algorithm not in hashlib.algorithms_available:
            raise NotTold(f"checksum {kind!r} is not known", name, "compare it with a tool that knows it")
        with item.opened(name) as (source, size):
            if stated not in (None, size):
                continue
            seen += 1
            found = _digest(source, algorithm)
        if found != expected:
            wrong.append(f"{name} has {kind} {found[:12]}…, {expected[:12]}… is stated")
    return _finding(wrong, seen) if seen else Finding(None)


def _codestream(source: IO[bytes], size: int) -> tuple[int, int]:
    """Return where the codestream of a JPEG 2000 file begins, and where it ends by the length of its box."""
    begun = source.read(len(_SIGNATURE))
    if begun.startswith(_SOC):
        return 0, size
    if begun != _SIGNATURE:
        raise InputError("no JPEG 2000 file", "", "")
    at = len(_SIGNATURE)
    while True:
        source.seek(at)
        head = source.read(16)
        if len(head) < 8:  # length and type of a box
            raise InputError(f"no codestream in {size} bytes", "", "")
        length, kind = struct.unpack_from(">I4s", head)
        start = at + (16 if length == 1 else 8)
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if kind == b"jp2c":
            return start, at + length if length else size
        if length < start - at:
            raise InputError(f"a box without length at byte {at}", "", "")
        at += length


def _first_part(source: IO[bytes], start: int) -> int:
    """Return where the first tile-part begins: behind the marker segments of the main header."""
    source.seek(start)
    if source.read(2) != _SOC:
        raise InputError(f"no codestream at byte {start}", "", "")
    at = start + 2
    while True:
        source.seek(at)
        head = source.read(4)
        if len(head) < 4 or head[0] != 0xFF:  # marker and length
            raise InputError(f"the main header ends at byte {at}", "", "")
        marker, length = struct.unpack(">HH", head)
        if marker == _SOT:
            return at
        at += 2 + length


def damage(source: IO[bytes], size: int) -> str:
    """Return what is wrong with the lengths that a JPEG 2000 file tells, nothing where they agree with its size.

    Boxes, the tile-parts (``Psot``) and the end marker are walked along; no pixel is decoded.

    Parameters
    ----------
    source : binary file
    size : int
        Of the file [bytes].
    """
    try:
        start, end = _codestream(source, size)
        if end > size:
            return f"has {size} bytes, its codestream ends at {end}"
        at, number = _first_part(source, start), 0
        while at < end - 2:
            source.seek(at)
            head = source.read(10)
            if len(head) < 10 or int.from_bytes(head[:2], "big") != _SOT:  # SOT up to Psot
                return f"has no tile-part at byte {at}"
            at += int.from_bytes(head[6:10], "big") or end - 2 - at
            number += 1
        if at != end - 2:
            return f"its tile-part {number} ends at byte {at} of {end - 2}"
        source.seek(at)
        return "" if source.read(2) == _EOC else "has no end marker"
    except InputError as error:
        return error.what


def codestreams(check: Check, item: "Item") -> Finding:  # noqa: ARG001  # every function is told its check
    """Find whether the images and masks are whole; a file of no bytes stands for pixels that are absent."""
    if item.archive is None:
        return Finding(None)
    wrong, seen = [], 0
    for name in item.files:
        if name.endswith(".jp2"):
            with item.opened(name) as (source, size):
                seen += bool(size)
                if size and (what := damage(source, size)):
                    wrong.append(f"{PurePosixPath(name).name} {what}")
    return _finding(wrong, seen) if seen else Finding(None)


FUNCTIONS: Final[dict[str, Function]] = {
    "file_sizes": file_sizes, "file_checksums": file_checksums, "codestreams": codestreams,
}  # fmt: skip
"""By the name that a checklist file has."""
