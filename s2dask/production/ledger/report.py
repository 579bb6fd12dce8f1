"""The report of a run: what was expected, what was produced, the reason of each gap, what it took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any

from sqlalchemy import Connection, Select, func, select

from s2dask.production.ledger.outbox import decoded
from s2dask.production.ledger.records import (
    ABORTED,
    DEAD,
    DONE,
    FAILED,
    FINISHED,
    PARKED,
    REUSED,
    RUNNING,
    WAITING,
)
from s2dask.production.ledger.tables import attempts, units
from s2dask.production.ledger.view import pending, product_rows, progress, run_row, unit_rows

SUCCESS, FAILURE = "SUCCESS", "FAILED"


def instant(moment: float) -> str:
    """Return a moment for people, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "-"


def _roots(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return by unit the one that it waits for in the end, itself if it waits for none.

    Among several, one that failed: that is where a person can do something.
    """
    by_name = {row["name"]: row for row in rows}
    roots: dict[str, str] = {}
    for name in TopologicalSorter({row["name"]: row["after"] for row in rows}).static_order():
        before = [roots[other] for other in by_name[name]["after"] if by_name[other]["state"] not in FINISHED]
        waits = by_name[name]["state"] == WAITING and before
        roots[name] = min(before, key=lambda root: by_name[root]["state"] not in FAILED) if waits else name
    return roots


def _failed(error: Mapping[str, str]) -> str:
    where = f"{error['where']}: " if error["where"] else ""
    return f"{where}{error['what']}" + (f"; {error['remedy']}" if error["remedy"] else "")


def _reason(row: Mapping[str, Any], now: float) -> str:
    """Return in words why a unit that waits for no other is not done."""
    state, error = row["state"], row["error"]
    if state == RUNNING:
        return f"under way since {instant(row['since'])} by {row['owner']}"
    if state == PARKED:
        awaited = ", ".join(row["missing"]) or error["what"]
        return f"input missing since {instant(row['since'])}: {awaited}"
    if state == ABORTED:
        return "aborted by an operator"
    if state == WAITING and row["due"] > now:
        return f"tried again at {instant(row['due'])} after {_failed(error)}"
    if state == WAITING:
        return f"ready, after {_failed(error)}" if error["what"] else "ready, not begun"
    kinds = {"bug": "defect", "transient": f"given up after {row['failures']} failures", "bad": "bad input"}
    return f"{kinds.get(error['class'], error['class'])}: {_failed(error)}"


def gaps(rows: Sequence[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """Return the units that are not done, each with its reason, and the unit at the root of it.

    Parameters
    ----------
    rows : sequence of mapping
        All units of a run.
    now : float
        [s since 1970 UTC]
    """
    by_name, roots, found = {row["name"]: row for row in rows}, _roots(rows), []
    for row in rows:
        if row["state"] in FINISHED:
            continue
        root = by_name[roots[row["name"]]]
        reason = _reason(root, now)
        told = {"unit": row["name"], "kind": row["kind"], "state": row["state"], "since": instant(row["since"])}
        behind = reason if root is row else f"behind {root['name']} ({root['state']}): {reason}"
        found.append({**told, "root": root["name"], "reason": behind, "bundle": root["error"]["bundle"]})
    return found


def _state(control: str, over: bool, complete: bool) -> str:
    if control != RUNNING:
        return control
    if not over:
        return RUNNING
    return SUCCESS if complete else FAILURE


def summary(connection: Connection, now: float, run: str) -> dict[str, Any]:
    """Return the state of a run and the number of its units by state, without looking at each."""
    head, states = run_row(connection, run), Counter[str]()
    for counts in progress(connection, run).values():
        states.update(counts)
    expected, done = states.total(), sum(states[state] for state in FINISHED)
    state = _state(head.control, pending(connection, now, run).over, done == expected)
    return {"run": run, "state": state, "units": {"expected": expected, "finished": done, **states}}


def report(connection: Connection, now: float, run: str) -> dict[str, Any]:
    """Return the report of a run as mappings that can be written as JSON."""
    head, rows = run_row(connection, run), unit_rows(connection, run, None, None)
    made = product_rows(connection, run)
    standing = [product for product in made if product["state"] != "SUPERSEDED"]
    return {
        **summary(connection, now, run), "control": head.control, "baseline": head.baseline,
        "gipps": decoded(head.gipps) or {}, "request": decoded(head.request) or {}, "created": instant(head.created),
        "told": instant(now), "products": standing, "expected": _expected(rows),
        "superseded": len(made) - len(standing), "gaps": gaps(rows, now),
        "kinds": _kinds(rows), "datastrips": _datastrips(connection, head.id, rows), **_spent(connection, head.id),
    }  # fmt: skip


def _kinds(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return by kind of unit how many there are, how many are finished, and what they were expected to take."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        kind = found.setdefault(
            row["kind"], {"kind": row["kind"], "expected": 0, "finished": 0, "dead": 0, "cost": 0.0}
        )
        kind["expected"] += 1
        kind["finished"] += row["state"] in FINISHED
        kind["dead"] += row["state"] == DEAD
        kind["cost"] += row["cost"]["core_seconds"]
    return list(found.values())


def _expected(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what units say is not made, as is expected: no gap."""
    values = (row["value"] for row in rows if isinstance(row["value"], dict))
    return [str(why) for value in values for why in value.get("expected") or ()]


def _datastrips(connection: Connection, run_id: int, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each datastrip took; what a session took before it was cut into datastrips stands by itself."""
    question = select(units.c.name, func.sum(attempts.c.core_seconds).label("spent"))
    question = question.join(attempts, attempts.c.unit_id == units.c.id).where(units.c.run_id == run_id)
    of_units = question.where(attempts.c.outcome == DONE).group_by(units.c.name)
    spent = {row.name: float(row.spent) for row in connection.execute(of_units)}
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        rank = int(row["spec"].get("strip", -1))
        name = "before" if rank < 0 else f"datastrip {rank + 1}"
        told = found.setdefault(rank, {"datastrip": name, "units": 0, "finished": 0, "core_hours": 0.0})
        told["units"] += 1
        told["finished"] += row["state"] in FINISHED
        told["core_hours"] += spent.get(row["name"], 0.0) / 3600.0
    return [found[rank] for rank in sorted(found)]


def _spent(connection: Connection, run_id: int) -> dict[str, Any]:
    """Return what a run took; what it reused was spent by another, and is told apart."""
    a = attempts.c
    sums = [func.sum(column).label(column.name) for column in (a.core_seconds, a.bytes_in, a.bytes_out)]
    ends = [func.min(a.started).label("first"), func.max(a.stopped).label("last"), func.max(a.peak_bytes).label("peak")]
    question: Select[Any] = select(a.outcome, func.count().label("n"), *sums, *ends)
    question = question.join(units, units.c.id == a.unit_id).where(units.c.run_id == run_id)
    rows = connection.execute(question.group_by(a.outcome)).all()
    useful = [row for row in rows if row.outcome == DONE]
    return {
        "begun": instant(min((row.first for row in rows), default=0.0)),
        "ended": instant(max((row.last or 0.0 for row in rows), default=0.0)),
        "attempts": {row.outcome: row.n for row in rows},
        "core_seconds": float(sum(row.core_seconds for row in useful)),
        "reused_core_seconds": float(sum(row.core_seconds for row in rows if row.outcome == REUSED)),
        "wasted_core_seconds": float(sum(row.core_seconds for row in rows if row.outcome not in FINISHED)),
        "bytes_in": int(sum(row.bytes_in for row in useful)), "bytes_out": int(sum(row.bytes_out for row in useful)),
        "peak_bytes": max((row.peak for row in rows), default=0),
    }  # fmt: skip
