"""Measured runs, kept: what their tasks cost, a small file for each run, and the cost model that follows from them."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.graph.cost import Z80, CostModel, StepCost, shipped_costs
from s2dask.io.storage import filesystem

KEPT: Final = 64
"""Tasks of a step that a run keeps one by one; of all of them it keeps the sums."""
RUNS: Final = 20
"""Runs that the model is fitted to: the last ones."""
LEAST: Final = 5
"""Measured tasks that a step needs for a line of its own."""
_FEW: Final = 0.1
"""Share of the tasks of a step that may be far off by bad luck: compilation, a machine that was busy."""
_FORGIVEN: Final = 4.0
"""A task that takes so many times what it should, or as little, does not count: a compilation, a swapping machine."""
_PRIOR: Final = (3.0, 0.2)
"""Weight [runs] and deviation of the shared factor before anything is measured on a machine."""
_ROUNDS: Final = 12
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured task.

    Attributes
    ----------
    step : str
        As the cost model names it.
    mega : float
        Size [1e6].
    seconds : float
        [core s]
    peak_bytes : int
        Largest resident memory of its worker [B].
    """

    step: str
    mega: float
    seconds: float
    peak_bytes: int = 0


def _summary(samples: Sequence[Sample]) -> dict[str, Any]:
    ordered = sorted(samples, key=lambda s: (s.mega, s.seconds))
    chosen = ordered if len(ordered) <= KEPT else [ordered[k * len(ordered) // KEPT] for k in range(KEPT)]
    return {
        "count": len(samples), "mega": sum(s.mega for s in samples), "seconds": sum(s.seconds for s in samples),
        "peak_bytes": max(s.peak_bytes for s in samples), "tasks": [[s.mega, s.seconds] for s in chosen],
    }  # fmt: skip


def add_run(url: str, run: str, date: str, samples: Sequence[Sample]) -> str:
    """Add a measured run to a history; the same run again replaces itself.

    Parameters
    ----------
    url : str
        Folder of the history: local path or fsspec URL.
    run : str
        Its name: letters, digits, ``-``, ``_`` and ``.``.
    date : str
        ISO; the order of the runs.
    samples : sequence of Sample

    Returns
    -------
    str
        The file that was written.
    """
    if not run or set(run) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."):
        raise InputError(f"{run!r} cannot be the name of a run", "cost history", "letters, digits, - _ . only")
    steps: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if not (math.isfinite(sample.seconds) and math.isfinite(sample.mega)):
            raise InputError(f"{sample.step} took {sample.seconds} s for {sample.mega}", run, "measure it again")
        steps[sample.step].append(sample)
    told = {"run": run, "date": date, "steps": {name: _summary(found) for name, found in sorted(steps.items())}}
    fs, folder = filesystem(url)
    fs.makedirs(folder, exist_ok=True)
    path = f"{folder.rstrip('/')}/{run}.json"
    fs.pipe_file(path, json.dumps(told).encode())
    return path


def read_runs(url: str) -> list[dict[str, Any]]:
    """Return the last runs of a history, oldest first; none where there is no history yet."""
    fs, folder = filesystem(url)
    if not fs.exists(folder):
        return []
    runs = []
    for path in sorted(fs.glob(f"{folder.rstrip('/')}/*.json")):
        try:
            run = json.loads(fs.cat_file(path))
            runs.append((str(run["date"]), str(run["run"]), run))
            dict(run["steps"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"no measured run ({error})", path, "remove it from the history") from None
    return [run for *_, run in sorted(runs, key=lambda item: item[:2])][-RUNS:]


def _line(mega: Array, seconds: Array) -> tuple[float, float]:
    """Return fixed and per-million cost, neither negative, that fit most of some tasks: relative residuals, Huber."""
    weight = np.ones(mega.size)
    fixed = per = 0.0
    for _ in range(_ROUNDS):
        scale = weight / np.maximum(seconds, 1e-6)
        design = np.stack([scale, scale * mega], -1)
        fixed, per = (float(v) for v in np.linalg.lstsq(design, scale * seconds, rcond=None)[0])
        if per < 0.0:
            fixed, per = float(np.average(seconds, weights=scale**2)), 0.0
        elif fixed < 0.0:
            fixed, per = 0.0, float((scale**2 * mega * seconds).sum() / (scale**2 * mega**2).sum())
        off = np.abs(seconds / np.maximum(fixed + per * mega, 1e-9) - 1.0)
        limit = 1.5 * max(1.4826 * float(np.median(off)), 0.02)
        weight = np.sqrt(np.minimum(1.0, limit / np.maximum(off, 1e-12)))
    return fixed, per


def _usual(seconds: Array, expected: Array) -> NDArray[np.bool_]:
    """Return which tasks count: few that are far off had bad luck, many of them are of the nature of the step."""
    ratio = seconds / expected
    near = (ratio < _FORGIVEN) & (ratio > 1 / _FORGIVEN)
    return near if (~near).mean() <= _FEW else np.full(near.shape, True)


def _fit(mega: Array, seconds: Array, known: StepCost | None) -> tuple[StepCost, NDArray[np.bool_]]:
    """Return the cost of a step from its tasks, and which of them counted."""
    shape = known if known is not None and known.seconds(float(np.median(mega))) > 0 else None
    low, high = np.quantile(mega, [0.1, 0.9])
    if shape is None or (mega.size >= LEAST and high > 1.5 * max(low, 1e-9)):
        fixed, per = _line(mega, seconds)
    else:  # all of one size: what is known tells how it would grow
        factor = float(np.median(seconds / (shape.fixed + shape.per_mega * mega)))
        fixed, per = factor * shape.fixed, factor * shape.per_mega
    expected = np.maximum(fixed + per * mega, 1e-9)
    good = _usual(seconds, expected)
    # a robust line runs through the middle of the tasks: a sum needs their mean
    mean = float(seconds[good].sum() / expected[good].sum())
    left = seconds[good] / (expected[good] * mean) - 1.0
    spread = float(np.sqrt(np.mean(left**2))) if left.size > 1 else 0.3
    return StepCost(fixed * mean, per * mean, max(spread, 0.02), samples=int(mega.size)), good


def fit_costs(runs: Sequence[Mapping[str, Any]], known: CostModel | None = None) -> CostModel:
    """Return the cost model that measured runs tell; steps that they do not have are scaled as those that they have.

    Parameters
    ----------
    runs : sequence of mapping
        Of `read_runs`.
    known : CostModel, optional
        Default: the costs that come with s2dask.
    """
    before = shipped_costs() if known is None else known
    return CostModel(_steps(runs, before), _shared(before, runs), len(runs)) if runs else before


def _steps(runs: Sequence[Mapping[str, Any]], before: CostModel) -> dict[str, StepCost]:
    """Return the costs of all steps, as measured, or as known and scaled."""
    steps: dict[str, StepCost] = dict(before.steps)
    measured: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for run in runs:
        for name, told in run["steps"].items():
            measured[name].append(told)
    ours = theirs = 0.0
    for name, told in measured.items():
        tasks = np.array([pair for part in told for pair in part["tasks"]], np.float64).reshape(-1, 2)
        one, _ = _fit(tasks[:, 0], tasks[:, 1], before.steps.get(name))
        steps[name] = replace(one, peak_bytes=max(int(part["peak_bytes"]) for part in told))
        if name in before.steps:
            counted = [(one.seconds(m), before.steps[name].seconds(m)) for m in tasks[:, 0]]
            ours, theirs = ours + sum(c[0] for c in counted), theirs + sum(c[1] for c in counted)
    factor = ours / theirs if theirs else 1.0
    for name, one in before.steps.items():
        if name not in measured:
            steps[name] = replace(one, fixed=one.fixed * factor, per_mega=one.per_mega * factor)
    return steps


def _excess(steps: Mapping[str, StepCost], run: Mapping[str, Any]) -> float | None:
    """Return the logarithm of what a run took over what was to be expected of it; None of one that tells nothing."""
    true = expected = 0.0
    for name, told in run["steps"].items():
        if name not in steps:
            continue
        mega, took = np.array(told["tasks"], np.float64).reshape(-1, 2).T
        should = np.maximum(steps[name].fixed + steps[name].per_mega * mega, 1e-9)
        good = _usual(took, should)
        if good.any():  # those that are kept one by one stand for all of the step
            whole = steps[name].fixed * told["count"] + steps[name].per_mega * told["mega"]
            true += whole * float(took[good].sum() / should[good].sum())
            expected += whole
    return math.log(true / expected) if true and expected else None


def _shared(before: CostModel, runs: Sequence[Mapping[str, Any]]) -> float:
    """Return how far the next run may be from the model, for a normal interval: with a prior for few runs.

    Notes
    -----
    Each run is foretold from the others, so that what a step that few runs have adds to the doubt is in it. Student's
    quantile over the normal one is 1 + (z^2 + 1) / (4 f) for f degrees of freedom.
    """
    weight, prior = _PRIOR
    n = len(runs)
    squares = [weight * prior**2 * (1.0 + 1.0 / n)]
    for k, run in enumerate(runs if n > 1 else ()):
        excess = _excess(_steps([*runs[:k], *runs[k + 1 :]], before), run)
        if excess is not None:
            squares.append(excess**2)
    free = max(weight + len(squares) - 2.0, 1.0)
    return math.sqrt(sum(squares) / free) * (1.0 + (Z80**2 + 1.0) / (4.0 * free))


def calibrated_costs(history: str | None) -> CostModel:
    """Return the costs by a history (folder or URL); without one, or from an empty one, those that come with s2dask."""
    return shipped_costs() if history is None else fit_costs(read_runs(history))
