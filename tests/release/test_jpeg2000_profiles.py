"""Structure of JPEG 2000 files in every profile, the joining of tiles encoded apart, and what is refused."""

import resource
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from release_model import make_l1c

from s2dask.errors import ConfigurationError, InputError, S2Error
from s2dask.io.grids import TileGrid
from s2dask.production.order import Order
from s2dask.release import codestream as cs
from s2dask.release.jpeg2000 import CODING, PROFILES, MaskLayers, Profile, write_jp2
from s2dask.release.jpeg2000_splice import encode_tile, encode_tiles, splice
from s2dask.release.safe_l1c import write_safe_l1c

GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 15000, 13200)
SMALL = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 1200, 1200)


def scene(resolution: int, grid: TileGrid = GRID) -> np.ndarray:
    """Return an image with structure and noise, (y, x) uint16."""
    rows, columns = grid.shape(resolution)
    y, x = np.mgrid[:rows, :columns] * resolution / 200.0
    noise = np.random.default_rng(resolution).normal(0, 40, (rows, columns))
    return (3000 + 1500 * np.sin(x) * np.cos(y / 3) + noise).astype(np.uint16)


def available(profile: str) -> Profile:
    """Return a profile whose encoder is here; skip the test otherwise."""
    if profile == "s2-fast":
        openjp2 = pytest.importorskip("glymur.lib.openjp2", reason="glymur is not installed")
        if openjp2.OPENJP2 is None:
            pytest.skip("no OpenJPEG library that glymur finds")
    elif profile == "htj2k":
        pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")
    return profile  # type: ignore[return-value]


def parts(path: Path) -> tuple[list[bytes], cs.Codestream]:
    """Return the types of the boxes of a file, and its codestream."""
    found = cs.boxes(path.read_bytes())
    return [kind for kind, _ in found], cs.parse(dict(found)[b"jp2c"])


def check_lengths(stream: cs.Codestream) -> None:
    """Compare the TLM marker with the tile-parts."""
    content = stream.segment(cs.TLM)
    entry = struct.Struct(">HI" if content[1] & 0x30 == 0x20 else ">BI")
    stated = list(entry.iter_unpack(content[2:]))
    assert [length for _, length in stated] == [len(part) for part in stream.tile_parts]
    numbers = [struct.unpack_from(">H", part, 4)[0] for part in stream.tile_parts]
    assert numbers == list(range(len(stream.tile_parts)))


def check_pixels(path: Path, image: np.ndarray, grid: TileGrid, resolution: int) -> None:
    """Compare what GDAL reads with the image and its place."""
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), image)
        assert source.crs.to_epsg() == 32628
        assert tuple(source.transform)[:6] == grid.transform(resolution)


