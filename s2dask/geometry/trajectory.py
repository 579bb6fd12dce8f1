"""Orbit, attitude and Earth rotation as one table at a fixed step, shifted to any date by its own rates."""

import math
from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.iers import EarthOrientation
from s2dask.errors import InputError
from s2dask.geometry.frames import eme2000_to_itrf
from s2dask.geometry.sight import polynomial

Mode = Literal["smooth", "sxgeo"]
STEP: Final = 0.1
"""Step of the table [s]."""
POSITION_POINTS: Final = 6
ATTITUDE_POINTS: Final = 8
TABLE_COLUMNS: Final = 36
"""position, velocity, acceleration; rotation rate and acceleration; Earth rate; attitude matrix; Earth matrix."""


def quaternion_matrices(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rotation matrices (n, 3, 3) of unit quaternions (n, 4), scalar last: v' = q v q*."""
    x, y, z, w = q.T
    rows = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    return np.array(rows).transpose(2, 0, 1)


def rotation_vectors(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation vectors (n, 3) of small rotations (n, 3, 3) [rad]."""
    m = matrices
    v = np.array([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]]).T / 2
    sine = np.linalg.norm(v, axis=1)
    factor = np.where(sine < 1e-12, 1.0, np.arcsin(np.minimum(sine, 1.0)) / np.maximum(sine, 1e-300))
    return np.asarray(v * factor[:, None])


def _two_sum(a: float, b: float) -> tuple[float, float]:
    s = a + b
    o = s - b
    d = s - o
    return s, (a - o) + (b - d)


def _split_date(gps: int) -> tuple[int, float]:
    """Return a date as the reference library keeps it: whole seconds of TAI and a floating offset."""
    seconds, nano = divmod(gps, 1_000_000_000)
    minute, second = divmod(seconds, 60)
    s, r = _two_sum(round(second + nano * 1e-9, 9), 19.0)
    whole = math.floor(s)
    return 60 * minute + whole, (s - whole) + r


def sample_sides(samples: NDArray[np.int64], start: int, count: int) -> NDArray[np.float64]:
    """Return +1 or -1 per table date: on which side of the sample of the same date the reference library falls.

    Table and samples share dates to the nanosecond; which samples enter the interpolation then hangs on rounding in
    the accumulated date (0.1 is no binary fraction). Replaying that arithmetic decides every tie as the operational
    geometry library does; guessing costs up to 0.1 m.
    """
    dates = [_split_date(int(t)) for t in samples]
    values = samples.astype(np.float64)
    date = _split_date(start)
    sides = np.empty(count)
    for k in range(count):
        now = (date[0] + date[1] - 19.0) * 1e9
        i = int(np.argmin(np.abs(values - now)))
        gap = (date[0] - dates[i][0]) + (date[1] - dates[i][1])
        sides[k] = -1.0 if -1e-6 < gap < 0 else 1.0
        s, r = _two_sum(date[1], STEP)
        whole = math.floor(s)
        date = (date[0] + whole, (s - whole) + r)
    return sides


def _lagrange(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    centre: NDArray[np.float64],
    at: NDArray[np.float64],
    points: int,
    side: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return values (n, k) at dates, Lagrange on the window of samples chosen for `centre`."""
    i = np.searchsorted(x, centre + 1e-6 * side, side="right") - 1
    start = np.clip(i - (points - 1) // 2, 0, len(x) - points)
    index = start[:, None] + np.arange(points)
    nodes = x[index]
    weight = np.ones((len(at), points))
    for a in range(points):
        for b in range(points):
            if a != b:
                weight[:, a] *= (at - nodes[:, b]) / (nodes[:, a] - nodes[:, b])
    return np.asarray(np.einsum("ij,ijk->ik", weight, y[index]))


def _seconds(gps: NDArray[np.int64], origin: int) -> NDArray[np.float64]:
    return np.asarray((gps - origin) * 1e-9, np.float64)


def _aligned(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quaternions with signs such that neighbours are close."""
    flips = np.cumprod(np.r_[1.0, np.where(np.einsum("ij,ij->i", q[1:], q[:-1]) < 0, -1.0, 1.0)])
    return np.asarray(q * flips[:, None])


def refine_positions(
    t: NDArray[np.float64], position: NDArray[np.float64], correction: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return positions (n, 3) in EME2000 with the refining of the spacecraft position added.

    Parameters
    ----------
    t : (n) float64
        Seconds from the middle of the sensing.
    position : (n, 3) float64 [m]
    correction : mapping of str to array
        Polynomials of the axes X, Y, Z of the local orbital frame [m, m/s …], low degree first: Z towards the
        Earth's centre, X along the orbital momentum, Y completes them: nearly along the velocity.
    """
    if not any(np.any(c) for c in correction.values()):
        return position
    velocity = np.gradient(position, t, axis=0, edge_order=2)
    z = -position / np.linalg.norm(position, axis=1)[:, None]
    x = np.cross(velocity, z)
    x /= np.linalg.norm(x, axis=1)[:, None]
    out = position.copy()
    for name, axis in (("X", x), ("Y", np.cross(z, x)), ("Z", z)):
        out += polynomial(correction.get(name), t)[:, None] * axis
    return out


def build_table(
    trajectory: Trajectory,
    eop: EarthOrientation,
    correction: Mapping[str, NDArray[np.float64]] | None = None,
    middle: int = 0,
) -> tuple[int, NDArray[np.float64]]:
    """Return (GPS time of the first row [ns], table (date, 36)) of the trajectory every 0.1 s.

    Parameters
    ----------
    trajectory : Trajectory
    eop : EarthOrientation
    correction : mapping of str to array, optional
        Refining of the position, see `refine_positions`: it is made at the samples, before they are interpolated.
    middle : int
        Origin of its polynomials, GPS [ns].

    Notes
    -----
    Settings of the reference model: positions in EME2000 by 6-point Lagrange (velocities are not used), attitude by
    8-point Lagrange of the quaternions, rates from the interpolating polynomial.
    """
    t_p, t_q = trajectory.position_time, trajectory.attitude_time
    if len(t_p) < POSITION_POINTS or len(t_q) < ATTITUDE_POINTS:
        raise InputError(f"{len(t_p)} GPS points and {len(t_q)} attitudes", "trajectory", "6 and 8 are needed")
    if (np.diff(t_p) <= 0).any() or (np.diff(t_q) <= 0).any():
        raise InputError("dates are not in order", "trajectory", "sort the samples and drop duplicates")
    start = int(max(t_q[0], t_p[0]))
    count = int((min(t_q[-1], t_p[-1]) - start) * 1e-9 / STEP) + 1
    if count < 2:
        raise InputError("orbit and attitude do not overlap in time", "trajectory")
    t = STEP * np.arange(count, dtype=np.float64)
    position = np.einsum("nji,nj->ni", eme2000_to_itrf(t_p, eop), trajectory.position)
    position = refine_positions(_seconds(t_p, middle), position, correction or {})
    x, side = _seconds(t_p, start), sample_sides(t_p, start, count)
    h = 0.02
    before, here, after = (_lagrange(x, position, t, t + d, POSITION_POINTS, side) for d in (-h, 0.0, h))
    x, side, q = _seconds(t_q, start), sample_sides(t_q, start, count), _aligned(trajectory.quaternion)

    def attitude(dt: float) -> NDArray[np.float64]:
        value = _lagrange(x, q, t, t + dt, ATTITUDE_POINTS, side)
        return quaternion_matrices(value / np.linalg.norm(value, axis=1)[:, None])

    d, body = 1e-3, attitude(0.0)
    plus = rotation_vectors(attitude(d) @ body.transpose(0, 2, 1))
    minus = rotation_vectors(attitude(-d) @ body.transpose(0, 2, 1))
    dates = start + np.round(t * 1e9).astype(np.int64)
    earth = eme2000_to_itrf(dates, eop)
    spin = rotation_vectors(eme2000_to_itrf(dates + 5_000_000_000, eop) @ earth.transpose(0, 2, 1)) / 5
    columns = (
        here, (after - before) / (2 * h), (after + before - 2 * here) / h**2,
        (plus - minus) / (2 * d), (plus + minus) / d**2, spin, body.reshape(count, 9), earth.reshape(count, 9),
    )  # fmt: skip
    return start, np.ascontiguousarray(np.concatenate(columns, axis=1))
