"""Changes of the ledger's tables, in their order, for alembic."""
