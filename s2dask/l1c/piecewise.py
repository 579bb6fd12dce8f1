"""A detector's share of a block, located and interpolated in pieces that stay in the cache."""

from typing import Final

import numpy as np

from s2dask.kernels import bare_kernel, kernel
from s2dask.l1c.interpolation import Places, part_of, run, run_scratch
from s2dask.l1c.noise_gain import fill_gain

COLUMNS: Final = 512
"""Width of a piece: what its pixels are located by fits the first-level cache, and the samples around some rows of them
the second, also where the detector looks at an angle."""


@bare_kernel
def _spread(terms, node, per_node, first, base, out):  # type: ignore[no-untyped-def]
    """Write the terms (6, pixel) of a row of nodes and of the next one at the columns of pixels.

    Positions count from the whole number below that of the node on the upper left, which is written too: what is left
    is small enough for single precision, and the same in whatever block a pixel is.
    """
    width, step, x = base.size, 1.0 / per_node, 0
    while x < width:
        j = (first + x) // per_node
        start = first + x - j * per_node
        n = min(per_node - start, width - x)
        whole = np.floor(terms[0, node, j])
        base[x : x + n] = np.int32(whole) if whole == whole else 0
        for k in range(6):
            row, origin = terms[k % 3, node + k // 3], whole if k % 3 == 0 else 0.0
            a, d = row[j] - origin, row[j + 1] - row[j]
            target = out[k, x : x + n]
            for q in range(n):
                target[q] = np.float32(a + (start + q + 0.5) * step * d)
        x += n


@bare_kernel
def _between(a, b, c, d, e, f, v, heights, middle, out):  # type: ignore[no-untyped-def]
    """Write the values of parabolas between two rows of nodes, at heights: terms a, b, c above, and d, e, f below."""
    for x in range(out.size):
        h = heights[x] - middle
        out[x] = (a[x] + v * (d[x] - a[x])) + h * ((b[x] + v * (e[x] - b[x])) + h * (c[x] + v * (f[x] - c[x])))


@bare_kernel
def _locate(nodes, left, right, v, heights, middle, out):  # type: ignore[no-untyped-def]
    """Write lines or columns of some pixels of a row, by the terms (6, pixel) of the nodes above and below."""
    _between(
        nodes[0, left:right], nodes[1, left:right], nodes[2, left:right], nodes[3, left:right], nodes[4, left:right],
        nodes[5, left:right], np.float32(v), heights, np.float32(middle), out,
    )  # fmt: skip


@bare_kernel
def _owned(footprint, detector):  # type: ignore[no-untyped-def]
    """Return the first and last + 1 pixel in a row that a detector has; equal when there is none."""
    first, stop = 0, footprint.size
    while first < stop and footprint[first] != detector:
        first += 1
    while stop > first and footprint[stop - 1] != detector:
        stop -= 1
    return first, stop


@bare_kernel
def _fill(image, terms, start, left, width, heights, detector, footprint, out, flags, table, gain, nodes, scratch):  # type: ignore[no-untyped-def]
    """Fill a piece: some columns of a block, all its rows."""
    line, column = terms
    middle, per_node, row, first = start
    lines, samples, places = nodes
    outside, held = 0, -1
    for r in range(footprint.shape[0]):
        owners = footprint[r, left : left + width]
        a, b = _owned(owners, detector)
        if a == b:
            continue
        i = (row + r) // per_node
        if i != held:
            _spread(line, i, per_node, first + left, places.lines[:width], lines)
            _spread(column, i, per_node, first + left, places.columns[:width], samples)
            held = i
        v = (row + r - i * per_node + 0.5) / per_node
        _locate(lines, a, b, v, heights[r, left + a : left + b], middle, places.line[a:b])
        _locate(samples, a, b, v, heights[r, left + a : left + b], middle, places.column[a:b])
        x = a
        while x < b:
            stop = x
            while stop < b and owners[stop] == detector:
                stop += 1
            here = slice(left + x, left + stop)
            outside += run(image, part_of(places, x, stop), scratch, out[r, here], flags[r, here])
            if table.size > 0:
                fill_gain(places.line[x:stop], places.column[x:stop], table, gain[r, here])
            while stop < b and owners[stop] != detector:
                stop += 1
            x = stop
    return outside


@kernel
def resample_detector(  # type: ignore[no-untyped-def]
    image, line, column, middle, per_node, row, first, heights, detector, footprint, out, flags, table, gain
):
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
        Zero before.
    table : (step) float32
        See `s2dask.l1c.noise_gain`; empty: `gain` is not filled.
    gain : (y, x) float32
        Variance of a pixel over that of the counts around it.
    """
    columns, outside = footprint.shape[1], 0
    scratch, nodes = run_scratch(COLUMNS), (np.empty((6, COLUMNS), np.float32), np.empty((6, COLUMNS), np.float32))
    places = Places(
        np.empty(COLUMNS, np.int32), np.empty(COLUMNS, np.int32), np.empty(COLUMNS, np.float32),
        np.empty(COLUMNS, np.float32),
    )  # fmt: skip
    for left in range(0, columns, COLUMNS):
        outside += _fill(
            image, (line, column), (middle, per_node, row, first), left, min(COLUMNS, columns - left), heights,
            detector, footprint, out, flags, table, gain, (*nodes, places), scratch,
        )  # fmt: skip
    return outside
