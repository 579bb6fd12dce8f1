"""Terrain cells put into memory as kernels take them: framed by their neighbours, with tables of extremes."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.geoid import Geoid
from s2dask.auxdata.raster_cell import Bounds, Cell, overlap
from s2dask.auxdata.relief import BLOCK, Relief

_MORE: Final = 3
"""Posts beyond the frame that are looked at: the widest gap between cells of two spacings."""


def build_relief(chosen: list[Cell], cells: Iterable[Cell], geoid: Geoid, missing: float) -> Relief:
    """Read cells into memory.

    Parameters
    ----------
    chosen : list of Cell
        To be read.
    cells : iterable of Cell
        All there are: the frames come from them.
    geoid : Geoid
    missing : float
        Orthometric height where there is no cell [m]; NaN says that there must be one.
    """
    everything = tuple(cells)
    posts, highs, lows, table = [], [], [], []
    offset = block_offset = 0
    for cell in chosen:
        framed, above = _framed(cell, everything)
        low, high = _blocks(framed)
        table.append(
            (
                offset, framed.shape[0], framed.shape[1],
                cell.west - cell.step_lon, cell.north + above * cell.step_lat,
                1 / cell.step_lon, 1 / cell.step_lat, block_offset, low.shape[1],
            )
        )  # fmt: skip
        offset += framed.size
        block_offset += low.size
        posts.append(framed.ravel())
        lows.append(low.ravel())
        highs.append(high.ravel())
    start, member = _boxes(chosen)
    flat = [np.concatenate([np.zeros(0, np.float32), *parts]) for parts in (posts, highs, lows)]
    rows = np.array(table, np.float64).reshape(-1, 9)
    return Relief(flat[0], rows, start, member, flat[1], flat[2], geoid.values, geoid.frame, missing)


def _framed(cell: Cell, cells: tuple[Cell, ...]) -> tuple[NDArray[np.float32], int]:
    """Return the posts of a cell with a frame, and the rows of it above.

    The frame is one post wide: that of the neighbours, the finest last, or the cell's own edge repeated. A cell whose
    last row is next to a pole has one row more there, so that it reaches it.
    """
    bounds = cell.bounds
    above, below = (
        1 + (gap > 0.0 and gap <= 1.5 * cell.step_lat) for gap in (90.0 - bounds.north, 90.0 + bounds.south)
    )
    posts = np.pad(cell.read(), ((above, below), (1, 1)), mode="edge")
    lon = cell.west + cell.step_lon * np.arange(-1 - _MORE, cell.columns + 1 + _MORE, dtype=np.float64)
    lat = cell.north - cell.step_lat * np.arange(-above - _MORE, cell.rows + below + _MORE, dtype=np.float64)
    top, bottom = lat[_MORE + above - 1], lat[-_MORE - below]
    edges = (
        (posts[above - 1], lon, np.full(lon.size, top)),
        (posts[-below], lon, np.full(lon.size, bottom)),
        (posts[:, 0], np.full(lat.size, lon[_MORE]), lat),
        (posts[:, -1], np.full(lat.size, lon[-1 - _MORE]), lat),
    )
    around = Bounds(lon[0], lat[-1], lon[-1], lat[0])
    near = sorted((c for c in cells if c is not cell and overlap(around, c.bounds) > 0), key=lambda c: -c.step_lon)
    for edge, x, y in edges:
        found = _along(near, x, y)
        known = np.isfinite(found)
        edge[known] = found[known]
    return posts, above


def _along(cells: list[Cell], lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return heights of cells on a line but for `_MORE` places at its ends, those of the last cell first; else NaN.

    Between the last post of a cell and the first of the next, where they have no common posts, the line is straight.
    """
    box = Bounds(lon.min() - 1e-9, lat.min() - 1e-9, lon.max() + 1e-9, lat.max() + 1e-9)
    found = np.full(lon.size, np.nan, np.float32)
    for cell in cells:
        if overlap(box, cell.bounds) > 0:
            heights = cell.pick(lon, lat)
            found = np.where(np.isfinite(heights), heights, found)
    known = np.flatnonzero(np.isfinite(found))
    for first, last in pairwise(known.tolist()):
        if 1 < last - first <= _MORE + 1:
            found[first + 1 : last] = np.linspace(found[first], found[last], last - first + 1)[1:-1]
    return found[_MORE:-_MORE]


def _blocks(posts: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return minimum and maximum of each block of a cell, the posts on its border included; voids do not count."""
    rows, columns = (-(-(n - 1) // BLOCK) for n in posts.shape)
    padded = np.pad(posts, ((0, rows * BLOCK + 1 - posts.shape[0]), (0, columns * BLOCK + 1 - posts.shape[1])), "edge")
    low = high = padded
    for axis in (0, 1):
        starts = np.arange(0, padded.shape[axis] - 1, BLOCK)
        last = np.take(low, starts + BLOCK, axis), np.take(high, starts + BLOCK, axis)
        inner = tuple(slice(0, -1) if a == axis else slice(None) for a in (0, 1))
        low = np.fmin(np.fmin.reduceat(low[inner], starts, axis), last[0])
        high = np.fmax(np.fmax.reduceat(high[inner], starts, axis), last[1])
    return low, high


def _boxes(cells: list[Cell]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the list of cells that touch each box of one degree: the finest first, then by what they cover of it."""
    touched: dict[int, list[tuple[float, float, int]]] = {}
    for number, cell in enumerate(cells):
        b = cell.bounds
        # to three digits: cells of one resolution differ in the last bits of their spacing
        fineness = float(f"{cell.step_lon * cell.step_lat:.2e}")
        for lat in range(max(int(np.floor(b.south)), -90), min(int(np.floor(b.north)), 89) + 1):
            for lon in range(int(np.floor(b.west)), int(np.floor(b.east)) + 1):
                area = round(overlap(b, Bounds(lon, lat, lon + 1, lat + 1)), 2)
                box = (lat + 90) * 360 + (lon + 180) % 360
                touched.setdefault(box, []).append((fineness, -area, number))
    count = np.zeros(64801, np.int32)
    member: list[int] = []
    for box in sorted(touched):
        ranked = sorted(touched[box])
        count[box + 1] = len(ranked)
        member += [number for *_, number in ranked]
    return np.cumsum(count, dtype=np.int32), np.array(member, np.int32)
