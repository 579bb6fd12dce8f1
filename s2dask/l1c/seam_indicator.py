"""The step between neighbouring detectors over their seam, and how dark the darkest pixels are.

Both look at a sample of the pixels of a tile, chosen by their place in it, and add whole numbers: the same for any cut
of the tile on multiples of LATTICE.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

LATTICE: Final = 600
"""Windows across a seam lie within cells of this edge, so that no block of production cuts one [m]."""
ROW_STEP: Final = 60
"""Between the rows that are looked at [m]."""
HALF: Final = {10: 8, 20: 5, 60: 3}
"""Pixels on each side of a seam, by resolution."""
SMALLEST: Final = 200
"""Least mean of both sides: darker ground has no step that a share of it could tell [1e-4]."""
LARGEST: Final = 0.2
"""A larger step is an edge of the landscape [1]."""
UNITS: Final = 1_000_000
"""Of a step in the sums: whole numbers are added."""
ENOUGH: Final = 30
"""Rows that a step is told from."""
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
def _step(values, footprint, x, half, smallest, largest):  # type: ignore[no-untyped-def]
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
    step = 2.0 * (right - left) / (right + left)
    return step if abs(step) <= largest else np.nan


@kernel
def _seams(values, footprint, row, column, row_step, cell, half, smallest, largest, out):  # type: ignore[no-untyped-def]
    """Add, by the lower of the two detectors, number and sum of the steps over their seam."""
    rows, columns = values.shape
    for r in range((-row) % row_step, rows, row_step):
        for start in range(0, columns - half, half):
            # a seam that counts is the only change in as many pixels: most are passed over at a time
            if footprint[r, start] == footprint[r, start + half]:
                continue
            for x in range(max(start + 1, half), min(start + half, columns - half) + 1):
                a, b = footprint[r, x - 1], footprint[r, x]
                if a == b or min(a, b) == 0 or (column + x - half) // cell != (column + x + half - 1) // cell:
                    continue
                step = _step(values[r], footprint[r], x, half, smallest, largest)
                if step == step:
                    out[min(a, b), 0] += 1
                    out[min(a, b), 1] += np.int64(round(step * UNITS if b > a else -step * UNITS))


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
    """Return what a block says of the seams of a band: number and sum of the steps, by detector.

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
    sums = np.zeros((256, 2), np.int64)
    step, cell, half = ROW_STEP // resolution, LATTICE // resolution, HALF[resolution]
    _seams(values, footprint, *origin, step, cell, half, SMALLEST, LARGEST, sums)
    return {
        f"{prefix}.seam{d:02d}_{what}": float(sums[d, k])
        for d in np.flatnonzero(sums[:, 0])
        for k, what in enumerate(("rows", "sum"))
    }


def level_record(values: NDArray[np.uint16], resolution: int, origin: tuple[int, int], prefix: str) -> dict[str, float]:
    """Return how many pixels of a sample of a block lie in each class of level; parameters as of `seam_record`."""
    counts = np.zeros(BINS + 2, np.int64)
    _levels(values, *origin, SAMPLE_STEP // resolution, counts)
    return {f"{prefix}.level{k:02d}": float(counts[k]) for k in np.flatnonzero(counts)}


def take_steps(record: dict[str, float], prefix: str) -> dict[int, float]:
    """Take the sums of the seams of a band out of a record: mean step [%] from each detector to the next."""
    out = {}
    for name in sorted(n for n in record if n.startswith(f"{prefix}.seam") and n.endswith("_rows")):
        stem = name.removesuffix("_rows")
        rows, total = record.pop(name), record.pop(f"{stem}_sum")
        if rows >= ENOUGH:
            out[int(stem[-2:])] = 100.0 * total / rows / UNITS
    return out


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
