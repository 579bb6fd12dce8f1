"""Where the satellite is and how it looks: a sun-synchronous orbit, or a real datastrip's own orbit and attitude."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import erfa
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.gipp_geometry import FrameRotation, SpacecraftModel, ViewingDirections
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.time import NANO, gps_to_utc, tt_days, utc_days
from s2dask.instrument import BANDS, LINE_PERIOD

Array = NDArray[np.float64]

ALTITUDE: Final = 786_000.0
INCLINATION: Final = np.radians(98.62)
EARTH_RADIUS: Final = 6_378_137.0
GM: Final = 3.986004418e14
MARGIN: Final = 25
"""Ancillary data before and after the imaging [s]."""
ATTITUDE_RATE: Final = 10
POLE: Final = (0.1712, 0.4015, -0.2119)
"""Pole x, pole y [arcsec], UT1-UTC [s] of a synthetic session."""

# Along-track tangents in the middle of D06, and their mirror on the odd detectors, as GIP_VIEDIR of S2A has them.
_ALONG: Final = {
    "B02": 0.0085, "B08": 0.0107, "B03": 0.0129, "B10": 0.0156, "B04": 0.0170, "B05": 0.0191, "B11": 0.0209,
    "B06": 0.0214, "B07": 0.0235, "B8A": 0.0258, "B12": 0.0262, "B01": 0.0279, "B09": 0.0302,
}  # fmt: skip
_DETECTOR_PITCH: Final = 0.03055
_PIXEL_10M: Final = 1.2545e-5
"""Tangent of a 10 m pixel."""


def focal_plane(band: str) -> ViewingDirections:
    """Return viewing directions that follow the staggered layout of the real focal planes."""
    b = BANDS[band]
    columns = np.arange(b.columns) - (b.columns - 1) / 2
    tangents = {}
    for detector in range(1, 13):
        centre = (6.5 - detector) * _DETECTOR_PITCH
        across = centre - _PIXEL_10M * (b.resolution // 10) * columns
        side = 1.0 if detector % 2 == 0 else -1.0
        # the optics bend the lines a little: up to two pixels over the field
        along = side * _ALONG[band] + 9e-4 * across**2 + 1e-5 * side * columns / b.columns
        tangents["APPLIED" if b.tdi else "NO_TDI", detector] = np.array([-across, along])
    return ViewingDirections(band, tangents)


def spacecraft_model() -> SpacecraftModel:
    """Return a spacecraft model with a small misalignment of the piloting frame."""
    zero = FrameRotation(0.0, 0.0, 0.0)
    planes = {"VNIR": zero, "SWIR": zero}
    detectors = {(plane, d): zero for plane in planes for d in range(1, 13)}
    return SpacecraftModel(FrameRotation(-2.9e-5, -9.6e-4, -2.2e-5), planes, detectors)


def _turn(r: FrameRotation) -> Array:
    """Active matrix of the three angles of a GIPP: y first, then x, then z, all reversed."""
    return np.asarray(Rotation.from_euler("yxz", [-r.y, -r.x, -r.z]).as_matrix())


def sights(directions: ViewingDirections, model: SpacecraftModel, detector: int) -> Array:
    """Return the lines of sight (column, 3) of L1B columns in the piloting frame, not rotated further."""
    tdi = "APPLIED" if ("APPLIED", detector) in directions.tangents else "NO_TDI"
    across, along = directions.tangents[tdi, detector]
    plane = BANDS[directions.band].focal_plane
    rays = np.stack([along, -across, np.ones_like(across)], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    turn = _turn(model.piloting) @ _turn(model.focal_planes[plane]) @ _turn(model.detectors[plane, detector])
    return np.asarray(rays @ turn.T)


def celestial_to_terrestrial(gps: NDArray[np.int64], pole: Array) -> Array:
    """Return EME2000 to ITRF matrices (date, 3, 3); pole is (x, y [arcsec], UT1-UTC [s]) by date."""
    day, tt = tt_days(gps)
    utc_day, utc = utc_days(gps)
    x, y = np.radians(pole[0] / 3600.0), np.radians(pole[1] / 3600.0)
    matrix = erfa.c2t06a(2400000.5 + day, tt, 2400000.5 + utc_day, utc + pole[2] / 86400.0, x, y)
    bias = erfa.bp06(2451545.0, 0.0)[0]
    return np.asarray(matrix @ bias.T)


@dataclass(frozen=True, eq=False)
class Platform:
    """The true motion of a satellite, and what it tells of it.

    Attributes
    ----------
    origin : int
        GPS [ns]; seconds count from here.
    position : CubicSpline
        ITRF [m] of seconds.
    attitude : CubicSpline
        Elements of the piloting to ITRF matrix (9) of seconds.
    reported : Trajectory
        The ancillary data: points at 1 Hz, attitude at 10 Hz with its errors.
    velocity : (point, 3) float64 [m/s]
    quaternion : (sample, 4) float64
        The true attitude at the dates of the reported one, body to EME2000, scalar last.
    """

    origin: int
    position: CubicSpline
    attitude: CubicSpline
    reported: Trajectory
    velocity: Array
    quaternion: Array

    def rays(self, seconds: Array, sight: Array) -> tuple[Array, Array]:
        """Return origins (date, 3) and directions (date, column, 3) in ITRF."""
        matrix = self.attitude(seconds).reshape(-1, 3, 3)
        return np.asarray(self.position(seconds)), np.einsum("tij,cj->tci", matrix, sight)


def _circular_orbit(gps: NDArray[np.int64], middle: int, lon: float, lat: float, pole: Array) -> tuple[Array, Array]:
    """Position and velocity in EME2000 of a descending circular orbit above a place at a date."""
    radius = EARTH_RADIUS + ALTITUDE
    geocentric = np.arctan(np.tan(np.radians(lat)) * (1 - 0.00669438))
    to_earth = celestial_to_terrestrial(np.array([middle]), pole[:, :1])[0]
    below = np.array([np.cos(geocentric) * np.cos(np.radians(lon)), np.cos(geocentric) * np.sin(np.radians(lon)), 0])
    celestial = to_earth.T @ np.array([below[0], below[1], np.sin(geocentric)])
    argument = np.pi - np.arcsin(celestial[2] / np.sin(INCLINATION))
    unturned = np.array([np.cos(argument), np.sin(argument) * np.cos(INCLINATION)])
    node = np.arctan2(celestial[1], celestial[0]) - np.arctan2(unturned[1], unturned[0])
    rate = np.sqrt(GM / radius**3)
    u = argument + rate * ((gps - middle) / NANO)
    plane = (Rotation.from_rotvec([0, 0, node]) * Rotation.from_rotvec([INCLINATION, 0, 0])).as_matrix()
    position = radius * np.stack([np.cos(u), np.sin(u), 0 * u], -1) @ plane.T
    velocity = radius * rate * np.stack([-np.sin(u), np.cos(u), 0 * u], -1) @ plane.T
    return position, velocity


def _steered(position: Array, ground_speed: Array) -> Array:
    """Piloting to ITRF matrices: z to the centre of the Earth, x along the motion over the ground."""
    z = -position / np.linalg.norm(position, axis=-1, keepdims=True)
    y = np.cross(z, ground_speed)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([np.cross(y, z), y, z], -1)


def _jitter(seconds: Array, random: np.random.Generator) -> Array:
    """Slow motion of the attitude about the three axes [rad], a few microradians."""
    out = np.zeros((seconds.size, 3))
    for period, size in ((41.0, 6e-6), (13.0, 2e-6), (3.1, 4e-7)):
        phase = random.uniform(0, 2 * np.pi, 3)
        out += size * np.sin(2 * np.pi * seconds[:, None] / period + phase)
    return out


def _quaternions(to_earth: Array, body: Rotation) -> Array:
    """Return quaternions (date, 4) body to EME2000, scalar last and positive, of bodies turned against ITRF."""
    out = (Rotation.from_matrix(np.swapaxes(to_earth, 1, 2)) * body).as_quat()
    return np.asarray(out * np.where(out[:, 3:] < 0, -1.0, 1.0))


def synthetic_platform(
    middle: int, duration: float, lon: float, lat: float, seed: int, attitude_noise: float
) -> Platform:
    """Return a platform above a place in the middle of its imaging.

    Parameters
    ----------
    middle : int
        GPS [ns].
    duration : float
        Of the imaging [s].
    lon, lat : float
        Below the satellite at that date [deg].
    seed : int
    attitude_noise : float [rad]
    """
    random = np.random.default_rng([seed, 0x0B17])
    half = int(np.ceil(duration / 2)) + MARGIN
    origin = (middle // NANO - half) * NANO
    seconds = np.arange(-5 * ATTITUDE_RATE, (2 * half + 5) * ATTITUDE_RATE + 1) / ATTITUDE_RATE
    gps = origin + np.round(seconds * NANO).astype(np.int64)
    pole = np.repeat(np.array(POLE)[:, None], gps.size, 1)
    inertial, _ = _circular_orbit(gps, middle, lon, lat, pole)
    to_earth = celestial_to_terrestrial(gps, pole)
    position = np.einsum("tij,tj->ti", to_earth, inertial)
    track = CubicSpline(seconds, position)
    turned = Rotation.from_matrix(_steered(position, track(seconds, 1)))
    true = turned * Rotation.from_rotvec(_jitter(seconds, random))
    measured = true * Rotation.from_rotvec(random.normal(0, attitude_noise, (seconds.size, 3)))
    inside = (seconds >= 0) & (seconds <= 2 * half)
    whole = inside & (np.arange(seconds.size) % ATTITUDE_RATE == 0)
    reported = Trajectory(gps[whole], position[whole], gps[inside], _quaternions(to_earth, measured)[inside])
    return Platform(
        origin, track, CubicSpline(seconds, true.as_matrix().reshape(-1, 9)), reported, track(seconds[whole], 1),
        _quaternions(to_earth, true)[inside],
    )  # fmt: skip


def real_platform(trajectory: Trajectory, eop: EarthOrientation) -> Platform:
    """Return a platform that moves as a real trajectory says; what it reports is that trajectory."""
    origin = int(trajectory.position_time[0])
    track = CubicSpline((trajectory.position_time - origin) / NANO, trajectory.position)
    gps = trajectory.attitude_time
    utc_day, utc = utc_days(gps)
    to_earth = celestial_to_terrestrial(gps, eop.at(utc_day + utc))
    turned = Rotation.from_matrix(to_earth) * Rotation.from_quat(trajectory.quaternion)
    attitude = CubicSpline((gps - origin) / NANO, turned.as_matrix().reshape(-1, 9))
    seconds = (trajectory.position_time - origin) / NANO
    return Platform(origin, track, attitude, trajectory, track(seconds, 1), trajectory.quaternion)


def line_seconds(platform: Platform, first_line_date: int, band: str, line: Array) -> Array:
    """Return seconds of the platform's time at lines of a band."""
    return (first_line_date - platform.origin) / NANO + line * LINE_PERIOD * BANDS[band].line_factor


def bulletin(path: Path, gps: int, pole: tuple[float, float, float] = POLE) -> None:
    """Write a Bulletin A text with constant parameters for ten days around a date."""
    day = int(utc_days(np.array([gps]))[0][0])
    x, y, dut = pole
    rows = []
    for mjd in range(day - 5, day + 6):
        date = gps_to_utc((mjd - 44244) * 86400 * NANO + 20 * NANO)
        rows.append(
            f"     {date:%y} {date.month:2d} {date.day:2d} {mjd}  {x:.5f} .00009  {y:.5f} .00009  {dut:.6f} 0.000015"
        )
    head = "\n        COMBINED EARTH ORIENTATION PARAMETERS (simulated, in the form of IERS Bulletin A):\n\n"
    path.write_text(head + "\n".join(rows) + "\n", "utf-8")
