"""The whole chain: a session, or a real L1C product, to delivered and checked products."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from distributed import Client

from s2dask import __version__
from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.graph.tasks import Outcome, Ref, TaskGraph
from s2dask.io.grids import TileGrid
from s2dask.io.safe_l1b import import_granule, is_l1b_safe, start_import
from s2dask.io.storage import exists
from s2dask.io.tiles import open_tile
from s2dask.l0.session import Session
from s2dask.production import levels
from s2dask.production.arrival import Arrival
from s2dask.production.blocks import default_blocking
from s2dask.production.follow import follow
from s2dask.production.footprint import tile_grid, tiles_of
from s2dask.production.housekeeping import take_housekeeping
from s2dask.production.ingest import StripUpdate, close_strip
from s2dask.production.levels import TilePlan
from s2dask.production.order import Order
from s2dask.production.progress import Listener, Silent
from s2dask.production.quicklook import mosaic, quicklook
from s2dask.production.resampling import USUAL
from s2dask.production.runner import Runner
from s2dask.production.setting import Setting, open_gipps, open_setting
from s2dask.production.strip import strip_facts
from s2dask.production.strip_release import add_safe, describe_strip
from s2dask.production.tile_release import add_release, describe_tile
from s2dask.production.verdict import rejudge
from s2dask.qc.checks import run_checks
from s2dask.release.datastrip import release_datastrip
from s2dask.release.tile import TileRelease

PACKETS: Final = f"packets-{__version__}"
"""Folder of what is decoded: another version does not rely on it."""


@dataclass(slots=True)
class Summary:
    """What a run made.

    Attributes
    ----------
    products : list of str
        Delivered products and what goes with them.
    stores : dict of str to str
        Working store by level, or by level and tile: ``L0``, ``L1B``, ``L1C-T28SCB``; gone unless kept.
    checks : list of dict
        Every check of every level.
    withheld : list of str
        Products that a concluding check keeps from delivery.
    flagged : list of str
        Products that are delivered although a concluding check failed, as the policy of the order wants it.
    outcomes : list of Outcome
    flags : list of str
        What had to be assumed for want of auxiliary data.
    unseen : list of str
        Datastrips that do not touch the tile that was asked for.
    """

    products: list[str] = field(default_factory=list)
    stores: dict[str, str] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return what a person should know, a line each: what was assumed, failed or kept back."""
        failed = [c for c in self.checks if c["status"] != "PASSED"]
        return [
            *(f"assumed: {flag}" for flag in dict.fromkeys(self.flags)),
            *(f"unseen: {what}" for what in self.unseen),
            *(
                f"{c['severity']} check {c['level']} {c['checklist']}/{c['id']} {c['status']}: {c['message']}"
                for c in failed
            ),
            *(f"withheld: {reason}" for reason in self.withheld),
            *(f"flagged: {reason}" for reason in self.flagged),
        ]


@dataclass(frozen=True, slots=True)
class _Run:
    """A run under way."""

    order: Order
    runner: Runner
    summary: Summary

    @property
    def work(self) -> Path:
        return self.order.work

    @property
    def delivery(self) -> Path:
        return Path(self.order.out)

    def graph(self, title: str, graph: TaskGraph) -> dict[str, Outcome]:
        """Run a graph, and remember what it cost."""
        return self.runner.run(title, graph)

    def judge(self, result: dict[str, Any]) -> bool:
        """Note the checks of a product; return whether it may be delivered."""
        if self.order.checklists is not None:
            result = rejudge(result, self.order.checklists)
        self.summary.checks.extend(result["checks"])
        self.summary.flags.extend(result.get("flags", ()))
        held = [c for c in result["checks"] if c["severity"] == "concluding" and c["status"] != "PASSED"]
        flag = self.order.quality_policy == "flag"
        if held:
            told = self.summary.flagged if flag else self.summary.withheld
            told.append(f"{result['path']}: {held[0]['message']}")
        return flag or not held


