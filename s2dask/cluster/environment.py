"""The environment of this process and of the workers, read and set in one place."""

import os
from typing import Final

THREADS: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    "PYTHONFAULTHANDLER": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""One thread inside each task, as parallelism belongs to Dask; and a trace of a worker that crashes."""


def available_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0))
