"""Images of a tile at the resolution of a window: means of smaller pixels, copies of larger ones."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import band
from s2dask.l2a.cells import cell_means, cell_middles, cell_union, repeat, saturate
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.scene_class import CLASS_BANDS
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


class Scene(NamedTuple):
    """What a classification takes of a window.

    Attributes
    ----------
    images : dict of str to (y, x) float32 [1]
        Top-of-atmosphere reflectance of bands, NaN without data, infinite where saturated.
    quality : (y, x) uint8
        Union of the MSK_QUALIT bits of the bands that every classification takes.
    """

    images: dict[str, Float]
    quality: Bytes


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
        saturate(image)
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


@runtime_checkable
class NoiseImages(Protocol):
    """What a tile may say of the noise of its pixels."""

    def noise_gain(self, name: str, rows: slice, columns: slice) -> Float | None:
        """Return (y, x) the variance of pixels over that of the counts around them [1]; None where it is not kept."""
        ...


def read_noise_gain(tile: TileImages, name: str, window: Window) -> Float | None:
    """Return the noise gain of a band over a window of its own resolution, None of a tile that does not keep it."""
    return tile.noise_gain(name, window.rows, window.columns) if isinstance(tile, NoiseImages) else None


def block_scenes(
    tile: TileImages, kept: Mapping[int, Mapping[str, Float]], windows: Mapping[int, Window]
) -> dict[int, Scene]:
    """Return what the classification takes at 20 and 60 m, of images that are in memory already, all but B10's.

    Parameters
    ----------
    tile : TileImages
    kept : mapping of int to mapping of str to (y, x) float32 [1]
        Images by resolution [m] and band.
    windows : mapping of int to Window
        The same ground by resolution [m].
    """
    veil, quality = read_image(tile, "B10", windows[CELL]), read_quality(tile, CLASS_BANDS, windows[20])
    return {
        20: Scene({**kept[20], "B10": at_resolution(veil, CELL, windows[20])}, quality),
        CELL: Scene({**kept[CELL], "B10": veil}, cell_union(quality, CELL // 20)),
    }


def read_slots(tile: TileImages, conditions: Conditions, name: str, cells: Window) -> Bytes:
    """Return the slot of the detector in the middle of each cell."""
    own = band(name).resolution
    there = cells.at(own, tile.grid.shape(own))
    footprint = tile.footprint(name, there.rows, there.columns)
    out = np.empty(cells.shape, np.uint8)
    cell_middles(footprint, CELL // own, out)
    return conditions.slots(out)
