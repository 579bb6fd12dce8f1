"""The viewing model: frames, trajectory, lines of sight, location, inverse grids, tiles."""

from s2dask.geometry.viewing import ViewingModel

__all__ = ["ViewingModel"]
