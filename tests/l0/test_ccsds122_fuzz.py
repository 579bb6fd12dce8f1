"""The CCSDS 122.0-B decoder on bytes that no encoder wrote: lines or bad lines, never a crash, never out of bounds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ccsds122_scenes import packets_of, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2dask.instrument.telemetry import ISP_HEAD_BYTES
from s2dask.l0.codec.ccsds122 import Ccsds122, encode_strip

SIZE = 11716
STRIPS = {
    "ground": encode_strip(texture(1296, seed=1), SIZE),
    "noise": encode_strip(np.random.default_rng(0).integers(0, 4096, (16, 1296), np.uint16), SIZE),
    "flat": encode_strip(np.full((16, 1296), 123, np.uint16), SIZE),
    "lossless": encode_strip(texture(1296, seed=1, contrast=40.0), None).ljust(SIZE, b"\0"),
}
HEAD = 20


def _check(strips: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    packets = packets_of([s.tobytes() for s in strips], SIZE)
    lines, bad = Ccsds122().decode(packets, np.zeros(len(strips), np.uint8))
    again, bad_again = Ccsds122().decode(packets, np.zeros(len(strips), np.uint8))
    np.testing.assert_array_equal(lines, again)
    np.testing.assert_array_equal(bad, bad_again)
    assert lines.max() <= 4095
    assert not lines[bad].any()
    coarse, bad_rows = Ccsds122().decode_coarse(packets, np.zeros(len(strips), np.uint8))
    assert coarse.max() <= 4095
    assert (bad_rows[::2] <= bad[::16]).all(), "what has no DC coefficients has no lines"
    return bad[::16]


def _strip(kind: str) -> NDArray[np.uint8]:
    return np.frombuffer(STRIPS[kind], np.uint8).copy()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(STRIPS)),
    st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 255)), min_size=1, max_size=20),
)
def test_changed_bytes(kind: str, changes: list[tuple[int, int]]) -> None:
    strip = _strip(kind)
    for place, change in changes:
        strip[place] ^= change
    _check([strip])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(STRIPS)), st.integers(0, 2**32), st.integers(HEAD, SIZE))
def test_noise_from_some_byte_on(kind: str, seed: int, place: int) -> None:
    strip = _strip(kind)
    strip[place:] = np.random.default_rng(seed).integers(0, 256, SIZE - place)
    _check([strip])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 31), st.integers(0, 31), st.sampled_from([0, 255, None]))
def test_any_depths_and_any_data(seed: int, depth_dc: int, depth_ac: int, fill: int | None) -> None:
    rng = np.random.default_rng(seed)
    strip = rng.integers(0, 256, SIZE).astype(np.uint8) if fill is None else np.full(SIZE, fill, np.uint8)
    strip[:HEAD] = _strip("ground")[:HEAD]
    word = int.from_bytes(strip[1:3].tobytes(), "big")
    word = word & ~(0x3FF << 4) | depth_dc << 9 | depth_ac << 4
    strip[1:3] = np.frombuffer((word & 0xFFFF).to_bytes(2, "big"), np.uint8)
    _check([strip])


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(list(STRIPS)), st.integers(0, SIZE))
def test_the_rest_is_missing(kind: str, size: int) -> None:
    strip = _strip(kind)
    strip[size:] = 0
    bad = _check([strip])
    assert bad[0] or size >= HEAD or kind == "flat"
    packets = packets_of([STRIPS["ground"], strip[:size].tobytes()])
    packets[1, ISP_HEAD_BYTES + size :] = 0xFF
    Ccsds122().decode(packets, np.zeros(2, np.uint8))


def test_a_head_of_another_image_is_bad() -> None:
    strips = []
    for bit in range(8 * HEAD):
        strip = _strip("ground")
        strip[bit // 8] ^= 0x80 >> bit % 8
        strips.append(strip)
    bad = _check(strips)
    free = {*range(10, 20), *range(32, 59), 67, 92, 93, 96}
    """Depths, SegByteLimit, UseFill, which of two code options the encoder chose by, transform: all that may differ."""
    assert set(np.flatnonzero(~bad).tolist()) <= free


@pytest.mark.slow
def test_no_index_is_out_of_bounds(tmp_path: Path) -> None:
    """Every test of this module again, with the compiled code checking each index."""
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", str(Path(__file__)), "-p", "no:cacheprovider"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
