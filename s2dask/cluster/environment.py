"""The environment of this process and of the workers, read and set in one place."""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Final

THREADS: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""One thread inside each task: parallelism belongs to Dask."""
KERNEL_CACHE: Final = "NUMBA_CACHE_DIR"


def available_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0))


@cache
def kernel_cache() -> str:
    """Return the folder of the compiled kernels of exactly these sources.

    numba looks at the file of a kernel, not at those of the kernels that it calls: a cache that outlives a change
    of the package can run old code with new arguments, and crash. A folder per state of the sources cannot.
    """
    if KERNEL_CACHE in os.environ:
        return os.environ[KERNEL_CACHE]
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return str(base / "s2dask" / f"kernels-{digest.hexdigest()[:16]}")


def use_kernel_cache() -> None:
    """Make this process use `kernel_cache`; to be called before numba is imported."""
    os.environ[KERNEL_CACHE] = kernel_cache()
