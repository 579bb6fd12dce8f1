"""The trace of a run: when each unit began and ended, what it came from and what it made, a JSON line each."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from s2dask.production.ledger import Claim, Result

_STORES: Final = ("l0", "images", "l1c")
"""Of the spec of a unit: working stores that it reads."""


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
            "uid": f"{claim.run}/{unit.name}#{claim.fence}",
            "parent": f"{claim.run}/{claim.parent}" if claim.parent else claim.run,
            "follows_from": [f"{claim.run}/{name}" for name in unit.after],
            "run": claim.run, "task": unit.name, "kind": unit.kind, "owner": claim.owner,
            "attempt": claim.attempt, **told,
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
        spec = claim.unit.spec
        order = spec.get("order")
        stores = {str(spec[key]) for key in _STORES if spec.get(key)} if inputs else set()
        source = {str(order["source"])} if isinstance(order, Mapping) and not inputs else set()
        told = {str(path) for one in inputs.values() for path in one.get("stores", {}).values()}
        self._say("BEGIN", claim, {"input": sorted(stores | source | told), "identity": claim.unit.identity})

    def end(self, claim: Claim, result: Result, *, reused: bool) -> None:
        """Tell that an attempt ended well."""
        seconds, written = result.wall_seconds, result.bytes_out / 2**20
        made = [product.url for product in result.products]
        stores = sorted(str(store) for store in result.value.get("stores", {}).values())
        told = {
            "status": "REUSED" if reused else "OK", "duration_in_seconds": round(seconds, 3),
            "core_seconds": round(result.core_seconds, 3), "output": made or stores,
            "input_mib": round(result.bytes_in / 2**20, 3), "output_mib": round(written, 3),
            "mib_per_second": round(written / seconds, 3) if seconds else 0.0,
            "missing_output": [], "quality": result.value.get("withheld", []) + result.value.get("flagged", []),
        }  # fmt: skip
        self._say("END", claim, told)

    def fail(self, claim: Claim, state: str, error: BaseException, seconds: float) -> None:
        """Tell that an attempt failed after some time [s], and in which state that leaves the unit."""
        missing = [claim.unit.name] if state != "WAITING" else []
        told = {"status": "NOK", "state": state, "duration_in_seconds": round(seconds, 3), "error": str(error)}
        self._say("END", claim, {**told, "missing_output": missing, "quality": []})
