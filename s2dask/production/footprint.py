"""Which tiles a datastrip touches, and the grid of a tile or of a window in it."""

import numpy as np
from pyproj import Transformer

from s2dask.errors import ConfigurationError
from s2dask.geometry.tiles import TILE_SIZE, tile_at, tile_corner
from s2dask.instrument import band
from s2dask.io.grids import TileGrid
from s2dask.production.setting import Setting
from s2dask.production.strip import StripFacts

Window = tuple[int, int, int, int]
"""x0, y0, width, height [m] of a part of a tile, on its 60 m grid."""
_EDGE = 9_900.0
"""A tile reaches this far beyond its 100 km square, to the right and below [m]."""


def tile_grid(tile: str, window: Window | None = None) -> TileGrid:
    """Return the grid of a tile, or of a window (x0, y0, width, height) [m] in it.

    Parameters
    ----------
    tile : str
        ``28SCB``, with or without a ``T`` in front.
    window : tuple of int, optional
        On the 60 m grid of the tile.
    """
    name = tile.removeprefix("T")
    try:
        crs, x, y = tile_corner(name)
    except (ValueError, IndexError) as error:
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


def tiles_of(setting: Setting, facts: StripFacts) -> tuple[str, ...]:
    """Return the tiles that the images of a datastrip touch, in alphabetical order."""
    found: set[str] = set()
    name = facts.bands[0]
    lines = np.linspace(0, facts.scenes * band(name).lines_per_scene - 1, 4 * facts.scenes + 1)
    columns = np.linspace(0, band(name).columns - 1, 5)
    for detector in facts.detectors:
        lon, lat, _ = setting.model.direct(name, detector, *np.meshgrid(lines, columns), setting.terrain)
        for place in zip(lon[np.isfinite(lon)].tolist(), lat[np.isfinite(lon)].tolist(), strict=True):
            found |= _around(*place)
    return tuple(sorted(found))


def _around(lon: float, lat: float) -> set[str]:
    """Return the tiles that hold a place: that of its square, and those whose edge reaches over it."""
    home = tile_at(lon, lat)
    crs = tile_corner(home)[0]
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    places = (back.transform(x - dx, y + dy) for dx in (0.0, _EDGE) for dy in (0.0, _EDGE))
    return {t for t in (tile_at(*p) for p in places) if t[:2] == home[:2]}
