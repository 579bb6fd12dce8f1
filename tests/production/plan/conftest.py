"""Sessions of holes, and what a plan finds in them."""

from pathlib import Path

import pytest

from s2dask.production.plan_source import PlanSource, look_at
from s2dask.simulate.structure import StructureOptions, simulate_structure

SCENES, DETECTORS, BANDS = 40, (5, 6, 7, 8), ("B04", "B01", "B12")


@pytest.fixture(scope="session")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a session of 40 scenes, four detectors and three bands, most of it holes."""
    options = StructureOptions(SCENES, DETECTORS, BANDS, frames_per_file=12_000)
    return Path(simulate_structure(str(tmp_path_factory.mktemp("sparse") / "session"), options))


@pytest.fixture(scope="session")
def found(sparse: Path) -> PlanSource:
    """Return what a plan finds of it."""
    return look_at(str(sparse))
