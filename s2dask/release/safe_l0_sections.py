"""Sections of the Level-0 datastrip metadata that are tables: orbit, attitude, geometric headers, references."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from lxml import etree

from s2dask.instrument.timing import GPS_MINUS_TAI
from s2dask.io.storage import open_array
from s2dask.release.safe_xml import Element, add, number

_EPOCH: Final = datetime(1980, 1, 6, tzinfo=UTC)
_SATELLITE: Final = "Satellite_Ancillary_Data_Info"


def gps_date(gps: int, decimals: int) -> str:
    """Return a GPS time [ns] as the metadata have it, ISO without Z."""
    seconds, rest = divmod(gps, 1_000_000_000)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest:09d}"[:decimals]
    return f"{whole}.{fraction}" if fraction else whole


def _ephemeris(url: str) -> Element:
    time, position, velocity = (
        np.asarray(open_array(url, f"conditions/ephemeris/{k}")[...]) for k in ("gps_time", "position", "velocity")
    )
    root = etree.Element("Ephemeris", metadataLevel="Standard")
    receiver = add(add(root, "GPS_Number_List"), "Gps_Number", id="GPS-A")
    add(receiver, "GPS_TIME_START", gps_date(int(time[0]), 9))
    add(receiver, "GPS_TIME_END", gps_date(int(time[-1]), 9))
    points = add(root, "GPS_Points_List")
    for t, p, v in zip(time, position, velocity, strict=True):
        point = add(points, "GPS_Point")
        add(point, "POSITION_VALUES", " ".join(str(round(x)) for x in 1e3 * p), unit="mm")
        add(point, "POSITION_ERRORS", "0 0 0", unit="mm")
        add(point, "VELOCITY_VALUES", " ".join(str(round(x)) for x in 1e3 * v), unit="mm/s")
        add(point, "VELOCITY_ERRORS", "0 0 0", unit="mm/s")
        add(point, "GPS_TIME", gps_date(int(t), 9))
        add(point, "NSM", "KALMAN_FILTER")
        for tag in ("QUALITY_INDEX", "GDOP", "PDOP", "TDOP", "NOF_SV"):
            add(point, tag, 0)
        add(point, "TIME_ERROR", 0, unit="ns")
    # the platform's own orbit is not in the telemetry that is known: one entry, not valid, says so
    aocs = add(add(root, "AOCS_Ephemeris_List"), "AOCS_Ephemeris")
    add(aocs, "VALID_FLAG", "false")
    add(aocs, "OPSOL_QUALITY", 0)
    add(aocs, "POSITION_VALUES", "0 0 0", unit="m")
    add(aocs, "VELOCITY_VALUES", "0 0 0", unit="m/s")
    add(aocs, "GPS_TIME", gps_date(int(time[0]), 9))
    add(aocs, "ORBIT_ANGLE", 0, unit="rad")
    return root


def _attitudes(url: str) -> Element:
    where = "conditions/attitude"
    time, quaternion = (np.asarray(open_array(url, f"{where}/{k}")[...]) for k in ("gps_time", "quaternion"))
    root = etree.Element("Corrected_Attitudes", metadataLevel="Standard")
    for t, q in zip(time, quaternion, strict=True):
        values = add(root, "Values")
        add(values, "QUATERNION_VALUES", " ".join(number(float(x)) for x in q))
        add(values, "QUATERNION_VALIDITY", "true")
        add(values, "GPS_TIME", gps_date(int(t), 9))
        add(values, "ATTITUDE_QUALITY_INDICATOR", "TWO_VALID_STR")
    return root


def _headers(headers: list[dict[str, Any]]) -> Element:
    root = etree.Element("Geometric_Header_List", metadataLevel="Expertise")
    for header in headers:
        out = add(root, "Geometric_Header", geometry="QL")
        add(out, "GPS_TIME", gps_date(int(header["gps"]), 3))
        add(out, "LINE_INDEX", int(header["line"]))
        reference = add(add(out, "Pointing_Angles"), "Satellite_Reference")
        for tag, angle in zip(("ROLL", "PITCH", "YAW"), header["attitude"], strict=True):
            add(reference, tag, float(angle), unit="deg")
        for place in ("begin", "center", "end"):
            at = header[place]
            located = add(out, "Located_Geometric_Header", pos=place)
            add(located, "ORIENTATION", float(at["orientation"]), unit="deg")
            for tag, key in (("Incidence_Angles", "incidence"), ("Solar_Angles", "sun")):
                angles = add(located, tag)
                add(angles, "ZENITH_ANGLE", float(at[key][0]), unit="deg")
                add(angles, "AZIMUTH_ANGLE", float(at[key][1]), unit="deg")
            pixel = add(located, "Pixel_Size")
            add(pixel, "ALONG_TRACK", float(at["pixel"][0]), unit="m")
            add(pixel, "ACROSS_TRACK", float(at["pixel"][1]), unit="m")
    return root


def _geometric_quality(measured: str) -> Element:
    """Return the system's location figures: the mission's specification, for a strip alone cannot tell."""
    root = etree.Element("Geometric_Info")
    absolute = add(root, "Absolute_Location")
    add(absolute, "VALUE", 20, unit="m")
    add(absolute, "MEASUREMENT_DATE", measured)
    stability = add(root, "Planimetric_Stability")
    add(stability, "VALUE", 3)
    add(stability, "MEASUREMENT_DATE", measured)
    add(root, "EPHEMERIS_QUALITY", 3)
    add(root, "ANCILLARY_QUALITY", 2)
    return root


def _bulletin(iers: Mapping[str, Any], leap: int) -> Element:
    root = etree.Element("IERS_Bulletin")
    add(root, "UT1_UTC", float(iers["ut1_utc"]), unit="s")
    add(root, "GPS_TIME_UTC", leap, unit="s")
    add(root, "GPS_TIME_TAI", GPS_MINUS_TAI, unit="s")
    add(root, "POLE_U_ANGLE", float(iers["pole"][0]), unit="arcsec")
    add(root, "POLE_V_ANGLE", float(iers["pole"][1]), unit="arcsec")
    return root


def _gipps(names: list[str]) -> Element:
    root = etree.Element("GIPP_List")
    for name in names:
        add(root, "GIPP_FILENAME", name, type=name[9:19], version="0000")
    return root


def sections(url: str, found: Mapping[str, Any], leap: int) -> dict[str, bytes]:
    """Return the sections of a store's datastrip metadata.

    Parameters
    ----------
    url : str
        L0 store: orbit and attitude.
    found : mapping
        Root attribute ``location``.
    leap : int
        GPS minus UTC [s].

    Notes
    -----
    Errors and quality figures of the GPS points are 0: the ancillary packets that are known do not have them.
    """
    made = {
        "Image_Data_Info/Geometric_Header_List": _headers(found["headers"]),
        f"{_SATELLITE}/Ephemeris": _ephemeris(url),
        f"{_SATELLITE}/Attitudes/Corrected_Attitudes": _attitudes(url),
        "Quality_Indicators_Info/Geometric_Info": _geometric_quality(found["measured"]),
        "Auxiliary_Data_Info/IERS_Bulletin": _bulletin(found["iers"], leap),
        "Auxiliary_Data_Info/GIPP_List": _gipps(found["gipps"]),
    }
    return {path: bytes(etree.tostring(node, method="c14n")) for path, node in made.items()}
