"""From the files of a session to an L0 datastrip: decode each file, plan the strip, move the packets."""

import pickle
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.auxdata.time import compact, gps_to_utc, iso
from s2dask.instrument import BANDS, LINE_PERIOD, band, unit
from s2dask.io import schema
from s2dask.io.template import create
from s2dask.io.writer import write_block, write_whole
from s2dask.l0.session import Session
from s2dask.l0.stage import FileResult, StripPlan, gather_packets, plan_strip
from s2dask.qc.records import Record

BASELINE: Final = "05.11"
"""Processing baseline whose conventions the products follow."""
_PLAN: Final = "plan.pickle"


def _conditions(plan: StripPlan) -> dict[str, np.ndarray]:
    dates = [[plan.tables[d, n].first_line_date for n in plan.bands] for d in plan.detectors]
    return {
        "conditions/ephemeris/gps_time": plan.points.time,
        "conditions/ephemeris/position": plan.points.values[:, :3],
        "conditions/ephemeris/velocity": plan.points.values[:, 3:],
        "conditions/attitude/gps_time": plan.attitude.time,
        "conditions/attitude/quaternion": plan.attitude.values,
        "conditions/datation/detector": np.array(plan.detectors),
        "conditions/datation/band": np.array([BANDS[n].index for n in plan.bands]),
        "conditions/datation/first_line_date": np.array(dates),
    }


def _facts(plan: StripPlan, session: Session, aux: str) -> dict[str, Any]:
    start = gps_to_utc(plan.start)
    return {
        "level": "L0", "unit": session.unit, "session_id": session.id, "absolute_orbit": session.orbit,
        "relative_orbit": unit(session.unit).relative_orbit(session.orbit), "baseline": BASELINE,
        "datatake_id": f"G{session.unit}_{compact(start)}_{session.orbit:06d}_N{BASELINE}",
        "sensing_start": iso(start), "sensing_stop": iso(gps_to_utc(plan.stop)),
        "sensing_start_gps": plan.start, "sensing_stop_gps": plan.stop, "line_period": LINE_PERIOD,
        "detectors": list(plan.detectors), "bands": list(plan.bands), "scenes": plan.scenes, "codec": plan.codec,
        "aux": aux, "counters": dict(plan.counters), "gaps": [list(gap) for gap in plan.gaps],
        "datation_residual_ns": plan.residual,
    }  # fmt: skip


def start_strip(results: Sequence[FileResult], session: Session, aux: str, l0: str, work: str) -> Record:
    """Plan a datastrip, create its L0 store with orbit, attitude and dates, and return its counters (step MSI_Merge).

    Parameters
    ----------
    results : sequence of FileResult
        Of every file of the session.
    session : Session
    aux : str
        Folder of auxiliary files that the strip goes with.
    l0 : str
        Store to create.
    work : str
        Folder that holds the packets of the files; the plan is left there for `write_packets`.
    """
    plan = plan_strip(results, session.id, work)
    variables = schema.l0(
        plan.detectors, plan.bands, plan.scenes, plan.codec, plan.points.time.size, plan.attitude.time.size
    )
    create(l0, variables, {"s2dask": _facts(plan, session, aux)})
    for path, values in _conditions(plan).items():
        write_whole(l0, path, values)
    (Path(work) / _PLAN).write_bytes(pickle.dumps(plan))
    return {key: float(value) for key, value in plan.counters.items()}


@lru_cache(maxsize=2)
def _plan(work: str, _modified: int) -> StripPlan:
    plan: StripPlan = pickle.loads((Path(work) / _PLAN).read_bytes())  # noqa: S301 - our own file, made by start_strip
    return plan


def write_packets(l0: str, work: str, detector: int, scene: int, bands: Sequence[str]) -> Record:
    """Move the packets of a detector and scene into the L0 store, one chunk per band (step MSI_Merge)."""
    plan = _plan(work, (Path(work) / _PLAN).stat().st_mtime_ns)
    record: Record = {}
    for name in bands:
        where, first = schema.packet_path(detector, name), scene * band(name).packets_per_scene
        found: Mapping[str, np.ndarray] = gather_packets(plan, detector, name, scene)
        write_block(
            l0,
            {f"{where}/{key}": values for key, values in found.items()},
            {f"{where}/{key}": (first, *(0,) * (values.ndim - 1)) for key, values in found.items()},
        )
        record[f"d{detector:02d}.{name.lower()}.lost"] = float((found["status"] == 1).sum())
    return record
