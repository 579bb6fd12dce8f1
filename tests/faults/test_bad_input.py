"""Damaged, missing and foreign input: one line that names the file and the remedy, and no trace of a product."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from s2dask.errors import InputError, InputMissing
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "session"
    return Path(simulate(str(folder), SimulationOptions(detectors=(6,), bands=("B01", "B09"), window=600, scenes=1)))


def _run(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s2dask.cli", "run", str(source), "--out", str(out), "--workers", "1", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _refused(done: subprocess.CompletedProcess[str], out: Path, code: int, *words: str) -> None:
    """One line on stderr with these words, this exit code, and nothing delivered; what was finished is kept."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("s2dask: ")
    for word in words:
        assert word in lines[0]
    assert not out.exists() or [path for path in out.iterdir() if path.name != ".work"] == []


def _channel(session: Path, number: int) -> Path:
    (folder,) = session.glob(f"DCS_*_dat/ch_{number}")
    return folder


def _largest(session: Path) -> Path:
    return max(session.rglob("*DSDB*.raw"), key=lambda p: p.stat().st_size)


def _truncate(session: Path) -> str:
    path = _largest(session)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)
    return path.name


def _remove_chunk(session: Path) -> str:
    path = _largest(session)
    path.unlink()
    return path.name


def _foreign_dsib(session: Path) -> str:
    (dsib,) = _channel(session, 2).glob("*DSIB.xml")
    text = dsib.read_text()
    start = text.index("<session_id>") + len("<session_id>")
    dsib.write_text(text[:start] + "S2A_20200101000000000001" + text[text.index("</session_id>") :])
    return dsib.name


def _broken_dsib(session: Path) -> str:
    (dsib,) = _channel(session, 2).glob("*DSIB.xml")
    dsib.write_text(dsib.read_text()[:-30])
    return dsib.name


def _noise(session: Path) -> str:
    path = _largest(session)
    size = path.stat().st_size
    path.write_bytes((b"\xa5\x17\x00\xff" * (size // 4 + 1))[:size])
    return path.name


def _no_gipp(session: Path) -> str:
    for path in (session / "aux" / "gipp").glob("*R2ABCA*"):
        path.unlink()
    return "R2ABCA"


def _no_attitude(session: Path) -> str:
    """Take away the channel that carries the ancillary data, DSIB and all."""
    shutil.rmtree(_channel(session, 2))
    return "no DSIB of channel 2"


@pytest.mark.parametrize(
    ("damage", "code", "remedy"),
    [
        (_truncate, InputError.exit_code, "fetch it again"),
        (_remove_chunk, InputMissing.exit_code, "fetch it again"),
        (_foreign_dsib, InputError.exit_code, "fetch the DSIB of this session"),
        (_broken_dsib, InputError.exit_code, "fetch it again"),
        (_noise, InputError.exit_code, "fetch it again"),
        (_no_gipp, InputMissing.exit_code, ""),
        (_no_attitude, InputMissing.exit_code, "fetch it again"),
    ],
)
def test_a_damaged_session_is_refused(
    pristine: Path, tmp_path: Path, damage: Callable[[Path], str], code: int, remedy: str
) -> None:
    session = tmp_path / "session"
    shutil.copytree(pristine, session)
    name = damage(session)
    out = tmp_path / "products"
    _refused(_run(session, out, "--to", "L1B"), out, code, name, remedy)


def test_an_unreadable_safe_is_refused(tmp_path: Path) -> None:
    name = "S2A_MSIL1C_20171207T002051_N0206_R116_T55JEJ_20171207T032513"
    garbage, truncated, out = tmp_path / f"{name}.zip", tmp_path / f"{name}.SAFE", tmp_path / "products"
    garbage.write_bytes(b"no zip at all" * 100)
    _refused(_run(garbage, out), out, InputError.exit_code, garbage.name)
    with zipfile.ZipFile(garbage, "w") as archive:
        archive.writestr(f"{name}.SAFE/MTD_MSIL1C.xml", "<a/>")
    _refused(_run(garbage, out), out, InputError.exit_code, name)
    truncated.mkdir()
    done = _run(truncated, out)
    _refused(done, out, done.returncode, name)
    assert done.returncode in (InputError.exit_code, InputMissing.exit_code)


def test_what_cannot_be_asked_for_is_refused(pristine: Path, tmp_path: Path) -> None:
    out = tmp_path / "products"
    _refused(_run(tmp_path / "nowhere", out), out, 4, "nowhere", "check the path")
    _refused(_run(pristine, out, "--to", "L3"), out, 2, "L3", "L2A")
    _refused(_run(pristine, out, "--tile", "99XYZ"), out, 2, "five characters")
    _refused(_run(pristine, out, "--tile", "28SCB", "--window", "1,2,3"), out, 2, "1,2,3")
    _refused(_run(pristine, out, "--tile", "31TCJ", "--to", "L1C"), out, 2, "28SCB", "not 31TCJ")
