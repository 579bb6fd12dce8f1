"""Pictures: the true-colour image, quick-looks, the scene classification in its usual colours."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from s2dask.errors import InputError
from s2dask.instrument import RESOLUTIONS
from s2dask.io.schema_tile import reflectance_path
from s2dask.kernels import bare_kernel
from s2dask.release.tile_store import TileStore

SATURATION: Final = {"L1C": 0.3558, "L2A": 0.2}
"""Reflectance that the true-colour image shows as 255."""
SCL_COLOURS: Final = (
    ("no data", (0, 0, 0)),
    ("saturated or defective", (255, 0, 0)),
    ("cast shadow", (47, 47, 47)),
    ("cloud shadow", (100, 50, 0)),
    ("vegetation", (0, 160, 0)),
    ("not vegetated", (255, 230, 90)),
    ("water", (0, 0, 255)),
    ("unclassified", (128, 128, 128)),
    ("cloud, medium probability", (192, 192, 192)),
    ("cloud, high probability", (255, 255, 255)),
    ("thin cirrus", (100, 200, 255)),
    ("snow or ice", (255, 150, 255)),
)
"""Name and colour of each class, index = value of SCL; colours as Sen2Cor's."""
Curve = tuple[float, float, float]
"""Reflectances that are shown as 1 and as 255, and gamma."""
Counts = NDArray[np.uint16]
_LEGEND: Final = 220
_LINE: Final = 22


def stretch(
    coded: np.ndarray, offset: int = -1000, quantification: int = 10000, saturation: float = SATURATION["L1C"]
) -> np.ndarray:
    """Return one channel of the true-colour image.

    Parameters
    ----------
    coded : (...) uint16 or float [1]
        Counts of a product image, 0 = no data.
    offset, quantification : int
        reflectance = (coded + offset) / quantification.
    saturation : float
        Reflectance shown as 255.

    Returns
    -------
    (...) uint8 [1]
        0 where there is no data, else 1 to 255, linear in reflectance.
    """
    scaled = (coded.astype(np.float32) + np.float32(offset)) * np.float32(255.0 / (quantification * saturation))
    shown = np.clip(np.floor(scaled + np.float32(0.5)), 1, 255).astype(np.uint8)
    return np.where(coded > 0, shown, np.uint8(0))


def curved(coded: np.ndarray, curve: Curve, offset: int = -1000, quantification: int = 10000) -> np.ndarray:
    """Return one channel of the true-colour image by a curve: 1 + 254 x^(1/gamma), x from 0 to 1 between its limits.

    Parameters
    ----------
    coded, offset, quantification
        As in `stretch`.
    curve : (float, float, float)
    """
    lowest, highest, gamma = curve
    x = ((coded.astype(np.float32) + np.float32(offset)) / np.float32(quantification) - lowest) / (highest - lowest)
    shown = np.floor(1.5 + 254.0 * np.clip(x, 0.0, 1.0) ** (1.0 / gamma)).astype(np.uint8)
    return np.where(coded > 0, shown, np.uint8(0))


def tci(
    b04: np.ndarray,
    b03: np.ndarray,
    b02: np.ndarray,
    offset: int = -1000,
    quantification: int = 10000,
    saturation: float = SATURATION["L1C"],
    curves: Sequence[Curve] | None = None,
) -> np.ndarray:
    """Return the true-colour image of three coded bands.

    Parameters
    ----------
    b04, b03, b02 : (y, x) uint16 [1]
        Red, green, blue, coded as in the product.
    offset, quantification, saturation
        As in `stretch`.
    curves : sequence of Curve, optional
        Of red, green and blue, in the place of the stretch: those of GIP_CONVER.

    Returns
    -------
    (3, y, x) uint8 [1]
        Red, green, blue; black where any of the three has no data.

    Notes
    -----
    Linear, one stretch for every product, so that neighbours match: 255 is reflectance 0.3558 at L1C and 0.2 at L2A
    (Sentinel-2 products specification, true-colour image).
    """
    bands = (b04, b03, b02)
    if curves is None:
        channels = np.stack([stretch(band, offset, quantification, saturation) for band in bands])
    else:
        channels = np.stack([curved(b, c, offset, quantification) for b, c in zip(bands, curves, strict=True)])
    return np.where((channels > 0).all(axis=0), channels, np.uint8(0))


def _offset(store: TileStore) -> int:
    return int(store.attrs["radio_add_offset" if store.level == "L1C" else "boa_add_offset"])


def _curves(store: TileStore) -> tuple[Curve, ...] | None:
    """Return the curves of red, green and blue that an L1C tile states, None for the stretch of every product."""
    told = store.attrs.get("colour_curves") if store.level == "L1C" else None
    return None if not told else tuple((told[n][0], told[n][1], told[n][2]) for n in ("B04", "B03", "B02"))


