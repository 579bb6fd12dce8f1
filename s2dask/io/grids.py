"""Regular map grids: the UTM rectangle of a product, shared by its three resolutions, and any other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor, isfinite
from typing import Any

import numpy as np
import xarray as xr

from s2dask.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TileGrid:
    """A north-up rectangle aligned to 60 m.

    Attributes
    ----------
    tile_id : str
        MGRS tile that it is, or lies in: ``28SCB``.
    crs : str
        ``EPSG:32628``.
    x0, y0 : int
        Upper left corner (outer edge of the first pixel) [m].
    width, height : int
        Extent [m], multiples of 60.
    decimation : int
        Size of a stored pixel in pixels of its resolution: 1, but for thinned-out copies of a product.
    """

    tile_id: str
    crs: str
    x0: int
    y0: int
    width: int
    height: int
    decimation: int = 1

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0 or self.width % 60 or self.height % 60:
            raise ConfigurationError(
                f"extent {self.width} m x {self.height} m", self.tile_id, "use positive multiples of 60 m"
            )

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> "TileGrid":
        """Return the grid that the attributes of a tile state; see `facts`."""
        x0, y0, width, height = (int(attrs[key]) for key in ("x0", "y0", "width", "height"))
        return cls(str(attrs["tile_id"]), str(attrs["crs"]), x0, y0, width, height, int(attrs.get("decimation", 1)))

    def facts(self) -> dict[str, str | int]:
        """Return what the attributes of a tile state of its grid."""
        return asdict(self)

    @property
    def epsg(self) -> int:
        """EPSG code."""
        return int(self.crs.split(":")[1])

    def shape(self, resolution: int) -> tuple[int, int]:
        """Return (rows, columns) at a resolution [m]."""
        pixel = self.pixel(resolution)
        return -(-self.height // pixel), -(-self.width // pixel)

    def pixel(self, resolution: int) -> int:
        """Return the edge of a stored pixel [m]: the resolution, but for a decimated product."""
        return resolution * self.decimation

    def transform(self, resolution: int) -> tuple[float, float, float, float, float, float]:
        """Return the affine coefficients (a, b, c, d, e, f) of pixel corner -> map."""
        pixel = float(self.pixel(resolution))
        return (pixel, 0.0, float(self.x0), 0.0, -pixel, float(self.y0))

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """(left, bottom, right, top) [m]."""
        return self.x0, self.y0 - self.height, self.x0 + self.width, self.y0


@dataclass(frozen=True, slots=True)
class MapGrid:
    """A north-up rectangle of square pixels in any coordinate reference system.

    Attributes
    ----------
    name : str
    crs : str
        Anything that PROJ knows: ``EPSG:3035``, ``EPSG:4326``.
    x0, y0 : float
        Upper left corner (outer edge of the first pixel) [unit of the CRS].
    pixel : float
        Edge of a pixel [unit of the CRS].
    rows, columns : int
    """

    name: str
    crs: str
    x0: float
    y0: float
    pixel: float
    rows: int
    columns: int

    def __post_init__(self) -> None:
        if not (self.pixel > 0 and self.rows > 0 and self.columns > 0 and isfinite(self.x0 + self.y0 + self.pixel)):
            raise ConfigurationError(
                f"{self.rows} x {self.columns} pixels of {self.pixel} at {self.x0}, {self.y0}",
                f"grid {self.name}",
                "give positive sizes and a finite corner",
            )

    @classmethod
    def around(cls, crs: str, bounds: Sequence[float], pixel: float, name: str = "map") -> "MapGrid":
        """Return the grid of whole pixels around a rectangle, its corner a multiple of the pixel.

        Parameters
        ----------
        crs : str
        bounds : (left, bottom, right, top) [unit of the CRS]
        pixel : float [unit of the CRS]
        name : str
        """
        left, bottom, right, top = (float(v) for v in bounds)
        if not (pixel > 0 and left < right and bottom < top and isfinite(left + bottom + right + top + pixel)):
            raise ConfigurationError(
                f"bounds {left:g}, {bottom:g}, {right:g}, {top:g} and a pixel of {pixel:g}", f"grid {name}",
                "give left, bottom, right, top in the unit of the CRS, and a pixel above 0",
            )  # fmt: skip
        # what is a whole number of pixels but for rounding stays it
        first, last = (floor(v / pixel + 1e-6) for v in (left, bottom))
        right_end, top_end = (ceil(v / pixel - 1e-6) for v in (right, top))
        return cls(name, crs, first * pixel, top_end * pixel, pixel, top_end - last, right_end - first)

    @classmethod
    def like(cls, image: xr.DataArray | xr.Dataset, name: str = "map") -> "MapGrid":
        """Return the grid of an image: what its coordinates and its CRS say, as rioxarray reads them."""
        from rioxarray.exceptions import RioXarrayError

        try:
            crs, dims = image.rio.crs, (image.rio.x_dim, image.rio.y_dim)
        except RioXarrayError as error:
            raise ConfigurationError(
                f"no image of a map: {error}", f"grid {name}", "give it the dims y and x"
            ) from None
        if crs is None:
            raise ConfigurationError("an image without a CRS", f"grid {name}", "set it: image.rio.write_crs(...)")
        x, y = (np.asarray(image[dim], np.float64) for dim in dims)
        pixel = float(x[-1] - x[0]) / max(x.size - 1, 1)
        even = [np.abs(np.diff(v) - step).max(initial=0.0) < 1e-3 * pixel for v, step in ((x, pixel), (y, -pixel))]
        if min(x.size, y.size) < 2 or not all(even):
            raise ConfigurationError(
                f"{y.size} x {x.size} places that are no squares north up", f"grid {name}",
                "give an image of square pixels with coordinates x and y, or a MapGrid",
            )  # fmt: skip
        return cls(name, crs.to_string(), float(x[0] - pixel / 2), float(y[0] + pixel / 2), pixel, y.size, x.size)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients (a, b, c, d, e, f) of pixel corner -> map."""
        return (self.pixel, 0.0, self.x0, 0.0, -self.pixel, self.y0)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) [unit of the CRS]."""
        return self.x0, self.y0 - self.rows * self.pixel, self.x0 + self.columns * self.pixel, self.y0
