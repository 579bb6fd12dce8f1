"""The geometry of a whole tile: what is seen of it, and when; viewing angles every 5 km."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.geometry.angles import node_positions, view_angles
from s2dask.geometry.inverse_grid import EARTH_HEIGHTS, STEP, Lattice, seen_patches
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import BANDS, band
from s2dask.l1c.location import Pixels, build_lattice, window_height

ANGLE_STEP: Final = 5000
"""Spacing of the angle nodes [m]."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TileFrame:
    """A tile as the algorithms see it.

    Attributes
    ----------
    name, crs : str
    x0, y0 : float
        Upper left corner [unit of the map, here and below].
    width, height : float
    pixel : float
        Edge of the pixels that cover it evenly.
    node : float
        Spacing of the nodes of its inverse grids, at most 240 m on the ground.
    angle_step : float
        Spacing of its angle nodes.
    """

    name: str
    crs: str
    x0: float
    y0: float
    width: float
    height: float
    pixel: float = 60.0
    node: float = STEP
    angle_step: float = ANGLE_STEP

    def lattice(self, pixels: Pixels) -> Lattice:
        """Return the nodes around a block."""
        return build_lattice(self.crs, self.x0, self.y0, pixels)

    def whole(self) -> Pixels:
        """Return all pixels."""
        rows, columns = round(self.height / self.pixel), round(self.width / self.pixel)
        return Pixels(self.pixel, 0, 0, rows, columns, self.node)


def seen_box(
    model: ViewingModel, tile: TileFrame, lines: Mapping[str, int], detectors: Sequence[int]
) -> Box:
    """Return the box (west, south, east, north) [degree] around what any band and detector sees of a tile.

    Parameters
    ----------
    model : ViewingModel
    tile : TileFrame
    lines : mapping of str to int
        Lines of the images, by band.
    detectors : sequence of int
    """
    lattice = tile.lattice(tile.whole())
    seen = np.zeros(lattice.corners().shape[1], np.bool_)
    for name, count in lines.items():
        for detector in detectors:
            seen |= seen_patches(model, name, detector, lattice, EARTH_HEIGHTS, count)
    if not seen.any():
        raise InputError("the datastrip sees nothing of it", f"tile {tile.name}", "choose a tile under its track")
    # nodes beyond the tile are left out: its terrain is all that is needed
    rows = np.arange(lattice.lat.shape[0])[:, None] <= tile.height // tile.node + 1
    columns = np.arange(lattice.lat.shape[1])[None, :] <= tile.width // tile.node + 1
    inside = np.zeros(lattice.lon.shape, np.bool_)
    for i, j in lattice.patches(seen):
        # one node more on either side: a patch answers for the cells that begin in it
        inside[max(i.start - 1, 0) : i.stop + 1, max(j.start - 1, 0) : j.stop + 1] = True
    inside &= rows & columns
    lon, lat = lattice.lon[inside], lattice.lat[inside]
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def angle_positions(tile: TileFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude (y, x) [degree] of the angle nodes of a tile."""
    rows, columns = (int(np.ceil(size / tile.angle_step)) + 1 for size in (tile.height, tile.width))
    x = tile.x0 + tile.angle_step * np.arange(columns, dtype=np.float64)
    y = tile.y0 - tile.angle_step * np.arange(rows, dtype=np.float64)
    return node_positions(tile.crs, np.asarray(x), np.asarray(y))


def tile_date(
    model: ViewingModel, lon: NDArray[np.float64], lat: NDArray[np.float64], lines: Mapping[str, int],
    detectors: Sequence[int], height: float,
) -> int:
    """Return the mean GPS date [ns] at which the nodes are seen, lines outside the images taken at their ends."""
    dates = []
    for name, count in lines.items():
        for detector in detectors:
            line, _ = model.inverse(name, detector, lon, lat, height, 2.0 * ANGLE_STEP / band(name).resolution)
            found = np.clip(line[np.isfinite(line)], 0, count - 1)
            if found.size:
                dates.append(int(model.date(name, detector, float(found.mean()))))
    if not dates:
        raise InputError("no angle node is seen", "tile geometry", "choose a tile under the datastrip's track")
    first = min(dates)
    return first + int(np.mean([d - first for d in dates]))


def viewing_angles(
    model: ViewingModel,
    tile: TileFrame,
    lines: Mapping[str, int],
    detectors: Sequence[int],
    heights: tuple[float, float],
    frame: NDArray[np.float64],
    posts: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return the viewing angles (band, detector, angle, y, x) [degree] at the 5 km nodes, all 13 bands in order.

    A node is given where it lies in a detector's image or less than one node beside it, so that every pixel that the
    detector sees has four nodes; all is NaN for a detector that sees nothing of the tile.

    Parameters
    ----------
    model : ViewingModel
    tile : TileFrame
    lines : mapping of str to int
        Lines of the images, by band.
    detectors : sequence of int
    heights : (float, float)
        Height range of the tile [m].
    frame, posts
        Of a terrain window, as in `s2dask.l1c.location.pixel_heights`.
    """
    lon, lat = angle_positions(tile)
    h = np.array([window_height(x, y, frame, posts) for x, y in zip(lon.flat, lat.flat, strict=True)])
    h = h.reshape(lon.shape)
    view = np.full((len(BANDS), len(detectors), 2, *lon.shape), np.nan)
    lattice = tile.lattice(tile.whole())
    for name, count in lines.items():
        for i, detector in enumerate(detectors):
            if not seen_patches(model, name, detector, lattice, heights, count).any():
                continue
            beside = 1.1 * ANGLE_STEP / band(name).resolution
            line, _ = model.inverse(name, detector, lon, lat, h, beside)
            with np.errstate(invalid="ignore"):
                line = np.where((line > -beside) & (line < count + beside), line, np.nan)
            view[band(name).index, i] = view_angles(model, name, detector, line, lon, lat, h)
    return view


def mean_angles(angles: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean zenith and azimuth [degree] of angles (…, angle, y, x): the direction of the mean vector.

    NaN when there are none.
    """
    flat = np.radians(np.moveaxis(angles, -3, 0).reshape(2, -1))
    zenith, azimuth = flat[:, np.isfinite(flat).all(axis=0)]
    if not zenith.size:
        return float("nan"), float("nan")
    east, north = (np.sin(zenith) * np.sin(azimuth)).mean(), (np.sin(zenith) * np.cos(azimuth)).mean()
    mean = np.arctan2(np.hypot(east, north), np.cos(zenith).mean())
    return float(np.degrees(mean)), float(np.degrees(np.arctan2(east, north)) % 360.0)

