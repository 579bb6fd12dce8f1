"""Text in and out of the database: JSON, the events beside each change, inserts that find their row there already."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, text
from sqlalchemy.dialects import postgresql, sqlite

from s2dask.errors import ConfigurationError
from s2dask.production.ledger.tables import events

_EVENT_LOCK = 0x53324556
"""Of PostgreSQL's advisory locks: the letters S2EV."""

Change = tuple[str, str, Mapping[str, Any]]
"""The name of the unit (empty: of the run), what happened, and more about it."""


def encoded(value: Any, where: str) -> str:
    """Return a value as JSON that says the same thing the same way."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        remedy = "hand over numbers that are finite, text, lists and mappings"
        raise ConfigurationError(f"not to be written as JSON: {error}", where, remedy) from None


def decoded(text_: str) -> Any:
    """Return a value from JSON; None from nothing."""
    return json.loads(text_) if text_ else None


def upsert(connection: Connection, table: Table) -> Any:
    """Return an insert that can say what happens on a conflict."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def tell(connection: Connection, now: float, run: str, changes: Iterable[Change]) -> None:
    """Write events beside the change that they tell of; the last statement of a transaction.

    On PostgreSQL writers pass here one by one, until their commit: numbers are given in the order of the commits, so
    that who reads the events after number n misses none.
    """
    rows = [
        {"moment": now, "run": run, "unit": unit, "what": what, "detail": encoded(dict(detail), unit or run)}
        for unit, what, detail in changes
    ]
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _EVENT_LOCK})
    connection.execute(insert(events), rows)
