"""The tiling: corners of tiles, held to real metadata, and the tile of a place."""

import re
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from s2dask.geometry.tiles import TILE_SIZE, tile_at, tile_corner

CORNERS = {
    "28SCB": ("EPSG:32628", 300_000, 3_700_020),
    "31TCJ": ("EPSG:32631", 300_000, 4_900_020),
    "55JEJ": ("EPSG:32755", 499_980, 6_900_040),
    "31NAA": ("EPSG:32631", 99_960, 100_020),
    "30MZE": ("EPSG:32730", 799_980, 10_000_000),
}


@pytest.mark.parametrize("tile", CORNERS)
def test_corner(tile: str) -> None:
    crs, x, y = tile_corner(tile)
    assert (crs, x, y) == CORNERS[tile]


def test_corners_of_real_tiles(reference_data: Path) -> None:
    """Every granule of the reference data lies where its metadata say."""
    found = set()
    for path in sorted(reference_data.rglob("MTD_TL.xml")):
        text = path.read_text("utf-8")
        tile = re.search(r"_T(\d\d[A-Z]{3})_N", text)
        crs = re.search(r"HORIZONTAL_CS_CODE>(EPSG:\d+)<", text)
        x, y = re.search(r"<ULX>(\d+)<", text), re.search(r"<ULY>(\d+)<", text)
        if tile and crs and x and y:
            assert tile_corner(tile[1]) == (crs[1], float(x[1]), float(y[1])), path
            found.add(tile[1])
    if not found:
        pytest.skip("no granule metadata in the reference data")
    assert {"01KAB", "22HBD", "33XWJ"} <= found


PLACES = {
    (-17.0, 32.75): "28SCB", (1.4, 43.5): "31TCJ", (147.5, -27.5): "55JEK", (0.0, 0.0): "31NAA",
    (-0.0001, -0.0001): "30MZE", (-180.0, 10.0): "01PAM", (180.0, 10.0): "01PAM", (179.999, 10.0): "60PZS",
    (5.9999, 45.0): "31TGK", (6.0, 45.0): "32TKQ", (366.0, 45.0): "32TKQ", (3.0, 83.9): "31XEP", (20.0, -79.9): "34CDS",
}  # fmt: skip


@pytest.mark.parametrize(("place", "tile"), PLACES.items(), ids=PLACES.values())
def test_tile_of_a_place(place: tuple[float, float], tile: str) -> None:
    assert tile_at(*place) == tile


def _inside(lon: float, lat: float, tile: str) -> tuple[float, float]:
    """Return how far a place is right of and below the corner of its tile."""
    crs, left, top = tile_corner(tile)
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return x - left, top - y


def test_a_place_lies_in_the_square_of_its_tile() -> None:
    random = np.random.default_rng(0)
    for lon, lat in zip(random.uniform(-180, 180, 300), random.uniform(-79.9, 83.9, 300), strict=True):
        right, down = _inside(lon, lat, tile_at(lon, lat))
        # the corner stands up to 60 m outside of the square of 100 km
        assert 0 <= right < 100_060, (lon, lat)
        assert 0 <= down < 100_060, (lon, lat)
        assert right < TILE_SIZE


def test_squares_around_madeira() -> None:
    """Tiles of the region of the simulated sessions: neighbours in both directions, on the 60 m grid."""
    for tile, (lon, lat) in {"28SCB": (-17.0, 32.75), "28SCC": (-17.0, 33.8), "28SDB": (-15.9, 32.75)}.items():
        assert tile_at(lon, lat) == tile
        right, down = _inside(lon, lat, tile)
        assert 0 < right < 100_060
        assert 0 < down < 100_060
    (_, x, y), (_, _, above), (_, beside, _) = (tile_corner(t) for t in ("28SCB", "28SCC", "28SDB"))
    assert (above - y, beside - x) == (100_020, 99_960)
    for value in (x, y, above, beside):
        assert value % 20 == 0
    assert x % 60 == beside % 60 == 0


@pytest.mark.parametrize("lat", [-31.9999, -32.0001, -0.0001, 0.0001, 71.9999, 72.0001])
@pytest.mark.parametrize("lon", [-179.9999, -6.0001, -5.9999, 149.9999])
def test_edges_of_zones_and_latitude_bands(lon: float, lat: float) -> None:
    tile = tile_at(lon, lat)
    assert int(tile[:2]) == int((lon + 180) // 6) + 1
    assert (tile[2] >= "N") == (lat > 0)
    right, down = _inside(lon, lat, tile)
    assert 0 <= right < 100_060
    assert 0 <= down < 100_060


@pytest.mark.parametrize("tile", ["00SCB", "61SCB", "28ICB", "28SOB", "28SCI", "28SCW", "28SJB", "31TIJ"])
def test_tiles_that_do_not_exist(tile: str) -> None:
    with pytest.raises(ValueError, match=tile):
        tile_corner(tile)


@pytest.mark.parametrize("lat", [84.0, 90.0, -80.1, -90.0, float("nan")])
def test_no_tiles_at_the_poles(lat: float) -> None:
    with pytest.raises(ValueError, match="no tile at latitude"):
        tile_at(10.0, lat)
