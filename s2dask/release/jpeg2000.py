"""JPEG 2000 images with the coding parameters of real Sentinel-2 products."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.windows import Window

from s2dask.errors import ConfigurationError, InputError, S2Error
from s2dask.io.grids import TileGrid
from s2dask.release.codestream import EOC, box, box_head, boxes
from s2dask.release.jpeg2000_coders import RESOLUTIONS, TILES, Encoder, encode_fast, encode_htj2k, require

Profile = Literal["s2-strict", "s2-fast", "htj2k"]
"""How images are coded, always lossless: with ESA's parameters; with BYPASS and 64 x 64 code-blocks, a third faster
and a little smaller; by the high-throughput coder of Part 15, more than ten times as fast and 5 % larger."""
PROFILES: Final = get_args(Profile)
CODING: Final = {10: (TILES[10], 256, 64), 20: (TILES[20], 128, 8), 60: (TILES[60], 64, 4)}
"""(tile, precinct, code-block) edge at each resolution, read in the header of real images [px]."""
_ENCODERS: Final[Mapping[str, Encoder]] = {"s2-fast": encode_fast, "htj2k": encode_htj2k}
_QUICK_CODING: Final = (256, 64)
"""(precinct, code-block) edge of layers of masks in the quick profiles, at any resolution [px]: with blocks of 8 x 8
and 4 x 4 px that hold nothing OpenJPEG takes longer than the coder of Part 15 for the bands."""
_COLOURS: Final = 3
_SLAB: Final = 2048
_LOSSY_QUALITY: Final = 20
"""Size of a lossy image over the uncompressed one [%]."""


class ImageArray(Protocol):
    """Anything sliceable with a shape: an ndarray, or a Zarr array that is read slab by slab."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, (y, x) or (layer, y, x)."""

    @property
    def dtype(self) -> Any:
        """Type of the values, uint8 or uint16."""

    def __getitem__(self, window: Any) -> Any:
        """Return the values of a window."""


def bit_depth(highest: int, dtype: np.dtype[Any]) -> int:
    """Return the bits per sample that an image with this highest value is coded with.

    Notes
    -----
    uint16 images have 15 bits, as the real ones, unless a value (65535 is *saturated*) needs 16: coders clip what
    does not fit, and a saturated pixel would turn into an ordinary bright one. Layers of masks have 8 bits although
    they hold 0 and 1 only: OpenJPEG sizes its buffer by the raw image, and that of a 1-bit one overflows.
    """
    if dtype == np.uint8:
        return 8
    return 15 if highest < 1 << 15 else 16


def creation_options(resolution: int, bits: int, lossless: bool = True, quick: bool = False) -> dict[str, str]:
    """Return the options of GDAL's JP2OpenJPEG driver that write an image as ESA's, or with blocks of 64 x 64 px."""
    tile, precinct, block = CODING[resolution]
    if quick:
        precinct, block = _QUICK_CODING
    return {
        "QUALITY": "100" if lossless else str(_LOSSY_QUALITY),
        "REVERSIBLE": "YES" if lossless else "NO",
        "RESOLUTIONS": str(RESOLUTIONS),
        "NBITS": str(bits),
        "BLOCKXSIZE": str(tile),
        "BLOCKYSIZE": str(tile),
        "PRECINCTS": ",".join([f"{{{precinct},{precinct}}}"] * RESOLUTIONS),
        "CODEBLOCK_WIDTH": str(block),
        "CODEBLOCK_HEIGHT": str(block),
        "PROGRESSION": "LRCP",
        "TLM": "YES",
        "PLT": "YES",
        "PROFILE": "UNRESTRICTED",
        "JPX": "NO",
        "GeoJP2": "NO",
        "GMLJP2": "YES",
        "YCC": "NO",
    }


def _fill(memory: Any, image: ImageArray) -> int:
    """Copy an image into an open data set, slab by slab, and return its highest value."""
    layered = len(image.shape) == 3
    rows, columns = image.shape[-2:]
    highest = 0
    for layer in range(image.shape[0] if layered else 1):
        for row in range(0, rows, _SLAB):
            window = slice(row, min(row + _SLAB, rows))
            slab = np.asarray(image[layer, window] if layered else image[window])
            memory.write(slab, layer + 1, window=Window(0, row, columns, slab.shape[0]))
            highest = max(highest, int(slab.max(initial=0)))
    return highest


