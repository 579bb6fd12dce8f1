"""Codecs by name, and the uncompressed one bit by bit."""

from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS
from s2dask.l0 import codec as codecs
from s2dask.l0.codec import Raw12, codec, codec_of_packet
from s2dask.simulate.coding import image_packets


def _unpacked(packet: bytes, columns: int) -> list[list[int]]:
    """Return the 16 lines of a packet, twelve bits after twelve bits."""
    body = packet[6 + 7 + 5 + 96 : -2]
    bits = int.from_bytes(body, "big")
    count = 16 * columns
    values = [bits >> 12 * (count - 1 - k) & 0xFFF for k in range(count)]
    return [values[k : k + columns] for k in range(0, count, columns)]


@pytest.mark.parametrize("columns", sorted({b.raw_columns for b in BANDS.values()}))
def test_lines_come_back(columns: int) -> None:
    lines = np.random.default_rng(columns).integers(0, 4096, (48, columns), np.uint16)
    packets = image_packets(lines, 336, np.zeros(3, np.int64))
    found, bad = codec("raw12").decode(packets, np.array([0, 0, 2], np.uint8))
    np.testing.assert_array_equal(found, lines)
    assert found.dtype == np.uint16
    assert not bad.any()


def test_bits_are_packed_from_the_highest_down() -> None:
    lines = np.random.default_rng(0).integers(0, 4096, (16, 1296), np.uint16)
    packet = image_packets(lines, 336, np.zeros(1, np.int64))[0]
    assert _unpacked(packet.tobytes(), 1296) == lines.tolist()


def test_lost_packets_are_bad_lines_of_zero() -> None:
    lines = np.random.default_rng(1).integers(1, 4096, (64, 1296), np.uint16)
    packets = image_packets(lines, 336, np.zeros(4, np.int64))
    found, bad = Raw12().decode(packets, np.array([0, 1, 2, 1], np.uint8))
    assert np.flatnonzero(bad).tolist() == [*range(16, 32), *range(48, 64)]
    assert not found[bad].any()
    np.testing.assert_array_equal(found[~bad], lines[~bad])


@pytest.mark.parametrize("change", [-200, -1, 1, 2, 24])
def test_packets_of_another_size_are_refused(change: int) -> None:
    size = image_packets(np.zeros((16, 1296), np.uint16), 336, np.zeros(1, np.int64)).shape[1] + change
    with pytest.raises(InputError, match=f"packets of {size} bytes hold no raw12 lines; name the right codec"):
        codec("raw12").decode(np.zeros((1, size), np.uint8), np.zeros(1, np.uint8))


def test_codec_follows_from_the_size_of_a_packet() -> None:
    for b in BANDS.values():
        size = image_packets(np.zeros((16, b.raw_columns), np.uint16), 336, np.zeros(1, np.int64)).shape[1]
        assert codec_of_packet(size, b.raw_columns) == "raw12"
        assert codec_of_packet(size - 1, b.raw_columns) == "mrcpb"
        assert codec_of_packet(b.packet_length, b.raw_columns) == "mrcpb"


class Zeros:
    """A codec that makes nothing."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return one line of zeros."""
        return np.zeros((1, 1), np.uint16), status > 99


def test_codecs_of_other_packages_are_found_and_unknown_ones_named(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = EntryPoints([EntryPoint("zeros", f"{__name__}:Zeros", "s2dask.codecs")])
    monkeypatch.setattr(codecs, "entry_points", lambda group: offered.select(group=group))
    codec.cache_clear()
    try:
        assert isinstance(codec("zeros"), Zeros)
        with pytest.raises(ConfigurationError, match="no codec mrcpb; one of raw12, ccsds122, zeros"):
            codec("mrcpb")
    finally:
        codec.cache_clear()
