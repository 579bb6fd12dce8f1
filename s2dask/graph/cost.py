"""What steps cost: core seconds = fixed + per million, with scatter; fitted to measured runs, told with an interval.

The costs that come with s2dask were measured on one machine (``data/costs.toml``). A history of one's own runs
(`s2dask.graph.cost_history`) replaces them, step by step.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from s2dask.errors import InputError

Z80: Final = 1.2815515655446004
"""Of a normal distribution: 80 % lie within so many deviations of the mean."""
DEFAULT_PEAK: Final = 400 << 20
"""Resident memory of a worker with the program loaded, for a step that nothing is known of [B]."""


@dataclass(frozen=True, slots=True)
class Work:
    """Tasks of one step and one size.

    Attributes
    ----------
    step : str
        As the cost model names it: that of the keys, with what else settles the cost: ``GEN_ORTHO_TOA-r10m``.
    mega : float
        Of one task: pixels, bytes or packets [1e6], as is usual of the step.
    count : int
    """

    step: str
    mega: float = 0.0
    count: int = 1


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a task of a step costs.

    Attributes
    ----------
    fixed : float
        [core s]
    per_mega : float
        [core s / 1e6]
    spread : float
        Deviation of the cost of one task from that line, relative to it.
    peak_bytes : int
        Largest resident memory of a worker that did it [B].
    samples : int
        Measured tasks that it rests on; 0 for what comes with s2dask.
    """

    fixed: float
    per_mega: float
    spread: float = 0.2
    peak_bytes: int = DEFAULT_PEAK
    samples: int = 0

    def seconds(self, mega: float) -> float:
        """Return the expected cost of a task [core s]."""
        return self.fixed + self.per_mega * mega


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected cost [core s] and the interval that holds the true one in 80 of 100 cases."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CostModel:
    """Costs by step.

    Attributes
    ----------
    steps : mapping of str to StepCost
    shared : float
        Relative deviation that all tasks of a run share: another machine, another load, another scene.
    runs : int
        Measured runs that it rests on; 0: the costs that come with s2dask.
    """

    steps: Mapping[str, StepCost]
    shared: float
    runs: int = 0

    def of(self, step: str) -> StepCost:
        """Return the cost of a step."""
        try:
            return self.steps[step]
        except KeyError:
            raise InputError(f"no cost of step {step}", "costs", "add it to the table, or measure a run") from None

    def seconds(self, work: Work) -> float:
        """Return the expected cost of work [core s]."""
        return work.count * self.of(work.step).seconds(work.mega)

    def total(self, works: Iterable[Work]) -> float:
        """Return the expected cost of works together [core s]."""
        return sum(self.seconds(work) for work in works)

    def peak_bytes(self, works: Iterable[Work]) -> int:
        """Return the largest memory of a worker that does works [B]."""
        return max((self.of(work.step).peak_bytes for work in works), default=0)

    def predict(self, works: Iterable[Work]) -> Estimate:
        """Return the cost of works together with its 80 % interval.

        Notes
        -----
        The logarithm of the sum is taken as normal. Its variance has a part that all tasks share, and that of the sum
        of independent tasks, which is small when there are many.
        """
        total, independent = 0.0, 0.0
        for work in works:
            one = self.of(work.step)
            mean = one.seconds(work.mega)
            total += work.count * mean
            independent += work.count * (one.spread * mean) ** 2
        if total < 1e-9:
            return Estimate(0.0, 0.0, 0.0)
        deviation = math.sqrt(self.shared**2 + math.log1p(independent / total**2))
        return Estimate(total, total * math.exp(-Z80 * deviation), total * math.exp(Z80 * deviation))


@lru_cache(maxsize=1)
def shipped_costs() -> CostModel:
    """Return the costs that come with s2dask."""
    table = tomllib.loads(files("s2dask").joinpath("data/costs.toml").read_text("utf-8"))
    steps = {
        name: StepCost(float(s["fixed"]), float(s["per_mega"]), float(s["spread"]), int(s["peak_mib"]) << 20)
        for name, s in table["steps"].items()
    }
    return CostModel(steps, float(table["shared"]))
