"""Surfaces of known reflectance under the simulator's sky, and what Level-2A makes of them.

Every case is a small tile without relief, clouds or noise, see `boa_model`.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from boa_model import (
    CLASSES,
    COARSE,
    GRID,
    OZONE,
    PRESSURE,
    SURFACE_BANDS,
    VIEWS,
    Array,
    Case,
    Sky,
    Told,
    cases,
    classes,
    codes,
    covered,
    inside,
    settle,
    surface,
    toa,
)  # fmt: skip

from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.uncertainty import NOISE_FACTOR, SYSTEMATIC_STEP, count_errors
from s2dask.l2a.air import Air, invert_image
from s2dask.l2a.stage import AtmosphereState, surface_reflectance
from s2dask.l2a.tile_images import read_image
from s2dask.l2a.uncertainty import TABLE_ERROR, USUAL_ERRORS, log_gas_error
from s2dask.l2a.uncertainty_tile import MEAN_REFLECTANCE, Radiometry


@dataclass(frozen=True)
class Outcome:
    """Errors of a case: reflectance by band (cell), with the truth (cell); of aerosol, and of vapour (cell) [cm]."""

    case: Case
    error: dict[str, Array]
    truth: dict[str, Array]
    aot: float
    retrieved: bool
    vapour: Array


def run(sky: Sky) -> Outcome:
    """Return what Level-2A makes of the surface of a case."""
    case, error, truth, part = sky.case, {}, {}, inside()
    for name in SURFACE_BANDS:
        counts = surface_reflectance(sky.tile, sky.state, sky.air, name, 60)
        known = surface(name)
        error[name] = ((counts.astype(np.float64) - 1000) / 10000 - known)[part]
        truth[name] = known[part]
    land = part & (surface("B8A") > 0.15) & (surface("B11") > 0.1)
    vapour = sky.air.water_vapour - case.vapour
    aot = float(sky.air.aot[part & (classes() == CLASSES.index("forest"))].mean()) - case.ground_aot
    return Outcome(case, error, truth, aot, sky.state.aerosol.cells > 0, vapour[land])


@pytest.fixture(scope="module")
def skies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sky, ...]:
    """Return what is settled of every case, told a forecast of water vapour that is wrong by a fifth."""
    return tuple(
        settle(tmp_path_factory.mktemp("case"), case, partial(toa, case), Told(1.2 * case.sea_vapour))
        for case in cases()
    )


@pytest.fixture(scope="module")
def campaign(skies: tuple[Sky, ...]) -> tuple[Outcome, ...]:
    """Return the outcome of every case."""
    return tuple(run(sky) for sky in skies)


def limit(rho: Array) -> Array:
    """Return the uncertainty that CEOS asks of a surface reflectance."""
    return np.asarray(0.05 * rho + 0.005)


def table(outcomes: tuple[Outcome, ...]) -> str:
    """Return the figures of a campaign as a text."""
    lines = ["aot   wv   height sun  d_aot   rms_wv  band: rms / U"]
    for o in outcomes:
        c = o.case
        ratio = {n: float(np.sqrt(np.mean((o.error[n] / limit(o.truth[n])) ** 2))) for n in SURFACE_BANDS}
        figures = " ".join(f"{n}:{ratio[n]:.2f}" for n in SURFACE_BANDS)
        rms = float(np.sqrt(np.mean(o.vapour**2)))
        lines.append(f"{c.aot:4.2f} {c.vapour:4.2f} {c.height:6.0f} {c.sun:4.0f} {o.aot:+.3f}  {rms:.3f}  {figures}")
    return "\n".join(lines)


@pytest.mark.parametrize("name", [name for name in SURFACE_BANDS if name != "B09"])
def test_surface_reflectance_comes_back(campaign: tuple[Outcome, ...], name: str) -> None:
    """Root mean square within 0.05 rho + 0.005 up to an optical thickness of 0.4."""
    clear = [o for o in campaign if o.case.aot <= 0.4]
    error, truth = (np.concatenate([getattr(o, part)[name] for o in clear]) for part in ("error", "truth"))
    relative = error / limit(truth)
    assert float(np.sqrt(np.mean(relative**2))) <= 1, table(campaign)
    assert float(np.mean(np.abs(relative) <= 1)) >= 0.68, table(campaign)


def test_aerosol_comes_back(campaign: tuple[Outcome, ...]) -> None:
    found = [o.aot for o in campaign if o.retrieved]
    assert len(found) >= 0.9 * len(campaign), table(campaign)
    assert float(np.sqrt(np.mean(np.square(found)))) <= 0.06, table(campaign)


def test_water_vapour_comes_back(campaign: tuple[Outcome, ...]) -> None:
    assert float(np.sqrt(np.mean(np.concatenate([o.vapour for o in campaign]) ** 2))) <= 0.25, table(campaign)


@pytest.mark.parametrize("name", SURFACE_BANDS)
def test_noise_is_covered(skies: tuple[Sky, ...], name: str) -> None:
    """Pixels with the noise of the instrument against those without: 68 +- 8 % within the random part."""
    errors, stated, rng = [], [], np.random.default_rng(11)
    own, of_unit = band(name).resolution, unit("S2A").bands[name]
    window = COARSE.at(own, GRID.shape(own))
    for sky in skies[::4]:
        scale = Radiometry.of(sky.tile.attrs, name).scale(np.array(sky.case.sun))
        clean = read_image(sky.tile, name, window)
        count = np.maximum(clean / scale, 0.0)
        noise = NOISE_FACTOR * np.sqrt(of_unit.noise_alpha**2 + of_unit.noise_beta * count)
        noisy = np.rint(count + noise * rng.normal(size=count.shape)) * scale
        coded = (np.rint(noisy * 10_000) / 10_000).astype(np.float32)
        pair = (invert_image(sky.tile, sky.state, sky.air, name, image, window) for image in (coded, clean))
        found, known = (counts.astype(np.float64) / 10_000 for counts in pair)
        errors.append((found - known).ravel())
        stated.append(codes(sky, name, coded)[0].ravel())
    error, sigma = np.concatenate(errors), np.concatenate(stated)
    assert abs(covered(error, sigma) - 0.68) <= 0.08, (covered(error, sigma), np.std(error), np.median(sigma))


def drawn(sky: Sky, name: str, k: int) -> Array:
    """Return the reflectance of the cells with numbers that are wrong by draws from their stated uncertainties."""
    case, state, seed = sky.case, sky.state, (k, cases().index(sky.case))
    n = np.random.default_rng(seed).normal(size=5)
    own = np.random.default_rng((*seed, BANDS[name].index)).normal(size=5)
    nodes, tag = state.nodes, f"{state.digest}-{k}"
    nodes = replace(
        nodes, ozone=nodes.ozone + USUAL_ERRORS.ozone * n[0], pressure=nodes.pressure + USUAL_ERRORS.pressure * n[1]
    )
    aot = np.maximum(case.ground_aot + state.aerosol.sigma * n[2], 0.0)
    wrong = replace(state, nodes=nodes, aerosol=replace(state.aerosol, aot=aot), digest=tag)
    true = replace(state.aerosol, aot=np.full(aot.shape, case.ground_aot))
    known = replace(state, aerosol=true, digest=f"{state.digest}=")
    other = replace(known, nodes=replace(state.nodes, aerosol="maritime"), digest=f"{state.digest}~")
    vapour = np.full(sky.air.water_vapour.shape, case.vapour)
    sigma = state.vapour.sigma * np.exp(-case.height / 2000)
    air = replace(sky.air, water_vapour=vapour, lines={})
    moist = replace(air, water_vapour=np.maximum(vapour + sigma * n[3], 0.0), lines={})
    toa = read_image(sky.tile, name, COARSE)
    scale = float(Radiometry.of(sky.tile.attrs, name).scale(np.array(case.sun)))
    e = count_errors("S2A", name, MEAN_REFLECTANCE / scale)
    counted = toa * (1 + np.sqrt(e.alike_square) * own[0]) + scale * (np.sqrt(e.alike_flat) * own[1] + e.bias * own[2])
    mass_angles = np.array(case.sun), np.array(VIEWS[6][0]), np.array(0.0)
    air_state = USUAL_ERRORS._replace(water_vapour=case.vapour, ozone=OZONE, pressure=PRESSURE)
    gas = float(log_gas_error("S2A", name, mass_angles, air_state))
    counted = counted * np.exp(gas * own[3]) - TABLE_ERROR * own[4]

    def inverted(state: AtmosphereState, air: Air, image: Array) -> Array:
        counts = invert_image(sky.tile, state, replace(air, lines={}), name, image.astype(np.float32), COARSE)
        return (counts.astype(np.float64) - 1000) / 10_000

    model = inverted(other, air, toa) - inverted(known, air, toa)
    return inverted(wrong, moist, counted) + 0.5 * n[4] * model


DRAWS = 12


@pytest.mark.parametrize(
    "name", [n if n in ("B02", "B8A") else pytest.param(n, marks=pytest.mark.slow) for n in SURFACE_BANDS]
)
def test_wrong_numbers_are_covered(skies: tuple[Sky, ...], name: str) -> None:
    """Every number of the correction is drawn from its uncertainty: 68 +- 8 % of errors within the systematic part."""
    shares = []
    for sky in skies:
        step = 60 // band(name).resolution
        sigma = codes(sky, name)[1][::step, ::step]
        part = inside() & (sigma < 255 * SYSTEMATIC_STEP)
        errors = [drawn(sky, name, k) - surface(name) for k in range(DRAWS)]
        shares.append(np.mean([covered(error[part], sigma[part]) for error in errors]))
    assert abs(float(np.mean(shares)) - 0.68) <= 0.08, shares


@pytest.mark.parametrize("name", SURFACE_BANDS)
def test_what_is_retrieved_is_covered(campaign: tuple[Outcome, ...], skies: tuple[Sky, ...], name: str) -> None:
    """The simulator varies neither vegetation nor kind of aerosol: its errors are smaller than those stated."""
    step, part = 60 // band(name).resolution, inside()
    sigma = [codes(sky, name)[1][::step, ::step][part] for sky in skies]
    share = covered(np.concatenate([o.error[name] for o in campaign]), np.concatenate(sigma))
    assert share >= 0.68 - 0.08, share
