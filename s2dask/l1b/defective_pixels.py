"""Defective pixels: listed columns whose value is replaced from the nearest good ones."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel


class Defects(NamedTuple):
    """Defective columns and where their replacement comes from.

    Attributes
    ----------
    column, left, right : (defect) int64
        The useful column, and the nearest good ones (the same one twice at an edge).
    weight : (defect) float32
        Share of the right neighbour.
    """

    column: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    weight: NDArray[np.float32]


def defects(columns: Iterable[int], useful: int) -> Defects:
    """Return the replacement table of the defective useful columns.

    Parameters
    ----------
    columns : iterable of int
        Useful columns, 0-based; those outside the useful range (blind pixels) are left out.
    useful : int
        Number of useful columns.
    """
    bad = np.unique(np.asarray([c for c in columns if 0 <= c < useful], np.int64))
    good = np.setdiff1d(np.arange(useful, dtype=np.int64), bad)
    if good.size == 0:
        raise ConfigurationError("every pixel is listed as defective", "GIP_R2DEPI")
    after = np.searchsorted(good, bad)
    left, right = good[np.maximum(after - 1, 0)], good[np.minimum(after, good.size - 1)]
    # At an edge one neighbour lies on the wrong side: the other one stands for both.
    left, right = np.where(left > bad, right, left), np.where(right < bad, left, right)
    weight = np.where(left == right, 0.0, (bad - left) / np.maximum(right - left, 1))
    table = Defects(bad, left, right, weight.astype(np.float32))
    for array in table:
        array.setflags(write=False)
    return table


@kernel
def replace_defective(lines: NDArray[np.float32], table: Defects) -> NDArray[np.float32]:
    """Return the lines with the defective pixels interpolated linearly across track.

    Parameters
    ----------
    lines : (line, useful_column) float32 [LSB]
        Equalised lines.
    table : Defects

    Returns
    -------
    (line, useful_column) float32 [LSB]
    """
    out = lines.copy()
    column, left, right, weight = table.column, table.left, table.right, table.weight
    for i in range(out.shape[0]):
        row = out[i]
        for k in range(column.size):
            a = row[left[k]]
            row[column[k]] = a + weight[k] * (row[right[k]] - a)
    return out


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
    column, left, right = table.column, table.left, table.right
    for i in range(quality.shape[0]):
        row = quality[i]
        for k in range(column.size):
            row[column[k]] = np.uint16(row[left[k]] | row[right[k]] | flag)
