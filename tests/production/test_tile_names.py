"""Tiles by name: at seams, at the antimeridian and at the poles they are themselves, or refused with the reason."""

import pytest

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.production.footprint import tile_grid


@pytest.mark.parametrize(
    ("name", "crs", "corner"),
    [
        ("28SCB", "EPSG:32628", (300_000, 3_700_020)),
        ("T28SCB", "EPSG:32628", (300_000, 3_700_020)),
        ("28scb", "EPSG:32628", (300_000, 3_700_020)),
        ("01KAB", "EPSG:32701", (99_960, 8_200_000)),
        ("60XVP", "EPSG:32660", (399_960, 8_900_040)),
        ("32TLQ", "EPSG:32632", (300_000, 5_000_040)),
    ],
)
def test_a_name_is_a_place(name: str, crs: str, corner: tuple[int, int]) -> None:
    grid = tile_grid(name)
    assert (grid.crs, (grid.x0, grid.y0), grid.width, grid.height) == (crs, corner, 109_800, 109_800)
    part = tile_grid(name, (corner[0] + 600, corner[1] - 1200, 600, 1200))
    assert part == TileGrid(grid.tile_id, crs, corner[0] + 600, corner[1] - 1200, 600, 1200)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ZAB", "polar square; there are no tiles beyond 84 N"),
        ("TBAN", "polar square"),
        ("28SC", "'28SC' is no name of a tile; give five characters"),
        ("28SCBX", "'28SCBX' is no name"),
        ("", "'' is no name"),
        ("61SCB", "61SCB is no tile of the military grid"),
        ("28ICB", "28ICB is no tile of the military grid"),
        ("28SZZ", "28SZZ is no tile of the military grid"),
    ],
)
def test_what_is_no_tile_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        tile_grid(name)
    assert reason in str(error.value)
    assert str(error.value).startswith("--tile: ")
