"""Any map grid as the orthoimage algorithms see it: pixels straight from the detector images, resampled once."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.errors import ConfigurationError
from s2dask.geometry.inverse_grid import STEP
from s2dask.geometry.tiles import map_positions
from s2dask.l1c.tile_geometry import TileFrame

ANGLE_NODES: Final = 20
"""Nodes of the inverse grid between two of the sun angles: 4.8 km at most."""
_RADIUS: Final = 6_378_137.0
"""Equatorial radius of WGS84 [m]."""


def _bounds(frame: TileFrame) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top [unit of the map]."""
    return frame.x0, frame.y0 - frame.height, frame.x0 + frame.width, frame.y0


def _unit_vectors(frame: TileFrame, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # outside the map's domain places are infinite
        lon, lat = (np.radians(a) for a in map_positions(frame.crs, (frame.x0, frame.y0), x, y))
    if not np.isfinite(lon + lat).all():
        raise ConfigurationError(
            f"no place on Earth for parts of it in {frame.crs}", f"grid {frame.name}", "move it into the map's domain"
        )
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def ground_pixel(frame: TileFrame) -> float:
    """Return the longest edge of a pixel on the ground [m], of those at nine places of the frame."""
    left, bottom, right, top = _bounds(frame)
    x, y = np.meshgrid(np.linspace(left, right, 3), np.linspace(bottom, top, 3))
    here = _unit_vectors(frame, x, y)
    steps = (_unit_vectors(frame, x + frame.pixel, y), _unit_vectors(frame, x, y - frame.pixel))
    return max(float(np.linalg.norm(there - here, axis=0).max()) for there in steps) * _RADIUS


def _refuse_the_pole(frame: TileFrame) -> None:
    to_map = Transformer.from_crs("EPSG:4326", frame.crs, always_xy=True)
    left, bottom, right, top = _bounds(frame)
    for lat in (-90.0, 90.0):
        x, y = to_map.transform(np.array([0.0, 90.0, 180.0, -90.0]), np.full(4, lat))
        geographic = to_map.target_crs is not None and to_map.target_crs.is_geographic
        if ((geographic | ((left <= x) & (x <= right))) & (bottom <= y) & (y <= top)).any():
            raise ConfigurationError(
                "it holds a pole, where longitudes meet", f"grid {frame.name}",
                "the mission looks up to 83 degrees: cut the grid beside the pole",
            )


def fitted(frame: TileFrame) -> TileFrame:
    """Return a frame with the spacing of nodes and angles that suits its pixels.

    Notes
    -----
    A pixel is a sample of the interpolated image at its centre, whatever its size: one larger than those of the band is
    no average of them.
    """
    _refuse_the_pole(frame)
    size = ground_pixel(frame)
    if size > STEP:
        raise ConfigurationError(
            f"pixels of {size:.0f} m", f"grid {frame.name}", f"use at most {STEP:.0f} m and average what comes out"
        )
    node = frame.pixel * int(STEP / size)
    return replace(frame, node=node, angle_step=ANGLE_NODES * node)
