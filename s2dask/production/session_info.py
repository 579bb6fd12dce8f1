"""What a session holds, by reading its files once: channels, gaps, packets, scenes, and what is to be made of it."""

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.errors import InputError
from s2dask.instrument import BANDS, unit
from s2dask.instrument.telemetry import VCID_HALF_SCENE, VCID_SAD, detector_and_band
from s2dask.l0.blocks import Block, read_pieces
from s2dask.l0.channel_file import BLOCK, FileResult, decode_blocks
from s2dask.l0.datatake import MINIMUM_SCENES, expected_products, levels_of
from s2dask.l0.join import join_channel
from s2dask.l0.session import CHANNELS, SessionState, survey
from s2dask.l0.strip_plan import StripPlan, plan_strips

THREADS: Final = 4


def _decode(state: SessionState, work: Path) -> list[FileResult]:
    def one(block: Block) -> FileResult:
        return decode_blocks(
            read_pieces(block.url, BLOCK), block.channel, work / f"{block.name}-{block.key}", block.name, images=False
        )

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, state.blocks))


def _channel(state: SessionState, results: Sequence[FileResult], number: int) -> dict[str, Any]:
    dsib, own = state.dsibs.get(number), [r for r in results if r.channel == number]
    out: dict[str, Any] = {
        "dsib": dsib.name if dsib else None,
        "announced": len(dsib.names) if dsib else None,
        "files": len(own),
        "missing_files": [n for n in state.missing if dsib and n in dsib.names],
        "missing_file_frames": state.missing_frames(number) if state.missing else 0,
    }
    for key in own[0].counters if own else ():
        out[key] = sum(r.counters[key] for r in own)
    return out


def _virtual(results: Sequence[FileResult], virtual: int, work: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a virtual channel holds, and its packets by APID."""
    joined = join_channel(results, virtual, work)
    apids: dict[str, Any] = {}
    for apid in np.unique(joined.rows["apid"]):
        mine = joined.rows[joined.rows["apid"] == apid]
        of = detector_and_band(int(apid)) if virtual != VCID_SAD else None
        source = {"detector": of[0], "band": list(BANDS)[of[1]]} if of else {}
        bad = int((~mine["good"]).sum())
        apids[str(apid)] = {"virtual_channel": virtual, **source, "packets": int(mine.size), "bad_checksum": bad}
    parts = [r.parts[virtual] for r in results if virtual in r.parts]
    return {
        "frames": sum(p.frames for p in parts) - joined.repeated + sum(p.duplicates for p in parts),
        "duplicate_frames": joined.repeated,
        "missing_frames": sum(n for _, n in joined.gaps),
        "gaps": [list(gap) for gap in joined.gaps],
        "packets": int(joined.rows.size),
    }, apids


def _strip(plan: StripPlan, kind: str | None, of_unit: str, minimum: int) -> dict[str, Any]:
    start = gps_to_utc(plan.start)
    levels = levels_of(kind or "", of_unit, start, degraded=bool(plan.degraded))
    names = ("packets", "lost_packets", "degraded_packets")
    return {
        "sensing_start": iso(start), "sensing_stop": iso(gps_to_utc(plan.stop)), "scenes": plan.scenes,
        "detectors": list(plan.detectors), "bands": list(plan.bands), "codec": plan.codec,
        **{name: plan.counters[name] for name in names}, "degraded": list(plan.degraded), "levels": list(levels),
        "expected_products": expected_products(
            kind or "", plan.scenes, levels, detectors=len(plan.detectors), minimum=minimum
        ),
    }  # fmt: skip


def session_info(
    folder: str,
    kind: str | None = None,
    of_unit: str | None = None,
    minimum: int = MINIMUM_SCENES,
    orbit: int | None = None,
) -> dict[str, Any]:
    """Return what a session holds; its files are read once, image packets are indexed and not kept.

    Parameters
    ----------
    folder : str
        Local path or fsspec URL.
    kind : str, optional
        Datatake type, which telemetry does not tell: levels and products beyond L0 follow from it.
    of_unit : str, optional
        Of a session through EDRS.
    minimum : int
        Scenes that a datastrip needs to go beyond L0.
    orbit : int, optional
        Absolute orbit of a session through EDRS; without it the facts name none.
    """
    state = survey(folder, of_unit, orbit=orbit)
    facts: dict[str, Any] = {"session": state.id, "unit": state.unit, "reception_station": state.station or None}
    if state.orbit:
        facts |= {"absolute_orbit": state.orbit, "relative_orbit": unit(state.unit).relative_orbit(state.orbit)}
    facts |= {
        "complete": state.complete, "announced_files": state.announced, "present_files": state.present,
        "missing": list(state.missing), "damaged": [list(d) for d in state.damaged], "late": list(state.late),
        "duplicates": [list(d) for d in state.duplicates], "retransferred": list(state.retransferred),
        "unannounced": list(state.unannounced),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="s2dask-") as work:
        results = _decode(state, Path(work))
        facts["channels"] = {
            str(k): _channel(state, results, k) for k in CHANNELS if k in state.dsibs or state.files(k)
        }
        facts["virtual_channels"], facts["apids"] = {}, {}
        for virtual in sorted({*VCID_HALF_SCENE.values(), VCID_SAD}):
            held, apids = _virtual(results, virtual, Path(work))
            if held["packets"] or held["frames"]:
                facts["virtual_channels"][str(virtual)] = held
                facts["apids"] |= apids
        facts["datatake_type"], facts["datastrips"], facts["problem"] = kind, [], None
        try:
            plans = plan_strips(results, state.id, work, checked=False) if results else ()
            facts["datastrips"] = [_strip(plan, kind, state.unit, minimum) for plan in plans]
        except InputError as error:
            facts["problem"] = str(error)
    return facts
