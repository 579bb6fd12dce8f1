"""A graph of named tasks: built lazily, run once on any Dask client.

Keys read ``GEN_ORTHO_TOA-T28SCB-r10m-0-1``: the step, what it works on, and a token of the run, so that dashboard,
metrics and traces speak the operators' language and two runs never share a key.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from dask.delayed import Delayed, delayed
from distributed import Client, Future, KilledWorker, as_completed
from distributed.client import ClosedClientError

from s2dask.errors import BudgetError, ConfigurationError, WorkerLost
from s2dask.graph.unit import TASK_BUDGET


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
    core_seconds : float
        Processor time of the worker process meanwhile [s]: of a worker with one thread what the task took, however busy
        the machine was.
    bytes_in, bytes_out : int
        That the worker process read and wrote meanwhile through the file system, its caches included [B].
    brought : tuple of Outcome
        Of tasks before it whose results stay on the workers; without these.
    """

    key: str
    step: str
    result: Any
    seconds: float
    peak_bytes: int
    core_seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    brought: tuple["Outcome", ...] = ()

    def without_result(self) -> "Outcome":
        """Return what it cost."""
        return replace(self, result=None)


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


def _traffic() -> tuple[int, int]:
    """Return what this process has read and written through the file system so far [B]; zeros where no one counts."""
    try:
        told = dict(line.split(": ") for line in Path("/proc/self/io").read_text("ascii").splitlines())
    except OSError:
        return 0, 0
    return int(told["rchar"]), int(told["wchar"])


class _Call:
    """What a task calls: of a class that Dask does not look into, however many values its arguments hold."""

    __slots__ = ("args", "function", "key", "kwargs", "staying")

    def __init__(self, key: str, function: Callable[..., Any], args: Any, kwargs: Any, staying: Sequence[str]) -> None:
        self.key, self.function, self.args, self.kwargs, self.staying = key, function, args, kwargs, staying


def _run(call: _Call, inputs: Mapping[str, Outcome]) -> Outcome:
    def resolve(value: Any) -> Any:
        if isinstance(value, Ref):
            return inputs[value.key].result
        if isinstance(value, (list, tuple)) and any(isinstance(v, Ref) for v in value):
            return [resolve(v) for v in value]
        return value

    before, start, core = _traffic(), time.perf_counter(), time.process_time()
    result = call.function(*[resolve(a) for a in call.args], **{k: resolve(v) for k, v in call.kwargs.items()})
    seconds, spent = time.perf_counter() - start, time.process_time() - core
    read, written = (now - then for now, then in zip(_traffic(), before, strict=True))
    brought = tuple(inputs[name].without_result() for name in call.staying)
    step = call.key.split("-", 1)[0]
    return Outcome(call.key, step, result, seconds, _peak_bytes(), spent, read, written, brought)


_delayed_run = delayed(_run, pure=False)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.key
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)


def take_back(client: Client, futures: Sequence["Future[Outcome]"]) -> None:
    """Cancel tasks; a scheduler that is gone has forgotten them."""
    with suppress(ClosedClientError, OSError, RuntimeError):
        client.cancel(futures, force=True)


def _ended(futures: Sequence["Future[Outcome]"], lost: Event | None) -> Iterator["Future[Outcome]"]:
    """Yield tasks as they end; what is lost is not waited for: a scheduler that is gone never says so."""
    waiting = as_completed(futures)
    while not waiting.is_empty():
        if waiting.has_ready():
            yield next(waiting)
        elif lost is not None and lost.is_set():
            raise WorkerLost("the tasks were given up", str(futures[0].key), "they are handed over again")
        else:
            with waiting.thread_condition:
                waiting.thread_condition.wait(0.1)


def _all_of(outcome: Outcome) -> Iterator[Outcome]:
    """Yield an outcome after those that it brings, each alone."""
    for before in outcome.brought:
        yield from _all_of(before)
    yield replace(outcome, brought=())


def collect(
    client: Client, futures: Sequence["Future[Outcome]"], on_end: Callable[[Outcome], None] | None = None,
    lost: Event | None = None,
) -> dict[str, Outcome]:  # fmt: skip
    """Wait for tasks and return their outcomes by key; the first failure is raised after cancelling the rest.

    Parameters
    ----------
    client : Client
    futures : sequence of Future
    on_end : callable, optional
        Hears of each outcome.
    lost : Event, optional
        Set when the cluster is given up; then `WorkerLost` is raised.
    """
    outcomes: dict[str, Outcome] = {}
    try:
        for future in _ended(futures, lost):
            for outcome in _all_of(future.result()):
                if outcome.key not in outcomes:
                    outcomes[outcome.key] = outcome
                    if on_end is not None:
                        on_end(outcome)
    except KilledWorker as error:
        take_back(client, futures)
        remedy = "see the log of the worker; more memory may help"
        raise WorkerLost("the worker process died of it, again and again", str(error.task), remedy) from None
    except BaseException:
        take_back(client, futures)
        raise
    return outcomes


@dataclass
class TaskGraph:
    """Tasks by key, in the order in which they were added."""

    token: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _tasks: dict[str, Delayed] = field(default_factory=dict)
    _adopted: dict[str, "Future[Outcome]"] = field(default_factory=dict)
    _staying: set[str] = field(default_factory=set)
    _used: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys without the run's token."""
        return tuple(self._tasks)

    def add(
        self, key: str, function: Callable[..., Any], *args: Any, after: tuple[Ref, ...] = (), stays: bool = False,
        **kwargs: Any,
    ) -> Ref:  # fmt: skip
        """Add a task and return a reference to its result.

        Parameters
        ----------
        key : str
            ``STEP-what-it-works-on``, unique in the graph.
        function : callable
            Top-level function; its result must be small, unless it stays.
        *args, **kwargs
            Plain values, paths, slices, `Ref` or lists of them; never arrays.
        after : tuple of Ref
            Tasks that must have ended, whose results are not needed.
        stays : bool
            Its result, which may be large, stays on the workers for the tasks after it; what it cost comes with these.
        """
        if key in self._tasks or key in self._adopted:
            raise ConfigurationError("two tasks of one name", key)
        needed = {*_references(args), *_references(list(kwargs.values())), *(r.key for r in after)}
        known = self._tasks | self._adopted
        inputs = {name: known[name] for name in sorted(needed)}
        call = _Call(key, function, args, kwargs, sorted(needed & self._staying))
        self._used |= needed
        if stays:
            self._staying.add(key)
        self._tasks[key] = _delayed_run(call, inputs, dask_key_name=f"{key}-{self.token}")
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

    def submit(self, client: Client, priority: int = 0) -> list["Future[Outcome]"]:
        """Hand every task to the cluster, the larger priority first; nothing is computed twice.

        The futures are those of the tasks whose results come back.
        """
        wanted = [task for key, task in self._tasks.items() if key not in self._staying & self._used]
        return list(client.compute(wanted, optimize_graph=False, priority=priority))

    def run(self, client: Client, on_end: Callable[[Outcome], None] | None = None) -> dict[str, Outcome]:
        """Run every task and return the outcomes by key; the first failure is raised after cancelling the rest."""
        return collect(client, self.submit(client), on_end)
