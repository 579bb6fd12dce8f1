"""Pooling: one point of many tiles, each held against what its own site is in the baseline, season included.

A single tile tells a gain to 1 or 2 % at best: the site differs from others, moves with the season, and the air over it
changes. What all tiles of a day or datatake have in common is the instrument. A tile's value, or its ratio to another
band, is divided by what the site's own past lets expect; the mean of the tiles of a group, less those that stand apart,
is one point of a chart. Its noise falls with the square root of their number.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.qc.indicators import Product
from s2dask.qc.trend import Key, Series, baseline_size

Values = NDArray[np.float64]
GROUPS: Final = ("day", "datatake")
_FEWEST_VISITS: Final = 3
_VISITS_OF_A_YEAR: Final = 12
"""Visits in a baseline of ten months or more above which a site has a season of its own: a year's sine."""
_NEARLY_A_YEAR: Final = 300.0
_YEAR: Final = 365.25
_CLIP: Final = 3.0


@dataclass(frozen=True, slots=True)
class Pooling:
    """How tiles are pooled.

    Attributes
    ----------
    by : {"day", "datatake"}
    over : str
        Band that a band is divided by, tile by tile: what both share, air and illumination, goes; empty: none.
    fewest : int
        Tiles below which a group has no point.
    """

    by: str = "day"
    over: str = ""
    fewest: int = 5

    def __post_init__(self) -> None:
        if self.by not in GROUPS:
            raise ConfigurationError(f"no groups by {self.by!r}", "--pool", f"one of {', '.join(GROUPS)}")

    def group(self, product: Product) -> str:
        """Return the group of a product."""
        return product.sensing_time[:10] if self.by == "day" else product.datatake


def _ratio(series: Series, other: Series | None) -> Series:
    """Return a series over that of another band, of the products that have both."""
    if other is None:
        return replace(series, products=(), values=series.values[:0])
    values = {p.identity: v for p, v in zip(other.products, other.values, strict=True) if v > 0.0}
    kept = [i for i, p in enumerate(series.products) if p.identity in values]
    divisor = np.array([values[series.products[i].identity] for i in kept])
    return replace(series, products=tuple(series.products[i] for i in kept), values=series.values[kept] / divisor)


def _days(series: Series) -> Values:
    times = np.array([product.sensing_time.removesuffix("Z") for product in series.products], "datetime64[ms]")
    return np.asarray((times - np.datetime64("2015-01-01", "ms")) / np.timedelta64(1, "D"), np.float64)


def relative(series: Series, until: str) -> Values:
    """Return (n) float64 the values of a site over what its baseline lets expect, NaN where that is unknown.

    Parameters
    ----------
    series : Series
        Of one site.
    until : str
        Sensing time of the last product of the baseline.

    Notes
    -----
    Visits that stand apart do not enter the fit. A value of the baseline is held against the fit to the others:
    residuals of a fit are smaller than what a new value will show, and limits made of them too tight.
    """
    days, inside = _days(series), np.array([p.sensing_time <= until for p in series.products], bool)
    n = int(inside.sum())
    if n < _FEWEST_VISITS:
        return np.full(len(days), np.nan)
    phase = 2.0 * np.pi * days / _YEAR
    seasonal = n >= _VISITS_OF_A_YEAR and np.ptp(days[inside]) >= _NEARLY_A_YEAR
    columns = [np.ones_like(days), np.cos(phase), np.sin(phase)] if seasonal else [np.ones_like(days)]
    design, used = np.stack(columns, 1), inside
    for _ in range(2):  # the second time without the visits that a cloud spoilt
        fit = np.linalg.pinv(design[used])
        apart = series.values - design @ (fit @ series.values[used])
        spread = np.median(np.abs(apart[used]))
        kept = inside & (np.abs(apart) <= _CLIP * 1.4826 * spread + 1e-12)
        used = kept if kept.sum() >= _FEWEST_VISITS else used
    fit = np.linalg.pinv(design[used])
    expected = design @ (fit @ series.values[used])
    residual = (series.values - expected) / np.where(expected > 0.0, expected, np.nan)
    residual[used] /= 1.0 - np.minimum(np.einsum("ij,ji->i", design[used], fit), 0.9)
    return np.asarray(1.0 + residual)


