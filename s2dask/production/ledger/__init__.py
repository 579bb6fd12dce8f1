"""The ledger of production: runs, units, leases, attempts, products, provenance and events in a database."""

from s2dask.production.ledger.ledger import Ledger
from s2dask.production.ledger.records import (
    ABORTED,
    CONTROLS,
    DEAD,
    DONE,
    FAILED,
    FINISHED,
    PARKED,
    PAUSED,
    REFUSED,
    REUSED,
    RUNNING,
    STATES,
    STOPPED,
    WAITING,
    Claim,
    Event,
    Failure,
    LeaseLost,
    LedgerError,
    Pending,
    Product,
    Result,
    Retry,
)  # fmt: skip

__all__ = [
    "ABORTED", "CONTROLS", "DEAD", "DONE", "FAILED", "FINISHED", "PARKED", "PAUSED", "REFUSED", "REUSED", "RUNNING",
    "STATES", "STOPPED", "WAITING", "Claim", "Event", "Failure", "LeaseLost", "Ledger", "LedgerError", "Pending",
    "Product", "Result", "Retry",
]  # fmt: skip
