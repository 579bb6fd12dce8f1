"""`s2dask run --to L1C`: how tiles are resampled is asked for on the command line, and the forecasts are delivered."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from release_model import make_l1c
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.errors import ConfigurationError
from s2dask.io.opener import open_tree
from s2dask.io.tiles import ZarrTile
from s2dask.release.safe_l1c import write_safe_l1c
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resampled") / "session"
    return Path(simulate(str(folder), SimulationOptions(detectors=(6,), bands=("B01", "B09"), window=600, scenes=1)))


def _run(session: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    window = ",".join(str(v) for v in Truth(f"{session}/truth.zarr").window)
    command = [sys.executable, "-m", "s2dask.cli", "run", str(session), "--out", str(out), "--workers", "1"]
    command += ["--to", "L1C", "--tile", "28SCB", "--window", window, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.row("IPF-28")
def test_it_is_resampled_as_asked(session: Path, tmp_path: Path) -> None:
    done = _run(session, tmp_path, "--interpolation", "bicubic", "--cut", "lower", "--noise-gain")
    assert done.returncode == 0, done.stderr
    assert "assumed" not in done.stderr
    (zarr,) = tmp_path.glob("*/*.zarr")
    attrs = ZarrTile.open(str(zarr)).attrs
    assert (attrs["filter"], attrs["cut"], attrs["noise_gain"]) == ("BCO", "lower", True)
    assert any("GIP_R2ABCA" in name for name in attrs["gipps"])
    tree = open_tree(str(zarr))
    gain = tree["quality/noise_gain/r60m/b01"]
    assert gain.shape == tree["measurements/reflectance/r60m/b01"].shape
    assert 0.4 < float(gain.min()) <= float(gain.max()) < 1.02
    weather = tree["conditions/meteorology/ecmwf"]
    options = SimulationOptions()
    np.testing.assert_allclose(weather.tcwv, 10 * options.water_vapour, rtol=1e-5)
    np.testing.assert_allclose(weather.msl, 100 * options.pressure, rtol=1e-6)
    (folder,) = tmp_path.glob("*/*.SAFE/GRANULE/*/AUX_DATA")
    assert {p.name: p.stat().st_size for p in folder.iterdir()} == {"AUX_ECMWFT": 810, "AUX_CAMSFO": 5 * 270}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--interpolation", "cubic"), "interpolation 'cubic'"),
        (("--cut", "left"), "cut 'left'"),
        (("--to", "L1B", "--noise-gain"), "nothing is resampled up to L1B"),
    ],
)
def test_what_is_not_had_is_refused_at_once(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    made = CliRunner().invoke(app, ["run", "nowhere", "--out", str(tmp_path / "out"), "--to", "L1C", *options])
    assert isinstance(made.exception, ConfigurationError)
    assert reason in str(made.exception)
    assert not list(tmp_path.iterdir())


def test_a_product_is_not_resampled_again(tmp_path: Path) -> None:
    safe = write_safe_l1c(make_l1c(tmp_path / "l1c.zarr"), tmp_path)
    command = ["run", str(safe), "--out", str(tmp_path / "out"), "--workers", "1", "--interpolation", "nearest"]
    made = CliRunner().invoke(app, command)
    assert isinstance(made.exception, ConfigurationError)
    assert "an L1C product is resampled already; leave them out" in str(made.exception)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
