"""Settings of Dask that a long production can live with."""

from typing import Any, Final

SAFE: Final[dict[str, Any]] = {
    # tasks without a worker to go to fail in the end; Dask's default is to wait for ever
    "distributed.scheduler.no-workers-timeout": "10 minutes",
    # a task that has taken so many workers with it fails
    "distributed.scheduler.allowed-failures": 3,
    # blocks take seconds: a guess of half a second makes adaptive clusters flap
    "distributed.scheduler.unknown-task-duration": "20s",
    # a connection that breaks off is tried again
    "distributed.comm.retry.count": 3,
    # results are small records: what fills the memory of a worker is its task, which spilling cannot help
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
}
"""For schedulers, clients and workers, whatever kind of cluster they belong to."""

LOCAL: Final[dict[str, Any]] = {**SAFE, "distributed.scheduler.no-workers-timeout": "2 minutes"}
"""On one machine, where a worker is back within seconds."""

ADAPTIVE: Final[dict[str, Any]] = {"interval": "10s", "wait_count": 18, "target_duration": "2m"}
"""Of `Cluster.adapt`: a worker goes after three idle minutes, so that the pauses between units cost none.

Stages write their blocks and hand back small records, so that a worker that goes takes at most the block it works on.
"""
