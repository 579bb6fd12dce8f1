"""The step between neighbouring detectors over their seam, and how dark the darkest pixels are.

Both look at a sample of the pixels of a tile, chosen by their place in it, and add whole numbers: the same for any cut
of the tile on multiples of LATTICE.

Edges of fields are steps too, often larger than that of the detectors: few pixels on each side of the seam meet few of
them, and the median of the rows passes over those. Rows lie as far apart as makes them independent.
"""

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
STEP_SCALE: Final = 0.01
"""Classes of the steps of rows are even in ``asinh(step / STEP_SCALE)``: fine around zero, coarse where few lie [1]."""
STEP_CLASSES: Final = 6
"""Classes in one unit of it, and ..."""
STEP_BINS: Final = 53
"""... in all: a step beyond 0.41 is an edge of the landscape."""
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
                if step == step:
                    k = np.int64(round(STEP_CLASSES * np.arcsinh((step if b > a else -step) / STEP_SCALE)))
                    if abs(k) <= STEP_BINS // 2:
                        out[min(a, b), STEP_BINS // 2 + k] += 1


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
    return {f"{prefix}.seam{d:02d}_{k:02d}": float(counts[d, k]) for d, k in np.argwhere(counts)}


def level_record(values: NDArray[np.uint16], resolution: int, origin: tuple[int, int], prefix: str) -> dict[str, float]:
    """Return how many pixels of a sample of a block lie in each class of level; parameters as of `seam_record`."""
    counts = np.zeros(BINS + 2, np.int64)
    _levels(values, *origin, SAMPLE_STEP // resolution, counts)
    return {f"{prefix}.level{k:02d}": float(counts[k]) for k in np.flatnonzero(counts)}


def _middle(edges: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return the median of counted classes between edges, each spread evenly."""
    total = np.concatenate([[0.0], np.cumsum(counts)])
    return float(np.interp(total[-1] / 2, total, edges))


def _step_of(counts: NDArray[np.float64]) -> tuple[float, float]:
    """Return the step of a seam and its standard error [1] from the number of rows in each class."""
    edges = STEP_SCALE * np.sinh((np.arange(STEP_BINS + 1) - STEP_BINS / 2) / STEP_CLASSES)
    step = _middle(edges, counts)
    # as many rows lie within the median distance as without: those below its upper end less those below its lower end
    below = np.concatenate([[0.0], np.cumsum(counts)])
    away = edges[STEP_BINS // 2 + 1 :] - edges[STEP_BINS // 2 + 1]
    away = np.interp(np.arange(256) / 256 * (away.size - 1), np.arange(away.size), away)
    within = np.interp(step + away, edges, below) - np.interp(step - away, edges, below)
    spread = 1.4826 * float(np.interp(0.5 * below[-1], within, away))
    return step, 1.2533 * spread / float(below[-1]) ** 0.5


def take_steps(record: dict[str, float], prefix: str) -> dict[int, tuple[float, float]]:
    """Take the classes of the seams of a band out of a record: step and its standard error [%] by lower detector.

    Notes
    -----
    The standard error of a median is 1.2533 standard deviations over the root of the number; the standard deviation is
    1.4826 times the median distance from the median, which some edges of the landscape do not touch.
    """
    mark, found = f"{prefix}.seam", dict[int, NDArray[np.float64]]()
    for name in [name for name in record if name.startswith(mark)]:
        detector, at = name.removeprefix(mark).split("_")
        found.setdefault(int(detector), np.zeros(STEP_BINS))[int(at)] = record.pop(name)
    steps = {d: _step_of(counts) for d, counts in sorted(found.items()) if counts.sum() >= ENOUGH}
    return {d: (100.0 * step, 100.0 * error) for d, (step, error) in steps.items()}


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
