"""What every worker of ours is told when it starts."""

import logging
from typing import Any

from distributed import WorkerPlugin

from s2dask import errors

_OURS = tuple(
    f"{name}(" for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.S2Error)
)


def _no_refusal(record: logging.LogRecord) -> bool:
    """Return whether a failure of a task is news: what we raise on purpose is told by the client, in one line."""
    message = record.getMessage()
    return not (message.startswith("Compute Failed") and any(name in message for name in _OURS))


class QuietRefusals(WorkerPlugin):
    """Keep errors that s2dask raises on purpose, and the cancelling that follows, out of the worker's log."""

    name = "s2dask-quiet-refusals"

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - the plug-in's signature
        """Set the filters."""
        logging.getLogger("distributed.worker").addFilter(_no_refusal)
        logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
