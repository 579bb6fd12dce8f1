"""The atmosphere of the simulator over one place, and a small tile seen through it."""

from datetime import datetime
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer

from s2dask.auxdata.meteo import write_meteo
from s2dask.instrument import BANDS, band
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.template import create
from s2dask.io.writer import write_whole
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sky import forward


def sky(
    unit_name: str,
    name: str,
    sun: tuple[float, float],
    view: tuple[float, float],
    height: np.ndarray,
    aot: float,
    msl: float,
    water_vapour: float,
    ozone: float,
) -> tuple[np.ndarray, ...]:
    """Return (path, Td Tu, S, Tg) over ground at heights [m], as the simulator has it; angles (zenith, azimuth)."""
    options = SimulationOptions(unit=unit_name, aot=aot, pressure=msl, water_vapour=water_vapour, ozone=ozone)
    one = np.ones_like(height)
    return forward(options, name, (sun[0] * one, sun[1] * one), (view[0] * one, view[1] * one), height)


def top_of_atmosphere(
    unit_name: str,
    name: str,
    sun: tuple[float, float],
    view: tuple[float, float],
    height: float,
    aot: float,
    msl: float,
    water_vapour: float,
    ozone: float,
    surface: float,
) -> tuple[float, tuple[float, float, float, float]]:
    """Return the reflectance above the atmosphere over one place, and (path, Td Tu, S, Tg)."""
    found = sky(unit_name, name, sun, view, np.array([height]), aot, msl, water_vapour, ozone)
    path, reach, albedo, gas = (float(part[0]) for part in found)
    return gas * (path + reach * surface / (1 - albedo * surface)), (path, reach, albedo, gas)


UNIT, MSL, WATER_VAPOUR, OZONE, SUN = "S2A", 1009.0, 2.1, 315.0, (38.0, 145.0)
VIEWS = {6: (6.0, 102.0), 7: (7.0, 288.0)}
GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 3000, 3000)
CLOUD_TOP, SHADOW_LIGHT = 1500.0, 0.15
NO_DATA, GRASS, SOIL, WATER, SNOW, CLOUD, SHADOW = range(7)
SCL = {GRASS: 4, SOIL: 5, WATER: 6, SNOW: 11, CLOUD: 9, SHADOW: 3}
"""What each target should be called."""
# B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12
SURFACE = {
    GRASS: (0.010, 0.016, 0.045, 0.030, 0.08, 0.28, 0.36, 0.39, 0.41, 0.41, 0.2, 0.16, 0.06),
    SOIL: (0.06, 0.08, 0.12, 0.16, 0.19, 0.22, 0.24, 0.26, 0.28, 0.285, 0.3, 0.34, 0.29),
    WATER: (0.03, 0.03, 0.025, 0.012, 0.008, 0.005, 0.004, 0.003, 0.002, 0.002, 0.001, 0.001, 0.001),
    SNOW: (0.95, 0.94, 0.93, 0.92, 0.91, 0.90, 0.88, 0.86, 0.85, 0.78, 0.1, 0.07, 0.06),
    CLOUD: (0.70, 0.70, 0.69, 0.69, 0.69, 0.68, 0.68, 0.68, 0.68, 0.68, 0.6, 0.45, 0.35),
}


def targets() -> np.ndarray:
    """Return (row, column) uint8, what each 60 m cell of the tile is."""
    rows, columns = np.mgrid[:50, :50]
    out = np.where(columns < 27, GRASS, SOIL).astype(np.uint8)
    out[38:, 30:] = WATER
    out[:7, 40:] = SNOW
    cloud = (rows - 31) ** 2 + (columns - 24) ** 2 < 20
    out[cloud] = CLOUD
    reach = CLOUD_TOP * np.tan(np.radians(SUN[0]))
    view = VIEWS[6]
    bend = CLOUD_TOP * np.tan(np.radians(view[0]))
    east = bend * np.sin(np.radians(view[1])) - reach * np.sin(np.radians(SUN[1]))
    north = bend * np.cos(np.radians(view[1])) - reach * np.cos(np.radians(SUN[1]))
    shadow = np.roll(cloud, (round(-north / 60), round(east / 60)), (0, 1))
    out[shadow & ~cloud] = SHADOW
    out[46:, :4] = NO_DATA
    return out


def elevation() -> np.ndarray:
    """Return (row, column) the height of the cells [m], as the raster of `make_aux` has it."""
    rows, columns = np.mgrid[:50, :50] + 0.5
    lon, lat = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True).transform(
        GRID.x0 + 60 * columns, GRID.y0 - 60 * rows
    )
    return height(np.asarray(lon), np.asarray(lat))


