"""What surrounds a pixel: the mean reflectance within a kilometre, whose light the air scatters into its sight.

The clear cells of every block are added up on nodes of 300 m in whole counts, which add up the same however the tile is
cut; running sums over the nodes then give the mean over the square that reaches `REACH` to every side.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l2a.cells import SATURATED

NODE: Final = 5
"""Cells of 60 m on the edge of a node."""
REACH: Final = 1000.0
"""How far the surroundings reach [m]."""
COUNT: Final = 1e-4
"""Reflectance of one count of the sums [1]."""

Sums = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class NodeSums:
    """Counts of clear cells on the nodes that a block touches.

    Attributes
    ----------
    origin : (int, int)
        First node.
    total, cells : (row, column) int64
        Sum over the clear cells of each node [`COUNT`], and how many they are.
    """

    origin: tuple[int, int]
    total: Sums
    cells: Sums


@kernel
def _add(means, hidden, first_row, first_column, total, cells):  # type: ignore[no-untyped-def]
    rows, columns = means.shape
    for i in range(rows):
        a = (first_row + i) // NODE - first_row // NODE
        for j in range(columns):
            value = means[i, j]
            if hidden[i, j] or not (value <= SATURATED):
                continue
            b = (first_column + j) // NODE - first_column // NODE
            total[a, b] += np.int64(np.floor(np.float64(value) / COUNT + 0.5))
            cells[a, b] += 1


def node_sums(means: NDArray[np.float32], hidden: NDArray[np.bool_], origin: tuple[int, int]) -> NodeSums:
    """Return the sums of a rectangle of cells.

    Parameters
    ----------
    means : (row, column) float32 [1]
        Top-of-atmosphere reflectance of the cells, NaN without data, infinite where saturated.
    hidden : (row, column) bool
        Cells that say nothing of the ground.
    origin : (int, int)
        First cell in the tile.
    """
    first = origin[0] // NODE, origin[1] // NODE
    last = ((o + n - 1) // NODE for o, n in zip(origin, means.shape, strict=True))
    shape = tuple(stop - start + 1 for start, stop in zip(first, last, strict=True))
    total, cells = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    _add(means, hidden, origin[0], origin[1], total, cells)
    return NodeSums(first, total, cells)


def _box(values: Sums, radius: int) -> Sums:
    """Return the sums over squares of ``2 radius + 1`` nodes, cut at the borders."""
    for axis in (0, 1):
        n = values.shape[axis]
        running = np.concatenate([np.zeros_like(values.take([0], axis)), values.cumsum(axis)], axis)
        at = np.arange(n)
        values = running.take(np.minimum(at + radius + 1, n), axis) - running.take(np.maximum(at - radius, 0), axis)
    return values


def surroundings(parts: Iterable[NodeSums], shape: tuple[int, int], cell: float) -> NDArray[np.float32]:
    """Return the mean reflectance around every node of a tile.

    Parameters
    ----------
    parts : iterable of NodeSums
        Of the blocks, in any order.
    shape : (int, int)
        Cells of the tile.
    cell : float
        Edge of a cell [m].

    Returns
    -------
    (row, column) float32 [1]
        At the centres of the nodes; the mean of the tile where nothing clear is within reach, NaN where nothing clear
        is in the tile.
    """
    rows, columns = (-(-n // NODE) for n in shape)
    total, cells = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), np.int64)
    for part in parts:
        there = tuple(slice(o, o + n) for o, n in zip(part.origin, part.total.shape, strict=True))
        total[there] += part.total
        cells[there] += part.cells
    count = int(cells.sum())
    whole = total.sum() / count if count else np.nan
    radius = int(REACH / (NODE * cell) + 0.5)
    near, present = _box(total, radius), _box(cells, radius)
    return np.where(present > 0, near / np.maximum(present, 1), whole).astype(np.float32) * np.float32(COUNT)


def node_positions(first: int, count: int) -> NDArray[np.float64]:
    """Return where the centres of consecutive cells lie along one axis, in nodes."""
    return np.asarray((np.arange(first, first + count) + 0.5) / NODE - 0.5)
