"""The table of indicators: one Zarr store, an array per indicator along the axis of products, for `xarray.open_zarr`.

An indicator of a whole product is an array (product); one of bands is ``<name>_by_band`` (product, band), one of
detectors ``<name>_by_detector`` (product, detector), one of both ``<name>_by_band_and_detector``. The outcome of a
check is ``<checklist>.<id>`` with its value and ``<checklist>.<id>.status``. What the products are stands beside, as
coordinates: time of sensing, level, unit, tile, orbit, baseline …

Rows are added at the end. They appear when the consolidated metadata, one document, state the new length: a reader of
those sees all of an addition or nothing, and an addition that was interrupted is made again over its own traces.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import numpy as np
import zarr

from s2dask.errors import InputError
from s2dask.instrument import BANDS, unit
from s2dask.io.storage import exists, zarr_store
from s2dask.io.template import consolidate
from s2dask.qc.indicators import Indicator, Product, instant, stamp

if TYPE_CHECKING:
    from s2dask.qc.store import Query

_SCHEMA: Final = "s2dask-indicator-table/1"
_BANDS: Final = tuple(BANDS)
_DETECTORS: Final = tuple(range(1, 13))
_DIMENSIONS: Final = {
    "": (), "_by_band": ("band",), "_by_detector": ("detector",), "_by_band_and_detector": ("band", "detector"),
}  # fmt: skip
_LENGTHS: Final = {"band": len(_BANDS), "detector": len(_DETECTORS)}
_TEXTS: Final = (
    "product", "level", "unit", "kind", "tile", "baseline", "gipp_set", "datatake", "generation_time", "origin",
    "seeded", "digest", "key",
)  # fmt: skip
_NUMBERS: Final = {"time": "int64", "orbit": "int32", "relative_orbit": "int16"}
_CHUNKS: Final = {0: 16384, 1: 4096, 2: 1024}
_STATUSES: Final = ("PASSED", "FAILED", "ERROR", "NOT_MADE")
_SEVERITIES: Final = ("", "sample", "informative", "concluding")
_TEN: Final = 10
_STATUS: Final = ".status"
_LONGEST: Final = 200
_EPOCH: Final = np.datetime64("1970-01-01T00:00:00", "ms")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one inspection of a product told.

    Attributes
    ----------
    product : Product
    origin : str
        Who measured.
    seeded : tuple of str
        Defects that were put in on purpose.
    digest : str
        Of the file that it came in.
    indicators : tuple of Indicator
        Those that were asked for.
    """

    product: Product
    origin: str
    seeded: tuple[str, ...] = ()
    digest: str = ""
    indicators: tuple[Indicator, ...] = ()

    @property
    def key(self) -> str:
        """What two inspections of the same product by the same measurer share."""
        return f"{self.product.identity}.{self.origin}"


