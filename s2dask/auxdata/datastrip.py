"""L0 and L1B datastrip metadata: what the viewing model needs of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_geometry import NO_TDI, TDI_CONFIGURATIONS
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.leap_seconds import BUILT_IN, TAI_MINUS_GPS, LeapSeconds
from s2dask.auxdata.refining import Refining, read_refining
from s2dask.auxdata.time import gps_nanoseconds, gps_to_utc, utc_to_gps
from s2dask.auxdata.xml_file import local_name
from s2dask.auxdata.xml_nodes import Nodes
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS

__all__ = ["DatastripMetadata", "Refining", "Trajectory", "find_datastrip", "read_datastrip"]

_CRAFT: Final = re.compile(r"Sentinel-2([A-Z])", re.IGNORECASE)
_LEVEL: Final = re.compile(r"(?:DIMAP_)?Level-(\w+)(?:-unconsolidated)?_DataStrip(?:_ID)?")


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
        By granule id: detector, first 10 m line (0-based); those that the product lists, in any order, first and last
        not always among them.
    gipps : mapping of str to str
        Versions of the GIPP_List by name.
    level : str
        ``L0``, ``L1B``.
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
    gipps: Mapping[str, str]
    level: str


def find_datastrip(path: str | Path) -> Path:
    """Return the datastrip metadata file of an L0 or L1B folder, or the file itself."""
    root = Path(path)
    if root.is_file():
        return root
    found = sorted(root.rglob("*_MTD_L*_DS_*.xml"))
    if not found:
        raise InputMissing("no datastrip metadata (*_MTD_*_DS_*.xml)", str(path), "give the L1B folder or its XML")
    if len({file.name for file in found}) > 1:
        raise InputError(f"{len(found)} datastrips", str(path), f"give one: {found[0].name}, {found[1].name} …")
    return found[0]


def _samples(
    nodes: Nodes, path: str, field: str, count: int, least: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return dates, ascending and each once, and values (date, count) of samples."""
    found = [e for e in nodes.root.findall(path) if e.findtext("QUATERNION_VALIDITY", "true").strip() != "false"]
    times = np.array([nodes.date("GPS_TIME", gps_nanoseconds, e) for e in found], np.int64)
    values = np.array([nodes.numbers(field, count, e) for e in found], np.float64).reshape(-1, count)
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    again = np.flatnonzero(np.diff(times) == 0)
    same = (values[again] == values[again + 1]).all(axis=1)
    if count == 4:
        # a quaternion and its opposite are the same rotation
        same |= (values[again] == -values[again + 1]).all(axis=1)
    if not same.all():
        when = gps_to_utc(int(times[again][~same][0]))
        raise nodes.refuse(f"two different {field} at {when:%Y-%m-%dT%H:%M:%S.%f} UTC")
    keep = np.r_[True, np.diff(times) != 0] if times.size else np.zeros(0, bool)
    if keep.sum() < least:
        name = path.removeprefix(".//")
        raise nodes.refuse(f"{keep.sum()} of {name}, {least} are needed", "take a datastrip with its ancillary data")
    return times[keep], values[keep]


def _trajectory(nodes: Nodes) -> Trajectory:
    times, position = _samples(nodes, ".//GPS_Points_List/GPS_Point", "POSITION_VALUES", 3, 6)
    attitude_time, quaternion = _samples(nodes, ".//Corrected_Attitudes/Values", "QUATERNION_VALUES", 4, 8)
    wrong = np.abs(np.linalg.norm(quaternion, axis=1) - 1.0) > 1e-6
    if wrong.any():
        raise nodes.refuse(f"{wrong.sum()} quaternions are not of length 1")
    return Trajectory(times, position / 1e3, attitude_time, quaternion)


def _dates(nodes: Nodes, period: float) -> dict[tuple[int, str], int]:
    dates: dict[tuple[int, str], int] = {}
    for stamp in nodes.root.findall(".//Time_Stamp/Band_Time_Stamp"):
        name = nodes.band(stamp)
        step = period * BANDS[name].line_factor
        for node in stamp.findall("Detector"):
            key = nodes.detector(node), name
            reference = nodes.integer(nodes.text("REFERENCE_LINE", node), 0, 10**7, "REFERENCE_LINE")
            start = nodes.date("GPS_TIME", gps_nanoseconds, node)
            # GPS_TIME dates the beginning of the reference line; 0 and 1 both mean the first line
            offset = (max(reference, 1) - 1) * step
            date = start + round((step / 2 - offset) * 1e9)
            if dates.setdefault(key, date) != date:
                raise nodes.refuse(f"two line dates of D{key[0]:02d} {name}")
    return dates


