"""Any GIPP that can be: strategies from the places of the records, equality of records, schemas for them."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from hypothesis import strategies as st
from lxml import etree
from numpy.typing import NDArray

from s2dask.auxdata.gipp_binning import BinningKernel
from s2dask.auxdata.gipp_datation import AncillaryAnalysis
from s2dask.auxdata.gipp_defect_filters import DefectFilter, DefectFilters
from s2dask.auxdata.gipp_equalisation import OnboardEqualisation
from s2dask.auxdata.gipp_file import Gipp, GippHeader
from s2dask.auxdata.gipp_filters import ImageFilter, SeparableFilter
from s2dask.auxdata.gipp_production import ProcessingBaseline, Stretch
from s2dask.auxdata.gipp_quicklook import DisplayModel
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement
from s2dask.auxdata.gipp_record import At, Band, Both, Either, Matrix, Pairs, Perhaps, Several, Table, Taps, places
from s2dask.auxdata.gipp_resampling import Representation, TileDescription
from s2dask.auxdata.gipp_restoration import L2Norms, MaximumCoefficients
from s2dask.auxdata.gipp_scenario import Denoising, Restoration
from s2dask.auxdata.gipp_types import TYPES
from s2dask.auxdata.gipp_values import (
    BandIndex,
    DetectorId,
    Flag,
    Integer,
    PixelReals,
    PixelShifts,
    Real,
    Reals,
    Strings,
    Text,
    Word,
)
from s2dask.instrument import BANDS

FAR = 1e12
"""A limit for numbers that have none."""


def same(one: Any, other: Any) -> bool:
    """Whether two records, or parts of them, are equal to the last bit."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and type(one) is type(other)


def _random(size: Any, low: float, high: float) -> st.SearchStrategy[NDArray[np.float64]]:
    low, high = max(low, -FAR), min(high, FAR)
    return st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).uniform(low, high, size))


def _reals(kind: Real) -> st.SearchStrategy[float]:
    scale = 10.0**kind.exponent
    low, high = max(kind.low, -FAR) * scale, min(kind.high, FAR) * scale
    return st.floats(low, high, exclude_min=kind.open_low or kind.exponent != 0, exclude_max=kind.exponent != 0).map(
        lambda v: v + 0.0
    )


def _value(kind: Any, band: str) -> st.SearchStrategy[Any]:
    """Return what a kind can be."""
    if isinstance(kind, type):
        return record(kind, band)
    if isinstance(kind, Reals):
        count = st.just(kind.count) if kind.count else st.integers(1, 5)
        return count.flatmap(lambda n: _random(n, kind.low, kind.high))
    choices: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
        Integer: lambda k: st.integers(k.low, k.high),
        Real: _reals,
        Flag: lambda _: st.booleans(),
        Word: lambda k: st.sampled_from(sorted(k.words.values())),
        Text: lambda _: st.text("abcXYZ09:_.", max_size=8),
        BandIndex: lambda k: st.sampled_from(k.allowed),
        DetectorId: lambda _: st.integers(1, 12),
        PixelReals: lambda k: _random(BANDS[band].raw_columns, k.low, k.high),
        PixelShifts: lambda _: _random(BANDS[band].raw_columns, -1.49, 1.49).map(lambda v: np.rint(v).astype(np.int8)),
        Strings: lambda _: st.lists(st.text("abc", min_size=1, max_size=4), max_size=4).map(tuple),
    }
    return choices[type(kind)](kind)


def _table(table: Table, band: str) -> st.SearchStrategy[Any]:
    keys: Any = _value(table.kind, band)
    chosen = st.just(list(table.complete)) if table.complete else st.lists(keys, min_size=1, max_size=2, unique=True)

    def rows(found: list[Any]) -> st.SearchStrategy[Any]:
        inner = {k: _place(table.item, k if isinstance(table.kind, BandIndex) else band) for k in found}
        return st.fixed_dictionaries(inner)

    return chosen.flatmap(rows).map(MappingProxyType)


