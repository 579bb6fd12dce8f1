"""Sharpness of a product: measured on its pixels, kept beside its other indicators, told by the monthly report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from release_model import attributes
from typer.testing import CliRunner

from s2dask.commands.qc import app
from s2dask.errors import InputError
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.template import create
from s2dask.io.writer import write_whole
from s2dask.production.edge_sharpness import measure_transfer
from s2dask.qc.collect import collect
from s2dask.qc.monthly import monthly_report
from s2dask.simulate.landscape import blur

GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 3000, 3000)
TRUTH = float(np.exp(-0.5 * (np.pi * 0.5) ** 2))


def _chequered(size: int) -> np.ndarray:
    """Return counts of square fields that lie slanted, blurred by half a pixel."""
    y, x = np.mgrid[: size * 8, : size * 8] / 8
    u, v = x + 0.15 * y, y - 0.15 * x
    ground = np.where((np.floor(u / 40) + np.floor(v / 40)) % 2 == 0, 3000.0, 4500.0).astype(np.float32)
    seen = blur(ground, (4.0, 4.0)).reshape(size, 8, size, 8)[:, 3:5, :, 3:5].mean((1, 3))
    return np.asarray(np.round(seen + np.random.default_rng(1).normal(0, 10, seen.shape)), np.uint16)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("sharp") / "l1c.zarr")
    bands = {"B04": 10, "B11": 20}
    create(url, schema.l1c(GRID, (6,), tuple(bands)), {"s2dask": attributes("L1C", GRID) | {"bands": list(bands)}})
    for name, resolution in bands.items():
        write_whole(url, schema.reflectance_path(resolution, name), _chequered(GRID.width // resolution))
    return url


def test_bands_are_as_sharp_as_they_were_made(product: str) -> None:
    found = measure_transfer(product, ["B04"])["B04"]
    assert found["mtf_edges"] >= 20
    for what in ("mtf_nyquist", "mtf_across", "mtf_along"):
        assert found[what] == pytest.approx(TRUTH, abs=0.02)
    with pytest.raises(InputError, match="no band B99"):
        measure_transfer(product, ["B99"])


def test_what_was_measured_comes_into_the_monthly_report(product: str, tmp_path: Path) -> None:
    store, run = str(tmp_path / "store"), CliRunner()
    assert run.invoke(app, ["add", product, "--store", store], catch_exceptions=False).exit_code == 0
    told = run.invoke(app, ["mtf", product, "--store", store, "--json"], catch_exceptions=False)
    found = json.loads(told.stdout)
    assert found["B04"]["mtf_nyquist"] == pytest.approx(TRUTH, abs=0.02)
    figure = monthly_report(store, collect(product)[0][0].month).sections[-1].figures[0]
    rows = {(row["indicator"], row["band"]): row["median"] for row in figure.rows}
    assert rows["mtf_nyquist", "B04"] == pytest.approx(found["B04"]["mtf_nyquist"], abs=1e-6)
    shown = run.invoke(app, ["mtf", product, "--band", "B04"], catch_exceptions=False).stdout
    assert shown.startswith("B04  0.")
    flat = shutil.copytree(product, tmp_path / "flat.zarr")
    zarr.open_group(str(flat), mode="r+")[schema.reflectance_path(10, "B04")][...] = np.uint16(2500)  # type: ignore[index]
    assert "too few" in run.invoke(app, ["mtf", str(flat), "--band", "B04"], catch_exceptions=False).stdout
