"""Kernels between grids: means over cells of pixels, and what lies between coarse nodes.

A cell is what one 60 m pixel covers; a tile of 10 m pixels has 6 x 6 in each, but for the last row and column of a
decimated tile.
"""

import numpy as np

from s2dask.kernels import bare_kernel, inline_kernel, kernel

SATURATED = 6.45
"""Reflectance of the code 65535 with the usual offset, as it comes out of float32 [1]."""
BOW = 0.075
"""How coefficients bend between two heights 500 m apart, beside what lies linearly between them. Aerosol and air thin
out like ``exp(-h / 2 km)`` and ``exp(-h / 8 km)``, which bends by 0.14 and 0.03: one number serves all bands."""


@inline_kernel
def bent(w):  # type: ignore[no-untyped-def]
    """Return the weight of the upper of two heights, of a place `w` of the way up."""
    return w + BOW * w * (1.0 - w)


@inline_kernel
def _held(value):  # type: ignore[no-untyped-def]
    return np.float32(np.inf) if value > SATURATED else value


@bare_kernel
def _add_line(line, factor, full, total):  # type: ignore[no-untyped-def]
    """Add the pixels of a line to the sums of their cells, of which `full` are whole, each pixel after the other.

    Cells side by side are summed at the same time, which the compiler sees where the factor is written out.
    """
    if factor == 2:
        for j in range(full):
            total[j] = (total[j] + _held(line[2 * j])) + _held(line[2 * j + 1])
    elif factor == 3:
        for j in range(full):
            total[j] = ((total[j] + _held(line[3 * j])) + _held(line[3 * j + 1])) + _held(line[3 * j + 2])
    elif factor == 6:
        for j in range(full):
            half = ((total[j] + _held(line[6 * j])) + _held(line[6 * j + 1])) + _held(line[6 * j + 2])
            total[j] = ((half + _held(line[6 * j + 3])) + _held(line[6 * j + 4])) + _held(line[6 * j + 5])
    else:
        for x in range(full * factor):
            total[x // factor] += _held(line[x])
    for x in range(full * factor, line.size):
        total[full] += _held(line[x])


@kernel
def cell_means(image, factor):  # type: ignore[no-untyped-def]
    """Return the mean over cells of `factor` x `factor` pixels.

    Parameters
    ----------
    image : (y, x) float32 [1]
        Reflectance, NaN without data.
    factor : int

    Returns
    -------
    (row, column) float32 [1]
        NaN where any pixel of the cell has no data, infinite where any is saturated.
    """
    rows, columns = image.shape
    full = columns // factor
    out = np.zeros((-(-rows // factor), -(-columns // factor)), np.float32)
    for i in range(out.shape[0]):
        high = min(factor, rows - i * factor)
        for y in range(i * factor, i * factor + high):
            _add_line(image[y], factor, full, out[i])
        for j in range(out.shape[1]):
            wide = factor if j < full else columns - full * factor
            out[i, j] /= np.float32(high * wide)
    return out


@kernel
def saturate(image):  # type: ignore[no-untyped-def]
    """Make saturated pixels of an image (y, x) float32 [1] infinite, in place."""
    for y in range(image.shape[0]):
        some = False
        for x in range(image.shape[1]):
            some |= image[y, x] > SATURATED
        if some:
            for x in range(image.shape[1]):
                image[y, x] = _held(image[y, x])


@kernel
def cell_union(bits, factor):  # type: ignore[no-untyped-def]
    """Return the union of flags over cells: (y, x) uint8 -> (row, column) uint8."""
    rows, columns = bits.shape
    out = np.zeros((-(-rows // factor), -(-columns // factor)), np.uint8)
    for y in range(rows):
        for j in range(out.shape[1]):
            for x in range(j * factor, min((j + 1) * factor, columns)):
                out[y // factor, j] |= bits[y, x]
    return out


@kernel
def cell_middles(image, factor, out):  # type: ignore[no-untyped-def]
    """Write the pixel in the middle of each cell, of a cut one the last: (y, x) uint8 -> (row, column) uint8."""
    rows, columns = image.shape
    for i in range(out.shape[0]):
        y = min(factor * i + factor // 2, rows - 1)
        for j in range(out.shape[1]):
            out[i, j] = image[y, min(factor * j + factor // 2, columns - 1)]


@bare_kernel
def _spread(cells, factor, line):  # type: ignore[no-untyped-def]
    """Write the value of its cell to each pixel of a line."""
    for j in range(cells.size):
        value = cells[j]
        for x in range(j * factor, min((j + 1) * factor, line.size)):
            line[x] = value


@kernel
def repeat(cells, factor, rows, columns):  # type: ignore[no-untyped-def]
    """Return (rows, columns) pixels of which each has the value of its cell."""
    out = np.empty((rows, columns), cells.dtype)
    for y in range(rows):
        if y % factor:
            out[y] = out[y - 1]
        else:
            _spread(cells[y // factor], factor, out[y])
    return out


@kernel
def repeat_where(cells, factor, seen, out):  # type: ignore[no-untyped-def]
    """Give pixels the value of their cell, 0 where nothing is seen.

    Parameters
    ----------
    cells : (row, column) uint16
    factor : int
    seen : (y, x) uint16
        0 where nothing is.
    out : (y, x) uint16
        Filled.
    """
    rows, columns = seen.shape
    line = np.empty(columns, cells.dtype)
    for y in range(rows):
        if y % factor == 0:
            _spread(cells[y // factor], factor, line)
        for x in range(columns):
            out[y, x] = line[x] if seen[y, x] != 0 else 0


@kernel
def between_nodes(nodes, rows, columns):  # type: ignore[no-untyped-def]
    """Return the bilinear value of a field of nodes.

    Parameters
    ----------
    nodes : (ny, nx) float64
    rows, columns : (row), (column) float64
        Positions, in nodes.

    Returns
    -------
    (row, column) float64
    """
    ny, nx = nodes.shape
    out = np.empty((rows.size, columns.size))
    left, u = np.empty(columns.size, np.int64), np.empty(columns.size)
    for b in range(columns.size):
        x = min(max(columns[b], 0.0), nx - 1.0)
        left[b] = min(int(x), max(nx - 2, 0))
        u[b] = x - left[b]
    for a in range(rows.size):
        y = min(max(rows[a], 0.0), ny - 1.0)
        i = min(int(y), max(ny - 2, 0))
        v, i1 = y - i, min(i + 1, ny - 1)
        for b in range(columns.size):
            j, j1 = left[b], min(left[b] + 1, nx - 1)
            north = nodes[i, j] * (1.0 - u[b]) + nodes[i, j1] * u[b]
            south = nodes[i1, j] * (1.0 - u[b]) + nodes[i1, j1] * u[b]
            out[a, b] = north * (1.0 - v) + south * v
    return out


@kernel
def cell_coefficients(table, low, step, rows, columns, slot, elevation, out):  # type: ignore[no-untyped-def]
    """Interpolate coefficients to cells, in place and height.

    Parameters
    ----------
    table : (slot, height, ny, nx, coefficient) float64
        One slot per detector.
    low, step : float [m]
        First height and spacing.
    rows, columns : (row), (column) float64
        Positions of the cells, in nodes.
    slot : (row, column) uint8
    elevation : (row, column) float32 [m]
    out : (row, column, coefficient) float64
        Filled.
    """
    heights, ny, nx, kinds = table.shape[1:]
    for a in range(rows.size):
        y = min(max(rows[a], 0.0), ny - 1.0)
        i = min(int(y), max(ny - 2, 0))
        v, i1 = y - i, min(i + 1, ny - 1)
        for b in range(columns.size):
            x = min(max(columns[b], 0.0), nx - 1.0)
            j = min(int(x), max(nx - 2, 0))
            u, j1 = x - j, min(j + 1, nx - 1)
            z = min(max((elevation[a, b] - low) / step, 0.0), heights - 1.0)
            k = min(int(z), max(heights - 2, 0))
            w, k1 = bent(z - k), min(k + 1, heights - 1)
            t = table[slot[a, b]]
            for c in range(kinds):
                upper = (t[k, i, j, c] * (1.0 - u) + t[k, i, j1, c] * u) * (1.0 - v)
                upper += (t[k, i1, j, c] * (1.0 - u) + t[k, i1, j1, c] * u) * v
                above = (t[k1, i, j, c] * (1.0 - u) + t[k1, i, j1, c] * u) * (1.0 - v)
                above += (t[k1, i1, j, c] * (1.0 - u) + t[k1, i1, j1, c] * u) * v
                out[a, b, c] = upper * (1.0 - w) + above * w


@kernel
def coefficients_at(table, low, step, y, x, elevation, out):  # type: ignore[no-untyped-def]
    """Interpolate coefficients to one place.

    Parameters
    ----------
    table : (height, ny, nx, coefficient) float64
    low, step : float [m]
        First height and spacing.
    y, x : float
        Position, in nodes.
    elevation : float [m]
    out : (coefficient) float64
        Filled.
    """
    heights, ny, nx, kinds = table.shape
    v, u = min(max(y, 0.0), ny - 1.0), min(max(x, 0.0), nx - 1.0)
    i, j = min(int(v), max(ny - 2, 0)), min(int(u), max(nx - 2, 0))
    v, u, i1, j1 = v - i, u - j, min(i + 1, ny - 1), min(j + 1, nx - 1)
    z = min(max((elevation - low) / step, 0.0), heights - 1.0)
    k = min(int(z), max(heights - 2, 0))
    w, k1 = bent(z - k), min(k + 1, heights - 1)
    for c in range(kinds):
        lower = (table[k, i, j, c] * (1.0 - u) + table[k, i, j1, c] * u) * (1.0 - v)
        lower += (table[k, i1, j, c] * (1.0 - u) + table[k, i1, j1, c] * u) * v
        upper = (table[k1, i, j, c] * (1.0 - u) + table[k1, i, j1, c] * u) * (1.0 - v)
        upper += (table[k1, i1, j, c] * (1.0 - u) + table[k1, i1, j1, c] * u) * v
        out[c] = lower * (1.0 - w) + upper * w


@kernel
def scattered_coefficients(table, low, step, y, x, slot, elevation, out):  # type: ignore[no-untyped-def]
    """Interpolate coefficients to scattered cells.

    Parameters
    ----------
    table : (slot, height, ny, nx, coefficient) float64
    low, step : float [m]
        First height and spacing.
    y, x : (cell) float64
        Positions, in nodes.
    slot : (cell) uint8
    elevation : (cell) float32 [m]
    out : (cell, coefficient) float64
        Filled.
    """
    for i in range(y.size):
        coefficients_at(table[slot[i]], low, step, y[i], x[i], elevation[i], out[i])


@kernel
def around(mask, radius):  # type: ignore[no-untyped-def]
    """Return where a mask is set in a square of `radius` cells to every side: (row, column) bool -> the same."""
    rows, columns = mask.shape
    across, out = np.zeros((rows, columns), np.bool_), np.zeros((rows, columns), np.bool_)
    for i in range(rows):
        for j in range(columns):
            if mask[i, j]:
                across[i, max(j - radius, 0) : j + radius + 1] = True
    for i in range(rows):
        for k in range(max(i - radius, 0), min(i + radius + 1, rows)):
            for j in range(columns):
                out[i, j] |= across[k, j]
    return out
