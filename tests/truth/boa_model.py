"""Small tiles of known reflectance under the simulator's sky, and what Level-2A settles of it.

Each is without relief: forest, grass, soil, rock, houses, water and snow, seen by two detectors. The sky is the
simulator's own, whose code Level-2A does not share.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from s2dask.auxdata.cams import AerosolForecast
from s2dask.auxdata.meteo import read_meteo, write_meteo
from s2dask.auxdata.terrain import Terrain
from s2dask.instrument import BANDS, band
from s2dask.instrument.uncertainty import RANDOM_STEP, SYSTEMATIC_STEP
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.template import create
from s2dask.io.tiles import ZarrTile
from s2dask.io.writer import write_whole
from s2dask.l2a.air import Air
from s2dask.l2a.options import Corrections
from s2dask.l2a.stage import AtmosphereState, Window, air_above, gather, solve, tile_conditions
from s2dask.l2a.tile_images import read_image
from s2dask.l2a.uncertainty_tile import Radiometry, grains_above, uncertainty_of
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
T = TypeVar("T", bound=np.generic)


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

    @property
    def sea_vapour(self) -> float:
        """The water vapour above the sea [cm]."""
        return float(self.vapour * np.exp(self.height / 2000))


@dataclass(frozen=True, eq=False)
class Sky:
    """What Level-2A settled under the sky of a case."""

    case: Case
    tile: ZarrTile
    terrain: Terrain
    state: AtmosphereState
    air: Air


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


def surface(name: str, kinds: NDArray[np.intp] | None = None) -> Array:
    """Return the reflectance of the cells in a band (row, column); all bands vary together."""
    of = classes() if kinds is None else kinds
    vigour = np.random.default_rng(4).uniform(-1.0, 1.0, (CELLS, CELLS))
    return np.asarray(spectrum(name)[of] * (1 + np.array(TEXTURE)[of] * vigour), np.float64)


def toa(case: Case, name: str) -> Array:
    """Return the reflectance of the cells above the atmosphere."""
    options = SimulationOptions(aot=case.aot, water_vapour=case.sea_vapour, ozone=OZONE, pressure=PRESSURE)
    out = np.empty((CELLS, CELLS))
    for detector, columns in ((6, slice(0, EDGE)), (7, slice(EDGE, CELLS))):
        sun, view = (np.array(case.sun), np.array(SUN_AZIMUTH)), tuple(np.array(angle) for angle in VIEWS[detector])
        sky = forward(options, name, sun, view, np.array(case.height))
        out[:, columns] = at_sensor(sky, surface(name)[:, columns])
    return out


def enlarged(image: NDArray[T], size: int) -> NDArray[T]:
    """Return a square image with as many pixels on its edge as asked for, a multiple of what it has."""
    return np.repeat(np.repeat(image, size // image.shape[0], 0), size // image.shape[0], 1)


def write_tile(url: str, case: Case, above: Callable[[str], Array]) -> str:
    """Write an L1C tile from the reflectance above the atmosphere of the cells or pixels of each band."""
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
        counts = np.clip(np.rint(above(name) * 10000 + 1000), 1, 65534).astype(np.uint16)
        write_whole(url, schema.reflectance_path(b.resolution, name), enlarged(counts, per * CELLS))
        write_whole(url, schema.footprint_path(b.resolution, name), enlarged(footprint, per * CELLS))
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


@dataclass(frozen=True)
class Told:
    """What Level-2A is told of the air: water vapour [cm] and pressure [hPa] at sea level, ozone [DU], aerosol."""

    vapour: float
    pressure: float = PRESSURE
    ozone: float = OZONE
    cams: AerosolForecast | None = None


def settle(
    folder: Path, case: Case, above: Callable[[str], Array], told: Told, corrections: Corrections = ALONE
) -> Sky:
    """Return what Level-2A makes of the sky of a case."""
    tile = ZarrTile.open(write_tile(str(folder / "tile.zarr"), case, above))
    terrain, grib = write_terrain(folder / "dem", case.height), folder / "AUX_ECMWFT.grib"
    when = datetime(2020, 8, 16, 12, 0)
    write_meteo(grib, -18, 34, 0.25, (9, 9), told.vapour, told.pressure, told.ozone, when)
    conditions, _ = tile_conditions(tile, read_meteo(grib), told.cams)
    window = Window(20, slice(0, 3 * CELLS), slice(0, 3 * CELLS))
    state = solve(conditions, [gather(tile, conditions, terrain, window, None, corrections)], corrections)
    return Sky(case, tile, terrain, state, air_above(tile, state, terrain, COARSE))


def inside() -> NDArray[np.bool_]:
    """Return the cells (row, column) in the middle of their fields."""
    return np.tile(np.pad(np.ones((4, 4), bool), 1), (CELLS // 6, CELLS // 6))


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
