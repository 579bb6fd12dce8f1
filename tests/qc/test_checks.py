"""Checks measure, compare and never stay silent."""

import pytest

from s2dask.l2a.cloud_indicator import cloud_indicators
from s2dask.qc.checklists import checklist
from s2dask.qc.checks import SEVERITIES, RecordSource, global_status, judge, run_checks
from s2dask.qc.functions import per_band


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


def _status(level: str, record: dict[str, float], name: str) -> str:
    return next(r.status for r in run_checks(level, record) if r.id == name)


@pytest.mark.parametrize(
    ("level", "name", "record", "status"),
    [
        ("L0", "Ancillary_Adequacy", {"ancillary_inadequacies": 0.0}, "PASSED"),
        ("L0", "Ancillary_Adequacy", {"ancillary_inadequacies": 2.0}, "FAILED"),
        ("L0", "Missing_Frames", {"missing_frames": 1.0}, "FAILED"),
        ("L1B", "Saturated_Bands", {"saturated_percentage.B02": 0.5, "saturated_percentage.B12": 12.0}, "FAILED"),
        ("L2A", "Ozone_Range", {"ozone_mean": 300.0}, "PASSED"),
        ("L2A", "Ozone_Range", {"ozone_mean": 150.0}, "FAILED"),
        ("L2A", "Cloud_Against_L1C", {"cloud_of_l1c": 0.0}, "FAILED"),
        ("L2A", "Cloud_Against_L1C", {}, "PASSED"),
        ("L2A", "Cloud_Excess", {"cloud_minus_l1c": 77.0}, "FAILED"),
    ],
)
def test_limits_of_checks_of_records(level: str, name: str, record: dict[str, float], status: str) -> None:
    assert _status(level, record, name) == status


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({}, {"cloud_percentage": 6.0}),
        ({"cloud_percentage": 4.0}, {"cloud_percentage": 6.0, "cloud_minus_l1c": 2.0, "cloud_of_l1c": 1.5}),
        ({"cloud_percentage": 0.05}, {"cloud_percentage": 6.0, "cloud_minus_l1c": 5.95}),
        ({"cloud_percentage": float("nan")}, {"cloud_percentage": 6.0}),
    ],
)
def test_clouds_beside_those_of_the_l1c(attrs: dict[str, float], expected: dict[str, float]) -> None:
    shares = {"medium_proba_clouds": 1.0, "high_proba_clouds": 2.0, "thin_cirrus": 3.0}
    assert cloud_indicators({f"{name}_percentage": v for name, v in shares.items()}, attrs) == pytest.approx(expected)


def test_only_the_blue_of_negative_reflectance_is_judged() -> None:
    (check,) = (c for c in checklist("L2A", "TILE") if c.id == "NEGATIVE_BOA")
    for blue, status in ((0.1, "PASSED"), (7.5, "FAILED")):
        source = RecordSource("L2A", {"negative.B02": blue, "negative.B08": 30.0})
        result = judge(check, source, per_band)
        assert (result.status, result.value) == (status, blue)
        assert dict(result.values)["B08"] == "30.0"
