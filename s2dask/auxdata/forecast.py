"""What a forecast file says over one tile, at its sensing: a small GRIB file of its own, as products carry it.

AUX_ECMWFT and AUX_CAMSFO of the mission's products are such cut-outs: GRIB edition 1, 9 x 9 points from the upper left
to the lower right corner of the tile, 16 bits, messages of 270 bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.grib import Field, Grid, between_points, encode, read_fields
from s2dask.errors import InputError, InputMissing

POINTS: Final = 9
"""Of a cut-out, along each side."""
FARTHEST: Final = timedelta(hours=6)
"""Between the sensing and the nearest forecast before that is said."""
_LOCAL: Final = bytes(12) + bytes([1, 14, 9, 4, 1]) + b"0001" + bytes(3)
"""Reserved octets and local section of ECMWF, as AUX_ECMWFT files have them: a forecast of the stream oper."""
_UNITS: Final = {0: 1, 1: 60, 2: 1440, 10: 180, 11: 360, 12: 720}
"""Minutes of the time units of GRIB edition 1 (code table 4)."""


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A forecast over a tile.

    Attributes
    ----------
    content : bytes
        GRIB, edition 1.
    lon, lat : (9) float64 [deg]
        Ascending; descending.
    fields : dict of int to (9, 9) float64
        By ECMWF's number, in its unit; as the content has them.
    levels : dict of int to (int, int)
        Type and value of the level of each.
    time : datetime
        UTC.
    notes : tuple of str
        What had to be assumed.
    """

    content: bytes
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    fields: dict[int, NDArray[np.float64]]
    levels: dict[int, tuple[int, int]]
    time: datetime
    notes: tuple[str, ...] = ()


def tile_points(corners: tuple[float, float, float, float]) -> Grid:
    """Return the points of a cut-out.

    Parameters
    ----------
    corners : (float, float, float, float) [deg]
        Longitude and latitude of the upper left and of the lower right corner of the tile.
    """
    west, north, east, south = (round(v, 3) for v in corners)
    across = (east - west) % 360.0
    return Grid(west, north, across / (POINTS - 1), (north - south) / (POINTS - 1), POINTS, POINTS)


def valid_time(product: bytes, where: str) -> datetime:
    """Return when the field of a product definition section holds [UTC]."""
    if len(product) < 28:
        raise InputError("product definition cut short", where)
    year = (product[24] - 1) * 100 + product[12]
    step, kind, unit = product[18], product[20], product[17]
    if kind == 10:
        step = int.from_bytes(product[18:20], "big")
    elif kind == 1:
        step = 0
    elif kind != 0:
        raise InputError(f"time range {kind}", where, "give instantaneous fields")
    if unit not in _UNITS:
        raise InputError(f"time unit {unit}", where, "give steps in minutes, hours or days")
    try:
        month, day, hour, minute = product[13:17]
        start = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"no date: {error}", where) from error
    return start + timedelta(minutes=step * _UNITS[unit])


def _sensed(product: bytes, time: datetime) -> bytes:
    """Return a product definition section whose field holds at a time, an analysis of the minute."""
    century, year = (time.year - 1) // 100 + 1, (time.year - 1) % 100 + 1
    dates = bytes([year, time.month, time.day, time.hour, time.minute, 1, 0, 0, 0, 0, 0, 0, century])
    local = product[28:] if len(product) >= 52 else _LOCAL
    body = product[3:12] + dates + product[25:26] + bytes(2) + local
    return (3 + len(body)).to_bytes(3, "big") + body


def _on_points(field: Field, points: Grid) -> NDArray[np.float64]:
    """Return a field at the points of a cut-out, bilinear; a grid around the globe is closed."""
    grid, lons, values = field.grid, field.grid.lon, field.values
    if grid.columns * grid.step_lon > 360.0 - grid.step_lon / 2 and (grid.columns - 1) * grid.step_lon < 359.999:
        lons, values = np.append(lons, lons[0] + 360.0), np.hstack([values, values[:, :1]])
    return between_points(lons, grid.lat, values, *np.meshgrid(points.lon, points.lat))


