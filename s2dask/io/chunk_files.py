"""Chunks of local stores, read and written without the machinery around them.

zarr-python takes 2 to 4 times as long as the codec that it calls. What is done here is the plain case of Zarr 3 and
nothing else: a regular grid, one file per chunk, bytes in little-endian order, Blosc. Every other array, and every
store that is no folder, goes through zarr-python, and the files are the same to the byte.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr
from numcodecs.blosc import BITSHUFFLE, NOSHUFFLE, SHUFFLE, Blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray

from s2dask.io.storage import is_local, open_array

_SHUFFLES = {"noshuffle": NOSHUFFLE, "shuffle": SHUFFLE, "bitshuffle": BITSHUFFLE}
_HEAD, _COPIED = struct.Struct("<4B3i"), 2
"""Head of a Blosc frame: versions, flags, type size, bytes, bytes of a block, bytes as stored; flag of a mere copy."""


def _rows_of_frame(frame: bytes, first: int, stop: int) -> tuple[bytes, int]:
    """Return the part of a Blosc frame that holds bytes first … stop, as a frame, and the byte that it begins with.

    Notes
    -----
    A frame is a head of 16 bytes, the place of each block, and the blocks, each compressed by itself (Blosc 1, format
    of the chunk). Where blocks are not in order, or not compressed, the frame is handed back whole.
    """
    *versions, size, block, stored = _HEAD.unpack_from(frame)
    blocks = -(-size // block)
    if versions[2] & _COPIED or blocks < 2:
        return frame, 0
    places = np.append(np.frombuffer(frame, "<i4", blocks, _HEAD.size), stored).astype(np.int64)
    if (np.diff(places) <= 0).any():
        return frame, 0
    a, b = first // block, -(-stop // block)
    if b == blocks:
        a = min(a, b - 2)  # the last block, shorter and coded otherwise, does not stand alone
    head = _HEAD.size + 4 * (b - a)
    places, held = places[a : b + 1], min(b * block, size) - a * block
    index = (places[:-1] - places[0] + head).astype("<i4").tobytes()
    body = frame[places[0] : places[-1]]
    return _HEAD.pack(*versions, held, block, head + len(body)) + index + body, a * block


def _replace(file: Path, data: bytes) -> None:
    """Write a file, which appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{uuid4().hex}.partial")
    try:
        part.write_bytes(data)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True, eq=False)
