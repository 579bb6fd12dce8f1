"""Ancillary data by structure: the real file, files written and read, what is kept out, what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.errors import InputError, InputMissing
from s2dask.instrument.telemetry import APID_AOCS, APID_GPS, APID_MSI_THERMAL, SAD_SOURCES
from s2dask.l0.ancillary import parse_samples
from s2dask.l0.ancillary_tables import (
    demultiplex,
    file_part,
    index_of,
    of_kind,
    read_files,
    split_files,
    split_kinds,
    write_files,
)
from s2dask.l0.packet_file import annotations, read_packets
from s2dask.l0.packets import PacketIndex, index_packets
from s2dask.simulate.coding import ancillary_packets, idle_packet, image_packets

START = 1_281_614_557_000_000_000
NAME = "S2B_OPER_AUX_SADATA_REFS_20221124T163650_V20221011T064029_20221011T064149_A000034_WF_LN"
Bytes = np.ndarray


def _stream(packets: list[Bytes]) -> tuple[Bytes, PacketIndex]:
    size = np.array([p.size for p in packets], np.int64)
    stream = np.concatenate(packets)
    return stream, index_packets(stream, np.cumsum(size) - size, size, "ancillary")


def _house() -> list[Bytes]:
    random = np.random.default_rng(2)
    out: list[Bytes] = []
    for apid, sid, width, step in (
        (APID_GPS, 1, 6, 10**9), (790, 224, 3, 10**9), (APID_AOCS, 105, 4, 10**8), (598, 105, 5, 125_000_000),
        (614, 105, 5, 125_000_000), (630, 105, 5, 125_000_000), (APID_MSI_THERMAL, 123, 7, 10**10),
    ):  # fmt: skip
        time = START + np.arange(20) * step
        out += list(ancillary_packets(apid, sid, time, random.normal(size=(20, width))))
    return [out[k] for k in random.permutation(len(out))]


@pytest.mark.row("IPF-02")
def test_the_real_thermal_packets(reference_data: Path, tmp_path: Path) -> None:
    folder = reference_data / "ops/l0c/ANC_DATA"
    tables = read_files(folder)
    assert set(tables) == {(150, 123)}
    table = tables[150, 123]
    assert (table.kind, table.file_part, set(table.size.tolist())) == ("thermal", "S09123", {60})
    # every 10 s, from 06:39:59 to 06:42:19 UTC (18 s behind GPS): the file name says less
    assert np.round(np.diff(table.time) / 1e8).tolist() == [100] * 14
    day = 15_619 * 86_400 + 18
    seconds = [(int(t) // 10**9 - day) for t in table.time[[0, -1]]]
    assert seconds == [6 * 3600 + 39 * 60 + 59, 6 * 3600 + 42 * 60 + 19]
    (path,) = folder.glob("*.bin")
    found = read_packets(np.fromfile(path, np.uint8), path.name)
    index = index_of(found)
    np.testing.assert_array_equal(
        table.data, np.stack([np.frombuffer(found.packet(k)[19:-2], np.uint8) for k in range(15)])
    )
    parts = split_files(found.data, index, found.annotation)
    (written,) = write_files(tmp_path, NAME, parts)
    assert written.name == path.name
    assert hashlib.sha3_256(written.read_bytes()).hexdigest() == hashlib.sha3_256(path.read_bytes()).hexdigest()


def test_names_of_the_real_files_are_those_of_their_apids(reference_data: Path) -> None:
    """Sources and SIDs of the manifest: AOCS, star trackers A and B, GPS, MSI."""
    text = (reference_data / "ops/l0c/manifest.safe").read_text("utf-8")
    parts = {t[:6] for t in text.split("_AUX_")[1:] if t.startswith("S") and t[1].isdigit()}
    assert {int(p[1:3]) for p in parts} == {APID_AOCS >> 4, 598 >> 4, 614 >> 4, APID_GPS >> 4, APID_MSI_THERMAL >> 4}
    assert len(parts) == 29
    assert file_part(APID_AOCS, 105) in parts
    assert file_part(APID_GPS, 224) in parts
    assert file_part(781, 224) == file_part(APID_GPS, 224)


@pytest.mark.row("IPF-02")
def test_sources_are_told_apart() -> None:
    packets = _house()
    tables = demultiplex(*_stream(packets))
    assert {key: t.data.shape for key, t in tables.items()} == {
        (774, 1): (20, 56), (790, 224): (20, 32), (182, 105): (20, 40), (598, 105): (20, 48), (614, 105): (20, 48),
        (630, 105): (20, 48), (150, 123): (20, 64),
    }  # fmt: skip
    kinds = {kind: [t.apid for t in of_kind(tables, kind)] for kind in ("ephemeris", "attitude", "thermal", "other")}
    assert kinds == {"ephemeris": [774, 790], "attitude": [182, 598, 614, 630], "thermal": [150], "other": []}
    assert all((np.diff(t.time) > 0).all() and (np.diff(t.count) == 1).all() for t in tables.values())
    # what we know how to decode is in there as it is
    points = parse_samples([p.tobytes() for p in packets], APID_GPS)
    raw = np.ascontiguousarray(tables[774, 1].data[:, 8:]).view(">f8")
    np.testing.assert_array_equal(raw, points.values)


def test_damaged_repeated_and_foreign_packets_are_left_out() -> None:
    packets = _house()
    apid = {k: (int(p[0]) & 7) << 8 | int(p[1]) for k, p in enumerate(packets)}
    k = next(k for k in apid if apid[k] == APID_GPS)
    broken = packets[k].copy()
    broken[30] ^= 1
    lines = np.zeros((16, 12), np.uint16)
    odd = [*image_packets(lines, 348, np.array([START])), idle_packet(100)]
    tables = demultiplex(*_stream([*packets[:k], broken, *packets[k + 1 :], *odd, *packets[k + 1 : k + 9]]))
    assert sorted(tables) == sorted(demultiplex(*_stream(packets)))
    assert {a: t.time.size for (a, _), t in tables.items()} == {a: 20 - (a == APID_GPS) for a in set(apid.values())}


def test_files_are_written_and_read(tmp_path: Path) -> None:
    stream, index = _stream(_house())
    notes = annotations(index.size, np.full(index.size.size, 10**15), np.ones(index.size.size, np.int64), 2)
    parts = split_files(stream, index, notes)
    assert sorted(parts) == ["S09123", "S11105", "S37105", "S38105", "S39105", "S48001", "S49224"]
    paths = write_files(tmp_path / "ANC_DATA", NAME, parts)
    assert paths[0].name == NAME.replace("SADATA", "S09123") + ".bin"
    again, tables = read_files(tmp_path / "ANC_DATA"), demultiplex(stream, index)
    assert again.keys() == tables.keys()
    for key, table in tables.items():
        np.testing.assert_array_equal(again[key].time, table.time)
        np.testing.assert_array_equal(again[key].data, table.data)
    paths[0].rename(paths[1])
    with pytest.raises(InputError, match="holds S09123; the name is that of another file"):
        read_files(tmp_path / "ANC_DATA")


def test_files_are_cut_by_the_dates_of_packets() -> None:
    time = START + np.arange(-40, 81) * 10**9
    stream, index = _stream(list(ancillary_packets(APID_GPS, 1, time, np.ones((time.size, 6)))))
    notes = np.zeros((time.size, 20), np.uint8)
    (content,) = split_files(stream, index, notes, (START, START + 10**9)).values()
    assert content.size == (26 + 1 + 1 + 60) * (20 + int(index.size[0]))


def test_no_files_and_no_name_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no file AUX_S<PRID><SID>"):
        read_files(tmp_path)
    with pytest.raises(InputError, match="no name of an AUX_SADATA"):
        write_files(tmp_path, "S2B_OPER_MSI_L0__DS", {})


def test_housekeeping_is_kept_apart() -> None:
    packets = [*_house()[:3], *ancillary_packets(1000, 5, np.array([START]), np.ones((1, 2)))]
    packets += list(image_packets(np.zeros((16, 12), np.uint16), 348, np.array([START])))
    stream, index = _stream(packets)
    split = split_kinds(index, ["image", "ancillary", "housekeeping"])
    assert {kind: int(of.sum()) for kind, of in split.items()} == {"image": 1, "ancillary": 3, "housekeeping": 1}
    tables = demultiplex(stream, index)
    assert [t.apid for t in of_kind(tables, "other")] == [1000]
    assert set(SAD_SOURCES) >= {t.apid for t in tables.values()} - {1000}


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.binary(min_size=0, max_size=400), st.lists(st.tuples(st.integers(0, 399), st.integers(0, 60)), max_size=8))
def test_any_bytes_are_sorted_without_a_crash(content: bytes, places: list[tuple[int, int]]) -> None:
    stream = np.frombuffer(content, np.uint8)
    inside = [(o, s) for o, s in places if o + s <= stream.size]
    offset, size = np.array(inside, np.int64).reshape(-1, 2).T
    for kind in ("image", "ancillary"):
        demultiplex(stream, index_packets(stream, offset, size, kind))
