"""Where the satellite is and where an instrument frame points, as polynomials of time that a kernel evaluates.

All that moves (orbit, attitude, Earth rotation, refining of any degree) is folded into one polynomial per interval of
the trajectory's table, so that nothing of it costs time at a pixel.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_geometry import SpacecraftModel
from s2dask.auxdata.refining import Refining
from s2dask.geometry.sight import instrument_matrices
from s2dask.geometry.trajectory import STEP, Mode
from s2dask.instrument.earth import EARTH_A, EARTH_F

TERMS: Final = 7
"""Coefficients of a polynomial: with 7 it is as good as the numbers it was made from (1e-9 m, 1e-15)."""


class States(NamedTuple):
    """One instrument frame over the time of a datastrip.

    Attributes
    ----------
    forward : (interval, term, 12) float64
        Position of the satellite in ITRF [m] and matrix from the frame to ITRF, as polynomials of the time from the
        middle of the interval divided by half of it.
    backward : (interval, term, 12) float64
        The inverse: position of the satellite in the frame [m], matrix from ITRF to the frame.
    first : float
        Middle of the first interval, seconds after the first row of the table.
    horizon : float
        Square of the greatest distance at which ground can be seen [m2].
    """

    forward: NDArray[np.float64]
    backward: NDArray[np.float64]
    first: float
    horizon: float


def _small_rotations(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrices of small rotation vectors (n, 3) [rad]."""
    square = np.einsum("ni,ni->n", v, v)
    a, b = 1.0 - square / 6.0, 0.5 - square / 24.0
    x, y, z = v.T
    zero = np.zeros_like(x)
    skew = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    return np.asarray(np.eye(3) + a[:, None, None] * skew + b[:, None, None] * (skew @ skew))


def _shifted(rows: NDArray[np.float64], d: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions (n, 3) in ITRF and matrices (n, 3, 3) body to ITRF of table rows (n, 36), shifted by d [s]."""
    t = d[:, None]
    earth = _small_rotations(rows[:, 15:18] * t) @ rows[:, 27:36].reshape(-1, 3, 3)
    body = _small_rotations(rows[:, 9:12] * t + 0.5 * rows[:, 12:15] * t * t) @ rows[:, 18:27].reshape(-1, 3, 3)
    position = rows[:, 0:3] + rows[:, 3:6] * t + 0.5 * rows[:, 6:9] * t * t
    return np.einsum("nij,nj->ni", earth, position), np.asarray(earth @ body)


def platform_states(
    table: NDArray[np.float64], interval: NDArray[np.int64], t: NDArray[np.float64], mode: Mode
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions (n, 3) [m] and matrices (n, 3, 3) piloting frame to ITRF at t seconds after the first row.

    Notes
    -----
    ``smooth`` blends the two rows around an interval, each shifted by its own rates, with a weight of vanishing slope
    at the rows; ``sxgeo`` shifts the nearest row alone, as the reference model does, and jumps between rows.
    """
    if mode == "sxgeo":
        return _shifted(table[interval], t - STEP * interval)
    d = t - STEP * interval
    u = d / STEP
    w = u * u * (3.0 - 2.0 * u)
    before, after = _shifted(table[interval], d), _shifted(table[interval + 1], d - STEP)
    position = before[0] + w[:, None] * (after[0] - before[0])
    return position, before[1] + w[:, None, None] * (after[1] - before[1])


def intervals(table: NDArray[np.float64], mode: Mode) -> tuple[int, float]:
    """Return the number of intervals and the middle of the first [s]: around the rows in sxgeo mode, else between."""
    return (len(table), 0.0) if mode == "sxgeo" else (len(table) - 1, 0.5 * STEP)


def build_states(
    table: NDArray[np.float64], mode: Mode, spacecraft: SpacecraftModel, refining: Refining, centre: float, plane: str
) -> States:
    """Return the states of a focal plane.

    Parameters
    ----------
    table : (date, 36) float64
    mode : {"smooth", "sxgeo"}
    spacecraft : SpacecraftModel
    refining : Refining
    centre : float
        Origin of its polynomials, seconds after the first row.
    plane : {"VNIR", "SWIR"}
    """
    count, first = intervals(table, mode)
    nodes: NDArray[np.float64] = np.cos(np.pi * (np.arange(TERMS, dtype=np.float64) + 0.5) / TERMS)
    interval = np.repeat(np.arange(count), TERMS)
    t = np.asarray(first + STEP * interval + np.tile(0.5 * STEP * nodes, count), np.float64)
    position, platform = platform_states(table, interval, t, mode)
    matrix = platform @ instrument_matrices(spacecraft, refining, plane, t - centre)
    back = np.linalg.inv(matrix)
    fit = np.linalg.inv(np.vander(nodes, TERMS, increasing=True))
    both = []
    for vector, turn in ((position, matrix), (np.einsum("nij,nj->ni", back, position), back)):
        values = np.concatenate([vector, turn.reshape(-1, 9)], axis=1).reshape(count, TERMS, 12)
        both.append(np.ascontiguousarray(np.einsum("ij,njk->nik", fit, values)))
    polar = EARTH_A * (1.0 - EARTH_F)
    farthest = float(np.einsum("ni,ni->n", position, position).max())
    return States(both[0], both[1], first, max(farthest - polar * polar, 0.0) * 1.02)
