"""What the processors should find, kept as a Zarr store that they never read."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.interpolate import LinearNDInterpolator

from s2dask.instrument import BANDS
from s2dask.io.storage import zarr_store
from s2dask.simulate.imaging import Camera, Fields, Nodes, geoid_height, shadow_shift
from s2dask.simulate.landscape import CLOUD_HEIGHT, METRES_PER_DEGREE, SHADE, sample
from s2dask.simulate.sky import at_sensor, direct_light, forward, sun_position
from s2dask.simulate.spectra import cloud_reflectance

Array = NDArray[np.float64]
SAMPLE: Final = 60
"""Spacing of the pixels that are kept of every image of the window [m]."""
LINE_STEP, COLUMN_STEP = 8, 4
"""Lines and columns of the L1B images of which the radiance is kept."""
RAY_STEP: Final = 4
"""Nodes of the traced rays of which one is kept, along and across."""
MATCH_BAND: Final = "B04"
"""Band whose whole image is kept, to match against."""


class TruthStore:
    """Writes the truth of a session.

    Parameters
    ----------
    url : str
    camera : Camera
    crs : str
    window : (x0, y0, width, height)
        Upper left corner and extent [m].
    detectors : tuple of int
    attrs : mapping
        Root attributes.
    """

    def __init__(
        self, url: str, camera: Camera, crs: str, window: tuple[int, int, int, int], detectors: tuple[int, ...],
        attrs: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._root = zarr.open_group(zarr_store(url), mode="w", zarr_format=3)
        self._root.attrs.update({**attrs, "crs": crs, "window": list(window), "detectors": list(detectors)})
        self._camera, self._crs, self._window, self._detectors = camera, crs, window, detectors
        self._points = {r: self._locate(r, SAMPLE // r) for r in (10, 20, 60)}
        for r, (lon, lat, height) in self._points.items():
            land = self._nearest_class(lon, lat)
            self._save(f"window/r{r}m/class", land, "uint8")
            self._save(f"window/r{r}m/height", height, "float32")
            self._save(f"window/r{r}m/shadow", self._shadow(lon, lat, height), "float32")

    def _locate(self, resolution: int, step: int) -> tuple[Array, Array, Array]:
        """Return longitude, latitude and height of every `step`-th pixel centre of the window."""
        x0, y0, width, height = self._window
        x = x0 + resolution * (np.arange(0, width // resolution, step) + 0.5)
        y = y0 - resolution * (np.arange(0, height // resolution, step) + 0.5)
        to_geographic = Transformer.from_crs(self._crs, "EPSG:4326", always_xy=True)
        lon, lat = (np.asarray(v) for v in to_geographic.transform(*np.meshgrid(x, y)))
        ground = self._camera.landscape
        heights = sample(ground.heights, ground.relief.frame(), lon, lat)
        return lon, lat, heights + geoid_height(lon, lat, self._camera.centre)

    def _nearest_class(self, lon: Array, lat: Array) -> NDArray[np.uint8]:
        s = self._camera.landscape.surface
        row = np.clip(np.rint((s.north - lat) / s.dlat).astype(int), 0, s.rows - 1)
        column = np.clip(np.rint((lon - s.west) / s.dlon).astype(int), 0, s.columns - 1)
        classes: NDArray[np.uint8] = self._camera.landscape.classes[row, column]
        return classes

    def _opacity(self, lon: Array, lat: Array) -> Array:
        return sample(self._camera.landscape.cloud, self._camera.landscape.surface.frame(), lon, lat) / 255.0

    def _shadow(self, lon: Array, lat: Array, height: Array) -> Array:
        shift = shadow_shift(sun_position(self._camera.date, lon, lat), lat)
        return self._opacity(lon + (CLOUD_HEIGHT - height) * shift[0], lat + (CLOUD_HEIGHT - height) * shift[1])

    def _save(self, path: str, values: NDArray[Any], dtype: str) -> None:
        array = self._root.create_array(path, shape=values.shape, dtype=dtype, chunks=values.shape)
        array[...] = values.astype(dtype)

    def save_band(self, band: str, nodes: Mapping[int, Nodes], fields: Fields) -> None:
        """Save surface and top-of-atmosphere reflectance of the window in one band, as each detector sees it."""
        lon, lat, height = self._points[BANDS[band].resolution]
        self._save(f"boa/{band.lower()}", self._camera.surface(band, lon, lat), "float32")
        if band == MATCH_BAND:
            places = self._locate(BANDS[band].resolution, 1)
            self._save("match/image", sample(fields.lit, fields.lit_frame, *places[:2]), "float32")
            self._save("match/height", places[2], "float32")
        lit = sample(fields.lit, fields.lit_frame, lon, lat) * (1 - SHADE * self._shadow(lon, lat, height))
        around = sample(fields.around, fields.around_frame, lon, lat)
        toa, cloud = [], []
        for detector in self._detectors:
            seen, cover = self._seen(band, nodes[detector], (lit, around), lon, lat, height)
            toa.append(seen)
            cloud.append(cover)
        self._save(f"toa/{band.lower()}", np.stack(toa), "float32")
        self._save(f"cloud/{band.lower()}", np.stack(cloud), "float32")

    def _seen(
        self, band: str, nodes: Nodes, ground: tuple[Array, Array], lon: Array, lat: Array, height: Array
    ) -> tuple[Array, Array]:
        node_lon, node_lat = nodes.ground(0.0)
        slope = np.tan(np.radians(nodes.view[0]))
        parts = np.stack([slope * np.sin(np.radians(nodes.view[1])), slope * np.cos(np.radians(nodes.view[1]))], -1)
        nearest = LinearNDInterpolator(np.stack([node_lon.ravel(), node_lat.ravel()], -1), parts.reshape(-1, 2))
        east, north = np.moveaxis(nearest(lon, lat), -1, 0)
        view = np.degrees(np.arctan(np.hypot(east, north))), np.degrees(np.arctan2(east, north)) % 360.0
        rise = (CLOUD_HEIGHT - height) / METRES_PER_DEGREE
        cover = self._opacity(
            lon + np.nan_to_num(east) * rise / np.cos(np.radians(lat)), lat + np.nan_to_num(north) * rise
        )
        options, seen, out = self._camera.options, np.isfinite(east), np.full(lon.shape, np.nan)
        sun = sun_position(self._camera.date, lon[seen], lat[seen])
        sight, lit, around, above = (view[0][seen], view[1][seen]), ground[0][seen], ground[1][seen], height[seen]
        share = direct_light(options, band, sun[0], sight[0], above)[2]
        surroundings = (share, around) if options.surroundings else None
        clear = at_sensor(forward(options, band, sun, sight, above), lit, surroundings)
        top = forward(options, band, sun, sight, np.asarray(CLOUD_HEIGHT))
        out[seen] = clear + cover[seen] * (at_sensor(top, np.asarray(cloud_reflectance(band))) - clear)
        return out, cover

    def save_attitude(self, gps: NDArray[np.int64], quaternion: Array) -> None:
        """Save the true attitude (sample, 4), body to EME2000, scalar last, at GPS dates [ns]."""
        self._save("attitude/gps_time", gps, "int64")
        self._save("attitude/quaternion", quaternion, "float64")

    def save_rays(self, band: str, detector: int, nodes: Nodes) -> None:
        """Save where rays of an image meet the ground: polynomials of the height, longitude and then latitude."""
        where, cut = f"rays/d{detector:02d}/{band.lower()}", (slice(None, None, RAY_STEP),) * 2
        columns = (nodes.column[::RAY_STEP] - (BANDS[band].binning - 1) / 2) / BANDS[band].binning
        self._save(f"{where}/line", nodes.line[::RAY_STEP], "float64")
        self._save(f"{where}/column", columns, "float64")
        self._save(f"{where}/path", nodes.path[(slice(None), *cut)], "float64")

    def save_radiance(self, band: str, detector: int, radiance: NDArray[np.float32]) -> None:
        """Save every eighth line and fourth column of the radiance of an L1B image [W m-2 sr-1 um-1]."""
        b = BANDS[band]
        lines = radiance[::LINE_STEP, : b.columns * b.binning]
        image = lines.reshape(lines.shape[0], b.columns, b.binning).mean(2)
        self._save(f"radiance/d{detector:02d}/{band.lower()}", image[:, ::COLUMN_STEP], "float32")
