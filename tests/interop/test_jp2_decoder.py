"""A decoder that shares no code with OpenJPEG returns the images that were coded, bit for bit.

``S2DASK_JP2_DECODER_PYTHON`` names an interpreter with PyAV and NumPy: FFmpeg's own JPEG 2000 decoder. It knows images
of up to four components, of Part 1 and of Part 15; the eight layers of MSK_QUALIT it does not.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.release.jpeg2000 import Profile, write_jp2
from s2dask.release.jpeg2000_coders import require
from s2dask.release.jpeg2000_splice import encode_tiles, splice

GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 15000, 13200)
"""Several tiles at every resolution, cut at the right and at the lower edge."""
_DECODE = """
import sys
from pathlib import Path
import av, numpy as np
assert not any("openjpeg" in name for name in av.codecs_available), av.codecs_available
codec = av.CodecContext.create("jpeg2000", "r")
assert codec.codec.name == "jpeg2000", codec.codec.name
frames = [*codec.decode(av.Packet(Path(sys.argv[1]).read_bytes())), *codec.decode(None)]
(frame,) = frames
got, want, bits = frame.to_ndarray(), np.load(sys.argv[2]), int(sys.argv[3])
if want.ndim == 3:
    got = np.moveaxis(got, -1, 0)
assert got.shape == want.shape, (got.shape, want.shape)
# samples of 15 bits come out at the upper end of 16
np.testing.assert_array_equal(got >> (8 * got.itemsize - bits), want)
"""


def scene(resolution: int) -> np.ndarray:
    """Return an image with structure and noise, (y, x) uint16."""
    rows, columns = GRID.shape(resolution)
    y, x = np.mgrid[:rows, :columns] * resolution / 200.0
    noise = np.random.default_rng(resolution).normal(0, 40, (rows, columns))
    return (3000 + 1500 * np.sin(x) * np.cos(y / 3) + noise).astype(np.uint16)


def decoder() -> str:
    python = os.environ.get("S2DASK_JP2_DECODER_PYTHON")
    if not python:
        pytest.skip("S2DASK_JP2_DECODER_PYTHON names no interpreter")
    found = subprocess.run([python, "-c", "import av, numpy"], check=False, capture_output=True, timeout=120)
    if found.returncode:
        pytest.skip(f"{python} has no PyAV with NumPy")
    return python


def check(path: Path, image: np.ndarray, bits: int) -> None:
    """Compare what the decoder finds in a file with the image."""
    expected = path.with_suffix(".npy")
    np.save(expected, image)
    command = [decoder(), "-c", _DECODE, str(path), str(expected), str(bits)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def available(profile: Profile) -> None:
    """Skip the test where the encoder of a profile is not installed."""
    try:
        require(profile)
    except ConfigurationError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("resolution", [10, 20, 60])
@pytest.mark.parametrize(("profile", "bits"), [("s2-strict", 15), ("s2-fast", 16), ("htj2k", 16)])
def test_images_of_every_profile(tmp_path: Path, profile: Profile, bits: int, resolution: int) -> None:
    decoder()
    available(profile)
    image, path = scene(resolution), tmp_path / "a.jp2"
    write_jp2(path, image, GRID, resolution, profile=profile)
    check(path, image, bits)


@pytest.mark.parametrize("highest", [32767, 65535])
def test_extreme_values(tmp_path: Path, highest: int) -> None:
    decoder()
    image, path = scene(20), tmp_path / "a.jp2"
    image[::7, ::5], image[3, 4:90], image[-1, -1] = 0, highest, highest
    write_jp2(path, image, GRID, 20)
    check(path, image, 15 if highest < 32768 else 16)


def test_the_spliced_form(tmp_path: Path) -> None:
    decoder()
    image, path = scene(10), tmp_path / "a.jp2"
    splice(path, list(encode_tiles(image)), (image.shape[0], image.shape[1]), GRID)
    check(path, image, 15)


def test_colour_and_masks(tmp_path: Path) -> None:
    decoder()
    layer = (scene(20) % 256).astype(np.uint8)
    write_jp2(tmp_path / "mask.jp2", layer, GRID, 20)
    check(tmp_path / "mask.jp2", layer, 8)
    colour = np.stack([layer, layer[::-1], layer[:, ::-1]])
    write_jp2(tmp_path / "tci.jp2", colour, GRID, 20)
    check(tmp_path / "tci.jp2", colour, 8)
