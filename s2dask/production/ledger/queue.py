"""The queue: claims, leases, completions and failures, each fenced and in one transaction."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, text, update

from s2dask.graph.unit import Cost, Unit
from s2dask.production.ledger.intake import add_units, check_baseline, locked_run
from s2dask.production.ledger.outbox import decoded, encoded, tell, upsert
from s2dask.production.ledger.records import (
    DEAD,
    DONE,
    FINISHED,
    PARKED,
    REFUSED,
    REUSED,
    RUNNING,
    WAITING,
    Claim,
    Failure,
    LeaseLost,
    Result,
    Retry,
)  # fmt: skip
from s2dask.production.ledger.tables import (
    LEASED,
    READY,
    arrivals,
    attempts,
    edges,
    missing,
    products,
    provenance,
    provenance_items,
    runs,
    units,
)  # fmt: skip

_ARRIVAL_LOCK = 0x53324152
"""Of PostgreSQL's advisory locks: the letters S2AR."""
FREE = {"owner": "", "ticket": "", "lease_until": 0.0}
_NO_ERROR = {"error_kind": "", "error_what": "", "error_where": "", "error_remedy": "", "bundle": ""}


def unit_of(row: Row[Any]) -> Unit:
    """Return the unit of a row of the table of units."""
    cost = Cost(row.tasks, row.pixels, row.bytes_in, row.bytes_out, row.peak_bytes, row.core_seconds)
    return Unit(
        name=row.name, kind=row.kind, spec=decoded(row.spec), after=tuple(decoded(row.after)), identity=row.identity,
        priority=row.priority, cost=cost,
    )  # fmt: skip


def expire(connection: Connection, now: float, retry: Retry) -> int:
    """Take back the units whose lease ran out, and return how many."""
    columns = (units.c.id, units.c.name, units.c.fence, units.c.owner, units.c.failures, runs.c.name.label("run"))
    question: Select[Any] = select(*columns).join(runs, units.c.run_id == runs.c.id)
    question = question.where(text(f"units.{LEASED}"), units.c.lease_until < now)
    lost = connection.execute(question.with_for_update(of=units, skip_locked=True)).all()
    states: dict[int, str] = {}
    for row in lost:
        what = {"error_kind": "transient", "error_what": f"its lease ran out, held by {row.owner}"}
        _close(connection, now, row.id, row.fence, {"outcome": "LOST"})
        states[row.id], failures = _after_loss(connection, row, retry)
        values = {"state": states[row.id], "since": now, "failures": failures, **FREE, **what}
        connection.execute(update(units).where(units.c.id == row.id).values(**values))
    for run in {row.run for row in lost}:
        told = [(r.name, "LOST", {"owner": r.owner, "state": states[r.id]}) for r in lost if r.run == run]
        tell(connection, now, run, told)
    return len(lost)


def _after_loss(connection: Connection, row: Row[Any], retry: Retry) -> tuple[str, int]:
    """Return the state of a unit whose lease was lost, and its failures."""
    if retry.losses is None:
        return (DEAD if row.failures + 1 >= retry.attempts else WAITING), row.failures + 1
    of_unit = (attempts.c.unit_id == row.id, attempts.c.outcome == "LOST")
    losses = connection.execute(select(func.count()).select_from(attempts).where(*of_unit)).scalar_one()
    # a unit that is restarted has as many again
    return (DEAD if losses % retry.losses == 0 else WAITING), row.failures


def disown(connection: Connection, owners: Collection[str]) -> None:
    """End the leases of owners that are known to be dead; the next claim takes their units back."""
    held_by = (units.c.state == RUNNING, units.c.owner.in_(sorted(owners)))
    connection.execute(update(units).where(*held_by).values(lease_until=0.0))


def _ready(now: float, run: str | None, kinds: Collection[str] | None, limit: int) -> Select[Any]:
    question = select(units, runs.c.name.label("run")).join(runs, units.c.run_id == runs.c.id)
    question = question.where(text(READY), units.c.due <= now, runs.c.control == RUNNING)
    if run is not None:
        question = question.where(runs.c.name == run)
    if kinds is not None:
        question = question.where(units.c.kind.in_(sorted(kinds)))
    return question.order_by(units.c.priority.desc(), units.c.id).limit(limit)


def _fitting(rows: Sequence[Row[Any]], room: int | None) -> Iterator[Row[Any]]:
    """Yield rows in their order until one does not fit: small units do not overtake a large one for ever."""
    for row in rows:
        if room is not None and (room := room - row.tasks) < 0:
            return
        yield row


