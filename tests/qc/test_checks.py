"""Checks measure, compare and never stay silent."""

import pytest

from s2dask.qc.checklists import checklist
from s2dask.qc.checks import SEVERITIES, global_status, run_checks


@pytest.mark.row("OPS-37")
def test_limits_are_inclusive_and_named() -> None:
    (zenith, loss, *_) = run_checks("L1C", {"solar_zenith": 82.0, "data_loss_percentage": 7.5})
    assert (zenith.status, loss.status) == ("PASSED", "FAILED")
    assert "7.5" in loss.message
    assert "<= 5" in loss.message
    assert global_status([zenith, loss]) == "FAILED"


def test_what_was_not_measured_is_an_error() -> None:
    results = run_checks("L2A", {"solar_zenith": 30.0, "aot_mean": float("nan")})
    assert [r.status for r in results][:3] == ["PASSED", "ERROR", "ERROR"]
    assert [r.done for r in results][:3] == [True, False, False]
    assert global_status(results) == "ERROR"
    assert global_status(results[:1]) == "PASSED"


@pytest.mark.parametrize("level", ["L0", "L1A", "L1B", "L1C", "L2A"])
def test_every_level_has_checks(level: str) -> None:
    checks = checklist(level)
    assert checks
    assert {c.severity for c in checks} <= set(SEVERITIES)
