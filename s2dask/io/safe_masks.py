"""Masks of a SAFE as pixel layers: JPEG 2000 layers since baseline 04.00, GML polygons before."""

import re
import warnings
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import rasterio
from lxml import etree
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window

from s2dask.errors import InputError
from s2dask.instrument.quality import FLAGS, SATURATED
from s2dask.io.grids import TileGrid
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.schema_tile import CLASSI_FLAGS

_GML_ID: Final = "{http://www.opengis.net/gml/3.2}id"
_QUALITY: Final = dict(FLAGS) | {"QT_SATURATED_PIXELS_L1B": SATURATED}
_QUALITY_MASKS: Final = ("TECQUA", "DEFECT", "NODATA", "SATURA")
_CLASSES: Final = dict(CLASSI_FLAGS)


def read_window(archive: SafeArchive, name: str, shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    """Read a window of an image of known size.

    Returns
    -------
    (layer, y, x) uint8 or uint16 [1]
    """
    where = archive.describe(name)
    remedy = "the image is damaged: fetch the product again"
    try:
        # images of L1B are in no projection
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            opened = rasterio.open(archive.raster(name), driver="JP2OpenJPEG")
        with opened as source:
            if source.shape != shape:
                raise InputError(f"the image has {source.shape} pixels, expected {shape}", where, remedy)
            return np.asarray(source.read(window=Window.from_slices(rows, columns)))
    except RasterioError as error:
        raise InputError(f"the image cannot be read ({error})", where, remedy) from error


def _polygon(feature: etree._Element, where: str) -> dict[str, object]:
    """Return a feature's polygon in GeoJSON form: exterior, then holes."""
    rings = []
    for element in feature.iterfind(".//{*}posList"):
        size = int(element.get("srsDimension") or 2)
        numbers = np.array((element.text or "").split(), np.float64)
        if size < 2 or numbers.size % size or numbers.size < 4 * size:
            raise InputError("a polygon is broken", where, "fetch the product again")
        rings.append(numbers.reshape(-1, size)[:, :2].tolist())
    return {"type": "Polygon", "coordinates": rings}


def _burn(
    archive: SafeArchive, name: str, grid: TileGrid, resolution: int, rows: slice, columns: slice,
    value: Callable[[str, str], int], combine: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Draw the polygons of a GML mask in a window; `value` gives the number of (mask type, identifier)."""
    a, _, x0, _, e, y0 = grid.transform(resolution)
    transform = Affine(a, 0.0, x0 + a * columns.start, 0.0, e, y0 + e * rows.start)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    out = np.zeros(shape, np.uint8)
    where = archive.describe(name)
    for feature in archive.xml(name).iterfind(".//{*}MaskFeature"):
        kind = (feature.findtext("{*}maskType") or "").strip()
        number = value(kind, feature.get(_GML_ID) or "")
        if not number:
            continue
        try:
            drawn = rasterize([(_polygon(feature, where), number)], shape, transform=transform, dtype="uint8")
        except ValueError as error:
            raise InputError(f"a polygon is broken ({error})", where, "fetch the product again") from error
        out = combine(out, drawn)
    return out


def _latest(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    return np.where(above > 0, above, below)


def _detector(_: str, identifier: str) -> int:
    found = re.search(r"-(\d\d)-\d+$", identifier)
    return int(found[1]) if found else 0


def _find(archive: SafeArchive, kind: str, band: str) -> str | None:
    found = archive.matching([f"GRANULE/*/QI_DATA/*MSK_{kind}*_{band}*.{suffix}" for suffix in ("jp2", "gml")])
    return min(found, key=lambda name: PurePosixPath(name).suffix != ".jp2") if found else None


def merge_layers(image: np.ndarray, bits: list[int]) -> np.ndarray:
    """Merge 1-bit layers into a bit mask; a single layer holds the bits already."""
    if image.shape[0] == 1:
        return np.asarray(image[0].astype(np.uint8))
    out = np.zeros(image.shape[1:], np.uint8)
    for layer, bit in zip(image, bits, strict=False):
        out |= np.where(layer > 0, np.uint8(bit), np.uint8(0))
    return out


def quality_mask(
    archive: SafeArchive, band: str, grid: TileGrid, resolution: int, rows: slice, columns: slice
) -> np.ndarray:
    """Return the MSK_QUALIT bits of a window, (y, x) uint8; zeros when the product has no mask at all."""
    name = _find(archive, "QUALIT", band)
    if name and name.endswith(".jp2"):
        image = read_window(archive, name, grid.shape(resolution), rows, columns)
        return merge_layers(image, [bit for _, bit in FLAGS])
    out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    for kind in _QUALITY_MASKS:
        name = _find(archive, kind, band)
        if name:
            out |= _burn(
                archive, name, grid, resolution, rows, columns, lambda text, _: _QUALITY.get(text, 0), np.bitwise_or
            )
    return out


def footprint_mask(
    archive: SafeArchive, band: str, grid: TileGrid, resolution: int, rows: slice, columns: slice
) -> np.ndarray:
    """Return the detector that saw each pixel of a window, (y, x) uint8; 0 = none or not known."""
    name = _find(archive, "DETFOO", band)
    if name is None:
        return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    if name.endswith(".jp2"):
        return np.asarray(read_window(archive, name, grid.shape(resolution), rows, columns)[0].astype(np.uint8))
    return _burn(archive, name, grid, resolution, rows, columns, _detector, _latest)


def classification_mask(archive: SafeArchive, grid: TileGrid, rows: slice, columns: slice) -> np.ndarray:
    """Return the MSK_CLASSI bits (opaque cloud, cirrus, snow) of a window at 60 m, (y, x) uint8."""
    name = _find(archive, "CLASSI", "B00")
    if name:
        image = read_window(archive, name, grid.shape(60), rows, columns)
        return merge_layers(image, [bit for _, bit in CLASSI_FLAGS])
    name = _find(archive, "CLOUDS", "B00")
    if name is None:
        return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    return _burn(archive, name, grid, 60, rows, columns, lambda text, _: _CLASSES.get(text, 0), np.bitwise_or)
