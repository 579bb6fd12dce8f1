"""Quality masks of 10 m as JPEG 2000: most of their tiles hold one value, and are encoded once.

A whole tile has 120 million pixels of eight layers in each 10 m band, nearly all 0. Encoded as an image they cost more
than a third of what the bands themselves do.
"""

from pathlib import Path
from typing import Final

import numpy as np

from s2dask.io.grids import TileGrid
from s2dask.release.codestream import boxes, join
from s2dask.release.jpeg2000 import MaskLayers, Profile, encode_jp2, write_codestream, write_jp2
from s2dask.release.jpeg2000_coders import TILES

_RESOLUTION: Final = 10
"""The one whose tiles can be encoded apart [m]: see `s2dask.release.jpeg2000_splice`."""
_LEAST: Final = 128
"""Edge of a tile that has all resolutions [px]."""
_BITS: Final = 8


def _apart(shape: tuple[int, int], resolution: int) -> bool:
    """Tell whether the tiles of an image can be encoded apart."""
    tile = TILES[_RESOLUTION]
    return resolution == _RESOLUTION and all(n > tile and not 0 < n % tile < _LEAST for n in shape)


def write_mask(
    path: Path, layers: MaskLayers, grid: TileGrid | None, resolution: int, profile: Profile = "s2-strict"
) -> None:
    """Write a mask of several layers; the file is, byte for byte, that of `s2dask.release.jpeg2000.write_jp2`.

    Parameters
    ----------
    path : Path
        File to write.
    layers : MaskLayers
    grid : TileGrid or None
        Where the mask lies.
    resolution : int
        10, 20 or 60 m; tiles of the last two are not encoded apart.
    profile : {"s2-strict", "s2-fast", "htj2k"}
        Code-blocks of 10 m are the same in all of them.
    """
    count, rows, columns = layers.shape
    if not _apart((rows, columns), resolution):
        write_jp2(path, layers, grid, resolution, profile=profile)
        return
    tile = TILES[_RESOLUTION]
    even: dict[tuple[int, int, int], bytes] = {}
    streams: list[bytes] = []
    for row in range(0, rows, tile):
        flags = layers.flags(slice(row, min(row + tile, rows)))
        for column in range(0, columns, tile):
            part = flags[:, column : column + tile]
            value = int(part[0, 0])
            key = (*part.shape, value)
            if (part != value).any():
                streams.append(_encode(layers, part))
                continue
            if key not in even:
                even[key] = _encode(layers, part)
            streams.append(even[key])
    write_codestream(
        path, join(streams, (rows, columns), tile), (rows, columns), _BITS, grid, resolution, layers=count
    )  # fmt: skip


def _encode(layers: MaskLayers, flags: np.ndarray) -> bytes:
    return dict(boxes(encode_jp2(layers.layers_of(flags), None, _RESOLUTION, _BITS)))[b"jp2c"]
