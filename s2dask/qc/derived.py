"""Indicators that two products tell together: the shift of a tile from one date to the next."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from math import hypot
from typing import Final

from s2dask.qc.indicators import Indicator, Product
from s2dask.qc.store import Query, Row, scan

_EAST, _NORTH = "geolocation_east", "geolocation_north"
DERIVED: Final = ("temporal_shift", "temporal_shift_east", "temporal_shift_north")


def temporal_shifts(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the shifts of each tile from one date to the next, as rows of the later product.

    Parameters
    ----------
    rows : iterable of Row
        With the location errors against one reference image; of a scene made again the newest counts.

    Notes
    -----
    Two products whose errors against the same image are known lie apart by the difference of these: no third image is
    needed, and a bias that both share, such as that of the reference, is not seen.
    """
    found: dict[str, dict[str, tuple[Product, dict[str, float]]]] = defaultdict(dict)
    for row in rows:
        p, i = row.product, row.indicator
        if i.indicator not in (_EAST, _NORTH) or i.value is None or not p.tile or i.band:
            continue
        known = found[p.tile].get(p.sensing_time)
        if known is None or known[0].generation_time < p.generation_time:
            known = found[p.tile][p.sensing_time] = (p, {})
        if known[0] == p:
            known[1][i.indicator] = i.value
    for dates in found.values():
        whole = [dates[time] for time in sorted(dates) if len(dates[time][1]) == len((_EAST, _NORTH))]
        for (_, before), (product, now) in pairwise(whole):
            east, north = (now[name] - before[name] for name in (_EAST, _NORTH))
            for name, value in zip(DERIVED, (hypot(east, north), east, north), strict=True):
                yield Row(product, Indicator(name, value))


def rows_of(store: str, query: Query, damaged: list[str]) -> Iterator[Row]:
    """Yield what `scan` does, and indicators that are made of several products where a query names them.

    Parameters
    ----------
    store : str
    query : Query
    damaged : list of str
        Filled as by `scan`.
    """
    if not any(name in DERIVED for name in query.indicators):
        yield from scan(store, query, damaged)
        return
    # both units see a tile by turns
    wide = replace(query, indicators=(*query.indicators, _EAST, _NORTH), units=(), bands=(), detector=None)
    told = list(scan(store, wide, damaged))
    for row in (*told, *temporal_shifts(told)):
        if query.wants(row.indicator) and (not query.units or row.product.unit in query.units):
            yield row
