"""Defective pixels: listed columns whose value is replaced from good ones around them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel

Taps = tuple[tuple[int, ...], tuple[float, ...]]
"""Good columns, and the weights that they have in the place of a defective one."""
TapsOf = Callable[[int, NDArray[np.int64], int], Taps]
"""Of a column, the good columns and the number of all."""


class RunFilter(Protocol):
    """The replacement of a run of adjacent defective columns (GIP_R2DEFI)."""

    @property
    def left(self) -> int:
        """Good columns used on the left."""
        ...

    @property
    def right(self) -> int:
        """Good columns used on the right."""
        ...

    @property
    def taps(self) -> NDArray[np.float64]:
        """(run, left + right) float64: weights of the good ones for each defective one, from left to right."""
        ...


class Defects(NamedTuple):
    """Defective columns and where their replacement comes from.

    Attributes
    ----------
    column : (defect) int64
        The useful column.
    source : (defect, tap) int64
        Good columns that stand for it; where there are fewer, the first one again.
    weight : (defect, tap) float32
        Their weights, of sum 1. That of the first one is what the others leave.
    """

    column: NDArray[np.int64]
    source: NDArray[np.int64]
    weight: NDArray[np.float32]


def linear_taps(column: int, good: NDArray[np.int64], useful: int) -> Taps:  # noqa: ARG001 - as `configured_taps`
    """Return the nearest good columns with the weights of linear interpolation; at an edge the nearest one alone.

    Parameters
    ----------
    column : int
    good : (column) int64
        Ascending.
    useful : int
        Number of columns.
    """
    after = int(np.searchsorted(good, column))
    if after in (0, good.size):
        return (int(good[min(after, good.size - 1)]),), (1.0,)
    left, right = int(good[after - 1]), int(good[after])
    share = (column - left) / (right - left)
    return (left, right), (1 - share, share)


def configured_taps(filter_of: Callable[[int, int, int], RunFilter | None]) -> TapsOf:
    """Return the function that takes the filter of a column's configuration; linear where there is no filter.

    Parameters
    ----------
    filter_of : callable
        Of the length of a run of defective columns and the good ones next to it on the left and on the right.
    """

    def taps(column: int, good: NDArray[np.int64], useful: int) -> Taps:
        after = int(np.searchsorted(good, column))
        start = int(good[after - 1]) + 1 if after > 0 else 0
        stop = int(good[after]) if after < good.size else useful
        # Good columns without a gap: on both sides their numbers go with their places.
        left = int(np.sum(good[:after] == np.arange(start - after, start)))
        right = int(np.sum(good[after:] == np.arange(stop, stop + good.size - after)))
        chosen = filter_of(stop - start, left, right)
        if chosen is None:
            return linear_taps(column, good, useful)
        sources = (*range(start - chosen.left, start), *range(stop, stop + chosen.right))
        weights = tuple(float(w) for w in chosen.taps[column - start])
        return sources, weights

    return taps


def defects(columns: Iterable[int], useful: int, taps: TapsOf = linear_taps) -> Defects:
    """Return the replacement table of the defective useful columns.

    Parameters
    ----------
    columns : iterable of int
        Useful columns, 0-based; those outside the useful range (blind pixels) are left out.
    useful : int
        Number of useful columns.
    taps : callable
        Of a column, the good columns and the number of all: those that stand for it, with their weights.
    """
    bad = np.unique(np.asarray([c for c in columns if 0 <= c < useful], np.int64))
    good = np.setdiff1d(np.arange(useful, dtype=np.int64), bad)
    if good.size == 0:
        raise ConfigurationError("every pixel is listed as defective", "GIP_R2DEPI")
    return _table(bad, [taps(int(column), good, useful) for column in bad])


def only_flagged(table: Defects) -> Defects:
    """Return a table that flags the same columns and leaves their values."""
    return _table(table.column, [((int(column),), (1.0,)) for column in table.column])


def _table(column: NDArray[np.int64], chosen: list[Taps]) -> Defects:
    width = max((len(sources) for sources, _ in chosen), default=1)
    source, weight = np.zeros((column.size, width), np.int64), np.zeros((column.size, width), np.float32)
    for k, (sources, weights) in enumerate(chosen):
        source[k], source[k, : len(sources)] = sources[0], sources
        weight[k, : len(sources)] = weights
    table = Defects(column, source, weight)
    for array in table:
        array.setflags(write=False)
    return table


@kernel
def replace_defective(lines: NDArray[np.float32], table: Defects) -> None:
    """Replace the defective pixels in place, across track.

    Parameters
    ----------
    lines : (line, useful_column) float32 [LSB]
        Equalised lines of the product, or offset-free lines of a source of crosstalk.
    table : Defects
    """
    column, source, weight = table.column, table.source, table.weight
    for i in range(lines.shape[0]):
        row = lines[i]
        for k in range(column.size):
            first = row[source[k, 0]]
            value = first
            for t in range(1, source.shape[1]):
                value += weight[k, t] * (row[source[k, t]] - first)
            row[column[k]] = value


@kernel
def flag_defective(quality: NDArray[np.uint16], table: Defects, flag: int) -> None:
    """Flag the defective pixels in place; otherwise they take the bits of the pixels that replace them.

    Parameters
    ----------
    quality : (line, useful_column) uint16
    table : Defects
    flag : int
        Bit of a defective pixel.
    """
    column, source = table.column, table.source
    for i in range(quality.shape[0]):
        row = quality[i]
        for k in range(column.size):
            bits = np.uint16(flag)
            for t in range(source.shape[1]):
                bits |= row[source[k, t]]
            row[column[k]] = bits