@dataclass(frozen=True, slots=True)
class _Column:
    """An array of the table: which indicator of which checklist, along which axes beside that of products."""

    indicator: str
    checklist: str
    form: str
    is_status: bool = False

    @property
    def name(self) -> str:
        plain = f"{self.checklist}.{self.indicator}" if self.checklist else self.indicator
        return _node_name(plain + self.form) + (_STATUS if self.is_status else "")

    @property
    def dimensions(self) -> tuple[str, ...]:
        return _DIMENSIONS[self.form]

    @property
    def attributes(self) -> dict[str, Any]:
        told: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        if not self.is_status:
            return told
        codes = {(status, severity): _code(status, severity) for status in _STATUSES for severity in _SEVERITIES}
        told["flag_values"] = list(codes.values())
        told["flag_meanings"] = " ".join(f"{severity}_{status}".strip("_").lower() for status, severity in codes)
        return told

    def place(self, indicator: Indicator) -> tuple[int, ...]:
        """Return where an indicator of a product lies."""
        at = {"band": _BANDS.index(indicator.band) if indicator.band else -1, "detector": indicator.detector - 1}
        return tuple(at[name] for name in self.dimensions)

    def indicator_at(self, place: Sequence[int], value: float | None, code: int = 0) -> Indicator:
        """Return the indicator that lies at a place."""
        at = dict(zip(self.dimensions, place, strict=True))
        return Indicator(
            self.indicator, value, _BANDS[at["band"]] if "band" in at else "", at.get("detector", -1) + 1,
            self.checklist, _SEVERITIES[code // _TEN], _STATUSES[code % _TEN - 1] if code else "",
        )  # fmt: skip


def _node_name(text: str) -> str:
    """Return the name of the array of an indicator: as it is, if no file system, Zarr or coordinate minds."""
    name = quote(text, safe="").replace("__", "%5F_")
    if name.endswith(_STATUS) or not name.strip("."):
        name = name.replace(".", "%2E")
    if len(name) > _LONGEST:
        name = f"%{hashlib.sha256(name.encode()).hexdigest()}"
    return f"%{name}" if name in ("", "zarr.json", *_TEXTS, *_NUMBERS, *_LENGTHS) else name


def _code(status: str, severity: str) -> int:
    return 1 + _STATUSES.index(status) + _TEN * _SEVERITIES.index(severity)


def _column(indicator: Indicator) -> _Column:
    form = ("_by_band_and_detector" if indicator.detector else "_by_band") if indicator.band else ""
    if indicator.detector and not indicator.band:
        form = "_by_detector"
    return _Column(indicator.indicator, indicator.checklist, form)


def _facts(entry: Entry) -> dict[str, Any]:
    """Return the coordinates of a row."""
    p = entry.product
    orbit = re.search(r"_(\d{6})_", p.datatake)
    absolute = int(orbit[1]) if orbit else 0
    texts = {name: str(getattr(p, name)) for name in _TEXTS if hasattr(p, name)}
    texts |= {"product": p.name, "origin": entry.origin, "seeded": "\n".join(entry.seeded)}
    texts |= {"digest": entry.digest, "key": entry.key}
    time = np.datetime64(instant(p.sensing_time, p.name), "ms")
    numbers = {"time": int((time - _EPOCH) / np.timedelta64(1, "ms")), "orbit": absolute}
    return texts | numbers | {"relative_orbit": unit(p.unit).relative_orbit(absolute) if absolute else 0}


def has_room(entry: Entry) -> bool:
    """Tell whether a table has a place for all that an entry tells: known bands, detectors, statuses and severities."""
    return all(
        i.band in ("", *_BANDS) and i.detector in (0, *_DETECTORS)
        and i.status in ("", *_STATUSES) and i.severity in _SEVERITIES and i.indicator.isprintable()
        for i in entry.indicators
    )  # fmt: skip


def _cells(entry: Entry) -> Iterator[tuple[_Column, tuple[int, ...], float]]:
    """Yield (array, place, number) of what an entry tells; an indicator without value and status tells nothing."""
    for indicator in entry.indicators:
        column = _column(indicator)
        place = column.place(indicator)
        if indicator.value is not None:
            yield column, place, indicator.value
        if indicator.status:
            yield replace(column, is_status=True), place, float(_code(indicator.status, indicator.severity))


@dataclass(frozen=True)
class Table:
    """A table as it stands at one moment.

    Attributes
    ----------
    url : str
    length : int
        Rows.
    facts : mapping of str to (row) array
        Coordinates.
    arrays : mapping of _Column to zarr.Array
    """

    url: str
    length: int = 0
    facts: Mapping[str, np.ndarray] = field(default_factory=dict)
    arrays: Mapping[_Column, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a table; where there is none it is empty."""
        if not exists(f"{url.rstrip('/')}/zarr.json"):
            return cls(url)
        group = zarr.open_group(zarr_store(url, read_only=True), mode="r", use_consolidated=True)
        if group.attrs.get("schema") != _SCHEMA:
            remedy = "it was written by another version: compact the journal into a new store"
            raise InputError(f"schema {group.attrs.get('schema')!r}", url, remedy)
        told = {name: group[name] for name in (*_TEXTS, *_NUMBERS)}
        facts = {name: np.asarray(array[...]) for name, array in told.items() if isinstance(array, zarr.Array)}
        facts |= {name: facts[name].astype(object) for name in _TEXTS}
        return cls(url, len(facts["time"]), facts, _columns(group))

    def entry(self, row: int) -> Entry:
        """Return what a row is about, without indicators."""
        told = {name: str(self.facts[name][row]) for name in _TEXTS}
        time = str(_EPOCH + np.timedelta64(int(self.facts["time"][row]), "ms"))
        names = ("level", "unit", "kind", "tile", "baseline", "gipp_set", "datatake", "generation_time")
        sensed = stamp(time, told["product"])
        product = Product(name=told["product"], sensing_time=sensed, **{name: told[name] for name in names})
        seeded = tuple(told["seeded"].split("\n")) if told["seeded"] else ()
        return Entry(product, told["origin"], seeded, told["digest"])

    def rows(self, query: "Query") -> np.ndarray:
        """Return (n) int64 the rows whose products a query can ask for."""
        if not self.length:
            return np.zeros(0, np.int64)
        months = (_EPOCH + self.facts["time"].astype("timedelta64[ms]")).astype("datetime64[M]").astype(str)
        chosen = months >= query.since
        if query.until:
            chosen &= months <= query.until
        for name, wanted in (("level", query.levels), ("unit", query.units), ("tile", query.tiles)):
            if wanted:
                chosen &= np.isin(self.facts[name], wanted)
        if not query.seeded:
            chosen &= self.facts["seeded"] == ""
        return np.flatnonzero(chosen)

    def indicators(self, rows: np.ndarray, query: "Query") -> dict[int, list[Indicator]]:
        """Return the indicators that a query asks for, by row; arrays that it does not ask for are not read.

        Parameters
        ----------
        rows : (n) int64
            Increasing.
        query : Query
        """
        out: dict[int, list[Indicator]] = {int(row): [] for row in rows}
        values = [c for c in self.arrays if not c.is_status]
        statuses = [c for c in self.arrays if c.is_status and replace(c, is_status=False) not in self.arrays]
        for column in sorted((*values, *statuses), key=lambda c: c.name):
            if not query.indicators or column.indicator in query.indicators:
                for row, indicator in self._told(column, rows):
                    if query.wants(indicator):
                        out[row].append(indicator)
        return out

    def _told(self, column: _Column, rows: np.ndarray) -> Iterator[tuple[int, Indicator]]:
        """Yield (row, indicator) of an array of values, with the statuses beside it, or of statuses alone."""
        numbers = None if column.is_status else self._read(self.arrays[column], rows)
        beside = self.arrays.get(replace(column, is_status=True))
        codes = None if beside is None else self._read(beside, rows)
        there = np.zeros(0, bool) if numbers is None else np.isfinite(numbers)
        there = there if codes is None else codes > 0 if numbers is None else there | (codes > 0)
        for at in np.argwhere(there):
            place = tuple(int(i) for i in at)
            value = None if numbers is None or not np.isfinite(numbers[place]) else float(numbers[place])
            yield int(rows[place[0]]), column.indicator_at(place[1:], value, 0 if codes is None else int(codes[place]))

    @staticmethod
    def _read(array: Any, rows: np.ndarray) -> np.ndarray:
        first = int(rows[0])
        return np.asarray(np.asarray(array[first : int(rows[-1]) + 1])[rows - first])


def _columns(group: zarr.Group) -> dict[_Column, Any]:
    """Return the arrays of indicators of a table."""
    told = {f.name for f in fields(_Column)}
    found = [array for _, array in group.arrays() if told <= set(array.attrs)]
    return {_Column(**{name: array.attrs[name] for name in told}): array for array in found}  # type: ignore[arg-type]


def _new_array(group: zarr.Group, column: _Column) -> Any:
    dims = column.dimensions
    return group.create_array(
        column.name, shape=(0, *(_LENGTHS[d] for d in dims)),
        chunks=(_CHUNKS[len(dims)], *(_LENGTHS[d] for d in dims)),
        dtype="uint8" if column.is_status else "float64", fill_value=0 if column.is_status else np.nan,
        dimension_names=("product", *dims), attributes=column.attributes,
    )  # fmt: skip


def _begin(url: str) -> zarr.Group:
    """Return the group of a table that is there, or of an empty one."""
    group = zarr.open_group(zarr_store(url), mode="a", use_consolidated=False)
    if "schema" in group.attrs:
        return group
    coordinates = " ".join(name for name in (*_TEXTS, *_NUMBERS) if name != "product")
    for name in _TEXTS:
        group.require_array(
            name, shape=(0,), chunks=(_CHUNKS[0],), dtype="string", fill_value="", dimension_names=("product",)
        )
    for name, kind in _NUMBERS.items():
        attributes = {"units": "milliseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
        group.require_array(
            name, shape=(0,), chunks=(_CHUNKS[0],), dtype=kind, fill_value=0, dimension_names=("product",),
            attributes=attributes if name == "time" else {},
        )  # fmt: skip
    axes: tuple[tuple[str, Sequence[Any], str], ...] = (("band", _BANDS, "string"), ("detector", _DETECTORS, "int8"))
    for name, values, kind in axes:
        array = group.require_array(name, shape=(len(values),), dtype=kind, dimension_names=(name,))
        array[...] = np.array(values, np.dtypes.StringDType() if kind == "string" else np.int8)
    group.attrs.update({"schema": _SCHEMA, "title": "Indicators of quality of products", "coordinates": coordinates})
    return group


def extend(url: str, entries: Iterable[Entry]) -> int:
    """Put entries into a table, each once, and return how many are new; one that is there takes the place of its row.

    Parameters
    ----------
    url : str
        Zarr group; made where there is none.
    entries : iterable of Entry
        With all their indicators.
    """
    table = Table.open(url)
    known = {str(key): row for row, key in enumerate(table.facts.get("key", ()))}
    chosen: dict[int, Entry] = {}
    for entry in entries:
        row = known.setdefault(entry.key, len(known))
        chosen[row] = entry
    length = len(known)
    if not chosen:
        return 0
    group = _begin(url)
    arrays = _columns(group)
    cells: dict[_Column, list[tuple[int, tuple[int, ...], float]]] = {column: [] for column in arrays}
    for row, entry in chosen.items():
        for column, place, value in _cells(entry):
            cells.setdefault(column, []).append((row, place, value))
    rows = np.array(sorted(chosen))
    for column, told in cells.items():
        array = arrays.get(column) or _new_array(group, column)
        array.resize((length, *array.shape[1:]))
        _fill(array, rows, told, written=length if column in arrays else 0)
    facts = [_facts(chosen[int(row)]) for row in rows]
    for name in (*_TEXTS, *_NUMBERS):
        coordinate: Any = group[name]
        coordinate.resize((length,))
        first = int(rows[0])
        block = np.asarray(coordinate[first:])
        block[rows - first] = [fact[name] for fact in facts]
        coordinate[first:] = block
    consolidate(url)
    return length - table.length


def _fill(array: Any, rows: np.ndarray, told: Sequence[tuple[int, tuple[int, ...], float]], written: int) -> None:
    """Write numbers into rows of an array and clear the rest of these rows; below `written` some may hold numbers."""
    if not told and not (rows < written).any():
        return
    first, last = int(rows[0]), int(rows[-1]) + 1
    block = np.asarray(array[first:last])
    block[rows - first] = array.fill_value
    for row, place, value in told:
        block[(row - first, *place)] = value
    array[first:last] = block
