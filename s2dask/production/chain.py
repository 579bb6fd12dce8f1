"""The whole chain: a session, or a real L1C product, to delivered and checked products."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from distributed import Client

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.graph.tasks import Outcome, TaskGraph
from s2dask.io.grids import TileGrid
from s2dask.io.storage import exists
from s2dask.io.tiles import open_tile
from s2dask.l0.session import Session, scan_session
from s2dask.production import levels
from s2dask.production.blocks import Blocking, default_blocking
from s2dask.production.footprint import Window, tile_grid, tiles_of
from s2dask.production.ingest import strip_url
from s2dask.production.levels import TilePlan
from s2dask.production.progress import Listener, Silent
from s2dask.production.quicklook import quicklook
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts
from s2dask.qc.checks import run_checks
from s2dask.release.datastrip import release_datastrip
from s2dask.release.publish import release_l1c, release_l2a

LEVELS: Final = ("L0", "L1B", "L1C", "L2A")


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
    outcomes : list of Outcome
    flags : list of str
        What had to be assumed for want of auxiliary data.
    """

    products: list[str] = field(default_factory=list)
    stores: dict[str, str] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return what a person should know, a line each: what was assumed, failed or kept back."""
        failed = [c for c in self.checks if c["status"] != "PASSED"]
        return [
            *(f"assumed: {flag}" for flag in dict.fromkeys(self.flags)),
            *(
                f"{c['severity']} check {c['level']} {c['checklist']}/{c['id']} {c['status']}: {c['message']}"
                for c in failed
            ),
            *(f"withheld: {reason}" for reason in self.withheld),
        ]


@dataclass(slots=True)
class _Run:
    """A run under way."""

    client: Client
    listener: Listener
    work: Path
    delivery: Path
    summary: Summary
    formats: Sequence[str] = ("zarr",)

    def graph(self, title: str, graph: TaskGraph) -> dict[str, Outcome]:
        """Run a graph, and remember what it cost."""
        self.listener.begin(title, graph)
        outcomes = graph.run(self.client, self.listener.end)
        self.summary.outcomes.extend(outcomes.values())
        return outcomes

    def judge(self, result: dict[str, Any]) -> bool:
        """Note the checks of a product; return whether it may be delivered."""
        self.summary.checks.extend(result["checks"])
        self.summary.flags.extend(result.get("flags", ()))
        held = [c for c in result["checks"] if c["severity"] == "concluding" and c["status"] != "PASSED"]
        if held:
            self.summary.withheld.append(f"{result['path']}: {held[0]['message']}")
        return not held


def run(
    source: str,
    *,
    client: Client,
    to: str = "L2A",
    out: str = "products",
    tile: str | None = None,
    window: Window | None = None,
    aux: str | None = None,
    blocking: Blocking | None = None,
    keep: bool = False,
    listener: Listener | None = None,
    allow_gaps: bool = False,
    orbit: int | None = None,
    minimum_scenes: int = 1,
    formats: Sequence[str] = ("zarr",),
) -> Summary:
    """Process a session or a real L1C product and deliver what comes of it.

    Parameters
    ----------
    source : str
        Folder or fsspec URL of a CADU session, or an L1C SAFE (folder or zip).
    client : Client
        Of the cluster that works.
    to : {"L0", "L1B", "L1C", "L2A"}
        Last level; a session delivers its tiles, or the datastrip when the last level is one of a datastrip.
    out : str
        Delivery folder. Nothing is visible in it before it is whole.
    tile, window : optional
        Only this tile, or a window (x0, y0, width, height) [m] of it.
    aux : str, optional
        Folder of auxiliary files; default: ``aux`` of the session.
    blocking : Blocking, optional
        How tiles are cut; the result does not depend on it.
    keep : bool
        Keep the working stores in ``.work`` of the delivery folder.
    listener : Listener, optional
    allow_gaps : bool
        Go on without files that a DSIB announces and that are not there; what is lost is counted and flagged.
    orbit : int, optional
        Absolute orbit of a session whose identifier does not tell (EDRS).
    minimum_scenes : int
        A shorter datastrip stays at L0; the mission's rule is 4 (`s2dask.l0.datatake.MINIMUM_SCENES`).
    formats : sequence of {"zarr", "safe"}
        Of a datastrip delivered at L0; for the SAFE it is located, and its clouds are judged, on the way.

    Returns
    -------
    Summary
    """
    if to not in LEVELS:
        raise ConfigurationError(f"no level {to}", "--to", f"one of {', '.join(LEVELS)}")
    if window is not None and tile is None:
        raise ConfigurationError("a window needs its tile", "--window", "add --tile")
    delivery = Path(out)
    path = Path(source)
    if not exists(source):
        raise InputMissing("nothing there", source, "check the path")
    work = delivery / ".work" / path.stem
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    made = _Run(client, listener or Silent(), work, delivery, Summary(), formats)
    try:
        if path.suffix in (".SAFE", ".zip"):
            _run_safe(made, source, to, aux)
        else:
            session = scan_session(source, allow_gaps=allow_gaps, orbit=orbit)
            _run_session(made, session, to, _tiles(tile, window), aux, blocking, minimum_scenes)
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)
            _remove_if_empty(delivery / ".work")
    return made.summary


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _tiles(tile: str | None, window: Window | None) -> list[TileGrid]:
    return [] if tile is None else [tile_grid(tile, window)]


def _run_session(
    made: _Run,
    session: Session,
    to: str,
    grids: Sequence[TileGrid],
    aux: str | None,
    blocking: Blocking | None,
    minimum_scenes: int,
) -> None:
    folder = aux or str(Path(session.folder) / "aux")
    if not Path(folder).is_dir():
        raise InputMissing("no folder of auxiliary files", folder, "give --aux")
    if session.missing:
        lost = f"{len(session.missing)} files, {session.missing_frames} frames, did not come: {session.missing[0]} …"
        made.summary.flags.append(lost)
    l0, raw = (str(made.work / name) for name in ("l0.zarr", "packets"))
    Path(raw).mkdir()
    graph = TaskGraph()
    plan = levels.add_l0(graph, session, folder, l0, raw)
    strips = made.graph("L0", graph)[plan.key].result
    strip_facts.cache_clear()
    for rank, counters in enumerate(strips):
        made.summary.checks.extend(result.as_dict() for result in run_checks("L0", counters))
        url, wanted = strip_url(l0, rank), to
        if to != "L0" and strip_facts(url).scenes < minimum_scenes:
            wanted = "L0"
            made.summary.withheld.append(f"{url}: {strip_facts(url).scenes} scenes, {to} needs {minimum_scenes}")
        _run_strip(made, url, raw, rank, wanted, grids, folder, blocking)
    shutil.rmtree(raw, ignore_errors=True)


def _run_strip(
    made: _Run, l0: str, raw: str, rank: int, to: str, grids: Sequence[TileGrid], folder: str, blocking: Blocking | None
) -> None:
    suffix = f"-{rank + 1}" if rank else ""
    l1b = str(made.work / f"l1b{suffix}.zarr")
    made.summary.stores[f"L0{suffix}"] = l0
    graph = TaskGraph()
    packets = {ref.key: ref for ref in levels.add_packets(graph, l0, raw, rank)}
    if to == "L0":
        made.graph("L0", graph)
        if "safe" in made.formats:
            quicklook(l0, folder)
        made.summary.products.extend(release_datastrip(l0, str(made.delivery), made.formats))
        del made.summary.stores[f"L0{suffix}"]  # it was moved
        return
    setting = open_setting(l0, folder)
    last = levels.add_l1b(graph, l0, l1b, setting.gipps, packets)
    made.summary.stores[f"L1B{suffix}"] = l1b
    result = made.graph("L1B", graph)[last.key].result
    passed = made.judge(result)
    if passed and to == "L1B":
        made.summary.products.extend(release_datastrip(l1b, str(made.delivery)))
        del made.summary.stores[f"L1B{suffix}"]  # it was moved
    if to != "L1B" and passed:
        wanted = grids or [tile_grid(name) for name in tiles_of(setting, strip_facts(l0))]
        for grid in wanted:
            _run_tile(made, grid, blocking or default_blocking(grid), l0, l1b, folder, to)


def _run_tile(
    made: _Run, grid: TileGrid, blocking: Blocking, l0: str, l1b: str, aux: str, to: str
) -> None:
    plan = TilePlan(grid, blocking, *(str(made.work / f"{level}-T{grid.tile_id}.zarr") for level in ("l1c", "l2a")))
    graph = TaskGraph()
    last = {"L1C": levels.add_l1c(graph, plan, l0, l1b, aux)}
    made.summary.stores[f"L1C-{plan.name}"] = plan.l1c
    if to == "L2A":
        last["L2A"] = levels.add_l2a(graph, plan, plan.l1c, aux, (last["L1C"],))
        made.summary.stores[f"L2A-{plan.name}"] = plan.l2a
    outcomes = made.graph(plan.name, graph)
    _deliver(made, {level: outcomes[ref.key].result for level, ref in last.items()}, plan.name)


def _deliver(made: _Run, results: dict[str, dict[str, Any]], name: str) -> None:
    """Write the delivery forms of the products that passed, side by side on the cluster."""
    out, graph, refs = str(made.delivery), TaskGraph(), []
    passed = {level: str(result["path"]) for level, result in results.items() if made.judge(result)}
    if "L1C" in passed:
        refs.append(graph.add(f"FORMAT_IMG-L1C-{name}", release_l1c, passed["L1C"], out))
    if "L2A" in passed:
        l1c = str(results["L1C"]["path"]) if "L1C" in results else None
        refs.append(graph.add(f"FORMAT_IMG-L2A-{name}", release_l2a, passed["L2A"], out, l1c))
    if refs:
        outcomes = made.graph("release", graph)
        for ref in refs:
            made.summary.products.extend(outcomes[ref.key].result)


def _run_safe(made: _Run, source: str, to: str, aux: str | None) -> None:
    if to != "L2A":
        raise ConfigurationError(f"an L1C product can only go to L2A, not to {to}", "--to", "use --to L2A")
    grid = open_tile(source).grid
    plan = TilePlan(grid, default_blocking(grid), source, str(made.work / f"l2a-T{grid.tile_id}.zarr"))
    graph = TaskGraph()
    last = levels.add_l2a(graph, plan, source, aux)
    made.summary.stores[f"L2A-{plan.name}"] = plan.l2a
    _deliver(made, {"L2A": made.graph(plan.name, graph)[last.key].result}, plan.name)
