"""Nothing is read, computed or written twice: chunk files and tasks are counted, with quality control and without."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ortho_model
import pytest
import surface_model
from distributed import Client, LocalCluster
from traffic import Traffic

from s2dask.instrument import BANDS, band
from s2dask.io.grids import TileGrid
from s2dask.io.tiles import open_tile
from s2dask.production import ortho, surface
from s2dask.production.blocks import Blocking, default_blocking
from s2dask.production.chain import Summary, run
from s2dask.production.footprint import tile_grid
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

PIXELS = "(measurements|quality|conditions/mask)/.*"
RESOLUTIONS = (10, 20, 60)


def _reads(store: str, work: Callable[[], object]) -> dict[str, int]:
    """Return how often a piece of work reads each chunk of the pixels of a store."""
    traffic = Traffic()
    try:
        work()
    finally:
        traffic.on = False
    return traffic.of(traffic.read, store, PIXELS)


def _make_l1c(l0: str, l1b: str, aux: str | None, url: str, grid: TileGrid, cut: Blocking, measured: bool) -> None:
    init = ortho.start_tile(l0, aux, grid, cut, url)
    for r in RESOLUTIONS:
        for block in cut.blocks(grid, r):
            ortho.write_ortho(l0, l1b, aux, url, block, init, measured)


def _make_l2a(source: str, aux: str | None, url: str, cut: Blocking, measured: bool) -> None:
    grid = open_tile(source).grid
    blocks = list(cut.blocks(grid, 20))
    begin = surface.start_tile(source, aux, url, grid, cut)
    state = surface.solve(begin, [surface.gather(source, block, begin) for block in blocks])
    for block in blocks:
        surface.write_surface(source, url, block, begin, state, measured)


def test_measuring_reads_no_pixel_of_level_1b_again(reference_data: Path, tmp_path: Path) -> None:
    made = ortho_model.make_session(tmp_path, reference_data / "geometry")
    cut, url = Blocking(3_600, 1_800), str(tmp_path / "l1c.zarr")
    with_it, without = (
        _reads(made.l1b, lambda on=on: _make_l1c(made.l0, made.l1b, made.aux, url, ortho_model.GRID, cut, on))
        for on in (True, False)
    )
    assert len(with_it) == 2 * len(ortho_model.BANDS) * len(ortho_model.DETECTORS)
    assert with_it == without
    blocks = len(list(cut.blocks(ortho_model.GRID, 10)))
    assert max(with_it.values()) <= blocks


def test_measuring_reads_no_pixel_of_level_1c_again(tmp_path: Path) -> None:
    source, aux = surface_model.make_l1c(str(tmp_path / "l1c.zarr"), 0.2), surface_model.make_aux(tmp_path / "aux")
    url, cut = str(tmp_path / "l2a.zarr"), Blocking(3000, 3000)
    with_it, without = (_reads(source, lambda on=on: _make_l2a(source, aux, url, cut, on)) for on in (True, False))
    assert len(with_it) >= len(BANDS)
    assert with_it == without


@dataclass(frozen=True)
class Counted:
    """A whole run, from the session to both forms of delivery, and what it opened."""

    session: Path
    grid: TileGrid
    summary: Summary
    traffic: Traffic

    def store(self, level: str) -> str:
        """Return the working store of a level."""
        return next(url for key, url in self.summary.stores.items() if key.startswith(level))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    """Run the whole chain on a small session, all bands, by one worker in this process, and count."""
    folder = tmp_path_factory.mktemp("once")
    options = SimulationOptions(detectors=(6,), window=2400, scenes=1, seed=3, codec="raw12")
    session = Path(simulate(str(folder / "session"), options))
    window = Truth(f"{session}/truth.zarr").window
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        traffic = Traffic()
        out = str(folder / "products")
        summary = run(str(session), client=client, out=out, tile="28SCB", window=window, keep=True)
        traffic.on = False
        yield Counted(session, tile_grid("28SCB", window), summary, traffic)


@pytest.mark.slow
@pytest.mark.row("OPS-38")
def test_a_whole_run_with_quality_control_reads_as_often_as_without(counted: Counted, tmp_path: Path) -> None:
    grid, cut, l1b = counted.grid, default_blocking(counted.grid), counted.store("L1B")
    assert {Path(p).suffix for p in counted.summary.products} >= {".SAFE", ".zarr"}
    aux = str(counted.session / "aux")
    in_run = counted.traffic.of(counted.traffic.read, l1b, PIXELS)
    url = str(tmp_path / "l1c.zarr")
    alone = _reads(l1b, lambda: _make_l1c(counted.store("L0"), l1b, aux, url, grid, cut, measured=False))
    assert len(in_run) == 2 * len(BANDS)
    assert in_run == alone
    blocks = {r: len(list(cut.blocks(grid, r))) for r in RESOLUTIONS}
    for path, reads in in_run.items():
        assert reads <= blocks[band(path.split("/")[2].upper()).resolution], path
    l1c, url = counted.store("L1C"), str(tmp_path / "l2a.zarr")
    with_it, without = (_reads(l1c, lambda on=on: _make_l2a(l1c, aux, url, cut, on)) for on in (True, False))
    assert with_it == without
    whole = counted.traffic.of(counted.traffic.read, l1c, PIXELS)
    # classification of Level-1C and the two forms of delivery read too; none of them measures
    assert all(whole[path] >= reads for path, reads in with_it.items())


@pytest.mark.slow
def test_every_task_is_run_and_every_chunk_written_once(counted: Counted) -> None:
    outcomes, blocks = counted.summary.outcomes, list(default_blocking(counted.grid).blocks(counted.grid, 20))
    assert set(Counter(outcome.key for outcome in outcomes).values()) == {1}
    steps = Counter(outcome.step for outcome in outcomes)
    assert (steps["GEN_ORTHO_TOA"], steps["MASK_S2"]) == (3 * len(blocks), len(blocks))
    assert (steps["L2A_DDV"], steps["L2A_AC"], steps["TILE_FINALIZE"], steps["L2A_FINALIZE"]) == (
        len(blocks), len(blocks), 1, 1,
    )  # fmt: skip
    for level in ("L0", "L1B", "L1C", "L2A"):
        written = counted.traffic.of(counted.traffic.written, counted.store(level), PIXELS)
        assert len(written) >= len(BANDS), level
        assert {path: n for path, n in written.items() if n > 1} == {}, level
