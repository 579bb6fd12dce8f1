"""Orthoimages of a datastrip on any grid, made where they are looked at, from the functions that production runs."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Lock
from typing import Any, Final, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray
from rasterio.transform import Affine

from s2dask.errors import ConfigurationError
from s2dask.instrument import band
from s2dask.io.grids import MapGrid, TileGrid
from s2dask.io.strips import ImageSource, StripSource
from s2dask.l1c.location import Pixels
from s2dask.l1c.reflectance import decode
from s2dask.l1c.stage import (
    OrthoBand,
    OrthoParameters,
    block_pixels,
    map_pixels,
    ortho_images,
    prepare_tile,
    tile_frame,
)
from s2dask.production.ortho import ortho_parameters, sensing_attributes, strip_lines, tile_attributes
from s2dask.production.resampling import USUAL, Resampling
from s2dask.production.setting import Replaced, Setting, open_setting
from s2dask.production.source import OnDemandSource
from s2dask.production.strip import strip_facts

Layer = Literal["reflectance", "counts", "quality", "footprint", "noise_gain"]
LAYERS: Final = {
    "reflectance": "float32", "counts": "float32", "quality": "uint8", "footprint": "uint8", "noise_gain": "float32",
}  # fmt: skip
"""What an orthoimage has, and its type."""
KEPT_BYTES: Final = 300_000_000
"""Orthoimages that a worker keeps of a grid."""
CHUNK: Final = 1024
"""Edge of a chunk of a map grid [px]."""
MOST_NODES: Final = 4_000_000
"""Of the inverse grids of a map grid: 480 km x 480 km."""


@dataclass
class Bench:
    """What a worker keeps of a grid: everything opened, and the windows made last."""

    source: ImageSource
    setting: Setting
    parameters: OrthoParameters
    attrs: dict[str, Any]
    sun: NDArray[np.float64]
    images: "OrderedDict[tuple[Any, ...], OrthoBand]" = field(default_factory=OrderedDict)
    lock: Any = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class SceneGrid:
    """A grid over a datastrip, nothing written.

    Attributes
    ----------
    l0 : str
        L0 store.
    aux : str or None
        Folder of auxiliary files; default: the one named in the store.
    grid : TileGrid or MapGrid
    l1b : str or None
        L1B store; without one, L1B too is made on demand.
    raw : str or None
        L1A store that L1B is then made of; without one, it is made of the packets.
    replaced : Replaced
        GIPPs in the place of those of the folder.
    how : Resampling
    """

    l0: str
    aux: str | None
    grid: TileGrid | MapGrid
    l1b: str | None = None
    raw: str | None = None
    replaced: Replaced = ()
    how: Resampling = USUAL

    @property
    def attrs(self) -> dict[str, Any]:
        """The facts of the images."""
        return bench(self).attrs

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands of the datastrip."""
        return strip_facts(self.l0).bands

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors of the datastrip."""
        return strip_facts(self.l0).detectors

    def _pixels(self, name: str, rows: slice, columns: slice) -> Pixels:
        if isinstance(self.grid, MapGrid):
            return map_pixels(self.grid, rows, columns)
        return block_pixels(band(name).resolution, rows, columns)

    def image(self, name: str, rows: slice, columns: slice) -> OrthoBand:
        """Return a window of the orthoimage of a band; the windows made last are kept."""
        kept, key = bench(self), (name, rows.start, rows.stop, columns.start, columns.stop)
        with kept.lock:
            if key in kept.images:
                kept.images.move_to_end(key)
                return kept.images[key]
        ((_, made),) = ortho_images(
            self.grid, self._pixels(name, rows, columns), (name,), kept.source, kept.setting.model,
            kept.setting.terrain, kept.parameters,
        )  # fmt: skip
        with kept.lock:
            kept.images[key] = made
            while sum(_size(image) for image in kept.images.values()) > KEPT_BYTES and len(kept.images) > 1:
                kept.images.popitem(last=False)
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

    def noise_gain(self, name: str, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return (y, x) float32 variance of a pixel over that of the counts around it, NaN where nobody looks."""
        gain = self.image(name, rows, columns).noise_gain
        if gain is None:
            raise ConfigurationError("no noise gain was asked for", name, "give Resampling(noise_gain=True)")
        return gain


def _size(image: OrthoBand) -> int:
    arrays = (image.counts, image.reflectance, image.quality, image.footprint, image.noise_gain)
    return sum(a.nbytes for a in arrays if a is not None)


