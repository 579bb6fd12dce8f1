"""A small simulated session, and its products made once."""

from pathlib import Path

import pytest
from system_model import Run, process

from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate one detector, all bands, one scene, a window of 6 km with clouds and relief."""
    folder = tmp_path_factory.mktemp("system") / "session"
    return Path(simulate(str(folder), SimulationOptions(detectors=(6,), window=6000, seed=3)))


@pytest.fixture(scope="session")
def few_bands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate one detector, five bands, one scene, uncompressed: the least that makes a tile of Level-1C."""
    folder = tmp_path_factory.mktemp("few_bands") / "session"
    bands = ("B01", "B02", "B03", "B04", "B11")
    return Path(
        simulate(
            str(folder), SimulationOptions(detectors=(6,), bands=bands, window=2400, scenes=1, seed=3, codec="raw12")
        )
    )


@pytest.fixture(scope="session")
def made(session: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the whole chain on the session, with two workers."""
    out = tmp_path_factory.mktemp("system") / "products"
    summary = process(session, out, workers=2)
    return Run(session, Truth(f"{session}/truth.zarr"), out, summary)
