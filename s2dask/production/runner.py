"""Graphs on their way to the cluster: a listener hears of every task, and what each cost is remembered."""

from dataclasses import dataclass, field

from distributed import Client, Future

from s2dask.graph.tasks import Outcome, TaskGraph, collect
from s2dask.production.progress import Listener, Silent


@dataclass(slots=True)
class Runner:
    """Hands graphs to a cluster.

    Attributes
    ----------
    client : Client
    listener : Listener
    outcomes : list of Outcome
        Of the tasks that have ended, each once.
    """

    client: Client
    listener: Listener = field(default_factory=Silent)
    outcomes: list[Outcome] = field(default_factory=list)

    def start(self, title: str, graph: TaskGraph) -> list["Future[Outcome]"]:
        """Hand over a graph and go on; who wants its outcomes collects them."""
        self.listener.begin(title, graph)
        return graph.submit(self.client)

    def note(self, outcome: Outcome) -> None:
        """Remember a task that has ended."""
        self.outcomes.append(outcome)
        self.listener.end(outcome)

    def run(self, title: str, graph: TaskGraph) -> dict[str, Outcome]:
        """Run a graph to its end and return the outcomes by key."""
        return collect(self.client, self.start(title, graph), self.note)
