"""Forecasts at TILE_INIT: cut to the tile at its sensing, kept in its stores, flagged where there are none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.auxdata.forecast import CutOut, cut_forecast, read_cutout, tile_points
from s2dask.auxdata.grib import Grid
from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.errors import InputError
from s2dask.geometry.tiles import map_positions
from s2dask.io.grids import TileGrid
from s2dask.io.meteorology import field_path, field_spec, file_spec, forecast_path, place_specs
from s2dask.io.tiles import TileReader
from s2dask.io.variables import VariableSpec
from s2dask.io.writer import write_whole
from s2dask.production.setting import Setting

Variables = dict[str, tuple[VariableSpec, np.ndarray]]
"""Variables of a store by path, and what they hold."""
_WITHOUT: Final = {
    "ecmwf": "no ECMWF forecast: the tile carries none, L2A assumes a standard atmosphere",
    "cams": "no CAMS forecast: the tile carries none, L2A takes the aerosol from the image alone",
}


def points_of(grid: TileGrid) -> Grid:
    """Return the points of the cut-outs of a tile: from its upper left to its lower right corner."""
    left, bottom, right, top = grid.bounds
    lon, lat = map_positions(grid.crs, (left, top), np.array([left, right], float), np.array([top, bottom], float))
    return tile_points((float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])))


def cut_forecasts(setting: Setting, grid: TileGrid, date: int) -> tuple[dict[str, bytes], list[str]]:
    """Return the forecasts of a tile as GRIB files, by kind, and what had to be assumed.

    Parameters
    ----------
    setting : Setting
        Names the files: global, regional, or cut-outs already.
    grid : TileGrid
    date : int
        Of the sensing, GPS [ns].
    """
    made: dict[str, bytes] = {}
    flags: list[str] = []
    points, time = points_of(grid), gps_to_utc(date)
    for kind, path in (("ecmwf", setting.meteo), ("cams", setting.cams)):
        if path is None:
            flags.append(_WITHOUT[kind])
            continue
        found: CutOut = cut_forecast(path, points, time)
        made[kind] = found.content
        flags += found.notes
    return made, flags


def carried_forecasts(tile: TileReader) -> dict[str, bytes]:
    """Return the forecast files that came with a tile, by kind."""
    paths = {"ecmwf": tile.meteo(), "cams": tile.cams()}
    return {kind: Path(path).read_bytes() for kind, path in paths.items() if path is not None}


def forecast_variables(files: Mapping[str, bytes]) -> Variables:
    """Return what a store keeps of forecast files: the files, and the fields that can be read in them.

    Parameters
    ----------
    files : mapping of str to bytes
        By kind. One of another processor that this one cannot read is carried as it is.
    """
    out: Variables = {}
    for kind, content in files.items():
        out[forecast_path(kind)] = file_spec(kind, len(content)), np.frombuffer(content, np.uint8)
        try:
            cut = read_cutout(content, f"AUX_DATA of the tile, {kind}")
        except InputError:
            continue
        places = place_specs(kind, cut.lat.size, cut.lon.size)
        out |= {path: (spec, cut.lat if path.endswith("latitude") else cut.lon) for path, spec in places.items()}
        for number, values in cut.fields.items():
            spec = field_spec(number, cut.levels[number], values.shape, iso(cut.time, 0))
            out[field_path(kind, number)] = spec, values.astype(np.float32)
    return out


def write_forecasts(url: str, variables: Mapping[str, tuple[VariableSpec, Any]]) -> None:
    """Fill the variables of forecasts of a store that was created with them."""
    for path, (_, values) in variables.items():
        write_whole(url, path, values)
