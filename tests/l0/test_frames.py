"""Frames out of a byte stream: synchronisation, randomiser, Reed-Solomon."""

import numpy as np
import pytest
from link_model import any_packet, framed, plain
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import ASM, ASM_BYTES, CADU_BYTES, RS_CODEWORD, RS_DATA, RS_INTERLEAVE
from s2dask.l0 import reed_solomon
from s2dask.l0.frames import Frames, decode_frames, randomiser, synchronise
from s2dask.simulate.coding import pseudo_noise

Bytes = NDArray[np.uint8]
MARKER = np.frombuffer(ASM.to_bytes(4, "big"), np.uint8)


@pytest.fixture(scope="module")
def frames() -> Bytes:
    """Forty randomised frames of one channel."""
    random = np.random.default_rng(1)
    return framed([any_packet(random, 1900, k) for k in range(40)], 4, 100)


def _same(found: Frames, sent: Bytes) -> bool:
    bare = plain(sent)[:, ASM_BYTES:]
    return np.array_equal(found.zone, bare[:, 8:1912]) and np.array_equal(
        found.counter, [int.from_bytes(f[2:5].tobytes(), "big") for f in bare]
    )


@pytest.mark.row("IPF-01")
def test_clean_frames_come_back(frames: Bytes) -> None:
    found = decode_frames(frames.ravel(), "file")
    assert _same(found, frames)
    assert found.randomised
    assert (found.received, found.skipped_bytes, found.corrected, found.uncorrectable) == (len(frames), 0, 0, 0)
    assert set(found.channel.tolist()) == {4}
    np.testing.assert_array_equal(found.counter, 100 + np.arange(len(frames)))


def test_randomiser_is_detected(frames: Bytes) -> None:
    found = decode_frames(plain(frames).ravel(), "file")
    assert not found.randomised
    assert _same(found, frames)


def _hit_every_codeword(frames: Bytes, errors: int, seed: int) -> Bytes:
    """Return frames with `errors` wrong symbols in each of the eight codewords of each."""
    random, out = np.random.default_rng(seed), frames.copy()
    for f in range(len(out)):
        for lane in range(RS_INTERLEAVE):
            places = ASM_BYTES + lane + RS_INTERLEAVE * random.choice(RS_CODEWORD, errors, replace=False)
            out[f, places] ^= random.integers(1, 256, errors, np.uint8)
    return out


@pytest.mark.parametrize("randomised", [True, False])
def test_randomiser_is_detected_when_no_frame_is_clean(frames: Bytes, randomised: bool) -> None:
    sent = _hit_every_codeword(frames if randomised else plain(frames), 1, 3)
    found = decode_frames(sent.ravel(), "file")
    assert found.randomised is randomised
    assert _same(found, frames)
    assert found.corrected_symbols == RS_INTERLEAVE * len(frames)


@pytest.mark.parametrize("errors", [1, 7, 8])
def test_errors_up_to_eight_per_codeword_are_corrected(frames: Bytes, errors: int) -> None:
    some = frames.copy()
    some[5:15] = _hit_every_codeword(frames[5:15], errors, errors)
    found = decode_frames(some.ravel(), "file")
    assert _same(found, frames)
    assert (found.corrected, found.uncorrectable) == (10, 0)
    assert found.corrected_symbols == 10 * RS_INTERLEAVE * errors


def test_a_burst_over_all_codewords_is_corrected(frames: Bytes) -> None:
    some = frames.copy()
    some[7, 900 : 900 + 8 * RS_INTERLEAVE] ^= 0xFF
    found = decode_frames(some.ravel(), "file")
    assert _same(found, frames)
    assert found.corrected_symbols == 8 * RS_INTERLEAVE


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("errors", [9, 12, 16, 40])
def test_more_errors_drop_the_frame_and_count_it(frames: Bytes, errors: int) -> None:
    some = frames.copy()
    some[[3, 20]] = _hit_every_codeword(frames[[3, 20]], errors, errors)
    found = decode_frames(some.ravel(), "file")
    assert found.uncorrectable == 2
    assert _same(found, np.delete(frames, [3, 20], 0))


def _evaluate(word: Bytes, power: int) -> int:
    """Value of a codeword at alpha^(11 power), by the definition of the field and nothing else."""
    exponential = [1]
    for _ in range(254):
        value = exponential[-1] << 1
        exponential.append(value ^ 0x187 if value > 255 else value)
    logarithm = {v: k for k, v in enumerate(exponential)}
    total, step = 0, 11 * power % 255
    for symbol in word:
        total = (exponential[(logarithm[total] + step) % 255] if total else 0) ^ int(symbol)
    return total


def test_codewords_of_the_encoder_have_no_syndromes(frames: Bytes) -> None:
    bare = plain(frames[:2])[:, ASM_BYTES:]
    for lane in range(RS_INTERLEAVE):
        word = bare[1, lane::RS_INTERLEAVE]
        assert word.size == RS_CODEWORD
        assert [_evaluate(word, j) for j in range(120, 136)] == [0] * (RS_CODEWORD - RS_DATA)
        assert _evaluate(word, 136)


