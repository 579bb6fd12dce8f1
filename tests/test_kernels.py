"""The cache of compiled kernels, shared by processes that come at the same time."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s2dask import kernels
from s2dask.kernels import inline_kernel, kernel

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


def test_a_change_of_what_a_kernel_stands_on_makes_the_cache_stale(tmp_path: Path) -> None:
    (tmp_path / "race.py").write_text(_MODULE)
    code = "import race, numpy as np; race.total(np.arange(9)); print(sum(race.total.stats.cache_hits.values()))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def hits(before: str = "") -> int:
        run = subprocess.run([sys.executable, "-c", before + code], env=environment, capture_output=True, check=True)
        return int(run.stdout)

    other = "import s2dask.kernels as k; k.sources_digest = lambda path: 'other'; "
    assert (hits(), hits(), hits(other), hits(other)) == (0, 1, 0, 1)


def test_a_digest_covers_what_is_imported_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "s2dask"
    texts = {
        "__init__": "", "a": "from s2dask.b import (\n    f,\n    g,\n)", "b": "from s2dask import c", "c": "X = 1",
        "d": "X = 1", "sub/__init__": "from s2dask.d import X", "sub/e": "",
    }  # fmt: skip
    (package / "sub").mkdir(parents=True)
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(kernels, "_PACKAGE", package)

    def digests() -> dict[str, str]:
        kernels._imported.cache_clear()
        kernels.sources_digest.cache_clear()
        return {name: kernels.sources_digest(package / f"{name}.py") for name in ("a", "b", "d", "sub/e")}

    before = digests()
    (package / "c.py").write_text("X = 2")
    after = digests()
    assert {name for name in before if before[name] != after[name]} == {"a", "b"}
    (package / "a.py").write_text("from s2dask.sub.e import y")
    before = digests()
    (package / "d.py").write_text("X = 3")
    after = digests()
    assert {name for name in before if before[name] != after[name]} == {"a", "d", "sub/e"} - {"sub/e"}


def test_kernels_work_without_their_compiler() -> None:
    @kernel
    def double(values: np.ndarray) -> np.ndarray:
        return 2 * values

    @inline_kernel
    def half(value: float) -> float:
        return 0.5 * value

    np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])
    assert half(3.0) == 1.5
