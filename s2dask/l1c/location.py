"""Where each pixel of a tile lies in a detector image: a node lattice anchored at the tile's corner.

Nodes every 240 m hold line and column as parabolas of the height; between nodes they are bilinear, and each pixel
brings its own height. Nodes are found patch by patch, always whole patches, so that a pixel gets the same bits in
whatever block it is computed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.errors import ConfigurationError
from s2dask.geometry.inverse_grid import STEP, layers
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band
from s2dask.kernels import kernel

PATCH: Final = 8
"""Nodes on the edge of a patch: what is searched in one go."""
_SLANT: Final = 0.3
"""Upper bound of the ground shift per metre of height seen from a detector's edge."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """A block of pixels of one resolution, counted from the tile's corner.

    Attributes
    ----------
    resolution : int
        [m], a divisor of the node spacing.
    row, column : int
        First pixel.
    rows, columns : int
    """

    resolution: int
    row: int
    column: int
    rows: int
    columns: int

    @property
    def per_node(self) -> int:
        """Pixels between two nodes."""
        return int(STEP) // self.resolution

    def nodes(self) -> tuple[int, int, int, int]:
        """Return the nodes around the pixels: first row, first column, rows, columns."""
        k = self.per_node
        row, column = self.row // k, self.column // k
        stop, right = (self.row + self.rows - 1) // k + 2, (self.column + self.columns - 1) // k + 2
        return row, column, stop - row, right - column

    def strips(self, rows: int) -> "list[tuple[slice, Pixels]]":
        """Return the block cut into strips of at most so many rows, each with its rows in the block."""
        starts = range(0, self.rows, rows)
        parts = [
            Pixels(self.resolution, self.row + r, self.column, min(rows, self.rows - r), self.columns) for r in starts
        ]
        return [(slice(r, r + part.rows), part) for r, part in zip(starts, parts, strict=True)]

    def part(self, first: int, stop: int) -> "Pixels":
        """Return some columns of the block, counted from its first."""
        return Pixels(self.resolution, self.row, self.column + first, self.rows, stop - first)


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Nodes around a block, in whole patches.

    Attributes
    ----------
    row, column : int
        Rank of the first node, counted from the tile's corner: multiples of `PATCH`.
    lon, lat : (row, column) float64 [degree]
    """

    row: int
    column: int
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]

    def patches(self) -> list[tuple[slice, slice]]:
        """Return the index ranges of the patches."""
        rows, columns = self.lon.shape
        return [
            (slice(i, i + PATCH), slice(j, j + PATCH))
            for i in range(0, rows, PATCH)
            for j in range(0, columns, PATCH)
        ]


