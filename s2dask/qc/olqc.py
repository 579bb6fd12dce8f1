"""Reports of the on-line quality control as the mission has them (OLQC_Report.xsd), one per checklist and item."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from lxml import etree

from s2dask.qc.checks import CheckResult, global_status
from s2dask.qc.engine import ItemReport

NAMESPACE: Final = "http://gs2.esa.int/DATA_STRUCTURE/olqcReport"
TOOL: Final = "s2dask"
_MISSIONS: Final = ("S2A", "S2B")
"""Units that the schema knows; the others are ``S2_``."""
_VALIDITY: Final = re.compile(r"_V(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)")
Element = etree._Element


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about.

    Attributes
    ----------
    name : str
        Identifier of the item.
    level : str
        ``0``, ``1A`` … ``2A``.
    kind : str
        ``Granule``, ``Datastrip``, ``Tile`` or ``User Product``.
    parent : str
        GIP_OLQCPA or checklist file.
    version : str
        Of the checklists.
    moment : datetime
        When it was checked.
    """

    name: str
    level: str
    kind: str
    parent: str
    version: str
    moment: datetime

    @property
    def class_name(self) -> str:
        """Human-readable class; Level 1C and 2A are written without the hyphen."""
        dash = " " if self.level in ("1C", "2A") else "-"
        head = "" if self.kind == "User Product" else "PDI "
        return f"{head}Level{dash}{self.level} {self.kind} Folder"

    @property
    def class_url(self) -> str:
        """Class as the mission's inspections name it."""
        head = "" if self.kind == "User Product" else "pdi_"
        kind = self.kind.lower().replace(" ", "_")
        return f"http://www.esa.int/s2#{head}level_{self.level.lower()}_{kind}_container"


def _seconds(moment: datetime) -> str:
    return f"UTC={moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def milliseconds(moment: datetime) -> str:
    """Return a date as the reports have it: UTC to the millisecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def put(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    """Append an element in the namespace of its parent."""
    namespace = etree.QName(parent).namespace
    out = etree.SubElement(parent, f"{{{namespace}}}{tag}", {k: str(v) for k, v in attributes.items()})
    if text is not None:
        # what XML cannot hold, as in the message of a check that crashed on damaged input, is left out
        out.text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", str(text))
    return out


def put_header(header: Element, file: str, subject: Subject, description: str, file_type: str) -> None:
    """Append what every Earth Explorer file says of itself."""
    fixed, mission = put(header, "Fixed_Header"), subject.name[:3]
    put(fixed, "File_Name", file)
    put(fixed, "File_Description", description)
    put(fixed, "Notes", "")
    put(fixed, "Mission", mission if mission in _MISSIONS else "S2_")
    put(fixed, "File_Class", "OPER")
    put(fixed, "File_Type", file_type)
    validity, found = put(fixed, "Validity_Period"), _VALIDITY.search(subject.parent)
    start = "UTC={}-{}-{}T{}:{}:{}".format(*found.groups()) if found else _seconds(subject.moment)
    put(validity, "Validity_Start", start)
    put(validity, "Validity_Stop", "UTC=2100-01-01T00:00:00")
    put(fixed, "File_Version", "2")
    source = put(fixed, "Source")
    put(source, "System", TOOL)
    put(source, "Creator", TOOL)
    put(source, "Creator_Version", subject.version)
    put(source, "Creation_Date", _seconds(subject.moment))


def put_item(listed: Element, subject: Subject) -> None:
    """Append what a checklist is applied to."""
    attributes: dict[str, Any] = {"url": f"./{subject.name}/", "className": subject.class_name, "name": subject.name}
    put(listed, "item", **attributes, **{"class": subject.class_url})


def report(file: str, subject: Subject, checklist: str, results: Sequence[CheckResult]) -> Element:
    """Return the report of one checklist.

    Parameters
    ----------
    file : str
        Name of the report.
    subject : Subject
    checklist : str
        ``FORMAT_CORRECTNESS`` ….
    results : sequence of CheckResult
    """
    root = etree.Element(f"{{{NAMESPACE}}}Earth_Explorer_File", nsmap=cast("dict[str, str]", {None: NAMESPACE}))
    header = put(root, "Earth_Explorer_Header")
    put_header(header, file, subject, f"Report produced by {TOOL}", "REP_OLQCPA")
    block, when = put(root, "Data_Block", type="xml"), milliseconds(subject.moment)
    body = put(block, "report", gippVersion=subject.version, globalStatus=global_status(results), date=when)
    listed = put(body, "checkList")
    put(listed, "parentID", subject.parent)
    put(listed, "name", checklist)
    put(listed, "version", subject.version)
    put_item(listed, subject)
    for result in results:
        check, where = put(listed, "check"), f"./{subject.name}/{result.item}"
        put(
            check, "inspection", creation=when, duration=round(result.milliseconds), execution=when, id=result.id,
            item=result.item or subject.name, itemURL=where, name=result.title, priority=result.priority,
            processingStatus="done" if result.done else "canceled", status=result.status,
        )  # fmt: skip
        put(check, "message", f"{result.message}\n{result.traceback}".rstrip("\n"), contentType="text/plain")
        if result.values:
            extra = put(check, "extraValues")
            for name, value in result.values:
                put(extra, "value", value, name=name)
    return root


_KINDS: Final = {"GRANULE": "Granule", "DATASTRIP": "Datastrip", "TILE": "Tile", "PRODUCT": "User Product"}


def subject_of(made: ItemReport) -> Subject:
    """Return what the reports of an item are about."""
    item = made.item
    return Subject(item.name, item.level[1:], _KINDS[item.kind], made.parent, made.checklists.version, made.moment)


def report_name(made: ItemReport, checklist: str) -> str:
    """Return the name of the report of a checklist: that of a PDI carries its identifier, in a product it is short."""
    if made.item.kind == "PRODUCT" or made.item.is_part or made.item.url:
        return f"{checklist}.xml"
    return f"{re.sub(r'_N[0-9]{2}[.]?[0-9]{2}$', '', made.item.name)}_{checklist}_report.xml"


def write_reports(reports: Sequence[ItemReport], folder: str | Path) -> list[Path]:
    """Write the report of every checklist of every item; items of a product in folders as the product has them.

    Returns
    -------
    list of Path
    """
    out = []
    for made in reports:
        # a tile may lie flat beside the metadata of its product
        place = made.item.prefix or (f"{made.item.kind}/" if made.item.is_part else "")
        target = Path(folder) / place / ("QI_DATA" if made.item.is_part else "")
        target.mkdir(parents=True, exist_ok=True)
        for checklist in made.names:
            file = report_name(made, checklist)
            document = _document(made, checklist, f"{place}QI_DATA/{file}" if made.item.is_part else file)
            etree.indent(document, "    ")
            text = etree.tostring(document, xml_declaration=True, encoding="UTF-8", standalone=True)
            (target / file).write_bytes(text)
            out.append(target / file)
    return out


def _document(made: ItemReport, checklist: str, file: str) -> Element:
    from s2dask.qc.olqc_l2a import l2a_report

    results, subject = made.of(checklist), subject_of(made)
    in_sections = [result for result in results if result.group]
    return l2a_report(checklist, subject, in_sections) if in_sections else report(file, subject, checklist, results)
