"""The geometric GIPPs: viewing directions (VIEDIR), spacecraft model (SPAMOD), line cuts (PRDLOC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.auxdata.gipp_datation import SCENARIOS
from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import DEFAULT_HEADER, Gipp, GippHeader, read_gipp_record
from s2dask.auxdata.gipp_record import At, Band, Both, Pairs, Perhaps, Table
from s2dask.auxdata.gipp_values import BandIndex, DetectorId, Flag, Integer, Real, Reals, Strings, Word, plain_list
from s2dask.errors import InputError
from s2dask.instrument import band

TDI_CONFIGURATIONS: Final = ("APPLIED", "LINE_A", "LINE_B")
"""Of the bands with time delay integration; the lists of the others say NO_TDI."""
NO_TDI: Final = "NO_TDI"
_EXPONENTS: Final = {"mrad": -3, "rad": 0, "µrad": -6, "urad": -6}
_RADIAN: Final = {"deg": np.pi / 180, "arcsec": np.pi / 648000}
_ORDERS: Final = ("ROTATION_THEN_SCALE", "SCALE_THEN_ROTATION")


@dataclass(frozen=True, slots=True)
class _Tangents:
    """TAN_PSI_X_LIST and TAN_PSI_Y_LIST, as (2, column) float64."""

    def read(self, at: Fields) -> NDArray[np.float64]:
        size = at.child("NB_OF_PIXELS").integer(1, 1_000_000)
        wanted = band(at.scope.band).columns
        if size != wanted:
            raise at.refuse(f"{size} outside {wanted} to {wanted}", "NB_OF_PIXELS")
        return np.array([at.child(f"TAN_PSI_{axis}_LIST").numbers(size, -1.0, 1.0) for axis in "XY"])

    def write(self, value: NDArray[np.float64], into: etree._Element) -> None:
        etree.SubElement(into, "NB_OF_PIXELS").text = str(value.shape[1])
        for axis, row in zip("XY", value, strict=True):
            etree.SubElement(into, f"TAN_PSI_{axis}_LIST").text = plain_list(row)


@dataclass(frozen=True, slots=True, eq=False)
class ViewingDirections:
    """GIP_VIEDIR of one band: tangents of the viewing angles of every L1B pixel.

    Attributes
    ----------
    band : str
    tangents : mapping of (str, int) to (2, column) float64
        By (tdi configuration, detector): tan psi x (across track), tan psi y (along track).
    unit, file : str
    header : GippHeader
    """

    ROOT: ClassVar[str] = "GS2_VIEWING_DIRECTIONS"
    IDENTIFICATION: ClassVar[str] = "VIEWING_DIRECTIONS_FILE"

    band: Annotated[str, Band()]
    tangents: Annotated[
        Mapping[tuple[str, int], NDArray[np.float64]],
        Pairs(
            Table(
                "VIEWING_DIRECTIONS_LIST",
                "@tdi_config",
                Word.of(*TDI_CONFIGURATIONS, NO_TDI),
                Table("VIEWING_DIRECTIONS", "@detector_id", DetectorId(), _Tangents()),
            )
        ),
    ]
    unit: str = ""
    file: str = ""
    header: GippHeader = DEFAULT_HEADER

    def check(self, at: Fields) -> None:
        """Refuse lists that are and are not for time delay integration."""
        kinds = sorted({tdi for tdi, _ in self.tangents})
        if NO_TDI in kinds and len(kinds) > 1:
            raise at.refuse(f"lists for {', '.join(kinds)}", "VIEWING_DIRECTIONS_LIST")

    def of(self, detector: int, tdi: str = "APPLIED") -> NDArray[np.float64]:
        """Return tan psi x and tan psi y (2, column) of a detector under a TDI configuration.

        A band without time delay integration has one list, whatever the configuration.
        """
        if tdi not in (*TDI_CONFIGURATIONS, NO_TDI):
            raise InputError(f"TDI configuration {tdi!r} is not known", f"GIP_VIEDIR {self.band}")
        for key in ((tdi, detector), (NO_TDI, detector)):
            if key in self.tangents:
                return self.tangents[key]
        raise InputError(f"no viewing directions of D{detector:02d} for TDI {tdi}", f"GIP_VIEDIR {self.band}")


def read_viedir(path: Path, unit: str, band_name: str) -> ViewingDirections:
    """Read a GIP_VIEDIR file of a unit and band."""
    return read_gipp_record(ViewingDirections, path, unit, band_name)


@dataclass(frozen=True, slots=True)
class FrameRotation:
    """A rotation between two frames of the instrument, and the change of focal length that goes with it.

    Attributes
    ----------
    x, y, z : float
        Angles [rad].
    scale : float
        Factor on the z axis (GIPP schema, A_ROTATION_AROUND_THREE_AXIS_AND_SCALE).
    rotation_first : bool
        COMBINATION_ORDER is ROTATION_THEN_SCALE.
    """

    x: float
    y: float
    z: float
    scale: float = 1.0
    rotation_first: bool = True


@dataclass(frozen=True, slots=True)
class _Rotation:
    """A rotation with its scale, as the value of an element; `scaled`: the schema lets it have a scale."""

    tag: str = ""
    scaled: bool = True

    def read(self, at: Fields) -> FrameRotation:
        here = at.child(self.tag) if self.tag else at
        x, y, z = (self._angle(here.child(f"R{k}"), axis) for k, axis in enumerate("XYZ", 1))
        scale = here.child("SCALE_FACTOR").number(0.5, 2.0) if here.has("SCALE_FACTOR") else 1.0
        order = here.child("COMBINATION_ORDER").text if here.has("COMBINATION_ORDER") else _ORDERS[0]
        if order not in _ORDERS:
            raise here.refuse(f"{order!r} is none of {', '.join(_ORDERS)}", "COMBINATION_ORDER")
        return FrameRotation(x, y, z, scale, order == _ORDERS[0])

    @staticmethod
    def _angle(node: Fields, axis: str) -> float:
        if node.attribute("axis").upper() != axis:
            raise node.refuse(f"a rotation around {node.attribute('axis')} instead of {axis}")
        unit, value = node.attribute("unit"), node.number(-1e4, 1e4)
        if unit in _EXPONENTS:
            return float(Decimal(node.text).scaleb(_EXPONENTS[unit]))
        if unit not in _RADIAN:
            raise node.refuse(f"unknown unit {unit}")
        return value * _RADIAN[unit]

    def write(self, value: FrameRotation, into: etree._Element) -> None:
        here = etree.SubElement(into, self.tag) if self.tag else into
        for k, (axis, angle) in enumerate(zip("XYZ", (value.x, value.y, value.z), strict=True), 1):
            element = etree.SubElement(here, f"R{k}", axis=axis, unit="mrad")
            element.text = Real(exponent=-3).text(angle)
        if self.scaled or (value.scale, value.rotation_first) != (1.0, True):
            etree.SubElement(here, "SCALE_FACTOR").text = repr(float(value.scale))
            etree.SubElement(here, "COMBINATION_ORDER").text = _ORDERS[not value.rotation_first]


@dataclass(frozen=True, slots=True)
class _FocalPlanes:
    """MSI_TO_VNIR and MSI_TO_SWIR."""

    def read(self, at: Fields) -> dict[str, FrameRotation]:
        here = at.child("MSI_TO_FOCAL_PLANE")
        return {plane: _Rotation(f"MSI_TO_{plane}").read(here) for plane in ("VNIR", "SWIR")}

    def write(self, value: Mapping[str, FrameRotation], into: etree._Element) -> None:
        here = etree.SubElement(into, "MSI_TO_FOCAL_PLANE")
        for plane in ("VNIR", "SWIR"):
            _Rotation(f"MSI_TO_{plane}").write(value[plane], here)


@dataclass(frozen=True, slots=True)
class _Detectors:
    """FOCAL_PLANE_TO_DETECTOR_VNIR and FOCAL_PLANE_TO_DETECTOR_SWIR of the detectors."""

    @staticmethod
    def _table(plane: str) -> Table:
        tag = f"FOCAL_PLANE_TO_DETECTOR_{plane}"
        return Table(tag, "@detector_id", DetectorId(), _Rotation(scaled=False), low=0)

    def read(self, at: Fields) -> dict[tuple[str, int], FrameRotation]:
        here = at.child("FOCAL_PLANE_TO_DETECTOR")
        return {(p, d): one for p in ("VNIR", "SWIR") for d, one in self._table(p).read(here).items()}

    def write(self, value: Mapping[tuple[str, int], FrameRotation], into: etree._Element) -> None:
        here = etree.SubElement(into, "FOCAL_PLANE_TO_DETECTOR")
        for plane in ("VNIR", "SWIR"):
            self._table(plane).write({d: one for (p, d), one in value.items() if p == plane}, here)


@dataclass(frozen=True, slots=True, eq=False)
class Quaternion:
    """A rotation as vector and scalar.

    Attributes
    ----------
    vector : (3) float64
    scalar : float
    """

    vector: Annotated[NDArray[np.float64], At("VECTOR", Reals(3, -1.0, 1.0))]
    scalar: Annotated[float, At("SCALAR", Real(-1.0, 1.0))]


@dataclass(frozen=True, slots=True, eq=False)
class AttitudeEstimation:
    """GSE: what the files since 2021 say about the ground attitude estimation; newer than the published schema.

    Attributes
    ----------
    imu_offset, tracker_offset : float
        OFFSET_IMU and OFFSET_STR [s].
    tracker_1, tracker_2, tracker_3 : Quaternion
        STRn_ATT_QUATERNION.
    thresholds : (3) float64
        STR_INNOV_THD.
    """

    imu_offset: Annotated[float, At("OFFSET_IMU", Real(-10.0, 10.0), "s")]
    tracker_offset: Annotated[float, At("OFFSET_STR", Real(-10.0, 10.0), "s")]
    tracker_1: Annotated[Quaternion, At("STR1_ATT_QUATERNION", Quaternion)]
    tracker_2: Annotated[Quaternion, At("STR2_ATT_QUATERNION", Quaternion)]
    tracker_3: Annotated[Quaternion, At("STR3_ATT_QUATERNION", Quaternion)]
    thresholds: Annotated[NDArray[np.float64], At("STR_INNOV_THD", Reals(3, 0.0, 1e6))]


@dataclass(frozen=True, slots=True, eq=False)
class LocationAccuracy:
    """LOCATION_ACCURACY.

    Attributes
    ----------
    absolute, stability : float
        ABSOLUTE_LOCATION and PLANIMETRIC_STABILITY [m].
    dop_values : (class) float64
    dop_names : tuple of str
        DOP_QUALITY: limits of the dilution of precision and their names.
    """

    absolute: Annotated[float, At("ABSOLUTE_LOCATION", Real(0.0, 1e6), "m")]
    stability: Annotated[float, At("PLANIMETRIC_STABILITY", Real(0.0, 1e6), "m")]
    dop_values: Annotated[NDArray[np.float64], At("DOP_QUALITY/VALUES", Reals())]
    dop_names: Annotated[tuple[str, ...], At("DOP_QUALITY/QUALITY_INDICATOR", Strings())]

    def check(self, at: Fields) -> None:
        """Refuse limits without names."""
        if len(self.dop_names) != self.dop_values.size:
            raise at.refuse(f"{len(self.dop_names)} names of {self.dop_values.size} values", "DOP_QUALITY")


@dataclass(frozen=True, slots=True, eq=False)
class SpacecraftModel:
    """GIP_SPAMOD: piloting frame, MSI, focal planes, detectors; nodes that are not known are passed over.

    Attributes
    ----------
    piloting : FrameRotation
        Piloting frame to MSI.
    focal_planes : mapping of str to FrameRotation
        MSI to VNIR, SWIR.
    detectors : mapping of (str, int) to FrameRotation
        Focal plane to detector.
    attitude : AttitudeEstimation or None
    accuracy : LocationAccuracy or None
    unit, file : str
    header : GippHeader
    """

    ROOT: ClassVar[str] = "GS2_SPACECRAFT_MODEL_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "SPACECRAFT_MODEL_FILE"
    ORDER: ClassVar[tuple[str, ...]] = ("attitude", "accuracy", "piloting", "focal_planes", "detectors")

    piloting: Annotated[FrameRotation, _Rotation("PILOTING_TO_MSI_FRAME")]
    focal_planes: Annotated[Mapping[str, FrameRotation], _FocalPlanes()]
    detectors: Annotated[Mapping[tuple[str, int], FrameRotation], _Detectors()]
    attitude: Annotated[AttitudeEstimation | None, Perhaps(At("GSE", AttitudeEstimation))] = None
    accuracy: Annotated[LocationAccuracy | None, Perhaps(At("LOCATION_ACCURACY", LocationAccuracy))] = None
    unit: str = ""
    file: str = ""
    header: GippHeader = DEFAULT_HEADER


def read_spamod(path: Path, unit: str) -> SpacecraftModel:
    """Read a GIP_SPAMOD file of a unit; nodes newer than the schema are passed over."""
    return read_gipp_record(SpacecraftModel, path, unit)


@dataclass(frozen=True, slots=True, eq=False)
class LineCuts(Gipp):
    """GIP_PRDLOC: how many lines of each band and detector are cut so that all images of a datastrip begin together.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    reference_band : str
    reference_detector : int
    lines : mapping of (int, str) to (int, int)
        By (detector, band): lines of the band cut at the beginning and at the end.
    area_margin : int
        INTEREST_AREA_MARGIN [m].
    compression_margin, radiometric_margin : int
        [pixel]
    crosstalk : bool
        CROSSTALK_FLAG: whether the margins of the crosstalk are computed.
    footprint_step, auxiliary_step : float
        FOOTPRINT_STEP and AUX_DATA_STEP [m].
    cloud_height : float
        H_CLOUD [m].
    scenario : str
        DATATION_SCENARIO: ``NOMINAL``, ``EXOGENEOUS`` or ``LINEAR_REGRESSION``.
    """

    ROOT: ClassVar[str] = "GS2_INIT_LOC_PROD_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "INIT_LOC_PROD_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    reference_band: Annotated[str, At("SEGMENT_CUTTING/REFERENCE_BAND", BandIndex())]
    reference_detector: Annotated[int, At("SEGMENT_CUTTING/REFERENCE_DETECTOR", DetectorId())]
    lines: Annotated[
        Mapping[tuple[int, str], tuple[int, int]],
        Pairs(
            Table(
                "BAND",
                "@band_id",
                BandIndex(),
                Table(
                    "DETECTOR",
                    "@detector_id",
                    DetectorId(),
                    Both(
                        At("BEGIN_NB_LINES_TO_CUT", Integer(0, 100_000)), At("END_NB_LINES_TO_CUT", Integer(0, 100_000))
                    ),
                    "DETECTOR_LIST",
                ),
                "SEGMENT_CUTTING/BAND_LIST",
            ),
            turned=True,
        ),
    ]
    area_margin: Annotated[int, At("SEGMENT_CUTTING/INTEREST_AREA_MARGIN", Integer(0), "m")]
    compression_margin: Annotated[int, At("SEGMENT_CUTTING/COMPRESSION_MARGIN", Integer(0), "pixel")]
    radiometric_margin: Annotated[int, At("SEGMENT_CUTTING/RADIOMETRIC_MARGIN", Integer(0), "pixel")]
    crosstalk: Annotated[bool, At("SEGMENT_CUTTING/CROSSTALK_FLAG", Flag())]
    footprint_step: Annotated[float, At("AUXILIARY_DATA/FOOTPRINT_STEP", Real(0.0, 1e7), "m")]
    auxiliary_step: Annotated[float, At("AUXILIARY_DATA/AUX_DATA_STEP", Real(0.0, 1e7), "m")]
    cloud_height: Annotated[float, At("AUXILIARY_DATA/H_CLOUD", Real(0.0, 1e5))]
    scenario: Annotated[str, At("DATATION_SCENARIO", SCENARIOS)]


def read_prdloc(path: Path, unit: str) -> LineCuts:
    """Read a GIP_PRDLOC file of a unit."""
    return read_gipp_record(LineCuts, path, unit)
