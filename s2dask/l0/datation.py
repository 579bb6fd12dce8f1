"""Datation: which line a packet holds, and when the first line of each band was taken."""

from collections.abc import Mapping
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


def scene_starts(time: NDArray[np.int64], count: NDArray[np.int64], b: Band) -> NDArray[np.int64]:
    """Return the date at which the scene of each packet began [GPS ns]; the count restarts with every scene."""
    return time - np.round(count * packet_step(b)).astype(np.int64)


def strip_origins(begun: Mapping[tuple[int, str], NDArray[np.int64]]) -> dict[tuple[int, str], int]:
    """Return when the first scene of the strip began for each detector and band.

    Parameters
    ----------
    begun : mapping of (detector, band) to (packet) int64
        When the scene of each packet began, GPS [ns].

    Notes
    -----
    Detectors and bands begin at dates of their own, up to 3 s apart, so that their scenes show the same ground. One
    that has fewer scenes than the others has lost its first or its last: of the places where its scenes may stand,
    that is taken which is next to the other detectors of the band, or else to all that are whole.
    """
    step = SCENE_SECONDS * 1e9
    first = {key: int(starts.min()) for key, starts in begun.items()}
    count = {key: round((int(starts.max()) - first[key]) / step) + 1 for key, starts in begun.items()}
    whole = max(count.values(), default=0)
    full = [key for key in begun if count[key] == whole]
    out = {}
    for key in begun:
        like = [first[k] for k in full if k[1] == key[1]] or [first[k] for k in full]
        middle = int(np.median(np.array(like) - like[0])) + like[0]
        lost = np.arange(whole - count[key] + 1)
        at = first[key] - np.round(lost * step).astype(np.int64)
        out[key] = int(at[np.argmin(np.abs(at - middle))])
    return out


def date_lines(time: NDArray[np.int64], count: NDArray[np.int64], origin: int, b: Band, where: str) -> Datation:
    """Fit the dates of the packets of one detector and band by a straight line of the known period.

    Parameters
    ----------
    time, count : (packet) int64
        GPS [ns] and sequence count.
    origin : int
        Start of the first scene of the strip for this detector and band, GPS [ns].
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
        off = f"packet dates leave the line by {residual / 1000:.1f} us"
        raise InputError(off, where, "look at the clock of the pass")
    return Datation(scene, middle, residual)
