"""Aerosol over boxes of some kilometres, from the dark dense vegetation of each, out of a sample of cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l2a.atmosphere import water_vapour_at
from s2dask.l2a.cells import coefficients_at
from s2dask.l2a.conditions import Conditions, scattered
from s2dask.l2a.correction import coefficient_table, water_law
from s2dask.l2a.inversion import AIR_MASS, ALBEDO, BOTH, DIRECT_UP, LOG_GAS, PATH
from s2dask.l2a.surroundings import NODE

SAMPLE_BANDS: Final = ("B02", "B04", "B8A", "B09", "B12")
AOT_NODES: Final = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0])
BOX: Final = 3000.0
"""Edge of a box [m] [1]."""
FEWEST_ACROSS: Final = 4
"""Cells on the edge of a box of a tile of larger pixels."""
SWIR_LIMITS: Final = (0.05, 0.10, 0.12)
"""Surface reflectance of B12 below which vegetation is dark: the next one is tried where too little is [1]."""
SWIR_FLOOR: Final = 0.01
SWIR_AOT: Final = 0.2
"""Aerosol taken for the surface reflectance of B12 that vegetation is chosen by: it hardly matters there [1]."""
FEWEST: Final = 25
"""Cells of dark vegetation that a tile needs ..."""
SMALLEST_SHARE: Final = 0.02
"""... and their share of its land; a box needs the same share ..."""
FEWEST_IN_BOX: Final = 5
"""... and so many cells."""
LARGEST_IN_BOX: Final = 60
"""Cells of dark vegetation of a box that are looked at."""
RED_OF_SWIR: Final = 0.5
BLUE_OF_RED: Final = 0.5
BLUE_OFFSET: Final = 0.0025
"""Between the published relations, which add 0 and 0.005 [1]."""
SPREAD: Final = {"B04": 0.003, "B02": 0.005}
"""How far the relations hold for the vegetation of a place, red first [1]."""
SHARED: Final = 0.5
"""Share of that variance that all boxes of a tile have in common."""
MEDIAN_SIGMA: Final = 1.858
"""Standard error of the median of one normal cell, over the median deviation: 1.4826 times the root of pi / 2."""
WORST: Final = 3.0
"""Spreads by which a box may miss its relations."""
ODD: Final = 3.0
"""Standard deviations by which a box may stand out among its neighbours."""
ODD_SPREAD: Final = 0.05
"""Of the aerosol among neighbours [1]."""

Field = NDArray[np.float64]
_FINE: Final = np.linspace(0.0, AOT_NODES[-1], 1001)


@dataclass(frozen=True, slots=True, eq=False)
class LandSample:
    """Cells of clear land, a fixed selection of those of the tile.

    Attributes
    ----------
    row, column : (cell) int32
        In the tile.
    slot : (cell) uint8
        Of the detector.
    vegetation : (cell) bool
    elevation : (cell) float32 [m]
    reflectance : (band, cell) float32 [1]
        Top-of-atmosphere, of `SAMPLE_BANDS`.
    """

    row: NDArray[np.int32]
    column: NDArray[np.int32]
    slot: NDArray[np.uint8]
    vegetation: NDArray[np.bool_]
    elevation: NDArray[np.float32]
    reflectance: NDArray[np.float32]

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "LandSample":
        """Return some of the cells."""
        return LandSample(
            self.row[chosen], self.column[chosen], self.slot[chosen], self.vegetation[chosen],
            self.elevation[chosen], self.reflectance[:, chosen],
        )  # fmt: skip

    @classmethod
    def join(cls, parts: Sequence["LandSample"]) -> "LandSample":
        """Return the cells of all blocks in the order of the tile, whatever the order of the blocks."""
        whole = cls(
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.column for part in parts]),
            np.concatenate([part.slot for part in parts]),
            np.concatenate([part.vegetation for part in parts]),
            np.concatenate([part.elevation for part in parts]),
            np.concatenate([part.reflectance for part in parts], axis=1),
        )
        return whole.take(np.lexsort((whole.column, whole.row)))


@dataclass(frozen=True, slots=True, eq=False)
class BoxAerosol:
    """What dark vegetation says of each box that has enough of it.

    Attributes
    ----------
    row, column : (box) int
    aot : (box) float64 [1]
        At 550 nm.
    height : (box) float64 [m]
        Mean elevation of the vegetation, above which it is.
    sigma : (box) float64 [1]
        Standard uncertainty that is its own.
    shared : float [1]
        Standard uncertainty that all boxes have in common.
    cells : int
        Of dark vegetation used.
    """

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    aot: Field
    height: Field
    sigma: Field
    shared: float
    cells: int


def box_edge(cell: float) -> int:
    """Return how many cells of an edge [m] a box is long."""
    return max(FEWEST_ACROSS, round(BOX / cell))


@kernel
def _surface(table, low, step, y, x, slot, elevation, toa, around, vapour, a, n, out):  # type: ignore[no-untyped-def]
    """Work out the surface reflectance of scattered cells under each of some aerosols.

    Parameters
    ----------
    table : (aot, slot, height, ny, nx, 9) float64
    low, step : float [m]
        First height and spacing.
    y, x : (cell) float64
        Positions, in nodes.
    slot : (cell) uint8
    elevation, toa : (cell) float32 [m, 1]
    around : (cell) float64 [1]
        Top-of-atmosphere reflectance of the surroundings, NaN where they are taken to be as the cell.
    vapour : (cell) float64 [cm]
    a, n : float
        Absorption by water vapour.
    out : (cell, aot) float64 [1]
        Filled.
    """
    c = np.empty(table.shape[5])
    for k in range(out.shape[0]):
        for q in range(out.shape[1]):
            coefficients_at(table[q, slot[k]], low, step, y[k], x[k], elevation[k], c)
            dimmed = np.exp(-c[LOG_GAS] - a * (c[AIR_MASS] * vapour[k]) ** n)
            level = toa[k] * dimmed - c[PATH]
            out[k, q] = level / (c[BOTH] + c[ALBEDO] * level)
            if np.isfinite(around[k]):
                beside = around[k] * dimmed - c[PATH]
                lit = beside / (c[BOTH] + c[ALBEDO] * beside)
                seen = level * (1.0 - c[ALBEDO] * lit) / c[BOTH]
                out[k, q] = (seen - (1.0 - c[DIRECT_UP]) * lit) / c[DIRECT_UP]


@kernel
def _medians(values, first):  # type: ignore[no-untyped-def]
    """Return the median of each column over each run of rows, and the median distance from it.

    Parameters
    ----------
    values : (cell, aot) float64
    first : (box + 1) int
        Where the cells of each box begin.

    Returns
    -------
    median, deviation : (box, aot) float64
    """
    median = np.empty((first.size - 1, values.shape[1]))
    deviation = np.empty_like(median)
    for b in range(median.shape[0]):
        for q in range(values.shape[1]):
            part = values[first[b] : first[b + 1], q].copy()
            median[b, q] = np.median(part)
            deviation[b, q] = np.median(np.abs(part - median[b, q]))
    return median, deviation


def _under(
    conditions: Conditions,
    heights: Field,
    vapour: float,
    around: Mapping[str, Field],
    sample: LandSample,
    name: str,
    aot: Field,
) -> Field:
    """Return (cell, aot) the surface reflectance of a sample under each of some aerosols."""
    beside = np.full(sample.row.size, np.nan)
    if name in around:
        y, x = ((cells + 0.5) / NODE - 0.5 for cells in (sample.row, sample.column))
        beside = scattered(around[name], y, x)
    table = np.stack([coefficient_table(conditions, name, float(a), heights) for a in aot])
    out = np.empty((sample.row.size, aot.size))
    _surface(
        table, float(heights[0]), float(heights[1] - heights[0]), conditions.places_of(sample.row),
        conditions.places_of(sample.column), sample.slot, sample.elevation,
        np.ascontiguousarray(sample.reflectance[SAMPLE_BANDS.index(name)]), beside,
        water_vapour_at(sample.elevation, vapour), *water_law(conditions.unit, name), out,
    )  # fmt: skip
    return out


def _dark(swir: Field, sample: LandSample, box: NDArray[np.intp], boxes: int) -> NDArray[np.intp]:
    """Return the cells of dark vegetation: of each box those under the first limit that gives enough."""
    land = np.bincount(box, minlength=boxes)
    limit = np.zeros(boxes)
    for candidate in SWIR_LIMITS[::-1]:
        under = sample.vegetation & (swir >= SWIR_FLOOR) & (swir <= candidate)
        if candidate == SWIR_LIMITS[-1] and under.sum() < max(FEWEST, SMALLEST_SHARE * swir.size):
            return np.zeros(0, np.intp)
        count = np.bincount(box[under], minlength=boxes)
        limit[count >= np.maximum(FEWEST_IN_BOX, SMALLEST_SHARE * land)] = candidate
    chosen = np.flatnonzero(sample.vegetation & (swir >= SWIR_FLOOR) & (swir <= limit[box]))
    chosen = chosen[np.argsort(box[chosen], kind="stable")]
    count = np.bincount(box[chosen], minlength=boxes)
    rank = np.arange(chosen.size) - np.repeat(np.cumsum(count) - count, count)
    stride = np.maximum(-(-count // LARGEST_IN_BOX), 1)
    return np.asarray(chosen[rank % stride[box[chosen]] == 0])


def _least(red: Field, blue: Field) -> tuple[NDArray[np.intp], Field, tuple[Field, ...]]:
    """Return where along `_FINE` the misfits (box, aot) are least together, that least, and their slopes there."""
    k = np.clip(np.searchsorted(AOT_NODES, _FINE, "right") - 1, 0, AOT_NODES.size - 2)
    share = (_FINE - AOT_NODES[k]) / (AOT_NODES[k + 1] - AOT_NODES[k])
    cost = np.zeros((red.shape[0], _FINE.size))
    for values, spread in zip((red, blue), SPREAD.values(), strict=True):
        cost += ((values[:, k] * (1 - share) + values[:, k + 1] * share) / spread) ** 2
    best = np.argmin(cost, axis=1)
    at, rows = k[best], np.arange(best.size)
    widths = AOT_NODES[at + 1] - AOT_NODES[at]
    return best, cost[rows, best], tuple((v[rows, at + 1] - v[rows, at]) / widths for v in (red, blue))


def _odd(row: NDArray[np.intp], column: NDArray[np.intp], aot: Field, sigma: Field) -> NDArray[np.bool_]:
    """Return which boxes stand out among those within two boxes of them."""
    out = np.zeros(aot.size, np.bool_)
    for i in range(aot.size):
        near = (np.abs(row - row[i]) <= 2) & (np.abs(column - column[i]) <= 2)
        if near.sum() >= 5:
            out[i] = abs(aot[i] - np.median(aot[near])) > ODD * np.hypot(sigma[i], ODD_SPREAD)
    return out


def _settled(
    red: tuple[Field, Field],
    blue: tuple[Field, Field],
    numbers: NDArray[np.intp],
    count: NDArray[np.intp],
    height: Field,
    shape: tuple[int, int],
) -> BoxAerosol | None:
    """Return the aerosol of boxes from the medians and deviations (box, aot) of their misfits."""
    best, cost, slopes = _least(red[0], blue[0])
    aot, rows = _FINE[best], np.arange(best.size)
    node = np.searchsorted(AOT_NODES, aot, "right") - 1
    information, noise = np.zeros(best.size), np.zeros(best.size)
    for slope, (_, scatter), spread in zip(slopes, (red, blue), SPREAD.values(), strict=True):
        information += (slope / spread) ** 2
        noise += (slope / spread**2 * MEDIAN_SIGMA * scatter[rows, node]) ** 2 / count
    relations = 1 / np.maximum(information, 1e-6)
    sigma = np.sqrt((1 - SHARED) * relations + noise * relations**2)
    row, column = np.divmod(numbers, shape[1])
    good = (cost <= 2 * WORST**2) & (relations < 1.0)
    good &= ~_odd(row, column, aot, sigma)
    if not good.any():
        return None
    shared = float(np.sqrt(SHARED * np.median(relations[good])))
    return BoxAerosol(row[good], column[good], aot[good], height[good], sigma[good], shared, int(count[good].sum()))


def dark_vegetation(
    conditions: Conditions,
    sample: LandSample,
    heights: Field,
    shape: tuple[int, int],
    vapour: float,
    around: Mapping[str, Field] | None = None,
) -> BoxAerosol | None:
    """Return the aerosol that makes the dark vegetation of each box as red and as blue as it is.

    Parameters
    ----------
    conditions : Conditions
    sample : LandSample
    heights : (height) float64 [m]
        Equally spaced, around those of the tile.
    shape : (int, int)
        Rows and columns of boxes.
    vapour : float [cm]
        Water vapour above sea level.
    around : mapping of str to (row, column) float64 [1], optional
        Top-of-atmosphere reflectance around the nodes of `s2dask.l2a.surroundings`, by band: bright ground near dark
        vegetation makes it look as aerosol does.

    Returns
    -------
    BoxAerosol or None
        None where the tile has too little dark vegetation.

    Notes
    -----
    ``rho(B04) = 0.5 rho(B12)`` and ``rho(B02) = 0.5 rho(B04)`` (Kaufman et al., 1997). The median misfit of each over
    the cells of a box is taken at every node of AOT; the AOT where their weighted squares are least is the answer. Its
    uncertainty follows from the spread of the relations and from the scatter of the cells, over the slope.
    """
    if sample.row.size == 0:
        return None
    edge, under = box_edge(conditions.cell), partial(_under, conditions, heights, vapour, around or {})
    box = (sample.row // edge).astype(np.intp) * shape[1] + sample.column // edge
    chosen = _dark(under(sample, "B12", np.array([SWIR_AOT]))[:, 0], sample, box, shape[0] * shape[1])
    if chosen.size == 0:
        return None
    dark = sample.take(chosen)
    swir = under(dark, "B12", AOT_NODES)
    red = under(dark, "B04", AOT_NODES) - RED_OF_SWIR * swir
    blue = under(dark, "B02", AOT_NODES) - BLUE_OF_RED * RED_OF_SWIR * swir - BLUE_OFFSET
    numbers, first, count = np.unique(box[chosen], return_index=True, return_counts=True)
    runs = np.append(first, chosen.size)
    height = np.add.reduceat(dark.elevation.astype(np.float64), first) / count
    return _settled(_medians(red, runs), _medians(blue, runs), numbers, count, height, shape)
