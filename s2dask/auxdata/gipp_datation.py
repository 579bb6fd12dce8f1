"""GIPPs of the telemetry: datation (GIP_DATATI), analysis of image (GIP_ATMIMA) and ancillary packets (GIP_ATMSAD).

The files, the names of their fields and their schemas are public. What the mission does with them beyond that is not;
the unit of DATATION_RESIDUAL_THRESHOLD, which the file does not give, is taken from what stands beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

from s2dask.auxdata.gipp_fields import Fields, open_gipp
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record
from s2dask.auxdata.gipp_record import At, Pairs, Table
from s2dask.auxdata.gipp_values import BandIndex, DetectorId, Flag, Integer, Real, Word
from s2dask.instrument import BANDS, DETECTORS

_NAMES: Final = tuple(BANDS)
SCENARIOS: Final = Word.of("NOMINAL", "EXOGENEOUS", "LINEAR_REGRESSION")
_PERIOD: Final = Real(1.0, 2.0, exponent=-3)
_LIMITS: Final = "LINEAR_REGRESSION_PARAMETERS"
_EXOGENOUS: Final = "EXOGENEOUS_MODEL_PARAMETERS"


@dataclass(frozen=True, slots=True)
class Datation(Gipp):
    """GIP_DATATI.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    line_period : float
        THEORETICAL_LINE_PERIOD, of a 10 m line [s].
    time_shift : mapping of str to float
        TIME_SHIFT by band [s].
    gps_minus_tai : int
        GPS_TIME_TAI [s].
    largest_period_error : float
        DATATION_DELTA_MAX_THRESHOLD [s]: of a fitted line period from the theoretical one, as the schema of the file
        says; 9 ms are six periods.
    sigmas : float
        NSIG_THRESHOLD.
    largest_residual : float
        DATATION_RESIDUAL_THRESHOLD; in milliseconds in the file, it is assumed, here [s].
    delta_on_t0 : mapping of (int, str) to float
        DELTA_ON_T0 by (detector, band) [s]: the dates of the real L1C strip S2B 2022-10-11T06:40:25 are those of its L0
        less 2.000 ms, but for the lines that GIP_PRDLOC cuts.
    refined_period : float
        REFINED_PE [s].
    """

    ROOT: ClassVar[str] = "GS2_DATATION_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "DATATION_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    line_period: Annotated[float, At("THEORETICAL_LINE_PERIOD", _PERIOD, "ms")]
    time_shift: Annotated[
        Mapping[str, float],
        Table(
            "TIME_SHIFT",
            "@band_id",
            BandIndex(),
            Real(-1e4, 1e4, exponent=-3),
            "TIME_SHIFT_LIST",
            _NAMES,
            unit="ms",
        ),
    ]
    gps_minus_tai: Annotated[int, At("GPS_TIME_TAI", Integer(-19, -19), "s")]
    largest_period_error: Annotated[
        float, At(f"{_LIMITS}/DATATION_DELTA_MAX_THRESHOLD", Real(0.0, 1e4, exponent=-3), "ms")
    ]
    sigmas: Annotated[float, At(f"{_LIMITS}/NSIG_THRESHOLD", Real(0.0, 100.0, open_low=True))]
    largest_residual: Annotated[float, At(f"{_LIMITS}/DATATION_RESIDUAL_THRESHOLD", Real(0.0, 1e4, exponent=-3))]
    delta_on_t0: Annotated[
        Mapping[tuple[int, str], float],
        Pairs(
            Table(
                "BAND_PARAMETERS",
                "BAND_ID",
                BandIndex(),
                Table(
                    "DETECTOR_PARAMETERS",
                    "DETECTOR_ID",
                    DetectorId(),
                    At("DELTA_ON_T0", Real(-10.0, 10.0)),
                    "",
                    DETECTORS,
                ),
                _EXOGENOUS,
                _NAMES,
            ),
            turned=True,
        ),
    ]
    refined_period: Annotated[float, At(f"{_EXOGENOUS}/REFINED_PE", _PERIOD)]


@dataclass(frozen=True, slots=True)
class ImageAnalysis(Gipp):
    """GIP_ATMIMA.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    smallest_packet : int
        SP_MIN_SIZE [byte].
    errors_by_packet, errors_by_datastrip : float
        MAX_ERROR_BY_SP and MAX_ERROR_BY_DATASTRIP [%].
    unit_active : str
        VCU_ACTIVE, ``NOMINAL`` or ``REDUNDANT``.
    """

    ROOT: ClassVar[str] = "GS2_ANA_TM_IMAGE_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "ANA_TM_IMAGE_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    smallest_packet: Annotated[int, At("SP_MIN_SIZE", Integer(0, 65_542))]
    errors_by_packet: Annotated[float, At("MAX_ERROR_BY_SP", Real(0.0, 100.0))]
    errors_by_datastrip: Annotated[float, At("MAX_ERROR_BY_DATASTRIP", Real(0.0, 100.0))]
    unit_active: Annotated[str, At("VCU_ACTIVE", Word.of("NOMINAL", "REDUNDANT"))]


@dataclass(frozen=True, slots=True)
class AncillaryAnalysis(Gipp):
    """GIP_ATMSAD.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    orbit_offset : int
        ORBIT_OFFSET: the absolute orbit of the first relative orbit 1.
    total_orbits : int
        TOTAL_ORBITS of a cycle.
    """

    ROOT: ClassVar[str] = "GS2_ANA_TM_SAD_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "ANA_TM_SAD_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    orbit_offset: Annotated[int, At("ORBIT_OFFSET", Integer(-1000, 1000))]
    total_orbits: Annotated[int, At("TOTAL_ORBITS", Integer(1, 1000))]

    def check(self, at: Fields) -> None:
        """Refuse an offset of more than a cycle."""
        if abs(self.orbit_offset) > self.total_orbits:
            raise at.refuse(f"{self.orbit_offset} outside {-self.total_orbits} to {self.total_orbits}", "ORBIT_OFFSET")

    def relative_orbit(self, absolute_orbit: int) -> int:
        """Return the relative orbit number, 1 to the number of orbits of a cycle, of an absolute one."""
        return (absolute_orbit - self.orbit_offset) % self.total_orbits + 1


def read_datation(path: Path, unit: str) -> Datation:
    """Read a GIP_DATATI.

    Parameters
    ----------
    path : Path
    unit : str
        ``S2B``; a file of another unit is refused.
    """
    return read_gipp_record(Datation, path, unit)


def read_datation_scenario(path: Path, unit: str) -> str:
    """Return the DATATION_SCENARIO of a GIP_PRDLOC: ``NOMINAL``, ``EXOGENEOUS`` or ``LINEAR_REGRESSION``."""
    return SCENARIOS.read(open_gipp(path, "GS2_INIT_LOC_PROD_PARAMETERS", unit).child("DATATION_SCENARIO"))


def read_image_analysis(path: Path, unit: str) -> ImageAnalysis:
    """Read a GIP_ATMIMA."""
    return read_gipp_record(ImageAnalysis, path, unit)


def read_ancillary_analysis(path: Path, unit: str) -> AncillaryAnalysis:
    """Read a GIP_ATMSAD."""
    return read_gipp_record(AncillaryAnalysis, path, unit)
