"""The tables of the processor against the simulator's own solver, and against limits that must hold."""

import numpy as np
import pytest
from surface_model import sky

from s2dask.instrument import BANDS
from s2dask.l2a.atmosphere import pressure_at, water_vapour_at
from s2dask.l2a.lut import coefficients


@pytest.mark.parametrize("aot", [0.05, 0.4])
def test_against_the_solver_of_the_simulator(aot: float) -> None:
    random = np.random.default_rng(3)
    heights = np.array([0.0, 400.0, 1500.0, 3000.0])
    for name in BANDS:
        sun, view = (random.uniform(20, 70), random.uniform(0, 360)), (random.uniform(2, 10), random.uniform(0, 360))
        vapour = random.uniform(0.3, 4)
        expected = sky("S2A", name, sun, view, heights, aot, 1005.0, vapour, 310.0)
        found = coefficients(
            "S2A", name, sun[0], view[0], sun[1] - view[1], aot * np.exp(-heights / 2000.0),
            pressure_at(heights, 1005.0), water_vapour_at(heights, vapour), 310.0,
        )  # fmt: skip
        # the path is dimmed by the vapour in it, which the two weigh in ways of their own
        np.testing.assert_allclose(found.gas * found.path, expected[3] * expected[0], atol=2e-3, err_msg=name)
        np.testing.assert_allclose(found.transmittance, expected[1], rtol=0.01, err_msg=name)
        np.testing.assert_allclose(found.spherical_albedo, expected[2], atol=2e-3, err_msg=name)
        np.testing.assert_allclose(found.gas, expected[3], rtol=1e-6, err_msg=name)


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
