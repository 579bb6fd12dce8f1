"""A graph of named tasks: built lazily, run once on any Dask client.

Keys read ``GEN_ORTHO_TOA-T28SCB-r10m-0-1``: the step, what it works on, and a token of the run, so that dashboard,
metrics and traces speak the operators' language and two runs never share a key.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask.delayed import Delayed, delayed
from distributed import Client, Future, KilledWorker, as_completed

from s2dask.errors import BudgetError, ConfigurationError, WorkerLost

TASK_BUDGET = 20_000
"""Tasks a scheduler holds with ease (each costs it about 1 ms)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task hands back: its result and what it cost.

    Attributes
    ----------
    key, step : str
    result : object
        Small: a record of statistics, a path.
    seconds : float
        Wall time on the worker [s].
    peak_bytes : int
        Largest resident memory of the worker process so far [B].
    """

    key: str
    step: str
    result: Any
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Ref:
    """The result of another task of the same graph, as an argument."""

    key: str


def _peak_bytes() -> int:
    """Return the largest resident memory of this process [B]; getrusage would count that of its parent too."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _run(key: str, function: Callable[..., Any], inputs: Mapping[str, Outcome], args: Any, kwargs: Any) -> Outcome:
    def resolve(value: Any) -> Any:
        if isinstance(value, Ref):
            return inputs[value.key].result
        if isinstance(value, (list, tuple)) and any(isinstance(v, Ref) for v in value):
            return [resolve(v) for v in value]
        return value

    start = time.perf_counter()
    result = function(*[resolve(a) for a in args], **{k: resolve(v) for k, v in kwargs.items()})
    seconds = time.perf_counter() - start
    return Outcome(key, key.split("-", 1)[0], result, seconds, _peak_bytes())


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.key
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)


def collect(
    client: Client, futures: Sequence["Future[Outcome]"], on_end: Callable[[Outcome], None] | None = None
) -> dict[str, Outcome]:
    """Wait for tasks and return their outcomes by key; the first failure is raised after cancelling the rest."""
    outcomes: dict[str, Outcome] = {}
    try:
        for future in as_completed(futures):
            outcome: Outcome = future.result()
            outcomes[outcome.key] = outcome
            if on_end is not None:
                on_end(outcome)
    except KilledWorker as error:
        client.cancel(futures, force=True)
        remedy = "see the log of the worker; more memory may help"
        raise WorkerLost("the worker process died of it, again and again", str(error.task), remedy) from None
    except BaseException:
        client.cancel(futures, force=True)
        raise
    return outcomes


@dataclass
class TaskGraph:
    """Tasks by key, in the order in which they were added."""

    token: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _tasks: dict[str, Delayed] = field(default_factory=dict)
    _adopted: dict[str, "Future[Outcome]"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys without the run's token."""
        return tuple(self._tasks)

    def add(
        self, key: str, function: Callable[..., Any], *args: Any, after: tuple[Ref, ...] = (), **kwargs: Any
    ) -> Ref:
        """Add a task and return a reference to its result.

        Parameters
        ----------
        key : str
            ``STEP-what-it-works-on``, unique in the graph.
        function : callable
            Top-level function; its result must be small.
        *args, **kwargs
            Plain values, paths, slices, `Ref` or lists of them; never arrays.
        after : tuple of Ref
            Tasks that must have ended, whose results are not needed.
        """
        if key in self._tasks or key in self._adopted:
            raise ConfigurationError("two tasks of one name", key)
        needed = {*_references(args), *_references(list(kwargs.values())), *(r.key for r in after)}
        known = self._tasks | self._adopted
        inputs = {name: known[name] for name in sorted(needed)}
        self._tasks[key] = delayed(_run, pure=False)(
            key, function, inputs, args, kwargs, dask_key_name=f"{key}-{self.token}"
        )
        if len(self._tasks) > TASK_BUDGET:
            raise BudgetError(f"more than {TASK_BUDGET} tasks in one graph", key, "process fewer scenes at a time")
        return Ref(key)

    def adopt(self, key: str, future: "Future[Outcome]") -> Ref:
        """Return a reference to the result of a task that another graph has handed to the cluster.

        Parameters
        ----------
        key : str
            Unique in this graph.
        future : Future
            Of `submit`; its result stays on the worker.
        """
        if key in self._tasks or key in self._adopted:
            raise ConfigurationError("two tasks of one name", key)
        self._adopted[key] = future
        return Ref(key)

    def delayed(self, ref: Ref) -> Delayed:
        """Return the lazy outcome of a task."""
        return self._tasks[ref.key]

    def submit(self, client: Client) -> list["Future[Outcome]"]:
        """Hand every task to the cluster; nothing is computed twice."""
        return list(client.compute(list(self._tasks.values()), optimize_graph=False))

    def run(self, client: Client, on_end: Callable[[Outcome], None] | None = None) -> dict[str, Outcome]:
        """Run every task and return the outcomes by key; the first failure is raised after cancelling the rest."""
        return collect(client, self.submit(client), on_end)
