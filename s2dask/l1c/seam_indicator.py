"""The step between neighbouring detectors over their seam, and how dark the darkest pixels are.

Both look at a sample of the pixels of a tile, chosen by their place in it, and add whole numbers: the same for any cut
of the tile on multiples of LATTICE.

Edges of fields are steps too, often larger than that of the detectors: few pixels on each side of the seam meet few of
them, and the median of the rows passes over those. Rows lie as far apart as makes them independent.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

LATTICE: Final = 600
"""Windows across a seam lie within cells of this edge, so that no block of production cuts one [m]."""
STRIDE: Final = 8
"""Pixels that are passed over at a time in search of a seam."""
ROW_STEP: Final = 60
"""Between the rows that are looked at [m]."""
HALF: Final = {10: 2, 20: 1, 60: 1}
"""Pixels on each side of a seam, by resolution."""
SMALLEST: Final = 200
"""Least mean of both sides: darker ground has no step that a share of it could tell [1e-4]."""
STEP_BIN: Final = 0.002
"""Width of a class of the steps of rows, the middle one around zero [1] ..."""
STEP_BINS: Final = 401
"""... and their number: a larger step is an edge of the landscape."""
ENOUGH: Final = 30
"""Rows that a step is told from."""
MARGIN: Final = 3.0
"""Standard errors that a step at least is away from what was measured."""
OFFSET: Final = 1000
"""Of coded reflectance, minus its RADIO_ADD_OFFSET."""
SAMPLE_STEP: Final = 240
"""Between the pixels whose level is looked at [m]."""
BIN: Final = 50
"""Width of a class of level [1e-4] ..."""
BINS: Final = 64
"""... and their number; the last has all that is brighter."""
DARK_SHARE: Final = 0.01
"""Of the pixels: the darkest."""


@kernel
def _step(values, footprint, x, half, smallest):  # type: ignore[no-untyped-def]
    """Return the step of a row from the pixels before `x` to those from `x` on, NaN where it cannot be told."""
    a, b = footprint[x - 1], footprint[x]
    left, right = np.int64(0), np.int64(0)
    for k in range(half):
        p, q = values[x - 1 - k], values[x + k]
        if min(p, q) == 0 or max(p, q) == 65535 or footprint[x - 1 - k] != a or footprint[x + k] != b:
            return np.nan
        left += np.int64(p) - OFFSET
        right += np.int64(q) - OFFSET
    if left + right < 2 * smallest * half:
        return np.nan
    return 2.0 * (right - left) / (right + left)


@kernel
def _seams(values, footprint, row, column, row_step, cell, half, smallest, out):  # type: ignore[no-untyped-def]
    """Count, by the lower of the two detectors, the steps over their seam."""
    rows, columns = values.shape
    middle = STEP_BINS // 2
    for r in range((-row) % row_step, rows, row_step):
        for start in range(0, columns - 1, STRIDE):
            # detectors are far wider than this: most pixels are passed over at a time
            stop = min(start + STRIDE, columns - 1)
            if footprint[r, start] == footprint[r, stop]:
                continue
            for x in range(max(start + 1, half), min(stop, columns - half) + 1):
                a, b = footprint[r, x - 1], footprint[r, x]
                if a == b or min(a, b) == 0 or (column + x - half) // cell != (column + x + half - 1) // cell:
                    continue
                step = _step(values[r], footprint[r], x, half, smallest)
                if step == step and abs(step) < STEP_BIN * middle:
                    out[min(a, b), middle + np.int64(round((step if b > a else -step) / STEP_BIN))] += 1


@kernel
def _levels(values, row, column, step, out):  # type: ignore[no-untyped-def]
    """Count the pixels with data of every `step`-th row and column by their level; below zero: the last but one."""
    rows, columns = values.shape
    for r in range((-row) % step, rows, step):
        for x in range((-column) % step, columns, step):
            v = np.int64(values[r, x])
            if not 0 < v < 65535:
                continue
            out[min(v // BIN, BINS - 1)] += 1
            if v < OFFSET:
                out[BINS] += 1
            out[BINS + 1] += 1


def seam_record(
    values: NDArray[np.uint16], footprint: NDArray[np.uint8], resolution: int, origin: tuple[int, int], prefix: str
) -> dict[str, float]:
    """Return what a block says of the seams of a band: how many rows have a step of each class, by detector.

    Parameters
    ----------
    values : (y, x) uint16 [1e-4]
        Coded reflectance.
    footprint : (y, x) uint8
        Detector, 0 = none.
    resolution : int [m]
    origin : (int, int)
        First row and column in the tile.
    prefix : str
    """
    counts = np.zeros((256, STEP_BINS), np.int64)
    step, cell, half = ROW_STEP // resolution, LATTICE // resolution, HALF[resolution]
    _seams(values, footprint, *origin, step, cell, half, SMALLEST, counts)
    return {f"{prefix}.seam{d:02d}_{k:03d}": float(counts[d, k]) for d, k in np.argwhere(counts)}


def level_record(values: NDArray[np.uint16], resolution: int, origin: tuple[int, int], prefix: str) -> dict[str, float]:
    """Return how many pixels of a sample of a block lie in each class of level; parameters as of `seam_record`."""
    counts = np.zeros(BINS + 2, np.int64)
    _levels(values, *origin, SAMPLE_STEP // resolution, counts)
    return {f"{prefix}.level{k:02d}": float(counts[k]) for k in np.flatnonzero(counts)}


def _middle(values: NDArray[np.float64], counts: NDArray[np.float64], width: float) -> float:
    """Return the median of counted classes in ascending order, spread evenly over their width."""
    before = np.cumsum(counts) - counts
    at = int(np.flatnonzero(before <= counts.sum() / 2)[-1])
    return float(values[at] + width * ((counts.sum() / 2 - before[at]) / counts[at] - 0.5))


def _step_of(classes: Mapping[int, float]) -> tuple[float, float]:
    """Return the step of a seam and its standard error [1] from the number of rows in each class."""
    counts = np.array([classes[k] for k in sorted(classes)])
    values = STEP_BIN * (np.array(sorted(classes)) - STEP_BINS // 2)
    step = _middle(values, counts, STEP_BIN)
    away = np.abs(values - step)
    order = np.argsort(away, kind="stable")
    # no less than the rounding to a class
    spread = max(1.4826 * _middle(away[order], counts[order], 0.0), STEP_BIN / 12**0.5)
    return step, float(1.2533 * spread / counts.sum() ** 0.5)


def take_steps(record: dict[str, float], prefix: str) -> dict[int, tuple[float, float]]:
    """Take the classes of the seams of a band out of a record: step and its standard error [%] by lower detector.

    Notes
    -----
    The standard error of a median is 1.2533 standard deviations over the root of the number; the standard deviation is
    1.4826 times the median distance from the median, which some edges of the landscape do not touch.
    """
    mark, found = f"{prefix}.seam", dict[int, dict[int, float]]()
    for name in [name for name in record if name.startswith(mark)]:
        detector, at = name.removeprefix(mark).split("_")
        found.setdefault(int(detector), {})[int(at)] = record.pop(name)
    enough = {d: classes for d, classes in sorted(found.items()) if sum(classes.values()) >= ENOUGH}
    return {d: (100.0 * step, 100.0 * error) for d, (step, error) in ((d, _step_of(c)) for d, c in enough.items())}


def take_levels(record: dict[str, float], prefix: str) -> tuple[float, float] | None:
    """Take the classes of level of a band out of a record: darkest reflectance [1], and share below zero [%].

    Returns
    -------
    (float, float) or None
        The middle of the class where DARK_SHARE of the pixels are darker; None without a pixel.
    """
    counts = np.array([record.pop(f"{prefix}.level{k:02d}", 0.0) for k in range(BINS + 2)])
    if not counts[BINS + 1]:
        return None
    at = int(np.searchsorted(np.cumsum(counts[:BINS]), DARK_SHARE * counts[BINS + 1], side="right"))
    return ((min(at, BINS - 1) + 0.5) * BIN - OFFSET) / 1e4, 100.0 * counts[BINS] / counts[BINS + 1]
