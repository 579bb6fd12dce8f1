"""Scenes of known radiance in front of the simulated instrument, and what Level-1B makes of its packets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from l1a_model import write_l0
from numpy.typing import NDArray

from s2dask.auxdata.gipp_set import GippSet
from s2dask.instrument import BANDS, band, unit
from s2dask.l1b.granule import GranuleBand
from s2dask.production.strip import process_scene
from s2dask.simulate.effects import Effects, draw_effects, equalise_on_board, nuc_table, staggered
from s2dask.simulate.gipp import write_radiometric
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sensor import DetectorState, Leaks, counts, draw_detector

UNIT, DETECTOR, SHIFT = "S2A", 6, 100
SENSING = datetime(2020, 8, 16, 12, tzinfo=UTC), datetime(2020, 8, 16, 12, 1, tzinfo=UTC)
LEVELS = (150.0, 500.0, 1400.0, 2800.0)
"""Of the uniform patches [LSB above the dark signal]."""
EDGE = 12
"""Lines of 10 m at either end of a patch that are left out: staggered pixels see the next one."""
Floats = NDArray[np.float64]
Scene = Callable[[str, Floats, Floats], Floats]
"""Equalised count of a band at (line, 1) lines of 10 m and (column) columns of 20 m, wherever between them."""


def patches(length: int) -> Scene:
    """Return four uniform patches one after the other, at every time another level in neighbouring bands."""

    def scene(name: str, line: Floats, column: Floats) -> Floats:
        rank = np.clip(line // length, 0, len(LEVELS) - 1).astype(int) + band(name).index
        return np.broadcast_to(np.array(LEVELS)[rank % len(LEVELS)], (line.shape[0], column.size))

    return scene


def waves(name: str, line: Floats, column: Floats) -> Floats:
    """Return a smooth texture, of another phase in every band."""
    phase = band(name).index
    return 1300 + 600 * np.sin(line / 110 + phase) * np.cos(column / 140 - phase) + 300 * np.cos(column / 300 + phase)


def dark(name: str, line: Floats, column: Floats) -> Floats:
    """Return no light."""
    return np.zeros((line.shape[0], column.size))


def level(scene: Scene, name: str, lines: int, first: float = 0.0) -> Floats:
    """Return the true equalised count of every useful pixel, (line, column), from a line of the band on."""
    b = band(name)
    line = (first + np.arange(lines) + 0.5)[:, np.newaxis] * b.line_factor
    return scene(name, line, (np.arange(b.useful_columns) + 0.5) * 1276 / b.useful_columns)


def truth(scene: Scene, name: str, lines: int) -> Floats:
    """Return the true equalised count of every pixel of the product: of 60 m bands the mean of three."""
    b, full = band(name), level(scene, name, lines)
    return full[:, : b.columns * b.binning].reshape(lines, b.columns, b.binning).mean(2)


@dataclass(frozen=True, eq=False)
class Instrument:
    """A detector with its effects, as drawn."""

    states: Mapping[tuple[str, int], DetectorState]
    effects: Effects

    @classmethod
    def of(cls, options: SimulationOptions) -> "Instrument":
        keys = [(name, DETECTOR) for name in options.bands]
        pixels = options.dead_pixels, options.noisy_pixels
        return cls({key: draw_detector(*key, options.seed, *pixels) for key in keys}, draw_effects(options))

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.states)

    def raw(self, scene: Scene, lines: int, leaks: Leaks | None = None, seed: int = 5) -> dict[str, NDArray[np.uint16]]:
        """Return the counts of the converter during some lines of 10 m."""
        light = {}
        for name in self.bands:
            count, gain = lines // band(name).line_factor, unit(UNIT).bands[name].gain

            def seen(
                first: float = 0.0, name: str = name, count: int = count, gain: float = gain
            ) -> NDArray[np.float32]:
                return (level(scene, name, count, first) / gain).astype(np.float32)

            shift = self.effects.stagger.get((name, DETECTOR))
            light[name] = seen() if shift is None else staggered(seen, name, shift)
        states = {name: self.states[name, DETECTOR] for name in self.bands}
        return counts(light, states, unit(UNIT).bands, DETECTOR, seed, self.effects.leaks if leaks is None else leaks)

    def downlinked(self, raw: Mapping[str, NDArray[np.uint16]]) -> dict[str, NDArray[np.uint16]]:
        """Return what the instrument sends of its counts."""
        tables = {name: self.effects.onboard.get((name, DETECTOR)) for name in raw}
        return {n: equalise_on_board(x, t[nuc_table(UNIT)]) if (t := tables[n]) else x for n, x in raw.items()}

    def defective(self, name: str) -> NDArray[np.bool_]:
        """Return whether a useful pixel of a band is defective, by its column."""
        b, state = band(name), self.states[name, DETECTOR]
        out = np.zeros(b.useful_columns, bool)
        out[np.array([*state.dead, *state.noisy], int) - b.blind] = True
        return out

    def gipps(self, folder: Path) -> GippSet:
        """Write the GIPPs and select them."""
        write_radiometric(folder, UNIT, (DETECTOR,), self.states, self.effects)
        return select(folder)

    def strip(self, url: Path, raw: Mapping[str, NDArray[np.uint16]]) -> str:
        """Write the L0 store of the counts of one scene."""
        told = {"equalization_mode": True, "nuc_table_id": nuc_table(UNIT)} if self.effects.onboard else {}
        return write_l0(url, self.downlinked(raw), DETECTOR, **told)


def select(folder: Path) -> GippSet:
    """Return the GIPPs of a folder."""
    return GippSet.open(folder, UNIT, *SENSING)


def level_1b(l0: str, gipps: GippSet, bands: Sequence[str] = tuple(BANDS)) -> dict[str, GranuleBand]:
    """Return the L1B images of a store of one scene."""
    return process_scene(l0, gipps, DETECTOR, bands, 0)


def sigma(name: str, count: Floats | float) -> Floats:
    """Return the noise of an L1B pixel, the rounding of converter and product included [LSB]."""
    b, noise = band(name), unit(UNIT).bands[name]
    variance = (noise.noise_alpha**2 + noise.noise_beta * np.asarray(count) + 1 / 12) / b.binning + 1 / 12
    return np.sqrt(variance)


def patch_lines(name: str, length: int, k: int) -> slice:
    """Return the lines of a band inside a patch."""
    factor = band(name).line_factor
    return slice((k * length + EDGE) // factor, ((k + 1) * length - EDGE) // factor)


def fixed_pattern(image: Floats) -> float:
    """Return the deviation of the columns of a uniform image, noise removed: what two halves of it have in common."""
    half = np.arange(image.shape[0]) // 6 % 2 == 0
    one, other = (image[part].mean(0) for part in (half, ~half))
    return float(np.sqrt(max(np.mean((one - one.mean()) * (other - other.mean())), 0.0)))


def worst_column(image: Floats, noise: float) -> float:
    """Return by how much the mean of a column is off that of the image at most, beyond five standard errors."""
    off = np.abs(image.mean(0) - image.mean()).max()
    return float(max(off - 5 * noise / np.sqrt(image.shape[0]), 0.0))


all_effects = partial(SimulationOptions.of, "all", detectors=(DETECTOR,))
