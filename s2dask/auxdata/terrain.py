"""The ground: elevation model and geoid, sampled as ellipsoidal heights."""

import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.geoid import read_geoid
from s2dask.auxdata.raster_cell import Bounds, Cell, overlap
from s2dask.auxdata.relief import Relief
from s2dask.auxdata.relief import sample as sample_relief
from s2dask.auxdata.relief_cells import build_relief
from s2dask.auxdata.zarr_cell import MARKS, ZarrCell
from s2dask.errors import ConfigurationError, InputError, InputMissing

SUFFIXES: Final = (".dt0", ".dt1", ".dt2", ".tif", ".tiff", ".vrt", ".hgt", ".img", ".bil")
"""What a folder is searched for, beside Zarr; what a file is, GDAL finds out from its content."""
_MARGIN: Final = 0.02
"""Added around an area of interest [deg]."""
_MASK: Final = re.compile(r"Copernicus_DSM_.*_(?!DEM\.)[A-Z]{2,3}\.\w+")
"""Layers that Copernicus delivers with its heights: errors, filling, water, quick looks."""
_LOG = logging.getLogger(__name__)


class TerrainWindow(NamedTuple):
    """Ellipsoidal heights of a box on one grid.

    Attributes
    ----------
    frame : (4) float64
        Longitude and latitude of the first post, spacing in longitude and latitude [deg].
    heights : (row, column) float32 [m]
    range : (float, float)
        Lowest and highest [m].
    """

    frame: NDArray[np.float64]
    heights: NDArray[np.float32]
    range: tuple[float, float]


class VerticalDatum(NamedTuple):
    """What heights count from.

    Attributes
    ----------
    heights : str
        Geoid model that the elevation model names (several with a comma), or nothing.
    geoid : str
        Model of the geoid that is added, or nothing.
    agrees : bool or None
        None when one of them is not known.
    """

    heights: str
    geoid: str
    agrees: bool | None


