"""Hung tasks: a task that takes too long is reported and its worker killed, so that it runs elsewhere or fails."""

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from distributed import Client, SchedulerPlugin, WorkerPlugin

KILL_TIMEOUT: Final = 14_400.0
"""Time that a task may take unless its kind has a limit of its own [s] (four hours)."""
ATTEMPTS: Final = 2
"""Workers that a task may hang before it fails."""
TOPIC: Final = "s2dask-hung-task"
_FAREWELL: Final = 1.0
"""Time that a report has to leave a worker before it is killed [s]."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HungTask:
    """A task that took too long.

    Attributes
    ----------
    key, worker : str
    seconds : float
        For which it had run [s].
    limit : float
        That its kind has [s].
    """

    key: str
    worker: str
    seconds: float
    limit: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How long tasks may run.

    Attributes
    ----------
    default : float
        Of every task [s].
    kinds : mapping of str to float
        By the step that begins the key: ``{"RADIO_AB": 600.0}`` [s].
    """

    default: float = KILL_TIMEOUT
    kinds: Mapping[str, float] = field(default_factory=dict)

    def of(self, key: str) -> float:
        """Return the limit of a task [s]."""
        return self.kinds.get(key.split("-", 1)[0], self.default)

    @property
    def interval(self) -> float:
        """How often to look [s]."""
        return min(30.0, min([self.default, *self.kinds.values()]) / 5.0)


class _KillOverdue(WorkerPlugin):
    """Kill the process of a worker whose task takes too long; its nanny starts another.

    A task that holds the interpreter for good is not seen here: the worker's heartbeat stops, and after
    ``distributed.scheduler.worker-ttl`` the scheduler has it restarted.
    """

    name = "s2dask-kill-overdue"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.begun: dict[str, float] = {}

    def setup(self, worker: Any) -> None:
        """Start to look."""
        self.worker, self.stop = worker, threading.Event()
        threading.Thread(target=self._look, name=self.name, daemon=True).start()

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - the plug-in's signature
        """End."""
        self.stop.set()

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:  # noqa: ARG002 - likewise
        """Note when a task begins and ends."""
        if finish == "executing":
            self.begun[str(key)] = time.monotonic()
        elif start in ("executing", "long-running", "cancelled"):
            self.begun.pop(str(key), None)

    def _look(self) -> None:
        while not self.stop.wait(self.limits.interval):
            now = time.monotonic()
            late = [(key, now - t) for key, t in list(self.begun.items()) if now - t > self.limits.of(key)]
            for key, seconds in late:
                told = {
                    "key": key, "worker": self.worker.address, "seconds": seconds, "limit": self.limits.of(key),
                }  # fmt: skip
                self.worker.loop.add_callback(self.worker.log_event, TOPIC, told)
            if late:
                time.sleep(_FAREWELL)
                os.kill(os.getpid(), signal.SIGKILL)


class _GiveUp(SchedulerPlugin):
    """Let a task fail that has hung often enough: its next worker's death is one too many."""

    name = "s2dask-give-up-hung"
    idempotent = True  # several clients on one scheduler: the first has said it

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        self.hung: Counter[str] = Counter()

    async def start(self, scheduler: Any) -> None:
        """Remember the scheduler."""
        self.scheduler = scheduler

    def log_event(self, topic: str, msg: Any) -> None:
        """Count."""
        if topic != TOPIC:
            return
        self.hung[msg["key"]] += 1
        task = self.scheduler.tasks.get(msg["key"])
        again = task is not None and self.hung[msg["key"]] < self.attempts
        _log.warning(
            "%s hung on %s for %.0f s (limit %.0f s): %s", msg["key"], msg["worker"], msg["seconds"], msg["limit"],
            "tried again" if again else "given up",
        )  # fmt: skip
        if task is not None and not again:
            task.suspicious = max(task.suspicious, self.scheduler.allowed_failures)


def watch(client: Client, limits: Limits | None = None, attempts: int = ATTEMPTS) -> None:
    """Have a cluster kill hung tasks, on the workers that it has and on those to come.

    Parameters
    ----------
    client : Client
        Of a cluster whose workers have nannies.
    limits : Limits, optional
    attempts : int
        How often a task may hang before it fails with `distributed.KilledWorker`.
    """
    client.register_plugin(_GiveUp(attempts))
    client.register_plugin(_KillOverdue(limits or Limits()))


def hung_tasks(client: Client) -> list[HungTask]:
    """Return the hung tasks that a cluster has reported, in their order."""
    return [HungTask(**told) for _, told in client.get_events(TOPIC)]
