"""Aerosol of a tile from its dark dense vegetation, and the water vapour of its land, from a sample of its cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.l2a.atmosphere import coefficients, pressure_at, water_vapour_at
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.correction import water_law
from s2dask.l2a.water_vapour import retrieve

SAMPLE_BANDS: Final = ("B02", "B04", "B8A", "B09", "B12")
DEFAULT_AOT: Final = 0.2
"""Of a tile without dark vegetation."""
AOT_NODES: Final = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0])
SWIR_LIMITS: Final = (0.05, 0.10, 0.12, 0.15)
"""Surface reflectance of B12 below which vegetation is dark: the next one is tried where too little is [1]."""
SWIR_FLOOR: Final = 0.01
FEWEST: Final = 25
"""Cells of dark vegetation needed ..."""
SMALLEST_SHARE: Final = 0.02
"""... and their share of the land."""
LARGEST: Final = 4000
"""Cells of dark vegetation looked at."""
RED_OF_SWIR: Final = 0.5
BLUE_OF_RED: Final = 0.5
BLUE_OFFSET: Final = 0.0025
"""Between the published relations, which add 0 and 0.005 [1]."""
SPREAD: Final = {"B04": 0.003, "B02": 0.005}
"""How far the relations hold [1]."""

Field = NDArray[np.float64]


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

    def take(self, chosen: NDArray[np.intp]) -> "LandSample":
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


@dataclass(frozen=True, slots=True)
class Aerosol:
    """What the dark vegetation said.

    Attributes
    ----------
    aot : float [1]
        At 550 nm.
    retrieved : bool
        False: too little dark vegetation, the default stands in.
    cells : int
        Of dark vegetation used.
    swir_limit : float [1]
    residual : float [1]
        Median of the red reflectance less what the relation predicts, at the AOT found.
    """

    aot: float
    retrieved: bool
    cells: int
    swir_limit: float
    residual: float


def _surface(
    conditions: Conditions, sample: LandSample, name: str, aot: Field | float, water_vapour: float
) -> Field:
    """Return the surface reflectance of a sample; `aot` broadcasts against the cells."""
    at = conditions.sample(name, sample.row, sample.column, sample.slot)
    ozone, pressure = at.pop("ozone"), pressure_at(sample.elevation, at.pop("pressure"))
    vapour = water_vapour_at(sample.elevation, water_vapour)
    c = coefficients(conditions.unit, name, **at, aot=aot, pressure=pressure, water_vapour=vapour, ozone=ozone)
    level = sample.reflectance[SAMPLE_BANDS.index(name)] / c.gas - c.path
    return np.asarray(level / (c.transmittance + c.spherical_albedo * level))


def _dark(swir: Field, vegetation: NDArray[np.bool_]) -> tuple[NDArray[np.intp], float]:
    """Return the cells of dark vegetation under the first limit that gives enough, and that limit."""
    needed = max(FEWEST, SMALLEST_SHARE * swir.size)
    for limit in SWIR_LIMITS:
        found = np.flatnonzero(vegetation & (swir >= SWIR_FLOOR) & (swir <= limit))
        if found.size >= needed:
            return found[:: -(-found.size // LARGEST)], limit
    return np.zeros(0, np.intp), SWIR_LIMITS[-1]


def retrieve_aot(conditions: Conditions, sample: LandSample, water_vapour: float) -> Aerosol:
    """Return the aerosol that makes dark vegetation as red and as blue as it is.

    Parameters
    ----------
    conditions : Conditions
    sample : LandSample
    water_vapour : float [cm]
        Above sea level.

    Notes
    -----
    ``rho(B04) = 0.5 rho(B12)`` and ``rho(B02) = 0.5 rho(B04)`` (Kaufman et al., 1997). The median misfit of each is
    taken at every node of AOT; the AOT where their weighted squares are least is the answer.
    """
    swir = _surface(conditions, sample, "B12", DEFAULT_AOT, water_vapour)
    dark, limit = _dark(swir, sample.vegetation)
    if dark.size == 0:
        return Aerosol(DEFAULT_AOT, False, 0, limit, float("nan"))
    chosen, aot = sample.take(dark), AOT_NODES[:, None]
    rho = {name: _surface(conditions, chosen, name, aot, water_vapour) for name in ("B02", "B04", "B12")}
    red = RED_OF_SWIR * rho["B12"]
    misfit = {
        "B04": np.median(rho["B04"] - red, axis=1),
        "B02": np.median(rho["B02"] - BLUE_OF_RED * red - BLUE_OFFSET, axis=1),
    }
    fine = np.linspace(0.0, AOT_NODES[-1], 2001)
    at = {name: np.interp(fine, AOT_NODES, values) for name, values in misfit.items()}
    best = int(np.argmin(sum((at[name] / SPREAD[name]) ** 2 for name in at)))
    return Aerosol(float(fine[best]), True, int(dark.size), limit, float(at["B04"][best]))


def mean_water_vapour(conditions: Conditions, sample: LandSample, aot: float, expected: float) -> float:
    """Return the water vapour above sea level [cm], the median over the cells of a sample.

    Parameters
    ----------
    conditions : Conditions
    sample : LandSample
    aot : float [1]
    expected : float [cm]
        Forecast: where the iteration starts, and the answer of a sample without cells.
    """
    if sample.row.size == 0:
        return expected
    cells = {}
    for name in ("B8A", "B09"):
        at = conditions.sample(name, sample.row, sample.column, sample.slot)
        mass = 1 / np.cos(np.radians(at["sun_zenith"])) + 1 / np.cos(np.radians(at["view_zenith"]))
        ozone, pressure = at.pop("ozone"), pressure_at(sample.elevation, at.pop("pressure"))
        c = coefficients(conditions.unit, name, **at, aot=aot, pressure=pressure, water_vapour=0.0, ozone=ozone)
        cells[name] = np.stack([c.path, c.transmittance, c.spherical_albedo, np.log(c.gas), mass], axis=-1)[None]
    out = np.full((1, sample.row.size), -1.0)
    scale = np.exp(sample.elevation.astype(np.float64) / 2000.0)
    near, deep = (water_law(conditions.unit, name) for name in ("B8A", "B09"))
    b8a, b09 = (np.ascontiguousarray(sample.reflectance[SAMPLE_BANDS.index(n)])[None] for n in ("B8A", "B09"))
    start = np.asarray(expected / scale)[None]
    retrieve(b8a, b09, cells["B8A"], cells["B09"], near, deep, start, out)
    return float(np.median(out[0] * scale))
