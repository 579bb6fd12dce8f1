"""The client of the fault test: one run on an outside cluster, which tells what came of it in a line of JSON."""

import json
import logging
import os
import signal
import sys
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

from s2dask.cluster.connect import Connection, open_client
from s2dask.commands.run import leave_on_terminate
from s2dask.production import standing
from s2dask.production.chain import run
from s2dask.production.ledger import Claim, Ledger


class StandingClock(datetime):
    """A clock that shows one time: what is delivered does not tell when."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)


standing.datetime = StandingClock  # type: ignore[attr-defined]


def _die_at_transitions(marks: Path) -> None:
    """Die before and after the ledger hears that the first unit of each kind is done, each once in all."""
    complete = Ledger.complete

    def once(point: str) -> None:
        with suppress(FileExistsError):
            (marks / point).touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(self: Ledger, claim: Claim, *rest: Any, **named: Any) -> None:
        once(f"before-{claim.unit.kind}")
        complete(self, claim, *rest, **named)
        once(f"after-{claim.unit.kind}")

    Ledger.complete = dying  # type: ignore[method-assign]


def main() -> None:
    """Run what the first argument, JSON, asks for; 9 where a unit failed."""
    asked = json.loads(sys.argv[1])
    where, marks = asked.pop("where"), asked.pop("marks", None)
    asked["window"] = tuple(asked["window"])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("distributed").setLevel(logging.ERROR)
    leave_on_terminate()
    if marks is not None:
        _die_at_transitions(Path(marks))
    with Connection(lambda: open_client(where)) as connection:
        summary = run(client=connection, **asked)
    print(json.dumps({"run": summary.run, "products": summary.products, "failed": summary.failed}))  # noqa: T201
    sys.exit(9 if summary.failed else 0)


if __name__ == "__main__":
    main()
