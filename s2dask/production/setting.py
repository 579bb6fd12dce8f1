"""Everything beside the images that the tile levels need: GIPPs, viewing model, terrain, meteo."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.refining import refining_of
from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import gps_to_utc, utc_to_gps
from s2dask.errors import InputMissing
from s2dask.geometry.viewing import ViewingModel, read_geometry
from s2dask.io.storage import open_array
from s2dask.production.strip import strip_facts

Replaced = tuple[tuple[str, str, str], ...]
"""GIPPs in the place of those of the folder: type, band (empty when the file holds every band), path."""


@dataclass(frozen=True)
class AuxFolder:
    """The auxiliary files of a session, by kind.

    Attributes
    ----------
    root : str
        Folder with ``gipp``, ``dem``, ``geoid``, ``iers`` and ``meteo``.
    """

    root: str

    def _folder(self, kind: str) -> Path:
        folder = Path(self.root) / kind
        if not folder.is_dir():
            raise InputMissing(f"no folder {kind}", self.root, "give --aux a folder with gipp, dem, geoid and iers")
        return folder

    def _first(self, kind: str, pattern: str) -> Path:
        found = sorted(self._folder(kind).glob(pattern))
        if not found:
            raise InputMissing(f"no {kind} file", f"{self.root}/{kind}", f"add a file {pattern}")
        return found[0]

    @property
    def gipp(self) -> Path:
        """Folder of the GIPPs."""
        return self._folder("gipp")

    @property
    def bulletin(self) -> Path:
        """Bulletin A."""
        return self._first("iers", "*.txt")

    @property
    def meteo(self) -> Path | None:
        """AUX_ECMWFT GRIB, None when there is none (defaults are then used and flagged)."""
        return self._forecast("AUX_ECMWF*")

    @property
    def cams(self) -> Path | None:
        """AUX_CAMSFO GRIB, None when there is none (aerosol then comes from the image alone)."""
        return self._forecast("AUX_CAMSFO*")

    def _forecast(self, pattern: str) -> Path | None:
        folder = Path(self.root) / "meteo"
        found = sorted(folder.glob(pattern)) if folder.is_dir() else []
        return found[0] if found else None

    def terrain(self) -> Terrain:
        """Open the terrain; places without a raster are sea only where the folder says so (a file named SEA)."""
        dem = self._folder("dem")
        missing: Literal["error", "sea"] = "sea" if (dem / "SEA").exists() else "error"
        geoid = next((p for p in sorted(self._folder("geoid").iterdir()) if p.suffix in (".tif", ".gtx")), None)
        return Terrain.open(dem, geoid=geoid, missing=missing)


@dataclass(frozen=True)
class Setting:
    """Opened auxiliary data of one datastrip.

    Attributes
    ----------
    gipps : GippSet
    model : ViewingModel
    terrain : Terrain
    meteo : str or None
        Path of the AUX_ECMWFT file.
    cams : str or None
        Path of the AUX_CAMSFO file.
    """

    gipps: GippSet
    model: ViewingModel
    terrain: Terrain
    meteo: str | None
    cams: str | None


def sensing_gps(l0: str) -> tuple[int, int]:
    """Return start and stop of the sensing of a strip, GPS [ns]."""
    attrs = strip_facts(l0).attrs
    return int(attrs["sensing_start_gps"]), int(attrs["sensing_stop_gps"])


def _trajectory(l0: str) -> Trajectory:
    # raw arrays: this runs inside tasks, where a Dask array would send its chunks back to the cluster
    paths = ("ephemeris/gps_time", "ephemeris/position", "attitude/gps_time", "attitude/quaternion")
    return Trajectory(*(np.asarray(open_array(l0, f"conditions/{path}")[...]) for path in paths))


def viewing_model(
    l0: str, aux: str | None = None, trajectory: Trajectory | None = None, gipps: GippSet | None = None
) -> ViewingModel:
    """Build the viewing model of an L0 datastrip.

    Parameters
    ----------
    l0 : str
        L0 store.
    aux : str, optional
        Folder of auxiliary files; default: the one named in the store.
    trajectory : Trajectory, optional
        Orbit and attitude; default: those of the store.
    gipps : GippSet, optional
        Default: those of the folder.
    """
    facts = strip_facts(l0)
    folder = AuxFolder(aux or str(facts.attrs["aux"]))
    dates = np.asarray(open_array(l0, "conditions/datation/first_line_date")[...])
    first = {(d, name): int(dates[i, j]) for i, d in enumerate(facts.detectors) for j, name in enumerate(facts.bands)}
    directions, spacecraft = read_geometry(gipps or open_gipps(l0, aux), set(facts.bands))
    told = (facts.attrs.get("radiometry") or {}).get("refining") or {}
    sensing = tuple(utc_to_gps(str(facts.attrs[f"sensing_{end}"])) for end in ("start", "stop")) if told else (0, 0)
    return ViewingModel.build(
        trajectory or _trajectory(l0), first, float(facts.attrs["line_period"]), directions, spacecraft,
        EarthOrientation.from_bulletin(folder.bulletin), refining=refining_of(told), sensing=(sensing[0], sensing[1]),
    )  # fmt: skip


def open_gipps(l0: str, aux: str | None = None, replaced: Replaced = ()) -> GippSet:
    """Open the GIPPs that hold for an L0 datastrip, some replaced by others."""
    facts = strip_facts(l0)
    start, stop = (gps_to_utc(t) for t in sensing_gps(l0))
    gipps = GippSet.open(AuxFolder(aux or str(facts.attrs["aux"])).gipp, facts.unit, start, stop)
    return gipps.replace({(kind, band) if band else kind: Path(path) for kind, band, path in replaced})


@lru_cache(maxsize=4)
def open_setting(l0: str, aux: str | None = None, replaced: Replaced = ()) -> Setting:
    """Open the auxiliary data of an L0 datastrip, once per worker.

    Parameters
    ----------
    l0 : str
        L0 store: orbit, attitude and line dates come from it.
    aux : str, optional
        Folder of auxiliary files; default: the one named in the store.
    replaced : Replaced
        GIPPs in the place of those of the folder.
    """
    folder = AuxFolder(aux or str(strip_facts(l0).attrs["aux"]))
    gipps = open_gipps(l0, aux, replaced)
    model = viewing_model(l0, aux, gipps=gipps)
    meteo, cams = (None if path is None else str(path) for path in (folder.meteo, folder.cams))
    return Setting(gipps, model, folder.terrain(), meteo, cams)