def height(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return the height of the ground [m], a tilted plane."""
    return 300.0 + 9000.0 * (lon + 17.13) + 6000.0 * (lat - 33.4)


def make_aux(folder: Path) -> str:
    """Write DEM and weather of the tile."""
    for kind in ("dem", "geoid", "meteo"):
        (folder / kind).mkdir(parents=True)
    lon, lat = -17.25 + 0.005 * np.arange(50), 33.55 - 0.005 * np.arange(60)
    values = height(*np.meshgrid(lon, lat)).astype(np.float32)
    place = {"transform": Affine(0.005, 0, lon[0] - 0.0025, 0, -0.005, lat[0] + 0.0025), "crs": "EPSG:4326"}
    shape = {"width": lon.size, "height": lat.size, "count": 1, "dtype": "float32"}
    with rasterio.open(folder / "dem/local.tif", "w", driver="GTiff", **shape, **place) as raster:
        raster.write(values, 1)
    time = datetime(2020, 8, 16, 12, 0)
    write_meteo(folder / "meteo/AUX_ECMWFT.grib", -18, 34, 0.25, (9, 9), WATER_VAPOUR + 0.4, MSL, OZONE, time)
    return str(folder)


def surfaces(name: str, size: int) -> np.ndarray:
    """Return (y, x) the surface reflectance of a band on pixels of a size [m], NaN where none is seen."""
    kind = targets()
    per = 60 // size
    vigour = np.random.default_rng(11).uniform(0.85, 1.15, (50, 50))
    table = np.full(7, np.nan)
    for target, spectrum in SURFACE.items():
        table[target] = spectrum[list(BANDS).index(name)]
    table[SHADOW] = SURFACE[GRASS][list(BANDS).index(name)]
    rho = table[kind] * np.where(np.isin(kind, (GRASS, SOIL, SHADOW)), vigour, 1.0)
    return np.repeat(np.repeat(rho, per, 0), per, 1)


def toa(name: str, aot: float) -> np.ndarray:
    """Return (y, x) the reflectance above the atmosphere of a band at its own resolution."""
    size = band(name).resolution
    per = 60 // size
    kind, ground = targets(), elevation()
    heights = np.arange(-20.0, 1600.0, 20.0)
    place = np.where(kind == CLOUD, CLOUD_TOP, ground)
    cells = np.empty((4, 50, 50))
    for detector, part in ((6, slice(0, 30)), (7, slice(30, 50))):
        found = sky(UNIT, name, SUN, VIEWS[detector], heights, aot, MSL, WATER_VAPOUR, OZONE)
        for k, values in enumerate(found):
            cells[k, :, part] = np.interp(place[:, part], heights, values)
    path, reach, albedo, gas = (np.repeat(np.repeat(c, per, 0), per, 1) for c in cells)
    rho = surfaces(name, size)
    light = np.where(np.repeat(np.repeat(kind == SHADOW, per, 0), per, 1), SHADOW_LIGHT, 1.0)
    return np.asarray(gas * (path + light * reach * rho / (1 - albedo * rho)))


def make_l1c(url: str, aot: float, **changes: object) -> str:
    """Write the L1C tile as the orthorectification would."""
    attrs = {
        "level": "L1C", "unit": UNIT, "tile_id": GRID.tile_id, "crs": GRID.crs, "x0": GRID.x0, "y0": GRID.y0,
        "width": GRID.width, "height": GRID.height, "decimation": 1, "detectors": [6, 7], "bands": list(BANDS),
        "quantification": 10000, "radio_add_offset": -1000, "solar_zenith": SUN[0], "baseline": "05.11",
        "name": "S2A_MSIL1C_20200816T120221_N0511_R023_T28SCB_20200816T140000",
    }  # fmt: skip
    create(url, schema.l1c(GRID, (6, 7)), {"s2dask": attrs | changes})
    footprint = np.full((50, 50), 6, np.uint8)
    footprint[:, 30:] = 7
    for name in BANDS:
        size = band(name).resolution
        per = 60 // size
        rho = toa(name, aot)
        counts = np.where(np.isfinite(rho), np.clip(np.rint(rho * 10000 + 1000), 1, 65534), 0).astype(np.uint16)
        write_whole(url, schema.reflectance_path(size, name), counts)
        write_whole(url, schema.footprint_path(size, name), np.repeat(np.repeat(footprint, per, 0), per, 1))
    where, nodes = "conditions/geometry", (2, 2)
    write_whole(url, f"{where}/sun_angles", np.stack([np.full(nodes, angle) for angle in SUN]))
    views = np.stack([np.stack([np.full(nodes, angle) for angle in VIEWS[d]]) for d in (6, 7)])
    views[0, :, :, 1] = np.nan
    write_whole(url, f"{where}/viewing_incidence_angles", np.broadcast_to(views, (13, *views.shape)))
    return url
