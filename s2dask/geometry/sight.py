"""Lines of sight: viewing directions and the fixed rotations of the instrument."""

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_geometry import FrameRotation, SpacecraftModel, ViewingDirections
from s2dask.errors import ConfigurationError
from s2dask.instrument import band


def rotation_matrix(r: FrameRotation) -> NDArray[np.float64]:
    """Return ``Rz(-z) Rx(-x) Ry(-y)``, the active matrix of an angle triplet."""
    if r.scale != 1.0:
        raise ConfigurationError(f"scale factor {r.scale}", "GIP_SPAMOD", "only 1 is known from real files")
    cx, sx, cy, sy, cz, sz = np.cos(r.x), np.sin(-r.x), np.cos(r.y), np.sin(-r.y), np.cos(r.z), np.sin(-r.z)
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(rz @ rx @ ry, float)


def lines_of_sight(
    directions: ViewingDirections, spacecraft: SpacecraftModel, detector: int, tdi: str = "APPLIED"
) -> NDArray[np.float64]:
    """Return unit lines of sight (column, 3) in the MSI frame: x along track, y across, z down.

    Notes
    -----
    ``l = normalise(tan psi y, -tan psi x, 1)``, then focal plane to detector and MSI to focal plane rotations.
    """
    psi_x, psi_y = directions.of(detector, tdi)
    raw = np.array([psi_y, -psi_x, np.ones_like(psi_x)]).T
    plane = band(directions.band).focal_plane
    turn = rotation_matrix(spacecraft.focal_planes[plane]) @ rotation_matrix(spacecraft.detectors[plane, detector])
    return np.ascontiguousarray(raw / np.linalg.norm(raw, axis=1)[:, None] @ turn.T)
