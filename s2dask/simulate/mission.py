"""Orbit, instrument and place of a simulated pass: invented, or taken from a real datastrip."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray

from s2dask.auxdata.datastrip import find_datastrip, read_datastrip
from s2dask.auxdata.gipp_geometry import SpacecraftModel, ViewingDirections, read_spamod, read_viedir
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.time import NANO, gps_to_utc, utc_to_gps
from s2dask.errors import InputMissing
from s2dask.instrument import BANDS, SCENE_SECONDS
from s2dask.simulate.auxiliary import read_elevation
from s2dask.simulate.landscape import Lattice
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.platform import (
    Platform,
    bulletin,
    focal_plane,
    real_platform,
    spacecraft_model,
    synthetic_platform,
)

DATE: Final = "2020-08-16T12:02:25Z"
CENTRE: Final = (-17.0, 32.75)
"""Middle of the invented window: off Madeira, where the reference datastrip lies too."""
SYNTHETIC_SCENES: Final = 16
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Mission:
    """What a pass is made of.

    Attributes
    ----------
    platform : Platform
    directions : mapping of str to ViewingDirections
    spacecraft : SpacecraftModel
    start : mapping of (int, str) to int
        Centre of the first line that could be imaged, by (detector, band), GPS [ns].
    scenes : int
        Scenes that could be imaged from there.
    centre : (lon, lat)
        Middle of the window [deg].
    write_bulletin : callable
        Writes the Bulletin A to a path.
    relief : callable or None
        Returns the elevation model of a box; None: the island is invented too.
    """

    platform: Platform
    directions: Mapping[str, ViewingDirections]
    spacecraft: SpacecraftModel
    start: Mapping[tuple[int, str], int]
    scenes: int
    centre: tuple[float, float]
    write_bulletin: Callable[[Path], None]
    relief: Callable[[Box], tuple[Lattice, NDArray[np.float32]]] | None = None


def synthetic_mission(options: SimulationOptions) -> Mission:
    """Return a pass over the invented island; the outer detectors look at an island of their own, under them."""
    middle, length = utc_to_gps(DATE), SYNTHETIC_SCENES * SCENE_SECONDS
    across = 6.5 - (min(options.detectors) + max(options.detectors)) / 2
    # a detector is 24 km wide; on a descending orbit the low numbers lie in the west
    lon = CENTRE[0] + across * 24_000.0 / (111_320.0 * float(np.cos(np.radians(CENTRE[1]))))
    lat = CENTRE[1] + 0.19 * across * 0.216
    platform = synthetic_platform(middle, length, lon, lat, options.seed, options.attitude_noise)
    first = middle - round(length / 2 * NANO)
    start = {(d, name): first for d in options.detectors for name in options.bands}
    return Mission(
        platform, {name: focal_plane(name) for name in options.bands}, spacecraft_model(), start, SYNTHETIC_SCENES,
        CENTRE, lambda path: bulletin(path, middle),
    )  # fmt: skip


def real_mission(options: SimulationOptions) -> Mission:
    """Return a pass on the orbit, attitude, viewing directions and terrain of a real L1B datastrip.

    Beside the folder of the product there must be ``gipp``, ``dem`` and ``iers``.
    """
    folder = Path(str(options.geometry))
    strip = read_datastrip(folder)
    beside = folder.parent if folder.is_dir() else find_datastrip(folder).parents[2]
    for kind in ("gipp", "dem", "iers"):
        if not (beside / kind).is_dir():
            raise InputMissing(f"no folder {kind} beside the datastrip", str(beside), "gipp, dem and iers are needed")
    dates = [gps_to_utc(t) for t in strip.sensing]
    gipps = GippSet.open(beside / "gipp", strip.unit, dates[0], dates[1], listed=strip.gipps)
    table = next(iter(sorted((beside / "iers").glob("*.txt"))), None)
    eop = strip.eop if table is None else EarthOrientation.from_bulletin(table)
    missing = [(d, n) for d in options.detectors for n in options.bands if (d, n) not in strip.first_line_date]
    if missing:
        raise InputMissing(f"no detector and band {missing[0]}", str(folder), "choose among those of the datastrip")
    start = {(d, n): strip.first_line_date[d, n] for d in options.detectors for n in options.bands}
    scenes = int((strip.sensing[1] - strip.sensing[0]) / NANO / SCENE_SECONDS)
    tdi = {name: strip.tdi.get(name, "APPLIED") for name in options.bands}
    directions = {}
    for name in options.bands:
        every = read_viedir(gipps.path("VIEDIR", name), strip.unit, name)
        key = "APPLIED" if BANDS[name].tdi else "NO_TDI"
        directions[name] = ViewingDirections(name, {(key, d): every.of(d, tdi[name]) for d in range(1, 13)})
    relief, centre = _real_relief(beside / "dem")

    def write(path: Path) -> None:
        if table is None:
            bulletin(path, strip.sensing[0], tuple(eop.values[:, 0]))
        else:
            shutil.copyfile(table, path)

    return Mission(
        real_platform(strip.trajectory, eop), directions, read_spamod(gipps.path("SPAMOD"), strip.unit), start, scenes,
        centre, write, relief,
    )  # fmt: skip


def _real_relief(folder: Path) -> tuple[Callable[[Box], tuple[Lattice, NDArray[np.float32]]], tuple[float, float]]:
    """Return the reader of the real terrain, and the middle of its land."""
    lattice, heights = _extent(folder)
    row, column = (float(np.mean(i)) for i in np.nonzero(heights > 0))
    centre = lattice.west + lattice.dlon * column, lattice.north - lattice.dlat * row
    return lambda box: read_elevation(folder, box), centre


def _extent(folder: Path) -> tuple[Lattice, NDArray[np.float32]]:
    bounds = []
    for path in (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".dt0", ".dt1", ".dt2", ".tif")):
        with rasterio.open(path) as raster:
            bounds.append(raster.bounds)
    if not bounds:
        raise InputMissing("no elevation raster", str(folder), "give DTED or GeoTIFF files")
    west, south = min(b.left for b in bounds), min(b.bottom for b in bounds)
    east, north = max(b.right for b in bounds), max(b.top for b in bounds)
    return read_elevation(folder, (west, south, east, north))
