"""What a SAFE states beside the facts of its pixels, in the terms of our stores: for the way back into a SAFE."""

import re
from pathlib import Path
from typing import Any

from lxml import etree

from s2dask.io.safe_archive import SafeArchive


def _text(root: etree._Element, name: str) -> str | None:
    found = next(root.iterfind(f".//{{*}}{name}"), None)
    text = (found.text or "").strip() if found is not None else ""
    return text if text and text != "None" else None


def _product(root: etree._Element) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "datatake_start": _text(root, "DATATAKE_SENSING_START"),
        "dem": _text(root, "PRODUCTION_DEM_TYPE"),
        "iers_bulletin": _text(root, "IERS_BULLETIN_FILENAME"),
        "ecmwf": _text(root, "ECMWF_DATA_REF"),
        "lut": _text(root, "LUT_FILENAME"),
        "aot_retrieval_method": _text(root, "AOT_RETRIEVAL_METHOD"),
    }
    degraded = _text(root, "DEGRADED_ANC_DATA_PERCENTAGE")
    if degraded is not None:
        stated["degraded_ancillary_percentage"] = float(degraded)
    if _text(root, "OZONE_SOURCE") == "AUX_ECMWFT":
        stated["record"] = {"ozone_mean": float(_text(root, "OZONE_VALUE") or 0.0)}
    stated["gipps"] = [(e.text or "").strip() for e in root.iterfind(".//{*}GIPP_FILENAME")]
    stated["checks"] = [
        {"id": e.get("checkType") or "", "checklist": e.get("checkType") or "", "status": (e.text or "").strip()}
        for e in root.iterfind(".//{*}quality_check")
    ]
    return {key: value for key, value in stated.items() if value is not None}


def datastrip_facts(root: etree._Element) -> dict[str, Any]:
    """Return what the metadata of a datastrip (L1B to L2A) state for its tiles, by the names of our stores."""
    stated: dict[str, Any] = {
        "datastrip_start": _text(root, "DATASTRIP_SENSING_START"),
        "datastrip_stop": _text(root, "DATASTRIP_SENSING_STOP"),
        "station": _text(root, "RECEPTION_STATION"),
        "dem": _text(root, "PRODUCTION_DEM_TYPE"),
        "iers_bulletin": _text(root, "IERS_BULLETIN_FILENAME"),
        "gipps": [(e.text or "").strip() for e in root.iterfind(".//{*}GIPP_FILENAME")] or None,
    }
    orbit = _text(root, "DOWNLINK_ORBIT_NUMBER")
    if orbit is not None and re.fullmatch(r"\d+", orbit):
        stated["downlink_orbit"] = int(orbit)
    return {key: value for key, value in stated.items() if value is not None}


def _datastrip(archive: SafeArchive) -> dict[str, Any]:
    found = archive.matching(["DATASTRIP/*/MTD_DS.xml"])
    if not found:
        return {}
    root = archive.xml(found[0])
    active = [int(e.text or 0) for e in root.iterfind(".//{*}ACTIVE_DETECTOR")]
    return datastrip_facts(root) | ({"detectors": active} if active else {})


def _checks(archive: SafeArchive) -> dict[str, list[dict[str, Any]]]:
    """Return the checks that the reports of the tile tell, by checklist, as our stores hold them."""
    out: dict[str, list[dict[str, Any]]] = {}
    for name in archive.matching(["GRANULE/*/QI_DATA/*_QUALITY.xml", "GRANULE/*/QI_DATA/FORMAT_CORRECTNESS.xml"]):
        for checklist in archive.xml(name).iterfind(".//{*}checkList"):
            title = (checklist.findtext("{*}name") or "").strip()
            found_here = out.setdefault(title, [])
            for check in checklist.iterfind("{*}check"):
                found = check.find("{*}inspection")
                if found is None or found.get("id") == "checkMetadata":
                    continue
                told: dict[str, Any] = {"id": found.get("id") or "", "checklist": title}
                told |= {"status": found.get("status") or "", "message": check.findtext("{*}message") or ""}
                # the expected value stands beside the measured one
                values = [v for v in check.iterfind("{*}extraValues/{*}value") if v.get("name") != "EXPECTED"]
                found_here.append(told | ({"value": _number(values[0].text or "")} if values else {}))
    return out


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def further_facts(archive: SafeArchive, level: str) -> dict[str, Any]:
    """Return provenance, datastrip and quality facts of an L1C or L2A SAFE, by their names in our stores.

    Parameters
    ----------
    archive : SafeArchive
    level : str
    """
    out = _datastrip(archive) | _product(archive.xml(archive.one(f"MTD_MSI{level}.xml")))
    told = _checks(archive)
    of_strip = {Path(name).stem for name in archive.matching(["DATASTRIP/*/QI_DATA/*.xml"])}
    only_status = [check for check in out["checks"] if check["checklist"] not in told.keys() | of_strip]
    out["checks"] = [check for checks in told.values() for check in checks] + only_status
    l1c = _text(archive.xml(archive.one("GRANULE/*/MTD_TL.xml")), "L1C_TILE_ID")
    return out | ({"l1c_tile": l1c} if l1c else {})
