"""What granules and datastrips are known to be, as checks of their reports (OLQC_Report.xsd)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from s2dask.qc.checklists import load_checklists
from s2dask.qc.checks import CheckResult, Status
from s2dask.qc.engine import check_item
from s2dask.qc.items import open_items
from s2dask.qc.olqc import write_reports


def sensor_inspections(attrs: Mapping[str, Any]) -> list[CheckResult]:
    """Return what is known of a datastrip's datation and ancillary data, under the names of real reports.

    Parameters
    ----------
    attrs : mapping
        Of its store: ``datation``, ``degraded``, ``downlink``.
    """
    datation, degraded = attrs.get("datation") or {}, [str(reason) for reason in attrs.get("degraded") or ()]
    sync, rms = bool(datation.get("gps_sync", True)), 1e-9 * float(datation.get("residual_rms", 0.0))
    regression = datation.get("used_model") == "CORRECTED"
    bad = [reason for reason in degraded if reason.startswith("datation")]
    sad = [reason for reason in degraded if reason not in bad]
    heard = (attrs.get("downlink") or {}).get("virtual_channels", {})
    rmoy = f"RMOY is {rms:.3e} s" if regression else "RMOY not found in dataset"
    out = [
        _known("Datation_Model_GPS_SYNC", "GPS is synchronized." if sync else "GPS is not synchronized.", sync),
        _known("Datation_Model_RMOY", "; ".join(bad) or rmoy, not bad, (("RMOY", f"{rms:.3e}"),) if regression else ()),
        _known("Degraded_SAD", "; ".join(sad) or "No Degraded SAD", not sad),
    ]
    for virtual, r in heard.items():
        message = f"{r['frames']} frames came, {r['missing_frames']} are missing in {r['gaps']} gaps"
        values = (
            ("FRAMES", str(r["frames"])), ("MISSING_FRAMES", str(r["missing_frames"])), ("GAPS", str(r["gaps"])),
            ("DOWNLINK_START", r["start"] or ""), ("DOWNLINK_STOP", r["stop"] or ""),
        )  # fmt: skip
        found = _known(f"Downlink_VC{virtual}", message, not r["missing_frames"], values)
        out.append(replace(found, title="Frames of the session on a virtual channel. "))
    return out


def _known(name: str, message: str, passed: bool, values: tuple[tuple[str, str], ...] = ()) -> CheckResult:
    status: Status = "PASSED" if passed else "FAILED"
    return CheckResult(name, "SENSOR_QUALITY", "", "informative", status, None, message, values=values)


def write_item_reports(
    folder: Path, record: Mapping[str, float], told: Sequence[CheckResult], moment: datetime
) -> None:
    """Check a granule or datastrip that is written, and write its reports into its ``QI_DATA``.

    Parameters
    ----------
    folder : Path
        Of the granule or datastrip; its manifest is there.
    record : mapping
        What its metadata may not tell: ``lost_packets``, ``missing_lines`` ….
    told : sequence of CheckResult
        What is known better than from its metadata, and what no checklist has.
    moment : datetime
        Stated as that of the checks; durations are left out: the same bytes at every run.
    """
    lists = load_checklists()
    (item,) = open_items(str(folder), lists.inputs, look=False)
    # what the metadata state is believed, as by whoever checks the delivered folder
    untold = {name: value for name, value in record.items() if not item.texts(name)}
    made = check_item(replace(item, record=untold), lists)
    known = {result.id: result for result in told}
    results = []
    for result in made.results:
        better = known.pop(result.id, None) if result.checklist == "SENSOR_QUALITY" else None
        if better is not None:
            result = replace(  # noqa: PLW2901  # the same check, with what is known better
                result, status=better.status, message=better.message, values=better.values, done=True
            )
        results.append(replace(result, milliseconds=0.0))
    results += [replace(result, level=item.level) for result in known.values()]
    write_reports([replace(made, results=tuple(results), moment=moment)], folder / "QI_DATA")
