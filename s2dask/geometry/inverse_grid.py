"""The 3-D inverse grid: smooth viewing geometry kept apart from the terrain.

Nodes every 240 m, counted from a tile's corner, hold line and column at three heights, as parabolas of the height;
between nodes they are bilinear, and each pixel brings its own height: 0.02 m against metres for a plain grid of the
same size. Nodes are found patch by patch, always whole patches, so that a pixel gets the same bits in whatever part
of the tile it is computed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.terrain import Terrain
from s2dask.errors import InputError
from s2dask.geometry.tiles import map_positions
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band
from s2dask.kernels import kernel

STEP: Final = 240.0
"""Node spacing [m]: fine enough to follow the 10 Hz attitude, a multiple of every pixel."""
PATCH: Final = 8
"""Nodes on the edge of a patch: what is searched in one go."""
EARTH_HEIGHTS: Final = (-500.0, 9000.0)
"""Range that holds all land [m]."""
_SLANT: Final = 0.3
"""Upper bound of the ground shift per metre of height seen from a detector's edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Nodes of a part of a tile, in whole patches.

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

    def corners(self) -> NDArray[np.int64]:
        """Return the index (axis, patch) of the first node of each patch, row by row."""
        rows, columns = self.lon.shape
        return np.asarray(np.mgrid[0:rows:PATCH, 0:columns:PATCH].reshape(2, -1), np.int64)

    def patches(self, which: NDArray[np.bool_]) -> list[tuple[slice, slice]]:
        """Return the index ranges of some of the patches (patch)."""
        corners = self.corners()[:, which].T.tolist()
        return [(slice(i, i + PATCH), slice(j, j + PATCH)) for i, j in corners]


