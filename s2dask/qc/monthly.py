"""The monthly Data Quality Report: sections of figures, each from stored indicators and with its command."""

import re
import shlex
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.instrument import BANDS
from s2dask.qc.derived import rows_of
from s2dask.qc.store import Query, Row, scan
from s2dask.qc.trend import Alarm, Series, Trend, follow, gather

_MOST_FAILED = 30
_BANDS = ["", *BANDS]


@dataclass(frozen=True, slots=True)
class Plan:
    """A figure that a section has: which indicators, and what to hold them against.

    Attributes
    ----------
    title, measure, level : str
    indicators : tuple of str
    maximum : float or None
    chart_band : str or None
        Band of the chart; empty: indicators of the whole product; None: no chart.
    watched : bool
        Whether control charts follow it: not what depends on the scene.
    """

    title: str
    indicators: tuple[str, ...]
    measure: str
    level: str
    maximum: float | None = None
    chart_band: str | None = None
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its numbers.

    Attributes
    ----------
    number, title, measure : str
    maximum : float or None
    command : str
        What makes it again from the store.
    rows : list of dict
        unit, indicator, band, products, median, p05, p95, minimum, maximum, before, inside.
    charts : list of Trend
    """

    number: str
    title: str
    measure: str
    maximum: float | None
    command: str
    rows: list[dict[str, Any]]
    charts: list[Trend] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        plain = ("number", "title", "measure", "maximum", "command", "rows")
        return {name: getattr(self, name) for name in plain} | {"charts": [trend_facts(t) for t in self.charts]}


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report."""

    number: int
    title: str
    requirement: str
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Monthly:
    """The report of a month and level.

    Attributes
    ----------
    month, level, store : str
    products : list of dict
        Their number by unit, kind and processing baseline.
    checks : list of dict
        Passed, failed and undecided, by checklist and check.
    failed : list of dict
        The first failures: product, check, value.
    sections : list of Section
    alarms : list of Alarm
        Of the indicators of the figures, opened in the month.
    damaged : list of str
        Files of the store that cannot be read.
    """

    month: str
    level: str
    store: str
    products: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    sections: list[Section]
    alarms: list[Alarm]
    damaged: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        plain = ("month", "level", "store", "products", "checks", "failed", "damaged")
        sections = [
            {"number": s.number, "title": s.title, "requirement": s.requirement}
            | {"figures": [figure.as_dict() for figure in s.figures]}
            for s in self.sections
        ]
        out = {name: getattr(self, name) for name in plain}
        return out | {"sections": sections, "alarms": [asdict(alarm) for alarm in self.alarms]}


def trend_facts(trend: Trend) -> dict[str, Any]:
    """Return a trend in a JSON-able form: products, values, limits, alarms."""
    series, reference = trend.series, trend.reference
    chart: dict[str, Any] = {}
    if reference is not None and trend.chart is not None:
        chart = {name: np.round(getattr(trend.chart, name), 4).tolist() for name in ("z", "ewma", "ewma_limit")}
        chart["cusum"] = np.round(np.maximum(trend.chart.above, trend.chart.below), 4).tolist()
        chart["cusum_limit"] = round(trend.chart.cusum_limit, 4)
    return {
        "series": asdict(series.key),
        "products": [product.name for product in series.products],
        "sensing_times": [product.sensing_time for product in series.products],
        "values": series.values.tolist(),
        "baseline": trend.baseline,
        "in_control": None if reference is None else asdict(reference),
        "chart": chart,
        "alarms": [asdict(alarm) for alarm in trend.alarms],
        "problem": trend.problem,
    }


@cache
def plan(level: str) -> tuple[tuple[str, str, tuple[Plan, ...]], ...]:
    """Return (title, requirement, figures) of the sections of a level, in their order."""
    table = tomllib.loads(files("s2dask.qc").joinpath("data/monthly.toml").read_text("utf-8"))
    sections = [section for section in table["section"] if section["level"] == level]
    if not sections:
        raise ConfigurationError(f"no report for level {level!r}", "monthly", "choose L1C or L2A")
    return tuple(
        (s["title"], s["requirement"], tuple(_plan(figure, level) for figure in s["figure"])) for s in sections
    )


@cache
def watched_indicators() -> frozenset[tuple[str, str]]:
    """Return (level, indicator) of everything that control charts follow."""
    figures = [figure for level in ("L1C", "L2A") for _, _, of in plan(level) for figure in of]
    return frozenset((figure.level, name) for figure in figures if figure.watched for name in figure.indicators)


def _plan(figure: Mapping[str, Any], level: str) -> Plan:
    return Plan(**({"level": level} | dict(figure) | {"indicators": tuple(figure["indicators"])}))


def _before(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year - (number == 1)}-{(number - 2) % 12 + 1:02d}"


def _checked_month(month: str) -> str:
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month) is None:
        raise ConfigurationError(f"{month!r} is no month", "monthly", "write 2026-10")
    return month


def statistics_of(values: np.ndarray, before: np.ndarray, maximum: float | None) -> dict[str, Any]:
    """Return number, median, percentiles and extremes of values, the median before, and the share within a limit [%].

    Parameters
    ----------
    values, before : (n) float64
    maximum : float or None
        Of the absolute values.
    """
    low, median, high = np.percentile(values, (5.0, 50.0, 95.0))
    numbers = {"median": median, "p05": low, "p95": high, "minimum": values.min(), "maximum": values.max()}
    out: dict[str, Any] = {"products": len(values)} | {name: float(value) for name, value in numbers.items()}
    out["before"] = float(np.median(before)) if len(before) else None
    out["inside"] = None if maximum is None else float(100.0 * np.mean(np.abs(values) <= maximum))
    return out


