"""The tables of the ledger. Moments are seconds since 1970 UTC, so that no time zone and no driver can shift them."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

VERSION_TABLE: Final = "ledger_version"
"""Where alembic keeps the revision."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers its rows itself only where the type is INTEGER to the letter; it holds 64 bits all the same
_Big: Final = BigInteger().with_variant(Integer(), "sqlite")


def _number(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _real(name: str) -> Column[Any]:
    return Column(name, Double, nullable=False, server_default="0")


def _words(name: str) -> Column[Any]:
    return Column(name, Text, nullable=False, server_default=text("''"))


runs = Table(
    "runs", metadata,
    Column("id", _Big, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("control", Text, nullable=False),
    _words("request"),
    _words("baseline"),
    _words("gipps"),
    Column("created", Double, nullable=False),
)  # fmt: skip

units = Table(
    "units", metadata,
    Column("id", _Big, primary_key=True),
    Column("run_id", _Big, ForeignKey("runs.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),  # units before it that are not done
    Column("due", Double, nullable=False),
    Column("since", Double, nullable=False),  # when it came into its state
    Column("parent", Text, nullable=False),  # the unit that added it
    Column("identity", Text, nullable=False, index=True),
    Column("spec", Text, nullable=False),
    Column("after", Text, nullable=False),
    _number("tasks"), _number("pixels"), _number("bytes_in"), _number("bytes_out"), _number("peak_bytes"),
    _real("core_seconds"),
    _number("attempts"),
    _number("failures"),  # by chance, since it was added or restarted
    _number("fence"),
    _words("owner"), _words("ticket"), _real("lease_until"),
    _words("error_kind"), _words("error_what"), _words("error_where"), _words("error_remedy"), _words("bundle"),
    _words("value"),
    UniqueConstraint("run_id", "name"),
)  # fmt: skip

# A database uses a partial index only where the query repeats its condition to the letter: `READY` and `LEASED`
# stand in both.
READY: Final = "state = 'WAITING' AND waiting = 0"
LEASED: Final = "state = 'RUNNING'"


def _partial(name: str, condition: str, *columns: Any) -> None:
    Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


_partial("ix_units_ready", READY, units.c.priority.desc(), units.c.id)
_partial("ix_units_ready_of_run", READY, units.c.run_id, units.c.priority.desc(), units.c.id)
_partial("ix_units_leased", LEASED, units.c.lease_until)

edges = Table(
    "edges", metadata,
    Column("before_id", _Big, ForeignKey("units.id"), primary_key=True, autoincrement=False),
    Column("unit_id", _Big, ForeignKey("units.id"), primary_key=True, autoincrement=False, index=True),
)  # fmt: skip

missing = Table(
    "missing", metadata,
    Column("what", Text, primary_key=True),
    Column("unit_id", _Big, ForeignKey("units.id"), primary_key=True, autoincrement=False, index=True),
)  # fmt: skip

arrivals = Table(
    "arrivals", metadata,
    Column("what", Text, primary_key=True),
    Column("run", Text, primary_key=True),  # empty: for every run
    Column("moment", Double, nullable=False),
)  # fmt: skip

attempts = Table(
    "attempts", metadata,
    Column("id", _Big, primary_key=True),
    Column("unit_id", _Big, ForeignKey("units.id"), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("stopped", Double),
    Column("outcome", Text, nullable=False),  # RUNNING, DONE, REUSED, LOST, ABORTED or the kind of the failure
    _real("core_seconds"), _real("wall_seconds"),
    _number("bytes_in"), _number("bytes_out"), _number("peak_bytes"),
    _words("error_what"), _words("error_where"), _words("error_remedy"), _words("traceback"), _words("bundle"),
    UniqueConstraint("unit_id", "fence"),
)  # fmt: skip

products = Table(
    "products", metadata,
    Column("id", _Big, primary_key=True),
    Column("unit_id", _Big, ForeignKey("units.id"), nullable=False, index=True),
    Column("fence", BigInteger, nullable=False),
    Column("name", Text, nullable=False, index=True),
    Column("level", Text, nullable=False),
    Column("tile", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("baseline", Text, nullable=False),
    Column("state", Text, nullable=False),
)  # fmt: skip

# A set of GIPPs or of step versions is the same for thousands of units: it is kept once, under its digest.
provenance = Table(
    "provenance", metadata,
    Column("unit_id", _Big, ForeignKey("units.id"), primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),  # inputs, gipps or versions
    Column("digest", Text, nullable=False, index=True),
)  # fmt: skip

provenance_items = Table(
    "provenance_items", metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip

events = Table(
    "events", metadata,
    Column("seq", _Big, primary_key=True),
    Column("moment", Double, nullable=False),
    Column("run", Text, nullable=False, index=True),
    Column("unit", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,  # a number is never given twice, whatever is cleared
)  # fmt: skip
