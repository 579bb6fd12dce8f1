"""Versions side by side: a name in a file stands for an installation, and two of them share a ledger."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zarr

import s2dask
from s2dask.commands.processors import Processor, load_processor, words_for
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.production.ledger import DONE, Ledger
from s2dask.simulate.structure import StructureOptions, simulate_structure

VERSIONS = ("7.1.0", "7.2.0")


def test_a_processor_is_what_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "processors.toml"
    file.write_text('[processors.old]\npython = "py"\ncluster = "tcp://h:1"\n[processors.bad]\ncluser = "x"\n')
    assert load_processor(file, "old") == Processor("old", "py", "tcp://h:1")
    for name, match in (("new", "it has bad, old"), ("bad", "unknown field cluser")):
        with pytest.raises(ConfigurationError, match=match):
            load_processor(file, name)
    with pytest.raises(ConfigurationError, match="--processors"):
        load_processor(None, "old")
    with pytest.raises(InputMissing):
        load_processor(tmp_path / "no", "old")


def test_the_command_is_that_of_the_other_installation() -> None:
    words = ["run", "s", "--processor", "old", "--to", "L0", "--processors=p.toml", "-o", "out"]
    assert words_for(Processor("old", "py"), words) == ["run", "s", "--to", "L0", "-o", "out"]
    assert words_for(Processor("old", "py", "tcp://h:1"), words[:2]) == ["run", "s", "--cluster", "tcp://h:1"]


def _installed(folder: Path, version: str) -> Path:
    """Return the folder of a copy of this package that is of another version."""
    copy = folder / version / "s2dask"
    shutil.copytree(Path(s2dask.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    start = copy / "__init__.py"
    start.write_text(re.sub('__version__ = "[^"]*"', f'__version__ = "{version}"', start.read_text("utf-8")), "utf-8")
    return copy.parent


@pytest.mark.slow
@pytest.mark.row("OPS-25")
def test_two_versions_work_at_once_on_one_ledger(tmp_path: Path) -> None:
    session = simulate_structure(
        str(tmp_path / "session"), StructureOptions(2, (6,), ("B04", "B01"), frames_per_file=3000)
    )  # fmt: skip
    file, ledger = tmp_path / "processors.toml", tmp_path / "ledger.db"
    tables = (
        f'[processors."{v}"]\npython = "{sys.executable}"\nenvironment = {{PYTHONPATH = "{_installed(tmp_path, v)}"}}\n'
        for v in VERSIONS
    )
    file.write_text("".join(tables))
    Ledger.open(ledger).close()
    chosen = ["--to", "L0", "-w", "1", "--ledger", str(ledger), "--processors", str(file)]
    start = [sys.executable, "-c", "from s2dask.cli import main; main()", "run", session, *chosen]
    running = [
        subprocess.Popen([*start, "--processor", v, "-o", str(tmp_path / f"out-{v}")], env=dict(os.environ))
        for v in VERSIONS
    ]
    assert [process.wait(500) for process in running] == [0, 0]
    with Ledger.open(ledger) as held:
        runs = held.runs()
        assert len(runs) == 2
        found = []
        for run in runs:
            assert {row["state"] for row in held.units(run)} == {DONE}  # nothing of the other was taken or reused
            assert len({attempt["owner"] for attempt in held.attempts(run)}) == 1
            (unit,) = (row["name"] for row in held.units(run, kinds={"L0"}))
            found.append(held.provenance(run, unit)["versions"]["s2dask"])
    assert sorted(found) == list(VERSIONS)
    for version in VERSIONS:
        (product,) = (tmp_path / f"out-{version}").glob("*/*.zarr")
        assert zarr.open_group(str(product), mode="r").attrs["processing:software"] == {"s2dask": version}
