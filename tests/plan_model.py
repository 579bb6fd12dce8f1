"""Passes of `s2dask.simulate.structure` by another way: platform, channels and viewing model, without any file."""

from functools import lru_cache

from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import NANO, utc_to_gps
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS
from s2dask.simulate.mission import DATE
from s2dask.simulate.platform import POLE, Platform, focal_plane, spacecraft_model, synthetic_platform
from s2dask.simulate.structure import StructureOptions

MIDDLE = utc_to_gps(DATE)


@lru_cache(maxsize=4)
def platform_of(options: StructureOptions) -> Platform:
    """Return where the satellite is and how it looks."""
    return synthetic_platform(MIDDLE, options.scenes * SCENE_SECONDS, *options.centre, options.seed, 3e-7)


def start_of(options: StructureOptions) -> int:
    """Return the begin of the imaging, GPS [ns]."""
    return MIDDLE - round(options.scenes * SCENE_SECONDS * NANO) // 2


def pass_of(options: StructureOptions) -> tuple[ViewingModel, Terrain]:
    """Return the viewing model of a pass over the sea, from the simulator's own numbers."""
    first = {(d, n): start_of(options) for d in options.detectors for n in options.bands}
    directions = {n: focal_plane(n) for n in options.bands}
    trajectory = platform_of(options).reported
    model = ViewingModel.build(trajectory, first, LINE_PERIOD, directions, spacecraft_model(), _eop())
    return model, Terrain((), None, "sea")


def _eop() -> EarthOrientation:
    return EarthOrientation.constant(*POLE)
