"""The seeded-defect set: what is noticed stays noticed, and clean runs raise no alarm that is not stated."""

from pathlib import Path

import pytest
from defects_model import build, link
from defects_table import BENCHES, KINDS, benches, check_rows, stated, stated_alarms, trial, trials

QUICK = (
    "five frames lost", "400 symbols wrong in each of four frames", "clock half a second late from one packet on",
    "a file cut short", "files in wrong order",
)  # fmt: skip


def test_the_document_has_every_kind() -> None:
    assert set(stated()) == {f"{kind.level} {kind.name}" for kind in KINDS}
    assert len(KINDS) >= 20
    assert {kind.level for kind in KINDS} == {"L0", "L1B", "L1C", "L2A"}


def test_defects_of_a_session_are_noticed_in_level_0(tmp_path: Path) -> None:
    bench = build(tmp_path, link(1), "L0")
    assert not bench.clean.failed
    for kind in (kind for kind in KINDS if kind.name in QUICK and kind.level == "L0"):
        assert trial(kind, bench, 1).noticed == set(kind.checks), kind.name


@pytest.mark.row("MPC-20")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_kind_is_noticed_as_the_document_states(tmp_path: Path) -> None:
    made = {name: benches(tmp_path, name) for name in BENCHES}
    found = trials(made)
    for kind, (noticed, seeded) in ((k, stated()[f"{k.level} {k.name}"]) for k in KINDS):
        own = [t for t in found if t.kind == kind]
        full = sum(bool(kind.checks) and set(kind.checks) <= t.noticed for t in own)
        assert (full >= noticed, len(own)) == (True, seeded), kind.name
    now, before = stated_alarms("\n".join(check_rows(found, made))), stated_alarms()
    assert all(now[name] <= before.get(name, 0) for name in now), now
