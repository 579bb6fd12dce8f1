"""The orbit and the attitude of an invented pass."""

from pathlib import Path

import erfa
import numpy as np
import pytest

from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.time import utc_to_gps
from s2dask.instrument import BANDS
from s2dask.simulate.mission import CENTRE, synthetic_mission
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.platform import (
    ALTITUDE,
    EARTH_RADIUS,
    GM,
    INCLINATION,
    POLE,
    Platform,
    bulletin,
    celestial_to_terrestrial,
    focal_plane,
    sights,
    spacecraft_model,
    synthetic_platform,
)

MIDDLE = utc_to_gps("2020-08-16T12:02:25Z")
ATTITUDE_NOISE = SimulationOptions().attitude_noise
DAY = 86_164.0905
"""Sidereal day [s]."""


@pytest.fixture(scope="module")
def platform() -> Platform:
    """Fly a minute above Madeira."""
    return synthetic_platform(MIDDLE, 57.7, *CENTRE, 1, ATTITUDE_NOISE)


def _inertial(platform: Platform) -> tuple[np.ndarray, np.ndarray]:
    told = platform.reported
    pole = np.repeat(np.array(POLE)[:, None], told.position_time.size, 1)
    turn = np.swapaxes(celestial_to_terrestrial(told.position_time, pole), 1, 2)
    spin = np.array([0.0, 0.0, 2 * np.pi / DAY])
    return (
        np.einsum("tij,tj->ti", turn, told.position),
        np.einsum("tij,tj->ti", turn, platform.velocity + np.cross(spin, told.position)),
    )


def test_orbit_is_circular_at_the_altitude_of_the_mission(platform: Platform) -> None:
    position, velocity = _inertial(platform)
    radius = np.linalg.norm(position, axis=1)
    np.testing.assert_allclose(radius, EARTH_RADIUS + 786_000, atol=0.01)
    assert ALTITUDE == 786_000
    np.testing.assert_allclose(np.linalg.norm(velocity, axis=1), np.sqrt(GM / radius), rtol=1e-5)
    assert np.abs((position * velocity).sum(1) / radius).max() < 1.0
    period = 2 * np.pi * np.sqrt(radius[0] ** 3 / GM)
    assert 100.0 < period / 60 < 101.0


def test_orbit_is_sun_synchronous(platform: Platform) -> None:
    """The inclination of the motion; the node that it makes drift by the oblateness follows the sun."""
    position, velocity = _inertial(platform)
    momentum = np.cross(position, velocity)
    inclination = np.arccos(momentum[:, 2] / np.linalg.norm(momentum, axis=1))
    np.testing.assert_allclose(inclination, INCLINATION, atol=2e-4)
    a = EARTH_RADIUS + ALTITUDE
    drift = -1.5 * 1.08263e-3 * (EARTH_RADIUS / a) ** 2 * np.sqrt(GM / a**3) * np.cos(inclination[0])
    np.testing.assert_allclose(np.degrees(drift) * 86_400, 360 / 365.2422, rtol=0.01)


def test_pass_descends_over_its_place_at_its_date(platform: Platform) -> None:
    seconds = (MIDDLE - platform.origin) / 1e9
    x, y, z = platform.position(seconds)
    # the satellite looks to the centre of the Earth: there, on the ground, is the place
    met = np.degrees([np.arctan2(y, x), np.arctan(z / np.hypot(x, y) / (1 - 0.00669438))])
    np.testing.assert_allclose(met, CENTRE, atol=1e-3)
    _, lat, height = erfa.gc2gd(1, np.array([x, y, z]))
    assert 780_000 < height < 800_000
    assert erfa.gc2gd(1, platform.position(seconds + 1))[1] < lat


