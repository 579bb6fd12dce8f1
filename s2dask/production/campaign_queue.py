"""The queue of a campaign: its runs one after the other, few at a time, so that few sessions are on the disk."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from threading import RLock
from typing import Any, Self

from s2dask.production.ledger import ABORTED, PAUSED, RUNNING, STOPPED, Claim, Ledger, Pending, Retry
from s2dask.production.ledger.database import Database

ABREAST = 2
"""Sessions that are worked on at a time: while the tiles of one end, the next is decoded."""


class CampaignQueue(Ledger):
    """A ledger that gives out the units of a campaign only, those of the sessions that are begun before others.

    Attributes
    ----------
    prefix : str
        What the names of its runs begin with.
    abreast : int
        Runs that may be under way at a time.
    over : callable, optional
        Told the name of each run of which nothing more will happen by itself.
    """

    def __init__(self, database: Database, clock: Callable[[], float], retry: Retry) -> None:
        super().__init__(database, clock, retry)
        self.prefix, self.abreast = "", ABREAST
        self.over: Callable[[str], None] | None = None
        self._waiting: list[str] = []
        self._under_way: list[str] = []
        self._lock = RLock()

    @classmethod
    def of(
        cls, url: str | Path, campaign: str, abreast: int = ABREAST, over: Callable[[str], None] | None = None,
        **options: Any,
    ) -> Self:  # fmt: skip
        """Open the queue of a campaign; see `Ledger.open` for the options."""
        queue = cls.open(url, **options)
        queue.prefix, queue.abreast, queue.over = f"{campaign}/", abreast, over
        queue.look()
        return queue

    def members(self) -> list[str]:
        """Return the runs of the campaign, the oldest first."""
        return [run for run in self.runs() if run.startswith(self.prefix)]

    def look(self) -> None:
        """Find out which runs are to be done and which are begun, as after a death or a restart."""
        begun: list[str] = []
        fresh: list[str] = []
        for run in self.members():
            if self._ended(run):
                continue
            finished = self.summary(run)["units"]["finished"]
            (begun if finished else fresh).append(run)
        with self._lock:
            self._under_way, self._waiting = begun, fresh

    def _ended(self, run: str) -> bool:
        return self.control(run) in (ABORTED, STOPPED) or super().pending(run).over

    def _lanes(self) -> Iterator[str]:
        """Yield the runs to claim from; another is begun when one has ended."""
        with self._lock:
            lanes = list(self._under_way)
        for run in lanes:
            yield run
            if self._ended(run):
                with self._lock:
                    self._under_way.remove(run)
                if self.over is not None:
                    self.over(run)
        while True:
            with self._lock:
                if not self._waiting or len(self._under_way) >= self.abreast:
                    return
                run = self._waiting.pop(0)
                self._under_way.append(run)
            yield run

    def claim(
        self, run: str | None, owner: str, *, lease: float, limit: int = 1, kinds: Collection[str] | None = None,
        room: int | None = None,
    ) -> list[Claim]:  # fmt: skip
        """Lease units that are ready; None: of the campaign, see `Ledger.claim`."""
        if run is not None:
            return super().claim(run, owner, lease=lease, limit=limit, kinds=kinds, room=room)
        got: list[Claim] = []
        for lane in self._lanes():
            left = None if room is None else room - sum(c.unit.cost.tasks for c in got)
            got += super().claim(lane, owner, lease=lease, limit=limit - len(got), kinds=kinds, room=left)
            if len(got) == limit:
                break
        return got

    def pending(self, run: str | None = None) -> Pending:
        """Return what is still to come; None: of the campaign, without runs that were stopped."""
        if run is not None:
            return super().pending(run)
        with self._lock:
            open_ones = [*self._under_way, *self._waiting]
        parts = [super(CampaignQueue, self).pending(r) for r in open_ones if self.control(r) in (RUNNING, PAUSED)]
        dues = [part.due for part in parts if part.due is not None]
        return Pending(
            sum(p.running for p in parts), sum(p.ready for p in parts), sum(p.delayed for p in parts),
            sum(p.blocked for p in parts), min(dues) if dues and not any(p.ready for p in parts) else None,
        )  # fmt: skip
