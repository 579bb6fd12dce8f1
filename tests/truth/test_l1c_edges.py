"""Tiles where things get hard: right everywhere, or refused with the reason; never silent zeros."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from l1c_strip_model import EVERY, Strip, Tile, write_strip
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import Affine

from s2dask.errors import ConfigurationError, S2Error
from s2dask.geometry.tiles import tile_at
from s2dask.instrument import band
from s2dask.instrument.quality import MSI_LOST, NODATA
from s2dask.l1c.reflectance import decode
from s2dask.production.blocks import Blocking
from s2dask.production.footprint import tile_grid

NOON = "2020-08-16T12:02:25Z"
MIDNIGHT_IN_GREENWICH = "2020-08-15T22:30:00Z"
"""Half past ten in the morning at the antimeridian."""
SUMMER_IN_THE_NORTH = "2020-06-21T12:00:00Z"


def _right(tile: Tile, name: str) -> None:
    """Check that what is seen of a tile is the ground, and that what is not is no data and said to be."""
    values, quality, footprint = tile.layers(name)
    seen = footprint > 0
    assert ((values > 0) == seen).all()
    assert ((quality & NODATA > 0) == ~seen).all()
    error = tile.errors(name)
    assert np.isfinite(error).sum() > 500
    assert np.nanmax(np.abs(error)) < 5e-3
    assert np.sqrt(np.nanmean(error**2)) < 1e-3


def _agree(one: Tile, other: Tile, name: str) -> None:
    """Check that two tiles hold the same of the ground that both see, whatever their zones."""
    lon, lat = one.centres(name)
    x, y = Transformer.from_crs("EPSG:4326", other.attrs["crs"], always_xy=True).transform(lon, lat)
    r, size = band(name).resolution, tile_grid(other.attrs["tile_id"]).shape(band(name).resolution)
    column, row = (x - other.attrs["x0"]) / r - 0.5, (other.attrs["y0"] - y) / r - 0.5
    inside = (column > 1) & (row > 1) & (column < size[1] - 2) & (row < size[0] - 2)
    mine = decode(one.layers(name)[0][::EVERY, ::EVERY][inside])
    theirs = _between(decode(other.layers(name)[0]), row[inside], column[inside])
    both = np.isfinite(mine) & np.isfinite(theirs)
    assert both.sum() > 200
    assert (np.isfinite(mine) == np.isfinite(theirs)).mean() > 0.98
    np.testing.assert_allclose(mine[both], theirs[both], rtol=3e-3)


def _between(image: NDArray[np.float32], row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
    i, j = row.astype(int), column.astype(int)
    v, u = row - i, column - j
    top = image[i, j] * (1 - u) + image[i, j + 1] * u
    return np.asarray(top * (1 - v) + (image[i + 1, j] * (1 - u) + image[i + 1, j + 1] * u) * v)


@pytest.mark.row("IPF-29")
@pytest.mark.parametrize(
    ("date", "lon", "lat", "zones"),
    [(NOON, -18.0, 32.8, ("27S", "28S")), (MIDNIGHT_IN_GREENWICH, 180.0, -17.0, ("60K", "01K"))],
    ids=["seam of two zones", "antimeridian"],
)
def test_two_zones_hold_the_same_ground(
    date: str, lon: float, lat: float, zones: tuple[str, str], tmp_path: Path
) -> None:
    strip = write_strip(tmp_path, date, lon, lat, detectors=(6, 7), scenes=2)
    touched = strip.tiles()
    assert {name[:3] for name in touched} >= set(zones)
    tiles = [strip.tile(_fullest(strip, [name for name in touched if name.startswith(zone)])) for zone in zones]
    for name in strip.bands:
        for tile in tiles:
            _right(tile, name)
        _agree(*tiles, name)
    for tile in tiles:
        assert 0 < tile.share("nodata") < 100
        assert tile.share("data_loss") == 0


def _fullest(strip: Strip, names: list[str]) -> str:
    """Return the tile in whose middle the middle of the strip is most."""
    middle = strip.place

    def distance(name: str) -> float:
        grid = tile_grid(name)
        x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*middle)
        return float(max(abs(x - grid.x0 - grid.width / 2), abs(grid.y0 - grid.height / 2 - y)))

    return min(names, key=distance)


@pytest.mark.row("IPF-29")
def test_the_northernmost_tiles_are_right_and_beyond_there_are_none(tmp_path: Path) -> None:
    """The satellite turns at 81.4 degrees; what it sees beside is the last that the zones of UTM have."""
    strip = write_strip(tmp_path, SUMMER_IN_THE_NORTH, 25.0, 81.2, detectors=(6, 7), scenes=2)
    touched = strip.tiles()
    assert all(name[2] == "X" for name in touched)
    tile = strip.tile(_fullest(strip, touched))
    for name in strip.bands:
        _right(tile, name)
    assert tile.verdict("Solar_Angle_Zenith") == ("concluding", "PASSED")
    for polar in ("ZAH", "00YZA", "33YUP"):
        with pytest.raises(ConfigurationError, match="tile"):
            tile_grid(polar)
    with pytest.raises(ValueError, match="no tile at latitude 84"):
        tile_at(0.0, 84.5)


@pytest.mark.row("IPF-29", "IPF-31")
def test_a_strip_that_ends_in_a_tile_leaves_the_rest_empty(tmp_path: Path) -> None:
    strip = write_strip(tmp_path, NOON, -16.5, 32.8, detectors=(5, 6, 7, 8), scenes=2)
    tile = strip.tile(_fullest(strip, strip.tiles()))
    shares = []
    for name in strip.bands:
        _right(tile, name)
        values, quality, footprint = tile.layers(name)
        unseen = footprint == 0
        assert (quality[unseen] == NODATA).all()
        assert (values[unseen] == 0).all()
        shares.append(100 * unseen.mean())
    assert 20 < min(shares) < 80
    assert tile.share("nodata") == pytest.approx(np.mean(shares), abs=1e-9)
    for what in ("data_loss", "degraded", "saturated_defective", "cloud", "snow"):
        assert tile.share(what) == 0
    assert tile.verdict("Data_Loss") == ("informative", "PASSED")


@pytest.mark.row("IPF-31")
def test_a_granule_that_is_missing_is_lost_and_counted(tmp_path: Path) -> None:
    """In a tile of two cuts, which hold the same bytes, masks included."""
    strip = write_strip(tmp_path / "lost", NOON, -16.5, 32.8, detectors=(6, 7), scenes=3, lost=[(6, 1)])
    name = _fullest(strip, strip.tiles())
    tile, again = strip.tile(name), strip.tile(name, Blocking(27_480, 13_740))
    for key in strip.bands:
        for one, other in zip(tile.layers(key), again.layers(key), strict=True):
            np.testing.assert_array_equal(one, other)
        values, quality, footprint = tile.layers(key)
        lost = quality & MSI_LOST > 0
        gone = (values == 0) & (footprint > 0)
        # the detector has looked there, and what it saw is not there: so it is said, and nowhere else
        assert (footprint[lost] == 6).all()
        assert (lost >= gone).all()
        assert (quality[gone] & NODATA > 0).all()
        assert ((quality & NODATA > 0) == (values == 0)).all()
        share = gone.sum() / (footprint > 0).sum()
        assert 0.1 < share < 0.3
        assert lost.sum() == pytest.approx(gone.sum(), rel=0.02)
        error = tile.errors(key)
        beside = ~_widened(gone)[::EVERY, ::EVERY]
        assert np.nanmax(np.abs(error[beside])) < 5e-3
    np.testing.assert_array_equal(tile.classification(), again.classification())
    assert tile.result["record"] == pytest.approx(again.result["record"], rel=1e-12)
    assert 10 < tile.share("data_loss") < 30
    assert tile.share("degraded") == pytest.approx(tile.share("data_loss"), rel=0.02)
    assert tile.verdict("Data_Loss") == ("informative", "FAILED")


def _widened(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with the pixels around it that a filter of 12 lines reaches."""
    out = where.copy()
    for _ in range(16):
        out[1:] |= out[:-1].copy()
        out[:-1] |= out[1:].copy()
    return out


