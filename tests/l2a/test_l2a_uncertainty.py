"""The stated uncertainty of surface reflectance against the scatter of many inversions with wrong numbers."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.errors import InputError
from s2dask.instrument import unit
from s2dask.instrument.uncertainty import RANDOM_STEP, SYSTEMATIC_STEP, count_errors
from s2dask.l2a import lut
from s2dask.l2a.atmosphere import Coefficients, gas_transmittance
from s2dask.l2a.correction import water_law
from s2dask.l2a.inversion import BEND, FROM_SKY, GAIN, LIFT, LINES, PATH, SCATTERED, cell_lines, invert
from s2dask.l2a.uncertainty import (
    TABLE_ERROR,
    TRANSFER_TERMS,
    AirState,
    LinesOf,
    count_terms,
    error_factors,
    lines_in_surroundings,
    log_gas_error,
    percentage,
    relative_error,
    systematic_terms,
    variance_numbers,
)
from s2dask.l2a.uncertainty_layers import MORE, NUMBERS, cell_numbers, layers

ANGLES = (38.0, 5.0, 110.0)
AIR = AirState(aot=0.22, water_vapour=2.1, ozone=320.0, pressure=960.0)
ERRORS = AirState(aot=0.03, water_vapour=0.2, ozone=8.0, pressure=3.0)
TRIES = 20_000
FLAT = np.zeros((0, 0), np.float32)
HALF = np.full((1, 1), 0.5, np.float32)
coefficients = partial(lut.coefficients, clamp=True)


def plain_lines(
    coefficients_of: Callable[..., Coefficients], unit: str, band: str, angles: tuple[float, float, float]
) -> LinesOf:
    """Return what tells the numbers of pixels that stand for their surroundings, from the four coefficients."""

    def lines(air: AirState, *, path_error: float = 0.0, log_gas_error: np.ndarray | float = 0.0) -> np.ndarray:
        c = coefficients_of(unit, band, *angles, air.aot, air.pressure, air.water_vapour, air.ozone)
        gain = np.exp(-np.asarray(log_gas_error)) / (c.gas * c.transmittance)
        out = np.zeros((*np.broadcast_shapes(np.shape(gain), np.shape(c.path)), LINES))
        out[..., GAIN], out[..., LIFT] = gain, (c.path + path_error) / c.transmittance
        out[..., BEND], out[..., FROM_SKY] = c.spherical_albedo, 1.0
        return out

    return lines


def _scale(name: str) -> float:
    of_unit = unit("S2A").bands[name]
    return math.pi / (of_unit.gain * of_unit.solar_irradiance * math.cos(math.radians(ANGLES[0])))


def _toa(c: Coefficients, rho: float) -> np.ndarray:
    return np.asarray(c.gas * (c.path + c.transmittance * rho / (1 - c.spherical_albedo * rho)))


def _surface(c: Coefficients, toa: np.ndarray) -> np.ndarray:
    level = (toa / c.gas - c.path) / c.transmittance
    return np.asarray(level / (1 + c.spherical_albedo * level))


def _of_air(name: str, air: AirState) -> Coefficients:
    return coefficients("S2A", name, *ANGLES, air.aot, air.pressure, air.water_vapour, air.ozone)


def _drawn(rng: np.random.Generator) -> AirState:
    values, sigmas = (np.array([state], np.float64).T for state in (AIR, ERRORS))
    return AirState(*(values + sigmas * rng.normal(size=(len(AIR), TRIES))))


def _terms(name: str, mean_count: float = 250.0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    lines_of = plain_lines(coefficients, "S2A", name, ANGLES)
    terms = systematic_terms(lines_of, AIR, ERRORS, log_gas_error("S2A", name, ANGLES, AIR))
    lines = lines_of(AIR)
    return terms | count_terms(lines, count_errors("S2A", name, mean_count), _scale(name)), lines


def _stated(terms: dict[str, np.ndarray], lines: np.ndarray, toa: float) -> float:
    variance = float(np.polyval(variance_numbers(error_factors(terms))[::-1], toa))
    x = float(lines[GAIN] * toa - lines[LIFT] - lines[SCATTERED])
    return math.sqrt(variance) / (1 + float(lines[BEND]) * x) ** 2


@pytest.mark.parametrize("name", ["B01", "B02", "B04", "B05", "B8A", "B09", "B12"])
@pytest.mark.parametrize("rho", [0.02, 0.1, 0.3, 0.6])
def test_wrong_numbers_scatter_as_stated(name: str, rho: float) -> None:
    """Every number of the model is drawn anew, and every try inverted with its own."""
    rng = np.random.default_rng([int(1000 * rho), len(name)])
    toa = float(_toa(_of_air(name, AIR), rho))
    e = count_errors("S2A", name, 250.0)
    wrong = _of_air(name, _drawn(rng))
    path = wrong.path + TABLE_ERROR * rng.normal(size=TRIES)
    gas = wrong.gas * np.exp(log_gas_error("S2A", name, ANGLES, AIR) * rng.normal(size=TRIES))
    counted = toa * (1 + math.sqrt(e.alike_square) * rng.normal(size=TRIES))
    counted += _scale(name) * (math.sqrt(e.alike_flat) * rng.normal(size=TRIES) + e.bias * rng.normal(size=TRIES))
    found = _surface(wrong._replace(path=path, gas=gas), counted)
    stated = _stated(*_terms(name), toa)
    assert abs(stated / found.std() - 1) < 0.05
    assert abs(np.mean(np.abs(found - rho) <= stated) - 0.68) < 0.03


def _cells(air: AirState) -> np.ndarray:
    """Return the coefficients of cells of B02, see `s2dask.l2a.correction.coefficient_table`."""
    told = lut.transfer("S2A", "B02", *ANGLES, air.aot, air.pressure, clamp=True)
    clear = lut.transfer("S2A", "B02", *ANGLES, 0.0, air.pressure, clamp=True)
    mass = sum(1 / math.cos(math.radians(a)) for a in ANGLES[:2])
    gas = np.log(gas_transmittance("S2A", "B02", mass, air.pressure, 0.0, air.ozone))
    parts = (
        told.path, told.down * told.up, told.spherical_albedo, gas, mass, told.down, told.direct_down / told.down,
        told.direct_up / told.up, clear.path / told.path,
    )  # fmt: skip
    return np.stack(np.broadcast_arrays(*parts), axis=-1).reshape(1, -1, len(parts))


def test_unknown_surroundings_are_the_pixel_itself() -> None:
    nothing = np.full((1, 1), np.nan, np.float32)
    ours = lines_in_surroundings(_cells, water_law("S2A", "B02"), nothing)
    known = plain_lines(coefficients, "S2A", "B02", ANGLES)
    for error in ({}, {"path_error": 0.01}, {"log_gas_error": 0.02}):
        np.testing.assert_allclose(ours(AIR, **error)[0, 0, :3], known(AIR, **error)[:3], rtol=2e-3)


@pytest.mark.parametrize("rho", [0.03, 0.25])
def test_adjacent_ground_errs_with_its_air(rho: float) -> None:
    """A pixel unlike its surroundings: the wrong aerosol also takes the wrong share of their light."""
    around, law, rng = 0.12, water_law("S2A", "B02"), np.random.default_rng(8)
    level = np.full((1, 1), around, np.float32)
    lines_of = lines_in_surroundings(_cells, law, level)
    terms = systematic_terms(lines_of, AIR, ERRORS)
    lines = lines_of(AIR)[0, 0]
    toa = (rho + lines[LIFT] + lines[SCATTERED]) / lines[GAIN]
    drawn = _drawn(rng)
    cells, one = _cells(drawn), np.ones((1, TRIES), np.float32)
    cells[..., PATH] += TABLE_ERROR * rng.normal(size=(1, TRIES))
    wrong = np.empty((1, TRIES, LINES), np.float32)
    vapour = np.asarray(drawn.water_vapour)[None]
    cell_lines(cells, vapour, *law, around * one, one, 0 * one, 0.0, wrong)
    found = wrong[0, :, GAIN] * toa - wrong[0, :, LIFT] - wrong[0, :, SCATTERED]
    stated = _stated({name: term[0, 0] for name, term in terms.items()}, lines, toa)
    assert abs(stated / found.std() - 1) < 0.05


def test_noise_scatters_as_stated() -> None:
    name, rho, scale = "B04", 0.15, _scale("B04")
    terms, lines = _terms(name)
    e, rng = count_errors("S2A", name, 250.0), np.random.default_rng(1)
    toa = float(_toa(_of_air(name, AIR), rho))
    numbers = cell_numbers(variance_numbers(error_factors(terms))[None, None], lines[None, None], e, scale)
    image = np.full((200, 200), toa, np.float32)
    random, systematic = np.empty((2, 200, 200), np.uint8)
    layers(image, numbers, (0, 0), 200, FLAT, np.full((1, 1), 0.6, np.float32), random, systematic)
    sigma = math.sqrt(0.6 * (e.alpha2 + e.beta * toa / scale) + e.flat) * scale
    out = np.empty(image.shape, np.uint16)
    noisy = (image + sigma * rng.normal(size=image.shape)).astype(np.float32)
    invert(noisy, lines[None, None].astype(np.float32), FLAT, 200, out)
    found = (out.astype(float) - 1000) / 1e4
    assert np.unique(random).size == 1
    assert abs(random[0, 0] * RANDOM_STEP - found.std()) < RANDOM_STEP
    assert abs(systematic[0, 0] * SYSTEMATIC_STEP - _stated(terms, lines, toa)) <= 0.5 * SYSTEMATIC_STEP
    assert abs(np.mean(np.abs(found - rho) <= random * RANDOM_STEP) - 0.68) < 0.08


def test_the_noise_of_a_pixel_is_that_of_its_own_weights() -> None:
    name, rho, scale = "B08", 0.5, _scale("B08")
    terms, lines = _terms(name)
    e, rng = count_errors("S2A", name, 250.0), np.random.default_rng(4)
    toa = float(_toa(_of_air(name, AIR), rho))
    image, weights = np.full((300, 300), toa, np.float32), rng.uniform(0.3, 1.0, (300, 300)).astype(np.float32)
    numbers = cell_numbers(variance_numbers(error_factors(terms))[None, None], lines[None, None], e, scale)
    random, other = np.empty((2, 300, 300), np.uint8)
    layers(image, numbers, (0, 0), 300, FLAT, weights, random, other)
    sigma = np.sqrt(weights * (e.alpha2 + e.beta * toa / scale) + e.flat) * scale
    out = np.empty(image.shape, np.uint16)
    invert((image + sigma * rng.normal(size=sigma.shape)).astype(np.float32), lines[None, None].astype(np.float32),
           FLAT, 300, out)  # fmt: skip
    error = (out.astype(float) - 1000) / 1e4 - rho
    for low in (0.3, 0.5, 0.7, 0.9):
        some = (weights >= low) & (weights < low + 0.1)
        assert abs(np.mean(random[some]) * RANDOM_STEP - error[some].std()) < 0.3 * RANDOM_STEP
    one = np.empty((2, 1, 1), np.uint8)
    layers(image[:1, :1], numbers, (0, 0), 300, FLAT, weights[:1, :1].copy(), *one)
    assert one[0] == random[0, 0]


def _some(shape: tuple[int, int] = (47, 61), factor: int = 6, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, columns = (-(-n // factor) for n in shape)
    terms, lines = _terms("B02")
    quad = variance_numbers(error_factors(terms)) * rng.uniform(0.5, 2, (rows, columns, 1))
    numbers = cell_numbers(quad, lines * np.ones((rows, columns, 1)), count_errors("S2A", "B02", 250.0), _scale("B02"))
    return rng.uniform(0.05, 0.6, shape).astype(np.float32), numbers


@pytest.mark.parametrize(("row", "column"), [(0, 0), (5, 12), (13, 7), (31, 40)])
@pytest.mark.parametrize("sloped", [False, True])
def test_the_cut_of_a_layer_leaves_no_trace(row: int, column: int, sloped: bool) -> None:
    image, cells = _some()
    image[10:14, 9:20], image[20, 20] = np.nan, np.inf
    factor, height, width = 6, 16, 21
    cosine = np.random.default_rng(0).uniform(0, 1.4, image.shape).astype(np.float32) if sloped else FLAT
    whole = np.empty((2, *image.shape), np.uint8)
    weights = np.random.default_rng(1).uniform(0.3, 1, image.shape).astype(np.float32)
    layers(image, cells, (0, 0), factor, cosine, weights, *whole)
    at = slice(row, row + height), slice(column, column + width)
    part = np.ascontiguousarray(image[at])
    mine = np.ascontiguousarray(cells[row // factor :, column // factor :])
    out = np.empty((2, height, width), np.uint8)
    light = np.ascontiguousarray(cosine[at]) if sloped else FLAT
    layers(part, mine, (row % factor, column % factor), factor, light, np.ascontiguousarray(weights[at]), *out)
    assert (out == whole[(slice(None), *at)]).all()


def test_codes_of_both_layers() -> None:
    image, cells = np.full((6, 6), 0.2, np.float32), _some((6, 6))[1]
    image[0], image[2, 2], image[5, 5] = np.nan, np.inf, 6.4535
    out = np.empty((2, 6, 6), np.uint8)
    layers(image, cells, (0, 0), 6, FLAT, HALF, *out)
    for codes in out:
        assert (codes[0] == 0).all()
        assert codes[2, 2] == codes[5, 5] == MORE
        assert np.unique(codes[np.isfinite(image) & (image < 6)]).size == 1
    cells[..., :7] *= 1e6
    layers(image, cells, (0, 0), 6, FLAT, HALF, *out)
    assert (out[1][1, :] == MORE).all()
    assert cells.shape == (1, 1, NUMBERS)


def test_a_slope_away_from_the_sun_is_known_less_well() -> None:
    image, cells = np.full((6, 6), 0.2, np.float32), _some((6, 6))[1]
    cells[..., 10], cells[..., 11] = 0.8, 0.2
    cosine = np.repeat(np.linspace(0.05, 1.0, 6, dtype=np.float32)[:, None], 6, axis=1)
    out, level = np.empty((2, 6, 6), np.uint8), np.empty((2, 6, 6), np.uint8)
    layers(image, cells, (0, 0), 6, cosine, HALF, *out)
    layers(image, cells, (0, 0), 6, FLAT, HALF, *level)
    assert (np.diff(out.astype(int), axis=1) <= 0).all()
    assert (out[:, 0] > level[:, 0]).all()
    assert (out[:, 5] == level[:, 5]).all()


@settings(deadline=None)
@given(st.sampled_from(["B02", "B04", "B11"]), st.floats(0.0, 1.0), st.integers(0, 3), st.floats(1.1, 3.0))
def test_worse_numbers_make_worse_reflectances(name: str, toa: float, which: int, more: float) -> None:
    lines_of = plain_lines(coefficients, "S2A", name, ANGLES)
    worse = AirState(*np.where(np.arange(4) == which, more, 1.0) * np.array(ERRORS, np.float64))
    a, b = (_stated(systematic_terms(lines_of, AIR, e), lines_of(AIR), toa) for e in (ERRORS, worse))
    assert b >= a * (1 - 1e-3)


def test_factors_make_the_same_variance_and_lie_between_nodes() -> None:
    terms, _ = _terms("B03")
    numbers, t = variance_numbers(error_factors(terms)), np.linspace(0, 1.2, 7)
    direct = np.sum([((term[2] * t + term[1]) * t + term[0]) ** 2 for term in terms.values()], axis=0)
    np.testing.assert_allclose(np.polyval(numbers[::-1], t), direct, rtol=1e-9)
    nothing = {"none": np.zeros(3)}
    assert not variance_numbers(error_factors(nothing)).any()


def test_another_aerosol_counts_for_half_its_difference() -> None:
    def thicker(*args: object) -> Coefficients:
        c = coefficients(*args)  # type: ignore[arg-type]
        return c._replace(path=c.path + 0.01)

    lines_of, other = (plain_lines(f, "S2A", "B02", ANGLES) for f in (coefficients, thicker))
    terms = systematic_terms(lines_of, AIR, ERRORS, other_model=other)
    c = _of_air("B02", AIR)
    toa = float(_toa(c, 0.03))
    q, p, r = terms["aerosol_model"]
    expected = (float(_surface(c._replace(path=c.path + 0.01), np.asarray(toa))) - 0.03) / 2
    bend = (1 + c.spherical_albedo * 0.03 / (1 - c.spherical_albedo * 0.03)) ** 2
    assert (q + p * toa + r * toa**2) / bend == pytest.approx(expected, rel=1e-3)
    transfer = relative_error({k: terms[k] for k in TRANSFER_TERMS}, lines_of(AIR), 0.1)
    assert 3 < transfer < 10
    assert relative_error({"aot": terms["aot"]}, lines_of(AIR), 0.1) < transfer


def test_percentages_of_the_metadata() -> None:
    assert percentage([0.03, 0.04], [0.1, 0.3]) == pytest.approx(17.678)
    assert percentage(1.0, 0.0) == 100.0
    assert percentage(0.0, 2.0) == 0.0


def test_numbers_that_are_no_uncertainty_are_refused() -> None:
    lines_of = plain_lines(coefficients, "S2A", "B02", ANGLES)
    with pytest.raises(InputError, match="aot of the atmosphere"):
        systematic_terms(lines_of, AIR, ERRORS._replace(aot=math.nan))
    with pytest.raises(InputError, match="ozone of the atmosphere"):
        systematic_terms(lines_of, AIR, ERRORS._replace(ozone=-1.0))


@pytest.mark.parametrize("rho", [0.06, 0.2])
@pytest.mark.parametrize("name", ["B01", "B03", "B8A"])
def test_the_tables_scatter_as_stated(name: str, rho: float) -> None:
    """The same with the tables of radiative transfer, and an air that may hold either aerosol."""
    rng = np.random.default_rng(4)
    maritime = partial(lut.coefficients, aerosol="maritime")
    lines_of, other = (plain_lines(f, "S2B", name, ANGLES) for f in (lut.coefficients, maritime))
    terms = systematic_terms(lines_of, AIR, ERRORS, other_model=other)
    drawn, values = _drawn(rng), (AIR.aot, AIR.pressure, AIR.water_vapour, AIR.ozone)
    true, false = (f("S2B", name, *ANGLES, *values) for f in (lut.coefficients, maritime))
    toa = _toa(true, rho)
    wrong = lut.coefficients("S2B", name, *ANGLES, drawn.aot, drawn.pressure, drawn.water_vapour, drawn.ozone)
    found = _surface(wrong._replace(path=wrong.path + TABLE_ERROR * rng.normal(size=TRIES)), toa)
    found = found + 0.5 * (_surface(false, toa) - rho) * rng.normal(size=TRIES)
    assert abs(_stated(terms, lines_of(AIR), float(toa)) / found.std() - 1) < 0.05


def test_a_tile_of_cells_at_once() -> None:
    aot, height = np.linspace(0, 0.5, 7)[:, None], np.linspace(700, 1013, 5)[None]
    air = AirState(aot, 2.0, 300.0, height)
    lines_of = plain_lines(coefficients, "S2C", "B08", ANGLES)
    terms = systematic_terms(lines_of, air, ERRORS, log_gas_error("S2C", "B08", ANGLES, air))
    a = variance_numbers(error_factors(terms))
    assert a.shape == (7, 5, 5)
    assert np.isfinite(a).all()
    one = systematic_terms(lines_of, AirState(0.25, 2.0, 300.0, height[0, 2]), ERRORS)["aot"]
    np.testing.assert_allclose(terms["aot"][3, 2], one, rtol=1e-9)
