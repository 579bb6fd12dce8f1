"""Virtual datastrips: every scene is that of one, every tile lies whole in one, and nothing is waited for in vain."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from plan_model import pass_of

from s2dask.auxdata.terrain import Terrain
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry.footprint import datastrip_footprint
from s2dask.geometry.tiles import map_positions, tiles_of
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band
from s2dask.io import schema
from s2dask.io.strips import StripSource
from s2dask.io.template import create
from s2dask.l1c.resampling import Filter, margin_lines
from s2dask.production.footprint import tile_grid
from s2dask.production.order import Order
from s2dask.production.resampling import Resampling
from s2dask.production.tile_scenes import tile_scenes
from s2dask.production.unit_table import MARGIN, StripCut, l0_units, l1b_units, strip_unit
from s2dask.production.virtual_strip import cut_parts, made_again
from s2dask.simulate.structure import StructureOptions

DETECTORS, BANDS, SCENES = (4, 5, 12), ("B02", "B10", "B12"), 14
NEEDS = st.dictionaries(
    st.sampled_from([f"28S{a}{b}" for a in "ABC" for b in "ABC"]),
    st.tuples(st.integers(0, 59), st.integers(1, 12)).map(lambda need: (need[0], need[0] + need[1])),
)


@lru_cache
def _pass(scenes: int) -> tuple[ViewingModel, Terrain]:
    return pass_of(StructureOptions(scenes, DETECTORS, BANDS))


@given(st.integers(60, 90), st.integers(1, 100), NEEDS)
def test_every_scene_is_of_one_and_every_tile_lies_whole_in_one(
    scenes: int, per: int, needs: dict[str, tuple[int, int]]
) -> None:
    needs = {tile: (first, min(stop, scenes)) for tile, (first, stop) in needs.items()}
    parts = cut_parts(scenes, per, needs)
    assert [k for part in parts for k in range(part.first, part.stop)] == list(range(scenes))
    assert sorted(tile for part in parts for tile in part.tiles) == sorted(needs)
    for part in parts:
        assert part.stop <= part.reach <= scenes
        assert all(part.first <= needs[t][0] and needs[t][1] <= part.reach for t in part.tiles)
        assert part.reach == part.stop or part.reach in {needs[tile][1] for tile in part.tiles}
    assert made_again(parts) * scenes == pytest.approx(sum(part.reach - part.stop for part in parts))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12), NEEDS)
def test_names_are_unique_and_granules_wait_for_all_that_they_read(
    scenes: int, group: int, per: int, needs: dict[str, tuple[int, int]]
) -> None:
    needs = {tile: (first, min(stop, scenes)) for tile, (first, stop) in needs.items() if first < scenes}
    whole = StripCut((1, 2), scenes, rank=1, group=group)
    l0 = l0_units(whole)
    holds = {u.name: {(u.spec["detector"], k) for k in range(*u.spec["scenes"])} for u in l0}
    names, own = [*holds, whole.strip_name], []
    for part in cut_parts(scenes, per, needs):
        cut = StripCut((1, 2), scenes, rank=1, group=group, part=part)
        units = l1b_units(cut, l0)
        names += [unit.name for unit in units] + [strip_unit(cut).name] + [cut.tile_name(tile) for tile in part.tiles]
        made = [(u.spec["detector"], k) for u in units for k in range(*u.spec["scenes"])]
        assert sorted(made) == [(d, k) for d in (1, 2) for k in range(part.first, part.reach)]
        own += [key for key in made if key[1] < part.stop]
        for unit in units:
            first, stop = unit.spec["scenes"]
            assert stop <= part.stop or first >= part.stop  # what is judged is apart from what is not
            read = {(unit.spec["detector"], k) for k in range(first - MARGIN, stop + MARGIN) if 0 <= k < scenes}
            assert read <= set().union(*(holds[name] for name in unit.after))
    assert len(set(names)) == len(names)
    assert sorted(own) == [(d, k) for d in (1, 2) for k in range(scenes)]


def test_the_names_of_virtual_datastrips() -> None:
    parts = cut_parts(12, 6, {"28SCB": (4, 8)})
    cut = StripCut((5,), 12, part=parts[0])
    assert [u.name for u in l1b_units(cut)] == ["L1B-V1-D05-G000-005", "L1B-V1-D05-G006-007"]
    assert cut.strip_name == "STRIP-V1"
    assert cut.tile_name("28SCB") == "TILE-T28SCB"
    assert cut.whole.strip_name == "STRIP"


def _lines_of_pixels(model: ViewingModel, tile: str, name: str, detector: int, places: int) -> NDArray[np.float64]:
    """Return the lines at which pixels anywhere in a tile, at any height, are seen in an image of endless length."""
    rng, grid = np.random.default_rng(3), tile_grid(tile)
    x, y, h = (rng.uniform(low, high, places) for low, high in ((0.0, 109_800.0), (0.0, 109_800.0), (-500.0, 9000.0)))
    lon, lat = map_positions(grid.crs, (grid.x0, grid.y0), grid.x0 + x, grid.y0 - y)
    line, column = model.inverse(name, detector, lon, lat, h)
    return np.asarray(line[(column >= -0.5) & (column <= band(name).columns - 0.5)])


@pytest.mark.row("PS-05")
@pytest.mark.parametrize("interpolation", ["SPLINE3", "SPLINE7"])
def test_the_scenes_of_a_tile_hold_every_line_that_it_takes(interpolation: Filter) -> None:
    model, terrain = _pass(SCENES)
    lines = {name: SCENES * band(name).lines_per_scene for name in BANDS}
    images = {(d, name): (0, count) for d in DETECTORS for name, count in lines.items()}
    tiles = [tile.name for tile in tiles_of(datastrip_footprint(model, images, terrain))]
    assert len(tiles) > 12
    spare = []
    for tile in tiles:
        found = tile_scenes(model, tile_grid(tile), lines, DETECTORS, interpolation)
        assert found is not None
        first, last = SCENES, -1
        for (d, name), (_, count) in images.items():
            seen = _lines_of_pixels(model, tile, name, d, 4000)
            seen = seen[(seen >= -0.5) & (seen <= count - 0.5)]
            if seen.size:
                around, scene = margin_lines(interpolation), band(name).lines_per_scene
                first = min(first, max(int(seen.min()) - around, 0) // scene)
                last = max(last, min(int(np.ceil(seen.max())) + around, count - 1) // scene)
        assert last < 0 or (found[0] <= first and last < found[1])
        if last >= 0:
            spare.append((first - found[0]) + (found[1] - 1 - last))
    assert len(spare) > 10
    assert np.mean(spare) < 1.0  # scenes


def test_lines_are_found_from_end_to_end_of_a_quarter_of_an_hour() -> None:
    model, terrain = _pass(255)
    line = np.linspace(0.0, 255 * 2304 - 1.0, 40)
    lon, lat, h = model.direct("B02", 5, line, 1000.0, terrain)
    alone = np.array([model.inverse("B02", 5, *place)[0] for place in zip(lon, lat, h, strict=True)])
    np.testing.assert_allclose(alone, line, atol=1e-5)
    np.testing.assert_array_equal(model.inverse("B02", 5, lon, lat, h)[0], alone)


def test_a_virtual_datastrip_refuses_lines_that_it_does_not_hold(tmp_path: Path) -> None:
    url, scene = str(tmp_path / "l1b-v2.zarr"), band("B01").lines_per_scene
    create(url, schema.l1b((5,), ("B01",), 9, 4, 4), {})
    source = StripSource(url, (4, 7))
    assert source.read(5, "B01", 4 * scene, 7 * scene)[0].shape[0] == 3 * scene
    for start, stop in ((4 * scene - 1, 5 * scene), (6 * scene, 7 * scene + 1)):
        with pytest.raises(InputError, match="are not among its scenes 4 to 6"):
            source.read(5, "B01", start, stop)


def test_a_split_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 or more"):
        Order(source="session", split=0)
    with pytest.raises(ConfigurationError, match="no tiles"):
        Order(source="session", to="L1B", split=4)
    with pytest.raises(ConfigurationError, match="the mean of the whole datastrip"):
        Order(source="session", split=4, resampling=Resampling(uncertainty=True))
    assert Order.of(Order(source="session", split=4).spec()).split == 4
