"""Checks as data: rows of a versioned checklist file, and what comes of them on a record of statistics or an item.

A row names a small function (`s2dask.qc.functions`) and what it is told: inputs, limits, messages. Where an input comes
from, a record or an element of the metadata, is part of the file too, so that a checklist is edited without code.
"""

import math
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, Protocol

from s2dask.errors import InputError

Status = Literal["PASSED", "FAILED", "ERROR"]
STANDARD: Final = (
    "FORMAT_CORRECTNESS", "GENERAL_QUALITY", "GEOMETRIC_QUALITY", "RADIOMETRIC_QUALITY", "SENSOR_QUALITY",
)  # fmt: skip
"""Checklists of every level; Level-2A has `L2A_QUALITY` beside them."""
CHECKLISTS: Final = (*STANDARD, "L2A_QUALITY")
SEVERITIES: Final = ("sample", "informative", "concluding")
"""A sample is only told, an informative failure fails its report, a concluding one decides about the product too."""


@dataclass(frozen=True, slots=True)
class Check:
    """One row of a checklist file.

    Attributes
    ----------
    id, title, checklist : str
        As the reports name them.
    items : tuple of str
        Classes of items that it is for: ``DATASTRIP``, ``GRANULE``, ``TILE``, ``PRODUCT``, or ``RECORD``, the
        statistics that the last task of a product has at hand.
    levels : tuple of str
        ``L0`` to ``L2A``.
    function : str
        Of `s2dask.qc.functions`.
    severity : {"sample", "informative", "concluding"}
    inputs : tuple of str
        Names of what it looks at; of several the first that is told.
    minimum, maximum : float
        Limits, inclusive.
    below : float
        Limit, exclusive.
    expected : tuple of str
        Texts that are right.
    passed, failed, absent : str
        Messages, with fields in braces. `absent` is for an input that may be absent: without it that is an error.
    values : mapping of str to str
        What the report tells beside the message, by name, with fields in braces.
    on_metadata : bool
        Whether the report says that the metadata file was inspected, and not the folder.
    quiet : bool
        Whether the report of an item has it only if it fails: a check beyond those of the mission's reports.
    group, section : str
        Place in a report of L2A_QUALITY.
    parameters : mapping
        What else the function is told.
    """

    id: str
    checklist: str
    items: tuple[str, ...]
    levels: tuple[str, ...]
    function: str
    severity: str = "informative"
    title: str = ""
    priority: int = 5
    inputs: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf
    below: float = math.inf
    expected: tuple[str, ...] = ()
    passed: str = ""
    failed: str = ""
    absent: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    on_metadata: bool = False
    quiet: bool = False
    group: str = ""
    section: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check: the measured value beside what was expected.

    Attributes
    ----------
    id, checklist, level, severity, message, title : str
    status : {"PASSED", "FAILED", "ERROR"}
        ERROR: it could not be told.
    value : float or None
        The number that the check is about.
    values : sequence of (str, str)
        Names and values that the message is about, for the report.
    item : str
        What was inspected; empty: the item itself.
    milliseconds : float
        How long it took.
    done : bool
        False: what it needs is not there, so that it was not made.
    traceback : str
        Of a check that crashed.
    group, section, priority
        As `Check` has them.
    """

    id: str
    checklist: str
    level: str
    severity: str
    status: Status
    value: float | None
    message: str
    title: str = ""
    values: tuple[tuple[str, str], ...] = ()
    item: str = ""
    milliseconds: float = 0.0
    done: bool = True
    traceback: str = ""
    group: str = ""
    section: str = ""
    priority: int = 5

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form: what says nothing is left out."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        optional = {f.name: f.default for f in fields(self) if f.name not in _ALWAYS}
        out = {name: value for name, value in told.items() if name not in optional or value != optional[name]}
        return out | ({"values": [list(pair) for pair in self.values]} if self.values else {})


_ALWAYS: Final = ("id", "checklist", "level", "severity", "status", "value", "message")


class Source(Protocol):
    """What a check asks: a record of statistics, or an item."""

    @property
    def level(self) -> str:
        """``L0`` to ``L2A``."""

    def texts(self, name: str) -> list[str]:
        """Return what is told under a name of an input, as text; nothing where it is not told."""


class NotTold(InputError):
    """What a check needs is not in the product: the check is not made, and says so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a function of checks found.

    Attributes
    ----------
    ok : bool or None
        None: the input is absent, which the check allows.
    facts : mapping
        Fields for the messages and values of the check.
    value : float or None
    message : str
        In place of that of the check.
    values : tuple of (str, str)
        Beside those of the check.
    """

    ok: bool | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    message: str = ""
    values: tuple[tuple[str, str], ...] = ()


Function = Callable[[Check, Any], Finding]


def _limits(check: Check) -> str:
    low = "" if check.minimum == -math.inf else f"{check.minimum:g} <= "
    high = f" < {check.below:g}" if check.below < math.inf else f" <= {check.maximum:g}"
    return f"{low}value{'' if high == ' <= inf' else high}"


def _message(check: Check, found: Finding, facts: Mapping[str, Any]) -> str:
    if found.message:
        return found.message
    if found.ok is None:
        return check.absent.format(**facts)
    if template := check.passed if found.ok else check.failed:
        return template.format(**facts)
    if found.value is not None:
        return f"{facts['input']} = {found.value:.6g} (expected {_limits(check)})"
    return "as expected" if found.ok else "not as expected"


def judge(check: Check, source: Source, function: Function) -> CheckResult:
    """Return the outcome of a check; one that crashes is an ERROR with its traceback, never an exception."""
    base: dict[str, Any] = {
        "id": check.id, "checklist": check.checklist, "level": source.level, "severity": check.severity,
        "title": check.title, "group": check.group, "section": check.section, "priority": check.priority,
    }  # fmt: skip
    try:
        found = function(check, source)
        if found.ok is None and not check.absent:
            what = " or ".join(check.inputs) or check.id
            return CheckResult(**base, status="ERROR", value=None, message=f"{what} was not measured", done=False)
        facts = {"input": check.inputs[0] if check.inputs else check.id, "minimum": check.minimum, **found.facts}
        facts |= {"maximum": check.maximum, "limit": min(check.maximum, check.below), "value": found.value}
        told = {} if found.ok is None else check.values
        values = (*((name, text.format(**facts)) for name, text in told.items()), *found.values)
        status: Status = "FAILED" if found.ok is False else "PASSED"
        message = _message(check, found, facts)
        value = found.value if found.value is not None and math.isfinite(found.value) else None
        return CheckResult(**base, status=status, value=value, message=message, values=values)
    except InputError as error:
        message = f"not checked: {error.what if isinstance(error, NotTold) else error}"
        message += f"; {error.remedy}" if error.remedy and isinstance(error, NotTold) else ""
        return CheckResult(**base, status="ERROR", value=None, message=message, done=False)
    except Exception as error:  # noqa: BLE001  # whatever goes wrong in a check is a result, never the product's end
        message = f"the check crashed: {type(error).__name__}: {error}"
        return CheckResult(**base, status="ERROR", value=None, message=message, traceback=traceback.format_exc())


@dataclass(frozen=True, slots=True)
class RecordSource:
    """A record of statistics as what checks ask."""

    level: str
    record: Mapping[str, Any]

    def texts(self, name: str) -> list[str]:
        """Return the number of a name, as text; nothing where it was not measured."""
        value = self.record.get(name)
        return [] if value is None or not math.isfinite(value) else [repr(float(value))]


def run_checks(level: str, record: Mapping[str, float], file: str | None = None) -> tuple[CheckResult, ...]:
    """Return the results of every check of a level on its combined record.

    Parameters
    ----------
    level : str
    record : mapping
    file : str, optional
        Checklist file in place of the one that comes with s2dask.
    """
    from s2dask.qc.checklists import checklist
    from s2dask.qc.functions import FUNCTIONS

    source = RecordSource(level, record)
    return tuple(judge(check, source, FUNCTIONS[check.function]) for check in checklist(level, "RECORD", file))


def global_status(results: Iterable[CheckResult]) -> Status:
    """Return PASSED, FAILED or ERROR for a whole report: what failed is not hidden by what could not be told.

    Samples do not count.
    """
    statuses = {r.status for r in results if r.severity != "sample"}
    return "FAILED" if "FAILED" in statuses else "ERROR" if "ERROR" in statuses else "PASSED"


def conclusion(results: Iterable[CheckResult]) -> Status:
    """Return the worst of the concluding checks: what decides about the product."""
    return global_status(r for r in results if r.severity == "concluding")