@dataclass(frozen=True, eq=False)
class Terrain:
    """An elevation model and a geoid; posts are read when they are first needed.

    Attributes
    ----------
    cells : tuple of Cell
    geoid : Path or None
        None: the heights of the model are ellipsoidal.
    missing : str
        ``error``: a place without a cell is an error; ``sea``: it is at the level of the geoid. A void in a cell is an
        error in any case.
    """

    cells: tuple[Cell, ...]
    geoid: Path | None
    missing: Literal["error", "sea"]

    def __post_init__(self) -> None:
        state: dict[str, Any] = {
            "geoid": read_geoid(self.geoid), "lock": threading.Lock(), "have": (), "relief": None,
        }  # fmt: skip
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
            A raster or Zarr group in longitude and latitude, or a folder of them (DTED, Copernicus and other GeoTIFF,
            …), of any extent and of several resolutions.
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
        cells = tuple(_cells(root))
        if not cells and missing == "error":
            raise InputMissing("no elevation raster", str(folder), f"looked for Zarr and {', '.join(SUFFIXES)}")
        terrain = cls(cells, None if geoid is None else Path(geoid), missing)
        if terrain.datum.agrees is False:
            _LOG.warning("heights of %s on the geoid %s: %s", terrain.datum.heights, terrain.datum.geoid, folder)
        return terrain

    @property
    def datum(self) -> VerticalDatum:
        """What the heights count from, and whether the geoid is the same."""
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        names = sorted({cell.datum for cell in self.cells if cell.datum})
        model = str(state["geoid"].model)
        return VerticalDatum(", ".join(names), model, names == [model] if names and model else None)

    def crop(self, west: float, south: float, east: float, north: float) -> "Terrain":
        """Return the terrain of the cells that touch a box and of their neighbours: the same heights in the box."""
        box = Bounds.around(west, south, east, north, _MARGIN)
        framed = [cell.framed_bounds for cell in self.cells if overlap(box, cell.bounds) > 0]
        near = tuple(cell for cell in self.cells if any(overlap(frame, cell.bounds) > 0 for frame in framed))
        return Terrain(near, self.geoid, self.missing)

    def relief(self, west: float, south: float, east: float, north: float) -> Relief:
        """Return the arrays of all cells that touch a box and of those read before.

        Parameters
        ----------
        west, south, east, north : float [deg]
            `east` below `west` means a box across the antimeridian.
        """
        box = Bounds.around(west, south, east, north, _MARGIN)
        state: dict[str, Any] = self._state  # type: ignore[attr-defined]
        with state["lock"]:
            near = {i for i, cell in enumerate(self.cells) if overlap(box, cell.bounds) > 0}
            if state["relief"] is None or not near <= set(state["have"]):
                state["have"] = tuple(sorted(near | set(state["have"])))
                state["relief"] = build_relief(
                    [self.cells[i] for i in state["have"]], self.cells, state["geoid"],
                    0.0 if self.missing == "sea" else np.nan,
                )  # fmt: skip
            relief: Relief = state["relief"]
        return relief

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
        if good.size and good.all():
            px, py = x.ravel(), y.ravel()
            whole = sample_relief(self.relief(*lonlat_bounds(px, py)), px, py)
            self.check(px, py, whole)
            return whole.reshape(x.shape)
        out = np.full(x.shape, np.nan)
        if good.any():
            px, py = np.ascontiguousarray(x[good]), np.ascontiguousarray(y[good])
            out[good] = sample_relief(self.relief(*lonlat_bounds(px, py)), px, py)
            self.check(px, py, out[good])
        return out

    def window(self, west: float, south: float, east: float, north: float) -> TerrainWindow:
        """Return the ellipsoidal heights of a box [deg] on the grid of its finest cell.

        `east` below `west` means a box across the antimeridian; longitudes then run on beyond 180.
        """
        box = Bounds.around(west, south, east, north, _MARGIN)
        near = [cell for cell in self.cells if overlap(box, cell.bounds) > 0]
        step_lon = min((cell.step_lon for cell in near), default=1 / 1200)
        step_lat = min((cell.step_lat for cell in near), default=1 / 1200)
        west0, north0 = (near[0].west, near[0].north) if near else (0.0, 0.0)
        first, last = np.floor((box.west - west0) / step_lon), np.ceil((box.east - west0) / step_lon)
        top, bottom = np.ceil((box.north - north0) / step_lat), np.floor((box.south - north0) / step_lat)
        lon = west0 + step_lon * np.arange(first, last + 1)
        lat = north0 + step_lat * np.arange(top, bottom - 1, -1)
        heights = self.height(*np.meshgrid(lon, lat)).astype(np.float32)
        frame = np.array([lon[0], lat[0], step_lon, step_lat])
        return TerrainWindow(frame, heights, (float(heights.min()), float(heights.max())))

    def check(self, lon: NDArray[np.float64], lat: NDArray[np.float64], height: NDArray[np.float64]) -> None:
        """Refuse places without a height, naming the first: no silent zero."""
        wrong = np.flatnonzero(~np.isfinite(height))
        if wrong.size == 0:
            return
        x, y = float(lon[wrong[0]]), float(lat[wrong[0]])
        what = f"no terrain height at lon {x:.4f} lat {y:.4f} ({wrong.size} of {height.size} places)"
        here = Bounds(x - 1e-9, y - 1e-9, x + 1e-9, y + 1e-9)
        holders = [cell for cell in self.cells if overlap(here, cell.bounds) > 0]
        if holders:
            raise InputError(what, str(holders[0].path), "it is a void, or outside the geoid: fill it")
        raise InputMissing(
            what, f"cell {cell_name(x, y)}", 'add the cell to the elevation model, or open it with missing="sea"'
        )


def _cells(root: Path) -> Iterator[Cell]:
    """Yield the cells of a raster, of a Zarr group, or of all of those in a folder, in the order of their names."""
    if root.is_file():
        yield from Cell.open(root).parts()
    elif any((root / mark).is_file() for mark in MARKS):
        yield from ZarrCell.open(root).parts()
    else:
        for path in sorted(root.iterdir()):
            if path.is_dir() or (path.suffix.lower() in SUFFIXES and not _MASK.fullmatch(path.name)):
                yield from _cells(path)


def cell_name(lon: float, lat: float) -> str:
    """Return the name of the degree cell of a place: ``n32w017``."""
    y, x = int(np.floor(lat)), int(np.floor((lon + 180.0) % 360.0 - 180.0))
    return f"{'s' if y < 0 else 'n'}{abs(y):02d}{'w' if x < 0 else 'e'}{abs(x):03d}"


def lonlat_bounds(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Bounds:
    """Return the narrowest box around places, across the antimeridian if that is shorter."""
    west, east = float(lon.min()), float(lon.max())
    if west >= -180.0 and east < 180.0 and east - west < 180.0:
        return Bounds(west, float(lat.min()), east, float(lat.max()))
    x = (lon + 180.0) % 360.0 - 180.0
    west, east = float(x.min()), float(x.max())
    turned = np.where(x < 0, x + 360.0, x)
    if float(np.ptp(turned)) < east - west:
        west, east = float(turned.min()), float(turned.max())
    return Bounds(west, float(lat.min()), east, float(lat.max()))
