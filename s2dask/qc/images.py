"""The images of an item, in any form, as small pictures: shapes, decimated counts, and what the masks call lost."""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import ANC_LOST, FLAGS, MSI_LOST
from s2dask.io.safe import safe_grid
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_masks import quality_mask

LOST: Final = ANC_LOST | MSI_LOST
"""Bits of MSK_QUALIT for lost data."""
_ROWS: Final = 1024
"""Rows of an image read at once: a row of tiles of the codestream."""
_NAME: Final = re.compile(r"_(B\d[\dA])(?:_(\d\d)m)?\.(?:jp2|tif)$")
_SENSED: Final = re.compile(r"measurements/(?:reflectance/r(\d\d)m/(b\d[\da])|d(\d\d)/(b\d[\da])/img)$")


@dataclass(frozen=True, slots=True)
class Image:
    """An image file of a band.

    Attributes
    ----------
    name : str
        Of the file.
    band : str
    resolution : int
        [m]
    path : str
        What GDAL opens.
    shape : (int, int)
        Rows and columns.
    """

    name: str
    band: str
    resolution: int
    path: str
    shape: tuple[int, int]

    def counts(self, limit: int) -> NDArray[np.uint16]:
        """Return every n-th pixel, (y, x) uint16, at most about `limit` a side."""
        from rasterio.windows import Window

        step = max(1, -(-max(self.shape) // limit))
        rows, columns = self.shape
        parts = []
        # not the reduced resolutions of the codestream: they are filtered, and dip below zero beside bright edges
        with _opened(self.path) as source:
            for y in range(0, rows, _ROWS):
                strip = source.read(1, window=Window(0, y, columns, min(_ROWS, rows - y)))
                parts.append(np.asarray(strip[(-y) % step :: step, ::step], np.uint16))
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class ZarrImage:
    """An image of a band in a Zarr product; fields as `Image` has them, the path in the store."""

    name: str
    band: str
    resolution: int
    path: str
    shape: tuple[int, int]
    url: str = ""

    def counts(self, limit: int) -> NDArray[np.uint16]:
        """Return every n-th pixel, (y, x) uint16, at most about `limit` a side."""
        from s2dask.io.storage import open_array

        step = max(1, -(-max(self.shape) // limit))
        array: Any = open_array(self.url, self.path)
        # whole rows of chunks one after the other: strides make Zarr read every chunk, but all at once
        rows = array.chunks[0]
        parts = [np.asarray(array[y : y + rows])[(-y) % step :: step, ::step] for y in range(0, self.shape[0], rows)]
        return np.asarray(np.concatenate(parts), np.uint16)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Open an image with GDAL; one without coordinates, as of a granule, is no reason for a warning."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        source = rasterio.open(path)
    with source:
        yield source


def _readable(archive: SafeArchive, names: Iterable[str]) -> Iterator[tuple[str, str, tuple[int, int], int]]:
    from rasterio.errors import RasterioIOError

    for name in names:
        path = archive.raster(name)
        try:
            with _opened(path) as source:
                found = name, path, (int(source.height), int(source.width)), int(source.count)
        except RasterioIOError:
            continue  # a file of no bytes stands for pixels that are absent
        yield found


def raster_images(archive: SafeArchive, prefix: str) -> tuple[Image, ...]:
    """Return the images of bands below a folder of a SAFE or PDI, those that can be read."""
    names = [n for n in archive.names if n.startswith(prefix) and "MSK_" not in n and _NAME.search(n)]
    out = []
    for name, path, shape, _ in _readable(archive, sorted(names)):
        found = _NAME.search(name)
        if found and found[1] in BANDS:
            resolution = int(found[2]) if found[2] else band(found[1]).resolution
            out.append(Image(PurePosixPath(name).name, found[1], resolution, path, shape))
    return tuple(sorted(out, key=lambda image: (image.resolution, BANDS[image.band].index)))


def zarr_images(url: str) -> tuple[ZarrImage, ...]:
    """Return the images of bands in a Zarr product."""
    import zarr

    from s2dask.io.storage import zarr_store

    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    out = []
    for path, node in group.members(max_depth=None):
        found = _SENSED.match(path)
        if found and isinstance(node, zarr.Array):
            name = (found[2] or found[4]).upper()
            resolution = int(found[1]) if found[1] else band(name).resolution
            out.append(ZarrImage(path, name, resolution, path, (node.shape[0], node.shape[1]), url))
    return tuple(sorted(out, key=lambda image: (image.resolution, BANDS[image.band].index, image.path)))


def lost_share(archive: SafeArchive, prefix: str) -> float | None:
    """Return the pixels of all bands whose image or ancillary data were lost [%], None where there is no such mask.

    MSK_QUALIT has a layer per bit, or one layer of bits; before baseline 04.00 polygons (MSK_TECQUA) tell the same.
    """
    names = sorted(n for n in archive.names if n.startswith(prefix) and "MSK_QUALIT" in n and n.endswith(".jp2"))
    counts = [_lost_in_image(path, shape, layers) for _, path, shape, layers in _readable(archive, names)]
    polygons = [n for n in archive.names if n.startswith(prefix) and "MSK_TECQUA" in n and n.endswith(".gml")]
    if not counts and polygons:
        counts = list(_lost_in_polygons(archive, polygons))
    seen = sum(n for _, n in counts)
    return 100.0 * sum(lost for lost, _ in counts) / seen if seen else None


def _lost_in_image(path: str, shape: tuple[int, int], layers: int) -> tuple[int, int]:
    """Return (lost, all) pixels of a mask, read in strips."""
    from rasterio.windows import Window

    lost = 0
    with _opened(path) as source:
        for row in range(0, shape[0], _ROWS):
            window = Window(0, row, shape[1], min(_ROWS, shape[0] - row))
            if layers > 1:
                marked = source.read([1 + n for n, (_, bit) in enumerate(FLAGS) if bit & LOST], window=window).any(
                    axis=0
                )
            else:
                marked = (source.read(1, window=window) & LOST) != 0
            lost += int(np.count_nonzero(marked))
    return lost, shape[0] * shape[1]


def _lost_in_polygons(archive: SafeArchive, names: list[str]) -> Iterator[tuple[int, int]]:
    """Yield (lost, all) pixels of each band at 60 m: polygons of lost data are as long as a tile is wide."""
    grid = safe_grid(archive.path)
    rows, columns = grid.shape(60)
    for name in BANDS:
        if any(f"_{name}" in PurePosixPath(file).name for file in names):
            bits = quality_mask(archive, name, grid, 60, slice(0, rows), slice(0, columns))
            yield int(np.count_nonzero(bits & LOST)), rows * columns