def _granules(nodes: Nodes) -> dict[str, tuple[int, int]]:
    return {
        str(node.get("granuleId")): (
            nodes.detector(detector),
            nodes.integer(nodes.text("POSITION", node), 1, 10**8, "POSITION") - 1,
        )
        for detector in nodes.root.findall(".//Granules_Information/Detector_List/Detector")
        for node in detector.findall(".//Granule")
    }


def _tdi(nodes: Nodes) -> dict[str, str]:
    tdi: dict[str, str] = {}
    for node in nodes.root.findall(".//TDI_CONFIGURATION"):
        value = (node.text or "").strip()
        if value not in (*TDI_CONFIGURATIONS, NO_TDI) or tdi.setdefault(nodes.band(node), value) != value:
            raise nodes.refuse(f"TDI_CONFIGURATION {value!r} of {nodes.band(node)} is not known or is there twice")
    return tdi


def _orientation(nodes: Nodes, leaps: LeapSeconds, start: int) -> EarthOrientation:
    x, y, dut = (nodes.numbers(f".//IERS_Bulletin/{t}")[0] for t in ("POLE_U_ANGLE", "POLE_V_ANGLE", "UT1_UTC"))
    if nodes.root.findtext(".//IERS_Bulletin/GPS_TIME_UTC") is not None:
        told = nodes.numbers(".//IERS_Bulletin/GPS_TIME_UTC")[0]
        table = int(leaps.at_gps(np.array([start]))[0]) - TAI_MINUS_GPS
        if told != table:
            raise nodes.refuse(
                f"GPS_TIME_UTC is {told:g} s, by the leap seconds ({leaps.origin}) it is {table} s",
                "give the table of leap seconds of that date",
            )
    return EarthOrientation.constant(x, y, dut, leaps)


def read_datastrip(path: str | Path, leaps: LeapSeconds = BUILT_IN) -> DatastripMetadata:
    """Read the geometric metadata of an L0 or L1B datastrip.

    Parameters
    ----------
    path : path
        Folder or XML file.
    leaps : LeapSeconds, optional
        Default: the built-in table.

    Notes
    -----
    L0 metadata have everything that L1B metadata have but the refining and the GIPPs of the processing. What they call
    line 1 is the first line of the image before the lines of GIP_PRDLOC are cut. Nodes that are not known are passed
    over; granules may be missing, lines being counted from the line dates and not from the first granule.
    """
    file = find_datastrip(path)
    nodes = Nodes.open(file)
    level = _LEVEL.fullmatch(local_name(nodes.root))
    if level is None:
        raise nodes.refuse(f"root element {local_name(nodes.root)!r}", "give the metadata of an L0 or L1B datastrip")
    craft = _CRAFT.fullmatch(nodes.text(".//SPACECRAFT_NAME"))
    if craft is None:
        raise nodes.refuse(f"SPACECRAFT_NAME {nodes.text('.//SPACECRAFT_NAME')!r}")
    period = nodes.numbers(".//Time_Stamp/LINE_PERIOD")[0] * 1e-3
    if not 1e-3 < period < 3e-3:
        raise nodes.refuse(f"LINE_PERIOD of {period * 1e3:g} ms")
    limits = [
        nodes.date(f".//DATASTRIP_SENSING_{end}", lambda text: utc_to_gps(text, leaps)) for end in ("START", "STOP")
    ]
    if limits[0] >= limits[1]:
        raise nodes.refuse("DATASTRIP_SENSING_STOP is not after DATASTRIP_SENSING_START")
    return DatastripMetadata(
        unit=f"S2{craft[1].upper()}",
        sensing=(limits[0], limits[1]),
        line_period=period,
        first_line_date=_dates(nodes, period),
        trajectory=_trajectory(nodes),
        tdi=_tdi(nodes),
        refining=read_refining(nodes.root, file.name),
        eop=_orientation(nodes, leaps, limits[0]),
        granules=_granules(nodes),
        gipps={
            (e.text or "").strip(): str(e.get("version", "")) for e in nodes.root.findall(".//GIPP_List/GIPP_FILENAME")
        },
        level=f"L{level[1]}",
    )
