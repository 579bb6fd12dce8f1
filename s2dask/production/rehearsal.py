"""A rehearsal: a planned run by the real dispatcher, runner, ledger and cluster, whose tasks rest instead of working.

Units, keys, arguments and dependencies are those of the run; what a task hands back has the size that it has there, and
the products are small files, published as real ones are. It tells what the engine itself costs, and how long a run
takes, on a machine that is busy with something else.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from distributed import Client, Scheduler, SchedulerPlugin

from s2dask.auxdata.time import compact, gps_to_utc
from s2dask.errors import ConfigurationError
from s2dask.graph.unit import TASK_BUDGET, Unit, identity_of
from s2dask.l0.stage import decode_file
from s2dask.production import ingest, levels
from s2dask.production.blocks import default_blocking
from s2dask.production.dispatch import Dispatcher
from s2dask.production.footprint import tile_grid
from s2dask.production.forecast import task_durations
from s2dask.production.identity import versions
from s2dask.production.image_store import open_images
from s2dask.production.ledger import FINISHED, Ledger
from s2dask.production.levels import TilePlan
from s2dask.production.marks import mark, unmark
from s2dask.production.order import Order
from s2dask.production.plan import Plan
from s2dask.production.plan_work import TileShape
from s2dask.production.rehearsal_tasks import RestingGraph, add_release, gipps_of
from s2dask.production.runner import Runner
from s2dask.production.standing import needed
from s2dask.production.strip import finish_images
from s2dask.production.unit_table import GROUP, MARGIN, units_at_once
from s2dask.production.work import Context, Done, Made, Told, Work

_FIGURES: Final = 700
"""Of the record that a unit of granules hands to what closes the datastrip."""
_DIGEST: Final = "0" * 64


class TaskCount(SchedulerPlugin):
    """Counts the tasks that the scheduler holds: they become more only when a graph comes."""

    name = "s2dask-task-count"

    def __init__(self) -> None:
        self.most = self.seen = 0

    def update_graph(self, scheduler: Scheduler, *, tasks: Sequence[Any], **_: Any) -> None:
        """Count."""
        self.seen += len(tasks)
        self.most = max(self.most, len(scheduler.tasks))


def _counted(dask_scheduler: Scheduler) -> tuple[int, int]:
    plugin: Any = dask_scheduler.plugins[TaskCount.name]
    return plugin.seen, plugin.most


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal tells.

    Attributes
    ----------
    run : str
        Its name in the ledger.
    units : int
        Done.
    products : int
        Delivered.
    tasks, most : int
        Handed to the scheduler; held by it at a time at most.
    seconds : float
        From begin to end [s].
    cpu_seconds : float
        Processor time of this process meanwhile: client, dispatcher, ledger, and the scheduler of a local cluster [s].
    failed : list of str
        Units that came to no end, and why.
    """

    run: str
    units: int
    products: int
    tasks: int
    most: int
    seconds: float
    cpu_seconds: float
    failed: list[str] = field(default_factory=list)


