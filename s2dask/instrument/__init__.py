"""The MultiSpectral Instrument as data: bands, detectors, units, quality bits, link constants."""

from s2dask.instrument.bands import BANDS, RESOLUTIONS, Band, band, bands_of
from s2dask.instrument.earth import EARTH_A, EARTH_F
from s2dask.instrument.timing import (
    DETECTORS,
    GPS_MINUS_TAI,
    LINE_PERIOD,
    LINES_PER_PACKET,
    SCENE_SECONDS,
)
from s2dask.instrument.units import UNITS, Unit, UnitBand, unit

__all__ = [
    "BANDS",
    "DETECTORS",
    "EARTH_A",
    "EARTH_F",
    "GPS_MINUS_TAI",
    "LINES_PER_PACKET",
    "LINE_PERIOD",
    "RESOLUTIONS",
    "SCENE_SECONDS",
    "UNITS",
    "Band",
    "Unit",
    "UnitBand",
    "band",
    "bands_of",
    "unit",
]
