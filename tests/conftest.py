"""Fixtures shared by every test: where the reference data is, and the rows that tests prove."""

import os
from pathlib import Path

import pytest

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
