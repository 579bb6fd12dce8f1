"""Earth orientation: UT1-UTC and polar motion, from Bulletin A or as constants of a product's metadata."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_container import read_gipp
from s2dask.auxdata.leap_seconds import BUILT_IN, NANO, TAI_MINUS_GPS, LeapSeconds
from s2dask.auxdata.time import MJD_GPS_EPOCH
from s2dask.errors import InputError, InputMissing

_POINTS: Final = 4
"""Of the Lagrange interpolation, as in the reference model."""
_MJD_OF_DAY_ONE: Final = -678576
"""Modified Julian date of Python's day 0."""
_NUMBER = r"([-\d.]+)"
_DATE = r"\s+(\d\d(?:\d\d)?)\s+(\d+)\s+(\d+)\s+(\d{5})"
_RAPID = re.compile(rf"{_DATE}\s+{_NUMBER}\s+[\d.]+\s+{_NUMBER}\s+[\d.]+\s+{_NUMBER}\s+[\d.]+\s*")
_PREDICTED = re.compile(rf"{_DATE}\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}\s*")


@dataclass(frozen=True, eq=False)
class EarthOrientation:
    """Daily Earth orientation parameters.

    Attributes
    ----------
    mjd : (day) float64
        Days at 0 h UTC, ascending, with gaps where the bulletin has some; empty: the values hold at every date.
    values : (3, day) float64
        Pole x, pole y [arcsec], UT1-UTC [s].
    origin : str
        File name, or ``constant``.
    leaps : LeapSeconds
        UT1-UTC jumps with them: what is interpolated is UT1-TAI.
    """

    mjd: NDArray[np.float64]
    values: NDArray[np.float64]
    origin: str
    leaps: LeapSeconds = BUILT_IN

    @classmethod
    def constant(
        cls, pole_x: float, pole_y: float, ut1_utc: float, leaps: LeapSeconds = BUILT_IN
    ) -> "EarthOrientation":
        """Return parameters that hold at every date (IERS_Bulletin of the product metadata)."""
        return cls(np.empty(0), np.array([[pole_x], [pole_y], [ut1_utc]]), "constant", leaps)

    @classmethod
    def from_bulletin(cls, path: str | Path, leaps: LeapSeconds = BUILT_IN) -> "EarthOrientation":
        """Read the rapid and predicted rows of a Bulletin A; which days it has is found from its content.

        Parameters
        ----------
        path : path
            The text, or the archive (``.TGZ``) that the auxiliary data service makes of it. Its name counts for
            nothing: real ones tell other dates than the text.
        leaps : LeapSeconds, optional
        """
        file = Path(path)
        if not file.is_file():
            raise InputMissing("no such Bulletin A", str(path))
        rows: dict[int, tuple[int, tuple[float, ...]]] = {}
        for kind, day, values in _rows(read_gipp(file).decode("utf-8", errors="replace"), file.name):
            known = rows.setdefault(day, (kind, values))
            if known[0] == kind and known[1] != values:
                raise InputError(f"two rows for MJD {day}", file.name, "fetch the bulletin again")
        days = sorted(rows)
        if not any(b - a == 1 for a, b in pairwise(days)):
            raise InputError("no daily rows of a Bulletin A", file.name, "give the IERS text file")
        return cls(np.array(days, float), np.array([rows[d][1] for d in days]).T, file.name, leaps)

    def at(self, mjd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return pole x, pole y [arcsec], UT1-UTC [s] at UTC dates (3, date), 4-point Lagrange.

        A date that is not between two days of the table is refused: outside it a bulletin says nothing, and taking
        zero costs 14 m on the ground.
        """
        m = np.atleast_1d(np.asarray(mjd, float))
        if self.mjd.size == 0:
            return np.repeat(self.values, m.size, axis=1)
        found = self._at(m)
        found[2] += self._tai_minus_utc(m)
        return found

    def at_gps(self, gps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the pole and UT1 at GPS times [ns], across a leap second too.

        Returns
        -------
        pole : (2, date) float64
            x, y [arcsec].
        day, fraction : (date) float64
            UT1 as Modified Julian day number and fraction of day.
        """
        time = np.atleast_1d(np.asarray(gps, np.int64))
        leap = self.leaps.at_gps(time)
        # UTC that runs through an inserted second: the same instant as UT1-TAI is known for
        day, rest = np.divmod(time - (leap - TAI_MINUS_GPS) * NANO, 86400 * NANO)
        mjd, seconds = MJD_GPS_EPOCH + day.astype(np.float64), rest / NANO
        if self.mjd.size == 0:
            found = np.repeat(self.values, time.size, axis=1)
        else:
            found = self._at(mjd + seconds / 86400.0)
            found[2] += leap
        return found[:2], mjd, (seconds + found[2]) / 86400.0

    def _tai_minus_utc(self, mjd: NDArray[np.float64]) -> NDArray[np.int64]:
        dates = [date.toordinal(d) + _MJD_OF_DAY_ONE for d in self.leaps.dates]
        index = np.maximum(np.searchsorted(dates, mjd, side="right") - 1, 0)
        return np.asarray(np.array(self.leaps.offsets)[index])

    def _at(self, mjd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return pole x, pole y, UT1-TAI (3, date)."""
        days = np.round(self.mjd).astype(np.int64)
        values = self.values.copy()
        values[2] -= self._tai_minus_utc(self.mjd)
        gaps = np.flatnonzero(np.diff(days) != 1)
        starts, stops = np.r_[0, gaps + 1], np.r_[gaps, days.size - 1]
        run = np.searchsorted(days[starts], mjd, side="right") - 1
        first, last = starts[np.maximum(run, 0)], stops[np.maximum(run, 0)]
        outside = (run < 0) | (mjd > days[last]) | (first == last)
        if outside.any():
            span = f"MJD {days[0]} to {days[-1]}{' with gaps' if gaps.size else ''}"
            raise InputError(
                f"Earth orientation of {span} does not cover MJD {mjd[outside][0]:.2f}",
                self.origin,
                "give the Bulletin A of the acquisition's month",
            )
        # the four days around the date, moved into the run where that begins or ends
        floor = first + np.minimum(np.floor(mjd).astype(np.int64) - days[first], last - first - 1)
        lowest = np.clip(floor - 1, first, np.maximum(last - _POINTS + 1, first))
        count = np.minimum(last - first + 1, _POINTS)
        x = (mjd - days[floor]) + (floor - lowest)
        out = np.zeros((3, mjd.size))
        for i in range(_POINTS):
            weight = np.where(i < count, 1.0, 0.0)
            for k in range(_POINTS):
                if k != i:
                    weight *= np.where(k < count, (x - k) / (i - k), 1.0)
            out += weight * values[:, np.minimum(lowest + i, last)]
        return out


def _rows(text: str, file: str) -> Iterator[tuple[int, int, tuple[float, ...]]]:
    """Yield (0 for rapid, 1 for predicted; day; pole x, pole y, UT1-UTC)."""
    for line in text.splitlines():
        for kind, pattern in enumerate((_RAPID, _PREDICTED)):
            match = pattern.fullmatch(line)
            if match is None:
                continue
            year, month, day, mjd = (int(v) for v in match.groups()[:4])
            century = 0 if year >= 100 else 1900 if year >= 70 else 2000
            try:
                told = date(century + year, month, day).toordinal() + _MJD_OF_DAY_ONE
                values = tuple(float(v) for v in match.groups()[4:])
            except ValueError:
                told, values = 0, ()
            if told != mjd:
                raise InputError(f"row {line.strip()!r} contradicts itself", file, "fetch the bulletin again")
            yield kind, mjd, values
