"""Light on slopes and from the surroundings, against formulas for one place and sums over all cells."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from s2dask.simulate import radiative_transfer as transfer
from s2dask.simulate.ground_light import gradient, lie, light_on, relative_light, shine, surroundings
from s2dask.simulate.imaging import Camera, geoid_height, sun_radiance
from s2dask.simulate.landscape import CELL, METRES_PER_DEGREE, POST, Landscape, Lattice, bilinear
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.radiative_transfer_bands import (
    PRESSURES,
    band_coefficients,
    band_sky,
    band_wavelengths,
    direct_transmittance,
    sky_at,
)
from s2dask.simulate.session import Pass, plan_pass
from s2dask.simulate.sky import AEROSOL_SCALE, WATER_SCALE, at_sensor, direct_light, forward, sun_position

OPTIONS = SimulationOptions(detectors=(6,), bands=("B01", "B09", "B10"), scenes=1, window=1200, cloud_cover=0.0)
GRASS, SNOW = 2, 6
PLACE = (-17.0, 32.75)


@cache
def flight() -> Pass:
    return plan_pass(OPTIONS)


def landscape(heights: float = 0.0, peak: float = 0.0, kind: int = GRASS) -> Landscape:
    """Return a table of one height and one kind of surface below the whole pass, with one post far away on top."""
    lon, lat = (np.concatenate([n.ground(0.0)[k].ravel() for n in flight().nodes.values()]) for k in (0, 1))
    west, north = float(lon.min()) - 0.04, float(lat.max()) + 0.04
    wide, high = float(lon.max()) + 0.04 - west, north + 0.04 - float(lat.min())
    relief = Lattice(west, north, 10 * POST, 10 * POST, int(high / (10 * POST)) + 2, int(wide / (10 * POST)) + 2)
    table = np.full((relief.rows, relief.columns), heights, np.float32)
    table[-1, -1] = max(peak, heights)
    dlat = 3 * CELL / METRES_PER_DEGREE
    surface = Lattice(west, north, dlat, dlat, int(high / dlat) + 2, int(wide / dlat) + 2)
    classes = np.full((surface.rows, surface.columns), kind, np.uint8)
    even, clear = np.full_like(classes, 127), np.zeros_like(classes)
    return Landscape(relief, table, surface, classes, even, clear)


def plane(slope: float, turn: float) -> tuple[np.ndarray, Lattice]:
    """Return the heights of a plane, whose normal leans towards an azimuth, and their lattice."""
    relief = Lattice(PLACE[0], PLACE[1], POST, POST, 9, 9)
    east, north = (-np.tan(np.radians(slope)) * f(np.radians(turn)) for f in (np.sin, np.cos))
    phi = np.radians(relief.latitudes())[:, None]
    # metres of a degree at a latitude: Bowring's series, as geodesy handbooks print them
    of_lat = 111132.954 - 559.822 * np.cos(2 * phi) + 1.175 * np.cos(4 * phi)
    of_lon = 111412.84 * np.cos(phi) - 93.5 * np.cos(3 * phi) + 0.118 * np.cos(5 * phi)
    lon, lat = relief.longitudes()[None] - PLACE[0], relief.latitudes()[:, None] - PLACE[1]
    return (500 + lon * of_lon * east + lat * of_lat * north).astype(np.float32), relief


@pytest.mark.parametrize(("slope", "turn"), [(0, 0), (10, 90), (25, 200), (60, 330)])
def test_a_plane_faces_sun_and_sky_as_its_normal_does(slope: float, turn: float) -> None:
    heights, relief = plane(slope, turn)
    east, north = gradient(heights, relief)
    tilt = np.tan(np.radians(slope))
    np.testing.assert_allclose(east[4, 4], -tilt * np.sin(np.radians(turn)), atol=1e-4)
    np.testing.assert_allclose(north[4, 4], -tilt * np.cos(np.radians(turn)), atol=1e-4)
    date = min(flight().start.values())
    found = lie(heights, relief, np.zeros(heights.shape), date)
    zenith, azimuth = (float(a) for a in sun_position(date, np.asarray(PLACE[0]), np.asarray(PLACE[1])))
    z, s, away = np.radians(zenith), np.radians(slope), np.radians(azimuth - turn)
    cosine = np.cos(z) * np.cos(s) + np.sin(z) * np.sin(s) * np.cos(away)
    assert found.facing[4, 4] == pytest.approx(max(cosine / np.cos(z), 0), abs=2e-4)
    assert found.sky[4, 4] == pytest.approx(np.cos(s / 2) ** 2, abs=1e-4)


def test_sea_is_level_up_to_the_coast() -> None:
    heights, relief = plane(30, 90)
    heights[:, 5:] = 0
    east, _ = gradient(heights, relief)
    assert not east[:, 5:].any()
    assert (east[:, :5] != 0).all()


def test_light_on_a_slope_is_sun_and_sky_and_ground() -> None:
    """Worked by hand: 0.6 of the sun directly and 0.2 from the sky, a slope with c = 1.3, V = 0.9, ground of 0.25."""
    direct, whole = np.array(0.6), np.array(0.8)
    found = float(relative_light(direct, whole, np.array(1.3), np.array(0.9), np.array(0.25)))
    by_sun, by_sky, by_ground = 0.6 * 1.3, 0.2 * (0.6 * 1.3 + 0.4 * 0.9), 0.1 * 0.8 * 0.25
    assert found == pytest.approx((by_sun + by_sky + by_ground) / 0.8)
    assert float(relative_light(direct, whole, np.array(1.0), np.array(1.0), np.array(0.9))) == pytest.approx(1)
    # in its own shade a slope keeps the light of sky and ground
    assert 0 < float(relative_light(direct, whole, np.array(0.0), np.array(0.8), np.array(0.1))) < 0.2


@pytest.mark.parametrize("band", ["B01", "B09"])
def test_the_side_of_the_sun_is_brighter(band: str) -> None:
    date = min(flight().start.values())
    azimuth = float(sun_position(date, np.asarray(PLACE[0]), np.asarray(PLACE[1]))[1])
    level = {}
    for turn in (azimuth, azimuth + 90, azimuth + 180):
        slopes = lie(*plane(20, turn), np.zeros((9, 9)), date)
        level[turn - azimuth] = float(light_on(slopes, OPTIONS, band, np.full((9, 9), 0.1))[4, 4])
    assert level[0] > 1.05
    assert level[0] > level[90] > level[180]
    assert level[180] < 0.9
    # the sky lights all sides: less of a difference in the blue than the sun alone makes
    direct, whole, _ = direct_light(OPTIONS, band, np.asarray(slopes.zenith), np.asarray(0.0), np.asarray(500.0))
    assert level[180] > float(slopes.facing[4, 4])
    assert 0 < float(direct) < float(whole) < 1


def test_direct_light_is_that_of_the_solver() -> None:
    for band, aot in (("B01", 0.4), ("B8A", 0.1)):
        sky, pressure = band_sky("S2A", band, aot, 1016.0), 850.0
        direct = whole = near = both = 0.0
        for wavelength, share in band_wavelengths("S2A", band).T.tolist():
            one = sky_at(wavelength, aot * (pressure / 1016) ** 4, pressure)
            mu0, mu = (float(np.cos(np.radians(a))) for a in (40.0, 8.0))
            light = transfer.illuminate(one, (mu0, mu), (mu,))
            direct += share * float(light.direct[0])
            whole += share * float(light.transmittance[0])
            near += share * float(light.transmittance[0] * light.direct[1])
            both += share * float(light.transmittance[0] * light.upward[0])
        found = direct_transmittance(sky, *(np.array(v) for v in (40.0, 8.0, pressure)))
        np.testing.assert_allclose([float(v) for v in found], [direct, whole, near / both], atol=3e-4)


def test_haze_thins_with_height_as_water_vapour_does() -> None:
    """Above a mountain a sky is the one with the aerosol that is left there."""
    height = 1500.0
    at = np.array(35.0), np.array(5.0), np.array(40.0), np.array(OPTIONS.pressure * np.exp(-height / 8000))
    left = band_sky("S2A", "B02", OPTIONS.aot * float(np.exp(-height / AEROSOL_SCALE)))
    thinned = [float(c) for c in band_coefficients(band_sky("S2A", "B02", OPTIONS.aot, OPTIONS.pressure), *at, [])]
    np.testing.assert_allclose(thinned, [float(c) for c in band_coefficients(left, *at, [])], atol=1e-4)
    sun, view = (at[0], np.array(140.0)), (at[1], np.array(100.0))
    found = [float(c) for c in forward(OPTIONS, "B02", sun, view, np.array(height))]
    np.testing.assert_allclose(found[1:3], thinned[1:3], rtol=1e-9)
    assert AEROSOL_SCALE == WATER_SCALE


@pytest.mark.parametrize("load", [0.15, 0.6])
def test_between_the_pressures_a_thinning_sky_is_what_the_solver_says(load: float) -> None:
    sky = band_sky("S2A", "B01", load, 1016.0)
    mu = float(np.cos(np.radians(40)))
    for pressure in 0.5 * (PRESSURES[1:] + PRESSURES[:-1]):
        _, whole, _ = direct_transmittance(sky, np.array(40.0), np.array(0.0), pressure)
        expected = 0.0
        for wavelength, share in band_wavelengths("S2A", "B01").T.tolist():
            one = sky_at(wavelength, load * (pressure / 1016) ** 4, float(pressure))
            expected += share * float(transfer.illuminate(one, (mu,), (mu,)).transmittance[0])
        assert float(whole) == pytest.approx(expected, abs=1e-4)


def test_surroundings_are_the_mean_of_a_kilometre_to_every_side() -> None:
    lattice = Lattice(-17.0, 33.0, 1e-4, 1e-4, 430, 520)
    image = np.random.default_rng(1).random((430, 520)).astype(np.float32)
    image[:, 300:] += 1
    found, frame = surroundings(image, lattice, CELL)
    for row, column in ((200, 300), (150, 250), (250, 210)):
        square = image[row - 100 : row + 100, column - 100 : column + 100]
        # the corner of four cells: half a cell north-west of the lattice's node
        lon, lat = lattice.west + (column - 0.5) * 1e-4, lattice.north - (row - 0.5) * 1e-4
        assert bilinear(found, frame, lon, lat) == pytest.approx(square.mean(dtype=np.float64), rel=1e-4)
    # cut at the borders, whatever is beyond
    assert float(found[0, 0]) == pytest.approx(image[:100, :100].mean(dtype=np.float64), rel=1e-5)
    np.testing.assert_allclose(surroundings(np.full((430, 520), 0.3, np.float32), lattice, CELL)[0], 0.3, rtol=1e-5)


def test_light_is_laid_on_land_only() -> None:
    relief = Lattice(0.0, 1.0, 0.1, 0.1, 6, 6)
    light = np.random.default_rng(2).random((6, 6)).astype(np.float32)
    frame = np.array([-0.2, 1.2, 0.03, 0.03])
    image = np.ones((50, 50), np.float32)
    shine(image, frame, light, relief.frame())
    for row, column in ((8, 9), (15, 20), (22, 12)):
        lon, lat = frame[0] + column * 0.03, frame[1] - row * 0.03
        assert image[row, column] == pytest.approx(bilinear(light, relief.frame(), lon, lat), rel=1e-5)
    assert (image[:6] == 1).all()
    assert (image[:, 30:] == 1).all()


def test_the_air_brings_the_light_of_the_surroundings() -> None:
    """A scalar formula: gas (path + Td (u rho + v e) / (1 - S e))."""
    coefficients = tuple(np.array(v) for v in (0.05, 0.7, 0.15, 0.9))
    for rho, e in ((0.02, 0.3), (0.3, 0.02), (0.25, 0.25)):
        found = float(at_sensor(coefficients, np.array(rho), (np.array(0.8), np.array(e))))  # type: ignore[arg-type]
        assert found == pytest.approx(0.9 * (0.05 + 0.7 * (0.8 * rho + 0.2 * e) / (1 - 0.15 * e)))
    alone = float(at_sensor(coefficients, np.array(0.25)))  # type: ignore[arg-type]
    assert found == pytest.approx(alone)


def reflectance(options: SimulationOptions, ground: Landscape, band: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what top-of-atmosphere reflectance is and should be, of the first pixel of the first lines of nodes.

    There a pixel's ray is that of a node.
    """
    job = flight()
    camera = Camera(options, ground, job.mission.centre, min(job.start.values()))
    nodes = job.nodes[band, 6]
    step = int(nodes.line[1])
    light = camera.radiance(band, nodes, 3 * step + 1, camera.fields(band))[::step, 0].astype(np.float64)
    lon, lat = (v[:4, 0] for v in nodes.ground(0.0))
    sun = sun_position(camera.date, lon, lat)
    found = light / (np.cos(np.radians(sun[0])) * sun_radiance(options, band, camera.date))
    height = float(ground.heights[0, 0]) + geoid_height(lon, lat, camera.centre)
    view = nodes.view[0][:4, 0], nodes.view[1][:4, 0]
    rho = np.array(float(ground.image(band)[0, 0]))
    return found, at_sensor(forward(options, band, sun, view, height), rho)


@pytest.mark.parametrize("band", OPTIONS.bands)
@pytest.mark.parametrize("kind", [GRASS, SNOW])
def test_a_level_and_even_landscape_knows_neither_slopes_nor_surroundings(band: str, kind: int) -> None:
    ground = landscape(kind=kind)
    found, expected = reflectance(OPTIONS, ground, band)
    np.testing.assert_allclose(found, expected, rtol=5e-4)
    without, _ = reflectance(replace(OPTIONS, slopes=False, surroundings=False), ground, band)
    np.testing.assert_allclose(found, without, rtol=1e-5)


@pytest.mark.parametrize("band", OPTIONS.bands)
@pytest.mark.parametrize(("height", "peak"), [(200.0, 1300.0), (700.0, 1300.0), (200.0, 2500.0), (1800.0, 2500.0)])
def test_between_the_heights_the_sky_is_that_of_the_height(band: str, height: float, peak: float) -> None:
    found, expected = reflectance(OPTIONS, landscape(height, peak), band)
    np.testing.assert_allclose(found, expected, rtol=3e-4)
