"""A session while it arrives: any order, twice, again, late, missing; and whatever storage it lies on."""

import hashlib
import os
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
from link_model import SESSION, dsib, write_session

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.blocks import Promise
from s2dask.l0.dsib import parse_dsib
from s2dask.l0.session import SessionState, scan_session, survey

RELAY = "L20200816120219514000011"


def _content(seed: int, frames: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, CADU_BYTES), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a session of three files on channel 1 and two on channel 2."""
    write_session(tmp_path / "s", {1: [_content(k) for k in (1, 2, 3)], 2: [_content(k) for k in (4, 5)]})
    return tmp_path / "s"


def _file(folder: Path, channel: int, number: int) -> Path:
    (path,) = folder.rglob(f"*_ch{channel}_DSDB_{number:05d}.raw")
    return path


def _dsib(folder: Path, channel: int) -> Path:
    (path,) = folder.rglob(f"*_ch{channel}_DSIB.xml")
    return path


def _names(state: SessionState) -> list[tuple[int, int]]:
    return [(b.channel, b.number) for b in state.blocks]


WHOLE = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]


@pytest.mark.row("OPS-02")
@pytest.mark.parametrize("seed", range(4))
def test_complete_only_when_all_that_both_dsibs_list_is_there(folder: Path, tmp_path: Path, seed: int) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    arriving = tmp_path / "arriving"
    for rank, k in enumerate(np.random.default_rng(seed).permutation(len(files))):
        target = arriving / files[k].relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[k], target)
        state = survey(str(arriving))
        assert state.complete == (rank == len(files) - 1)
        raw = len(list(arriving.rglob("*.raw")))
        assert len(state.blocks) == raw
        assert state.announced == sum(len(parse_dsib(p.read_bytes(), p.name).names) for p in arriving.rglob("*.xml"))
        assert state.complete == (len(state.dsibs) == 2 and raw == state.announced)
    assert _names(state) == WHOLE


def test_files_are_known_before_any_dsib(folder: Path) -> None:
    for channel in (1, 2):
        _dsib(folder, channel).unlink()
    _file(folder, 1, 2).unlink()
    state = survey(str(folder))
    assert (state.id, state.unit, state.orbit, state.complete) == (SESSION, "S2A", 26904, False)
    assert _names(state) == [(1, 1), (1, 3), (2, 1), (2, 2)]
    assert state.missing == ()
    assert state.missing_frames(1) is None
    with pytest.raises(InputMissing, match="no DSIB"):
        scan_session(str(folder))


def test_one_dsib_does_not_close_a_session(folder: Path) -> None:
    _dsib(folder, 2).unlink()
    with pytest.raises(InputMissing, match="no DSIB of channel 2"):
        scan_session(str(folder))
    assert len(scan_session(str(folder), allow_gaps=True).channels) == 2


def test_a_missing_file_is_named_and_its_frames_are_counted(folder: Path) -> None:
    _file(folder, 1, 2).unlink()
    state = survey(str(folder))
    assert state.missing == (f"DCS_01_{SESSION}_ch1_DSDB_00002.raw",)
    assert (state.missing_frames(1), state.missing_frames(2), state.present, state.announced) == (3, 0, 4, 5)
    with pytest.raises(InputMissing, match=r"DSDB_00002.raw: listed in .* but not there; fetch it .* or allow gaps"):
        scan_session(str(folder))
    session = scan_session(str(folder), allow_gaps=True)
    assert (session.missing, session.missing_frames) == (state.missing, 3)
    assert [len(c.files) for c in session.channels] == [2, 2]


def test_gaps_are_counted_in_frames_of_the_real_files(tmp_path: Path) -> None:
    """The real S2B report misses multiples of 153 900 frames: lost files."""
    files = write_session(tmp_path, {1: [_content(1)], 2: []})[1]
    with files[0].open("r+b") as file:
        file.truncate(153_900 * CADU_BYTES)
    names = [files[0].name.replace("00001", f"{k:05d}") for k in range(1, 5)]
    dsib(_dsib(tmp_path, 1), SESSION, names, 4 * 153_900 * CADU_BYTES)
    assert survey(str(tmp_path)).missing_frames(1) == 3 * 153_900


@pytest.mark.row("OPS-04")
def test_a_truncated_file_counts_as_missing_until_it_comes_again(folder: Path) -> None:
    path = _file(folder, 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    before = survey(str(folder))
    assert [name for name, _ in before.damaged] == [path.name] == list(before.missing)
    assert not before.complete
    path.write_bytes(whole)
    after = survey(str(folder))
    assert after.complete
    assert [b.name for b in after.changed(before)] == [path.name]


@pytest.mark.row("OPS-04")
def test_a_file_that_is_not_what_the_station_promises(folder: Path) -> None:
    path = _file(folder, 2, 1)
    good = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    promised = {path.name: Promise(path.stat().st_size, good.upper())}
    assert survey(str(folder), promised=promised).complete
    for promise in (Promise(path.stat().st_size + CADU_BYTES), Promise(path.stat().st_size, "0" * 32)):
        state = survey(str(folder), promised={path.name: promise})
        assert ([name for name, _ in state.damaged], state.complete) == ([path.name], False)


@pytest.mark.row("OPS-04")
def test_a_retransferred_file_replaces_the_first_and_counts_once(folder: Path) -> None:
    path = _file(folder, 1, 2)
    again = folder / "RETRANSFER" / "S2A" / path.relative_to(folder)
    again.parent.mkdir(parents=True)
    again.write_bytes(_content(9).tobytes())
    os.utime(again, (1, 1))  # the folder says it, whatever the clock
    state = survey(str(folder))
    assert state.retransferred == (path.name,)
    assert _names(state) == WHOLE
    assert [b.url for b in state.blocks if b.name == path.name] == [str(again)]
    assert (state.present, state.complete) == (5, True)
    assert scan_session(str(folder)).channels[0].bytes == 9 * CADU_BYTES


@pytest.mark.row("OPS-04")
def test_a_file_that_is_written_over_is_decoded_again(folder: Path) -> None:
    before = survey(str(folder))
    path = _file(folder, 2, 2)
    path.write_bytes(_content(7).tobytes())
    os.utime(path, (2_000_000_000, 2_000_000_000))
    after = survey(str(folder))
    assert [b.name for b in after.changed(before)] == [path.name]
    assert after.changed(after) == ()
    assert after.late == (path.name,)


def test_the_same_file_twice_counts_once(folder: Path) -> None:
    path = _file(folder, 1, 2)
    again = folder / "RETRANSFER" / path.name
    again.parent.mkdir()
    shutil.copyfile(path, again)
    state = survey(str(folder))
    assert state.duplicates == ((str(again), path.name),)
    assert (state.retransferred, _names(state), state.complete) == ((), WHOLE, True)


def test_the_same_content_under_another_name_is_left_out(folder: Path) -> None:
    path = _file(folder, 1, 3)
    path.write_bytes(_file(folder, 1, 1).read_bytes())
    state = survey(str(folder))
    assert state.duplicates == ((str(path), f"DCS_01_{SESSION}_ch1_DSDB_00001.raw"),)
    assert _names(state) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert (state.complete, state.missing_frames(1)) == (True, 0)
    assert [len(c.files) for c in scan_session(str(folder)).channels] == [2, 2]


def test_a_file_that_no_dsib_lists_is_left_out(folder: Path) -> None:
    path = _file(folder, 2, 2)
    extra = path.with_name(path.name.replace("00002", "00003"))
    extra.write_bytes(_content(8).tobytes())
    path.with_name("notes.raw").write_bytes(b"x")
    state = survey(str(folder))
    assert (state.unannounced, state.complete, _names(state)) == ((extra.name,), True, WHOLE)


def test_the_name_tells_the_channel_whatever_the_folder(folder: Path) -> None:
    path = _file(folder, 2, 1)
    path.rename(_file(folder, 1, 1).with_name(path.name))
    assert survey(str(folder)).complete
    assert _names(survey(str(folder))) == WHOLE


def test_a_dsib_that_lists_the_other_channel_is_refused(folder: Path) -> None:
    name = _file(folder, 2, 1).name
    dsib(_dsib(folder, 1), SESSION, [name], 3 * CADU_BYTES)
    with pytest.raises(InputError, match=r"DSIB of channel 1 lists .* of channel 2"):
        survey(str(folder))


def test_a_file_of_another_session_is_refused(folder: Path) -> None:
    path = _file(folder, 1, 1)
    path.rename(path.with_name(path.name.replace(SESSION, "S2A_20200816135219026905")))
    with pytest.raises(InputError, match="DSDB is of session S2A_20200816135219026905"):
        survey(str(folder))


@pytest.mark.row("OPS-05")
def test_a_session_through_edrs_takes_the_same_path(tmp_path: Path) -> None:
    folder = tmp_path / "NOMINAL" / "S2B"
    write_session(folder, {1: [_content(1)], 2: [_content(2)]}, RELAY)
    session = scan_session(str(tmp_path), orbit=29232)
    assert (session.id, session.unit, session.orbit, session.station) == (RELAY, "S2B", 29232, "EDRS")
    assert session.start.isoformat() == "2020-08-16T12:02:19+00:00"
    assert session.facts()["reception_station"] == "EDRS"
    folder.rename(tmp_path / "there")
    with pytest.raises(ConfigurationError, match=r"nothing tells the unit; an EDRS .* add --unit S2A"):
        scan_session(str(tmp_path))
    assert scan_session(str(tmp_path), unit="S2C").unit == "S2C"


def test_what_is_told_may_not_contradict_the_identifier(folder: Path) -> None:
    assert survey(str(folder), "S2A", orbit=26904).orbit == 26904
    with pytest.raises(ConfigurationError, match="the session is of S2A, not of S2B"):
        survey(str(folder), "S2B")
    with pytest.raises(ConfigurationError, match="the session is of orbit 26904, not of 7"):
        survey(str(folder), orbit=7)
    with pytest.raises(ConfigurationError, match="no orbit 0"):
        survey(str(folder), orbit=0)


def test_whole_is_complete_to_the_byte(folder: Path) -> None:
    assert survey(str(folder)).whole
    path = _file(folder, 1, 2)
    path.write_bytes(path.read_bytes()[:CADU_BYTES])
    state = survey(str(folder))
    assert (state.complete, state.whole, state.lacking) == (True, False, ())
    path.unlink()
    _dsib(folder, 2).unlink()
    assert survey(str(folder)).lacking == ("DSIB of channel 2", path.name)


@pytest.mark.row("OPS-05")
def test_the_real_dsib(reference_data: Path) -> None:
    (path,) = (reference_data / "ops" / "xbip").glob("*_DSIB.xml")
    found = parse_dsib(path.read_bytes(), path.name)
    assert (found.session, found.channel, found.bytes) == ("L20171109175634707000125", 1, 36_014_692_600)
    assert found.names == tuple(f"DCS_02_{found.session}_ch1_DSDB_{k:05d}.raw" for k in range(1, 36))
    state = survey(str(path.parent), unit="S2A")
    assert (state.announced, state.present, len(state.missing), state.station) == (35, 0, 35, "EDRS")


def test_a_session_in_memory(folder: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/station/s", recursive=True)
    try:
        session = scan_session("memory://station/s")
        assert [len(c.files) for c in session.channels] == [3, 2]
        assert session.channels[0].files[0].startswith("memory://")
        memory.rm(session.channels[1].files[0])
        assert len(survey("memory://station/s").missing) == 1
    finally:
        memory.rm("/station", recursive=True)