def run(source: str, *, client: Client, listener: Listener | None = None, **asked: Any) -> Summary:
    """Process a session or a real L1B or L1C product and deliver what comes of it.

    Parameters
    ----------
    source : str
        Folder or fsspec URL of a CADU session, or a local L1B or L1C SAFE (folder or zip).
    client : Client
        Of the cluster that works; its workers see the source and the local folders.
    listener : Listener, optional
    **asked
        The other attributes of `Order`: ``to``, ``out``, ``aux``, ``keep``, ``follow`` …

    Returns
    -------
    Summary
    """
    order = Order(source=source, **asked)
    if order.follow is None and not exists(source):
        raise InputMissing("nothing there", source, "check the path")
    runner = Runner(client, listener or Silent())
    made = _Run(order, runner, Summary(outcomes=runner.outcomes))
    _clear(order.work, keep=order.keep)
    order.work.mkdir(parents=True, exist_ok=True)
    try:
        if order.is_safe:
            _run_safe(made)
        else:
            _run_session(made)
        if made.summary.unseen and not made.summary.products and not made.summary.withheld:
            raise ConfigurationError(made.summary.unseen[0], "--tile", "name one of those")
    finally:
        if not order.keep:
            _clear(order.work)
            _remove_if_empty(order.work.parent)
    return made.summary


def _clear(work: Path, *, keep: bool = False) -> None:
    """Remove working stores, except, if so wanted, those that need not be made again: packets and L0."""
    if not keep:
        shutil.rmtree(work, ignore_errors=True)
        return
    for path in work.glob("*"):
        if not path.match("l0*.zarr") and path.name != PACKETS:
            shutil.rmtree(path, ignore_errors=True)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _arrived(made: _Run, raw: str) -> tuple[Arrival, Session]:
    """Return the session once it may be processed; files that are there by then are on their way."""
    order = made.order
    arrival = Arrival(order.source, raw, made.runner, order.unit, order.orbit)
    if order.follow is not None:
        follow(arrival, order.follow, allow_gaps=order.allow_gaps)
    session = replace(arrival.accept(allow_gaps=order.allow_gaps), datatake_type=order.datatake_type)
    if session.missing:
        lost = f"{len(session.missing)} files, {session.missing_frames} frames, did not come: {session.missing[0]} …"
        made.summary.flags.append(lost)
    return arrival, session


def _run_session(made: _Run) -> None:
    order, raw = made.order, made.work / PACKETS
    aux = order.aux_folder()
    raw.mkdir(exist_ok=True)
    arrival, session = _arrived(made, str(raw))
    for update in arrival.plan(session, aux, str(made.work / "l0.zarr")):
        made.summary.checks.extend(result.as_dict() for result in run_checks("L0", update.counters, order.checklists))
        url = update.url
        wanted = _adequate_level(made, url, _last_level(made, url, order.to))
        if wanted != "L0" and strip_facts(url).scenes < order.minimum_scenes:
            wanted = "L0"
            scenes = f"{strip_facts(url).scenes} scenes, {order.to} needs {order.minimum_scenes}"
            made.summary.withheld.append(f"{url}: {scenes}")
        _run_strip(made, update, str(raw), wanted, aux)


def _last_level(made: _Run, l0: str, asked: str) -> str:
    """Return the last level to make of a datastrip; the type of its datatake may have fewer than are asked for."""
    attrs = strip_facts(l0).attrs
    kind, start = str(attrs.get("datatake_type", "INS-NOBS")), gps_to_utc(int(attrs["sensing_start_gps"]))
    last = levels.last_level(asked, kind, str(attrs["unit"]), start)
    if last != asked:
        made.summary.flags.append(f"{kind} is a datatake of which nothing beyond {last} is made up to {asked}")
    return last