def _pairs(place: Pairs, band: str) -> st.SearchStrategy[Any]:
    def flat(nested: Mapping[Any, Mapping[Any, Any]]) -> Mapping[Any, Any]:
        pairs = (((b, a) if place.turned else (a, b), v) for a, inner in nested.items() for b, v in inner.items())
        return MappingProxyType(dict(pairs))

    return _table(place.outer, band).map(flat)


def _place(place: Any, band: str) -> st.SearchStrategy[Any]:
    """Return what can stand at a place."""
    if isinstance(place, At):
        return _value(place.item, band)
    if isinstance(place, Perhaps):
        return st.none() | _place(place.place, band)
    if isinstance(place, Either):
        return st.one_of([record(one, band) for one in place.records.values()])
    if isinstance(place, Several):
        size = {"min_size": place.low, "max_size": min(place.low + 1, place.high)}
        return st.lists(_value(place.item, band), unique=place.unique, **size).map(tuple)  # type: ignore[arg-type]
    if isinstance(place, Both):
        return st.tuples(_place(place.first, band), _place(place.second, band))
    if isinstance(place, Matrix):
        shape = st.just(place.shape) if place.shape else st.tuples(st.integers(1, 3), st.integers(1, 3))
        return shape.flatmap(lambda s: _random(s, -10.0, 10.0))
    if isinstance(place, Band):
        return st.just(band)
    if isinstance(place, Pairs):
        return _pairs(place, band)
    if isinstance(place, Table):
        return _table(place, band)
    return _value(place, band)


def _normal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.abs(values) + 1.0
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _defects(v: dict[str, Any]) -> dict[str, Any]:
    run, left, right = v["run"] % 5 + 1, v["left"] % 4 + 1, v["right"] % 4
    taps = _normal(np.resize(v["taps"], (run, left + right)))
    return {**v, "run": run, "left": left, "right": right, "taps": taps}


def _kernel(v: dict[str, Any]) -> dict[str, Any]:
    return {**v, "kernel": _normal(v["kernel"].ravel()).reshape(v["kernel"].shape)}


def _taps(v: dict[str, Any]) -> dict[str, Any]:
    size = v["coefficients"].size
    rows, columns = (size, 1) if v["rows"] % 2 else (1, size)
    return {**v, "rows": rows, "columns": columns, "origin": v["origin"] % size}


def _levels(v: dict[str, Any]) -> dict[str, Any]:
    tables = [np.abs(table) + 0.1 for table in v["levels"].values()]
    return {**v, "depth": len(tables), "levels": MappingProxyType(dict(enumerate(tables, 1)))}


def _center(v: dict[str, Any]) -> dict[str, Any]:
    rows, columns = v["data"].values.shape
    return {**v, "center_row": v["center_row"] % rows + 1, "center_column": v["center_column"] % columns + 1}


def _display(v: dict[str, Any]) -> dict[str, Any]:
    n = v["tan_x"].size
    connections = MappingProxyType({d: c % n for d, c in v["connections"].items()})
    return {**v, "columns": n, "tan_y": np.resize(v["tan_y"], n), "connections": connections}


def _sets(v: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(v["tables"].values()))
    return {**v, "tables": MappingProxyType(dict.fromkeys(v["tables"], first))}


