"""Formats of frames, found and not assumed: length, code, representation, randomiser; another mission's real file."""

from pathlib import Path

import numpy as np
import pytest
from frame_model import MARKER, Mission, hit
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.l0.frame_format import find_format
from s2dask.l0.frames import FrameStream, decode_frames
from s2dask.l0.reed_solomon import ReedSolomon

Bytes = NDArray[np.uint8]
MISSIONS = [
    (Mission(parity, interleave, dual, randomised))
    for parity, interleave in ((16, 8), (32, 4), (32, 5), (32, 1), (16, 5))
    for dual in (False, True)
    for randomised in (False, True)
]


def _same(mission: Mission, found: tuple[object, bool] | None) -> bool:
    code = ReedSolomon(mission.parity, mission.interleave, mission.dual)
    assert found is not None
    return (getattr(found[0], "code", None), found[1]) == (code, mission.randomised)


@pytest.mark.parametrize("mission", MISSIONS)
def test_format_is_found(mission: Mission) -> None:
    sent = mission.frames(12)
    found = find_format(sent.ravel())
    assert _same(mission, found)
    assert found is not None
    assert found[0].cadu_bytes == 4 + 255 * mission.interleave
    # not one codeword clean, garbage before, another phase, another polarity
    hurt = hit(sent, mission.interleave, mission.interleave, 3, 5)
    stream = np.concatenate([np.random.default_rng(3).integers(0, 256, 777, np.uint8), hurt.ravel()])
    bits = np.concatenate([[1, 0, 1], np.unpackbits(stream), [0] * 5]).astype(np.uint8)
    assert _same(mission, find_format(np.packbits(1 - bits)))


@pytest.mark.parametrize("mission", MISSIONS[4:8])
def test_frames_of_another_mission_decode(mission: Mission) -> None:
    sent = hit(mission.frames(30, 17, 5), 4, 4, 16, 1)
    found = decode_frames(sent.ravel(), "file", None)
    np.testing.assert_array_equal(found.counter, 5 + np.arange(30))
    np.testing.assert_array_equal(found.zone, decode_frames(mission.frames(30, 17, 5).ravel(), "", None).zone)
    assert found.zone.shape == (30, 884)
    assert set(found.channel.tolist()) == {17}
    assert set(found.spacecraft.tolist()) == {42}
    assert found.counters.corrected_codewords == 120


def test_dual_representation_of_our_own_frames_is_seen() -> None:
    found = decode_frames(Mission(dual=True).frames(70).ravel(), "file")
    assert len(found.counter) == 70
    assert found.counters.corrected == 0


def test_frames_without_a_code_are_taken_as_they_are() -> None:
    sent = np.concatenate([np.tile(MARKER, (20, 1)), Mission().frames(20)[:, 4:904]], 1)
    sent[:, 4:] = np.random.default_rng(1).integers(0, 256, (20, 900), np.uint8)
    sent[:, 4:6] = 0x4A, 0x84
    stream = FrameStream("file", None)
    assert len(stream.feed(sent.ravel()).counter) + len(stream.finish().counter) == 20
    assert stream.format is not None
    assert (stream.format.cadu_bytes, stream.format.code, stream.randomised) == (904, None, False)


@pytest.mark.row("IPF-01")
def test_real_frames_of_another_mission(reference_data: Path) -> None:
    path = reference_data / "ops" / "frames" / "snpp_7cadus_2vcids.dat"
    stream = FrameStream(path.name, None)
    stream.feed(path.read_bytes())
    found = stream.finish()
    assert stream.format is not None
    assert (stream.format.cadu_bytes, stream.format.code, stream.randomised) == (1024, ReedSolomon(32, 4, True), True)
    assert (found.received, found.corrected, found.uncorrectable, found.skipped_bytes) == (7, 0, 0, 0)
    assert found.counters.corrected_codewords == found.counters.uncorrectable_codewords == 0
    # the numbers of S-NPP and its two virtual channels, each without a gap
    assert set(found.spacecraft.tolist()) == {157}
    assert found.channel.tolist() == [16] * 3 + [6] * 4
    assert np.diff(found.counter).tolist() == [1, 1, 6820673 - 9847472, 1, 1, 1]


def test_a_long_stream_without_frames_is_refused() -> None:
    stream = FrameStream("noise.dat", None)
    noise = np.random.default_rng(0).integers(0, 256, 1 << 21, np.uint8)
    for _ in range(7):
        assert not len(stream.feed(noise).counter)
    with pytest.raises(InputError, match=r"noise\.dat: no frame of a known format in the first 16 MiB"):
        stream.feed(noise)


@pytest.mark.parametrize("data", [b"", b"\x1a\xcf\xfc\x1d", bytes(5000), b"\x1a\xcf\xfc\x1d" * 300])
def test_too_little_or_nothing_is_no_format(data: bytes) -> None:
    stream = FrameStream("file", None)
    stream.feed(data)
    found = stream.finish()
    assert not len(found.counter)
    assert found.skipped_bytes == len(data)
