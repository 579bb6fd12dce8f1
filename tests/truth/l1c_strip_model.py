"""An L1B datastrip of a smooth ground anywhere on Earth, from the simulator's own rays, and the tiles made of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import erfa
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.gipp_radiometry_text import write_r2abca
from s2dask.auxdata.time import NANO, compact, gps_to_utc, utc_to_gps
from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band, unit
from s2dask.instrument.quality import MSI_LOST, NODATA
from s2dask.instrument.solar import reflectance_conversion
from s2dask.io import schema
from s2dask.io.schema_strip import conditions
from s2dask.io.storage import open_array
from s2dask.io.template import create
from s2dask.io.writer import write_block, write_whole
from s2dask.l1c.reflectance import decode
from s2dask.production.blocks import Blocking, default_blocking
from s2dask.production.footprint import tile_grid, tiles_of
from s2dask.production.ortho import CLASSIFICATION, finish_tile, start_tile, write_classification, write_ortho
from s2dask.production.resampling import USUAL, Resampling
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts
from s2dask.simulate.gipp import absolute_calibration, gipp_name, write_geometric
from s2dask.simulate.imaging import trace
from s2dask.simulate.platform import bulletin, focal_plane, sights, spacecraft_model, synthetic_platform
from s2dask.simulate.sky import sun_position

Floats = NDArray[np.float64]
UNIT = "S2A"
EVERY = 7
"""Pixels of which one is compared, along and across."""
Lost = tuple[int, int]
"""Detector and scene of a granule that did not come."""


def brightness(place: Floats) -> Floats:
    """Return counts of the ground at places (xyz, …) of the ellipsoid [m]: waves of 30 to 50 km, without any edge."""
    x, y, z = 2 * np.pi * place
    return np.asarray(2000 + 300 * np.sin(x / 30e3) + 300 * np.cos(y / 50e3) + 300 * np.sin(z / 40e3))


def on_ellipsoid(lon: Floats, lat: Floats) -> Floats:
    """Return places (xyz, …) [m] of the ellipsoid."""
    return np.moveaxis(erfa.gd2gc(1, np.radians(lon), np.radians(lat), np.zeros(np.shape(lon))), -1, 0)


@dataclass(frozen=True)
class Strip:
    """The stores of a datastrip over the sea.

    Attributes
    ----------
    root : Path
    l0, l1b, aux : str
    date : int
        In the middle of the images, GPS [ns].
    bands : tuple of str
    place : (float, float)
        Longitude and latitude below the satellite then [degree].
    """

    root: Path
    l0: str
    l1b: str
    aux: str
    date: int
    bands: tuple[str, ...]
    place: tuple[float, float]

    def tiles(self) -> list[str]:
        """Return the tiles that the datastrip touches."""
        return tiles_of(open_setting(self.l0, self.aux), strip_facts(self.l0))

    def tile(self, name: str, blocking: Blocking | None = None, how: Resampling = USUAL) -> "Tile":
        """Make a tile, task after task as production does."""
        grid = tile_grid(name)
        cut = blocking or default_blocking(grid)
        url = str(self.root / f"{name}-{cut.edge}-{cut.chunk}.zarr")
        init = start_tile(self.l0, self.aux, grid, cut, url, how)
        blocks = [
            write_ortho(self.l0, self.l1b, self.aux, url, b, init) for r in (10, 20, 60) for b in cut.blocks(grid, r)
        ]
        masks = [write_classification(url, b) for b in cut.blocks(grid, 60)]
        return Tile(self, url, finish_tile(url, init, blocks, masks), init["attrs"])


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile that was made.

    Attributes
    ----------
    strip : Strip
    url : str
    result : dict
        Of `finish_tile`.
    attrs : mapping
    """

    strip: Strip
    url: str
    result: Mapping[str, Any]
    attrs: Mapping[str, Any]

    def layers(self, name: str) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint8]]:
        """Return coded reflectance, MSK_QUALIT and detector footprint of a band."""
        r = band(name).resolution
        paths = schema.reflectance_path(r, name), schema.quality_path(r, name), schema.footprint_path(r, name)
        values, quality, footprint = (np.asarray(open_array(self.url, path)[...]) for path in paths)
        return values, quality, footprint

    def classification(self) -> NDArray[np.uint8]:
        """Return MSK_CLASSI."""
        return np.asarray(open_array(self.url, CLASSIFICATION)[...])

    def share(self, what: str) -> float:
        """Return a percentage of the metadata."""
        return float(self.result["record"][f"{what}_percentage"])

    def verdict(self, check: str) -> tuple[str, str]:
        """Return severity and status of a check."""
        (found,) = (c for c in self.result["checks"] if c["id"] == check)
        return found["severity"], found["status"]

    def centres(self, name: str) -> tuple[Floats, Floats]:
        """Return longitude and latitude (y, x) [degree] of every `EVERY`-th pixel of a band."""
        a, r = self.attrs, band(name).resolution
        x = a["x0"] + r * (np.arange(0, a["width"] // r, EVERY) + 0.5)
        y = a["y0"] - r * (np.arange(0, a["height"] // r, EVERY) + 0.5)
        lon, lat = Transformer.from_crs(a["crs"], "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
        return np.asarray(lon), np.asarray(lat)

    def errors(self, name: str) -> Floats:
        """Return how far off the reflectance of every `EVERY`-th pixel is, relative, NaN without data."""
        lon, lat = self.centres(name)
        of, distance = unit(UNIT).bands[name], reflectance_conversion(gps_to_utc(self.strip.date))
        sun = np.cos(np.radians(sun_position(self.strip.date, lon, lat)[0]))
        light = (brightness(on_ellipsoid(lon, lat)) - 100) / of.gain
        return (
            decode(self.layers(name)[0][::EVERY, ::EVERY].copy())
            / (np.pi * light / (of.solar_irradiance * distance * sun))
            - 1
        )


def _images(nodes: Any, name: str, lines: int) -> NDArray[np.uint16]:
    """Return the counts (line, column) of a detector above the sea."""
    b = band(name)
    table = on_ellipsoid(*nodes.ground(0.0))
    for axis, at in (
        (1, np.arange(lines) / nodes.line[1]),
        (2, (b.binning * np.arange(b.columns) + (b.binning - 1) / 2) / nodes.column[1]),
    ):
        i = np.clip(at.astype(int), 0, table.shape[axis] - 2)
        share = np.expand_dims(at - i, (0, 3 - axis))
        table = np.take(table, i, axis) * (1 - share) + np.take(table, i + 1, axis) * share
    return np.round(brightness(table)).astype(np.uint16)


def write_strip(
    root: Path,
    date: str,
    lon: float,
    lat: float,
    *,
    detectors: Sequence[int] = (5, 6, 7, 8),
    bands: Sequence[str] = ("B01", "B09"),
    scenes: int = 4,
    lost: Sequence[Lost] = (),
    land: Callable[[Path], object] | None = None,
) -> Strip:
    """Write the auxiliary folder, an L0 store without packets and the L1B store of a datastrip.

    Parameters
    ----------
    root : Path
    date : str
        UTC, in the middle of the images.
    lon, lat : float
        Below the satellite then [degree].
    detectors, bands, scenes
    lost : sequence of (int, int)
        Granules that are not there.
    land : callable, optional
        Fills the folder of the elevation model; default: there is nothing but sea.
    """
    middle, names = utc_to_gps(date), tuple(bands)
    length = round(scenes * SCENE_SECONDS * NANO)
    first, platform = middle - length // 2, synthetic_platform(middle, length / NANO, lon, lat, 1, 0.0)
    directions, spacecraft = {name: focal_plane(name) for name in names}, spacecraft_model()
    aux = root / "aux"
    for kind in ("gipp", "dem", "geoid", "iers"):
        (aux / kind).mkdir(parents=True)
    write_geometric(aux / "gipp", UNIT, directions.values(), spacecraft)
    (aux / "gipp" / gipp_name(UNIT, "R2ABCA")).write_text(write_r2abca(absolute_calibration(UNIT)), "utf-8")
    bulletin(aux / "iers" / "bulletina.txt", middle)
    (land or (lambda folder: (folder / "SEA").touch()))(aux / "dem")
    told = platform.reported
    sizes = (len(told.position_time), len(told.attitude_time))
    attrs = {
        "level": "L0", "unit": UNIT, "detectors": list(detectors), "bands": list(names), "scenes": scenes,
        "codec": "raw12", "line_period": LINE_PERIOD, "aux": str(aux), "baseline": "05.11",
        "datatake_id": f"GS2A_{compact(gps_to_utc(first))}_026904_N05.11", "absolute_orbit": 26904,
        "relative_orbit": 23, "sensing_start_gps": first, "sensing_stop_gps": first + length,
    }  # fmt: skip
    l0, l1b = str(root / "l0.zarr"), str(root / "l1b.zarr")
    create(l0, conditions(len(detectors), len(names), *sizes), {"s2dask": attrs})
    write_whole(l0, "conditions/ephemeris/gps_time", told.position_time)
    write_whole(l0, "conditions/ephemeris/position", told.position)
    write_whole(l0, "conditions/attitude/gps_time", told.attitude_time)
    write_whole(l0, "conditions/attitude/quaternion", told.quaternion)
    write_whole(l0, "conditions/datation/first_line_date", np.full((len(detectors), len(names)), first))
    create(l1b, schema.l1b(detectors, names, scenes, *sizes), {"s2dask": attrs})
    for name in names:
        per, sight = band(name).lines_per_scene, directions[name]
        for d in detectors:
            nodes = trace(platform, sights(sight, spacecraft, d), name, first, scenes * per)
            counts = _images(nodes, name, scenes * per)
            quality = np.full(counts.shape, d << 8, np.uint16)
            for scene in (scene for detector, scene in lost if detector == d):
                gone = slice(scene * per, (scene + 1) * per)
                counts[gone], quality[gone] = 0, d << 8 | NODATA | MSI_LOST
            for path, values in ((schema.image_path(d, name), counts), (schema.mask_path(d, name), quality)):
                write_block(l1b, {path: values}, {path: (0, 0)})
    return Strip(root, l0, l1b, str(aux), middle, names, (lon, lat))
