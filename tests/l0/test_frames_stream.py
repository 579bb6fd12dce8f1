"""Streams of frames with slips, inversions and losses, whole and in pieces."""

from collections.abc import Iterable

import numpy as np
import pytest
from frame_model import MARKER, Mission, hit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.frame_format import SAMPLES
from s2dask.l0.frames import Frames, FrameStream, decode_frames, join

Bytes = NDArray[np.uint8]
FRAME_BITS = 8 * CADU_BYTES
SENT = Mission().frames(90, counter=(1 << 24) - 40)
COUNTS = ((1 << 24) - 40 + np.arange(90)) % (1 << 24)


def bits(frames: Bytes) -> Bytes:
    return np.unpackbits(frames.ravel())


def stream_of(parts: Iterable[Bytes]) -> Bytes:
    """Return bytes of bits; the last byte is filled with zeros."""
    return np.packbits(np.concatenate(list(parts)))


def in_pieces(data: Bytes, cuts: Iterable[int], stream: FrameStream | None = None) -> Frames:
    stream = stream or FrameStream("file")
    parts = [stream.feed(piece) for piece in np.split(data, sorted(cuts))]
    found = join([*parts, stream.finish()])
    assert stream.counters == found.counters
    return found


def assert_same(a: Frames, b: Frames) -> None:
    assert (a.counters, a.randomised) == (b.counters, b.randomised)
    for name in ("spacecraft", "channel", "counter", "pointer", "zone"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


WHOLE = decode_frames(SENT.ravel(), "file")


def assert_frames(found: Frames, ranks: Iterable[int]) -> None:
    ranks = list(ranks)
    np.testing.assert_array_equal(found.counter, COUNTS[ranks])
    np.testing.assert_array_equal(found.zone, WHOLE.zone[ranks])


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("gained", [1, 2, 3, 4, 5, 6, 7, 8, 13, 64, 65, 333])
def test_bits_gained_between_frames_cost_nothing(gained: int) -> None:
    extra = np.random.default_rng(gained).integers(0, 2, gained, np.uint8)
    found = decode_frames(stream_of([bits(SENT[:20]), extra, bits(SENT[20:])]), "file")
    assert_frames(found, range(90))
    assert (found.counters.slips, found.uncorrectable, found.received) == (int(gained % 8 > 0), 0, 90)
    assert found.counters.skipped_bits == gained + -gained % 8


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5, 6, 7, 8, 13, 64, 333])
def test_bits_lost_at_the_end_of_a_frame_cost_no_more_than_it(lost: int) -> None:
    found = decode_frames(stream_of([bits(SENT[:20])[:-lost], bits(SENT[20:])]), "file")
    # up to eight symbols of each codeword may be wrong: 64 bytes at the end of a frame
    assert_frames(found, range(90))
    assert (found.counters.slips, found.received) == (int(lost % 8 > 0), 90)
    assert found.corrected == 1
    line = bits(SENT)
    hole = decode_frames(stream_of([line[: 20 * FRAME_BITS - 5000 - lost], line[20 * FRAME_BITS - 5000 :]]), "file")
    assert_frames(hole, [k for k in range(90) if k != 19])
    assert (hole.counters.slips, hole.received, hole.uncorrectable) == (int(lost % 8 > 0), 90, 1)


@pytest.mark.row("IPF-01")
def test_a_slip_between_any_two_frames_costs_nothing() -> None:
    random = np.random.default_rng(3)
    parts, slips = [], 0
    for k in range(90):
        extra = int(random.integers(1, 8))
        parts += [bits(SENT[k]), random.integers(0, 2, extra, np.uint8)]
        slips += k < 89
    found = decode_frames(stream_of(parts), "file")
    assert_frames(found, range(90))
    assert (found.counters.slips, found.received, found.uncorrectable) == (slips, 90, 0)


@pytest.mark.row("IPF-01")
def test_inverted_frames_are_turned() -> None:
    assert_frames(decode_frames(~SENT.ravel(), "file"), range(90))
    for first in (0, 1, 63, 64, 89):
        some = SENT.copy()
        some[first:] ^= 0xFF
        found = decode_frames(some.ravel(), "file")
        assert_frames(found, range(90))
        assert (found.counters.inverted, found.counters.slips) == (90 - first, 0)
    # from the middle of a frame on: that one is lost, and only that one
    some = SENT.copy().ravel()
    some[30 * CADU_BYTES + 700 : 50 * CADU_BYTES] ^= 0xFF
    found = decode_frames(some, "file")
    assert_frames(found, [k for k in range(90) if k != 30])
    assert (found.counters.inverted, found.uncorrectable) == (19, 1)


def test_inversion_and_slip_together() -> None:
    data = stream_of([bits(SENT[:40]), [0, 1, 1], 1 - bits(SENT[40:70]), [1], bits(SENT[70:])])
    found = decode_frames(data, "file")
    assert_frames(found, range(90))
    assert (found.counters.inverted, found.counters.slips, found.counters.skipped_bits) == (30, 2, 8)


@pytest.mark.row("IPF-01")
def test_garbage_between_any_two_frames_costs_nothing() -> None:
    random = np.random.default_rng(7)
    parts = []
    for k, frame in enumerate(hit(SENT, 8, 8, 8, 1)):
        parts += [random.integers(0, 256, 11 * k, np.uint8), frame]
    found = decode_frames(np.concatenate(parts), "file")
    assert_frames(found, range(90))
    assert found.skipped_bytes == 11 * sum(range(90))
    assert (found.corrected, found.uncorrectable) == (90, 0)
    assert found.counters.corrected_codewords == 90 * 8
    assert found.corrected_symbols == 90 * 64


