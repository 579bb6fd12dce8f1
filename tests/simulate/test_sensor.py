"""The detectors: noise, limits, crosstalk and defects, each by itself."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.instrument import BANDS, band, unit
from s2dask.simulate.sensor import CROSSTALK, TRIO, DetectorState, counts, draw_detector, line_offset

TABLE = unit("S2A").bands


def _ideal(name: str, dead: tuple[int, ...] = ()) -> DetectorState:
    """Return a detector without structure: response 1, dark signal 450."""
    b = band(name)
    one, zero = np.ones(b.raw_columns), np.zeros(b.raw_columns)
    response = np.stack([zero, zero, one] if b.focal_plane == "VNIR" else [one, one, 600 * one])
    return DetectorState(np.full((b.chronogram_lines, b.raw_columns), 450.0), response, dead)


def _flat(name: str, level: float, lines: int = 600) -> NDArray[np.float32]:
    """Return the radiance that makes `level` counts."""
    return np.full((lines, band(name).useful_columns), level / TABLE[name].gain, np.float32)


def _light(name: str, image: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return counts less dark signal and line offset."""
    return image - 450.0 - line_offset(name, 6, image.shape[0], 1)[:, None]


@pytest.mark.parametrize("name", ["B01", "B04", "B8A", "B12"])
@pytest.mark.parametrize("level", [400.0, 800.0, 3000.0])
def test_noise_has_the_variance_of_the_model(name: str, level: float) -> None:
    b, noise = band(name), TABLE[name]
    image = counts({name: _flat(name, level)}, {name: _ideal(name)}, TABLE, 6, 1)[name]
    assert image.dtype == np.uint16
    assert image.shape == (600, b.raw_columns)
    light = _light(name, image)
    useful = light[:, b.blind : b.raw_columns - b.blind]
    np.testing.assert_allclose(useful.mean(), level, atol=0.05)
    # rounding to whole counts adds a twelfth, if the noise hides the steps of the converter
    wanted = noise.noise_alpha**2 + noise.noise_beta * level
    np.testing.assert_allclose(useful.var(), wanted + 1 / 12, rtol=0.02 if wanted > 0.25 else 0.3)
    blind = light[:, list(b.blind_columns)]
    np.testing.assert_allclose(blind.mean(), 0, atol=0.1)
    np.testing.assert_allclose(
        blind.var(), noise.noise_alpha**2 + 1 / 12, rtol=0.15 if noise.noise_alpha > 0.5 else 0.3
    )


def test_noise_is_white_and_near_to_gaussian() -> None:
    name = "B02"
    image = _light(name, counts({name: _flat(name, 900.0)}, {name: _ideal(name)}, TABLE, 6, 1)[name])
    noise = image[:, 100:2400]
    noise = (noise - noise.mean()) / noise.std()
    limit = 5 / np.sqrt(noise.size)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < limit
    assert abs((noise[1:] * noise[:-1]).mean()) < limit
    assert abs((noise**3).mean()) < 5 * limit
    # four uniform numbers: kurtosis 3 - 1.2 / 4
    assert abs((noise**4).mean() - 2.7) < 0.1


def test_noise_belongs_to_band_detector_and_seed() -> None:
    def made(name: str, detector: int, seed: int) -> NDArray[np.uint16]:
        return counts({name: _flat(name, 500.0, 60)}, {name: _ideal(name)}, TABLE, detector, seed)[name]

    first = made("B02", 6, 1)
    np.testing.assert_array_equal(made("B02", 6, 1), first)
    for other in (made("B03", 6, 1), made("B02", 7, 1), made("B02", 6, 2)):
        assert (other != first).mean() > 0.7


