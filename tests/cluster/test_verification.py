"""Workers have the client's code, libraries and settings, or do not work."""

from types import SimpleNamespace

import pytest

from s2dask.cluster.environment import THREADS
from s2dask.cluster.verification import Verification, differences, facts
from s2dask.errors import ConfigurationError

WORKER = SimpleNamespace(address="tcp://10.0.0.7:41234")


def test_facts_name_the_code_and_the_libraries() -> None:
    found = facts()
    assert len(found["s2dask code"]) == 64
    assert {"python", "numba", "numpy", "zarr"} <= found.keys()
    assert differences(found, facts()) == []


def test_a_difference_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in THREADS.items():
        monkeypatch.setenv(name, value)
    Verification().setup(WORKER)
    other = {**facts(), "numba": "0.1", "s2dask code": "0" * 64}
    with pytest.raises(ConfigurationError, match=r"10\.0\.0\.7.*numba \S+ instead of 0\.1, s2dask code"):
        Verification(other).setup(WORKER)
    monkeypatch.delenv("OMP_NUM_THREADS")
    with pytest.raises(ConfigurationError, match="OMP_NUM_THREADS=1"):
        Verification().setup(WORKER)
