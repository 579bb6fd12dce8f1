"""The viewing model: from image to ground and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.datastrip import Trajectory, read_datastrip
from s2dask.auxdata.gipp_geometry import SpacecraftModel, ViewingDirections, read_spamod, read_viedir
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.refining import Refining
from s2dask.auxdata.relief import highest
from s2dask.auxdata.terrain import Terrain, lonlat_bounds
from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry import kernels
from s2dask.geometry.ray import TOP
from s2dask.geometry.sight import lines_of_sight
from s2dask.geometry.states import States, build_states
from s2dask.geometry.tiles import TILE_SIZE, tile_corner
from s2dask.geometry.trajectory import STEP, Mode, build_table
from s2dask.instrument import BANDS, band

if TYPE_CHECKING:
    from s2dask.geometry.inverse_grid import TileView

Box = tuple[float, float, float, float]
"""West, south, east, north [degree]."""
_OUTSIDE_COLUMNS = 10.0
"""Columns beyond the detector in which an inverse location is still given."""
_OUTSIDE_LOOK = 1.0
"""Widths of the detector beyond its ends to which its lines of sight are carried on: grids end outside the image."""
_MARGIN = 0.01
"""Added around the ground that some lines and columns see [degree]."""
_ROUND_A_POLE = 88.0
"""Latitude above which a place is looked for at every longitude [degree]."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """One detector and band as the kernels take it.

    Attributes
    ----------
    timing : (2) float64
        Date of the centre of line 0, seconds after the table's first row; line step [s].
    los : (column, 3) float64
        Lines of sight in the frame of the focal plane.
    across, along : (column) float64
        Their tangents.
    guess : (6) float64
        Column as a cubic of the scaled across tangent: four terms, middle and scale.
    states : States
        Of the focal plane.
    """

    timing: NDArray[np.float64]
    los: NDArray[np.float64]
    across: NDArray[np.float64]
    along: NDArray[np.float64]
    guess: NDArray[np.float64]
    states: States


@dataclass(frozen=True, eq=False)
class ViewingModel:
    """Geometry of one datastrip; frozen, picklable, the same for any number of threads.

    Attributes
    ----------
    start : int
        Date of the table's first row, GPS [ns].
    table : (date, 36) float64
        See `s2dask.geometry.trajectory`.
    first_line_date : mapping of (int, str) to int
        By (detector, band): centre of line 0, GPS [ns].
    line_period : float
        Of a 10 m line [s].
    sights : mapping of (int, str) to (column, 3) float64
        Lines of sight in the frame of the focal plane.
    spacecraft : SpacecraftModel
    refining : Refining
    centre : float
        Origin of the refining polynomials, seconds after `start`.
    mode : {"smooth", "sxgeo"}
        ``smooth``, the default, is continuous in time: neighbouring lines never jump, an inverse location is exact
        to well below a millimetre, and any release gives the same. ``sxgeo`` follows the reference processor to its
        jumps of millimetres every 0.1 s, which come from the arithmetic of its dates: for acceptance against it.
    """

    start: int
    table: NDArray[np.float64]
    first_line_date: Mapping[tuple[int, str], int]
    line_period: float
    sights: Mapping[tuple[int, str], NDArray[np.float64]]
    spacecraft: SpacecraftModel
    refining: Refining
    centre: float
    mode: Mode = "smooth"
    _made: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what each process makes for itself."""
        return {**self.__dict__, "_made": {}}

    @classmethod
    def build(
        cls,
        trajectory: Trajectory,
        first_line_date: Mapping[tuple[int, str], int],
        line_period: float,
        directions: Mapping[str, ViewingDirections],
        spacecraft: SpacecraftModel,
        eop: EarthOrientation,
        *,
        tdi: Mapping[str, str] | None = None,
        refining: Refining | None = None,
        sensing: tuple[int, int] | None = None,
        mode: Mode = "smooth",
    ) -> "ViewingModel":
        """Build the model from its parts.

        Parameters
        ----------
        trajectory : Trajectory
        first_line_date : mapping of (int, str) to int
            Detectors and bands of the model: centre of line 0, GPS [ns].
        line_period : float
            [s].
        directions : mapping of str to ViewingDirections
        spacecraft : SpacecraftModel
        eop : EarthOrientation
        tdi : mapping of str to str, optional
            TDI configuration by band; default APPLIED.
        refining : Refining, optional
        sensing : (int, int), optional
            Start and stop [GPS ns]: the refining polynomials count from the middle.
        mode : {"smooth", "sxgeo"}
        """
        corrections = refining or Refining()
        middle = 0 if sensing is None else (sensing[0] + sensing[1]) // 2
        start, table = build_table(trajectory, eop, corrections.position, middle)
        for (detector, name), date in first_line_date.items():
            if not start <= date <= start + len(table) * STEP * 1e9:
                raise InputError(
                    f"line 0 of D{detector:02d} {name} at {gps_to_utc(date):%H:%M:%S} lies outside orbit and attitude",
                    "trajectory",
                )
        modes = tdi or {}
        sights = {
            (d, name): lines_of_sight(directions[name], spacecraft, d, modes.get(name, "APPLIED"))
            for d, name in first_line_date
        }
        centre = 0.0 if sensing is None else (middle - start) * 1e-9
        return cls(
            start, table, dict(first_line_date), line_period, sights, spacecraft, corrections, centre, mode
        )

    @classmethod
    def from_datastrip(
        cls,
        path: str | Path,
        gipp: str | Path | GippSet,
        iers: str | Path | None = None,
        mode: Mode = "smooth",
        *,
        refine: bool = True,
    ) -> "ViewingModel":
        """Build the model of an L1B (or L0) datastrip from its metadata.

        Parameters
        ----------
        path : path
            Folder of the product or its datastrip XML.
        gipp : path or GippSet
            Folder with GIP_VIEDIR and GIP_SPAMOD of the unit.
        iers : path, optional
            Bulletin A; default: the constants of the metadata.
        mode : {"smooth", "sxgeo"}
        refine : bool
            Whether the refining that the metadata carry is used.
        """
        strip = read_datastrip(path)
        dates = [gps_to_utc(t) for t in strip.sensing]
        gipps = gipp if isinstance(gipp, GippSet) else GippSet.open(
            Path(gipp), strip.unit, dates[0], dates[1], listed=strip.gipps
        )
        eop = strip.eop if iers is None else EarthOrientation.from_bulletin(iers)
        directions, spacecraft = read_geometry(gipps, {name for _, name in strip.first_line_date})
        return cls.build(
            strip.trajectory, strip.first_line_date, strip.line_period, directions, spacecraft, eop,
            tdi=strip.tdi, refining=strip.refining if refine else None, sensing=strip.sensing, mode=mode,
        )  # fmt: skip

    def states(self, plane: str) -> States:
        """Return what the kernels know of a focal plane: made once, in the process that needs it."""
        if plane not in self._made:
            self._made[plane] = build_states(
                self.table, self.mode, self.spacecraft, self.refining, self.centre, plane
            )
        states: States = self._made[plane]
        return states

    def sensor(self, detector: int, name: str) -> Sensor:
        """Return a detector and band of the model."""
        key = detector, name
        if key not in self.first_line_date:
            have = sorted({d for d, _ in self.first_line_date})
            raise ConfigurationError(f"no D{detector:02d} {name} in this model", "", f"its detectors are {have}")
        if key not in self._made:
            t0 = (self.first_line_date[key] - self.start) * 1e-9
            los = self.sights[key]
            across, along = (np.ascontiguousarray(los[:, i] / los[:, 2]) for i in (1, 0))
            middle, scale = 0.5 * (across[0] + across[-1]), 2.0 / abs(across[-1] - across[0])
            cubic = np.polynomial.polynomial.polyfit((across - middle) * scale, np.arange(across.size), 3)
            self._made[key] = Sensor(
                np.array([t0, self.line_period * band(name).line_factor]), los, across, along,
                np.array([*cubic, middle, scale]), self.states(band(name).focal_plane),
            )  # fmt: skip
        sensor: Sensor = self._made[key]
        return sensor

    def date(self, name: str, detector: int, line: ArrayLike) -> NDArray[np.int64]:
        """Return the GPS dates [ns] of lines."""
        step = self.line_period * band(name).line_factor * 1e9
        return np.asarray(self.first_line_date[detector, name] + np.round(np.asarray(line) * step).astype(np.int64))

    def state(self, gps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ITRF position [m] and the VNIR focal plane to ITRF matrix at a GPS date [ns]."""
        out = np.empty(12)
        if not kernels.line_state((gps - self.start) * 1e-9, self.states("VNIR"), out):
            raise InputError(f"{gps_to_utc(gps):%H:%M:%S} lies outside orbit and attitude", "trajectory")
        return out[:3], out[3:].reshape(3, 3)

    def positions(self, gps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the ITRF positions (date, 3) [m] at GPS dates [ns]; NaN outside orbit and attitude."""
        found: NDArray[np.float64] = kernels.positions((gps - self.start) * 1e-9, self.states("VNIR"))
        return found

    def direct(
        self, name: str, detector: int, line: ArrayLike, column: ArrayLike, terrain: Terrain
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return longitude, latitude [degree] and ellipsoidal height [m] of image points.

        Parameters
        ----------
        name : str
            Band.
        detector : int
        line, column : array_like
            0-based, whole numbers at pixel centres; fractions and points just outside the image are located too.
        terrain : Terrain

        Returns
        -------
        three arrays of the broadcast shape, longitude in -180..180; NaN where the ray meets no ground, where line or
        column is not finite, where the line lies outside orbit and attitude, and further beside the detector than
        its width
        """
        shape, (x, y) = _flat(line, column)
        sensor = self.sensor(detector, name)
        beyond = _OUTSIDE_LOOK * len(sensor.los)
        found = np.full((x.size, 3), np.nan)
        box = self._box(x, y, sensor, beyond)
        while box is not None:
            relief = terrain.relief(*box)
            top = max(TOP, highest(relief))
            found = kernels.direct(x, y, sensor.los, sensor.timing, sensor.states, relief, top, beyond)
            box = _wider(box, found)
        missing = np.isinf(found[:, 2])
        terrain.check(found[missing, 0], found[missing, 1], np.full(np.count_nonzero(missing), np.nan))
        lon, lat, h = (found[:, i].reshape(shape) for i in range(3))
        return lon, lat, h

    def _box(
        self, line: NDArray[np.float64], column: NDArray[np.float64], sensor: Sensor, beyond: float
    ) -> Box | None:
        """Return a box [degree] around the ground seen between the extreme lines and columns, None if there is none."""
        first, step = sensor.timing
        duration = (len(self.table) - 1) * STEP
        good = np.isfinite(line) & (column >= -beyond) & (column <= len(sensor.los) - 1 + beyond)
        x, y = line[good], column[good]
        if not x.size:
            return None
        lines, columns = np.meshgrid(
            np.linspace(max(x.min(), -first / step), min(x.max(), (duration - first) / step), 17),
            np.linspace(y.min(), y.max(), 9), indexing="ij",
        )  # fmt: skip
        found = np.concatenate([
            kernels.at_height(lines.ravel(), columns.ravel(), sensor.los, sensor.timing, sensor.states, level)
            for level in (-500.0, TOP)
        ])  # fmt: skip
        return _around(found[np.isfinite(found[:, 0])])

    def inverse(
        self,
        name: str,
        detector: int,
        lon: ArrayLike,
        lat: ArrayLike,
        h: ArrayLike,
        margin: float = _OUTSIDE_COLUMNS,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return 0-based line and column of ground points [degree, degree, m]; NaN where the detector does not look.

        Points up to `margin` columns beside the detector are given; lines run on outside the image as far as orbit
        and attitude do. The result of a point does not depend on the others, to the bit.
        """
        shape, (x, y, z) = _flat(lon, lat, h)
        s = self.sensor(detector, name)
        found = kernels.inverse(
            x, y, z, s.across, s.along, s.los[:, 2].copy(), s.guess, s.timing, s.states, float(margin)
        )
        return found[:, 0].reshape(shape), found[:, 1].reshape(shape)

    def grid(
        self,
        tile: str,
        name: str,
        detector: int,
        *,
        terrain: Terrain,
        window: tuple[float, float, float, float] | None = None,
    ) -> "TileView":
        """Return what a detector sees of a tile: its 3-D inverse grid, found when it is first asked for.

        Parameters
        ----------
        tile : str
            ``28SCB``.
        name : str
            Band.
        detector : int
        terrain : Terrain
            Heights of the layers are chosen from its range.
        window : (float, float, float, float), optional
            Left, top, width, height [m] of a part of the tile; default: all of it.
        """
        from s2dask.geometry.inverse_grid import TileView

        crs, left, top = tile_corner(tile.removeprefix("T"))
        width = height = float(TILE_SIZE)
        if window is not None:
            left, top, width, height = window
        return TileView(self, name, detector, crs, (left, top - height, left + width, top), terrain)


def _around(found: NDArray[np.float64]) -> Box | None:
    if not len(found):
        return None
    west, south, east, north = lonlat_bounds(found[:, 0], found[:, 1])
    if max(north, -south) > _ROUND_A_POLE:
        west, east = -180.0, 180.0
    return west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN


def _wider(box: Box, found: NDArray[np.float64]) -> Box | None:
    """Return a box with room for what was found outside the one whose terrain was read, None if nothing was."""
    good = np.isfinite(found[:, :2]).all(axis=1)
    west, south, east, north = box
    lon, lat = found[good, 0], found[good, 1]
    beside = np.maximum((west - lon) % 360.0, 0.0)
    over = (lon - west) % 360.0 > east - west
    out = max(0.0, south - lat.min(initial=south), lat.max(initial=north) - north)
    if not over.any() and out == 0.0:
        return None
    turn = min(1.0, float(np.minimum(beside, (lon - east) % 360.0)[over].max(initial=0.0)))
    return west - turn - _MARGIN, south - out - _MARGIN, east + turn + _MARGIN, north + out + _MARGIN


def _flat(*values: ArrayLike) -> tuple[tuple[int, ...], list[NDArray[np.float64]]]:
    """Return the broadcast shape of some values, and copies of them of that shape, end to end."""
    arrays = np.broadcast_arrays(*(np.asarray(v, float) for v in values))
    return arrays[0].shape, [np.array(a, order="C").ravel() for a in arrays]


def read_geometry(gipps: GippSet, bands: set[str]) -> tuple[dict[str, ViewingDirections], SpacecraftModel]:
    """Read the viewing directions of the bands and the spacecraft model of a GIPP set."""
    names = [name for name in BANDS if name in bands]
    directions = {name: read_viedir(gipps.path("VIEDIR", name), gipps.unit, name) for name in names}
    return directions, read_spamod(gipps.path("SPAMOD"), gipps.unit)
