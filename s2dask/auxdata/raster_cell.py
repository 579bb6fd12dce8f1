"""Cells of an elevation model: where the posts of a raster are, and how a part of them is read."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from s2dask.errors import InputError

_LARGEST: Final = 4000
"""Posts on the edge of a cell: a larger raster is cut, so that a small area does not load all of it."""
_LIMITS: Final = (-1500.0, 9100.0)
"""Heights beyond these are no ground but undeclared voids [m]."""
_TINY: Final = 1e-6
_DATUMS: Final = {"E96": "EGM96", "E08": "EGM2008"}
"""Codes of DTED; MSL says nothing about the model."""
_MODEL = re.compile(r"EGM\s?(\d+)", re.IGNORECASE)


class Bounds(NamedTuple):
    """A box of longitude and latitude [deg]; `east` is above `west`, beyond 180 if need be."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def around(cls, west: float, south: float, east: float, north: float, margin: float) -> "Bounds":
        """Return a box with a margin; `east` below `west` means that it crosses the antimeridian."""
        return cls(west - margin, south - margin, east + (360.0 if east < west else 0.0) + margin, north + margin)


def overlap(a: Bounds, b: Bounds) -> float:
    """Return the area that two boxes share [deg2], whichever turn of longitude they are given in."""
    high = min(a.north, b.north) - max(a.south, b.south)
    wide = max(min(a.east, b.east + turn) - max(a.west, b.west + turn) for turn in (-360.0, 0.0, 360.0))
    return max(high, 0.0) * max(wide, 0.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A raster of the elevation model, or a part of one: where its posts are.

    Attributes
    ----------
    path : Path
    west, north : float
        First post [deg].
    step_lon, step_lat : float
        Post spacing [deg].
    rows, columns : int
    datum : str
        Model of the geoid that the heights count from, as the file says: ``EGM2008``, ``EGM96``, or nothing.
    row, column : int
        Place of the first post in the file.
    """

    path: Path
    west: float
    north: float
    step_lon: float
    step_lat: float
    rows: int
    columns: int
    datum: str = ""
    row: int = 0
    column: int = 0

    @classmethod
    def open(cls, path: Path) -> "Cell":
        """Read the header of a raster in longitude and latitude, north up."""
        try:
            with rasterio.open(path) as raster:
                t, crs, rows, columns = raster.transform, raster.crs, raster.height, raster.width
                datum = _datum(raster.tags().get("DTED_VerticalDatum", ""), "" if crs is None else crs.to_wkt())
        except RasterioError as error:
            raise InputError(f"no readable raster: {str(error).splitlines()[0]}", str(path)) from None
        if crs is not None and not crs.is_geographic:
            raise InputError(f"raster in {crs.to_string()}", str(path), "warp it to EPSG:4326")
        if t.b or t.d or t.a <= 0 or t.e >= 0 or rows < 2 or columns < 2:
            raise InputError("raster is not north up", str(path), "warp it to EPSG:4326")
        # GDAL gives the corner of the first pixel, for DTED and for "pixel is point" too: a post is the centre of a
        # pixel
        return cls(path, t.c + t.a / 2, t.f + t.e / 2, t.a, -t.e, rows, columns, datum).checked()

    def checked(self) -> "Cell":
        """Return the cell after checking that it lies on the Earth."""
        south = self.north - (self.rows - 1) * self.step_lat
        wide = self.columns * self.step_lon
        half = 0.51 * self.step_lat
        if self.north > 90.0 + half or south < -90.0 - half or wide > 360.0 + 1.5 * self.step_lon:
            raise InputError(
                f"{wide:g} degrees from latitude {south:g} to {self.north:g}", str(self.path), "warp it to EPSG:4326"
            )
        return self

    @property
    def bounds(self) -> Bounds:
        """Area that the cell answers for: its pixels."""
        return Bounds(
            self.west - self.step_lon / 2,
            self.north - (self.rows - 0.5) * self.step_lat,
            self.west + (self.columns - 0.5) * self.step_lon,
            self.north + self.step_lat / 2,
        )

    @property
    def framed_bounds(self) -> Bounds:
        """Area in which the neighbours count: that of the posts and of four more on each side."""
        return Bounds(
            self.west - 4 * self.step_lon,
            self.north - (self.rows + 3) * self.step_lat,
            self.west + (self.columns + 3) * self.step_lon,
            self.north + 4 * self.step_lat,
        )

    def parts(self) -> tuple["Cell", ...]:
        """Return the cell in parts of a size that is loaded at once; two at least if it goes round the Earth."""
        round_the_earth = self.columns * self.step_lon > 359.0
        high, wide = -(-self.rows // _LARGEST), max(-(-self.columns // _LARGEST), 2 if round_the_earth else 1)
        tops = np.linspace(0, self.rows, high + 1).astype(int).tolist()
        lefts = np.linspace(0, self.columns, wide + 1).astype(int).tolist()
        return tuple(
            replace(
                self, row=self.row + top, column=self.column + left, rows=bottom - top, columns=right - left,
                west=self.west + left * self.step_lon, north=self.north - top * self.step_lat,
            )
            for top, bottom in pairwise(tops)
            for left, right in pairwise(lefts)
        )  # fmt: skip

    def read(self, row: int = 0, column: int = 0, rows: int = 0, columns: int = 0) -> NDArray[np.float32]:
        """Return posts of a window, the whole cell by default; NaN for voids, declared or not."""
        window = Window(self.column + column, self.row + row, columns or self.columns, rows or self.rows)
        try:
            posts = self.posts(window)
        except RasterioError as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise InputError(f"no readable raster: {reason}", str(self.path), "fetch the file again") from None
        posts[~((posts >= _LIMITS[0]) & (posts <= _LIMITS[1]))] = np.nan
        return posts

    def posts(self, window: Window) -> NDArray[np.float32]:
        """Return the posts of a window of the file, NaN where the file says that there are none."""
        with rasterio.open(self.path) as raster:
            stored = raster.read(1, window=window, masked=True)
            scale, offset = raster.scales[0], raster.offsets[0]
        values = stored.astype(np.float64) * scale + offset if (scale, offset) != (1.0, 0.0) else stored
        posts: NDArray[np.float32] = values.astype(np.float32).filled(np.nan)
        return posts

    def pick(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return heights at places on a line, bilinear; NaN outside the posts."""
        x = (lon - self.west + 180.0) % 360.0 - 180.0
        x, y = x / self.step_lon, (self.north - lat) / self.step_lat
        inside = (x >= -_TINY) & (x <= self.columns - 1 + _TINY) & (y >= -_TINY) & (y <= self.rows - 1 + _TINY)
        out = np.full(lon.shape, np.nan, np.float32)
        if not inside.any():
            return out
        x, y = np.clip(x[inside], 0, self.columns - 1), np.clip(y[inside], 0, self.rows - 1)
        i, j = np.minimum(x.astype(int), self.columns - 2), np.minimum(y.astype(int), self.rows - 2)
        row, column = int(j.min()), int(i.min())
        posts = self.read(row, column, int(j.max()) - row + 2, int(i.max()) - column + 2)
        i, j, u, v = i - column, j - row, x - i, y - j
        u, v = np.where(np.abs(u) < _TINY, 0.0, u), np.where(np.abs(v) < _TINY, 0.0, v)
        # a weight of zero takes no part, even where the post is a void
        value = np.zeros(u.shape)
        for dj, di, w in ((0, 0, (1 - u) * (1 - v)), (0, 1, u * (1 - v)), (1, 0, (1 - u) * v), (1, 1, u * v)):
            value += np.where(w > _TINY, w * posts[j + dj, i + di], 0.0)
        out[inside] = value
        return out


def _datum(code: str, wkt: str) -> str:
    """Return the geoid model that a raster names: by the code of DTED, or by a vertical reference system."""
    vertical = wkt.partition("VERT")[2]
    match = _MODEL.search(vertical)
    return _DATUMS.get(code.strip(), f"EGM{match[1]}" if match else "")
