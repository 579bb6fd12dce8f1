"""An elevation model in Zarr: one array of heights over regular longitudes and latitudes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from rasterio.windows import Window
from zarr.errors import BaseZarrError

from s2dask.auxdata.raster_cell import Cell
from s2dask.errors import InputError

MARKS: Final = ("zarr.json", ".zgroup")
"""A folder that holds one of these is a Zarr group."""
_LON: Final = ("longitude", "lon", "x")
_LAT: Final = ("latitude", "lat", "y")
_HEIGHTS: Final = ("height", "heights", "elevation", "dem", "dsm", "band_data", "altitude")


@dataclass(frozen=True, slots=True)
class ZarrCell(Cell):
    """A cell whose posts are in an array of a Zarr group.

    Attributes
    ----------
    name : str
        Of the array.
    upwards : int
        Number of rows of the array if they go from south to north, else 0.
    """

    name: str = ""
    upwards: int = 0

    @classmethod
    def open(cls, path: Path) -> "ZarrCell":
        """Find the heights and their coordinates, which are those of the posts."""
        try:
            group = zarr.open_group(path, mode="r")
            arrays = dict(group.arrays())
        except (BaseZarrError, OSError, ValueError, KeyError) as error:
            raise InputError(f"no readable Zarr group: {str(error).splitlines()[0]}", str(path)) from None
        lon, lat = (_axis(arrays, names, path) for names in (_LON, _LAT))
        shape = lat.size, lon.size
        found = sorted(n for n, a in arrays.items() if a.shape == shape and (n.lower() in _HEIGHTS))
        found = found or sorted(n for n, a in arrays.items() if a.shape == shape)
        if len(found) != 1:
            what = f"{len(found)} arrays of {shape} posts"
            raise InputError(what, str(path), f"call it one of {', '.join(_HEIGHTS)}")
        if lat[1] > lat[0]:
            upwards, lat = lat.size, lat[::-1]
        else:
            upwards = 0
        attrs = {**group.attrs.asdict(), **arrays[found[0]].attrs.asdict()}
        datum = str(attrs.get("vertical_datum", ""))
        step_lon, step_lat = _step(lon, path), _step(-lat, path)
        return cls(
            path, float(lon[0]), float(lat[0]), step_lon, step_lat, *shape, datum, name=found[0], upwards=upwards
        ).checked_zarr()

    def checked_zarr(self) -> "ZarrCell":
        """Return the cell after checking that it lies on the Earth."""
        self.checked()
        return self

    def posts(self, window: Window) -> NDArray[np.float32]:
        """Return the posts of a window of the array, NaN where its fill value stands."""
        array: Any = zarr.open_group(self.path, mode="r")[self.name]
        top, left = int(window.row_off), int(window.col_off)
        rows, columns = int(window.height), int(window.width)
        if self.upwards:
            stored = array[self.upwards - top - rows : self.upwards - top, left : left + columns][::-1]
        else:
            stored = array[top : top + rows, left : left + columns]
        values: NDArray[np.float64] = np.asarray(stored, np.float64)
        attrs = array.attrs.asdict()
        void = attrs.get("_FillValue", attrs.get("missing_value"))
        if void is not None and not isinstance(void, str):
            values[values == float(void)] = np.nan
        values = values * float(attrs.get("scale_factor", 1.0)) + float(attrs.get("add_offset", 0.0))
        return values.astype(np.float32)


def _axis(arrays: dict[str, Any], names: tuple[str, ...], path: Path) -> NDArray[np.float64]:
    for name in names:
        if name in arrays and arrays[name].ndim == 1 and arrays[name].shape[0] >= 2:
            return np.asarray(arrays[name][:], np.float64)
    raise InputError(f"no coordinates called {' or '.join(names)}", str(path), "write the DEM with xarray")


def _step(axis: NDArray[np.float64], path: Path) -> float:
    """Return the spacing of an ascending axis [deg]."""
    step = (axis[-1] - axis[0]) / (axis.size - 1)
    if not step > 0 or np.abs(np.diff(axis) - step).max() > 1e-3 * step or np.abs(axis).max() > 540.0:
        raise InputError("coordinates are not regular degrees", str(path), "warp it to EPSG:4326")
    return float(step)