def _coloured(store: TileStore, red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    quantification = int(store.attrs["quantification"])
    return tci(red, green, blue, _offset(store), quantification, SATURATION[store.level], _curves(store))


def has_colour(store: TileStore, resolution: int = 10) -> bool:
    """Tell whether a tile has the three bands of the true-colour image."""
    return all(store.has(reflectance_path(resolution, name)) for name in ("B04", "B03", "B02"))


def _tables(store: TileStore) -> np.ndarray:
    """Return what the true-colour image shows for every count, (red/green/blue, count) uint8."""
    counts, curves = np.arange(1 << 16, dtype=np.uint16), _curves(store)
    offset, quantification = _offset(store), int(store.attrs["quantification"])
    if curves is None:
        return np.stack([stretch(counts, offset, quantification, SATURATION[store.level])] * 3)
    return np.stack([curved(counts, curve, offset, quantification) for curve in curves])


@bare_kernel
def _show(bands: tuple[Counts, Counts, Counts], tables: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Look counts up, (3, y, x) uint8, black where any is no data."""
    red, green, blue = bands
    rows, columns = red.shape
    for y in range(rows):
        for x in range(columns):
            r, g, b = tables[0, red[y, x]], tables[1, green[y, x]], tables[2, blue[y, x]]
            there = np.uint8(1 if r and g and b else 0)
            out[0, y, x], out[1, y, x], out[2, y, x] = r * there, g * there, b * there


def _strips(store: TileStore, path: str) -> Iterator[tuple[slice, Counts]]:
    """Yield an image in pieces of whole chunks: their rows, and (y, x) uint16."""
    array, windows = store.arrays[path], store.windows(path)
    rows, columns = array.shape
    for row in range(0, rows, array.chunks[0]):
        end = min(row + array.chunks[0], rows)
        yield slice(row, end), windows.read((row, 0), (end, columns))


def tile_tci(store: TileStore, resolution: int = 10) -> np.ndarray:
    """Return the true-colour image of a tile, (3, y, x) uint8: that of `tci`, by a table."""
    bands = [_strips(store, reflectance_path(resolution, name)) for name in ("B04", "B03", "B02")]
    tables, out = _tables(store), np.empty((3, *store.grid.shape(resolution)), np.uint8)
    for (rows, red), (_, green), (_, blue) in zip(*bands, strict=True):
        _show((red, green, blue), tables, out[:, rows])
    return out


@bare_kernel
def _gather(image: Counts, first: int, step: int, total: NDArray[np.int64], count: NDArray[np.int64]) -> None:
    """Add the valid counts of rows from `first` on to the cells that they lie in."""
    rows, columns = image.shape
    for y in range(rows):
        cell = (first + y) // step
        for n in range(total.shape[1]):
            there, together = 0, np.int64(0)
            for x in range(n * step, min((n + 1) * step, columns)):
                together += image[y, x]
                there += image[y, x] > 0
            total[cell, n] += together
            count[cell, n] += there


def _thin(store: TileStore, path: str, step: int) -> np.ndarray:
    """Return the mean of the valid counts of step x step cells, 0 where a cell has none."""
    shape = tuple(-(-n // step) for n in store.arrays[path].shape)
    total, count = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for rows, image in _strips(store, path):
        _gather(image, rows.start, step, total, count)
    return (total / np.maximum(count, 1)).astype(np.float32)


def thumbnail(store: TileStore, max_size: int) -> np.ndarray:
    """Return the true-colour image of a tile, (3, y, x) uint8, averaged down to at most `max_size` pixels a side.

    The coarsest resolution that holds the three colours and still has enough pixels is read.
    """
    present = [r for r in RESOLUTIONS if has_colour(store, r)]
    if not present:
        raise InputError("has not all of B02, B03 and B04", store.url, "make the tile with these bands")
    enough = [r for r in present if max(store.grid.shape(r)) >= max_size]
    resolution = max(enough) if enough else min(present)
    step = max(1, -(-max(store.grid.shape(resolution)) // max_size))
    red, green, blue = (_thin(store, reflectance_path(resolution, n), step) for n in ("B04", "B03", "B02"))
    return _coloured(store, red, green, blue)


def preview(store: TileStore, step: int) -> np.ndarray:
    """Return the true-colour image at 10 m averaged over cells of step x step, (3, y, x) uint8."""
    red, green, blue = (_thin(store, reflectance_path(10, name), step) for name in ("B04", "B03", "B02"))
    return _coloured(store, red, green, blue)


def write_rgb(tile_zarr: str, path: str | Path, max_size: int = 1024) -> Path:
    """Write the true-colour quick-look of an L1C or L2A store as PNG.

    Parameters
    ----------
    tile_zarr : str
    path : str or Path
        File to write.
    max_size : int
        Pixels of the longer side, at most.
    """
    store = TileStore.open(tile_zarr)
    target = Path(path)
    Image.fromarray(np.moveaxis(thumbnail(store, max_size), 0, -1)).save(target, format="PNG")
    return target


def paint_scl(classes: np.ndarray) -> np.ndarray:
    """Return a scene classification in colours.

    Parameters
    ----------
    classes : (y, x) uint8 [1]
        Values of SCL, 0 to 11.

    Returns
    -------
    (y, x, 3) uint8 [1]
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(SCL_COLOURS)] = [colour for _, colour in SCL_COLOURS]
    return np.asarray(table[classes])


def write_scl(tile_zarr: str, path: str | Path, max_size: int = 1024) -> Path:
    """Write the scene classification of an L2A store as PNG, with a legend of the classes that occur."""
    store = TileStore.open(tile_zarr, "L2A")
    layer = store.read("conditions/mask/l2a_classification/r20m/scl")
    step = max(1, -(-max(layer.shape) // max_size))
    classes = layer[::step, ::step]
    rows, columns = classes.shape
    # counted: to sort a whole tile takes seconds
    present = np.flatnonzero(np.bincount(layer.ravel(), minlength=len(SCL_COLOURS))[: len(SCL_COLOURS)]).tolist()
    page = Image.new("RGB", (columns + _LEGEND, max(rows, _LINE * len(present) + 12)), "white")
    page.paste(Image.fromarray(paint_scl(classes)), (0, 0))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for line, value in enumerate(present):
        name, colour = SCL_COLOURS[value]
        top = 8 + _LINE * line
        draw.rectangle((columns + 8, top, columns + 24, top + 14), fill=colour, outline=(90, 90, 90))
        draw.text((columns + 32, top - 1), name, fill=(20, 20, 20), font=font)
    target = Path(path)
    page.save(target, format="PNG")
    return target
