"""GRIB edition 1 with regular grids of longitude and latitude: what the mission's weather files are made of.

ecCodes is not used in this process: its wheel loads a PROJ of its own for the whole process, and pyproj then crashes.
Source of the layout: WMO Manual on Codes, FM 92-XI GRIB.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import InputError

_HEAD: Final = 8
_ECMWF: Final = 98
_TABLE: Final = 128
_BITS: Final = 16


class Grid(NamedTuple):
    """A grid north up, west to east.

    Attributes
    ----------
    lon0, lat0 : float [deg]
        First point, the north-western one.
    step_lon, step_lat : float [deg]
    rows, columns : int
    """

    lon0: float
    lat0: float
    step_lon: float
    step_lat: float
    rows: int
    columns: int

    @property
    def lon(self) -> NDArray[np.float64]:
        """Longitudes, ascending [deg]."""
        return np.asarray(self.lon0 + self.step_lon * np.arange(self.columns))

    @property
    def lat(self) -> NDArray[np.float64]:
        """Latitudes, descending [deg]."""
        return np.asarray(self.lat0 - self.step_lat * np.arange(self.rows))


def _signed(data: bytes) -> int:
    """Return a number in sign and magnitude."""
    value = int.from_bytes(data, "big")
    half = 1 << (8 * len(data) - 1)
    return -(value - half) if value >= half else value


def _put(value: int, size: int) -> bytes:
    """Return a number in sign and magnitude."""
    return (abs(value) | ((1 << (8 * size - 1)) if value < 0 else 0)).to_bytes(size, "big")


def _ibm(data: bytes) -> float:
    """Return an IBM single: base 16, excess 64."""
    mantissa = int.from_bytes(data[1:4], "big")
    return float((-1.0 if data[0] & 0x80 else 1.0) * mantissa * 16.0 ** ((data[0] & 0x7F) - 70))


def _to_ibm(value: float) -> bytes:
    """Return the IBM single next to a number, on its lower side."""
    if value == 0:
        return bytes(4)
    exponent = 64 + int(np.floor(np.log2(abs(value)) / 4)) + 1
    scaled = abs(value) / 16.0 ** (exponent - 70)
    mantissa = int(np.ceil(scaled) if value < 0 else np.floor(scaled))
    if mantissa >= 1 << 24:
        mantissa, exponent = mantissa >> 4, exponent + 1
    return bytes([(0x80 if value < 0 else 0) | exponent]) + mantissa.to_bytes(3, "big")


def _grid(section: bytes, where: str) -> tuple[Grid, bool]:
    """Return the grid of a description section, and whether its rows run from the south."""
    if section[5] != 0:
        raise InputError(f"grid of type {section[5]}", where, "give a regular longitude and latitude grid")
    columns, rows = (int.from_bytes(section[i : i + 2], "big") for i in (6, 8))
    lat1, lon1, lat2, lon2 = (_signed(section[i : i + 3]) / 1000.0 for i in (10, 13, 17, 20))
    scan = section[27]
    if scan & 0xA0 or rows < 1 or columns < 1:
        raise InputError(f"grid of {rows} x {columns} points scanned as {scan}", where, "scan rows from the west")
    across = (lon2 - lon1) % 360.0
    return Grid(
        lon1, max(lat1, lat2), across / max(columns - 1, 1), abs(lat2 - lat1) / max(rows - 1, 1), rows, columns
    ), bool(scan & 0x40)


def _values(section: bytes, decimal: int, size: int, where: str) -> NDArray[np.float64]:
    if section[3] & 0xF0:
        raise InputError("packing that is not simple", where)
    reference, binary, bits = _ibm(section[6:10]), _signed(section[4:6]), section[10]
    if bits == 0:
        return np.full(size, reference / 10.0**decimal)
    stream = np.unpackbits(np.frombuffer(section[11:], np.uint8))
    if bits > 32 or stream.size < size * bits:
        raise InputError(f"{size} values of {bits} bits in {len(section)} bytes", where)
    weights = 2.0 ** np.arange(bits - 1, -1, -1)
    packed = (stream[: size * bits].reshape(size, bits) * weights).sum(axis=1)
    return np.asarray((reference + packed * 2.0**binary) / 10.0**decimal)


class Field(NamedTuple):
    """A message.

    Attributes
    ----------
    parameter : int
        ECMWF's number: by itself of its table 128, after 1000 times the table of another one.
    grid : Grid
    values : (row, column) float64
    product : bytes
        Its product definition section.
    """

    parameter: int
    grid: Grid
    values: NDArray[np.float64]
    product: bytes


def _message(message: bytes, where: str) -> Field:
    sections, at = [], _HEAD
    for _ in range(3):
        size = int.from_bytes(message[at : at + 3], "big")
        sections.append(message[at : at + size])
        at += size
        if len(sections[0]) < 28 or len(sections[-1]) < min(size, 11) or size < 11:
            raise InputError("broken section", where)
    product, description, data = sections
    if product[7] & 0xC0 != 0x80:
        raise InputError("message without a grid or with a bitmap", where)
    if len(description) < 28:
        raise InputError("broken grid description", where)
    grid, southern = _grid(description, where)
    values = _values(data, _signed(product[26:28]), grid.rows * grid.columns, where).reshape(grid.rows, grid.columns)
    parameter = product[8] if product[3] == _TABLE else 1000 * product[3] + product[8]
    return Field(parameter, grid, np.ascontiguousarray(values[::-1]) if southern else values, product)


def read_messages(content: bytes, where: str) -> Iterator[tuple[int, Grid, NDArray[np.float64]]]:
    """Yield (parameter, grid, (row, column) float64 values) of each message; see `read_fields`."""
    yield from (field[:3] for field in read_fields(content, where))


def read_fields(content: bytes, where: str) -> Iterator[Field]:
    """Yield the messages of a file.

    Parameters
    ----------
    content : bytes
        A whole file.
    where : str
        What it is called in messages.
    """
    at = content.find(b"GRIB")
    while at >= 0:
        if content[at + 7 : at + 8] != b"\x01":
            raise InputError("GRIB, but not of edition 1", where)
        size = int.from_bytes(content[at + 4 : at + 7], "big")
        message = content[at : at + size]
        if len(message) < size or message[-4:] != b"7777":
            raise InputError("GRIB message cut short", where)
        yield _message(message, where)
        at = content.find(b"GRIB", at + size)


def between_points(
    lons: NDArray[np.float64], lats: NDArray[np.float64], values: NDArray[np.float64], lon: ArrayLike, lat: ArrayLike
) -> NDArray[np.float64]:
    """Return a field at places, bilinear; the edge of the grid is carried on outside.

    Parameters
    ----------
    lons : (column) float64 [deg]
        Ascending.
    lats : (row) float64 [deg]
        Descending.
    values : (row, column) float64
    lon, lat : (...) float [deg]
    """
    x, y = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    middle = (lons[0] + lons[-1]) / 2
    x = middle + (x - middle + 180.0) % 360.0 - 180.0
    columns, rows = np.interp(x, lons, np.arange(lons.size)), np.interp(-y, -lats, np.arange(lats.size))
    i, j = rows.astype(np.int64), columns.astype(np.int64)
    below, right = np.minimum(i + 1, values.shape[0] - 1), np.minimum(j + 1, values.shape[1] - 1)
    u, v = columns - j, rows - i
    upper = values[i, j] * (1 - u) + values[i, right] * u
    lower = values[below, j] * (1 - u) + values[below, right] * u
    return np.asarray(upper * (1 - v) + lower * v)


def message(parameter: int, grid: Grid, values: NDArray[np.float64], time: datetime) -> bytes:
    """Return the message of a surface field: 16 bits per value.

    Parameters
    ----------
    parameter : int
        ECMWF's number: 137 is that of its table 128, 210207 is 207 of its table 210.
    grid : Grid
    values : (row, column) float64
    time : datetime
        UTC.
    """
    century, year = (time.year - 1) // 100 + 1, (time.year - 1) % 100 + 1
    table, number = parameter // 1000 or _TABLE, parameter % 1000
    product = bytes([0, 0, 28, table, _ECMWF, 128, 255, 0x80, number, 1, 0, 0])
    product += bytes([year, time.month, time.day, time.hour, time.minute, 1, 0, 0, 0, 0, 0, 0, century, 0, 0, 0])
    return encode(product, grid, values)


def encode(product: bytes, grid: Grid, values: NDArray[np.float64]) -> bytes:
    """Return the message of a field that has a product definition section: 16 bits per value.

    Parameters
    ----------
    product : bytes
        With a decimal scale of 0.
    grid : Grid
    values : (row, column) float64
    """
    south, east = grid.lat0 - (grid.rows - 1) * grid.step_lat, grid.lon0 + (grid.columns - 1) * grid.step_lon
    description = bytes([0, 0, 32, 0, 255, 0]) + grid.columns.to_bytes(2, "big") + grid.rows.to_bytes(2, "big")
    description += _put(round(grid.lat0 * 1000), 3) + _put(round(grid.lon0 * 1000), 3) + bytes([0x80])
    description += _put(round(south * 1000), 3) + _put(round(east * 1000), 3)
    description += b"".join(_put(round(step * 1000), 2) for step in (grid.step_lon, grid.step_lat)) + bytes(5)
    data = _pack(np.ascontiguousarray(values, np.float64))
    size = _HEAD + len(product) + len(description) + len(data) + 4
    return b"GRIB" + size.to_bytes(3, "big") + b"\x01" + product + description + data + b"7777"


def _pack(values: NDArray[np.float64]) -> bytes:
    reference = _to_ibm(float(values.min()))
    span = float(values.max()) - _ibm(reference)
    binary = int(np.ceil(np.log2(span / (2**_BITS - 1)))) if span > 0 else 0
    packed = np.rint((values.ravel() - _ibm(reference)) / 2.0**binary)
    body = np.clip(packed, 0, 2**_BITS - 1).astype(">u2").tobytes()
    odd = (11 + len(body)) % 2
    head = bytes([8 * odd]) + _put(binary, 2) + reference + bytes([_BITS])
    return (11 + len(body) + odd).to_bytes(3, "big") + head + body + bytes(odd)
