"""Nothing is evaluated twice: tasks of a run, and chunks written and read, are counted where they happen."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from system_model import Run
from traffic import Traffic

from s2dask.instrument import band
from s2dask.io.grids import TileGrid
from s2dask.production.blocks import default_blocking
from s2dask.production.chain import Summary, run
from s2dask.production.footprint import tile_grid
from s2dask.simulate.comparison import Truth


@pytest.fixture(scope="module")
def grid(few_bands: Path) -> TileGrid:
    """Return the window of the session."""
    return tile_grid("28SCB", Truth(f"{few_bands}/truth.zarr").window)


@pytest.fixture(scope="module")
def counted(
    few_bands: Path, grid: TileGrid, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Summary, Traffic]]:
    """Run the chain to Level-1C, by one worker in this process, and count."""
    out, window = tmp_path_factory.mktemp("counts") / "products", (grid.x0, grid.y0, grid.width, grid.height)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        traffic = Traffic()
        summary = run(
            str(few_bands), client=client, to="L1C", out=str(out), tile=grid.tile_id, window=window, keep=True
        )
        traffic.on = False
        yield summary, traffic


def _store(summary: Summary, level: str) -> str:
    return next(url for key, url in summary.stores.items() if key.startswith(level))


def _blocks(grid: TileGrid) -> dict[int, int]:
    return {r: len(list(default_blocking(grid).blocks(grid, r))) for r in (10, 20, 60)}


def test_every_task_is_run_once(counted: tuple[Summary, Traffic], grid: TileGrid) -> None:
    summary, _ = counted
    assert set(Counter(outcome.key for outcome in summary.outcomes).values()) == {1}
    steps, blocks = Counter(outcome.step for outcome in summary.outcomes), _blocks(grid)
    expected = {
        "RADIO_INIT": 1, "RADIO_AB": 1, "OLQC_DS_L1B": 1, "TILE_INIT": 1, "GEN_ORTHO_TOA": sum(blocks.values()),
        "MASK_S2": blocks[60], "TILE_FINALIZE": 1,
    }  # fmt: skip
    assert {step: steps[step] for step in expected} == expected


def test_every_task_of_every_level_is_run_once(made: Run) -> None:
    summary = made.summary
    grid = tile_grid("28SCB", made.truth.window)
    assert set(Counter(outcome.key for outcome in summary.outcomes).values()) == {1}
    steps, blocks = Counter(outcome.step for outcome in summary.outcomes), _blocks(grid)
    expected = {
        "GEN_ORTHO_TOA": sum(blocks.values()), "MASK_S2": blocks[60], "L2A_INIT": 1, "L2A_DDV": blocks[20],
        "L2A_AC": blocks[20], "L2A_FINALIZE": 1,
    }  # fmt: skip
    assert {step: steps[step] for step in expected} == expected


@pytest.mark.parametrize("level", ["L1B", "L1C"])
def test_every_chunk_is_written_once(counted: tuple[Summary, Traffic], level: str) -> None:
    summary, traffic = counted
    chunks = traffic.of(traffic.written, _store(summary, level), "(measurements|quality|conditions/mask)/.*")
    assert len(chunks) >= 10
    assert {path: n for path, n in chunks.items() if n > 1} == {}


def test_a_granule_is_read_once_by_each_block(counted: tuple[Summary, Traffic], grid: TileGrid) -> None:
    """A granule is a chunk: each of its images is read, and decompressed, by each block that needs it, and once."""
    summary, traffic = counted
    store, blocks = _store(summary, "L1B"), _blocks(grid)
    for name in ("B01", "B02", "B03", "B04", "B11"):
        for where in (f"measurements/d06/{name.lower()}/img", f"quality/d06/{name.lower()}/mask"):
            reads = traffic.of(traffic.read, store, where)
            assert list(reads) == [f"{where}/c/0/0"]
            assert 1 <= reads[f"{where}/c/0/0"] <= blocks[band(name).resolution], where
