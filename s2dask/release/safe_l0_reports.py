"""Reports of the on-line quality control of granules and datastrips (OLQC_Report.xsd)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from lxml import etree

from s2dask.release.safe_xml import Element, add

_NAMESPACE: Final = "http://gs2.esa.int/DATA_STRUCTURE/olqcReport"
_TOOL: Final = "s2dask"
CHECKLIST_VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One check of a checklist.

    Attributes
    ----------
    id, title, message : str
    passed : bool
    values : tuple of (str, str)
        Names and values that the message is about.
    """

    id: str
    title: str
    message: str
    passed: bool
    values: tuple[tuple[str, str], ...] = ()


def sensor_inspections(attrs: Mapping[str, Any]) -> list[Inspection]:
    """Return the checks of a datastrip's datation and ancillary data, under the names of real reports.

    Parameters
    ----------
    attrs : mapping
        Of the store of L0: ``datation``, ``degraded``, ``downlink``.
    """
    datation, degraded = attrs.get("datation") or {}, [str(reason) for reason in attrs.get("degraded") or ()]
    sync, rms = bool(datation.get("gps_sync", True)), 1e-9 * float(datation.get("residual_rms", 0.0))
    regression = datation.get("used_model") == "CORRECTED"
    bad = [reason for reason in degraded if reason.startswith("datation")]
    sad = [reason for reason in degraded if reason not in bad]
    heard = (attrs.get("downlink") or {}).get("virtual_channels", {})
    return [
        Inspection(
            "Datation_Model_GPS_SYNC", "Check the correctness of the Datation model with GPS_SYNC.",
            "GPS is synchronized." if sync else "GPS is not synchronized.", sync,
        ),
        Inspection(
            "Datation_Model_RMOY", "Check the correctness of the Datation model with RMOY.",
            "; ".join(bad) or (f"RMOY is {rms:.3e} s" if regression else "RMOY not found in dataset"), not bad,
            (("RMOY", f"{rms:.3e}"),) if regression else (),
        ),
        Inspection(
            "Degraded_SAD", "Check that the ancillary data suffice.", "; ".join(sad) or "No Degraded SAD", not sad
        ),
        *(
            Inspection(
                f"Downlink_VC{virtual}", "Frames of the session on a virtual channel.",
                f"{r['frames']} frames came, {r['missing_frames']} are missing in {r['gaps']} gaps",
                not r["missing_frames"],
                (
                    ("FRAMES", str(r["frames"])), ("MISSING_FRAMES", str(r["missing_frames"])),
                    ("GAPS", str(r["gaps"])), ("DOWNLINK_START", r["start"] or ""), ("DOWNLINK_STOP", r["stop"] or ""),
                ),
            )
            for virtual, r in heard.items()
        ),
    ]  # fmt: skip


def _seconds(moment: datetime) -> str:
    return f"UTC={moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def _milliseconds(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _put(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    return add(parent, f"{{{_NAMESPACE}}}{tag}", text, **attributes)


def _header(root: Element, file: str, product: str, moment: datetime) -> None:
    """Append what every Earth Explorer file says of itself."""
    header = _put(_put(root, "Earth_Explorer_Header"), "Fixed_Header")
    _put(header, "File_Name", file)
    _put(header, "File_Description", f"Report produced by {_TOOL}")
    _put(header, "Notes", "")
    _put(header, "Mission", product[:3])
    _put(header, "File_Class", "OPER")
    _put(header, "File_Type", "REP_OLQCPA")
    validity = _put(header, "Validity_Period")
    _put(validity, "Validity_Start", _seconds(moment))
    _put(validity, "Validity_Stop", "UTC=2100-01-01T00:00:00")
    _put(header, "File_Version", "1")
    source = _put(header, "Source")
    _put(source, "System", _TOOL)
    _put(source, "Creator", _TOOL)
    _put(source, "Creator_Version", CHECKLIST_VERSION)
    _put(source, "Creation_Date", _seconds(moment))


def report(
    file: str, product: str, kind: str, checklist: str, inspections: Sequence[Inspection], moment: datetime
) -> etree._Element:
    """Return the report of one checklist.

    Parameters
    ----------
    file : str
        Name of the report.
    product : str
        Identifier of what was checked.
    kind : str
        ``Granule`` or ``Datastrip``.
    checklist : str
        ``FORMAT_CORRECTNESS`` ….
    inspections : sequence of Inspection
    moment : datetime
        When it was checked.
    """
    root = etree.Element(f"{{{_NAMESPACE}}}Earth_Explorer_File", nsmap=cast("dict[str, str]", {None: _NAMESPACE}))
    _header(root, file, product, moment)
    status = "PASSED" if all(i.passed for i in inspections) else "FAILED"
    block = _put(root, "Data_Block", type="xml")
    body = _put(block, "report", gippVersion=CHECKLIST_VERSION, globalStatus=status, date=_milliseconds(moment))
    listed, level = _put(body, "checkList"), product.split("_")[3][1:]
    _put(listed, "parentID", f"{_TOOL}_{checklist}")
    _put(listed, "name", checklist)
    _put(listed, "version", CHECKLIST_VERSION)
    _put(
        listed,
        "item",
        url=f"./{product}/",
        className=f"PDI Level-{level} {kind} Folder",
        name=product,
        **{"class": f"http://www.esa.int/s2#pdi_level_{level.lower()}_{kind.lower()}_container"},
    )
    for inspection in inspections:
        check = _put(listed, "check")
        _put(
            check,
            "inspection",
            creation=_milliseconds(moment),
            duration="0",
            execution=_milliseconds(moment),
            id=inspection.id,
            item=product,
            itemURL=f"./{product}/",
            name=inspection.title,
            priority="5",
            processingStatus="done",
            status="PASSED" if inspection.passed else "FAILED",
        )
        _put(check, "message", inspection.message, contentType="text/plain")
        if inspection.values:
            extra = _put(check, "extraValues")
            for name, value in inspection.values:
                _put(extra, "value", value, name=name)
    return root
