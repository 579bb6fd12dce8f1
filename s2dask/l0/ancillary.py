"""Satellite ancillary data: GPS points and attitude out of their packets, and whether they suffice to locate images.

Heads as in real packets; the layout of the data is the simulator's own, for the mission's is not public: the date, the
values, and perhaps one byte of status.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import APID_AOCS, APID_GPS

_DATA_AT: Final = 19
_LAYOUT: Final = {APID_GPS: (1, 6), APID_AOCS: (105, 4)}
"""SID and number of float64 values after the date, by APID."""
STATUS_UNKNOWN: Final = 255
"""Of a packet that has no byte of status."""
GPS_IN_STEP: Final = 1
"""Status of a GPS packet whose receiver keeps time; real points then have NSM ``KALMAN_FILTER``."""
NOMINAL_AOCS_MODE: Final = 2
"""Status of an attitude packet: AOCS_MODE, which is 2 throughout the real strip S2B 2022-10-11T06:40:25."""
LEAST_POINTS: Final = 6
LEAST_ATTITUDES: Final = 8
"""Samples that the location interpolates with."""
LARGEST_POINT_GAP: Final = 5_000_000_000
LARGEST_ATTITUDE_GAP: Final = 400_000_000
"""Between neighbours, one second and 0.1 s apart as a rule [ns]: interpolation in the middle of such a gap multiplies
the noise of the samples by 2.8 (six points of a polynomial) and 3.0 (eight)."""
NORM_TOLERANCE: Final = 1e-3
"""Of a quaternion; real ones have 1 to a millionth."""
RADII: Final = (6.9e6, 7.4e6)
"""Distances from the Earth's centre that the orbit may have [m]; real ones are 7.15e6 to 7.18e6."""


class Samples(NamedTuple):
    """Dated samples in the order of time, each date once.

    Attributes
    ----------
    time : (sample) int64
        GPS [ns].
    values : (sample, value) float64
    status : (sample) uint8, optional
        Receiver in step (GPS), mode (AOCS), or `STATUS_UNKNOWN`.
    """

    time: NDArray[np.int64]
    values: NDArray[np.float64]
    status: NDArray[np.uint8] | None = None


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
    size = 8 + 8 * width
    bodies = [p[_DATA_AT:-2] for p in packets if len(p) > _DATA_AT and p[_DATA_AT - 1] == sid]
    # a packet without status is filled up with an unknown one
    filled = [b.ljust(size + 1, bytes([STATUS_UNKNOWN])) for b in bodies if len(b) in (size, size + 1)]
    body = np.frombuffer(b"".join(filled), np.uint8).reshape(len(filled), size + 1)
    time = np.ascontiguousarray(body[:, :8]).view(">i8")[:, 0].astype(np.int64)
    values = np.ascontiguousarray(body[:, 8:size]).view(">f8").astype(np.float64)
    good = np.isfinite(values).all(axis=1)
    time, first = np.unique(time[good], return_index=True)
    return Samples(time, values[good][first], body[good][first, size])


def _near(samples: Samples, start: int, stop: int, margin: int) -> Samples:
    """Return the samples that the location of images from `start` to `stop` [GPS ns] uses."""
    first = max(int(np.searchsorted(samples.time, start)) - margin, 0)
    last = int(np.searchsorted(samples.time, stop, side="right")) + margin
    status = samples.status if samples.status is not None else np.full(samples.time.size, STATUS_UNKNOWN, np.uint8)
    return Samples(samples.time[first:last], samples.values[first:last], status[first:last])


def _holes(samples: Samples, start: int, stop: int, least: int, largest: int) -> Iterator[str]:
    time = samples.time
    if time.size < least:
        yield f"{time.size} samples, {least} are needed"
        return
    if time[0] > start or time[-1] < stop:
        early, late = max(int(time[0]) - start, 0), max(stop - int(time[-1]), 0)
        yield f"the imaging is not covered: {early * 1e-9:.3f} s at its start, {late * 1e-9:.3f} s at its stop"
    gaps = np.diff(time)[(time[1:] > start) & (time[:-1] < stop)]
    if (gaps > largest).any():
        count, longest = int((gaps > largest).sum()), float(gaps.max()) * 1e-9
        yield f"{count} gaps of up to {longest:.3f} s, {largest * 1e-9:.3g} s can be interpolated"


def _outside(found: NDArray[np.float64], low: float, high: float, what: str) -> Iterator[str]:
    wrong = (found < low) | (found > high)
    if wrong.any():
        worst = float(found[wrong][0])
        yield f"{int(wrong.sum())} samples with {what} {worst:.6g}, expected {low:.6g} to {high:.6g}"


def _status(samples: Samples, nominal: int, what: str) -> Iterator[str]:
    status = samples.status if samples.status is not None else np.zeros(0, np.uint8)
    wrong = (status != nominal) & (status != STATUS_UNKNOWN)
    if wrong.any():
        yield f"{int(wrong.sum())} samples {what} {int(status[wrong][0])} instead of {nominal}"


def inadequacy(points: Samples, attitude: Samples, start: int, stop: int) -> tuple[str, ...]:
    """Return why orbit and attitude do not suffice to locate images; empty when they do.

    Parameters
    ----------
    points, attitude : Samples
        Positions [m] and velocities [m/s]; quaternions.
    start, stop : int
        Of the imaging, GPS [ns].

    Notes
    -----
    A strip without adequate data is a degraded datatake: L0 only (note 2 of the mission's table of datatake types). Its
    limits are not public: these follow from how the location interpolates. What happens far from the imaging does not
    count.
    """
    near = _near(points, start, stop, LEAST_POINTS // 2)
    turned = _near(attitude, start, stop, LEAST_ATTITUDES // 2)
    radius = np.linalg.norm(near.values[:, :3], axis=1)
    norm = np.linalg.norm(turned.values, axis=1)
    found = {
        "GPS": [
            *_holes(points, start, stop, LEAST_POINTS, LARGEST_POINT_GAP),
            *_outside(radius, *RADII, "orbit radius"), *_status(near, GPS_IN_STEP, "whose receiver has status"),
        ],
        "attitude": [
            *_holes(attitude, start, stop, LEAST_ATTITUDES, LARGEST_ATTITUDE_GAP),
            *_outside(norm, 1 - NORM_TOLERANCE, 1 + NORM_TOLERANCE, "quaternion norm"),
            *_status(turned, NOMINAL_AOCS_MODE, "in AOCS mode"),
        ],
    }  # fmt: skip
    return tuple(f"{what}: {reason}" for what, reasons in found.items() for reason in reasons)
