"""Sessions on disk to packets of detectors and bands: whole, damaged by the link, and cut into files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from link_model import START, Link, any_packet, framed, packet_frames, plain, write_session
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band
from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES, VCID_IDLE
from s2dask.l0.codec import codec
from s2dask.l0.session import scan_session
from s2dask.l0.stage import COMPLETE, DEGRADED, LOST, STEPS, StripPlan, decode_file, gather_packets, plan_strip
from s2dask.simulate.coding import append_crc, idle_frames

Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def link() -> Link:
    """Two detectors on two channels, a 60 m and a 20 m band, two scenes."""
    return Link()


@pytest.fixture(scope="module")
def small() -> Link:
    """One detector and a 60 m band."""
    return Link((6,), ("B01",), 1)


def _decoded(folder: Path, files: Mapping[int, Sequence[Bytes]]) -> StripPlan:
    # a channel that nothing came on has an empty DSIB
    write_session(folder, {1: [], 2: []} | dict(files))
    session = scan_session(str(folder))
    work = folder / "work"
    work.mkdir()
    results = [decode_file(f, c.number, str(work)) for c in session.channels for f in c.files]
    # files come in as they are fetched
    return plan_strip(results[::-1], session.id, str(work))


def _whole(link: Link) -> dict[int, list[Bytes]]:
    return {channel: [link.channel(channel)] for channel in (1, 2)}


def _status(plan: StripPlan, link: Link) -> dict[tuple[int, str], Bytes]:
    """Return the status of every packet, after holding every packet and its counts to what was sent."""
    out = {}
    for d, name in link.packets:
        per, lines = band(name).packets_per_scene, band(name).lines_per_scene
        parts = []
        for scene in range(link.scenes):
            got = gather_packets(plan, d, name, scene)
            there = got["status"] == COMPLETE
            sent = link.packets[d, name][scene * per : (scene + 1) * per]
            np.testing.assert_array_equal(got["packets"][there], sent[there])
            assert not got["packets"][got["status"] == LOST].any()
            np.testing.assert_array_equal(got["sequence_count"], np.arange(per))
            assert np.abs(got["packet_time"] - link.dates(d, name)[scene * per : (scene + 1) * per]).max() <= 90
            counts, bad = codec(plan.codec).decode(got["packets"], got["status"])
            good = np.repeat(there, 16)
            np.testing.assert_array_equal(counts[good], link.counts[d, name][scene * lines : (scene + 1) * lines][good])
            np.testing.assert_array_equal(bad, np.repeat(got["status"] == LOST, 16))
            parts.append(got["status"])
        out[d, name] = np.concatenate(parts)
    return out


@pytest.mark.row("IPF-01")
@pytest.mark.row("IPF-02")
@pytest.mark.row("IPF-03")
def test_a_clean_session_comes_back_bit_by_bit(link: Link, tmp_path: Path) -> None:
    plan = _decoded(tmp_path, _whole(link))
    assert all((status == COMPLETE).all() for status in _status(plan, link).values())
    assert (plan.detectors, plan.bands, plan.scenes, plan.codec) == ((6, 7), ("B01", "B11"), 2, "raw12")
    assert plan.counters["packets"] == 2 * 2 * (24 + 72)
    packets = ("lost_packets", "degraded_packets")
    wrong = (*packets, "missing_frames", "uncorrectable_frames", "corrected_frames", "skipped_bytes")
    assert {key: plan.counters[key] for key in wrong} == dict.fromkeys(wrong, 0)
    assert plan.counters["frames"] == sum(len(link.channel(c)) for c in (1, 2))
    assert plan.gaps == ()
    assert plan.degraded == ()
    assert (plan.datation.gps_sync, plan.datation.used_model) == (True, "INITIAL")
    for (d, name), table in plan.tables.items():
        assert abs(table.first_line_date - link.first_date(d, name)) < 60
    assert plan.residual <= 90
    assert abs(plan.start - START) < 60
    last = max(link.first_date(d, name) for d, name in link.packets)
    assert abs(plan.stop - last - round(2 * 2304 * LINE_PERIOD * 1e9)) < 60
    assert plan.start + 2 * SCENE_SECONDS * 1e9 <= plan.stop + 60
    np.testing.assert_array_equal(plan.points.values, link.points)
    np.testing.assert_array_equal(plan.points.time, link.point_time)
    np.testing.assert_array_equal(plan.attitude.values, link.quaternions)
    np.testing.assert_array_equal(plan.attitude.time, link.attitude_time)


class _Adrift(Link):
    """A link whose clock GPS does not steer: 3e-5 too slow, each date up to 3 us off."""

    PERIOD = LINE_PERIOD * (1 + 3e-5)

    def line_date(self, detector: int, name: str, line: NDArray[np.int64]) -> NDArray[np.int64]:
        since = np.round(line * (self.PERIOD * band(name).line_factor * 1e9)).astype(np.int64)
        return self.first_date(detector, name) + since

    def dates(self, detector: int, name: str) -> NDArray[np.int64]:
        number = 16 * np.arange(self.scenes * band(name).packets_per_scene)
        jitter = np.random.default_rng([detector, band(name).index]).integers(-3000, 3001, number.size)
        return self.line_date(detector, name, number) + jitter


@pytest.mark.row("IPF-03")
def test_a_clock_without_gps_dates_lines_to_a_microsecond(tmp_path: Path) -> None:
    link = _Adrift((6, 7), ("B01", "B11"), 4)
    files = _whole(link)
    files[1] = [np.delete(link.channel(1), np.s_[700:760], 0)]
    plan = _decoded(tmp_path, files)
    assert (plan.datation.gps_sync, plan.datation.used_model, plan.scenes) == (False, "CORRECTED", 4)
    assert plan.datation.line_period == pytest.approx(_Adrift.PERIOD, rel=1e-7)
    assert plan.datation.residual == pytest.approx(3000 / np.sqrt(3), rel=0.1)
    assert plan.degraded == ()
    expected = _expected(link, 1, range(700, 760)) | _expected(link, 2, [])
    for (d, name), fit in plan.datation.dates.items():
        line = np.arange(4 * band(name).lines_per_scene)
        assert np.abs(fit.at(line) - link.line_date(d, name, line)).max() < 1000
        assert plan.tables[d, name].first_line_date == fit.first_line_date
        per = band(name).packets_per_scene
        got = [gather_packets(plan, d, name, scene) for scene in range(4)]
        np.testing.assert_array_equal(np.concatenate([g["status"] for g in got]), expected[d, name])
        # those that did not come keep the pace
        times = np.concatenate([g["packet_time"] for g in got])
        assert np.abs(times - link.line_date(d, name, 16 * np.arange(4 * per))).max() < 4000


def test_steps_have_their_operational_names() -> None:
    assert [(s.name, s.level) for s in STEPS] == [("EISPProcessor", "L0"), ("MSI_Merge", "L0"), ("ANC_DATA", "L0")]


def _expected(link: Link, channel: int, lost: Sequence[int]) -> dict[tuple[int, str], Bytes]:
    """Return the status of the packets of a channel when some of its frames never come."""
    rows = link.sequence(channel)
    spared = packet_frames([link.packets[d, n].shape[1] for d, n, _ in rows], lost)
    out = {(d, n): np.zeros(len(link.packets[d, n]), np.uint8) for d, n, _ in rows}
    for (d, n, k), whole in zip(rows, spared, strict=True):
        out[d, n][k] = COMPLETE if whole else LOST
    return out


LOSSES = {"one": [400], "a burst": list(range(300, 340)), "many": list(range(5, 1000, 61)), "the first": [0, 1]}


@pytest.mark.row("IPF-01")
@pytest.mark.parametrize("lost", LOSSES.values(), ids=LOSSES.keys())
def test_lost_frames_cost_their_packets_and_are_counted(link: Link, tmp_path: Path, lost: list[int]) -> None:
    files = _whole(link)
    files[1] = [np.delete(link.channel(1), lost, 0)]
    plan = _decoded(tmp_path, files)
    wanted = _expected(link, 1, lost) | _expected(link, 2, [])
    status = _status(plan, link)
    for key, values in wanted.items():
        np.testing.assert_array_equal(status[key], values, str(key))
    gone = sum(int((v == LOST).sum()) for v in wanted.values())
    assert gone
    assert plan.counters["lost_packets"] == gone
    assert plan.counters["packets"] + gone == 2 * 2 * (24 + 72)
    # nobody can tell whether frames came before the first
    seen = [k for k in lost if k > 1]
    assert plan.counters["missing_frames"] == len(seen)
    assert sum(n for channel, _, n in plan.gaps if channel == 4) == len(seen)
    if seen:
        assert plan.gaps[0][1] == seen[0] - 1


@pytest.mark.row("IPF-01")
def test_a_whole_scene_of_a_band_may_be_lost(small: Link, tmp_path: Path) -> None:
    link = Link((6,), ("B01", "B09"), 2)
    rows = [link.packets[d, n][k] for d, n, k in link.sequence(2) if not (n == "B09" and k >= 24)]
    frames = np.concatenate([framed(rows, 20), link.frames[2][2]])
    plan = _decoded(tmp_path, {2: [frames]})
    status = _status(plan, link)
    assert (status[6, "B09"] == np.repeat([COMPLETE, LOST], 24)).all()
    assert plan.counters["lost_packets"] == 24
    assert (status[6, "B01"] == COMPLETE).all()


@pytest.mark.row("IPF-01")
def test_bit_errors_are_corrected_and_beyond_that_a_frame_is_lost(small: Link, tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    frames = small.channel(2).copy()
    hit = random.random((len(frames), CADU_BYTES - ASM_BYTES)) < 0.004
    frames[:, ASM_BYTES:][hit] ^= random.integers(1, 256, int(hit.sum()), np.uint8)
    broken = 77
    frames[broken, ASM_BYTES + 3 :: 8][:9] ^= 0x55
    hit[broken, 3::8] = False  # the other codewords of that frame are put right for nothing
    plan = _decoded(tmp_path, {2: [frames]})
    status = _status(plan, small)
    np.testing.assert_array_equal(status[6, "B01"], _expected(small, 2, [broken])[6, "B01"])
    assert plan.counters["uncorrectable_frames"] == 1
    assert plan.counters["corrected_symbols"] == int(hit.sum())
    assert plan.counters["corrected_frames"] == int(np.delete(hit, broken, 0).any(1).sum())
    assert plan.counters["missing_frames"] == 1
    assert plan.counters["lost_packets"] == int((status[6, "B01"] == LOST).sum()) > 0


def test_a_packet_with_a_wrong_checksum_is_degraded(small: Link, tmp_path: Path) -> None:
    rows = small.packets[6, "B01"].copy()
    rows[7, 20_000] ^= 0x10
    plan = _decoded(tmp_path, {2: [np.concatenate([framed(list(rows), 20), small.frames[2][2]])]})
    got = gather_packets(plan, 6, "B01", 0)
    assert np.flatnonzero(got["status"] == DEGRADED).tolist() == [7]
    np.testing.assert_array_equal(got["packets"], rows)
    assert (plan.counters["degraded_packets"], plan.counters["lost_packets"]) == (1, 0)


def test_a_damaged_head_does_not_lead_a_packet_astray(small: Link, tmp_path: Path) -> None:
    rows = small.packets[6, "B01"].copy()
    rows[3, 1] ^= 0x04  # another band
    rows[5, 8] ^= 0x01  # another date
    rows[9, 3] ^= 0x02  # another place in the scene
    plan = _decoded(tmp_path, {2: [np.concatenate([framed(list(rows), 20), small.frames[2][2]])]})
    assert plan.bands == ("B01",)
    got = gather_packets(plan, 6, "B01", 0)
    assert np.flatnonzero(got["status"] != COMPLETE).tolist() == [3, 5, 9]
    assert plan.counters["lost_packets"] == 3


def test_a_packet_that_comes_twice_is_kept_once_and_the_good_one(small: Link, tmp_path: Path) -> None:
    rows = list(small.packets[6, "B01"])
    bad = rows[4].copy()
    bad[9000] ^= 1
    for k, sent in enumerate(([*rows[:4], bad, rows[4], *rows[5:]], [*rows[:4], rows[4], bad, *rows[4:]])):
        plan = _decoded(tmp_path / str(k), {2: [np.concatenate([framed(sent, 20), small.frames[2][2]])]})
        assert (_status(plan, small)[6, "B01"] == COMPLETE).all()
        assert (plan.counters["packets"], plan.counters["degraded_packets"]) == (24, 0)


def _straddled(link: Link, channel: int) -> int:
    """Return a frame before which a packet is open: a file border there cuts it."""
    rows = link.sequence(channel)
    ends = np.cumsum([link.packets[d, n].shape[1] for d, n, _ in rows])
    return next(k for k in range(100, 200) if not (ends == k * 1904).any())


@pytest.mark.row("IPF-01")
def test_packets_run_from_one_file_into_the_next(link: Link, tmp_path: Path) -> None:
    cut = _straddled(link, 1)
    one, two = link.channel(1), link.channel(2)
    plan = _decoded(tmp_path, {1: [one[:cut], one[cut : cut + 50], one[cut + 50 :]], 2: [two[:333], two[333:]]})
    assert all((s == COMPLETE).all() for s in _status(plan, link).values())
    assert plan.counters["lost_packets"] == 0
    assert plan.gaps == ()


def test_a_file_smaller_than_a_packet_costs_at_most_that_packet(link: Link, tmp_path: Path) -> None:
    cut = _straddled(link, 1)
    one = link.channel(1)
    plan = _decoded(tmp_path, {1: [one[:cut], one[cut : cut + 1], one[cut + 1 :]], 2: [link.channel(2)]})
    lost = sum(int((s == LOST).sum()) for s in _status(plan, link).values())
    assert lost == plan.counters["lost_packets"] <= 1
    assert plan.gaps == ()


def test_idle_frames_at_the_border_do_not_cut_a_packet(link: Link, tmp_path: Path) -> None:
    cut = _straddled(link, 1)
    one, idle = link.channel(1), idle_frames(5, 0, VCID_IDLE)
    files = {1: [np.concatenate([idle, one[:cut], idle]), np.concatenate([idle, one[cut:]])], 2: [link.channel(2)]}
    plan = _decoded(tmp_path, files)
    assert all((s == COMPLETE).all() for s in _status(plan, link).values())


def test_a_file_missing_between_two_costs_what_it_held(link: Link, tmp_path: Path) -> None:
    one = link.channel(1)
    plan = _decoded(tmp_path, {1: [one[:200], one[500:]], 2: [link.channel(2)]})
    status = _status(plan, link)
    for key, values in _expected(link, 1, range(200, 500)).items():
        np.testing.assert_array_equal(status[key], values)
    assert plan.gaps == ((4, 199, 300),)


def test_counters_wrap_in_the_pass(tmp_path: Path) -> None:
    link = Link((6,), ("B01",), 1, {20: 2**24 - 50, 2: 2**24 - 1})
    frames = link.channel(2)
    assert len(link.frames[2][20]) > 60
    plan = _decoded(tmp_path, {2: [frames[:55], frames[55:]]})
    assert (_status(plan, link)[6, "B01"] == COMPLETE).all()
    assert plan.gaps == ()


def test_frames_that_are_not_randomised(small: Link, tmp_path: Path) -> None:
    plan = _decoded(tmp_path, {2: [plain(small.channel(2))]})
    assert (_status(plan, small)[6, "B01"] == COMPLETE).all()


def test_a_band_that_is_lost_as_a_whole_is_named(tmp_path: Path) -> None:
    link = Link((6, 5), ("B01", "B09"), 1)
    del link.packets[5, "B09"]
    link.fill()
    with pytest.raises(InputError, match="MSI_Merge: no packet of D05 B09; a whole band was lost"):
        _decoded(tmp_path, {2: [link.channel(2)]})


def test_a_session_without_images_is_refused(small: Link, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="S2A_20200816120219026904: no image packet in the session"):
        _decoded(tmp_path, {2: [small.frames[2][2]]})


@pytest.mark.row("IPF-04")
def test_a_session_without_ancillary_data_is_degraded_and_whole(small: Link, tmp_path: Path) -> None:
    plan = _decoded(tmp_path, {2: [small.frames[2][20]]})
    assert plan.degraded == ("GPS: 0 samples, 6 are needed", "attitude: 0 samples, 8 are needed")
    assert (_status(plan, small)[6, "B01"] == COMPLETE).all()


@pytest.mark.row("IPF-04")
def test_ancillary_data_that_end_too_early_degrade_the_strip(small: Link, tmp_path: Path) -> None:
    house = small.frames[2][2]
    plan = _decoded(tmp_path, {2: [np.concatenate([small.frames[2][20], house[: len(house) // 2]])]})
    assert any("the imaging is not covered" in reason for reason in plan.degraded)
    assert (_status(plan, small)[6, "B01"] == COMPLETE).all()


def test_frames_and_reception_of_packets(link: Link, tmp_path: Path) -> None:
    """Which frames carry a packet, over file borders, lost frames and the wrap of the counter."""
    link = Link((6, 7), ("B01", "B11"), 2, {4: 2**24 - 50, 20: 7})
    one, two, lost = link.channel(1), link.channel(2), 333
    plan = _decoded(tmp_path, {1: [one[:200], np.delete(one[200:], lost - 200, 0)], 2: [two]})
    for d, name in link.packets:
        rows, first = link.sequence(2 if d == 6 else 1), 7 if d == 6 else 2**24 - 50
        end = np.cumsum([link.packets[k[0], k[1]].shape[1] for k in rows])
        mine = [i for i, k in enumerate(rows) if k[:2] == (d, name)]
        begin = (end[mine] - link.packets[d, name].shape[1]) // 1904
        frames = (end[mine] - 1) // 1904 - begin + 1
        table = plan.tables[d, name]
        np.testing.assert_array_equal(table.frame, ((first + begin) % 2**24)[table.number])
        np.testing.assert_array_equal(table.frames, frames[table.number])
        got = np.concatenate([gather_packets(plan, d, name, scene)["frames"] for scene in range(2)])
        np.testing.assert_array_equal(got[table.number], frames[table.number])
        assert not np.delete(got, table.number).any()
    heard = {r.virtual: r for r in plan.reception}
    count = {v: len(f) for c in (1, 2) for v, f in link.frames[c].items()}
    assert (heard[4].first, heard[4].frames, heard[4].missing, heard[4].gaps) == (2**24 - 50, count[4] - 1, 1, 1)
    assert (heard[20].frames, heard[20].missing, heard[2].frames) == (count[20], 0, count[2])
    assert (heard[4].begun, heard[4].ended, heard[20].begun, heard[2].ended) == (0.0, 1.0, 0.0, 1.0)
    assert heard[20].ended == heard[2].begun == count[20] / (count[20] + count[2])
    start, stop = 10**12, 10**12 + count[4] * 1_000_000
    times = heard[4].times(np.array([2**24 - 50, 2**24 - 1, 0, count[4] - 51]), start, stop)
    assert (times - start).tolist() == [0, 49_000_000, 50_000_000, (count[4] - 1) * 1_000_000]


def test_a_virtual_channel_of_the_other_half_is_refused(small: Link, tmp_path: Path) -> None:
    message = r"ch1_DSDB_00001\.raw: virtual channels \[20\] on channel 1; expected \[2, 4, 63\]"
    with pytest.raises(InputError, match=message):
        _decoded(tmp_path, {1: [small.channel(2)]})


def test_packets_of_another_instrument_are_refused(small: Link, tmp_path: Path) -> None:
    packet = any_packet(np.random.default_rng(0), 31_216, 0)
    packet[:2] = np.frombuffer((0x0FF0).to_bytes(2, "big"), np.uint8)
    append_crc(packet[None])
    with pytest.raises(InputError, match="APID 2032 on an image channel"):
        _decoded(tmp_path, {2: [framed([*small.packets[6, "B01"], packet], 20)]})


def test_packets_of_two_compressions_are_refused(tmp_path: Path) -> None:
    link = Link((6,), ("B01", "B09"), 1)
    short = link.packets[6, "B09"][:, :11_832].copy()
    short[:, 4:6] = np.frombuffer((11_825).to_bytes(2, "big"), np.uint8)
    append_crc(short)
    link.packets[6, "B09"] = short
    link.fill()
    with pytest.raises(InputError, match=r"image packets of \['mrcpb', 'raw12'\]; one datatake has one compression"):
        _decoded(tmp_path, {2: [link.channel(2)]})


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"x\.raw: no frame marker"):
        decode_file(str(path), 1, str(tmp_path))


def test_a_file_of_idle_frames_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(idle_frames(9, 0, VCID_IDLE).tobytes())
    result = decode_file(str(path), 1, str(tmp_path))
    assert result.parts == {}
    assert result.counters["frames"] == 9
