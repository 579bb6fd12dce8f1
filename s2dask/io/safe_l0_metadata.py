"""What the metadata files of Level-0 granules and datastrips say, as plain facts: read here, written by `release`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.errors import InputError

Counter = tuple[int, int, int]
"""DATA_STRIP_START, SCENE_POSITION, NB_OF_SOURCE_PACKETS."""
KEPT: Final = (
    "Image_Data_Info/Geometric_Header_List", "Satellite_Ancillary_Data_Info/Time_Correlation_Data_List",
    "Satellite_Ancillary_Data_Info/Ephemeris", "Satellite_Ancillary_Data_Info/Attitudes/Corrected_Attitudes",
    "Satellite_Ancillary_Data_Info/Attitudes/Raw_Attitudes", "Satellite_Ancillary_Data_Info/Thermal_Data",
    "Quality_Indicators_Info/Geometric_Info", "Quality_Indicators_Info/Quicklook_Info",
    "Auxiliary_Data_Info/IERS_Bulletin", "Auxiliary_Data_Info/GIPP_List",
)  # fmt: skip
"""Sections of the datastrip metadata that are carried as they are, below their first-level element."""


@dataclass(frozen=True, eq=False)
class GranuleFacts:
    """One granule (detector x scene).

    Attributes
    ----------
    granule, datastrip : str
        Identifiers.
    detector : int
    sensing_time : str
        UTC, ISO.
    priority, centre, archived, parameters : str
        Downlink priority, archiving centre and time, processing-specific parameters.
    footprint : (corner, 3) float64
        Latitude, longitude [degree], height [m]; the last corner is the first.
    position : int
        First line of 10 m in the datastrip, 1-based: a step of 2304 a scene.
    ground_centre : (3,) float64
        Latitude, longitude, height.
    incidence, sun : (float, float)
        Zenith and azimuth at the centre [degree].
    cloud_percentage, degraded_percentage : float
    packets : mapping of int to Counter
        By band index.
    quicklook : (2, value) float64 or None
        QL_CENTER and QL_FOOTPRINT, end to end: places in the quick-look [pixel].
    inner : tuple of float
        INT_POS_LIST of the footprint.
    """

    granule: str
    datastrip: str
    detector: int
    sensing_time: str
    priority: str
    centre: str
    archived: str
    parameters: str
    footprint: NDArray[np.float64]
    position: int
    ground_centre: tuple[float, ...]
    incidence: tuple[float, ...]
    sun: tuple[float, ...]
    cloud_percentage: float
    degraded_percentage: float
    packets: Mapping[int, Counter]
    quicklook: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    inner: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class DatastripFacts:
    """One datastrip.

    Attributes
    ----------
    datatake : mapping of str to str
        ``id``, ``spacecraft``, ``type``, ``start``, ``orbit`` (relative), ``direction``.
    start, stop : str
        DATASTRIP_SENSING_START and STOP, UTC; STOP is the start of the *last* scene, as in real products.
    processing : mapping of str to str
        ``baseline``, ``centre``, ``created``, ``station``, ``downlink_orbit``, ``archiving_centre``, ``archived``.
    granules : mapping of int to tuple of (str, int)
        By detector: identifier and position.
    detectors : tuple of int
        Active ones.
    configuration : mapping of str to str
        ``compress``, ``equalization``, ``nuc_table``.
    tdi : mapping of int to str
    bands : mapping of int to (float, float, float)
        By band index: physical gain, compression rate, integration time [ms].
    packets : mapping of (int, int) to Counter
        By detector and band index.
    degradation : (float, int, int, int)
        Percentage, packets lost, too degraded, kept though degraded.
    line_period : float
        [ms]
    dates : mapping of (int, int) to (int, str)
        By detector and band index: reference line, GPS date at which it begins.
    gps_sync : bool
    model : str
        Datation model.
    references : mapping of str to str
        ``dem``, ``dem_version``, ``iers``, ``band``, ``ancillary``.
    kept : mapping of str to bytes
        Sections of `KEPT`, canonical XML.
    theoretical_period : float or None
        [ms]; there when the line period is another one.
    residual : float or None
        Root mean square of the dates of packets about a regression, RMOY [s]; None without one.
    residuals : mapping of str to float
        The same by group of source packets.
    """

    datatake: Mapping[str, str]
    start: str
    stop: str
    processing: Mapping[str, str]
    granules: Mapping[int, tuple[tuple[str, int], ...]]
    detectors: tuple[int, ...]
    configuration: Mapping[str, str]
    tdi: Mapping[int, str]
    bands: Mapping[int, tuple[float, float, float]]
    packets: Mapping[tuple[int, int], Counter]
    degradation: tuple[float, int, int, int]
    line_period: float
    dates: Mapping[tuple[int, int], tuple[int, str]]
    gps_sync: bool
    model: str
    references: Mapping[str, str]
    kept: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    theoretical_period: float | None = None
    residual: float | None = None
    residuals: Mapping[str, float] = field(default_factory=dict)


def _text(root: etree._Element, path: str, default: str | None = None) -> str:
    value = root.findtext(path)
    if value is None:
        if default is not None:
            return default
        raise InputError(f"{path} is missing", str(root.base or etree.QName(root).localname), "fetch the granule again")
    return value.strip()


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split())
    except ValueError as error:
        raise InputError(f"not a number: {error}", "metadata", "fetch the product again") from None


def _number(text: str) -> float:
    found = _numbers(text)
    if len(found) != 1:
        raise InputError(f"{text!r} is not one number", "metadata", "fetch the product again")
    return found[0]


def _count(node: etree._Element) -> Counter:
    tags = ("DATA_STRIP_START", "SCENE_POSITION", "NB_OF_SOURCE_PACKETS")
    start, scene, packets = (int(_number(_text(node, tag))) for tag in tags)
    return start, scene, packets


def plain(root: etree._Element) -> etree._Element:
    """Take the namespaces and comments off a metadata tree, in place."""
    etree.strip_tags(root, etree.Comment)
    for node in root.iter():
        node.tag = etree.QName(node).localname
    return root


def _angles(root: etree._Element, path: str) -> tuple[float, float]:
    return _number(_text(root, f"{path}/ZENITH_ANGLE")), _number(_text(root, f"{path}/AZIMUTH_ANGLE"))


def granule_facts(root: etree._Element) -> GranuleFacts:
    """Read the metadata of a granule: MTD_L0__GR, or MTD_L0U_GR, which has no geometry."""
    plain(root)
    position, foot = "Geometric_Info/Granule_Position", "Geometric_Info/Granule_Footprint/Granule_Footprint/Footprint"
    header, image = f"{position}/Geometric_Header", "Quality_Indicators_Info/Image_Content_QI"
    places = _numbers(_text(root, f"{foot}/EXT_POS_LIST", ""))
    if len(places) % 3:
        raise InputError(f"a footprint of {len(places)} numbers", "EXT_POS_LIST", "fetch the granule again")
    located = root.find(position) is not None
    centre, ring = root.findtext(f"{header}/QL_CENTER"), root.findtext(f"{position}/QL_FOOTPRINT")
    general = "General_Info"
    return GranuleFacts(
        _text(root, f"{general}/GRANULE_ID"), _text(root, f"{general}/DATASTRIP_ID", ""),
        int(_text(root, f"{general}/DETECTOR_ID")), _text(root, f"{general}/SENSING_TIME"),
        _text(root, f"{general}/DOWNLINK_PRIORITY", "NOMINAL"),
        _text(root, f"{general}/Archiving_Info/ARCHIVING_CENTRE", ""),
        _text(root, f"{general}/Archiving_Info/ARCHIVING_TIME", ""),
        _text(root, f"{general}/Processing_Specific_Parameters/PROCESSING_SPECIFIC_PARAMETERS", ""),
        np.array(places).reshape(-1, 3), int(_text(root, f"{position}/POSITION", "0")),
        _numbers(_text(root, f"{header}/GROUND_CENTER", "")),
        _angles(root, f"{header}/Incidence_Angles") if located else (),
        _angles(root, f"{header}/Solar_Angles") if located else (),
        _number(_text(root, f"{image}/Common_IMG_QI/CLOUDY_PIXEL_PERCENTAGE", "nan")),
        _number(_text(root, f"{image}/Common_IMG_QI/DEGRADED_MSI_DATA_PERCENTAGE")),
        {
            int(node.get("bandId", "-1")): _count(node)
            for node in root.findall(f"{image}/Source_Packet_description/Source_Packet_Counters_List/*")
        },
        (_numbers(centre), _numbers(ring)) if centre is not None and ring is not None else None,
        _numbers(_text(root, f"{foot}/INT_POS_LIST", "")),
    )  # fmt: skip


def _canonical(node: etree._Element) -> bytes:
    for inner in node.iter():
        inner.tail = None
        if len(inner):
            inner.text = None
    return bytes(etree.tostring(node, method="c14n"))


def datastrip_facts(root: etree._Element) -> DatastripFacts:
    """Read the metadata of a Level-0 datastrip (MTD_L0__DS)."""
    plain(root)
    general, image = "General_Info", "Image_Data_Info"
    take, sensor = f"{general}/Datatake_Info", f"{image}/Sensor_Configuration"
    setup, stamp = f"{sensor}/Acquisition_Configuration", f"{sensor}/Time_Stamp"
    node = root.find(take)
    if node is None:
        raise InputError("Datatake_Info is missing", "datastrip metadata", "fetch the datastrip again")
    fields = {
        "spacecraft": "SPACECRAFT_NAME", "type": "DATATAKE_TYPE", "start": "DATATAKE_SENSING_START",
        "orbit": "SENSING_ORBIT_NUMBER", "direction": "SENSING_ORBIT_DIRECTION",
    }  # fmt: skip
    made = {
        "baseline": "Processing_Info/PROCESSING_BASELINE", "centre": "Processing_Info/PROCESSING_CENTER",
        "created": "Processing_Info/UTC_DATE_TIME", "station": "Downlink_Info/RECEPTION_STATION",
        "downlink_orbit": "Downlink_Info/DOWNLINK_ORBIT_NUMBER", "archiving_centre": "Archiving_Info/ARCHIVING_CENTRE",
        "archived": "Archiving_Info/ARCHIVING_TIME",
    }  # fmt: skip
    summary = root.find(f"{sensor}/Source_Packet_Description/Degradation_Summary")
    if summary is None:
        raise InputError("Degradation_Summary is missing", "datastrip metadata", "fetch the datastrip again")
    lost = [int(_text(summary, f"NUMBER_OF_{k}_PACKETS")) for k in ("LOST", "TOO_DEGRADED", "KEPT_DEGRADED")]
    kept = {path: root.find(path) for path in KEPT}
    auxiliary, dem = "Auxiliary_Data_Info", root.find("Auxiliary_Data_Info/PRODUCTION_DEM_TYPE")
    times = root.find(stamp)
    return DatastripFacts(
        {"id": node.get("datatakeIdentifier", "")} | {k: _text(node, tag) for k, tag in fields.items()},
        _text(root, f"{general}/Datastrip_Time_Info/DATASTRIP_SENSING_START"),
        _text(root, f"{general}/Datastrip_Time_Info/DATASTRIP_SENSING_STOP"),
        {k: _text(root, f"{general}/{path}") for k, path in made.items()},
        _granules(root), tuple(int(e.text or 0) for e in root.findall(f"{setup}/Active_Detectors_List/*")),
        {
            "compress": _text(root, f"{setup}/COMPRESS_MODE"), "nuc_table": _text(root, f"{setup}/NUC_TABLE_ID"),
            "equalization": _text(root, f"{setup}/EQUALIZATION_MODE"),
        },
        {int(e.get("bandId", "-1")): (e.text or "").strip() for e in root.findall(f"{setup}/TDI_Configuration_List/*")},
        {int(e.get("bandId", "-1")): _band(e) for e in root.findall(f"{setup}/Spectral_Band_Info/*")},
        {
            (int(d.get("detectorId", "0")), int(b.get("bandId", "-1"))): _count(b)
            for d in root.findall(f"{sensor}/Source_Packet_Description/Source_Packet_Counters_List/Detector_List/*")
            for b in d.findall("Band_List/Band")
        },
        (_number(summary.get("degradationPercentage", "0")), lost[0], lost[1], lost[2]),
        _number(_text(root, f"{stamp}/LINE_PERIOD")),
        {
            (int(d.get("detectorId", "0")), int(b.get("bandId", "-1"))): (
                int(_text(d, "REFERENCE_LINE")), _text(d, "GPS_TIME"),
            )
            for b in root.findall(f"{stamp}/Band_Time_Stamp") for d in b.findall("Detector")
        },
        _text(root, f"{stamp}/GPS_SYNC") == "true", "" if times is None else times.get("usedModel", ""),
        {
            "dem": _text(root, f"{auxiliary}/PRODUCTION_DEM_TYPE"),
            "dem_version": "" if dem is None else dem.get("version", ""),
            "iers": _text(root, f"{auxiliary}/IERS_BULLETIN_FILENAME"),
            "band": _text(root, f"{auxiliary}/REFERENCE_BAND", ""),
            "ancillary": _text(root, "Satellite_Ancillary_Data_Info/ANC_DATA_REF", ""),
        },
        {path: _canonical(e) for path, e in kept.items() if e is not None},
        _optional(root, f"{stamp}/THEORETICAL_LINE_PERIOD"),
        _optional(root, f"{stamp}/Quality_Indicators/Global/RMOY"),
        {
            e.get("gspId", ""): _number(_text(e, "RMOY"))
            for e in root.findall(f"{stamp}/Quality_Indicators/GSP_List/GSP")
        },
    )  # fmt: skip


def _optional(root: etree._Element, path: str) -> float | None:
    return None if root.find(path) is None else _number(_text(root, path))


def _granules(root: etree._Element) -> dict[int, tuple[tuple[str, int], ...]]:
    return {
        int(detector.get("detectorId", "0")): tuple(
            (str(g.get("granuleId")), int(_text(g, "POSITION"))) for g in detector.findall("Granule_List/Granule")
        )
        for detector in root.findall("Image_Data_Info/Granules_Information/Detector_List/Detector")
    }


def _band(node: etree._Element) -> tuple[float, float, float]:
    gain, rate, time = (_number(_text(node, k)) for k in ("PHYSICAL_GAINS", "COMPRESSION_RATE", "INTEGRATION_TIME"))
    return gain, rate, time
