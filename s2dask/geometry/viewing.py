"""The viewing model: from image to ground and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.datastrip import Refining, Trajectory, read_datastrip
from s2dask.auxdata.gipp_geometry import SpacecraftModel, ViewingDirections, read_spamod, read_viedir
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry import kernels
from s2dask.geometry.sight import lines_of_sight
from s2dask.geometry.trajectory import STEP, Mode, build_table
from s2dask.instrument import BANDS, band

_OUTSIDE_COLUMNS = 10.0
"""Columns beyond the detector in which an inverse location is still given."""


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
    angles : (4, degree + 1) float64
        Polynomials of the piloting to MSI rotation x, y, z [rad] and of the Z homothety [1].
    centre : float
        Origin of the polynomials, seconds after `start`.
    mode : {"smooth", "sxgeo"}
        ``smooth`` is continuous in time; ``sxgeo`` follows the reference processor to its jumps every 0.1 s.
    """

    start: int
    table: NDArray[np.float64]
    first_line_date: Mapping[tuple[int, str], int]
    line_period: float
    sights: Mapping[tuple[int, str], NDArray[np.float64]]
    angles: NDArray[np.float64]
    centre: float
    mode: Mode = "smooth"
    _tangents: dict[tuple[int, str], tuple[NDArray[np.float64], NDArray[np.float64]]] = field(
        default_factory=dict, repr=False
    )

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
        start, table = build_table(trajectory, eop)
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
        middle = 0.0 if sensing is None else ((sensing[0] + sensing[1]) // 2 - start) * 1e-9
        return cls(
            start, table, dict(first_line_date), line_period, sights, _angles(spacecraft, refining), middle, mode
        )

    @classmethod
    def from_datastrip(
        cls, path: str | Path, gipp: str | Path | GippSet, iers: str | Path | None = None, mode: Mode = "smooth"
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
            tdi=strip.tdi, refining=strip.refining, sensing=strip.sensing, mode=mode,
        )  # fmt: skip

    def _timing(self, detector: int, name: str) -> NDArray[np.float64]:
        key = (detector, name)
        if key not in self.first_line_date:
            have = sorted({d for d, _ in self.first_line_date})
            raise ConfigurationError(f"no D{detector:02d} {name} in this model", "", f"its detectors are {have}")
        t0 = (self.first_line_date[key] - self.start) * 1e-9
        return np.array([t0, self.line_period * band(name).line_factor, self.centre])

    def tangents(self, detector: int, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the across-track and along-track tangents of the pixels in the MSI frame."""
        key = (detector, name)
        if key not in self._tangents:
            los = self.sights[key]
            self._tangents[key] = (
                np.ascontiguousarray(los[:, 1] / los[:, 2]), np.ascontiguousarray(los[:, 0] / los[:, 2])
            )  # fmt: skip
        return self._tangents[key]

    def date(self, name: str, detector: int, line: ArrayLike) -> NDArray[np.int64]:
        """Return the GPS dates [ns] of lines."""
        step = self.line_period * band(name).line_factor * 1e9
        return np.asarray(self.first_line_date[detector, name] + np.round(np.asarray(line) * step).astype(np.int64))

    def state(self, gps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ITRF position [m] and the MSI to ITRF matrix at a GPS date [ns]."""
        position, m = np.empty(3), np.empty((3, 3))
        t = (gps - self.start) * 1e-9
        kernels.line_frame(
            t, self.table, self.angles, self.centre, self.mode == "smooth", np.empty((3, 3, 3)), position, m
        )
        return position, m

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
        three arrays of the broadcast shape; NaN where the ray meets no terrain
        """
        shape, (x, y) = _flat(line, column)
        timing, los = self._timing(detector, name), self.sights[detector, name]
        west, south, east, north = self._box(x, y, timing, los)
        window = terrain.window(west, south, east, north)
        low, high = window.range
        found = kernels.direct(
            x, y, los, timing, self.table, self.angles, self.mode == "smooth",
            window.frame, window.heights, window.maxima, high + 1.0, low - 1.0,
        )  # fmt: skip
        lon, lat, h = (found[:, i].reshape(shape) for i in range(3))
        return lon, lat, h

    def _box(
        self, line: NDArray[np.float64], column: NDArray[np.float64], timing: NDArray[Any], los: NDArray[Any]
    ) -> tuple[float, float, float, float]:
        """Return a box [degree] around the ground seen between the extreme lines and columns."""
        lines, columns = np.meshgrid(
            np.linspace(line.min(), line.max(), 9), np.linspace(column.min(), column.max(), 9), indexing="ij"
        )
        heights = np.zeros((2, 2), np.float32)
        frame = np.array([-1e3, 1e3, 2e3, 2e3])
        corners = []
        for level in (-500.0, 9000.0):
            flat = heights + np.float32(level)
            corner = kernels.direct(
                lines.ravel(), columns.ravel(), los, timing, self.table, self.angles, self.mode == "smooth",
                frame, flat, flat, level + 1.0, level - 1.0,
            )  # fmt: skip
            corners.append(corner)
        found = np.concatenate(corners)
        west, south = np.nanmin(found[:, :2], axis=0) - 0.01
        east, north = np.nanmax(found[:, :2], axis=0) + 0.01
        return float(west), float(south), float(east), float(north)

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

        Points up to `margin` columns beside the detector are given; lines run on outside the image.
        """
        shape, (x, y, z) = _flat(lon, lat, h)
        timing = self._timing(detector, name)
        across, along = self.tangents(detector, name)
        middle = (0.5 * len(self.table) * STEP - timing[0]) / timing[1]
        limits = np.array([
            -timing[0] / timing[1], (len(self.table) * STEP - timing[0]) / timing[1],
            -margin - 0.5, across.size - 0.5 + margin,
        ])  # fmt: skip
        found = kernels.inverse(
            x, y, z, across, along, timing, self.table, self.angles, self.mode == "smooth", middle, limits
        )
        return found[:, 0].reshape(shape), found[:, 1].reshape(shape)


def _flat(*values: ArrayLike) -> tuple[tuple[int, ...], list[NDArray[np.float64]]]:
    """Return the broadcast shape of some values, and copies of them of that shape, end to end."""
    arrays = np.broadcast_arrays(*(np.asarray(v, float) for v in values))
    return arrays[0].shape, [np.array(a, order="C").ravel() for a in arrays]


def _angles(spacecraft: SpacecraftModel, refining: Refining | None) -> NDArray[np.float64]:
    pilot = spacecraft.piloting
    if pilot.scale != 1.0:
        raise ConfigurationError(f"scale factor {pilot.scale}", "GIP_SPAMOD", "only 1 is known from real files")
    r = refining or Refining()
    parts = [*(r.rotation.get(axis, np.zeros(0)) for axis in "XYZ"), r.homothety]
    angles = np.zeros((4, max(2, *(len(p) for p in parts))))
    for row, part in zip(angles, parts, strict=True):
        row[: len(part)] = part
    angles[:3, 0] += (pilot.x, pilot.y, pilot.z)
    return angles


def read_geometry(gipps: GippSet, bands: set[str]) -> tuple[dict[str, ViewingDirections], SpacecraftModel]:
    """Read the viewing directions of the bands and the spacecraft model of a GIPP set."""
    names = [name for name in BANDS if name in bands]
    directions = {name: read_viedir(gipps.path("VIEDIR", name), gipps.unit, name) for name in names}
    return directions, read_spamod(gipps.path("SPAMOD"), gipps.unit)
