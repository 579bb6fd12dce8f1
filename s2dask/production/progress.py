"""Progress of a run, as events and on the terminal."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from s2dask.graph.tasks import Outcome, TaskGraph

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Listener(Protocol):
    """Whoever wants to know how a run goes."""

    def begin(self, title: str, graph: TaskGraph) -> None:
        """Hear that a graph is about to be handed to the cluster."""

    def end(self, outcome: Outcome) -> None:
        """Hear that a task has ended."""


class Silent:
    """A listener that only remembers what each step cost."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def begin(self, title: str, graph: TaskGraph) -> None:
        """Note nothing."""

    def end(self, outcome: Outcome) -> None:
        """Remember the outcome."""
        self.outcomes.append(outcome)


class Terminal(Silent):
    """A listener that draws one bar per step with rich."""

    def __init__(self, progress: "Progress") -> None:
        super().__init__()
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def begin(self, title: str, graph: TaskGraph) -> None:
        """Add the bars of a graph's steps."""
        for step, total in Counter(key.split("-", 1)[0] for key in graph.keys).items():
            if step in self._bars:
                bar = self._progress.tasks[self._bars[step]]
                self._progress.update(self._bars[step], total=(bar.total or 0) + total)
            else:
                self._bars[step] = self._progress.add_task(f"{title} {step}", total=total)

    def end(self, outcome: Outcome) -> None:
        """Advance the bar of the step."""
        super().end(outcome)
        self._progress.advance(self._bars[outcome.step])


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Draw progress on the terminal for the length of a with block."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        yield Terminal(progress)
