"""The record of what kernels are called with: it can be read, written again, and speaks of kernels that are there."""

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba import typeof, types
from numba.core.dispatcher import Dispatcher

from s2dask.errors import ConfigurationError
from s2dask.production.warm_up import AirTable, Kernels, calls, decode, encode, record


class Pair(NamedTuple):
    """Two of a kind."""

    first: int
    second: int


@pytest.mark.parametrize(
    "value", [1, 2.5, True, None, np.float32(1), np.zeros((2, 3), np.uint16), np.zeros((4, 4))[::2, ::2],
              np.broadcast_to(np.float32(1), (3, 2)), (1, 2), (1, 2.0), (), Pair(1, 2),
              (Pair(1, 2), np.zeros(1, bool))],
)  # fmt: skip
def test_types_survive(value: object) -> None:
    kind = typeof(value)
    assert decode(encode(kind)) == kind


def test_a_strange_type_is_named() -> None:
    assert decode(encode(types.Omitted(0.5))) == types.Omitted(0.5)
    with pytest.raises(ConfigurationError, match="unicode_type"):
        encode(types.List(types.unicode_type))


def test_the_record_speaks_of_kernels_that_are_there() -> None:
    for module, kernels in record().items():
        home = importlib.import_module(module)
        for name, signatures in kernels.items():
            assert isinstance(getattr(home, name), Dispatcher), f"{module}.{name}: run benchmarks/kernel_signatures.py"
            assert all(decode(one) is not None for told in signatures for one in told)


def test_levels_and_table() -> None:
    made = calls(("l2a",), "S2B")
    folders = {call.module.split(".")[1] for call in made if isinstance(call, Kernels)}
    assert folders == {"l2a", "geometry", "auxdata", "release"}
    assert made[-1] == AirTable("S2B")
    made[-1]()


@pytest.mark.slow
def test_what_is_compiled_once_is_loaded_by_others(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        from numba.core import event
        from s2dask.production.warm_up import Kernels, record
        with event.install_recorder("numba:compile") as seen:
            done = Kernels("s2dask.l1c.reflectance")()
        assert done == sum(map(len, record()["s2dask.l1c.reflectance"].values()))
        print(len([e for _, e in seen.buffer if e.is_start]))
    """)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run() -> int:
        return int(subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True).stdout)

    assert run() > 0
    assert run() == 0
