"""The pixels of a block on the 3-D inverse grid: where each lies in a detector image, and how high."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.geometry.inverse_grid import STEP, InverseGrid, Lattice, between, lattice_of, locate_pixels
from s2dask.kernels import kernel
from s2dask.l1c.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Pixels:
    """A block of pixels of one resolution, counted from the tile's corner.

    Attributes
    ----------
    resolution : float
        [unit of the map], a divisor of the node spacing.
    row, column : int
        First pixel.
    rows, columns : int
    node : float
        Spacing of the nodes [unit of the map], at most `STEP` on the ground.
    """

    resolution: float
    row: int
    column: int
    rows: int
    columns: int
    node: float = STEP

    @property
    def per_node(self) -> int:
        """Pixels between two nodes."""
        return round(self.node / self.resolution)

    def nodes(self) -> tuple[int, int, int, int]:
        """Return the nodes around the pixels: first row, first column, rows, columns."""
        k = self.per_node
        row, column = self.row // k, self.column // k
        stop, right = (self.row + self.rows - 1) // k + 2, (self.column + self.columns - 1) // k + 2
        return row, column, stop - row, right - column

    def strips(self, rows: int) -> "list[tuple[slice, Pixels]]":
        """Return the block cut into strips of at most so many rows, each with its rows in the block."""
        starts = range(0, self.rows, rows)
        parts = [replace(self, row=self.row + r, rows=min(rows, self.rows - r)) for r in starts]
        return [(slice(r, r + part.rows), part) for r, part in zip(starts, parts, strict=True)]


def build_lattice(crs: str, x0: float, y0: float, pixels: Pixels) -> Lattice:
    """Return the nodes around a block of a tile with its upper left corner at (x0, y0) [unit of the map]."""
    if abs(pixels.per_node * pixels.resolution - pixels.node) > 1e-9 * pixels.node:
        raise ConfigurationError(f"resolution {pixels.resolution}", "location", f"use a divisor of {pixels.node:g}")
    return lattice_of(crs, x0, y0, pixels.nodes(), pixels.node)


@kernel
def spread(nodes, per_node, row, first, out):  # type: ignore[no-untyped-def]
    """Write the values of nodes (1, row, column) at pixel centres, bilinear; the indices count from the first node."""
    line = np.empty((1, nodes.shape[2]))
    step = 1.0 / per_node
    for r in range(out.shape[0]):
        between(nodes, row + r, per_node, line)
        x = 0
        while x < out.shape[1]:
            j = (first + x) // per_node
            start = first + x - j * per_node
            n = min(per_node - start, out.shape[1] - x)
            a, d = line[0, j], line[0, j + 1] - line[0, j]
            for q in range(n):
                out[r, x + q] = a + ((start + q + 0.5) * step) * d
            x += n


def locate(
    nodes: InverseGrid, pixels: Pixels, heights: NDArray[np.float32], scratch: Scratch | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return line and column (y, x) of the centres of pixels; NaN where the detector does not look.

    Parameters
    ----------
    nodes : InverseGrid
    pixels : Pixels
    heights : (y, x) float32 [m]
        Ellipsoidal.
    scratch : Scratch, optional
        Where the result is kept, until its next use.
    """
    k, space, shape = pixels.per_node, scratch or Scratch(), (pixels.rows, pixels.columns)
    line, column = space.take("line", shape, np.float64), space.take("column", shape, np.float64)
    locate_pixels(
        nodes.line, nodes.column_of, k, pixels.row - nodes.row * k, pixels.column - nodes.column * k, heights, 0,
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
        between(lonlat, row + r, per_node, a)
        x = 0
        while x < columns:
            j = (first + x) // per_node
            start = first + x - j * per_node
            n = min(per_node - start, columns - x)
            lon, lat, d_lon, d_lat = a[0, j], a[1, j], a[0, j + 1] - a[0, j], a[1, j + 1] - a[1, j]
            for q in range(n):
                u = (start + q + 0.5) * step
                out[r, x + q] = window_height(lon + u * d_lon, lat + u * d_lat, frame, posts)
            x += n


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