@contextmanager
def _in_memory(
    image: ImageArray,
    grid: TileGrid | None,
    resolution: int,
    bits: int | None,
    lossless: bool = True,
    quick: bool = False,
) -> Iterator[tuple[Any, dict[str, str]]]:
    """Hold an image as a data set in memory, with the options that code it."""
    rows, columns = image.shape[-2:]
    dtype = np.dtype(image.dtype)
    place = {"crs": grid.crs, "transform": Affine(*grid.transform(resolution))} if grid else {}
    # not rasterio's own writer: it drops the block size unless the driver has GeoTIFF's TILED option
    with warnings.catch_warnings() if grid is None else nullcontext():
        if grid is None:  # meant to be so
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            "", "w+", driver="MEM", width=columns, height=rows, dtype=dtype.name,
            count=image.shape[0] if len(image.shape) == 3 else 1, **place,
        ) as memory:  # fmt: skip
            needed = bit_depth(_fill(memory, image), dtype)
            if bits is not None and needed > bits:
                raise InputError(
                    f"a value needs {needed} bits of {bits}", "JPEG 2000 image", "encode it with more bits"
                )
            options = creation_options(resolution, bits or needed, lossless, quick)
            yield memory, options | ({} if grid else {"GMLJP2": "NO"})


def encode_jp2(image: ImageArray, grid: TileGrid | None, resolution: int, bits: int | None = None) -> bytes:
    """Return an image as a JPEG 2000 file in memory, coded as ESA's.

    Parameters
    ----------
    image : (y, x) or (layer, y, x) uint8 or uint16 [1]
    grid : TileGrid or None
        Its upper left corner is that of the image.
    resolution : int
        10, 20 or 60 m.
    bits : int, optional
        Per sample; a value that needs more is refused. Default: as `bit_depth`.
    """
    with _in_memory(image, grid, resolution, bits) as (memory, options), MemoryFile(ext=".jp2") as file:
        rasterio.shutil.copy(memory, file.name, driver="JP2OpenJPEG", **options)
        return bytes(file.getbuffer())


def _between(text: bytes, tag: bytes, value: str) -> bytes:
    start = text.index(b"<gml:" + tag + b">") + len(tag) + 6
    return text[:start] + value.encode() + text[text.index(b"<", start) :]


def _placed(asoc: bytes, grid: TileGrid, resolution: int, shape: tuple[int, int]) -> bytes:
    """Return the content of a GMLJP2 box for an image of another shape at the same corner."""
    _, (_, instance) = boxes(asoc)
    label, (_, xml) = boxes(instance)
    x, y, pixel = grid.x0, grid.y0, grid.pixel(resolution)
    for tag, value in (
        (b"lowerCorner", f"{x} {y - pixel * shape[0]}"),
        (b"upperCorner", f"{x + pixel * shape[1]} {y}"),
        (b"high", f"{shape[1] - 1} {shape[0] - 1}"),
    ):
        xml = _between(xml, tag, value)
    return box(*boxes(asoc)[0]) + box(b"asoc", box(*label) + box(b"xml ", xml))