def _covers(grid: Grid, points: Grid) -> bool:
    """Tell whether the points lie within a grid, to one of its own steps."""
    west, across = grid.lon0 - grid.step_lon, (grid.columns + 1) * grid.step_lon
    inside = (points.lon - west) % 360.0 <= across
    north, south = grid.lat0 + grid.step_lat, grid.lat0 - grid.rows * grid.step_lat
    return bool((inside | (across >= 360.0)).all() and ((points.lat <= north) & (points.lat >= south)).all())


def _at_time(
    fields: Iterable[tuple[datetime, Field]], points: Grid, time: datetime
) -> tuple[Field, NDArray[np.float64], timedelta]:
    """Return a message of a field, its values at the points and at a time, and how far the forecast is from that."""
    ordered = sorted(fields, key=lambda pair: pair[0])
    before = [pair for pair in ordered if pair[0] <= time]
    after = [pair for pair in ordered if pair[0] >= time]
    (t0, first), (t1, second) = (before or after[:1])[-1], (after or before[-1:])[0]
    values = _on_points(first, points)
    if t1 > t0:
        share = (time - t0) / (t1 - t0)
        values = values * (1 - share) + _on_points(second, points) * share
    return first, values, max(t0 - time, time - t1, timedelta(0))


def cut_forecast(path: str | Path, points: Grid, time: datetime) -> CutOut:
    """Cut a forecast file, global or regional, to the points of a tile at its sensing.

    Parameters
    ----------
    path : path
        GRIB, edition 1; any fields, of one time or several.
    points : Grid
        See `tile_points`.
    time : datetime
        UTC.

    Raises
    ------
    InputMissing
        No such file.
    InputError
        Not GRIB of edition 1, or nothing in it.

    Notes
    -----
    Bilinear in longitude and latitude, linear in time between the steps around the sensing; beyond the first or the
    last step, and beyond the edge of the grid, the nearest value is carried on and that is noted. A cut-out that is cut
    again for the same tile and time keeps its values to its own packing.
    """
    file, where = Path(path), str(path)
    if not file.is_file():
        raise InputMissing("no such forecast file", where)
    time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    found: dict[tuple[int, int, int], list[tuple[datetime, Field]]] = {}
    for field in read_fields(file.read_bytes(), where):
        level = field.product[9], int.from_bytes(field.product[10:12], "big")
        found.setdefault((field.parameter, *level), []).append((valid_time(field.product, where), field))
    if not found:
        raise InputError("no message", where, "give a GRIB file of edition 1")
    content, notes = b"", dict[str, None]()
    for fields in found.values():
        first, values, gap = _at_time(fields, points, time)
        content += encode(_sensed(first.product, time), points, values)
        if gap > FARTHEST:
            notes[f"{file.name}: {gap.total_seconds() / 3600:.0f} h between it and the sensing"] = None
        if not _covers(first.grid, points):
            notes[f"{file.name} does not reach over the tile: its edge is carried on"] = None
    return read_cutout(content, where, tuple(notes))


def read_cutout(content: bytes, where: str, notes: tuple[str, ...] = ()) -> CutOut:
    """Return what a cut-out holds; of a parameter at several levels, the first.

    Parameters
    ----------
    content : bytes
        GRIB, edition 1, all on one grid.
    where : str
        What it is called in messages.
    notes : tuple of str
    """
    fields: dict[int, Field] = {}
    for field in read_fields(content, where):
        fields.setdefault(field.parameter, field)
    if not fields:
        raise InputError("no message", where, "give a GRIB file of edition 1")
    first = next(iter(fields.values()))
    if any(field.grid != first.grid for field in fields.values()):
        raise InputError("fields on several grids", where, "cut it to the tile first")
    levels = {n: (f.product[9], int.from_bytes(f.product[10:12], "big")) for n, f in fields.items()}
    return CutOut(
        content, first.grid.lon, first.grid.lat, {n: f.values for n, f in fields.items()}, levels,
        valid_time(first.product, where), notes,
    )  # fmt: skip
