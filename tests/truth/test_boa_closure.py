"""Surfaces of known reflectance under the simulator's sky, and what Level-2A makes of them.

Every case is a small tile without relief, clouds or noise: forest, grass, soil, rock, houses, water and snow, seen by
two detectors. The sky is the simulator's own, whose code Level-2A does not share.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from s2dask.auxdata.meteo import read_meteo, write_meteo
from s2dask.auxdata.terrain import Terrain
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.uncertainty import NOISE_FACTOR, RANDOM_STEP, SYSTEMATIC_STEP, count_errors
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.template import create
from s2dask.io.tiles import ZarrTile
from s2dask.io.writer import write_whole
from s2dask.l2a.air import Air, invert_image
from s2dask.l2a.options import Corrections
from s2dask.l2a.stage import (
    AtmosphereState,
    Window,
    air_above,
    gather,
    solve,
    surface_reflectance,
    tile_conditions,
)
from s2dask.l2a.tile_images import read_image
from s2dask.l2a.uncertainty import TABLE_ERROR, USUAL_ERRORS, log_gas_error
from s2dask.l2a.uncertainty_tile import MEAN_REFLECTANCE, Radiometry, grains_above, uncertainty_of
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sky import at_sensor, forward
from s2dask.simulate.spectra import CLASSES, TEXTURE, spectrum

CELLS = 60
GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, CELLS * 60, CELLS * 60)
PRESSURE, OZONE, SUN_AZIMUTH = 1016.0, 320.0, 145.0
VIEWS = {6: (6.5, 102.0), 7: (8.0, 288.0)}
EDGE = 33
"""First column of cells of the second detector."""
ALONE = Corrections(surroundings=False)
"""Each pixel is seen as if all around were like it."""
COARSE = Window(60, slice(0, CELLS), slice(0, CELLS))
SURFACE_BANDS = tuple(name for name in BANDS if name != "B10")
AOTS, SUNS = (0.02, 0.1, 0.2, 0.4, 0.6), (20.0, 38.0, 55.0, 65.0, 72.0)
HEIGHTS, VAPOURS = (0, 700, 1500, 3000), (0.3, 1.2, 2.5, 4.0)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A sky: aerosol above the sea [1], water vapour above the ground [cm], height of that [m], zenith of the sun."""

    aot: float
    vapour: float
    height: float
    sun: float

    @property
    def ground_aot(self) -> float:
        """The aerosol above the ground [1]."""
        return float(self.aot * np.exp(-self.height / 2000))


@dataclass(frozen=True, eq=False)
class Sky:
    """What Level-2A settled under the sky of a case."""

    case: Case
    tile: ZarrTile
    terrain: Terrain
    state: AtmosphereState
    air: Air


@dataclass(frozen=True)
class Outcome:
    """Errors of a case: reflectance by band (cell), with the truth (cell); of aerosol, and of vapour (cell) [cm]."""

    case: Case
    error: dict[str, Array]
    truth: dict[str, Array]
    aot: float
    retrieved: bool
    vapour: Array


def cases() -> tuple[Case, ...]:
    """Return every load of aerosol under every sun, and every height with every vapour that there can be at it."""
    out = []
    for i, aot in enumerate(AOTS):
        for j, sun in enumerate(SUNS):
            height, vapour = float(HEIGHTS[(2 * i + j) % 4]), VAPOURS[(i + 2 * j + i * j) % 4]
            out.append(Case(aot, max(vapour * np.exp(-height / 2000), VAPOURS[0]), height, sun))
    return tuple(out)


