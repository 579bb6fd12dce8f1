"""The numbers of a cell and its pixels against the light that falls on a slope in its surroundings."""

import numpy as np
import pytest

from s2dask.l2a import inversion
from s2dask.l2a.cirrus import SCATTER_BANDS, STEP, STEPS, cirrus_reflectance, growth, scatter
from s2dask.l2a.inversion import cell_lines, invert
from s2dask.l2a.slopes import gradients, relief, steep_cells
from s2dask.l2a.surroundings import NODE, node_sums, surroundings

CELL = {
    "path": 0.09, "both": 0.82 * 0.86, "albedo": 0.16, "log_gas": -0.03, "mass": 2.4, "down": 0.82, "direct_down": 0.7,
    "direct_up": 0.75, "molecules": 0.8,
}  # fmt: skip
LAW = (-0.02, 0.6)
VAPOUR = 2.1


def _water(share: float) -> float:
    return float(np.exp(LAW[0] * (share * CELL["mass"] * VAPOUR) ** LAW[1]))


def _toa(rho: float, around: float | None, cosine: float = 1.0, sky: float = 1.0) -> float:
    """Return what a sensor sees, term by term."""
    near_sun = CELL["direct_down"] * CELL["down"]
    lit = rho if around is None else around
    direct = CELL["direct_down"] * CELL["down"] * cosine
    diffuse = (1 - CELL["direct_down"]) * CELL["down"] * (near_sun * cosine + (1 - near_sun) * sky)
    reflected = 0.0 if around is None else (1 - sky) * CELL["down"] * lit
    light, level = direct + diffuse + reflected, CELL["down"]
    up = CELL["both"] / CELL["down"]
    straight, bent = CELL["direct_up"] * up, (1 - CELL["direct_up"]) * up
    path = CELL["path"] * (CELL["molecules"] + (1 - CELL["molecules"]) * _water(0.5))
    ground = (light * straight * rho + level * bent * lit) / (1 - CELL["albedo"] * lit)
    return float(np.exp(CELL["log_gas"])) * (path + _water(1.0) * ground)


def _surroundings_toa(around: float) -> float:
    return _toa(around, around)


def _lines(around: float, sky: float = 1.0, cirrus: float = 0.0, grows: float = 0.0) -> np.ndarray:
    cells = np.array([[list(CELL.values())]])
    out = np.empty((1, 1, 6), np.float32)
    one = np.ones((1, 1), np.float32)
    cell_lines(cells, VAPOUR * np.ones((1, 1)), *LAW, around * one, sky * one, cirrus * one, grows, out)
    return out


FLAT = np.zeros((0, 0), np.float32)


@pytest.mark.parametrize("around", [None, 0.03, 0.35])
@pytest.mark.parametrize("rho", [0.0, 0.02, 0.4, 1.1])
def test_the_surface_comes_back_from_its_surroundings(rho: float, around: float | None) -> None:
    image = np.full((1, 1), _toa(rho, around), np.float32)
    out = np.empty((1, 1), np.uint16)
    invert(image, _lines(np.nan if around is None else _surroundings_toa(around)), FLAT, 1, out)
    assert abs((int(out[0, 0]) - 1000) / 1e4 - rho) < 1e-4


@pytest.mark.parametrize(("cosine", "sky"), [(1.0, 1.0), (0.4, 0.93), (1.3, 0.96), (0.1, 0.85)])
def test_the_surface_comes_back_from_a_slope(cosine: float, sky: float) -> None:
    rho, around = 0.25, 0.18
    image = np.full((1, 1), _toa(rho, around, cosine, sky), np.float32)
    out = np.empty((1, 1), np.uint16)
    invert(image, _lines(_surroundings_toa(around), sky), np.full((1, 1), cosine, np.float32), 1, out)
    assert abs((int(out[0, 0]) - 1000) / 1e4 - rho) < 1.5e-4


def test_ground_without_sun_is_not_blown_up() -> None:
    rho, around, sky = 0.25, 0.18, 0.7
    image = np.full((1, 1), _toa(rho, around, 0.0, sky), np.float32)
    out = np.empty((1, 1), np.uint16)
    invert(image, _lines(_surroundings_toa(around), sky), np.zeros((1, 1), np.float32), 1, out)
    assert 1000 < out[0, 0] < 1000 + 1e4 * rho


def test_level_ground_is_the_slope_that_does_not_rise() -> None:
    image = np.linspace(0.05, 1, 24, dtype=np.float32).reshape(4, 6)
    lines = np.repeat(np.repeat(_lines(_surroundings_toa(0.2)), 2, 0), 3, 1)
    level, sloped = np.empty((2, 4, 6), np.uint16)
    invert(image, lines, FLAT, 2, level)
    invert(image, lines, np.ones((4, 6), np.float32), 2, sloped)
    assert np.abs(level.astype(int) - sloped).max() <= 1


