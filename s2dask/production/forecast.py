"""When a plan will be done: its tasks simulated, event by event, on some workers; and the cores that meet a promise.

Units are claimed in their order as the dispatcher does, some at a time; the tasks of a stage run side by side, one per
worker, those of the larger priority before others, then those of the unit that was claimed first; the scheduler hands
out one task after the other. Files of a session arrive while it is received and are decoded as they come. The clock
starts when the last of them is there.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from s2dask.errors import ConfigurationError
from s2dask.graph.cost import CostModel
from s2dask.production.plan import Plan, PlannedUnit, plan
from s2dask.production.plan_disk import Disk
from s2dask.production.plan_source import PlanSource
from s2dask.production.plan_work import DELIVERIES, Delivery
from s2dask.production.unit_table import SESSION, units_at_once

TASK_SECONDS: Final = 1e-3
"""Of the scheduler, for each task."""
UNIT_SECONDS: Final = 0.02
"""Of ledger and dispatcher between two units that follow each other."""
PROMISES: Final[Mapping[str, float]] = {"L1C": 75 * 60.0, "L2A": 120 * 60.0}
"""From the insertion of the last input to the last product [s]: S2-L1C 4500 s, S2-L2A 7200 s of the mission's
timeliness."""
MOST: Final = 512
"""Workers up to which it is asked how many are enough."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When units end.

    Attributes
    ----------
    workers : int
    finish : mapping of str to float
        By unit: seconds after the last input was there.
    busy : float
        Seconds that workers work, all together.
    begun : float
        When the first task began; negative: while the session was received [s].
    disk : float
        Largest size of the folder of working stores [B].
    delivered : float
        Size of the products of the tiles [B].
    begin : mapping of str to float
        By unit: when it was claimed, seconds after the last input was there.
    """

    workers: int
    finish: Mapping[str, float]
    busy: float
    begun: float
    disk: float = 0.0
    delivered: float = 0.0
    begin: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """When all of it is done."""
        return max(self.finish.values(), default=0.0)

    def stages(self, made: Plan) -> dict[str, tuple[float, float]]:
        """Return when the first unit of each kind was begun and the last one done, after the last input [s]."""
        found: dict[str, tuple[float, float]] = {}
        for unit in (planned.unit for planned in made.units):
            begin, end = self.begin[unit.name], self.finish[unit.name]
            first, last = found.get(unit.kind, (begin, end))
            found[unit.kind] = (min(first, begin), max(last, end))
        return found

    @property
    def efficiency(self) -> float:
        """Share of the workers' time, from the last input on, that they work."""
        span = self.workers * (self.seconds - self.begun)
        return self.busy / span if span > 0 else 0.0


class _Run:
    """A simulated run."""

    def __init__(
        self, units: Sequence[PlannedUnit], durations: Sequence[Sequence[Sequence[float]]], width: int
    ) -> None:
        self.units, self.durations, self.width = units, durations, width
        index = {planned.unit.name: k for k, planned in enumerate(units)}
        self.waiting = [sum(name in index for name in p.unit.after) for p in units]
        self.next: list[list[int]] = [[] for _ in units]
        for k, planned in enumerate(units):
            for name in planned.unit.after:
                if name in index:
                    self.next[index[name]].append(k)
        self.ready: list[tuple[int, int]] = []
        for k, left in enumerate(self.waiting):
            if not left:
                self._is_ready(k)
        self.stage = [0] * len(units)
        self.left = [0] * len(units)
        self.tasks: list[tuple[int, int, int, int, float]] = []
        self.claimed = self.flying = self.count = 0
        self.rank: dict[int, int] = {}
        self.finish: dict[str, float] = {}
        self.begun: dict[str, float] = {}
        self.disk = Disk([planned.unit for planned in units], [planned.stages for planned in units])
        self.events: list[tuple[float, int, int, float]] = []

    def _is_ready(self, k: int) -> None:
        heapq.heappush(self.ready, (-self.units[k].unit.priority, k))

    def at(self, time: float, k: int, duration: float = -1.0) -> None:
        """Note an event: a task of unit k ends (duration below 0), or comes to be (its duration)."""
        self.count += 1
        heapq.heappush(self.events, (time, self.count, k, duration))

    def claim(self, now: float, arrivals: Sequence[float]) -> None:
        """Claim units that are ready, as many as there is room for."""
        while self.ready and self.flying < self.width:
            _, k = heapq.heappop(self.ready)
            self.flying += 1
            self.rank[k] = self.claimed
            self.claimed += 1
            self.begun[self.units[k].unit.name] = now
            self.begin(k, now, arrivals if self.units[k].unit.name == SESSION else ())

    def begin(self, k: int, now: float, arrivals: Sequence[float] = ()) -> None:
        """Put the tasks of the next stage of a unit in the queue; end the unit after its last."""
        self.disk.advance(k, self.stage[k])
        while self.stage[k] < len(self.durations[k]) and not self.durations[k][self.stage[k]]:
            self.stage[k] += 1
        if self.stage[k] == len(self.durations[k]):
            self.finish[self.units[k].unit.name] = now
            self.disk.end(k)
            self.flying -= 1
            for j in self.next[k]:
                self.waiting[j] -= 1
                if not self.waiting[j]:
                    self._is_ready(j)
            return
        found = self.durations[k][self.stage[k]]
        self.left[k] = len(found)
        for n, duration in enumerate(found):
            if n < len(arrivals) and self.stage[k] == 0:
                self.at(arrivals[n], k, duration)
            else:
                self.put(k, duration)
        self.stage[k] += 1

    def put(self, k: int, duration: float) -> None:
        """Put a task in the queue."""
        self.count += 1
        priority = self.units[k].unit.priority
        heapq.heappush(self.tasks, (-priority, self.rank[k], self.count, k, duration))


