"""Views: what the ledger holds, for programs and for people."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, case, func, select

from s2dask.errors import ConfigurationError
from s2dask.production.ledger.database import chunks
from s2dask.production.ledger.outbox import decoded
from s2dask.production.ledger.queue import unit_of
from s2dask.production.ledger.records import (
    DONE,
    FINISHED,
    RUNNING,
    WAITING,
    Event,
    Pending,
    Product,
    Result,
)  # fmt: skip
from s2dask.production.ledger.tables import (
    attempts,
    events,
    missing,
    products,
    provenance,
    provenance_items,
    runs,
    units,
)  # fmt: skip


def run_row(connection: Connection, run: str) -> Row[Any]:
    """Return the row of a run."""
    row = connection.execute(select(runs).where(runs.c.name == run)).one_or_none()
    if row is None:
        raise ConfigurationError("no such run", run, "see `s2dask ledger URL` for the runs that are there")
    return row


def progress(connection: Connection, run: str) -> dict[str, dict[str, int]]:
    """Return the number of units by kind and state."""
    run_id = run_row(connection, run).id
    question = select(units.c.kind, units.c.state, func.count().label("n")).where(units.c.run_id == run_id)
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(question.group_by(units.c.kind, units.c.state).order_by(units.c.kind, units.c.state)):
        found.setdefault(row.kind, {})[row.state] = row.n
    return found


def pending(connection: Connection, now: float, run: str | None) -> Pending:
    """Return what is still to come."""
    free, due = units.c.waiting == 0, units.c.due <= now
    kinds = case((units.c.state == RUNNING, RUNNING), (~free, "blocked"), (due, "ready"), else_="delayed")
    question = select(kinds.label("what"), func.count().label("n"), func.min(units.c.due).label("due"))
    question = question.where(units.c.state.in_([RUNNING, WAITING]))
    if run is not None:
        question = question.where(units.c.run_id == run_row(connection, run).id)
    rows = {row.what: row for row in connection.execute(question.group_by(kinds))}
    count = {what: row.n for what, row in rows.items()}
    return Pending(
        count.get(RUNNING, 0), count.get("ready", 0), count.get("delayed", 0), count.get("blocked", 0),
        rows["delayed"].due if "delayed" in rows else None,
    )  # fmt: skip


def _product(row: Row[Any]) -> Product:
    return Product(row.name, row.level, row.tile, row.url, row.sha256, row.bytes, row.baseline, row.state)


def planned(connection: Connection, identities: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the spec of the first unit of each of many identities in any run, of those that there are."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(identities) - {""})):
        question = select(units.c.identity, units.c.spec).where(units.c.identity.in_(some)).order_by(units.c.id)
        for row in connection.execute(question):
            found.setdefault(row.identity, row.spec)
    return {identity: dict(decoded(spec)) for identity, spec in found.items()}


def finished_values(connection: Connection, identities: Collection[str]) -> dict[str, Any]:
    """Return what the last unit of each of many identities told that was run to its end, of those that there are."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(identities) - {""})):
        question = select(units.c.identity, units.c.value).where(units.c.state == DONE, units.c.identity.in_(some))
        found |= {row.identity: row.value for row in connection.execute(question.order_by(units.c.since, units.c.id))}
    return {identity: decoded(value) for identity, value in found.items()}