def test_codes() -> None:
    lines = np.zeros((1, 1, 6), np.float32)
    lines[..., inversion.GAIN] = 1.0
    image = np.array([[np.nan, np.inf, 6.4535, 0.0, -0.0999, -0.5, 6.0, 0.12344]], np.float32)
    out = np.empty((1, 8), np.uint16)
    invert(image, lines, FLAT, 8, out)
    assert out.tolist() == [[0, 65535, 65535, 1000, 1, 1, 61000, 2234]]


def test_cirrus_is_taken_off() -> None:
    rho, veil, grows = 0.12, 0.015, 1.4
    image = np.full((1, 1), _toa(rho, None) + veil * grows, np.float32)
    out = np.empty((1, 1), np.uint16)
    invert(image, _lines(np.nan, cirrus=veil, grows=grows), FLAT, 1, out)
    assert abs((int(out[0, 0]) - 1000) / 1e4 - rho) < 1e-4


def test_the_growth_with_cirrus_is_read_off_the_dark_edge() -> None:
    rng = np.random.default_rng(3)
    veil = rng.uniform(0, 0.039, 60_000)
    ground = 0.08 + rng.gamma(1.0, 0.06, veil.size)
    counts = scatter(veil, ground + 1.5 * veil)
    assert abs(growth(counts) - 1.5) < 0.15
    halves = scatter(veil[:100], ground[:100]) + scatter(veil[100:], ground[100:])
    assert (halves == scatter(veil, ground)).all()
    assert growth(scatter(np.full(5000, 0.001), ground[:5000])) == 0.0
    assert SCATTER_BANDS == ("B02", "B11", "B12")


def test_thick_cirrus_and_dry_air_are_left() -> None:
    b10 = np.array([0.0, 0.01, STEP * STEPS, np.nan, 0.01])
    vapour = np.array([2, 2, 2, 2, 0.1])
    np.testing.assert_allclose(cirrus_reflectance(b10, vapour), [0, 0.01, 0, 0, 0])


def test_surroundings_do_not_depend_on_the_cut() -> None:
    rng = np.random.default_rng(5)
    means = rng.uniform(0, 0.6, (97, 83)).astype(np.float32)
    means[:10, :20], means[40, 40] = np.nan, np.inf
    hidden = rng.uniform(size=means.shape) < 0.2
    whole = surroundings([node_sums(means, hidden, (0, 0))], means.shape, 60.0)
    cuts = [(slice(a, b), slice(c, d)) for a, b in ((0, 33), (33, 97)) for c, d in ((0, 41), (41, 83))]
    parts = [
        node_sums(np.ascontiguousarray(means[at]), np.ascontiguousarray(hidden[at]), (at[0].start, at[1].start))
        for at in cuts
    ]
    assert surroundings(parts[::-1], means.shape, 60.0).tobytes() == whole.tobytes()
    clear = np.isfinite(means) & ~hidden
    a, b = 9, 8
    rows, columns = (slice((k - 3) * NODE, (k + 4) * NODE) for k in (a, b))
    there = means[rows, columns][clear[rows, columns]]
    assert abs(whole[a, b] - there.mean(dtype=float)) < 1e-4
    assert np.isnan(surroundings([node_sums(means * np.nan, hidden, (0, 0))], means.shape, 60.0)).all()


def test_surroundings_without_clear_cells_are_those_of_the_tile() -> None:
    means = np.full((200, 40), 0.3, np.float32)
    hidden = np.zeros(means.shape, np.bool_)
    hidden[100:] = True
    found = surroundings([node_sums(means, hidden, (0, 0))], means.shape, 60.0)
    np.testing.assert_allclose(found, 0.3, atol=1e-4)


def test_a_plane_faces_the_sun_as_its_normal_does() -> None:
    east, north = 0.3, -0.2
    y, x = np.mgrid[0:8, 0:9] * 60.0
    elevation = 500 + east * x - north * y
    found = gradients(elevation, 60.0)
    np.testing.assert_allclose(found[0], east)
    np.testing.assert_allclose(found[1], north)
    sun = np.array([0.8, 0.5, 1.0])
    normal = np.array([-east, -north, 1.0])
    expected = normal @ sun / np.linalg.norm(normal)
    one = np.ones((4, 5))
    lie = relief(elevation, 60.0, (0.8 * one, 0.5 * one))
    np.testing.assert_allclose(lie.cosine, expected, rtol=1e-6)
    np.testing.assert_allclose(lie.sky, np.cos(np.arctan(np.hypot(east, north)) / 2) ** 2, rtol=1e-6)
    assert steep_cells(elevation, 60.0) == 20
    assert steep_cells(0.1 * elevation, 60.0) == 0
