"""A cluster on this machine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from s2dask.cluster.environment import THREADS, available_cores
from s2dask.cluster.plugins import QuietRefusals
from s2dask.cluster.settings import LOCAL

WORKER_MEMORY = "3GiB"
"""Memory limit of one worker."""


def _no_farewell(record: logging.LogRecord) -> bool:
    """Return whether a message of a worker's nanny is news: that a busy worker is killed at the end is none."""
    return "still alive after" not in record.getMessage()


@contextmanager
def local_client(workers: int | None = None, memory: str = WORKER_MEMORY, dashboard: bool = True) -> Iterator[Client]:
    """Start one single-threaded worker process per core and yield a client of it.

    Parameters
    ----------
    workers : int, optional
        Default: the cores that this process may use.
    memory : str
        Limit of each worker.
    dashboard : bool
        Serve the Dask dashboard on a free port of the loopback address.
    """
    settings = {**LOCAL, "distributed.nanny.pre-spawn-environ": THREADS}
    logging.getLogger("distributed.nanny").addFilter(_no_farewell)
    with dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=workers or available_cores(),
            threads_per_worker=1,
            memory_limit=memory,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0" if dashboard else None,
        )
        with cluster, Client(cluster) as client:
            client.register_plugin(QuietRefusals())
            yield client