@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_strict_has_the_structure_of_real_files(tmp_path: Path, resolution: int) -> None:
    path, image = tmp_path / "a.jp2", scene(resolution)
    write_jp2(path, image, GRID, resolution)
    kinds, stream = parts(path)
    tile, precinct, block = CODING[resolution]
    assert kinds == [b"jP  ", b"ftyp", b"jp2h", b"asoc", b"jp2c"]
    rsiz, *sizes = struct.unpack_from(">H8I", stream.segment(cs.SIZ))
    assert rsiz == 0
    assert sizes == [image.shape[1], image.shape[0], 0, 0, tile, tile, 0, 0]
    assert stream.segment(cs.SIZ)[36] == 15 - 1
    exponents = (block.bit_length() - 3,) * 2
    # Scod 1 (precincts), LRCP, one layer, no colour transform; 4 levels, blocks, style 0, 5/3 wavelet; precincts
    coding = bytes((1, 0, 0, 1, 0, 4, *exponents, 0, 1)) + bytes((0x11 * (precinct.bit_length() - 1),)) * 5
    assert stream.segment(cs.COD) == coding
    assert len(stream.tile_parts) == -(-image.shape[0] // tile) * -(-image.shape[1] // tile)
    check_lengths(stream)
    for part in stream.tile_parts:
        assert {marker for marker, _ in cs.tile_markers(part)} == {cs.PLT}
    check_pixels(path, image, GRID, resolution)


@pytest.mark.parametrize("resolution", [10, 20, 60])
@pytest.mark.parametrize("profile", ["s2-fast", "htj2k"])
def test_quick_profiles_are_lossless(tmp_path: Path, profile: str, resolution: int) -> None:
    path, image = tmp_path / "a.jp2", scene(resolution)
    write_jp2(path, image, GRID, resolution, profile=available(profile))
    kinds, stream = parts(path)
    assert kinds == [b"jP  ", b"ftyp", b"jp2h", b"asoc", b"jp2c"]
    check_lengths(stream)
    check_pixels(path, image, GRID, resolution)
    coding = stream.segment(cs.COD)
    assert (coding[5], coding[6:8], coding[8] & 0x41) == (4, b"\x04\x04", 0x40 if profile == "htj2k" else 1)
    assert stream.segment(cs.SIZ)[:2] == (b"\x40\x00" if profile == "htj2k" else b"\x00\x00")


@pytest.mark.parametrize("resolution", [10, 60])
@pytest.mark.parametrize("profile", PROFILES)
def test_colours_are_coded_by_every_profile(tmp_path: Path, profile: str, resolution: int) -> None:
    path, image = tmp_path / "a.jp2", np.stack([scene(resolution) // (17 + n) for n in range(3)]).astype(np.uint8)
    write_jp2(path, image, GRID, resolution, profile=available(profile))
    _, stream = parts(path)
    check_lengths(stream)
    siz, coding = stream.segment(cs.SIZ), stream.segment(cs.COD)
    assert (siz[34:37], coding[4]) == (b"\x00\x03\x07", 0)
    assert bool(siz[0] & 0x40) == (profile == "htj2k")
    assert coding[8] == {"s2-strict": 0, "s2-fast": 1, "htj2k": 0x40}[profile]
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(), image)
        assert tuple(source.transform)[:6] == GRID.transform(resolution)


@pytest.mark.parametrize("profile", PROFILES)
def test_layers_of_masks_take_larger_blocks_in_quick_profiles(tmp_path: Path, profile: str) -> None:
    path, flags = tmp_path / "a.jp2", np.where(scene(20) % 50 == 0, 5, 0).astype(np.uint8)
    write_jp2(path, MaskLayers(flags, [1, 2, 4]), GRID, 20, profile=available(profile))
    _, stream = parts(path)
    assert stream.segment(cs.COD)[6:9] == (b"\x01\x01\x00" if profile == "s2-strict" else b"\x04\x04\x00")
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(), [flags & 1, flags >> 1 & 1, flags >> 2])


@pytest.mark.parametrize("profile", PROFILES)
def test_other_decoders_find_the_same_pixels(tmp_path: Path, profile: str) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")
    path, image = tmp_path / "a.jp2", scene(60)
    write_jp2(path, image, GRID, 60, profile=available(profile))
    data = path.read_bytes()
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(data), image)
    if profile == "htj2k":  # OpenJPH: not the OpenJPEG of GDAL
        np.testing.assert_array_equal(imagecodecs.htj2k_decode(dict(cs.boxes(data))[b"jp2c"]), image)


@pytest.mark.parametrize("grid", [GRID, None])
def test_tiles_encoded_apart_make_the_same_file(tmp_path: Path, grid: TileGrid | None) -> None:
    image = scene(10)
    write_jp2(tmp_path / "whole.jp2", image, grid, 10)
    splice(tmp_path / "joined.jp2", list(encode_tiles(image)), (1320, 1500), grid)
    assert (tmp_path / "joined.jp2").read_bytes() == (tmp_path / "whole.jp2").read_bytes()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(40, 1100), st.integers(40, 1100), st.integers(0, 1))
def test_any_size_joins(tmp_path: Path, rows: int, columns: int, high: int) -> None:
    image = np.random.default_rng(rows).integers(0, 400, (rows, columns), np.uint16)
    image[-1, -1] = 65535 * high
    bits = 15 + high
    write_jp2(tmp_path / "whole.jp2", image, None, 10)
    splice(tmp_path / "joined.jp2", list(encode_tiles(image, bits)), image.shape, None, bits=bits)
    assert (tmp_path / "joined.jp2").read_bytes() == (tmp_path / "whole.jp2").read_bytes()


