"""Reflectance coding and sun angles against closed forms."""

import math

import numpy as np
import pytest

from s2dask.instrument.quality import DEFECTIVE, NODATA, SATURATED
from s2dask.l1c.location import Pixels
from s2dask.l1c.reflectance import decode, encode, inverse_cosine, reflectance_record, reflectance_scale


def _encode(counts: np.ndarray, flags: np.ndarray, foot: np.ndarray, scale: float, inverse: np.ndarray) -> np.ndarray:
    out = np.full(counts.shape, 7, np.uint16)
    encode(counts, flags, foot, scale, inverse, out)
    return out


@pytest.mark.row("IPF-30")
def test_coding_rounds_once_and_comes_back() -> None:
    rho = np.random.default_rng(2).uniform(-0.0999, 6.4, (50, 60))
    zenith, gain, e0, u = 37.0, 4.1, 1512.06, 0.9765
    counts = (100 + rho * gain * e0 * u * math.cos(math.radians(zenith)) / math.pi).astype(np.float32)
    one = np.ones(rho.shape, np.uint8)
    inverse = np.full(rho.shape, 1 / math.cos(math.radians(zenith)), np.float32)
    coded = _encode(counts, np.zeros(rho.shape, np.uint8), one, reflectance_scale(gain, e0, u), inverse)
    assert np.abs(decode(coded) - rho).max() < 0.5e-4 + 2e-6


def test_special_values() -> None:
    counts = np.array([[100, 0, 100, 4000, 4000, 4000, 30, 1e6]], np.float32)
    flags = np.array([[0, NODATA, 9, SATURATED | DEFECTIVE, SATURATED | NODATA, 0, 0, 0]], np.uint8)
    foot = np.array([[5, 5, 0, 5, 5, 5, 5, 5]], np.uint8)
    coded = _encode(counts, flags, foot, 1e-4, np.ones(counts.shape, np.float32))
    # rho = 0; no data; nobody looks; saturated; no data wins; 0.39; -0.007; beyond the range
    assert coded.tolist() == [[1000, 0, 0, 65535, 0, 4900, 930, 65534]]
    assert flags.tolist() == [[0, NODATA, NODATA, SATURATED | DEFECTIVE, SATURATED | NODATA, 0, 0, 0]]
    low = _encode(np.array([[-2e6]], np.float32), flags[:, :1], foot[:, :1], 1e-4, np.ones((1, 1), np.float32))
    assert low[0, 0] == 1
    assert np.isnan(decode(coded)[0, 1])


def test_halves_round_up() -> None:
    counts = np.array([[100.5, 101.5, 102.5, 99.5]], np.float32)
    zero, one = np.zeros((1, 4), np.uint8), np.ones((1, 4), np.uint8)
    assert _encode(counts, zero, one, 1e-4, np.ones((1, 4), np.float32)).tolist() == [[1001, 1002, 1003, 1000]]


def test_sun_between_the_nodes() -> None:
    y, x = np.mgrid[0:4, 0:4]
    zenith = 30.0 + 0.5 * x - 0.25 * y
    found = inverse_cosine(zenith, 5000.0, Pixels(60, 40, 100, 50, 120))
    metres_y, metres_x = 60 * (40 + np.arange(50) + 0.5), 60 * (100 + np.arange(120) + 0.5)
    exact = 30.0 + 0.5 * metres_x[None, :] / 5000 - 0.25 * metres_y[:, None] / 5000
    np.testing.assert_allclose(found, 1 / np.cos(np.radians(exact)), rtol=1e-6)
    part = inverse_cosine(zenith, 5000.0, Pixels(60, 60, 130, 10, 10))
    np.testing.assert_array_equal(part, found[20:30, 30:40])


def test_records_count_and_add() -> None:
    rho = np.array([[0.1, 0.2], [0.35, -0.05]])
    values = np.array([[2000, 3000, 0], [4500, 500, 65535]], np.uint16)
    record = reflectance_record(values, "b02")
    assert record["b02.pixels"] == 6
    assert (record["b02.valid"], record["b02.saturated"], record["b02.nodata"]) == (4, 1, 1)
    assert record["b02.sum"] == pytest.approx(rho.sum())
    assert record["b02.square_sum"] == pytest.approx((rho**2).sum())
    assert (record["b02.value_min"], record["b02.value_max"]) == (-0.05, 0.35)
