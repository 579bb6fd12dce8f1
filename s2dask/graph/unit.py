"""A unit of work: what is planned, priced, claimed, run and remembered as one; it says what it needs before it runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from s2dask.errors import BudgetError, ConfigurationError

TASK_BUDGET: Final = 20_000
"""Tasks a scheduler holds with ease (each costs it about 1 ms)."""
NOMINAL: Final = 100
"""Priority of systematic production; the larger goes first."""
REPROCESSING: Final = 10
"""Priority of a campaign."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a unit takes, known or expected before it runs.

    Attributes
    ----------
    tasks : int
        On the scheduler while it runs.
    pixels : int
        That it computes, over its bands.
    bytes_in, bytes_out : int
        That it reads and writes [B].
    peak_bytes : int
        Largest memory of one worker [B].
    core_seconds : float
        Processor time of its tasks [s].
    """

    tasks: int = 1
    pixels: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    peak_bytes: int = 0
    core_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit of work of a run.

    Attributes
    ----------
    name : str
        Unique in its run, of the operators' words: ``L1B-D05-G000-007``, ``TILE-T28SCB``.
    kind : str
        What builds its graph: ``L0``, ``L1B``, ``STRIP``, ``TILE`` …
    spec : mapping
        All that its graph is built from; JSON-able: paths, numbers, names.
    after : tuple of str
        Names of the units of the same run that must be done before.
    identity : str
        Digest of all that settles its outputs (`identity_of`); equal identities have equal outputs.
    priority : int
        The larger goes first.
    cost : Cost
    """

    name: str
    kind: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    identity: str = ""
    priority: int = NOMINAL
    cost: Cost = Cost()

    def __post_init__(self) -> None:
        if not self.name or not self.kind:
            raise ConfigurationError("a unit needs a name and a kind", self.name or "unit")
        if self.name in self.after:
            raise ConfigurationError("a unit cannot wait for itself", self.name)


def identity_of(kind: str, versions: Mapping[str, str], spec: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return the digest of what settles the outputs of a unit.

    Parameters
    ----------
    kind : str
    versions : mapping of str to str
        Version of each step that it runs.
    spec : mapping
        Its parameters, without places where outputs go; JSON-able.
    inputs : mapping of str to str
        Digest of every input by its name: identities of units before it, checksums of GIPPs and files.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    told = json.dumps([kind, dict(versions), dict(spec), dict(inputs)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def check_budget(unit: Unit, memory: int, tasks: int = TASK_BUDGET) -> None:
    """Refuse a unit that would not fit.

    Parameters
    ----------
    unit : Unit
    memory : int
        Of one worker [B].
    tasks : int
        That the scheduler may hold.
    """
    if unit.cost.tasks > tasks:
        remedy = "cut it: fewer scenes a unit, or larger blocks"
        raise BudgetError(f"{unit.cost.tasks} tasks, {tasks} are allowed", unit.name, remedy)
    if unit.cost.peak_bytes > memory:
        needs = f"needs {unit.cost.peak_bytes / 2**30:.1f} GiB on a worker of {memory / 2**30:.1f} GiB"
        raise BudgetError(needs, unit.name, "smaller blocks, or workers with more memory")