class Rehearsal:
    """Runs the units of a plan.

    Parameters
    ----------
    made : Plan
        Of a session.
    speed : float
        How many times faster than real tasks they are; infinite: they return at once.
    seed : int, optional
        Of tasks that scatter about their expected cost as they do; default: none does.
    """

    def __init__(self, made: Plan, speed: float = math.inf, seed: int | None = None) -> None:
        if made.source.kind != "session":
            raise ConfigurationError(f"a plan of {made.source.kind}", "rehearsal", "plan a session")
        if not speed > 0:
            raise ConfigurationError(f"a speed of {speed}", "--speed", "a number above 0")
        random = None if seed is None else np.random.default_rng(seed)
        seconds = task_durations(made, 1.0 / speed, random)
        self.made = made
        self._planned = {p.unit.name: (p, found) for p, found in zip(made.units, seconds, strict=True)}
        self._gipps = gipps_of(made.source.unit)

    @property
    def works(self) -> dict[str, Work]:
        """What runs the units of each kind."""
        return {
            "SESSION": self._session, "L0": self._packets, "L1A": self._granules, "L1B": self._granules,
            "STRIP": self._close, "TILE": self._tile, "CLEAN": lambda _: Done(Told()),
        }  # fmt: skip

    def root(self, out: str) -> Unit:
        """Return the unit of the session: it calls for the others.

        Parameters
        ----------
        out : str
            Folder for products and marks.
        """
        order = Order(source=self.made.source.url, to=self.made.to, out=out)
        first = self.made.units[0].unit
        return replace(first, spec={**first.spec, "order": order.spec()})

    def _graph(self, context: Context) -> RestingGraph:
        planned, seconds = self._planned[context.unit.name]
        return RestingGraph.of(planned.stages, seconds, self.made.delivery)

    def _session(self, context: Context) -> Done:
        graph, work = self._graph(context), str(context.work)
        files = [
            graph.add(f"EISPProcessor-ch{n % 2 + 1}-{n // 2 + 1:05d}-{n:016x}", decode_file, "url", 1, work)
            for n in range(len(self.made.source.files))
        ]
        graph.add("MSI_Merge-plan", ingest.update_strips, files, None, "aux", "l0.zarr", work)
        context.graph("L0", graph)
        for store in ("l0.zarr", "images.zarr"):
            (context.work / store).mkdir(parents=True, exist_ok=True)
        graph = graph.then()
        graph.add("RADIO_INIT", open_images, "l0.zarr", "images.zarr", "L1B", self._gipps)
        context.graph("L1B", graph)
        shared = {
            "order": context.unit.spec["order"], "to": self.made.to, "level": "L1B", "l0": f"{work}/l0.zarr",
            "images": f"{work}/images.zarr", "raw": f"{work}/packets", "aux": f"{self.made.source.url}/aux",
            "suffix": "",
        }  # fmt: skip
        return Done(Told(), children=tuple(self._children(shared)))

    def _children(self, shared: Mapping[str, Any]) -> Iterator[Unit]:
        """Yield the units that the session calls for, with what the spec of each says in a run."""
        for planned in self.made.units[1:]:
            unit, own = planned.unit, dict(planned.unit.spec)
            if unit.kind == "L0":
                own["moves"] = [[k, self.made.source.strips[own["strip"]].bands] for k in range(*own["scenes"])]
            if unit.kind == "TILE":
                own["grid"] = tile_grid(own["tile"]).facts()
            inputs = {f"G{k:03d}": _DIGEST for k in range(GROUP + 2 * MARGIN)}
            identity = identity_of(f"rehearsed {unit.name}", versions("L0", "L1A", "L1B"), own, inputs)
            yield replace(unit, spec={**shared, **own}, identity=identity)

    def _packets(self, context: Context) -> Done:
        spec, graph = context.unit.spec, self._graph(context)
        unmark(spec["l0"], context.unit.name)
        for scene, bands in spec["moves"]:
            levels.add_packets(graph, spec["l0"], spec["raw"], spec["strip"], spec["detector"], scene, tuple(bands))
        context.graph("L0", graph)
        mark(spec["l0"], context.unit.name, context.unit.identity)
        return Done(Told())

    def _granules(self, context: Context) -> Done:
        spec, graph = context.unit.spec, self._graph(context)
        unmark(spec["images"], context.unit.name)
        add = levels.add_l1a_granule if context.unit.kind == "L1A" else levels.add_l1b_granule
        for k in range(*spec["scenes"]):
            add(graph, spec["l0"], spec["images"], self._gipps, spec["detector"], k)
        context.graph(str(context.unit.kind), graph)
        mark(spec["images"], context.unit.name, context.unit.identity)
        return Done(Told(facts={"record": {f"B{n % 13:02d}.figure{n}": n / 7 for n in range(_FIGURES)}}))

    def _close(self, context: Context) -> Done:
        spec, graph = context.unit.spec, self._graph(context)
        records = [part["facts"]["record"] for part in context.before.values() if "record" in part["facts"]]
        graph.add("OLQC_DS_L1B-all", finish_images, spec["images"], records)
        context.graph("L1B", graph)
        return Done(Told(facts={"passed": True}))

    def _tile(self, context: Context) -> Done:
        spec, graph, told = context.unit.spec, self._graph(context), Told()
        strip, grid = self.made.source.strips[spec["strip"]], tile_grid(spec["tile"])
        l1c, l2a = (str(context.work / f"{level}-T{grid.tile_id}.zarr") for level in ("l1c", "l2a"))
        plan = TilePlan(grid, default_blocking(grid), l1c, l2a, created=context.created)
        last = levels.add_l1c(graph, plan, spec["l0"], spec["images"], spec["aux"])
        made = ["L1C"]
        if spec["to"] == "L2A":
            levels.add_l2a(graph, plan, l1c, spec["aux"], (last,))
            made.append("L2A")
        context.graph(plan.name, graph)
        begin, when = compact(gps_to_utc(strip.sensing[0])), compact(context.created)
        name = f"{self.made.source.unit}_MSI{{}}_{begin}_N0511_R000_{plan.name}_{when}"
        graph = graph.then()
        shape = TileShape(grid, strip.bands, spec["cover"])
        products = {level: f"{context.order.out}/{name.format(level)}" for level in made}
        refs = add_release(graph, context.work, shape, products, plan.name)
        outcomes = context.graph("release", graph)
        paths = [(level, path) for level, ref in refs.items() for path in outcomes[ref.key].result]
        told.products = [path for _, path in paths]
        kept = ((level, Path(path)) for level, path in paths if path.endswith((".SAFE", ".zarr")))
        return Done(told, tuple(Made(path.name, level, str(path), plan.name) for level, path in kept))


def rehearse(
    made: Plan, out: str | Path, *, client: Client, ledger: Ledger, speed: float = math.inf, seed: int | None = None,
    width: int | None = None, room: int = TASK_BUDGET,
) -> Rehearsed:  # fmt: skip
    """Rehearse a plan.

    Parameters
    ----------
    made : Plan
        Of a session.
    out : path
        Folder for products and marks; workers see it.
    client : Client
    ledger : Ledger
        That keeps the run.
    speed, seed
        As of `Rehearsal`.
    width : int, optional
        Units side by side; default: as in a run.
    room : int
        Tasks that the scheduler may hold.
    """
    rehearsal, runner = Rehearsal(made, speed, seed), Runner(client)
    client.register_plugin(TaskCount())
    begun, spent = time.perf_counter(), time.process_time()
    run = f"rehearsal-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    ledger.open_run(run)
    ledger.add(run, needed(ledger, [rehearsal.root(str(out))]))
    workers = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
    wide = width or units_at_once(workers)
    dispatcher = Dispatcher(ledger, runner, rehearsal.works, run, width=wide, room=room)
    dispatcher.drain()
    seconds, spent = time.perf_counter() - begun, time.process_time() - spent
    seen, most = client.run_on_scheduler(_counted)
    client.unregister_scheduler_plugin(TaskCount.name)
    rows = ledger.units(run)
    failed = [
        f"{row['name']} {row['state'].lower()}: {dispatcher.errors.get((run, row['name']), 'not run')}"
        for row in rows
        if row["state"] not in FINISHED
    ]
    products = len(ledger.products(run))
    return Rehearsed(run, len(rows) - len(failed), products, seen, most, seconds, spent, failed)