FIX: dict[type, Callable[[dict[str, Any]], dict[str, Any]]] = {
    AncillaryAnalysis: lambda v: {**v, "orbit_offset": v["orbit_offset"] % v["total_orbits"]},
    BinningKernel: _kernel,
    DefectFilter: _defects,
    DefectFilters: lambda v: {**v, "filters": v["filters"][:1]},
    Denoising: lambda v: {**v, "segment_overlap": 1, "segment_size": max(2, v["segment_size"])},
    DisplayModel: _display,
    ImageFilter: _center,
    L2Norms: _levels,
    MaximumCoefficients: _levels,
    OnboardEqualisation: _sets,
    ProcessingBaseline: lambda v: {**v, "baselines": MappingProxyType(dict.fromkeys(v["baselines"], "05.11"))},
    Representation: lambda v: {**v, "tiles": v["tiles"][:1]},
    Restoration: lambda v: {**v, "lowest": min(v["lowest"], 100), "highest": max(v["highest"], 101)},
    SeparableFilter: lambda v: {**v, "rows": v["row_coefficients"].size, "columns": v["column_coefficients"].size},
    Stretch: lambda v: {**v, "lowest": v["lowest"] / 3, "highest": v["highest"] / 3 + 4},
    SwirRearrangement: lambda v: {**v, "filter": Taps.across(np.array([0.25, 0.5, 0.25]))},
    Taps: _taps,
    TileDescription: lambda v: {**v, "code": "EPSG:32632"},
}
"""What makes values belong together that were drawn one by one."""


def record(kind: Any, band: str) -> st.SearchStrategy[Any]:
    """Return the records of a class that can be."""
    drawn = st.fixed_dictionaries({name: _place(place, band) for name, place in places(kind).items()})
    made = drawn.map(FIX.get(kind, dict))
    return made.map(lambda values: kind(**values))


HEADERS = st.builds(
    GippHeader,
    provider=st.sampled_from(["s2dask", "String", "MPC"]),
    version=st.integers(0, 9999).map(lambda n: f"{n:04d}"),
    start=st.sampled_from(["2015-06-22T00:00:00.0Z", "2021-04-21T23:30:00Z"]),
)


def gipps(name: str, unit: str, file: str) -> st.SearchStrategy[Any]:
    """Return the files of a type that can be, of a band where there is one file per band."""
    one = TYPES[name]
    kind: Any = one.record
    assert issubclass(kind, Gipp)
    bands = st.sampled_from(["B01", "B11"]) if one.per_band else st.just("")

    def of_band(band: str) -> st.SearchStrategy[Any]:
        drawn = st.fixed_dictionaries({n: _place(place, band) for n, place in places(kind).items()})
        made = drawn.map(FIX.get(kind, dict))
        return st.builds(lambda v, h: kind(unit=unit, file=file, header=h, **v), made, HEADERS)

    return bands.flatmap(of_band)


_WRAPPER = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:header="http://gs2.esa.int/GS/1.0/header/"
 xmlns:gipp="http://gs2.esa.int/GS/1.0/gipp/">
 <xs:import namespace="http://gs2.esa.int/GS/1.0/header/" schemaLocation="{folder}/Dicos/GS/1.0/header/header.xsd"/>
 <xs:import namespace="http://gs2.esa.int/GS/1.0/gipp/" schemaLocation="{folder}/Dicos/GS/1.0/gipp/gipp.xsd"/>
 <xs:element name="{root}"><xs:complexType><xs:sequence>
  <xs:element name="HEADER" type="header:AN_INTERFACE_HEADER"/>
  <xs:element name="SPECIFIC_HEADER" type="header:A_GIPP_HEADER"/>
  <xs:element name="DATA" type="gipp:{kind}"/>
 </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""


@cache
def schema(reference_data: Path, name: str) -> etree.XMLSchema:
    """Return the published schema of a type: its own, or one around its type of the dictionary."""
    folder = reference_data / "radiometry/xsd/v15_sen2vm/GIPP"
    kind = TYPES[name].dictionary
    if kind.startswith("GS2_"):
        return etree.XMLSchema(etree.parse(str(folder / f"GS2_GIPP/{kind.lower()}.xsd")))
    text = _WRAPPER.format(folder=folder.as_uri(), root=TYPES[name].record.ROOT, kind=kind)  # type: ignore[attr-defined]
    return etree.XMLSchema(etree.fromstring(text))