def _centre(values: Values) -> float:
    """Return the mean of the values that do not stand apart."""
    middle = np.median(values)
    distance = np.abs(values - middle)
    return float(values[distance <= _CLIP * 1.4826 * np.median(distance) + 1e-12].mean())


def _point(name: str, members: Sequence[tuple[Product, float]], by: str) -> tuple[Product, float]:
    products = [product for product, _ in members]
    last = max(products, key=lambda p: p.sensing_time)
    first = min(products, key=lambda p: p.sensing_time)
    made = replace(
        last, name=f"{name}, {len(products)} tiles", kind="POOL", tile="", sensing_time=first.sensing_time,
        datatake=last.datatake if by == "datatake" else "", generation_time=max(p.generation_time for p in products),
    )  # fmt: skip
    return made, _centre(np.array([value for _, value in members]))


def _groups(sites: Iterable[Series], how: Pooling) -> dict[str, list[Product]]:
    found: dict[str, list[Product]] = defaultdict(list)
    for site in sites:
        for product in site.products:
            found[how.group(product)].append(product)
    return {name: found[name] for name in found if len(found[name]) >= how.fewest}


def _pooled(key: Key, sites: Sequence[Series], how: Pooling, baseline: str) -> Series:
    """Return the pooled series of one indicator."""
    groups = _groups(sites, how)
    begins = sorted((min(p.sensing_time for p in of), name) for name, of in groups.items())
    if baseline and not baseline.isdigit():
        first = baseline.partition("..")[0]
        begins = [one for one in begins if one[0][:7] >= first]
        sites = [_since(site, first) for site in sites]
    heads = tuple(min(groups[name], key=lambda p: p.sensing_time) for _, name in begins)
    size = baseline_size(Series(key, heads, np.zeros(len(heads))), baseline)
    if not 0 < size <= len(heads):
        return Series(key, heads, np.ones(len(heads)))
    until = max(product.sensing_time for product in groups[begins[size - 1][1]])
    told: dict[str, list[tuple[Product, float]]] = defaultdict(list)
    for site in sites:
        for product, value in zip(site.products, relative(site, until), strict=True):
            if np.isfinite(value):
                told[how.group(product)].append((product, float(value)))
    points = [_point(name, told[name], how.by) for _, name in begins if len(told[name]) >= how.fewest]
    return Series(key, tuple(p for p, _ in points), np.array([value for _, value in points], np.float64))


def _since(site: Series, month: str) -> Series:
    kept = [i for i, product in enumerate(site.products) if product.month >= month]
    return replace(site, products=tuple(site.products[i] for i in kept), values=site.values[kept])


def pool(sites: Iterable[Series], how: Pooling, baseline: str = "") -> Iterator[Series]:
    """Yield pooled series, one per indicator, level, unit, band and detector, of the series of tiles; no empty one.

    Parameters
    ----------
    sites : iterable of Series
        Of single tiles (`s2dask.qc.trend.gather` by tile).
    how : Pooling
    baseline : str
        As for `s2dask.qc.trend.follow`, in groups or months: that of the sites and of the chart. It takes a year for
        sites to have a season.
    """
    by_key = {site.key: site for site in sites}
    found: dict[Key, list[Series]] = defaultdict(list)
    for key, site in by_key.items():
        if how.over == key.band and how.over:
            continue
        made = _ratio(site, by_key.get(replace(key, band=how.over))) if how.over else site
        if len(made.values):
            found[replace(key, tile="", over=how.over, pool=how.by)].append(made)
    for key in sorted(found):
        made = _pooled(key, found[key], how, baseline)
        if len(made.values):
            yield made
