"""The decorator of numerical kernels: compiled without the interpreter lock, and kept for every process after.

numba's own cache has two holes that kill worker processes with signal 11. It looks at the file of a kernel but not at
the files of the kernels that it calls, so that old code may run with new arguments; and it gives two signatures that
two processes compile at the same time one and the same file (numba issues 4807 and 10128). Here a cached kernel is
valid for one state of its source and of all those that it imports, and is written and read under a lock.
"""

import fcntl
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., Any])


_PACKAGE = Path(__file__).resolve().parent
_IMPORT = re.compile(rf"^\s*(?:from|import) +({_PACKAGE.name}[\w.]*)(?: +import +(\([^)]*\)|[^\n]*))?", re.MULTILINE)


def _files(module: str) -> Iterator[Path]:
    """Yield the files of a module of ours, and of the packages that it is in."""
    path = _PACKAGE
    yield path / "__init__.py"
    for part in module.split(".")[1:]:
        path /= part
        yield path.with_suffix(".py")
        yield path / "__init__.py"


@cache
def _imported(source: Path) -> frozenset[Path]:
    """Return the files of ours that a file imports."""
    found: set[Path] = set()
    for module, names in _IMPORT.findall(source.read_text("utf-8")):
        found.update(_files(module))
        for name in re.findall(r"\w+", names):
            found.update(_files(f"{module}.{name}"))
    return frozenset(path for path in found if path.is_file())


@cache
def sources_digest(source: Path) -> str:
    """Return a digest of a source file and of all those of the package that it stands on."""
    known, fresh = {source}, [source]
    while fresh:
        fresh = [path for path in _imported(fresh.pop()) if path not in known] + fresh
        known.update(fresh)
    digest = hashlib.sha256()
    for path in sorted(known):
        digest.update(str(path.relative_to(_PACKAGE)).encode() if path.is_relative_to(_PACKAGE) else b"")
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _LockedFile(IndexDataCacheFile):
    """The cached signatures of one kernel, one process at a time."""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(f"{self._index_path}.lock", "ab") as lock:  # noqa: PTH123 - numba's path is a string
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def save(self, key: Any, data: Any) -> None:
        """Write a signature: its file first found, then filled, with nobody in between."""
        with self._locked():
            super().save(key, data)

    def load(self, key: Any) -> Any:
        """Return a signature, None when it is not there."""
        if not Path(self._index_path).exists():
            return None
        with self._locked():
            return super().load(key)


class _SharedCache(FunctionCache):
    """The cache of a kernel that many processes share."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _LockedFile(
            self._cache_path, self._impl.filename_base, sources_digest(Path(function.__code__.co_filename))
        )


def _compile(function: F, **options: Any) -> F:
    compiled: Any = njit(nogil=True, **options)(function)
    if isinstance(compiled, Dispatcher):  # not with NUMBA_DISABLE_JIT
        # what its enable_caching does, with our cache
        compiled._cache = _SharedCache(function)  # type: ignore[attr-defined]  # noqa: SLF001
    return compiled  # type: ignore[no-any-return]  # called as the function is


def kernel(function: F) -> F:
    """Compile a function on its first call, without the interpreter lock, and keep what was compiled.

    Parameters
    ----------
    function : callable
        Of NumPy arrays and numbers: no xarray, no Dask, no I/O, no logging.
    """
    return _compile(function)


def inline_kernel(function: F) -> F:
    """Like `kernel`, for a function so small that its callers are to take it in as their own."""
    return _compile(function, inline="always")


def bare_kernel(function: F) -> F:
    """Like `kernel`, for a function in an inner loop that takes arrays or tuples of them and makes none.

    Compiled without reference counts, which are atomic and cost several times what a short function calculates, and
    without tests for a zero divisor: a division by zero gives an infinity or NaN, as it does in NumPy.
    """
    return _compile(function, _nrt=False, error_model="numpy")
