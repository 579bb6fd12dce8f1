"""Packets of a channel in blocks: any cut, any order, repeats; the same packets, gaps and counters."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_model import any_packet, framed, laid_out, packet_frames, plain
from numpy.typing import NDArray

from s2dask.instrument.telemetry import ASM_BYTES, MPDU_ZONE_BYTES, VC_COUNTER_MODULO
from s2dask.l0 import packet_stream
from s2dask.l0.packet_stream import PacketStream
from s2dask.l0.packets import index_packets

Bytes = NDArray[np.uint8]
Blocks = Sequence[NDArray[np.int64]]
Found = list[tuple[int, int, bytes]]
SIZES = st.lists(
    st.integers(15, 400) | st.integers(1800, 2000) | st.sampled_from([1904, 3808]) | st.integers(4000, 20_000),
    min_size=1, max_size=40,
)  # fmt: skip


def _made(sizes: list[int]) -> list[Bytes]:
    random = np.random.default_rng(1)
    return [any_packet(random, size, k) for k, size in enumerate(sizes)]


def _parts(frames: Bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], Bytes]:
    bare = plain(frames)[:, ASM_BYTES:].astype(np.int64)
    pointer = (bare[:, 6] << 8 | bare[:, 7]) & 0x7FF
    return bare[:, 2] << 16 | bare[:, 3] << 8 | bare[:, 4], pointer, bare[:, 8 : 8 + MPDU_ZONE_BYTES].astype(np.uint8)


def _fed(parts: tuple[NDArray[np.int64], NDArray[np.int64], Bytes], blocks: Blocks) -> tuple[PacketStream, Found]:
    """Feed rows of frames block by block; return the packets in the order of their frames."""
    stream, found = PacketStream(), []
    for rows in blocks:
        packets = stream.feed(parts[0][rows], parts[1][rows], parts[2][rows])
        found += [(int(packets.frame[k]), int(packets.frames[k]), packets.packet(k)) for k in range(len(packets))]
    return stream, sorted(found, key=lambda row: row[0])


def _report(stream: PacketStream) -> tuple[object, ...]:
    return stream.frames, stream.gaps, stream.missing, stream.packets, stream.resynchronised, stream.unfinished


def _cut(rows: NDArray[np.int64], cuts: set[int]) -> list[NDArray[np.int64]]:
    return np.split(rows, sorted(c for c in cuts if c < rows.size))


@pytest.mark.row("IPF-01")
@settings(max_examples=60, derandomize=True, deadline=None)
@given(SIZES, st.sets(st.integers(0, 60), max_size=6), st.integers(0, 2**24 - 1), st.sets(st.integers(1, 90)))
def test_any_cut_gives_the_same_and_whole_packets_survive(
    sizes: list[int], lost: set[int], start: int, cuts: set[int]
) -> None:
    packets = _made(sizes)
    frames = framed(packets, 4, start)
    gone = [k for k in lost if k < len(frames)]
    parts = _parts(np.delete(frames, gone, 0))
    rows = np.arange(len(parts[0]))
    stream, found = _fed(parts, [rows])
    spared = [p for p, whole in zip(packets, packet_frames(sizes, gone), strict=True) if whole]
    texts = [text for *_, text in found]
    assert [t for t in texts if t[:2] == b"\x08\x64"] == [p.tobytes() for p in spared]
    assert stream.resynchronised == 0
    if rows.size:
        assert stream.span is not None
        assert stream.missing == stream.span[1] - stream.span[0] + 1 - rows.size
    again, pieces = _fed(parts, _cut(rows, cuts))
    assert (pieces, _report(again)) == (found, _report(stream))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    SIZES, st.sets(st.integers(0, 60), max_size=6), st.integers(0, 2**24 - 1), st.sets(st.integers(1, 90)),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_blocks_in_any_order_and_twice_give_the_same(
    sizes: list[int], lost: set[int], start: int, cuts: set[int], shuffle: object
) -> None:
    packets = _made(sizes)
    frames = framed(packets, 4, start)
    parts = _parts(np.delete(frames, [k for k in lost if k < len(frames)], 0))
    rows = np.arange(len(parts[0]))
    stream, found = _fed(parts, [rows])
    blocks = [b for b in _cut(rows, cuts) if b.size]
    extra = blocks[::2]
    mixed = blocks + extra
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    again, pieces = _fed(parts, mixed)
    assert [row[1:] for row in pieces] == [row[1:] for row in found]
    assert [f % VC_COUNTER_MODULO for f, *_ in pieces] == [f % VC_COUNTER_MODULO for f, *_ in found]
    assert _report(again) == _report(stream)
    assert again.duplicates == sum(b.size for b in extra)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([0, 1, 700, 1898, 1903, 1904, 0x7FE, 0x7FF])), max_size=60),
    st.sets(st.integers(1, 60)), st.integers(0, 5), st.randoms(use_true_random=False),
)  # fmt: skip
def test_frames_that_make_no_sense_give_the_same_for_any_cut_and_order(
    rows: list[tuple[int, int]], cuts: set[int], seed: int, shuffle: object
) -> None:
    random = np.random.default_rng(seed)
    rows = list(dict(rows).items())  # each counter once
    zone = random.integers(0, 256, (len(rows), MPDU_ZONE_BYTES), np.uint8)
    zone[:, random.integers(0, 2, MPDU_ZONE_BYTES) > 0] = 0
    table = np.array(sorted(rows), np.int64).reshape(-1, 2)
    parts = table[:, 0], table[:, 1], zone
    stream, found = _fed(parts, [np.arange(len(rows))])
    again, pieces = _fed(parts, _cut(np.arange(len(rows)), cuts))
    assert (pieces, _report(again)) == (found, _report(stream))
    blocks = _cut(np.arange(len(rows)), cuts)
    shuffle.shuffle(blocks)  # type: ignore[attr-defined]
    third, mixed = _fed(parts, blocks)
    assert (sorted(mixed), _report(third)) == (sorted(found), _report(stream))


def test_a_file_that_comes_again_after_a_whole_pass_is_a_repeat() -> None:
    stream, zone = PacketStream(), np.zeros((1000, MPDU_ZONE_BYTES), np.uint8)
    pointer = np.full(1000, 0x7FE)
    first = np.arange(8_671_068, 8_671_068 + 1000)
    # the real pass: 10 952 286 frames, the counter wraps on the way
    for step in range(0, 10_952_286, 3_000_000):
        stream.feed((first + step) % VC_COUNTER_MODULO, pointer, zone)
    assert (stream.duplicates, stream.missing) == (0, 3 * 2_999_000)
    stream.feed(first, pointer, zone)
    assert (stream.duplicates, stream.missing, stream.frames) == (1000, 3 * 2_999_000, 4000)
    stream.feed((first + 9_001_000) % VC_COUNTER_MODULO, pointer, zone)
    assert (stream.duplicates, stream.missing) == (1000, 3 * 2_999_000)
    assert stream.gaps[0] == (8_671_068 + 999, 2_999_000)


def test_lost_files_are_gaps_of_their_frames() -> None:
    """Gaps of the real reports are multiples of the 153 900 frames of a file."""
    stream, zone = PacketStream(), np.zeros((2, MPDU_ZONE_BYTES), np.uint8)
    for counter in (0, 153_902, 153_902 + 2 + 2 * 153_900):
        stream.feed(np.array([counter, counter + 1]), np.full(2, 0x7FF), zone)
    assert stream.gaps == [(1, 153_900), (153_903, 2 * 153_900)]


def test_counters_of_a_session_are_those_of_any_block_size() -> None:
    packets = _made([3000] * 60)
    parts = _parts(framed(packets, 4, 2**24 - 9))
    stream, found = _fed(parts, [np.array([k]) for k in range(len(parts[0]))])
    assert [t for *_, t in found][:60] == [p.tobytes() for p in packets]
    assert stream.span == (2**24 - 9, 2**24 - 9 + len(parts[0]) - 1)
    # frames that carry a packet: those that its bytes touch
    ends = np.cumsum([3000] * 60)
    assert [n for _, n, _ in found][:60] == ((ends - 1) // 1904 - (ends - 3000) // 1904 + 1).tolist()


@pytest.mark.parametrize("lie", [0, 900, 3000, 60_000])
def test_a_packet_that_lies_costs_no_other(lie: int) -> None:
    packets = _made([4000] * 12)
    packets[5][4:6] = np.frombuffer((lie + 8).to_bytes(2, "big"), np.uint8)
    stream = PacketStream()
    found = stream.feed(*_parts(framed(packets, 4)))
    index = index_packets(found.stream, found.offset, found.size, "image")
    places = zip(index.offset[index.good], index.size[index.good], strict=True)
    good = [found.stream[o : o + s].tobytes() for o, s in places]
    assert good == [p.tobytes() for k, p in enumerate(packets) if k != 5]
    assert stream.resynchronised >= 1


def test_old_gaps_are_forgotten_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_stream, "EDGES", 3)
    packets = _made([5000] * 40)
    parts = _parts(framed(packets, 4))
    rows = np.arange(len(parts[0]))
    stream, found = _fed(parts, [rows[rows % 9 != 4][k : k + 5] for k in range(0, rows.size, 5)])
    held = sum(piece.held.size for piece in stream._pieces)
    assert held <= 5 * 5000
    chosen = rows % 9 == 4
    late = stream.feed(parts[0][chosen], parts[1][chosen], parts[2][chosen])
    assert stream.gaps == []
    stream_bytes = laid_out(packets)[0].tobytes()
    texts = [t for *_, t in found] + [late.packet(k) for k in range(len(late))]
    assert all(t in stream_bytes for t in texts if t[:2] == b"\x08\x64")
    # the newest gaps still have their edges
    assert packets[-2].tobytes() in texts
    assert len(texts) < 41


def test_no_frames() -> None:
    stream = PacketStream()
    found = stream.feed(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, MPDU_ZONE_BYTES), np.uint8))
    assert (len(found), stream.span, stream.gaps, stream.missing, stream.unfinished) == (0, None, [], 0, 0)
