"""Measured quality of an L2A tile: sums of the delivered counts, and whether classes agree with the ground they name.

The sums of a block are whole numbers, and every pixel of the sample is chosen by its place in its 60 m cell: the same
for any cut of the tile into cells.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS
from s2dask.kernels import kernel
from s2dask.l2a.scene_class import SHADOW, SNOW, SOIL, VEGETATION, WATER

OFFSET: Final = 1000
"""Of coded surface reflectance."""
COMPARED: Final = ("B03", "B04", "B8A", "B11")
"""Bands that classes are compared with."""
RULES: Final = ("vegetation", "soil", "water", "snow", "hazy_snow", "shadow")
"""Ways in which a class contradicts, in the order of the counts."""
BARE: Final = 0.20
"""NDVI of B8A and B04 below which nothing grows."""
GREEN: Final = 0.70
"""NDVI above which ground is not bare."""
BRIGHT_WATER: Final = 0.20
"""Reflectance of B8A above which it is no water."""
THICK: Final = 0.60
"""Aerosol above which bright ground in B03 may be dust or smoke and no snow [1]."""
REACH_CELLS: Final = 102
"""Edge of the squares in which shadows look for clouds [cells of 60 m]: 6.1 km ..."""
REACH: Final = 2
"""... and in how many squares around: a cloud at 10 km under a sun at 50 degrees stands 12 km away."""
CLOUDS: Final = (8, 9, 10)
"""Classes that cast a shadow."""

Layer = NDArray[np.uint8] | NDArray[np.uint16]


@kernel
def _sums(counts, out):  # type: ignore[no-untyped-def]
    """Write number, sum and extremes of the counts between no data and saturation, and how many are negative."""
    n, total, low, high, negative = np.int64(0), np.int64(0), np.int64(65536), np.int64(-1), np.int64(0)
    for q in range(counts.size):
        v = np.int64(counts[q])
        there = np.int64(v != 0) & np.int64(v != 65535)
        n += there
        total += there * v
        negative += there & np.int64(v < OFFSET)
        low = min(low, v if there else np.int64(65536))
        high = max(high, v if there else np.int64(-1))
    out[0], out[1], out[2], out[3], out[4] = n, total, low, high, negative


def count_record(counts: Layer, prefix: str) -> dict[str, float]:
    """Return the sums of an image: pixels, valid, sum, negative and extremes.

    Parameters
    ----------
    counts : (y, x) uint16
        0 no data, 65535 saturated; ``negative`` counts those below OFFSET.
    prefix : str
    """
    out = np.empty(5, np.int64)
    _sums(np.ascontiguousarray(counts).reshape(-1), out)
    record = {
        f"{prefix}.pixels": float(counts.size), f"{prefix}.valid": float(out[0]), f"{prefix}.sum": float(out[1]),
        f"{prefix}.negative": float(out[4]),
    }  # fmt: skip
    return record | ({f"{prefix}.value_min": float(out[2]), f"{prefix}.value_max": float(out[3])} if out[0] else {})


@kernel
def _index(high, low):  # type: ignore[no-untyped-def]
    total = high + low
    return (high - low) / total if total > 0 else 0.0


@kernel
def _contradictions(scl, b03, b04, b8a, b11, aot, thick, out):  # type: ignore[no-untyped-def]
    """Count, in the middle pixel of each cell, classes that the reflectance contradicts, and pixels looked at.

    `out` has one number for each of RULES but the last, then the pixels of those classes; neighbours of another class
    and neighbours come last.
    """
    rows, columns = scl.shape
    for r in range(1, rows, 3):
        for x in range(1, columns, 3):
            c = scl[r, x]
            for k in (-1, 1):
                if 0 <= x + k < columns and c != 0 and scl[r, x + k] != 0:
                    out[7] += 1
                    out[6] += scl[r, x + k] != c
            i, j = r // 3, x // 3
            if c not in (VEGETATION, SOIL, WATER, SNOW) or b04[i, j] == 0 or b8a[i, j] == 0:
                continue
            out[5] += 1
            green, red = (np.float64(b03[i, j]) - OFFSET) / 1e4, (np.float64(b04[i, j]) - OFFSET) / 1e4
            near, far = (np.float64(b8a[i, j]) - OFFSET) / 1e4, (np.float64(b11[i, j]) - OFFSET) / 1e4
            vigour = _index(near, max(red, 0.0))
            out[0] += c == VEGETATION and vigour < BARE
            out[1] += c == SOIL and vigour > GREEN
            out[2] += c == WATER and near > BRIGHT_WATER
            out[3] += c == SNOW and _index(green, max(far, 0.0)) < 0.0
            out[4] += c == SNOW and aot[r, x] > thick


@kernel
def _squares(scl, row, column, edge, shadow, cloud, out):  # type: ignore[no-untyped-def]
    """Write how many middle pixels of cells are shadow and cloud, by square, of cells from `row` and `column` on."""
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[0, i, j] = 0
            out[1, i, j] = 0
    first, left = row // edge, column // edge
    for r in range(1, scl.shape[0], 3):
        y = (row + r // 3) // edge - first
        for x in range(1, scl.shape[1], 3):
            c = scl[r, x]
            if c == shadow:
                out[0, y, (column + x // 3) // edge - left] += 1
            elif c in cloud:
                out[1, y, (column + x // 3) // edge - left] += 1


def middle_pixels(image: Layer) -> Layer:
    """Return a copy of the middle pixels of the cells of a block of 20 m pixels."""
    return image[1::3, 1::3].copy()


def class_record(scl: Layer, images: Mapping[str, Layer], aot: Layer, origin: tuple[int, int]) -> dict[str, float]:
    """Return what a block of 20 m pixels says of its classes.

    Parameters
    ----------
    scl : (y, x) uint8
    images : mapping of str to (row, column) uint16
        Coded surface reflectance of COMPARED, see `middle_pixels`.
    aot : (y, x) uint16 [1e-3]
    origin : (int, int)
        First pixel, a multiple of three: of a cell.

    Returns
    -------
    dict
        ``sane.<rule>``, ``sane.compared``, ``sane.broken``, ``sane.pairs``; ``sane.shadow_<row>_<column>`` and
        ``sane.cloud_…`` of each square that has some.
    """
    counts = np.zeros(8, np.int64)
    b03, b04, b8a, b11 = (images[name] for name in COMPARED)
    _contradictions(scl, b03, b04, b8a, b11, aot, round(1000 * THICK), counts)
    names = (*(f"sane.{rule}" for rule in RULES[:5]), "sane.compared", "sane.broken", "sane.pairs")
    out = {name: float(n) for name, n in zip(names, counts, strict=True) if n}
    row, column = (at // 3 for at in origin)
    spans = zip((row, column), scl.shape, strict=True)
    squares = np.empty((2, *((at + n // 3) // REACH_CELLS - at // REACH_CELLS + 1 for at, n in spans)), np.int64)
    _squares(scl, row, column, REACH_CELLS, SHADOW, CLOUDS, squares)
    for k, kind in enumerate(("shadow", "cloud")):
        for i, j in np.argwhere(squares[k]):
            out[f"sane.{kind}_{row // REACH_CELLS + i:03d}_{column // REACH_CELLS + j:03d}"] = float(squares[k, i, j])
    return out


def layer_record(amount: Layer, prefix: str) -> dict[str, float]:
    """Return the sums of a map of aerosol or water vapour, as `count_record` does, which nothing negative is in."""
    return {name: n for name, n in count_record(amount, prefix).items() if not name.endswith(".negative")}


def negative_shares(record: Mapping[str, float]) -> dict[str, float]:
    """Return the share of pixels with negative reflectance [%], ``b02.negative_percentage``, and the largest.

    Of each band at its own resolution; 0 where nothing is seen.
    """
    out = {}
    for name, facts in BANDS.items():
        prefix = f"r{facts.resolution}m.{name.lower()}"
        if f"{prefix}.valid" in record:
            seen = max(record[f"{prefix}.valid"], 1.0)
            out[f"{name.lower()}.negative_percentage"] = 100.0 * record[f"{prefix}.negative"] / seen
    return out | ({"negative_percentage": max(out.values())} if out else {})


def _take(record: dict[str, float], kind: str) -> dict[tuple[int, int], float]:
    names = [name for name in record if name.startswith(f"sane.{kind}_")]
    return {(int(name[-7:-4]), int(name[-3:])): record.pop(name) for name in names}


def class_indicators(record: dict[str, float]) -> dict[str, float]:
    """Return how far the classes of a tile contradict, and take what that is made of out of its combined record.

    Returns
    -------
    dict
        ``scl_inconsistent`` and a share for each of RULES, of the pixels of vegetation, soil, water, snow and cloud
        shadow [%]; ``scl_fragmented``, of neighbours that are of different class [%].
    """
    shadow, cloud = _take(record, "shadow"), _take(record, "cloud")
    lone = sum(n for at, n in shadow.items() if not any(_near(at, other) for other in cloud))
    wrong = {rule: record.pop(f"sane.{rule}", 0.0) for rule in RULES[:5]} | {"shadow": lone}
    compared = record.pop("sane.compared", 0.0) + sum(shadow.values())
    broken, pairs = record.pop("sane.broken", 0.0), record.pop("sane.pairs", 0.0)
    if not compared:
        return {}
    out = {f"scl_inconsistent_{rule}": 100.0 * n / compared for rule, n in wrong.items()}
    return out | {
        "scl_inconsistent": 100.0 * sum(wrong.values()) / compared, "scl_fragmented": 100.0 * broken / max(pairs, 1.0)
    }  # fmt: skip


def _near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= REACH
