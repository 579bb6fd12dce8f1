"""Time scales: GPS, UTC, TAI, TT; dates as text and as whole nanoseconds of GPS time."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError

GPS_EPOCH: Final = datetime(1980, 1, 6, tzinfo=UTC)
MJD_GPS_EPOCH: Final = 44244
"""Modified Julian date of the GPS epoch."""
TAI_MINUS_GPS: Final = 19
TT_MINUS_TAI: Final = 32.184
NANO: Final = 1_000_000_000

# First day of each TAI-UTC since 1980 (IERS Bulletin C); the last entry holds until a new one is announced.
_LEAPS: Final = (
    ("1980-01-01", 19), ("1981-07-01", 20), ("1982-07-01", 21), ("1983-07-01", 22), ("1985-07-01", 23),
    ("1988-01-01", 24), ("1990-01-01", 25), ("1991-01-01", 26), ("1992-07-01", 27), ("1993-07-01", 28),
    ("1994-07-01", 29), ("1996-01-01", 30), ("1997-07-01", 31), ("1999-01-01", 32), ("2006-01-01", 33),
    ("2009-01-01", 34), ("2012-07-01", 35), ("2015-07-01", 36), ("2017-01-01", 37),
)  # fmt: skip


def tai_minus_utc(utc: datetime) -> int:
    """Return TAI-UTC [s] at a UTC date."""
    value = _LEAPS[0][1]
    for day, leap in _LEAPS:
        if utc >= datetime.fromisoformat(day).replace(tzinfo=UTC):
            value = leap
    return value


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


def utc_to_gps(text: str) -> int:
    """Return a UTC date written in ISO form as nanoseconds since 1980-01-06 (GPS)."""
    second, nano = _parse(text)
    leap = tai_minus_utc(second) - TAI_MINUS_GPS
    return (int((second - GPS_EPOCH).total_seconds()) + leap) * NANO + nano


def gps_to_utc(gps: int) -> datetime:
    """Return the UTC date of a GPS time [ns], rounded down to the microsecond."""
    date = GPS_EPOCH + timedelta(microseconds=gps // 1000)
    leap = tai_minus_utc(date - timedelta(seconds=18)) - TAI_MINUS_GPS
    return date - timedelta(seconds=leap)


def iso(date: datetime, decimals: int = 3) -> str:
    """Return a UTC date as ISO text with Z."""
    text = date.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{date.microsecond // 10 ** (6 - decimals):0{decimals}d}Z" if decimals else f"{text}Z"


def compact(date: datetime) -> str:
    """Return a UTC date in the form of product names: ``20200816T120221``."""
    return date.strftime("%Y%m%dT%H%M%S")


def tt_days(gps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return TT as (Modified Julian day number, fraction of day) of GPS times [ns]."""
    day, rest = np.divmod(gps, 86400 * NANO)
    return MJD_GPS_EPOCH + day.astype(np.float64), (rest / NANO + TAI_MINUS_GPS + TT_MINUS_TAI) / 86400.0


def utc_days(gps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return UTC as (Modified Julian day number, fraction of day) of GPS times [ns]."""
    leap = tai_minus_utc(gps_to_utc(int(np.asarray(gps).flat[0]))) - TAI_MINUS_GPS
    day, rest = np.divmod(np.asarray(gps) - leap * NANO, 86400 * NANO)
    return MJD_GPS_EPOCH + day.astype(np.float64), rest / NANO / 86400.0
