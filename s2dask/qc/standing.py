"""How a product stands among those before it: each of its indicators beside its usual range and its control band."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from s2dask.qc.indicators import Indicator, Product
from s2dask.qc.monthly import watched_indicators
from s2dask.qc.store import Query, Row, scan
from s2dask.qc.trend import Key, Series, Trend, follow, gather

_FEWEST_USUAL = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """An indicator of a product among its like.

    Attributes
    ----------
    product : Product
    indicator : Indicator
    others : int
        Products of the same level and unit before it that have it.
    low, median, high : float or None
        Percentiles 5, 50 and 95 of those.
    ewma, lower, upper : float or None
        The chart at this product and the band that it may be in; None: no chart.
    state : {"in", "out", "scene", "baseline", "new"}
        Inside or outside of the control band; no band because it depends on the scene, because the product is part of
        the baseline, or because there are too few products for one.
    trend : Trend or None
        The chart; of what is watched only.
    """

    product: Product
    indicator: Indicator
    others: int = 0
    low: float | None = None
    median: float | None = None
    high: float | None = None
    ewma: float | None = None
    lower: float | None = None
    upper: float | None = None
    state: str = "new"
    trend: Trend | None = None

    @property
    def unusual(self) -> bool:
        """Whether it lies outside of what nine in ten of the others have."""
        value = self.indicator.value
        return value is not None and self.low is not None and not self.low <= value <= (self.high or 0.0)


def standings(store: str, told: Iterable[tuple[Product, Sequence[Indicator]]], damaged: list[str]) -> list[Standing]:
    """Return how each indicator with a value stands, what is out of its band first.

    Parameters
    ----------
    store : str
        Of the indicators; empty: there are no others.
    told : iterable of (Product, indicators)
        Of the product; it may be in the store or not.
    damaged : list of str
        Filled: files of the store that cannot be read.
    """
    out = [one for product, found in told for one in _of_product(store, product, found, damaged)]
    order = {"out": 0, "in": 1, "baseline": 2, "new": 3, "scene": 4}
    return sorted(out, key=lambda one: (order[one.state], one.product.level, one.indicator.indicator))


def _of_product(store: str, product: Product, found: Sequence[Indicator], damaged: list[str]) -> list[Standing]:
    measured = [i for i in found if i.value is not None]
    names, month = tuple(sorted({i.indicator for i in measured})), product.month
    query = Query((product.level,), (product.unit,), names, until=month)
    rows = list(scan(store, query, damaged)) if store and names else []
    own = [Row(product, indicator) for indicator in measured]
    before = [r for r in rows if r.product.identity != product.identity and _alike(r.product, product)]
    series = {s.key: s for s in gather([*before, *own])}
    steady = watched_indicators()
    return [_standing(product, i, series, (product.level, i.indicator) in steady) for i in measured]


def _alike(one: Product, other: Product) -> bool:
    """Tell whether two are of a kind; a product with one tile tells what its tile does."""
    return one.kind == other.kind or {one.kind, other.kind} == {"PRODUCT", "TILE"}


def _standing(product: Product, indicator: Indicator, series: dict[Key, Series], watched: bool) -> Standing:
    key = Key(indicator.indicator, product.level, product.unit, indicator.band, indicator.detector)
    mine = series[key]
    at = next((n for n, p in enumerate(mine.products) if p.identity == product.identity), -1)
    others = np.array([v for p, v in zip(mine.products, mine.values, strict=True)
                       if p.sensing_time < product.sensing_time])  # fmt: skip
    low, median, high = (
        np.percentile(others, (5, 50, 95)).tolist() if len(others) >= _FEWEST_USUAL else (None, None, None)
    )
    usual = Standing(product, indicator, len(others), low, median, high, state="new" if watched else "scene")
    if not watched or at < 0:
        return usual
    trend = follow(mine)
    place, reference, chart = at - trend.baseline, trend.reference, trend.chart
    if reference is None or chart is None or place < 0:
        state = "baseline" if reference is not None else "new"
        return Standing(product, indicator, len(others), low, median, high, state=state, trend=trend)
    reach = float(chart.ewma_limit[place]) * reference.sigma
    return Standing(
        product, indicator, len(others), low, median, high,
        ewma=reference.mean + reference.sigma * float(chart.ewma[place]),
        lower=reference.mean - reach, upper=reference.mean + reach,
        state="out" if chart.out[place] else "in", trend=trend,
    )  # fmt: skip
