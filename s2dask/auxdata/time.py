"""Time scales: GPS, UTC, TAI, TT; dates as text and as whole nanoseconds of GPS time."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.leap_seconds import BUILT_IN, GPS_EPOCH, NANO, TAI_MINUS_GPS, LeapSeconds
from s2dask.errors import InputError

__all__ = [
    "GPS_EPOCH", "MJD_GPS_EPOCH", "NANO", "TAI_MINUS_GPS", "TT_MINUS_TAI",
    "compact", "gps_nanoseconds", "gps_to_utc", "iso", "tai_minus_utc", "tt_days", "utc_days", "utc_to_gps",
]  # fmt: skip

MJD_GPS_EPOCH: Final = 44244
"""Modified Julian date of the GPS epoch."""
TT_MINUS_TAI: Final = 32.184
_DAY: Final = 86400 * NANO


def tai_minus_utc(utc: datetime, leaps: LeapSeconds = BUILT_IN) -> int:
    """Return TAI-UTC [s] at a UTC date."""
    return leaps.at(utc)


def _parse(text: str) -> tuple[datetime, int]:
    """Return (whole second, nanoseconds of it) of an ISO date of any number of decimals."""
    whole, _, fraction = text.strip().rstrip("Z").partition(".")
    try:
        second = datetime.fromisoformat(whole).replace(tzinfo=UTC)
        nano = int((fraction + "000000000")[:9]) if fraction else 0
    except ValueError:
        raise InputError(f"{text!r} is not a date") from None
    return second, nano


def gps_nanoseconds(text: str) -> int:
    """Return a GPS date written in ISO form as nanoseconds since 1980-01-06 (GPS)."""
    second, nano = _parse(text)
    return int((second - GPS_EPOCH).total_seconds()) * NANO + nano


def utc_to_gps(text: str, leaps: LeapSeconds = BUILT_IN) -> int:
    """Return a UTC date written in ISO form as nanoseconds since 1980-01-06 (GPS).

    ``23:59:60`` is a date where a leap second is inserted, and nowhere else.
    """
    inserted = text.strip()[16:19] == ":60"
    second, nano = _parse(text.replace(":60", ":59", 1) if inserted else text)
    leap = leaps.at(second) - TAI_MINUS_GPS
    gps = (int((second - GPS_EPOCH).total_seconds()) + leap + inserted) * NANO + nano
    if inserted and not leaps.inserted(np.array([gps]))[0]:
        raise InputError(f"{text!r} is not a date: no leap second is inserted there", leaps.origin)
    return gps


def gps_to_utc(gps: int, leaps: LeapSeconds = BUILT_IN) -> datetime:
    """Return the UTC date of a GPS time [ns], rounded down to the microsecond.

    Python's dates have no 23:59:60: the last microsecond of 23:59:59 stands for an inserted second.
    """
    time = np.array([gps], np.int64)
    leap = int(leaps.at_gps(time)[0]) - TAI_MINUS_GPS
    date = GPS_EPOCH + timedelta(microseconds=gps // 1000) - timedelta(seconds=leap)
    return date.replace(second=0, microsecond=0) - timedelta(microseconds=1) if leaps.inserted(time)[0] else date


def iso(date: datetime, decimals: int = 3) -> str:
    """Return a UTC date as ISO text with Z."""
    text = date.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{date.microsecond // 10 ** (6 - decimals):0{decimals}d}Z" if decimals else f"{text}Z"


def compact(date: datetime) -> str:
    """Return a UTC date in the form of product names: ``20200816T120221``."""
    return date.strftime("%Y%m%dT%H%M%S")


def tt_days(gps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return TT as (Modified Julian day number, fraction of day) of GPS times [ns]."""
    day, rest = np.divmod(gps, _DAY)
    return MJD_GPS_EPOCH + day.astype(np.float64), (rest / NANO + TAI_MINUS_GPS + TT_MINUS_TAI) / 86400.0


def utc_days(gps: NDArray[np.int64], leaps: LeapSeconds = BUILT_IN) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return UTC as (Modified Julian day number, fraction of day) of GPS times [ns].

    The fraction exceeds 1 during an inserted second, which belongs to the day that it ends.
    """
    time = np.asarray(gps, np.int64)
    day, rest = np.divmod(time - (leaps.at_gps(time) - TAI_MINUS_GPS) * NANO, _DAY)
    inserted = leaps.inserted(time)
    return MJD_GPS_EPOCH + (day - inserted).astype(np.float64), (rest + inserted * _DAY) / NANO / 86400.0
