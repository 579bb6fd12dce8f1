"""Tiny simulated sessions, decoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.l0.codec import codec
from s2dask.l0.session import scan_session
from s2dask.l0.stage import StripPlan, decode_file, gather_packets, plan_strip
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

TINY = {"detectors": (6,), "bands": ("B01", "B09"), "scenes": 1, "window": 1200, "dead_pixels": 3, "cloud_cover": 0.0}


@dataclass(frozen=True)
class Simulated:
    """A session on disk, its plan, and its raw counts by band."""

    folder: Path
    plan: StripPlan
    counts: dict[str, NDArray[np.uint16]]
    lines: dict[str, NDArray[np.bool_]]


def simulated(folder: Path, options: SimulationOptions) -> Simulated:
    """Simulate a session and decode it."""
    simulate(str(folder), options)
    work = folder.with_name(folder.name + "-work")
    work.mkdir()
    session = scan_session(str(folder))
    results = [decode_file(f, c.number, str(work)) for c in session.channels for f in c.files]
    plan = plan_strip(results, session.id, str(work))
    counts, lines = {}, {}
    for name in plan.bands:
        got = gather_packets(plan, plan.detectors[0], name, 0)
        counts[name], bad = codec(plan.codec).decode(got["packets"], got["status"])
        lines[name] = ~bad
    return Simulated(folder, plan, counts, lines)