def test_encoder_and_decoder_agree(frames: Bytes) -> None:
    bare = plain(frames)[:, ASM_BYTES:]
    assert not reed_solomon.damaged(bare).any()
    touched = bare.copy()
    for k in range(len(bare)):
        touched[k, 51 * k % bare.shape[1]] ^= 1
    assert reed_solomon.damaged(touched).all()
    np.testing.assert_array_equal(reed_solomon.correct(touched, np.arange(len(bare))), 1)
    np.testing.assert_array_equal(touched, bare)


def test_randomiser_is_a_codeword_and_so_cannot_be_seen_by_the_code() -> None:
    assert not reed_solomon.damaged(randomiser()[None]).any()


def test_both_randomisers_are_the_ccsds_one() -> None:
    assert randomiser()[:5].tobytes() == bytes.fromhex("ff480ec09a")
    np.testing.assert_array_equal(randomiser(), pseudo_noise())
    assert randomiser().size == CADU_BYTES - ASM_BYTES
    np.testing.assert_array_equal(randomiser()[255:510], randomiser()[:255])


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("where", [0, 1, 11, 39, 40])
@pytest.mark.parametrize("length", [1, 3, 700, 5000])
def test_garbage_between_frames_is_skipped(frames: Bytes, where: int, length: int) -> None:
    garbage = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    data = np.concatenate([frames[:where].ravel(), garbage, frames[where:].ravel()])
    found = decode_frames(data, "file")
    assert found.skipped_bytes == length
    assert _same(found, frames)


def test_a_false_marker_in_garbage_is_not_believed(frames: Bytes) -> None:
    garbage = np.zeros(3000, np.uint8)
    garbage[100:104] = garbage[2500:2504] = MARKER
    found = decode_frames(np.concatenate([frames[:9].ravel(), garbage, frames[9:].ravel()]), "file")
    assert _same(found, frames)
    assert found.uncorrectable == 0


def test_missing_bytes_cost_one_frame_and_a_cut_end_too(frames: Bytes) -> None:
    data = np.delete(frames.ravel(), np.arange(10 * CADU_BYTES + 500, 10 * CADU_BYTES + 777))
    found = decode_frames(data, "file")
    # the frame that is short is found by its marker and refused by its code
    assert _same(found, np.delete(frames, 10, 0))
    assert (found.received, found.uncorrectable, found.skipped_bytes) == (len(frames), 1, 0)
    cut = decode_frames(frames.ravel()[:-3], "file")
    assert _same(cut, frames[:-1])
    assert cut.skipped_bytes == CADU_BYTES - 3


def _wrong_marker(frames: Bytes, at: int, bits: int) -> Bytes:
    out = frames.copy()
    places = np.random.default_rng(bits).choice(32, bits, replace=False)
    marker = np.unpackbits(out[at, :4])
    marker[places] ^= 1
    out[at, :4] = np.packbits(marker)
    return out


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_marker_with_a_few_wrong_bits_costs_nothing(frames: Bytes, bits: int, inverted: bool) -> None:
    some = _wrong_marker(_wrong_marker(frames, 17, bits), len(frames) - 1, bits)
    found = decode_frames(np.where(inverted, ~some, some).ravel(), "file")
    assert _same(found, frames)
    assert (found.skipped_bytes, found.counters.damaged_markers) == (0, 2)
    assert found.notes["marker"][[16, 17]].tolist() == [0, bits]
    # damage in the frame as well: its codewords decide
    hurt = some.copy()
    hurt[17, 100] ^= 1
    assert _same(decode_frames(hurt.ravel(), "file"), frames)
    hurt[17, 4:] = np.random.default_rng(0).integers(0, 256, CADU_BYTES - 4, np.uint8)
    lost = decode_frames(hurt.ravel(), "file")
    assert _same(lost, np.delete(frames, 17, 0))
    assert lost.skipped_bytes == CADU_BYTES


@pytest.mark.parametrize("bits", [5, 12])
def test_a_worse_marker_costs_its_frame(frames: Bytes, bits: int) -> None:
    found = decode_frames(_wrong_marker(frames, 17, bits).ravel(), "file")
    assert _same(found, np.delete(frames, 17, 0))
    assert (found.skipped_bytes, found.counters.damaged_markers) == (CADU_BYTES, 0)


def test_another_version_of_the_frame_header_is_no_frame(frames: Bytes) -> None:
    # a zero frame is a codeword too: only its header says that it is none of ours
    some = plain(frames)
    some[4, ASM_BYTES:] = 0
    found = decode_frames(some.ravel(), "file")
    assert _same(found, np.delete(frames, 4, 0))
    assert found.uncorrectable == 1


def test_synchronise_returns_a_copy(frames: Bytes) -> None:
    data = frames.ravel().copy()
    synchronise(data)[0][:] = 0
    np.testing.assert_array_equal(data, frames.ravel())


@pytest.mark.parametrize("size", [0, 1, 100, CADU_BYTES - 1, CADU_BYTES, 50 * CADU_BYTES])
def test_noise_is_refused(size: int) -> None:
    data = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    with pytest.raises(InputError, match=r"DSDB_1\.raw: no frame marker; .*fetch it again"):
        decode_frames(data, "DSDB_1.raw")


def test_markers_with_noise_between_are_refused() -> None:
    data = np.random.default_rng(2).integers(0, 256, (30, CADU_BYTES), np.uint8)
    data[:, :ASM_BYTES] = MARKER
    with pytest.raises(InputError, match=r"DSDB_1\.raw: no codeword decodes"):
        decode_frames(data.ravel(), "DSDB_1.raw")
