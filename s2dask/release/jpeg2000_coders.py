"""Encoders of JPEG 2000 images that GDAL cannot write: Part 1 with BYPASS through glymur, Part 15 through imagecodecs.

Both are optional: ``pip install s2dask[jp2]``. imagecodecs brings its libraries along; glymur calls the OpenJPEG of
the system (libopenjp2 2.4 or newer), or the one that its configuration file names.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from s2dask.errors import ConfigurationError, S2Error
from s2dask.release.codestream import EOC, join

TILES: Final = {10: 1024, 20: 640, 60: 192}
"""Edge of a tile at each resolution [px], in every profile."""
RESOLUTIONS: Final = 5
_BLOCK: Final = 64
_PRECINCT: Final = 256
_BYPASS: Final = 1
_REMEDY: Final = "pip install 's2dask[jp2]' ({}), or choose the profile s2-strict"

Encoder = Callable[[Any, int], bytes]
"""Takes an image that can be sliced, (y, x) or (layer, y, x) uint8 or uint16, and its resolution [m]; returns a
codestream."""


def _glymur() -> ModuleType:
    try:
        import glymur
        from glymur.lib import openjp2
    except ImportError as error:
        raise ConfigurationError("the profile s2-fast needs glymur", "jp2_profile", _REMEDY.format("glymur")) from error
    if openjp2.OPENJP2 is None:
        raise ConfigurationError(
            "glymur finds no OpenJPEG library", "jp2_profile",
            "install libopenjp2 2.4 or newer (Debian: libopenjp2-7), or choose the profile s2-strict",
        )  # fmt: skip
    module: ModuleType = glymur
    return module


def _imagecodecs() -> ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        remedy = _REMEDY.format("imagecodecs")
        raise ConfigurationError("the profile htj2k needs imagecodecs", "jp2_profile", remedy) from error
    module: ModuleType = imagecodecs
    return module


def require(profile: str) -> None:
    """Refuse a profile whose encoder is not installed."""
    if profile == "s2-fast":
        _glymur()
    elif profile == "htj2k":
        _imagecodecs()


def windows(shape: tuple[int, int], tile: int) -> Iterator[tuple[slice, slice]]:
    """Return the windows of the tiles of an image, row by row."""
    for row in range(0, shape[0], tile):
        for column in range(0, shape[1], tile):
            yield slice(row, min(row + tile, shape[0])), slice(column, min(column + tile, shape[1]))


def encode_fast(image: Any, resolution: int) -> bytes:
    """Return an image coded with BYPASS and 64 x 64 code-blocks: Part 1, lossless, Rsiz 0, with PLT and TLM.

    Notes
    -----
    Tiles are encoded one by one, each at its place in the image, so that the partitions into precincts and code-blocks
    are those of the whole at any tile size; glymur itself writes no TLM when it writes tiles. Samples have the bits of
    their type: glymur codes no others, and bit-planes that are always zero cost nothing. Colours stay as they are.
    """
    glymur, tile = _glymur(), TILES[resolution]
    rows, columns = image.shape[-2:]
    colours = {"mct": False} if len(image.shape) == 3 else {}
    streams: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tile.j2k"
        for down, right in windows((rows, columns), tile):
            data = np.asarray(image[:, down, right].transpose(1, 2, 0) if colours else image[down, right])
            glymur.Jp2k(
                path, data=np.ascontiguousarray(data), grid_offset=(down.start, right.start),
                numres=RESOLUTIONS, prog="LRCP", cbsize=(_BLOCK, _BLOCK), psizes=[(_PRECINCT, _PRECINCT)] * RESOLUTIONS,
                modesw=_BYPASS, plt=True, **colours,
            )  # fmt: skip
            streams.append(path.read_bytes())
            if not streams[-1].endswith(EOC):  # glymur does not say that a disk is full
                raise S2Error("a tile was cut short", folder, "check the space left on the disk")
    return join(streams, (rows, columns), tile)


def encode_htj2k(image: Any, resolution: int) -> bytes:
    """Return an image coded by the high-throughput block coder: Part 15, lossless, with TLM."""
    imagecodecs, tile = _imagecodecs(), TILES[resolution]
    whole = np.ascontiguousarray(image[:])
    planar = whole.ndim == 3 or None
    coding = {"tile": (tile, tile), "resolutions": RESOLUTIONS - 1, "reversible": True, "tlm": True}
    return bytes(imagecodecs.htj2k_encode(whole, planar=planar, **coding))
