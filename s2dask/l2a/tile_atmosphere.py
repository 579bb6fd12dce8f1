"""The atmosphere of a whole tile, settled from what all its blocks say."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.gas import absorptions
from s2dask.l2a import cirrus, cloud_shadow
from s2dask.l2a.aerosol import SAMPLE_BANDS, LandSample, box_edge, dark_vegetation
from s2dask.l2a.aerosol_field import DEFAULT_AOT, Aerosol, settle_aerosol
from s2dask.l2a.atmosphere import water_vapour_at
from s2dask.l2a.cells import around, scattered_coefficients
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.correction import coefficient_table, height_nodes, water_law
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.l2a.slopes import STEEP_SHARE
from s2dask.l2a.surroundings import NodeSums, surroundings
from s2dask.l2a.terrain_shade import shaded_cells
from s2dask.l2a.water_vapour import retrieve, uncertainty

VAPOUR_CELLS: Final = 4000
"""Cells of the sample that the mean water vapour is taken from."""
FORECAST_ERROR: Final = (0.2, 0.1)
"""Standard uncertainty of a forecast of water vapour [cm], and what comes to it for each centimetre."""
CLOUD_MARGIN: Final = 300.0
"""How far clouds brighten the ground beside them [m]."""

Bytes = NDArray[np.uint8]
Field = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BlockStatistics:
    """What a block of 20 m pixels says for its tile.

    Attributes
    ----------
    origin : (int, int)
        First cell.
    kind, near, slots : (row, column) uint8
        Of the cells, for the shadows: what they are, reflectance of B8A in 1/200, and the slots of the detectors.
    sample : LandSample
    elevation : (row, column) float32 [m]
    steep : int
        Cells steeper than `s2dask.l2a.slopes.STEEP`.
    sums : mapping of str to NodeSums
        Of each band, for its surroundings; empty where they are not asked for.
    veils : mapping of str to (STEPS, LEVELS) int64
        How bands grow with cirrus, see `s2dask.l2a.cirrus`; likewise.
    """

    origin: tuple[int, int]
    kind: Bytes
    near: Bytes
    slots: Bytes
    sample: LandSample
    elevation: NDArray[np.float32]
    steep: int
    sums: Mapping[str, NodeSums]
    veils: Mapping[str, NDArray[np.int64]]

    @property
    def heights(self) -> tuple[float, float]:
        """Lowest and highest elevation [m]."""
        return float(self.elevation.min()), float(self.elevation.max())


@dataclass(frozen=True, slots=True, eq=False)
class Vapour:
    """Water vapour of a tile.

    Attributes
    ----------
    field : (ny, nx) float64 [cm]
        Above sea level, at the nodes, where it is not retrieved: the land's, or the forecast of a tile without land.
    mean : float [cm]
    sigma : float [cm]
        Standard uncertainty of that mean.
    retrieved : bool
    """

    field: Field
    mean: float
    sigma: float
    retrieved: bool


@dataclass(frozen=True, slots=True, eq=False)
class AtmosphereState:
    """What was settled for a tile; two are equal when all their numbers are.

    Attributes
    ----------
    conditions : Conditions
        At the nodes of the product.
    nodes : Conditions
        At the nodes of the aerosol.
    aerosol : Aerosol
    vapour : Vapour
    heights : (height) float64 [m]
        Of the tables of coefficients.
    shadow, cloud, shade : (row, byte) uint8
        Cells in the shadow of a cloud, those whose water vapour a cloud hides, and those that the relief shades, packed
        bits.
    surroundings : mapping of str to (row, column) float32 [1]
        Top-of-atmosphere reflectance around the nodes of `s2dask.l2a.surroundings`, by band; empty: not corrected for.
    sloped : bool
        Slopes are corrected for.
    growth : mapping of str to float [1]
        Of bands with the reflectance of cirrus in B10; empty: it is not taken off.
    digest : str
    """

    conditions: Conditions
    nodes: Conditions
    aerosol: Aerosol
    vapour: Vapour
    heights: Field
    shadow: Bytes
    cloud: Bytes
    shade: Bytes
    surroundings: Mapping[str, NDArray[np.float32]]
    sloped: bool
    growth: Mapping[str, float]
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtmosphereState) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _mosaic(blocks: Sequence[BlockStatistics], name: str, fill: int) -> NDArray[Any]:
    """Return a layer of cells of the whole tile."""
    rows, columns = (max(s.origin[k] + s.kind.shape[k] for s in blocks) for k in (0, 1))
    out = np.full((rows, columns), fill, getattr(blocks[0], name).dtype)
    for s in blocks:
        part = getattr(s, name)
        out[s.origin[0] : s.origin[0] + part.shape[0], s.origin[1] : s.origin[1] + part.shape[1]] = part
    return out


def _sampled(conditions: Conditions, name: str, aot: float, heights: Field, sample: LandSample) -> Field:
    """Return the coefficients of a band at the cells of a sample: (1, cell, 5)."""
    table = coefficient_table(conditions, name, aot, heights)
    out = np.empty((sample.row.size, table.shape[-1]))
    low, step = float(heights[0]), float(heights[1] - heights[0])
    y, x = conditions.places_of(sample.row), conditions.places_of(sample.column)
    scattered_coefficients(table, low, step, y, x, sample.slot, sample.elevation, out)
    return out[None]


def land_vapour(conditions: Conditions, sample: LandSample, heights: Field, aot: float) -> Vapour:
    """Return the water vapour above sea level, the median over the cells of a sample; without any, the forecast.

    Parameters
    ----------
    conditions : Conditions
    sample : LandSample
    heights : (height) float64 [m]
    aot : float [1]
    """
    forecast = conditions.water_vapour
    chosen = sample.take(np.arange(0, sample.row.size, max(-(-sample.row.size // VAPOUR_CELLS), 1)))
    scale = water_vapour_at(chosen.elevation, 1.0)[None]
    near, deep = (_sampled(conditions, name, aot, heights, chosen) for name in ("B8A", "B09"))
    b8a, b09 = (np.ascontiguousarray(chosen.reflectance[SAMPLE_BANDS.index(name)])[None] for name in ("B8A", "B09"))
    laws = water_law(conditions.unit, "B8A"), water_law(conditions.unit, "B09")
    found = np.empty(scale.shape)
    start, hidden = float(forecast.mean()) * scale, np.zeros(scale.shape, np.bool_)
    retrieve(b8a, b09, near, deep, laws[0], laws[1], start, hidden, found)
    known = found >= 0
    if not known.any():
        mean = float(forecast.mean())
        return Vapour(forecast, mean, FORECAST_ERROR[0] + FORECAST_ERROR[1] * mean, False)
    mean = float(np.median(found[known] / scale[known]))
    error = next(absorber.uncertainty for absorber in absorptions(conditions.unit, "B09") if absorber.gas == "h2o")
    sigma = float(uncertainty(mean, np.median(deep[..., 4]), laws[1], error))
    return Vapour(np.full(forecast.shape, mean), mean, sigma, True)


def _digest(state: "AtmosphereState") -> str:
    """Return what tells one state from another."""
    conditions, aerosol = state.conditions, state.aerosol
    said = (aerosol.reference, aerosol.decay, aerosol.method, state.sloped, sorted(state.growth.items()))
    facts = (*said, state.vapour.sigma, conditions.unit, conditions.aerosol, conditions.cell, conditions.detectors)
    fields = (
        conditions.sun, conditions.pressure, conditions.ozone, *conditions.views.values(), aerosol.aot,
        aerosol.sigma, state.vapour.field, state.heights, state.shadow, state.cloud, state.shade,
        *(state.surroundings[name] for name in sorted(state.surroundings)),
    )  # fmt: skip
    parts = [repr(facts).encode(), *(np.ascontiguousarray(field).tobytes() for field in fields)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _around(blocks: Sequence[BlockStatistics], shape: tuple[int, int], cell: float) -> dict[str, NDArray[np.float32]]:
    """Return the surroundings by band, as far as the blocks tell them."""
    return {name: surroundings([block.sums[name] for block in blocks], shape, cell) for name in blocks[0].sums}


def _growth(blocks: Sequence[BlockStatistics]) -> dict[str, float]:
    """Return how bands grow with cirrus, as far as the blocks tell it."""
    return {name: cirrus.growth(np.sum([b.veils[name] for b in blocks], axis=0)) for name in blocks[0].veils}


def solve(
    conditions: Conditions, statistics: Sequence[BlockStatistics], corrections: Corrections = DEFAULT
) -> AtmosphereState:
    """Settle the atmosphere of a tile and the shadows of its clouds from all its blocks (step L2A_AOT_WV)."""
    blocks = sorted(statistics, key=lambda s: s.origin)
    kind, slots = _mosaic(blocks, "kind", cloud_shadow.IGNORED), _mosaic(blocks, "slots", 0)
    kind = cloud_shadow.darker_than_around(kind, _mosaic(blocks, "near", 0), conditions.cell)
    sun, view = conditions.tangents_over("B8A", slots)
    shade = shaded_cells(_mosaic(blocks, "elevation", 0), sun, conditions.cell)
    kind[shade & (kind == cloud_shadow.DARK)] = cloud_shadow.IGNORED
    direction = cloud_shadow.slant(sun, view)
    shadow = cloud_shadow.shadows(kind, conditions.cell, direction)
    cloud = kind == cloud_shadow.CLOUD
    beside = around(cloud, max(round(CLOUD_MARGIN / conditions.cell), 1)) | (shadow != 0) | shade
    sample = LandSample.join([s.sample for s in blocks])
    sample = sample.take(~beside[sample.row, sample.column])
    low, high = min(s.heights[0] for s in blocks), max(s.heights[1] for s in blocks)
    heights, reference = height_nodes(low, high), 0.5 * (low + high)
    edge = box_edge(conditions.cell)
    shape = (-(-kind.shape[0] // edge), -(-kind.shape[1] // edge))
    vapour = land_vapour(conditions, sample, heights, DEFAULT_AOT)
    around_nodes = _around(blocks, (kind.shape[0], kind.shape[1]), conditions.cell)
    beside_cells = {name: nodes.astype(np.float64) for name, nodes in around_nodes.items() if name in SAMPLE_BANDS}
    boxes = dark_vegetation(conditions, sample, heights, shape, vapour.mean, beside_cells)
    nodes = conditions.at_boxes(edge, shape)
    aerosol = settle_aerosol(nodes, boxes, reference)
    vapour = land_vapour(conditions, sample, heights, float(aerosol.aot.mean()))
    packed = [np.packbits(mask != 0, axis=1) for mask in (shadow, around(cloud, 1), shade)]
    steep = sum(block.steep for block in blocks) > STEEP_SHARE * kind.size
    sloped = corrections.slopes == "on" or (corrections.slopes == "auto" and steep)
    state = AtmosphereState(
        conditions, nodes, aerosol, vapour, heights, packed[0], packed[1], packed[2], around_nodes, sloped,
        _growth(blocks), "",
    )  # fmt: skip
    return replace(state, digest=_digest(state))
