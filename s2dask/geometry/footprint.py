"""What a granule or a datastrip covers on the ground, as valid polygons of longitude and latitude."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from s2dask.auxdata.terrain import Terrain
from s2dask.errors import InputError
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band

REFERENCE_BAND: Final = "B04"
"""Whose corners the footprint of a granule is made of, as in the mission's products."""
_STEP: Final = 256
"""Lines of 10 m between two points on the long edges of an outline: 2.5 km."""
_ACROSS: Final = 9
"""Points on its short edges."""
_WORLD: Final = shapely.box(-180.0, -90.0, 180.0, 90.0)


def polygon_of(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> BaseGeometry:
    """Return the polygon of a ring of places (point) [degree], not closed, in longitudes from -180 to 180.

    A ring across the antimeridian becomes a MultiPolygon; one around a pole reaches up to it.
    """
    known = np.isfinite(lon) & np.isfinite(lat)
    if known.sum() < 3:
        raise InputError("fewer than three places", "footprint", "the lines of sight miss the Earth")
    y = lat[known]
    x = np.unwrap(lon[known], period=360.0)
    gap = x[-1] + (x[0] - x[-1] + 180.0) % 360.0 - 180.0 - x[0]
    ring = np.stack([x, y], -1)
    if abs(gap) > 180.0:
        pole = 90.0 if y.mean() > 0 else -90.0
        ring = np.vstack([ring, [x[0] + gap, y[0]], [x[0] + gap, pole], [x[0], pole]])
    return split_antimeridian(shapely.make_valid(shapely.Polygon(ring)))


def split_antimeridian(shape: BaseGeometry) -> BaseGeometry:
    """Return a polygon whose longitudes run on beyond 180 degrees in parts from -180 to 180."""
    west, _, east, _ = shape.bounds
    first, last = int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east - 180.0) / 360.0))
    if first == last == 0:
        return shape
    parts = [shapely.intersection(affinity.translate(shape, -360.0 * turn), _WORLD) for turn in range(first, last + 1)]
    return _surface(shapely.union_all(parts))


def _surface(shape: BaseGeometry) -> BaseGeometry:
    """Return the polygons of a geometry: points and lines where parts only touch are left out."""
    parts = [p for p in shapely.get_parts(shape) if p.geom_type in ("Polygon", "MultiPolygon") and p.area > 0]
    return shapely.union_all(parts) if len(parts) != 1 else parts[0]


def outline(
    model: ViewingModel, name: str, detector: int, first: float, last: float, terrain: Terrain,
    points: tuple[int, int] = (2, 2),
) -> BaseGeometry:
    """Return the ground around the pixel centres of some lines of an image.

    Parameters
    ----------
    model : ViewingModel
    name : str
        Band.
    detector : int
    first, last : float
        Lines of the band, 0-based.
    terrain : Terrain
    points : (int, int)
        On the edges along and across the track, corners included.
    """
    down, right = np.linspace(first, last, points[0]), np.linspace(0.0, band(name).columns - 1.0, points[1])
    edges = (
        (down[:-1], np.full(points[0] - 1, right[0])), (np.full(points[1] - 1, last), right[:-1]),
        (down[:0:-1], np.full(points[0] - 1, right[-1])), (np.full(points[1] - 1, first), right[:0:-1]),
    )  # fmt: skip
    line, column = (np.concatenate([edge[i] for edge in edges]) for i in (0, 1))
    lon, lat, _ = model.direct(name, detector, line, column, terrain)
    return polygon_of(lon, lat)


def granule_footprint(
    model: ViewingModel, detector: int, first_line: int, terrain: Terrain, name: str = REFERENCE_BAND
) -> BaseGeometry:
    """Return the footprint of a granule: the centres of its corner pixels on the terrain.

    Parameters
    ----------
    model : ViewingModel
    detector : int
    first_line : int
        First line of the granule at 10 m, 0-based (POSITION - 1 of the metadata).
    terrain : Terrain
    name : str
        Band; the products give that of the reference band, from first line and first column against the clock.
    """
    b = band(name)
    first = first_line / b.line_factor
    return outline(model, name, detector, first, first + b.lines_per_scene - 1, terrain)


def datastrip_footprint(
    model: ViewingModel, images: Mapping[tuple[int, str], tuple[int, int]], terrain: Terrain
) -> BaseGeometry:
    """Return what the images of a datastrip cover together, to the outer edges of their pixels.

    Parameters
    ----------
    model : ViewingModel
    images : mapping of (int, str) to (int, int)
        By (detector, band): first line and last + 1.
    terrain : Terrain
    """
    parts = []
    for (detector, name), (first, stop) in images.items():
        points = ((stop - first) * band(name).line_factor // _STEP + 2, _ACROSS)
        parts.append(outline(model, name, detector, first - 0.5, stop - 0.5, terrain, points))
    return _surface(shapely.union_all(parts))
