"""How alembic runs: on the connection, and within the transaction, of the caller."""

from alembic import context

from s2dask.production.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
