"""The first tables, as they were then: a migration does not follow what the tables become."""

from typing import Any, Final

from alembic import op
from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy import text as sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_BIG: Final = BigInteger().with_variant(Integer(), "sqlite")


def _id(name: str = "id") -> Column[Any]:
    return Column(name, _BIG, primary_key=True)


def _of(name: str, table: str, *, key: bool = False, index: bool = False) -> Column[Any]:
    options: dict[str, Any] = {"primary_key": True, "autoincrement": False} if key else {"nullable": False}
    return Column(name, _BIG, ForeignKey(f"{table}.id"), index=index, **options)


def _keys(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, primary_key=True) for name in names]


def _texts(*names: str, index: bool = False) -> list[Column[Any]]:
    return [Column(name, Text, nullable=False, index=index) for name in names]


def _empty(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, nullable=False, server_default=sql("''")) for name in names]


def _whole(kind: Any, *names: str) -> list[Column[Any]]:
    return [Column(name, kind, nullable=False) for name in names]


def _zero(kind: Any, *names: str) -> list[Column[Any]]:
    return [Column(name, kind, nullable=False, server_default="0") for name in names]


Table(
    "runs", metadata, _id(), Column("name", Text, nullable=False, unique=True), *_texts("control"),
    *_empty("request", "baseline", "gipps"), *_whole(Double, "created"),
)  # fmt: skip

units = Table(
    "units", metadata, _id(), _of("run_id", "runs"), *_texts("name", "kind", "state"),
    *_whole(Integer, "priority", "waiting"), *_whole(Double, "due", "since"),
    *_texts("parent"), *_texts("identity", index=True), *_texts("spec", "after"),
    *_zero(BigInteger, "tasks", "pixels", "bytes_in", "bytes_out", "peak_bytes"), *_zero(Double, "core_seconds"),
    *_zero(BigInteger, "attempts", "failures", "fence"), *_empty("owner", "ticket"), *_zero(Double, "lease_until"),
    *_empty("error_kind", "error_what", "error_where", "error_remedy", "bundle", "value"),
    UniqueConstraint("run_id", "name"),
)  # fmt: skip
_READY: Final = "state = 'WAITING' AND waiting = 0"
_ORDER: Final = (units.c.priority.desc(), units.c.id)
for name, condition, columns in (
    ("ix_units_ready", _READY, _ORDER),
    ("ix_units_ready_of_run", _READY, (units.c.run_id, *_ORDER)),
    ("ix_units_leased", "state = 'RUNNING'", (units.c.lease_until,)),
):
    Index(name, *columns, sqlite_where=sql(condition), postgresql_where=sql(condition))

Table("edges", metadata, _of("before_id", "units", key=True), _of("unit_id", "units", key=True, index=True))
Table("missing", metadata, *_keys("what"), _of("unit_id", "units", key=True, index=True))
Table("arrivals", metadata, *_keys("what", "run"), *_whole(Double, "moment"))

Table(
    "attempts", metadata, _id(), _of("unit_id", "units"), *_whole(BigInteger, "fence", "number"), *_texts("owner"),
    *_whole(Double, "started"), Column("stopped", Double), *_texts("outcome"),
    *_zero(Double, "core_seconds", "wall_seconds"), *_zero(BigInteger, "bytes_in", "bytes_out", "peak_bytes"),
    *_empty("error_what", "error_where", "error_remedy", "traceback", "bundle"), UniqueConstraint("unit_id", "fence"),
)  # fmt: skip

Table(
    "products", metadata, _id(), _of("unit_id", "units", index=True), *_whole(BigInteger, "fence"),
    *_texts("name", index=True), *_texts("level", "tile", "url"), *_texts("sha256", index=True),
    *_whole(BigInteger, "bytes"), *_texts("baseline", "state"),
)  # fmt: skip

Table("provenance", metadata, _of("unit_id", "units", key=True), *_keys("kind"), *_texts("digest", index=True))
Table("provenance_items", metadata, *_keys("digest", "name"), *_texts("value"))

Table(
    "events", metadata, _id("seq"), *_whole(Double, "moment"), *_texts("run", index=True),
    *_texts("unit", "what", "detail"), sqlite_autoincrement=True,
)  # fmt: skip


def upgrade() -> None:
    """Apply the change."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Take the change back."""
    metadata.drop_all(op.get_bind())
