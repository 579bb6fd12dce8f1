"""L1B datastrip metadata: what the viewing model needs of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.time import gps_nanoseconds, utc_to_gps
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS

_BANDS = tuple(BANDS)
_MAX_BYTES = 200_000_000


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Orbit and attitude samples.

    Attributes
    ----------
    position_time : (point) int64
        GPS [ns].
    position : (point, 3) float64
        ITRF [m].
    attitude_time : (sample) int64
        GPS [ns].
    quaternion : (sample, 4) float64
        Body to EME2000, scalar last.
    """

    position_time: NDArray[np.int64]
    position: NDArray[np.float64]
    attitude_time: NDArray[np.int64]
    quaternion: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Refining:
    """Refining polynomials in seconds from the middle of the sensing (low degree first).

    Attributes
    ----------
    rotation : mapping of str to array
        Coefficients of the X, Y, Z rotations of the MSI state [rad, rad/s …].
    homothety : array
        Z homothety [1, 1/s …].
    """

    rotation: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    homothety: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class DatastripMetadata:
    """The geometric part of a datastrip's metadata.

    Attributes
    ----------
    unit : str
    sensing : (int, int)
        Start and stop, GPS [ns].
    line_period : float
        Of a 10 m line [s].
    first_line_date : mapping of (int, str) to int
        By (detector, band): centre of line 0, GPS [ns].
    trajectory : Trajectory
    tdi : mapping of str to str
        TDI configuration by band.
    refining : Refining
    eop : EarthOrientation
        The constants of the metadata.
    granules : mapping of str to (int, int)
        By granule id: detector, first 10 m line (0-based).
    gipps : tuple of str
        Names of the GIPP_List.
    """

    unit: str
    sensing: tuple[int, int]
    line_period: float
    first_line_date: Mapping[tuple[int, str], int]
    trajectory: Trajectory
    tdi: Mapping[str, str]
    refining: Refining
    eop: EarthOrientation
    granules: Mapping[str, tuple[int, int]]
    gipps: tuple[str, ...]


def find_datastrip(path: str | Path) -> Path:
    """Return the datastrip metadata file of an L1B folder, or the file itself."""
    root = Path(path)
    if root.is_file():
        return root
    found = [p for p in sorted(root.rglob("*_MTD_L*_DS_*.xml")) if p.stat().st_size]
    if not found:
        raise InputMissing("no datastrip metadata (*_MTD_*_DS_*.xml)", str(path), "give the L1B folder or its XML")
    return found[0]


def parse_xml(path: Path) -> etree._Element:
    """Parse an untrusted XML file: no entities, no network, no document type, bounded size."""
    if not path.is_file():
        raise InputMissing("no such file", str(path))
    if path.stat().st_size > _MAX_BYTES:
        raise InputError("metadata file is unreasonably large", path.name)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        tree = etree.parse(str(path), parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"no well-formed XML: {error}", path.name, "fetch the file again") from None
    if tree.docinfo.doctype:  # type: ignore[union-attr]  # the stubs do not know it
        raise InputError("a document type is declared", path.name, "metadata never has one: the file is refused")
    return tree.getroot()


def _text(root: etree._Element, path: str, file: str) -> str:
    value = root.findtext(path)
    if value is None:
        raise InputError(f"{path.removeprefix('.//')} is missing", file)
    return value


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


def _trajectory(root: etree._Element, file: str) -> Trajectory:
    points = root.findall(".//GPS_Points_List/GPS_Point")
    samples = root.findall(".//Corrected_Attitudes/Values")
    if len(points) < 6 or len(samples) < 8:
        raise InputError(f"{len(points)} GPS points and {len(samples)} attitudes", file, "6 and 8 are needed")
    times = np.array([gps_nanoseconds(_text(e, "GPS_TIME", file)) for e in points])
    position = np.array([_numbers(_text(e, "POSITION_VALUES", file)) for e in points]) / 1e3
    attitude_time = np.array([gps_nanoseconds(_text(e, "GPS_TIME", file)) for e in samples])
    quaternion = np.array([_numbers(_text(e, "QUATERNION_VALUES", file)) for e in samples])
    t, first = np.unique(times, return_index=True)
    a, kept = np.unique(attitude_time, return_index=True)
    return Trajectory(t, position[first], a, quaternion[kept])


def _dates(root: etree._Element, period: float, file: str) -> dict[tuple[int, str], int]:
    dates = {}
    for stamp in root.findall(".//Time_Stamp/Band_Time_Stamp"):
        name = _BANDS[int(stamp.get("bandId", "0"))]
        step = period * BANDS[name].line_factor
        for node in stamp.findall("Detector"):
            reference = int(_text(node, "REFERENCE_LINE", file))
            start = gps_nanoseconds(_text(node, "GPS_TIME", file))
            # GPS_TIME dates the beginning of the reference line; 0 and 1 both mean the first line
            offset = (max(reference, 1) - 1) * step
            dates[int(node.get("detectorId", "0")), name] = start + round((step / 2 - offset) * 1e9)
    return dates


def _refining(root: etree._Element) -> Refining:
    state = root.find(".//Refined_Corrections/MSI_State")
    if state is None:
        return Refining()
    rotation = {
        axis: np.array(_numbers(text))
        for axis in "XYZ"
        if (text := state.findtext(f"Rotation/{axis}/COEFFICIENTS")) is not None
    }
    homothety = state.findtext("Homothety/Z/COEFFICIENTS")
    return Refining(rotation, np.array(_numbers(homothety)) if homothety else np.zeros(0))


def read_datastrip(path: str | Path) -> DatastripMetadata:
    """Read the geometric metadata of an L0 or L1B datastrip (folder or XML file)."""
    file = find_datastrip(path)
    root = parse_xml(file)
    name = file.name
    period = float(_text(root, ".//Time_Stamp/LINE_PERIOD", name)) * 1e-3
    granules = {
        str(node.get("granuleId")): (int(detector.get("detectorId", "0")), int(_text(node, "POSITION", name)) - 1)
        for detector in root.findall(".//Granules_Information/Detector_List/Detector")
        for node in detector.findall(".//Granule")
    }
    eop = EarthOrientation.constant(
        *(float(_text(root, f".//IERS_Bulletin/{tag}", name)) for tag in ("POLE_U_ANGLE", "POLE_V_ANGLE", "UT1_UTC"))
    )
    return DatastripMetadata(
        unit=f"S2{_text(root, './/SPACECRAFT_NAME', name).strip()[-1]}",
        sensing=(
            utc_to_gps(_text(root, ".//DATASTRIP_SENSING_START", name)),
            utc_to_gps(_text(root, ".//DATASTRIP_SENSING_STOP", name)),
        ),
        line_period=period,
        first_line_date=_dates(root, period, name),
        trajectory=_trajectory(root, name),
        tdi={
            _BANDS[int(e.get("bandId", "0"))]: (e.text or "").strip() for e in root.findall(".//TDI_CONFIGURATION")
        },
        refining=_refining(root),
        eop=eop,
        granules=granules,
        gipps=tuple((e.text or "").strip() for e in root.findall(".//GIPP_List/GIPP_FILENAME")),
    )
