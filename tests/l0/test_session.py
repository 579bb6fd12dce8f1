"""Sessions as they come from a station, and everything that can be wrong with them."""

import re
from pathlib import Path

import numpy as np
import pytest
from link_model import SESSION, dsib, write_session

from s2dask.errors import InputError, InputMissing, S2Error
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.session import Session, scan_session


@pytest.fixture
def files(tmp_path: Path) -> dict[int, list[Path]]:
    """Return a session of two files on channel 1 and one on channel 2; scanning does not look into them."""
    sizes = {1: (3, 2), 2: (4,)}
    parts = {channel: [np.zeros((n, CADU_BYTES), np.uint8) for n in frames] for channel, frames in sizes.items()}
    return write_session(tmp_path / "session", parts)


@pytest.fixture
def folder(tmp_path: Path, files: dict[int, list[Path]]) -> Path:
    """Its folder."""
    return tmp_path / "session"


def _dsib(files: dict[int, list[Path]], channel: int = 1) -> Path:
    return next(files[channel][0].parent.glob("*_DSIB.xml"))


def _refused(folder: Path, kind: type[S2Error], where: str, what: str) -> None:
    with pytest.raises(kind, match=re.escape(what)) as caught:
        scan_session(str(folder))
    assert type(caught.value) is kind
    assert caught.value.where.endswith(where)
    assert caught.value.remedy


@pytest.mark.row("OPS-02")
def test_a_whole_session(folder: Path, files: dict[int, list[Path]]) -> None:
    found = scan_session(str(folder))
    assert (found.id, found.unit, found.orbit) == (SESSION, "S2A", 26904)
    assert found.start.isoformat() == "2020-08-16T12:02:19+00:00"
    assert [c.number for c in found.channels] == [1, 2]
    assert [c.bytes for c in found.channels] == [5 * CADU_BYTES, 4 * CADU_BYTES]
    assert [[Path(f) for f in c.files] for c in found.channels] == [files[1], files[2]]
    facts = found.facts()
    assert facts["channel_1"] == "2 files, 5 frames"
    assert facts["relative_orbit"] == (26904 + 2) % 143 + 1


def test_the_inner_folder_will_do_and_the_order_is_that_of_the_dsib(folder: Path, files: dict[int, list[Path]]) -> None:
    dsib(_dsib(files), SESSION, [files[1][1].name, files[1][0].name], 5 * CADU_BYTES)
    found: Session = scan_session(str(folder / f"DCS_01_{SESSION}_dat"))
    assert [Path(f) for f in found.channels[0].files] == files[1][::-1]


