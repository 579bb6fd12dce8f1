"""Images of a tile at the resolution of a window: means of smaller pixels, copies of larger ones."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import band
from s2dask.l2a.cells import SATURATED, cell_means, cell_union, repeat
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.window import CELL, Window

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Grid(Protocol):
    """The grid of a tile."""

    def shape(self, resolution: int) -> tuple[int, int]:
        """Return (rows, columns) at a resolution [m]."""
        ...


class TileImages(Protocol):
    """What `s2dask.io.tiles.TileReader` says of pixels."""

    @property
    def grid(self) -> Grid:
        """Of the tile."""
        ...

    def reflectance(self, name: str, rows: slice, columns: slice) -> Float:
        """Return (y, x) top-of-atmosphere reflectance [1], NaN without data."""
        ...

    def quality(self, name: str, rows: slice, columns: slice) -> Bytes:
        """Return (y, x) MSK_QUALIT bits."""
        ...

    def footprint(self, name: str, rows: slice, columns: slice) -> Bytes:
        """Return (y, x) detector numbers, 0 for none."""
        ...


def at_resolution(image: Float, own: int, window: Window) -> Float:
    """Return an image of pixels of `own` m at the resolution of a window; see `read_image`."""
    if own < window.resolution:
        means: Float = cell_means(image, window.resolution // own)
        return means
    return image if own == window.resolution else repeat(image, own // window.resolution, *window.shape)


def read_image(tile: TileImages, name: str, window: Window) -> Float:
    """Return a band at the resolution of a window: means of smaller pixels, copies of larger ones.

    Returns
    -------
    (y, x) float32 [1]
        NaN without data, infinite where saturated.
    """
    own = band(name).resolution
    there = window.at(own, tile.grid.shape(own))
    image = tile.reflectance(name, there.rows, there.columns)
    if own >= window.resolution:
        image[image > SATURATED] = np.inf
    return at_resolution(image, own, window)


def read_quality(tile: TileImages, names: Sequence[str], window: Window) -> Bytes:
    """Return the union of the MSK_QUALIT bits of bands at the resolution of a window."""
    out = np.zeros(window.shape, np.uint8)
    for name in names:
        own = band(name).resolution
        there = window.at(own, tile.grid.shape(own))
        bits = tile.quality(name, there.rows, there.columns)
        if not bits.any():
            continue
        if own < window.resolution:
            out |= cell_union(bits, window.resolution // own)
        else:
            out |= repeat(bits, own // window.resolution, *window.shape)
    return out


def read_slots(tile: TileImages, conditions: Conditions, name: str, cells: Window) -> Bytes:
    """Return the slot of the detector in the middle of each cell."""
    own = band(name).resolution
    there = cells.at(own, tile.grid.shape(own))
    footprint = tile.footprint(name, there.rows, there.columns)
    factor = CELL // own
    rows, columns = (
        np.minimum(factor * np.arange(n) + factor // 2, size - 1)
        for n, size in zip(cells.shape, footprint.shape, strict=True)
    )
    return conditions.slots(footprint[np.ix_(rows, columns)])
