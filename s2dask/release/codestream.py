"""The parts of a JPEG 2000 file: boxes, marker segments and tile-parts, and codestreams made of them.

Markers and boxes after ISO/IEC 15444-1, annexes A and I.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from s2dask.errors import ConfigurationError, InputError

SOC: Final = b"\xff\x4f"
EOC: Final = b"\xff\xd9"
SIZ: Final = 0xFF51
COD: Final = 0xFF52
TLM: Final = 0xFF55
PLT: Final = 0xFF58
QCD: Final = 0xFF5C
SOT: Final = 0xFF90
SOD: Final = 0xFF93
_SMALL_INDEX: Final = 255
"""Tiles that a TLM marker numbers by one byte each."""
_MOST_TILES: Final = 10_000
"""Tiles whose lengths fit into one TLM marker of 65535 bytes."""

Segment = tuple[int, bytes]
"""A marker and what follows its length."""


@dataclass(frozen=True, slots=True)
class Codestream:
    """A codestream in its parts.

    Attributes
    ----------
    main : tuple of Segment
        Main header.
    tile_parts : tuple of bytes
        From SOT on, in file order.
    """

    main: tuple[Segment, ...]
    tile_parts: tuple[bytes, ...]

    def segment(self, marker: int) -> bytes:
        """Return the content of the first segment with a marker in the main header."""
        for found, content in self.main:
            if found == marker:
                return content
        raise InputError(f"no marker {marker:04X}", "main header of a JPEG 2000 codestream", "encode the image again")


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return type and content of the boxes, in order; those inside others are left in them."""
    out: list[tuple[bytes, bytes]] = []
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        size = size or len(data) - at
        if size < head or at + size > len(data):
            raise InputError(f"box {kind!r} ends beyond the file", f"byte {at} of a JPEG 2000 file", "write it again")
        out.append((kind, data[at + head : at + size]))
        at += size
    return out


def box_head(kind: bytes, size: int) -> bytes:
    """Return what stands before a content of so many bytes; of 4 GiB or more the long form."""
    whole = size + 8
    return struct.pack(">I4s", whole, kind) if whole < 1 << 32 else struct.pack(">I4sQ", 1, kind, whole + 8)


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box."""
    return box_head(kind, len(content)) + content


def segments(data: bytes, at: int, end: int) -> tuple[list[Segment], int]:
    """Return the marker segments from byte `at` to the marker `end`, and where that stands."""
    out: list[Segment] = []
    while True:
        if at + 4 > len(data):
            raise InputError(f"ends before marker {end:04X}", "JPEG 2000 codestream", "write it again")
        marker, size = struct.unpack_from(">HH", data, at)
        if marker == end:
            return out, at
        out.append((marker, data[at + 4 : at + 2 + size]))
        at += 2 + size


def parse(data: bytes) -> Codestream:
    """Take a codestream apart; one that is cut short is refused."""
    if data[:2] != SOC:
        raise InputError("does not begin with SOC", "JPEG 2000 codestream", "give the content of a jp2c box")
    main, at = segments(data, 2, SOT)
    parts: list[bytes] = []
    while data[at : at + 2] != EOC:
        if at + 12 > len(data):
            raise InputError("ends without EOC", "JPEG 2000 codestream", "write it again")
        size = struct.unpack_from(">I", data, at + 6)[0] or len(data) - 2 - at
        parts.append(data[at : at + size])
        at += size
    return Codestream(tuple(main), tuple(parts))


def tile_markers(part: bytes) -> list[Segment]:
    """Return the marker segments between SOT and the data of a tile-part."""
    return segments(part, 12, SOD)[0]


def _lengths(parts: Sequence[bytes]) -> bytes:
    """Return the content of the TLM marker of one tile-part a tile."""
    wide = len(parts) > _SMALL_INDEX
    entry = struct.Struct(">HI" if wide else ">BI")
    return bytes((0, 0x60 if wide else 0x50)) + b"".join(entry.pack(n, len(part)) for n, part in enumerate(parts))


def _numbered(part: bytes, tile: int) -> bytes:
    """Return a tile-part under another tile number, its length stated."""
    return part[:4] + struct.pack(">HI", tile, len(part)) + part[10:]


def _coding(stream: Codestream) -> tuple[bytes, ...]:
    """Return what codestreams must share to be joined: capabilities, components, COD and QCD."""
    siz = stream.segment(SIZ)
    return siz[:2], siz[34:], stream.segment(COD), stream.segment(QCD)


def join(streams: Sequence[bytes], shape: tuple[int, int], tile: int) -> bytes:
    """Join the codestreams of single tiles into that of the image.

    Parameters
    ----------
    streams : sequence of bytes
        One per tile, row by row, each of one tile-part and with the same coding.
    shape : tuple of int
        Rows and columns of the image.
    tile : int
        Edge of a tile [px]; those at the right and lower edge are smaller.

    Returns
    -------
    bytes
        Codestream with a TLM marker, the tiles' own packets and PLT markers unchanged.
    """
    rows, columns = shape
    expected = -(-rows // tile) * -(-columns // tile)
    if len(streams) != expected or not 0 < expected <= _MOST_TILES:
        raise ConfigurationError(
            f"{len(streams)} tiles for an image of {expected}", "join", f"give every tile once, {_MOST_TILES} at most"
        )
    first = parse(streams[0])
    parts: list[bytes] = []
    for number, stream in enumerate(streams):
        single = parse(stream)
        if _coding(single) != _coding(first) or len(single.tile_parts) != 1:
            raise ConfigurationError(
                f"tile {number} is coded otherwise than the first", "join", "encode the image as a whole"
            )
        parts.append(_numbered(single.tile_parts[0], number))
    size = struct.pack(">8I", columns, rows, 0, 0, min(tile, columns), min(tile, rows), 0, 0)
    out = [SOC]
    for marker, content in first.main:
        if marker != TLM:
            body = content[:2] + size + content[34:] if marker == SIZ else content
            out.append(struct.pack(">HH", marker, len(body) + 2) + body)
        if marker == QCD:
            lengths = _lengths(parts)
            out.append(struct.pack(">HH", TLM, len(lengths) + 2) + lengths)
    return b"".join([*out, *parts, EOC])
