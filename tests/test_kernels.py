"""The cache of compiled kernels, shared by processes that come at the same time."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from s2dask.kernels import inline_kernel, kernel, sources_digest

_MODULE = '''
import numpy as np
from s2dask.kernels import kernel

@kernel
def total(values):
    out = values[0] * 0
    for value in values:
        out += value
    return out
'''
_RACE = '''
import sys, numpy as np, race
kinds = ["i8", "f8", "u1", "i4", "f4", "u2"]
for kind in kinds if int(sys.argv[1]) % 2 else kinds[::-1]:
    assert race.total(np.arange(9, dtype=kind)) == 36, kind
'''


def test_processes_that_compile_at_once_do_not_mix_up_signatures(tmp_path: Path) -> None:
    (tmp_path / "race.py").write_text(_MODULE)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for _ in range(2):  # at once from nothing, then from what they left
        started = [
            subprocess.Popen([sys.executable, "-c", _RACE, str(k)], env=environment, stderr=subprocess.PIPE)
            for k in range(3)
        ]
        errors = [process.communicate(timeout=120)[1].decode() for process in started]
        assert [process.returncode for process in started] == [0, 0, 0], errors
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 6


def test_a_change_of_any_source_makes_the_cache_stale(tmp_path: Path) -> None:
    source = tmp_path / "race.py"
    source.write_text(_MODULE)
    code = "import race, numpy as np; race.total(np.arange(9)); print(sum(race.total.stats.cache_hits.values()))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def hits(before: str = "") -> int:
        run = subprocess.run([sys.executable, "-c", before + code], env=environment, capture_output=True, check=True)
        return int(run.stdout)

    other = "import s2dask.kernels as k; k.sources_digest = lambda: 'other'; "
    assert (hits(), hits(), hits(other), hits(other)) == (0, 1, 0, 1)


def test_kernels_work_without_their_compiler() -> None:
    assert len(sources_digest()) == 64

    @kernel
    def double(values: np.ndarray) -> np.ndarray:
        return 2 * values

    @inline_kernel
    def half(value: float) -> float:
        return 0.5 * value

    np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])
    assert half(3.0) == 1.5
