"""A tile of a datastrip, computed where it is looked at, from the functions that production runs."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, Final, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, band
from s2dask.io.grids import TileGrid
from s2dask.io.strips import ImageSource, StripSource
from s2dask.l1c.reflectance import decode
from s2dask.l1c.stage import OrthoBand, OrthoParameters, block_pixels, ortho_images, prepare_tile
from s2dask.production.blocks import Blocking, default_blocking
from s2dask.production.ortho import ortho_parameters, strip_lines, tile_attributes
from s2dask.production.setting import Replaced, Setting, open_setting
from s2dask.production.source import OnDemandSource
from s2dask.production.strip import strip_facts

Layer = Literal["reflectance", "counts", "quality", "footprint"]
LAYERS: Final = {"reflectance": "float32", "counts": "float32", "quality": "uint8", "footprint": "uint8"}
"""What an orthoimage has, and its type."""
KEPT_BYTES: Final = 300_000_000
"""Orthoimages that a worker keeps of a tile."""


@dataclass
class _Bench:
    """What a worker keeps of a tile: everything opened, and the windows made last."""

    source: ImageSource
    setting: Setting
    parameters: OrthoParameters
    attrs: dict[str, Any]
    sun: NDArray[np.float64]
    images: "OrderedDict[tuple[Any, ...], OrthoBand]" = field(default_factory=OrderedDict)
    lock: Any = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class SceneTile:
    """A tile of a datastrip that serves as `s2dask.io.tiles.TileReader`, nothing written.

    Attributes
    ----------
    l0 : str
        L0 store.
    aux : str or None
        Folder of auxiliary files; default: the one named in the store.
    grid : TileGrid
    l1b : str or None
        L1B store; without one, L1B too is made on demand.
    raw : str or None
        L1A store that L1B is then made of; without one, it is made of the packets.
    replaced : Replaced
        GIPPs in the place of those of the folder.
    """

    l0: str
    aux: str | None
    grid: TileGrid
    l1b: str | None = None
    raw: str | None = None
    replaced: Replaced = ()

    @property
    def attrs(self) -> dict[str, Any]:
        """The facts of the tile."""
        return _bench(self).attrs

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands of the datastrip."""
        return strip_facts(self.l0).bands

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors of the datastrip."""
        return strip_facts(self.l0).detectors

    def image(self, name: str, rows: slice, columns: slice) -> OrthoBand:
        """Return a window of the orthoimage of a band; the windows made last are kept."""
        bench, key = _bench(self), (name, rows.start, rows.stop, columns.start, columns.stop)
        with bench.lock:
            if key in bench.images:
                bench.images.move_to_end(key)
                return bench.images[key]
        pixels = block_pixels(band(name).resolution, rows, columns)
        ((_, made),) = ortho_images(
            self.grid, pixels, (name,), bench.source, bench.setting.model, bench.setting.terrain, bench.parameters
        )
        with bench.lock:
            bench.images[key] = made
            while sum(_size(image) for image in bench.images.values()) > KEPT_BYTES and len(bench.images) > 1:
                bench.images.popitem(last=False)
        return made

    def reflectance(self, name: str, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return (y, x) float32 top-of-atmosphere reflectance, NaN without data."""
        return decode(self.image(name, rows, columns).reflectance)

    def coded(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint16]:
        """Return (y, x) uint16 top-of-atmosphere reflectance as the product codes it [DN], 0 for no data."""
        return self.image(name, rows, columns).reflectance

    def counts(self, name: str, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return (y, x) float32 resampled L1B counts [DN]."""
        return self.image(name, rows, columns).counts

    def quality(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return (y, x) uint8 MSK_QUALIT bits."""
        return self.image(name, rows, columns).quality

    def footprint(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return (y, x) uint8 detector numbers, 0 for none."""
        return self.image(name, rows, columns).footprint

    def sun_angles(self) -> NDArray[np.float64]:
        """Return (zenith and azimuth, y, x) float64 [deg] at the 5 km nodes."""
        return _bench(self).sun

    def view_angles(self, name: str) -> NDArray[np.float64]:
        """Return (detector, zenith and azimuth, y, x) float64 [deg] at the 5 km nodes, NaN where unseen."""
        views: NDArray[np.float64] = _views(self)[BANDS[name].index]
        return views

    def meteo(self) -> str | None:
        """Return the weather file of the datastrip's auxiliary data."""
        return _bench(self).setting.meteo


def _size(image: OrthoBand) -> int:
    return sum(a.nbytes for a in (image.counts, image.reflectance, image.quality, image.footprint))


@lru_cache(maxsize=4)
def _bench(tile: SceneTile) -> _Bench:
    facts, setting = strip_facts(tile.l0), open_setting(tile.l0, tile.aux, tile.replaced)
    lines = strip_lines(facts)
    geometry = prepare_tile(setting.model, setting.terrain, tile.grid, lines, facts.detectors, views=False)
    attrs = tile_attributes(facts, setting, tile.grid, geometry)
    parameters = ortho_parameters(attrs, lines, geometry.box, geometry.heights, geometry.sun[0])
    source: ImageSource = (
        OnDemandSource(tile.raw or tile.l0, setting.gipps) if tile.l1b is None else StripSource(tile.l1b)
    )
    return _Bench(source, setting, parameters, attrs, geometry.sun)


@lru_cache(maxsize=4)
def _views(tile: SceneTile) -> NDArray[np.float64]:
    facts, setting = strip_facts(tile.l0), open_setting(tile.l0, tile.aux, tile.replaced)
    return prepare_tile(setting.model, setting.terrain, tile.grid, strip_lines(facts), facts.detectors).view


def _chunk(tile: SceneTile, name: str, what: Layer, block_info: Any = None) -> np.ndarray:
    rows, columns = (slice(a, b) for a, b in block_info[None]["array-location"])
    values: np.ndarray = getattr(tile, what)(name, rows, columns)
    return values


def tile_array(
    tile: SceneTile, name: str, blocking: Blocking | None = None, what: Layer = "reflectance"
) -> xr.DataArray:
    """Return an orthoimage of a band, lazily.

    Parameters
    ----------
    tile : SceneTile
    name : str
        Band.
    blocking : Blocking, optional
    what : {"reflectance", "counts", "quality", "footprint"}
        Reflectance with NaN for no data; resampled L1B counts; MSK_QUALIT bits; detector numbers.

    Returns
    -------
    (y, x), one chunk per block
    """
    if name not in tile.bands or what not in LAYERS:
        raise ConfigurationError(f"no {what} of {name}", tile.l0, f"bands {tile.bands}, layers {tuple(LAYERS)}")
    grid, r = tile.grid, band(name).resolution
    shape, step = grid.shape(r), (blocking or default_blocking(grid)).edge // r
    chunks = tuple(tuple(min(step, n - a) for a in range(0, n, step)) for n in shape)
    dtype = np.dtype(LAYERS[what])
    image = da.map_blocks(
        _chunk, tile, name, what, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype),
        name=f"GEN_ORTHO_TOA-{name}-T{grid.tile_id}-{tokenize(tile, name, what, chunks)}",
    )  # fmt: skip
    x, y = (grid.x0 + r * (np.arange(shape[1]) + 0.5), grid.y0 - r * (np.arange(shape[0]) + 0.5))
    attrs = {"crs": grid.crs, "long_name": f"TOA {what} of {name}" if what == "reflectance" else f"{what} of {name}"}
    return xr.DataArray(image, {"y": y, "x": x}, ("y", "x"), name.lower(), attrs)


def tile_tree(tile: SceneTile, bands: Sequence[str] | None = None, blocking: Blocking | None = None) -> xr.DataTree:
    """Return the reflectance of several bands lazily, in one group per resolution: ``r10m``, ``r20m``, ``r60m``."""
    groups: dict[str, dict[str, xr.DataArray]] = {}
    for name in bands or tile.bands:
        group = groups.setdefault(f"/r{band(name).resolution}m", {})
        group[name.lower()] = tile_array(tile, name, blocking)
    return xr.DataTree.from_dict({path: xr.Dataset(arrays) for path, arrays in groups.items()})
