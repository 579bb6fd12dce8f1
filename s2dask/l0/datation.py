"""Datation: which line a packet holds, and when the first line of each band was taken.

What is public of the mission's datation are names and limits (GIP_DATATI, GIP_PRDLOC and their schemas, the Time_Stamp
of the metadata): one line period for all bands and detectors, a date for each, regression limits. How the regression is
made is this system's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import LINE_PERIOD, LINES_PER_PACKET, SCENE_SECONDS, Band, band

TOLERANCE: Final = 1000
"""Largest residual of a packet's date while GPS steers the clock [ns]; it counts in 60 ns."""
SCENARIOS: Final = ("NOMINAL", "LINEAR_REGRESSION", "EXOGENEOUS")
"""DATATION_SCENARIO of GIP_PRDLOC."""
_ROUNDS: Final = 50
Key = tuple[int, str]
Dates = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class DatationModel:
    """How lines are dated (GIP_DATATI; the scenario is in GIP_PRDLOC). The defaults are the public constants.

    Attributes
    ----------
    scenario : {"NOMINAL", "LINEAR_REGRESSION", "EXOGENEOUS"}
        Theoretical period as long as the clock keeps it; period fitted; dates corrected and period replaced.
    line_period : float
        Theoretical, of a 10 m line [s].
    time_shift : mapping of str to float
        Added to the dates of a band [s] (TIME_SHIFT); a band that is not there has none.
    largest_period_error : float
        Of a fitted period from the theoretical one [s] (DATATION_DELTA_MAX_THRESHOLD).
    sigmas : float
        Largest residual that is believed, in standard deviations (NSIG_THRESHOLD).
    largest_residual : float
        Standard deviation of the residuals [s] (DATATION_RESIDUAL_THRESHOLD).
    delta_on_t0 : mapping of (int, str) to float
        Added to the dates of a detector and band in the scenario EXOGENEOUS [s].
    refined_period : float
        Of a 10 m line in the scenario EXOGENEOUS [s] (REFINED_PE).
    """

    scenario: str = "NOMINAL"
    line_period: float = LINE_PERIOD
    time_shift: Mapping[str, float] = field(default_factory=dict)
    largest_period_error: float = 9e-3
    sigmas: float = 3.0
    largest_residual: float = 9e-3
    delta_on_t0: Mapping[Key, float] = field(default_factory=dict)
    refined_period: float = LINE_PERIOD

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise InputError(f"scenario {self.scenario!r}", "DATATION_SCENARIO", f"one of {', '.join(SCENARIOS)}")