def claim(
    connection: Connection, now: float, run: str | None, owner: str, *, lease: float, limit: int,
    kinds: Collection[str] | None, room: int | None, ticket: str,
) -> list[Claim]:  # fmt: skip
    """Lease the first ready units to an owner; no other process gets the same ones."""
    rows = connection.execute(_ready(now, run, kinds, limit).with_for_update(of=units, skip_locked=True)).all()
    taken = list(_fitting(rows, room))
    if not taken:
        return []
    held = {"state": RUNNING, "since": now, "owner": owner, "ticket": ticket, "lease_until": now + lease}
    step = {"fence": units.c.fence + 1, "attempts": units.c.attempts + 1}
    connection.execute(update(units).where(units.c.id.in_([row.id for row in taken])).values(**held, **step))
    connection.execute(
        insert(attempts),
        [
            {"unit_id": row.id, "fence": row.fence + 1, "number": row.attempts + 1, "owner": owner, "started": now,
             "outcome": RUNNING}
            for row in taken
        ],
    )  # fmt: skip
    for name in dict.fromkeys(row.run for row in taken):
        tell(connection, now, name, [(row.name, RUNNING, {"owner": owner}) for row in taken if row.run == name])
    return [
        Claim(row.run, unit_of(row), row.id, row.fence + 1, row.attempts + 1, owner, now + lease, row.parent)
        for row in taken
    ]


def claimed(connection: Connection, ticket: str) -> list[Claim]:
    """Return what a claim got whose answer was lost with the connection."""
    question = select(units, runs.c.name.label("run")).join(runs, units.c.run_id == runs.c.id)
    rows = connection.execute(question.where(text(f"units.{LEASED}"), units.c.ticket == ticket).order_by(units.c.id))
    return [
        Claim(row.run, unit_of(row), row.id, row.fence, row.attempts, row.owner, row.lease_until, row.parent)
        for row in rows
    ]


