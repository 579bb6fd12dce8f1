"""Packets and frames counted: losses over scenes and wraps, damaged packets, repeats, the APIDs of the mission."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_model import Link, packet_frames, plain

from s2dask.instrument import BANDS, DETECTORS, LINE_PERIOD
from s2dask.instrument.telemetry import (
    APID_AOCS,
    APID_IDLE,
    APID_MSI_THERMAL,
    APID_STAR_TRACKERS,
    ASM_BYTES,
    MPDU_ZONE_BYTES,
    SAD_SOURCES,
    apid,
    channel_kind,
    detector_and_band,
    half_scene,
    image_address,
    packet_kind,
)
from s2dask.l0.packet_counts import FrameCount, PacketCount, count_packets, sequence_modulo
from s2dask.l0.packet_stream import PacketStream
from s2dask.l0.packets import PacketIndex, index_packets

START = 1_281_614_557_000_000_000


def _index(number: int, count: np.ndarray, time: np.ndarray, good: np.ndarray | None = None) -> PacketIndex:
    n = count.size
    return PacketIndex(
        np.full(n, number), count.astype(np.int64), time.astype(np.int64), np.zeros(n, np.int64),
        np.full(n, 100), np.ones(n, bool) if good is None else good,
    )  # fmt: skip


def _strip(name: str, scenes: int) -> tuple[np.ndarray, np.ndarray]:
    b = BANDS[name]
    number = np.arange(scenes * b.packets_per_scene)
    return number % b.packets_per_scene, START + np.round(number * 16e9 * LINE_PERIOD * b.line_factor).astype(np.int64)


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("name", ["B01", "B02", "B05", "B12"])
def test_lost_and_degraded_image_packets_are_counted(name: str) -> None:
    count, time = _strip(name, 5)
    b = BANDS[name]
    random = np.random.default_rng(4)
    inner = 1 + random.permutation(count.size - 2)
    lost, bad = inner[:17], inner[17:30]
    # a whole scene and more besides
    hole = np.arange(b.packets_per_scene - 2, 2 * b.packets_per_scene + 3)
    keep = np.setdiff1d(np.arange(count.size), np.concatenate([lost, hole]))
    good = ~np.isin(keep, bad)
    twice = np.concatenate([keep, keep[good][:6]])
    index = _index(apid(1, b.index), count[twice], time[twice], np.concatenate([good, np.ones(6, bool)]))
    gone = np.union1d(lost, hole).size
    degraded = np.setdiff1d(bad, np.union1d(lost, hole)).size
    assert count_packets(index) == {
        apid(1, b.index): PacketCount(count.size - gone - degraded, gone, degraded, 6)
    }  # fmt: skip


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.sampled_from([APID_MSI_THERMAL, APID_AOCS, *APID_STAR_TRACKERS]), st.integers(0, 16_382),
    st.sets(st.integers(1, 198), max_size=60), st.sets(st.integers(1, 198), max_size=20),
)  # fmt: skip
def test_ancillary_counters_wrap(number: int, start: int, lost: set[int], bad: set[int]) -> None:
    rank = np.array([k for k in range(200) if k not in lost])
    good = ~np.isin(rank, list(bad))
    count = (start + rank) % sequence_modulo(number)
    found = count_packets(_index(number, count, START + rank * 125_000_000, good))
    degraded = len(bad - lost)
    assert found == {number: PacketCount(200 - len(lost) - degraded, len(lost), degraded, 0)}


def test_counters_of_star_trackers_skip_a_value() -> None:
    assert {sequence_modulo(a) for a in APID_STAR_TRACKERS} == {16_383}
    assert sequence_modulo(APID_AOCS) == 16_384
    after = _index(598, np.array([16_381, 16_382, 0, 1]), START + np.arange(4))
    assert count_packets(after)[598] == PacketCount(4, 0, 0, 0)
    assert count_packets(_index(182, np.array([16_382, 0]), START + np.arange(2)))[182].lost == 1


@pytest.mark.row("IPF-02")
def test_every_apid_both_ways() -> None:
    seen = {}
    for detector in DETECTORS:
        for b in BANDS.values():
            number = apid(detector, b.index)
            address = image_address(number)
            assert address is not None
            assert (address.apid, address.detector, address.band_index) == (number, detector, b.index)
            assert address.vcm == half_scene(detector) - 1
            assert (address.wicom in range(3), address.channel in range(2)) == (True, True)
            seen[number] = (detector, b.index)
    assert len(seen) == 156
    assert {number: found for number in range(2048) if (found := detector_and_band(number))} == seen
    # the one that is known for certain
    first = image_address(336)
    assert first is not None
    assert first[:3] == (1, 2, 1)
    kinds = {number: packet_kind(number) for number in range(2048)}
    assert {n for n, kind in kinds.items() if kind == "image"} == set(seen)
    assert {n for n, kind in kinds.items() if kind == "ancillary"} == set(SAD_SOURCES)
    assert [n for n, kind in kinds.items() if kind == "idle"] == [APID_IDLE]
    assert [channel_kind(c) for c in (4, 20, 2, 63, 3)] == ["image", "image", "ancillary", "idle", "housekeeping"]


def test_ancillary_apids_are_those_of_the_link_facts(reference_data: Path) -> None:
    facts = json.loads((reference_data / "ops/frames/s2_link_facts.json").read_text("utf-8"))["sad_apids"]
    assert {n for v in facts.values() for n in (v if isinstance(v, list) else [v])} == set(SAD_SOURCES)


def test_frames_are_counted_as_stations_do(reference_data: Path) -> None:
    one, other = FrameCount(1000, 30, 4, 100, 3), FrameCount(500, 0, 0, 20)
    told = (one + other).quality_info()
    assert told == {
        "AcquiredTFs": 1500, "ErrorTFs": 34, "CorrectedTFs": 30, "UncorrectableTFs": 4,
        "DataTFs": 1380, "ErrorDataTFs": 31, "CorrectedDataTFs": 27, "UncorrectableDataTFs": 4,
    }  # fmt: skip
    sample = json.loads((reference_data / "ops/cadip/QualityInfoResponse.json").read_text("utf-8"))["Data"][0]
    assert {k for k in sample if k.endswith("TFs")} <= told.keys()


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("seed", range(4))
def test_what_the_link_does_is_counted_by_apid(seed: int) -> None:
    """Frames lost and bytes damaged behind the code's back: each packet is received, lost or degraded, as it was."""
    link, random = Link(detectors=(6,), bands=("B01", "B11"), scenes=2), np.random.default_rng(seed)
    sequence = link.sequence(2)
    sizes = [link.packets[d, name][k].size for d, name, k in sequence]
    frames = plain(link.frames[2][20])[:, ASM_BYTES:]
    # not those of the first and last packets of an APID: nobody can miss what lies before or after all others
    inner = np.arange(3 + 2 * sizes[0] // MPDU_ZONE_BYTES, len(frames) - 3 - sum(sizes[-3:]) // MPDU_ZONE_BYTES)
    chosen = random.permutation(inner)[:40]
    lost, hurt = np.sort(chosen[:25]), np.sort(chosen[25:])
    spared = packet_frames(sizes, lost.tolist())
    clean = packet_frames(sizes, hurt.tolist())
    # far from the heads of packets, which begin within the frame where the one before it ends
    starts = np.cumsum(sizes) - sizes
    zones = frames[:, 8 : 8 + MPDU_ZONE_BYTES].copy()
    for k in hurt:
        at = 950 if not ((starts > k * MPDU_ZONE_BYTES + 900) & (starts <= k * MPDU_ZONE_BYTES + 950)).any() else 800
        zones[k, at] ^= 0x55
    damaged = {
        int(np.searchsorted(starts, k * MPDU_ZONE_BYTES + at, "right") - 1)
        for k in hurt
        for at in np.flatnonzero(zones[k] != frames[k, 8 : 8 + MPDU_ZONE_BYTES])
    }
    assert {k for k, whole in enumerate(clean) if not whole} >= damaged
    keep = np.setdiff1d(np.arange(len(frames)), lost)
    pointer = (frames[:, 6].astype(np.int64) << 8 | frames[:, 7]) & 0x7FF
    stream = PacketStream()
    found = stream.feed(keep, pointer[keep], zones[keep])
    counts = count_packets(index_packets(found.stream, found.offset, found.size, "image"))
    for name in ("B01", "B11"):
        ranks = [k for k, row in enumerate(sequence) if row[1] == name]
        gone = sum(not spared[k] for k in ranks)
        bad = sum(spared[k] and k in damaged for k in ranks)
        number = apid(6, BANDS[name].index)
        assert counts[number] == PacketCount(len(ranks) - gone - bad, gone, bad, 0)
    assert sum(n for _, n in stream.gaps) == lost.size
