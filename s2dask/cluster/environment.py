"""The environment of a worker, read and set in one place."""

import os

THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""One thread inside each task: parallelism belongs to Dask."""


def available_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0))
