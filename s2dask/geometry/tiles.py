"""The Sentinel-2 tiling, computed: which tiles there are, where they lie, and which of them a footprint touches."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from s2dask.errors import InputError

ROWS = "ABCDEFGHJKLMNPQRSTUV"
COLUMN_SETS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
LATITUDE_BANDS = "CDEFGHJKLMNPQRSTUVWX"
TILE_SIZE = 109_800
FALSE_NORTHING = 10_000_000
SQUARE: Final = 100_000
LEAST_AREA: Final = 1.0
"""What must be shared to be touched [m2]."""


def tile_corner(tile_id: str) -> tuple[str, float, float]:
    """CRS and upper left corner of a tile.

    Parameters
    ----------
    tile_id : str
        Five characters of the military grid, e.g. ``28SCB``; no ``T`` in front.

    Returns
    -------
    (crs, x, y) : tuple
        ``EPSG:326xx`` or ``EPSG:327xx``, and the upper left corner of the upper left pixel [m].

    Raises
    ------
    ValueError
        For letters that the military grid does not know.

    Notes
    -----
    A tile holds its 100 km square and 9.8 km beyond its right and lower edges; the corner is moved outwards to
    the 60 m grid, which in the south is counted from the equator. Source: the mission's tiling grid,
    confirmed on tiles of both hemispheres.
    """
    zone, latitude, column, row = int(tile_id[:2]), tile_id[2], tile_id[3], tile_id[4]
    if not 1 <= zone <= 60 or latitude not in LATITUDE_BANDS or row not in ROWS:
        raise ValueError(f"{tile_id} is no tile of the military grid")
    columns = COLUMN_SETS[(zone - 1) % 3]
    if column not in columns:
        raise ValueError(f"{tile_id}: column {column} does not exist in zone {zone}")
    south = latitude < "N"
    crs = f"EPSG:{(32700 if south else 32600) + zone}"
    index = (ROWS.index(row) - (0 if zone % 2 else 5)) % 20
    y = _northing(crs, zone, latitude, index * 100_000)
    x = (columns.index(column) + 1) * 100_000
    offset = FALSE_NORTHING if south else 0
    return crs, float(x - x % 60), float(y + (offset - y) % 60)


def _northing(crs: str, zone: int, latitude: str, within: float) -> float:
    """Upper edge of the 100 km square whose letter repeats every 2000 km, nearest the latitude band [m]."""
    middle = -80 + 8 * LATITUDE_BANDS.index(latitude) + 4
    transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    northing = float(transformer.transform(zone * 6 - 183, middle)[1])
    turns = math.floor((northing - within) / 2_000_000 + 0.5)
    return within + turns * 2_000_000 + 100_000


def tile_at(lon: float, lat: float) -> str:
    """Return the tile whose 100 km square holds a place [deg], in the regular zone of its longitude.

    The mission leaves some of these squares to the zone beside it: see `zone_tiles`.

    Raises
    ------
    ValueError
        Beyond 84 degrees north or 80 south, where there is no tile.
    """
    if not -80.0 <= lat < 84.0:
        raise ValueError(f"no tile at latitude {lat:.2f}")
    zone = int((lon + 180.0) % 360.0 // 6) % 60 + 1
    crs = _crs(zone, lat < 0)
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return _square_names(zone, lat < 0, np.array([x // SQUARE], int), np.array([y // SQUARE], int))[0]


def _crs(zone: int, south: bool) -> str:
    return f"EPSG:{(32700 if south else 32600) + zone}"


def _square_names(zone: int, south: bool, column: NDArray[np.int_], row: NDArray[np.int_]) -> list[str]:
    """Return the names of 100 km squares; one in two latitude bands has the letter of its centre."""
    convert = Transformer.from_crs(_crs(zone, south), "EPSG:4326", always_xy=True)
    lat = convert.transform((column + 0.5) * SQUARE, (row + 0.5) * SQUARE)[1]
    bands = np.clip((lat + 80.0) // 8, 0, len(LATITUDE_BANDS) - 1).astype(int)
    columns, shift = COLUMN_SETS[(zone - 1) % 3], 0 if zone % 2 else 5
    return [
        f"{zone:02d}{LATITUDE_BANDS[b]}{columns[c - 1]}{ROWS[(r + shift) % 20]}"
        for b, c, r in zip(bands, column, row, strict=True)
    ]


class Tile(NamedTuple):
    """A tile of the grid.

    Attributes
    ----------
    name, crs : str
    x, y : float
        Upper left corner [m].
    """

    name: str
    crs: str
    x: float
    y: float


def _areas(zone: int, south: bool) -> Iterator[tuple[float, float, float, float]]:
    """Yield the boxes (west, south, east, north) [degree] of a zone, with the exceptions of Norway and Svalbard."""
    west = 6.0 * zone - 186.0
    if south:
        yield west, -80.0, west + 6.0, 0.0
        return
    yield west, 0.0, west + 6.0, 56.0
    yield {32: 3.0}.get(zone, west), 56.0, {31: 3.0}.get(zone, west + 6.0), 64.0
    yield west, 64.0, west + 6.0, 72.0
    if zone not in (32, 34, 36):
        left, right = {33: 9.0, 35: 21.0, 37: 33.0}, {31: 9.0, 33: 21.0, 35: 33.0}
        yield left.get(zone, west), 72.0, right.get(zone, west + 6.0), 84.0


@lru_cache(maxsize=120)
def zone_tiles(zone: int, south: bool) -> tuple[Tile, ...]:
    """Return the tiles of a zone and hemisphere.

    Notes
    -----
    The tiles are the 100 km squares that touch the zone, from 80 degrees south to 84 north, less the narrow squares of
    its western edge, which the zone before it covers: those of which the zone holds less than half the width (zone
    1, to the west of which the list begins, keeps them). Norway and Svalbard are as in the military grid, and a
    square in two latitude bands is one tile with the letter of its centre. The mission's list (GIP_TILPAR) is not
    public as rules: these were inferred from a list of its tiles over Europe and from single products; the names that
    decide between rules are in the tests. The eastern edge at the antimeridian (zone 60) is not covered by any.
    """
    crs, offset = _crs(zone, south), FALSE_NORTHING if south else 0
    convert = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    boxes = [shapely.segmentize(shapely.box(*area), 0.1) for area in _areas(zone, south)]
    area = shapely.union_all(shapely.transform(boxes, _projected(convert)))
    column, row = (a.ravel() for a in np.meshgrid(np.arange(1, 9), np.arange(100)))
    left, top = column * SQUARE, (row + 1) * SQUARE
    x, y = left - left % 60, top + (offset - top) % 60
    part = shapely.intersection(shapely.box(x, top - SQUARE, left + SQUARE, y), area)
    west, _, east, _ = shapely.bounds(part).T
    narrow = (east - west < SQUARE / 2) & (west > left) & (zone > 1)
    kept = (shapely.area(part) > LEAST_AREA) & ~narrow
    names = _square_names(zone, south, column[kept], row[kept])
    return tuple(
        Tile(name, crs, float(left), float(top)) for name, left, top in zip(names, x[kept], y[kept], strict=True)
    )


def _projected(convert: Transformer):  # type: ignore[no-untyped-def]  # what shapely.transform takes
    return lambda places: np.stack(convert.transform(places[:, 0], places[:, 1]), -1)


def tiles_of(footprint: BaseGeometry) -> tuple[Tile, ...]:
    """Return the tiles whose 109.8 km squares share an area with a footprint, in alphabetical order.

    Parameters
    ----------
    footprint : Polygon or MultiPolygon
        Longitude and latitude [degree], -180 to 180; one across the antimeridian has a part on either side.
    """
    if not footprint.is_valid or footprint.is_empty:
        raise InputError("is empty or crosses itself", "footprint", "repair it with shapely.make_valid")
    found: list[Tile] = []
    reach = min(4.3e5 / (111_000 * math.cos(math.radians(min(max(map(abs, footprint.bounds[1::2])), 85.0)))), 60.0)
    for zone in range(1, 61):
        middle = 6.0 * zone - 183.0
        for south, low, high in ((False, -1.0, 86.0), (True, -82.0, 1.0)):
            near = _turned(footprint, shapely.box(middle - reach, low, middle + reach, high))
            if near.is_empty:
                continue
            tiles = zone_tiles(zone, south)
            convert = Transformer.from_crs("EPSG:4326", tiles[0].crs, always_xy=True)
            # straight in longitude and latitude is not straight on the map: 1 km is, to 0.1 m
            ground = shapely.transform(shapely.segmentize(near, 0.01), _projected(convert))
            x, y = np.array([tile.x for tile in tiles]), np.array([tile.y for tile in tiles])
            squares = shapely.box(x, y - TILE_SIZE, x + TILE_SIZE, y)
            shapely.prepare(ground)
            touched = np.flatnonzero(shapely.intersects(squares, ground))
            shared = shapely.area(shapely.intersection(squares[touched], ground))
            found += [tiles[i] for i in touched[shared > LEAST_AREA]]
    return tuple(sorted(found))


def _turned(footprint: BaseGeometry, box: BaseGeometry) -> BaseGeometry:
    """Return what lies of a footprint in a box whose longitude may be in another turn."""
    return shapely.union_all(
        [shapely.intersection(affinity.translate(footprint, turn), box) for turn in (-360.0, 0.0, 360.0)]
    )


def map_positions(
    crs: str, origin: tuple[float, float], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude [degree] of map places, in the turn of the longitude of an origin.

    A tile across the antimeridian so has longitudes without a step.
    """
    convert = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = (np.asarray(a) for a in convert.transform(x, y))
    beyond = lon - convert.transform(*origin)[0]
    return np.where(beyond > 180.0, lon - 360.0, np.where(beyond < -180.0, lon + 360.0, lon)), lat
