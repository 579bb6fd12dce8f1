"""The values of a GIPP: each kind reads itself, checked, and writes itself so that it reads back equal."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.instrument import BANDS

_BANDS: Final = tuple(BANDS)
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class Kind(Protocol):
    """A kind of value that stands as text in an element or attribute."""

    def read(self, at: Fields) -> Any:
        """Return the value of an element's text."""

    def text(self, value: Any) -> str:
        """Return a value as text."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array made read-only: parameters are shared."""
    array.setflags(write=False)
    return array


def plain(value: float) -> str:
    """Return the shortest text that reads back as this number."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def plain_list(values: Iterable[float]) -> str:
    """Return numbers separated by blanks."""
    return " ".join(plain(v) for v in np.asarray(values, np.float64).tolist())


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer within limits."""

    low: int = -(2**31)
    high: int = 2**31 - 1

    def read(self, at: Fields) -> int:
        """Return the value of an element's text."""
        return at.integer(self.low, self.high)

    def text(self, value: int) -> str:
        """Return a value as text."""
        return str(int(value))


@dataclass(frozen=True, slots=True)
class Real:
    """A finite number within limits.

    Attributes
    ----------
    low, high : float
        In the unit of the file.
    exponent : int
        Power of ten that turns the unit of the file into ours: -3 for milliseconds.
    """

    low: float = -math.inf
    high: float = math.inf
    exponent: int = 0
    open_low: bool = False

    def read(self, at: Fields) -> float:
        """Return the value of an element's text."""
        value = at.number(self.low, self.high, open_low=self.open_low)
        return float(Decimal(at.text).scaleb(self.exponent)) if self.exponent else value

    def text(self, value: float) -> str:
        """Return a value as text."""
        return str(Decimal(repr(float(value))).scaleb(-self.exponent)) if self.exponent else plain(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """An xs:boolean."""

    def read(self, at: Fields) -> bool:
        """Return the value of an element's text."""
        if at.text not in _FLAGS:
            raise at.refuse(f"{at.text[:40]!r} is neither true nor false")
        return _FLAGS[at.text]

    def text(self, value: bool) -> str:
        """Return a value as text."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an enumeration; what the file calls it, and what it is called here."""

    words: Mapping[str, str]

    @classmethod
    def of(cls, *words: str) -> "Word":
        """Return the kind of these words, which are called here as in the file."""
        return cls({word: word for word in words})

    def read(self, at: Fields) -> str:
        """Return the value of an element's text."""
        if at.text not in self.words:
            raise at.refuse(f"{at.text[:40]!r} is none of {', '.join(self.words)}")
        return self.words[at.text]

    def text(self, value: str) -> str:
        """Return a value as text."""
        return next((k for k, v in self.words.items() if v == value), value)


@dataclass(frozen=True, slots=True)
class Text:
    """Any text, blanks around it removed."""

    def read(self, at: Fields) -> str:
        """Return the value of an element's text."""
        return at.text

    def text(self, value: str) -> str:
        """Return a value as text."""
        return value


@dataclass(frozen=True, slots=True)
class BandIndex:
    """A band, given by its index: 2 is B03, 8 is B8A; `allowed` restricts it."""

    allowed: tuple[str, ...] = _BANDS

    def read(self, at: Fields) -> str:
        """Return the value of an element's text."""
        name = _BANDS[at.integer(0, len(_BANDS) - 1)]
        if name not in self.allowed:
            raise at.refuse(f"{name} is none of {', '.join(self.allowed)}")
        return name

    def text(self, value: str) -> str:
        """Return a value as text."""
        return str(BANDS[value].index) if value in BANDS else value


@dataclass(frozen=True, slots=True)
class DetectorId:
    """A detector, ``01`` to ``12``."""

    def read(self, at: Fields) -> int:
        """Return the value of an element's text."""
        return at.integer(1, 12)

    def text(self, value: int) -> str:
        """Return a value as text."""
        return f"{value:02d}"


@dataclass(frozen=True, slots=True)
class Reals:
    """A list of finite numbers within limits.

    Attributes
    ----------
    count : int or None
        How many; None: at least one.
    low, high : float
    """

    count: int | None = None
    low: float = -math.inf
    high: float = math.inf

    def read(self, at: Fields) -> NDArray[np.float64]:
        """Return the value of an element's text."""
        return frozen(at.numbers(self.count or max(len(at.text.split()), 1), self.low, self.high))

    def text(self, value: NDArray[np.float64]) -> str:
        """Return a value as text."""
        return plain_list(value)


@dataclass(frozen=True, slots=True)
class PixelReals:
    """A number for every raw column of the band; the limits hold for the pixels that see light."""

    low: float = -math.inf
    high: float = math.inf

    def read(self, at: Fields) -> NDArray[np.float64]:
        """Return the value of an element's text."""
        b = BANDS[at.scope.band]
        values = at.numbers(b.raw_columns)
        at.check(values[b.blind : b.raw_columns - b.blind], self.low, self.high)
        return frozen(values)

    def text(self, value: NDArray[np.float64]) -> str:
        """Return a value as text."""
        return plain_list(value)


@dataclass(frozen=True, slots=True)
class PixelShifts:
    """A small integer for every raw column of the band."""

    low: int = -1
    high: int = 1

    def read(self, at: Fields) -> NDArray[np.int8]:
        """Return the value of an element's text."""
        values = at.numbers(BANDS[at.scope.band].raw_columns, self.low, self.high)
        broken = np.flatnonzero(values != np.rint(values))
        if broken.size:
            raise at.refuse(f"value {values[broken[0]]} at position {broken[0]} is no integer")
        return frozen(values.astype(np.int8))

    def text(self, value: NDArray[np.int8]) -> str:
        """Return a value as text."""
        return " ".join(map(str, np.asarray(value).tolist()))


@dataclass(frozen=True, slots=True)
class Strings:
    """A list of words separated by blanks."""

    count: int | None = field(default=None)

    def read(self, at: Fields) -> tuple[str, ...]:
        """Return the value of an element's text."""
        words = tuple(at.text.split())
        if self.count is not None and len(words) != self.count:
            raise at.refuse(f"{len(words)} words instead of {self.count}")
        return words

    def text(self, value: tuple[str, ...]) -> str:
        """Return a value as text."""
        return " ".join(value)
