"""What the instrument does to its images beside measuring: on-board equalisation, staggered lines, stray light.

All of it is off by default. The coefficients are drawn: those of the satellites are not public.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_equalisation import OnboardTable
from s2dask.instrument import BANDS
from s2dask.kernels import kernel
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sensor import CROSSTALK, TRIO, Leaks

NUC_TABLES: Final = (2, 3)
"""Identities of the tables on board; GIP_R2EOB2 holds both."""


def nuc_table(satellite: str) -> int:
    """Return the table that a unit equalises with in operations: 3 for S2A, 2 for the others."""
    return 3 if satellite == "S2A" else 2


@dataclass(frozen=True, eq=False)
class Effects:
    """The effects of a session.

    Attributes
    ----------
    onboard : mapping of (str, int) to mapping of int to OnboardTable
        Tables of the on-board equalisation by (band, detector), then identity; none: it is off.
    stagger : mapping of (str, int) to (raw_column) int8
        By (band, detector): how many lines, of B10 thirds of a line, further on a column of a SWIR band sees.
    optical : mapping of (str, str) to float
        Optical crosstalk by (victim, source).
    """

    onboard: Mapping[tuple[str, int], Mapping[int, OnboardTable]] = field(default_factory=dict)
    stagger: Mapping[tuple[str, int], NDArray[np.int8]] = field(default_factory=dict)
    optical: Leaks = field(default_factory=dict)

    @property
    def leaks(self) -> Leaks:
        """Crosstalk of both kinds by (victim, source)."""
        return {key: CROSSTALK.get(key, 0.0) + self.optical.get(key, 0.0) for key in CROSSTALK | dict(self.optical)}


NONE: Final = Effects()


def draw_effects(options: SimulationOptions) -> Effects:
    """Draw the effects that are asked for."""
    keys = [(name, d) for name in options.bands for d in options.detectors]
    onboard: dict[tuple[str, int], dict[int, OnboardTable]] = {}
    if options.onboard_equalisation:
        onboard = {key: {k: draw_onboard(*key, options.seed, k) for k in NUC_TABLES} for key in keys}
    stagger = {}
    if options.rearranged_swir:
        stagger = {(name, d): draw_stagger(name, d, options.seed) for name in TRIO for d in options.detectors}
    return Effects(onboard, stagger, optical_crosstalk(options.optical_crosstalk))


def draw_onboard(band: str, detector: int, seed: int, table: int) -> OnboardTable:
    """Draw a table of the on-board equalisation.

    Notes
    -----
    It takes off less than the dark signal and its slopes are above 1, so that no count is lost.
    """
    b = BANDS[band]
    random = np.random.default_rng([seed, b.index, detector, table, 0xE0B2])
    draws = (
        random.normal(425, 3, b.raw_columns), random.normal(1.05, 0.008, b.raw_columns),
        random.normal(1.03, 0.005, b.raw_columns), random.normal(700, 50, b.raw_columns),
    )  # fmt: skip
    # rounded as the GIPP writes them
    return OnboardTable(*(np.round(values, 6) for values in draws))


def draw_stagger(band: str, detector: int, seed: int) -> NDArray[np.int8]:
    """Draw which of three detector lines each raw column of a SWIR band is read from."""
    random = np.random.default_rng([seed, BANDS[band].index, detector, 0x57A6])
    return random.integers(-1, 2, BANDS[band].raw_columns).astype(np.int8)


def optical_crosstalk(share: float) -> Leaks:
    """Return the optical crosstalk that gives every band a share of its neighbours on the focal plane; 0: none."""
    leaks = {}
    for plane in ("VNIR", "SWIR") if share else ():
        names = [name for name, b in BANDS.items() if b.focal_plane == plane]
        for one, other in pairwise(names):
            leaks[one, other] = leaks[other, one] = share
    return leaks


def staggered(scene: Callable[[float], NDArray[np.float32]], band: str, shift: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return what a staggered SWIR array sees of a scene.

    Parameters
    ----------
    scene : callable
        Of a number of lines: the image (line, useful column) that many lines further on.
    band : str
    shift : (raw_column) int8
    """
    b = BANDS[band]
    useful = shift[b.blind : b.raw_columns - b.blind]
    out = scene(0.0)
    for step in (-1, 1):
        columns = useful == step
        out[:, columns] = scene(step / 3 if band == "B10" else float(step))[:, columns]
    return out


@kernel
def _equalise(counts, dark, a1, a2, zs, out):  # type: ignore[no-untyped-def]
    for r in range(counts.shape[0]):
        for c in range(counts.shape[1]):
            x = counts[r, c] - dark[c]
            y = a1[c] * x if x <= zs[c] else a2[c] * x + (a1[c] - a2[c]) * zs[c]
            out[r, c] = int(min(max(y + 0.5, 0.0), 4095.0))


def equalise_on_board(counts: NDArray[np.uint16], table: OnboardTable) -> NDArray[np.uint16]:
    """Return what the instrument sends of the counts of its converter, (line, raw_column) uint16 [LSB]."""
    out = np.empty_like(counts)
    _equalise(counts, table.dark, table.a1, table.a2, table.zs, out)
    return out
