"""What the ledger takes and gives: claims, results, failures, products, and the states of units and runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from s2dask.errors import ConfigurationError, S2Error
from s2dask.graph.unit import Unit

WAITING: Final = "WAITING"
"""Not ready (something before it is not done), or ready, or backing off until it is due."""
RUNNING: Final = "RUNNING"
"""Leased by an owner."""
DONE: Final = "DONE"
REUSED: Final = "REUSED"
"""Not run: a unit of the same identity had made the same."""
PARKED: Final = "PARKED"
"""An input is missing; its arrival wakes the unit."""
REFUSED: Final = "REFUSED"
"""Its input is bad."""
DEAD: Final = "DEAD"
"""Failed too often, or by a bug; only a person starts it again."""
ABORTED: Final = "ABORTED"
STATES: Final = (WAITING, RUNNING, DONE, REUSED, PARKED, REFUSED, DEAD, ABORTED)
FINISHED: Final = (DONE, REUSED)
FAILED: Final = (PARKED, REFUSED, DEAD, ABORTED)

PAUSED: Final = "PAUSED"
STOPPED: Final = "STOPPED"
CONTROLS: Final = (RUNNING, PAUSED, STOPPED, ABORTED)
"""Of a run: units are given out; none for now; none any more, those that run end; none, and those that run are lost."""

FailureKind = Literal["transient", "missing", "bad", "bug"]


class LedgerError(S2Error):
    """The database of the ledger cannot be used."""

    exit_code = 10


class LeaseLost(S2Error):
    """The unit was given to someone else, or taken away, since it was claimed: what was made of it does not count."""

    exit_code = 11


@dataclass(frozen=True, slots=True)
class Product:
    """A product that a unit made.

    Attributes
    ----------
    name, level : str
    tile : str
        Empty: of the whole datastrip.
    url : str
    sha256 : str
        Over the paths and digests of its pixel files, in order of path; hexadecimal.
    bytes : int
        [B]
    baseline : str
        Processing baseline, ``N05.11``.
    state : str
        ``PRODUCED``, ``WITHHELD`` or ``SUPERSEDED``.
    """

    name: str
    level: str
    tile: str
    url: str
    sha256: str
    bytes: int
    baseline: str
    state: str = "PRODUCED"


@dataclass(frozen=True, slots=True)
class Result:
    """What a unit made, and what it took.

    Attributes
    ----------
    value : object
        For the units after it; JSON-able, no NaN.
    products : tuple of Product
    core_seconds, wall_seconds : float
        [s]
    bytes_in, bytes_out, peak_bytes : int
        [B]
    inputs, gipps, versions : mapping of str to str
        Provenance: digest of every input, checksum of every GIPP by its type, version of every step.
    """

    value: Any = None
    products: tuple[Product, ...] = ()
    core_seconds: float = 0.0
    wall_seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    peak_bytes: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)
    gipps: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a unit failed.

    Attributes
    ----------
    kind : str
        ``transient`` (tried again), ``missing`` (parked), ``bad`` (refused) or ``bug`` (dead).
    what, where, remedy : str
        As in an error of s2dask.
    traceback : str
    missing : tuple of str
        What has to arrive.
    bundle : str or None
        Folder with all that is needed to see the failure again.
    core_seconds, wall_seconds : float
        Spent in vain [s].
    peak_bytes : int
        [B]
    """

    kind: FailureKind
    what: str
    where: str = ""
    remedy: str = ""
    traceback: str = ""
    missing: tuple[str, ...] = ()
    bundle: str | None = None
    core_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A unit given to an owner for a while.

    Attributes
    ----------
    run : str
    unit : Unit
    id : int
        Of the unit in the ledger.
    fence : int
        Number of the lease: what an older lease says is refused.
    attempt : int
        1 at the first.
    owner : str
    until : float
        End of the lease, if it is not renewed [s since 1970 UTC].
    parent : str
        The unit that called for it; empty of the first of a run.
    """

    run: str
    unit: Unit
    id: int
    fence: int
    attempt: int
    owner: str
    until: float
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """How a unit that failed by chance, or whose lease ran out, is tried again.

    Attributes
    ----------
    attempts : int
        In all, since it was added or restarted; then it is dead.
    first, longest : float
        Pause after the first failure, doubled at each, and its limit [s].
    losses : int or None
        Leases that may run out, which is seldom the fault of the unit: a service that dies takes all with it that it
        holds. None: each counts as a failure.
    """

    attempts: int = 5
    first: float = 5.0
    longest: float = 600.0
    losses: int | None = None

    def __post_init__(self) -> None:
        if self.attempts < 1 or (self.losses is not None and self.losses < 1) or not 0 <= self.first <= self.longest:
            raise ConfigurationError(f"{self} makes no sense", "retry", "at least 1 attempt, and 0 <= first <= longest")

    def pause(self, failures: int) -> float:
        """Return the pause after so many failures [s]."""
        return min(self.first * 2.0 ** min(failures - 1, 60), self.longest)


@dataclass(frozen=True, slots=True)
class Pending:
    """What of a run is still to come.

    Attributes
    ----------
    running, ready, delayed, blocked : int
        Units: leased; to be claimed now; due later; behind units that are not done.
    due : float or None
        When the first of the delayed ones is due [s since 1970 UTC].
    """

    running: int
    ready: int
    delayed: int
    blocked: int
    due: float | None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.running == self.ready == self.delayed == 0


@dataclass(frozen=True, slots=True)
class Event:
    """A change that the ledger has seen.

    Attributes
    ----------
    seq : int
        Rises in the order in which the changes took effect.
    moment : float
        [s since 1970 UTC]
    run, unit : str
        The unit is empty where the change is of the run.
    what : str
        The new state, or ``ADDED``, ``ALARM``, ``LOST``, ``RESTARTED``, ``WOKEN`` …
    detail : mapping
    """

    seq: int
    moment: float
    run: str
    unit: str
    what: str
    detail: Mapping[str, Any]
