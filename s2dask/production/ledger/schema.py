"""The schema of the ledger's database: made, migrated, recognised; a foreign or a newer one is refused."""

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from s2dask.production.ledger.database import Database
from s2dask.production.ledger.records import LedgerError
from s2dask.production.ledger.tables import VERSION_TABLE

_LOCK: Final = 0x53324C44
"""Of PostgreSQL's advisory locks, for the time of a migration: the letters S2LD."""


def configuration(connection: Connection) -> Config:
    """Return what alembic's commands need to work on a connection."""
    config = Config()
    config.set_main_option("script_location", "s2dask.production.ledger:migrations")
    config.attributes["connection"] = connection
    return config


def revision(connection: Connection) -> str | None:
    """Return the revision of the schema in a database, None where there is no ledger."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def head() -> str:
    """Return the revision that this version of s2dask works with."""
    config = Config()
    config.set_main_option("script_location", "s2dask.production.ledger:migrations")
    return str(ScriptDirectory.from_config(config).get_current_head())


def prepare(database: Database) -> None:
    """Make the tables in an empty database, or bring them up to date; other databases are refused."""
    newest = head()
    if database.read(revision) != newest:
        database.write(lambda connection: _migrate(database, connection, newest))


def _migrate(database: Database, connection: Connection, newest: str) -> None:
    if database.postgres:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = revision(connection)
    if found == newest:  # another process was faster
        return
    tables = sorted(set(inspect(connection).get_table_names()) - {VERSION_TABLE})
    if found is None and tables:
        held = f"tables of something else: {', '.join(tables[:5])}"
        raise LedgerError(f"the database is no ledger, it has {held}", database.where, "give an empty one")
    config = configuration(connection)
    try:
        if found is not None:
            ScriptDirectory.from_config(config).get_revision(found)
    except CommandError:
        newer = f"the ledger has schema {found}, which this version of s2dask (schema {newest}) does not know"
        raise LedgerError(newer, database.where, "install the newer s2dask that wrote it") from None
    command.upgrade(config, "head")