def test_attitude_is_measured_at_ten_hertz_with_its_noise(platform: Platform) -> None:
    told = platform.reported
    np.testing.assert_allclose(np.linalg.norm(told.quaternion, axis=1), 1, rtol=1e-14)
    assert (told.quaternion[:, 3] >= 0).all()
    assert set(np.diff(told.attitude_time).tolist()) == {100_000_000}
    pole = np.repeat(np.array(POLE)[:, None], told.attitude_time.size, 1)
    x, y, z, w = told.quaternion.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    matrix = np.moveaxis(np.array(rows), -1, 0)
    measured = celestial_to_terrestrial(told.attitude_time, pole) @ matrix
    true = platform.attitude((told.attitude_time - platform.origin) / 1e9).reshape(-1, 3, 3)
    error = np.swapaxes(true, 1, 2) @ measured
    angles = np.stack([error[:, 2, 1], error[:, 0, 2], error[:, 1, 0]], -1)
    np.testing.assert_allclose(angles.std(0), ATTITUDE_NOISE, rtol=0.15)
    assert np.abs(angles.mean(0)).max() < ATTITUDE_NOISE / 5
    # it looks down, within some microradians of jitter
    down = -told.position / np.linalg.norm(told.position, axis=1, keepdims=True)
    z_axis = platform.attitude((told.position_time - platform.origin) / 1e9).reshape(-1, 3, 3)[:, :, 2]
    assert np.arccos(np.clip((down * z_axis).sum(1), -1, 1)).max() < 3e-5


def test_platform_follows_its_seed(platform: Platform) -> None:
    again, other = (synthetic_platform(MIDDLE, 57.7, *CENTRE, seed, ATTITUDE_NOISE) for seed in (1, 2))
    np.testing.assert_array_equal(again.reported.quaternion, platform.reported.quaternion)
    assert not np.array_equal(other.reported.quaternion, platform.reported.quaternion)
    np.testing.assert_array_equal(other.reported.position, platform.reported.position)


def test_detectors_stand_beside_each_other() -> None:
    """Neighbours have some ten to two hundred columns in common; odd and even ones look apart along the track."""
    directions, model = focal_plane("B04"), spacecraft_model()
    rays = {d: sights(directions, model, d) for d in range(1, 13)}
    for d in range(1, 13):
        np.testing.assert_allclose(np.linalg.norm(rays[d], axis=1), 1, rtol=1e-14)
        assert rays[d].shape == (BANDS["B04"].columns, 3)
    assert (np.sign([rays[d][:, 0].mean() for d in range(1, 13)]) == [-1, 1] * 6).all()
    edges = (
        [(rays[d][:, 1] / rays[d][:, 2]).min() for d in range(1, 13)],
        [(rays[d][:, 1] / rays[d][:, 2]).max() for d in range(1, 13)],
    )
    order = np.argsort(edges[0])
    low, high = np.array(edges[0])[order], np.array(edges[1])[order]
    common = (high[:-1] - low[1:]) / 1.2545e-5
    assert ((common > 10) & (common < 200)).all()
    # 290 km of swath
    assert 275_000 < (high[-1] - low[0]) * 786_000 < 310_000


def test_each_detector_has_its_island_below() -> None:
    centre = synthetic_mission(SimulationOptions(detectors=(1,), bands=("B01",)))
    middle = synthetic_mission(SimulationOptions(detectors=(6, 7), bands=("B01",)))
    assert centre.centre == middle.centre == CENTRE
    below = [erfa.gc2gd(1, m.platform.position((MIDDLE - m.platform.origin) / 1e9))[0] for m in (centre, middle)]
    assert np.degrees(below[0]) > np.degrees(below[1]) + 1.0


def test_bulletin_reads_back(tmp_path: Path) -> None:
    bulletin(tmp_path / "a.txt", MIDDLE)
    eop = EarthOrientation.from_bulletin(tmp_path / "a.txt")
    np.testing.assert_allclose(
        eop.at(np.array([59_077.0, 59_077.9])), np.repeat(np.array(POLE)[:, None], 2, 1), atol=1e-12
    )
