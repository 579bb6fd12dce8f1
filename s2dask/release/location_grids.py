"""Location grids as GeoTIFF, named and laid out as Sen2VM delivers them, so that GDAL orthorectifies L1B with them.

Notes
-----
Direct grids lie beside the images of their granule, one VRT per detector and band beside the datastrip. Their
geotransform counts pixels and lines of the datastrip in the corner convention (0.5 = centre of the first). Unlike those
of Sen2VM, the tag LINE_STEP has the sign of the geotransform.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from lxml import etree
from numpy.typing import NDArray
from rasterio.transform import Affine

from s2dask.errors import ConfigurationError

NODATA: Final = -32768.0
_BANDS: Final = {2: ("Longitude", "Latitude"), 3: ("Longitude", "Latitude", "Altitude")}


def direct_name(granule: str, name: str) -> str:
    """Return the file name of the direct grid of a granule (its identifier) and band."""
    stem, _, _ = granule.rpartition("_N")
    if "_MSI_" not in stem:
        raise ConfigurationError(f"{granule!r} is no granule identifier", "direct grid")
    return f"{stem.replace('_MSI_', '_GEO_')}_{name}.tif"


def strip_name(metadata: str, detector: int, name: str, kind: str) -> str:
    """Return the stem of a grid of a whole datastrip: kind GEO (direct) or INV (inverse), from its metadata's name."""
    return f"{Path(metadata).stem.replace('_MTD_', f'_{kind}_')}_D{detector:02d}_{name}"


def write_direct_grid(path: str | Path, ground: NDArray[np.float64], first_row: int, start: int, step: int) -> None:
    """Write the direct grid of a granule.

    Parameters
    ----------
    path : path
    ground : (2 or 3, row, column) float64
        Longitude and latitude [degree], and height [m] if wanted.
    first_row : int
        Rank of its first row of nodes in the datastrip.
    start : int
        First line of the granule, 0-based.
    step : int
        Node spacing [pixel].
    """
    offset = 0.5 - step / 2
    line = first_row * step + offset
    tags = {
        "X_BAND": "1", "Y_BAND": "2", **({"Z_BAND": "3"} if len(ground) > 2 else {}),
        "PIXEL_OFFSET": f"{offset:g}", "PIXEL_STEP": f"{step:g}", "LINE_OFFSET": f"{line - start:g}",
        "LINE_STEP": f"{step:g}", "SRS": "EPSG:4326", "GEOREFERENCING_CONVENTION": "CENTER_PIXEL",
    }  # fmt: skip
    _write(path, ground, Affine(step, 0.0, offset, 0.0, step, line), None, _BANDS[len(ground)], tags)


def write_inverse_grid(
    path: str | Path, column: NDArray[np.float64], line: NDArray[np.float64], crs: str, origin: tuple[float, float],
    step: float,
) -> None:
    """Write an inverse grid.

    Parameters
    ----------
    path : path
    column, line : (row, column) float64
        0-based, whole numbers at pixel centres; NaN where the detector does not look. Written are corner coordinates.
    crs : str
    origin : (float, float)
        First node [m].
    step : float
        Node spacing [m].
    """
    values = np.stack([column + 0.5, line + 0.5])
    transform = Affine(step, 0.0, origin[0] - step / 2, 0.0, -step, origin[1] + step / 2)
    _write(path, values, transform, crs, ("Column", "Row"), {})


def _write(
    path: str | Path, values: NDArray[np.float64], transform: Affine, crs: str | None, bands: Sequence[str],
    tags: dict[str, str],
) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    part = target.with_name(f".{target.name}")
    with rasterio.open(
        part, "w", driver="GTiff", dtype="float64", count=count, height=height, width=width, transform=transform,
        crs=crs, nodata=NODATA,
    ) as raster:  # fmt: skip
        raster.write(np.where(np.isfinite(values), values, NODATA))
        raster.descriptions = tuple(bands)
        raster.update_tags(**tags)
    part.replace(target)


def write_vrt(path: str | Path, grids: Sequence[tuple[Path, int]], step: int) -> None:
    """Write the VRT that joins the direct grids of the granules of a detector and band.

    Parameters
    ----------
    path : path
    grids : sequence of (Path, int)
        Grids with the rank of their first row of nodes in the datastrip; neighbours share a row.
    step : int
        Node spacing [pixel].
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    sizes = []
    for grid, _ in grids:
        with rasterio.open(grid) as raster:
            sizes.append((raster.height, raster.width, raster.count))
    first = min(row for _, row in grids)
    rows = max(row + size[0] for (_, row), size in zip(grids, sizes, strict=True)) - first
    root = etree.Element("VRTDataset", rasterXSize=str(sizes[0][1]), rasterYSize=str(rows))
    offset = 0.5 - step / 2
    etree.SubElement(root, "GeoTransform").text = f"{offset}, {step}, 0, {first * step + offset}, 0, {step}"
    for number, name in enumerate(_BANDS[sizes[0][2]], start=1):
        band = etree.SubElement(root, "VRTRasterBand", dataType="Float64", band=str(number))
        etree.SubElement(band, "Description").text = name
        etree.SubElement(band, "NoDataValue").text = f"{NODATA:g}"
        for (grid, row), (height, width, _) in zip(grids, sizes, strict=True):
            source = etree.SubElement(band, "SimpleSource")
            relative = os.path.relpath(grid.resolve(), target.parent.resolve())
            etree.SubElement(source, "SourceFilename", relativeToVRT="1").text = relative
            etree.SubElement(source, "SourceBand").text = str(number)
            box = {"xOff": "0", "xSize": str(width), "ySize": str(height)}
            etree.SubElement(source, "SrcRect", {**box, "yOff": "0"})
            etree.SubElement(source, "DstRect", {**box, "yOff": str(row - first)})
    target.write_bytes(etree.tostring(root, pretty_print=True))
