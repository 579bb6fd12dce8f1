"""Level-1C of one tile: its geometry once, then orthoimages block by block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Lock
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.terrain import Terrain, TerrainWindow
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry.angles import sun_angles
from s2dask.geometry.inverse_grid import InverseGrid, locate_nodes
from s2dask.geometry.viewing import ViewingModel
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import NODATA
from s2dask.instrument.uncertainty import CountErrors
from s2dask.io.grids import MapGrid, TileGrid
from s2dask.io.schema import footprint_path, noise_gain_path, quality_path, reflectance_path, toa_uncertainty_path
from s2dask.io.strips import ImageSource
from s2dask.l1c.any_grid import fitted
from s2dask.l1c.footprint import Cut, cell_heights, choose
from s2dask.l1c.location import Pixels, pixel_heights
from s2dask.l1c.mask_indicator import mask_record
from s2dask.l1c.noise_gain import NO_TABLE, gain_table
from s2dask.l1c.piecewise import resample_detector
from s2dask.l1c.reflectance import encode, inverse_cosine, reflectance_record, reflectance_scale
from s2dask.l1c.resampling import DARK_LEVEL, Filter, lines_needed, prepare_image
from s2dask.l1c.scratch import Scratch
from s2dask.l1c.tile_geometry import Box, TileFrame, angle_positions, seen_box, tile_date, viewing_angles
from s2dask.l1c.uncertainty import uncertainty_layers
from s2dask.qc.records import Record

STEPS: Final = (
    Step(
        "TILE_INIT",
        "L1C",
        gipp=("R2ABCA", "TILPAR", "CONVER"),
        summary="geometry of the tile: terrain, sun and view angles; forecasts cut to it",
    ),
    Step(
        "GEN_ORTHO_TOA",
        "L1C",
        gipp=("VIEDIR", "SPAMOD", "RESPAR"),
        summary="location, choice of the detector, B-spline resampling, reflectance, masks carried along",
    ),
    Step("MASK_S2", "L1C", gipp=("MASPAR",), summary="opaque clouds, cirrus, snow"),
    Step("TILE_FINALIZE", "L1C", summary="percentages, checks, metadata"),
)
"""The steps of the level."""
T = TypeVar("T", bound=np.generic)
_WINDOW_LOCK = Lock()
_NO_GAIN = np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TileGeometry:
    """Geometry of a tile.

    Attributes
    ----------
    box : (west, south, east, north) [degree]
        Around what is seen of the tile: the terrain is read there.
    heights : (float, float)
        Lowest and highest ellipsoidal height in the box [m].
    date : int
        When the middle of what is seen of the tile was seen, GPS [ns].
    sun : (angle, y, x) float64 [degree]
        Zenith and azimuth, nodes every 5 km from the upper left corner.
    view : (band, detector, angle, y, x) float64 [degree]
        Zenith and azimuth, azimuths from true north; NaN more than a node beside what a detector sees.
    """

    box: Box
    heights: tuple[float, float]
    date: int
    sun: NDArray[np.float64]
    view: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OrthoParameters:
    """What the blocks of a tile share.

    Attributes
    ----------
    detectors : tuple of int
        In ascending order.
    lines : mapping of str to int
        Lines of the images of each band.
    box, heights
        As in `TileGeometry`.
    sun_zenith : (y, x) float64 [degree]
        At the nodes of the tile.
    gains, solar_irradiance : mapping of str to float
        A [DN per W m-2 sr-1 um-1] and E0 [W m-2 um-1] by band.
    conversion : float
        U, see `s2dask.instrument.solar`.
    filter : Filter
    cut : Cut
        Who keeps the overlap of two detectors.
    noise_gain : bool
        Make the layer of the sums of squared weights.
    errors : mapping of str to CountErrors
        How well the counts of a band are known; of the bands that are there the layer of uncertainty is made.
    """

    detectors: tuple[int, ...]
    lines: Mapping[str, int]
    box: Box
    heights: tuple[float, float]
    sun_zenith: NDArray[np.float64]
    gains: Mapping[str, float]
    solar_irradiance: Mapping[str, float]
    conversion: float
    filter: Filter = "SPLINE3"
    cut: Cut = "middle"
    noise_gain: bool = False
    errors: Mapping[str, CountErrors] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class OrthoBand:
    """One band of a block.

    Attributes
    ----------
    counts : (y, x) float32 [DN]
        Resampled L1B counts; DARK_LEVEL without data.
    reflectance : (y, x) uint16
    quality : (y, x) uint8
        MSK_QUALIT bits.
    footprint : (y, x) uint8
        Detector, 0 = none.
    noise_gain : (y, x) float32 or None
        Variance of a pixel over that of the counts around it, see `s2dask.l1c.noise_gain`; NaN where nobody looks.
    uncertainty : (y, x) uint8 or None
        Of the reflectance, see `s2dask.l1c.uncertainty`.
    """

    counts: NDArray[np.float32]
    reflectance: NDArray[np.uint16]
    quality: NDArray[np.uint8]
    footprint: NDArray[np.uint8]
    noise_gain: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.uint8] | None = None

    def record(self, prefix: str) -> Record:
        """Return the counts and sums of this block that the metadata of its tile are made of."""
        return reflectance_record(self.reflectance, prefix) | mask_record(self.quality, self.footprint, prefix)


def tile_frame(grid: TileGrid | MapGrid) -> TileFrame:
    """Return a grid in the form of the algorithms."""
    if isinstance(grid, MapGrid):
        size = grid.columns * grid.pixel, grid.rows * grid.pixel
        return fitted(TileFrame(grid.name, grid.crs, grid.x0, grid.y0, *size, grid.pixel))
    if grid.decimation != 1:
        raise ConfigurationError("a decimated grid", grid.tile_id, "orthoimages are made at full resolution")
    return TileFrame(grid.tile_id, grid.crs, float(grid.x0), float(grid.y0), grid.width, grid.height)


@lru_cache(maxsize=2)
def _window(terrain: Terrain, box: Box) -> TerrainWindow:
    return terrain.window(*box)


def tile_terrain(terrain: Terrain, box: Box) -> TerrainWindow:
    """Return the terrain of a tile; the last two are kept, for the blocks that follow."""
    with _WINDOW_LOCK:
        return _window(terrain, box)


def prepare_tile(
    model: ViewingModel,
    terrain: Terrain,
    grid: TileGrid | MapGrid,
    lines: Mapping[str, int],
    detectors: Sequence[int],
    *,
    views: bool = True,
) -> TileGeometry:
    """Return the geometry of a tile (step TILE_INIT).

    Parameters
    ----------
    model : ViewingModel
    terrain : Terrain
    grid : TileGrid or MapGrid
    lines : mapping of str to int
        Lines of the images of the bands to make.
    detectors : sequence of int
    views : bool
        False leaves the viewing angles NaN, which is what takes the time.
    """
    tile = tile_frame(grid)
    box = seen_box(model, tile, lines, detectors)
    window = tile_terrain(terrain, box)
    lon, lat = angle_positions(tile)
    some = {name: lines[name] for name in list(lines)[:1]}
    date = tile_date(model, lon, lat, some, detectors, sum(window.range) / 2)
    if views:
        view = viewing_angles(model, tile, lines, detectors, window.range, window.frame, window.heights)
    else:
        view = np.full((len(BANDS), len(detectors), 2, *lon.shape), np.nan)
    return TileGeometry(box, window.range, date, np.stack(sun_angles(date, lon, lat)), view)


def block_pixels(resolution: int, rows: slice, columns: slice) -> Pixels:
    """Return the pixels of a block."""
    return Pixels(resolution, rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)


def map_pixels(grid: MapGrid, rows: slice, columns: slice) -> Pixels:
    """Return the pixels of a block of a map grid."""
    size = rows.stop - rows.start, columns.stop - columns.start
    return Pixels(grid.pixel, rows.start, columns.start, *size, tile_frame(grid).node)


def _resample(
    name: str,
    detector: int,
    span: NDArray[np.int64],
    nodes: InverseGrid,
    pixels: Pixels,
    heights: NDArray[np.float32],
    source: ImageSource,
    p: OrthoParameters,
    band_image: OrthoBand,
    scratch: Scratch,
) -> None:
    """Fill the pixels of one detector."""
    lines, seen = p.lines[name], span[span[:, 0] <= span[:, 1]]
    first, stop = lines_needed(int(seen[:, 0].min()), int(seen[:, 1].max()), lines, p.filter)
    image = prepare_image(*source.read(detector, name, first, stop), first, lines, p.filter, span, scratch)
    k, footprint, gain = pixels.per_node, band_image.footprint, band_image.noise_gain
    outside = resample_detector(
        image, nodes.line, nodes.column_of, nodes.middle, k, pixels.row - nodes.row * k,
        pixels.column - nodes.column * k, heights, detector, footprint, band_image.counts, band_image.quality,
        NO_TABLE if gain is None else gain_table(p.filter), _NO_GAIN if gain is None else gain,
    )  # fmt: skip
    if outside:
        raise InputError(f"{outside} pixels outside the lines {first} to {stop}", f"D{detector:02d} {name}")


def _empty_band(shape: tuple[int, int], noise_gain: bool, space: Scratch) -> OrthoBand:
    """Return a band without data; its reflectance and footprint are undefined."""
    counts, quality = space.take("counts", shape, np.float32), space.take("quality", shape, np.uint8)
    counts[:], quality[:] = DARK_LEVEL, 0
    gain = space.take("noise_gain", shape, np.float32) if noise_gain else None
    if gain is not None:
        gain[:] = np.nan
    return OrthoBand(
        counts, space.take("reflectance", shape, np.uint16), quality, space.take("footprint", shape, np.uint8), gain
    )


def ortho_images(
    grid: TileGrid | MapGrid,
    pixels: Pixels,
    bands: Sequence[str],
    source: ImageSource,
    model: ViewingModel,
    terrain: Terrain,
    parameters: OrthoParameters,
    scratch: Scratch | None = None,
) -> Iterator[tuple[str, OrthoBand]]:
    """Yield the orthoimages of a block, band after band (step GEN_ORTHO_TOA); one is in memory at a time.

    Parameters
    ----------
    grid : TileGrid or MapGrid
    pixels : Pixels
    bands : sequence of str
        Of the resolution of `pixels`, in a tile.
    source : ImageSource
        L1B lines.
    model : ViewingModel
    terrain : Terrain
    parameters : OrthoParameters
    scratch : Scratch, optional
        Where the images are kept: each is overwritten by the next. By default they stay.
    """
    p, window = parameters, tile_terrain(terrain, parameters.box)
    frame = tile_frame(grid)
    inner, seen = (slice(0, pixels.rows), slice(0, pixels.columns)), pixels
    if p.errors and isinstance(grid, TileGrid):
        seen, inner = _with_neighbours(pixels, grid.shape(int(pixels.resolution)))
    lattice = frame.lattice(seen)
    heights = pixel_heights(lattice, seen, window.frame, window.heights)
    inverse, ranges = inverse_cosine(p.sun_zenith, frame.angle_step, seen), cell_heights(seen, heights)
    work, sun = scratch or Scratch(), np.ascontiguousarray(inverse[inner])
    # without the sun there is no reflectance
    night = inverse <= 0 if p.sun_zenith.max() >= 90 else None
    for name in bands:
        if isinstance(grid, TileGrid) and band(name).resolution != pixels.resolution:
            raise ConfigurationError(f"{name} in a block of {pixels.resolution} m", grid.tile_id)
        found = {d: locate_nodes(model, name, d, lattice, p.heights, p.lines[name]) for d in sorted(p.detectors)}
        nodes = {d: grid_of for d, grid_of in found.items() if grid_of is not None}
        image = _empty_band(heights.shape, p.noise_gain or name in p.errors, scratch or Scratch())
        size = (p.lines[name], band(name).columns)
        spans = choose(nodes, seen, heights, ranges, size, p.cut, image.footprint)
        for detector, span in spans.items():
            _resample(name, detector, span, nodes[detector], seen, heights, source, p, image, work)
        if night is not None:
            image.quality[night] |= NODATA
        scale = reflectance_scale(p.gains[name], p.solar_irradiance[name], p.conversion)
        encode(image.counts, image.quality, image.footprint, scale, inverse, image.reflectance)
        if p.errors:
            image = _known(image, inner, sun, p.errors.get(name), scale, p.noise_gain, scratch or Scratch())
        yield name, image


def _with_neighbours(pixels: Pixels, shape: tuple[int, int]) -> tuple[Pixels, tuple[slice, slice]]:
    """Return a block with the pixels around it that the tile has, and where it lies in that."""
    top, left = min(pixels.row, 1), min(pixels.column, 1)
    rows = min(pixels.rows + top + 1, shape[0] - pixels.row + top)
    columns = min(pixels.columns + left + 1, shape[1] - pixels.column + left)
    wide = replace(pixels, row=pixels.row - top, column=pixels.column - left, rows=rows, columns=columns)
    return wide, (slice(top, top + pixels.rows), slice(left, left + pixels.columns))


def _known(
    image: OrthoBand, inner: tuple[slice, slice], sun: NDArray[np.float32], errors: CountErrors | None, scale: float,
    keep: bool, space: Scratch,
) -> OrthoBand:  # fmt: skip
    """Return a band without the pixels around its block, which only the uncertainty takes."""
    gain, codes = image.noise_gain, None
    if errors is not None:
        origin = inner[0].start, inner[1].start
        codes = uncertainty_layers(image.reflectance, sun, errors, scale, gain=gain, origin=origin)[1]
    return OrthoBand(
        image.counts[inner],
        _copied("inner reflectance", image.reflectance[inner], space),
        _copied("inner quality", image.quality[inner], space),
        _copied("inner footprint", image.footprint[inner], space),
        _copied("inner gain", gain[inner], space) if keep and gain is not None else None,
        codes,
    )


def _copied(name: str, values: NDArray[T], space: Scratch) -> NDArray[T]:
    """Return a copy without gaps, in memory that is used again: fresh pages cost more than the copy."""
    out: NDArray[T] = space.take(name, values.shape, values.dtype)
    np.copyto(out, values)
    return out


def band_arrays(name: str, image: OrthoBand) -> dict[str, NDArray[np.generic]]:
    """Return the variables of a band by their path in the product."""
    r = band(name).resolution
    arrays: dict[str, NDArray[np.generic]] = {
        reflectance_path(r, name): image.reflectance,
        quality_path(r, name): image.quality,
        footprint_path(r, name): image.footprint,
    }
    if image.noise_gain is not None:
        arrays[noise_gain_path(r, name)] = image.noise_gain
    if image.uncertainty is not None:
        arrays[toa_uncertainty_path(name)] = image.uncertainty
    return arrays


def ortho_block(
    grid: TileGrid,
    resolution: int,
    rows: slice,
    columns: slice,
    bands: Sequence[str],
    source: ImageSource,
    model: ViewingModel,
    terrain: Terrain,
    parameters: OrthoParameters,
) -> tuple[dict[str, NDArray[np.generic]], Record]:
    """Return all variables of a block by path, and its record; see `ortho_images` for the parameters.

    Parameters
    ----------
    grid : TileGrid
    resolution : int
        [m].
    rows, columns : slice
        Pixels of the tile at that resolution.
    bands, source, model, terrain, parameters
        As in `ortho_images`.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    record: Record = {}
    pixels = block_pixels(resolution, rows, columns)
    for name, image in ortho_images(grid, pixels, bands, source, model, terrain, parameters):
        arrays |= band_arrays(name, image)
        record |= image.record(name.lower())
    return arrays, record
