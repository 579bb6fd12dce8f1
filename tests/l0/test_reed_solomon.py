"""Reed-Solomon codes of all kinds against frames encoded by the definition, and the odds of a wrong correction."""

import math

import numpy as np
import pytest
from frame_model import Mission, dual, encode, hit
from numpy.typing import NDArray

from s2dask.l0.galois import conventional_to_dual, dual_to_conventional
from s2dask.l0.reed_solomon import ReedSolomon, correct, correct_frames, damaged, damaged_lanes

Bytes = NDArray[np.uint8]
CODES = [(16, 8, False), (16, 8, True), (32, 4, True), (32, 5, False), (32, 5, True), (32, 1, False), (16, 1, True)]


@pytest.mark.parametrize(("parity", "interleave", "basis"), CODES)
def test_every_code_is_checked_and_corrected_to_its_limit(parity: int, interleave: int, basis: bool) -> None:
    code, sent = ReedSolomon(parity, interleave, basis), Mission(parity, interleave, basis, randomised=False).frames(6)
    bare = np.ascontiguousarray(sent[:, 4:])
    assert bare.shape[1] == code.coded_bytes
    assert not damaged(bare, code).any()
    assert damaged(bare, ReedSolomon(parity, interleave, not basis)).all()
    for errors in (1, parity // 2):
        hurt = np.ascontiguousarray(hit(sent, interleave, interleave, errors, errors)[:, 4:])
        assert damaged(hurt, code).all()
        np.testing.assert_array_equal(correct(hurt, np.arange(6), code), interleave * errors)
        np.testing.assert_array_equal(hurt, bare)
    hurt = np.ascontiguousarray(hit(sent, interleave, interleave, parity // 2 + 1, 9)[:, 4:])
    before = hurt.copy()
    np.testing.assert_array_equal(correct(hurt, np.arange(6), code), -1)
    np.testing.assert_array_equal(hurt, before)


def test_only_the_codewords_that_are_named_are_touched() -> None:
    code, sent = ReedSolomon(16, 8), Mission(randomised=False).frames(3)
    hurt = np.ascontiguousarray(hit(sent, 8, 3, 5, 1)[:, 4:])
    np.testing.assert_array_equal(damaged_lanes(hurt, code), 0b111)
    np.testing.assert_array_equal(correct_frames(hurt, np.arange(3), np.full(3, 0b101), code), [[2, 10, 0]] * 3)
    np.testing.assert_array_equal(damaged_lanes(hurt, code), 0b010)


def test_every_single_error_is_seen_and_put_right() -> None:
    code = ReedSolomon(32, 1, dual=True)
    bare = np.ascontiguousarray(Mission(32, 1, True, False).frames(1)[:, 4:])
    hurt = np.repeat(bare, 255, 0)
    hurt[np.arange(255), np.arange(255)] ^= np.arange(1, 256, dtype=np.uint8)
    assert damaged(hurt, code).all()
    np.testing.assert_array_equal(correct(hurt, np.arange(255), code), 1)
    np.testing.assert_array_equal(hurt, np.repeat(bare, 255, 0))


def test_dual_representation_is_that_of_the_standard() -> None:
    np.testing.assert_array_equal(conventional_to_dual(), dual(np.arange(256, dtype=np.uint8)))
    np.testing.assert_array_equal(dual_to_conventional()[conventional_to_dual()], np.arange(256))


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("errors", [9, 10, 17, 60, 255])
def test_wrong_corrections_are_as_rare_as_theory_says(errors: int) -> None:
    # a word with too many errors is as good as random: the spheres of radius 8 fill 1 / 8! of the space
    random, count = np.random.default_rng(errors), 24_000
    data = np.repeat(encode(random.integers(0, 256, (1, 239), np.uint8), 16), count, 0)
    for row in data:
        row[random.choice(255, errors, replace=False)] ^= random.integers(1, 256, errors, np.uint8)
    code = ReedSolomon(16, 1)
    symbols = correct(data, np.arange(count), code)
    wrong = int((symbols >= 0).sum())
    expected = count * sum(math.comb(255, k) * 255**k for k in range(9)) / 256**16
    assert expected == pytest.approx(count / math.factorial(8), rel=0.2)
    assert wrong <= expected + 5 * math.sqrt(expected) + 1
    # what was changed is at least a codeword; what was given up is counted
    assert not damaged(data[symbols >= 0], code).any()
    assert int((symbols < 0).sum()) == count - wrong
