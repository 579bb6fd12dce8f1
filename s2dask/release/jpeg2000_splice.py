"""One 10 m image encoded in pieces by several workers, and joined: for the latency of a single product.

By default a band file is one task, which keeps every core busy as soon as a few products are made. When a single one is
waited for, its 10 m bands are the longest tasks: their tiles can be encoded anywhere and joined in milliseconds.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.release.codestream import boxes, join
from s2dask.release.jpeg2000 import ImageArray, encode_jp2, write_codestream
from s2dask.release.jpeg2000_coders import TILES, windows

RESOLUTION: Final = 10
"""The one whose tiles can be encoded apart [m]."""
BITS: Final = 15


def tile_windows(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return rows and columns of the tiles of a 10 m image, row by row, as `splice` wants them."""
    return list(windows(shape, TILES[RESOLUTION]))


def encode_tile(tile: np.ndarray, bits: int = BITS) -> bytes:
    """Return the codestream of one tile, coded as ESA's 10 m images.

    Parameters
    ----------
    tile : (y, x) uint16 [1]
        1024 x 1024 px, less at the right and lower edge of the image.
    bits : int
        Per sample, the same for all tiles of an image: 16 where one of them has a value above 32767.
    """
    return dict(boxes(encode_jp2(tile, None, RESOLUTION, bits)))[b"jp2c"]


def encode_tiles(image: ImageArray, bits: int = BITS) -> Iterator[bytes]:
    """Return the codestreams of the tiles of an image (y, x) uint16 [1], one by one."""
    rows, columns = image.shape
    for window in tile_windows((rows, columns)):
        yield encode_tile(np.ascontiguousarray(image[window]), bits)


def splice(
    path: Path,
    tiles: Sequence[bytes],
    shape: tuple[int, int],
    grid: TileGrid | None,
    resolution: int = RESOLUTION,
    bits: int = BITS,
) -> None:
    """Write the image that tiles encoded apart make up.

    Parameters
    ----------
    path : Path
        File to write.
    tiles : sequence of bytes
        What `encode_tile` returned for each of `tile_windows`.
    shape : tuple of int
        Rows and columns of the image.
    grid : TileGrid or None
        Where the image lies.
    resolution : int
        10 m; others are refused.
    bits : int
        Per sample, as the tiles were encoded with.

    Notes
    -----
    The file is, byte for byte, that of `s2dask.release.jpeg2000.write_jp2`. Precincts and code-blocks are counted from
    the origin of the image, not of the tile: a tile encoded apart has the same ones only where its edge is a
    multiple of, or fits into, a precinct at every resolution. 1024, 512, 256, 128 and 64 px do with precincts of 256;
    640 px at 20 m do not (320 is no multiple of 128), nor do 192 px at 60 m (96 of 64): those bands are
    encoded whole, in a quarter and a thirty-sixth of the time of a 10 m band.
    """
    if resolution != RESOLUTION:
        raise ConfigurationError(
            f"tiles of {resolution} m cannot be encoded apart", str(path), "encode the band as a whole (write_jp2)"
        )
    write_codestream(path, join(tiles, shape, TILES[RESOLUTION]), shape, bits, grid, resolution)
