"""The daily report of quality: what was sensed in a day, how its checks ended, what is corrupted, what needs a look."""

import shlex
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io.storage import exists, filesystem
from s2dask.qc.derived import rows_of
from s2dask.qc.indicators import Product
from s2dask.qc.monthly import check_counts, product_counts, statistics_of, watched_indicators
from s2dask.qc.store import Query, Row, scan
from s2dask.qc.tickets import read_tickets
from s2dask.qc.trend import Alarm, follow, gather

LEVELS: Final = ("L0", "L1A", "L1B", "L1C", "L2A")
_LOSSES: Final = ("missing_frames", "lost_packets", "degraded_packets", "data_loss_percentage", "degraded_percentage")
"""Indicators of which a number above 0 makes a product corrupted."""
_CLASSES: Final = (
    "vegetation", "not_vegetated", "water", "snow_ice", "unclassified", "dark_features", "cast_shadow", "cloud_shadow",
    "medium_proba_clouds", "high_proba_clouds", "thin_cirrus", "saturated_defective",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Daily:
    """The report of a day.

    Attributes
    ----------
    day, store, command : str
        ``command`` makes it again.
    products : list of dict
        Their number by level, unit, kind and processing baseline.
    quality : list of dict
        Products that passed and failed, by level and checklist, and the share of passed [%].
    checks, failed : list of dict
        Outcomes by level, checklist and check; the first that did not pass.
    corrupted : list of dict
        Products with lost or degraded data, or of which a concluding check failed: what, and how much.
    statistics : list of dict
        By level, unit, indicator and band: products, median, percentiles, extremes; detectors count as products.
    classes : list of dict
        Mean share of each surface class [%] by unit, of the pixels with data of the L2A tiles.
    disclaimers : list of dict
        Known limits that hold for products of the day, and for how many.
    anomalies : list of dict
        Charts that left their band in the day.
    tickets : list of dict
        Tickets that are open.
    damaged : list of str
        Files of the store that cannot be read.
    """

    day: str
    store: str
    command: str
    products: list[dict[str, Any]] = field(default_factory=list)
    quality: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    corrupted: list[dict[str, Any]] = field(default_factory=list)
    statistics: list[dict[str, Any]] = field(default_factory=list)
    classes: list[dict[str, Any]] = field(default_factory=list)
    disclaimers: list[dict[str, Any]] = field(default_factory=list)
    anomalies: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)


def _checked_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise ConfigurationError(f"{day!r} is no day", "--day", "write 2026-10-05") from None


