"""The uncertainty of surface reflectance over a tile: its terms at coarse nodes, from there to the pixels.

What the atmosphere and the calibration err is worked out at the centres of boxes of some 18 km, for every detector and
height as the coefficients themselves, and for three surroundings. Grains, the cells of 300 m on which surroundings are
added up, take it from there and from their own place, height and surroundings; every pixel of a grain errs by the same
numbers. A grain depends on the tile alone, so that the cut into blocks leaves no trace.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS, unit
from s2dask.instrument.uncertainty import NOISE_FACTOR, count_errors
from s2dask.l2a.aerosol import box_edge
from s2dask.l2a.aerosol_field import aot_at
from s2dask.l2a.air import Air, Heights, elevation_of, settled_table
from s2dask.l2a.atmosphere import pressure_at, water_vapour_at
from s2dask.l2a.cells import between_nodes
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.correction import coefficient_table, over_cells, water_law
from s2dask.l2a.inversion import LINES, cell_lines
from s2dask.l2a.options import AEROSOLS
from s2dask.l2a.surroundings import NODE
from s2dask.l2a.tile_atmosphere import AtmosphereState
from s2dask.l2a.tile_images import TileImages, read_slots
from s2dask.l2a.uncertainty import (
    TRANSFER_TERMS,
    USUAL_ERRORS,
    AirState,
    above,
    count_terms,
    error_factors,
    lines_in_surroundings,
    log_gas_error,
    relative_error,
    systematic_terms,
    variance_numbers,
)
from s2dask.l2a.uncertainty_layers import cell_numbers, layers
from s2dask.l2a.water_vapour import surface_uncertainty
from s2dask.l2a.window import CELL, Window

BOXES: Final = 6
"""Boxes of aerosol on the edge of a box of the terms."""
AROUND: Final = (0.0, 0.25, 0.6)
"""Surface reflectances of the surroundings for which terms are worked out; a parabola between [1]."""
MEAN_REFLECTANCE: Final = 0.2
"""Above the atmosphere, of a tile that does not tell the mean of its bands; straylight follows it [1]."""
ACCURACY_REFLECTANCE: Final = 0.2
"""Of the surface for which the accuracy of the radiative transfer is stated [1]."""
VAPOUR_BAND: Final = "B09"
"""That tells the water vapour."""
SLOT_BAND: Final = "B09"
"""Whose detector is taken for that of a grain: all bands change it at the same place, but for some pixels."""

Field = NDArray[np.float64]
Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Radiometry(NamedTuple):
    """How a band of a product was calibrated.

    Attributes
    ----------
    gain : float
        A [LSB per W m-2 sr-1 um-1].
    irradiance : float
        E0 on the day, that is times U [W m-2 um-1].
    noise_gain : float
        Variance of a pixel over that of the counts around it, mean over the product [1].
    """

    gain: float
    irradiance: float
    noise_gain: float = NOISE_FACTOR**2

    @classmethod
    def of(cls, attrs: Mapping[str, Any], name: str) -> "Radiometry":
        """Return that of a band of an L1C with these attributes; what they do not tell is that of the unit at 1 au.

        One that does not tell how it was resampled has the noise that the mission states.
        """
        usual = unit(str(attrs["unit"])).bands[name]
        gain = (attrs.get("physical_gains") or {}).get(name, usual.gain)
        irradiance = (attrs.get("solar_irradiance") or {}).get(name, usual.solar_irradiance)
        noise_gain = float(attrs.get("mean_noise_gain") or NOISE_FACTOR**2)
        return cls(float(gain), float(irradiance) * float(attrs.get("reflectance_conversion") or 1.0), noise_gain)

    def scale(self, sun_zenith: Field) -> Field:
        """Return the reflectance of one count under a sun [deg]."""
        return np.asarray(np.pi / (self.gain * self.irradiance * np.cos(np.radians(sun_zenith))))


@dataclass(frozen=True, slots=True, eq=False)
class Grains:
    """What is known of a rectangle of grains.

    Attributes
    ----------
    window : Window
        Rows and columns of grains.
    slots : (row, column) uint8
        Of the detectors.
    elevation : (row, column) float32 [m]
    vapour : (row, column) float64 [cm]
        Of the tile, above the ground.
    sun : (row, column) float64 [deg]
        Zenith.
    """

    window: Window
    slots: Bytes
    elevation: Float
    vapour: Field
    sun: Field


def _grained(conditions: Conditions) -> Conditions:
    """Return conditions whose cells are grains."""
    return replace(conditions, cell=NODE * conditions.cell)


def _far(state: AtmosphereState) -> Conditions:
    """Return geometry and weather at the nodes of the terms."""
    shape = tuple(-(-n // BOXES) for n in state.nodes.sun.shape[1:])
    return state.conditions.at_boxes(BOXES * box_edge(state.conditions.cell), (shape[0], shape[1]))


def _heights(state: AtmosphereState) -> Field:
    """Return the heights of the terms [m]: evenly spaced, three at most."""
    return np.linspace(state.heights[0], state.heights[-1], min(state.heights.size, 3))


def _air(state: AtmosphereState, far: Conditions) -> tuple[AirState, AirState]:
    """Return the air at nodes, and how well it is known: each (height, ny, nx), but ozone and pressure at sea level."""
    aerosol, nodes, heights = state.aerosol, state.nodes, _heights(state)[:, None, None]
    places = [far.step * np.arange(n) + far.start for n in far.sun.shape[1:]]
    rows, columns = ((place - nodes.start) / nodes.step for place in places)
    aot, sigma = (
        aot_at(between_nodes(part, rows, columns), heights, aerosol.reference, aerosol.decay)
        for part in (aerosol.aot, aerosol.sigma)
    )
    rows, columns = (place / state.conditions.step for place in places)
    vapour = water_vapour_at(heights, between_nodes(state.vapour.field, rows, columns))
    errors = USUAL_ERRORS._replace(aot=sigma, water_vapour=water_vapour_at(heights, state.vapour.sigma))
    return AirState(aot, vapour, far.ozone, far.pressure), errors


def _cells_of(state: AtmosphereState, far: Conditions, name: str) -> Callable[[AirState], Field]:
    """Return what tells the coefficients of a band at the nodes, each once; the pressure of an air is at sea level."""
    made: dict[bytes, Field] = {}

    def cells(air: AirState) -> Field:
        parts = [np.asarray(part, np.float64) for part in (air.aot, air.pressure, air.ozone)]
        key = b"".join(part.tobytes() for part in parts)
        if key not in made:
            there = replace(far, pressure=parts[1], ozone=parts[2])
            made[key] = coefficient_table(there, name, parts[0], _heights(state))
        return made[key]

    return cells


def _terms(
    state: AtmosphereState, far: Conditions, name: str, cells: Callable[[AirState], Field], around: Float
) -> tuple[dict[str, Field], Field]:
    """Return what the atmosphere errs over surroundings (…, slot, height, ny, nx), by cause, and the numbers there."""
    (air, errors), law = _air(state, far), water_law(far.unit, name)
    angles = far.sun[0], far.views[name][:, None, 0], 0.0
    ground = air._replace(pressure=pressure_at(_heights(state)[:, None, None], far.pressure))
    other = replace(far, aerosol=next(model for model in AEROSOLS if model != far.aerosol))
    lines_of = lines_in_surroundings(cells, law, around)
    model = lines_in_surroundings(_cells_of(state, other, name), law, around)
    gas = log_gas_error(far.unit, name, angles, ground)
    if name == VAPOUR_BAND and state.vapour.retrieved:
        mass = sum(1 / np.cos(np.radians(np.asarray(angle, np.float64))) for angle in angles[:2])
        errors, gas = errors._replace(water_vapour=surface_uncertainty(air.water_vapour, mass, law)), np.zeros(())
    return systematic_terms(lines_of, air, errors, gas, other_model=model), lines_of(air)


def _in_powers(levels: Field, values: Field) -> Field:
    """Return the parabola through three values (3, …, 6) over levels (3, …): (…, 18), by powers."""
    x, y = levels[..., None], values
    first, second = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    bent = (second - first) / (x[2] - x[0])
    straight = first - bent * (x[0] + x[1])
    return np.concatenate([y[0] - x[0] * (straight + bent * x[0]), straight, bent], axis=-1)


@lru_cache(maxsize=32)
def factor_table(state: AtmosphereState, name: str, radiometry: Radiometry) -> tuple[Conditions, Field]:
    """Return what a band errs alike, at coarse nodes.

    Returns
    -------
    far : Conditions
        At the nodes.
    table : (slot, height, ny, nx, 18) float64
        See `s2dask.l2a.uncertainty.error_factors`, times powers 0, 1 and 2 of the top-of-atmosphere reflectance of the
        surroundings; (..., 6), power 0 alone, where these are not corrected for.
    """
    far, told, mean = _far(state), _surroundings(state, name), MEAN_REFLECTANCE
    cells, around = _cells_of(state, far, name), _unknown(state, far, name)
    alone = lines_in_surroundings(cells, water_law(far.unit, name), around)(_air(state, far)[0])
    levels = np.stack([above(alone, rho) for rho in AROUND])
    if told is not None:
        around, mean = levels.astype(np.float32), float(told.mean(dtype=np.float64))
    terms, lines = _terms(state, far, name, cells, around)
    scale = radiometry.scale(far.sun[0])
    errors = count_errors(far.unit, name, mean / float(scale.mean()), gain=radiometry.gain)
    factors = error_factors(terms | count_terms(lines, errors, scale))
    return far, np.ascontiguousarray(factors if told is None else _in_powers(levels, factors))


def _unknown(state: AtmosphereState, far: Conditions, name: str) -> Float:
    """Return surroundings (slot, height, ny, nx) that nothing is known of."""
    shape = (far.views[name].shape[0], _heights(state).size, *far.sun.shape[1:])
    return np.full(shape, np.nan, np.float32)


def _surroundings(state: AtmosphereState, name: str) -> Float | None:
    """Return the reflectance around the grains of a tile, None where it is not corrected for or nothing is clear."""
    around = state.surroundings.get(name)
    return around if around is not None and np.isfinite(around).all() else None


def grains_above(tile: TileImages, state: AtmosphereState, terrain: Heights | None, cells: Window) -> Grains:
    """Return what is known of the grains that hold a rectangle of cells."""
    spans = [slice(span.start // NODE, -(-span.stop // NODE)) for span in (cells.rows, cells.columns)]
    window, whole = Window(CELL, *spans), tile.grid.shape(CELL)
    rows, columns = (slice(NODE * s.start, min(NODE * s.stop, n)) for s, n in zip(spans, whole, strict=True))
    slots = read_slots(tile, state.nodes, SLOT_BAND, Window(CELL, rows, columns))
    middle = (
        np.minimum(NODE * np.arange(n) + NODE // 2, size - 1) for n, size in zip(window.shape, slots.shape, strict=True)
    )
    grained = _grained(state.conditions)
    elevation = elevation_of(grained, terrain, window)
    y, x = (grained.positions(n, m) for n, m in zip(window.origin, window.shape, strict=True))
    vapour = water_vapour_at(elevation, 1.0) * between_nodes(state.vapour.field, y, x)
    return Grains(window, slots[np.ix_(*middle)], elevation, vapour, between_nodes(state.conditions.sun[0], y, x))


def grain_numbers(state: AtmosphereState, grains: Grains, name: str, radiometry: Radiometry) -> NDArray[np.float32]:
    """Return the numbers of grains by which pixels are told their uncertainty, see `uncertainty_layers.layers`."""

    def at_grains(nodes: Conditions, table: Field, heights: Field) -> Field:
        return over_cells(_grained(nodes), table, heights, window.origin, grains.slots, grains.elevation)

    window, shape = grains.window, grains.window.shape
    told, around = _surroundings(state, name), np.full(shape, np.nan, np.float32)
    if told is not None:
        around = np.ascontiguousarray(told[window.rows, window.columns])
    lines, law = np.empty((*shape, LINES), np.float32), water_law(state.conditions.unit, name)
    sky, veil = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    coefficients = at_grains(state.nodes, settled_table(state, name), state.heights)
    cell_lines(coefficients, grains.vapour, *law, around, sky, veil, 0.0, lines)
    far, table = factor_table(state, name, radiometry)
    factors = at_grains(far, table, _heights(state))
    if told is not None:
        e = around.astype(np.float64)[..., None]
        factors = factors[..., :6] + e * (factors[..., 6:12] + e * factors[..., 12:])
    errors = count_errors(state.conditions.unit, name, 0.0, gain=radiometry.gain)
    return cell_numbers(variance_numbers(factors), lines, errors, radiometry.scale(grains.sun))


def uncertainty_of(
    state: AtmosphereState, grains: Grains, air: Air, name: str, radiometry: Radiometry, image: Float, window: Window,
    noise_gain: Float | None = None,
) -> tuple[Bytes, Bytes]:  # fmt: skip
    """Return the random and the systematic uncertainty of an image of the pixels of a window, coded.

    Parameters
    ----------
    state : AtmosphereState
    grains : Grains
        That hold the window.
    air : Air
        Above the window.
    name : str
    radiometry : Radiometry
        Of the band.
    image : (y, x) float32 [1]
        Top-of-atmosphere reflectance, at the band's own resolution.
    window : Window
    noise_gain : (y, x) float32 [1], optional
        Of each pixel; default: the mean of the band.

    Notes
    -----
    Not told: what a wrong location makes of edges, the removal of cirrus, the lie of the slopes, and that the ground
    reflects light into some directions more than into others.
    """
    numbers = grain_numbers(state, grains, name, radiometry)
    factor = NODE * window.factor
    random, systematic = np.empty((2, *window.shape), np.uint8)
    first = (window.origin[0] % factor, window.origin[1] % factor)
    weights = np.full((1, 1), radiometry.noise_gain, np.float32) if noise_gain is None else noise_gain
    layers(image, numbers, first, factor, air.cosine(window), weights, random, systematic)
    return random, systematic


def transfer_accuracy(state: AtmosphereState) -> float:
    """Return the standard uncertainty of surface reflectance that the radiative transfer makes [%].

    Notes
    -----
    Of a reflectance of `ACCURACY_REFLECTANCE`: the quadratic mean over all bands but B09 and B10 and over the tile, at
    nadir. Terms are those of `s2dask.l2a.uncertainty.TRANSFER_TERMS`.
    """
    far, squares = _far(state), []
    far = replace(far, views={name: np.zeros((1, *view.shape[1:])) for name, view in far.views.items()})
    for name in (name for name in BANDS if name not in ("B09", "B10")):
        terms, lines = _terms(state, far, name, _cells_of(state, far, name), _unknown(state, far, name))
        part = relative_error({cause: terms[cause] for cause in TRANSFER_TERMS}, lines, ACCURACY_REFLECTANCE)
        squares.append(np.mean(part**2))
    return round(min(float(np.sqrt(np.mean(squares))), 100.0), 3)