def lattice_of(crs: str, x0: float, y0: float, nodes: tuple[int, int, int, int], step: float = STEP) -> Lattice:
    """Return the patches that hold some nodes (first row, first column, rows, columns) of a tile.

    Parameters
    ----------
    crs : str
    x0, y0 : float
        Upper left corner of the tile, where the first node lies [unit of the map].
    nodes : (int, int, int, int)
    step : float
        Node spacing [unit of the map], at most `STEP` on the ground.
    """
    row, column, rows, columns = nodes
    first, left = row // PATCH * PATCH, column // PATCH * PATCH
    stop, right = -(-(row + rows) // PATCH) * PATCH, -(-(column + columns) // PATCH) * PATCH
    x, y = x0 + step * np.arange(left, right), y0 - step * np.arange(first, stop)
    return Lattice(first, left, *map_positions(crs, (x0, y0), *np.meshgrid(x, y)))


@dataclass(frozen=True, slots=True, eq=False)
class InverseGrid:
    """Line and column of nodes in the image of one detector and band, as parabolas of the height.

    Attributes
    ----------
    row, column : int
        Rank of the first node, counted from the corner of the tile.
    middle, half : float
        Ellipsoidal height of the middle layer, and from there to the outer ones [m].
    line, column_of : (term, row, column) float64
        Terms of 1, h, h^2, with h the height above `middle`; 0-based; NaN where the detector does not look.
    """

    row: int
    column: int
    middle: float
    half: float
    line: NDArray[np.float64]
    column_of: NDArray[np.float64]

    @property
    def heights(self) -> NDArray[np.float64]:
        """Heights of the three layers [m]; between and near them the grid is accurate."""
        return self.middle + self.half * np.array([-1.0, 0.0, 1.0])

    def layers(self) -> NDArray[np.float64]:
        """Return line and column (2, height, row, column) at the three heights."""
        h = self.half * np.array([-1.0, 0.0, 1.0])[:, None, None]
        return np.stack([t[0] + h * (t[1] + h * t[2]) for t in (self.line, self.column_of)])

    @classmethod
    def of_layers(
        cls, row: int, column: int, heights: NDArray[np.float64], line: NDArray[np.float64],
        column_of: NDArray[np.float64],
    ) -> "InverseGrid":
        """Return the grid of lines and columns (height, row, column) at three equidistant heights [m]."""
        half = float(heights[2] - heights[1])
        return cls(row, column, float(heights[1]), half, _parabolas(line, half), _parabolas(column_of, half))

    def cropped(self) -> "InverseGrid":
        """Return the part of the grid that holds all known nodes."""
        known = np.isfinite(self.line[0])
        r, c = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
        part = (slice(None), slice(r[0], r[-1] + 1), slice(c[0], c[-1] + 1))
        terms = (np.ascontiguousarray(t[part]) for t in (self.line, self.column_of))
        return InverseGrid(self.row + int(r[0]), self.column + int(c[0]), self.middle, self.half, *terms)

    def locate(
        self, right: ArrayLike, down: ArrayLike, height: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return line and column of places in the tile.

        Parameters
        ----------
        right, down : (…) float [m]
            From the corner of the tile.
        height : (…) float [m]
            Ellipsoidal.

        Returns
        -------
        two arrays of the broadcast shape; NaN where the detector does not look, and outside the nodes
        """
        x, y, h = (np.asarray(a, np.float64) for a in np.broadcast_arrays(right, down, height))
        line, column = np.empty(x.shape), np.empty(x.shape)
        _locate_places(
            self.line, self.column_of, np.ascontiguousarray(x).ravel() / STEP - self.column,
            np.ascontiguousarray(y).ravel() / STEP - self.row, np.ascontiguousarray(h).ravel() - self.middle,
            line.ravel(), column.ravel(),
        )  # fmt: skip
        return line, column


def layers(low: float, high: float) -> NDArray[np.float64]:
    """Return three heights that hold a range, at least 100 m apart."""
    middle, half = 0.5 * (low + high), max(0.5 * (high - low) + 10.0, 100.0)
    return np.array([middle - half, middle, middle + half])


def seen_patches(
    model: ViewingModel, name: str, detector: int, lattice: Lattice, heights: tuple[float, float], lines: float
) -> NDArray[np.bool_]:
    """Return which patches of a lattice (patch) a detector may see: all that it does, and some beside it."""
    low, middle, high = layers(*heights)
    i, centre = lattice.corners(), PATCH // 2
    lon, lat = lattice.lon[i[0] + centre, i[1] + centre], lattice.lat[i[0] + centre, i[1] + centre]
    reach = 1.2 * ((centre + 2) * 1.42 * STEP + _SLANT * (high - low)) / band(name).resolution
    line, _ = model.inverse(name, detector, lon, lat, middle, reach)
    with np.errstate(invalid="ignore"):
        return np.asarray((line > -reach) & (line < lines + reach))


def locate_nodes(
    model: ViewingModel, name: str, detector: int, lattice: Lattice, heights: tuple[float, float],
    lines: float = np.inf,
) -> InverseGrid | None:
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
    lines : float
        Of the image; without it, as far as orbit and attitude reach.
    """
    seen = seen_patches(model, name, detector, lattice, heights, lines)
    if not seen.any():
        return None
    level = layers(*heights)
    half = float(level[2] - level[1])
    # nodes beside the detector are needed to interpolate up to its very edge
    margin = (3.0 * STEP + 2.0 * _SLANT * half) / band(name).resolution
    line = np.full((3, *lattice.lon.shape), np.nan)
    column = line.copy()
    # patch after patch, so that the search goes on from a neighbour; one call, which costs as much as many points
    wanted = seen.reshape(_patchwise(lattice.lon).shape[:2])
    lon, lat = _patchwise(lattice.lon)[wanted], _patchwise(lattice.lat)[wanted]
    found = model.inverse(name, detector, lon, lat, level[:, None, None, None], margin)
    for out, values in zip((line, column), found, strict=True):
        for layer, value in zip(out, values, strict=True):
            _patchwise(layer)[wanted] = value
    return InverseGrid.of_layers(lattice.row, lattice.column, level, line, column)


@dataclass(frozen=True, eq=False)
class TileView:
    """What one detector sees of a tile in one band: its 3-D grid, found when it is first asked for.

    Attributes
    ----------
    model : ViewingModel
    name : str
        Band.
    detector : int
    crs : str
    bounds : (float, float, float, float)
        Left, bottom, right, top [m].
    terrain : Terrain
        The heights of the layers are chosen from its range where the detector looks.
    """

    model: ViewingModel
    name: str
    detector: int
    crs: str
    bounds: tuple[float, float, float, float]
    terrain: Terrain

    @cached_property
    def lattice(self) -> Lattice:
        """Nodes of the tile and beyond its right and lower edge."""
        left, bottom, right, top = self.bounds
        rows, columns = (int(np.ceil(size / STEP)) + 1 for size in (top - bottom, right - left))
        return lattice_of(self.crs, left, top, (0, 0, rows, columns))

    @cached_property
    def heights(self) -> tuple[float, float]:
        """Range of the terrain where the detector looks [m]."""
        lattice = self.lattice
        seen = seen_patches(self.model, self.name, self.detector, lattice, EARTH_HEIGHTS, np.inf)
        places = lattice.patches(seen)
        if not places:
            raise InputError(f"D{self.detector:02d} {self.name} sees nothing of it", "tile", "choose another detector")
        lon, lat = (np.concatenate([a[place].ravel() for place in places]) for a in (lattice.lon, lattice.lat))
        return self.terrain.window(lon.min(), lat.min(), lon.max(), lat.max()).range

    @cached_property
    def grid(self) -> InverseGrid:
        """The grid, cut to the patches that the detector may see."""
        grid = locate_nodes(self.model, self.name, self.detector, self.lattice, self.heights)
        if grid is None or not np.isfinite(grid.line[0]).any():
            raise InputError(f"D{self.detector:02d} {self.name} sees nothing of it", "tile", "choose another detector")
        return grid.cropped()

    def locate(
        self, x: ArrayLike, y: ArrayLike, height: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return line and column of map places [m] at ellipsoidal heights [m], arrays of any shape; NaN unseen."""
        left, _, _, top = self.bounds
        return self.grid.locate(np.asarray(x, float) - left, top - np.asarray(y, float), height)


def _patchwise(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a view (patch row, patch column, row, column) of nodes (row, column)."""
    rows, columns = nodes.shape
    return nodes.reshape(rows // PATCH, PATCH, columns // PATCH, PATCH).swapaxes(1, 2)


def _parabolas(value: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    low, middle, high = value
    return np.stack([middle, (high - low) / (2 * half), (high - 2 * middle + low) / (2 * half * half)])


@kernel
def between(nodes, row, per_node, out):  # type: ignore[no-untyped-def]
    """Write the terms (term, node column) on a pixel row, counted from the first node."""
    i = row // per_node
    v = (row - i * per_node + 0.5) / per_node
    for t in range(nodes.shape[0]):
        above, below = nodes[t, i], nodes[t, i + 1]
        for j in range(above.size):
            out[t, j] = above[j] + v * (below[j] - above[j])


@kernel
def locate_pixels(line, column, per_node, row, first, heights, left, middle, out_line, out_column):  # type: ignore[no-untyped-def]
    """Write line and column of the centres of pixels (row, column), counted from the first node."""
    rows, columns = out_line.shape
    a, b = np.empty((3, line.shape[2])), np.empty((3, line.shape[2]))
    step = 1.0 / per_node
    for r in range(rows):
        between(line, row + r, per_node, a)
        between(column, row + r, per_node, b)
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
def _at(terms, i, j, u, v, h):  # type: ignore[no-untyped-def]
    """Return the value of parabolas at a place (u, v) in a cell and at a height."""
    value = 0.0
    for t in (2, 1, 0):
        north = terms[t, i, j] + u * (terms[t, i, j + 1] - terms[t, i, j])
        south = terms[t, i + 1, j] + u * (terms[t, i + 1, j + 1] - terms[t, i + 1, j])
        value = value * h + (north + v * (south - north))
    return value


@kernel
def _locate_places(line, column, x, y, h, out_line, out_column):  # type: ignore[no-untyped-def]
    """Write line and column of places counted in nodes from the first, at heights above the middle layer."""
    rows, columns = line.shape[1] - 1, line.shape[2] - 1
    for k in range(x.size):
        out_line[k] = out_column[k] = np.nan
        if 0.0 <= x[k] <= columns and 0.0 <= y[k] <= rows:
            i, j = min(int(y[k]), rows - 1), min(int(x[k]), columns - 1)
            u, v = x[k] - j, y[k] - i
            out_line[k] = _at(line, i, j, u, v, h[k])
            out_column[k] = _at(column, i, j, u, v, h[k])
