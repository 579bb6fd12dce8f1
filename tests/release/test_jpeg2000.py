"""JPEG 2000 images: bit-exact, georeferenced, coded with the parameters of real products."""

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.release.jpeg2000 import CODING, MaskLayers, write_jp2

GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 12000, 12000)


def codestream(path: Path) -> dict[str, int]:
    """Read SIZ and COD of a JP2 file: sizes, precision, levels, code-block and precincts."""
    data = path.read_bytes()
    at = data.index(b"\xff\x4f\xff\x51")
    siz = struct.unpack(">HHIIIIIIIIHB", data[at + 4 : at + 4 + 39])
    at = data.index(b"\xff\x52", at)
    _, style, order, layers, _, levels, width, height, mode, wavelet, precinct = struct.unpack(
        ">HBBHBBBBBBB", data[at + 2 : at + 15]
    )
    return {
        "profile": siz[1], "tile": siz[6], "precision": (siz[11] & 0x7F) + 1, "style": style, "order": order,
        "layers": layers, "levels": levels, "block": 1 << width + 2, "mode": mode, "reversible": wavelet,
        "precinct": 1 << (precinct & 15), "height": 1 << height + 2, "tlm": data.count(b"\xff\x55", 0, at + 400),
    }


@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_coding_parameters_of_real_images(tmp_path: Path, resolution: int) -> None:
    rng = np.random.default_rng(resolution)
    image = rng.integers(0, 6000, GRID.shape(resolution), np.uint16)
    path = tmp_path / "image.jp2"
    write_jp2(path, image, GRID, resolution)
    header = codestream(path)
    tile, precinct, block = CODING[resolution]
    assert header["tile"] == min(tile, image.shape[1])
    assert (header["block"], header["height"], header["precinct"]) == (block, block, precinct)
    assert (header["precision"], header["levels"], header["layers"], header["order"]) == (15, 4, 1, 0)
    assert (header["profile"], header["mode"], header["reversible"]) == (0, 0, 1)
    assert header["tlm"] >= 1
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), image)
        assert source.crs.to_epsg() == 32628
        assert tuple(source.transform)[:6] == GRID.transform(resolution)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.jp2"]


def test_saturated_pixels_survive(tmp_path: Path) -> None:
    image = np.full(GRID.shape(60), 1000, np.uint16)
    image[3, 4] = 65535
    write_jp2(tmp_path / "a.jp2", image, GRID, 60)
    with rasterio.open(tmp_path / "a.jp2") as source:
        np.testing.assert_array_equal(source.read(1), image)


def test_mask_layers_are_lossless(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).integers(0, 256, GRID.shape(60), np.uint8)
    bits = [1 << n for n in range(8)]
    write_jp2(tmp_path / "m.jp2", MaskLayers(mask, bits), GRID, 60)
    with rasterio.open(tmp_path / "m.jp2") as source:
        layers = source.read()
    assert layers.shape == (8, *mask.shape)
    np.testing.assert_array_equal(np.tensordot(np.array(bits), layers, 1), mask)


def test_lossy_is_smaller_and_close(tmp_path: Path) -> None:
    y, x = np.mgrid[0:200, 0:200]
    noise = np.random.default_rng(2).normal(0, 30, (200, 200))
    image = (3000 + 500 * np.sin(x / 9) * np.cos(y / 7) + noise).astype(np.uint16)
    write_jp2(tmp_path / "exact.jp2", image, GRID, 60)
    write_jp2(tmp_path / "lossy.jp2", image, GRID, 60, lossless=False)
    assert (tmp_path / "lossy.jp2").stat().st_size < 0.7 * (tmp_path / "exact.jp2").stat().st_size
    with rasterio.open(tmp_path / "lossy.jp2") as source:
        assert np.abs(source.read(1).astype(float) - image).max() < 150


def test_image_of_another_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="own grid"):
        write_jp2(tmp_path / "a.jp2", np.zeros((3, 3), np.uint16), GRID, 10)
