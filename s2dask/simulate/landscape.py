"""The ground truth: a fractal island in the sea, its surface classes, and clouds above it, in geographic space."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.simulate.clouds import cloud_opacity
from s2dask.simulate.noise import fractal, tile_value
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.spectra import TEXTURE, spectrum

POST: Final = 1.0 / 3600.0
"""Spacing of the elevation model [deg]."""
CELL: Final = 10.0
"""Spacing of the surface lattice [m]."""
METRES_PER_DEGREE: Final = 111_320.0
CLOUD_HEIGHT: Final = 2200.0
"""Above the ellipsoid [m]; above every peak of the island."""
REACH: Final = 9000.0
"""How far from a place lies what is seen of it: surroundings, shadows of clouds, clouds in the line of sight [m]."""
ALIGNED: Final = 60
"""Cells from one possible edge of a cut to the next, so that coarser lattices stay the same."""
SHADE: Final = 0.65
"""Share of the light that an opaque cloud takes from the ground below it."""


class Lattice(NamedTuple):
    """A regular grid of longitude and latitude, north up.

    Attributes
    ----------
    west, north : float
        First node [deg].
    dlon, dlat : float
        Spacing [deg], both positive.
    rows, columns : int
    """

    west: float
    north: float
    dlon: float
    dlat: float
    rows: int
    columns: int

    def frame(self) -> NDArray[np.float64]:
        """Return west, north, dlon, dlat as an array for kernels."""
        return np.array([self.west, self.north, self.dlon, self.dlat])

    def longitudes(self) -> NDArray[np.float64]:
        """Return the longitudes of the columns."""
        return self.west + self.dlon * np.arange(self.columns, dtype=np.float64)

    def latitudes(self) -> NDArray[np.float64]:
        """Return the latitudes of the rows."""
        return self.north - self.dlat * np.arange(self.rows, dtype=np.float64)

    def window(self, box: tuple[float, float, float, float], margin: int, step: int) -> tuple[slice, slice]:
        """Return the nodes of a (west, south, east, north) [deg], a margin more around, from multiples of a step on."""
        rows = _cut((self.north - box[3]) / self.dlat, (self.north - box[1]) / self.dlat, margin, step, self.rows)
        columns = _cut((box[0] - self.west) / self.dlon, (box[2] - self.west) / self.dlon, margin, step, self.columns)
        return rows, columns

    def cut(self, rows: slice, columns: slice) -> "Lattice":
        """Return the lattice of some rows and columns."""
        return self._replace(
            west=self.west + columns.start * self.dlon, north=self.north - rows.start * self.dlat,
            rows=rows.stop - rows.start, columns=columns.stop - columns.start,
        )  # fmt: skip


@kernel
def bilinear(field, frame, lon, lat):  # type: ignore[no-untyped-def]
    """Return a lattice's value at a place, bilinear; beyond its edge the edge value."""
    rows, columns = field.shape
    x = min(max((lon - frame[0]) / frame[2], 0.0), columns - 1.001)
    y = min(max((frame[1] - lat) / frame[3], 0.0), rows - 1.001)
    i, j = int(x), int(y)
    u, v = x - i, y - j
    top = field[j, i] * (1 - u) + field[j, i + 1] * u
    return top * (1 - v) + (field[j + 1, i] * (1 - u) + field[j + 1, i + 1] * u) * v


@kernel
def _sample(field, frame, lon, lat, out):  # type: ignore[no-untyped-def]
    for i in range(lon.size):
        out[i] = bilinear(field, frame, lon[i], lat[i])


