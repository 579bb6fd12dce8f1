"""Which detector a pixel is taken from: by default the one in whose image it lies farther from the edges.

Most cells of the inverse grid lie in one detector alone, or farther from its edges than from those of any other,
whatever the height: their pixels need not be located to know whose they are.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.geometry.inverse_grid import InverseGrid
from s2dask.kernels import inline_kernel, kernel
from s2dask.l1c.location import Pixels
from s2dask.l1c.resampling import STRIP

Cut = Literal["middle", "lower", "higher"]
"""Who keeps the overlap of two detectors: each its half, or all of it the lower or the higher number."""
CUTS: Final[tuple[Cut, ...]] = get_args(Cut)
UNCLAIMED: Final = -1e-9
"""Distance of a pixel that nobody has claimed: below zero, so that the very edge of an image counts."""
_SLACK: Final = 1e-6
"""What the limits of a cell must be apart to be trusted: far above their rounding [px]."""
_BESIDE: Final = 4
"""Columns beside a pixel that its interpolation may take."""
_NOWHERE: Final = 1 << 40


@inline_kernel
def _rank(distance, detector, cut):  # type: ignore[no-untyped-def]
    """Return by what a detector that sees a pixel is preferred: first where equal, hence the lower one."""
    if cut == 0:
        return distance
    return 1.0 if cut == 1 else float(detector)


@inline_kernel
def _limits(terms, i, j, low, high):  # type: ignore[no-untyped-def]
    """Return the lowest and highest value of parabolas in a cell, for heights between low and high; NaN unknown."""
    square = max(low * low, high * high)
    least, most = np.inf, -np.inf
    for p in range(2):
        for q in range(2):
            a, b, c = terms[0, i + p, j + q], terms[1, i + p, j + q], terms[2, i + p, j + q]
            if a != a:
                return np.nan, np.nan
            least = min(least, a + min(b * low, b * high) + min(c * square, 0.0))
            most = max(most, a + max(b * low, b * high) + max(c * square, 0.0))
    return least, most


@inline_kernel
def _value(terms, i, j, u, v, h):  # type: ignore[no-untyped-def]
    """Return the value of parabolas at a place (u, v) in a cell and at a height."""
    value = 0.0
    for t in (2, 1, 0):
        north = terms[t, i, j] + u * (terms[t, i, j + 1] - terms[t, i, j])
        south = terms[t, i + 1, j] + u * (terms[t, i + 1, j + 1] - terms[t, i + 1, j])
        value = value * h + (north + v * (south - north))
    return value


@kernel
def _note(spans, low, high, left, right):  # type: ignore[no-untyped-def]
    """Widen the lines that are needed of the strips of columns (strip, first and last line) by those of a cell."""
    last = spans.shape[0] - 1
    first, stop = (int(np.floor(left)) - _BESIDE) // STRIP, (int(np.floor(right)) + _BESIDE) // STRIP
    for s in range(min(max(first, 0), last), min(max(stop, 0), last) + 1):
        spans[s, 0] = min(spans[s, 0], int(np.floor(low)))
        spans[s, 1] = max(spans[s, 1], int(np.ceil(high)))


@kernel
def _owner_of_pixel(lines, columns, numbers, i, j, u, v, h, size, cut, limits):  # type: ignore[no-untyped-def]
    """Return which detector has a pixel, -1 when none does."""
    bottom, right = size[0] - 0.5, size[1] - 0.5
    best, owner = UNCLAIMED, -1
    for k in range(numbers.size):
        if limits[k, 0] != limits[k, 0]:
            continue
        c = _value(columns[k], i, j, u, v, h)
        distance = min(c + 0.5, right - c)
        if distance > UNCLAIMED:
            rank, y = _rank(distance, numbers[k], cut), _value(lines[k], i, j, u, v, h)
            if rank > best and -0.5 <= y <= bottom:
                best, owner = rank, k
    return owner


@kernel
def _sole(limits, numbers, size, cut):  # type: ignore[no-untyped-def]
    """Return which detector surely has all of a cell, -1 when none can have any of it, -2 when that depends."""
    bottom, right = size[0] - 0.5, size[1] - 0.5
    best, owner, sure, count = -np.inf, -1, False, 0
    for k in range(limits.shape[0]):
        low, high, left, last = limits[k]
        most = min(last + 0.5, right - left)
        if low != low or most < UNCLAIMED - _SLACK or high < -0.5 - _SLACK or low > bottom + _SLACK:
            limits[k, 0] = np.nan
            continue
        count += 1
        least = min(left + 0.5, right - last)
        whole = least > UNCLAIMED + _SLACK and low > -0.5 + _SLACK and high < bottom - _SLACK
        rank = _rank(least, numbers[k], cut)
        if whole and rank > best:
            best, owner, sure = rank, k, True
    if count == 0:
        return -1
    if not sure:
        return -2
    for k in range(limits.shape[0]):
        if k != owner and limits[k, 0] == limits[k, 0]:
            most = min(limits[k, 3] + 0.5, right - limits[k, 2], 0.5 * (right + 0.5))
            if (cut == 0 and most + _SLACK > best) or (cut > 0 and _rank(most, numbers[k], cut) > best):
                return -2
            if cut == 1 and k < owner:
                return -2
    return owner


@kernel
def _ranges(heights, per_node, row, first, out):  # type: ignore[no-untyped-def]
    """Write the lowest and highest height of each cell (2, row, column)."""
    rows, columns = heights.shape
    for r in range(rows):
        i, x = (row + r) // per_node - row // per_node, 0
        for j in range(out.shape[2]):
            stop = min((first // per_node + j + 1) * per_node - first, columns)
            low = high = heights[r, x]
            for q in range(x, stop):
                low, high = min(low, heights[r, q]), max(high, heights[r, q])
            if r == 0 or (row + r) % per_node == 0:
                out[0, i, j], out[1, i, j] = low, high
            else:
                out[0, i, j], out[1, i, j] = min(out[0, i, j], low), max(out[1, i, j], high)
            x = stop


def cell_heights(pixels: Pixels, heights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lowest and highest height (2, row, column) [m] in each cell of the inverse grid that a block meets."""
    k, (_, _, rows, columns) = pixels.per_node, pixels.nodes()
    out = np.empty((2, rows - 1, columns - 1), np.float32)
    _ranges(heights, k, pixels.row, pixels.column, out)
    return out


