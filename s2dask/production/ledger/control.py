"""Control: a run is paused, resumed, stopped, aborted; units are woken, given back and started again."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, select, update

from s2dask.errors import ConfigurationError
from s2dask.production.ledger.database import chunks
from s2dask.production.ledger.intake import locked_run
from s2dask.production.ledger.outbox import tell, upsert
from s2dask.production.ledger.queue import FREE, held, lock_arrivals
from s2dask.production.ledger.records import ABORTED, FAILED, FINISHED, PARKED, RUNNING, STOPPED, WAITING, Claim
from s2dask.production.ledger.tables import arrivals, attempts, edges, missing, products, runs, units


def steer(connection: Connection, now: float, run: str, control: str) -> None:
    """Set the control state of a run; one that was aborted only a restart brings back."""
    row = locked_run(connection, run)
    if row.control == control:
        return
    if row.control == ABORTED:
        raise ConfigurationError("the run was aborted", run, "restart it")
    connection.execute(update(runs).where(runs.c.id == row.id).values(control=control))
    if control == ABORTED:
        _abort_units(connection, now, row.id)
    tell(connection, now, run, [("", control, {"was": row.control})])


def _abort_units(connection: Connection, now: float, run_id: int) -> None:
    """Abort what is not at its end; leases end, so that what still runs cannot complete."""
    which = (units.c.run_id == run_id, units.c.state.in_([WAITING, RUNNING, PARKED]))
    open_ones = list(connection.scalars(select(units.c.id).where(*which).order_by(units.c.id).with_for_update()))
    for some in chunks(open_ones):
        under_way = (attempts.c.outcome == RUNNING, attempts.c.unit_id.in_(some))
        connection.execute(update(attempts).where(*under_way).values(outcome=ABORTED, stopped=now))
        connection.execute(delete(missing).where(missing.c.unit_id.in_(some)))
        aborted = {"state": ABORTED, "since": now, "due": 0.0, **FREE}
        connection.execute(update(units).where(units.c.id.in_(some)).values(**aborted))


def release(connection: Connection, now: float, claims: Sequence[Claim]) -> None:
    """Give units back that were not begun or not finished; it does not count as a failure."""
    mine = held(connection, claims)
    for claim in mine:
        connection.execute(update(units).where(units.c.id == claim.id).values(state=WAITING, since=now, **FREE))
        whose = (attempts.c.unit_id == claim.id, attempts.c.fence == claim.fence)
        connection.execute(update(attempts).where(*whose).values(outcome="RELEASED", stopped=now))
    for run in {claim.run for claim in mine}:
        given = [(claim.unit.name, "RELEASED", {"owner": claim.owner}) for claim in mine if claim.run == run]
        tell(connection, now, run, given)


def wake(connection: Connection, now: float, run: str | None, what: str) -> int:
    """Note that an input arrived, and make the units ready that lack nothing more. Return how many."""
    lock_arrivals(connection)
    row = upsert(connection, arrivals).values(what=what, run=run or "", moment=now)
    connection.execute(row.on_conflict_do_update(index_elements=["what", "run"], set_={"moment": now}))
    question = select(units.c.id, units.c.name, runs.c.name.label("run")).join(runs, units.c.run_id == runs.c.id)
    question = question.join(missing, missing.c.unit_id == units.c.id).where(missing.c.what == what)
    if run is not None:
        question = question.where(runs.c.name == run)
    waited = connection.execute(question.order_by(units.c.id).with_for_update(of=units)).all()
    for some in chunks([row.id for row in waited]):
        connection.execute(delete(missing).where(missing.c.what == what, missing.c.unit_id.in_(some)))
    woken = [row for row in waited if not _lacks(connection, row.id)]
    for some in chunks([row.id for row in woken]):
        parked = (units.c.id.in_(some), units.c.state == PARKED)
        connection.execute(update(units).where(*parked).values(state=WAITING, since=now, due=0.0))
    for name in {row.run for row in woken}:
        tell(connection, now, name, [(row.name, "WOKEN", {"by": what}) for row in woken if row.run == name])
    return len(woken)


def _lacks(connection: Connection, unit_id: int) -> bool:
    return bool(connection.scalar(select(func.count()).where(missing.c.unit_id == unit_id)))


def alarm(connection: Connection, now: float, longest: float) -> list[tuple[str, str, float]]:
    """Tell of units that are parked for longer than allowed, once each. Return run, unit and seconds."""
    question = select(units.c.id, units.c.name, units.c.since, runs.c.name.label("run"))
    question = question.join(runs, units.c.run_id == runs.c.id).where(units.c.state == PARKED)
    question = question.where(units.c.since < now - longest, units.c.due == 0.0).order_by(units.c.id)
    late = connection.execute(question.with_for_update(of=units)).all()
    for some in chunks([row.id for row in late]):  # a parked unit is not due: what was told of is marked by that
        connection.execute(update(units).where(units.c.id.in_(some)).values(due=now))
    for run in {row.run for row in late}:
        told = [(row.name, "ALARM", {"parked": round(now - row.since, 3)}) for row in late if row.run == run]
        tell(connection, now, run, told)
    return [(row.run, row.name, now - row.since) for row in late]


def restart(connection: Connection, now: float, run: str, names: Collection[str]) -> list[str]:
    """Make units ready again: those that failed, or those named, with all that was made from them."""
    row = locked_run(connection, run)
    columns: Select[Any] = select(units.c.id, units.c.name, units.c.state)
    if names:
        chosen: dict[int, Row[Any]] = {}
        for some in chunks(sorted(names)):
            question = columns.where(units.c.run_id == row.id, units.c.name.in_(some))
            chosen |= {found.id: found for found in connection.execute(question)}
        if unknown := sorted(set(names) - {found.name for found in chosen.values()}):
            raise ConfigurationError("no such unit", f"{run} {unknown[0]}", "see `s2dask ledger URL units`")
        chosen |= _made_from(connection, [u.id for u in chosen.values() if u.state in FINISHED])
    else:
        failed = columns.where(units.c.run_id == row.id, units.c.state.in_(FAILED))
        chosen = {found.id: found for found in connection.execute(failed)}
    for ids in chunks(sorted(chosen)):
        _reset(connection, now, ids)
    _count_again(connection, row.id)
    if row.control in (STOPPED, ABORTED):
        connection.execute(update(runs).where(runs.c.id == row.id).values(control=RUNNING))
    again = [(chosen[i].name, "RESTARTED", {"was": chosen[i].state}) for i in sorted(chosen)]
    tell(connection, now, run, again)
    return [name for name, _, _ in again]


def _made_from(connection: Connection, first: Sequence[int]) -> dict[int, Row[Any]]:
    """Return the units behind some units, at any distance, that have begun."""
    found: dict[int, Row[Any]] = {}
    front = list(first)
    while front:
        question: Select[Any] = select(units.c.id, units.c.name, units.c.state)
        question = question.join(edges, edges.c.unit_id == units.c.id)
        behind = (question.where(edges.c.before_id.in_(some)) for some in chunks(front))
        new = {row.id: row for some in behind for row in connection.execute(some) if row.id not in found}
        found |= new
        front = list(new)
    return {i: row for i, row in found.items() if row.state != WAITING}


def _reset(connection: Connection, now: float, ids: Sequence[int]) -> None:
    connection.execute(select(units.c.id).where(units.c.id.in_(ids)).order_by(units.c.id).with_for_update())
    here = attempts.c.unit_id.in_(ids)
    open_ones = (here, attempts.c.outcome == RUNNING)
    connection.execute(update(attempts).where(*open_ones).values(outcome="RESTARTED", stopped=now))
    connection.execute(delete(missing).where(missing.c.unit_id.in_(ids)))
    connection.execute(update(products).where(products.c.unit_id.in_(ids)).values(state="SUPERSEDED"))
    fresh = {
        "state": WAITING, "since": now, "due": 0.0, "failures": 0, "value": "", "error_kind": "", "error_what": "",
        "error_where": "", "error_remedy": "", "bundle": "", **FREE,
    }  # fmt: skip
    connection.execute(update(units).where(units.c.id.in_(ids)).values(**fresh, fence=units.c.fence + 1))


def _count_again(connection: Connection, run_id: int) -> None:
    """Set the count of what each unit of a run waits for from the states of the units before it."""
    before = units.alias("before")
    waits = select(func.count()).select_from(edges).join(before, before.c.id == edges.c.before_id)
    waits = waits.where(edges.c.unit_id == units.c.id, before.c.state.not_in(FINISHED)).correlate(units)
    connection.execute(update(units).where(units.c.run_id == run_id).values(waiting=waits.scalar_subquery()))
