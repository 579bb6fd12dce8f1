"""The numbers by which the pixels of a band are inverted, from its coefficients at nodes in one go."""

import numpy as np

from s2dask.kernels import bare_kernel, kernel
from s2dask.l2a.cells import bent
from s2dask.l2a.inversion import KINDS, LINES, lines_of_row


@bare_kernel
def _fill(t, north, south, v, left, right, u, w, begin, end, out):  # type: ignore[no-untyped-def]
    """Write the coefficients of cells of a row between the same nodes: `t` is (2, ny, nx, kind), below and above."""
    for c in range(KINDS):
        a, b = (t[0, north, left, c], t[0, south, left, c]), (t[0, north, right, c], t[0, south, right, c])
        low, low_right = a[0] * (1.0 - v) + a[1] * v, b[0] * (1.0 - v) + b[1] * v
        a, b = (t[1, north, left, c], t[1, south, left, c]), (t[1, north, right, c], t[1, south, right, c])
        high, high_right = a[0] * (1.0 - v) + a[1] * v, b[0] * (1.0 - v) + b[1] * v
        for x in range(begin, end):
            lower = low * (1.0 - u[x]) + low_right * u[x]
            upper = high * (1.0 - u[x]) + high_right * u[x]
            out[c, x] = lower * (1.0 - w[x]) + upper * w[x]


@bare_kernel
def _places(elevation, low, step, heights, k, w):  # type: ignore[no-untyped-def]
    """Write the height below each cell of a row, and how far the cell is from it to the next."""
    for b in range(elevation.size):
        z = min(max((elevation[b] - low) / step, 0.0), heights - 1.0)
        k[b] = min(np.int32(z), max(heights - 2, 0))
        w[b] = bent(z - k[b])


@kernel
def band_lines(table, low, step, rows, columns, slot, elevation, vapour, a, n, around, sky, cirrus, growth, out):  # type: ignore[no-untyped-def]
    """Return what `s2dask.l2a.inversion.cell_lines` makes of `s2dask.l2a.cells.cell_coefficients`.

    Cells of a row that lie between the same nodes, seen by the same detector, share what is worked out of the nodes;
    no coefficient leaves the cache of the core.

    Parameters
    ----------
    table, low, step, rows, columns, slot, elevation
        See `s2dask.l2a.cells.cell_coefficients`.
    vapour, a, n, around, sky, cirrus, growth
        See `s2dask.l2a.inversion.cell_lines`.
    out : (row, column, 6) float32
        Filled.
    """
    heights, ny, nx, _ = table.shape[1:]
    width = columns.size
    left, u = np.empty(width, np.int32), np.empty(width)
    for b in range(width):
        x = min(max(columns[b], 0.0), nx - 1.0)
        left[b] = min(int(x), max(nx - 2, 0))
        u[b] = x - left[b]
    k, w = np.empty(width, np.int32), np.empty(width)
    cells, lines = np.empty((KINDS, width)), np.empty((LINES, width), np.float32)
    for r in range(rows.size):
        y = min(max(rows[r], 0.0), ny - 1.0)
        i = min(int(y), max(ny - 2, 0))
        _places(elevation[r], low, step, heights, k, w)
        begin = 0
        for b in range(1, width + 1):
            alike = b < width and left[b] == left[begin] and slot[r, b] == slot[r, begin]
            if alike and k[b] == k[begin]:
                continue
            j, south, t = left[begin], min(i + 1, ny - 1), table[slot[r, begin], k[begin] : k[begin] + 2]
            _fill(t, i, south, y - i, j, min(j + 1, nx - 1), u, w, begin, b, cells)
            begin = b
        lines_of_row(cells, vapour[r], a, n, around[r], sky[r], cirrus[r], growth, lines, out[r])