def task_durations(made: Plan, pace: float, random: np.random.Generator | None) -> Iterator[list[list[float]]]:
    """Yield how long the tasks of each stage of each unit take [s]; with `random` they scatter about what is expected.

    Parameters
    ----------
    made : Plan
    pace : float
        Seconds for each core second of the cost model.
    random : Generator or None
    """
    for planned in made.units:
        stages = []
        for stage in planned.stages:
            found: list[float] = []
            for work in stage:
                cost = made.costs.of(work.step)
                mean = pace * cost.seconds(work.mega)
                if random is None:
                    found += [mean] * work.count
                else:
                    deviation = float(np.sqrt(np.log1p(cost.spread**2)))
                    found += list(mean * random.lognormal(-(deviation**2) / 2, deviation, work.count))
            stages.append(found)
        yield stages


def simulate_plan(
    made: Plan,
    workers: int,
    *,
    reception: float = 0.0,
    width: int | None = None,
    task_seconds: float = TASK_SECONDS,
    unit_seconds: float = UNIT_SECONDS,
    pace: float = 1.0,
    seed: int | None = None,
) -> Forecast:
    """Simulate a run of a plan.

    Parameters
    ----------
    made : Plan
    workers : int
        With one thread each.
    reception : float
        How long the session is received [s]; 0: its files are there.
    width : int, optional
        Units side by side; default: as in a run.
    task_seconds, unit_seconds : float
        Of the scheduler for each task, of ledger and dispatcher for each unit [s].
    pace : float
        Seconds that a task takes for each core second of the cost model.
    seed : int, optional
        Of tasks that scatter about their expected cost as they do; default: none does.
    """
    if workers < 1:
        raise ConfigurationError(f"{workers} workers", "--workers", "one at least")
    random = None if seed is None else np.random.default_rng(seed)
    durations = list(task_durations(made, pace, random))
    run = _Run(made.units, durations, units_at_once(workers) if width is None else width)
    arrivals = [-reception * (1.0 - share) for share in made.source.arrivals] if reception else []
    now = begun = min(arrivals, default=0.0)
    free, handing, busy = workers, now, 0.0
    run.claim(now, arrivals)
    while run.events or run.tasks:
        while free and run.tasks:
            *_, mine, duration = heapq.heappop(run.tasks)
            handing = max(handing, now) + task_seconds
            busy += duration
            free -= 1
            run.at(handing + duration, mine)
        now, _, k, duration = heapq.heappop(run.events)
        if duration >= 0.0:
            run.put(k, duration)
            continue
        free += 1
        run.left[k] -= 1
        if not run.left[k]:
            before = run.flying
            run.begin(k, now)
            if run.flying < before:
                handing = max(handing, now) + unit_seconds
                run.claim(now, ())
    return Forecast(workers, run.finish, busy, begun, run.disk.most, run.disk.delivered, run.begun)


@dataclass(frozen=True, slots=True)
class Promise:
    """What it takes to keep a promise.

    Attributes
    ----------
    level, delivery : str
    limit : float
        [s]
    core_seconds : float
        Of the whole run.
    cores : int or None
        Fewest workers that keep it; None: no number does.
    seconds : float
        When they are done.
    times : mapping of int to float
        When other numbers of workers are done [s].
    stages : mapping of str to (float, float)
        When the first unit of each kind is begun and the last one done, on the fewest workers [s].
    disk : float
        Largest size of the folder of working stores then [B].
    """

    level: str
    delivery: str
    limit: float
    core_seconds: float
    cores: int | None
    seconds: float
    times: Mapping[int, float]
    stages: Mapping[str, tuple[float, float]]
    disk: float


def cores_for(made: Plan, limit: float, *, reception: float, pace: float = 1.0) -> tuple[int | None, float]:
    """Return the fewest workers that do a plan within a limit [s] (None: no number does), and when they are done."""
    done: dict[int, float] = {}

    def seconds(workers: int) -> float:
        if workers not in done:
            done[workers] = simulate_plan(made, workers, reception=reception, pace=pace).seconds
        return done[workers]

    low, high = 0, max(int(0.8 * made.estimate.seconds * pace / limit), 1)
    while seconds(high) > limit:
        low, high = high, 2 * high
        if high > MOST:
            return None, seconds(low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seconds(middle) <= limit else (middle, high)
    return high, seconds(high)


def promises(
    source: PlanSource,
    *,
    costs: CostModel | None = None,
    reception: float,
    workers: Sequence[int] = (),
    levels: Sequence[str] = ("L1C", "L2A"),
    deliveries: Sequence[Delivery] = DELIVERIES,
    pace: float = 1.0,
    **asked: Any,
) -> Iterator[Promise]:
    """Yield what each promise takes, by form of delivery.

    Parameters
    ----------
    source : PlanSource
        With its tiles.
    costs : CostModel, optional
    reception : float
        How long the session is received [s].
    workers : sequence of int
        Numbers of workers to tell the time of.
    levels, deliveries : sequence of str
    pace : float
        As of `simulate_plan`.
    **asked
        The other parameters of `plan`.
    """
    for level in levels:
        for delivery in deliveries:
            made = plan(source, to=level, delivery=delivery, costs=costs, **asked)
            limit = PROMISES[level]
            cores, seconds = cores_for(made, limit, reception=reception, pace=pace)
            times = {n: simulate_plan(made, n, reception=reception, pace=pace).seconds for n in workers}
            then = simulate_plan(made, cores or MOST, reception=reception, pace=pace)
            yield Promise(
                level, delivery, limit, made.estimate.seconds, cores, seconds, times, then.stages(made), then.disk
            )  # fmt: skip
