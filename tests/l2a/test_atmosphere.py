"""The analytic atmosphere against the same physics written for one pixel, and against limits that must hold."""

import numpy as np
import pytest
from surface_model import top_of_atmosphere

from s2dask.instrument import BANDS
from s2dask.l2a.atmosphere import coefficients, pressure_at, water_vapour_at


@pytest.mark.parametrize("unit", ["S2A", "S2B", "S2C"])
def test_against_the_model_of_one_pixel(unit: str) -> None:
    random = np.random.default_rng(3)
    for band in BANDS:
        for _ in range(6):
            sun, view = (random.uniform(5, 70), random.uniform(0, 360)), (random.uniform(0, 12), random.uniform(0, 360))
            height, aot, wv = random.uniform(-100, 4000), random.uniform(0, 1.5), random.uniform(0.1, 5)
            _, expected = top_of_atmosphere(unit, band, sun, view, height, aot, 1005.0, wv, 310.0, 0.2)
            found = coefficients(
                unit, band, sun[0], view[0], sun[1] - view[1], aot,
                pressure_at(height, 1005.0), water_vapour_at(height, wv), 310.0,
            )  # fmt: skip
            np.testing.assert_allclose([float(v) for v in found], expected, rtol=1e-12)


def test_no_air_no_effect() -> None:
    path, transmittance, albedo, gas = coefficients("S2A", "B02", 40.0, 5.0, 90.0, 1e-12, 1e-9, 0.0, 0.0)
    np.testing.assert_allclose([path, transmittance, albedo, gas], [0, 1, 0, 1], atol=1e-6)


def test_energy_is_not_made() -> None:
    zenith = np.linspace(0, 70, 15)[:, None]
    aot = np.linspace(0, 2, 9)
    for band in BANDS:
        c = coefficients("S2A", band, zenith, 5.0, 120.0, aot, 1013.25, 2.0, 300.0)
        assert (c.path > 0).all()
        assert ((c.transmittance > 0) & (c.transmittance < 1)).all()
        assert ((c.spherical_albedo > 0) & (c.spherical_albedo < 0.6)).all()
        assert ((c.gas > 0) & (c.gas <= 1)).all()
        assert (np.diff(c.transmittance, axis=1) < 0).all()
