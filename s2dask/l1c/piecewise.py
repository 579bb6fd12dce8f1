"""A detector's share of a block, located and interpolated in pieces that stay in the cache."""

from typing import Final

import numpy as np

from s2dask.geometry.inverse_grid import locate_pixels
from s2dask.kernels import kernel
from s2dask.l1c.resampling import interpolate

ROWS: Final = 16
COLUMNS: Final = 512
"""Size of a piece: its coordinates and the samples around them fit the second-level cache, also where the detector
looks at an angle."""


@kernel
def _owned(footprint, detector):  # type: ignore[no-untyped-def]
    """Return the first and last + 1 column that hold a detector's pixels; equal when there are none."""
    first, stop = footprint.shape[1], 0
    for r in range(footprint.shape[0]):
        for x in range(first):
            if footprint[r, x] == detector:
                first = x
                break
        for x in range(footprint.shape[1] - 1, stop - 1, -1):
            if footprint[r, x] == detector:
                stop = x + 1
                break
    return first, max(first, stop)


@kernel
def resample_detector(image, line, column, middle, per_node, row, first, heights, detector, footprint, out, flags):  # type: ignore[no-untyped-def]
    """Fill the pixels of a block that belong to a detector; return how many of them the image does not hold.

    Parameters
    ----------
    image : DetectorImage
    line, column : (term, row, column) float64
        Parabolas of the height at nodes, see `s2dask.geometry.inverse_grid.InverseGrid`.
    middle : float
        Height that the parabolas count from [m].
    per_node : int
        Pixels between two nodes.
    row, first : int
        Row and column of the block, counted from the first node.
    heights : (y, x) float32 [m]
        Ellipsoidal.
    detector : int
    footprint : (y, x) uint8
        Detector of each pixel.
    out : (y, x) float32 [DN]
    flags : (y, x) uint8
    """
    rows, columns = footprint.shape
    at_line, at_column = np.empty(ROWS * COLUMNS), np.empty(ROWS * COLUMNS)
    outside = 0
    for r in range(0, rows, ROWS):
        below = min(r + ROWS, rows)
        for x in range(0, columns, COLUMNS):
            a, b = _owned(footprint[r:below, x : x + COLUMNS], detector)
            if a == b:
                continue
            left, n = x + a, b - a
            # the nodes around the piece alone: whole lines of them would cost more than its pixels
            node, last = (first + left) // per_node, (first + x + b - 1) // per_node + 2
            size = (below - r) * n
            y, z = at_line[:size].reshape(below - r, n), at_column[:size].reshape(below - r, n)
            locate_pixels(
                line[:, :, node:last], column[:, :, node:last], per_node, row + r, first + left - node * per_node,
                heights[r:below], left, middle, y, z,
            )  # fmt: skip
            outside += interpolate(image, y, z, left, detector, footprint[r:below], out[r:below], flags[r:below])
    return outside