def _raster(folder: Path, west: float, hole: bool) -> None:
    """Write an elevation model of one degree from `west` on, which does not hold the whole tile, or has a void."""
    heights = np.full((601, 1201), 100.0, np.float32)
    if hole:
        heights[250:300, 500:560] = -32768
    with rasterio.open(
        folder / "dem.tif", "w", driver="GTiff", width=1201, height=601, count=1, dtype="float32", crs="EPSG:4326",
        transform=Affine(1 / 600, 0.0, west, 0.0, -1 / 300, 33.8), nodata=-32768,
    ) as raster:  # fmt: skip
        raster.write(heights, 1)


@pytest.mark.parametrize(
    ("land", "reason"),
    [
        (lambda folder: _raster(folder, -16.6, hole=False), r"cell n33w017: no terrain height at lon"),
        (lambda folder: _raster(folder, -17.6, hole=True), r"void"),
    ],
    ids=["no raster", "void"],
)
def test_a_hole_in_the_terrain_is_refused_by_name(land: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    strip = write_strip(tmp_path, NOON, -16.5, 32.8, detectors=(6, 7), bands=("B09",), scenes=2, land=land)
    with pytest.raises(S2Error, match=reason):
        strip.tile("28SCB")


def test_by_night_a_tile_is_withheld(tmp_path: Path) -> None:
    strip = write_strip(tmp_path, "2020-08-16T23:30:00Z", -16.5, 32.8, detectors=(6, 7), bands=("B09",), scenes=2)
    tile = strip.tile(_fullest(strip, strip.tiles()))
    values, quality, _ = tile.layers("B09")
    assert tile.attrs["solar_zenith"] > 90
    assert tile.verdict("Solar_Angle_Zenith") == ("concluding", "FAILED")
    assert (values == 0).all()
    assert (quality & NODATA > 0).all()
