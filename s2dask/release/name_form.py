"""What every name of the mission is: fields and texts in an order, built and read the same way."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Self

from s2dask.errors import InputError


def compact_time(moment: datetime) -> str:
    """Return ``20200816T120221``, UTC, truncated to the second."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def parse_compact_time(text: str) -> datetime:
    """Read ``20200816T120221`` as UTC."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"no date: {error}", text, "expected YYYYMMDDTHHMMSS") from None


def parse_iso(text: str) -> datetime:
    """Read an ISO date of the metadata, ``2020-08-16T12:02:21.024Z``, as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"no ISO date: {error}", text, "expected YYYY-MM-DDTHH:MM:SS.sssZ") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a name.

    Attributes
    ----------
    name : str
        Attribute of the name.
    pattern : str
        Regular expression of its text, without groups.
    read, write : callable
        Its value of its text, and the other way round.
    """

    name: str
    pattern: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str


def dated(name: str) -> Field:
    """Return a field with a date."""
    return Field(name, r"\d{8}T\d{6}", parse_compact_time, compact_time)


def numbered(name: str, digits: int) -> Field:
    """Return a field with a number of so many digits."""
    return Field(name, rf"\d{{{digits}}}", int, f"{{:0{digits}d}}".format)


def padded(name: str, pattern: str, width: int) -> Field:
    """Return a field that is filled up with underscores."""
    return Field(name, pattern, lambda text: text.rstrip("_"), f"{{:_<{width}}}".format)


class Name:
    """A name made of fields and texts.

    Attributes
    ----------
    KIND : str
        What it is the name of, for messages.
    FORM : tuple of Field or str
        Its parts in order.
    SUFFIX : str
        Regular expression of what may follow it.
    """

    __slots__ = ()
    KIND: ClassVar[str]
    FORM: ClassVar[tuple[Field | str, ...]]
    SUFFIX: ClassVar[str] = ""

    def __str__(self) -> str:
        return self._written()

    def _written(self, start: int = 0, stop: int | None = None) -> str:
        """Return some of the parts."""
        parts = self.FORM[start:stop]
        return "".join(p if isinstance(p, str) else p.write(getattr(self, p.name)) for p in parts)

    @classmethod
    @cache
    def _pattern(cls) -> str:
        return "".join(p if isinstance(p, str) else f"(?P<{p.name}>{p.pattern})" for p in cls.FORM) + cls.SUFFIX

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, with or without the suffixes that it may have."""
        found = re.fullmatch(cls._pattern(), text)
        if found is None:
            raise InputError(f"not the name of a {cls.KIND}", text, f"expected {cls._pattern()}")
        return cls(**{p.name: p.read(found[p.name]) for p in cls.FORM if isinstance(p, Field)})
