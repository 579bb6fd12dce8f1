"""The simulator's sun and atmosphere: known positions, limits and signs."""

from dataclasses import replace

import numpy as np
import pytest

from s2dask.auxdata.time import utc_to_gps
from s2dask.instrument import BANDS
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sky import at_sensor, forward, sun_position

OPTIONS = SimulationOptions()
SUN, VIEW = (np.array([35.0]), np.array([140.0])), (np.array([5.0]), np.array([100.0]))
SEA_LEVEL = np.array([0.0])


def _top(options: SimulationOptions, band: str, surface: float, height: float = 0.0) -> float:
    return float(at_sensor(forward(options, band, SUN, VIEW, np.array([height])), np.array([surface]))[0])


@pytest.mark.parametrize(
    ("date", "lon", "lat", "zenith"),
    [
        # solstices and equinox of 2020 at local noon: latitude less declination
        ("2020-06-20T21:43:40Z", -145.5, 60.0, 60.0 - 23.436),
        ("2020-12-21T10:02:20Z", 29.0, -45.0, 45.0 - 23.436),
        ("2020-03-20T03:49:36Z", 124.5, 0.0, 0.0),
    ],
)
def test_sun_stands_where_the_almanac_says(date: str, lon: float, lat: float, zenith: float) -> None:
    found, _ = sun_position(utc_to_gps(date), np.array([lon]), np.array([lat]))
    assert float(found[0]) == pytest.approx(zenith, abs=0.6)


def test_sun_goes_from_east_to_west() -> None:
    times = [utc_to_gps(f"2020-08-16T{hour:02d}:00:00Z") for hour in (8, 13, 18)]
    azimuths = [float(sun_position(t, np.array([-17.0]), np.array([32.75]))[1][0]) for t in times]
    assert 60 < azimuths[0] < 120
    assert 140 < azimuths[1] < 220
    assert 240 < azimuths[2] < 300


@pytest.mark.parametrize("band", BANDS)
def test_coefficients_are_physical(band: str) -> None:
    path, through, albedo, gas = (float(c[0]) for c in forward(OPTIONS, band, SUN, VIEW, SEA_LEVEL))
    assert 0 <= path < 0.35
    assert 0 < through <= 1
    assert 0 <= albedo < 0.5
    assert 0 <= gas <= 1
    assert _top(OPTIONS, band, 0.0) == pytest.approx(gas * path)
    levels = [_top(OPTIONS, band, rho) for rho in (0.0, 0.2, 0.5, 1.0)]
    assert levels == sorted(levels)
    assert levels[-1] < 1.2


def test_air_is_bluer_than_aerosol_and_thins_with_height() -> None:
    paths = [float(forward(OPTIONS, b, SUN, VIEW, SEA_LEVEL)[0][0]) for b in ("B01", "B02", "B03", "B04", "B8A", "B12")]
    assert paths == sorted(paths, reverse=True)
    assert _top(OPTIONS, "B02", 0.0, 2000.0) < _top(OPTIONS, "B02", 0.0)
    assert _top(replace(OPTIONS, aot=0.6), "B02", 0.02) > _top(OPTIONS, "B02", 0.02)
    assert _top(replace(OPTIONS, aot=0.6), "B02", 0.9) < _top(OPTIONS, "B02", 0.9)


def test_without_aerosol_it_is_the_molecular_sky() -> None:
    """At 865 nm the molecular optical thickness is 0.0155: single scattering gives nearly all path reflectance."""
    clean = replace(OPTIONS, aot=0.0, pressure=1013.25)
    path = float(forward(clean, "B8A", SUN, VIEW, SEA_LEVEL)[0][0])
    mu0, mu = np.cos(np.radians(35.0)), np.cos(np.radians(5.0))
    cosine = -(mu0 * mu + np.sin(np.radians(35.0)) * np.sin(np.radians(5.0)) * np.cos(np.radians(40.0)))
    single = 0.0155 * 0.75 * (1 + cosine**2) / (4 * mu0 * mu)
    assert path == pytest.approx(single, rel=0.06)


@pytest.mark.parametrize(("band", "option", "much"), [("B09", "water_vapour", 5.0), ("B03", "ozone", 500.0)])
def test_gases_absorb_in_their_bands(band: str, option: str, much: float) -> None:
    thin, thick = OPTIONS, replace(OPTIONS, **{option: much})
    dimmed = float(forward(thick, band, SUN, VIEW, SEA_LEVEL)[3][0] / forward(thin, band, SUN, VIEW, SEA_LEVEL)[3][0])
    assert dimmed < 0.99
    untouched = "B8A" if option == "ozone" else "B02"
    same = float(
        forward(thick, untouched, SUN, VIEW, SEA_LEVEL)[3][0] / forward(thin, untouched, SUN, VIEW, SEA_LEVEL)[3][0]
    )
    assert same == pytest.approx(1.0, abs=0.005)


def test_cirrus_band_sees_no_ground_but_high_mountains_more() -> None:
    assert _top(OPTIONS, "B10", 0.3) < 0.01
    assert _top(OPTIONS, "B10", 0.3, 4000.0) > _top(OPTIONS, "B10", 0.3)


def test_water_vapour_dims_the_path_less_than_the_ground() -> None:
    """Molecules scatter above the vapour and aerosol in its midst: much of the path of B09 stays."""
    dry, wet = (forward(replace(OPTIONS, water_vapour=w), "B09", SUN, VIEW, SEA_LEVEL) for w in (0.1, 3.0))
    ground, path = (float((wet[3] * a / (dry[3] * b))[0]) for a, b in ((1.0, 1.0), (wet[0], dry[0])))
    assert ground < 0.5
    assert ground + 0.2 < path < 1.0


def test_an_array_of_heights_gives_what_each_height_gives() -> None:
    heights = np.array([0.0, 800.0, 3000.0])
    whole = forward(OPTIONS, "B02", SUN, VIEW, heights)
    for k, height in enumerate(heights.tolist()):
        one = forward(OPTIONS, "B02", SUN, VIEW, np.array([height]))
        np.testing.assert_allclose([c[k] for c in whole], [c[0] for c in one], rtol=1e-12)
