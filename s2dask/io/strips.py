"""Line windows of a datastrip store, read straight from Zarr."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import zarr

from s2dask.errors import InputError
from s2dask.instrument import BANDS
from s2dask.io.chunk_files import ChunkFiles, ZarrWindows, open_for_reading
from s2dask.io.schema_strip import image_path, mask_path


class ImageSource(Protocol):
    """Anything that serves L1B lines: a store, or the chain computing them on demand."""

    def lines(self, band: str) -> int:
        """Return the number of lines of the images of a band."""

    def read(self, detector: int, band: str, line0: int, line1: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts, quality) of lines [line0, line1), both (line, column) uint16."""


@dataclass
class StripSource:
    """The images of a datastrip store.

    Attributes
    ----------
    url : str
        L1A or L1B store.
    scenes : (int, int) or None
        First scene and last + 1 that it holds; None: all of its shape.
    """

    url: str
    scenes: tuple[int, int] | None = None
    _arrays: dict[str, ChunkFiles | ZarrWindows] = field(default_factory=dict, repr=False, compare=False)

    def _array(self, path: str) -> ChunkFiles | ZarrWindows:
        if path not in self._arrays:
            self._arrays[path] = open_for_reading(self.url, path)
        return self._arrays[path]

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "scenes": self.scenes, "_arrays": {}}

    def lines(self, band: str) -> int:
        """Return the number of lines of the images of a band."""
        group = zarr.open_group(self.url, mode="r", path="measurements")
        detector = next(iter(sorted(group.group_keys())))
        return int(self._array(image_path(int(detector[1:]), band)).shape[0])

    def read(self, detector: int, band: str, line0: int, line1: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts, quality) of lines [line0, line1), both (line, column) uint16."""
        arrays = [self._array(path(detector, band)) for path in (image_path, mask_path)]
        start, stop, _ = slice(line0, line1).indices(arrays[0].shape[0])
        if self.scenes is not None:
            self._check(f"D{detector:02d} {band}", start, stop, BANDS[band].lines_per_scene)
        counts, quality = (array.read((start, 0), (stop, array.shape[1])) for array in arrays)
        return counts, quality

    def _check(self, what: str, start: int, stop: int, lines: int) -> None:
        """Refuse lines that the store does not hold: they would read as no data."""
        first, last = self.scenes or (0, 0)
        if start < first * lines or stop > last * lines:
            held = f"lines {start} to {stop} are not among its scenes {first} to {last - 1}"
            raise InputError(held, f"{self.url} {what}", "a virtual datastrip lacks what its tile takes: do not split")
