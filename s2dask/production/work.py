"""What running a unit of work means: what it is given, and what it leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from s2dask.graph.tasks import Outcome, TaskGraph
from s2dask.graph.unit import Unit
from s2dask.production.order import Order
from s2dask.production.runner import Runner
from s2dask.production.verdict import rejudge
from s2dask.qc.collect import remember


@dataclass(slots=True)
class Account:
    """What there is to say to people of a unit, or of a run.

    Attributes
    ----------
    products : list of str
        Delivered products and what goes with them.
    stores : dict of str to str
        Working store by level, or by level and tile: ``L0``, ``L1B``, ``L1C-T28SCB``; gone unless kept.
    checks : list of dict
        Every check of every level.
    withheld : list of str
        Products that a concluding check keeps from delivery.
    flagged : list of str
        Products that are delivered although a concluding check failed, as the policy of the order wants it.
    flags : list of str
        What had to be assumed for want of auxiliary data.
    unseen : list of str
        Datastrips that do not touch the tile that was asked for.
    expected : list of str
        Datastrips of which less is made than was asked for, as is expected of them; nothing is missing.
    """

    products: list[str] = field(default_factory=list)
    stores: dict[str, str] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def add(self, told: Mapping[str, Any]) -> None:
        """Add what a unit has told, as the ledger keeps it (`Told`)."""
        self.stores.update(told["stores"])
        for name in ("products", "checks", "withheld", "flagged", "flags", "unseen", "expected"):
            getattr(self, name).extend(told[name])


@dataclass(slots=True)
class Told(Account):
    """What a unit has to say; JSON-able, so that the ledger keeps it.

    Attributes
    ----------
    facts : dict
        For the units that come after.
    """

    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """A product that a unit has delivered.

    Attributes
    ----------
    name, level : str
    url : str
    tile : str
        Empty of a datastrip.
    """

    name: str
    level: str
    url: str
    tile: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What a unit leaves.

    Attributes
    ----------
    told : Told
    products : tuple of Made
    children : tuple of Unit
        That it calls for.
    gipps, versions : mapping of str to str
        What it was made with: checksum of each GIPP by ``TYPE/BAND``, version of each step.
    """

    told: Told
    products: tuple[Made, ...] = ()
    children: tuple[Unit, ...] = ()
    gipps: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a unit is run with.

    Attributes
    ----------
    unit : Unit
    runner : Runner
        Of the cluster that works.
    before : mapping of str to dict
        What the units that it comes after have told (`Told`), by name.
    """

    unit: Unit
    runner: Runner
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def order(self) -> Order:
        """What is asked of the run."""
        return Order.of(self.unit.spec["order"])

    @property
    def created(self) -> datetime:
        """When its products are made: settled once, so that a unit that is repeated makes the same ones."""
        return datetime.fromisoformat(str(self.unit.spec["created"]))

    @property
    def work(self) -> Path:
        """Folder of the working stores."""
        return self.order.work

    def graph(self, title: str, graph: TaskGraph) -> dict[str, Outcome]:
        """Run a graph to its end."""
        return self.runner.run(title, graph, self.unit.priority)


Work = Callable[[Context], Done]
"""Runs a unit of one kind."""


def judge(told: Told, result: Mapping[str, Any], order: Order) -> bool:
    """Note the checks of a product; return whether it may be delivered."""
    if order.checklists is not None:
        result = rejudge(result, order.checklists)
    told.checks.extend(result["checks"])
    told.flags.extend(result.get("flags", ()))
    held = [c for c in result["checks"] if c["severity"] == "concluding" and c["status"] != "PASSED"]
    flag = order.quality_policy == "flag"
    if held:
        (told.flagged if flag else told.withheld).append(f"{result['path']}: {held[0]['message']}")
    return flag or not held


def keep_indicators(told: Told, store: str, order: Order, checks: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Add what was measured of a product to the store of indicators, if the order names one.

    Parameters
    ----------
    told : Told
        Hears why it could not be.
    store : str
        Working store of the product, whose attributes are complete.
    order : Order
    checks : sequence of mapping, optional
        Of a store that does not state them.
    """
    if order.quality_store and (why := remember(order.quality_store, store, checks=checks)):
        told.flags.append(why)
