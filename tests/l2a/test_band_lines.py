"""The short ways to the numbers of a cell, against the long ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l2a import vector_math
from s2dask.l2a.band_lines import band_lines
from s2dask.l2a.cells import cell_coefficients, cell_means, cell_middles, repeat, repeat_where, saturate
from s2dask.l2a.cloud_shadow import cast
from s2dask.l2a.inversion import LINES, cell_lines

SHAPE = (37, 53)
Field = NDArray[np.float64]


@kernel
def _both(x: Field, exponential: Field, logarithm: Field) -> None:
    for i in range(x.size):
        exponential[i], logarithm[i] = vector_math.exp(x[i]), vector_math.log(abs(x[i]))


def test_exponential_and_logarithm() -> None:
    x = np.concatenate([np.linspace(-700, 700, 20_001), np.random.default_rng(0).normal(size=10_000), [1e-300]])
    exponential, logarithm = np.empty_like(x), np.empty_like(x)
    x[x == 0] = 1.0
    _both(x, exponential, logarithm)
    np.testing.assert_allclose(exponential, np.exp(x), rtol=2e-15)
    np.testing.assert_allclose(logarithm, np.log(np.abs(x)), rtol=2e-15, atol=2e-15)
    _both(np.array([-1e4]), exponential[:1], logarithm[:1])
    assert exponential[0] == 0.0
    _both(np.zeros(1), exponential[:1], logarithm[:1])
    assert exponential[0] == 1.0
    assert -710 < logarithm[0] < -708


@pytest.mark.parametrize("law", [(0.0, 1.0), (-0.03, 0.6), (-0.68, 0.48)])
@pytest.mark.parametrize("known", [False, True])
def test_lines_in_one_go_are_those_of_the_coefficients(law: tuple[float, float], known: bool) -> None:
    rng = np.random.default_rng(1)
    usual = np.array([0.05, 0.6, 0.1, -0.02, 2.5, 0.8, 0.7, 0.7, 0.5])
    table = usual * rng.uniform(0.9, 1.1, (3, 4, 5, 6, usual.size))
    rows, columns = -0.2 + 0.1 * np.arange(SHAPE[0]), 2.7 + 0.05 * np.arange(SHAPE[1])
    slot = rng.integers(0, 3, (SHAPE[0], 1)).astype(np.uint8) + np.zeros(SHAPE, np.uint8)
    slot[:, 20:] = 1
    elevation = rng.uniform(-200, 2000, SHAPE).astype(np.float32)
    elevation[5:] = 700.0
    vapour, sky = rng.uniform(0, 4, SHAPE), rng.uniform(0.8, 1, SHAPE).astype(np.float32)
    cirrus = rng.uniform(0, 0.05, SHAPE).astype(np.float32)
    around = rng.uniform(0, 0.5, SHAPE).astype(np.float32) if known else np.full(SHAPE, np.nan, np.float32)
    coefficients, found = np.empty((*SHAPE, usual.size)), np.empty((2, *SHAPE, LINES), np.float32)
    cell_coefficients(table, 0.0, 500.0, rows, columns, slot, elevation, coefficients)
    cell_lines(coefficients, vapour, *law, around, sky, cirrus, 0.9, found[0])
    band_lines(table, 0.0, 500.0, rows, columns, slot, elevation, vapour, *law, around, sky, cirrus, 0.9, found[1])
    np.testing.assert_allclose(found[0], found[1], rtol=2e-7, atol=1e-8)
    part = np.empty((20, 30, LINES), np.float32)
    cut = (slice(9, 29), slice(11, 41))
    fields = [np.ascontiguousarray(f[cut]) for f in (slot, elevation, vapour, around, sky, cirrus)]
    band_lines(table, 0.0, 500.0, rows[cut[0]], columns[cut[1]], *fields[:3], *law, *fields[3:], 0.9, part)
    np.testing.assert_array_equal(part, found[1][cut])


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6])
def test_means_are_sums_one_pixel_after_the_other(factor: int) -> None:
    image = np.random.default_rng(2).uniform(0, 1, SHAPE).astype(np.float32)
    image[3, 4], image[20, 30] = np.nan, 6.46
    found = cell_means(image, factor)
    for (i, j), mean in np.ndenumerate(found):
        pixels = image[factor * i : factor * (i + 1), factor * j : factor * (j + 1)].ravel()
        total = np.float32(0.0)
        for pixel in np.where(pixels > 6.45, np.float32(np.inf), pixels):
            total += pixel
        np.testing.assert_array_equal(mean, total / np.float32(pixels.size))


def test_copies_of_cells() -> None:
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    out = np.empty((2, 3), np.uint8)
    cell_middles(image, 3, out)
    assert out.tolist() == [[8, 11, 13], [29, 32, 34]]
    seen, layer = (image % 2).astype(np.uint16), np.empty(image.shape, np.uint16)
    cells = np.arange(6, dtype=np.uint16).reshape(2, 3) + 10
    repeat_where(cells, 3, seen, layer)
    np.testing.assert_array_equal(layer, repeat(cells, 3, *image.shape) * seen)
    bright = np.array([[0.1, np.nan], [6.46, 0.2]], np.float32)
    saturate(bright)
    np.testing.assert_array_equal(bright, np.array([[0.1, np.nan], [np.inf, 0.2]], np.float32))


def test_shadow_falls_on_the_ground_alone() -> None:
    scl = np.arange(12, dtype=np.uint8).reshape(2, 6)
    cast(np.array([[True, False]]), 3, scl)
    assert scl.tolist() == [[0, 1, 3, 3, 4, 5], [3, 3, 8, 9, 10, 11]]
