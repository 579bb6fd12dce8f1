"""GIPPs of the telemetry: datation (GIP_DATATI), analysis of image (GIP_ATMIMA) and ancillary packets (GIP_ATMSAD).

The files and the names of their fields are public. What the mission does with them beyond the names is not; the units
that the files do not give (DATATION_RESIDUAL_THRESHOLD, DELTA_ON_T0) are taken from what stands beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from s2dask.auxdata.gipp_fields import Fields, open_gipp
from s2dask.instrument import BANDS, DETECTORS

_MILLI: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Datation:
    """GIP_DATATI.

    Attributes
    ----------
    line_period : float
        THEORETICAL_LINE_PERIOD, of a 10 m line [s].
    time_shift : mapping of str to float
        TIME_SHIFT by band [s].
    gps_minus_tai : int
        GPS_TIME_TAI [s].
    largest_distance : float
        DATATION_DELTA_MAX_THRESHOLD [s].
    sigmas : float
        NSIG_THRESHOLD.
    largest_residual : float
        DATATION_RESIDUAL_THRESHOLD; in milliseconds in the file, it is assumed, here [s].
    delta_on_t0 : mapping of (int, str) to float
        DELTA_ON_T0 by (detector, band); in seconds, it is assumed.
    refined_period : float
        REFINED_PE [s].
    """

    line_period: float
    time_shift: Mapping[str, float]
    gps_minus_tai: int
    largest_distance: float
    sigmas: float
    largest_residual: float
    delta_on_t0: Mapping[tuple[int, str], float]
    refined_period: float


@dataclass(frozen=True, slots=True)
class ImageAnalysis:
    """GIP_ATMIMA.

    Attributes
    ----------
    smallest_packet : int
        SP_MIN_SIZE [byte].
    errors_by_packet, errors_by_datastrip : int
        MAX_ERROR_BY_SP and MAX_ERROR_BY_DATASTRIP; percentages, it seems.
    unit_active : str
        VCU_ACTIVE, ``NOMINAL`` or ``REDUNDANT``.
    """

    smallest_packet: int
    errors_by_packet: int
    errors_by_datastrip: int
    unit_active: str


@dataclass(frozen=True, slots=True)
class AncillaryAnalysis:
    """GIP_ATMSAD.

    Attributes
    ----------
    orbit_offset : int
        ORBIT_OFFSET: the absolute orbit of the first relative orbit 1.
    total_orbits : int
        TOTAL_ORBITS of a cycle.
    """

    orbit_offset: int
    total_orbits: int

    def relative_orbit(self, absolute_orbit: int) -> int:
        """Return the relative orbit number, 1 to the number of orbits of a cycle, of an absolute one."""
        return (absolute_orbit - self.orbit_offset) % self.total_orbits + 1


def _seconds(fields: Fields, name: str, low: float, high: float) -> float:
    """Return a child in milliseconds as seconds."""
    child = fields.child(name)
    unit = child.element.get("unit")
    if unit not in (None, "ms"):
        raise child.refuse(f"unit {unit!r} instead of 'ms'")
    return child.number(low, high) * _MILLI


def _deltas(model: Fields) -> dict[tuple[int, str], float]:
    out: dict[tuple[int, str], float] = {}
    names = tuple(BANDS)
    for of_band in model.children("BAND_PARAMETERS"):
        name = names[of_band.child("BAND_ID").integer(0, len(names) - 1)]
        for of_detector in of_band.children("DETECTOR_PARAMETERS"):
            key = of_detector.child("DETECTOR_ID").integer(1, len(DETECTORS)), name
            if key in out:
                raise of_detector.refuse(f"detector {key[0]} of {name} twice")
            out[key] = of_detector.child("DELTA_ON_T0").number(-10.0, 10.0)
    missing = [(d, name) for name in names for d in DETECTORS if (d, name) not in out]
    if missing:
        raise model.refuse(f"detector {missing[0][0]} of {missing[0][1]} is missing", "BAND_PARAMETERS")
    return out


def read_datation(path: Path, unit: str) -> Datation:
    """Read a GIP_DATATI.

    Parameters
    ----------
    path : Path
    unit : str
        ``S2B``; a file of another unit is refused.
    """
    data = open_gipp(path, "GS2_DATATION_PARAMETERS", unit)
    shifts = data.child("TIME_SHIFT_LIST")
    time_shift = {s.band("band_id"): s.number(-1e4, 1e4) * _MILLI for s in shifts.children("TIME_SHIFT")}
    absent = [name for name in BANDS if name not in time_shift]
    if absent:
        raise shifts.refuse(f"{absent[0]} is missing", "TIME_SHIFT")
    limits = data.child("LINEAR_REGRESSION_PARAMETERS")
    exogenous = data.child("EXOGENEOUS_MODEL_PARAMETERS")
    return Datation(
        line_period=_seconds(data, "THEORETICAL_LINE_PERIOD", 1.0, 2.0),
        time_shift=time_shift,
        gps_minus_tai=data.child("GPS_TIME_TAI").integer(-19, -19),
        largest_distance=_seconds(limits, "DATATION_DELTA_MAX_THRESHOLD", 0.0, 1e4),
        sigmas=limits.child("NSIG_THRESHOLD").number(0.0, 100.0, open_low=True),
        largest_residual=_seconds(limits, "DATATION_RESIDUAL_THRESHOLD", 0.0, 1e4),
        delta_on_t0=_deltas(exogenous),
        refined_period=_seconds(exogenous, "REFINED_PE", 1.0, 2.0),
    )


def read_image_analysis(path: Path, unit: str) -> ImageAnalysis:
    """Read a GIP_ATMIMA."""
    data = open_gipp(path, "GS2_ANA_TM_IMAGE_PARAMETERS", unit)
    active = data.child("VCU_ACTIVE")
    if active.text not in ("NOMINAL", "REDUNDANT"):
        raise active.refuse(f"{active.text[:40]!r} is neither NOMINAL nor REDUNDANT")
    return ImageAnalysis(
        smallest_packet=data.child("SP_MIN_SIZE").integer(0, 65_542),
        errors_by_packet=data.child("MAX_ERROR_BY_SP").integer(0, 100),
        errors_by_datastrip=data.child("MAX_ERROR_BY_DATASTRIP").integer(0, 100),
        unit_active=active.text,
    )


def read_ancillary_analysis(path: Path, unit: str) -> AncillaryAnalysis:
    """Read a GIP_ATMSAD."""
    data = open_gipp(path, "GS2_ANA_TM_SAD_PARAMETERS", unit)
    total = data.child("TOTAL_ORBITS").integer(1, 1000)
    return AncillaryAnalysis(data.child("ORBIT_OFFSET").integer(-total, total), total)