def build_lattice(crs: str, x0: float, y0: float, pixels: Pixels) -> Lattice:
    """Return the nodes around a block of a tile with its upper left corner at (x0, y0) [m]."""
    if int(STEP) % pixels.resolution:
        raise ConfigurationError(f"resolution {pixels.resolution} m", "location", "use 10, 20 or 60 m")
    row, column, rows, columns = pixels.nodes()
    first, left = row // PATCH * PATCH, column // PATCH * PATCH
    stop, right = -(-(row + rows) // PATCH) * PATCH, -(-(column + columns) // PATCH) * PATCH
    x, y = x0 + STEP * np.arange(left, right), y0 - STEP * np.arange(first, stop)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    return Lattice(first, left, np.asarray(lon), np.asarray(lat))


@dataclass(frozen=True, slots=True, eq=False)
class NodeGrid:
    """Line and column of the nodes of a lattice as parabolas of the height.

    Attributes
    ----------
    row, column : int
        Rank of the first node.
    middle : float
        Height at which the parabolas are centred [m].
    line, column_of : (term, row, column) float64
        Terms of 1, h, h^2, with h the height above `middle`; NaN where the detector does not look.
    """

    row: int
    column: int
    middle: float
    line: NDArray[np.float64]
    column_of: NDArray[np.float64]

    def span(self, pixels: Pixels) -> tuple[int, int]:
        """Return the first and last + 1 column of a block that the detector may see; equal when there is none."""
        row, column, rows, columns = pixels.nodes()
        top, left, k = row - self.row, column - self.column, pixels.per_node
        known = np.flatnonzero(np.isfinite(self.line[0, top : top + rows, left : left + columns]).any(axis=0))
        if not known.size:
            return 0, 0
        first = max((column + int(known[0])) * k - pixels.column, 0)
        stop = min((column + int(known[-1])) * k - pixels.column, pixels.columns)
        return (first, stop) if first < stop else (0, 0)


def seen_patches(
    model: ViewingModel, name: str, detector: int, lattice: Lattice, heights: tuple[float, float], lines: int
) -> NDArray[np.bool_]:
    """Return which patches of a lattice (patch) a detector may see: all that it does, and some beside it."""
    low, middle, high = layers(*heights)
    i = np.array([[rows.start, columns.start] for rows, columns in lattice.patches()]).T
    centre = PATCH // 2
    lon, lat = lattice.lon[i[0] + centre, i[1] + centre], lattice.lat[i[0] + centre, i[1] + centre]
    reach = 1.2 * ((centre + 2) * 1.42 * STEP + _SLANT * (high - low)) / band(name).resolution
    line, _ = model.inverse(name, detector, lon, lat, middle, reach)
    with np.errstate(invalid="ignore"):
        return np.asarray((line > -reach) & (line < lines + reach))


def locate_nodes(
    model: ViewingModel, name: str, detector: int, lattice: Lattice, heights: tuple[float, float], lines: int
) -> NodeGrid | None:
    """Return line and column of the nodes in a detector image, None when it sees nothing of them.

    Parameters
    ----------
    model : ViewingModel
    name : str
        Band.
    detector : int
    lattice : Lattice
    heights : (float, float)
        Ellipsoidal height range of the whole tile [m].
    lines : int
        Of the image.
    """
    seen = seen_patches(model, name, detector, lattice, heights, lines)
    if not seen.any():
        return None
    level = layers(*heights)
    half = float(level[2] - level[1])
    margin = (3.0 * STEP + 2.0 * _SLANT * half) / band(name).resolution
    line = np.full((3, *lattice.lon.shape), np.nan)
    column = line.copy()
    for (rows, columns), wanted in zip(lattice.patches(), seen, strict=True):
        if wanted:
            place = (slice(None), rows, columns)
            # one call per patch, of whole patches: the search starts from its last point, which must be the same
            line[place], column[place] = model.inverse(
                name, detector, lattice.lon[rows, columns], lattice.lat[rows, columns], level[:, None, None], margin
            )
    return NodeGrid(
        lattice.row, lattice.column, float(level[1]), _parabolas(line, half), _parabolas(column, half)
    )


def _parabolas(value: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    low, middle, high = value
    return np.stack([middle, (high - low) / (2 * half), (high - 2 * middle + low) / (2 * half * half)])


@kernel
def _between(nodes, row, per_node, out):  # type: ignore[no-untyped-def]
    """Write the terms (term, node column) on a pixel row, counted from the first node."""
    i = row // per_node
    v = (row - i * per_node + 0.5) / per_node
    for t in range(nodes.shape[0]):
        above, below = nodes[t, i], nodes[t, i + 1]
        for j in range(above.size):
            out[t, j] = above[j] + v * (below[j] - above[j])


@kernel
def _locate(line, column, per_node, row, first, heights, left, middle, out_line, out_column):  # type: ignore[no-untyped-def]
    rows, columns = out_line.shape
    a, b = np.empty((3, line.shape[2])), np.empty((3, line.shape[2]))
    step = 1.0 / per_node
    for r in range(rows):
        _between(line, row + r, per_node, a)
        _between(column, row + r, per_node, b)
        x = 0
        while x < columns:
            j = (first + x) // per_node
            start = first + x - j * per_node
            n = min(per_node - start, columns - x)
            a0, a1, a2, b0, b1, b2 = a[0, j], a[1, j], a[2, j], b[0, j], b[1, j], b[2, j]
            da0, da1, da2 = a[0, j + 1] - a0, a[1, j + 1] - a1, a[2, j + 1] - a2
            db0, db1, db2 = b[0, j + 1] - b0, b[1, j + 1] - b1, b[2, j + 1] - b2
            for q in range(n):
                u, h = (start + q + 0.5) * step, heights[r, left + x + q] - middle
                out_line[r, x + q] = (a0 + u * da0) + h * ((a1 + u * da1) + h * (a2 + u * da2))
                out_column[r, x + q] = (b0 + u * db0) + h * ((b1 + u * db1) + h * (b2 + u * db2))
            x += n


@kernel
def spread(nodes, per_node, row, first, out):  # type: ignore[no-untyped-def]
    """Write the values of nodes (1, row, column) at pixel centres, bilinear; the indices count from the first node."""
    line = np.empty((1, nodes.shape[2]))
    step = 1.0 / per_node
    for r in range(out.shape[0]):
        _between(nodes, row + r, per_node, line)
        x = 0
        while x < out.shape[1]:
            j = (first + x) // per_node
            start = first + x - j * per_node
            n = min(per_node - start, out.shape[1] - x)
            a, d = line[0, j], line[0, j + 1] - line[0, j]
            for q in range(n):
                out[r, x + q] = a + ((start + q + 0.5) * step) * d
            x += n


class Scratch:
    """Memory for line and column of a strip, used again for the next one: fresh pages cost more than the location.

    Parameters
    ----------
    size : int
        Pixels of the largest strip.
    """

    def __init__(self, size: int) -> None:
        self._line, self._column = np.empty(size), np.empty(size)

    def take(self, rows: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return two arrays (rows, columns) whose content is undefined."""
        n = rows * columns
        return self._line[:n].reshape(rows, columns), self._column[:n].reshape(rows, columns)


def locate(
    nodes: NodeGrid, pixels: Pixels, heights: NDArray[np.float32], first: int = 0, scratch: Scratch | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return line and column (y, x) of the centres of pixels; NaN where the detector does not look.

    Parameters
    ----------
    nodes : NodeGrid
    pixels : Pixels
    heights : (y, x) float32 [m]
        Ellipsoidal; of all columns or more.
    first : int
        Column of `heights` that the pixels begin with.
    scratch : Scratch, optional
        Where the result is kept, until its next use.
    """
    k = pixels.per_node
    space = scratch or Scratch(pixels.rows * pixels.columns)
    line, column = space.take(pixels.rows, pixels.columns)
    _locate(
        nodes.line, nodes.column_of, k, pixels.row - nodes.row * k, pixels.column - nodes.column * k, heights, first,
        nodes.middle, line, column,
    )  # fmt: skip
    return line, column


@kernel
def window_height(lon, lat, frame, posts):  # type: ignore[no-untyped-def]
    """Return the height at a place of a terrain window [m], bilinear; its edge is carried on outside."""
    x = min(max((lon - frame[0]) / frame[2], 0.0), posts.shape[1] - 1.0)
    y = min(max((frame[1] - lat) / frame[3], 0.0), posts.shape[0] - 1.0)
    i, j = min(int(x), posts.shape[1] - 2), min(int(y), posts.shape[0] - 2)
    u, v = x - i, y - j
    north = posts[j, i] * (1.0 - u) + posts[j, i + 1] * u
    south = posts[j + 1, i] * (1.0 - u) + posts[j + 1, i + 1] * u
    return north * (1.0 - v) + south * v


@kernel
def _heights(lonlat, per_node, row, first, frame, posts, out):  # type: ignore[no-untyped-def]
    rows, columns = out.shape
    a = np.empty((2, lonlat.shape[2]))
    step = 1.0 / per_node
    for r in range(rows):
        _between(lonlat, row + r, per_node, a)
        for x in range(columns):
            j = (first + x) // per_node
            u = (first + x - j * per_node + 0.5) * step
            lon = a[0, j] + u * (a[0, j + 1] - a[0, j])
            lat = a[1, j] + u * (a[1, j + 1] - a[1, j])
            out[r, x] = window_height(lon, lat, frame, posts)


def pixel_heights(
    lattice: Lattice, pixels: Pixels, frame: NDArray[np.float64], posts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the ellipsoidal height (y, x) [m] at the centres of the pixels.

    Parameters
    ----------
    lattice : Lattice
    pixels : Pixels
    frame : (4) float64 [degree]
        Longitude and latitude of the first post, spacing in longitude and latitude.
    posts : (y, x) float32 [m]
        Ellipsoidal heights.

    Notes
    -----
    Longitude and latitude are bilinear between the nodes, 1 mm from the projection. The window must be the same for
    all blocks of a tile, since its grid depends on its extent; outside it the height of its edge is given.
    """
    out = np.empty((pixels.rows, pixels.columns), np.float32)
    k = pixels.per_node
    lonlat = np.stack([lattice.lon, lattice.lat])
    _heights(lonlat, k, pixels.row - lattice.row * k, pixels.column - lattice.column * k, frame, posts, out)
    return out
