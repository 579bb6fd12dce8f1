"""A session that arrives: files are decoded as they come, and what comes late changes only what it touches."""

from dataclasses import dataclass, field

from distributed import Future, wait

from s2dask.errors import ConfigurationError
from s2dask.graph.tasks import Outcome, TaskGraph, collect
from s2dask.l0.blocks import Block
from s2dask.l0.session import Session, SessionState, accept_session, survey
from s2dask.l0.stage import granules_of
from s2dask.production import levels
from s2dask.production.ingest import StripUpdate, close_strip
from s2dask.production.runner import Runner
from s2dask.production.strip import strip_facts


@dataclass
class Arrival:
    """Follows a session from its first DSDB on.

    Results are addressed by the content of the files, so that a run on the same work folder decodes none again.

    Attributes
    ----------
    folder : str
        Local path or fsspec URL of the session.
    work : str
        Local folder for packets.
    runner : Runner
        Decodes and plans.
    unit, orbit : str, int, optional
        Unit and absolute orbit of a session through EDRS, whose identifier tells neither.
    state : SessionState or None
        As of the last look.
    """

    folder: str
    work: str
    runner: Runner
    unit: str | None = None
    orbit: int | None = None
    state: SessionState | None = None
    _decoding: dict[str, "Future[Outcome]"] = field(default_factory=dict, repr=False)
    _noted: set[str] = field(default_factory=set, repr=False)

    def look(self) -> tuple[Block, ...]:
        """Look at the folder once; return the files that are new or another than before."""
        now = survey(self.folder, self.unit, orbit=self.orbit)
        if not now.orbit:
            raise ConfigurationError("nothing tells the orbit", now.id, "an EDRS identifier does not: add --orbit N")
        fresh = now.blocks if self.state is None else now.changed(self.state)
        self.state = now
        return fresh

    def decode(self) -> None:
        """Start to decode the files of the last look that are not decoded yet, and note those that have ended."""
        graph = TaskGraph()
        fresh = [block for block in self._blocks() if block.key not in self._decoding]
        for block in fresh:
            levels.add_file(graph, block, self.work)
        if fresh:
            started = self.runner.start("L0", graph)
            self._decoding |= {block.key: future for block, future in zip(fresh, started, strict=True)}
        for key, future in self._decoding.items():
            if key not in self._noted and future.status == "finished":
                self._note(future.result())

    def settle(self) -> None:
        """Wait until the files that count now are decoded, well or not."""
        self.decode()
        wait(list(self._futures().values()))
        self.decode()

    def accept(self, *, allow_gaps: bool = False) -> Session:
        """Return the session of the last look, unless it has gaps that are not allowed."""
        if self.state is None:
            self.look()
        return accept_session(self.state, allow_gaps=allow_gaps)  # type: ignore[arg-type]  # look() has set it

    def plan(self, session: Session, aux: str, l0: str) -> tuple[StripUpdate, ...]:
        """Wait for the files that count now and plan their datastrips; packets are to be moved then.

        Parameters
        ----------
        session : Session
            Of the last look.
        aux : str
            Folder of auxiliary files that the strips go with.
        l0 : str
            Store of the first datastrip.
        """
        self.decode()
        decoded = self._futures()
        collect(self.runner.client, list(decoded.values()), self._note, self.runner.lost)
        graph = TaskGraph()
        files = [graph.adopt(f"file-{key}", future) for key, future in decoded.items()]
        last = levels.add_plan(graph, files, session, aux, l0, self.work)
        updates: tuple[StripUpdate, ...] = self.runner.run("L0", graph)[last.key].result
        strip_facts.cache_clear()
        return updates

    def update(self, aux: str, l0: str) -> tuple[StripUpdate, ...]:
        """Bring the L0 stores to what is there, gaps allowed: plan, and move the packets of the granules that changed.

        Parameters
        ----------
        aux, l0 : str
            As in `plan`.
        """
        updates = self.plan(self.accept(allow_gaps=True), aux, l0)
        for update in updates:
            graph = TaskGraph()
            for (d, scene), bands in sorted(granules_of(update.granules).items(), key=lambda item: item[0][::-1]):
                levels.add_packets(graph, update.url, self.work, update.rank, d, scene, bands)
            self.runner.run("L0", graph)
            close_strip(self.work, update.rank)
        return updates

    def _blocks(self) -> tuple[Block, ...]:
        return self.state.blocks if self.state else ()

    def _futures(self) -> dict[str, "Future[Outcome]"]:
        """Return the files that count now, by the address of their content."""
        return {block.key: self._decoding[block.key] for block in self._blocks()}

    def _note(self, outcome: Outcome) -> None:
        key = outcome.key.rpartition("-")[2]
        if key not in self._noted:
            self._noted.add(key)
            self.runner.note(outcome)
