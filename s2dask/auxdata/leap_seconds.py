"""Leap seconds: TAI-UTC by date, from the built-in table or from a text of the IERS."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError, InputMissing

GPS_EPOCH: Final = datetime(1980, 1, 6, tzinfo=UTC)
TAI_MINUS_GPS: Final = 19
NANO: Final = 1_000_000_000

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ROW = re.compile(r"\s*(?P<year>\d{4})?\s+(?P<month>[A-Z][a-z]{2})[a-z]*\.?\s+1\.?\s*-[^+]*\s(?P<offset>\d\d)s\s*")
"""A row of UTC-TAI.history with whole seconds; a missing year is that of the row before."""


@dataclass(frozen=True, slots=True)
class LeapSeconds:
    """TAI-UTC as a step function.

    Attributes
    ----------
    dates : tuple of datetime
        First instant of each value [UTC], ascending; the last value holds until a new one is announced.
    offsets : tuple of int
        TAI-UTC [s].
    origin : str
        File name, or ``built-in``.
    """

    dates: tuple[datetime, ...]
    offsets: tuple[int, ...]
    origin: str

    def __post_init__(self) -> None:
        steps = [b - a for a, b in pairwise(self.offsets)]
        if not self.dates or sorted(set(self.dates)) != list(self.dates) or any(abs(s) != 1 for s in steps):
            raise InputError("leap seconds are not one second each, in the order of their dates", self.origin)

    @classmethod
    def from_file(cls, path: str | Path) -> "LeapSeconds":
        """Read a text like UTC-TAI.history; what it is is found from its content."""
        file = Path(path)
        if not file.is_file():
            raise InputMissing("no such table of leap seconds", str(path))
        rows = dict(_rows(file.read_text("utf-8", errors="replace")))
        if not rows:
            raise InputError("no rows of TAI-UTC", file.name, "give the UTC-TAI.history of the IERS")
        return cls(tuple(rows), tuple(rows.values()), file.name)

    def at(self, utc: datetime) -> int:
        """Return TAI-UTC [s] at a UTC date; before the table, its first value."""
        count = sum(utc >= date for date in self.dates)
        return self.offsets[max(count - 1, 0)]

    def at_gps(self, gps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return TAI-UTC [s] at GPS times [ns]; during a leap second, the value before it."""
        starts = [
            (int((date - GPS_EPOCH).total_seconds()) + offset - TAI_MINUS_GPS) * NANO
            for date, offset in zip(self.dates, self.offsets, strict=True)
        ]
        index = np.searchsorted(np.array(starts, np.int64), np.asarray(gps, np.int64), side="right") - 1
        return np.asarray(np.array(self.offsets, np.int64)[np.maximum(index, 0)])

    def inserted(self, gps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether GPS times [ns] lie in an inserted second, 23:59:60."""
        times = np.asarray(gps, np.int64)
        return np.asarray(self.at_gps(times + NANO) > self.at_gps(times))


def _rows(text: str) -> Iterator[tuple[datetime, int]]:
    year = 0
    for line in text.splitlines():
        match = _ROW.fullmatch(line)
        if match is None:
            continue
        year = int(match["year"] or year)
        if year and match["month"] in _MONTHS:
            yield datetime(year, 1 + _MONTHS.index(match["month"]), 1, tzinfo=UTC), int(match["offset"])


def _built_in() -> LeapSeconds:
    # IERS Bulletin C
    rows = (
        ("1980-01-01", 19), ("1981-07-01", 20), ("1982-07-01", 21), ("1983-07-01", 22), ("1985-07-01", 23),
        ("1988-01-01", 24), ("1990-01-01", 25), ("1991-01-01", 26), ("1992-07-01", 27), ("1993-07-01", 28),
        ("1994-07-01", 29), ("1996-01-01", 30), ("1997-07-01", 31), ("1999-01-01", 32), ("2006-01-01", 33),
        ("2009-01-01", 34), ("2012-07-01", 35), ("2015-07-01", 36), ("2017-01-01", 37),
    )  # fmt: skip
    dates = tuple(datetime.fromisoformat(day).replace(tzinfo=UTC) for day, _ in rows)
    return LeapSeconds(dates, tuple(offset for _, offset in rows), "built-in")


BUILT_IN: Final = _built_in()
