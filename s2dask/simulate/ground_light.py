"""Light on the ground: how slopes face sun and sky, and what surrounds a place.

A slope is lit by the direct sun, by the sky and by the ground around it. Of the diffuse light of the sky a part comes
from around the sun, as large as the direct transmittance, and goes with the sun; the rest comes from everywhere alike
(Hay and Davies 1980). Relief casts no shadow here.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.simulate.landscape import Lattice
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.radiative_transfer_bands import HIGHEST_SUN
from s2dask.simulate.sky import direct_light, sun_position

Array = NDArray[np.float64]
Field = NDArray[np.float32]
REACH: Final = 1000.0
"""How far to every side surroundings count [m]."""
BLOCK: Final = 10
"""Cells of the surface lattice on the edge of a cell of the lattice of surroundings."""
_HEIGHTS: Final = 65
"""At which light is tabulated."""
_AXIS, _FLATTENING = 6_378_137.0, 1 / 298.257223563


@dataclass(frozen=True, eq=False)
class Slopes:
    """The lie of the land, at the posts of an elevation model.

    Attributes
    ----------
    facing : (row, column) float64 [1]
        Cosine of the angle between the sun and the slope's normal over that between sun and vertical; 0 in own shade.
    sky : (row, column) float64 [1]
        Share of the sky that the slope sees.
    height : (row, column) float64 [m]
        Above the ellipsoid.
    zenith : float [deg]
        Of the sun over the middle.
    """

    facing: Array
    sky: Array
    height: Array
    zenith: float


@kernel
def _block_means(image, out):  # type: ignore[no-untyped-def]
    row = np.empty(out.shape[1] * 10)
    for r in range(out.shape[0]):
        row[:] = 0.0
        for k in range(10):
            line = image[10 * r + k]
            for c in range(row.size):
                row[c] += line[c]
        for c in range(out.shape[1]):
            total = 0.0
            for k in range(10):
                total += row[10 * c + k]
            out[r, c] = total / 100.0


def surroundings(image: Field, lattice: Lattice, cell: float) -> tuple[Field, Array]:
    """Return the mean of an image over the squares that reach `REACH` to every side of places, and their frame.

    Parameters
    ----------
    image : (row, column) float32 [1]
    lattice : Lattice
        Of the image.
    cell : float [m]
        Its spacing.
    """
    rows, columns = image.shape[0] // BLOCK, image.shape[1] // BLOCK
    blocks = np.zeros((rows, columns))
    _block_means(image, blocks)
    reach = round(REACH / (BLOCK * cell))
    for axis, count in enumerate((rows, columns)):
        # of the corners of the blocks, so that the squares are centred on them
        at = np.arange(count + 1)
        low, high = np.maximum(at - reach, 0), np.minimum(at + reach, count)
        total = np.insert(blocks.cumsum(axis), 0, 0.0, axis)
        share = np.expand_dims(1.0 / (high - low), 1 - axis)
        blocks = (total.take(high, axis) - total.take(low, axis)) * share
    corner = lattice.west - lattice.dlon / 2, lattice.north + lattice.dlat / 2
    return blocks.astype(np.float32), np.array([*corner, BLOCK * lattice.dlon, BLOCK * lattice.dlat])


def gradient(heights: Field, relief: Lattice) -> tuple[Array, Array]:
    """Return the rise towards east and north (row, column) [1], by differences over two posts; 0 at sea."""
    phi = np.radians(relief.latitudes())[:, None]
    square = _FLATTENING * (2 - _FLATTENING)
    bend = np.sqrt(1 - square * np.sin(phi) ** 2)
    metres = _AXIS * np.cos(phi) / bend, _AXIS * (1 - square) / bend**3
    z = np.asarray(heights, np.float64)
    east = np.gradient(z, np.radians(relief.dlon), axis=1) / metres[0]
    north = -np.gradient(z, np.radians(relief.dlat), axis=0) / metres[1]
    land = z > 0
    return east * land, north * land


def lie(heights: Field, relief: Lattice, geoid: Array, date: int) -> Slopes:
    """Return how the land lies towards sun and sky.

    Parameters
    ----------
    heights : (row, column) float32 [m]
        Above the geoid, 0 at sea.
    relief : Lattice
    geoid : (row, column) float64 [m]
    date : int
        GPS [ns].
    """
    east, north = gradient(heights, relief)
    lon, lat = np.meshgrid(relief.longitudes(), relief.latitudes())
    zenith, azimuth = sun_position(date, lon, lat)
    zenith = np.minimum(zenith, HIGHEST_SUN)
    reach, turn = np.tan(np.radians(zenith)), np.radians(azimuth)
    up = 1 / np.sqrt(1 + east**2 + north**2)
    facing = np.maximum(up * (1 - reach * (east * np.sin(turn) + north * np.cos(turn))), 0.0)
    return Slopes(facing, (1 + up) / 2, heights + geoid, float(zenith[zenith.shape[0] // 2, zenith.shape[1] // 2]))


def relative_light(direct: Array, whole: Array, facing: Array, sky: Array, around: Array) -> Array:
    """Return the light on a slope over that on level ground.

    Parameters
    ----------
    direct, whole : (...) float64 [1]
        Transmittance of the sky down: the direct one, and with the diffuse one.
    facing, sky : (...) float64 [1]
        As in `Slopes`.
    around : (...) float64 [1]
        Reflectance of the ground around.

    Notes
    -----
    Hay's share of diffuse light that goes with the sun is ``direct``.
    """
    by_sky = (whole - direct) * (direct * facing + (1 - direct) * sky)
    return np.asarray((direct * facing + by_sky) / whole + (1 - sky) * around)


def light_on(slopes: Slopes, options: SimulationOptions, band: str, around: Array) -> Array:
    """Return the light (row, column) on the posts in a band over that on level ground [1]; `around` as there."""
    heights = np.linspace(float(slopes.height.min()), float(slopes.height.max()) + 1.0, _HEIGHTS)
    direct, whole, _ = direct_light(options, band, np.asarray(slopes.zenith), np.asarray(0.0), heights)
    direct, whole = (np.interp(slopes.height, heights, part) for part in (direct, whole))
    return relative_light(direct, whole, slopes.facing, slopes.sky, around)


@kernel
def shine(image, frame, light, relief):  # type: ignore[no-untyped-def]
    """Multiply an image by the light on it, in place; beyond the relief there is level sea.

    Parameters
    ----------
    image : (row, column) float32 [1]
    frame, relief : (4) float64 [deg]
        Frames of image and light.
    light : (row, column) float32 [1]
    """
    row = np.empty(light.shape[1])
    for r in range(image.shape[0]):
        y = (relief[1] - frame[1] + r * frame[3]) / relief[3]
        if y <= 0.0 or y >= light.shape[0] - 1.0:
            continue
        j = int(y)
        for i in range(row.size):
            row[i] = light[j, i] * (1.0 - (y - j)) + light[j + 1, i] * (y - j)
        line = image[r]
        for c in range(image.shape[1]):
            x = (frame[0] - relief[0] + c * frame[2]) / relief[2]
            if x > 0.0 and x < row.size - 1.0:
                i = int(x)
                line[c] *= row[i] * (1.0 - (x - i)) + row[i + 1] * (x - i)


if BLOCK != 10:  # pragma: no cover - the kernel holds it as a literal
    raise RuntimeError("the kernel of s2dask.simulate.ground_light disagrees with its block")
