"""L1C tiles of any form behind one small reader: our Zarr or a SAFE product."""

import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import zarr
from numpy.typing import NDArray

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, band
from s2dask.io.chunk_files import ChunkFiles, ZarrWindows, open_for_reading
from s2dask.io.eopf_reader import tile_facts
from s2dask.io.grids import TileGrid
from s2dask.io.meteorology import FILES, read_forecast
from s2dask.io.schema import footprint_path, noise_gain_path, quality_path, reflectance_path
from s2dask.io.storage import exists, is_local, open_array, zarr_store
from s2dask.kernels import kernel


@runtime_checkable
class TileReader(Protocol):
    """What the surface level asks of a tile; rows and columns count pixels of the band's own resolution."""

    @property
    def grid(self) -> TileGrid:
        """Where the tile lies."""

    @property
    def attrs(self) -> dict[str, Any]:
        """The facts of the tile, as the ``s2dask`` attributes of our own."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that are there."""

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors that see the tile, in the order of `view_angles`."""

    def reflectance(self, name: str, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return (y, x) float32 top-of-atmosphere reflectance, NaN without data."""

    def quality(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return (y, x) uint8 MSK_QUALIT bits."""

    def footprint(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return (y, x) uint8 detector numbers, 0 for none."""

    def sun_angles(self) -> NDArray[np.float64]:
        """Return (zenith and azimuth, y, x) float64 [deg] at nodes every 5000 m from the upper left corner."""

    def view_angles(self, name: str) -> NDArray[np.float64]:
        """Return (detector, zenith and azimuth, y, x) float64 [deg] at the same nodes, NaN where unseen."""

    def meteo(self) -> str | None:
        """Return the path of the AUX_ECMWFT file that came with the product."""

    def cams(self) -> str | None:
        """Return the path of the AUX_CAMSFO file that came with the product."""


@kernel
def _decode(counts, offset, scale, out, top, left):  # type: ignore[no-untyped-def]
    """Write the reflectance of counts (y, x) into an image, from its pixel (top, left) on: NaN where they are 0."""
    for y in range(counts.shape[0]):
        for x in range(counts.shape[1]):
            value = (np.float32(counts[y, x]) + offset) * scale
            out[top + y, left + x] = value if counts[y, x] != 0 else np.float32(np.nan)


@dataclass(frozen=True)
class ZarrTile:
    """An L1C tile of our own.

    Attributes
    ----------
    url : str
        Zarr store.
    attrs : dict
        Its root attributes ``s2dask``.
    """

    url: str
    attrs: dict[str, Any]

    @classmethod
    def open(cls, url: str) -> "ZarrTile":
        """Open a store; refuse one that is no L1C tile."""
        if not exists(url):
            raise InputMissing("no such product", url, "check the path")
        try:
            group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise InputError(f"not a Zarr product ({error})", url, "give an L1C .zarr or .SAFE") from error
        attrs: dict[str, Any] = tile_facts(group.attrs.asdict())
        needed = ("tile_id", "crs", "x0", "y0", "width", "height", "unit", "bands", "detectors")
        missing = [key for key in needed if key not in attrs]
        if attrs.get("level") != "L1C" or missing:
            what = f"lacks {', '.join(missing)}" if missing else f"is level {attrs.get('level')}"
            raise InputError(f"no L1C tile: it {what}", url, "give an L1C .zarr or .SAFE")
        return cls(url, attrs)

    @property
    def grid(self) -> TileGrid:
        """Where the tile lies."""
        return TileGrid.of(self.attrs)

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that are there."""
        return tuple(str(name) for name in self.attrs["bands"])

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors that see the tile."""
        return tuple(int(detector) for detector in self.attrs["detectors"])

    def _resolution(self, name: str) -> int:
        if name not in self.bands:
            raise InputMissing(f"no band {name}", self.url, f"it has {', '.join(self.bands)}")
        return band(name).resolution

    def _window(
        self, path: str, rows: slice, columns: slice
    ) -> tuple[ChunkFiles | ZarrWindows, tuple[int, int], tuple[int, int]]:
        array = open_for_reading(self.url, path)
        (top, bottom, _), (left, right, _) = (
            part.indices(size) for part, size in zip((rows, columns), array.shape, strict=True)
        )
        return array, (top, left), (bottom, right)

    def _read(self, path: str, rows: slice, columns: slice) -> NDArray[Any]:
        array, start, stop = self._window(path, rows, columns)
        return array.read(start, stop)

    def reflectance(self, name: str, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return (y, x) float32 top-of-atmosphere reflectance, NaN without data."""
        array, start, stop = self._window(reflectance_path(self._resolution(name), name), rows, columns)
        offset = np.float32(self.attrs.get("radio_add_offset", -1000))
        scale = np.float32(1.0 / float(self.attrs.get("quantification", 10000)))
        out = np.empty([b - a for a, b in zip(start, stop, strict=True)], np.float32)
        for (y, x), counts in array.parts(start, stop):
            _decode(np.ascontiguousarray(counts), offset, scale, out, y.start, x.start)
        return out

    def quality(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return (y, x) uint8 MSK_QUALIT bits."""
        return np.asarray(self._read(quality_path(self._resolution(name), name), rows, columns), np.uint8)

    def footprint(self, name: str, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return (y, x) uint8 detector numbers, 0 for none."""
        return np.asarray(self._read(footprint_path(self._resolution(name), name), rows, columns), np.uint8)

    def noise_gain(self, name: str, rows: slice, columns: slice) -> NDArray[np.float32] | None:
        """Return (y, x) float32 the sums of squared weights of the interpolation [1]; None where they are not kept."""
        path = noise_gain_path(self._resolution(name), name)
        if not self.attrs.get("noise_gain") or not self._has(path):
            return None
        return np.asarray(self._read(path, rows, columns), np.float32)

    def _has(self, path: str) -> bool:
        return exists(f"{self.url.rstrip('/')}/{path}/zarr.json")

    def sun_angles(self) -> NDArray[np.float64]:
        """Return (zenith and azimuth, y, x) float64 [deg] at the 5 km nodes."""
        return np.asarray(open_array(self.url, "conditions/geometry/sun_angles")[...], np.float64)

    def view_angles(self, name: str) -> NDArray[np.float64]:
        """Return (detector, zenith and azimuth, y, x) float64 [deg] at the 5 km nodes, NaN where unseen."""
        self._resolution(name)
        array = open_array(self.url, "conditions/geometry/viewing_incidence_angles")
        return np.asarray(array[BANDS[name].index], np.float64)

    def meteo(self) -> str | None:
        """Return the weather file that the tile carries, or that it names if it is still there.

        One that it carries is a temporary copy, which goes away with this object.
        """
        path = self.attrs.get("meteo")
        return self._carried("ecmwf") or (str(path) if path is not None and Path(str(path)).is_file() else None)

    def cams(self) -> str | None:
        """Return the aerosol file that the tile carries, as `meteo`."""
        return self._carried("cams")

    def _carried(self, kind: str) -> str | None:
        content = read_forecast(self.url, kind)
        if content is None:
            return None
        with tempfile.NamedTemporaryFile(prefix=f"{FILES[kind]}_", delete=False) as file:
            file.write(content)
        weakref.finalize(self, Path.unlink, Path(file.name), True)
        return file.name


def open_tile(source: str | TileReader) -> TileReader:
    """Open an L1C tile: our Zarr, a ``.SAFE`` folder or a ``.zip`` of one; what is open already is handed back."""
    if not isinstance(source, str):
        return source
    url = source
    if is_local(url) and url.rstrip("/").endswith((".SAFE", ".zip")):
        from s2dask.io.safe import SafeTile

        tile: TileReader = SafeTile(url)
        return tile
    return ZarrTile.open(url)
