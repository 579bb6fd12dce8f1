"""From the files of a session to L0 datastrips: decode each file, plan the strips, move the packets."""

import pickle
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.auxdata.time import compact, gps_to_utc, iso
from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, LINE_PERIOD, SCENE_SECONDS, band, unit
from s2dask.io import schema
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_whole
from s2dask.l0.session import Session
from s2dask.l0.stage import FileResult, StripPlan, changed_granules, gather_packets, plan_strips
from s2dask.qc.records import Record

BASELINE: Final = "05.11"
"""Processing baseline whose conventions the products follow."""
_PLAN: Final = "plan-{:03d}.pickle"


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


def strip_url(l0: str, strip: int) -> str:
    """Return the store of a datastrip of a session: that of the first is `l0` itself, ``l0-2.zarr`` the next."""
    return l0 if not strip else f"{l0.removesuffix('.zarr')}-{strip + 1}.zarr"


def _facts(plan: StripPlan, session: Session, aux: str) -> dict[str, Any]:
    start = gps_to_utc(plan.start)
    relative = unit(session.unit).relative_orbit(session.orbit) if session.orbit else 0
    return {
        "level": "L0", "unit": session.unit, "session_id": session.id, "absolute_orbit": session.orbit,
        "relative_orbit": relative, "baseline": BASELINE, "reception_station": session.station,
        "datatake_id": f"G{session.unit}_{compact(start)}_{session.orbit:06d}_N{BASELINE}",
        "sensing_start": iso(start), "sensing_stop": iso(gps_to_utc(plan.stop)),
        "sensing_start_gps": plan.start, "sensing_stop_gps": plan.stop, "line_period": LINE_PERIOD,
        "detectors": list(plan.detectors), "bands": list(plan.bands), "scenes": plan.scenes, "codec": plan.codec,
        "aux": aux, "counters": dict(plan.counters), "gaps": [list(gap) for gap in plan.gaps],
        "datation_residual_ns": plan.residual,
        "missing_files": list(session.missing), "missing_file_frames": session.missing_frames,
    }  # fmt: skip


def _need_orbit(session: Session) -> None:
    if not session.orbit:
        remedy = "an identifier of EDRS does not: name the absolute orbit"
        raise ConfigurationError("nothing tells the orbit", session.id, remedy)


def _create(plan: StripPlan, session: Session, aux: str, l0: str) -> None:
    variables = schema.l0(
        plan.detectors, plan.bands, plan.scenes, plan.codec, plan.points.time.size, plan.attitude.time.size
    )
    create(l0, variables, {"s2dask": _facts(plan, session, aux)})
    for path, values in _conditions(plan).items():
        write_whole(l0, path, values)


def _keep(plan: StripPlan, work: str, strip: int) -> None:
    path = Path(work) / _PLAN.format(strip)
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(pickle.dumps(plan))
    fresh.replace(path)


def start_strips(results: Sequence[FileResult], session: Session, aux: str, l0: str, work: str) -> list[Record]:
    """Plan the datastrips of a session and create their L0 stores with orbit, attitude and dates (step MSI_Merge).

    Parameters
    ----------
    results : sequence of FileResult
        Of every file of the session.
    session : Session
    aux : str
        Folder of auxiliary files that the strips go with.
    l0 : str
        Store of the first datastrip; the others lie beside it, see `strip_url`.
    work : str
        Folder that holds the packets of the files; the plans are left there for `write_packets`.

    Returns
    -------
    list of dict
        The counters of each datastrip.
    """
    _need_orbit(session)
    plans = plan_strips(results, session.id, work)
    for strip, plan in enumerate(plans):
        _create(plan, session, aux, strip_url(l0, strip))
        _keep(plan, work, strip)
    return [{key: float(value) for key, value in plan.counters.items()} for plan in plans]


def update_strip(
    results: Sequence[FileResult], session: Session, aux: str, l0: str, work: str, strip: int = 0
) -> tuple[tuple[int, str, int], ...]:
    """Plan a datastrip again after files came late or another time; return the granules whose packets are to be moved.

    A strip of the same detectors, bands and scenes keeps its store, and all granules that are not named; any other is
    created anew, and every granule is named.

    Returns
    -------
    tuple of (int, str, int)
        Detector, band and scene.
    """
    _need_orbit(session)
    after = plan_strips(results, session.id, work)[strip]
    path = Path(work) / _PLAN.format(strip)
    before = pickle.loads(path.read_bytes()) if path.is_file() else None  # noqa: S301 - our own file
    changed = changed_granules(before, after)
    url = strip_url(l0, strip)
    if before is None or _shape(before) != _shape(after) or abs(after.start - before.start) > SCENE_SECONDS * 5e8:
        _create(after, session, aux, url)
        changed = changed_granules(None, after)
    else:
        for name, values in _conditions(after).items():
            write_whole(url, name, values)
        set_attributes(url, {"s2dask": _facts(after, session, aux)})
    _keep(after, work, strip)
    return changed


def _shape(plan: StripPlan) -> tuple[Any, ...]:
    return (
        plan.detectors, plan.bands, plan.scenes, plan.codec, plan.points.time.size, plan.attitude.time.size
    )  # fmt: skip


@lru_cache(maxsize=2)
def _plan(path: str, _modified: int) -> StripPlan:
    plan: StripPlan = pickle.loads(Path(path).read_bytes())  # noqa: S301 - our own file, made by start_strips
    return plan


def write_packets(l0: str, work: str, detector: int, scene: int, bands: Sequence[str], strip: int = 0) -> Record:
    """Move the packets of a detector and scene into the L0 store, one chunk per band (step MSI_Merge)."""
    path = Path(work) / _PLAN.format(strip)
    plan = _plan(str(path), path.stat().st_mtime_ns)
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
