"""Trends: the series of an indicator over products, its control chart, and the alarms with their evidence."""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from s2dask.errors import ConfigurationError
from s2dask.qc.control_chart import Chart, InControl, control_chart, in_control
from s2dask.qc.indicators import Product, instant
from s2dask.qc.store import Row

BASELINE_PRODUCTS = 50
_EVIDENCE = 40
_QUIET = 5


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What makes a series: all products of one level and unit, or of one tile.

    Attributes
    ----------
    indicator, level, unit, band : str
    detector : int
    tile : str
        Empty: of all tiles together.
    over, pool : str
        Band that it is divided by, and groups whose mean a point is (`s2dask.qc.pooling`); empty: neither.
    """

    indicator: str
    level: str
    unit: str
    band: str = ""
    detector: int = 0
    tile: str = ""
    over: str = ""
    pool: str = ""

    def __str__(self) -> str:
        detector = f"D{self.detector:02d}" if self.detector else ""
        band, pooled = "/".join(b for b in (self.band, self.over) if b), f"by {self.pool}" if self.pool else ""
        parts = (self.indicator, self.level, self.unit, detector, band, self.tile, pooled)
        return " ".join(part for part in parts if part)

    def command(self, store: str, until: str = "", baseline: str = "") -> str:
        """Return the command that makes this series and its charts from a store."""
        told = {"indicator": self.indicator, "store": store, "level": self.level, "unit": self.unit, "band": self.band}
        told |= {"detector": str(self.detector), "tile": self.tile, "over": self.over, "pool": self.pool}
        told |= {"until": until, "baseline": baseline}
        return "s2dask qc trend " + " ".join(f"--{name} {shlex.quote(value)}" for name, value in told.items() if value)


@dataclass(frozen=True, slots=True)
class Series:
    """One indicator over products, in the order of sensing.

    Attributes
    ----------
    key : Key
    products : tuple of Product
    values : (n) float64
    """

    key: Key
    products: tuple[Product, ...]
    values: np.ndarray

    @property
    def times(self) -> list[datetime]:
        """Return the times of sensing."""
        return [instant(product.sensing_time, product.name) for product in self.products]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A chart left its band: what a person needs to look into it.

    Attributes
    ----------
    ticket : str
        The same for the same event, however often the chart is made.
    key : Key
    product, opened : str
        First product out, and its time of sensing.
    chart : str
        ``EWMA``, ``CUSUM``, or both, whichever left first.
    direction : str
        ``up`` or ``down``.
    onset : str
        Product at which the CUSUM began to run, the estimate of where the change lies (Page 1954).
    back : str
        First product inside the band again; empty: still out, or too few products since to tell.
    mean, sigma, shift : float
        Of the baseline; mean of the products from onset to the last one out, less that of the baseline.
    changes : tuple of str
        Processing baselines and GIPP sets that changed since the baseline.
    evidence : tuple of dict
        The products from the one before the onset on: value and charts, in the order of sensing.
    """

    ticket: str
    key: Key
    product: str
    opened: str
    chart: str
    direction: str
    onset: str
    back: str
    mean: float
    sigma: float
    shift: float
    changes: tuple[str, ...]
    evidence: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A series with its chart; without one, ``problem`` says why.

    Attributes
    ----------
    series : Series
    baseline : int
        Products at its begin that are not judged.
    reference : InControl or None
    chart : Chart or None
        Of the products after the baseline.
    alarms : tuple of Alarm
    problem : str
    """

    series: Series
    baseline: int
    reference: InControl | None = None
    chart: Chart | None = None
    alarms: tuple[Alarm, ...] = ()
    problem: str = ""


def gather(rows: Iterable[Row], by_tile: bool = False) -> list[Series]:
    """Return the series that rows of a store make, by key; of one scene made again the newest product counts.

    Parameters
    ----------
    rows : iterable of Row
    by_tile : bool
        A series for each tile, for indicators that depend on the place.
    """
    found: dict[Key, dict[tuple[str, ...], tuple[Product, float]]] = {}
    for row in rows:
        p, i = row.product, row.indicator
        if i.value is None:
            continue
        key = Key(i.indicator, p.level, p.unit, i.band, i.detector, p.tile if by_tile else "")
        scene = (p.sensing_time, p.tile, p.datatake)
        known = found.setdefault(key, {}).get(scene)
        if known is None or known[0].generation_time <= p.generation_time:
            found[key][scene] = (p, i.value)
    return [_series(key, list(scenes.values())) for key, scenes in sorted(found.items())]


def _series(key: Key, told: list[tuple[Product, float]]) -> Series:
    told.sort(key=lambda pair: (pair[0].sensing_time, pair[0].name))
    return Series(key, tuple(p for p, _ in told), np.array([value for _, value in told], np.float64))


def baseline_size(series: Series, baseline: str) -> int:
    """Return how many products at the begin of a series are its baseline: a number of them, or up to a month."""
    if not baseline:
        return BASELINE_PRODUCTS
    if baseline.isdigit():
        return int(baseline)
    first, _, last = baseline.partition("..")
    inside = [first <= product.month <= (last or first) for product in series.products]
    return max((i + 1 for i, chosen in enumerate(inside) if chosen), default=0)


def follow(series: Series, baseline: str = "") -> Trend:
    """Return a series with its charts and alarms.

    Parameters
    ----------
    series : Series
    baseline : str
        Number of products, ``50``, or months, ``2026-01..2026-03``, before which products are left out; empty:
        the first 50.
    """
    if baseline and not baseline.isdigit():
        begin = baseline.partition("..")[0]
        later = [i for i, product in enumerate(series.products) if product.month >= begin]
        series = replace(series, products=tuple(series.products[i] for i in later), values=series.values[later])
    size = baseline_size(series, baseline)
    if size > len(series.values):
        return Trend(series, len(series.values), problem=f"{len(series.values)} of the {size} products of a baseline")
    try:
        reference = in_control(series.values[:size], f"baseline of {series.key}")
    except ConfigurationError as error:
        return Trend(series, size, problem=str(error))
    chart = control_chart(series.values[size:], reference)
    return Trend(series, size, reference, chart, tuple(_alarms(series, size, reference, chart)))


def _alarms(series: Series, size: int, reference: InControl, chart: Chart) -> Iterator[Alarm]:
    """Yield an alarm for each run of products out of the band; five inside end a run."""
    first = last = -1
    for i in (int(i) for i in np.flatnonzero(chart.out)):
        if first >= 0 and i - last > _QUIET:
            yield _alarm(series, size, reference, chart, first, last)
            first = -1
        first, last = (i if first < 0 else first), i
    if first >= 0:
        yield _alarm(series, size, reference, chart, first, last)


def _alarm(series: Series, size: int, reference: InControl, chart: Chart, first: int, last: int) -> Alarm:
    up = chart.above[first] > chart.below[first] if chart.cusum_out[first] else chart.ewma[first] > 0.0
    run = chart.above if up else chart.below
    onset = first
    while onset > 0 and run[onset - 1] > 0.0:
        onset -= 1
    products = series.products[size:]
    shown = range(max(onset - 1, 0), min(last + 1, onset + _EVIDENCE))
    told = [name for name, is_out in (("EWMA", chart.ewma_out[first]), ("CUSUM", chart.cusum_out[first])) if is_out]
    identity = f"{series.key}|{products[first].identity}"
    return Alarm(
        ticket=f"QI-{hashlib.sha256(identity.encode()).hexdigest()[:10]}",
        key=series.key,
        product=products[first].name,
        opened=products[first].sensing_time,
        chart=" and ".join(told),
        direction="up" if up else "down",
        onset=products[onset].name,
        back=products[last + 1].name if last + _QUIET < len(products) else "",
        mean=reference.mean,
        sigma=reference.sigma,
        shift=float(series.values[size:][onset : last + 1].mean() - reference.mean),
        changes=tuple(_changes(series.products[size - 1 : size + last + 1])),
        evidence=tuple(_evidence(series, size, chart, i) for i in shown),
    )


def _evidence(series: Series, size: int, chart: Chart, i: int) -> dict[str, Any]:
    product = series.products[size + i]
    return {
        "product": product.name,
        "sensing_time": product.sensing_time,
        "value": float(series.values[size + i]),
        "z": round(float(chart.z[i]), 4),
        "ewma": round(float(chart.ewma[i]), 4),
        "ewma_limit": round(float(chart.ewma_limit[i]), 4),
        "cusum": round(float(max(chart.above[i], chart.below[i])), 4),
        "cusum_limit": round(chart.cusum_limit, 4),
        "out": bool(chart.out[i]),
    }


def _changes(products: Sequence[Product]) -> Iterator[str]:
    for before, after in pairwise(products):
        if before.baseline != after.baseline:
            yield f"{after.unit} processing baseline {before.baseline} to {after.baseline} on {after.sensing_time[:10]}"
        if before.gipp_set != after.gipp_set:
            yield f"{after.unit} GIPP set {before.gipp_set[:12]} to {after.gipp_set[:12]} on {after.sensing_time[:10]}"