def finished(connection: Connection, identity: str) -> Result | None:
    """Return what the last unit of an identity that was run to its end had made, None if there is none."""
    if not identity:
        return None
    question = select(units.c.id, units.c.fence, units.c.value).where(units.c.state == DONE)
    row = connection.execute(
        question.where(units.c.identity == identity).order_by(units.c.since.desc(), units.c.id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return None
    of_unit = select(products).where(products.c.unit_id == row.id, products.c.fence == row.fence)
    made = tuple(_product(p) for p in connection.execute(of_unit.order_by(products.c.id)))
    lease = (attempts.c.unit_id == row.id, attempts.c.fence == row.fence)
    spent = connection.execute(select(attempts).where(*lease)).one()
    kept = provenance_of(connection, row.id)
    return Result(
        decoded(row.value), made, spent.core_seconds, spent.wall_seconds, spent.bytes_in, spent.bytes_out,
        spent.peak_bytes, kept.get("inputs", {}), kept.get("gipps", {}), kept.get("versions", {}),
    )  # fmt: skip


def provenance_of(connection: Connection, unit_id: int) -> dict[str, dict[str, str]]:
    """Return the inputs, GIPPs and step versions of a unit."""
    question = select(provenance.c.kind, provenance_items.c.name, provenance_items.c.value)
    question = question.join(provenance_items, provenance_items.c.digest == provenance.c.digest)
    found: dict[str, dict[str, str]] = {}
    for row in connection.execute(question.where(provenance.c.unit_id == unit_id).order_by(provenance_items.c.name)):
        found.setdefault(row.kind, {})[row.name] = row.value
    return found


def provenance_of_unit(connection: Connection, run: str, unit: str) -> dict[str, dict[str, str]]:
    """Return the inputs, GIPPs and step versions of a unit by its name."""
    which = (units.c.run_id == run_row(connection, run).id, units.c.name == unit)
    unit_id = connection.execute(select(units.c.id).where(*which)).scalar_one_or_none()
    if unit_id is None:
        raise ConfigurationError("no such unit", f"{run} {unit}", "see `s2dask ledger URL units`")
    return provenance_of(connection, unit_id)


def values(connection: Connection, run: str, names: Sequence[str]) -> dict[str, Any]:
    """Return what finished units handed to those after them, by name."""
    run_id = run_row(connection, run).id
    found: dict[str, Any] = {}
    for some in chunks(names):
        question = select(units.c.name, units.c.value).where(units.c.run_id == run_id, units.c.name.in_(some))
        rows = connection.execute(question.where(units.c.state.in_(FINISHED)))
        found |= {row.name: decoded(row.value) for row in rows}
    return found


def unit_rows(
    connection: Connection, run: str, kinds: Collection[str] | None, states: Collection[str] | None
) -> list[dict[str, Any]]:
    """Return the units of a run in the order in which they came, as mappings that can be written as JSON."""
    run_id = run_row(connection, run).id
    question = select(units).where(units.c.run_id == run_id)
    for column, chosen in ((units.c.kind, kinds), (units.c.state, states)):
        if chosen is not None:
            question = question.where(column.in_(sorted(chosen)))
    lacking: dict[int, list[str]] = {}
    for row in connection.execute(
        select(missing).join(units, units.c.id == missing.c.unit_id).where(units.c.run_id == run_id)
    ):
        lacking.setdefault(row.unit_id, []).append(row.what)
    return [_unit_row(row, lacking.get(row.id, [])) for row in connection.execute(question.order_by(units.c.id))]


def _unit_row(row: Row[Any], lacking: list[str]) -> dict[str, Any]:
    unit = unit_of(row)
    return {
        "name": unit.name, "kind": unit.kind, "state": row.state, "priority": unit.priority, "after": list(unit.after),
        "waiting": row.waiting, "identity": unit.identity, "spec": unit.spec, "cost": asdict(unit.cost),
        "parent": row.parent, "attempts": row.attempts, "failures": row.failures, "fence": row.fence,
        "owner": row.owner, "lease_until": row.lease_until, "due": row.due, "since": row.since,
        "error": {"class": row.error_kind, "what": row.error_what, "where": row.error_where,
                  "remedy": row.error_remedy, "bundle": row.bundle},
        "missing": sorted(lacking), "value": decoded(row.value),
    }  # fmt: skip


def product_rows(connection: Connection, run: str) -> list[dict[str, Any]]:
    """Return the products of a run, each with the unit that made it, as mappings."""
    run_id = run_row(connection, run).id
    question = select(products, units.c.name.label("unit")).join(units, units.c.id == products.c.unit_id)
    rows = connection.execute(question.where(units.c.run_id == run_id).order_by(products.c.id))
    return [{**asdict(_product(row)), "unit": row.unit} for row in rows]


def attempt_rows(connection: Connection, run: str, unit: str | None) -> list[dict[str, Any]]:
    """Return the attempts of a run or of one of its units, as mappings."""
    question = select(units.c.name.label("unit"), *(c for c in attempts.c if c.name not in ("id", "unit_id")))
    question = question.join(units, units.c.id == attempts.c.unit_id)
    question = question.where(units.c.run_id == run_row(connection, run).id)
    if unit is not None:
        question = question.where(units.c.name == unit)
    return [dict(row) for row in connection.execute(question.order_by(attempts.c.id)).mappings()]


def event_rows(connection: Connection, after: int, run: str | None, limit: int) -> list[Event]:
    """Return the events after a number, in the order in which they took effect."""
    question = select(events).where(events.c.seq > after)
    if run is not None:
        question = question.where(events.c.run == run)
    rows = connection.execute(question.order_by(events.c.seq).limit(limit))
    return [Event(row.seq, row.moment, row.run, row.unit, row.what, decoded(row.detail)) for row in rows]
