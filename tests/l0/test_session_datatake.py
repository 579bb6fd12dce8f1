"""Datatakes: levels and products by type, and where a session is cut."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.instrument import SCENE_SECONDS
from s2dask.l0.datatake import ImageChannel, cut_datastrips, expected_products, levels_of, scenes_begun

START = 1_281_614_557_000_000_000
SCENE = round(SCENE_SECONDS * 1e9)
CHAIN = ("L0", "L1B", "L1C", "L2A")
TABLE = {
    "NOBS": CHAIN, "INS-NOBS": CHAIN, "VIC": CHAIN[:3], "RAW": ("L0", "L1A", "L1B", "L1C", "L2A"),
    "DASC": ("L0", "L1A"), "ABSR": ("L0", "L1A"), "EOBS": ("L0", "L1A"), "INS-DARK-O": ("L0", "L1A"),
    "DARK-C": ("L0", "L1A"), "SUN": ("L0", "L1A"), "MSMOON": ("L0",), "HKTM": ("L0",), "": ("L0",), "NEW": ("L0",),
}  # fmt: skip


@pytest.mark.row("OPS-09")
@pytest.mark.parametrize(("kind", "levels"), TABLE.items(), ids=TABLE.keys())
def test_levels_follow_from_the_type(kind: str, levels: tuple[str, ...]) -> None:
    assert levels_of(kind) == levels
    assert levels_of(kind.lower()) == levels
    assert levels_of(kind, degraded=True) == ("L0",)


@pytest.mark.row("OPS-09")
def test_no_l2a_of_raw_from_a_date_on() -> None:
    before, after = datetime(2026, 7, 22, tzinfo=UTC), datetime(2026, 7, 23, tzinfo=UTC)
    assert "L2A" in levels_of("RAW", "S2A", before)
    assert levels_of("RAW", "S2A", after) == ("L0", "L1A", "L1B", "L1C")
    assert "L2A" in levels_of("RAW", "S2C", after)
    assert "L2A" in levels_of("NOBS", "S2A", after)


def test_products_of_a_datastrip() -> None:
    assert expected_products("NOBS", 16, tiles=18) == {
        "L0_DS": 1, "L0_GR": 192, "L1B_DS": 1, "L1B_GR": 168, "L1C_DS": 1, "L1C_TL": 18, "L1C_TC": 18,
        "L2A_DS": 1, "L2A_TL": 18, "L2A_TC": 18,
    }  # fmt: skip
    assert expected_products("RAW", 16, ("L0", "L1A")) == {"L0_DS": 1, "L0_GR": 64, "L1A_DS": 1, "L1A_GR": 56}
    assert expected_products("VIC", 5)["L1C_TL"] is None
    assert expected_products("SUN", 5, detectors=2) == {"L0_DS": 1, "L0_GR": 10, "L1A_DS": 1, "L1A_GR": 6}


@pytest.mark.parametrize(("scenes", "minimum", "beyond"), [(3, 4, False), (4, 4, True), (3, 3, True), (2, 3, False)])
def test_a_short_datastrip_stays_at_l0(scenes: int, minimum: int, beyond: bool) -> None:
    assert ("L1C_DS" in expected_products("NOBS", scenes, minimum=minimum)) == beyond


def _packets(scenes: list[int], origin: int = START) -> NDArray[np.int64]:
    """Return the start of the scene of each of 24 packets of scenes, as the clock tells it."""
    jitter = np.random.default_rng(len(scenes)).integers(-60, 61, 24 * len(scenes))
    return np.repeat(origin + SCENE * np.array(scenes, np.int64), 24) + jitter


def _image(scenes: list[int], origin: int = START) -> ImageChannel:
    return ImageChannel(_packets(scenes, origin), 1000)


def test_scenes_of_packets() -> None:
    found = scenes_begun(np.random.default_rng(1).permutation(_packets([0, 1, 3])))
    assert np.abs(found - START - SCENE * np.array([0, 1, 3])).max() <= 60
    assert scenes_begun(np.zeros(0, np.int64)).size == 0


def test_a_datastrip_is_one_though_its_bands_begin_three_seconds_apart() -> None:
    images = {(d, "B01"): _image([0, 1, 2], START + d * 3_000_000_000) for d in (0, 1)}
    assert cut_datastrips(images, 0) == []


def test_a_time_gap_cuts() -> None:
    later = START + 100_000_000_123
    both = np.concatenate([_packets([0, 1]), _packets([0, 1], later)])
    images = {(6, "B01"): ImageChannel(both, 1000), (6, "B02"): ImageChannel(both + 2_000_000_000, 6000)}
    (cut,) = cut_datastrips(images, 10**9)
    assert START + SCENE + 2_000_000_000 < cut < later


def test_three_datastrips() -> None:
    parts = [_packets([0, 1], START + k * 60_000_000_777) for k in range(3)]
    cuts = cut_datastrips({(6, "B01"): ImageChannel(np.concatenate(parts), 1000)}, 0)
    assert len(cuts) == 2
    assert parts[0].max() < cuts[0] < parts[1].min() < parts[1].max() < cuts[1] < parts[2].min()


def test_a_loss_is_no_cut_when_the_pace_is_kept_and_the_lost_frames_explain_it() -> None:
    images = {(6, "B01"): _image([0, 1, 4, 5])}
    assert cut_datastrips(images, 2000) == []
    # nothing, or not enough, was lost: the instrument was off for a whole number of scenes
    assert len(cut_datastrips(images, 0)) == 1
    assert len(cut_datastrips(images, 1999)) == 1
    # frames were lost, but the scenes after it have another pace
    jumped = ImageChannel(np.concatenate([_packets([0, 1]), _packets([4, 5], START + 5000)]), 1000)
    assert len(cut_datastrips({(6, "B01"): jumped}, 10**9)) == 1


def test_detectors_that_never_were_on_together_are_two_datastrips() -> None:
    images = {(6, "B01"): _image([0, 1]), (7, "B01"): _image([0, 1], START + 50_000_000_000)}
    assert len(cut_datastrips(images, 10**9)) == 1


@pytest.mark.parametrize(("drift", "jitter"), [(2e-5, 0), (-5e-5, 2000), (0.0, 6000)])
def test_a_clock_without_gps_does_not_cut_a_datastrip(drift: float, jitter: int) -> None:
    random = np.random.default_rng(3)
    whole = np.repeat(START + np.round(np.arange(30) * SCENE * (1 + drift)).astype(np.int64), 24)
    packets = whole + random.integers(-jitter, jitter + 1, whole.size)
    assert cut_datastrips({(6, "B01"): ImageChannel(packets, 1000)}, 0) == []
    lost = ImageChannel(np.delete(packets, np.s_[24 * 10 : 24 * 15]), 1000)
    assert cut_datastrips({(6, "B01"): lost}, 5000) == []
    assert len(cut_datastrips({(6, "B01"): lost}, 0)) == 1
