"""Workers compile what their tasks will need while nobody waits for it yet."""

import fcntl
import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from distributed import WorkerPlugin

from s2dask.cluster.verification import code_digest

TOPIC: Final = "s2dask-warm-up"
"""Of the event that each worker logs when it is warm: ``client.get_events(TOPIC)``."""
_PAUSE: Final = 0.2
"""Before a call is asked for again that another process is making [s]."""

_log = logging.getLogger(__name__)

Call = Callable[[], object]
"""Makes kernels ready; a top-level function, or an object whose repr tells it from others, that can be sent away."""


def _name(call: Call) -> str:
    return getattr(call, "__qualname__", None) or repr(call)


@contextmanager
def _alone(call: Call) -> Iterator[bool]:
    """Yield whether no other process of this machine makes a call at this moment."""
    cache = os.environ.get("NUMBA_CACHE_DIR", "")
    name = hashlib.sha256(f"{cache}|{code_digest()}|{call.__module__}.{_name(call)}".encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"s2dask-warm-up-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / f"{name}.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def warm(calls: Sequence[Call], stop: threading.Event | None = None) -> float:
    """Make every call, each in one process of the machine at a time, and return the seconds that took.

    Processes that warm up together share the calls among themselves: what another is compiling is put off until it is
    in the cache on disk, from where it is loaded.

    Parameters
    ----------
    calls : sequence of callable
        One that fails is told in the log and left out: the task that needs it will say more.
    stop : Event, optional
        Set when the rest is not wanted any more.
    """
    begun, left = time.perf_counter(), list(calls)
    while left and not (stop is not None and stop.is_set()):
        busy = []
        for call in left:
            if stop is not None and stop.is_set():
                break
            with _alone(call) as mine:
                if not mine:
                    busy.append(call)
                    continue
                try:
                    call()
                except Exception:  # noqa: BLE001 - whatever it is, it costs time only
                    _log.warning("no warm-up by %s", _name(call), exc_info=True)
        if len(busy) == len(left):
            time.sleep(_PAUSE)
        left = busy
    return time.perf_counter() - begun


@dataclass
class WarmUp(WorkerPlugin):
    """Warm a worker in the background from its start on; tasks that come meanwhile are not kept waiting.

    Attributes
    ----------
    calls : sequence of callable
        Handed in by whoever knows the kernels.
    """

    calls: Sequence[Call]
    name: str = "s2dask-warm-up"

    def setup(self, worker: Any) -> None:
        """Start."""
        stop = threading.Event()

        def work() -> None:
            seconds = warm(self.calls, stop)
            if not stop.is_set():
                told = {"worker": worker.address, "calls": len(self.calls), "seconds": seconds}
                worker.loop.add_callback(worker.log_event, TOPIC, told)

        self._stop = stop
        threading.Thread(target=work, name=self.name, daemon=True).start()

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - the plug-in's signature
        """Let the calls that are left be."""
        self._stop.set()
