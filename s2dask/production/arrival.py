"""A session that still arrives: files are decoded as they come, and what comes late changes only what it touches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from s2dask.l0.blocks import Block
from s2dask.l0.session import SessionState, survey
from s2dask.l0.stage import FileResult, decode_file, granules_of
from s2dask.production import ingest


class _Future(Protocol):
    def result(self) -> Any: ...


Submit = Callable[..., _Future]
"""``client.submit`` of a Dask client, or ``submit`` of an executor."""


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
    submit : callable
        Starts ``decode_file(path, channel, work)`` and returns its future.
    unit : str, optional
        Of a session through EDRS.
    state : SessionState or None
        As of the last look.
    """

    folder: str
    work: str
    submit: Submit
    unit: str | None = None
    state: SessionState | None = None
    _futures: dict[str, _Future] = field(default_factory=dict, repr=False)

    def look(self) -> tuple[Block, ...]:
        """Look at the folder once and start to decode what is new or another than before; return those files."""
        now = survey(self.folder, self.unit)
        fresh = now.blocks if self.state is None else now.changed(self.state)
        for block in fresh:
            self._futures[block.key] = self.submit(decode_file, block.url, block.channel, self.work)
        self.state = now
        return fresh

    @property
    def complete(self) -> bool:
        """Whether everything that both DSIBs announce has come."""
        return self.state is not None and self.state.complete

    def results(self) -> list[FileResult]:
        """Wait for the files that count now, and return what they hold."""
        return [self._futures[block.key].result() for block in self.state.blocks] if self.state else []

    def update(self, aux: str, l0: str, strip: int = 0) -> tuple[tuple[int, str, int], ...]:
        """Plan a datastrip of what is there and move the packets of the granules that changed; return those.

        Parameters
        ----------
        aux : str
            Folder of auxiliary files that the strip goes with.
        l0 : str
            Store of the first datastrip.
        strip : int
            Rank of the datastrip.
        """
        if self.state is None:
            self.look()
        session = self.state.session()  # type: ignore[union-attr]  # look() has set it
        changed = ingest.update_strip(self.results(), session, aux, l0, self.work, strip)
        _move(self.submit, changed, ingest.strip_url(l0, strip), self.work, strip)
        return changed


def _move(submit: Submit, changed: Sequence[tuple[int, str, int]], url: str, work: str, strip: int) -> None:
    moved = [
        submit(ingest.write_packets, url, work, detector, scene, bands, strip)
        for (detector, scene), bands in granules_of(changed).items()
    ]
    for future in moved:
        future.result()
