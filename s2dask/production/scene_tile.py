"""A tile of a datastrip, computed where it is looked at, from the functions that production runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from s2dask.instrument import BANDS, band
from s2dask.io.grids import TileGrid
from s2dask.l1c.stage import prepare_tile
from s2dask.production.blocks import Blocking, default_blocking
from s2dask.production.ortho import strip_lines
from s2dask.production.scene_grid import Layer, SceneGrid, bench, grid_array
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts


@dataclass(frozen=True, slots=True)
class SceneTile(SceneGrid):
    """A tile of a datastrip that serves as `s2dask.io.tiles.TileReader`, nothing written.

    Attributes
    ----------
    grid : TileGrid
    """

    grid: TileGrid

    def sun_angles(self) -> NDArray[np.float64]:
        """Return (zenith and azimuth, y, x) float64 [deg] at the 5 km nodes."""
        return bench(self).sun

    def view_angles(self, name: str) -> NDArray[np.float64]:
        """Return (detector, zenith and azimuth, y, x) float64 [deg] at the 5 km nodes, NaN where unseen."""
        views: NDArray[np.float64] = _views(self)[BANDS[name].index]
        return views

    def meteo(self) -> str | None:
        """Return the weather file of the datastrip's auxiliary data."""
        return bench(self).setting.meteo

    def cams(self) -> str | None:
        """Return the aerosol file of the datastrip's auxiliary data."""
        return bench(self).setting.cams


@lru_cache(maxsize=4)
def _views(tile: SceneTile) -> NDArray[np.float64]:
    facts, setting = strip_facts(tile.l0), open_setting(tile.l0, tile.aux, tile.replaced)
    return prepare_tile(setting.model, setting.terrain, tile.grid, strip_lines(facts), facts.detectors).view


def tile_array(
    tile: SceneTile, name: str, blocking: Blocking | None = None, what: Layer = "reflectance"
) -> xr.DataArray:
    """Return an orthoimage of a band, lazily, one chunk per block.

    Parameters
    ----------
    tile : SceneTile
    name : str
        Band.
    blocking : Blocking, optional
    what : Layer
        As in `s2dask.production.scene_grid.grid_array`.

    Returns
    -------
    (y, x), with the coordinates x, y and spatial_ref
    """
    edge = (blocking or default_blocking(tile.grid)).edge
    return grid_array(tile, name, what, edge // (band(name).resolution if name in tile.bands else 1))


def tile_tree(tile: SceneTile, bands: Sequence[str] | None = None, blocking: Blocking | None = None) -> xr.DataTree:
    """Return the reflectance of several bands lazily, in one group per resolution: ``r10m``, ``r20m``, ``r60m``."""
    groups: dict[str, dict[str, xr.DataArray]] = {}
    for name in bands or tile.bands:
        group = groups.setdefault(f"/r{band(name).resolution}m", {})
        group[name.lower()] = tile_array(tile, name, blocking)
    return xr.DataTree.from_dict({path: xr.Dataset(arrays) for path, arrays in groups.items()})
