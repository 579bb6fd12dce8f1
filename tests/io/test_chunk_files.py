"""Chunks read and written without zarr-python, against zarr-python."""

import json
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, GzipCodec

from s2dask.errors import SchemaError
from s2dask.io.chunk_files import ChunkFiles, ZarrWindows, open_for_reading
from s2dask.io.writer import write_block

SHAPE, CHUNKS = (700, 900), (300, 400)


def _array(folder: Path, dtype: str = "uint16", cname: str = "lz4", level: int = 5, fill: int = 0) -> str:
    zarr.create_array(
        str(folder / "a"), shape=SHAPE, chunks=CHUNKS, dtype=dtype, fill_value=fill,
        compressors=BloscCodec(cname=cname, clevel=level, shuffle="bitshuffle"),  # type: ignore[arg-type]
    )  # fmt: skip
    return str(folder)


def _image(dtype: str) -> NDArray[np.generic]:
    random = np.random.default_rng(4)
    values = np.round(900 + random.normal(0, 30, SHAPE)).astype(dtype)
    values[300:600, 400:800] = 0
    values[600:, :400] = 7
    return values


def _files(folder: Path) -> dict[str, str]:
    return {
        str(f.relative_to(folder)): md5(f.read_bytes(), usedforsecurity=False).hexdigest()
        for f in folder.rglob("*")
        if f.is_file()
    }


@pytest.mark.parametrize(("cname", "level"), [("lz4", 5), ("zstd", 3), ("lz4", 0)])
@pytest.mark.parametrize(("dtype", "fill"), [("uint16", 0), ("uint8", 0), ("uint16", 7), ("int64", -1)])
def test_the_files_are_those_of_zarr(tmp_path: Path, dtype: str, fill: int, cname: str, level: int) -> None:
    values = _image(dtype)
    ours, theirs = (_array(tmp_path / name, dtype, cname, level, fill) for name in ("ours", "theirs"))
    zarr.open_array(theirs, path="a", mode="r+")[...] = values
    files = ChunkFiles.open(ours, "a")
    assert files is not None
    for _ in range(2):  # the second time over what is there
        write_block(ours, {"a": values[:300]}, {"a": (0, 0)})
        write_block(ours, {"a": values[300:, 400:]}, {"a": (300, 400)})
        write_block(ours, {"a": values[300:, :400]}, {"a": (300, 0)})
    assert _files(Path(ours)) == _files(Path(theirs))
    np.testing.assert_array_equal(files.read((0, 0), SHAPE), values)
    # a chunk that becomes empty goes away
    write_block(ours, {"a": np.full((300, 400), fill, dtype)}, {"a": (0, 0)})
    assert not (Path(ours) / "a" / "c" / "0" / "0").exists()
    assert (files.read((0, 0), (300, 400)) == fill).all()


@pytest.fixture(scope="module", params=["lz4", "zstd"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ChunkFiles, np.ndarray]:
    folder = tmp_path_factory.mktemp("windows")
    # several Blosc blocks to a chunk, the last one shorter
    shape, chunks = (2500, 1100), (1037, 1100)
    random = np.random.default_rng(9)
    values = np.round(900 + random.normal(0, 30, shape)).astype(np.uint16)
    values[500:700] = 900
    zarr.create_array(
        str(folder / "a"), shape=shape, chunks=chunks, dtype="uint16", fill_value=0,
        compressors=BloscCodec(cname=request.param, clevel=5, shuffle="bitshuffle"),
    )[...] = values  # fmt: skip
    files = ChunkFiles.open(str(folder), "a")
    assert files is not None
    return files, values


@settings(max_examples=60, deadline=None)
@given(
    rows=st.tuples(st.integers(0, 2500), st.integers(0, 2500)),
    columns=st.tuples(st.integers(0, 1100), st.integers(0, 1100)),
)
def test_any_window_is_read(
    store: tuple[ChunkFiles, np.ndarray], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    files, values = store
    (a, b), (left, right) = sorted(rows), sorted(columns)
    np.testing.assert_array_equal(files.read((a, left), (b, right)), values[a:b, left:right])
    np.testing.assert_array_equal(files.read((a, 0), (b, 1100)), values[a:b])


def test_what_is_not_plain_goes_through_zarr(tmp_path: Path) -> None:
    options: tuple[tuple[str, dict[str, object]], ...] = (
        ("gzip", {"compressors": GzipCodec()}), ("sharded", {"shards": (600, 800)}),
        ("nan", {"dtype": "float32", "fill_value": np.nan}),
        ("flat", {"chunk_key_encoding": {"name": "default", "separator": "."}}),
    )  # fmt: skip
    values = _image("uint16")
    for name, option in options:
        how = {"shape": SHAPE, "chunks": CHUNKS, "dtype": "uint16"} | option
        zarr.create_array(str(tmp_path / name), **how)  # type: ignore[arg-type]
        assert ChunkFiles.open(str(tmp_path), name) is None
        whole = values.astype(str(how["dtype"]))
        zarr.open_array(str(tmp_path), path=name, mode="r+")[...] = whole
        array = open_for_reading(str(tmp_path), name)
        assert isinstance(array, ZarrWindows)
        np.testing.assert_array_equal(array.read((5, 10), (310, 890)), whole[5:310, 10:890])
    assert ChunkFiles.open("memory://x", "a") is None
    assert ChunkFiles.open(str(tmp_path), "absent") is None


def test_a_block_that_cuts_a_chunk_is_refused_and_half_written_files_do_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = _array(tmp_path)
    with pytest.raises(SchemaError, match="cuts a chunk"):
        write_block(url, {"a": np.ones((10, 400), np.uint16)}, {"a": (0, 0)})
    before = _files(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_block(url, {"a": np.ones((300, 400), np.uint16)}, {"a": (0, 0)})
    assert _files(tmp_path) == before
    assert json.loads((tmp_path / "a" / "zarr.json").read_text())["shape"] == list(SHAPE)