def write_codestream(
    path: Path, stream: bytes, shape: tuple[int, int], bits: int, grid: TileGrid | None, resolution: int,
    layers: int = 0,
) -> None:  # fmt: skip
    """Write a codestream as a file with the boxes that GDAL gives an image at this place.

    Parameters
    ----------
    path : Path
        File to write.
    stream : bytes
        Codestream.
    shape : tuple of int
        Rows and columns.
    bits : int
        Per sample.
    grid : TileGrid or None
        Where the image lies.
    resolution : int
        10, 20 or 60 m.
    layers : int
        Of 8 bits each; 0: one component of 16 bits.
    """
    blank = np.zeros((layers, 64, 64), np.uint8) if layers else np.zeros((64, 64), np.uint16)
    small = encode_jp2(blank, grid, resolution)
    out: list[bytes] = []
    for kind, content in boxes(small):
        inner = content
        if kind == b"jp2h":
            size = np.array(shape, ">u4").tobytes()
            inner = content[:8] + size + content[16:18] + bytes((bits - 1,)) + content[19:]
        elif kind == b"asoc" and grid is not None:
            inner = _placed(content, grid, resolution, shape)
        if kind == b"jp2c":
            inner = stream
        out += [box_head(kind, len(inner)), inner]
    with _appearing(path) as part, part.open("wb") as file:
        file.writelines(out)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a hidden file to write beside `path`; it gets that name when it is whole, and goes when it is not."""
    # the suffix stays: GDAL makes a bare codestream of any other
    part = path.with_name(f".part.{path.name}")
    try:
        yield part
        with part.open("rb") as file:
            file.seek(-2, 2)
            if file.read() != EOC:
                raise OSError("cut short")
        part.replace(path)
    except (CPLE_BaseError, RasterioError, OSError) as error:  # the first: what a copy raises
        raise S2Error(f"cannot write the image ({error})", str(path), "check the space left on the disk") from error
    finally:
        part.unlink(missing_ok=True)


def check_profile(profile: str) -> None:
    """Refuse a profile that does not exist, or whose encoder is not installed."""
    if profile not in PROFILES:
        raise ConfigurationError(f"no profile {profile}", "jp2_profile", f"choose {', '.join(PROFILES)}")
    require(profile)


def _check(path: Path, image: ImageArray, grid: TileGrid | None, resolution: int) -> None:
    """Refuse what cannot be coded."""
    if resolution not in CODING:
        raise ConfigurationError(f"no coding parameters for {resolution} m", str(path), "give 10, 20 or 60")
    if len(image.shape) not in (2, 3) or 0 in image.shape:
        raise InputError(f"an image of shape {image.shape}", str(path), "give rows and columns, at least one of each")
    if np.dtype(image.dtype) not in (np.uint8, np.uint16):
        raise InputError(f"an image of {np.dtype(image.dtype)}", str(path), "give uint8 or uint16")
    if grid is not None and image.shape[-2:] != grid.shape(resolution):
        raise ConfigurationError(
            f"image of {image.shape[-2:]} on a grid of {grid.shape(resolution)}", str(path), "give the image's own grid"
        )


def write_jp2(
    path: Path,
    image: ImageArray,
    grid: TileGrid | None,
    resolution: int,
    lossless: bool = True,
    profile: Profile = "s2-strict",
) -> None:
    """Write one JPEG 2000 image; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        File to write; its folder exists.
    image : (y, x) or (layer, y, x) uint8 or uint16 [1]
        Array in memory, or an array on disk that is read slab by slab; it is held once.
    grid : TileGrid or None
        Where the image lies; its shape at `resolution` is that of the image. None: in no map projection.
    resolution : int
        10, 20 or 60 m: chooses the coding parameters.
    lossless : bool
        False: 9/7 wavelet, a fifth of the uncompressed size, in the profile s2-strict.
    profile : {"s2-strict", "s2-fast", "htj2k"}
        Of a lossless image, of one layer or of three colours. Layers of masks are Part 1 in all of them, with larger
        code-blocks in the quick ones; lossy images are always s2-strict.

    Notes
    -----
    Tiles of 1024, 640 and 192 px at 10, 20 and 60 m, five resolutions, LRCP, one layer, 5/3 wavelet, PLT and
    TLM markers, georeferencing in a GMLJP2 box only: what the header of real files states, but for TLM, which ESA
    writes from baseline 05.12 on and which makes a remote window read ten times faster.
    """
    check_profile(profile)
    _check(path, image, grid, resolution)
    layers = image.shape[0] if len(image.shape) == 3 else 0
    quick = lossless and profile in _ENCODERS
    if quick and layers in (0, _COLOURS) and not isinstance(image, MaskLayers):
        stream, bits = _ENCODERS[profile](image, resolution), 8 * np.dtype(image.dtype).itemsize
        rows, columns = image.shape[-2:]
        write_codestream(path, stream, (rows, columns), bits, grid, resolution, layers)
        return
    with _appearing(path) as part, _in_memory(image, grid, resolution, None, lossless, quick) as (memory, options):
        rasterio.shutil.copy(memory, str(part), driver="JP2OpenJPEG", **options)


class MaskLayers:
    """A bit mask seen as the layers of MSK_QUALIT and MSK_CLASSI, one bit each, made slab by slab.

    Parameters
    ----------
    mask : (y, x) uint8 [1]
        In memory or on disk.
    bits : sequence of int
        Value of the bit of each layer, in layer order.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, mask: ImageArray, bits: Sequence[int]) -> None:
        self._mask, self._bits = mask, tuple(bits)
        self.shape: tuple[int, ...] = (len(self._bits), *mask.shape)

    def __getitem__(self, window: tuple[int, slice]) -> np.ndarray:
        """Return rows of a layer, (y, x) uint8, 0 or 1."""
        layer, rows = window
        return np.where(np.asarray(self._mask[rows]) & self._bits[layer], np.uint8(1), np.uint8(0))

    def flags(self, rows: slice) -> np.ndarray:
        """Return rows of the bit mask, (y, x)."""
        return np.asarray(self._mask[rows])

    def layers_of(self, flags: np.ndarray) -> np.ndarray:
        """Return the layers of a piece of a bit mask, (layer, y, x) uint8, 0 or 1."""
        return np.stack([np.where(flags & bit, np.uint8(1), np.uint8(0)) for bit in self._bits])
