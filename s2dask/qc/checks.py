"""Checks as data: an indicator of a record against limits from a versioned checklist file."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Status = Literal["PASSED", "FAILED", "ERROR"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes
    ----------
    id, checklist, level, indicator : str
    minimum, maximum : float
        Limits, inclusive.
    severity : {"informative", "concluding"}
    """

    id: str
    checklist: str
    level: str
    indicator: str
    severity: str
    minimum: float = -math.inf
    maximum: float = math.inf


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check: the measured value beside what was expected."""

    id: str
    checklist: str
    level: str
    severity: str
    status: Status
    value: float | None
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)


@cache
def checklist(level: str) -> tuple[Check, ...]:
    """Return the checks of a level, in the file's order."""
    table = tomllib.loads(files("s2dask.qc").joinpath("data/checklists.toml").read_text("utf-8"))
    return tuple(Check(**row) for row in table["check"] if row["level"] == level)


def _run(check: Check, record: Mapping[str, float]) -> CheckResult:
    value = record.get(check.indicator)
    status: Status
    if value is None or not math.isfinite(value):
        status, message, value = "ERROR", f"{check.indicator} was not measured", None
    else:
        status = "PASSED" if check.minimum <= value <= check.maximum else "FAILED"
        low = "" if check.minimum == -math.inf else f"{check.minimum:g} <= "
        high = "" if check.maximum == math.inf else f" <= {check.maximum:g}"
        message = f"{check.indicator} = {value:.6g} (expected {low}value{high})"
    return CheckResult(check.id, check.checklist, check.level, check.severity, status, value, message)


def run_checks(level: str, record: Mapping[str, float]) -> tuple[CheckResult, ...]:
    """Return the results of every check of a level on its combined record."""
    return tuple(_run(check, record) for check in checklist(level))


def global_status(results: Iterable[CheckResult]) -> Status:
    """Return PASSED, FAILED or ERROR for a whole report, the worst of its checks."""
    statuses = {r.status for r in results}
    return "ERROR" if "ERROR" in statuses else "FAILED" if "FAILED" in statuses else "PASSED"
