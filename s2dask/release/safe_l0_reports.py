"""Reports of the on-line quality control of Level-0 granules and datastrips (OLQC_Report.xsd)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

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


def _seconds(moment: datetime) -> str:
    return f"UTC={moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def _milliseconds(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


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

    def put(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
        return add(parent, f"{{{_NAMESPACE}}}{tag}", text, **attributes)

    header = put(put(root, "Earth_Explorer_Header"), "Fixed_Header")
    put(header, "File_Name", file)
    put(header, "File_Description", f"Report produced by {_TOOL}")
    put(header, "Notes", "")
    put(header, "Mission", product[:3])
    put(header, "File_Class", "OPER")
    put(header, "File_Type", "REP_OLQCPA")
    validity = put(header, "Validity_Period")
    put(validity, "Validity_Start", _seconds(moment))
    put(validity, "Validity_Stop", "UTC=2100-01-01T00:00:00")
    put(header, "File_Version", "1")
    source = put(header, "Source")
    put(source, "System", _TOOL)
    put(source, "Creator", _TOOL)
    put(source, "Creator_Version", CHECKLIST_VERSION)
    put(source, "Creation_Date", _seconds(moment))
    status = "PASSED" if all(i.passed for i in inspections) else "FAILED"
    block = put(root, "Data_Block", type="xml")
    body = put(block, "report", gippVersion=CHECKLIST_VERSION, globalStatus=status, date=_milliseconds(moment))
    listed = put(body, "checkList")
    put(listed, "parentID", f"{_TOOL}_{checklist}")
    put(listed, "name", checklist)
    put(listed, "version", CHECKLIST_VERSION)
    put(
        listed, "item", url=f"./{product}/", className=f"PDI Level-0 {kind} Folder", name=product,
        **{"class": f"http://www.esa.int/s2#pdi_level_0_{kind.lower()}_container"},
    )
    for inspection in inspections:
        check = put(listed, "check")
        put(
            check, "inspection", creation=_milliseconds(moment), duration="0", execution=_milliseconds(moment),
            id=inspection.id, item=product, itemURL=f"./{product}/", name=inspection.title, priority="5",
            processingStatus="done", status="PASSED" if inspection.passed else "FAILED",
        )
        put(check, "message", inspection.message, contentType="text/plain")
        if inspection.values:
            extra = put(check, "extraValues")
            for name, value in inspection.values:
                put(extra, "value", value, name=name)
    return root
