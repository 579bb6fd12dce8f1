"""The containers of a GIPP: what the auxiliary data service packs is read, anything else in an archive is refused."""

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import radiometry_model as model

from s2dask.auxdata.gipp_container import read_gipp, version_of
from s2dask.auxdata.gipp_fields import open_gipp
from s2dask.errors import InputError, InputMissing

STEM = model.gipp_name("R2ABCA").rpartition(".")[0]
XML = model.r2abca().encode()
HEADER = f'<Earth_Explorer_Header xmlns="urn:x"><File_Name>{STEM}</File_Name></Earth_Explorer_Header>'.encode()


def pack(path: Path, *members: tuple[str, bytes], change: Callable[[tarfile.TarInfo], None] | None = None) -> Path:
    """Write an archive of named members; `change` has the last word on the description of each."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change:
                change(info)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{STEM}.TGZ"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("suffix", ["DBL", "xml"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_header_and_data_in_either_order(path: Path, order: int, suffix: str, prefix: str) -> None:
    members = [(f"{prefix}{STEM}.HDR", HEADER), (f"{prefix}{STEM}.{suffix}", XML)]
    assert read_gipp(pack(path, *members[::order])) == XML
    assert open_gipp(path, "GS2_ABSOLUTE_CALIBRATION", "S2A").file == path.name


def test_plain_files_are_their_own_content(path: Path) -> None:
    for suffix in (".xml", ".DBL"):
        path.with_suffix(suffix).write_bytes(XML)
        assert read_gipp(path.with_suffix(suffix)) == XML
    with pytest.raises(InputMissing, match=f"{path.name}: no such GIPP"):
        read_gipp(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"../{STEM}.DBL", "does not belong"),
        (f"/etc/{STEM}.DBL", "does not belong"),
        (f"deeper/{STEM}.DBL", "does not belong"),
        (STEM.replace("R2ABCA", "R2EQOG") + ".DBL", "does not belong"),
        (f"{STEM}.sh", "does not belong"),
        (f"{STEM}.HDR", "the same name twice"),
    ],
)
def test_a_member_that_does_not_belong_is_refused(path: Path, name: str, reason: str) -> None:
    pack(path, (f"{STEM}.HDR", HEADER), (name, XML))
    with pytest.raises(InputError, match=reason) as error:
        read_gipp(path)
    assert str(error.value).startswith(f"{path.name}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_only_regular_files(path: Path, kind: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    pack(path, (f"{STEM}.DBL", XML), change=change)
    with pytest.raises(InputError, match="does not belong"):
        read_gipp(path)


def test_no_data_or_two(path: Path) -> None:
    with pytest.raises(InputError, match="0 data files"):
        read_gipp(pack(path, (f"{STEM}.HDR", HEADER)))
    with pytest.raises(InputError, match="2 data files"):
        read_gipp(pack(path, (f"{STEM}.DBL", XML), (f"{STEM}.xml", XML)))


def test_the_header_of_another_file(path: Path) -> None:
    pack(path, (f"{STEM}.HDR", HEADER.replace(b"R2ABCA", b"R2EQOG")), (f"{STEM}.DBL", XML))
    with pytest.raises(InputError, match=r"its header is that of .*R2EQOG"):
        read_gipp(path)


def test_a_bomb_costs_no_memory(path: Path) -> None:
    path.write_bytes(gzip.compress(bytes(400_000_000), 1))
    tracemalloc.start()
    with pytest.raises(InputError, match="64000000 bytes unpacked"):
        read_gipp(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000


def test_damage_is_told_in_a_line(path: Path) -> None:
    whole = pack(path, (f"{STEM}.HDR", HEADER), (f"{STEM}.DBL", XML)).read_bytes()
    claimed = io.BytesIO()
    with tarfile.open(fileobj=claimed, mode="w") as archive:
        info = tarfile.TarInfo(f"{STEM}.DBL")
        info.size = 10_000_000
        claimed.write(info.tobuf())
        archive.offset = claimed.tell()
    for content in (
        b"",
        b"no archive",
        whole[:-20],
        whole[: len(whole) // 2],
        gzip.compress(claimed.getvalue()[:1024]),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            read_gipp(path)
        assert str(error.value).startswith(f"{path.name}: ")
        assert "\n" not in str(error.value)


def test_version_of_the_content() -> None:
    assert version_of(b"<A><VERSION_NUMBER> 0024 </VERSION_NUMBER></A>") == "0024"
    assert version_of(b"<A/>") == ""
