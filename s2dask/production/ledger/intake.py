"""Intake: runs and their units come into the ledger, once each, whoever says it how often."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from s2dask.errors import ConfigurationError
from s2dask.graph.unit import Unit
from s2dask.production.ledger.database import chunks
from s2dask.production.ledger.outbox import decoded, encoded, tell, upsert
from s2dask.production.ledger.records import FINISHED, RUNNING, WAITING
from s2dask.production.ledger.tables import edges, runs, units


def locked_run(connection: Connection, run: str) -> Row[Any]:
    """Return the row of a run; who adds units to it or steers it does so one after the other."""
    row = connection.execute(select(runs).where(runs.c.name == run).with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise ConfigurationError("no such run", run, "see `s2dask ledger URL` for the runs that are there")
    return row


def open_run(
    connection: Connection, now: float, run: str, request: Mapping[str, Any], baseline: str, gipps: Mapping[str, str]
) -> None:
    """Make a run, or find it; what it was made with stands."""
    if not run:
        raise ConfigurationError("a run needs a name", "ledger")
    told = {
        "request": encoded(dict(request), run) if request else "",
        "baseline": baseline,
        "gipps": encoded(dict(gipps), run) if gipps else "",
    }
    row = {"name": run, "control": RUNNING, "created": now}
    made = upsert(connection, runs).values(**row, **told).on_conflict_do_nothing(index_elements=["name"])
    if connection.scalar(made.returning(runs.c.id)) is not None:
        tell(connection, now, run, [("", "OPENED", {"baseline": baseline})])
        return
    held = locked_run(connection, run)._asdict()
    if differing := [name for name, value in told.items() if value and held[name] not in ("", value)]:
        what = f"the run was begun with another {' and '.join(differing)}"
        raise ConfigurationError(what, run, "one run keeps to one order, baseline and GIPP set: begin another run")
    if missing := {name: value for name, value in told.items() if value and not held[name]}:
        connection.execute(update(runs).where(runs.c.id == held["id"]).values(**missing))


def check_baseline(held: Row[Any], unit: str, baselines: set[str], gipps: Mapping[str, str]) -> None:
    """Refuse what was made with another baseline or other GIPPs than those that the run was opened with.

    A second datastrip of a run may have a file of its own: ``R2EQOG/B04#2``.
    """
    if held.baseline and (others := baselines - {held.baseline}):
        what = f"made with baseline {', '.join(sorted(others))} in a run of {held.baseline}"
        raise ConfigurationError(what, unit, "one run keeps to one baseline: begin another run")
    frozen = {(name.partition("#")[0], value) for name, value in (decoded(held.gipps) or {}).items()}
    if frozen and (others := {name for name, value in gipps.items() if (name, value) not in frozen}):
        what = f"made with GIPPs that are not those of the run: {', '.join(sorted(others)[:5])}"
        raise ConfigurationError(what, unit, "one run keeps to one set of GIPPs: begin another run")


def _once(run: str, given: Sequence[Unit]) -> dict[str, Unit]:
    by_name: dict[str, Unit] = {}
    for unit in given:
        if by_name.setdefault(unit.name, unit) != unit:
            raise ConfigurationError("two different units of one name", f"{run} {unit.name}", "name them apart")
    return by_name


def _known(connection: Connection, run_id: int, names: Iterable[str]) -> dict[str, Row[Any]]:
    """Return what is there of some names; it stays in its state until the transaction ends."""
    columns = select(units.c.name, units.c.id, units.c.state, units.c.identity)
    rows: dict[str, Row[Any]] = {}
    for some in chunks(sorted(names)):
        question = columns.where(units.c.run_id == run_id, units.c.name.in_(some)).order_by(units.c.id)
        rows |= {row.name: row for row in connection.execute(question.with_for_update(read=True))}
    return rows


def _check_new(run: str, new: Mapping[str, Unit], known: Mapping[str, Row[Any]]) -> None:
    for unit in new.values():
        if strange := [name for name in unit.after if name not in known and name not in new]:
            raise ConfigurationError(f"waits for {strange[0]}, which is not in the run", f"{run} {unit.name}")
    try:
        TopologicalSorter({unit.name: [n for n in unit.after if n in new] for unit in new.values()}).prepare()
    except CycleError as error:
        raise ConfigurationError(f"units wait for each other: {' -> '.join(error.args[1])}", run) from None


def _row(run_id: int, unit: Unit, waiting: int, parent: str, now: float) -> dict[str, Any]:
    cost = unit.cost
    return {
        "run_id": run_id, "name": unit.name, "kind": unit.kind, "state": WAITING, "priority": unit.priority,
        "waiting": waiting, "due": 0.0, "since": now, "parent": parent, "identity": unit.identity,
        "spec": encoded(dict(unit.spec), unit.name), "after": encoded(unit.after, unit.name),
        "tasks": cost.tasks, "pixels": cost.pixels, "bytes_in": cost.bytes_in, "bytes_out": cost.bytes_out,
        "peak_bytes": cost.peak_bytes, "core_seconds": cost.core_seconds,
    }  # fmt: skip


def add_units(connection: Connection, now: float, run: str, given: Sequence[Unit], parent: str = "") -> int:
    """Add the units that are not there yet, and return how many those were.

    A unit that is there keeps its state. One of the same name and another identity is refused: it would be another
    piece of work under the name of the first.
    """
    by_name = _once(run, given)
    if not by_name:
        return 0
    run_id = locked_run(connection, run).id
    known = _known(connection, run_id, {name for unit in by_name.values() for name in (unit.name, *unit.after)})
    for unit in by_name.values():
        held = known[unit.name].identity if unit.name in known else ""
        if held and unit.identity and held != unit.identity:
            what = f"the run has it as another piece of work ({held[:12]}, not {unit.identity[:12]})"
            raise ConfigurationError(what, f"{run} {unit.name}", "inputs, GIPPs or steps changed: begin another run")
    new = {name: unit for name, unit in by_name.items() if name not in known}
    if not new:
        return 0
    _check_new(run, new, known)
    done = {name for name, row in known.items() if row.state in FINISHED}
    rows = [_row(run_id, unit, len(set(unit.after) - done), parent, now) for unit in new.values()]
    connection.execute(insert(units), rows)
    if any(unit.after for unit in new.values()):
        ids = {name: row.id for name, row in (known | _known(connection, run_id, new)).items()}
        pairs = [(ids[name], ids[unit.name]) for unit in new.values() for name in dict.fromkeys(unit.after)]
        connection.execute(insert(edges), [{"before_id": before, "unit_id": after} for before, after in pairs])
    tell(connection, now, run, [("", "ADDED", {"units": len(new), "by": parent})])
    return len(new)