@cache
def classes() -> NDArray[np.intp]:
    """Return what each 60 m cell is (row, column): fields of six cells, two in five of them forest."""
    share = (0.08, 0.42, 0.12, 0.18, 0.08, 0.04, 0.08)
    fields = np.random.default_rng(3).choice(len(CLASSES), (CELLS // 6, CELLS // 6), p=share)
    return np.repeat(np.repeat(fields, 6, 0), 6, 1)


@cache
def surface(name: str) -> Array:
    """Return the reflectance of the cells in a band (row, column); all bands vary together."""
    vigour = np.random.default_rng(4).uniform(-1.0, 1.0, (CELLS, CELLS))
    return np.asarray(spectrum(name)[classes()] * (1 + np.array(TEXTURE)[classes()] * vigour), np.float64)


def toa(case: Case, name: str) -> Array:
    """Return the reflectance of the cells above the atmosphere."""
    options = SimulationOptions(
        aot=case.aot, water_vapour=case.vapour * np.exp(case.height / 2000), ozone=OZONE, pressure=PRESSURE
    )
    out = np.empty((CELLS, CELLS))
    for detector, columns in ((6, slice(0, EDGE)), (7, slice(EDGE, CELLS))):
        sun, view = (np.array(case.sun), np.array(SUN_AZIMUTH)), tuple(np.array(angle) for angle in VIEWS[detector])
        sky = forward(options, name, sun, view, np.array(case.height))
        out[:, columns] = at_sensor(sky, surface(name)[:, columns])
    return out


def write_tile(url: str, case: Case) -> str:
    """Write an L1C tile under the sky of a case."""
    attrs = {
        "level": "L1C", "unit": "S2A", "tile_id": GRID.tile_id, "crs": GRID.crs, "x0": GRID.x0, "y0": GRID.y0,
        "width": GRID.width, "height": GRID.height, "decimation": 1, "detectors": [6, 7], "bands": list(BANDS),
        "quantification": 10000, "radio_add_offset": -1000, "solar_zenith": case.sun, "baseline": "05.11",
        "name": "S2A_MSIL1C_20200816T120221_N0511_R023_T28SCB_20200816T140000",
    }  # fmt: skip
    create(url, schema.l1c(GRID, (6, 7)), {"s2dask": attrs})
    footprint = np.full((CELLS, CELLS), 6, np.uint8)
    footprint[:, EDGE:] = 7
    for name, b in BANDS.items():
        per = 60 // b.resolution
        counts = np.clip(np.rint(toa(case, name) * 10000 + 1000), 1, 65534).astype(np.uint16)
        large, seen = (np.repeat(np.repeat(a, per, 0), per, 1) for a in (counts, footprint))
        write_whole(url, schema.reflectance_path(b.resolution, name), large)
        write_whole(url, schema.footprint_path(b.resolution, name), seen)
    nodes = (2, 2)
    write_whole(
        url, "conditions/geometry/sun_angles", np.stack([np.full(nodes, angle) for angle in (case.sun, SUN_AZIMUTH)])
    )
    views = np.stack([np.stack([np.full(nodes, angle) for angle in VIEWS[d]]) for d in (6, 7)])
    write_whole(url, "conditions/geometry/viewing_incidence_angles", np.broadcast_to(views, (13, *views.shape)))
    return url


def write_terrain(path: Path, height: float) -> Terrain:
    """Return a plain at a height [m]."""
    path.mkdir()
    place = {"transform": Affine(0.01, 0, -17.3, 0, -0.01, 33.6), "crs": "EPSG:4326"}
    shape = {"width": 30, "height": 40, "count": 1, "dtype": "float32"}
    with rasterio.open(path / "plain.tif", "w", driver="GTiff", **shape, **place) as raster:
        raster.write(np.full((40, 30), height, np.float32), 1)
    return Terrain.open(path, None)


def settle(folder: Path, case: Case) -> Sky:
    """Return what Level-2A makes of the sky of a case, told a forecast of water vapour that is wrong by a fifth."""
    tile = ZarrTile.open(write_tile(str(folder / "tile.zarr"), case))
    terrain, grib = write_terrain(folder / "dem", case.height), folder / "AUX_ECMWFT.grib"
    vapour = 1.2 * case.vapour * np.exp(case.height / 2000)
    write_meteo(grib, -18, 34, 0.25, (9, 9), vapour, PRESSURE, OZONE, datetime(2020, 8, 16, 12, 0))
    conditions, _ = tile_conditions(tile, read_meteo(grib))
    window = Window(20, slice(0, 3 * CELLS), slice(0, 3 * CELLS))
    state = solve(conditions, [gather(tile, conditions, terrain, window, None, ALONE)], ALONE)
    return Sky(case, tile, terrain, state, air_above(tile, state, terrain, COARSE))


def inside() -> NDArray[np.bool_]:
    """Return the cells (row, column) in the middle of their fields."""
    return np.tile(np.pad(np.ones((4, 4), bool), 1), (CELLS // 6, CELLS // 6))


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
    """Return what is settled of every case."""
    return tuple(settle(tmp_path_factory.mktemp("case"), case) for case in cases())


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


def codes(sky: Sky, name: str, image: NDArray[np.float32] | None = None) -> tuple[Array, Array]:
    """Return both parts of the stated uncertainty of an image of a band, at its own resolution [1]."""
    own = band(name).resolution
    window = COARSE.at(own, GRID.shape(own))
    found = read_image(sky.tile, name, window) if image is None else image
    grains, radiometry = grains_above(sky.tile, sky.state, sky.terrain, COARSE), Radiometry.of(sky.tile.attrs, name)
    random, alike = uncertainty_of(sky.state, grains, sky.air, name, radiometry, found, window)
    return random * RANDOM_STEP, alike * SYSTEMATIC_STEP


def covered(error: Array, sigma: Array) -> float:
    """Return the share of errors within one standard uncertainty; those of just as much count half."""
    apart = np.round(np.abs(error) - sigma, 9)
    return float(np.mean(apart < 0) + 0.5 * np.mean(apart == 0))


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


@pytest.mark.parametrize("name", SURFACE_BANDS)
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
