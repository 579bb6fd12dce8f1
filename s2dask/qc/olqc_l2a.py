"""The report of Level-2A, whose form is its own (L2A_QUALITY.xsd): values in sections instead of inspections."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, cast

from lxml import etree

from s2dask.qc.checks import CheckResult, global_status
from s2dask.qc.olqc import TOOL, Subject, milliseconds, put, put_header, put_item

NAMESPACE: Final = "http://gs2.esa.int/DATA_STRUCTURE/l2aqiReport"


def l2a_report(file: str, subject: Subject, results: Sequence[CheckResult]) -> etree._Element:
    """Return the report of Level-2A: a checklist per group, a check per section, with the values of its checks.

    Parameters
    ----------
    file : str
        Name of the report.
    subject : Subject
    results : sequence of CheckResult
        Those with a group.
    """
    root = etree.Element(f"{{{NAMESPACE}}}L2A_Quality_File", nsmap=cast("dict[str, str]", {None: NAMESPACE}))
    header = put(root, "L2A_Quality_Header")
    put_header(header, file, subject, f"Quality information obtained from {TOOL}", "L2A_QLINFO")
    block = put(root, "Data_Block", type="xml")
    status, when = global_status(results), milliseconds(subject.moment)
    body = put(block, "report", gippVersion=subject.version, globalStatus=status, date=when)
    for group, members in groupby(results, key=lambda r: r.group):
        parent, _, name = group.partition("/")
        listed = put(body, "checkList")
        put(listed, "parentID", parent)
        put(listed, "name", name)
        put(listed, "version", subject.version)
        put_item(listed, subject)
        for section, told in groupby(members, key=lambda r: r.section):
            values = [pair for result in told for pair in result.values]
            if values:
                check = put(listed, "check")
                put(check, "message", section, contentType="text/plain")
                extra = put(check, "extraValues")
                for key, text in values:
                    put(extra, "value", text, name=key)
    return root
