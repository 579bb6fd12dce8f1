"""Telemetry as written, held to the published standards and the known constants of the link."""

import binascii

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import (
    ASM_BYTES,
    CADU_BYTES,
    MPDU_ZONE_BYTES,
    RS_INTERLEAVE,
    apid,
    detector_and_band,
    half_scene,
)
from s2dask.simulate.coding import (
    PacketMultiplexer,
    ancillary_packets,
    append_crc,
    cuc,
    frames,
    idle_frames,
    idle_packet,
    image_packets,
    primary_header,
    pseudo_noise,
)

Bytes = NDArray[np.uint8]


def test_checksum_is_ccitt_false() -> None:
    packets = np.array([[*b"123456789", 0, 0], [*b"987654321", 7, 7]], np.uint8)
    append_crc(packets)
    assert packets[0, -2:].tobytes() == bytes.fromhex("29b1")
    assert all(binascii.crc_hqx(p.tobytes(), 0xFFFF) == 0 for p in packets)


def test_pseudo_noise_is_the_ccsds_sequence() -> None:
    noise = pseudo_noise()
    assert noise[:5].tobytes() == bytes.fromhex("ff480ec09a")
    assert noise.size == CADU_BYTES - ASM_BYTES
    bits = np.unpackbits(noise)
    np.testing.assert_array_equal(bits[255:], bits[:-255])
    # h(x) = x^8 + x^7 + x^5 + x^3 + 1
    np.testing.assert_array_equal(bits[8:], bits[:-8] ^ bits[3:-5] ^ bits[5:-3] ^ bits[7:-1])


def _syndromes(word: Bytes, first: int, count: int) -> list[int]:
    """Evaluate a codeword at alpha^(11 j) by multiplication bit by bit."""

    def times(a: int, b: int) -> int:
        out = 0
        while b:
            out ^= a if b & 1 else 0
            a, b = a << 1 ^ (0x187 if a & 0x80 else 0), b >> 1
        return out

    primitive = 1
    for _ in range(11):
        primitive = times(primitive, 2)
    out = []
    root = 1
    for j in range(first + count):
        if j >= first:
            total = 0
            for symbol in word:
                total = times(total, root) ^ int(symbol)
            out.append(total)
        root = times(root, primitive)
    return out


def test_every_lane_is_a_codeword_with_sixteen_parity_symbols() -> None:
    zones = np.random.default_rng(0).integers(0, 256, (1, MPDU_ZONE_BYTES), np.uint8)
    made = frames(zones, np.array([0], np.uint16), 4, 7)
    body = made[0, ASM_BYTES:] ^ pseudo_noise()
    for lane in (0, 3, RS_INTERLEAVE - 1):
        assert _syndromes(body[lane::RS_INTERLEAVE], 120, 16) == [0] * 16
        assert any(_syndromes(body[lane::RS_INTERLEAVE], 136, 2))
    np.testing.assert_array_equal(body[8:1912], zones[0])


def test_heads_of_frames() -> None:
    made = frames(np.zeros((3, MPDU_ZONE_BYTES), np.uint8), np.array([0, 1903, 0x7FF], np.uint16), 20, 2**24 - 2)
    assert (made[:, :4] == [0x1A, 0xCF, 0xFC, 0x1D]).all()
    head = made[:, ASM_BYTES : ASM_BYTES + 8] ^ pseudo_noise()[:8]
    assert (head[:, 0] >> 6 == 1).all()
    assert (head[:, 1] & 0x3F == 20).all()
    assert [int.from_bytes(h[2:5].tobytes(), "big") for h in head] == [2**24 - 2, 2**24 - 1, 0]
    assert [int.from_bytes(h[6:8].tobytes(), "big") for h in head] == [0, 1903, 0x7FF]
    idle = idle_frames(2, 5, 63)[:, ASM_BYTES:] ^ pseudo_noise()
    assert (idle[:, 1] & 0x3F == 63).all()
    assert {int.from_bytes(h[6:8].tobytes(), "big") for h in idle} == {0x7FE}


def test_apids_follow_the_formula_and_the_two_known_packets() -> None:
    assert (apid(1, BANDS["B01"].index), apid(1, BANDS["B12"].index)) == (336, 348)
    seen = set()
    for detector in range(1, 13):
        for b in BANDS.values():
            number = apid(detector, b.index)
            vcm, wicom, odd, index = number >> 8, number >> 5 & 7, number >> 4 & 1, number & 15
            assert number == 256 * vcm + 32 * wicom + 16 * odd + index
            assert (vcm, index) == (1 if detector <= 6 else 0, b.index)
            assert wicom in (0, 1, 2)
            assert half_scene(detector) == vcm + 1
            assert detector_and_band(number) == (detector, b.index)
            seen.add(number)
    assert len(seen) == 12 * 13
    assert [detector_and_band(n) for n in (13, 15, 96, 256 + 96, 512, 774, 2047)] == [None] * 7


