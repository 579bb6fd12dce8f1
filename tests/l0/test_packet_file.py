"""Files of packets: the real ones, byte for byte; files that are cut, bare, or something else."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.errors import InputError
from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import CADU_BYTES, HKTM_FRAME_BYTES, SAD_STRUCTURE_AT
from s2dask.l0.packet_file import (
    DAY,
    annotations,
    file_bytes,
    frame_notes,
    is_ancillary,
    read_frame_notes,
    read_packets,
    split_frames,
)
from s2dask.l0.packets import index_packets
from s2dask.simulate.coding import ancillary_packets, image_packets

MANIFEST = re.compile(r'size="(\d+)">\s*<fileLocation[^>]*href="([^"]*)"[^>]*>\s*<checksum[^>]*>([^<]*)<')


def _listed(path: Path) -> dict[str, tuple[int, str]]:
    """Return size and checksum of the files that a manifest lists, by name."""
    return {
        href.split("/")[-1]: (int(size), digest) for size, href, digest in MANIFEST.findall(path.read_text("utf-8"))
    }


@pytest.mark.row("IPF-02")
@pytest.mark.parametrize(
    ("name", "date", "frames"),
    [
        ("B01", (36_201_645, 559), 8), ("B02", (36_201_951, 625), 12), ("B03", (36_202_510, 321), 12),
        ("B05", (36_203_426, 240), 7), ("B09", (36_204_560, 393), 7), ("B11", (36_204_725, 660), 7),
    ],
)  # fmt: skip
def test_heads_of_real_band_files(reference_data: Path, name: str, date: tuple[int, int], frames: int) -> None:
    """The first 1024 bytes of files of the granule that was seen at 2019-10-01T08:36:50.840 UTC by D01."""
    (path,) = (reference_data / "ops/l0_granule/IMG_DATA").glob(f"*_D01_{name}.bin")
    found = read_packets(np.fromfile(path, np.uint8), path.name)
    b = BANDS[name]
    assert (len(found), found.kind) == (1, "image")
    assert found.size.tolist() == [b.packet_length]
    assert found.cut == 20 + b.packet_length - 1024
    # 2019-10-01 is day 7213; the downlink was at 10:03:21 and the seconds after
    assert found.downlink.tolist() == [7213 * DAY + date[0] * 1000 + date[1]]
    assert (found.channel.tolist(), found.frames.tolist(), found.bad_frames.tolist()) == ([20], [frames], [0])
    rebuilt = annotations(found.size, found.downlink, found.frames, 20)
    assert rebuilt.tobytes() == found.annotation.tobytes()
    index = index_packets(found.data, found.offset, np.array([1000]), "image")
    assert (index.apid.tolist(), index.count.tolist()) == ([336 + b.index], [0])
    # 08:36:50.840 UTC is 08:37:08.840 GPS: 14153 days and that time of day after 1980-01-06
    date_gps = (14_513 * 86_400 + 8 * 3600 + 37 * 60 + 8) * 1_000_000_000 + 840_101_360
    assert abs(int(index.time[0]) - date_gps) < 1000
    assert found.packet(0)[13:18].hex() == "0018011923"
    records = np.frombuffer(found.packet(0)[18:114], np.uint8).reshape(8, 12)
    assert (records == records[0]).all()


@pytest.mark.row("IPF-02")
def test_real_band_files_hold_whole_packets(reference_data: Path) -> None:
    listed = _listed(reference_data / "ops/l0_granule/manifest.safe")
    sizes = {name[-7:-4]: size for name, (size, _) in listed.items() if name.endswith(".bin")}
    assert sizes == {n: b.packets_per_scene * (20 + b.packet_length) for n, b in BANDS.items()}
    assert sum(sizes.values()) == 18_294_624


@pytest.mark.row("IPF-02")
def test_the_real_ancillary_file(reference_data: Path) -> None:
    (path,) = (reference_data / "ops/l0c/ANC_DATA").glob("*_AUX_S09123_*.bin")
    data = np.fromfile(path, np.uint8)
    size, digest = _listed(reference_data / "ops/l0c/manifest.safe")[path.name]
    assert (data.size, hashlib.sha3_256(data.tobytes()).hexdigest().upper()) == (size, digest)
    found = read_packets(data, path.name)
    assert (len(found), found.kind, found.cut) == (15, "ancillary", 0)
    assert (set(found.size.tolist()), set(found.channel.tolist()), set(found.frames.tolist())) == ({81}, {2}, {1})
    index = index_packets(data, found.offset, found.size, "ancillary")
    assert index.good.all()
    assert index.count.tolist() == list(range(0x2B13, 0x2B13 + 15))
    assert {found.packet(k)[SAD_STRUCTURE_AT : SAD_STRUCTURE_AT + 2] for k in range(15)} == {bytes((0x1F, 123))}
    assert all(is_ancillary(found.packet(k)) for k in range(15))
    # written again from what was read: the same file, bit for bit
    again = annotations(found.size, found.downlink, found.frames, 2)
    assert file_bytes(data, found.offset, found.size, again).tobytes() == data.tobytes()


@pytest.mark.row("IPF-02")
def test_real_housekeeping_annotations(reference_data: Path) -> None:
    (path,) = (reference_data / "ops/hktm").glob("*annotation.dat")
    data = np.fromfile(path, np.uint8)
    notes = read_frame_notes(data, path.name)
    assert (notes.downlink.size, data.size) == (19_116, 344_088)
    # as its name says: 2019-12-03T05:18:37 to 05:18:42
    day = 7276 * DAY
    assert [(int(t) - day) // 1_000_000 for t in notes.downlink[[0, -1]]] == [19_117, 19_122]
    assert (np.diff(notes.downlink) > 0).all()
    assert set(notes.frame_length.tolist()) == {CADU_BYTES - 1}
    assert (set(notes.status.tolist()), set(notes.channel.tolist())) == ({0x8000}, {1})
    assert frame_notes(notes.downlink, CADU_BYTES).tobytes() == data.tobytes()
    manifest = (reference_data / "ops/hktm/manifest.safe").read_text("utf-8")
    # the frames themselves: header and packet zone, without marker and code
    assert f'size="{19_116 * HKTM_FRAME_BYTES}"' in manifest


def _image(cut: int = 0) -> tuple[np.ndarray, np.ndarray]:
    lines = np.random.default_rng(3).integers(0, 4096, (64, 12), np.uint16)
    packets = image_packets(lines, 348, 1_281_614_557_123_456_789 + np.arange(4) * 150_323_868)
    size = np.full(4, packets.shape[1])
    notes = annotations(size, 7213 * DAY + np.arange(4) * 1_000_001, np.array([1, 2, 12, 65_535]), 20, np.arange(4))
    data = file_bytes(packets.reshape(-1), np.arange(4) * packets.shape[1], size, notes)
    return data[: data.size - cut], packets


def test_what_is_written_is_read() -> None:
    data, packets = _image()
    found = read_packets(data, "x")
    assert [found.packet(k) for k in range(4)] == [p.tobytes() for p in packets]
    assert found.frames.tolist() == [1, 2, 12, 65_535]
    assert found.bad_frames.tolist() == [0, 1, 2, 3]
    assert found.downlink.tolist() == (7213 * DAY + np.arange(4) * 1_000_001).tolist()
    assert (found.kind, found.cut, bool(found.whole.all())) == ("image", 0, True)


def test_a_file_may_end_inside_its_last_packet() -> None:
    data, packets = _image(cut=100)
    found = read_packets(data, "x")
    assert (len(found), found.cut, found.whole.tolist()) == (4, 100, [True] * 3 + [False])
    assert found.packet(3) == packets[3].tobytes()[:-100]


def test_bare_packets_are_known() -> None:
    packets = ancillary_packets(182, 105, 1_281_614_557_000_000_000 + np.arange(3), np.ones((3, 4)))
    found = read_packets(packets.reshape(-1), "x")
    assert (len(found), found.kind, found.annotation.shape) == (3, "ancillary", (3, 0))


@pytest.mark.parametrize("content", [b"", b"\0", b"<?xml version='1.0'?><a/>", bytes(40), b"\x1a\xcf\xfc\x1d" * 600])
def test_what_is_no_packet_file_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"odd\.bin: "):
        read_packets(np.frombuffer(content, np.uint8), "odd.bin")


def test_a_damaged_record_is_named() -> None:
    data, packets = _image()
    data[20 + packets.shape[1] + 10] ^= 1
    with pytest.raises(InputError, match=f"no packet at byte {20 + packets.shape[1]}, after 1 packets"):
        read_packets(data, "x")


@pytest.mark.parametrize("content", [b"", bytes(17), bytes(19)])
def test_odd_housekeeping_files_are_refused(content: bytes) -> None:
    data = np.frombuffer(content, np.uint8)
    with pytest.raises(InputError, match="no whole records of 18"):
        read_frame_notes(data, "x")
    with pytest.raises(InputError, match="no whole frames of 1912"):
        split_frames(data, "x")


def test_frames_of_a_measurement_file() -> None:
    data = np.arange(3 * HKTM_FRAME_BYTES).astype(np.uint8)
    np.testing.assert_array_equal(split_frames(data, "x").reshape(-1), data)


def test_defects_of_frames_are_noted() -> None:
    notes = frame_notes(
        np.array([5, 6, 7]), CADU_BYTES, 2, np.array([False, True, False]), np.array([0, 1, 4], np.uint8)
    )
    found = read_frame_notes(notes, "x")
    assert found.status.tolist() == [0x8000, 0xA001, 0x8004]
    assert found.channel.tolist() == [2, 2, 2]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_any_bytes_are_read_or_refused(content: bytes, seed: int) -> None:
    data, _ = _image()
    random = np.random.default_rng(seed)
    data = data.copy()
    data[random.integers(0, data.size, 3)] = random.integers(0, 256, 3)
    for odd in (np.frombuffer(content, np.uint8), data, data[: random.integers(0, data.size)]):
        try:
            found = read_packets(odd, "x")
        except InputError:
            continue
        assert (found.offset[:-1] + found.size[:-1] <= odd.size).all()
        assert found.cut == max(0, int(found.offset[-1] + found.size[-1]) - odd.size)
