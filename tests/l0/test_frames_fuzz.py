"""The frame parser on anything: whatever the bytes and however they are cut, it ends, counts and never crashes."""

import time
from itertools import count
from typing import Final

import numpy as np
import pytest
from frame_model import MARKER, Mission, hit
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.frames import Frames, FrameStream, decode_frames, join, synchronise

Bytes = NDArray[np.uint8]
SECONDS: Final = 600
OTHERS: Final = (Mission(dual=True, randomised=False), Mission(32, 4, True), Mission(32, 5), Mission(16, 1))
MISSIONS: Final = (Mission(), *OTHERS)
SENT: Final = tuple(mission.frames(70) for mission in MISSIONS)
EXTREMES: Final = [0, 1, 2, 3, 4, 5, 63, 64, 100, 255, 1019, 1020, 1024, 2040, 2043, 2044, 2045, 4088, 5000, 17_000]
lengths = st.sampled_from(EXTREMES) | st.integers(0, 3 * CADU_BYTES)
seeds = st.integers(0, 3)


@st.composite
def pieces(draw: st.DrawFn) -> Bytes:
    """Return some bits: frames, parts of frames, markers, noise, one value."""
    kind = draw(st.sampled_from(["frames", "hurt", "part", "markers", "noise", "value", "bytes"]))
    random = np.random.default_rng(draw(seeds))
    if kind == "bytes":
        return np.unpackbits(np.frombuffer(draw(st.binary(max_size=64)), np.uint8))
    if kind in ("noise", "value"):
        low = draw(st.integers(0, 255))
        high = 256 if kind == "noise" else low + 1
        return np.unpackbits(random.integers(low if kind == "value" else 0, high, draw(lengths), np.uint8))
    if kind == "markers":
        between = draw(st.sampled_from([0, 1, 3, 60, 1016, 1020, 2039, 2040, 2041]))
        return np.tile(np.unpackbits(np.append(MARKER, np.zeros(between, np.uint8))), draw(st.integers(1, 20)))
    which = draw(st.integers(0, len(MISSIONS) - 1))
    chosen = SENT[which][draw(st.integers(0, 69)) :][: draw(st.integers(1, 70))]
    if kind == "hurt":
        depth = MISSIONS[which].interleave
        chosen = hit(chosen[:8], depth, draw(st.integers(1, depth)), draw(st.integers(1, 40)), draw(seeds))
    bits = np.unpackbits(chosen.ravel())
    if kind == "part":
        first = draw(st.integers(0, bits.size))
        bits = bits[first : first + 8 * draw(lengths)]
    return bits ^ np.uint8(draw(st.booleans()))


streams = st.lists(pieces(), max_size=8).map(lambda p: np.packbits(np.concatenate([np.zeros(0, np.uint8), *p])))
unknown = st.booleans()


def _fed(data: Bytes, cuts: list[int], any_format: bool) -> Frames:
    stream = FrameStream("file", None) if any_format else FrameStream("file")
    found = join([*(stream.feed(part) for part in np.split(data, cuts)), stream.finish()])
    assert stream.counters == found.counters
    assert not stream._rest.size
    return found


def parse(data: Bytes, cuts: list[int], any_format: bool) -> None:
    """Parse a stream whole and in pieces, and hold the result to what must always be so."""
    found, again = _fed(data, [], any_format), _fed(data, sorted(min(cut, data.size) for cut in cuts), any_format)
    assert found.counters == again.counters
    np.testing.assert_array_equal(found.counter, again.counter)
    np.testing.assert_array_equal(found.zone, again.zone)
    c = found.counters
    assert c.received == len(found.counter) + c.uncorrectable
    assert 0 <= c.skipped_bits <= 8 * data.size
    assert min(c.slips, c.inverted, c.corrected, c.corrected_codewords, c.uncorrectable_codewords) >= 0
    assert max(c.slips, c.inverted, c.corrected) <= c.received
    assert c.corrected_symbols >= c.corrected_codewords >= c.corrected
    assert c.received or c.skipped_bits == 8 * data.size
    frames, skipped = synchronise(data.copy())
    assert frames.shape[1] == CADU_BYTES - 4
    assert skipped <= data.size
    try:
        decode_frames(data, "file", None if any_format else FrameStream("")._formats)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - allowed, not expected
        assert not len(found.counter)


def test_anything_goes() -> None:
    check = given(streams, st.lists(st.integers(0, 200_000), max_size=6), unknown)(parse)
    settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))(check)()


@pytest.mark.slow
@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("part", range(4))
def test_anything_goes_for_ten_minutes(part: int) -> None:
    end = time.monotonic() + SECONDS / 4
    for number in count(1000 * part):
        check = given(streams, st.lists(st.integers(0, 200_000), max_size=6), unknown)(parse)
        run = settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))(check)
        seed(number)(run)()
        if time.monotonic() > end:
            break
