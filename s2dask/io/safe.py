"""Reading of L1C SAFE products, folders and zips, of any baseline since the compact names of December 2016.

The images are read window by window; reflectance is decoded with the product's own quantification and offset.
"""

import weakref
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from rasterio.errors import RasterioError

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import FLAGS
from s2dask.io import safe_masks
from s2dask.io.grids import TileGrid
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_metadata import SafeMetadata, read_metadata
from s2dask.io.schema_tile import (
    ANGLE_STEP,
    CHUNK,
    CLASSI_FLAGS,
    footprint_path,
    quality_path,
    reflectance_path,
)


def _decimation(archive: SafeArchive, metadata: SafeMetadata) -> int:
    """Return the size of an image pixel over the resolution of its band, from the image itself."""
    name, path = next(iter(sorted(metadata.images.items(), key=lambda item: band(item[0]).resolution)))
    remedy = "the image is damaged: fetch the product again"
    try:
        with rasterio.open(archive.raster(path), driver="JP2OpenJPEG") as source:
            shape, pixel = source.shape, abs(source.transform.a)
    except RasterioError as error:
        raise InputError(f"the image cannot be read ({error})", archive.describe(path), remedy) from error
    resolution = band(name).resolution
    expected = (-(-metadata.rows * 10 // resolution), -(-metadata.columns * 10 // resolution))
    if shape == expected:
        return 1
    ratio = float(pixel) / resolution
    if ratio < 2 or ratio != round(ratio) or shape != tuple(-(-n // round(ratio)) for n in expected):
        raise InputError(f"the image has {shape} pixels, the metadata say {expected}", archive.describe(path), remedy)
    return round(ratio)


@lru_cache(maxsize=8)
def _opened(path: str, _modified: int, level: str) -> tuple[SafeArchive, SafeMetadata, TileGrid]:
    archive = SafeArchive.open(path)
    metadata = read_metadata(archive, level)
    a = metadata.attrs
    grid = TileGrid(a["tile_id"], a["crs"], a["x0"], a["y0"], a["width"], a["height"], _decimation(archive, metadata))
    return archive, metadata, grid


def safe_grid(path: str | Path) -> TileGrid:
    """Return the grid of an L1C SAFE, decimation included.

    Parameters
    ----------
    path : str or Path
        ``.SAFE`` folder, or a zip that holds one.
    """
    return _open(path)[2]


def _open(path: str | Path, level: str = "L1C") -> tuple[SafeArchive, SafeMetadata, TileGrid]:
    where = Path(str(path).removeprefix("file://")).absolute()
    if not where.exists():
        raise InputMissing("no such product", str(where), "check the path")
    return _opened(str(where), where.stat().st_mtime_ns, level)


class SafeTile:
    """An L1C SAFE behind the reader interface of the tile levels; cheap to pickle, opened again where it lands.

    Attributes
    ----------
    grid : TileGrid
    attrs : dict
        The keys of the root attribute ``s2dask`` of a tile store, as far as the product states them.
    bands : tuple of str
    detectors : tuple of int
        Those that the viewing angles name, in the order of the detector axis.
    """

    level: ClassVar[str] = "L1C"

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._archive, self._metadata, self.grid = _open(path, self.level)
        self.attrs: dict[str, Any] = {**self._metadata.attrs, "decimation": self.grid.decimation}
        self.bands: tuple[str, ...] = tuple(self._metadata.images)
        self.detectors: tuple[int, ...] = tuple(self.attrs["detectors"])
        self._auxiliary: dict[str, str] = {}

    def __reduce__(self) -> tuple[type["SafeTile"], tuple[str]]:
        return type(self), (self.path,)

    @property
    def mask_bands(self) -> tuple[str, ...]:
        """Bands that have masks: at L2A also one that is not delivered itself."""
        return tuple(b for b in BANDS if b in self.bands or any(f"_{b}." in name for name in self._metadata.masks))

    def _window(self, resolution: int, rows: slice, columns: slice) -> tuple[slice, slice]:
        shape = self.grid.shape(resolution)
        first, second = (slice(*s.indices(n)[:2]) for s, n in zip((rows, columns), shape, strict=True))
        return first, second

    def _image(self, name: str) -> str:
        try:
            return self._metadata.images[name]
        except KeyError:
            raise InputError(f"has no band {name}", self.path, f"it has {', '.join(self.bands)}") from None

    def counts(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the coded reflectance of a window, (y, x) uint16 [1], 0 where there is no data."""
        resolution = band(name).resolution
        window = self._window(resolution, rows, columns)
        layers = safe_masks.read_window(self._archive, self._image(name), self.grid.shape(resolution), *window)
        return np.asarray(layers[0])

    def reflectance(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the reflectance of a window, (y, x) float32 [1], NaN where there is no data."""
        counts = self.counts(name, rows, columns)
        offset = np.float32(self.attrs["radio_add_offsets"][name])
        scale = np.float32(self.attrs["quantification"])
        return np.where(counts == 0, np.float32(np.nan), (counts.astype(np.float32) + offset) / scale)

    def quality(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the MSK_QUALIT bits of a window, (y, x) uint8."""
        resolution = band(name).resolution
        window = self._window(resolution, rows, columns)
        return safe_masks.quality_mask(self._archive, name, self.grid, resolution, *window)

    def footprint(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the detector of each pixel of a window, (y, x) uint8, 0 where none is known."""
        resolution = band(name).resolution
        window = self._window(resolution, rows, columns)
        return safe_masks.footprint_mask(self._archive, name, self.grid, resolution, *window)

    def classification(self, rows: slice, columns: slice) -> np.ndarray:
        """Return the MSK_CLASSI bits of a window at 60 m, (y, x) uint8."""
        return safe_masks.classification_mask(self._archive, self.grid, *self._window(60, rows, columns))

    def sun_angles(self) -> np.ndarray:
        """Return solar zenith and azimuth, (angle, y, x) float64 [deg], nodes every 5 km from the upper left."""
        return self._metadata.sun

    def view_angles(self, name: str) -> np.ndarray:
        """Return viewing zenith and azimuth, (detector, angle, y, x) float64 [deg], NaN where unseen."""
        shape = self._metadata.sun.shape
        empty = np.full(shape, np.nan)
        return np.stack([self._metadata.views.get((name, detector), empty) for detector in self.detectors])

    def mean_view_angles(self, name: str) -> tuple[float, float]:
        """Return the mean viewing zenith and azimuth of a band [deg], NaN when the product does not state it."""
        return self._metadata.mean_views.get(name, (float("nan"), float("nan")))

    def meteo(self) -> str | None:
        """Return the path of the ECMWF GRIB of the product, or None.

        That of a zip is a temporary copy, which goes away with this object.
        """
        return self._auxiliary_file("AUX_ECMWFT")

    def cams(self) -> str | None:
        """Return the path of the CAMS GRIB of the product, or None; that of a zip goes away with this object."""
        return self._auxiliary_file("AUX_CAMSFO")

    def _auxiliary_file(self, kind: str) -> str | None:
        if kind not in self._auxiliary:
            found = self._archive.matching([f"GRANULE/*/AUX_DATA/*{kind}*", f"AUX_DATA/*{kind}*"])
            if not found:
                return None
            self._auxiliary[kind] = str(self._archive.extract(found[0]))
            if self._archive.root:
                weakref.finalize(self, _discard, self._auxiliary[kind])
        return self._auxiliary[kind]


def _discard(path: str) -> None:
    Path(path).unlink(missing_ok=True)


class LazyImage:
    """An image that is read when sliced, for `dask.array.from_array`."""

    ndim = 2

    def __init__(self, read: Callable[[slice, slice], np.ndarray], shape: tuple[int, int], dtype: str) -> None:
        self._read, self.shape, self.dtype = read, shape, np.dtype(dtype)

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        return self._read(*window)


class _BandReader:
    """A method of a tile bound to a band; pickles with the tile's path."""

    def __init__(self, tile: SafeTile, method: str, name: str | None) -> None:
        self.tile, self.method, self.name = tile, method, name

    def __call__(self, rows: slice, columns: slice) -> np.ndarray:
        arguments = (rows, columns) if self.name is None else (self.name, rows, columns)
        return np.asarray(getattr(self.tile, self.method)(*arguments))


def lazy_variable(
    tile: SafeTile, method: str, name: str | None, resolution: int, dtype: str, **attrs: Any
) -> xr.DataArray:
    """Return an image that a method of a tile reads, lazily, (y, x)."""
    shape = tile.grid.shape(resolution)
    lazy = LazyImage(_BandReader(tile, method, name), shape, dtype)
    chunk = CHUNK[resolution]
    token = f"safe-{method}-{name or 'B00'}-{tile.attrs['name']}-{zlib.crc32(tile.path.encode()):08x}"
    values = da.from_array(
        lazy, chunks=(min(chunk, shape[0]), min(chunk, shape[1])), name=token, meta=np.empty((0, 0), dtype)
    )
    return xr.DataArray(values, dims=("y", "x"), attrs={"grid_mapping": "spatial_ref", **attrs})


def mask_variables(tile: SafeTile) -> dict[str, xr.DataArray]:
    """Return the masks per band and the classes of a tile, by path, lazily."""
    flags = {"flag_masks": [bit for _, bit in FLAGS], "flag_meanings": " ".join(text for text, _ in FLAGS)}
    out: dict[str, xr.DataArray] = {}
    for name in tile.mask_bands:
        r = band(name).resolution
        out[quality_path(r, name)] = lazy_variable(
            tile, "quality", name, r, "uint8", long_name=f"MSK_QUALIT of band {name}", units="1", **flags
        )
        out[footprint_path(r, name)] = lazy_variable(
            tile, "footprint", name, r, "uint8", long_name=f"detector footprint of band {name}, 0 = none", units="1"
        )
    out["conditions/mask/l1c_classification/r60m/b00"] = lazy_variable(
        tile,
        "classification",
        None,
        60,
        "uint8",
        long_name="MSK_CLASSI",
        units="1",
        flag_masks=[bit for _, bit in CLASSI_FLAGS],
        flag_meanings=" ".join(text for text, _ in CLASSI_FLAGS),
    )
    return out


def _images(tile: SafeTile) -> dict[str, xr.DataArray]:
    out: dict[str, xr.DataArray] = {}
    for name in tile.bands:
        r = band(name).resolution
        text = f"TOA reflectance from MSI acquisition at spectral band {name.lower()}"
        out[reflectance_path(r, name)] = lazy_variable(
            tile, "reflectance", name, r, "float32", long_name=text, units="1"
        )
    return out | mask_variables(tile)


def _coordinates(grid: TileGrid, resolution: int) -> dict[str, Any]:
    from rasterio.crs import CRS

    rows, columns = grid.shape(resolution)
    pixel = grid.pixel(resolution)
    wkt = CRS.from_epsg(grid.epsg).to_wkt()
    return {
        "x": ("x", grid.x0 + pixel * (np.arange(columns) + 0.5), {"units": "m", "axis": "X"}),
        "y": ("y", grid.y0 - pixel * (np.arange(rows) + 0.5), {"units": "m", "axis": "Y"}),
        "spatial_ref": ((), np.int64(0), {"crs_wkt": wkt, "grid_mapping_name": "transverse_mercator"}),
    }


def _geometry(tile: SafeTile) -> xr.Dataset:
    sun = tile.sun_angles()
    views = np.full((len(BANDS), len(tile.detectors), *sun.shape), np.nan)
    means = np.full((len(BANDS), 2), np.nan)
    for name in BANDS:
        views[band(name).index] = tile.view_angles(name)
        means[band(name).index] = tile.mean_view_angles(name)
    degree = {"units": "degree"}
    step = [ANGLE_STEP * np.arange(n) for n in sun.shape[1:]]
    return xr.Dataset(
        {
            "sun_angles": (("angle", "y", "x"), sun, degree),
            "viewing_incidence_angles": (("band", "detector", "angle", "y", "x"), views, degree),
            "mean_sun_angles": ("angle", [tile.attrs["solar_zenith"], tile.attrs["solar_azimuth"]], degree),
            "mean_viewing_incidence_angles": (("band", "angle"), means, degree),
        },
        coords={
            "band": np.arange(len(BANDS)),
            "detector": np.array(tile.detectors, np.int64),
            "y": tile.grid.y0 - step[0],
            "x": tile.grid.x0 + step[1],
        },
    )


def open_safe(path: str | Path) -> xr.DataTree:
    """Open an L1C SAFE lazily, in the layout of our own L1C stores, reflectance decoded to float.

    Parameters
    ----------
    path : str or Path
        ``.SAFE`` folder, or a zip that holds one.

    Returns
    -------
    xarray.DataTree
        ``measurements/reflectance/r10m/b02`` (y, x) float32 [1], NaN where there is no data; masks, footprints,
        angles and attributes beside it. Nothing is read but the metadata.
    """
    tile = SafeTile(path)
    return assemble(tile, _images(tile))


def assemble(tile: SafeTile, images: dict[str, xr.DataArray]) -> xr.DataTree:
    """Return the tree of a tile: images by path, with coordinates, angles and attributes."""
    groups: dict[str, dict[str, xr.DataArray]] = {}
    for where, variable in images.items():
        group, name = where.rsplit("/", 1)
        groups.setdefault(group, {})[name] = variable
    tree: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs={"s2dask": tile.attrs})}
    for group, variables in groups.items():
        resolution = int(group.rsplit("/", 1)[-1].removeprefix("r").removesuffix("m"))
        tree[group] = xr.Dataset(variables, coords=_coordinates(tile.grid, resolution))
    tree["conditions/geometry"] = _geometry(tile)
    return xr.DataTree.from_dict(tree)
