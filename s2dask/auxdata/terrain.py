"""The ground: digital elevation model and geoid, read through GDAL, sampled as ellipsoidal heights."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from s2dask.auxdata.relief import BLOCK, Relief
from s2dask.auxdata.relief import sample as sample_relief
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.kernels import kernel

SUFFIXES: Final = (".dt0", ".dt1", ".dt2", ".tif", ".tiff", ".vrt", ".hgt")
"""What a folder is searched for; what a file is, GDAL finds out from its content."""
_MARGIN: Final = 0.02
"""Added around an area of interest [deg]."""


PYRAMID: Final = 8
"""Posts on the edge of a cell of `TerrainWindow.maxima`."""


@kernel
def sample(lon, lat, frame, heights):  # type: ignore[no-untyped-def]
    """Return the ellipsoidal height at a place of a window [m], bilinear; its edge is carried on outside."""
    rows, columns = heights.shape
    x = min(max((lon - frame[0]) / frame[2], 0.0), columns - 1.0)
    y = min(max((frame[1] - lat) / frame[3], 0.0), rows - 1.0)
    i, j = min(int(x), columns - 2), min(int(y), rows - 2)
    u, v = x - i, y - j
    north = heights[j, i] * (1.0 - u) + heights[j, i + 1] * u
    south = heights[j + 1, i] * (1.0 - u) + heights[j + 1, i + 1] * u
    return north * (1.0 - v) + south * v


class TerrainWindow(NamedTuple):
    """Ellipsoidal heights of a box on one grid.

    Attributes
    ----------
    frame : (4) float64
        Longitude and latitude of the first post, spacing in longitude and latitude [deg].
    heights : (row, column) float32 [m]
    maxima : (row, column) float32 [m]
        Of `PYRAMID` by `PYRAMID` posts and the same around them.
    range : (float, float)
        Lowest and highest [m].
    """

    frame: NDArray[np.float64]
    heights: NDArray[np.float32]
    maxima: NDArray[np.float32]
    range: tuple[float, float]


class Bounds(NamedTuple):
    """A box of longitude and latitude [deg]; `east` is above `west`, beyond 180 if need be."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One raster of the elevation model: where its posts are.

    Attributes
    ----------
    path : Path
    west, north : float
        First post [deg].
    step_lon, step_lat : float
        Post spacing [deg].
    rows, columns : int
    """

    path: Path
    west: float
    north: float
    step_lon: float
    step_lat: float
    rows: int
    columns: int

    @classmethod
    def open(cls, path: Path) -> "Cell":
        """Read the header of a raster in longitude and latitude, north up."""
        try:
            with rasterio.open(path) as raster:
                t, crs, rows, columns = raster.transform, raster.crs, raster.height, raster.width
        except RasterioError as error:
            raise InputError(f"no readable raster: {error}", str(path)) from None
        if crs is not None and not crs.is_geographic:
            raise InputError(f"raster in {crs.to_string()}", str(path), "warp it to EPSG:4326")
        if t.b or t.d or t.a <= 0 or t.e >= 0 or rows < 2 or columns < 2:
            raise InputError("raster is not north up", str(path), "warp it to EPSG:4326")
        # GDAL gives the corner of the first pixel, for DTED too: a post is the centre of a pixel
        return cls(path, t.c + t.a / 2, t.f + t.e / 2, t.a, -t.e, rows, columns)

    @property
    def bounds(self) -> Bounds:
        """Area that the cell answers for: its pixels."""
        return Bounds(
            self.west - self.step_lon / 2,
            self.north - (self.rows - 0.5) * self.step_lat,
            self.west + (self.columns - 0.5) * self.step_lon,
            self.north + self.step_lat / 2,
        )

    def read(self, row: int = 0, column: int = 0, rows: int = 0, columns: int = 0) -> NDArray[np.float32]:
        """Return posts of a window, the whole cell by default; NaN for voids."""
        window = Window(column, row, columns or self.columns, rows or self.rows)
        with rasterio.open(self.path) as raster:
            posts = raster.read(1, window=window).astype(np.float32)
            if raster.nodata is not None:
                posts[posts == np.float32(raster.nodata)] = np.nan
        out: NDArray[np.float32] = posts
        return out


def _overlap(a: Bounds, b: Bounds) -> float:
    """Return the area that two boxes share [deg2], whichever turn of longitude they are given in."""
    high = min(a.north, b.north) - max(a.south, b.south)
    wide = max(min(a.east, b.east + turn) - max(a.west, b.west + turn) for turn in (-360.0, 0.0, 360.0))
    return max(high, 0.0) * max(wide, 0.0)


def _pick(cell: Cell, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return heights of a cell at places on a line, bilinear; NaN outside it."""
    x = (lon - cell.west + 180.0) % 360.0 - 180.0
    x, y = x / cell.step_lon, (cell.north - lat) / cell.step_lat
    tiny = 1e-6
    inside = (x >= -tiny) & (x <= cell.columns - 1 + tiny) & (y >= -tiny) & (y <= cell.rows - 1 + tiny)
    out = np.full(lon.shape, np.nan, np.float32)
    if not inside.any():
        return out
    x, y = np.clip(x[inside], 0, cell.columns - 1), np.clip(y[inside], 0, cell.rows - 1)
    i, j = np.minimum(x.astype(int), cell.columns - 2), np.minimum(y.astype(int), cell.rows - 2)
    row, column = int(j.min()), int(i.min())
    posts = cell.read(row, column, int(j.max()) - row + 2, int(i.max()) - column + 2)
    i, j, u, v = i - column, j - row, x - i, y - j
    u, v = np.where(np.abs(u) < tiny, 0.0, u), np.where(np.abs(v) < tiny, 0.0, v)
    # a weight of zero takes no part, even where the post is a void
    value = np.zeros(u.shape)
    for dj, di, w in ((0, 0, (1 - u) * (1 - v)), (0, 1, u * (1 - v)), (1, 0, (1 - u) * v), (1, 1, u * v)):
        value += np.where(w > tiny, w * posts[j + dj, i + di], 0.0)
    out[inside] = value
    return out