def _of_level(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {level: [] for level in LEVELS}
    for row in rows:
        found[row.product.level].append(row)
    return {level: told for level, told in found.items() if told}


def _quality(level: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return how many products passed each checklist, samples apart."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        i = row.indicator
        if i.checklist and i.severity != "sample":
            found[i.checklist][row.product.identity].add(i.status)
    out = []
    for checklist, products in sorted(found.items()):
        failed = sum("FAILED" in statuses for statuses in products.values())
        untold = sum("FAILED" not in statuses and "ERROR" in statuses for statuses in products.values())
        passed = len(products) - failed - untold
        told = {"level": level, "checklist": checklist, "products": len(products), "passed": passed}
        told |= {"failed": failed, "error": untold}
        out.append(told | {"passed_percentage": 100.0 * passed / len(products)})
    return out


def _corrupted(rows: Iterable[Row]) -> list[dict[str, Any]]:
    found: dict[str, tuple[Product, dict[str, float | None]]] = {}
    for row in rows:
        i, told = row.indicator, found.setdefault(row.product.identity, (row.product, {}))[1]
        if i.indicator in _LOSSES and not (i.band or i.detector or i.checklist) and (i.value or 0.0) > 0.0:
            told[i.indicator] = i.value
        if i.severity == "concluding" and i.status in ("FAILED", "ERROR"):
            told[f"{i.checklist}/{i.indicator} {i.status}"] = i.value
    wrong = [(product, told) for product, told in found.values() if told]
    wrong.sort(key=lambda one: (one[0].level, one[0].sensing_time, one[0].name))
    return [{"product": p.name, "level": p.level, "unit": p.unit, "reasons": told} for p, told in wrong]


def _statistics(rows: Iterable[Row]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        p, i = row.product, row.indicator
        if i.value is not None and not i.checklist:
            found[p.level, p.unit, i.indicator, i.band].append(i.value)
    names = ("level", "unit", "indicator", "band")
    drop = ("before", "inside")
    return [
        dict(zip(names, key, strict=True))
        | {k: v for k, v in statistics_of(np.array(values), np.zeros(0), None).items() if k not in drop}
        for key, values in sorted(found.items())
    ]


def _classes(rows: Iterable[Row]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        i = row.indicator
        name = i.indicator.removesuffix("_percentage")
        if name in _CLASSES and name != i.indicator and i.value is not None and not i.checklist:
            found[row.product.unit, name].append(i.value)
    return [
        {"unit": unit, "class": name, "tiles": len(found[unit, name]), "mean": float(np.mean(found[unit, name]))}
        for unit in sorted({unit for unit, _ in found})
        for name in _CLASSES
        if (unit, name) in found
    ]


def _disclaimers(store: str, day: str, products: Sequence[Product]) -> list[dict[str, Any]]:
    """Return the disclaimers of the store's own list, ``disclaimers.toml``, that hold for products of the day."""
    url = f"{store.rstrip('/')}/disclaimers.toml"
    if not exists(url):
        return []
    fs, path = filesystem(url)
    try:
        table = tomllib.loads(fs.cat_file(path).decode())
        told = [dict(one) for one in table.get("disclaimer", ())]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"not a list of disclaimers ({error})", url, "see docs/quality.md") from error
    out = []
    for one in told:
        if not isinstance(one.get("text"), str):
            raise ConfigurationError("a disclaimer without text", url, "see docs/quality.md")
        inside = str(one.get("since", "")) <= day and (not one.get("until") or day <= str(one["until"]))
        count = sum(inside and _concerns(one, product) for product in products)
        if count:
            out.append({"id": str(one.get("id", "")), "text": one["text"], "products": count})
    return out


def _concerns(disclaimer: Mapping[str, Any], product: Product) -> bool:
    fields = {"levels": product.level, "units": product.unit, "baselines": product.baseline, "tiles": product.tile}
    return all(name not in disclaimer or value in disclaimer[name] for name, value in fields.items())


def _alarms(store: str, day: str, levels: Iterable[str], damaged: list[str]) -> Iterator[Alarm]:
    for level in levels:
        names = tuple(sorted(name for of, name in watched_indicators() if of == level))
        if names:
            rows = rows_of(store, Query((level,), indicators=names, until=day[:7]), damaged)
            told = (row for row in rows if row.product.sensing_time[:10] <= day)
            for series in gather(told):
                yield from (alarm for alarm in follow(series).alarms if alarm.opened[:10] == day)


def daily_report(store: str, day: str) -> Daily:
    """Return the report of a day of sensing from the stored indicators of its products.

    Parameters
    ----------
    store : str
        Folder or URL.
    day : str
        ``2026-10-05``.
    """
    day, damaged = _checked_day(day), list[str]()
    month = day[:7]
    rows = [r for r in scan(store, Query(since=month, until=month), damaged) if r.product.sensing_time[:10] == day]
    if not rows:
        raise InputMissing(f"no product of {day}", store, "append products with `s2dask qc add`")
    by_level = _of_level(rows)
    outcomes = {level: check_counts(r for r in told if r.indicator.checklist) for level, told in by_level.items()}
    products = list({row.product.identity: row.product for row in rows}.values())
    alarms = sorted(_alarms(store, day, by_level, damaged), key=lambda alarm: (alarm.opened, alarm.key))
    return Daily(
        day, store, f"s2dask qc daily {shlex.quote(store)} --day {day} --json",
        products=[{"level": level} | one for level, told in by_level.items() for one in product_counts(told)],
        quality=[one for level, told in by_level.items() for one in _quality(level, told)],
        checks=[{"level": level} | one for level, (numbers, _) in outcomes.items() for one in numbers],
        failed=[{"level": level} | one for level, (_, failed) in outcomes.items() for one in failed],
        corrupted=_corrupted(rows),
        statistics=_statistics(rows),
        classes=_classes(by_level.get("L2A", ())),
        disclaimers=_disclaimers(store, day, products),
        anomalies=[asdict(alarm) for alarm in alarms],
        tickets=[ticket for ticket in read_tickets(store) if ticket.get("state") == "open"],
        damaged=sorted(set(damaged)),
    )  # fmt: skip
