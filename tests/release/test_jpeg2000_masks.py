"""Masks whose tiles are encoded apart are the files that whole masks give, byte for byte, in a fraction of the time."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from s2dask.instrument.quality import FLAGS
from s2dask.io.grids import TileGrid
from s2dask.release import jpeg2000_masks
from s2dask.release.jpeg2000 import MaskLayers, write_jp2
from s2dask.release.jpeg2000_masks import write_mask

BITS = [bit for _, bit in FLAGS]


def mask(grid: TileGrid, resolution: int) -> np.ndarray:
    """Return a mask with an edge of no data, single pixels and an even part of another value."""
    out = np.zeros(grid.shape(resolution), np.uint8)
    out[:, :70] |= 32
    out[5, 9] = 128
    out[1030:1040, 1500:] |= 4
    return out


@pytest.mark.parametrize(
    ("width", "height", "resolution", "apart"),
    [
        (24600, 22020, 10, True), (30720, 12300, 10, True), (24600, 20520, 10, False), (9000, 9000, 10, False),
        (24600, 21000, 20, False), (24600, 21000, 60, False),
    ],
)  # fmt: skip
def test_the_file_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int, resolution: int, apart: bool
) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, width, height)
    layers, encoded = MaskLayers(mask(grid, resolution), BITS), []
    encode = jpeg2000_masks.encode_jp2
    monkeypatch.setattr(jpeg2000_masks, "encode_jp2", lambda *a: encoded.append(a[0].shape) or encode(*a))
    write_mask(tmp_path / "a.jp2", layers, grid, resolution)
    write_jp2(tmp_path / "b.jp2", layers, grid, resolution)
    assert (tmp_path / "a.jp2").read_bytes() == (tmp_path / "b.jp2").read_bytes()
    assert bool(encoded) == apart
    with rasterio.open(tmp_path / "a.jp2") as source:
        assert tuple(source.transform)[:6] == grid.transform(resolution)
        np.testing.assert_array_equal(source.read(), layers.layers_of(layers.flags(slice(None))))


def test_a_tile_of_one_value_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 30720, 30720)
    flags = np.zeros(grid.shape(10), np.uint8)
    flags[:1024] = 32
    encoded, encode = [], jpeg2000_masks.encode_jp2
    monkeypatch.setattr(jpeg2000_masks, "encode_jp2", lambda *a: encoded.append(a[0].shape) or encode(*a))
    write_mask(tmp_path / "a.jp2", MaskLayers(flags, BITS), grid, 10)
    assert encoded == [(8, 1024, 1024)] * 2
    with rasterio.open(tmp_path / "a.jp2") as source:
        np.testing.assert_array_equal(source.read(BITS.index(32) + 1), flags > 0)
