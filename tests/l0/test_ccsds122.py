"""The CCSDS 122.0-B codec: against its text in plain Python, lossless, at the mission's rates, in pieces."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from ccsds122_model import code, encode, transform, transform_float
from ccsds122_reader import read
from ccsds122_scenes import packets_of, psnr, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, band
from s2dask.instrument.telemetry import ISP_HEAD_BYTES
from s2dask.io.schema import packet_path
from s2dask.l0.codec import codec, codec_of_packet
from s2dask.l0.codec.ccsds122 import Ccsds122, decode_coarse, encode_strip, strip_bytes
from s2dask.l0.codec.float_wavelet import forward_float, inverse_float
from s2dask.l0.codec.wavelet import forward, inverse
from s2dask.l0.codec.words import tables
from s2dask.production.strip import raw_lines

Strip = NDArray[np.uint16]
RATES = {2592: (2.97,), 1296: (2.655, 2.4)}


def _columns_of(width: int) -> NDArray[np.int64]:
    return np.arange(16)[:, None] * 0 + np.arange(width)


SCENES: dict[str, Callable[[np.random.Generator, int], NDArray[np.generic]]] = {
    "noise": lambda rng, w: rng.integers(0, 4096, (16, w)),
    "extremes": lambda rng, w: rng.integers(0, 2, (16, w)) * 4095,
    "ramp": lambda rng, w: (_columns_of(w) * rng.integers(1, 5) + 7 * np.arange(16)[:, None]) % 4096,
    "constant": lambda rng, w: np.full((16, w), rng.integers(0, 4096)),
    "steps": lambda rng, w: np.repeat(rng.integers(0, 4096, (16, w // 8)), 8, axis=1),
    "points": lambda rng, w: (rng.random((16, w)) < 0.01) * rng.integers(0, 4096, (16, w)),
    "faint": lambda rng, w: rng.integers(0, 2, (16, w)),
    "chequers": lambda rng, w: (np.arange(16)[:, None] + _columns_of(w)) % 2 * rng.integers(1, 4096),
    "ground": lambda rng, w: texture(w, int(rng.integers(1000))),
}


def _scene(kind: str, seed: int, width: int) -> Strip:
    return SCENES[kind](np.random.default_rng(seed), width).astype(np.uint16)


def _decoded(strip: bytes) -> tuple[Strip, NDArray[np.bool_]]:
    return Ccsds122().decode(packets_of([strip]), np.zeros(1, np.uint8))


@pytest.mark.parametrize("kind", list(SCENES))
def test_the_stream_is_what_the_text_says(kind: str) -> None:
    lines = _scene(kind, 40, 40)
    assert encode_strip(lines, None) == encode(lines.tolist(), None)
    lines, work = _scene(kind, 136, 136), np.empty((16, 136), np.int32)
    forward_float(lines, work)
    for size in (150, 400):
        if len(encode_strip(lines, None)) > size:
            assert encode_strip(lines, size) == code(work.tolist(), size, integer=False)


@pytest.mark.parametrize("kind", list(SCENES))
def test_another_reader_finds_the_coefficients(kind: str) -> None:
    lines, work = _scene(kind, 7, 72), np.empty((16, 72), np.int32)
    found, plane = read(encode_strip(lines, None), 72)
    assert plane == 0
    assert found == transform(lines.tolist())
    size = len(encode_strip(lines, None)) * 2 // 3
    strip = encode_strip(lines, size)
    if strip[12] >> 7 == 0 and size > 150:
        forward_float(lines, work)
        found, plane = read(strip, 72)
        known = np.abs(np.abs(np.array(found)) - np.abs(work)) < 1 << plane
        assert known[2:].all(), "every coefficient is known down to the last complete plane"
        assert known[:, 9:].all()


@pytest.mark.parametrize("kind", list(SCENES))
def test_the_float_transform_is_that_of_the_filters_and_comes_back(kind: str) -> None:
    lines = _scene(kind, 3, 72)
    work, back = np.empty((16, 72), np.int32), np.empty((16, 72), np.int32)
    forward_float(lines, work)
    assert np.abs(work - np.array(transform_float(lines.tolist()))).max() < 0.51, "nearest integers"
    inverse_float(work * 32, back)
    assert np.abs(back - lines.astype(int)).max() <= 2


def test_transform_is_what_the_text_says_and_comes_back() -> None:
    lines = np.random.default_rng(5).integers(0, 4096, (16, 48))
    work, scratch = lines.astype(np.int32), np.empty((16, 48), np.int32)
    forward(work, scratch)
    assert work.tolist() == transform(lines.tolist())
    inverse(work, scratch)
    np.testing.assert_array_equal(work, lines)


def test_codes_are_complete_prefix_codes() -> None:
    decode = tables().decode
    for kind, options in ((1, (0,)), (2, (0, 1)), (3, (0, 1, 2))):
        assert all((decode[kind, option] > 0).all() for option in options)
    assert (decode[4, 0] == 0).sum() == 1, "the longest code stands for no word of grandchildren"
    assert not decode[1, 2:].any()
    assert not decode[2, 2].any()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(SCENES)), st.integers(0, 2**32), st.sampled_from([1296, 2592]))
def test_lossless_is_lossless(kind: str, seed: int, width: int) -> None:
    lines = _scene(kind, seed, width)
    found, bad = _decoded(encode_strip(lines, None))
    np.testing.assert_array_equal(found, lines)
    assert found.dtype == np.uint16
    assert not bad.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 4095), st.integers(0, 4095))
def test_lossless_between_any_two_counts(seed: int, a: int, b: int) -> None:
    lines = np.where(np.random.default_rng(seed).random((16, 1296)) < 0.5, a, b).astype(np.uint16)
    np.testing.assert_array_equal(_decoded(encode_strip(lines, None))[0], lines)


def test_sizes_are_those_of_the_mission() -> None:
    assert [strip_bytes(2592, 2.97), strip_bytes(1296, 2.655), strip_bytes(1296, 2.4)] == [20944, 11716, 12960]
    for b in BANDS.values():
        size = strip_bytes(b.raw_columns, b.compression_rate)
        packets = packets_of([encode_strip(texture(b.raw_columns), size)])
        assert packets.shape[1] == b.packet_length
        assert codec_of_packet(b.packet_length, b.raw_columns, packets[0]) == "ccsds122"
        assert codec_of_packet(b.packet_length, b.raw_columns, np.zeros_like(packets[0])) == "mrcpb"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(SCENES)), st.integers(21, 40000))
def test_a_fixed_rate_gives_that_size(kind: str, size: int) -> None:
    strip = encode_strip(_scene(kind, size, 1296), size)
    assert len(strip) == size


@pytest.mark.parametrize("kind", sorted(SCENES.keys() - {"points"}))
def test_what_fits_is_lossless_and_the_rest_is_fill(kind: str) -> None:
    """But for scattered points, which the integer transform codes in fewer bits than the float one."""
    lines = _scene(kind, 1, 1296)
    whole = encode_strip(lines, None)
    for size in (len(whole), len(whole) + 200):
        strip = encode_strip(lines, size)
        assert strip[20 : len(whole)] == whole[20:]
        assert not any(strip[len(whole) :])
        np.testing.assert_array_equal(_decoded(strip)[0], lines)


def test_quality_grows_with_the_size() -> None:
    for width, rates in RATES.items():
        lines = texture(width, seed=3)
        sizes = sorted({strip_bytes(width, rate) for rate in (12.0, 8.0, 6.0, 4.0, 3.3, *rates, 2.0)})
        quality = [psnr(_decoded(encode_strip(lines, size))[0], lines) for size in sizes]
        assert quality == sorted(quality)
        assert quality[0] > 50
        assert all(psnr(_decoded(encode_strip(lines, strip_bytes(width, r)))[0], lines) > 70 for r in rates)
        assert quality[-1] == float("inf")


def test_any_beginning_of_a_strip_decodes_to_a_coarser_image() -> None:
    lines = texture(1296, seed=4)
    strip = encode_strip(lines, strip_bytes(1296, 2.655))
    cuts = sorted({*range(700, len(strip), 97), *range(3000, 3050), len(strip)})
    packets = [packets_of([strip[:cut]]) for cut in cuts]
    quality = []
    for cut, packet in zip(cuts, packets, strict=True):
        found, bad = Ccsds122().decode(packet, np.zeros(1, np.uint8))
        assert not bad.any(), cut
        quality.append(psnr(found, lines))
    assert quality[0] > 35
    assert np.diff(quality).min() > -0.2, "more bytes never make it worse, but for a plane that is only begun"
    assert np.maximum.accumulate(quality)[-1] == quality[-1]


def test_without_its_dc_coefficients_a_strip_is_bad() -> None:
    strip = encode_strip(texture(1296, seed=4), 11716)
    for cut in (21, 100, 200):
        found, bad = _decoded(strip[:cut])
        assert bad.all()
        assert not found.any()


def _packets(count: int, name: str = "B02") -> tuple[NDArray[np.uint8], Strip]:
    b = band(name)
    size = strip_bytes(b.raw_columns, b.compression_rate)
    lines = np.concatenate([texture(b.raw_columns, seed=k) for k in range(count)])
    return packets_of([encode_strip(lines[16 * k : 16 * k + 16], size) for k in range(count)]), lines


def test_lost_and_foreign_packets_are_bad_lines_and_their_neighbours_are_not() -> None:
    packets, lines = _packets(5)
    whole, _ = codec("ccsds122").decode(packets, np.zeros(5, np.uint8))
    packets[3] = np.random.default_rng(0).integers(0, 256, packets.shape[1])
    found, bad = codec("ccsds122").decode(packets, np.array([0, 1, 2, 0, 0], np.uint8))
    assert np.flatnonzero(bad).tolist() == [*range(16, 32), *range(48, 64)]
    assert not found[bad].any()
    np.testing.assert_array_equal(found[~bad], whole[~bad])
    assert psnr(found[~bad], lines[~bad]) > 70


@pytest.mark.row("IPF-09")
def test_every_split_gives_the_same_lines(tmp_path: Path) -> None:
    packets, _ = _packets(9, "B05")
    status = np.array([0, 0, 0, 1, 0, 2, 0, 0, 0], np.uint8)
    whole, bad = Ccsds122().decode(packets, status)
    for first in range(9):
        for last in range(first + 1, 10):
            lines, flags = Ccsds122().decode(packets[first:last], status[first:last])
            np.testing.assert_array_equal(lines, whole[16 * first : 16 * last])
            np.testing.assert_array_equal(flags, bad[16 * first : 16 * last])
    group = zarr.open_group(tmp_path / "l0.zarr", mode="w")
    facts = {"level": "L0", "unit": "S2A", "detectors": [5], "bands": ["B05"], "scenes": 1, "codec": "ccsds122"}
    group.attrs["s2dask"] = facts
    group.create_array(f"{packet_path(5, 'B05')}/packets", data=packets)
    group.create_array(f"{packet_path(5, 'B05')}/status", data=status)
    for start, stop in ((0, 144), (40, 100), (17, 18), (-64, 200), (79, 81)):
        first, lines = raw_lines(str(tmp_path / "l0.zarr"), 5, "B05", start, stop)
        flags = np.repeat(status, 16)[first : first + lines.bad.size]
        np.testing.assert_array_equal(lines.counts, whole[first : first + lines.bad.size])
        np.testing.assert_array_equal(lines.bad, flags == 1)
        np.testing.assert_array_equal(lines.degraded, flags == 2)


def test_threads_and_repeats_change_nothing() -> None:
    packets, lines = _packets(6)
    status = np.zeros(6, np.uint8)
    whole = Ccsds122().decode(packets, status)[0]

    def run(k: int) -> bool:
        size = packets.shape[1] - ISP_HEAD_BYTES - 2
        strip = encode_strip(lines[16 * (k % 6) : 16 * (k % 6) + 16], size)
        same = strip == packets[k % 6, ISP_HEAD_BYTES:-2].tobytes()
        return same and bool((Ccsds122().decode(packets, status)[0] == whole).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(24)))


def test_the_coarse_image_is_the_coarsest_level() -> None:
    packets, lines = _packets(3)
    coarse, bad = Ccsds122().decode_coarse(packets, np.array([0, 1, 0], np.uint8))
    assert coarse.shape == (6, 324)
    assert coarse.dtype == np.uint16
    assert bad.tolist() == [False, False, True, True, False, False]
    assert not coarse[bad].any()
    work = np.empty((16, 2592), np.int32)
    forward_float(lines[:16], work)
    assert np.abs(coarse[:2] - work[:2, :324] / 8).max() <= 8
    means = lines.reshape(6, 8, 324, 8).mean((1, 3))
    assert np.abs(coarse - means)[~bad].mean() < 0.1 * lines.std()
    np.testing.assert_array_equal(decode_coarse(packets[0]), coarse[:2])


def test_what_is_no_strip_is_refused() -> None:
    with pytest.raises(InputError, match="strip of 8 lines and 1296 columns; code 16 lines"):
        encode_strip(np.zeros((8, 1296), np.uint16), None)
    with pytest.raises(InputError, match="strip of 16 lines and 1292 columns"):
        encode_strip(np.zeros((16, 1292), np.uint16), None)
    with pytest.raises(InputError, match="count 4096; code counts of 12 bits"):
        encode_strip(np.full((16, 1296), 4096, np.uint16), None)
    with pytest.raises(InputError, match="20 bytes for a strip; give it 21 at least"):
        encode_strip(np.zeros((16, 1296), np.uint16), 20)
    with pytest.raises(InputError, match="packets of 5000 bytes hold no ccsds122 lines; name the right codec"):
        Ccsds122().decode(np.zeros((2, 5000), np.uint8), np.zeros(2, np.uint8))
