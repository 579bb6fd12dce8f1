"""Heights from terrain cells and a geoid: the arrays and the kernels that sample them."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

BLOCK: Final = 8
"""Post intervals on the edge of a block of the minimum/maximum table."""
OFFSET, ROWS, COLUMNS, WEST, NORTH, PER_LON, PER_LAT, BLOCK_OFFSET, BLOCK_COLUMNS = range(9)
"""Columns of `Relief.cells`."""


class Relief(NamedTuple):
    """Terrain cells in memory, as kernels take them.

    Attributes
    ----------
    posts : (post) float32 [m]
        Orthometric heights of all cells one after the other, each with a frame of one post taken from its
        neighbours; NaN where there is none.
    cells : (cell, 9) float64
        Offset of the cell in `posts`, rows, columns, longitude and latitude of the first post [deg], posts per
        degree of longitude and latitude, offset of the cell in `highs`, blocks per row.
    start : (64801) int32
        First member of each box of one degree, south-west box first.
    member : (…) int32
        Cells that touch each box, the one that covers most of it first.
    highs, lows : (block) float32 [m]
        Extremes of the posts of each block.
    geoid : (row, column) float32 [m]
    frame : (5) float64
        Longitude and latitude of the first geoid node [deg], nodes per degree of longitude and latitude, 1 if the
        geoid goes round the Earth.
    missing : float
        Orthometric height where there is no cell [m]; NaN says that there must be one.
    """

    posts: NDArray[np.float32]
    cells: NDArray[np.float64]
    start: NDArray[np.int32]
    member: NDArray[np.int32]
    highs: NDArray[np.float32]
    lows: NDArray[np.float32]
    geoid: NDArray[np.float32]
    frame: NDArray[np.float64]
    missing: float


@kernel
def undulation(relief: Relief, lon: float, lat: float) -> float:
    """Return the geoid undulation [m], bilinear between nodes; NaN outside the geoid."""
    frame = relief.frame
    geoid = relief.geoid
    rows, columns = geoid.shape
    x = (lon - frame[0]) * frame[2]
    y = (frame[1] - lat) * frame[3]
    if frame[4] > 0.0:
        x -= columns * math.floor(x / columns)
        i = min(int(x), columns - 1)
        k = i + 1 if i + 1 < columns else 0
    else:
        if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):
            return np.nan
        i = min(max(int(math.floor(x)), 0), columns - 2)
        k = i + 1
    j = min(max(int(math.floor(y)), 0), rows - 2)
    u = x - i
    v = y - j
    north = geoid[j, i] * (1 - u) + geoid[j, k] * u
    south = geoid[j + 1, i] * (1 - u) + geoid[j + 1, k] * u
    height: float = north * (1 - v) + south * v
    return height


@kernel
def find_cell(relief: Relief, lon: float, lat: float) -> tuple[int, float, float]:
    """Return the cell of a place, -1 if there is none, and the place in it [post]."""
    box_x = int(math.floor(lon + 180.0)) % 360
    box_y = min(max(int(math.floor(lat + 90.0)), 0), 179)
    box = box_y * 360 + box_x
    for m in range(relief.start[box], relief.start[box + 1]):
        cell = relief.cells[relief.member[m]]
        east = lon - cell[WEST]
        x = (east - 360.0 * math.floor(east / 360.0)) * cell[PER_LON]
        y = (cell[NORTH] - lat) * cell[PER_LAT]
        # a cell reaches half a post beyond its own posts, which its frame surrounds
        if 0.5 <= x <= cell[COLUMNS] - 1.5 and 0.5 <= y <= cell[ROWS] - 1.5:
            return relief.member[m], x, y
    return -1, 0.0, 0.0


@kernel
def ellipsoidal_height(relief: Relief, lon: float, lat: float) -> float:
    """Return the ellipsoidal height of the ground [m]: posts and geoid, each bilinear; NaN where data are missing."""
    height = relief.missing
    index, x, y = find_cell(relief, lon, lat)
    if index >= 0:
        cell = relief.cells[index]
        i = int(x)
        j = int(y)
        u = x - i
        v = y - j
        columns = int(cell[COLUMNS])
        at = int(cell[OFFSET]) + j * columns + i
        posts = relief.posts
        below = at + columns
        north = posts[at] * (1 - u) + posts[at + 1] * u
        height = north * (1 - v) + (posts[below] * (1 - u) + posts[below + 1] * u) * v
    return height + undulation(relief, lon, lat)


@kernel
def sample(relief: Relief, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ellipsoidal height of the ground at places.

    Parameters
    ----------
    relief : Relief
    lon, lat : (place) float64 [deg]

    Returns
    -------
    (place) float64 [m]
    """
    out = np.empty(lon.size)
    for q in range(lon.size):
        out[q] = ellipsoidal_height(relief, lon[q], lat[q])
    return out


@kernel
def segment_range(relief: Relief, west: float, south: float, east: float, north: float) -> tuple[float, float]:
    """Return bounds of the orthometric height over a small box that lies in one cell; NaN when they are not known."""
    index, x0, y0 = find_cell(relief, west, north)
    other, x1, y1 = find_cell(relief, east, south)
    if index != other:
        return np.nan, np.nan
    if index < 0:
        return relief.missing, relief.missing
    cell = relief.cells[index]
    columns = int(cell[BLOCK_COLUMNS])
    first = int(cell[BLOCK_OFFSET])
    low = np.inf
    high = -np.inf
    for j in range(int(y0) // BLOCK, int(y1) // BLOCK + 1):
        for i in range(int(x0) // BLOCK, int(x1) // BLOCK + 1):
            at = first + j * columns + i
            low = min(low, relief.lows[at])
            high = max(high, relief.highs[at])
    return low, high
