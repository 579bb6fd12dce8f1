"""Small simulated sessions that several modules look at."""

from collections.abc import Callable

import pytest
from session_model import TINY, Simulated, simulated

from s2dask.simulate.options import SimulationOptions


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Simulated]:
    """Make a tiny session with other options than usual."""

    def made(**options: object) -> Simulated:
        return simulated(tmp_path_factory.mktemp("simulated") / "session", SimulationOptions(**{**TINY, **options}))  # type: ignore[arg-type]

    return made


@pytest.fixture(scope="session")
def tiny(make: Callable[..., Simulated]) -> Simulated:
    """Return a clean session of one detector and two 60 m bands."""
    return make()


@pytest.fixture(scope="session")
def poor(make: Callable[..., Simulated]) -> Simulated:
    """Another seed, over a poor link."""
    return make(seed=2, lose_frames=3, bit_errors=0.001, unit="S2B")
