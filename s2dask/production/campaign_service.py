"""What runs a campaign in the background of a process: its queue, its dispatcher, its thread."""

import shutil
import time
from collections.abc import Mapping
from threading import Thread
from typing import Final

from distributed import Client

from s2dask.io.object_store import patiently
from s2dask.io.storage import is_s3
from s2dask.production.campaign_cluster import cores_of, some_workers
from s2dask.production.campaign_queue import CampaignQueue
from s2dask.production.campaign_request import Request
from s2dask.production.dispatch import Dispatcher
from s2dask.production.ledger import Retry
from s2dask.production.progress import Listener, Silent
from s2dask.production.runner import Runner
from s2dask.production.work import Work
from s2dask.release.publish_objects import check_store

LEASE: Final = 60.0
"""A unit whose service is silent for so long goes to another [s]."""
RETRY: Final = Retry(attempts=5, first=1.0)


class Service:
    """Runs the units of a campaign.

    Parameters
    ----------
    url : str
        Of the ledger.
    request : Request
    works : mapping of str to Work
        What runs the units of each kind.
    done : float
        Core seconds that are done when it begins [s].
    """

    def __init__(self, url: str, request: Request, works: Mapping[str, Work], done: float) -> None:
        self._url, self._request, self._works = url, request, works
        self._done, self._begun = done, time.monotonic()
        self._queue: CampaignQueue | None = None
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def start(
        self, client: Client, max_cores: int | None, abreast: int, lease: float, listener: Listener | None
    ) -> None:
        """Begin; see `s2dask.production.campaign.Campaign.submit`."""
        request = self._request
        runner = Runner(some_workers(client, max_cores), listener or Silent())
        request.home.mkdir(parents=True, exist_ok=True)
        if is_s3(request.deliver):
            patiently(lambda: check_store(request.deliver), request.deliver)
        self._queue = CampaignQueue.of(self._url, request.name, abreast, self._clear, retry=RETRY)
        cores = min(cores_of(client), max_cores or cores_of(client))
        dispatcher = Dispatcher(
            self._queue, runner, self._works, None, width=cores + 2, lease=lease,
            failures=request.home / ".failures",
        )  # fmt: skip
        self._thread = Thread(target=self._drain, args=(dispatcher,), name=f"campaign {request.name}", daemon=True)
        self._thread.start()

    def _drain(self, dispatcher: Dispatcher) -> None:
        try:
            dispatcher.drain()
        except BaseException as error:  # noqa: BLE001 - `join` raises it where it is seen
            self._error = error
        finally:
            dispatcher.ledger.close()

    def _clear(self, run: str) -> None:
        """Let the working stores of a session go that is done."""
        if self._request.keep or self._queue is None or self._queue.summary(run)["state"] != "SUCCESS":
            return
        stores = self._request.order(self._request.source).work.with_name(run.partition("/")[2])
        shutil.rmtree(stores, ignore_errors=True)

    @property
    def alive(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def look(self) -> None:
        """Look for runs that are new or ready again."""
        if self._queue is not None:
            self._queue.look()

    def join(self, timeout: float | None) -> None:
        """Wait for its end, or so long [s]; what it failed of is raised here."""
        if self._thread is not None:
            self._thread.join(timeout)
        if self._error is not None:
            raise self._error

    def pace(self, done: float) -> float:
        """Return the core seconds that it does in a second, when so many are done in all."""
        return (done - self._done) / max(time.monotonic() - self._begun, 1e-3)
