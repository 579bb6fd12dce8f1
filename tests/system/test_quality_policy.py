"""What becomes of a product of which a concluding check fails: it is withheld or flagged, as the order says."""

from pathlib import Path

import pytest
import zarr
from lxml import etree

from s2dask.cluster.local import local_client
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io.eopf_reader import tile_facts
from s2dask.production.chain import Summary, run
from s2dask.production.order import Order, QualityPolicy
from s2dask.qc.engine import check_product

STRICT = """
version = "strict"
[[check]]
id = "Solar_Angle_Zenith"
checklist = "GENERAL_QUALITY"
items = ["RECORD"]
levels = ["L2A"]
function = "limits"
severity = "concluding"
inputs = ["solar_zenith"]
maximum = 10
"""


def _run(source: Path, folder: Path, policy: QualityPolicy) -> Summary:
    file = folder / "strict.toml"
    file.write_text(STRICT)
    with local_client(1, dashboard=False) as client:
        out = str(folder / policy)
        return run(str(source), client=client, to="L2A", out=out, quality_policy=policy, checklists=str(file))


@pytest.fixture
def source(reference_data: Path) -> Path:
    (path,) = (reference_data / "l2a/pixels/safe_decimated").glob("*MSIL1C*.zip")
    return path


@pytest.mark.row("OPS-36", "OPS-37")
def test_a_concluding_failure_withholds_or_flags(source: Path, tmp_path: Path) -> None:
    withheld = _run(source, tmp_path, "withhold")
    assert withheld.products == withheld.flagged == []
    (reason,) = withheld.withheld
    assert "solar_zenith = 2" in reason
    flagged = _run(source, tmp_path, "flag")
    assert (flagged.withheld, len(flagged.flagged)) == ([], 1)
    assert flagged.notes()[-1] == f"flagged: {flagged.flagged[0]}"
    (folder,) = {Path(path).parent for path in flagged.products}
    store, safe = folder / f"{folder.name}.zarr", folder / f"{folder.name}.SAFE"
    (check,) = tile_facts(zarr.open_group(str(store), mode="r").attrs)["checks"]
    assert (check["id"], check["severity"], check["status"]) == ("Solar_Angle_Zenith", "concluding", "FAILED")
    product = etree.parse(safe / "MTD_MSIL2A.xml").getroot()
    stated = {e.get("checkType"): e.text for e in product.iterfind(".//quality_check")}
    assert {name for name, status in stated.items() if status == "FAILED"} == {"GENERAL_QUALITY"}
    report = product.findtext(".//Failed_Inspections/Granule_Report/REPORT_FILENAME") or ""
    assert (safe / report).name == "GENERAL_QUALITY.xml"
    assert (safe / report).is_file()
    # what is read back fails by the same statement
    made = check_product(str(safe), look=False)[0]
    assert [r.checklist for r in made.results if r.status == "FAILED"] == ["GENERAL_QUALITY"]


def test_what_makes_no_sense_is_refused_at_once(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no policy keep"):
        Order(source=str(source), quality_policy="keep")  # type: ignore[arg-type]
    with pytest.raises(InputMissing, match="no readable checklist file"):
        Order(source=str(source), checklists=str(tmp_path / "none.toml"))
