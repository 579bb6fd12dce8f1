"""Which tiles a datastrip touches, and the grid of a tile or of a window in it."""

import re

from shapely.geometry.base import BaseGeometry

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError
from s2dask.geometry.footprint import datastrip_footprint
from s2dask.geometry.tiles import TILE_SIZE, Tile, tile_corner
from s2dask.geometry.tiles import tiles_of as tiles_touched
from s2dask.instrument import band
from s2dask.io.grids import TileGrid
from s2dask.production.setting import Setting
from s2dask.production.strip import StripFacts
from s2dask.production.tile_gipps import listed

Window = tuple[int, int, int, int]
"""x0, y0, width, height [m] of a part of a tile, on its 60 m grid."""


def tile_grid(tile: str, window: Window | None = None) -> TileGrid:
    """Return the grid of a tile, or of a window (x0, y0, width, height) [m] in it.

    Parameters
    ----------
    tile : str
        ``28SCB``, with or without a ``T`` in front.
    window : tuple of int, optional
        On the 60 m grid of the tile.
    """
    name = tile.upper()
    if re.fullmatch("T?[ABYZ][A-Z]{2}", name):
        raise ConfigurationError(
            f"{tile} is a polar square", "--tile", "there are no tiles beyond 84 N and 80 S: take a map grid there"
        )
    name = name.removeprefix("T")
    if not re.fullmatch("[0-9]{2}[A-Z]{3}", name):
        raise ConfigurationError(f"{tile!r} is no name of a tile", "--tile", "give five characters, e.g. 28SCB")
    try:
        crs, x, y = tile_corner(name)
    except ValueError as error:
        raise ConfigurationError(str(error), "--tile", "give five characters, e.g. 28SCB") from None
    left, top = int(x), int(y)
    if window is None:
        return TileGrid(name, crs, left, top, TILE_SIZE, TILE_SIZE)
    x0, y0, width, height = window
    inside = left <= x0 and x0 + width <= left + TILE_SIZE and y0 <= top and top - TILE_SIZE <= y0 - height
    if not inside or (x0 - left) % 60 or (top - y0) % 60:
        raise ConfigurationError(
            f"window {x0},{y0},{width},{height}", "--window",
            f"inside {left},{top},{TILE_SIZE},{TILE_SIZE}, a multiple of 60 m from its corner",
        )  # fmt: skip
    return TileGrid(name, crs, x0, y0, width, height)


def footprint_of(setting: Setting, facts: StripFacts) -> BaseGeometry:
    """Return what the images of a datastrip cover, longitude and latitude [degree]."""
    images = {
        (detector, name): (0, facts.scenes * band(name).lines_per_scene)
        for detector in facts.detectors
        for name in facts.bands
    }
    return datastrip_footprint(setting.model, images, setting.terrain)


def tiles_under(footprint: BaseGeometry, gipps: GippSet) -> dict[str, Tile]:
    """Return the tiles that a footprint touches, in alphabetical order: those that GIP_TILPAR lists."""
    tiles = {tile.name: tile for tile in tiles_touched(footprint)}
    return {name: tiles[name] for name in listed(gipps, list(tiles))}


def tiles_of(setting: Setting, facts: StripFacts) -> tuple[str, ...]:
    """Return the names of the tiles that the images of a datastrip touch."""
    return tuple(tiles_under(footprint_of(setting, facts), setting.gipps))
