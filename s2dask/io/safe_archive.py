"""The files of a SAFE product, in a folder or in a zip, as names relative to the ``.SAFE`` folder."""

import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO, Final

from lxml import etree

from s2dask.errors import InputError, InputMissing

_LARGEST: Final = 1 << 27
"""A metadata file above this size is refused [bytes]; real ones have 13 MB at most."""
_REMEDY: Final = "fetch the product again"


def _zip_members(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return (SAFE folder inside the zip, names below it)."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise InputError(f"not a readable zip ({error})", str(path), _REMEDY) from error
    roots = set()
    for name in names:
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith(("/", "\\")):
            raise InputError(f"the zip holds a file outside of itself: {name}", str(path), "refuse this product")
        for depth, part in enumerate(parts[:-1], start=1):
            if part.endswith(".SAFE"):
                roots.add("/".join(parts[:depth]))
                break
    if len(roots) != 1:
        raise InputError(f"{len(roots)} SAFE folders in one zip", str(path), "give a zip of exactly one product")
    root = roots.pop()
    return root, tuple(name.removeprefix(f"{root}/") for name in names if name.startswith(f"{root}/"))


def _folder_members(path: Path) -> tuple[str, ...]:
    return tuple(sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()))


@dataclass(frozen=True)
class SafeArchive:
    """Read access to one SAFE.

    Attributes
    ----------
    path : Path
        The ``.SAFE`` folder, or the zip.
    root : str
        SAFE folder inside the zip; empty for a folder.
    names : tuple of str
        Files, relative to the SAFE folder: only these are ever opened, whatever the metadata refer to.
    """

    path: Path
    root: str = ""
    names: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, path: str | Path) -> "SafeArchive":
        """Open a folder or zip; `InputMissing` when there is nothing, `InputError` when it is no SAFE."""
        where = Path(str(path).removeprefix("file://")).absolute()
        if not where.exists():
            raise InputMissing("no such product", str(where), "check the path")
        if where.is_dir():
            return cls(where, "", _folder_members(where))
        root, names = _zip_members(where)
        return cls(where, root, names)

    @property
    def name(self) -> str:
        """Name of the SAFE folder."""
        return PurePosixPath(self.root).name if self.root else self.path.name

    def describe(self, name: str) -> str:
        """Return the full name of a file, for messages."""
        return f"{self.path}/{self.root}/{name}" if self.root else str(self.path / name)

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """Return the files matching any of the patterns, sorted."""
        return sorted(name for name in self.names if any(fnmatch(name, pattern) for pattern in patterns))

    def one(self, pattern: str) -> str:
        """Return the only file matching a pattern, or raise naming it."""
        found = self.matching([pattern])
        if not found:
            raise InputError(f"{pattern} is missing", self.describe(""), f"the product is incomplete: {_REMEDY}")
        if len(found) > 1:
            raise InputError(f"{len(found)} files match {pattern}", self.describe(""), "give a product of one tile")
        return found[0]

    def read(self, name: str) -> bytes:
        """Return the bytes of a (metadata) file."""
        where = self.describe(name)
        try:
            if not self.root:
                if (self.path / name).stat().st_size > _LARGEST:
                    raise InputError("far too large for a metadata file", where, _REMEDY)
                return (self.path / name).read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                info = archive.getinfo(f"{self.root}/{name}")
                if info.file_size > _LARGEST:
                    raise InputError("far too large for a metadata file", where, _REMEDY)
                return archive.read(info)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise InputError(f"cannot be read ({error})", where, _REMEDY) from error

    @contextmanager
    def stream(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """Open a file of any size: what reads it, and how many bytes it has."""
        try:
            if not self.root:
                with (self.path / name).open("rb") as source:
                    yield source, (self.path / name).stat().st_size
            else:
                with zipfile.ZipFile(self.path) as archive:
                    info = archive.getinfo(f"{self.root}/{name}")
                    with archive.open(info) as source:
                        yield source, info.file_size
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise InputError(f"cannot be read ({error})", self.describe(name), _REMEDY) from error

    def xml(self, name: str) -> etree._Element:
        """Parse an XML file: no entities, no DTD, no network."""
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            root = etree.fromstring(self.read(name), parser)
        except etree.XMLSyntaxError as error:
            raise InputError(f"not well-formed XML ({error})", self.describe(name), _REMEDY) from error
        if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]  # lxml-stubs do not know the field
            raise InputError("has a DOCTYPE, which no product has", self.describe(name), "refuse this product")
        return root

    def raster(self, name: str) -> str:
        """Return what GDAL opens: a path, or ``/vsizip/…``."""
        if not self.root:
            return str(self.path / name)
        return f"/vsizip/{{{self.path}}}/{self.root}/{name}"

    def extract(self, name: str) -> Path:
        """Return a file of the disk: the file itself, or a copy of the zip's member that the caller removes."""
        if not self.root:
            return self.path / name
        handle, path = tempfile.mkstemp(suffix=f"_{PurePosixPath(name).name}")
        with os.fdopen(handle, "wb") as target:
            target.write(self.read(name))
        return Path(path)
