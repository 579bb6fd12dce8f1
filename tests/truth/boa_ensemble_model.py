"""Skies of which every number is another than Level-2A is told, by draws from what it states of them.

What is drawn: the mix of the aerosol, the reflectance of vegetation, calibration, gaseous absorption, ozone, pressure,
water vapour, the forecasts of water vapour and aerosol, how far the surroundings reach, and the noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from boa_model import (
    ALONE,
    CELLS,
    COARSE,
    EDGE,
    GRID,
    OZONE,
    PRESSURE,
    SUN_AZIMUTH,
    SURFACE_BANDS,
    VIEWS,
    Array,
    Case,
    Sky,
    Told,
    cases,
    classes,
    codes,
    enlarged,
    settle,
    surface,
)

from s2dask.auxdata.cams import AerosolForecast
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.gas import absorptions
from s2dask.instrument.uncertainty import NOISE_FACTOR, count_errors
from s2dask.l2a.options import Corrections
from s2dask.l2a.stage import surface_reflectance
from s2dask.l2a.uncertainty import USUAL_ERRORS
from s2dask.l2a.uncertainty_tile import Radiometry
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.radiative_transfer_mie import CONTINENTAL, Component
from s2dask.simulate.sky import at_sensor, direct_light, forward
from s2dask.simulate.spectra import CLASSES

UNIT: Final = "S2A"
FINE: Final = (1.9, 2.1, 2.239, 2.4)
"""Geometric deviations of the water-soluble particles: an Angstrom exponent of 1.98 to 1.04 of theirs alone [1]."""
DUST: Final = 0.7
SOOT: Final = 0.6
"""Deviations of the logarithms of the volumes of dust and soot [1].

