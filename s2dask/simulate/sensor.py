"""The detectors: from radiance to twelve-bit counts, with every disturbance that the processors have to undo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS, UnitBand
from s2dask.kernels import kernel

Array = NDArray[np.float64]
Leaks = Mapping[tuple[str, str], float]
TRIO: Final = ("B10", "B11", "B12")
CROSSTALK: Final = {
    ("B10", "B11"): -3.98e-3, ("B10", "B12"): -1.78e-3, ("B11", "B10"): -2.82e-5,
    ("B11", "B12"): -2.0e-3, ("B12", "B10"): -7.94e-4, ("B12", "B11"): -1.78e-4,
}  # fmt: skip
"""Electronic crosstalk by (victim, source): the order of magnitude of S2A."""
NOISE_OF_NOISY: Final = 60.0
"""Deviation of what a noisy pixel adds [LSB]."""


@dataclass(frozen=True, eq=False)
class DetectorState:
    """The true coefficients of one band of one detector, for every raw column.

    Attributes
    ----------
    dark : (chronogram_line, raw_column) float64 [LSB]
    response : (3, raw_column) float64
        A, B, C of the cubic model, or A1, A2, Zs of the two-slope model.
    dead : tuple of int
        Raw columns that see nothing: the first, third, .. are stuck at 4095, the others at 0.
    noisy : tuple of int
        Raw columns with much more noise than the others.
    """

    dark: Array
    response: Array
    dead: tuple[int, ...]
    noisy: tuple[int, ...] = ()

    @property
    def defects(self) -> dict[str, tuple[int, ...]]:
        """Defective raw columns by the name of their singularity."""
        kinds = {"SATURATED_RESPONSE": self.dead[::2], "NO_RESPONSE": self.dead[1::2], "NOISY_RESPONSE": self.noisy}
        return {kind: columns for kind, columns in kinds.items() if columns}


def draw_detector(band: str, detector: int, seed: int, dead_pixels: int, noisy_pixels: int = 0) -> DetectorState:
    """Draw the coefficients of a band and detector."""
    b = BANDS[band]
    random = np.random.default_rng([seed, b.index, detector, 0xDE7])
    n = b.raw_columns
    dark = 450.0 + random.normal(0, 3.0, n) + random.normal(0, 0.5, (b.chronogram_lines, n))
    if b.focal_plane == "VNIR":
        response = np.stack(
            [random.normal(1e-10, 2e-10, n), random.normal(2e-7, 1e-6, n), 1 + random.normal(0, 0.01, n)]
        )
    else:
        low = 1 + random.normal(0, 0.01, n)
        response = np.stack([low, low * (1 + random.normal(0, 0.005, n)), 600 + random.normal(0, 20.0, n)])
    seeing = np.arange(b.blind + 8, n - b.blind - 8)
    dead = random.choice(seeing, dead_pixels, replace=False)
    noisy = random.choice(np.setdiff1d(seeing, dead), noisy_pixels, replace=False)
    # rounded as the GIPP writes them: what the processors read is the truth, not nearly the truth
    digits = np.vectorize(lambda v: float(f"{v:.12g}"))
    columns = (tuple(sorted(int(c) for c in found)) for found in (dead, noisy))
    return DetectorState(digits(dark), digits(response), *columns)


@kernel
def _unequalise(z, response, cubic):  # type: ignore[no-untyped-def]
    """Turn equalised values z (line, useful column) into the counts that have them, in place."""
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            a, b, k = response[0, c], response[1, c], response[2, c]
            value = z[r, c]
            if cubic:
                y = value / k
                for _ in range(3):
                    y -= (((a * y + b) * y + k) * y - value) / ((3.0 * a * y + 2.0 * b) * y + k)
            elif value <= a * k:
                y = value / a
            else:
                y = k + (value - a * k) / b
            z[r, c] = y


@kernel
def _hash(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def _digitise(y, blind, dark, offset, alpha, beta, key, out):  # type: ignore[no-untyped-def]
    """Add dark signal, line offset and noise, and convert to twelve bits; blind pixels see no light."""
    cycle, useful = dark.shape[0], y.shape[1]
    mask, scale = np.uint64(0xFFFF), np.sqrt(3.0) / 65536.0
    for r in range(out.shape[0]):
        base = key + np.uint64(r) * np.uint64(out.shape[1])
        for c in range(out.shape[1]):
            light = y[r, c - blind] if blind <= c < blind + useful else 0.0
            bits = _hash((base + np.uint64(c)) * np.uint64(0x9E3779B97F4A7C15))
            total = (
                (bits & mask) + ((bits >> np.uint64(16)) & mask) + ((bits >> np.uint64(32)) & mask)
                + (bits >> np.uint64(48))
            )  # fmt: skip
            # the sum of four uniform numbers: Gaussian enough to three deviations
            normal = (np.float64(total) - 131070.0) * scale
            noise = normal * np.sqrt(alpha * alpha + beta * max(light, 0.0))
            value = light + dark[r % cycle, c] + offset[r] + noise
            out[r, c] = int(min(max(value + 0.5, 0.0), 4095.0))


def line_offset(band: str, detector: int, lines: int, seed: int) -> Array:
    """Return the offset of each line that the blind pixels betray [LSB]."""
    random = np.random.default_rng([seed, BANDS[band].index, detector, 0x0FF5])
    period, phase = random.uniform(900, 2500) / BANDS[band].line_factor, random.uniform(0, 2 * np.pi)
    return np.asarray(1.2 * np.sin(2 * np.pi * np.arange(lines) / period + phase))


def _leak(victim: str, source: str, y: NDArray[np.float32], lines: int) -> NDArray[np.float32]:
    """Return a band as the pixels of another see it while they are read: the same pixel at the same time."""
    to, of = BANDS[victim].line_factor, BANDS[source].line_factor
    if to > of:
        step = to // of
        y = np.asarray(y[: lines * step].reshape(lines, step, -1).mean(1))
    else:
        y = np.repeat(y, of // to, axis=0)[:lines]
    wide, narrow = BANDS[victim].useful_columns, BANDS[source].useful_columns
    if wide < narrow:
        return np.asarray(y.reshape(lines, wide, narrow // wide).mean(2))
    return np.repeat(y, wide // narrow, axis=1) if wide > narrow else y


def counts(
    radiance: Mapping[str, NDArray[np.float32]],
    states: Mapping[str, DetectorState],
    table: Mapping[str, UnitBand],
    detector: int,
    seed: int,
    crosstalk: Leaks = CROSSTALK,
) -> dict[str, NDArray[np.uint16]]:
    """Return raw counts (line, raw_column) uint16 of bands that are read out together.

    Parameters
    ----------
    radiance : mapping of str to (line, useful column) float32 [W m-2 sr-1 um-1]
        Overwritten. Bands leak into each other when they come together.
    states : mapping of str to DetectorState
    table : mapping of str to UnitBand
        Gains and noise.
    detector, seed : int
    crosstalk : mapping of (str, str) to float
        By (victim, source); default: the electronic one of the SWIR bands.
    """
    signals: dict[str, NDArray[np.float32]] = {}
    for name, image in radiance.items():
        b = BANDS[name]
        np.multiply(image, np.float32(table[name].gain), out=image)
        useful = slice(b.blind, b.raw_columns - b.blind)
        _unequalise(image, states[name].response[:, useful], b.focal_plane == "VNIR")
        signals[name] = image
    leaks = {
        name: sum(
            np.float32(factor) * _leak(name, source, signals[source], signals[name].shape[0])
            for (victim, source), factor in crosstalk.items()
            if victim == name and source in signals
        )
        for name in signals
    }
    out = {}
    for name, signal in signals.items():
        b, state, noise = BANDS[name], states[name], table[name]
        y = signal + leaks[name]
        raw = np.empty((y.shape[0], b.raw_columns), np.uint16)
        key = np.uint64((seed * 13 + b.index) * 13 + detector) << np.uint64(34)
        offset = line_offset(name, detector, y.shape[0], seed)
        _digitise(y, b.blind, state.dark, offset, noise.noise_alpha, noise.noise_beta, key, raw)
        for rank, column in enumerate(state.dead):
            raw[:, column] = 0 if rank % 2 else 4095
        _add_noise(raw, state.noisy, [seed, b.index, detector, 0x2015E])
        out[name] = raw
    return out


def _add_noise(raw: NDArray[np.uint16], columns: tuple[int, ...], seed: list[int]) -> None:
    random = np.random.default_rng(seed)
    for column in columns:
        noise = np.rint(random.normal(0, NOISE_OF_NOISY, raw.shape[0]))
        raw[:, column] = np.clip(raw[:, column] + noise, 0, 4095).astype(np.uint16)
