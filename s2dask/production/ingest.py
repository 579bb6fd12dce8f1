"""From the files of a session to L0 datastrips: decode each file, plan the strips, move the packets."""

import hashlib
import pickle
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.auxdata import acquisition
from s2dask.auxdata.time import compact, gps_to_utc, iso
from s2dask.instrument import BANDS, SCENE_SECONDS, band, unit
from s2dask.io import schema
from s2dask.io.storage import exists, remove
from s2dask.io.template import create, set_attributes
from s2dask.io.writer import write_block, write_whole
from s2dask.l0.session import Session
from s2dask.l0.stage import FileResult, StripPlan, changed_granules, gather_packets, granule_digest, plan_strips
from s2dask.production.datation import datation_model
from s2dask.production.downlink import downlink_facts, downlink_times
from s2dask.production.housekeeping import keep_housekeeping
from s2dask.production.marks import forget
from s2dask.qc.records import Record

BASELINE: Final = "05.11"
"""Processing baseline whose conventions the products follow."""
_PLAN: Final = "plan-{:03d}.pickle"
_MOVED: Final = "plan-{:03d}.moved"
"""The plan whose packets the store holds, all of them."""
Granule = tuple[int, str, int]
"""Detector, band and scene."""


@dataclass(frozen=True, slots=True)
class StripUpdate:
    """What is to be done for the L0 store of a datastrip.

    Attributes
    ----------
    url : str
    rank : int
    counters : dict
        Of the plan.
    granules : tuple of (int, str, int)
        Detector, band and scene of those whose packets `write_packets` has to move.
    digests : dict of (int, int) to str
        Digest of the packets of each detector and scene.
    digest : str
        Of all of them, and of what the plan says of orbit, attitude and dates.
    """

    url: str
    rank: int
    counters: Record
    granules: tuple[Granule, ...]
    digests: dict[tuple[int, int], str]
    digest: str


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


def _acquisition(aux: str) -> dict[str, Any]:
    """Return whether and by which table the instrument equalised; nothing where no auxiliary file says it."""
    path = Path(aux) / acquisition.FILE
    return asdict(acquisition.read_acquisition(path)) if path.is_file() else {}


def _facts(plan: StripPlan, session: Session, aux: str) -> dict[str, Any]:
    start = gps_to_utc(plan.start)
    relative = unit(session.unit).relative_orbit(session.orbit) if session.orbit else 0
    return {
        "level": "L0", "unit": session.unit, "session_id": session.id, "absolute_orbit": session.orbit,
        "relative_orbit": relative, "baseline": BASELINE, "reception_station": session.station,
        "datatake_id": f"G{session.unit}_{compact(start)}_{session.orbit:06d}_N{BASELINE}",
        "sensing_start": iso(start), "sensing_stop": iso(gps_to_utc(plan.stop)),
        "sensing_start_gps": plan.start, "sensing_stop_gps": plan.stop,
        "line_period": plan.datation.line_period,
        "detectors": list(plan.detectors), "bands": list(plan.bands), "scenes": plan.scenes, "codec": plan.codec,
        "aux": aux, "counters": dict(plan.counters), "gaps": [list(gap) for gap in plan.gaps],
        "datation_residual_ns": plan.residual, "datation": plan.datation.facts(), "degraded": list(plan.degraded),
        "downlink": downlink_facts(plan, session),
        "datatake_type": session.datatake_type,
        "missing_files": list(session.missing), "missing_file_frames": session.missing_frames,
        **_acquisition(aux),
    }  # fmt: skip


def _create(plan: StripPlan, session: Session, aux: str, l0: str) -> None:
    variables = schema.l0(
        plan.detectors, plan.bands, plan.scenes, plan.codec, plan.points.time.size, plan.attitude.time.size
    )
    forget(l0)
    create(l0, variables, {"s2dask": _facts(plan, session, aux)})
    _fill(plan, session, l0)


def _fill(plan: StripPlan, session: Session, l0: str) -> None:
    for path, values in {**_conditions(plan), **downlink_times(plan, session)}.items():
        write_whole(l0, path, values)


