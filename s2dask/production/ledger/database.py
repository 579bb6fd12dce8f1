"""The database of the ledger: SQLite or PostgreSQL, transactions that are tried again, errors in plain words."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from s2dask.errors import ConfigurationError
from s2dask.production.ledger.records import LedgerError

log = logging.getLogger(__name__)
T = TypeVar("T")

BUSY: Final = 30.0
"""How long SQLite waits for another writer [s]."""
SKEW: Final = 2.0
"""Difference from the clock of the server above which a service says so [s]."""
_READ: Final = {"s2dask_read": True}
_READ_POSTGRES: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

# PostgreSQL, appendix A: 08 connection, 40 rollback (deadlock, serialisation), 53300 too many connections,
# 57P01 to 57P05 the server goes, crashes or comes up, 55P03 a lock not to be had, 25P03 and 25P04 its own time limits
_PASSING_STATES: Final = ("08", "40", "53300", "57P", "55P03", "25P03", "25P04")
_PASSING_CODES: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PLAIN_CODES: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room; nothing of what was recorded is lost"),
    sqlite3.SQLITE_IOERR: ("the disk refuses to read or write", "look at the disk; nothing that was recorded is lost"),
    sqlite3.SQLITE_READONLY: ("the database is read-only", "give the user the right to write to it and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened or made", "look at its folder and at the rights on it"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "give another file"),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "take the last copy of it"),
    sqlite3.SQLITE_PERM: ("the rights on the file do not suffice", "look at its folder and at the rights on it"),
}
_PLAIN_STATES: Final = {
    "53100": ("the disk of the server is full", "make room; nothing of what was recorded is lost"),
    "25006": ("the server is read-only", "give the address of the primary"),
    "42501": ("the role may not do this", "give it the rights on the schema"),
}


def url_of(place: str | Path) -> URL:
    """Return the address of a database: a path means SQLite, ``postgresql://`` takes the driver psycopg."""
    told = str(place)
    if "://" not in told:
        return URL.create("sqlite", database=str(Path(told).expanduser()))
    try:
        url = make_url(told)
    except ArgumentError:
        raise ConfigurationError("not the address of a database", told, _FORMS) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"no ledger on {url.get_backend_name()}", shown(url), _FORMS)
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigurationError("a ledger in memory forgets", told, _FORMS)
    return url


_FORMS: Final = "a path, sqlite:///path, or postgresql+psycopg://user@host/database"


def shown(url: URL) -> str:
    """Return an address without its password."""
    return url.render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        try:
            # a service that is stopped within a transaction must not keep the others waiting for ever
            limits = "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
            arguments = {"connect_timeout": 10, "application_name": "s2dask", "options": limits}
            return create_engine(url, connect_args=arguments)
        except (ImportError, NoSuchModuleError):
            what = "the driver psycopg is not there"
            raise ConfigurationError(what, shown(url), "install s2dask[postgres]") from None
    engine = create_engine(url, connect_args={"timeout": BUSY, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            what = f"the file system takes no write-ahead log (it is {mode})"
            raise LedgerError(what, shown(url), "use a local disk")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # a writer takes its lock at once: two that read first and write then could only fail
        reads = connection.get_execution_options().get("s2dask_read")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _code(error: DBAPIError) -> int | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def passes(error: DBAPIError) -> bool:
    """Return whether trying again can help: the connection is gone, the server is starting, another has the lock."""
    state, code = _state(error), _code(error)
    if code is not None:
        return code in _PASSING_CODES
    if state is not None:
        return state.startswith(_PASSING_STATES)
    told = str(error.orig)
    # a server that can be reached and says no (password, no such database) says no the next time too
    refused = "FATAL:" in told and "the database system is" not in told and "too many" not in told
    return error.connection_invalidated or (type(error.orig).__name__ == "OperationalError" and not refused)


def plain(error: DBAPIError, where: str) -> LedgerError:
    """Return an error of the database in plain words."""
    what, remedy = _PLAIN_CODES.get(_code(error) or 0) or _PLAIN_STATES.get(_state(error) or "") or ("", "")
    first = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    if not what and passes(error):
        return LedgerError(f"the database does not answer ({first})", where, "see whether it runs, and start again")
    return LedgerError(f"{what} ({first})" if what else first, where, remedy)


class Database:
    """A database and its transactions.

    Parameters
    ----------
    place : str or Path
        See `url_of`.
    patience : float
        How long a transaction is tried again where the connection is lost [s].
    """

    def __init__(self, place: str | Path, patience: float) -> None:
        url = url_of(place)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).parent.is_dir():
            raise ConfigurationError("its folder is not there", shown(url), "make it first")
        self.where, self.patience = shown(url), patience
        self.engine = _engine(url)
        self.postgres = url.get_backend_name() == "postgresql"

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction; it may run more than once, and must find what an earlier run left."""
        return self._try(work, {})

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run work that only reads, and sees one state of the database throughout."""
        return self._try(work, _READ_POSTGRES if self.postgres else _READ)

    def _try(self, work: Callable[[Connection], T], options: Mapping[str, Any]) -> T:
        end, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        while True:
            try:
                with self.engine.connect().execution_options(**options) as connection, connection.begin():
                    return work(connection)
            except DBAPIError as error:
                if not passes(error) or time.monotonic() + pause > end:
                    raise plain(error, self.where) from error
                log.warning("ledger %s: %s; tried again in %.2g s", self.where, error.orig, pause)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def check_server(self, now: float) -> None:
        """Refuse a standby, whose leases nobody else sees in time, and tell of a clock that is off."""
        if not self.postgres:
            return
        question = text("SELECT pg_is_in_recovery(), extract(epoch FROM clock_timestamp())")
        standby, theirs = self.read(lambda c: tuple(c.execute(question).one()))
        if standby:
            raise LedgerError("the server is a standby", self.where, "give the address of the primary")
        if abs(skew := now - float(theirs)) > SKEW:
            log.warning("the clock here is %+.1f s off that of %s: leases end early or late", skew, self.where)

    def close(self) -> None:
        """Let the connections go."""
        self.engine.dispose()


def chunks(values: Iterable[T], size: int = 500) -> Iterable[list[T]]:
    """Yield lists of at most so many: a statement takes a limited number of parameters."""
    held = list(values)
    for start in range(0, len(held), size):
        yield held[start : start + size]
