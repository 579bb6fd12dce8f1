"""Reading the fields of a GIPP: each value is checked where it is read, and refused by file and field."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.auxdata.gipp_container import read_gipp
from s2dask.auxdata.xml_file import local_name, parse_bytes
from s2dask.errors import InputError
from s2dask.instrument import BANDS

_BANDS = tuple(BANDS)


@dataclass(frozen=True, slots=True)
class Scope:
    """What the elements above say about those below.

    Attributes
    ----------
    band : str
        The band that the values are of, empty if they are of none.
    detectors : tuple of int
        The detectors to read; empty: every one.
    """

    band: str = ""
    detectors: tuple[int, ...] = ()


class Fields:
    """An element of a GIPP with the file and the path it has in there.

    Parameters
    ----------
    element : lxml element
    file : str
        File name.
    path : str
        Path of the element, for messages.
    scope : Scope
    """

    def __init__(self, element: etree._Element, file: str, path: str, scope: Scope | None = None) -> None:
        self.element, self.file, self.path, self.scope = element, file, path, scope or Scope()

    def of_band(self, band: str) -> "Fields":
        """Return the same element as one of a band."""
        return Fields(self.element, self.file, self.path, replace(self.scope, band=band))

    def refuse(self, what: str, field: str = "") -> InputError:
        """Return the error that names this file and field."""
        where = "/".join(p for p in (self.path, field) if p)
        text = f"{where}: {what}" if where else what
        return InputError(text, self.file, "the file is refused; take another version of it")

    def child(self, *names: str) -> "Fields":
        """Return the first child of one of these names."""
        for name in names:
            element = self.element.find(name)
            if element is not None:
                return Fields(element, self.file, f"{self.path}/{name}", self.scope)
        raise self.refuse("missing", " or ".join(names))

    def children(self, name: str) -> Iterator["Fields"]:
        """Yield the children of a name."""
        for element in self.element.iterfind(name):
            tag = "".join(f"[{key}={element.get(key)}]" for key in map(str, element.keys()))
            yield Fields(element, self.file, f"{self.path}/{name}{tag}", self.scope)

    def has(self, name: str) -> bool:
        """Whether there is a child of that name."""
        return self.element.find(name) is not None

    def attribute(self, name: str) -> str:
        """Return an attribute."""
        value = self.element.get(name)
        if value is None:
            raise self.refuse("missing attribute", f"@{name}")
        return value

    def of_attribute(self, name: str) -> "Fields":
        """Return an attribute as if it were a child."""
        element = etree.Element(name)
        element.text = self.attribute(name)
        return Fields(element, self.file, f"{self.path}/@{name}", self.scope)

    @property
    def text(self) -> str:
        """Text of the element, stripped."""
        return (self.element.text or "").strip()

    def integer(self, low: int, high: int) -> int:
        """Return the text as an integer within the limits."""
        return self._integer(self.text, low, high)

    def integer_attribute(self, name: str, low: int, high: int) -> int:
        """Return an attribute as an integer within the limits."""
        return self._integer(self.attribute(name), low, high, f"@{name}")

    def _integer(self, text: str, low: int, high: int, field: str = "") -> int:
        try:
            value = int(text)
        except ValueError:
            raise self.refuse(f"{text!r} is no integer", field) from None
        if not low <= value <= high:
            raise self.refuse(f"{value} outside {low} to {high}", field)
        return value

    def band(self, attribute: str) -> str:
        """Return the band that an attribute gives by its index (B01 = 0, B8A = 8, B12 = 12)."""
        return _BANDS[self.integer_attribute(attribute, 0, len(_BANDS) - 1)]

    def number(self, low: float, high: float, *, open_low: bool = False) -> float:
        """Return the text as a finite number within the limits."""
        value = float(self.numbers(1, low, high)[0])
        if open_low and value == low:
            raise self.refuse(f"{value} is not above {low}")
        return value

    def numbers(self, count: int, low: float = -math.inf, high: float = math.inf) -> NDArray[np.float64]:
        """Return the text as `count` finite numbers within the limits."""
        try:
            values = np.array(self.text.split(), np.float64)
        except ValueError:
            raise self.refuse("not a list of numbers") from None
        if values.size != count:
            raise self.refuse(f"{values.size} values instead of {count}")
        self.check(values, low, high)
        return values

    def check(self, values: NDArray[np.float64], low: float, high: float) -> None:
        """Refuse values that are not finite or outside the limits; the first such is named."""
        wrong = np.flatnonzero(~np.isfinite(values) | (values < low) | (values > high))
        if wrong.size:
            raise self.refuse(f"value {values[wrong[0]]} at position {wrong[0]} is outside {low:g} to {high:g}")

    def columns(self, size: int) -> tuple[int, ...]:
        """Return the text as pixel columns of a line of that size, 0-based and ascending; none is allowed."""
        words = self.text.split()
        try:
            values = sorted({int(word) for word in words})
        except ValueError:
            raise self.refuse("not a list of columns") from None
        if values and not (values[0] >= 0 and values[-1] < size):
            raise self.refuse(f"column outside 0 to {size - 1}")
        return tuple(values)


def open_root(path: Path, root: str, unit: str) -> Fields:
    """Return the root of a GIPP after checking that it is of that kind and unit.

    Parameters
    ----------
    path : Path
        XML, or archive that holds it.
    root : str
        Expected root element.
    unit : str
        ``S2A``; a file of another unit is refused.
    """
    element = parse_bytes(read_gipp(path), path.name)
    fields = Fields(element, path.name, "")
    if local_name(element) != root:
        raise fields.refuse(f"root element {local_name(element)!r} instead of {root}")
    satellite = fields.child("HEADER").child("SATELLITE")
    if satellite.text != unit:
        raise satellite.refuse(f"a GIPP of {satellite.text} for {unit}")
    return fields


def open_gipp(path: Path, root: str, unit: str) -> Fields:
    """Return the DATA of a GIPP after checking that it is of that kind and unit; see `open_root`."""
    return open_root(path, root, unit).child("DATA")
