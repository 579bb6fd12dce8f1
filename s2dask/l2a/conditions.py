"""Where sun and satellite stood and what the weather was, at nodes over a tile, without holes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.l2a.cells import between_nodes

NODE_STEP: Final = 5000.0
"""Between the nodes of a product [m]."""

Field = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Geometry and weather of a tile at nodes, those of a product every 5 km from its upper left corner.

    Attributes
    ----------
    unit : str
    cell : float
        Edge of a cell, that is of a 60 m pixel [m].
    detectors : tuple of int
    sun : (2, ny, nx) float64 [deg]
        Zenith and azimuth.
    views : dict of str to (slot, 2, ny, nx) float64 [deg]
        Zenith and azimuth of each band; slot 0 is the mean over the detectors, the others are `detectors`.
    lon, lat : (ny, nx) float64 [deg]
    water_vapour : (ny, nx) float64 [cm]
        Forecast above sea level.
    pressure : (ny, nx) float64 [hPa]
        At sea level.
    ozone : (ny, nx) float64 [DU]
    aot : (ny, nx) float64 [1] or None
        Forecast of the aerosol optical thickness at 550 nm, None without one.
    aot_height : (ny, nx) float64 [m] or None
        Above which height it is.
    aerosol : str
        Model of the aerosol: ``continental`` or ``maritime``.
    step, start : float [m]
        Between the nodes, and how far the first lies from the upper left corner, to the right and down.
    """

    unit: str
    cell: float
    detectors: tuple[int, ...]
    sun: Field
    views: dict[str, Field]
    lon: Field
    lat: Field
    water_vapour: Field
    pressure: Field
    ozone: Field
    aot: Field | None = None
    aot_height: Field | None = None
    aerosol: str = "continental"
    step: float = NODE_STEP
    start: float = 0.0

    def positions(self, first: int, count: int) -> Field:
        """Return where the centres of consecutive cells lie along one axis, in nodes."""
        return self.places_of(np.arange(first, first + count))

    def places_of(self, cells: ArrayLike) -> Field:
        """Return where the centres of cells lie along one axis, in nodes."""
        return np.asarray(((np.asarray(cells) + 0.5) * self.cell - self.start) / self.step)

    def at_boxes(self, edge: int, shape: tuple[int, int]) -> "Conditions":
        """Return the same at the centres of boxes of `edge` x `edge` cells.

        Parameters
        ----------
        edge : int
        shape : (int, int)
            Rows and columns of boxes.
        """
        step = edge * self.cell
        rows, columns = ((step * (np.arange(n) + 0.5) - self.start) / self.step for n in shape)

        def between(nodes: Field) -> Field:
            return np.asarray(between_nodes(np.ascontiguousarray(nodes), rows, columns))

        def turned(angles: Field) -> Field:
            return np.stack(_angles(*(between(part) for part in tangents(angles))))

        return replace(
            self, sun=turned(self.sun), views={n: np.stack([turned(v) for v in f]) for n, f in self.views.items()},
            lon=between(self.lon), lat=between(self.lat), water_vapour=between(self.water_vapour),
            pressure=between(self.pressure), ozone=between(self.ozone),
            aot=None if self.aot is None else between(self.aot),
            aot_height=None if self.aot_height is None else between(self.aot_height), step=step, start=0.5 * step,
        )  # fmt: skip

    def slots(self, footprint: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the slot of each detector number: 0 for a detector that is not there."""
        table = np.zeros(256, np.uint8)
        for slot, detector in enumerate(self.detectors, 1):
            table[detector] = slot
        return np.asarray(table[footprint])

    def places(self, row: int, column: int, shape: tuple[int, int]) -> tuple[Field, Field]:
        """Return longitude and latitude [deg] of the centres of a rectangle of cells."""
        rows, columns = self.positions(row, shape[0]), self.positions(column, shape[1])
        return between_nodes(self.lon, rows, columns), between_nodes(self.lat, rows, columns)

    def tangents_over(self, name: str, slot: NDArray[np.uint8]) -> tuple[tuple[Field, Field], tuple[Field, Field]]:
        """Return the directions to sun and satellite over a whole tile of cells.

        Parameters
        ----------
        name : str
        slot : (row, column) uint8
            Of the detector that sees each cell.

        Returns
        -------
        sun, view : (east, north), each (row, column) float64
            Over the vertical component.
        """
        rows, columns = self.positions(0, slot.shape[0]), self.positions(0, slot.shape[1])
        east, north = (between_nodes(np.ascontiguousarray(f), rows, columns) for f in tangents(self.sun))
        view = np.zeros((2, *slot.shape))
        for k in np.unique(slot):
            there = slot == k
            for c, nodes in enumerate(tangents(self.views[name][k])):
                view[c][there] = between_nodes(np.ascontiguousarray(nodes), rows, columns)[there]
        return (east, north), (view[0], view[1])

    def sample(self, name: str, rows: ArrayLike, columns: ArrayLike, slot: NDArray[np.uint8]) -> dict[str, Field]:
        """Return geometry and weather of a band at scattered cells.

        Parameters
        ----------
        name : str
        rows, columns : (sample) number
            Of the cells in the tile.
        slot : (sample) int

        Returns
        -------
        dict of str to (sample) float64
            ``sun_zenith``, ``view_zenith``, ``relative_azimuth`` [deg], ``pressure`` [hPa], ``ozone`` [DU].
        """
        y, x = self.places_of(rows), self.places_of(columns)
        sun_zenith, sun_azimuth = _angles(*(scattered(f, y, x) for f in tangents(self.sun)))
        vectors = [tangents(view) for view in self.views[name]]
        east, north = (np.stack([scattered(v[k], y, x) for v in vectors]) for k in (0, 1))
        chosen = np.asarray(slot, np.intp), np.arange(y.size)
        view_zenith, view_azimuth = _angles(east[chosen], north[chosen])
        return {
            "sun_zenith": sun_zenith,
            "view_zenith": view_zenith,
            "relative_azimuth": sun_azimuth - view_azimuth,
            "pressure": scattered(self.pressure, y, x),
            "ozone": scattered(self.ozone, y, x),
        }


def scattered(nodes: Field, y: Field, x: Field) -> Field:
    """Return what lies between nodes (ny, nx) at places (...), in nodes; beyond the outermost ones as at them."""
    ny, nx = nodes.shape
    y, x = np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)
    i, j = np.minimum(y.astype(np.intp), max(ny - 2, 0)), np.minimum(x.astype(np.intp), max(nx - 2, 0))
    v, u, below, right = y - i, x - j, np.minimum(i + 1, ny - 1), np.minimum(j + 1, nx - 1)
    north = nodes[i, j] * (1 - u) + nodes[i, right] * u
    south = nodes[below, j] * (1 - u) + nodes[below, right] * u
    return np.asarray(north * (1 - v) + south * v)


def tangents(angles: Field) -> tuple[Field, Field]:
    """Return the east and north components of a direction over its vertical one; angles are (2, ...) [deg]."""
    reach, azimuth = np.tan(np.radians(angles[0])), np.radians(angles[1])
    return reach * np.sin(azimuth), reach * np.cos(azimuth)


def _angles(east: Field, north: Field) -> tuple[Field, Field]:
    zenith = np.degrees(np.arctan(np.hypot(east, north)))
    return np.asarray(zenith), np.degrees(np.arctan2(east, north)) % 360.0


def _plane(values: Field) -> Field:
    """Return a field whose holes continue the plane through what is known."""
    known = np.isfinite(values)
    if known.all():
        return values
    rows, columns = np.nonzero(known)
    y, x = np.indices(values.shape)
    centre = rows.mean(), columns.mean()
    design = np.stack([np.ones(rows.size), rows - centre[0], columns - centre[1]], axis=1)
    c = np.linalg.lstsq(design, values[known], rcond=None)[0]
    return np.where(known, values, c[0] + c[1] * (y - centre[0]) + c[2] * (x - centre[1]))


def whole_field(angles: Field) -> Field | None:
    """Return angles without holes, or None where there is nothing to continue.

    Parameters
    ----------
    angles : (2, ny, nx) float64 [deg]
        Zenith and azimuth, NaN where unknown.

    Notes
    -----
    The components of a viewing direction over its vertical one are close to linear over a tile: planes through them
    continue a detector's swath to the nodes beside it.
    """
    if not np.isfinite(angles).all(axis=0).any():
        return None
    east, north = tangents(np.where(np.isfinite(angles).all(axis=0), angles, np.nan))
    return np.stack(_angles(_plane(east), _plane(north)))


def whole_views(
    views: Mapping[str, Field], detectors: Sequence[int], shape: tuple[int, int]
) -> tuple[dict[str, Field], tuple[str, ...]]:
    """Return the viewing angles of every band without holes, and what had to be assumed.

    Parameters
    ----------
    views : mapping of str to (detector, 2, ny, nx) float64 [deg]
        NaN where a detector does not see.
    detectors : sequence of int
    shape : (int, int)
        Of the nodes.

    Returns
    -------
    views : dict of str to (slot, 2, ny, nx) float64 [deg]
        Slot 0 is the mean over the detectors; it stands in for a detector without angles.
    flags : tuple of str
    """
    out, flags = {}, []
    for name, angles in views.items():
        fields = [whole_field(angles[i]) for i in range(len(detectors))]
        known = [tangents(field) for field in fields if field is not None]
        if known:
            mean = np.stack(_angles(*(np.mean([v[k] for v in known], axis=0) for k in (0, 1))))
        else:
            mean = np.zeros((2, *shape))
            flags.append(f"no viewing angles of {name}: nadir assumed")
        out[name] = np.stack([mean, *(mean if field is None else field for field in fields)])
    return out, tuple(flags)
