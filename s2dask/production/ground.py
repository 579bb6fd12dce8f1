"""A datastrip on the ground, from its metadata alone: its tiles, and single places looked up either way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from s2dask.auxdata.datastrip import DatastripMetadata, find_datastrip, read_datastrip
from s2dask.auxdata.gipp_geometry import read_prdloc
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.granule import read_granule
from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.auxdata.xml_nodes import Nodes
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.geometry.footprint import datastrip_footprint, polygon_of
from s2dask.geometry.tiles import TILE_SIZE, tiles_of
from s2dask.geometry.trajectory import Mode
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band

_SCENE_LINES = 2304


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A datastrip with what locates it.

    Attributes
    ----------
    strip : DatastripMetadata
    model : ViewingModel
    terrain : Terrain
    images : mapping of (int, str) to (int, int)
        By (detector, band): first line and last + 1 of the L1B image, in lines of the metadata's own level.
    assumed : tuple of str
        What stands in for something that is not there.
    """

    strip: DatastripMetadata
    model: ViewingModel
    terrain: Terrain
    images: Mapping[tuple[int, str], tuple[int, int]]
    assumed: tuple[str, ...]


def open_ground(
    datastrip: str | Path,
    gipp: str | Path,
    dem: str | Path | None = None,
    geoid: str | Path | None = None,
    iers: str | Path | None = None,
    mode: Mode = "smooth",
) -> Ground:
    """Open the geometry of a datastrip.

    Parameters
    ----------
    datastrip : path
        Metadata of an L0 or L1B datastrip, or the folder of the product.
    gipp : path
        Folder with GIP_VIEDIR, GIP_SPAMOD and, for L0, GIP_PRDLOC; where a listed file is not there, the one valid
        nearest in time is used and named in `assumed`.
    dem, geoid : path, optional
        Without a DEM, or where it has no raster, the ground is the geoid; without a geoid the ellipsoid.
    iers : path, optional
        Bulletin A; default: the constants of the metadata.
    mode : {"smooth", "sxgeo"}
    """
    if mode not in ("smooth", "sxgeo"):
        raise ConfigurationError(f"no mode {mode}", "--mode", "smooth or sxgeo")
    strip = read_datastrip(datastrip)
    start, stop = (gps_to_utc(t) for t in strip.sensing)
    gipps = GippSet.open(Path(gipp), strip.unit, start, stop, listed=strip.gipps, absent="nearest")
    model = ViewingModel.from_datastrip(datastrip, gipps, iers, mode)
    height = None if geoid is None else Path(geoid)
    terrain = Terrain((), height, "sea") if dem is None else Terrain.open(dem, geoid=height, missing="sea")
    return Ground(strip, model, terrain, _images(strip, gipps), tuple(f"GIPP {name}" for name in gipps.substitutes))


def _images(strip: DatastripMetadata, gipps: GippSet) -> dict[tuple[int, str], tuple[int, int]]:
    """Return the lines of the images: whole granules, less what L1B cuts from L0 so that its bands begin together."""
    if strip.granules:
        lines = max(first for _, first in strip.granules.values()) + _SCENE_LINES
    else:
        lines = int((strip.sensing[1] - strip.sensing[0]) * 1e-9 / strip.line_period)
    images = {}
    cuts = read_prdloc(gipps.path("PRDLOC"), strip.unit).lines if strip.level == "L0" else {}
    for detector, name in strip.first_line_date:
        begin, end = cuts.get((detector, name), (0, 0))
        images[detector, name] = begin, max(lines // band(name).line_factor - end, begin + 1)
    return images


def tile_list(footprint: BaseGeometry) -> list[dict[str, Any]]:
    """Return the tiles that a footprint touches: name, CRS and corners [m]."""
    return [
        {
            "tile": tile.name, "crs": tile.crs, "ulx": tile.x, "uly": tile.y,
            "lrx": tile.x + TILE_SIZE, "lry": tile.y - TILE_SIZE,
        }
        for tile in tiles_of(footprint)
    ]  # fmt: skip


def strip_footprint(ground: Ground) -> BaseGeometry:
    """Return what the images of a datastrip cover, in longitude and latitude."""
    return datastrip_footprint(ground.model, ground.images, ground.terrain)


def place_of(ground: Ground, name: str, detector: int, line: float, column: float) -> dict[str, Any]:
    """Return where an image point lies on the ground: line and column 0-based, whole numbers at pixel centres."""
    _known(ground, name, detector)
    lon, lat, h = ground.model.direct(name, detector, line, column, ground.terrain)
    found = {"lon": float(lon), "lat": float(lat), "height": float(h)}
    if not np.isfinite(list(found.values())).all():
        raise ConfigurationError(f"line {line:g}, column {column:g} sees no ground", f"D{detector:02d} {name}")
    return _result(ground, name, detector, line, column, found)


def pixel_of(
    ground: Ground, name: str, detector: int, lon: float, lat: float, height: float | None = None
) -> dict[str, Any]:
    """Return in which pixel a place is seen; its height is that of the terrain unless it is given."""
    _known(ground, name, detector)
    h = float(ground.terrain.height(lon, lat)) if height is None else height
    line, column = (float(v) for v in ground.model.inverse(name, detector, lon, lat, h))
    if not np.isfinite(line):
        where = f"D{detector:02d} {name}"
        raise ConfigurationError(f"lon {lon:g} lat {lat:g} is not seen", where, "try another detector")
    return _result(ground, name, detector, line, column, {"lon": lon, "lat": lat, "height": h})


def _known(ground: Ground, name: str, detector: int) -> None:
    band(name)
    if (detector, name) not in ground.images:
        raise ConfigurationError(f"no D{detector:02d} {name}", "datastrip", "detectors are 1 to 12")


def _result(
    ground: Ground, name: str, detector: int, line: float, column: float, place: Mapping[str, float]
) -> dict[str, Any]:
    first, stop = ground.images[detector, name]
    inside = first - 0.5 <= line <= stop - 0.5 and -0.5 <= column <= band(name).columns - 0.5
    return {
        "band": name, "detector": detector, "line": line, "column": column, **place, "inside": inside,
        "date": iso(gps_to_utc(int(ground.model.date(name, detector, line)))), "mode": ground.model.mode,
    }  # fmt: skip


def declared_footprint(datastrip: str | Path) -> BaseGeometry:
    """Return the footprint that the metadata state themselves: of an L0 datastrip, or of the granules of an L1B one."""
    file = find_datastrip(datastrip)
    text = Nodes.open(file).root.findtext(".//Footprint/EXT_POS_LIST")
    if text is not None:
        lat, lon = np.array(text.split(), float).reshape(-1, 2)[:-1].T
        return polygon_of(lon, lat)
    folder = file.parents[2] / "GRANULE"
    granules = sorted(folder.iterdir()) if folder.is_dir() else []
    if not granules:
        raise InputMissing("no footprint in the metadata", file.name, "give --gipp to compute it")
    rings = [read_granule(granule).footprint[:-1] for granule in granules]
    return shapely.union_all([polygon_of(ring[:, 0], ring[:, 1]) for ring in rings])