def held(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Return which of some claims still stand, and keep them so until the transaction ends."""
    question = select(units.c.id, units.c.fence).where(text(LEASED), units.c.id.in_([c.id for c in claims]))
    fences = {row.id: row.fence for row in connection.execute(question.order_by(units.c.id).with_for_update())}
    return [claim for claim in claims if fences.get(claim.id) == claim.fence]


def prolonged(claim: Claim, until: float) -> Claim:
    """Return a claim with another end of its lease."""
    return replace(claim, until=until)


def _close(connection: Connection, now: float, unit_id: int, fence: int, values: Mapping[str, Any]) -> None:
    whose = (attempts.c.unit_id == unit_id, attempts.c.fence == fence)
    connection.execute(update(attempts).where(*whose).values(stopped=now, **values))


def _leave(connection: Connection, claim: Claim, values: Mapping[str, Any]) -> str | None:
    """Put a leased unit into another state. Return None, or the outcome where this very lease had ended before.

    Raises
    ------
    LeaseLost
    """
    mine = (units.c.id == claim.id, units.c.fence == claim.fence, units.c.state == RUNNING)
    if connection.execute(update(units).where(*mine).values(**FREE, **values)).rowcount:
        return None
    of_lease = (attempts.c.unit_id == claim.id, attempts.c.fence == claim.fence)
    return str(connection.execute(select(attempts.c.outcome).where(*of_lease)).scalar_one_or_none() or "LOST")


def _lost(claim: Claim, outcome: str) -> LeaseLost:
    what = f"lease {claim.fence} of {claim.owner} does not hold any more ({outcome.lower()})"
    return LeaseLost(what, f"{claim.run} {claim.unit.name}", "drop what was made; whoever holds the unit makes it")


def complete(
    connection: Connection, now: float, claim: Claim, result: Result, children: Sequence[Unit], reused: bool
) -> None:
    """Record that a unit is done, with its products, what follows from it, and the units that it adds."""
    outcome = REUSED if reused else DONE
    run = locked_run(connection, claim.run)  # before the unit's own row: everyone locks in this order
    value = encoded(result.value, claim.unit.name)
    before = _leave(connection, claim, {"state": outcome, "since": now, "value": value, **_NO_ERROR})
    if before in FINISHED:
        return  # said before, and the answer was lost
    if before is not None:
        raise _lost(claim, before)
    baselines = {product.baseline for product in result.products}
    if baselines or result.gipps:
        check_baseline(run, claim.unit.name, baselines, result.gipps)
    spent = {
        "core_seconds": result.core_seconds, "wall_seconds": result.wall_seconds, "bytes_in": result.bytes_in,
        "bytes_out": result.bytes_out, "peak_bytes": result.peak_bytes,
    }  # fmt: skip
    _close(connection, now, claim.id, claim.fence, {"outcome": outcome, **spent})
    _let_go(connection, claim.id)
    if result.products:
        rows = [
            {"unit_id": claim.id, "fence": claim.fence, "name": p.name, "level": p.level, "tile": p.tile, "url": p.url,
             "sha256": p.sha256, "bytes": p.bytes, "baseline": p.baseline, "state": p.state}
            for p in result.products
        ]  # fmt: skip
        connection.execute(insert(products), rows)
    for kind, items in (("inputs", result.inputs), ("gipps", result.gipps), ("versions", result.versions)):
        if items:
            _keep_provenance(connection, claim.id, kind, items)
    if children:
        add_units(connection, now, claim.run, children, claim.unit.name)
    made = {"products": [p.name for p in result.products]}
    tell(connection, now, claim.run, [(claim.unit.name, outcome, made)])


def _let_go(connection: Connection, unit_id: int) -> None:
    """Count a unit that is done off those that wait for it; only who holds the run touches this count."""
    after = select(edges.c.unit_id).where(edges.c.before_id == unit_id)
    connection.execute(update(units).where(units.c.id.in_(after)).values(waiting=units.c.waiting - 1))


def _keep_provenance(connection: Connection, unit_id: int, kind: str, items: Mapping[str, str]) -> None:
    digest = hashlib.sha256(encoded(dict(items), kind).encode()).hexdigest()
    known = select(provenance_items.c.digest).where(provenance_items.c.digest == digest).limit(1)
    if connection.execute(known).first() is None:
        rows = [{"digest": digest, "name": name, "value": value} for name, value in sorted(items.items())]
        connection.execute(upsert(connection, provenance_items).on_conflict_do_nothing(), rows)
    row = upsert(connection, provenance).values(unit_id=unit_id, kind=kind, digest=digest)
    connection.execute(row.on_conflict_do_update(index_elements=["unit_id", "kind"], set_={"digest": digest}))


def fail(connection: Connection, now: float, claim: Claim, failure: Failure, retry: Retry) -> str:
    """Record that a unit failed, and return the state that it is in now."""
    if failure.kind == "missing":
        lock_arrivals(connection)
    question = select(units.c.failures, attempts.c.started).join(attempts, attempts.c.unit_id == units.c.id)
    row = connection.execute(question.where(units.c.id == claim.id, attempts.c.fence == claim.fence)).one()
    absent = _absent(connection, claim.run, failure, row.started)
    failures = row.failures + (failure.kind == "transient")
    states = {"transient": DEAD if failures >= retry.attempts else WAITING, "bad": REFUSED, "bug": DEAD}
    state = states.get(failure.kind, PARKED if absent or not failure.missing else WAITING)
    due = now + retry.pause(failures) if failure.kind == "transient" else 0.0
    told = {
        "error_kind": failure.kind, "error_what": failure.what, "error_where": failure.where,
        "error_remedy": failure.remedy, "bundle": failure.bundle or "",
    }  # fmt: skip
    before = _leave(connection, claim, {"state": state, "since": now, "due": due, "failures": failures, **told})
    if before == failure.kind:
        return str(connection.execute(select(units.c.state).where(units.c.id == claim.id)).scalar_one())
    if before is not None:
        raise _lost(claim, before)
    spent = {
        "core_seconds": failure.core_seconds, "wall_seconds": failure.wall_seconds, "peak_bytes": failure.peak_bytes,
        "error_what": failure.what, "error_where": failure.where, "error_remedy": failure.remedy,
        "traceback": failure.traceback, "bundle": failure.bundle or "",
    }  # fmt: skip
    _close(connection, now, claim.id, claim.fence, {"outcome": failure.kind, **spent})
    connection.execute(delete(missing).where(missing.c.unit_id == claim.id))
    if state == PARKED and absent:
        connection.execute(insert(missing), [{"what": what, "unit_id": claim.id} for what in absent])
    detail = {"class": failure.kind, "what": failure.what, "missing": absent, "due": due, "bundle": failure.bundle}
    tell(connection, now, claim.run, [(claim.unit.name, state, detail)])
    return state


def lock_arrivals(connection: Connection) -> None:
    """Let who parks a unit and who tells of an arrival do so one after the other; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ARRIVAL_LOCK})


def _absent(connection: Connection, run: str, failure: Failure, since: float) -> list[str]:
    """Return what is missing and did not arrive since the unit looked: a wake-up must not fall between the two."""
    if failure.kind != "missing":
        return []
    question = select(arrivals.c.what).where(arrivals.c.run.in_(["", run]), arrivals.c.moment >= since)
    came = set(connection.scalars(question.where(arrivals.c.what.in_(failure.missing))))
    return sorted(set(failure.missing) - came)