def _of_month(series: Series, month: str) -> np.ndarray:
    return series.values[[product.month == month for product in series.products]]


def _table(chosen: Iterable[Series], order: Sequence[str], month: str, maximum: float | None) -> list[dict[str, Any]]:
    """Return a row for each unit, indicator and band; detectors count as products of their own."""
    pooled: dict[tuple[str, str, str], list[Series]] = defaultdict(list)
    for series in chosen:
        pooled[series.key.unit, series.key.indicator, series.key.band].append(series)
    for key, found in pooled.items():  # the worst detector is among the detectors
        pooled[key] = [series for series in found if series.key.detector] or found
    rows = []
    for key in sorted(pooled, key=lambda k: (k[0], order.index(k[1]), _BANDS.index(k[2]))):
        now, before = (np.concatenate([_of_month(s, m) for s in pooled[key]]) for m in (month, _before(month)))
        if len(now):
            named = dict(zip(("unit", "indicator", "band"), key, strict=True))
            rows.append(named | statistics_of(now, before, maximum))
    return rows


def _charts(chosen: Iterable[Series], figure: Plan, month: str) -> list[Trend]:
    """Return the trend of the chart's band and first indicator that was measured, of each unit."""
    found: dict[str, Series] = {}
    for indicator in figure.indicators:
        for series in chosen:
            key = series.key
            wanted = key.indicator == indicator and key.band == figure.chart_band and not key.detector
            if wanted and len(_of_month(series, month)):
                found.setdefault(key.unit, series)
    return [_followed(found[unit], figure) for unit in sorted(found)]


def _followed(series: Series, figure: Plan) -> Trend:
    if figure.watched:
        return follow(series)
    return Trend(series, len(series.values), problem="the indicator depends on the scene")


def _figure(number: str, what: Plan, by_level: Mapping[str, list[Series]], month: str, command: str) -> Figure:
    chosen = [s for s in by_level.get(what.level, []) if s.key.indicator in what.indicators]
    charts = [] if what.chart_band is None else _charts(chosen, what, month)
    rows = _table(chosen, what.indicators, month, what.maximum)
    again = f"{command} --figure {number} --json"
    return Figure(number, what.title, what.measure, what.maximum, again, rows, charts)


def check_counts(rows: Iterable[Row]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (numbers of outcomes by check, first failures) of rows that are outcomes of checks."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    failed: list[dict[str, Any]] = []
    for row in rows:
        i = row.indicator
        found[i.checklist, i.indicator][i.status] += 1
        if i.status in ("FAILED", "ERROR"):
            failed.append(
                {
                    "product": row.product.name,
                    "checklist": i.checklist,
                    "check": i.indicator,
                    "status": i.status,
                    "value": i.value,
                }
            )
    numbers: list[dict[str, Any]] = []
    for (checklist, name), of in sorted(found.items()):
        judged = of["PASSED"] + of["FAILED"]
        told: dict[str, Any] = {"checklist": checklist, "check": name}
        told |= {status.lower(): of[status] for status in ("PASSED", "FAILED", "ERROR", "NOT_MADE")}
        numbers.append(told | {"passed_percentage": 100.0 * of["PASSED"] / judged if judged else None})
    return numbers, sorted(failed, key=lambda f: (f["product"], f["check"]))[:_MOST_FAILED]


def product_counts(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the number of products by unit, kind and processing baseline."""
    told = {row.product.identity: row.product for row in rows}.values()
    counted = Counter((product.unit, product.kind, product.baseline) for product in told)
    names = ("unit", "kind", "baseline")
    return [dict(zip(names, key, strict=True)) | {"products": n} for key, n in sorted(counted.items())]


def _alarms(wanted: Iterable[Plan], by_level: Mapping[str, list[Series]], month: str) -> Iterator[Alarm]:
    watched = {(figure.level, name) for figure in wanted if figure.watched for name in figure.indicators}
    for level, chosen in by_level.items():
        for series in chosen:
            if (level, series.key.indicator) in watched and len(_of_month(series, month)):
                yield from (alarm for alarm in follow(series).alarms if alarm.opened.startswith(month))


def monthly_report(store: str, month: str, level: str = "L1C") -> Monthly:
    """Return the report of a month from the stored indicators of its products.

    Parameters
    ----------
    store : str
        Folder or URL.
    month : str
        ``2026-10``, of sensing.
    level : {"L1C", "L2A"}
    """
    sections, month = plan(level), _checked_month(month)
    wanted = [figure for _, _, figures in sections for figure in figures]
    damaged: list[str] = []
    here = list(scan(store, Query(levels=(level,), since=month, until=month), damaged))
    if not here:
        raise InputMissing(f"no {level} product of {month}", store, "append products with `s2dask qc add`")
    by_level = {
        measured: gather(rows_of(store, Query((measured,), indicators=_names(wanted, measured), until=month), damaged))
        for measured in sorted({figure.level for figure in wanted})
    }
    command = f"s2dask qc monthly {month} --store {shlex.quote(store)} --level {level}"
    made = [
        Section(n, title, must, [_figure(f"{n}.{i}", f, by_level, month, command) for i, f in enumerate(figures, 1)])
        for n, (title, must, figures) in enumerate(sections, 1)
    ]
    checks, failed = check_counts(row for row in here if row.indicator.checklist)
    alarms = sorted(_alarms(wanted, by_level, month), key=lambda alarm: (alarm.opened, alarm.key))
    return Monthly(month, level, store, product_counts(here), checks, failed, made, alarms, sorted(set(damaged)))


def _names(wanted: Iterable[Plan], level: str) -> tuple[str, ...]:
    return tuple(sorted({name for figure in wanted if figure.level == level for name in figure.indicators}))