With `FINE` the Angstrom exponent (440 to 870 nm) of the mix is 1.27 +- 0.29, its single scattering albedo at 550 nm
0.89 +- 0.03. AERONET at 66 passes of Sentinel-2 over Alta Floresta (Marujo et al., 2021) has an exponent of 1.35 +-
0.33; how far the albedo strays is an own estimate.
"""
FORECAST: Final = (0.03, 0.3)
"""Standard error of a forecast of aerosol, and what comes to it with its amount [1]."""
VEGETATION: Final = {"B04": 0.003, "B02": 0.005}
"""How far forests stray from half the reflectance of B12, and from half that of B04 and 0.0025 [1]."""
VAPOUR: Final = 0.15
"""Relative standard error of a forecast of water vapour [1]."""
REACHES: Final = (0.5, 2.0)
"""Between which the reach of the surroundings lies [km]."""
BOX: Final = 50
"""Cells on the edge of a box of aerosol."""


@dataclass(frozen=True, eq=False)
class Draw:
    """One sky and one instrument.

    Attributes
    ----------
    number : int
        Of the draw, from which all follows.
    adjacency : bool
        Whether the surroundings shine into the sight of a pixel; else each stands for its own.
    """

    number: int
    adjacency: bool = True

    @cached_property
    def case(self) -> Case:
        """Aerosol, water vapour, height and sun: those of the plain cases in turn."""
        return cases()[(7 * self.number) % len(cases())]

    @property
    def forest(self) -> bool:
        """Whether there is vegetation to tell the aerosol: not in every fourth draw."""
        return self.number % 4 != 3

    @property
    def forecast(self) -> bool:
        """Whether there is a forecast of the aerosol."""
        return self.number % 2 == 1

    def normal(self, *what: int) -> np.random.Generator:
        """Return where the draws of something come from."""
        return np.random.default_rng((20, self.number, *what))

    @cached_property
    def kind(self) -> tuple[Component, ...]:
        """What the aerosol is a mix of."""
        rng = self.normal(1)
        dust, fine, soot = CONTINENTAL
        return (
            dust._replace(volume=dust.volume * float(np.exp(DUST * rng.normal()))),
            fine._replace(deviation=FINE[int(rng.integers(len(FINE)))]),
            soot._replace(volume=soot.volume * float(np.exp(SOOT * rng.normal()))),
        )

    @cached_property
    def options(self) -> SimulationOptions:
        """The true air."""
        n = self.normal(2).normal(size=2)
        return SimulationOptions(
            unit=UNIT, aot=self.case.aot, water_vapour=self.case.sea_vapour,
            ozone=OZONE + USUAL_ERRORS.ozone * n[0], pressure=PRESSURE + USUAL_ERRORS.pressure * n[1],
        )  # fmt: skip

    @cached_property
    def told(self) -> Told:
        """What Level-2A is told of it."""
        rng = self.normal(3)
        vapour = self.case.sea_vapour * float(np.exp(VAPOUR * rng.normal()))
        if not self.forecast:
            return Told(vapour)
        truth = self.case.ground_aot
        aot = max(truth + (FORECAST[0] + FORECAST[1] * truth) * float(rng.normal()), 0.0)
        lon, lat = np.array([-18.0, -16.0]), np.array([34.0, 32.0])
        fields = (np.full((2, 2), value) for value in (aot, self.case.height))
        return Told(vapour, cams=AerosolForecast(lon, lat, *fields))

    @cached_property
    def kinds(self) -> np.ndarray:
        """Codes of the classes of the cells: grass for forest where there is none."""
        out = classes()
        grass, soil, forest = (CLASSES.index(name) for name in ("built_up", "soil", "forest"))
        return out if self.forest else np.where(out == forest, soil, np.where(out == grass, soil, out))

    def surface(self, name: str) -> Array:
        """Return the true reflectance of the cells in a band (row, column)."""
        rho = surface(name, self.kinds)
        if name in VEGETATION:
            rng = self.normal(4)
            common = rng.normal(size=2)[list(VEGETATION).index(name)]
            place = self.normal(5, BANDS[name].index).normal(size=(2, 2))
            stray = np.sqrt(0.5) * (common + enlarged(place, 2 * BOX)[:CELLS, :CELLS])
            half = 0.5 * surface("B12", self.kinds)
            expected = half if name == "B04" else 0.5 * half + 0.0025
            forest = self.kinds == CLASSES.index("forest")
            rho = np.where(forest, np.maximum(expected + VEGETATION[name] * stray, 0.002), rho)
        return np.asarray(rho)

    def _around(self, rho: Array) -> Array:
        """Return the reflectance around the cells: exponentially less from afar, the tile goes on as in a mirror."""
        low, high = np.log(REACHES)
        reach = float(np.exp(self.normal(6).uniform(low, high))) * 1000 / 60 / 2
        at = np.arange(-CELLS, CELLS)
        weight = np.exp(-np.hypot(at[:, None], at) / reach)
        mirrored = np.block([[rho, rho[:, ::-1]], [rho[::-1], rho[::-1, ::-1]]])
        spectra = np.fft.rfft2(mirrored) * np.fft.rfft2(np.fft.ifftshift(weight / weight.sum()))
        return np.fft.irfft2(spectra, mirrored.shape)[:CELLS, :CELLS]

    def above(self, name: str) -> Array:
        """Return what the instrument makes of the light above the atmosphere (pixel, pixel)."""
        rho, height = self.surface(name), np.array(self.case.height)
        around = self._around(rho)
        out = np.empty((CELLS, CELLS))
        for detector, columns in ((6, slice(0, EDGE)), (7, slice(EDGE, CELLS))):
            sun, view = (np.array(self.case.sun), np.array(SUN_AZIMUTH)), tuple(map(np.array, VIEWS[detector]))
            path, through, albedo, gas = forward(self.options, name, sun, (view[0], view[1]), height, self.kind)
            gas = gas * np.exp(self._gas_error(name, float(sun[0]), float(view[0])))
            share = direct_light(self.options, name, sun[0], view[0], height, self.kind)[2]
            told = (share, around[:, columns]) if self.adjacency else None
            out[:, columns] = at_sensor((path, through, albedo, gas), rho[:, columns], told)
        return self._measured(name, out)

    def _gas_error(self, name: str, sun: float, view: float) -> float:
        """Return how much larger the true logarithm of the transmittance of the gases is than that of their table."""
        mass, total = sum(1 / np.cos(np.radians(angle)) for angle in (sun, view)), 0.0
        relative = self.options.pressure / 1013.25 * np.exp(-self.case.height / 8000)
        amounts = {"h2o": self.case.vapour, "o3": self.options.ozone / 1000}
        rng = self.normal(7, BANDS[name].index)
        for absorber in absorptions(UNIT, name):
            amount = amounts.get(absorber.gas, relative**absorber.p)
            total += absorber.uncertainty * rng.normal() * absorber.a * (mass * amount) ** absorber.n
        return float(total)

    def _measured(self, name: str, toa: Array) -> Array:
        """Return pixels from the reflectance of cells, with what calibration and noise err."""
        scale = float(Radiometry.of({"unit": UNIT}, name).scale(np.array(self.case.sun)))
        e, rng = count_errors(UNIT, name, float(toa.mean()) / scale), self.normal(8, BANDS[name].index)
        counts = toa / scale * (1 + np.sqrt(e.alike_square) * rng.normal())
        counts = counts + np.sqrt(e.alike_flat) * rng.normal() + e.bias * rng.normal()
        pixels = enlarged(counts, GRID.shape(band(name).resolution)[0])
        of_unit = unit(UNIT).bands[name]
        variance = of_unit.noise_alpha**2 + of_unit.noise_beta * np.maximum(pixels, 0.0)
        return (pixels + NOISE_FACTOR * np.sqrt(variance) * rng.normal(size=pixels.shape)) * scale


@dataclass(frozen=True)
class Found:
    """What Level-2A found of a draw: errors of some pixels of each band, stated random and systematic uncertainty."""

    draw: Draw
    error: Mapping[str, Array]
    random: Mapping[str, Array]
    systematic: Mapping[str, Array]
    truth: Mapping[str, Array]
    kinds: Array
    aot: tuple[float, float]
    vapour: tuple[float, float]
    retrieved: bool


def process(
    folder: Path, draw: Draw, names: tuple[str, ...] = SURFACE_BANDS, corrections: Corrections | None = None
) -> Found:
    """Return what Level-2A makes of a draw; of each cell one pixel."""
    sky = settle(folder, draw.case, draw.above, draw.told, corrections or Corrections(slopes="off"))
    error, parts, truth = {}, {}, {}
    for name in names:
        own = band(name).resolution
        step = 60 // own
        at = slice(step // 2, None, step)
        known = draw.surface(name)
        counts = surface_reflectance(sky.tile, sky.state, sky.air, name, own)[at, at]
        error[name] = (counts.astype(np.float64) - 1000) / 10_000 - known
        parts[name] = [part[at, at] for part in codes(sky, name)]
        truth[name] = known
    random, systematic = ({n: pair[k] for n, pair in parts.items()} for k in (0, 1))
    aot = float(sky.air.aot.mean()) - draw.case.ground_aot, float(sky.state.aerosol.sigma.mean())
    told = sky.state.aerosol.cells > 0
    return Found(draw, error, random, systematic, truth, draw.kinds, aot, errors_of_vapour(sky), told)


def errors_of_vapour(sky: Sky) -> tuple[float, float]:
    """Return by how much the water vapour above the ground is wrong, and how much that may be [cm]."""
    land = sky.air.water_vapour[surface("B8A") > 0.15]
    return float(land.mean()) - sky.case.vapour, sky.state.vapour.sigma * float(np.exp(-sky.case.height / 2000))


__all__ = ["ALONE", "COARSE", "Draw", "Found", "process"]
