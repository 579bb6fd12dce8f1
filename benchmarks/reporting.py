"""What the benchmarks share: alternated CPU times, one line per case, and a record for the history.

A benchmark is a script with a `main` that measures cases and hands them to `report`; `benchmarks/run.py` runs them all.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np


@dataclass(frozen=True, slots=True)
class Case:
    """Ours against its peers on one piece of work.

    Attributes
    ----------
    title : str
    speed : mapping of str to float
        By contestant, ``ours`` among them; the larger the better.
    unit : str
        Of the speeds.
    extra : mapping of str to float
        Other figures worth keeping, their units in their names.
    """

    title: str
    speed: Mapping[str, float]
    unit: str = "Mpx/s"
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float]:
        """Ours divided by each peer."""
        return {peer: self.speed["ours"] / value for peer, value in self.speed.items() if peer != "ours"}

    def line(self) -> str:
        """Return the case as a line of text."""
        speeds = "  ".join(f"{name} {value:.4g}" for name, value in self.speed.items())
        ratios = "  ".join(f"ours/{peer} {value:.2f}" for peer, value in self.ratios.items())
        extra = "".join(f"  {name} {value:.4g}" for name, value in self.extra.items())
        return f"{self.title:28s} {speeds} {self.unit}   {ratios}{extra}"


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one call [s]: a busy machine disturbs it less than the time on the clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def alternate(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Run the contestants in turn, again and again, and return their median CPU times [s]."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, work in contestants.items():
            times[name].append(cpu_seconds(work))
    return {name: median(values) for name, values in times.items()}


def megapixels_per_second(pixels: int, seconds: Mapping[str, float]) -> dict[str, float]:
    """Turn CPU times into speeds [Mpx/s]."""
    return {name: pixels / 1e6 / value for name, value in seconds.items()}


def yardstick() -> float:
    """Return the speed of a fixed piece of work of NumPy on this core [million elements/s]: sorting and a product."""
    values = np.random.default_rng(0).integers(0, 1 << 15, 1 << 21, dtype=np.uint16)
    times = [cpu_seconds(lambda: (np.sort(values, kind="stable"), np.float32(0.5) * values)) for _ in range(7)]
    return values.size / 1e6 / median(times)


def _with_peer(case: Case, speed: float) -> Case:
    """Give a case that has no peer the yardstick as one, so that its ratio can be compared from day to day."""
    return case if case.speed.keys() != {"ours"} else replace(case, speed={**case.speed, "yardstick": speed})


def report(benchmark: str, cases: Sequence[Case]) -> None:
    """Print the cases, and append them as one JSON line to the file that the command line names, if it does.

    A case without a peer is held against a fixed piece of work of NumPy.
    """
    speed = yardstick() if any(case.speed.keys() == {"ours"} for case in cases) else 0.0
    cases = [_with_peer(case, speed) for case in cases]
    for case in cases:
        print(case.line())
    if len(sys.argv) > 1:
        record = {"benchmark": benchmark, "cases": [asdict(case) | {"ratio": case.ratios} for case in cases]}
        with Path(sys.argv[1]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
