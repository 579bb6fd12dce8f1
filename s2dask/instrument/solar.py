"""The sun as the products see it: the correction for its distance on the day of the datatake."""

import math
from datetime import UTC, datetime

_EPOCH = datetime(1950, 1, 1, 12, tzinfo=UTC)


def reflectance_conversion(datatake_start: datetime) -> float:
    """Return U, which carries E0 from 1 au to the day: about one over the squared distance of the sun in au.

    Parameters
    ----------
    datatake_start : datetime
        DATATAKE_SENSING_START; naive is taken as UTC.

    Notes
    -----
    ``U = (1 - 0.01673 cos(0.0172 (t - 2)))^-2``, t in days since 1950-01-01T12:00 UTC; it agrees with the ``U`` of real
    product metadata to rounding. ``rho = pi L / (E0 U cos(sza))``.

    Examples
    --------
    >>> reflectance_conversion(datetime(2021, 9, 8, 4, 27, 1, 24000))
    0.9838419903844313
    """
    start = datatake_start if datatake_start.tzinfo else datatake_start.replace(tzinfo=UTC)
    days = (start - _EPOCH).total_seconds() / 86400.0
    return float((1.0 - 0.01673 * math.cos(0.0172 * (days - 2.0))) ** -2)
