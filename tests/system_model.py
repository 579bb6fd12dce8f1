"""Whole runs of small simulated sessions, for the tests of the system."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2dask.cluster.local import local_client
from s2dask.geometry.tiles import tile_at
from s2dask.instrument.telemetry import CADU_BYTES
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


def announce(dsib: Path, files: Sequence[Path]) -> None:
    """Have a DSIB list files, and their bytes."""
    names = "".join(f"<dsdb_name>{p.name}</dsdb_name>" for p in files)
    text = re.sub(
        r"<dsdb_list>.*</dsdb_list>", f"<dsdb_list>{names}</dsdb_list>", dsib.read_text("utf-8"), flags=re.DOTALL
    )
    size = sum(p.stat().st_size for p in files)
    dsib.write_text(re.sub(r"<data_size>.*</data_size>", f"<data_size>{size}</data_size>", text), "utf-8")


def cut_files(session: Path, frames: int) -> dict[int, list[Path]]:
    """Cut the files of a session into smaller ones, list them in the DSIBs, and return them by channel."""
    out: dict[int, list[Path]] = {}
    for channel in (1, 2):
        (whole,) = session.rglob(f"*_ch{channel}_DSDB_*.raw")
        data = whole.read_bytes()
        whole.unlink()
        out[channel] = []
        for k, at in enumerate(range(0, len(data), frames * CADU_BYTES)):
            path = whole.with_name(whole.name.replace("00001", f"{k + 1:05d}"))
            path.write_bytes(data[at : at + frames * CADU_BYTES])
            out[channel].append(path)
        (dsib,) = session.rglob(f"*_ch{channel}_DSIB.xml")
        announce(dsib, out[channel])
    return out
