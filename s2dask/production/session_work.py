"""The unit of a session: its files are decoded, its datastrips cut, and the units that these call for listed."""

from dataclasses import replace
from typing import Any, Final

from s2dask import __version__
from s2dask.auxdata.time import gps_to_utc
from s2dask.graph.tasks import TaskGraph
from s2dask.graph.unit import Unit
from s2dask.l0.session import Session
from s2dask.production import levels
from s2dask.production.arrival import Arrival
from s2dask.production.follow import follow
from s2dask.production.identity import folder_digest, granules_identity, identified_granules, strip_identity
from s2dask.production.image_store import open_images
from s2dask.production.ingest import StripUpdate
from s2dask.production.setting import open_gipps
from s2dask.production.strip import strip_facts
from s2dask.production.tile_list import tiles_wanted
from s2dask.production.unit_cost import priced
from s2dask.production.unit_table import StripCut, l0_units, l1b_units, strip_unit
from s2dask.production.virtual_strip import virtual_units
from s2dask.production.work import Context, Done, Told
from s2dask.qc.checks import run_checks

PACKETS: Final = f"packets-{__version__}"
"""Folder of what is decoded: another version does not rely on it."""


def run_session(context: Context) -> Done:
    """Decode the files of a session, cut its datastrips and list their units (kind SESSION)."""
    order, told, children = context.order, Told(), []
    aux, raw = order.aux_folder(), context.work / PACKETS
    raw.mkdir(parents=True, exist_ok=True)
    arrival, session = _arrived(context, str(raw), told)
    for update in arrival.plan(session, aux, str(context.work / "l0.zarr")):
        checks = [result.as_dict() for result in run_checks("L0", update.counters, order.checklists)]
        told.checks.extend(checks)
        children.extend(_units_of_strip(context, update, str(raw), aux, told, checks))
    return Done(told, children=priced(children, order))


def _arrived(context: Context, raw: str, told: Told) -> tuple[Arrival, Session]:
    """Return the session once it may be processed; files that are there by then are on their way."""
    order = context.order
    arrival = Arrival(order.source, raw, context.runner, order.unit, order.orbit)
    if order.follow is not None:
        follow(arrival, order.follow, allow_gaps=order.allow_gaps)
    session = replace(arrival.accept(allow_gaps=order.allow_gaps), datatake_type=order.datatake_type)
    if session.missing:
        lost = f"{len(session.missing)} files, {session.missing_frames} frames, did not come: {session.missing[0]} …"
        told.flags.append(lost)
    return arrival, session


def _level_of(context: Context, l0: str, told: Told) -> str:
    """Return the last level to make of a datastrip: its type, its length and what degrades it may allow less."""
    asked = context.order.to
    attrs = strip_facts(l0).attrs
    kind, start = str(attrs.get("datatake_type", "INS-NOBS")), gps_to_utc(int(attrs["sensing_start_gps"]))
    last = levels.last_level(asked, kind, str(attrs["unit"]), start)
    if last != asked:
        told.flags.append(f"{kind} is a datatake of which nothing beyond {last} is made up to {asked}")
    reasons = "; ".join(attrs.get("degraded", ()))
    if reasons and last == "L0":
        told.flags.append(f"{l0}: degraded datatake: {reasons}")
    elif reasons:
        told.withheld.append(f"{l0}: degraded datatake, L0 only: {reasons}")
    last = "L0" if reasons else last
    held, least = strip_facts(l0).scenes * len(strip_facts(l0).detectors), context.order.minimum_granules
    if last != "L0" and held < least:
        told.expected.append(f"{l0}: {held} granules, {least} are needed beyond L0: {last} is not made")
        return "L0"
    return last


def _units_of_strip(
    context: Context, update: StripUpdate, raw: str, aux: str, told: Told, checks: list[dict[str, Any]]
) -> list[Unit]:
    """Return the units of a datastrip, and make the empty store of its images."""
    l0, order, facts = update.url, context.order, strip_facts(update.url)
    suffix = f"-{update.rank + 1}" if update.rank else ""
    told.stores[f"L0{suffix}"] = l0
    to = _level_of(context, l0, told)
    level = to if to in ("L0", "L1A") else "L1B"
    images = str(context.work / f"{level.lower()}{suffix}.zarr")
    shared = {
        "order": order.spec(), "to": to, "level": level, "l0": l0, "images": images, "raw": raw, "aux": aux,
        "suffix": suffix,
    }  # fmt: skip
    # what is begun goes before other sessions, so that few of them are on the disk at a time
    cut = StripCut(facts.detectors, facts.scenes, update.rank, priority=context.unit.priority + 1, shared=shared)
    packets = _packet_units(cut, update)
    if level == "L0":
        identity = strip_identity("L0", update, aux, order)
        return [*packets, replace(strip_unit(cut, packets, checks=checks), identity=identity)]
    gipps = open_gipps(l0, aux)
    if order.split is not None and to in ("L1C", "L2A"):
        return virtual_units(context, cut, packets, update, gipps, told)
    graph = TaskGraph()
    graph.add(f"RADIO_INIT-{level}{suffix}", open_images, l0, images, level, gipps)
    context.graph(level, graph)
    granules = identified_granules(l1b_units(cut, packets, kind=level), update, gipps)
    closed = strip_identity(to if to in ("L1A", "L1B") else level, update, aux, order, gipps)
    closing = replace(strip_unit(cut, [*packets, *granules], deliver=to == level), identity=closed)
    inputs = {"strip": closed, "aux": folder_digest(aux)}
    tiles = tiles_wanted(cut, order, inputs, told) if to in ("L1C", "L2A") else []
    return [*packets, *granules, closing, *tiles]


def _pair(value: Any) -> tuple[int, int]:
    first, stop = value
    return int(first), int(stop)


def _packet_units(cut: StripCut, update: StripUpdate) -> list[Unit]:
    """Return the units of packets to be moved, with the bands of each scene."""
    moved: dict[tuple[int, int], list[str]] = {}
    for d, name, scene in update.granules:
        moved.setdefault((d, scene), []).append(name)
    units = []
    for unit in l0_units(cut, list(moved)):
        d, scenes = unit.spec["detector"], _pair(unit.spec["scenes"])
        moves = [[k, moved[d, k]] for k in range(*scenes) if (d, k) in moved]
        identity = granules_identity("L0", update, d, scenes)
        units.append(replace(unit, spec={**unit.spec, "moves": moves}, identity=identity))
    return units