def test_what_cannot_be_joined_is_refused(tmp_path: Path) -> None:
    image = np.zeros((64, 1100), np.uint16)
    tiles = list(encode_tiles(image))
    with pytest.raises(ConfigurationError, match="every tile once"):
        splice(tmp_path / "a.jp2", tiles[:1], (64, 1100), None)
    with pytest.raises(ConfigurationError, match="tile 1 is coded otherwise"):
        splice(tmp_path / "a.jp2", [tiles[0], encode_tile(image[:, 1024:], 16)], (64, 1100), None)
    with pytest.raises(ConfigurationError, match="as a whole"):
        splice(tmp_path / "a.jp2", tiles, (64, 1100), None, 20)
    with pytest.raises(InputError, match="needs 16 bits of 15"):
        encode_tile(np.full((64, 64), 40000, np.uint16))
    with pytest.raises(InputError, match="write it again"):
        splice(tmp_path / "a.jp2", [tiles[0][:-40], tiles[1]], (64, 1100), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "resolution", "profile", "error", "words"),
    [
        (np.zeros((20, 20), np.float32), 60, "s2-strict", InputError, "float32"),
        (np.zeros((20, 20), np.int16), 60, "s2-strict", InputError, "int16"),
        (np.zeros((0, 20), np.uint16), 60, "s2-strict", InputError, "at least one"),
        (np.zeros(20, np.uint16), 60, "s2-strict", InputError, "rows and columns"),
        (np.zeros((20, 20), np.uint16), 30, "s2-strict", ConfigurationError, "30 m"),
        (np.zeros((20, 20), np.uint16), 60, "kakadu", ConfigurationError, "s2-strict, s2-fast, htj2k"),
    ],
)
def test_bad_images_are_refused(
    tmp_path: Path, image: np.ndarray, resolution: int, profile: Profile, error: type[S2Error], words: str
) -> None:
    with pytest.raises(error, match=words):
        write_jp2(tmp_path / "a.jp2", image, None, resolution, profile=profile)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond 50 kB: writing fails as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_full_disk_leaves_nothing(tmp_path: Path, small_files: None, profile: str) -> None:
    image = np.random.default_rng(0).integers(0, 20000, (300, 300), np.uint16)
    with pytest.raises(S2Error, match="space left on the disk"):
        write_jp2(tmp_path / "a.jp2", image, None, 10, profile=available(profile))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("profile", "module"), [("s2-fast", "glymur"), ("htj2k", "imagecodecs")])
def test_a_missing_encoder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: Profile, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"needs {module}.*s2dask\[jp2\]"):
        write_jp2(tmp_path / "a.jp2", np.zeros((64, 64), np.uint16), None, 10, profile=profile)


@pytest.mark.parametrize("profile", ["s2-fast", "htj2k"])
def test_a_safe_is_coded_with_the_profile(tmp_path: Path, profile: str) -> None:
    coded = available(profile)
    folder = write_safe_l1c(make_l1c(tmp_path / "t.zarr"), tmp_path, jp2_profile=coded)
    plain = write_safe_l1c(make_l1c(tmp_path / "u.zarr"), tmp_path / "strict")
    images = sorted(folder.glob("GRANULE/*/IMG_DATA/*_B*.jp2"))
    assert images
    for image, other in zip(images, sorted(plain.glob("GRANULE/*/IMG_DATA/*_B*.jp2")), strict=True):
        assert parts(image)[1].segment(cs.COD)[8] == (0x40 if profile == "htj2k" else 1)
        with rasterio.open(image) as found, rasterio.open(other) as expected:
            np.testing.assert_array_equal(found.read(), expected.read())
            assert (found.crs, found.transform) == (expected.crs, expected.transform)


def test_an_order_with_an_unknown_profile_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no profile kakadu"):
        Order(source="nowhere", jp2_profile="kakadu")  # type: ignore[arg-type]


def test_a_cut_codestream_is_refused(tmp_path: Path) -> None:
    write_jp2(tmp_path / "a.jp2", scene(60, SMALL), SMALL, 60)
    data = (tmp_path / "a.jp2").read_bytes()
    with pytest.raises(InputError, match="beyond the file"):
        cs.boxes(data[:-1])
    stream = dict(cs.boxes(data))[b"jp2c"]
    for cut in (1, 30, len(stream) - 2):
        with pytest.raises(InputError):
            cs.parse(stream[:cut])
