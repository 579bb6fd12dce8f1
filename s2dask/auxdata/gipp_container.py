"""The containers of a GIPP: a plain XML (``.xml``, ``.DBL``) or the archive in which it is distributed (``.TGZ``)."""

import io
import re
import tarfile
import zlib
from pathlib import Path
from typing import Final

from s2dask.auxdata.xml_file import MAX_BYTES, parse_bytes
from s2dask.errors import InputError, InputMissing

SUFFIXES: Final = (".DBL", ".TGZ", ".XML")
"""Upper-cased; what a GIPP may end with."""
_ARCHIVE_BYTES: Final = 64_000_000
"""Unpacked; the largest real archive has 3 MB."""
_MEMBERS: Final = 2
_REFUSED: Final = "the archive is refused; fetch it again"
_VERSION = re.compile(rb"<VERSION_NUMBER>\s*([^<\s]+)\s*</VERSION_NUMBER>")


def read_gipp(path: Path) -> bytes:
    """Return the XML of a GIPP in any container, nothing being unpacked to disk.

    Notes
    -----
    An archive holds its own name twice: as ``.HDR`` and as ``.DBL`` (or ``.xml``), in either order. Anything else in
    there, a path, a link, a name of another file, a size that no GIPP has, is refused.
    """
    if not path.is_file():
        raise InputMissing("no such GIPP", path.name)
    if path.stat().st_size > MAX_BYTES:
        raise InputError("unreasonably large", path.name, "the file is refused")
    content = path.read_bytes()
    return _unpack(content, path) if path.suffix.upper() == ".TGZ" else content


def version_of(content: bytes) -> str:
    """Return the VERSION_NUMBER of a GIPP's XML, empty if there is none."""
    match = _VERSION.search(content, 0, 20_000)
    return match[1].decode("ascii", "replace") if match else ""


def _unpack(content: bytes, path: Path) -> bytes:
    """Return the data member of an archive."""
    if not content:
        raise InputError("the file is empty", path.name, "fetch the file again")
    stream = zlib.decompressobj(wbits=31)
    try:
        # bounded before the archive is looked at: a header may claim any size as well as a member
        plain = stream.decompress(content, _ARCHIVE_BYTES)
        if stream.unconsumed_tail:
            raise InputError(f"more than {_ARCHIVE_BYTES} bytes unpacked", path.name, _REFUSED)
        if not stream.eof:
            raise InputError("the archive is truncated", path.name, "fetch the file again")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            members = {name: _read(archive, info, path) for name, info in _members(archive, path)}
    except (zlib.error, tarfile.TarError) as error:
        raise InputError(f"no readable archive: {error}", path.name, "fetch the file again") from None
    data = [name for name in members if not name.upper().endswith(".HDR")]
    if len(data) != 1:
        raise InputError(f"{len(data)} data files in the archive", path.name, _REFUSED)
    for name in members.keys() - set(data):
        _check_header(members[name], path)
    return members[data[0]]


def _members(archive: tarfile.TarFile, path: Path) -> list[tuple[str, tarfile.TarInfo]]:
    out = []
    for info in archive:
        name = info.name.removeprefix("./")
        stem, _, suffix = name.rpartition(".")
        if not info.isreg() or stem != path.stem or suffix.upper() not in ("HDR", "DBL", "XML"):
            raise InputError(f"member {info.name[:80]!r} does not belong in there", path.name, _REFUSED)
        out.append((name, info))
    if len({name for name, _ in out}) != len(out) or len(out) > _MEMBERS:
        raise InputError(f"{len(out)} members, the same name twice or too many", path.name, _REFUSED)
    return out


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> bytes:
    member = archive.extractfile(info)
    content = b"" if member is None else member.read()
    if len(content) != info.size:
        raise InputError(f"member {info.name!r} is truncated", path.name, "fetch the file again")
    return content


def _check_header(content: bytes, path: Path) -> None:
    """Refuse a header that is not the one of this file."""
    name = parse_bytes(content, f"{path.name}:HDR").findtext(".//{*}File_Name", "").strip()
    if name != path.stem:
        raise InputError(f"its header is that of {name[:100]!r}", path.name, _REFUSED)