def _dump(path: Path, plan: StripPlan) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(pickle.dumps(plan))
    fresh.replace(path)


def _plan_of(url: str, path: Path) -> StripPlan | None:
    """Return the plan that a store was brought to, None when there is no such plan or store."""
    if not path.is_file() or not exists(url):
        return None
    plan: StripPlan = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
    return plan


def _fits(before: StripPlan | None, plan: StripPlan) -> bool:
    """Tell whether the store of a plan can take another."""
    if before is None or abs(plan.start - before.start) > SCENE_SECONDS * 5e8:
        return False
    return _shape(before) == _shape(plan)


def _digests(plan: StripPlan) -> tuple[dict[tuple[int, int], str], str]:
    granules = {(d, scene): granule_digest(plan, d, scene) for scene in range(plan.scenes) for d in plan.detectors}
    whole = hashlib.blake2b(repr(sorted(granules.items())).encode(), digest_size=16)
    for values in _conditions(plan).values():
        whole.update(np.ascontiguousarray(values).tobytes())
    whole.update(repr((plan.start, plan.stop, plan.gaps, plan.residual, plan.degraded)).encode())
    return granules, whole.hexdigest()


def _update(plan: StripPlan, session: Session, aux: str, url: str, work: str, rank: int) -> StripUpdate:
    planned, moved = Path(work) / _PLAN.format(rank), Path(work) / _MOVED.format(rank)
    before, known = _plan_of(url, moved), _plan_of(url, planned)
    moved.unlink(missing_ok=True)
    if _fits(known, plan):
        _fill(plan, session, url)
        set_attributes(url, {"s2dask": _facts(plan, session, aux)})
    else:
        planned.unlink(missing_ok=True)  # until the store is whole
        _create(plan, session, aux, url)
    granules = changed_granules(before if _fits(before, plan) and _fits(known, plan) else None, plan)
    _dump(planned, plan)
    counters = {key: float(value) for key, value in plan.counters.items()}
    return StripUpdate(url, rank, counters, granules, *_digests(plan))


def _forget(l0: str, work: str, count: int) -> None:
    """Remove what a plan of more datastrips has left."""
    rank = count
    while (path := Path(work) / _PLAN.format(rank)).is_file():
        path.unlink()
        (Path(work) / _MOVED.format(rank)).unlink(missing_ok=True)
        remove(strip_url(l0, rank))
        rank += 1


def update_strips(
    results: Sequence[FileResult], session: Session, aux: str, l0: str, work: str
) -> tuple[StripUpdate, ...]:
    """Plan the datastrips of a session and bring their L0 stores to it, all but the packets (step MSI_Merge).

    At first the stores are created, with orbit, attitude and dates, and every granule is named. When files came late or
    another time since, a strip of the same detectors, bands and scenes keeps its store, and all granules that are not
    named; any other is created anew.

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
        Folder that holds the packets of the files; the plans are left there for `write_packets`, and what came of
        housekeeping telemetry for `s2dask.production.housekeeping`.

    Returns
    -------
    tuple of StripUpdate
        By date.
    """
    keep_housekeeping(results, session, work)
    plans = plan_strips(results, session.id, work, model=datation_model(aux, session.unit, session.start))
    _forget(l0, work, len(plans))
    return tuple(_update(plan, session, aux, strip_url(l0, k), work, k) for k, plan in enumerate(plans))


def close_strip(work: str, rank: int) -> None:
    """Note that all packets of a datastrip are in its store, so that the next update moves only what changes."""
    shutil.copyfile(Path(work) / _PLAN.format(rank), fresh := Path(work) / f"{_MOVED.format(rank)}.fresh")
    fresh.replace(Path(work) / _MOVED.format(rank))


def _shape(plan: StripPlan) -> tuple[Any, ...]:
    return (
        plan.detectors, plan.bands, plan.scenes, plan.codec, plan.points.time.size, plan.attitude.time.size
    )  # fmt: skip


@lru_cache(maxsize=2)
def _plan(path: str, _modified: int) -> StripPlan:
    plan: StripPlan = pickle.loads(Path(path).read_bytes())  # noqa: S301 - our own file, made by update_strips
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
