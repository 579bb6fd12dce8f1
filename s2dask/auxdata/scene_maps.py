"""Maps of the world that help to classify scenes: water bodies, land cover and where snow may lie.

A folder ``scene`` of the auxiliary files may hold them, each a raster of any projection that rasterio reads, cut to
where it is needed: ``water.tif`` (ESA-CCI Water Bodies, 150 m: 0 ocean, 1 land, 2 inland water), ``land_cover.tif``
(ESA-CCI LCCS, 300 m: 190 urban, 200 to 202 bare) and ``snow.tif`` (ESA-CCI Snow Condition, 500 m: occurrence of snow
in a part of the year [%]).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from s2dask.errors import InputError

KINDS: Final = ("water", "land_cover", "snow")

Layer = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Values, and where they are known; each (y, x)."""


@dataclass(frozen=True, slots=True)
class SceneMaps:
    """The maps of a folder.

    Attributes
    ----------
    paths : mapping of str to str
        By kind, those that there are.
    """

    paths: Mapping[str, str]

    @classmethod
    def open(cls, folder: str | Path) -> "SceneMaps | None":
        """Return the maps of a folder, None where it has none."""
        paths = {kind: Path(folder) / f"{kind}.tif" for kind in KINDS}
        found = {kind: str(path) for kind, path in paths.items() if path.is_file()}
        return cls(found) if found else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Maps that there are."""
        return tuple(sorted(self.paths))

    def at(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> dict[str, Layer]:
        """Return the values of every map at places [deg], arrays of one shape."""
        return {kind: _values(path, lon, lat) for kind, path in self.paths.items()}


def _values(path: str, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Layer:
    """Return the values of the pixels of a raster that hold places."""
    remedy = "give a raster of one band of bytes with its projection"
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None or raster.count != 1 or raster.dtypes[0] != "uint8":
                raise InputError(f"{raster.count} bands of {raster.dtypes[0]} in {raster.crs}", path, remedy)
            x, y = Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True).transform(lon, lat)
            a, b, c, d, e, f = tuple(~raster.transform)[:6]
            columns, rows = (np.floor(p).astype(np.int64) for p in (a * x + b * y + c, d * x + e * y + f))
            inside = (rows >= 0) & (rows < raster.height) & (columns >= 0) & (columns < raster.width)
            if not inside.any():
                return np.zeros(lon.shape, np.uint8), inside
            top, left = int(rows[inside].min()), int(columns[inside].min())
            window = Window(left, top, int(columns[inside].max()) + 1 - left, int(rows[inside].max()) + 1 - top)
            values, known = raster.read(1, window=window), raster.read_masks(1, window=window) != 0
    except (RasterioError, ProjError) as error:
        raise InputError(f"unreadable map: {error}", path, remedy) from None
    place = np.where(inside, rows - top, 0), np.where(inside, columns - left, 0)
    return values[place], known[place] & inside