@pytest.mark.parametrize("name", ["B03", "B11"])
def test_counts_stay_within_twelve_bits_and_saturate(name: str) -> None:
    b = band(name)
    light = _flat(name, 0.0, 90)
    light[:30], light[30:60], light[60:] = 1e4 / TABLE[name].gain, -2000 / TABLE[name].gain, 4000 / TABLE[name].gain
    image = counts({name: light}, {name: _ideal(name)}, TABLE, 6, 1)[name]
    useful = image[:, b.blind : b.raw_columns - b.blind]
    assert (useful[:30] == 4095).all()
    assert (useful[30:60] == 0).all()
    assert (useful[60:] == 4095).all()
    assert image.max() == 4095
    assert (image[:, list(b.blind_columns)] < 600).all()


def test_dead_pixels_see_nothing_and_their_neighbours_everything() -> None:
    name, dead = "B05", (100, 500, 501)
    image = counts({name: _flat(name, 700.0, 60)}, {name: _ideal(name, dead)}, TABLE, 6, 1)[name]
    whole = counts({name: _flat(name, 700.0, 60)}, {name: _ideal(name)}, TABLE, 6, 1)[name]
    assert [set(image[:, c].tolist()) for c in dead] == [{4095}, {0}, {4095}]
    np.testing.assert_array_equal(np.delete(image, dead, 1), np.delete(whole, dead, 1))


@pytest.mark.parametrize("name", ["B02", "B11"])
def test_response_is_undone_by_its_own_model(name: str) -> None:
    """Z = ((A y + B) y + C) y, or two straight lines that meet at Zs."""
    b, state = band(name), draw_detector(name, 6, 4, 0)
    state = replace(state, dark=np.full_like(state.dark, 450.0))
    random = np.random.default_rng(0)
    wanted = random.uniform(20, 3000, b.useful_columns)
    image = counts(
        {name: np.tile((wanted / TABLE[name].gain).astype(np.float32), (600, 1))}, {name: state}, TABLE, 6, 1
    )[name]
    y = _light(name, image)[:, b.blind : b.raw_columns - b.blind].mean(0)
    p, q, k = state.response[:, b.blind : b.raw_columns - b.blind]
    z = ((p * y + q) * y + k) * y if name == "B02" else np.where(y <= k, p * y, p * k + q * (y - k))
    np.testing.assert_allclose(z, wanted, atol=1.2)
    assert abs((z - wanted).mean()) < 0.03


def test_crosstalk_leaks_between_the_bands_that_are_read_together() -> None:
    lines = {name: 600 // band(name).line_factor * 2 for name in TRIO}
    light = {name: _flat(name, {"B10": 50.0, "B11": 2000.0, "B12": 1500.0}[name], lines[name]) for name in TRIO}
    states = {name: _ideal(name) for name in TRIO}
    image = counts(light, states, TABLE, 6, 1)
    level = {"B10": 50.0, "B11": 2000.0, "B12": 1500.0}
    for name in TRIO:
        b = band(name)
        useful = _light(name, image[name])[:, b.blind : b.raw_columns - b.blind]
        leak = sum(f * level[source] for (victim, source), f in CROSSTALK.items() if victim == name)
        np.testing.assert_allclose(useful.mean(), level[name] + leak, atol=0.1)
    assert abs(sum(f * level[s] for (v, s), f in CROSSTALK.items() if v == "B10")) > 5


@pytest.mark.parametrize("name", BANDS)
def test_drawn_detectors_are_plausible_and_their_own(name: str) -> None:
    b = band(name)
    state = draw_detector(name, 6, 1, 5)
    assert state.dark.shape == (b.chronogram_lines, b.raw_columns)
    assert state.response.shape == (3, b.raw_columns)
    assert abs(state.dark.mean() - 450) < 1
    assert 2.5 < state.dark[0].std() < 3.6
    assert len(set(state.dead)) == 5
    assert all(b.blind <= c < b.raw_columns - b.blind for c in state.dead)
    again, other = draw_detector(name, 6, 1, 5), draw_detector(name, 7, 1, 5)
    np.testing.assert_array_equal(again.dark, state.dark)
    np.testing.assert_array_equal(again.response, state.response)
    assert again.dead == state.dead
    assert not np.array_equal(other.dark, state.dark)
    assert draw_detector(name, 6, 1, 0).dead == ()