@kernel
def _choose(lines, columns, numbers, start, heights, ranges, size, cut, footprint, spans):  # type: ignore[no-untyped-def]
    """Fill the footprint cell by cell, and the lines needed of each detector (detector, strip, first and last)."""
    per_node, row, first, middle = start
    rows, wide = heights.shape
    limits, claimed = np.empty((numbers.size, 4)), np.zeros(numbers.size, np.bool_)
    for i in range(row // per_node, (row + rows - 1) // per_node + 1):
        top, bottom = max(i * per_node - row, 0), min((i + 1) * per_node - row, rows)
        for j in range(first // per_node, (first + wide - 1) // per_node + 1):
            left, right = max(j * per_node - first, 0), min((j + 1) * per_node - first, wide)
            cell = i - row // per_node, j - first // per_node
            low, high = ranges[0][cell], ranges[1][cell]
            for k in range(numbers.size):
                limits[k, 0], limits[k, 1] = _limits(lines[k], i, j, low - middle, high - middle)
                limits[k, 2], limits[k, 3] = _limits(columns[k], i, j, low - middle, high - middle)
            owner = _sole(limits, numbers, size, cut)
            claimed[:] = False
            for r in range(top, bottom):
                if owner > -2:
                    footprint[r, left:right] = numbers[owner] if owner >= 0 else 0
                    continue
                v = (row + r - i * per_node + 0.5) / per_node
                for x in range(left, right):
                    u, h = (first + x - j * per_node + 0.5) / per_node, heights[r, x] - middle
                    k = _owner_of_pixel(lines, columns, numbers, i, j, u, v, h, size, cut, limits)
                    footprint[r, x] = numbers[k] if k >= 0 else 0
                    if k >= 0:
                        claimed[k] = True
            for k in range(numbers.size):
                if claimed[k] or k == owner:
                    _note(spans[k], limits[k, 0], limits[k, 1], limits[k, 2], limits[k, 3])


def choose(
    nodes: Mapping[int, InverseGrid],
    pixels: Pixels,
    heights: NDArray[np.float32],
    ranges: NDArray[np.float32],
    size: tuple[int, int],
    cut: Cut,
    footprint: NDArray[np.uint8],
) -> dict[int, NDArray[np.int64]]:
    """Fill the footprint of a block, and return the lines that it needs of each detector in it.

    Parameters
    ----------
    nodes : mapping of int to InverseGrid
        By detector, all of one lattice.
    pixels : Pixels
    heights : (y, x) float32 [m]
    ranges : (2, row, column) float32 [m]
        See `cell_heights`.
    size : (int, int)
        Lines and columns of the images; each answers for half a pixel around its pixel centres.
    cut : {"middle", "lower", "higher"}
    footprint : (y, x) uint8
        Written: the detector of each pixel, 0 = none.

    Returns
    -------
    mapping of int to (strip, 2) int64
        First and last line between which pixels lie, in each `STRIP` of columns of a detector's image; the first is
        above the last in a strip that has none.

    Notes
    -----
    Of two equal distances the lower detector keeps the pixel. In an overlap the cut ``middle`` is where both are as far
    from their edges. ``lower`` and ``higher`` leave the whole overlap to one of them, up to the very edge of its image:
    both together give each ground point of the overlap as two detectors see it, two to seven seconds apart, which is
    how their calibration and registration are compared.
    """
    if cut not in CUTS:
        raise ConfigurationError(f"cut {cut!r}", "overlap of detectors", f"one of {', '.join(CUTS)}")
    if not nodes:
        footprint[:] = 0
        return {}
    numbers, grids = sorted(nodes), [nodes[d] for d in sorted(nodes)]
    spans = np.empty((len(numbers), -(-size[1] // STRIP), 2), np.int64)
    spans[..., 0], spans[..., 1] = _NOWHERE, -_NOWHERE
    k, grid = pixels.per_node, grids[0]
    start = k, pixels.row - grid.row * k, pixels.column - grid.column * k, grid.middle
    terms = np.stack([g.line for g in grids]), np.stack([g.column_of for g in grids])
    _choose(*terms, np.array(numbers), start, heights, ranges, size, CUTS.index(cut), footprint, spans)
    return {d: span for d, span in zip(numbers, spans, strict=True) if (span[:, 0] <= span[:, 1]).any()}
