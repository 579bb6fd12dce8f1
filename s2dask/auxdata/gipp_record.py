"""A GIPP as a dataclass: the annotation of each attribute says where it stands in the file, to read and to write it.

The attributes stand in the order of the XML schema, which is the order in which they are written. A place is a tag, or
a path of tags (``NOMINAL_SCENARIO/BINNING``), or ``@name`` for an XML attribute, or ``.`` for the text of the element.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Protocol, TypeVar, get_type_hints

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_values import BandIndex, Integer, Kind, Reals, frozen, plain_list

R = TypeVar("R")


class Place(Protocol):
    """Where an attribute stands below an element, and how."""

    def read(self, at: Fields) -> Any:
        """Return the value below an element."""

    def write(self, value: Any, into: etree._Element) -> None:
        """Write a value below an element."""


Item = Kind | type
"""What an element holds: one value, or a record."""


def _down(at: Fields, path: str) -> Fields:
    for tag in path.split("/"):
        at = at.child(tag)
    return at


def _make(into: etree._Element, path: str) -> etree._Element:
    """Append an element; the ones above it in the path are shared with what was written just before."""
    *above, tag = path.split("/")
    for name in above:
        last = into[-1] if len(into) else None
        into = last if last is not None and last.tag == name else etree.SubElement(into, name)
    return etree.SubElement(into, tag)


def read_item(item: Item, at: Fields) -> Any:
    """Return what an element holds."""
    return read_record(item, at) if isinstance(item, type) else item.read(at)


def write_item(item: Item, value: Any, into: etree._Element) -> None:
    """Write what an element holds."""
    if isinstance(item, type):
        write_record(value, into)
    else:
        into.text = item.text(value)


@dataclass(frozen=True, slots=True)
class At:
    """One value or record at a path; `unit` is what its attribute ``unit`` has to say, if it is there."""

    path: str
    item: Item
    unit: str = ""

    def read(self, at: Fields) -> Any:
        """Return the value below an element."""
        *above, last = self.path.split("/")
        here = _down(at, "/".join(above)) if above else at
        if last.startswith("@"):
            return read_item(self.item, here.of_attribute(last[1:]))
        found = here if last == "." else here.child(last)
        given = found.element.get("unit")
        if self.unit and given not in (None, self.unit):
            raise found.refuse(f"unit {given!r} instead of {self.unit!r}")
        return read_item(self.item, found)

    def write(self, value: Any, into: etree._Element) -> None:
        """Write a value below an element."""
        if self.path.startswith("@"):
            assert not isinstance(self.item, type)  # noqa: S101 -- an attribute is text
            into.set(self.path[1:], self.item.text(value))
            return
        element = into if self.path == "." else _make(into, self.path)
        if self.unit:
            element.set("unit", self.unit)
        write_item(self.item, value, element)


@dataclass(frozen=True, slots=True)
class Band:
    """The band of a file of one band, which must be the one that is asked for, or none in particular."""

    path: str = "BAND_ID"

    def read(self, at: Fields) -> str:
        """Return the value below an element."""
        index = _down(at, self.path)
        name: str = BandIndex().read(index)
        if at.scope.band and name != at.scope.band:
            wanted = BandIndex().text(at.scope.band)
            raise index.refuse(f"band {index.text} instead of {wanted} ({at.scope.band})")
        return name

    def write(self, value: str, into: etree._Element) -> None:
        """Write a value below an element."""
        _make(into, self.path).text = BandIndex().text(value)


@dataclass(frozen=True, slots=True)
class Perhaps:
    """What may be absent: None then."""

    place: At

    def read(self, at: Fields) -> Any:
        """Return the value below an element."""
        return self.place.read(at) if at.element.find(self.place.path) is not None else None

    def write(self, value: Any, into: etree._Element) -> None:
        """Write a value below an element."""
        if value is not None:
            self.place.write(value, into)


@dataclass(frozen=True, slots=True)
class Either:
    """One of several records, each with its tag."""

    records: Mapping[str, type]
    path: str = ""

    def read(self, at: Fields) -> Any:
        """Return the value below an element."""
        here = _down(at, self.path) if self.path else at
        there = [tag for tag in self.records if here.has(tag)]
        if len(there) != 1:
            raise here.refuse(f"{len(there)} instead of one", " or ".join(self.records))
        return read_record(self.records[there[0]], here.child(there[0]))

    def write(self, value: Any, into: etree._Element) -> None:
        """Write a value below an element."""
        tag = next(tag for tag, record in self.records.items() if isinstance(value, record))
        write_record(value, _make(into, f"{self.path}/{tag}" if self.path else tag))


@dataclass(frozen=True, slots=True)
class Several:
    """A tuple: one element each, below the element `inside` if there is one."""

    tag: str
    item: Item
    inside: str = ""
    low: int = 1
    high: int = 1_000_000
    unique: bool = False

    def read(self, at: Fields) -> tuple[Any, ...]:
        """Return the value below an element."""
        here = _down(at, self.inside) if self.inside else at
        out = tuple(read_item(self.item, element) for element in here.children(self.tag))
        if not self.low <= len(out) <= self.high:
            raise here.refuse(f"{len(out)} entries, not {self.low} to {self.high}", self.tag)
        if self.unique and len(set(out)) != len(out):
            raise here.refuse("an entry is there twice", self.tag)
        return out

    def write(self, value: tuple[Any, ...], into: etree._Element) -> None:
        """Write a value below an element."""
        here = _make(into, self.inside) if self.inside else into
        for one in value:
            write_item(self.item, one, etree.SubElement(here, self.tag))


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping: one element by key, no key twice.

    Attributes
    ----------
    tag : str
    key : str
        Place of the key in the element: ``@band_id`` or ``BAND_ID``.
    kind : Kind
        Of the key.
    item : Place, kind or record
        What the element holds beside its key.
    inside : str
        Element around all of them.
    complete : tuple
        Keys that must be there.
    low : int
        Smallest number of entries.
    """

    tag: str
    key: str
    kind: Kind
    item: Any
    inside: str = ""
    complete: tuple[Any, ...] = ()
    low: int = 1
    unit: str = ""

    def read(self, at: Fields) -> Mapping[Any, Any]:
        """Return the value below an element."""
        here = _down(at, self.inside) if self.inside else at
        out: dict[Any, Any] = {}
        for element in here.children(self.tag):
            key = At(self.key, self.kind).read(element)
            if key in out:
                raise element.refuse(f"{key} is there twice")
            if self.key == "@detector_id" and at.scope.detectors and key not in at.scope.detectors:
                continue
            given = element.element.get("unit")
            if self.unit and given not in (None, self.unit):
                raise element.refuse(f"unit {given!r} instead of {self.unit!r}")
            below = element.of_band(key) if isinstance(self.kind, BandIndex) else element
            if not self.key.startswith("@"):
                below.path += f"[{self.key}={self.kind.text(key)}]"
            out[key] = self.item.read(below) if hasattr(self.item, "write") else read_item(self.item, below)
        missing = [key for key in self.complete if key not in out]
        if missing:
            raise here.refuse(f"{missing[0]} is missing", self.tag)
        if len(out) < self.low:
            wanted = f" of the detectors {', '.join(map(str, at.scope.detectors))}" if at.scope.detectors else ""
            raise here.refuse(f"none{wanted}" if not out else f"{len(out)} entries, not {self.low}", self.tag)
        return MappingProxyType(out)

    def write(self, value: Mapping[Any, Any], into: etree._Element) -> None:
        """Write a value below an element."""
        here = _make(into, self.inside) if self.inside else into
        for key, one in value.items():
            element = etree.SubElement(here, self.tag)
            At(self.key, self.kind).write(key, element)
            if self.unit:
                element.set("unit", self.unit)
            if hasattr(self.item, "write"):
                self.item.write(one, element)
            else:
                write_item(self.item, one, element)


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping by two keys, which stands as a table of tables; `turned`: the inner key comes first here."""

    outer: Table
    turned: bool = False

    def read(self, at: Fields) -> Mapping[tuple[Any, Any], Any]:
        """Return the value below an element."""
        nested = self.outer.read(at)
        pairs = (((b, a) if self.turned else (a, b), v) for a, inner in nested.items() for b, v in inner.items())
        return MappingProxyType(dict(pairs))

    def write(self, value: Mapping[tuple[Any, Any], Any], into: etree._Element) -> None:
        """Write a value below an element."""
        nested: dict[Any, dict[Any, Any]] = {}
        for key, one in value.items():
            outer, inner = reversed(key) if self.turned else key
            nested.setdefault(outer, {})[inner] = one
        self.outer.write(nested, into)


@dataclass(frozen=True, slots=True)
class Both:
    """A tuple of two values that stand beside each other."""

    first: At
    second: At

    def read(self, at: Fields) -> tuple[Any, Any]:
        """Return the value below an element."""
        return self.first.read(at), self.second.read(at)

    def write(self, value: tuple[Any, Any], into: etree._Element) -> None:
        """Write a value below an element."""
        self.first.write(value[0], into)
        self.second.write(value[1], into)


@dataclass(frozen=True, slots=True)
class Matrix:
    """AN_ARRAY_OF_DOUBLE: (row, column) float64; `shape` is what it must have, `inside` the element that holds it."""

    inside: str = ""
    shape: tuple[int, int] | None = None
    origin: int = 0

    def read(self, at: Fields) -> NDArray[np.float64]:
        """Return the value below an element."""
        here = _down(at, self.inside) if self.inside else at
        rows, columns = (here.child(f"NB_OF_{name}").integer(1, 65_536) for name in ("ROWS", "COLS"))
        if self.shape is not None and (rows, columns) != self.shape:
            raise here.refuse(f"{rows} x {columns} values instead of {self.shape[0]} x {self.shape[1]}")
        here.child("ORIGIN").integer(0, 1)
        array = here.child("ARRAY")
        lines = [row.numbers(columns) for row in array.children("ROW")]
        if len(lines) != rows:
            raise array.refuse(f"{len(lines)} rows instead of {rows}", "ROW")
        return frozen(np.array(lines))

    def write(self, value: NDArray[np.float64], into: etree._Element) -> None:
        """Write a value below an element."""
        here = _make(into, self.inside) if self.inside else into
        for tag, number in zip(("NB_OF_ROWS", "NB_OF_COLS", "ORIGIN"), (*value.shape, self.origin), strict=True):
            etree.SubElement(here, tag).text = str(number)
        array = etree.SubElement(here, "ARRAY")
        for row in value:
            etree.SubElement(array, "ROW").text = plain_list(row)


@cache
def places(record: Any) -> Mapping[str, Place]:
    """Return the place of each attribute of a record, in the order of the file.

    Notes
    -----
    Attributes without a place are not in the file. A record whose attributes are in another order than its file has
    names them in `ORDER`.
    """
    hints = get_type_hints(record, include_extras=True)
    out: dict[str, Place] = {}
    for name in getattr(record, "ORDER", ()) or (one.name for one in fields(record)):
        found = [m for m in getattr(hints[name], "__metadata__", ()) if hasattr(m, "write")]
        if found:
            out[name] = found[0]
    return MappingProxyType(out)


def read_values(record: Any, at: Fields) -> dict[str, Any]:
    """Return the attributes of a record that stand below an element."""
    return {name: place.read(at) for name, place in places(record).items()}


def read_record(record: type[R], at: Fields) -> R:
    """Return the record that stands below an element; its method `check`, if any, compares what belongs together."""
    return checked(record(**read_values(record, at)), at)


def checked(value: R, at: Fields) -> R:
    """Return a record after its own check, which names `at` where it refuses."""
    check: Callable[[Fields], None] | None = getattr(value, "check", None)
    if check is not None:
        check(at)
    return value


def write_record(value: Any, into: etree._Element) -> None:
    """Write a record below an element."""
    record: Any = type(value)
    for name, place in places(record).items():
        place.write(getattr(value, name), into)


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """AN_UNIDIM_FILTER: a filter along one direction.

    Attributes
    ----------
    rows, columns : int
        One of them is 1.
    origin : int
        Position of its centre.
    coefficients : (tap) float64
    """

    rows: Annotated[int, At("NB_OF_ROWS", Integer(1, 4096))]
    columns: Annotated[int, At("NB_OF_COLS", Integer(1, 4096))]
    origin: Annotated[int, At("ORIGIN", Integer(0, 4096))]
    coefficients: Annotated[NDArray[np.float64], At("COEFS", Reals())]

    @classmethod
    def across(cls, coefficients: NDArray[np.float64]) -> "Taps":
        """Return a filter across track, centred."""
        return cls(1, len(coefficients), len(coefficients) // 2, coefficients)

    def check(self, at: Fields) -> None:
        """Refuse sizes that do not belong together."""
        if min(self.rows, self.columns) != 1 or self.rows * self.columns != self.coefficients.size:
            raise at.refuse(f"{self.coefficients.size} values for {self.rows} x {self.columns}", "COEFS")
        if self.origin >= self.coefficients.size:
            raise at.refuse(f"{self.origin} is behind the last value", "ORIGIN")
