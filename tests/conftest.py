"""Fixtures shared by every test: where the reference data is, and the rows that tests prove."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# the same examples at every run, so that a red run is about the change; `make test-all` looks for new ones
settings.register_profile("fixed", derandomize=True)
settings.register_profile("free")
settings.load_profile(os.environ.get("S2DASK_HYPOTHESIS", "fixed"))

ROOT = Path(__file__).resolve().parents[1]


def reference_folder() -> Path:
    """Return the folder of reference data: $S2DASK_REFERENCE_DATA, or shared/data beside the project."""
    return Path(os.environ.get("S2DASK_REFERENCE_DATA", ROOT.parent / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Return the folder of reference data, or skip with the reason."""
    folder = reference_folder()
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}: set S2DASK_REFERENCE_DATA")
    return folder
