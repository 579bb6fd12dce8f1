"""The plan: what is to be made of a source, unit by unit, and what it will cost, before anything is spent.

A session is not decoded for it (`s2dask.production.plan_sample`); a store or a product is asked for its facts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s2dask.errors import BudgetError, ConfigurationError
from s2dask.graph.cost import CostModel, Estimate, Work, shipped_costs
from s2dask.graph.unit import NOMINAL, TASK_BUDGET, Cost, Unit, check_budget
from s2dask.production.footprint import tile_grid
from s2dask.production.order import LEVELS
from s2dask.production.part_table import awaited_by_tile, clean_unit, cut_parts, judging_unit, with_packets
from s2dask.production.plan_source import PlanSource, StripShape, look_at
from s2dask.production.plan_work import (
    DELIVERIES,
    Delivery,
    Stage,
    TileShape,
)
from s2dask.production.unit_cost import UnitWork, work_of, work_of_import, work_of_session, work_of_tile
from s2dask.production.unit_table import GROUP, StripCut, l0_units, l1b_units, session_unit, strip_unit, tile_units

WORKER_MEMORY = 3 << 30
"""Of a worker, unless told [B]."""


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit and its tasks.

    Attributes
    ----------
    unit : Unit
        With its cost.
    stages : tuple of tuple of Work
        Tasks of one stage run side by side, the next begins when all of it has ended.
    """

    unit: Unit
    stages: tuple[Stage, ...]

    @property
    def works(self) -> Iterator[Work]:
        """All its tasks."""
        return (work for stage in self.stages for work in stage)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    source : PlanSource
    to : str
        Last level.
    delivery : str
    units : tuple of PlannedUnit
        Each after those that it waits for.
    costs : CostModel
    flags : tuple of str
        What was assumed.
    """

    source: PlanSource
    to: str
    delivery: Delivery
    units: tuple[PlannedUnit, ...]
    costs: CostModel
    flags: tuple[str, ...]

    @property
    def works(self) -> Iterator[Work]:
        """All tasks."""
        return (work for planned in self.units for work in planned.works)

    @property
    def estimate(self) -> Estimate:
        """Core seconds of the whole, with their 80 % interval."""
        return self.costs.predict(self.works)

    @property
    def tiles(self) -> tuple[str, ...]:
        """Names of the tiles, in the order of the units."""
        return tuple(str(p.unit.spec["tile"]) for p in self.units if p.unit.kind == "TILE")

    @property
    def cost(self) -> Cost:
        """Sums over the units; of memory the largest."""
        return total(planned.unit.cost for planned in self.units)

    def by_kind(self) -> dict[str, tuple[int, Cost]]:
        """Return number and costs of the units of each kind."""
        found: dict[str, list[Cost]] = defaultdict(list)
        for planned in self.units:
            found[planned.unit.kind].append(planned.unit.cost)
        return {kind: (len(costs), total(costs)) for kind, costs in found.items()}

    def by_step(self) -> dict[str, tuple[int, float]]:
        """Return tasks and core seconds of each step, in the order of the chain."""
        tasks: Counter[str] = Counter()
        seconds: dict[str, float] = defaultdict(float)
        for work in self.works:
            tasks[work.step] += work.count
            seconds[work.step] += self.costs.seconds(work)
        return {step: (tasks[step], seconds[step]) for step in tasks}

    def facts(self) -> dict[str, Any]:
        """Return all of it, JSON-able."""
        estimate = self.estimate
        return {
            "source": self.source.facts(), "to": self.to, "delivery": self.delivery,
            "core_seconds": estimate.seconds, "interval_80": [estimate.low, estimate.high],
            "measured_runs": self.costs.runs, "totals": _cost_facts(self.cost),
            "kinds": {k: {"units": n, **_cost_facts(c)} for k, (n, c) in self.by_kind().items()},
            "steps": {k: {"tasks": n, "core_seconds": s} for k, (n, s) in self.by_step().items()},
            "tiles": [
                {"tile": p.unit.spec["tile"], "cover": p.unit.spec["cover"], "granules": p.unit.spec["granules"],
                 "core_seconds": p.unit.cost.core_seconds}
                for p in self.units if p.unit.kind == "TILE"
            ],
            "units": [
                {"name": p.unit.name, "kind": p.unit.kind, "after": list(p.unit.after), "spec": dict(p.unit.spec),
                 **_cost_facts(p.unit.cost)}
                for p in self.units
            ],
            "flags": list(self.flags),
        }  # fmt: skip


def _cost_facts(cost: Cost) -> dict[str, float]:
    return {
        "tasks": cost.tasks, "pixels": cost.pixels, "bytes_in": cost.bytes_in, "bytes_out": cost.bytes_out,
        "peak_bytes": cost.peak_bytes, "core_seconds": cost.core_seconds,
    }  # fmt: skip


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sums of costs; of memory the largest."""
    found = list(costs)
    return Cost(
        sum(c.tasks for c in found), sum(c.pixels for c in found), sum(c.bytes_in for c in found),
        sum(c.bytes_out for c in found), max((c.peak_bytes for c in found), default=0),
        sum(c.core_seconds for c in found),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a plan is asked for."""

    to: str
    delivery: Delivery
    group: int
    priority: int
    costs: CostModel
    tiles: tuple[str, ...]
    split: int | None

    def priced(self, unit: Unit, work: UnitWork) -> PlannedUnit:
        """Return a unit with its cost."""
        return PlannedUnit(replace(unit, cost=work.cost(self.costs)), work.stages)


def _strip(asked: _Asked, source: PlanSource, strip: StripShape, rank: int) -> Iterator[PlannedUnit]:
    """Yield the units of a datastrip of a session or of a kept L0 store."""
    cut = StripCut(strip.detectors, strip.scenes, rank, asked.group, asked.priority)
    before: list[Unit] = list(l0_units(cut)) if source.kind == "session" else []
    if asked.to != "L0":
        before += l1b_units(cut, before, "L1A" if asked.to == "L1A" else "L1B")
    for unit in (*before, strip_unit(cut, before, level="L0" if asked.to == "L0" else "L1B")):
        yield asked.priced(unit, work_of(unit, strip))
    if asked.to in ("L1C", "L2A"):
        yield from _tiles(asked, strip, cut, _wanted(asked, strip), None)


def _split(asked: _Asked, source: PlanSource, strip: StripShape, rank: int, per: int) -> Iterator[PlannedUnit]:
    """Yield the units of a datastrip that is split into virtual ones."""
    cut = StripCut(strip.detectors, strip.scenes, rank, asked.group, asked.priority)
    packets = list(l0_units(cut)) if source.kind == "session" else []
    needs = {name: strip.needs.get(name, (0, strip.scenes)) for name in _wanted(asked, strip)}
    before: list[Unit] = []
    for part in cut_parts(strip.scenes, per, needs):
        one = replace(cut, part=part)
        images = l1b_units(one, packets)
        mine = [*with_packets(packets, images, before), *images, judging_unit(one, images)]
        before += mine
        for unit in mine:
            yield asked.priced(unit, work_of(unit, strip))
        tiles = [
            made
            for name in part.tiles
            for made in _tiles(asked, strip, one, [name], awaited_by_tile(one, images, needs[name]))
        ]
        yield from tiles
        yield asked.priced(clean_unit(one, [made.unit for made in tiles]), UnitWork())
    judged = [*packets, *(unit for unit in before if unit.kind == "STRIP")]
    yield asked.priced(strip_unit(cut, judged, level="L1B"), work_of(strip_unit(cut), strip))


def _wanted(asked: _Asked, strip: StripShape) -> list[str]:
    return [name for name in strip.tiles if not asked.tiles or name in asked.tiles]


def _tiles(
    asked: _Asked, strip: StripShape, cut: StripCut, names: Sequence[str], after: Sequence[str] | None
) -> Iterator[PlannedUnit]:
    for name, unit in zip(names, tile_units(cut, names, after), strict=True):
        cover, seen = strip.cover.get(name, 1.0), strip.granules.get(name, 0)
        shape = TileShape(tile_grid(name), strip.bands, cover)
        tile = replace(unit, spec={**unit.spec, "cover": round(cover, 4), "granules": seen})
        yield asked.priced(tile, work_of_tile(tile, shape, asked.to, asked.delivery))


def _import(asked: _Asked, strip: StripShape) -> Iterator[PlannedUnit]:
    """Yield the units of a real L1B product."""
    yield asked.priced(Unit(name="IMPORT", kind="IMPORT", priority=asked.priority), work_of_import(strip))
    cut = StripCut(strip.detectors, strip.scenes, 0, asked.group, asked.priority)
    yield from _tiles(asked, strip, cut, _wanted(asked, strip), ("IMPORT",))


def _product(asked: _Asked, source: PlanSource) -> PlannedUnit:
    """Return the unit of a real L1C product."""
    shape = source.tile
    if shape is None or asked.to != "L2A":
        raise ConfigurationError(f"an L1C product can only go to L2A, not to {asked.to}", "--to", "use --to L2A")
    (unit,) = tile_units(StripCut((1,), 1, priority=asked.priority), [shape.grid.tile_id], ())
    tile = replace(unit, spec={**unit.spec, "cover": round(shape.cover, 4), "granules": 0})
    return asked.priced(tile, work_of_tile(tile, shape, "L2A", asked.delivery, from_l1c=True))


def _units(asked: _Asked, source: PlanSource) -> Iterator[PlannedUnit]:
    if source.kind == "l1c":
        yield _product(asked, source)
        return
    if source.kind == "l1b":
        if asked.to not in ("L1C", "L2A"):
            remedy = "use --to L1C"
            raise ConfigurationError(f"an L1B product can go to L1C or L2A, not to {asked.to}", "--to", remedy)
        yield from _import(asked, source.strips[0])
        return
    if source.kind == "session":
        yield asked.priced(session_unit(asked.priority), work_of_session(source.files, source.strips))
    for rank, strip in enumerate(source.strips):
        if asked.split is not None and asked.to in ("L1C", "L2A"):
            yield from _split(asked, source, strip, rank, asked.split)
        else:
            yield from _strip(asked, source, strip, rank)


def plan(
    source: str | PlanSource,
    *,
    to: str = "L2A",
    aux: str | None = None,
    delivery: Delivery = "s2-strict",
    tiles: Sequence[str] = (),
    group: int = GROUP,
    unit: str | None = None,
    orbit: int | None = None,
    priority: int = NOMINAL,
    costs: CostModel | None = None,
    memory: int | None = WORKER_MEMORY,
    tasks: int = TASK_BUDGET,
    split: int | None = None,
) -> Plan:
    """Plan a run: its units with what they read, write and cost.

    Parameters
    ----------
    source : str
        CADU session (folder or URL), L0 datastrip store, L1B or L1C product in SAFE form; or what was found of it.
    to : {"L0", "L1A", "L1B", "L1C", "L2A"}
    aux : str, optional
        Folder of auxiliary files; default: ``aux`` of a session, or what a store names.
    delivery : {"s2-strict", "s2-fast", "htj2k", "zarr"}
    tiles : sequence of str, optional
        Only these.
    group : int
        Scenes of an L0 or L1B unit.
    unit, orbit : str, int, optional
        Unit and absolute orbit of a session through EDRS, whose identifier tells neither.
    priority : int
    costs : CostModel, optional
        Of `s2dask.graph.cost_history.calibrated_costs`; default: what comes with s2dask.
    memory : int or None
        Of a worker [B]; None: units are not held against it.
    tasks : int
        That the scheduler may hold.
    split : int, optional
        Scenes of a virtual datastrip; default: images stay until the end.

    Returns
    -------
    Plan

    Raises
    ------
    BudgetError
        For a unit that would not fit.
    """
    if to not in LEVELS:
        raise ConfigurationError(f"no level {to}", "--to", f"one of {', '.join(LEVELS)}")
    if delivery not in DELIVERIES:
        raise ConfigurationError(f"no delivery {delivery}", "--delivery", f"one of {', '.join(DELIVERIES)}")
    wanted = tuple(tile_grid(name).tile_id for name in tiles)
    asked = _Asked(to, delivery, group, priority, shipped_costs() if costs is None else costs, wanted, split)
    if split is not None and split < 1:
        raise ConfigurationError(f"{split} scenes", "--split", "1 or more")
    if isinstance(source, PlanSource):
        found = source
    else:
        found = look_at(source, aux, unit=unit, orbit=orbit, located=to in ("L1C", "L2A"))
    touched = {name for strip in found.strips for name in strip.tiles}
    strangers = [name for name in wanted if found.kind != "l1c" and name not in touched]
    if strangers:
        raise ConfigurationError(
            f"{found.url} does not touch {strangers[0]}", "--tile", f"it touches {sorted(touched)}"
        )
    units = tuple(_units(asked, found))
    for planned in units:
        _check(planned.unit, memory, tasks)
    assumed = [] if asked.costs.runs else ["costs are those that come with s2dask: no run measured here is given"]
    return Plan(found, to, delivery, units, asked.costs, (*found.flags, *assumed))


def _check(unit: Unit, memory: int | None, tasks: int) -> None:
    """Refuse a unit above the budget, with what to do about it."""
    try:
        check_budget(unit, unit.cost.peak_bytes if memory is None else memory, tasks)
    except BudgetError as error:
        scenes = unit.spec.get("scenes")
        if unit.cost.tasks <= tasks or scenes is None:
            raise
        fit = max(tasks * (scenes[1] - scenes[0]) // unit.cost.tasks, 1)
        raise BudgetError(error.what, error.where, f"cut it: --group {fit} scenes a unit fit") from None
