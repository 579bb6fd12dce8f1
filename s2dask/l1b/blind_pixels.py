"""Blind pixels: they see no light, so what is left in them after the dark signal is the offset of the line."""

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel


@kernel
def line_offset(row: NDArray[np.float32], blind: NDArray[np.int64]) -> np.float32:
    """Return the mean of the valid blind pixels of one line [LSB]; 0 when none is given.

    Parameters
    ----------
    row : (raw_column) float32 [LSB]
        Line without its dark signal.
    blind : (blind) int64
        Raw columns of the valid blind pixels.
    """
    if blind.size == 0:
        return np.float32(0)
    total = 0.0
    for k in range(blind.size):
        total += row[blind[k]]
    return np.float32(total / blind.size)


@kernel
def remove_line_offset(
    lines: NDArray[np.float32], blind: NDArray[np.int64], left: int, useful: int
) -> NDArray[np.float32]:
    """Return the useful columns minus the offset that the blind pixels of the same line show.

    Parameters
    ----------
    lines : (line, raw_column) float32 [LSB]
        Lines without their dark signal.
    blind : (blind) int64
        Raw columns of the valid blind pixels; none leaves the offset in.
    left, useful : int
        First useful raw column and their number.

    Returns
    -------
    (line, useful_column) float32 [LSB]

    Notes
    -----
    ``Y(l, p) = X(l, p) - DS(p, j) - PCm(l)``, PCm the plain mean over both sides (GIP_BLINDP). The role of
    ``NORMALIZATION_COEF`` (20 or 10: the blind pixels of one side, valid or not) is not public and it is not used.
    """
    out = np.empty((lines.shape[0], useful), np.float32)
    for i in range(lines.shape[0]):
        offset = line_offset(lines[i], blind)
        values, row = lines[i, left : left + useful], out[i]
        for x in range(useful):
            row[x] = values[x] - offset
    return out
