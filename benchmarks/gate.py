"""The gate of the benchmarks: no ratio may fall by more than five percent beyond its noise, on one kind of machine.

Ratios, not times, are compared: ours and its peers, or a fixed piece of work of NumPy, are measured in turn on the same
core, so that a busy machine slows both.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

WORSE = 0.05
"""A ratio that fell by more than this, and more than its noise, does not pass."""
RECORDS = 5
"""Of one kind of machine, that a ratio is compared with: more than the last one, or small steps down would pass."""
_SIGMA = 1.4826
"""Standard deviation over median absolute deviation, of a normal distribution."""

Key = tuple[str, str, str]
"""Benchmark, case, peer."""
Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""Cases by benchmark, as `reporting.report` records them."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a ratio was before.

    Attributes
    ----------
    ratio : float
        Median of the records.
    noise : float
        Their scatter over the median [1]; 0 of one record.
    """

    ratio: float
    noise: float

    @property
    def limit(self) -> float:
        """The least ratio that passes."""
        return self.ratio * (1.0 - max(WORSE, 2.0 * self.noise))


def ratios(results: Results) -> dict[Key, float]:
    """Return the ratio of ours to each peer."""
    return {
        (name, case["title"], peer): float(ratio)
        for name, cases in results.items()
        for case in cases
        for peer, ratio in case["ratio"].items()
    }


def records(history: Path, cpu: str) -> list[dict[str, Any]]:
    """Return the records of one kind of machine, the oldest first."""
    lines = history.read_text("utf-8").splitlines() if history.exists() else []
    return [record for record in map(json.loads, lines) if record["cpu"] == cpu]


def _series(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Key, list[float]]]:
    """Yield the last values of each ratio, from the record on in which a lower one was accepted."""
    values: dict[Key, list[float]] = {}
    for record in found:
        for key in record.get("accepted", {}).get("ratios", ()):
            values.pop(tuple(key), None)
        for key, ratio in ratios(record["benchmarks"]).items():
            values.setdefault(key, []).append(ratio)
    for key, series in values.items():
        yield key, series[-RECORDS:]


def references(found: Sequence[Mapping[str, Any]]) -> dict[Key, Reference]:
    """Return what each ratio was in the last records.

    Parameters
    ----------
    found : sequence of mapping
        Records of one kind of machine, the oldest first.
    """
    out = {}
    for key, series in _series(found):
        middle = median(series)
        scatter = median(abs(value - middle) for value in series)
        out[key] = Reference(middle, _SIGMA * scatter / middle)
    return out


def regressions(results: Results, before: Mapping[Key, Reference]) -> dict[Key, tuple[float, float]]:
    """Return the ratios that do not pass: what they are, and what they have to be at least."""
    return {
        key: (ratio, before[key].limit)
        for key, ratio in ratios(results).items()
        if key in before and ratio < before[key].limit
    }


def better(first: Results, second: Results) -> dict[str, list[dict[str, Any]]]:
    """Return the results with, of each case, the one of two measurements whose worst change of a ratio is the smaller.

    A busy machine makes a measurement worse, never better than the code is: the better of two is nearer to it.
    """
    out: dict[str, list[dict[str, Any]]] = {}
    for name, cases in first.items():
        again = {case["title"]: case for case in second.get(name, ())}
        out[name] = [
            dict(again[c["title"]]) if c["title"] in again and _faster(again[c["title"]], c) else dict(c) for c in cases
        ]
    return out


def _faster(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    shared = [one["ratio"][peer] / other["ratio"][peer] for peer in one["ratio"] if peer in other["ratio"]]
    return bool(shared) and min(shared) > 1.0
