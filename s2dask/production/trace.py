"""The trace of a run: when each unit began and ended, what it came from and what it made, a JSON line each."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from s2dask.production.ledger import Claim, Result


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Trace:
    """Writes two lines for each attempt at a unit, ``BEGIN`` and ``END``.

    Parameters
    ----------
    path : path
        File that lines are added to; several processes may add to one.
    """

    def __init__(self, path: str | Path) -> None:
        self._path, self._lock = Path(path), Lock()
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def _say(self, kind: str, claim: Claim, told: Mapping[str, Any]) -> None:
        unit = claim.unit
        line = {
            "header": {"type": "REPORT", "timestamp": _now(), "level": "INFO"}, "event": kind,
            "uid": f"{claim.run}/{unit.name}#{claim.fence}", "run": claim.run, "task": unit.name, "kind": unit.kind,
            "follows_from": list(unit.after), "owner": claim.owner, "attempt": claim.attempt, **told,
        }  # fmt: skip
        text = json.dumps(line, separators=(",", ":")) + "\n"
        with self._lock:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, text.encode())  # one call, so that lines of several processes do not mix
            finally:
                os.close(handle)

    def begin(self, claim: Claim, inputs: Mapping[str, Any]) -> None:
        """Tell that an attempt begins; `inputs` are the units it follows, with what they told."""
        self._say("BEGIN", claim, {"input": sorted(inputs), "identity": claim.unit.identity})

    def end(self, claim: Claim, result: Result, *, reused: bool) -> None:
        """Tell that an attempt ended well."""
        size = sum(product.bytes for product in result.products) / 2**20
        seconds = result.wall_seconds
        told = {
            "status": "REUSED" if reused else "OK", "duration_in_seconds": round(seconds, 3),
            "core_seconds": round(result.core_seconds, 3), "output": [product.url for product in result.products],
            "output_mib": round(size, 3), "mib_per_second": round(size / seconds, 3) if seconds else 0.0,
            "missing_output": [], "quality": result.value.get("withheld", []) + result.value.get("flagged", []),
        }  # fmt: skip
        self._say("END", claim, told)

    def fail(self, claim: Claim, state: str, error: BaseException) -> None:
        """Tell that an attempt failed, and in which state that leaves the unit."""
        missing = [claim.unit.name] if state != "WAITING" else []
        self._say("END", claim, {"status": "NOK", "state": state, "error": str(error), "missing_output": missing})
