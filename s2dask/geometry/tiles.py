"""The Sentinel-2 tiling: where a tile's upper left corner lies."""

import math

from pyproj import Transformer

ROWS = "ABCDEFGHJKLMNPQRSTUV"
COLUMN_SETS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
LATITUDE_BANDS = "CDEFGHJKLMNPQRSTUVWX"
TILE_SIZE = 109_800
FALSE_NORTHING = 10_000_000


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
    """Return the tile whose 100 km square holds a place [deg]; the special zones of Norway are not used.

    Raises
    ------
    ValueError
        Beyond 84 degrees north or 80 south, where there is no tile.
    """
    if not -80.0 <= lat < 84.0:
        raise ValueError(f"no tile at latitude {lat:.2f}")
    zone = int((lon + 180.0) % 360.0 // 6) % 60 + 1
    latitude = LATITUDE_BANDS[min(int((lat + 80.0) // 8), len(LATITUDE_BANDS) - 1)]
    crs = f"EPSG:{(32700 if lat < 0 else 32600) + zone}"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    row = ROWS[(int(y // 100_000) + (0 if zone % 2 else 5)) % 20]
    return f"{zone:02d}{latitude}{COLUMN_SETS[(zone - 1) % 3][int(x // 100_000) - 1]}{row}"