def test_codewords_are_counted_whatever_becomes_of_their_frame() -> None:
    some = SENT.copy()
    some[5:6] = hit(some[5:6], 8, 3, 7, 1)
    some[9:10] = hit(some[9:10], 8, 2, 30, 2)
    some[9, 4 + 7] ^= 1
    found = decode_frames(some.ravel(), "file")
    assert_frames(found, [k for k in range(90) if k != 9])
    c = found.counters
    assert (c.corrected, c.uncorrectable) == (1, 1)
    assert (c.corrected_codewords, c.corrected_symbols, c.uncorrectable_codewords) == (3 + 1, 3 * 7 + 1, 2)


def test_files_that_follow_each_other_are_one_stream() -> None:
    stream = FrameStream("channel")
    data, cut = SENT.ravel(), 33 * CADU_BYTES + 1000
    parts = [stream.feed(data[:cut].tobytes()), stream.feed(memoryview(data[cut:].tobytes())), stream.finish()]
    assert_frames(join(parts), range(90))
    # and one that does not continue is fed after an end: the cut frame is skipped, not doubtful
    other = FrameStream("channel")
    parts = [other.feed(data[:cut]), other.finish(), other.feed(data[50 * CADU_BYTES :]), other.finish()]
    found = join(parts)
    assert_frames(found, [*range(33), *range(50, 90)])
    assert (found.skipped_bytes, found.uncorrectable) == (1000, 0)


def test_frames_come_before_the_end() -> None:
    stream = FrameStream("file")
    assert not len(stream.feed(SENT[: SAMPLES - 1]).counter)
    assert len(stream.feed(SENT[SAMPLES - 1 : SAMPLES + 2]).counter) == SAMPLES + 2
    assert stream.randomised
    assert len(stream.feed(SENT[SAMPLES + 2 :]).counter) == 90 - SAMPLES - 2
    assert not stream.finish().received


def test_what_is_kept_between_blocks_is_bounded() -> None:
    stream, noise = FrameStream("file"), np.random.default_rng(1).integers(0, 256, 1 << 20, np.uint8)
    markers = np.tile(np.append(MARKER, 0).astype(np.uint8), 2000)
    blocks = [noise, SENT.ravel(), markers, noise, SENT[:80].ravel()[:-9]]
    for block in blocks:
        stream.feed(block)
        assert stream._rest.size < 3 * CADU_BYTES
        samples = stream._samples
        assert samples is None or len(samples) <= SAMPLES


edits = st.lists(
    st.tuples(
        st.sampled_from(["gain", "lose", "invert", "hurt", "marker"]),
        st.integers(0, 90 * FRAME_BITS),
        st.integers(0, 40) | st.integers(0, 3 * FRAME_BITS),
    ),
    max_size=8,
)


def edited(changes: list[tuple[str, int, int]]) -> Bytes:
    """Return the frames with their bits changed: some more, some less, some other."""
    line, random = bits(SENT), np.random.default_rng(len(changes))
    for kind, place, size in changes:
        at = min(place, line.size)
        if kind == "gain":
            line = np.insert(line, at, random.integers(0, 2, size, np.uint8))
        elif kind == "lose":
            line = np.delete(line, np.s_[at : at + size])
        elif kind == "invert":
            line[at:] ^= 1
        elif kind == "hurt":
            line[at : at + size] ^= random.integers(0, 2, line[at : at + size].size, np.uint8)
        else:
            line[at : at + 32] = np.unpackbits(MARKER)[: line[at : at + 32].size]
    return np.packbits(line)


@given(edits, st.lists(st.integers(0, 90 * CADU_BYTES), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_cut_of_a_damaged_stream_gives_the_same(changes: list[tuple[str, int, int]], cuts: list[int]) -> None:
    data = edited(changes)
    whole = in_pieces(data, [])
    assert_same(whole, in_pieces(data, cuts))
    # every frame that comes out was sent
    ranks = (whole.counter - COUNTS[0]) % (1 << 24)
    np.testing.assert_array_equal(whole.zone, WHOLE.zone[ranks])
    counters = whole.counters
    assert counters.received == len(ranks) + counters.uncorrectable


@given(st.integers(0, 88), st.sampled_from([31, 32, 33, 64]), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_bytes_gained_behind_a_marker_make_no_frame(at: int, bit: int, words: int) -> None:
    """The code is cyclic: a frame that comes four bytes late is nearly all of codewords too."""
    data = edited([("gain", at * CADU_BYTES * 8 + bit, 32 * words)])
    found = in_pieces(data, [])
    ranks = (found.counter - COUNTS[0]) % (1 << 24)
    assert (ranks < len(WHOLE.zone)).all()
    np.testing.assert_array_equal(found.zone, WHOLE.zone[ranks])


@given(edits, st.integers(7, 400))
@settings(max_examples=4, deadline=None)
def test_small_blocks_give_the_same(changes: list[tuple[str, int, int]], size: int) -> None:
    data = edited(changes)
    assert_same(in_pieces(data, []), in_pieces(data, range(size, data.size, size)))


@given(edits, st.lists(st.integers(0, 90 * CADU_BYTES), max_size=5))
@settings(max_examples=10, deadline=None)
def test_any_cut_of_an_unknown_stream_gives_the_same(changes: list[tuple[str, int, int]], cuts: list[int]) -> None:
    data = edited(changes)
    assert_same(in_pieces(data, [], FrameStream("", None)), in_pieces(data, cuts, FrameStream("", None)))
