"""A source of L1B lines that look at an analytic ground: what `direct` says of it, on the real geometry."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.instrument import band

STEPS = {10: 4, 20: 2, 60: 1}
"""Spacing of the pixels that are located exactly: half a post of the elevation model [px]."""


def ground_counts(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return smooth counts: waves of 3 and 5 km."""
    x, y = 93_500.0 * (lon + 17.0), 110_900.0 * (lat - 32.7)
    return 2000 + 500 * np.sin(2 * np.pi * x / 3000) + 400 * np.cos(2 * np.pi * y / 5000)


def _finer(values: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Return values `step` times denser along the first axis."""
    weight = (np.arange(step) / step)[None, :, None]
    low, high = values[:-1, None], values[1:, None]
    return np.asarray((low + weight * (high - low)).reshape(-1, values.shape[1]))


@dataclass
class GroundSource:
    """Lines of any detector, made page by page when they are read.

    Attributes
    ----------
    model, terrain
    size : dict of str to int
        Lines by band.
    dead : dict of (int, str) to slice
        Lines lost, by detector and band.
    """

    model: ViewingModel
    terrain: Terrain
    size: dict[str, int]
    reads: list[tuple[int, str, int, int]] = field(default_factory=list)
    images: dict[tuple[int, str, int, int], NDArray[np.uint16]] = field(default_factory=dict)
    dead: dict[tuple[int, str], slice] = field(default_factory=dict)

    def lines(self, name: str) -> int:
        return self.size[name]

    def image(self, detector: int, name: str, first: int, last: int) -> NDArray[np.uint16]:
        """Return counts of lines [first, last), exact every `STEPS` pixels and linear between."""
        key = (detector, name, first, last)
        if key not in self.images:
            columns, step = band(name).columns, STEPS[band(name).resolution]
            y, x = np.arange(first, last + step, step), np.arange(0, columns + step, step)
            lon, lat, _ = self.model.direct(name, detector, *np.meshgrid(y, x, indexing="ij"), self.terrain)
            fine = _finer(_finer(ground_counts(lon, lat), step).T, step).T
            self.images[key] = np.round(fine[: last - first, :columns]).astype(np.uint16)
        return self.images[key]

    def read(self, detector: int, name: str, line0: int, line1: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        self.reads.append((detector, name, line0, line1))
        page = 256 * 10 // band(name).resolution
        parts = [self.image(detector, name, p * page, (p + 1) * page) for p in range(line0 // page, -(-line1 // page))]
        counts = np.concatenate(parts)[line0 % page : line0 % page + line1 - line0].copy()
        quality = np.full(counts.shape, detector << 8, np.uint16)
        if (detector, name) in self.dead:
            cut = self.dead[detector, name]
            gone = slice(max(cut.start - line0, 0), max(cut.stop - line0, 0))
            counts[gone], quality[gone] = 0, quality[gone] | 32 | 4
        return counts, quality
