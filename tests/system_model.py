"""Whole runs of small simulated sessions, for the tests of the system."""

from dataclasses import dataclass
from pathlib import Path

from s2dask.cluster.local import local_client
from s2dask.geometry.tiles import tile_at
from s2dask.production.blocks import Blocking
from s2dask.production.chain import Summary, run
from s2dask.simulate.comparison import Truth


@dataclass(frozen=True)
class Run:
    """A session, its truth, and what a run made of it."""

    session: Path
    truth: Truth
    out: Path
    summary: Summary

    def store(self, level: str) -> str:
        """Return the working store of a level."""
        return next(url for key, url in self.summary.stores.items() if key.startswith(level))


def process(session: Path, out: Path, workers: int, blocking: Blocking | None = None) -> Summary:
    """Run the whole chain on the window of a simulated session."""
    truth = Truth(f"{session}/truth.zarr")
    tile = tile_at(*truth.attrs["centre"])
    with local_client(workers, dashboard=False) as client:
        return run(
            str(session), client=client, out=str(out), tile=tile, window=truth.window, blocking=blocking, keep=True
        )