def _adequate_level(made: _Run, l0: str, asked: str) -> str:
    """Return the last level to make of a datastrip: of a degraded datatake L0 only, and what it is degraded by said."""
    reasons = "; ".join(strip_facts(l0).attrs.get("degraded", ()))
    if reasons and asked == "L0":
        made.summary.flags.append(f"{l0}: degraded datatake: {reasons}")
    elif reasons:
        made.summary.withheld.append(f"{l0}: degraded datatake, L0 only: {reasons}")
    return "L0" if reasons else asked


def _run_strip(made: _Run, update: StripUpdate, raw: str, to: str, folder: str) -> None:
    l0, suffix = update.url, f"-{update.rank + 1}" if update.rank else ""
    l1b = str(made.work / f"l1b{suffix}.zarr")
    made.summary.stores[f"L0{suffix}"] = l0
    graph = TaskGraph()
    packets = {ref.key: ref for ref in levels.add_packets(graph, update, raw)}
    if to == "L0":
        made.graph("L0", graph)
        formats, pictures = made.order.formats, None
        if "safe" in formats and strip_facts(l0).attrs.get("degraded"):
            made.summary.withheld.append(f"{l0}: a degraded datatake has no footprints, which the SAFE needs")
            formats = ("zarr",)
        elif "safe" in formats:
            pictures = mosaic(quicklook(l0, folder))
        house = take_housekeeping(raw) if "safe" in made.order.formats else None
        made.summary.products.extend(release_datastrip(l0, str(made.delivery), formats, house=house, pictures=pictures))
        del made.summary.stores[f"L0{suffix}"]  # it was moved
        return
    if to == "L1A":
        l1a = str(made.work / f"l1a{suffix}.zarr")
        last = levels.add_l1a(graph, l0, l1a, open_gipps(l0, folder), packets)
        _finish_strip(made, graph, last, (l0, l1a, folder), f"L1A{suffix}", deliver=True)
        close_strip(raw, update.rank)
        return
    setting = open_setting(l0, folder)
    last = levels.add_l1b(graph, l0, l1b, setting.gipps, packets)
    passed = _finish_strip(made, graph, last, (l0, l1b, folder), f"L1B{suffix}", deliver=to == "L1B")
    close_strip(raw, update.rank)
    if to != "L1B" and passed:
        for grid in _seen(made, setting, l0):
            _run_tile(made, grid, suffix, l0, l1b, folder, to)


def _finish_strip(
    made: _Run, graph: TaskGraph, last: Ref, made_of: tuple[str, str, str], name: str, *, deliver: bool
) -> bool:
    """Run the graph of an L1A or L1B datastrip, judge it and deliver it if so wanted; return whether it passed.

    `made_of` names its L0 store, its own and the folder of auxiliary files.
    """
    l0, store, aux = made_of
    made.summary.stores[name] = store
    passed = made.judge(made.graph(name[:3], graph)[last.key].result)
    if passed and deliver:
        formats, product = made.order.formats, None
        if "safe" in formats:
            describe_strip(l0, store, aux)
            release = TaskGraph()
            product, _ = add_safe(release, store, made.work)
            made.graph("release", release)
        made.summary.products.extend(release_datastrip(store, str(made.delivery), formats, product=product))
        del made.summary.stores[name]  # it was moved
    return passed


def _seen(made: _Run, setting: Setting, store: str) -> list[TileGrid]:
    """Return the tiles to make of a datastrip: those it touches, of the one asked for if one is."""
    touched = tiles_of(setting, strip_facts(store))
    if not made.order.grids:
        return [tile_grid(name) for name in touched]
    strangers = [grid.tile_id for grid in made.order.grids if grid.tile_id not in touched]
    made.summary.unseen.extend(f"{store} touches {', '.join(touched)}, not {name}" for name in strangers)
    return [grid for grid in made.order.grids if grid.tile_id in touched]


