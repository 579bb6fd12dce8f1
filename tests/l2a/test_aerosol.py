"""Aerosol and water vapour from a sample made by the independent model of one pixel."""

import numpy as np
import pytest
from surface_model import top_of_atmosphere
from test_correction import MSL, OZONE, SUN, VIEWS, conditions

from s2dask.l2a.aerosol import DEFAULT_AOT, SAMPLE_BANDS, LandSample, mean_water_vapour, retrieve_aot

GRASS = {"B02": 0.017, "B04": 0.03, "B8A": 0.42, "B09": 0.42, "B12": 0.06}
SOIL = {"B02": 0.08, "B04": 0.16, "B8A": 0.28, "B09": 0.29, "B12": 0.30}


def _sample(aot: float, wv: float, share: float, count: int = 240) -> LandSample:
    random = np.random.default_rng(7)
    grass = np.arange(count) < share * count
    slot = (1 + np.arange(count) % 2).astype(np.uint8)
    elevation = random.uniform(0, 1200, count).astype(np.float32)
    rho = np.empty((len(SAMPLE_BANDS), count), np.float32)
    for i in range(count):
        vigour = random.uniform(0.8, 1.2)
        for k, name in enumerate(SAMPLE_BANDS):
            surface = (GRASS if grass[i] else SOIL)[name] * vigour
            view = VIEWS[slot[i] - 1]
            rho[k, i] = top_of_atmosphere("S2A", name, SUN, view, float(elevation[i]), aot, MSL, wv, OZONE, surface)[0]
    position = np.arange(count, dtype=np.int32)
    return LandSample(position, position[::-1].copy(), slot, grass, elevation, rho)


@pytest.mark.parametrize("aot", [0.03, 0.12, 0.3, 0.7])
def test_aerosol_comes_back(aot: float) -> None:
    found = retrieve_aot(conditions(), _sample(aot, 2.0, 0.5), 2.0)
    assert found.retrieved
    assert found.cells == 120
    assert found.swir_limit == 0.10
    assert abs(found.aot - aot) < 0.03
    assert abs(found.residual) < 0.003


def test_too_little_vegetation_is_said() -> None:
    found = retrieve_aot(conditions(), _sample(0.4, 2.0, 0.05), 2.0)
    assert (found.retrieved, found.aot, found.cells) == (False, DEFAULT_AOT, 0)


@pytest.mark.parametrize("wv", [0.5, 1.8, 4.0])
def test_water_vapour_comes_back(wv: float) -> None:
    assert abs(mean_water_vapour(conditions(), _sample(0.2, wv, 0.5), 0.2, 1.5) - wv) < 0.1
    assert abs(mean_water_vapour(conditions(), _sample(0.2, wv, 0.5), 0.4, 1.5) - wv) < 0.15


def test_no_cells() -> None:
    none = _sample(0.2, 2.0, 0.5, 8).take(np.zeros(0, np.intp))
    assert mean_water_vapour(conditions(), none, 0.2, 1.25) == 1.25
    assert not retrieve_aot(conditions(), none, 1.25).retrieved


def test_the_order_of_blocks_does_not_matter() -> None:
    whole = _sample(0.2, 2.0, 0.5, 40)
    parts = [whole.take(np.arange(i, 40, 3)) for i in range(3)]
    first, second = LandSample.join(parts), LandSample.join(parts[::-1])
    np.testing.assert_array_equal(first.reflectance, second.reflectance)
    np.testing.assert_array_equal(first.row, whole.row)
