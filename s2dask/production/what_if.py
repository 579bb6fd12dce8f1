"""What if a GIPP were another: how far an image moves, in counts, and what has to be made again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from dask.base import compute, tokenize
from dask.delayed import delayed
from numpy.typing import NDArray

from s2dask.l1a.stage import STEPS as L1A_STEPS
from s2dask.l1b.stage import STEPS as L1B_STEPS

QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
GAINS: Final = "R2ABCA"
"""Stated with L1B, applied to its counts only when they become radiance or reflectance."""

Counts = NDArray[np.uint16]
Reader = Callable[[], tuple[Counts, Counts]]
"""Returns (line, column) uint16 counts [DN] and quality of a piece of an image."""


def reads(level: str) -> frozenset[str]:
    """Return the GIPP types that the pixels of L1A, or of L1B, depend on."""
    steps = L1A_STEPS if level == "L1A" else (*L1A_STEPS, *L1B_STEPS)
    return frozenset(kind for step in steps for kind in step.gipp) - {GAINS}


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """How often each difference of counts occurs; the sum of two is that of both areas.

    Attributes
    ----------
    values : (difference) int64 [DN]
        Sorted.
    pixels : (difference) int64
    one_sided : int
        Pixels that only one of the images has.
    """

    values: NDArray[np.int64]
    pixels: NDArray[np.int64]
    one_sided: int

    @classmethod
    def between(cls, new: Counts, old: Counts) -> "Differences":
        """Count the differences of two images; 0 is no data."""
        both = (new != 0) & (old != 0)
        change = new[both].astype(np.int64) - old[both]
        return cls(*np.unique(change, return_counts=True), int(np.count_nonzero((new != 0) ^ (old != 0))))

    @classmethod
    def total(cls, parts: Iterable["Differences"]) -> "Differences":
        """Return the sum of several areas."""
        parts = list(parts)
        values, rank = np.unique(np.concatenate([p.values for p in parts]), return_inverse=True)
        pixels = np.zeros(values.size, np.int64)
        np.add.at(pixels, rank, np.concatenate([p.pixels for p in parts]))
        return cls(values, pixels, sum(p.one_sided for p in parts))

    def quantile(self, q: float) -> float:
        """Return the smallest difference that at least this share of the pixels does not exceed [DN]."""
        if not self.pixels.size:
            return float("nan")
        upto = np.cumsum(self.pixels)
        return float(self.values[np.searchsorted(upto, max(q * upto[-1], 1), side="left")])

    @property
    def mean(self) -> float:
        """Mean difference [DN]."""
        return float(np.average(self.values, weights=self.pixels)) if self.pixels.size else float("nan")

    @property
    def changed(self) -> float:
        """Share of the pixels of both that are not the same [%]."""
        same = int(self.pixels[self.values == 0].sum())
        return 100.0 * (1 - same / int(self.pixels.sum())) if self.pixels.size else float("nan")


@delayed(pure=True, traverse=False)  # type: ignore[untyped-decorator]  # Dask's decorator has no types
def _compare(new: Callable[..., Counts], old: Callable[..., Counts], piece: tuple[Any, ...]) -> Differences:
    return Differences.between(new(*piece), old(*piece))


def difference_table(
    new: Callable[..., Counts],
    old: Callable[..., Counts],
    pieces: dict[str, list[tuple[Any, ...]]],
    quantiles: Sequence[float] = QUANTILES,
) -> xr.Dataset:
    """Compare two images piece by piece on the cluster at hand, and return quantiles of the difference by band.

    Parameters
    ----------
    new, old : callable
        Return the counts (line, column) uint16 [DN] of a piece.
    pieces : dict of str to list of tuple
        Arguments of the callables, by band.
    quantiles : sequence of float

    Returns
    -------
    Dataset
        ``delta`` (band, quantile) float64 [DN]; ``mean`` (band) [DN], ``changed`` (band) [%], ``pixels`` and
        ``one_sided`` (band): pixels of both, and of one only.
    """
    tasks = {
        name: [_compare(new, old, piece, dask_key_name=f"DIFF-{name}-{tokenize(new, old, piece)}") for piece in of_band]
        for name, of_band in pieces.items()
    }
    (found,) = compute(tasks)
    sums = {name: Differences.total(parts) for name, parts in found.items()}
    columns = {
        "mean": ([s.mean for s in sums.values()], "DN"), "changed": ([s.changed for s in sums.values()], "%"),
        "pixels": ([int(s.pixels.sum()) for s in sums.values()], "1"),
        "one_sided": ([s.one_sided for s in sums.values()], "1"),
    }  # fmt: skip
    table: dict[str, Any] = {key: ("band", np.array(v), {"units": unit}) for key, (v, unit) in columns.items()}
    steps = [[s.quantile(q) for q in quantiles] for s in sums.values()]
    table["delta"] = (("band", "quantile"), np.array(steps), {"units": "DN"})
    return xr.Dataset(table, {"band": list(sums), "quantile": list(quantiles)})
