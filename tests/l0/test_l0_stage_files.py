"""Files of a session in any order, twice, late and again: the packets are those that were sent, and all is counted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from link_model import START, Link, any_packet, framed, plain, write_session
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import band
from s2dask.l0 import channel_file
from s2dask.l0.channel_file import FileResult, decode_blocks, decode_file
from s2dask.l0.packet_file import split_frames
from s2dask.l0.session import scan_session
from s2dask.l0.stage import (
    COMPLETE,
    LOST,
    StripPlan,
    changed_granules,
    gather_packets,
    granules_of,
    plan_strip,
    plan_strips,
)

Bytes = NDArray[np.uint8]
CUTS = (150, 290, 430, 600, 830)


@pytest.fixture(scope="module")
def link() -> Link:
    """Two detectors on two channels, a 60 m and a 20 m band, three scenes."""
    return Link((6, 7), ("B01", "B11"), 3)


@pytest.fixture(scope="module")
def parts(link: Link) -> list[Bytes]:
    """Channel 1 in six files."""
    return np.split(link.channel(1), CUTS)


def _results(folder: Path, files: Mapping[int, Sequence[Bytes]]) -> list[FileResult]:
    write_session(folder, {1: [], 2: []} | dict(files))
    work = folder / "work"
    work.mkdir()
    session = scan_session(str(folder))
    return [decode_file(f, c.number, str(work)) for c in session.channels for f in c.files]


def _plan(folder: Path, files: Mapping[int, Sequence[Bytes]]) -> StripPlan:
    return plan_strip(_results(folder, files), "session", str(folder / "work"))


def _granules(plan: StripPlan) -> dict[tuple[int, str, int], dict[str, NDArray[Any]]]:
    return {(d, n, s): gather_packets(plan, d, n, s) for d, n in plan.tables for s in range(plan.scenes)}


def _same(a: Mapping[str, NDArray[Any]], b: Mapping[str, NDArray[Any]]) -> bool:
    return all(np.array_equal(a[key], b[key]) for key in a)


def _whole(plan: StripPlan, link: Link) -> None:
    for (d, name, scene), got in _granules(plan).items():
        per = band(name).packets_per_scene
        assert (got["status"] == COMPLETE).all()
        np.testing.assert_array_equal(got["packets"], link.packets[d, name][scene * per : (scene + 1) * per])


ORDERS = {"reversed": (5, 4, 3, 2, 1, 0), "swapped": (0, 2, 1, 3, 4, 5), "any": (3, 0, 5, 1, 4, 2)}


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_files_under_each_others_names_are_put_in_the_order_of_their_frames(
    link: Link, parts: list[Bytes], tmp_path: Path, order: tuple[int, ...]
) -> None:
    plan = _plan(tmp_path, {1: [parts[k] for k in order], 2: [link.channel(2)]})
    _whole(plan, link)
    assert (plan.gaps, plan.counters["lost_packets"], plan.counters["duplicate_frames"]) == ((), 0, 0)


@pytest.mark.row("IPF-01")
def test_swapped_files_across_the_wrap_of_the_counter(tmp_path: Path) -> None:
    link = Link((6,), ("B01",), 1, {20: 2**24 - 150})
    a, b, c = np.split(link.channel(2), (100, 250))
    plan = _plan(tmp_path, {2: [c, a, b]})
    _whole(plan, link)
    assert plan.gaps == ()


@pytest.mark.row("IPF-01")
def test_frames_that_come_in_two_files_count_once(link: Link, parts: list[Bytes], tmp_path: Path) -> None:
    """A file under two names that differs by a frame, and one that lies within another."""
    files = {1: [*parts[:3], parts[2][:-1], *parts[3:], parts[4][20:60]], 2: [link.channel(2)]}
    plan = _plan(tmp_path, files)
    _whole(plan, link)
    assert (plan.gaps, plan.counters["lost_packets"]) == ((), 0)
    assert plan.counters["duplicate_frames"] == len(parts[2]) - 1 + 40
    assert plan.counters["packets"] == 3 * 2 * (24 + 72)


@pytest.mark.row("IPF-01")
def test_a_file_of_the_other_channel_is_refused(link: Link, parts: list[Bytes], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ch1_DSDB_00002.raw: virtual channels \[20\] on channel 1"):
        _plan(tmp_path, {1: [parts[0], link.channel(2)[:99], *parts[1:]], 2: [link.channel(2)]})


@pytest.mark.row("IPF-02")
def test_housekeeping_telemetry_is_kept_apart(link: Link, tmp_path: Path) -> None:
    """Frames of a virtual channel with no other name come among the images."""
    random = np.random.default_rng(3)
    house = framed([any_packet(random, 900, k) for k in range(40)], 7)
    images = link.channel(1)
    mixed = np.concatenate([images[:50], house[:11], images[50:], house[11:]])
    plan = _plan(tmp_path, {1: [mixed], 2: [link.channel(2)]})
    _whole(plan, link)
    assert (plan.gaps, plan.counters["lost_packets"]) == ((), 0)
    assert plan.counters["housekeeping_frames"] == len(house)
    (kept,) = tmp_path.rglob("*.hktm")
    found = split_frames(np.fromfile(kept, np.uint8), kept.name)
    assert {int(v) for v in found[:, 1] & 0x3F} == {7}
    np.testing.assert_array_equal(found, plain(house)[:, 4 : 4 + 1912])


def test_small_files_do_not_cost_a_packet(link: Link, tmp_path: Path) -> None:
    """A packet of 16 frames over many files of a few frames each."""
    one = link.channel(1)
    files = [*np.split(one[:60], range(3, 60, 3)), one[60:]]
    plan = _plan(tmp_path, {1: files, 2: [link.channel(2)]})
    _whole(plan, link)
    assert plan.gaps == ()


@pytest.mark.parametrize("size", [997, 2044, 100_000])
def test_the_size_of_blocks_does_not_matter(link: Link, tmp_path: Path, size: int) -> None:
    data = np.delete(link.channel(1)[:200], [40, 41, 90], 0).tobytes()
    found = []
    for name, step in (("a", len(data)), ("b", size)):
        pieces = (data[k : k + step] for k in range(0, len(data), step))
        found.append(decode_blocks(pieces, 1, tmp_path / name, "x"))
    a, b = (r.parts[4] for r in found)
    assert found[0].counters == found[1].counters
    assert a.edges == b.edges
    np.testing.assert_array_equal(a.rows(), b.rows())
    assert Path(a.stream).read_bytes() == Path(b.stream).read_bytes()
    assert len(a.edges) == 3


def test_a_file_is_decoded_once(parts: list[Bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "DCS_01_x_ch1_DSDB_00001.raw"
    path.write_bytes(parts[0].tobytes())
    first = decode_file(str(path), 1, str(tmp_path))
    monkeypatch.setattr(channel_file, "decode_blocks", None)
    assert decode_file(str(path), 1, str(tmp_path)) == first
    path.write_bytes(parts[1].tobytes())
    with pytest.raises(TypeError):
        decode_file(str(path), 1, str(tmp_path))


def test_files_in_memory(link: Link, parts: list[Bytes], tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    write_session(tmp_path / "s", {1: parts, 2: [link.channel(2)]})
    memory.put(str(tmp_path / "s"), "/pass/s", recursive=True)
    try:
        session = scan_session("memory://pass/s")
        results = [decode_file(f, c.number, str(tmp_path)) for c in session.channels for f in c.files]
    finally:
        memory.rm("/pass", recursive=True)
    _whole(plan_strip(results, session.id, str(tmp_path)), link)


@pytest.mark.row("OPS-04")
@pytest.mark.parametrize("late", range(len(CUTS) + 1))
def test_a_late_file_touches_only_its_granules(link: Link, parts: list[Bytes], tmp_path: Path, late: int) -> None:
    results = _results(tmp_path, {1: parts, 2: [link.channel(2)]})
    work = str(tmp_path / "work")
    before = plan_strip([r for k, r in enumerate(results) if k != late], "s", work)
    after = plan_strip(results[::-1], "s", work)
    _whole(after, link)
    changed = changed_granules(before, after)
    shift = round((after.start - before.start) / 3.607772824e9)
    old, new = _granules(before), _granules(after)
    differing = {
        (d, n, s) for (d, n, s), got in new.items()
        if (d, n, s + shift) not in old or not _same(old[d, n, s + shift], got)
    }  # fmt: skip
    assert set(changed) == differing
    assert {d for d, _, _ in changed} == {7}
    assert changed_granules(after, plan_strip(results, "s", work)) == ()
    assert set(granules_of(changed)) == {(d, s) for d, _, s in changed}


@pytest.mark.row("OPS-04")
def test_a_retransferred_file_touches_only_what_it_mends(link: Link, parts: list[Bytes], tmp_path: Path) -> None:
    hurt = np.delete(parts[2], [60, 61], 0)
    results = _results(tmp_path / "a", {1: [*parts[:2], hurt, *parts[3:]], 2: [link.channel(2)]})
    again = _results(tmp_path / "b", {1: parts, 2: [link.channel(2)]})
    work = str(tmp_path / "a" / "work")
    before, after = plan_strip(results, "s", work), plan_strip([*results[:2], again[2], *results[3:]], "s", work)
    assert before.counters["missing_frames"] == 2
    changed = changed_granules(before, after)
    lost = {key for key, got in _granules(before).items() if (got["status"] == LOST).any()}
    assert set(changed) == lost
    assert 1 <= len(changed) <= 2
    _whole(after, link)


def test_everything_is_new_at_first(link: Link, parts: list[Bytes], tmp_path: Path) -> None:
    plan = _plan(tmp_path, {1: parts, 2: [link.channel(2)]})
    assert len(changed_granules(None, plan)) == 2 * 2 * 3


@pytest.mark.row("IPF-02")
def test_two_datatakes_in_a_session_are_two_datastrips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Link((6,), ("B01", "B09"), 2)
    monkeypatch.setattr("link_model.START", START + 40_000_000_321)
    second = Link((6,), ("B01", "B09"), 1, {20: len(first.frames[2][20]), 2: len(first.frames[2][2])})
    frames = [first.frames[2][20], second.frames[2][20], first.frames[2][2], second.frames[2][2]]
    results = _results(tmp_path, {2: [np.concatenate(frames)]})
    strips = plan_strips(results, "s", str(tmp_path / "work"))
    assert [s.scenes for s in strips] == [2, 1]
    assert [s.counters["packets"] for s in strips] == [2 * 48, 48]
    assert [s.counters["lost_packets"] for s in strips] == [0, 0]
    for strip, link in zip(strips, (first, second), strict=True):
        _whole(strip, link)
        assert np.isin(link.point_time, strip.points.time).all()
    with pytest.raises(InputError, match="2 datastrips"):
        plan_strip(results, "s", str(tmp_path / "work"))
