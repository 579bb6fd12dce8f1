"""The geometric GIPPs: viewing directions (VIEDIR), spacecraft model (SPAMOD), line cuts (PRDLOC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields, open_gipp
from s2dask.errors import InputError
from s2dask.instrument import BANDS, band

TDI_CONFIGURATIONS: Final = ("APPLIED", "LINE_A", "LINE_B")
"""Of the bands with time delay integration; the lists of the others say NO_TDI."""
NO_TDI: Final = "NO_TDI"
_RADIAN: Final = {"mrad": 1e-3, "rad": 1.0, "µrad": 1e-6, "urad": 1e-6, "deg": np.pi / 180, "arcsec": np.pi / 648000}
_ORDERS: Final = ("ROTATION_THEN_SCALE", "SCALE_THEN_ROTATION")


@dataclass(frozen=True, slots=True, eq=False)
class ViewingDirections:
    """GIP_VIEDIR of one band: tangents of the viewing angles of every L1B pixel.

    Attributes
    ----------
    band : str
    tangents : mapping of (str, int) to (2, column) float64
        By (tdi configuration, detector): tan psi x (across track), tan psi y (along track).
    """

    band: str
    tangents: Mapping[tuple[str, int], NDArray[np.float64]]

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
    data = open_gipp(path, "GS2_VIEWING_DIRECTIONS", unit)
    b = band(band_name)
    number = data.child("BAND_ID").integer(0, 12)
    if number != b.index:
        raise data.refuse(f"band index {number} instead of {b.index}", "BAND_ID")
    tangents: dict[tuple[str, int], NDArray[np.float64]] = {}
    for group in data.children("VIEWING_DIRECTIONS_LIST"):
        tdi = group.attribute("tdi_config")
        for sight in group.children("VIEWING_DIRECTIONS"):
            detector = sight.integer_attribute("detector_id", 1, 12)
            size = sight.child("NB_OF_PIXELS").integer(b.columns, b.columns)
            rows = [sight.child(f"TAN_PSI_{axis}_LIST").numbers(size, -1.0, 1.0) for axis in "XY"]
            if (tdi, detector) in tangents:
                raise sight.refuse(f"{tdi} of D{detector:02d} is there twice")
            tangents[tdi, detector] = np.array(rows)
    kinds = {tdi for tdi, _ in tangents}
    if not kinds or (NO_TDI in kinds and len(kinds) > 1):
        raise data.refuse(f"lists for {', '.join(sorted(kinds)) or 'no TDI configuration'}", "VIEWING_DIRECTIONS_LIST")
    return ViewingDirections(band_name, tangents)


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


@dataclass(frozen=True, slots=True, eq=False)
class SpacecraftModel:
    """GIP_SPAMOD: piloting frame, MSI, focal planes, detectors.

    Attributes
    ----------
    piloting : FrameRotation
        Piloting frame to MSI.
    focal_planes : mapping of str to FrameRotation
        MSI to VNIR, SWIR.
    detectors : mapping of (str, int) to FrameRotation
        Focal plane to detector.
    """

    piloting: FrameRotation
    focal_planes: Mapping[str, FrameRotation]
    detectors: Mapping[tuple[str, int], FrameRotation]


def _rotation(fields: Fields) -> FrameRotation:
    angles = []
    for tag, axis in (("R1", "X"), ("R2", "Y"), ("R3", "Z")):
        node = fields.child(tag)
        if node.attribute("axis").upper() != axis:
            raise node.refuse(f"a rotation around {node.attribute('axis')} instead of {axis}")
        unit = node.attribute("unit")
        if unit not in _RADIAN:
            raise node.refuse(f"unknown unit {unit}")
        angles.append(node.number(-1e4, 1e4) * _RADIAN[unit])
    scale = fields.child("SCALE_FACTOR").number(0.5, 2.0) if fields.has("SCALE_FACTOR") else 1.0
    order = fields.child("COMBINATION_ORDER").text if fields.has("COMBINATION_ORDER") else _ORDERS[0]
    if order not in _ORDERS:
        raise fields.refuse(f"{order!r} is none of {', '.join(_ORDERS)}", "COMBINATION_ORDER")
    x, y, z = angles
    return FrameRotation(x, y, z, scale, order == _ORDERS[0])


def read_spamod(path: Path, unit: str) -> SpacecraftModel:
    """Read a GIP_SPAMOD file of a unit; nodes newer than the schema are passed over."""
    data = open_gipp(path, "GS2_SPACECRAFT_MODEL_PARAMETERS", unit)
    planes = data.child("MSI_TO_FOCAL_PLANE")
    matrix = data.child("FOCAL_PLANE_TO_DETECTOR")
    detectors = {
        (plane, node.integer_attribute("detector_id", 1, 12)): _rotation(node)
        for plane in ("VNIR", "SWIR")
        for node in matrix.children(f"FOCAL_PLANE_TO_DETECTOR_{plane}")
    }
    return SpacecraftModel(
        _rotation(data.child("PILOTING_TO_MSI_FRAME")),
        {plane: _rotation(planes.child(f"MSI_TO_{plane}")) for plane in ("VNIR", "SWIR")},
        detectors,
    )


@dataclass(frozen=True, slots=True, eq=False)
class LineCuts:
    """GIP_PRDLOC: how many lines of each band and detector are cut so that all images of a datastrip begin together.

    Attributes
    ----------
    reference_band : str
    reference_detector : int
    lines : mapping of (int, str) to (int, int)
        By (detector, band): lines of the band cut at the beginning and at the end.
    """

    reference_band: str
    reference_detector: int
    lines: Mapping[tuple[int, str], tuple[int, int]]


def read_prdloc(path: Path, unit: str) -> LineCuts:
    """Read a GIP_PRDLOC file of a unit."""
    data = open_gipp(path, "GS2_INIT_LOC_PROD_PARAMETERS", unit)
    cutting = data.child("SEGMENT_CUTTING")
    lines = {}
    for element in cutting.child("BAND_LIST").children("BAND"):
        name = element.band("band_id")
        for node in element.child("DETECTOR_LIST").children("DETECTOR"):
            key = node.integer_attribute("detector_id", 1, 12), name
            if key in lines:
                raise node.refuse("is there twice")
            begin, end = (node.child(f"{side}_NB_LINES_TO_CUT").integer(0, 100_000) for side in ("BEGIN", "END"))
            lines[key] = begin, end
    reference = cutting.child("REFERENCE_BAND").integer(0, len(BANDS) - 1)
    return LineCuts(tuple(BANDS)[reference], cutting.child("REFERENCE_DETECTOR").integer(1, 12), lines)
