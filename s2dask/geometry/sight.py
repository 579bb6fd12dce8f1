"""Lines of sight: viewing directions, and the rotations of the instrument with their refining."""

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_geometry import FrameRotation, SpacecraftModel, ViewingDirections
from s2dask.auxdata.refining import Refining
from s2dask.instrument import band


def rotation_matrices(
    x: NDArray[np.float64] | float, y: NDArray[np.float64] | float, z: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return ``Rz(-z) Rx(-x) Ry(-y)`` (…, 3, 3), the active matrices of angle triplets [rad]."""
    cx, sx, cy, sy, cz, sz = np.cos(x), -np.sin(x), np.cos(y), -np.sin(y), np.cos(z), -np.sin(z)
    rows = [
        [cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy],
        [sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy],
        [-cx * sy, sx, cx * cy],
    ]
    return np.moveaxis(np.array(np.broadcast_arrays(*(v for row in rows for v in row)), float), 0, -1).reshape(
        *np.shape(cx + cy + cz), 3, 3
    )


def polynomial(coefficients: NDArray[np.float64] | None, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of a polynomial, low degree first, of any degree; None or no coefficient means zero."""
    if coefficients is None or not len(coefficients):
        return np.zeros_like(t)
    return np.asarray(np.polynomial.polynomial.polyval(t, coefficients))


def frame_matrices(r: FrameRotation, refining: Refining, t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrices (date, 3, 3) that take a direction from the inner frame to the outer one.

    Parameters
    ----------
    r : FrameRotation
        Of the inner frame (MSI, focal plane, detector) seen from the outer one.
    refining : Refining
        What is added to its angles and its scale.
    t : (date) float64
        Seconds from the middle of the sensing.

    Notes
    -----
    The scale factor works on the z axis, after the rotation or before it as the GIPP says; the homothety of the
    refining adds to it.
    """
    x, y, z = (
        angle + polynomial(refining.rotation.get(axis), t)
        for angle, axis in zip((r.x, r.y, r.z), "XYZ", strict=True)
    )
    turn = rotation_matrices(x, y, z)
    scale = r.scale + polynomial(refining.homothety, t)
    if r.rotation_first:
        turn[:, 2, :] *= scale[:, None]
    else:
        turn[:, :, 2] *= scale[:, None]
    return turn


def instrument_matrices(
    spacecraft: SpacecraftModel, refining: Refining, plane: str, t: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the matrices (date, 3, 3) that take a direction from a focal plane to the piloting frame."""
    piloting = frame_matrices(spacecraft.piloting, refining, t)
    state = refining.focal_planes.get(plane, Refining())
    return np.asarray(piloting @ frame_matrices(spacecraft.focal_planes[plane], state, t))


def lines_of_sight(
    directions: ViewingDirections, spacecraft: SpacecraftModel, detector: int, tdi: str = "APPLIED"
) -> NDArray[np.float64]:
    """Return lines of sight (column, 3) in the frame of the focal plane: x along track, y across, z down.

    Notes
    -----
    ``l = normalise(tan psi y, -tan psi x, 1)``, then the rotation focal plane to detector.
    """
    psi_x, psi_y = directions.of(detector, tdi)
    raw = np.array([psi_y, -psi_x, np.ones_like(psi_x)]).T
    plane = band(directions.band).focal_plane
    turn = frame_matrices(spacecraft.detectors[plane, detector], Refining(), np.zeros(1))[0]
    return np.ascontiguousarray(raw / np.linalg.norm(raw, axis=1)[:, None] @ turn.T)
