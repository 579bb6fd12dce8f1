"""Packets through frames and back: reassembly, gaps, duplicates, counters, checksums."""

import binascii
from pathlib import Path

import numpy as np
import pytest
from link_model import any_packet, framed, laid_out, plain
from numpy.typing import NDArray

from s2dask.instrument.telemetry import ASM_BYTES, MPDU_ZONE_BYTES, apid
from s2dask.l0.packet_stream import Packets, PacketStream
from s2dask.l0.packets import crc_good, index_packets, out_of_place
from s2dask.simulate.coding import ancillary_packets, idle_packet, image_packets, source_packets

Bytes = NDArray[np.uint8]


def _parts(frames: Bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], Bytes]:
    """Return counters, pointers and zones."""
    bare = plain(frames)[:, ASM_BYTES:].astype(np.int64)
    pointer = (bare[:, 6] << 8 | bare[:, 7]) & 0x7FF
    return bare[:, 2] << 16 | bare[:, 3] << 8 | bare[:, 4], pointer, bare[:, 8 : 8 + MPDU_ZONE_BYTES].astype(np.uint8)


def _packets(found: Packets) -> list[bytes]:
    """Return the packets, idle ones apart; all have a right checksum."""
    index = index_packets(found.stream, found.offset, found.size, "image")
    assert index.good.all()
    return [found.stream[o : o + s].tobytes() for o, s in zip(index.offset, index.size, strict=True)]


def _made(sizes: list[int], seed: int = 0) -> list[Bytes]:
    random = np.random.default_rng(seed)
    return [any_packet(random, size, k) for k, size in enumerate(sizes)]


SIZES = {
    "small": [20] * 300,
    "exactly a zone": [MPDU_ZONE_BYTES] * 6,
    "header over the border": [MPDU_ZONE_BYTES - 3, 500, MPDU_ZONE_BYTES - 501, 4000, 20],
    "large": [31_216, 62_000, 17, 65_542, 1904, 31_216],
    "one": [15],
}


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_packets_come_back(sizes: list[int]) -> None:
    packets = _made(sizes)
    frames = framed(packets, 4)
    stream = PacketStream()
    assert _packets(stream.feed(*_parts(frames))) == [p.tobytes() for p in packets]
    assert (stream.span, stream.gaps, stream.unfinished) == ((0, len(frames) - 1), [], 0)
    assert (stream.frames, stream.duplicates, stream.resynchronised) == (len(frames), 0, 0)


def test_repeated_frames_are_dropped() -> None:
    packets = _made([3000] * 20)
    frames = framed(packets, 4)
    twice = np.repeat(frames, [2 if k % 5 == 0 else 1 for k in range(len(frames))], 0)
    stream = PacketStream()
    assert _packets(stream.feed(*_parts(twice))) == [p.tobytes() for p in packets]
    assert stream.duplicates == len(twice) - len(frames)


def test_checksum_is_ccitt_false() -> None:
    text = b"123456789"
    stream = np.frombuffer(text + (0x29B1).to_bytes(2, "big") + text + (0x29B2).to_bytes(2, "big"), np.uint8)
    np.testing.assert_array_equal(crc_good(stream, np.array([0, 11]), np.array([11, 11])), [True, False])


def test_checksum_agrees_with_the_standard_library_and_sees_every_bit() -> None:
    packet = _made([64])[0]
    assert binascii.crc_hqx(packet.tobytes(), 0xFFFF) == 0
    for bit in range(0, 64 * 8, 7):
        wrong = packet.copy()
        wrong[bit // 8] ^= 1 << bit % 8
        assert not crc_good(wrong, np.zeros(1, np.int64), np.array([64]))[0]


def test_index_reads_the_heads() -> None:
    lines = np.random.default_rng(3).integers(0, 4096, (32, 12), np.uint16)
    dates = np.array([1_281_614_557_123_456_789, 1_281_614_558_000_000_000])
    images = image_packets(lines, 348, dates)
    house = ancillary_packets(182, 105, dates[:1], np.zeros((1, 4)))
    stream, offset = laid_out([*images, idle_packet(40)])
    index = index_packets(stream, offset, np.array([len(p) for p in images] + [40]), "image")
    assert index.apid.tolist() == [348, 348]
    assert index.count.tolist() == [0, 1]
    assert np.abs(index.time - dates).max() <= 30
    assert index.good.all()
    told = index_packets(house[0], np.zeros(1, np.int64), np.array([house.shape[1]]), "ancillary")
    assert told.apid.tolist() == [182]
    assert abs(int(told.time[0]) - dates[0]) <= 30
    short = index_packets(stream, np.zeros(1, np.int64), np.array([14]), "image")
    assert short.apid.size == 0


def test_heads_of_real_image_packets(reference_data: Path) -> None:
    """Thirteen real packets, cut short: APID of D01 and its bands, and the date of their metadata."""
    files = sorted((reference_data / "ops/l0_granule/IMG_DATA").glob("*.bin"))
    if not files:
        pytest.skip("no real packets in the reference data")
    for path in files:
        names = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]
        band = names.index(path.stem[-3:])
        data = np.frombuffer(path.read_bytes(), np.uint8)[20:]
        index = index_packets(data, np.zeros(1, np.int64), np.array([data.size]), "image")
        assert index.apid.tolist() == [336 + band]
        assert index.count.tolist() == [0]
        # 2019-10-01T08:37:08 GPS, at most a second apart over the bands
        assert abs(int(index.time[0]) / 1e9 - 0x4ABDD2B4) < 4


@pytest.mark.row("IPF-02")
def test_real_ancillary_packets_have_right_checksums_and_follow_each_other(reference_data: Path) -> None:
    files = sorted((reference_data / "ops/l0c/ANC_DATA").glob("*S09123*.bin"))
    if not files:
        pytest.skip("no real packets in the reference data")
    data = np.frombuffer(files[0].read_bytes(), np.uint8)
    record = data.size // 15
    offset = np.arange(15) * record + record - 81
    index = index_packets(data, offset, np.full(offset.size, 81), "ancillary")
    assert index.apid.tolist() == [150] * 15
    assert index.good.all()
    assert set(np.diff(index.count).tolist()) == {1}
    np.testing.assert_allclose(np.diff(index.time), 1e10, atol=2e8)


@pytest.mark.parametrize("first", [0, 5, 20, 23])
def test_a_packet_of_another_place_is_told_however_the_strip_is_cut(first: int) -> None:
    b01, per_scene = apid(6, 0), 24
    scenes = [source_packets(np.zeros((per_scene, 8), np.uint8), b01, np.arange(per_scene) * 1000) for _ in range(2)]
    packets = np.concatenate(scenes)
    assert not out_of_place(packets[first:], first, b01, per_scene).any()
    packets[[22, 40]] = packets[[40, 22]]
    packets[30] = 0  # of a packet that did not come nothing is stored
    found = out_of_place(packets[first:], first, b01, per_scene)
    assert (first + np.flatnonzero(found)).tolist() == [k for k in (22, 40) if k >= first]
    assert not out_of_place(packets, 0, apid(7, 0), per_scene).any()
