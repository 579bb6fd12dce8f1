"""JPEG 2000 images with the coding parameters of real Sentinel-2 products."""

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from s2dask.errors import ConfigurationError, S2Error
from s2dask.io.grids import TileGrid

CODING: Final = {10: (1024, 256, 64), 20: (640, 128, 8), 60: (192, 64, 4)}
"""(tile, precinct, code-block) edge at each resolution, read in the header of real images [px]."""
_LEVELS: Final = 5
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


def creation_options(resolution: int, bits: int, lossless: bool = True) -> dict[str, str]:
    """Return the options of GDAL's JP2OpenJPEG driver that write an image as ESA's."""
    tile, precinct, block = CODING[resolution]
    return {
        "QUALITY": "100" if lossless else str(_LOSSY_QUALITY),
        "REVERSIBLE": "YES" if lossless else "NO",
        "RESOLUTIONS": str(_LEVELS),
        "NBITS": str(bits),
        "BLOCKXSIZE": str(tile),
        "BLOCKYSIZE": str(tile),
        "PRECINCTS": ",".join([f"{{{precinct},{precinct}}}"] * _LEVELS),
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


def _write(path: Path, image: ImageArray, grid: TileGrid | None, resolution: int, lossless: bool) -> None:
    rows, columns = image.shape[-2:]
    layers = image.shape[0] if len(image.shape) == 3 else 1
    dtype = np.dtype(image.dtype)
    # not rasterio's own writer: it drops the block size unless the driver has GeoTIFF's TILED option
    with rasterio.open(
        "",
        "w+",
        driver="MEM",
        width=columns,
        height=rows,
        count=layers,
        dtype=dtype.name,
        **({"crs": grid.crs, "transform": Affine(*grid.transform(resolution))} if grid else {}),
    ) as memory:
        options = creation_options(resolution, bit_depth(_fill(memory, image), dtype), lossless)
        options |= {} if grid else {"GMLJP2": "NO"}
        rasterio.shutil.copy(memory, str(path), driver="JP2OpenJPEG", **options)


def write_jp2(path: Path, image: ImageArray, grid: TileGrid | None, resolution: int, lossless: bool = True) -> None:
    """Write one JPEG 2000 image.

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
        False: 9/7 wavelet, a fifth of the uncompressed size.

    Notes
    -----
    Tiles of 1024, 640 and 192 px at 10, 20 and 60 m, five resolution levels, LRCP, one layer, 5/3 wavelet, PLT and
    TLM markers, georeferencing in a GMLJP2 box only: what the header of real files states, but for TLM, which ESA
    writes from baseline 05.12 on and which makes a remote window read ten times faster.
    """
    if grid is not None and image.shape[-2:] != grid.shape(resolution):
        raise ConfigurationError(
            f"image of {image.shape[-2:]} on a grid of {grid.shape(resolution)}", str(path), "give the image's own grid"
        )
    try:
        # an image in no projection is meant to be so
        with warnings.catch_warnings() if grid is None else nullcontext():
            if grid is None:
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
            _write(path, image, grid, resolution, lossless)
    except (RasterioError, OSError) as error:
        raise S2Error(f"cannot write the image ({error})", str(path), "check the space left on the disk") from error


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