def test_no_dsib(folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("*_DSIB.xml"):
        path.unlink()
    _refused(folder, InputMissing, "session", "no DSIB")
    _refused(tmp_path / "nowhere", InputMissing, "nowhere", "no DSIB")
    _refused(next(folder.rglob("*.raw")), InputMissing, ".raw", "no DSIB")


def test_dsib_of_another_session(folder: Path, files: dict[int, list[Path]]) -> None:
    other = "S2A_20200816135219026905"
    dsib(_dsib(files), other, [p.name for p in files[1]], 5 * CADU_BYTES)
    _refused(folder, InputError, _dsib(files).name, f"DSIB is of session {other}, not {SESSION}")


def test_two_sessions_in_a_folder(folder: Path) -> None:
    parts = {1: [np.zeros((1, CADU_BYTES), np.uint8)]}
    write_session(folder, parts, "S2A_20200816135219026905")
    _refused(folder, InputError, "DSIB.xml", "is of session S2A_20200816135219026905")


def test_the_same_channel_through_two_stations(folder: Path, files: dict[int, list[Path]]) -> None:
    _dsib(files).with_name(_dsib(files).name.replace("DCS_01", "DCS_03")).write_bytes(_dsib(files).read_bytes())
    _refused(folder, InputError, "session", "two DSIBs of channel 1")


BROKEN_XML = {
    "empty": "",
    "no xml": "GIF89a",
    "cut": "<DCSU_Session_Information_Block><session_id>",
    "binary": "\x01\x02<a/>",
}


@pytest.mark.parametrize("text", BROKEN_XML.values(), ids=BROKEN_XML.keys())
def test_bad_xml(folder: Path, files: dict[int, list[Path]], text: str) -> None:
    _dsib(files).write_text(text)
    _refused(folder, InputError, _dsib(files).name, "DSIB is no well-formed XML")


ENTITIES = {
    "empty": "<!DOCTYPE a>\n",
    "file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n',
    "network": '<!DOCTYPE a SYSTEM "http://localhost:9/a.dtd">\n',
}


@pytest.mark.parametrize("head", ENTITIES.values(), ids=ENTITIES.keys())
def test_document_types_are_refused(folder: Path, files: dict[int, list[Path]], head: str) -> None:
    session = "&x;" if "ENTITY" in head else SESSION
    dsib(_dsib(files), session, [p.name for p in files[1]], 5 * CADU_BYTES, head)
    _refused(folder, InputError, _dsib(files).name, "DSIB declares a document type")


def test_entities_that_explode_are_refused(folder: Path, files: dict[int, list[Path]]) -> None:
    nested = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    head = f'<!DOCTYPE a [<!ENTITY a0 "ha">{nested}]>\n'
    dsib(_dsib(files), "&a11;", [], 0, head)
    _refused(folder, InputError, _dsib(files).name, "DSIB")


def test_a_dsib_of_a_huge_size_is_not_read(folder: Path, files: dict[int, list[Path]]) -> None:
    with _dsib(files).open("ab") as file:
        file.truncate(10_000_001)
    _refused(folder, InputError, _dsib(files).name, "unreasonably large")


@pytest.mark.parametrize("tag", ["session_id", "data_size"])
@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_an_element_that_is_missing_or_empty(
    folder: Path, files: dict[int, list[Path]], tag: str, content: str | None
) -> None:
    new = "" if content is None else f"<{tag}>{content}</{tag}>"
    text = re.sub(f"<{tag}>.*</{tag}>", new, _dsib(files).read_text())
    _dsib(files).write_text(text)
    _refused(folder, InputError, _dsib(files).name, f"DSIB has no {tag}")


@pytest.mark.row("OPS-02")
def test_a_listed_file_is_missing(folder: Path, files: dict[int, list[Path]]) -> None:
    files[1][1].unlink()
    _refused(folder, InputMissing, files[1][1].name, f"listed in {_dsib(files).name} but not there")


def test_a_truncated_file(folder: Path, files: dict[int, list[Path]]) -> None:
    files[2][0].write_bytes(bytes(4 * CADU_BYTES - 1))
    truncated = f"truncated: {4 * CADU_BYTES - 1} bytes are no whole number of CADUs"
    _refused(folder, InputError, files[2][0].name, truncated)


@pytest.mark.parametrize("name", ["../ch_2/x.raw", "/etc/passwd", "a/b.raw", "x.raw/", "..", ".", ""])
def test_names_that_lead_elsewhere_are_refused(folder: Path, files: dict[int, list[Path]], name: str) -> None:
    (files[2][0].parent / "x.raw").write_bytes(bytes(CADU_BYTES))
    dsib(_dsib(files), SESSION, [name], CADU_BYTES)
    _refused(folder, InputError, _dsib(files).name, f"DSIB lists {name!r}, which is no file name")


@pytest.mark.parametrize(
    "size",
    [4 * CADU_BYTES, 0, -1, "many", "10220.0", f"+{5 * CADU_BYTES}", "\u00b2", "9" * 5000],
    ids=["short", "zero", "negative", "word", "fraction", "sign", "superscript", "endless"],
)
def test_a_wrong_size(folder: Path, files: dict[int, list[Path]], size: int | str) -> None:
    dsib(_dsib(files), SESSION, [p.name for p in files[1]], size)
    _refused(folder, InputError, _dsib(files).name, f"its files hold {5 * CADU_BYTES}")


def test_a_file_listed_twice(folder: Path, files: dict[int, list[Path]]) -> None:
    dsib(_dsib(files), SESSION, [p.name for p in (*files[1], files[1][0])], 8 * CADU_BYTES)
    _refused(folder, InputError, _dsib(files).name, "DSIB lists a file twice")


@pytest.mark.parametrize(
    "session",
    [
        "S2A_2020081612021902690",
        "S2Z_20200816120219026904",
        "S2A_20201399120219026904",
        "S1A_20200816120219026904",
        "S2A",
    ],
)
def test_a_name_without_a_session(tmp_path: Path, session: str) -> None:
    write_session(tmp_path, {1: [np.zeros((1, CADU_BYTES), np.uint8)]}, session)
    _refused(tmp_path, InputError, "DSIB.xml", "DSIB name holds no session identifier")


@pytest.mark.parametrize("channel", [0, 3, 9])
def test_a_channel_that_does_not_exist(tmp_path: Path, channel: int) -> None:
    write_session(tmp_path, {channel: [np.zeros((1, CADU_BYTES), np.uint8)]})
    _refused(tmp_path, InputError, "DSIB.xml", "DSIB name tells no channel")
