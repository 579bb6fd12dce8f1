"""A cluster in this process, and a session whose pixels are holes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from s2dask.simulate.structure import StructureOptions, simulate_structure


@pytest.fixture(scope="package")
def here() -> Iterator[Client]:
    """Return a client of a cluster of three workers in this process."""
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as found,
    ):
        yield found


@pytest.fixture(scope="package")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an archive of two sessions of two scenes, of S2A and of S2B, at different depths."""
    root = tmp_path_factory.mktemp("archive")
    for folder, unit, seed in (("2020/08/session-a", "S2A", 1), ("session-b", "S2B", 2)):
        simulate_structure(str(root / folder), StructureOptions(2, (6,), ("B04", "B01"), unit, seed))
    return root