class ChunkFiles:
    """The chunk files of one array.

    Attributes
    ----------
    folder : Path
        Of the array.
    shape, chunks : tuple of int
    dtype : numpy.dtype
    fill : numpy scalar
        Value of what was never written.
    codec : Blosc
    """

    folder: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    codec: Blosc

    @classmethod
    def open(cls, url: str, path: str) -> "ChunkFiles | None":
        """Return the files of an array, None where it is not the plain case."""
        if not is_local(url):
            return None
        folder = Path(url.removeprefix("file://")) / path
        try:
            facts = json.loads((folder / "zarr.json").read_bytes())
            grid, keys, codecs = facts["chunk_grid"], facts["chunk_key_encoding"], facts["codecs"]
        except (FileNotFoundError, KeyError):
            return None
        plain = (
            [codec["name"] for codec in codecs] == ["bytes", "blosc"]
            and codecs[0].get("configuration", {}).get("endian", "little") == "little"
            and grid["name"] == "regular"
            and keys == {"name": "default", "configuration": {"separator": "/"}}
            and isinstance(facts["fill_value"], int)
            and facts["shape"]
            and not facts.get("storage_transformers")
        )
        if not plain:
            return None
        dtype, how = np.dtype(facts["data_type"]).newbyteorder("<"), codecs[1]["configuration"]
        codec = Blosc(
            how["cname"], how["clevel"], _SHUFFLES[how["shuffle"]], how["blocksize"], typesize=how["typesize"]
        )
        chunks = tuple(grid["configuration"]["chunk_shape"])
        return cls(folder, tuple(facts["shape"]), chunks, dtype, dtype.type(facts["fill_value"]), codec)

    def _file(self, index: tuple[int, ...]) -> Path:
        return self.folder.joinpath("c", *map(str, index))

    def _pieces(
        self, start: tuple[int, ...], stop: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]]:
        """Yield of each chunk in a window its index, its part of the window, and that part within the chunk."""
        spans = [range(a // c, -(-b // c)) for a, b, c in zip(start, stop, self.chunks, strict=True)]
        for index in product(*spans):
            axes = list(zip(index, self.chunks, start, stop, strict=True))
            ends = [(max(k * c, a), min((k + 1) * c, b)) for k, c, a, b in axes]
            there = tuple(slice(low - a, high - a) for (low, high), (_, _, a, _) in zip(ends, axes, strict=True))
            inside = tuple(
                slice(low - k * c, high - k * c) for (low, high), (k, c, _, _) in zip(ends, axes, strict=True)
            )
            yield index, there, inside

    def _frame(self, index: tuple[int, ...]) -> bytes | None:
        """Return what is stored of a chunk, None where it was never written."""
        try:
            return self._file(index).read_bytes()
        except FileNotFoundError:
            return None

    def _scratch(self) -> NDArray[np.uint8]:
        """Return room for a chunk: memory that is new for every chunk costs as much as to decode into it."""
        return np.empty(int(np.prod(self.chunks)) * self.dtype.itemsize, np.uint8)

    def _rows(self, frame: bytes, rows: slice, scratch: NDArray[np.uint8]) -> NDArray[Any]:
        """Return some rows of a chunk, in `scratch`: whole blocks of its frame are decoded, and no others."""
        width = int(np.prod(self.chunks[1:])) * self.dtype.itemsize
        a, b = rows.start * width, rows.stop * width
        part, begin = _rows_of_frame(frame, a, b)
        self.codec.decode(part, scratch)
        return scratch[a - begin : b - begin].view(self.dtype).reshape(-1, *self.chunks[1:])

    def parts(self, start: tuple[int, ...], stop: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], NDArray[Any]]]:
        """Yield the window from start to stop chunk by chunk: where in it, and values, which hold until the next."""
        scratch = self._scratch()
        for index, there, inside in self._pieces(start, stop):
            frame = self._frame(index)
            if frame is None:
                yield there, np.broadcast_to(self.fill, [part.stop - part.start for part in there])
            else:
                yield there, self._rows(frame, inside[0], scratch)[:, *inside[1:]]

    def read(self, start: tuple[int, ...], stop: tuple[int, ...]) -> NDArray[Any]:
        """Return the window from start to stop."""
        out, scratch = np.empty([b - a for a, b in zip(start, stop, strict=True)], self.dtype), self._scratch()
        for index, there, inside in self._pieces(start, stop):
            frame, part = self._frame(index), out[there]
            if frame is None:
                part[...] = self.fill
            elif part.shape == self.chunks and part.flags.c_contiguous:
                self.codec.decode(frame, part)
            else:
                part[...] = self._rows(frame, inside[0], scratch)[:, *inside[1:]]
        return out

    def write(self, block: NDArray[Any], origin: tuple[int, ...]) -> None:
        """Write a block that covers whole chunks; a chunk of nothing but the fill value has no file."""
        stop = tuple(a + n for a, n in zip(origin, block.shape, strict=True))
        for index, there, inside in self._pieces(origin, stop):
            piece, file = block[there], self._file(index)
            if piece.flat[0] == self.fill and not (piece != self.fill).any():
                file.unlink(missing_ok=True)
                continue
            if piece.shape == self.chunks:
                data = np.ascontiguousarray(piece, self.dtype)
            else:  # at the edge of the array
                data = np.full(self.chunks, self.fill, self.dtype)
                data[inside] = piece
            _replace(file, self.codec.encode(data))


def open_for_reading(url: str, path: str) -> "ChunkFiles | ZarrWindows":
    """Return an array of any store, to read windows of it."""
    return ChunkFiles.open(url, path) or ZarrWindows(open_array(url, path))


@dataclass(frozen=True, slots=True, eq=False)
class ZarrWindows:
    """An array that zarr-python reads, behind the same face.

    Attributes
    ----------
    array : zarr.Array
    """

    array: zarr.Array[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape

    def read(self, start: tuple[int, ...], stop: tuple[int, ...]) -> NDArray[Any]:
        """Return the window from start to stop."""
        return np.asarray(self.array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))])

    def parts(self, start: tuple[int, ...], stop: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], NDArray[Any]]]:
        """Yield the window from start to stop, in one part."""
        yield tuple(slice(0, b - a) for a, b in zip(start, stop, strict=True)), self.read(start, stop)
