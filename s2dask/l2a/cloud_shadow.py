"""Cloud shadows on the 60 m cells of a whole tile: each cloud is given the height at which its shadow fits best.

Object matching as in Zhu and Woodcock (2012): a cloud is moved along the line from sun to ground, seen from the
satellite, and the height is kept at which most of what it covers is dark.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.kernels import bare_kernel, kernel
from s2dask.l2a.scene_class import (
    CLOUD_HIGH,
    CLOUD_MEDIUM,
    DEFECT,
    NO_DATA,
    SHADOW,
    UNCLASSIFIED,
    VEGETATION,
    WATER,
)
from s2dask.l2a.scene_class import DARK as DARK_PIXEL

LOWEST: Final = 500.0
HIGHEST: Final = 6000.0
"""Heights of clouds that are tried [m]."""
STEP: Final = 60.0
"""Between them [m]."""
MATCH: Final = 0.4
"""Share of dark ground under a cloud's shadow that makes it one."""
AROUND: Final = 1500.0
"""Half the edge of the square that ground is compared with [m] ..."""
DARKER: Final = 0.6
"""... how dark it is next to it, when it may be in shadow ..."""
ENOUGH: Final = 50
"""... and the cells of clear ground that this takes."""
SMALLEST: Final = 2
"""Cells of a cloud that is looked at."""
CLEAR: Final = 0
CLOUD: Final = 1
DARK: Final = 2
IGNORED: Final = 3
"""Kinds of cells: dark ground may be shadow; no data and water say nothing."""


Field = NDArray[np.float64]


class Slant(NamedTuple):
    """How a shadow moves away from the image of its cloud as the cloud is higher.

    Attributes
    ----------
    down, right : (...) float64 [m/m]
        Southwards and eastwards.
    """

    down: Field
    right: Field


def slant(sun: tuple[ArrayLike, ArrayLike], view: tuple[ArrayLike, ArrayLike]) -> Slant:
    """Return where shadows fall, seen from the images of their clouds.

    Parameters
    ----------
    sun, view : (east, north), each (...) float [1]
        Components of the directions to sun and satellite, over the vertical one.

    Notes
    -----
    A cloud at height h appears ``h tan(view)`` beyond its foot, away from the satellite; its shadow lies ``h tan(sun)``
    away from the sun.
    """
    (sun_east, sun_north), (east, north) = sun, view
    return Slant(np.asarray(np.subtract(sun_north, north)), np.asarray(np.subtract(east, sun_east)))


