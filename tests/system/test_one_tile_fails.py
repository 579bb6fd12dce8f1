"""Of two tiles of a session one has no ground under it: it is missing, the other is delivered, and people are told."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio import Affine
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.commands.run import FAILED
from s2dask.io.grids import TileGrid
from s2dask.production.footprint import tile_grid
from s2dask.production.ledger import DONE, Ledger
from s2dask.production.order import Order
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

SPACING = 1.0 / 3600.0
"""Of the posts of the poisoned cell [deg]."""


@pytest.fixture
def session(tmp_path: Path) -> Path:
    options = SimulationOptions((6,), scenes=1, seed=3, window=1200, codec="raw12")
    return Path(simulate(str(tmp_path / "session"), options))


def _poison(folder: Path, grid: TileGrid) -> None:
    """Add a cell of the elevation model that holds nothing but voids, under a tile."""
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    west, north = to_degrees.transform(grid.x0 - 500, grid.y0 + 500)
    heights = np.full((90, 90), -32767.0, np.float32)
    with rasterio.open(
        folder / "void.tif", "w", "GTiff", 90, 90, 1, "EPSG:4326", Affine(SPACING, 0.0, west, 0.0, -SPACING, north),
        "float32", nodata=-32767.0,
    ) as target:  # fmt: skip
        target.write(heights, 1)


@pytest.mark.slow
@pytest.mark.row("PS-07")
def test_one_failing_tile_is_the_only_one_that_is_missing(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x0, y0, *_ = Truth(f"{session}/truth.zarr").window
    good, bad = tile_grid("28SCB", (x0, y0, 1200, 1200)), tile_grid("28SBB", (x0 - 4800, y0, 1200, 1200))
    _poison(session / "aux" / "dem", bad)
    # a window of each, as whole tiles would take minutes
    monkeypatch.setattr(Order, "grids", property(lambda _: [bad, good]))
    out, ledger = tmp_path / "products", tmp_path / "ledger.db"
    done = CliRunner().invoke(
        app, ["run", str(session), "--to", "L2A", "--out", str(out), "--workers", "1", "--ledger", str(ledger)]
    )
    assert done.exit_code == FAILED, done.output
    delivered = sorted(p.name for p in out.iterdir() if not p.name.startswith("."))
    assert [name.split("_")[1] + name.split("_")[5] for name in delivered] == ["MSIL1CT28SCB", "MSIL2AT28SCB"]
    told = [line for line in done.output.splitlines() if line.startswith("failed: ")]
    assert len(told) == 1
    assert told[0].startswith("failed: TILE-T28SBB refused: ")
    assert "void" in told[0]
    with Ledger.open(ledger) as book:
        (run,) = book.runs()
        rows = {row["name"]: row for row in book.units(run)}
        made = {(product["level"], product["tile"]) for product in book.products(run)}
    (failed,) = (name for name, row in rows.items() if row["state"] != DONE)
    assert failed == "TILE-T28SBB"
    assert "void" in json.dumps(rows[failed]["error"])
    assert rows[failed]["attempts"] == 1  # bad input is not tried again
    assert {(level, tile.removeprefix("T")) for level, tile in made} == {("L1C", "28SCB"), ("L2A", "28SCB")}
