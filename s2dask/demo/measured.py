"""What the demonstration measures: products of a simulated session against its truth."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.terrain import Terrain
from s2dask.geometry.viewing import ViewingModel
from s2dask.io.storage import open_array
from s2dask.production.chain import Summary
from s2dask.production.setting import open_setting, viewing_model
from s2dask.simulate import comparison
from s2dask.simulate.comparison import BandErrors, Confusion, Geolocation, Truth

METRES_PER_DEGREE: Final = 111_320.0


@dataclass(frozen=True, slots=True)
class RayErrors:
    """Distance on the ground between the viewing model and the simulator's own rays, all bands and detectors.

    Attributes
    ----------
    told, true : float
        Rms with the attitude that the satellite tells, and with its true attitude [m].
    worst : float
        Largest with the true attitude [m].
    rays : int
    """

    told: float
    true: float
    worst: float
    rays: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that the demonstration measures.

    Attributes
    ----------
    geolocation : Geolocation
    rays : RayErrors
    bands : dict of str to BandErrors
    aot, water_vapour : float
        Errors [1, cm].
    clouds : Confusion
    """

    geolocation: Geolocation
    rays: RayErrors
    bands: dict[str, BandErrors]
    aot: float
    water_vapour: float
    clouds: Confusion


def _ray_distances(model: ViewingModel, terrain: Terrain, truth: Truth) -> np.ndarray:
    """Return the distances [m] between direct location and the traced rays at the heights that it found."""
    out = []
    for detector in truth.attrs["detectors"]:
        for name in truth.attrs["options"]["bands"]:
            line, column, path = (truth[f"rays/d{detector:02d}/{name.lower()}/{v}"] for v in ("line", "column", "path"))
            lon, lat, h = model.direct(name, detector, line[:, None], column[None], terrain)
            powers = np.stack([np.ones_like(h), h, h * h])
            east, north = (lon - (powers * path[:3]).sum(0)), (lat - (powers * path[3:]).sum(0))
            out.append(np.hypot(east * np.cos(np.radians(lat)), north).ravel() * METRES_PER_DEGREE)
    return np.concatenate(out)


def ray_errors(l0: str, truth: Truth) -> RayErrors:
    """Compare the viewing model of a datastrip with the rays that the simulator traced."""
    setting = open_setting(l0)
    told = _ray_distances(setting.model, setting.terrain, truth)
    time, position = (np.asarray(open_array(l0, f"conditions/ephemeris/{v}")[...]) for v in ("gps_time", "position"))
    attitude = Trajectory(time, position, truth["attitude/gps_time"].astype(np.int64), truth["attitude/quaternion"])
    true = _ray_distances(viewing_model(l0, trajectory=attitude), setting.terrain, truth)
    return RayErrors(_rms(told), _rms(true), float(true.max()), true.size)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def measure(summary: Summary, truth: Truth) -> Measured:
    """Compare the working stores of a run of one tile with the truth of its session."""
    l1b = summary.stores["L1B"]
    l1c, l2a = (next(url for key, url in summary.stores.items() if key.startswith(level)) for level in ("L1C", "L2A"))
    bands = {name: comparison.band_errors(l1b, l1c, l2a, truth, name) for name in truth.attrs["options"]["bands"]}
    rays = ray_errors(summary.stores["L0"], truth)
    aot, water_vapour = comparison.atmosphere_errors(l2a, truth)
    clouds = comparison.cloud_confusion(l1c, l2a, truth)
    return Measured(comparison.geolocation(l1c, truth), rays, bands, aot, water_vapour, clouds)