@kernel
def cell_kinds(scl, factor):  # type: ignore[no-untyped-def]
    """Return the kind of most pixels of each cell: (y, x) uint8 classes -> (row, column) uint8."""
    rows, columns = scl.shape
    out, count = np.empty((-(-rows // factor), -(-columns // factor)), np.uint8), np.empty(4, np.int64)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            count[:] = 0
            for y in range(i * factor, min((i + 1) * factor, rows)):
                for x in range(j * factor, min((j + 1) * factor, columns)):
                    kind = scl[y, x]
                    if kind in (CLOUD_MEDIUM, CLOUD_HIGH):
                        count[CLOUD] += 1
                    elif kind == DARK_PIXEL:
                        count[DARK] += 1
                    elif kind in (NO_DATA, DEFECT, WATER):
                        count[IGNORED] += 1
                    else:
                        count[CLEAR] += 1
            out[i, j] = np.argmax(count)
    return out


@kernel
def cast(shadow, factor, scl):  # type: ignore[no-untyped-def]
    """Make the ground in the shadow of clouds a class of its own.

    Parameters
    ----------
    shadow : (row, column) bool
        Cells of `factor` x `factor` pixels.
    factor : int
    scl : (y, x) uint8
        Classes, changed in place: whatever is no cloud, snow, or without data.
    """
    rows, columns = scl.shape
    for y in range(rows):
        for j in range(shadow.shape[1]):
            if shadow[y // factor, j]:
                for x in range(j * factor, min((j + 1) * factor, columns)):
                    kind = scl[y, x]
                    if kind == DARK_PIXEL or VEGETATION <= kind <= UNCLASSIFIED:
                        scl[y, x] = SHADOW


def darker_than_around(kind: NDArray[np.uint8], near: NDArray[np.uint8], cell: float) -> NDArray[np.uint8]:
    """Return the kinds of cells with those as dark that are much darker than the clear ground around them.

    Parameters
    ----------
    kind : (row, column) uint8
    near : (row, column) uint8
        Reflectance in the near infrared, in any unit.
    cell : float [m]
    """
    ground = ((kind == CLEAR) | (kind == DARK)) & (near > 0)
    radius = max(round(AROUND / cell), 1)
    count, total = (_box_sum(np.where(ground, v, 0).astype(np.int64), radius) for v in (1, near))
    dark = ground & (count >= ENOUGH) & (near * count < DARKER * total)
    return np.where(dark, DARK, kind).astype(np.uint8)


def _box_sum(values: NDArray[np.int64], radius: int) -> NDArray[np.int64]:
    """Return sums over squares of ``2 radius + 1`` cells, cut at the edges."""
    rows, columns = values.shape
    sums = np.zeros((rows + 1, columns + 1), np.int64)
    sums[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    top, left = (np.maximum(np.arange(n) - radius, 0) for n in (rows, columns))
    bottom, right = (np.minimum(np.arange(n) + radius + 1, n) for n in (rows, columns))
    corners = [sums[np.ix_(i, j)] for i in (bottom, top) for j in (right, left)]
    return np.asarray(corners[0] - corners[1] - corners[2] + corners[3])


@kernel
def _root(parent, a):  # type: ignore[no-untyped-def]
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@kernel
def label(kind):  # type: ignore[no-untyped-def]
    """Return (cell) int64: for every cell of the flattened mask the first cell of its cloud, -1 outside clouds."""
    rows, columns = kind.shape
    parent = np.full(rows * columns, -1, np.int64)
    for y in range(rows):
        for x in range(columns):
            if kind[y, x] != CLOUD:
                continue
            here = y * columns + x
            parent[here] = here
            for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                b, a = y + dy, x + dx
                if b >= 0 and 0 <= a < columns and kind[b, a] == CLOUD:
                    p, q = _root(parent, b * columns + a), _root(parent, here)
                    parent[max(p, q)] = min(p, q)
    for here in range(parent.size):
        if parent[here] >= 0:
            parent[here] = _root(parent, here)
    return parent


@bare_kernel
def _places(height, row, column, down, right, shape, out):  # type: ignore[no-untyped-def]
    """Write which cell the shadow of each cell of a cloud would fall on; beyond the tile the one after its last."""
    rows, columns = shape
    for n in range(row.size):
        y = row[n] + np.int64(np.floor(height * down[n] + 0.5))
        x = column[n] + np.int64(np.floor(height * right[n] + 0.5))
        inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        out[n] = y * columns + x if inside else rows * columns


@bare_kernel
def _fit(votes, places):  # type: ignore[no-untyped-def]
    """Return the share of dark ground among the places where a cloud's shadow would lie, outside of clouds."""
    dark, counted = np.int64(0), np.int64(0)
    for n in range(places.size):
        vote = np.int64(votes[places[n]])
        counted += vote & 1
        dark += vote >> 1
    # A shadow that is mostly out of sight says little.
    return dark / counted if counted * 4 >= places.size and counted > 0 else 0.0


@kernel
def _mark(kind, cells, height, down, right, shadow):  # type: ignore[no-untyped-def]
    """Mark the dark ground within one cell of a cloud's shadow."""
    rows, columns = kind.shape
    for n in range(cells.size):
        i, j = cells[n] // columns, cells[n] % columns
        y0, x0 = i + int(np.floor(height * down[i, j] + 0.5)), j + int(np.floor(height * right[i, j] + 0.5))
        for y in range(max(y0 - 1, 0), min(y0 + 2, rows)):
            for x in range(max(x0 - 1, 0), min(x0 + 2, columns)):
                if kind[y, x] == DARK:
                    shadow[y, x] = True


@kernel
def _match(kind, order, start, heights, down, right, shadow):  # type: ignore[no-untyped-def]
    columns, largest = kind.shape[1], (start[1:] - start[:-1]).max()
    votes = np.zeros(kind.size + 1, np.uint8)
    votes[:-1] = ((kind == CLEAR) | (kind == DARK)).ravel() + 2 * (kind == DARK).ravel()
    row, column, places = (np.empty(largest, np.int64), np.empty(largest, np.int64), np.empty(largest, np.int64))
    southwards, eastwards = np.empty(largest), np.empty(largest)
    for cloud in range(start.size - 1):
        cells = order[start[cloud] : start[cloud + 1]]
        size = cells.size
        if size < SMALLEST:
            continue
        for n in range(size):
            row[n], column[n] = cells[n] // columns, cells[n] % columns
            southwards[n], eastwards[n] = down[row[n], column[n]], right[row[n], column[n]]
        best, share = -1.0, MATCH
        for height in heights:
            _places(height, row[:size], column[:size], southwards[:size], eastwards[:size], kind.shape, places[:size])
            found = _fit(votes, places[:size])
            if found > share:
                best, share = height, found
        if best >= 0:
            _mark(kind, cells, best, down, right, shadow)


def shadows(kind: NDArray[np.uint8], cell: float, direction: Slant) -> NDArray[np.bool_]:
    """Return the cells in the shadow of a cloud; of heights that fit equally well, the lowest is taken.

    Parameters
    ----------
    kind : (row, column) uint8
        `CLEAR`, `CLOUD`, `DARK` or `IGNORED`, of a whole tile.
    cell : float [m]
    direction : Slant
        Of each cell: (row, column), or a single one.

    Returns
    -------
    (row, column) bool
    """
    shadow = np.zeros(kind.shape, np.bool_)
    parent = label(kind)
    members = np.flatnonzero(parent >= 0)
    if members.size == 0:
        return shadow
    order = members[np.argsort(parent[members], kind="stable")]
    starts = np.append(np.flatnonzero(np.diff(parent[order], prepend=-1)), order.size)
    heights = np.arange(LOWEST, HIGHEST + 1.0, STEP)
    down, right = (np.ascontiguousarray(np.broadcast_to(d / cell, kind.shape)) for d in direction)
    _match(kind, order, starts, heights, down, right, shadow)
    return shadow
