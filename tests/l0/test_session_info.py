"""``s2dask l0 info``: what a session holds, told from one reading of its files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from link_model import SESSION, Link, write_session
from typer.testing import CliRunner

from s2dask import cli
from s2dask.commands.level0 import app
from s2dask.instrument.telemetry import apid
from s2dask.production.session_info import session_info


@pytest.fixture(scope="module")
def link() -> Link:
    """Two detectors on two channels, a 60 m and a 20 m band, two scenes."""
    return Link((6, 7), ("B01", "B11"), 2)


@pytest.fixture
def folder(link: Link, tmp_path: Path) -> Path:
    """Return a session in which 20 frames of channel 1 are lost and a file of channel 2 did not come."""
    one, two = np.delete(link.channel(1), range(200, 220), 0), np.split(link.channel(2), (100, 150))
    files = write_session(tmp_path, {1: [one], 2: two})
    files[2][1].unlink()
    return tmp_path


@pytest.mark.row("IPF-01", "OPS-02")
def test_facts(link: Link, folder: Path) -> None:
    facts = session_info(str(folder), "NOBS")
    assert (facts["session"], facts["unit"], facts["relative_orbit"]) == (SESSION, "S2A", 23)
    assert (facts["complete"], facts["announced_files"], facts["present_files"]) == (False, 4, 3)
    assert facts["missing"] == [f"DCS_01_{SESSION}_ch2_DSDB_00002.raw"]
    assert {k: c["missing_file_frames"] for k, c in facts["channels"].items()} == {"1": 0, "2": 50}
    assert facts["channels"]["1"]["frames"] == len(link.channel(1)) - 20
    assert facts["virtual_channels"]["4"]["gaps"] == [[199, 20]]
    assert facts["virtual_channels"]["20"]["gaps"] == [[99, 50]]
    assert facts["virtual_channels"]["2"]["missing_frames"] == 0
    (strip,) = facts["datastrips"]
    packets = {key: facts["apids"][str(apid(d, i))]["packets"] for key, (d, i) in {"a": (6, 0), "b": (7, 11)}.items()}
    assert packets["a"] <= 48
    assert packets["b"] <= 144
    assert sum(a["packets"] for a in facts["apids"].values() if "band" in a) == strip["packets"]
    assert strip["packets"] + strip["lost_packets"] == 2 * 2 * (24 + 72)
    assert (strip["scenes"], strip["detectors"], strip["bands"]) == (2, [6, 7], ["B01", "B11"])
    assert strip["levels"] == ["L0", "L1B", "L1C", "L2A"]
    assert strip["expected_products"] == {"L0_DS": 1, "L0_GR": 4}
    assert facts["problem"] is None


def test_images_are_not_written_to_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Watched:
        def __init__(self, **_: object) -> None:
            self.path = tmp_path / "scratch"

        def __enter__(self) -> str:
            self.path.mkdir()
            return str(self.path)

        def __exit__(self, *_: object) -> None:
            sizes.extend(p.stat().st_size for p in self.path.glob("*.vc04"))

    monkeypatch.setattr("s2dask.production.session_info.tempfile.TemporaryDirectory", Watched)
    session_info(str(folder))
    assert sizes == [0]


def test_json_and_text(folder: Path) -> None:
    run = CliRunner().invoke(app, ["info", str(folder), "--json"])
    assert json.loads(run.stdout)["datastrips"][0]["expected_products"] == {"L0_DS": 1, "L0_GR": 4}
    text = CliRunner().invoke(app, ["info", str(folder), "--type", "VIC"]).stdout
    assert "3 of 4 files" in text
    assert "VC 20: " in text
    assert "1 gaps, 50 missing" in text
    assert "type VIC: L0_DS 1, L0_GR 4" in text


def test_an_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["s2dask", "l0", "info", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 4
    assert capsys.readouterr().err.strip().count("\n") == 0