def check_extent(grid: MapGrid) -> None:
    """Refuse a map grid that no datastrip fills and no worker holds."""
    frame = tile_frame(grid)
    nodes = (frame.width / frame.node) * (frame.height / frame.node)
    if nodes > MOST_NODES:
        raise ConfigurationError(
            f"{grid.rows} x {grid.columns} pixels: {nodes:.3g} nodes of its inverse grid", f"grid {grid.name}",
            f"cut it into parts of at most {MOST_NODES:.0e} nodes, 480 km x 480 km",
        )  # fmt: skip


@lru_cache(maxsize=4)
def bench(scene: SceneGrid) -> Bench:
    """Open everything that a grid over a datastrip needs, once per worker."""
    facts, setting = strip_facts(scene.l0), open_setting(scene.l0, scene.aux, scene.replaced)
    lines, grid = strip_lines(facts), scene.grid
    if isinstance(grid, MapGrid):
        check_extent(grid)
    geometry = prepare_tile(setting.model, setting.terrain, grid, lines, facts.detectors, views=False)
    if isinstance(grid, MapGrid):
        attrs = sensing_attributes(facts, setting, geometry, scene.how) | {"crs": grid.crs}
    else:
        attrs = tile_attributes(facts, setting, grid, geometry, scene.how)
    parameters = ortho_parameters(attrs, lines, geometry.box, geometry.heights, geometry.sun[0])
    source: ImageSource = (
        OnDemandSource(scene.raw or scene.l0, setting.gipps) if scene.l1b is None else StripSource(scene.l1b)
    )
    return Bench(source, setting, parameters, attrs, geometry.sun)


def _chunk(scene: SceneGrid, name: str, what: Layer, block_info: Any = None) -> np.ndarray:
    rows, columns = (slice(a, b) for a, b in block_info[None]["array-location"])
    values: np.ndarray = getattr(scene, what)(name, rows, columns)
    return values


def _placed(image: xr.DataArray, crs: str, transform: Sequence[float]) -> xr.DataArray:
    """Return an image with the coordinates of its pixel centres and its CRS, as rioxarray expects them."""
    import rioxarray  # noqa: F401 - the accessor

    t, (rows, columns) = Affine(*transform), image.shape
    image = image.assign_coords(y=t.f + t.e * (np.arange(rows) + 0.5), x=t.c + t.a * (np.arange(columns) + 0.5))
    placed: xr.DataArray = image.rio.write_crs(crs).rio.write_transform(t).rio.write_coordinate_system()
    return placed


def grid_array(scene: SceneGrid, name: str, what: Layer = "reflectance", edge: int = CHUNK) -> xr.DataArray:
    """Return an orthoimage of a band, lazily.

    Parameters
    ----------
    scene : SceneGrid
    name : str
        Band.
    what : {"reflectance", "counts", "quality", "footprint", "noise_gain"}
        Reflectance with NaN for no data; resampled L1B counts; MSK_QUALIT bits; detector numbers; what the
        interpolation does to the variance of the counts.
    edge : int
        Of a chunk [px].

    Returns
    -------
    (y, x), with the coordinates x, y and spatial_ref
    """
    if name not in scene.bands or what not in LAYERS:
        raise ConfigurationError(f"no {what} of {name}", scene.l0, f"bands {scene.bands}, layers {tuple(LAYERS)}")
    if what == "noise_gain":
        scene = replace(scene, how=replace(scene.how, noise_gain=True))
    grid = scene.grid
    if isinstance(grid, MapGrid):
        check_extent(grid)
        shape, label, transform = (grid.rows, grid.columns), grid.name, grid.transform
    else:
        r = band(name).resolution
        shape, label, transform = grid.shape(r), f"T{grid.tile_id}", grid.transform(r)
    chunks = tuple(tuple(min(edge, n - a) for a in range(0, n, edge)) for n in shape)
    dtype = np.dtype(LAYERS[what])
    image = da.map_blocks(
        _chunk, scene, name, what, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype),
        name=f"GEN_ORTHO_TOA-{name}-{label}-{tokenize(scene, name, what, chunks)}",
    )  # fmt: skip
    attrs = {"crs": grid.crs, "long_name": f"TOA {what} of {name}" if what == "reflectance" else f"{what} of {name}"}
    return _placed(xr.DataArray(image, dims=("y", "x"), name=name.lower(), attrs=attrs), grid.crs, transform)


def map_dataset(scene: SceneGrid, bands: Sequence[str] | None = None) -> xr.Dataset:
    """Return the reflectance of several bands on one map grid, lazily: ``b02``, ``b05`` … (y, x) float32 [1]."""
    return xr.Dataset({name.lower(): grid_array(scene, name) for name in bands or scene.bands})
