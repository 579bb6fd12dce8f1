"""Graphs on their way to the cluster: a listener hears of every task, and what each cost is remembered."""

from dataclasses import dataclass, field
from threading import Event, Lock

from distributed import Client, Future

from s2dask.graph.tasks import Outcome, TaskGraph, collect, take_back
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
    stopped : Event
        Set when the run is given up: who waits for something else than tasks looks at it.
    lost : Event
        Set when the cluster is gone, or the unit given back: its tasks are not waited for.
    """

    client: Client
    listener: Listener = field(default_factory=Silent)
    outcomes: list[Outcome] = field(default_factory=list)
    stopped: Event = field(default_factory=Event, repr=False, compare=False)
    lost: Event = field(default_factory=Event, repr=False, compare=False)
    _flying: list["Future[Outcome]"] = field(default_factory=list, repr=False, compare=False)
    _hearing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def alone(self) -> "Runner":
        """Return a runner for one unit among several at a time: the same cluster and listener, its own outcomes."""
        return Runner(self.client, self.listener, stopped=self.stopped, _hearing=self._hearing)

    def start(self, title: str, graph: TaskGraph, priority: int = 0) -> list["Future[Outcome]"]:
        """Hand over a graph and go on; who wants its outcomes collects them.

        Parameters
        ----------
        title : str
        graph : TaskGraph
        priority : int
            The larger goes first on the cluster.
        """
        with self._hearing:
            self.listener.begin(title, graph)
        futures = graph.submit(self.client, priority)
        self._flying.extend(futures)
        return futures

    def note(self, outcome: Outcome) -> None:
        """Remember a task that has ended."""
        with self._hearing:
            self.outcomes.append(outcome)
            self.listener.end(outcome.without_result())

    def run(self, title: str, graph: TaskGraph, priority: int = 0) -> dict[str, Outcome]:
        """Run a graph to its end and return the outcomes by key."""
        try:
            return collect(self.client, self.start(title, graph, priority), self.note, self.lost)
        finally:
            self._flying.clear()

    def cancel(self) -> None:
        """Take back what has not ended; whoever waits for it hears that it was cancelled."""
        take_back(self.client, [future for future in self._flying if not future.done()])
