"""A viewing model whose orbit and attitude have closed forms, and the location that follows from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.gipp_geometry import FrameRotation, SpacecraftModel, ViewingDirections
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.refining import Refining
from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import utc_to_gps
from s2dask.geometry import ViewingModel
from s2dask.geometry.frames import eme2000_to_itrf
from s2dask.geometry.sight import rotation_matrices
from s2dask.geometry.trajectory import Mode
from s2dask.instrument import band

RADIUS = 6378137.0 + 786_000.0
RATE = np.sqrt(3.986004418e14 / RADIUS**3)
MIDDLE = utc_to_gps("2020-08-16T12:00:00Z")
PERIOD = 1.565873622e-3
EOP = EarthOrientation.constant(0.1, 0.3, -0.2)
STILL = FrameRotation(0.0, 0.0, 0.0)
SEA = Terrain((), None, "sea")
"""The bare ellipsoid."""


@dataclass(frozen=True)
class Orbit:
    """A circular orbit: inclination, ascending node and place at the middle of the strip, in EME2000 [deg]."""

    inclination: float
    node: float
    place: float

    def state(self, gps: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return positions (n, 3) and matrices (n, 3, 3) body to EME2000: x along the velocity, z to the centre."""
        u = np.radians(self.place) + RATE * (gps - MIDDLE) * 1e-9
        i, o = np.radians(self.inclination), np.radians(self.node)
        out = np.array([np.cos(o), np.sin(o), 0.0])
        up = np.array([-np.sin(o) * np.cos(i), np.cos(o) * np.cos(i), np.sin(i)])
        radial = np.cos(u)[:, None] * out + np.sin(u)[:, None] * up
        ahead = -np.sin(u)[:, None] * out + np.cos(u)[:, None] * up
        return RADIUS * radial, np.stack([ahead, np.cross(-radial, ahead), -radial], axis=-1)


def quaternions(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit quaternions (n, 4), scalar last: the eigenvector of Bar-Itzhack's matrix."""
    m = matrices
    k = np.empty((len(m), 4, 4))
    k[:, :3, :3] = m + m.transpose(0, 2, 1) - np.trace(m, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    z = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], -1)
    k[:, :3, 3] = k[:, 3, :3] = z
    k[:, 3, 3] = np.trace(m, axis1=1, axis2=2)
    return np.asarray(np.linalg.eigh(k)[1][:, :, -1])


def directions(name: str) -> ViewingDirections:
    """Return straight detectors, 2 degrees off: detector 1 ahead and to the left, 2 behind and to the right."""
    n = band(name).columns
    tangents = {}
    for detector, (across, along) in {1: (-0.03, 0.03), 2: (0.03, -0.03)}.items():
        tangents["APPLIED", detector] = np.array([across + 1.3e-5 * (np.arange(n) - n / 2), np.full(n, along)])
    return ViewingDirections(name, tangents)


def spacecraft(
    piloting: FrameRotation = STILL, vnir: FrameRotation = STILL, swir: FrameRotation = STILL,
    detector: FrameRotation = STILL,
) -> SpacecraftModel:
    """Return an instrument with some rotations."""
    detectors = {(plane, d): detector for plane in ("VNIR", "SWIR") for d in (1, 2)}
    return SpacecraftModel(piloting, {"VNIR": vnir, "SWIR": swir}, detectors)


def model(
    orbit: Orbit, craft: SpacecraftModel | None = None, refining: Refining | None = None, mode: Mode = "smooth",
    names: tuple[str, ...] = ("B02", "B11"),
) -> ViewingModel:
    """Return the viewing model of 16 s around the middle."""
    t_p = MIDDLE + np.arange(-12, 13) * 1_000_000_000
    t_q = MIDDLE + np.arange(-80, 81) * 100_000_000
    itrf = np.einsum("nij,nj->ni", eme2000_to_itrf(t_p, EOP), orbit.state(t_p)[0])
    trajectory = Trajectory(t_p, itrf, t_q, quaternions(orbit.state(t_q)[1]))
    dates = {(d, name): MIDDLE - 6_000_000_000 for d in (1, 2) for name in names}
    return ViewingModel.build(
        trajectory, dates, PERIOD, {name: directions(name) for name in names}, craft or spacecraft(), EOP,
        refining=refining, sensing=(MIDDLE - 6_000_000_000, MIDDLE + 6_000_000_000), mode=mode,
    )  # fmt: skip


def closed_form(
    orbit: Orbit, name: str, detector: int, line: NDArray[np.float64], column: NDArray[np.float64],
    turn: NDArray[np.float64] | None = None, moved: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude on the ellipsoid, from the equations of orbit, ray and ellipsoid alone.

    `turn` (3, 3) or (n, 3, 3) is applied to the lines of sight; `moved` (n, 3) is added to the position, in the axes of
    the body [m].
    """
    gps = MIDDLE - 6_000_000_000 + np.round(line * PERIOD * band(name).line_factor * 1e9).astype(np.int64)
    position, body = orbit.state(gps)
    psi_x, psi_y = directions(name).of(detector)
    sight = np.stack([np.interp(column, np.arange(psi_x.size), v) for v in (psi_y, -psi_x)] + [np.ones_like(line)], -1)
    if turn is not None:
        sight = np.einsum("...ij,...j->...i", turn, sight)
    if moved is not None:
        position = position + np.einsum("nij,nj->ni", body, moved)
    earth = eme2000_to_itrf(gps, EOP)
    p = np.einsum("nij,nj->ni", earth, position)
    ray = np.einsum("nij,njk,nk->ni", earth, body, sight)
    ray /= np.linalg.norm(ray, axis=1)[:, None]
    axes = np.array([6378137.0, 6378137.0, 6378137.0 * (1 - 1 / 298.257223563)])
    a, b, c = (np.sum((v / axes) * (w / axes), axis=1) for v, w in ((ray, ray), (p, ray), (p, p)))
    ground = p + ((-b - np.sqrt(b * b - a * (c - 1.0))) / a)[:, None] * ray
    lon, lat, _ = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True).transform(*ground.T)
    return np.asarray(lon), np.asarray(lat)


def distance(
    lon: NDArray[np.float64], lat: NDArray[np.float64], to_lon: NDArray[np.float64], to_lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ground distances [m], small ones, wherever on the Earth."""
    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    a, b = (np.stack(to_ecef.transform(x, y, np.zeros_like(x))) for x, y in ((lon, lat), (to_lon, to_lat)))
    return np.asarray(np.linalg.norm(a - b, axis=0))


def rotated(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Return the product of the three elementary matrices, written apart from the package's own."""
    cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(-x), np.cos(y), np.sin(-y), np.cos(z), np.sin(-z)
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    product = rz @ rx @ ry
    assert np.abs(product - rotation_matrices(x, y, z)).max() < 1e-15
    return np.asarray(product)