def sample(
    field: NDArray[Any], frame: NDArray[np.float64], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a lattice's values at places, bilinear."""
    out = np.empty(lon.size)
    _sample(field, frame, lon.ravel(), lat.ravel(), out)
    return out.reshape(lon.shape)


@kernel
def _island(lon, lat, centre, radius, peak, rough, ridge, out):  # type: ignore[no-untyped-def]
    """Heights of the island above the sea, 0 in the sea."""
    scale = np.cos(np.radians(centre[1]))
    for r in range(lat.size):
        y = (lat[r] - centre[1]) * 111320.0
        for c in range(lon.size):
            x = (lon[c] - centre[0]) * 111320.0 * scale
            a = tile_value(rough, x / 60.0 + 300.0, y / 60.0 + 300.0)
            b = tile_value(ridge, x / 45.0 + 77.0, y / 45.0 + 500.0)
            distance = np.sqrt((x / 1.25) ** 2 + y**2) / radius
            shape = 1.0 - distance**1.5 + 0.22 * a
            h = peak * shape * (0.62 + 0.30 * (1.0 - min(abs(b), 1.6)))
            out[r, c] = max(h, 0.0) if shape > 0 else 0.0


@kernel
def _classify(lon, lat, heights, frame, fine, broad, classes, texture):  # type: ignore[no-untyped-def]
    """Surface class and texture [0, 255] of every node of the surface lattice."""
    scale = np.cos(np.radians(frame[1]))
    for r in range(lat.size):
        y = lat[r] * 111320.0
        for c in range(lon.size):
            x = lon[c] * 111320.0 * scale
            grain = tile_value(fine, x / 14.0, y / 14.0)
            patch = tile_value(broad, x / 25.0, y / 25.0)
            texture[r, c] = int(min(max(127.5 + 42.0 * grain, 0.0), 255.0))
            h = bilinear(heights, frame, lon[c], lat[r])
            if h <= 0.0:
                classes[r, c] = 0
                continue
            east = bilinear(heights, frame, lon[c] + 2.8e-4, lat[r])
            north = bilinear(heights, frame, lon[c], lat[r] + 2.8e-4)
            slope = np.sqrt(((east - h) / (31.0 * scale)) ** 2 + ((north - h) / 31.0) ** 2)
            if h > 1020.0 + 90.0 * patch:
                classes[r, c] = 6
            elif slope > 1.0 or h > 900.0 + 80.0 * patch:
                classes[r, c] = 4
            elif h < 220.0 and patch > 0.8:
                classes[r, c] = 5
            elif patch > 0.25 or slope > 0.6:
                classes[r, c] = 1
            elif patch > -0.55:
                classes[r, c] = 2
            else:
                classes[r, c] = 3


@kernel
def _render(classes, texture, spectrum_of, amplitude, out):  # type: ignore[no-untyped-def]
    """Reflectance of the lattice in one band."""
    known = np.empty((spectrum_of.size, 256), out.dtype)
    for k in range(known.shape[0]):
        for t in range(256):
            known[k, t] = spectrum_of[k] * (1.0 + amplitude[k] * (t / 127.5 - 1.0))
    for r in range(classes.shape[0]):
        for c in range(classes.shape[1]):
            out[r, c] = known[classes[r, c], texture[r, c]]


@kernel
def _blur_rows(field, weights, out):  # type: ignore[no-untyped-def]
    half = weights.size // 2
    rows, columns = field.shape
    padded = np.empty(columns + 2 * half, field.dtype)
    for r in range(rows):
        padded[:half], padded[columns + half :] = field[r, 0], field[r, columns - 1]
        padded[half : columns + half] = field[r]
        line = out[r]
        for c in range(columns):
            line[c] = field[r, c] * weights[half]
        for k in range(1, half + 1):
            w, left, right = weights[half + k], padded[half - k :], padded[half + k :]
            for c in range(columns):
                line[c] += w * (left[c] + right[c])


@kernel
def _blur_columns(field, weights, out):  # type: ignore[no-untyped-def]
    half = weights.size // 2
    rows, columns = field.shape
    for r in range(rows):
        line, here = out[r], field[r]
        for c in range(columns):
            line[c] = here[c] * weights[half]
        for k in range(1, half + 1):
            w, above, below = weights[half + k], field[max(r - k, 0)], field[min(r + k, rows - 1)]
            for c in range(columns):
                line[c] += w * (above[c] + below[c])


def blur(field: NDArray[np.float32], sigma: tuple[float, float]) -> NDArray[np.float32]:
    """Return a field convolved with a Gaussian of (row, column) deviations in cells, edges carried on."""
    out = np.empty_like(field)
    for along_columns, deviation in enumerate(reversed(sigma)):
        half = int(np.ceil(3.5 * deviation))
        weights = np.exp(-0.5 * (np.arange(-half, half + 1) / max(deviation, 1e-3)) ** 2)
        shares = (weights / weights.sum()).astype(np.float32)
        if along_columns:
            _blur_columns(field, shares, out)
        else:
            _blur_rows(field, shares, out)
        field, out = out, field if along_columns else np.empty_like(field)
    return field


@dataclass(frozen=True, eq=False)
class Landscape:
    """Everything below and in the sky, fixed by the seed.

    Attributes
    ----------
    relief : Lattice
        Of the elevation model.
    heights : (row, column) float32 [m]
        Above the geoid; 0 at sea.
    surface : Lattice
        Of classes, texture and clouds.
    classes, texture, cloud : (row, column) uint8
        Class code; texture and cloud opacity 0 to 255.
    """

    relief: Lattice
    heights: NDArray[np.float32]
    surface: Lattice
    classes: NDArray[np.uint8]
    texture: NDArray[np.uint8]
    cloud: NDArray[np.uint8]
    _opacities: dict[float, tuple[NDArray[np.float32], NDArray[np.float64]]] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def reflectance(
        self, band: str, psf: float, box: tuple[float, float, float, float] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the surface reflectance of a band as the instrument blurs it, and the frame of its lattice.

        Parameters
        ----------
        band : str
        psf : float
            Deviation of the point spread on the ground [m]; coarse ones are rendered on a coarser lattice.
        box : (west, south, east, north), optional [deg]
            What is wanted of it.
        """
        if box is None:
            return blurred(self.image(band), self.surface, psf)
        rows, columns = self.surface.window(box, int(5 * psf / CELL) + 2, coarseness(psf))
        return blurred(self.image(band, (rows, columns)), self.surface.cut(rows, columns), psf)

    def around(self, box: tuple[float, float, float, float]) -> "Landscape":
        """Return what is needed of it to see a (west, south, east, north) [deg], with all of the elevation model."""
        rows, columns = self.surface.window(box, int(REACH / CELL), ALIGNED)
        classes, texture, cloud = (part[rows, columns] for part in (self.classes, self.texture, self.cloud))
        return Landscape(self.relief, self.heights, self.surface.cut(rows, columns), classes, texture, cloud)

    def image(self, band: str, cut: tuple[slice, slice] = (slice(None), slice(None))) -> NDArray[np.float32]:
        """Return the surface reflectance (row, column) of a band on the surface lattice, or of a cut of it."""
        classes = self.classes[cut]
        image = np.empty(classes.shape, np.float32)
        _render(classes, self.texture[cut], spectrum(band), np.array(TEXTURE, np.float32), image)
        return image

    def opacity(self, psf: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the blurred cloud opacity [0, 1] and the frame of its lattice; kept, for many bands share it."""
        with self._lock:
            if psf not in self._opacities:
                opaque = self.cloud.astype(np.float32) / np.float32(255)
                self._opacities[psf] = blurred(opaque, self.surface, psf)
            return self._opacities[psf]


def coarseness(psf: float) -> int:
    """Return how many cells of the surface lattice make one of the lattice of an image with a point spread [m]."""
    return max(1, int(psf / (0.9 * CELL)))


def _cut(low: float, high: float, margin: int, step: int, count: int) -> slice:
    """Return the nodes around a range, a margin more on both sides, from a multiple of a step on."""
    first = max(int(low) - margin, 0) // step * step
    return slice(first, min(int(high) + margin + step, count))


def blurred(
    field: NDArray[np.float32], lattice: Lattice, psf: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a field as a point spread [m] blurs it, and the frame of its lattice, which may be coarser."""
    step = coarseness(psf)
    frame = lattice.frame()
    if step > 1:
        rows, columns = field.shape[0] // step, field.shape[1] // step
        field = field[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3), np.float32)
        frame[0] += frame[2] * (step - 1) / 2
        frame[1] -= frame[3] * (step - 1) / 2
        frame[2:] *= step
    # the average over a cell has already blurred by step^2/12
    left = np.sqrt(max((psf / CELL) ** 2 - (step**2 - 1) / 12, 0.04)) / step
    return blur(np.ascontiguousarray(field), (left, left)), frame


def _clouds(lattice: Lattice, options: SimulationOptions) -> NDArray[np.uint8]:
    scale = float(np.cos(np.radians(lattice.north)))
    x, y = lattice.longitudes() * METRES_PER_DEGREE * scale, lattice.latitudes() * METRES_PER_DEGREE
    return cloud_opacity(x, y, options.seed, options.cloud_cover)


def build_landscape(
    box: tuple[float, float, float, float], centre: tuple[float, float], options: SimulationOptions
) -> Landscape:
    """Make the island, its surface and its clouds.

    Parameters
    ----------
    box : (west, south, east, north)
        What the instrument sees, with a margin [deg].
    centre : (lon, lat)
        Middle of the window [deg].
    options : SimulationOptions
    """
    radius = 0.46 * options.window
    reach = (1.7 * radius + 2000.0) / METRES_PER_DEGREE
    scale = float(np.cos(np.radians(centre[1])))
    west, north = np.floor((centre[0] - reach / scale) * 60) / 60, np.ceil((centre[1] + reach) * 60) / 60
    columns, rows = int(np.ceil(2 * reach / scale / POST)) + 121, int(np.ceil(2 * reach / POST)) + 121
    relief = Lattice(float(west), float(north), POST, POST, rows, columns)
    heights = np.empty((rows, columns), np.float32)
    _island(
        relief.longitudes(), relief.latitudes(), np.array(centre), radius, 1250.0,
        fractal((options.seed, 1), 2.2), fractal((options.seed, 2), 2.0), heights,
    )  # fmt: skip
    return landscape_on(relief, heights, box, options)


def landscape_on(
    relief: Lattice, heights: NDArray[np.float32], box: tuple[float, float, float, float], options: SimulationOptions
) -> Landscape:
    """Cover an elevation model with surface classes and clouds."""
    west, south, east, north = box
    dlat = CELL / METRES_PER_DEGREE
    dlon = dlat / float(np.cos(np.radians((south + north) / 2)))
    rows, columns = int((north - south) / dlat) + 2, int((east - west) / dlon) + 2
    surface = Lattice(west, north, dlon, dlat, rows, columns)
    classes, texture = np.empty((rows, columns), np.uint8), np.empty((rows, columns), np.uint8)
    _classify(
        surface.longitudes(), surface.latitudes(), heights, relief.frame(),
        fractal((options.seed, 3), 1.2), fractal((options.seed, 4), 2.2), classes, texture,
    )  # fmt: skip
    return Landscape(relief, heights, surface, classes, texture, _clouds(surface, options))
