"""The rotation chain and the frames against closed forms: what no reference grid covers."""

import numpy as np
import pytest
from engine_orbit import (
    MIDDLE,
    PERIOD,
    SEA,
    STILL,
    Orbit,
    closed_form,
    distance,
    model,
    rotated,
    spacecraft,
)

from s2dask.auxdata.gipp_geometry import FrameRotation
from s2dask.auxdata.refining import Refining
from s2dask.geometry import ViewingModel
from s2dask.geometry.trajectory import Mode
from s2dask.instrument import band

EQUATOR = Orbit(0.0, 0.0, 40.0)
ORBITS = {
    "equator": EQUATOR,
    "inclined": Orbit(98.6, 30.0, 35.0),
    "antimeridian": Orbit(98.6, 328.05, 20.0),
    "high latitude": Orbit(98.6, 100.0, 88.0),
    "pole": Orbit(90.1, 100.0, 90.0),
}


def places(name: str, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    last = 12.0 / (PERIOD * band(name).line_factor)
    return rng.uniform(0, last, count), rng.uniform(0, band(name).columns - 1, count)


def error(m: ViewingModel, orbit: Orbit, name: str, detector: int, **known: np.ndarray) -> float:
    line, column = places(name)
    lon, lat, h = m.direct(name, detector, line, column, SEA)
    assert np.abs(h).max() < 1e-6
    assert np.abs(lon).max() <= 180.0
    return float(distance(lon, lat, *closed_form(orbit, name, detector, line, column, **known)).max())


@pytest.mark.parametrize("case", ORBITS)
@pytest.mark.parametrize("mode", ["smooth", "sxgeo"])
def test_location_on_the_ellipsoid(case: str, mode: Mode) -> None:
    orbit = ORBITS[case]
    m = model(orbit, mode=mode)
    for detector in (1, 2):
        assert error(m, orbit, "B02", detector) < 1e-3
    line, column = places("B02")
    lon, lat, h = m.direct("B02", 1, line, column, SEA)
    back = m.inverse("B02", 1, lon, lat, h)
    assert 10.0 * np.hypot(back[0] - line, back[1] - column).max() < 1e-3
    if case == "antimeridian":
        assert lon.min() < -179.9
        assert lon.max() > 179.9
        turned = m.inverse("B02", 1, lon + 360.0, lat, h)
        assert np.abs(turned[0] - line).max() < 1e-6
    if case == "pole":
        assert lat.max() > 89.5


@pytest.mark.parametrize("rotation_first", [True, False])
def test_rotations_and_scales_of_every_frame(rotation_first: bool) -> None:
    piloting = FrameRotation(3e-4, -1.2e-3, -5e-4, 1.002, rotation_first)
    plane = FrameRotation(-2e-4, 6e-4, 7e-4, 0.997, not rotation_first)
    detector = FrameRotation(1e-4, -2e-4, 3e-4, 1.001, rotation_first)

    def known(r: FrameRotation) -> np.ndarray:
        turn, scale = rotated(r.x, r.y, r.z), np.diag([1.0, 1.0, r.scale])
        return scale @ turn if r.rotation_first else turn @ scale

    m = model(EQUATOR, spacecraft(piloting, STILL, plane, detector))
    vnir, swir = known(piloting) @ known(detector), known(piloting) @ known(plane) @ known(detector)
    assert error(m, EQUATOR, "B02", 1, turn=vnir) < 1e-3
    assert error(m, EQUATOR, "B11", 2, turn=swir) < 1e-3
    assert error(m, EQUATOR, "B11", 2, turn=vnir) > 100.0


def test_a_scale_factor_divides_the_tangents() -> None:
    plain, scaled = model(EQUATOR), model(EQUATOR, spacecraft(FrameRotation(0.0, 0.0, 0.0, 1.01)))
    s, t = plain.sensor(1, "B02"), scaled.sensor(1, "B02")
    assert np.array_equal(s.across, t.across)
    line, column = places("B02", 50)
    lon, lat, _ = scaled.direct("B02", 1, line, column, SEA)
    want = closed_form(EQUATOR, "B02", 1, line, column, turn=np.diag([1 / 1.01, 1 / 1.01, 1.0]))
    assert distance(lon, lat, *want).max() < 1e-3


def test_the_real_swir_angles_move_the_ground_by_what_they_subtend() -> None:
    turned = model(EQUATOR, spacecraft(swir=FrameRotation(-0.62665e-6, 3.8864e-6, 0.0)))
    line, column = places("B11", 50)
    there, here = (m.direct("B11", 1, line, column, SEA) for m in (turned, model(EQUATOR)))
    moved = distance(*there[:2], *here[:2])
    # 3.94 microradians seen from 786 km, about 2.4 degrees off nadir
    assert np.abs(moved - 3.1).max() < 0.02
    same = [m.direct("B02", 1, line, column, SEA)[0] for m in (turned, model(EQUATOR))]
    assert np.array_equal(same[0], same[1])


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_refining_of_any_degree(degree: int) -> None:
    rng = np.random.default_rng(degree)
    size = 10.0 ** -np.arange(degree + 1)
    msi = {axis: 2e-5 * size * rng.uniform(-1, 1, degree + 1) for axis in "XYZ"}
    plane = {axis: 1e-5 * size * rng.uniform(-1, 1, degree + 1) for axis in "XYZ"}
    growth, swelling = 1e-3 * size * rng.uniform(-1, 1, (2, degree + 1))
    refining = Refining(msi, growth, {}, {"SWIR": Refining(plane, swelling)})
    craft = spacecraft(FrameRotation(3e-4, -1.2e-3, -5e-4, 1.0), swir=FrameRotation(1e-4, 0.0, 2e-4, 1.0, False))
    m = model(EQUATOR, craft, refining)
    for name in ("B02", "B11"):
        line, _ = places(name)
        t = line * PERIOD * band(name).line_factor - 6.0
        outer = np.array([
            np.diag([1, 1, 1 + np.polyval(growth[::-1], s)])
            @ rotated(*(a + np.polyval(msi[x][::-1], s) for a, x in zip((3e-4, -1.2e-3, -5e-4), "XYZ", strict=True)))
            for s in t
        ])  # fmt: skip
        inner = np.array([
            rotated(*(a + np.polyval(plane[x][::-1], s) for a, x in zip((1e-4, 0.0, 2e-4), "XYZ", strict=True)))
            @ np.diag([1, 1, 1 + np.polyval(swelling[::-1], s)])
            for s in t
        ])  # fmt: skip
        turn = outer @ inner if name == "B11" else outer
        assert error(m, EQUATOR, name, 1, turn=turn) < 1e-3
        assert error(m, EQUATOR, name, 1) > 1.0


def test_refining_of_the_position_in_the_local_orbital_frame() -> None:
    orbit = ORBITS["inclined"]
    known = {"X": np.array([3.0, 0.2]), "Y": np.array([-4.0, 0.1, 0.01]), "Z": np.array([5.0])}
    m = model(orbit, refining=Refining(position=known))
    line, column = places("B02")
    t = line * PERIOD - 6.0
    x, y, z = (np.polynomial.polynomial.polyval(t, known[axis]) * np.ones_like(t) for axis in "XYZ")
    # Z to the centre, X along the momentum, Y along the velocity; the body has x along the velocity, y against X
    body = np.stack([y, -x, z], -1)
    lon, lat, _ = m.direct("B02", 1, line, column, SEA)
    assert distance(lon, lat, *closed_form(orbit, "B02", 1, line, column, moved=body)).max() < 1e-3
    assert distance(lon, lat, *closed_form(orbit, "B02", 1, line, column)).max() > 5.0


def test_no_refining_is_refining_by_nothing() -> None:
    line, column = places("B02", 50)
    want = model(EQUATOR).direct("B02", 1, line, column, SEA)
    nothing = Refining({"X": np.zeros(3)}, np.zeros(2), {"Y": np.zeros(1)}, {"VNIR": Refining()})
    for got, value in zip(model(EQUATOR, refining=nothing).direct("B02", 1, line, column, SEA), want, strict=True):
        assert np.array_equal(got, value)


def test_smooth_mode_is_continuous_and_the_reference_mode_jumps() -> None:
    """The reason why smooth is the default: attitude noise makes the reference jump from one row to the next."""
    line = (np.arange(20, 100) * 0.1 + 0.05 - 2.0) / PERIOD
    line = line[line > 0]
    jumps = {}
    for mode in ("smooth", "sxgeo"):
        m = model(EQUATOR, mode=mode)
        m.table[:, 9:12] += 1e-6 * np.random.default_rng(1).standard_normal((len(m.table), 3))
        before, after = (m.direct("B02", 1, line + d, 1000.0, SEA) for d in (-1e-6, 1e-6))
        jumps[mode] = distance(*before[:2], *after[:2]).max()
    assert jumps["smooth"] < 1e-4
    assert jumps["sxgeo"] > 1e-3


def test_state_is_where_the_orbit_is() -> None:
    m = model(EQUATOR)
    position, matrix = m.state(MIDDLE)
    assert abs(np.linalg.norm(position) - 6378137.0 - 786_000.0) < 1e-3
    assert np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-12
