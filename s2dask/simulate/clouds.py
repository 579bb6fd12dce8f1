"""Clouds over a swath of any size: tiles of fractal noise that do not repeat, blended."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.simulate.noise import NOISE_SIZE, fractal, tile_value

CELL: Final = 24.0
"""Of the noise [m]; a tile is 25 km wide."""
_BLEND: Final = 0.15
"""Of a tile, on either side of a border."""
_EDGE: Final = 0.12
"""Of the noise, from clear to opaque."""
_FIELDS: Final = 4


class _Tiles(NamedTuple):
    """The tiles that the rows or columns of a lattice cross.

    Attributes
    ----------
    own, other : (node) int64
        Tile of each, counted from the first, and the one it is blended with.
    weight : (node) float64
        Of its own, 1/2 at the border.
    number : (tile) int64
        Of every tile from the first on; 0 is the middle one.
    """

    own: NDArray[np.int64]
    other: NDArray[np.int64]
    weight: NDArray[np.float64]
    number: NDArray[np.int64]


class _Views(NamedTuple):
    """What the tiles show.

    Attributes
    ----------
    place : (tile, tile, 6) float64
        Column of the noise [cell] from x and y and a constant, then its row.
    field : (tile, tile) int64
        Which noise.
    limit : (tile, tile) float64
        Where clouds begin.
    """

    place: NDArray[np.float64]
    field: NDArray[np.int64]
    limit: NDArray[np.float64]


def _tiles(z: NDArray[np.float64]) -> _Tiles:
    """Cut coordinates [cell] into tiles, the middle of one of which is in the middle."""
    at = (z - 0.5 * (z[0] + z[-1])) / NOISE_SIZE + 0.5
    own = np.floor(at).astype(np.int64)
    inside = at - own
    other = np.where(inside < 0.5, own - 1, own + 1)
    share = np.minimum(np.minimum(inside, 1.0 - inside) / _BLEND, 1.0)
    first = min(own.min(), other.min())
    number = np.arange(first, max(own.max(), other.max()) + 1)
    return _Tiles(own - first, other - first, 0.5 + 0.5 * share * share * (3.0 - 2.0 * share), number)


def _views(seed: int, down: _Tiles, across: _Tiles, limits: NDArray[np.float64]) -> _Views:
    """Draw for each tile a noise, a place and one of eight orientations; the middle one shows the first as it lies."""
    shape = down.number.size, across.number.size
    out = _Views(np.zeros((*shape, 6)), np.zeros(shape, np.int64), np.zeros(shape))
    for r, j in enumerate(down.number):
        for c, i in enumerate(across.number):
            random = np.random.default_rng([seed, 5, int(i) % (1 << 32), int(j) % (1 << 32)])
            signs, shift, turned = random.choice([-1.0, 1.0], 2), random.integers(0, NOISE_SIZE, 2), random.integers(2)
            if i or j:
                out.field[r, c] = random.integers(limits.size)
                rows = np.array([[signs[0], 0.0, shift[0]], [0.0, signs[1], shift[1]]])
                out.place[r, c] = rows[:: -1 if turned else 1].ravel()
            else:
                out.place[r, c] = 1, 0, 0, 0, 1, 0
    out.limit[:] = limits[out.field]
    return out


@kernel
def _seen(x, y, row, column, views, fields):  # type: ignore[no-untyped-def]
    """Return the noise above its limit in the view of a tile."""
    p = views.place[row, column]
    u, v = p[0] * x + p[1] * y + p[2], p[3] * x + p[4] * y + p[5]
    return tile_value(fields[views.field[row, column]], u, v) - views.limit[row, column]


@kernel
def _blended(x, y, down, across, views, fields, out):  # type: ignore[no-untyped-def]
    """Opacity of the clouds, 0 to 255.

    Weighted sums of independent noise are divided by the root of the sum of the squared weights: it varies as much at
    borders as elsewhere, and what is above the limit has the same share of the sky.
    """
    for r in range(y.size):
        j, below, wy = down.own[r], down.other[r], down.weight[r]
        for c in range(x.size):
            i, beside, wx = across.own[c], across.other[c], across.weight[c]
            above = _seen(x[c], y[r], j, i, views, fields)
            if wx < 1.0 or wy < 1.0:
                base = views.limit[j, i]
                power = np.sqrt((wx**2 + (1.0 - wx) ** 2) * (wy**2 + (1.0 - wy) ** 2))
                total = wx * wy * (above + base)
                if wx < 1.0:
                    total += (1.0 - wx) * wy * (_seen(x[c], y[r], j, beside, views, fields) + views.limit[j, beside])
                if wy < 1.0:
                    total += wx * (1.0 - wy) * (_seen(x[c], y[r], below, i, views, fields) + views.limit[below, i])
                if wx < 1.0 and wy < 1.0:
                    corner = _seen(x[c], y[r], below, beside, views, fields) + views.limit[below, beside]
                    total += (1.0 - wx) * (1.0 - wy) * corner
                limit = wy * (wx * base + (1.0 - wx) * views.limit[j, beside])
                limit += (1.0 - wy) * (wx * views.limit[below, i] + (1.0 - wx) * views.limit[below, beside])
                above = total / power - limit
            out[r, c] = int(min(max(above / _EDGE, 0.0), 1.0) * 255.0)


def cloud_opacity(x: NDArray[np.float64], y: NDArray[np.float64], seed: int, cover: float) -> NDArray[np.uint8]:
    """Return the opacity of clouds, (row, column) uint8, 0 clear and 255 opaque.

    Parameters
    ----------
    x : (column) float64 [m]
    y : (row) float64 [m]
    seed : int
    cover : float
        Share of the sky that has clouds, 0 to 1.
    """
    out = np.zeros((y.size, x.size), np.uint8)
    if not cover:
        return out
    fields = np.stack([fractal((seed, 5, k) if k else (seed, 5), 2.0) for k in range(_FIELDS)])
    limits = np.array([np.quantile(field, 1.0 - cover) for field in fields])
    x, y = x / CELL, y / CELL
    down, across = _tiles(y), _tiles(x)
    _blended(x, y, down, across, _views(seed, down, across, limits), fields, out)
    return out