def _framed(cell: Cell, cells: tuple[Cell, ...]) -> NDArray[np.float32]:
    """Return the posts of a cell with a frame of one post: those of its neighbours, else its own edge repeated."""
    posts = np.pad(cell.read(), 1, mode="edge")
    lon = cell.west + cell.step_lon * np.arange(-1, cell.columns + 1, dtype=np.float64)
    lat = cell.north - cell.step_lat * np.arange(-1, cell.rows + 1, dtype=np.float64)
    edges = (
        (posts[0], lon, np.full(lon.size, lat[0])),
        (posts[-1], lon, np.full(lon.size, lat[-1])),
        (posts[:, 0], np.full(lat.size, lon[0]), lat),
        (posts[:, -1], np.full(lat.size, lon[-1]), lat),
    )
    for edge, x, y in edges:
        box = Bounds(x.min() - 1e-9, y.min() - 1e-9, x.max() + 1e-9, y.max() + 1e-9)
        for other in cells:
            if other is not cell and _overlap(box, other.bounds) > 0:
                found = _pick(other, x, y)
                known = np.isfinite(found)
                edge[known] = found[known]
    return posts


def _blocks(posts: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return minimum and maximum of each block of a cell, the posts on its border included."""
    rows, columns = (-(-(n - 1) // BLOCK) for n in posts.shape)
    padded = np.pad(posts, ((0, rows * BLOCK + 1 - posts.shape[0]), (0, columns * BLOCK + 1 - posts.shape[1])), "edge")
    low = high = padded
    for axis in (0, 1):
        starts = np.arange(0, padded.shape[axis] - 1, BLOCK)
        last = np.take(low, starts + BLOCK, axis), np.take(high, starts + BLOCK, axis)
        inner = tuple(slice(0, -1) if a == axis else slice(None) for a in (0, 1))
        low = np.minimum(np.minimum.reduceat(low[inner], starts, axis), last[0])
        high = np.maximum(np.maximum.reduceat(high[inner], starts, axis), last[1])
    return low, high


def _read_geoid(path: Path | None) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    if path is None:
        return np.zeros((2, 2), np.float32), np.array([-180.0, 90.0, 1 / 180.0, 1 / 180.0, 1.0])
    if not path.is_file():
        raise InputMissing("no such geoid", str(path))
    cell = Cell.open(path)
    values = cell.read()
    if not np.isfinite(values).all() or np.abs(values).max() > 200:
        raise InputError("geoid undulations are not finite or above 200 m", str(path), "give the geoid, not a DEM")
    around = abs(cell.columns * cell.step_lon - 360.0) < cell.step_lon / 2
    return values, np.array([cell.west, cell.north, 1 / cell.step_lon, 1 / cell.step_lat, float(around)])


def _boxes(cells: list[Cell]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the list of cells that touch each box of one degree, the one that covers most of it first."""
    touched: dict[int, list[tuple[float, int]]] = {}
    for number, cell in enumerate(cells):
        b = cell.bounds
        for lat in range(max(int(np.floor(b.south)), -90), min(int(np.floor(b.north)), 89) + 1):
            for lon in range(int(np.floor(b.west)), int(np.floor(b.east)) + 1):
                area = _overlap(b, Bounds(lon, lat, lon + 1, lat + 1))
                box = (lat + 90) * 360 + (lon + 180) % 360
                touched.setdefault(box, []).append((-area, number))
    count = np.zeros(64801, np.int32)
    member: list[int] = []
    for box in sorted(touched):
        ranked = sorted(touched[box])
        count[box + 1] = len(ranked)
        member += [number for _, number in ranked]
    return np.cumsum(count, dtype=np.int32), np.array(member, np.int32)


@dataclass(frozen=True, eq=False)
class Terrain:
    """An elevation model and a geoid; posts are read when they are first needed.

    Attributes
    ----------
    cells : tuple of Cell
    geoid : Path or None
        None: the heights of the model are ellipsoidal.
    missing : str
        ``error``: a place without a cell is an error; ``sea``: it is at the level of the geoid.
    """

    cells: tuple[Cell, ...]
    geoid: Path | None
    missing: Literal["error", "sea"]

    def __post_init__(self) -> None:
        values, frame = _read_geoid(self.geoid)
        state: dict[str, Any] = {"geoid": values, "frame": frame, "lock": threading.Lock(), "have": (), "relief": None}
        object.__setattr__(self, "_state", state)

    def __reduce__(self) -> tuple[Any, ...]:
        return Terrain, (self.cells, self.geoid, self.missing)

    @classmethod
    def open(
        cls, folder: str | Path, geoid: str | Path | None, missing: Literal["error", "sea"] = "error"
    ) -> "Terrain":
        """Open an elevation model.

        Parameters
        ----------
        folder : path
            A raster, or a folder of rasters in longitude and latitude (DTED, GeoTIFF), of any extent.
        geoid : path or None
            Raster of the undulations to add, in the vertical datum of the model.
        missing : {"error", "sea"}
            What a place without a cell means.
        """
        if missing not in ("error", "sea"):
            raise ConfigurationError(f"missing={missing!r}", "Terrain.open", 'use "error" or "sea"')
        root = Path(folder)
        if not root.exists():
            raise InputMissing("no such elevation model", str(folder))
        files = [root] if root.is_file() else [p for p in sorted(root.rglob("*")) if p.suffix.lower() in SUFFIXES]
        if not files and missing == "error":
            raise InputMissing("no elevation raster", str(folder), f"looked for {', '.join(SUFFIXES)}")
        return cls(tuple(Cell.open(p) for p in files), None if geoid is None else Path(geoid), missing)

    def crop(self, west: float, south: float, east: float, north: float) -> "Terrain":
        """Return the terrain of the cells that touch a box, so that a worker holds no others."""
        box = Bounds(west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN)
        near = tuple(cell for cell in self.cells if _overlap(box, cell.bounds) > 0)
        return Terrain(near, self.geoid, self.missing)

    def relief(self, west: float, south: float, east: float, north: float) -> Relief:
        """Return the arrays of all cells that touch a box and of those read before.

        Parameters
        ----------
        west, south, east, north : float [deg]
            `east` below `west` means a box across the antimeridian.
        """
        turn = 360.0 if east < west else 0.0
        box = Bounds(west - _MARGIN, south - _MARGIN, east + turn + _MARGIN, north + _MARGIN)
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        with state["lock"]:
            near = {i for i, cell in enumerate(self.cells) if _overlap(box, cell.bounds) > 0}
            if state["relief"] is None or not near <= set(state["have"]):
                state["have"] = tuple(sorted(near | set(state["have"])))
                state["relief"] = self._load(state["have"])
            relief: Relief = state["relief"]
        return relief

    def _load(self, numbers: tuple[int, ...]) -> Relief:
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        chosen = [self.cells[i] for i in numbers]
        fill = 0.0 if self.missing == "sea" else np.nan
        posts, highs, lows, table = [], [], [], []
        offset = block_offset = 0
        for cell in chosen:
            framed = _framed(cell, self.cells)
            if self.missing == "sea":
                framed = np.nan_to_num(framed, nan=0.0)
            low, high = _blocks(framed)
            table.append(
                (
                    offset, framed.shape[0], framed.shape[1], cell.west - cell.step_lon, cell.north + cell.step_lat,
                    1 / cell.step_lon, 1 / cell.step_lat, block_offset, low.shape[1],
                )
            )  # fmt: skip
            offset += framed.size
            block_offset += low.size
            posts.append(framed.ravel())
            lows.append(low.ravel())
            highs.append(high.ravel())
        start, member = _boxes(chosen)
        flat = [np.concatenate([np.zeros(0, np.float32), *parts]) for parts in (posts, highs, lows)]
        cells = np.array(table, np.float64).reshape(-1, 9)
        return Relief(flat[0], cells, start, member, flat[1], flat[2], state["geoid"], state["frame"], fill)

    def height(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """Return the ellipsoidal height of the ground.

        Parameters
        ----------
        lon, lat : (…) float [deg]
            WGS84; longitude in any turn.

        Returns
        -------
        (…) float64 [m]
            Bilinear between posts, plus the bilinear geoid; NaN where a coordinate is NaN.
        """
        x, y = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        good = np.isfinite(x) & np.isfinite(y)
        out = np.full(x.shape, np.nan)
        if good.any():
            px, py = np.ascontiguousarray(x[good]), np.ascontiguousarray(y[good])
            out[good] = sample_relief(self.relief(*lonlat_bounds(px, py)), px, py)
            self.check(px, py, out[good])
        return out

    def window(self, west: float, south: float, east: float, north: float) -> TerrainWindow:
        """Return the ellipsoidal heights of a box [deg] on the grid of its finest cell."""
        box = Bounds(west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN)
        near = [cell for cell in self.cells if _overlap(box, cell.bounds) > 0]
        step_lon = min((cell.step_lon for cell in near), default=1 / 1200)
        step_lat = min((cell.step_lat for cell in near), default=1 / 1200)
        west0, north0 = (near[0].west, near[0].north) if near else (0.0, 0.0)
        first, last = np.floor((box.west - west0) / step_lon), np.ceil((box.east - west0) / step_lon)
        top, bottom = np.ceil((box.north - north0) / step_lat), np.floor((box.south - north0) / step_lat)
        lon = west0 + step_lon * np.arange(first, last + 1)
        lat = north0 + step_lat * np.arange(top, bottom - 1, -1)
        x, y = np.meshgrid(lon, lat)
        heights = self.height(x, y).astype(np.float32)
        rows, columns = (-(-n // PYRAMID) * PYRAMID for n in heights.shape)
        full = np.pad(heights, ((0, rows - heights.shape[0]), (0, columns - heights.shape[1])), "edge")
        blocks = full.reshape(rows // PYRAMID, PYRAMID, columns // PYRAMID, PYRAMID).max(axis=(1, 3))
        around = np.pad(blocks, 1, "edge")
        views = [
            around[i : i + blocks.shape[0], j : j + blocks.shape[1]] for i in (0, 1, 2) for j in (0, 1, 2)
        ]
        frame = np.array([lon[0], lat[0], step_lon, step_lat])
        return TerrainWindow(frame, heights, np.max(views, axis=0), (float(heights.min()), float(heights.max())))

    def check(self, lon: NDArray[np.float64], lat: NDArray[np.float64], height: NDArray[np.float64]) -> None:
        """Refuse places without a height, naming the first: no silent zero."""
        wrong = np.flatnonzero(~np.isfinite(height))
        if wrong.size:
            x, y = float(lon[wrong[0]]), float(lat[wrong[0]])
            raise InputMissing(
                f"no terrain height at lon {x:.4f} lat {y:.4f} ({wrong.size} of {height.size} places)",
                f"cell {cell_name(x, y)}",
                'add the cell to the elevation model, or open it with missing="sea"',
            )


def cell_name(lon: float, lat: float) -> str:
    """Return the name of the degree cell of a place: ``n32w017``."""
    y, x = int(np.floor(lat)), int(np.floor((lon + 180.0) % 360.0 - 180.0))
    return f"{'s' if y < 0 else 'n'}{abs(y):02d}{'w' if x < 0 else 'e'}{abs(x):03d}"


def lonlat_bounds(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Bounds:
    """Return the narrowest box around places, across the antimeridian if that is shorter."""
    x = (lon + 180.0) % 360.0 - 180.0
    west, east = float(x.min()), float(x.max())
    turned = np.where(x < 0, x + 360.0, x)
    if float(np.ptp(turned)) < east - west:
        west, east = float(turned.min()), float(turned.max())
    return Bounds(west, float(lat.min()), east, float(lat.max()))
