"""Small L1C and L2A stores with known pixels, made through the public template and block writer."""

from pathlib import Path
from typing import Any

import numpy as np

from s2dask.instrument import BANDS, band, unit
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.template import create
from s2dask.io.variables import Schema
from s2dask.io.writer import write_coordinates, write_whole

GRID = TileGrid("28SCB", "EPSG:32628", 360000, 3690000, 3000, 2400)
NAMES = {
    "L1C": "S2A_MSIL1C_20200816T120221_N0511_R023_T28SCB_20200816T143017",
    "L2A": "S2A_MSIL2A_20200816T120221_N0511_R023_T28SCB_20200816T143017",
}


def attributes(level: str, grid: TileGrid = GRID, **extra: Any) -> dict[str, Any]:
    """Return the root attribute ``s2dask`` of a tile."""
    bands = list(BANDS) if level == "L1C" else [b for b in BANDS if b != "B10"]
    offset = {"radio_add_offset": -1000} if level == "L1C" else {"boa_add_offset": -1000}
    flight = unit("S2A")
    return {
        "level": level, "unit": "S2A", "tile_id": grid.tile_id, "crs": grid.crs, "x0": grid.x0, "y0": grid.y0,
        "width": grid.width, "height": grid.height, "decimation": 1,
        "sensing_start": "2020-08-16T12:02:25.123Z", "sensing_stop": "2020-08-16T12:02:28.456Z",
        "datatake_id": "GS2A_20200816T120221_026904_N05.11", "absolute_orbit": 26904, "relative_orbit": 23,
        "orbit_direction": "DESCENDING", "baseline": "05.11", "detectors": [6, 7], "bands": bands,
        "quantification": 10000, **offset, "reflectance_conversion": 0.97546,
        "solar_irradiance": {b: flight.bands[b].solar_irradiance for b in BANDS},
        "physical_gains": {b: flight.bands[b].gain for b in BANDS},
        "solar_zenith": 25.5, "solar_azimuth": 140.25, "cloud_percentage": 12.5, "nodata_percentage": 1.0,
        "checks": [
            {"id": "Solar_Angle_Zenith", "checklist": "GENERAL_QUALITY", "level": level, "severity": "concluding",
             "status": "PASSED", "value": 25.5, "message": "solar_zenith = 25.5"},
        ],
        "record": {}, "name": NAMES[level], "generation_time": "2020-08-16T14:30:17.000Z",
        "gipps": ["S2A_OPER_GIP_R2ABCA_MPC__20200807T160000_V20200809T000000_21000101T000000_B00"],
        **extra,
    }


def image(grid: TileGrid, resolution: int, index: int) -> np.ndarray:
    """Return counts with a slope, a corner of no data and one saturated pixel, (y, x) uint16."""
    rows, columns = grid.shape(resolution)
    y, x = np.mgrid[0:rows, 0:columns]
    out = (1500 + 40 * index + 3 * y + 2 * x + (y * x) % 7).astype(np.uint16)
    out[:2, :3] = 0
    out[4, 5] = 65535
    return out


def _geometry(url: str, grid: TileGrid, detectors: list[int]) -> None:
    rows, columns = schema.angle_nodes(grid)
    where = "conditions/geometry"
    sun = np.stack([np.full((rows, columns), 25.5), np.full((rows, columns), 140.25)])
    sun += 0.01 * np.arange(columns)
    views = np.full((13, len(detectors), 2, rows, columns), np.nan)
    views[:, 0, 0], views[:, 0, 1] = 3.25, 104.5
    views[:, 1, 0, :, 1:], views[:, 1, 1, :, 1:] = 4.5, 284.125
    write_whole(url, f"{where}/sun_angles", sun)
    write_whole(url, f"{where}/viewing_incidence_angles", views)
    write_whole(url, f"{where}/mean_sun_angles", [25.5, 140.25])
    write_whole(url, f"{where}/mean_viewing_incidence_angles", np.tile([3.5, 120.0], (13, 1)))
    write_whole(url, f"{where}/detector", detectors)
    write_whole(url, f"{where}/band", np.arange(13))


def make_l1c(url: Path | str, grid: TileGrid = GRID, **extra: Any) -> str:
    """Write an L1C store and return its URL."""
    url = str(url)
    spec: Schema = schema.l1c(grid, [6, 7], uncertainty=True)
    create(url, spec, {"s2dask": attributes("L1C", grid, **extra)})
    write_coordinates(url, spec, grid)
    for name in BANDS:
        b = band(name)
        counts = image(grid, b.resolution, b.index)
        write_whole(url, schema.reflectance_path(b.resolution, name), counts)
        quality = np.where(counts == 0, 32, 0).astype(np.uint8)
        quality[4, 5] = 128
        quality[6, 6] = 8
        write_whole(url, schema.quality_path(b.resolution, name), quality)
        footprint = np.full(counts.shape, 6, np.uint8)
        footprint[:, counts.shape[1] // 2 :] = 7
        write_whole(url, schema.footprint_path(b.resolution, name), footprint)
        write_whole(url, schema.toa_uncertainty_path(name), np.where(counts == 65535, 255, counts // 50 % 250))
    classes = np.zeros(grid.shape(60), np.uint8)
    classes[5:15, 5:15] = 1
    classes[20:25, 20:30] = 2
    classes[30:34, 2:12] = 4
    write_whole(url, "conditions/mask/l1c_classification/r60m/b00", classes)
    _geometry(url, grid, [6, 7])
    return url


def make_l2a(url: Path | str, grid: TileGrid = GRID, **extra: Any) -> str:
    """Write an L2A store and return its URL."""
    url = str(url)
    spec: Schema = schema.l2a(grid, 2)
    create(url, spec, {"s2dask": attributes("L2A", grid, **extra)})
    write_coordinates(url, spec, grid)
    for resolution, names in schema.L2A_BANDS.items():
        for name in names:
            write_whole(url, schema.reflectance_path(resolution, name), image(grid, resolution, band(name).index))
        shape = grid.shape(resolution)
        write_whole(url, f"quality/atmosphere/r{resolution}m/aot", np.full(shape, 125, np.uint16))
        write_whole(url, f"quality/atmosphere/r{resolution}m/wvp", np.full(shape, 2500, np.uint16))
    for resolution in (20, 60):
        rows, columns = grid.shape(resolution)
        classes = (np.arange(rows * columns).reshape(rows, columns) % 12).astype(np.uint8)
        write_whole(url, f"conditions/mask/l2a_classification/r{resolution}m/scl", classes)
    write_whole(url, "quality/probability/r20m/cld", np.full(grid.shape(20), 40, np.uint8))
    write_whole(url, "quality/probability/r20m/snw", np.full(grid.shape(20), 5, np.uint8))
    _geometry(url, grid, [6, 7])
    return url
