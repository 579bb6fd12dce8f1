"""What the tests of the ledger share: a clock that they set, units and results in short."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from s2dask.graph.unit import Cost, Unit
from s2dask.production.ledger import Claim, Ledger, Product, Result


@dataclass
class Clock:
    """A clock that stands still until it is told to go on [s]."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


def unit(name: str, *after: str, kind: str = "L1B", tasks: int = 1, priority: int = 100, identity: str = "") -> Unit:
    return Unit(
        name=name, kind=kind, spec={"of": name}, after=after, identity=identity, priority=priority,
        cost=Cost(tasks=tasks, core_seconds=2.0),
    )  # fmt: skip


def made(name: str, baseline: str = "N05.11", sha256: str = "ab") -> Result:
    """Return the result of a unit that made one product."""
    product = Product(name, "L1C", "T28SCB", f"s3://bucket/{name}", sha256, 10, baseline)
    return Result({"of": name}, (product,), 4.0, 2.0, 100, 50, 1000)


def take(
    ledger: Ledger, number: int = 1, run: str | None = "run", owner: str = "me", lease: float = 60.0
) -> list[Claim]:
    return ledger.claim(run, owner, lease=lease, limit=number)


def empty(address: str) -> None:
    """Take everything out of a ledger on PostgreSQL: that is quicker than to make another one."""
    with psycopg.connect(address) as connection:
        connection.execute("TRUNCATE runs, arrivals, events, provenance_items RESTART IDENTITY CASCADE")


def names(claims: Sequence[Claim]) -> list[str]:
    return [claim.unit.name for claim in claims]


def one(ledger: Ledger, name: str, run: str = "run") -> dict[str, object]:
    """Return what the ledger holds of a unit."""
    (found,) = [row for row in ledger.units(run) if row["name"] == name]
    return found