def _run_tile(made: _Run, grid: TileGrid, suffix: str, l0: str, l1b: str, aux: str, to: str) -> None:
    """Make a tile of a datastrip, whose suffix tells the stores of several datastrips apart."""
    l1c, l2a = (str(made.work / f"{level}-T{grid.tile_id}{suffix}.zarr") for level in ("l1c", "l2a"))
    order = made.order
    plan = TilePlan(grid, order.blocking or default_blocking(grid), l1c, l2a, order.resampling, order.corrections)
    graph = TaskGraph()
    last = {"L1C": levels.add_l1c(graph, plan, l0, l1b, aux)}
    made.summary.stores[f"L1C-{plan.name}{suffix}"] = plan.l1c
    if to == "L2A":
        last["L2A"] = levels.add_l2a(graph, plan, plan.l1c, aux, (last["L1C"],))
        made.summary.stores[f"L2A-{plan.name}{suffix}"] = plan.l2a
    outcomes = made.graph(plan.name, graph)
    _deliver(made, {level: outcomes[ref.key].result for level, ref in last.items()}, plan.name, l0, aux)


def _deliver(made: _Run, results: dict[str, dict[str, Any]], name: str, source: str, aux: str | None) -> None:
    """Write the delivery forms of the products that passed, file by file on the cluster.

    `source` is what the tile is made of: an L0 store, an imported L1B store or an L1C product.
    """
    order, graph, refs = made.order, TaskGraph(), []
    passed = {level: str(result["path"]) for level, result in results.items() if made.judge(result)}
    l1c = str(results["L1C"]["path"]) if "L1C" in results else None
    if passed:
        told = graph.add(f"FORMAT_METADATA_DS-{name}", describe_tile, list(passed.values()), source, aux)
    for level, store in passed.items():
        masks = l1c if level == "L2A" else None
        what = TileRelease(store, masks, jp2_profile=order.jp2_profile, zarr_form=order.zarr_form)
        refs.append(add_release(graph, what, made.work, str(made.delivery), name, (told,)))
    if refs:
        outcomes = made.graph("release", graph)
        for ref in refs:
            made.summary.products.extend(outcomes[ref.key].result)


def _run_l1b(made: _Run) -> None:
    """Import an L1B product, granule after granule on the cluster, and make tiles of it."""
    order, l1b = made.order, str(made.work / "l1b.zarr")
    if order.to not in ("L1C", "L2A"):
        raise ConfigurationError(f"an L1B product can go to L1C or L2A, not to {order.to}", "--to", "use --to L1C")
    aux, graph = order.aux_folder(), TaskGraph()
    for d, scene in start_import(order.source, l1b, aux):
        graph.add(f"UNFORMAT_SAFE_GR-D{d:02d}-G{scene:03d}", import_granule, order.source, l1b, d, scene)
    made.graph("L1B", graph)
    made.summary.stores["L1B"] = l1b
    facts = strip_facts(l1b)
    if facts.attrs["missing_granules"]:
        made.summary.flags.append(f"{len(facts.attrs['missing_granules'])} granules are not in the product: no data")
    for grid in _seen(made, open_setting(l1b, aux), l1b):
        _run_tile(made, grid, "", l1b, l1b, aux, order.to)


def _run_safe(made: _Run) -> None:
    if is_l1b_safe(made.order.source):
        _run_l1b(made)
        return
    source, to, aux = made.order.source, made.order.to, made.order.aux
    if to != "L2A":
        raise ConfigurationError(f"an L1C product can only go to L2A, not to {to}", "--to", "use --to L2A")
    if made.order.resampling != USUAL:
        options = "--interpolation, --cut, --noise-gain"
        raise ConfigurationError("an L1C product is resampled already", options, "leave them out")
    grid = open_tile(source).grid
    url = str(made.work / f"l2a-T{grid.tile_id}.zarr")
    plan = TilePlan(grid, default_blocking(grid), source, url, corrections=made.order.corrections)
    graph = TaskGraph()
    last = levels.add_l2a(graph, plan, source, aux)
    made.summary.stores[f"L2A-{plan.name}"] = plan.l2a
    _deliver(made, {"L2A": made.graph(plan.name, graph)[last.key].result}, plan.name, source, aux)
