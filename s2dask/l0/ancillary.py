"""Satellite ancillary data: GPS points and attitude out of their packets.

Heads as in real packets; the layout of the data is the simulator's own, for the mission's is not public.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import APID_AOCS, APID_GPS

_DATA_AT: Final = 19
_LAYOUT: Final = {APID_GPS: (1, 6), APID_AOCS: (105, 4)}
"""SID and number of float64 values after the date, by APID."""


class Samples(NamedTuple):
    """Dated samples in the order of time, each date once.

    Attributes
    ----------
    time : (sample) int64
        GPS [ns].
    values : (sample, value) float64
    """

    time: NDArray[np.int64]
    values: NDArray[np.float64]


def parse_samples(packets: list[bytes], apid: int) -> Samples:
    """Decode the packets of one APID.

    Parameters
    ----------
    packets : list of bytes
        With good checksums.
    apid : int
        `APID_GPS` (position [m], velocity [m/s]) or `APID_AOCS` (quaternion x y z w).
    """
    sid, width = _LAYOUT[apid]
    size = _DATA_AT + 8 + 8 * width + 2
    chosen = [p for p in packets if len(p) == size and p[_DATA_AT - 1] == sid]
    if not chosen:
        return Samples(np.zeros(0, np.int64), np.zeros((0, width)))
    body = np.frombuffer(b"".join(p[_DATA_AT:-2] for p in chosen), np.uint8).reshape(len(chosen), -1)
    time = np.ascontiguousarray(body[:, :8]).view(">i8")[:, 0].astype(np.int64)
    values = np.ascontiguousarray(body[:, 8:]).view(">f8").astype(np.float64)
    good = np.isfinite(values).all(axis=1)
    time, first = np.unique(time[good], return_index=True)
    return Samples(time, values[good][first])


def check_coverage(samples: Samples, start: int, stop: int, what: str, least: int) -> None:
    """Refuse ancillary data that do not surround the imaging [GPS ns] with `least` samples in all."""
    if samples.time.size < least:
        raise InputError(f"{samples.time.size} {what} samples, {least} are needed", "SAD", "fetch the whole session")
    if samples.time[0] > start or samples.time[-1] < stop:
        raise InputError(f"{what} does not cover the imaging", "SAD", "fetch the whole session")
