"""Datastrips too short to go beyond L0: what is not made of them is expected not to be, and nothing is missing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.cluster.local import local_client
from s2dask.production.chain import Summary, run
from s2dask.production.ledger import Ledger
from s2dask.simulate.structure import StructureOptions, simulate_structure


def _check_trace(trace: Path, session: str, summary: Summary) -> None:
    """Each unit has its BEGIN and its END, which say what the mission's task reports say."""
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    begun = {line["task"]: line for line in lines if line["event"] == "BEGIN"}
    ended = {line["task"]: line for line in lines if line["event"] == "END"}
    assert set(begun) == set(ended) == {"SESSION", "L0-D06-G000-001", "L0-D07-G000-001", "STRIP"}
    assert (begun["SESSION"]["input"], begun["SESSION"]["parent"]) == ([session], summary.run)
    first = begun["L0-D06-G000-001"]
    assert first["parent"] == f"{summary.run}/SESSION"
    assert first["follows_from"] == [f"{summary.run}/SESSION"]
    assert [Path(place).name for place in first["input"]] == ["l0.zarr"]
    packets, last = ended["L0-D06-G000-001"], ended["STRIP"]
    assert packets["uid"] == first["uid"]
    assert packets["status"] == "OK"
    assert packets["output_mib"] > 0.01
    assert packets["input_mib"] > 0.01
    rate = packets["output_mib"] / packets["duration_in_seconds"]
    assert packets["mib_per_second"] == pytest.approx(rate, rel=0.05, abs=0.01)
    assert [Path(path).suffix for path in last["output"]] == [".zarr"]
    assert all((line["missing_output"], line["quality"]) == ([], []) for line in ended.values())


@pytest.mark.row("PS-06", "PS-09")
def test_too_few_granules_make_no_l1_and_none_is_missing(tmp_path: Path) -> None:
    """Two scenes of two detectors are four granules: three are enough for Level-1, five would be too many to ask."""
    session = simulate_structure(
        str(tmp_path / "session"), StructureOptions(2, (6, 7), ("B04",), frames_per_file=9000)
    )  # fmt: skip
    ledger = tmp_path / "ledger.db"
    with local_client(1, dashboard=False) as client:
        summary = run(
            session,
            client=client,
            to="L1B",
            out=str(tmp_path / "out"),
            minimum_granules=5,
            ledger=str(ledger),
            trace=str(tmp_path / "trace.jsonl"),
        )
    _check_trace(tmp_path / "trace.jsonl", session, summary)
    assert [Path(path).name[:19] for path in summary.products if path.endswith(".zarr")] == ["S2A_OPER_MSI_L0__DS"]
    assert (summary.withheld, summary.failed) == ([], [])
    (why,) = summary.expected
    assert "4 granules, 5 are needed beyond L0: L1B is not made" in why
    assert f"as expected: {why}" in summary.notes()
    with Ledger.open(ledger) as held:
        report = held.report(summary.run)
    assert (report["state"], report["gaps"], report["expected"]) == ("SUCCESS", [], [why])
    told = CliRunner().invoke(app, ["ledger", str(ledger), "report", "--json"])
    assert json.loads(told.output)["kinds"][0]["kind"] == "SESSION"
    assert not [k for k in json.loads(told.output)["kinds"] if k["kind"] in ("L1A", "L1B", "TILE")]
