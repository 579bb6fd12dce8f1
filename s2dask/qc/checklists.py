"""Checklist files (TOML): the one that comes with s2dask, or a user's in its place."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.qc.checks import CHECKLISTS, SEVERITIES, Check
from s2dask.qc.functions import FUNCTIONS

ITEMS: Final = ("RECORD", "DATASTRIP", "GRANULE", "TILE", "PRODUCT")
LEVELS: Final = ("L0", "L1A", "L1B", "L1C", "L2A")
_FIELDS: Final = {f.name: f for f in fields(Check)}
_LISTS: Final = ("items", "levels", "inputs", "expected")


@dataclass(frozen=True, slots=True)
class Checklists:
    """A checklist file.

    Attributes
    ----------
    name : str
        Of the file, for the reports of products that name no GIP_OLQCPA.
    version : str
    checks : tuple of Check
        In the order of the file.
    inputs : mapping of str to tuple of str
        Where the metadata tell an input: paths of local names, the first that is there.
    """

    name: str
    version: str
    checks: tuple[Check, ...]
    inputs: Mapping[str, tuple[str, ...]]


def _check(row: Mapping[str, Any], number: int, where: str) -> Check:
    place = f"{where}: check {number} ({row.get('id', 'without id')})"
    unknown = sorted(set(row) - set(_FIELDS))
    if unknown:
        raise ConfigurationError(f"unknown field {', '.join(unknown)}", place, f"known: {', '.join(_FIELDS)}")
    missing = [name for name in ("id", "checklist", "items", "levels", "function") if name not in row]
    if missing:
        raise ConfigurationError(f"no {', '.join(missing)}", place, "complete the row")
    lists = {name: (row[name],) if isinstance(row[name], str) else tuple(row[name]) for name in _LISTS if name in row}
    try:
        check = Check(**(dict(row) | lists))
        limits = (check.minimum, check.maximum, check.below)
    except TypeError as error:
        raise ConfigurationError(str(error), place, "see the file that comes with s2dask") from error
    if any(isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit != limit for limit in limits):
        raise ConfigurationError("a limit is no number", place, "give a number, or leave it out")
    for name, known, given in (
        ("checklist", CHECKLISTS, (check.checklist,)), ("items", ITEMS, check.items), ("levels", LEVELS, check.levels),
        ("severity", SEVERITIES, (check.severity,)), ("function", tuple(FUNCTIONS), (check.function,)),
    ):  # fmt: skip
        strangers = [value for value in given if value not in known]
        if strangers:
            raise ConfigurationError(f"{name} {strangers[0]!r}", place, f"one of {', '.join(known)}")
    return check


@cache
def _load(text: str, where: str) -> Checklists:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not TOML ({error})", where, "see the file that comes with s2dask") from error
    if not isinstance(table.get("version"), str) or not isinstance(table.get("check"), list):
        raise ConfigurationError("no version, or no [[check]]", where, "see the file that comes with s2dask")
    checks = tuple(_check(row, number, where) for number, row in enumerate(table["check"], 1))
    seen: set[tuple[str, ...]] = set()
    for check in checks:
        for item in check.items:
            for level in check.levels:
                key = (check.id, check.checklist, item, level)
                if key in seen:
                    what = f"{check.id} twice in {check.checklist} for {item} of {level}"
                    raise ConfigurationError(what, where, "keep one of the rows")
                seen.add(key)
    inputs = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in table.get("inputs", {}).items()}
    return Checklists(str(table.get("name", "s2dask_checklists")), table["version"], checks, inputs)


def load_checklists(file: str | None = None) -> Checklists:
    """Return the checks of a checklist file.

    Parameters
    ----------
    file : str, optional
        A user's file; it replaces the one that comes with s2dask. `ConfigurationError` names a row that is wrong.
    """
    if file is None:
        return _load(files("s2dask.qc").joinpath("data/checklists.toml").read_text("utf-8"), "checklists.toml")
    try:
        text = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputMissing(f"no readable checklist file ({error})", file, "check the path") from error
    return _load(text, file)


def checklist(level: str, item: str = "RECORD", file: str | None = None) -> tuple[Check, ...]:
    """Return the checks of a level for a class of items, in the file's order."""
    return tuple(c for c in load_checklists(file).checks if level in c.levels and item in c.items)
