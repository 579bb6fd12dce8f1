"""The stated uncertainty against skies that are otherwise than Level-2A is told, see `boa_ensemble_model`."""

from collections.abc import Sequence

import numpy as np
import pytest
from boa_ensemble_model import Draw, Found, process
from boa_model import SURFACE_BANDS

from s2dask.instrument.uncertainty import SYSTEMATIC_STEP

DRAWS = 64
"""Of the whole ensemble; the errors of one are nearly one error."""
FEW = 2
SOME = ("B02", "B04", "B8A", "B11")


def shares(found: Sequence[Found], name: str) -> list[float]:
    """Return the share of pixels of each draw that err by no more than the stated standard uncertainty of a band."""
    out = []
    for one in found:
        told = one.systematic[name] < 254 * SYSTEMATIC_STEP
        sigma = np.hypot(one.random[name], one.systematic[name])[told]
        out.append(float(np.mean(np.abs(one.error[name][told]) <= sigma)))
    return out


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Return what is found of every draw."""
    return [process(tmp_path_factory.mktemp("draw"), Draw(k)) for k in range(DRAWS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SURFACE_BANDS)
def test_the_stated_uncertainty_covers_the_errors(ensemble: list[Found], name: str) -> None:
    """Everything that errs is drawn anew: 68 +- 8 % of the errors are within the stated standard uncertainty."""
    assert abs(float(np.mean(shares(ensemble, name))) - 0.68) <= 0.08, shares(ensemble, name)


@pytest.mark.slow
def test_aerosol_and_vapour_are_known_as_stated(ensemble: list[Found]) -> None:
    for part in ("aot", "vapour"):
        errors, sigmas = np.array([getattr(one, part) for one in ensemble]).T
        assert 0.55 <= np.mean(np.abs(errors) <= sigmas) <= 0.85, part
    # bright ground beside dark vegetation makes no aerosol
    told = np.array([one.aot[0] for one in ensemble if one.draw.forest and one.retrieved])
    assert abs(told.mean()) < 0.015
    assert np.sqrt(np.mean(told**2)) < 0.06


def test_some_skies_come_back_as_well_as_stated(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A few draws in a few bands: no error is beyond what is stated by far."""
    found = [process(tmp_path_factory.mktemp("draw"), Draw(k), SOME) for k in range(FEW)]
    for name in SOME:
        for one in found:
            ratio = one.error[name] / np.hypot(one.random[name], one.systematic[name])
            assert float(np.sqrt(np.mean(ratio**2))) < 3.5, (one.draw.number, name)
    for one in found:
        assert abs(one.aot[0]) < 3 * one.aot[1], one.draw.number