def test_image_packets_have_the_layout_of_the_real_ones() -> None:
    lines = np.random.default_rng(1).integers(0, 4096, (48, 1296), np.uint16)
    # the date of a real packet: 2019-10-01T08:37:08.840101 GPS
    dates = np.array([0x4ABDD2B4 * 10**9 + round(0xD710E1 * 1e9 / 2**24), 10**18, 10**18 + 1])
    packets = image_packets(lines, 336, dates)
    assert packets.shape == (3, 6 + 7 + 5 + 96 + 16 * 1296 * 3 // 2 + 2)
    assert packets[:, :2].tolist() == [[0x09, 0x50]] * 3
    assert packets[:, 2:4].tolist() == [[0xC0, k] for k in range(3)]
    assert {int.from_bytes(p[4:6].tobytes(), "big") for p in packets} == {packets.shape[1] - 7}
    assert packets[0, 6:13].tobytes() == bytes.fromhex("4abdd2b4d710e1")
    assert packets[0, 13:18].tobytes() == bytes.fromhex("0018011923")
    assert all(binascii.crc_hqx(p.tobytes(), 0xFFFF) == 0 for p in packets)
    with pytest.raises(OverflowError):
        primary_header(336, np.zeros(1, np.int64), 65_544)


def test_ancillary_packets_have_the_heads_of_the_real_ones() -> None:
    packets = ancillary_packets(774, 1, np.array([10**18, 10**18 + 10**9]), np.zeros((2, 6)))
    assert packets[:, :2].tolist() == [[0x0B, 0x06]] * 2
    assert packets[:, 6:10].tolist() == [[0x10, 0x03, 0x19, 0x00]] * 2
    assert packets[:, 17:19].tolist() == [[0x1F, 1]] * 2
    assert all(binascii.crc_hqx(p.tobytes(), 0xFFFF) == 0 for p in packets)


def test_time_code_rounds_to_the_nearest_tick_and_carries() -> None:
    dates = np.array([0, 5 * 10**9, 10**9 - 1, 1_500_000_000, 1_281_614_557_123_456_789])
    code = cuc(dates)
    ticks = [int.from_bytes(c.tobytes(), "big") for c in code]
    assert ticks[:4] == [0, 5 << 24, 1 << 24, 3 << 23]
    assert abs(ticks[4] * 10**9 / 2**24 - 1_281_614_557_123_456_789) < 300
    assert ticks[4] == (1_281_614_557_123_456_789 * 2**24 + 5 * 10**8) // 10**9


def test_counts_of_packets_wrap() -> None:
    head = primary_header(336, np.array([0, 16_383, 16_384]), 100)
    assert head[:, 2:4].tolist() == [[0xC0, 0], [0xFF, 0xFF], [0xC0, 0]]


@pytest.mark.parametrize("left", [1, 6, 7, 1903, 1904])
def test_flush_fills_the_last_zone_with_an_idle_packet(left: int) -> None:
    multiplexer = PacketMultiplexer(4)
    size = 2 * MPDU_ZONE_BYTES - left
    assert len(multiplexer.push(np.ones(size, np.uint8), np.zeros(1, np.int64))) == size // MPDU_ZONE_BYTES
    last = multiplexer.flush()
    body = (last[:, ASM_BYTES:] ^ pseudo_noise())[:, 8:1912].ravel()
    rest = size % MPDU_ZONE_BYTES
    assert (body[:rest] == 1).all()
    idle = body[rest:]
    assert idle.size == (left if 7 <= left < MPDU_ZONE_BYTES else left + MPDU_ZONE_BYTES if left < 7 else 0)
    if idle.size:
        np.testing.assert_array_equal(idle, idle_packet(idle.size))
        assert int.from_bytes(idle[4:6].tobytes(), "big") + 7 == idle.size
    assert multiplexer.flush().shape == (0, CADU_BYTES)


def test_pushing_in_parts_makes_the_same_frames() -> None:
    random = np.random.default_rng(4)
    stream, starts = random.integers(0, 256, 30_000, np.uint8), np.sort(random.choice(30_000, 40, replace=False))
    starts[0] = 0
    whole = PacketMultiplexer(4)
    once = np.concatenate([whole.push(stream, starts), whole.flush()])
    parts, made = PacketMultiplexer(4), []
    for a, b in ((0, 3), (3, 4), (4, 25), (25, 40)):
        low, high = starts[a], starts[b] if b < 40 else 30_000
        made.append(parts.push(stream[low:high], starts[a:b] - low))
    np.testing.assert_array_equal(np.concatenate([*made, parts.flush()]), once)
