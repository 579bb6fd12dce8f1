"""Aerosol of boxes and water vapour of land, from a sample made by the independent model of one pixel."""

from functools import cache

import numpy as np
import pytest
from surface_model import top_of_atmosphere
from test_correction import MSL, OZONE, SUN, VIEWS, conditions

from s2dask.l2a.aerosol import SAMPLE_BANDS, BoxAerosol, LandSample, box_edge, dark_vegetation
from s2dask.l2a.correction import height_nodes
from s2dask.l2a.tile_atmosphere import Vapour, land_vapour
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sky import direct_light

GRASS = {"B02": 0.0175, "B04": 0.03, "B8A": 0.42, "B09": 0.42, "B12": 0.06}
SOIL = {"B02": 0.08, "B04": 0.16, "B8A": 0.28, "B09": 0.29, "B12": 0.30}
HEIGHTS = height_nodes(0.0, 1200.0)


@cache
def _air(name: str, slot: int, elevation: int, aot: float, wv: float) -> tuple[float, float, float, float]:
    return top_of_atmosphere("S2A", name, SUN, VIEWS[slot - 1], float(elevation), aot, MSL, wv, OZONE, 0.0)[1]


def _sample(aot: float, wv: float, share: float, boxes: int = 2, count: int = 60) -> LandSample:
    """Return `count` cells in each of `boxes` boxes side by side, in the first of which there is twice the aerosol."""
    random, edge, total = np.random.default_rng(7), box_edge(60.0), boxes * count
    grass = np.arange(total) % count < share * count
    slot = (1 + np.arange(total) % 2).astype(np.uint8)
    elevation = (100 * random.integers(0, 13, total)).astype(np.float32)
    rho = np.empty((len(SAMPLE_BANDS), total), np.float32)
    for i in range(total):
        vigour, load = random.uniform(0.8, 1.2), 2 * aot if i < count else aot
        for k, name in enumerate(SAMPLE_BANDS):
            path, reach, albedo, gas = _air(name, int(slot[i]), int(elevation[i]), load, wv)
            surface = (GRASS if grass[i] else SOIL)[name] * vigour
            rho[k, i] = gas * (path + reach * surface / (1 - albedo * surface))
    position = np.arange(total, dtype=np.int32)
    return LandSample(position % 7, position // count * edge + position % count // 2, slot, grass, elevation, rho)


def _boxes(sample: LandSample, wv: float = 2.0, boxes: int = 2) -> BoxAerosol | None:
    return dark_vegetation(conditions(), sample, HEIGHTS, (1, boxes), wv)


@pytest.mark.parametrize("aot", [0.03, 0.12, 0.3, 0.5])
def test_aerosol_of_each_box_comes_back(aot: float) -> None:
    sample = _sample(aot, 2.0, 0.5)
    found = _boxes(sample)
    assert found is not None
    assert (found.row.tolist(), found.column.tolist(), found.cells) == ([0, 0], [0, 1], 60)
    thinned = np.exp(-found.height / 2000.0)
    np.testing.assert_allclose(found.aot, [2 * aot, aot] * thinned, atol=0.02 + 0.05 * aot)
    np.testing.assert_allclose(found.height[0], sample.elevation[:30].mean(), rtol=1e-6)
    assert ((found.sigma > 0.01) & (found.sigma < 0.12)).all()
    assert 0.01 < found.shared < 0.12


def test_relations_that_do_not_hold_move_the_answer_by_what_is_stated() -> None:
    sample = _sample(0.2, 2.0, 0.5)
    usual = _boxes(sample)
    blue = sample.reflectance.copy()
    blue[SAMPLE_BANDS.index("B02")] += 0.005
    moved = _boxes(LandSample(sample.row, sample.column, sample.slot, sample.vegetation, sample.elevation, blue))
    assert usual is not None
    assert moved is not None
    change = moved.aot - usual.aot
    stated = np.hypot(usual.sigma, usual.shared)
    assert ((change > 0.2 * stated) & (change < 1.5 * stated)).all()


def test_bright_ground_beside_vegetation_is_no_aerosol() -> None:
    """Light of the surroundings, by the simulator's share of it, is taken off where they are told."""
    aot, beside, count = 0.15, 0.2, 60
    options = SimulationOptions(aot=aot, pressure=MSL)
    rho, around = np.empty((len(SAMPLE_BANDS), count), np.float32), {}
    for k, name in enumerate(SAMPLE_BANDS):
        path, reach, albedo, gas = _air(name, 1, 0, aot, 2.0)
        share = float(direct_light(options, name, *(np.array(v) for v in (SUN[0], VIEWS[0][0], 0.0)))[2])
        lit = reach / (1 - albedo * beside)
        rho[k] = gas * (path + lit * (share * GRASS[name] + (1 - share) * beside))
        around[name] = np.full((2, 2), gas * (path + lit * beside))
    at, slot = np.arange(count, dtype=np.int32), np.ones(count, np.uint8)
    sample = LandSample(at % 7, at // 2, slot, slot == 1, np.zeros(count, np.float32), rho)
    told, alone = (dark_vegetation(conditions(), sample, HEIGHTS, (1, 1), 2.0, known) for known in (around, None))
    assert told is not None
    np.testing.assert_allclose(told.aot, aot, atol=0.02)
    assert alone is None or alone.aot[0] > aot + 0.05


def test_brighter_vegetation_is_taken_where_there_is_no_darker() -> None:
    sample = _sample(0.2, 2.0, 0.5)
    assert _boxes(sample) is not None
    brighter = sample.reflectance * 1.35
    found = _boxes(LandSample(sample.row, sample.column, sample.slot, sample.vegetation, sample.elevation, brighter))
    assert found is not None
    assert found.cells > 50


def test_too_little_vegetation() -> None:
    assert _boxes(_sample(0.2, 2.0, 0.1)) is None
    assert _boxes(_sample(0.2, 2.0, 0.0)) is None
    none = _sample(0.2, 2.0, 0.5, 1, 8).take(np.zeros(0, np.intp))
    assert _boxes(none) is None


def test_a_box_with_little_vegetation_says_nothing() -> None:
    sample = _sample(0.2, 2.0, 0.5)
    sample.vegetation[3:60] = False
    found = _boxes(sample)
    assert found is not None
    assert found.column.tolist() == [1]


def test_a_box_that_stands_out_is_left_out() -> None:
    sample = _sample(0.1, 2.0, 0.5, 7, 40)
    sample.reflectance[:, 120:160] += 0.05
    found = _boxes(sample, boxes=7)
    assert found is not None
    assert found.column.tolist() == [0, 1, 2, 4, 5, 6]


def _vapour(sample: LandSample, aot: float) -> Vapour:
    return land_vapour(conditions(), sample, HEIGHTS, aot)


@pytest.mark.parametrize("wv", [0.5, 1.8, 4.0])
def test_water_vapour_comes_back(wv: float) -> None:
    sample = _sample(0.2, wv, 0.5).take(np.arange(60, 120))
    for aot, least in ((0.2, 0.1), (0.4, 0.15)):
        found = _vapour(sample, aot)
        assert found.retrieved
        assert abs(found.mean - wv) < least
        assert (found.field == found.mean).all()
        assert least / 4 < found.sigma < 0.1 * wv + 0.2


def test_water_vapour_without_land_is_the_forecast() -> None:
    none = _sample(0.2, 2.0, 0.5, 1, 8).take(np.zeros(0, np.intp))
    found = _vapour(none, 0.2)
    assert not found.retrieved
    np.testing.assert_array_equal(found.field, conditions().water_vapour)
    assert found.mean == pytest.approx(2.2)


def test_the_order_of_blocks_does_not_matter() -> None:
    whole = _sample(0.2, 2.0, 0.5, 1, 42)
    whole = whole.take(np.lexsort((whole.column, whole.row)))
    parts = [whole.take(np.arange(i, 42, 3)) for i in range(3)]
    first, second = LandSample.join(parts), LandSample.join(parts[::-1])
    np.testing.assert_array_equal(first.reflectance, second.reflectance)
    np.testing.assert_array_equal(first.row, whole.row)
