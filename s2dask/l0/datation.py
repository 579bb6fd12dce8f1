"""Datation: which line a packet holds, and when the first line of each band was taken."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import LINE_PERIOD, LINES_PER_PACKET, SCENE_SECONDS, Band

TOLERANCE: Final = 1000
"""Largest residual of a packet's date [ns]; the on-board clock counts in 60 ns."""


class Datation(NamedTuple):
    """The dates of one detector and band.

    Attributes
    ----------
    scene : (packet) int64
        Scene of each packet, from the start of the strip.
    first_line_date : int
        Centre of line 0, GPS [ns].
    residual : float
        Largest distance of a packet's date from the straight line [ns].
    """

    scene: NDArray[np.int64]
    first_line_date: int
    residual: float


def packet_step(b: Band) -> float:
    """Return the time between two packets of a band [ns]."""
    return LINES_PER_PACKET * LINE_PERIOD * b.line_factor * 1e9


def scene_starts(time: NDArray[np.int64], count: NDArray[np.int64], b: Band) -> NDArray[np.float64]:
    """Return the date at which the scene of each packet began [GPS ns]; the count restarts with every scene."""
    return time - np.round(count * packet_step(b)).astype(np.int64)


def date_lines(time: NDArray[np.int64], count: NDArray[np.int64], origin: int, b: Band, where: str) -> Datation:
    """Fit the dates of the packets of one detector and band by a straight line of the known period.

    Parameters
    ----------
    time, count : (packet) int64
        GPS [ns] and sequence count.
    origin : int
        Start of the first scene of the strip, GPS [ns].
    b : Band
    where : str
        For messages.
    """
    if (count >= b.packets_per_scene).any():
        raise InputError(f"sequence count {int(count.max())}", where, f"a scene has {b.packets_per_scene} packets")
    scene = np.round((scene_starts(time, count, b) - origin) / (SCENE_SECONDS * 1e9)).astype(np.int64)
    number = scene * b.packets_per_scene + count
    expected = np.round(number * packet_step(b)).astype(np.int64)
    start = time - expected
    first = int(np.median(start))
    middle = first + round(float(np.mean(start - first)))
    residual = float(np.abs(start - middle).max())
    if residual > TOLERANCE:
        raise InputError(f"packet dates leave the line by {residual / 1000:.1f} us", where, "look at the clock of the pass")
    return Datation(scene, middle, residual)