class LineDates(NamedTuple):
    """The dates of the lines of one detector and band.

    Attributes
    ----------
    first_line_date : int
        Centre of line 0, GPS [ns].
    line_period : float
        Of a line of the band [ns].
    residual : float
        Root mean square distance of the believed dates from the line through them [ns].
    largest : float
        Largest of these distances [ns].
    rejected : int
        Packets whose dates were not believed.
    shift : int
        What a correction has added to the dates of the packets [ns].
    """

    first_line_date: int
    line_period: float
    residual: float
    largest: float
    rejected: int
    shift: int = 0

    def at(self, line: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the dates of the centres of lines [GPS ns]."""
        return self.first_line_date + np.round(line * self.line_period).astype(np.int64)


def packet_step(b: Band, line_period: float = LINE_PERIOD) -> float:
    """Return the time between two packets of a band [ns], for a line period [s] of 10 m lines."""
    return LINES_PER_PACKET * line_period * b.line_factor * 1e9


def scene_starts(time: NDArray[np.int64], count: NDArray[np.int64], b: Band) -> NDArray[np.int64]:
    """Return the date at which the scene of each packet began [GPS ns]; the count restarts with every scene."""
    return time - np.round(count * packet_step(b)).astype(np.int64)


def strip_origins(begun: Mapping[Key, NDArray[np.int64]]) -> dict[Key, int]:
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


class StripDates(NamedTuple):
    """The dates of the lines of a datastrip.

    Attributes
    ----------
    dates : mapping of (int, str) to LineDates
        By detector and band.
    line_period : float
        Of a 10 m line [s]; one for all detectors and bands, as the metadata have it.
    clock_period : float
        The same by the clock of the instrument [s]: another one when the GIPP replaces it.
    used_model : {"INITIAL", "CORRECTED", "EXOGENEOUS"}
        As in the metadata: theoretical period, fitted, or from the GIPP. That a regression is CORRECTED is inferred.
    gps_sync : bool
        Whether the clock of the instrument kept the theoretical period, which it does while GPS steers it. The flag
        of the telemetry that says so is not known; this is what the dates of the packets show.
    residual : float
        Root mean square of all believed dates about their lines [ns].
    problem : str
        Which limit is exceeded, empty when none is.
    """

    dates: Mapping[Key, LineDates]
    line_period: float
    clock_period: float
    used_model: str
    gps_sync: bool
    residual: float
    problem: str

    def facts(self) -> dict[str, object]:
        """Return what the root of a store says of it; times in nanoseconds."""
        return {
            "used_model": self.used_model, "gps_sync": self.gps_sync, "residual_rms": self.residual,
            "rejected": sum(line.rejected for line in self.dates.values()),
            "residuals": [
                {"detector": d, "band": name, "rms": line.residual, "max": line.largest, "rejected": line.rejected}
                for (d, name), line in sorted(self.dates.items())
            ],
        }  # fmt: skip


@dataclass(slots=True)
class _Fit:
    """Dates of all packets about lines of the theoretical period, one after the other by detector and band.

    Attributes
    ----------
    key : (packet) int64
        Rank of detector and band.
    line : (packet) float64
        In 10 m lines from the first of the strip.
    off : (packet) float64
        Distance of the date from the line [ns].
    keep : (packet) bool
        Which dates are believed.
    """

    key: NDArray[np.int64]
    line: NDArray[np.float64]
    off: NDArray[np.float64]
    keep: NDArray[np.bool_]

    def parts(self) -> list[slice]:
        """Return where the packets of each detector and band are."""
        return [slice(a, b) for a, b in pairwise(np.searchsorted(self.key, np.arange(self.key[-1] + 2)).tolist())]

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the believed packets of each detector and band."""
        count = np.bincount(self.key, self.keep)
        return np.asarray(np.bincount(self.key, np.where(self.keep, values, 0.0)) / np.maximum(count, 1.0))

    def about(self, slope: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the offsets of the lines of a slope at line 0 [ns], and the distances of all packets from them."""
        line, off = self.means(self.line), self.means(self.off)
        left = self.off - off[self.key] - slope * (self.line - line[self.key])
        return off - slope * line, left

    def slope(self) -> float:
        """Return the slope [ns a line] that all believed packets share."""
        line = np.where(self.keep, self.line - self.means(self.line)[self.key], 0.0)
        spread = float(line @ line)
        return float(line @ self.off) / spread if spread > 0 else 0.0

    def limit(self, left: NDArray[np.float64], sigmas: float) -> float:
        return max(sigmas * float(np.sqrt(np.mean(left[self.keep] ** 2))), float(TOLERANCE))


def _robust_start(fit: _Fit, sigmas: float) -> None:
    """Drop the dates that no line through the majority can explain: median slope of distant pairs, median distance."""
    slopes = [np.zeros(0)]
    for part in fit.parts():
        line, off = fit.line[part], fit.off[part]
        half = line.size // 2
        run, rise = line[half : 2 * half] - line[:half], off[half : 2 * half] - off[:half]
        slopes.append(rise[run > 0] / run[run > 0])
    found = np.concatenate(slopes)
    left = fit.off - (float(np.median(found)) if found.size else 0.0) * fit.line
    for part in fit.parts():
        left[part] -= np.median(left[part])
    # 1.4826 times the median distance is the standard deviation of a normal distribution
    fit.keep = np.abs(left) <= max(sigmas * 1.4826 * float(np.median(np.abs(left))), float(TOLERANCE))


def _regression(fit: _Fit, sigmas: float) -> float:
    """Return the common slope [ns a line]; drop and take back dates until those within the limit are those fitted."""
    slope = fit.slope()
    for _ in range(_ROUNDS):
        left = fit.about(slope)[1]
        keep = np.abs(left) <= fit.limit(left, sigmas)
        if (keep == fit.keep).all():
            break
        fit.keep = keep
        slope = fit.slope()
    return slope


def _gathered(packets: Mapping[Key, Dates], period: float) -> tuple[_Fit, list[int]]:
    """Return the distances of all dates from lines of a period [s], and where these lines begin [GPS ns]."""
    keys, lines, offs, starts = [], [], [], []
    for rank, ((detector, name), (time, number)) in enumerate(packets.items()):
        if not time.size:
            raise InputError("no packet to date", f"D{detector:02d} {name}", "the band was lost")
        start = time - np.round(number * packet_step(band(name), period)).astype(np.int64)
        starts.append(int(np.median(start - start[0])) + int(start[0]))
        order = np.argsort(number, kind="stable")
        offs.append((start - starts[-1])[order].astype(np.float64))
        lines.append((number * (LINES_PER_PACKET * band(name).line_factor))[order].astype(np.float64))
        keys.append(np.full(time.size, rank, np.int64))
    key = np.concatenate(keys)
    return _Fit(key, np.concatenate(lines), np.concatenate(offs), np.ones(key.size, bool)), starts


def date_strip(packets: Mapping[Key, Dates], model: DatationModel | None = None) -> StripDates:
    """Date the lines of a datastrip by its packets.

    Parameters
    ----------
    packets : mapping of (int, str) to ((packet) int64, (packet) int64)
        By detector and band: dates, GPS [ns], and ranks in the strip; packets may be missing anywhere.
    model : DatationModel, optional

    Notes
    -----
    The clock is in step when no believed date is more than 1 us from a line of the theoretical period; the scenario
    NOMINAL then takes that period, and only the origins are fitted. Else one period for all and an origin for each are
    fitted by least squares, without dates that lie further from the line than the sigmas allow.
    """
    model = model or DatationModel()
    period = model.line_period * 1e9
    fit, starts = _gathered(packets, model.line_period)
    _robust_start(fit, model.sigmas)
    slope = _regression(fit, model.sigmas)
    if (np.bincount(fit.key, fit.keep) < 1).any():
        raise InputError("no two packet dates agree", "datation", "look at the clock of the pass")
    gps_sync = bool(np.abs(fit.about(0.0)[1][fit.keep]).max() <= TOLERANCE)
    fitted = not gps_sync or model.scenario == "LINEAR_REGRESSION"
    slope = slope if fitted else 0.0
    origin, left = fit.about(slope)
    sigma = float(np.sqrt(np.mean(left[fit.keep] ** 2)))
    refined = model.refined_period * 1e9 if model.scenario == "EXOGENEOUS" else period + slope
    dates = {}
    for rank, ((d, name), start, part) in enumerate(zip(packets, starts, fit.parts(), strict=True)):
        kept = np.abs(left[part][fit.keep[part]])
        exogenous = model.delta_on_t0.get((d, name), 0.0) if model.scenario == "EXOGENEOUS" else 0.0
        shift = round(1e9 * (model.time_shift.get(name, 0.0) + exogenous))
        dates[d, name] = LineDates(
            start + round(float(origin[rank])) + shift, refined * band(name).line_factor,
            float(np.sqrt(np.mean(kept**2))), float(kept.max()), part.stop - part.start - kept.size, shift,
        )  # fmt: skip
    used = "EXOGENEOUS" if model.scenario == "EXOGENEOUS" else "CORRECTED" if fitted else "INITIAL"
    clock = (period + slope) * 1e-9 if slope else model.line_period
    line_period = model.refined_period if model.scenario == "EXOGENEOUS" else clock
    return StripDates(dates, line_period, clock, used, gps_sync, sigma, _problem(slope, sigma, model))


def _problem(slope: float, sigma: float, model: DatationModel) -> str:
    if sigma * 1e-9 > model.largest_residual:
        return f"packet dates scatter by {sigma / 1e3:.1f} us, {1e6 * model.largest_residual:.6g} us are allowed"
    if abs(slope) * 1e-9 > model.largest_period_error:
        off, allowed = abs(slope), 1e9 * model.largest_period_error
        return f"the line period is {off:.1f} ns from the theoretical one, {allowed:.6g} ns are allowed"
    return ""
