"""Heights from terrain cells and a geoid: the arrays and the kernels that sample them."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import bare_kernel, kernel

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


@bare_kernel
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


@bare_kernel
def find_cell(relief: Relief, lon: float, lat: float) -> tuple[int, float, float]:
    """Return the cell of a place, -1 if there is none, and the place in it [post].

    Here and below, every number is taken straight from `relief`: a view of an array costs more than the calculation.
    """
    box_x = int(math.floor(lon + 180.0)) % 360
    box_y = min(max(int(math.floor(lat + 90.0)), 0), 179)
    box = box_y * 360 + box_x
    for m in range(relief.start[box], relief.start[box + 1]):
        number = relief.member[m]
        east = lon - relief.cells[number, WEST]
        x = (east - 360.0 * math.floor(east * (1.0 / 360.0))) * relief.cells[number, PER_LON]
        y = (relief.cells[number, NORTH] - lat) * relief.cells[number, PER_LAT]
        # a cell reaches half a post beyond its own posts, which its frame surrounds
        if 0.5 <= x <= relief.cells[number, COLUMNS] - 1.5 and 0.5 <= y <= relief.cells[number, ROWS] - 1.5:
            return number, x, y
    return -1, 0.0, 0.0


@bare_kernel
def ellipsoidal_height(relief: Relief, lon: float, lat: float) -> float:
    """Return the ellipsoidal height of the ground [m]: posts and geoid, each bilinear; NaN where data are missing."""
    height = relief.missing
    index, x, y = find_cell(relief, lon, lat)
    if index >= 0:
        i = int(x)
        j = int(y)
        u = x - i
        v = y - j
        columns = int(relief.cells[index, COLUMNS])
        at = int(relief.cells[index, OFFSET]) + j * columns + i
        below = at + columns
        north = relief.posts[at] * (1 - u) + relief.posts[at + 1] * u
        height = north * (1 - v) + (relief.posts[below] * (1 - u) + relief.posts[below + 1] * u) * v
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


def highest(relief: Relief) -> float:
    """Return a height [m] that no ground of the cells in memory reaches."""
    posts = [float(v) for v in (np.nanmax(relief.highs, initial=-np.inf), relief.missing) if np.isfinite(v)]
    return max(posts, default=0.0) + float(relief.geoid.max()) + 1.0
