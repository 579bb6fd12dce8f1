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


class RegressionLimits(NamedTuple):
    """When a date is believed (GIP_DATATI, LINEAR_REGRESSION_PARAMETERS).

    Attributes
    ----------
    largest_distance : float
        Of a packet's date from the line of the theoretical period [ns] (DATATION_DELTA_MAX_THRESHOLD).
    sigmas : float
        Largest residual in standard deviations (NSIG_THRESHOLD).
    largest_residual : float
        Standard deviation of what is left [ns] (DATATION_RESIDUAL_THRESHOLD).
    """

    largest_distance: float = 9e6
    sigmas: float = 3.0
    largest_residual: float = 9e6


class LineDates(NamedTuple):
    """The dates of the lines of one detector and band.

    Attributes
    ----------
    first_line_date : int
        Centre of line 0, GPS [ns].
    line_period : float
        Of a line of the band [ns].
    residual : float
        Standard deviation of the packets' dates [ns].
    rejected : int
        Packets whose dates were not believed.
    gps_sync : bool
        Whether the period is the theoretical one, which the clock of the instrument keeps while GPS steers it.
    """

    first_line_date: int
    line_period: float
    residual: float
    rejected: int
    gps_sync: bool

    def at(self, line: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the dates of the centres of lines [GPS ns]."""
        return self.first_line_date + np.round(line * self.line_period).astype(np.int64)


def fit_dates(
    time: NDArray[np.int64], number: NDArray[np.int64], b: Band, where: str, limits: RegressionLimits | None = None
) -> LineDates:
    """Date the lines of one detector and band by all its packets.

    Parameters
    ----------
    time, number : (packet) int64
        GPS [ns], and rank in the strip; packets may be missing anywhere.
    b : Band
    where : str
        For messages.
    limits : RegressionLimits, optional

    Notes
    -----
    The names of the models and their limits are public (GIP_DATATI, GIP_PRDLOC: NOMINAL, LINEAR_REGRESSION), how the
    mission applies them is not. Here: with the clock in step (every date within 1 us of a line of the theoretical
    period) the period is that and only the origin is fitted; else both are, after dates that lie off the median line
    by more than the largest distance, and then, again and again, by more sigmas than allowed, were dropped.
    """
    limits = limits or RegressionLimits()
    if not time.size:
        raise InputError("no packet to date", where, "the band was lost")
    period = LINE_PERIOD * b.line_factor * 1e9
    start = time - np.round(number * (LINES_PER_PACKET * period)).astype(np.int64)
    middle = int(np.median(start))
    off = (start - middle).astype(np.float64)
    if np.abs(off - off.mean()).max() <= TOLERANCE:
        return LineDates(middle + round(float(off.mean())), period, float(off.std()), 0, True)
    line = number.astype(np.float64) * LINES_PER_PACKET
    keep = np.abs(off) <= limits.largest_distance
    while True:
        if np.unique(line[keep]).size < 2:
            raise InputError("no two packet dates agree", where, "look at the clock of the pass")
        # about its middle the fit keeps the nanosecond
        centre = line[keep].mean()
        slope, origin = np.polyfit(line[keep] - centre, off[keep], 1)
        left = off - origin - slope * (line - centre)
        sigma = float(left[keep].std())
        worse = keep & (np.abs(left) > max(limits.sigmas * sigma, 1.0))
        if not worse.any():
            break
        keep &= ~worse
    if sigma > limits.largest_residual:
        raise InputError(f"packet dates scatter by {sigma / 1e6:.1f} ms", where, "look at the clock of the pass")
    first = middle + round(float(origin - slope * centre))
    return LineDates(first, period + float(slope), sigma, int((~keep).sum()), False)


def exogenous_dates(origin: int, delta: float, refined_period: float, b: Band) -> LineDates:
    """Return line dates without those of packets (GIP_DATATI, EXOGENEOUS_MODEL_PARAMETERS).

    Parameters
    ----------
    origin : int
        Date of the first line as it was planned, GPS [ns].
    delta : float
        DELTA_ON_T0 of detector and band [s]; that it is in seconds is inferred.
    refined_period : float
        REFINED_PE, of a 10 m line [s].
    b : Band
    """
    return LineDates(origin + round(delta * 1e9), refined_period * b.line_factor * 1e9, 0.0, 0, False)
