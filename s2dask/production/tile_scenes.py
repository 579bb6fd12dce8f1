"""Which scenes of a datastrip a tile is made of: from the viewing model, without reading an image."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.geometry.inverse_grid import EARTH_HEIGHTS, STEP
from s2dask.geometry.tiles import map_positions
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band
from s2dask.io.grids import TileGrid
from s2dask.l1c.resampling import Filter, margin_lines

_SPACING: Final = 5000.0
"""Of the places that are looked for, at most [m]: between two of them lines and columns follow a plane."""
_UNEVEN: Final = 300.0
"""Upper bound of how far they do not [m on the ground]: bend of the track and of the map, jitter of the attitude."""
_SLANT: Final = 0.3
"""Upper bound of the ground shift per metre of height seen from a detector's edge."""
Places = tuple[NDArray[np.float64], NDArray[np.float64]]


def _places(grid: TileGrid) -> tuple[Places, float]:
    """Return longitude and latitude (y, x) [degree] of places over and around a tile, and the diagonal of a cell [m].

    They reach as far beyond its edges as the inverse grids of its blocks do.
    """
    sides = (grid.width, grid.height)
    right, down = (
        np.linspace(-2.0 * STEP, side + 2.0 * STEP, int(np.ceil((side + 4.0 * STEP) / _SPACING)) + 1) for side in sides
    )
    x, y = np.meshgrid(grid.x0 + right, grid.y0 - down)
    diagonal = float(np.hypot(right[1] - right[0], down[1] - down[0]))
    return map_positions(grid.crs, (float(grid.x0), float(grid.y0)), x, y), diagonal


def _corners(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values (height, y, x) at the corners of each cell, at both heights (corner, y, x)."""
    parts = (values[:, :-1, :-1], values[:, :-1, 1:], values[:, 1:, :-1], values[:, 1:, 1:])
    return np.concatenate(parts)


def lines_seen(
    model: ViewingModel, name: str, detector: int, lines: int, places: Places, diagonal: float
) -> tuple[float, float] | None:
    """Return the first and last line of an image between which all that it shows of a tile lies, None if it is nothing.

    Parameters
    ----------
    model : ViewingModel
    name : str
        Band.
    detector : int
    lines : int
        Of the image.
    places : (lon, lat), both (y, x) [degree]
    diagonal : float
        Of a cell between them [m].

    Notes
    -----
    The line and the column of a place at any height lie between those of the corners of its cell at the lowest and at
    the highest height of the Earth, but for `_UNEVEN`.
    """
    low, high = EARTH_HEIGHTS
    pixel = band(name).resolution
    uneven, reach = _UNEVEN / pixel, 1.2 * (diagonal + _SLANT * (high - low)) / pixel
    heights = np.array(EARTH_HEIGHTS)[:, None, None]
    line, column = (_corners(v) for v in model.inverse(name, detector, *places, heights, reach))
    known = np.isfinite(line)
    # a cell of which a corner is not known, at an end of the orbit, may reach as far as it is large
    beyond = np.where(known.all(axis=0), uneven, reach)

    def ends(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        least = np.where(known, values, np.inf).min(axis=0) - beyond
        return least, np.where(known, values, -np.inf).max(axis=0) + beyond

    (first, last), (left, right) = ends(line), ends(column)
    seen = (last >= 0) & (first <= lines - 1) & (right >= 0) & (left <= band(name).columns - 1)
    if not seen.any():
        return None
    least, most = float(first[seen].min()), float(last[seen].max())
    # what a sliver at an end of the image shows may have no corner that is known
    return (0.0 if least < reach else least), (lines - 1.0 if most > lines - 1 - reach else most)


def tile_scenes(
    model: ViewingModel, grid: TileGrid, lines: Mapping[str, int], detectors: Sequence[int], name: Filter
) -> tuple[int, int] | None:
    """Return the first scene that a tile is made of and the last + 1, over all bands and detectors; None if none is.

    Parameters
    ----------
    model : ViewingModel
    grid : TileGrid
    lines : mapping of str to int
        Lines of the images, by band.
    detectors : sequence of int
    name : Filter
        Interpolation: it takes lines around those that are seen.
    """
    places, diagonal = _places(grid)
    found: list[tuple[int, int]] = []
    for b, count in lines.items():
        around, scene = margin_lines(name), band(b).lines_per_scene
        for detector in detectors:
            ends = lines_seen(model, b, detector, count, places, diagonal)
            if ends is not None:
                first, last = max(int(ends[0]) - around, 0), min(int(np.ceil(ends[1])) + around, count - 1)
                found.append((first // scene, last // scene + 1))
    if not found:
        return None
    return min(first for first, _ in found), max(stop for _, stop in found)
