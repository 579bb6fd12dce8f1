"""The simulator's image packets beside the real ones: every byte whose meaning is public, and every length."""

import binascii
from pathlib import Path

import numpy as np
import pytest

from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.l0.packet_file import read_packets
from s2dask.l0.packets import index_packets
from s2dask.simulate.coding import image_packets, source_packets


def _fixed_rate(name: str) -> int:
    """Return the bytes of 16 lines at the rate of the L0 metadata: a multiple of 4, 12 bits per pixel divided."""
    return 4 * round(16 * BANDS[name].raw_columns * 1.5 / BANDS[name].compression_rate / 4)


def test_packets_of_fixed_rate_have_the_lengths_of_the_mission() -> None:
    sizes = {n: ISP_HEAD_BYTES + _fixed_rate(n) + CRC_BYTES for n in BANDS}
    assert sizes == {n: b.packet_length for n, b in BANDS.items()}
    assert (sizes["B02"], sizes["B01"], sizes["B11"]) == (21_060, 11_832, 13_076)


@pytest.mark.row("IPF-02")
@pytest.mark.parametrize("name", ["B01", "B02", "B03", "B05", "B09", "B11"])
def test_a_simulated_packet_begins_as_the_real_one(reference_data: Path, name: str) -> None:
    (path,) = (reference_data / "ops/l0_granule/IMG_DATA").glob(f"*_D01_{name}.bin")
    real = read_packets(np.fromfile(path, np.uint8), path.name)
    told = index_packets(real.data, real.offset, np.array([1000]), "image")
    b = BANDS[name]
    payload = np.frombuffer(real.packet(0)[ISP_HEAD_BYTES:], np.uint8)
    content = np.zeros((b.packets_per_scene, _fixed_rate(name)), np.uint8)
    content[0, : payload.size] = payload
    made = source_packets(content, int(told.apid[0]), np.full(b.packets_per_scene, told.time[0]))
    assert made.shape[1] == real.size[0]
    # the five bytes that nobody explains are as they are, the eight records, which change with the band, are zeros
    assert made[0, :18].tobytes() == real.packet(0)[:18]
    assert not made[0, 18:ISP_HEAD_BYTES].any()
    assert made[0, ISP_HEAD_BYTES : ISP_HEAD_BYTES + payload.size].tobytes() == payload.tobytes()
    assert all(binascii.crc_hqx(p.tobytes(), 0xFFFF) == 0 for p in made)


def test_uncompressed_packets_have_the_same_head() -> None:
    lines = np.random.default_rng(1).integers(0, 4096, (32, 1296), np.uint16)
    dates = np.array([1_281_614_557_123_456_789, 1_281_614_558_000_000_000])
    made = image_packets(lines, 348, dates)
    assert made.shape == (2, ISP_HEAD_BYTES + 16 * 1296 * 3 // 2 + CRC_BYTES)
    pairs = made[:, ISP_HEAD_BYTES:-CRC_BYTES].reshape(32, -1, 3).astype(np.uint16)
    np.testing.assert_array_equal(pairs[..., 0] << 4 | pairs[..., 1] >> 4, lines[:, ::2])
    np.testing.assert_array_equal((pairs[..., 1] & 15) << 8 | pairs[..., 2], lines[:, 1::2])
