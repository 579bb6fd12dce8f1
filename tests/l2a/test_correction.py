"""Surface reflectance and water vapour from reflectances made by the independent model of one pixel."""

import numpy as np
import pytest
from surface_model import top_of_atmosphere

from s2dask.instrument import BANDS
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.correction import coefficient_table, height_nodes, over_cells, water_law
from s2dask.l2a.inversion import LINES, cell_lines, invert
from s2dask.l2a.water_vapour import UNKNOWN, retrieve, side_weight, smooth, surface_uncertainty, uncertainty

MSL, OZONE, WV, AOT = 1008.0, 320.0, 2.2, 0.25
SUN, VIEWS = (38.0, 145.0), ((7.0, 100.0), (8.0, 290.0))


def conditions() -> Conditions:
    full = np.full((2, 2), 1.0)
    sun = np.stack([SUN[0] * full, SUN[1] * full])
    slots = [np.stack([z * full, a * full]) for z, a in (VIEWS[0], *VIEWS)]
    views = {name: np.stack(slots) for name in BANDS}
    return Conditions("S2A", 60.0, (6, 7), sun, views, full, full, WV * full, MSL * full, OZONE * full)


def _cells(name: str, slot: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    c, heights = conditions(), height_nodes(float(elevation.min()), float(elevation.max()))
    aot = AOT * np.exp(-heights[:, None, None] / 2000.0)
    return over_cells(c, coefficient_table(c, name, aot, heights), heights, (3, 5), slot, elevation)


def _toa(name: str, detector: int, height: float, rho: float) -> float:
    return top_of_atmosphere("S2A", name, SUN, VIEWS[detector - 6], height, AOT, MSL, WV, OZONE, rho)[0]


@pytest.mark.parametrize("name", [name for name in BANDS if name != "B10"])
def test_the_surface_comes_back(name: str) -> None:
    slot = np.array([[1, 2, 2]], np.uint8)
    elevation = np.array([[10.0, 730.0, 1500.0]], np.float32)
    rho = np.random.default_rng(1).uniform(0.0, 0.9, (2, 6))
    toa = np.array([
        [_toa(name, 5 + int(slot[0, x // 2]), float(elevation[0, x // 2]), rho[y, x]) for x in range(6)]
        for y in range(2)
    ])  # fmt: skip
    cells = _cells(name, slot, elevation)
    vapour, one = WV * np.exp(-elevation.astype(float) / 2000.0), np.ones(slot.shape, np.float32)
    lines, out = np.empty((*slot.shape, LINES), np.float32), np.empty((2, 6), np.uint16)
    cell_lines(cells, vapour, *water_law("S2A", name), np.nan * one, one, 0 * one, 0.0, lines)
    invert(toa.astype(np.float32), lines, np.zeros((0, 0), np.float32), 2, out)
    # Two solvers of radiative transfer, half a count of coding, and what is lost between heights 500 m apart.
    found = (out.astype(float) - 1000) / 1e4
    assert (np.abs(found - rho) < (0.01 if name == "B09" else 0.0015) + 0.012 * rho).all()


def test_water_vapour_comes_back() -> None:
    slot = np.array([[1, 2, 1, 1, 1, 1]], np.uint8)
    elevation = np.array([[0.0, 400.0, 1200.0, 0.0, 0.0, 0.0]], np.float32)
    rho = [0.4, 0.25, 0.7, 0.03, 0.3, 0.3]
    pair = {}
    for name in ("B8A", "B09"):
        values = [_toa(name, 5 + int(slot[0, i]), float(elevation[0, i]), rho[i]) for i in range(6)]
        pair[name] = np.array([values], np.float32)
    pair["B09"][0, 4], pair["B8A"][0, 5] = np.nan, np.inf
    near, deep = (_cells(name, slot, elevation) for name in ("B8A", "B09"))
    laws = water_law("S2A", "B8A"), water_law("S2A", "B09")
    hidden = np.zeros((1, 6), np.bool_)
    for start in (0.3, 1.0, 5.0):
        out = np.empty((1, 6))
        retrieve(pair["B8A"], pair["B09"], near, deep, *laws, np.full((1, 6), start), hidden, out)
        np.testing.assert_allclose(out[0, :3], WV * np.exp(-elevation[0, :3] / 2000.0), rtol=0.02)
        assert out[0, 3:].tolist() == [UNKNOWN] * 3
    hidden[0, 1] = True
    retrieve(pair["B8A"], pair["B09"], near, deep, *laws, np.full((1, 6), 1.0), hidden, out)
    assert out[0, 1] == UNKNOWN


def test_smoothing_follows_the_ground_and_fills() -> None:
    random = np.random.default_rng(3)
    scale = np.exp(-random.uniform(0, 1500, (6, 7)) / 2000.0)
    found = 2.0 * scale
    found[1, 1], found[5, :] = UNKNOWN, UNKNOWN
    out = np.empty(found.shape)
    smooth(found, scale, side_weight(60.0), 3.0 * scale, out)
    np.testing.assert_allclose(out, np.where(found > 0, 2.0, 3.0) * scale, rtol=1e-12)
    peak = np.zeros((5, 5))
    peak[2, 2] = 1.0
    out = np.empty((5, 5))
    smooth(peak, np.ones((5, 5)), side_weight(60.0), peak, out)
    bell = np.exp(-0.5 * (60.0 / (100.0 / 2.35482)) ** 2)
    np.testing.assert_allclose(out[2, 1] / out[2, 2], bell, rtol=1e-5)
    np.testing.assert_allclose([out.sum(), out[1, 1] / out[2, 2]], [1.0, bell**2], rtol=1e-5)


def test_uncertainty_of_the_water_vapour() -> None:
    law = water_law("S2A", "B09")
    cm = np.array([0.5, 1.5, 3.0])
    sigma = uncertainty(cm, 2.3, law, 0.05)
    # What errors of calibration and surface, and 5 % of the absorption do, found by inverting the law with them.
    depth = law[0] * (2.3 * cm) ** law[1]
    step = np.sqrt(0.02**2 + 0.02**2 + (0.05 * depth) ** 2)
    more, less = (((depth + side * step) / law[0]) ** (1 / law[1]) / 2.3 for side in (-1, 1))
    np.testing.assert_allclose(sigma, (more - less) / 2, rtol=0.02)
    assert (sigma < 0.1 * cm + 0.2).all()
    # the surface alone, which B09 cannot tell from vapour
    only = surface_uncertainty(cm, 2.3, law)
    more, less = (((depth + side * 0.02) / law[0]) ** (1 / law[1]) / 2.3 for side in (-1, 1))
    np.testing.assert_allclose(only, (more - less) / 2, rtol=0.02)


def test_bands_without_water_have_no_law() -> None:
    assert water_law("S2A", "B01") == (0.0, 1.0)
    assert water_law("S2A", "B09")[0] < -0.5
    assert height_nodes(-3.0, 0.0).tolist() == [-500.0, 0.0]
    assert height_nodes(0.0, 0.0).tolist() == [0.0, 500.0]
