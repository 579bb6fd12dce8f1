"""What quality control costs of a full tile, L1B Zarr to L2A Zarr, on one core.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/quality_cost.py [figures.jsonl]

The strip and the tile are those of ``full_tile.py``. The tasks of production run one after the other, as they do with
quality control; what its indicators take of each is measured in the same run, on the arrays that the task has just
written: a difference of two runs of a second would be the noise of the machine. CPU time, reading and writing
included. Quality control is all indicators of the blocks, and at the end of each level the combined records, their
indicators and the checks; what the metadata of the product state is not (pixels without data, lost, saturated, of each
class, the accuracies of the retrieval).
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from full_tile import TILE, build
from numpy.typing import NDArray
from reporting import Case, report

from s2dask.instrument import bands_of
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.schema import L2A_BANDS
from s2dask.io.storage import open_array
from s2dask.io.tiles import open_tile
from s2dask.l1c.classification import CLASSIFICATION_BANDS
from s2dask.l1c.tile_indicator import BlockIndicators, between_record, cover_record, tile_indicators
from s2dask.l2a import scene_indicator
from s2dask.production import ortho, surface
from s2dask.production.blocks import Block, default_blocking
from s2dask.production.footprint import tile_grid
from s2dask.production.reference_image import patch_cell
from s2dask.qc.checks import run_checks
from s2dask.qc.records import Record, combine

MOST = 1.0
"""Share of the processing time that quality control may take [%]."""


class Meter:
    """CPU seconds of the tasks, and what of them is quality control."""

    def __init__(self) -> None:
        self.total: dict[str, float] = {}
        self.quality: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Run a task and return what it does."""
        start = time.process_time()
        result = work()
        spent = time.process_time() - start
        self.total[name] = self.total.get(name, 0.0) + spent
        self.quality.setdefault(name, 0.0)
        return result

    def again(self, name: str, work: Callable[[], Any]) -> None:
        """Run the indicators of a task again, and take them as its quality control."""
        start = time.process_time()
        work()
        self.quality[name] += time.process_time() - start


def _read(store: str, path: str, block: Block, resolution: int) -> NDArray[Any]:
    rows, columns = (
        slice(at.start * block.resolution // resolution, at.stop * block.resolution // resolution)
        for at in (block.rows, block.columns)
    )
    return np.asarray(open_array(store, path)[rows, columns])


def _ortho(meter: Meter, l1c: str, grid: TileGrid, block: Block) -> None:
    """Measure the indicators of a block of orthoimages."""
    r = block.resolution
    layers = (schema.reflectance_path, schema.footprint_path)
    images = {n: [_read(l1c, path(r, n), block, r) for path in layers] for n in bands_of(r)}

    def indicators() -> None:
        found = BlockIndicators(r, block.origin, grid.shape(r), patch_cell(grid, r))
        for name, (values, footprint) in images.items():
            found.see(name, values, footprint)
        found.record()

    meter.again(f"L1C {r} m", indicators)


def _masks(meter: Meter, l1c: str, grid: TileGrid, block: Block) -> None:
    """Measure the shifts between resolutions of a block; the images are of any kind but of the right size."""
    image = _read(l1c, schema.reflectance_path(60, "B09"), block, 60).astype(np.float32) / 1e4
    images = dict.fromkeys(CLASSIFICATION_BANDS, image)
    lattices = {r: (grid.shape(r), patch_cell(grid, r)) for r in (10, 20, 60)}

    def indicators() -> None:
        between_record(images, block.origin, *lattices[60])
        cover_record(image > 0.3, block.origin, lattices)

    meter.again("L1C masks", indicators)


def _surface(meter: Meter, l2a: str, block: Block) -> None:
    """Measure the indicators of a block of surface reflectance."""
    for r, names in L2A_BANDS.items():
        for name in names:
            counts = _read(l2a, schema.reflectance_path(r, name), block, r)
            meter.again("L2A blocks", lambda counts=counts: scene_indicator.count_record(counts, "b"))
    layers = {path: _read(l2a, path, block, 20) for path in (surface.SCL, surface.AOT, surface.WVP)}
    compared = {n: _read(l2a, schema.reflectance_path(20, n), block, 20) for n in scene_indicator.COMPARED}

    def indicators() -> None:
        scene_indicator.layer_record(layers[surface.WVP], "wvp")
        scene_indicator.layer_record(layers[surface.AOT], "aot")
        middle = {n: scene_indicator.middle_pixels(image) for n, image in compared.items()}
        scene_indicator.class_record(layers[surface.SCL], middle, layers[surface.AOT], block.origin)

    meter.again("L2A blocks", indicators)


def _blocks(
    meter: Meter, name: str, blocks: Iterable[Block], work: Callable[[Block], Record], again: Callable[[Block], None]
) -> list[Record]:
    """Run the task of each block and its indicators again, the first one before: it compiles."""
    records = list[Record]()
    for rank, block in enumerate(blocks):
        if rank == 0:
            warm = Meter()
            warm.run(name, lambda block=block: work(block))
        records.append(meter.run(name, lambda block=block: work(block)))
        again(block)
    return records


def measure(root: Path, l0: str, l1b: str, aux: str) -> Meter:
    """Make the tile to Level-2A and measure."""
    l1c, l2a, grid = str(root / "l1c.zarr"), str(root / "l2a.zarr"), tile_grid(TILE)
    cut, meter, records = default_blocking(grid), Meter(), list[Record]()
    init = meter.run("L1C start", lambda: ortho.start_tile(l0, aux, grid, cut, l1c))
    for r in (10, 20, 60):
        records += _blocks(
            meter, f"L1C {r} m", cut.blocks(grid, r), lambda block: ortho.write_ortho(l0, l1b, aux, l1c, block, init),
            lambda block: _ortho(meter, l1c, grid, block),
        )  # fmt: skip
    masks = _blocks(
        meter, "L1C masks", cut.blocks(grid, 60), lambda block: ortho.write_classification(l1c, block),
        lambda block: _masks(meter, l1c, grid, block),
    )  # fmt: skip
    told = ortho.finish_tile(l1c, init, records, masks)["record"]  # reads the checklists
    meter.run("L1C end", lambda: ortho.finish_tile(l1c, init, records, masks))
    meter.again("L1C end", lambda: (tile_indicators(combine([*records, *masks])), run_checks("L1C", told)))

    blocks = list(cut.blocks(grid, 20))
    begin = surface.start_tile(l1c, aux, l2a, open_tile(l1c).grid, cut)
    surface.gather(l1c, blocks[4], begin)  # compiles
    begin = meter.run("L2A start", lambda: surface.start_tile(l1c, aux, l2a, open_tile(l1c).grid, cut))
    sample = meter.run("L2A sample", lambda: [surface.gather(l1c, block, begin) for block in blocks])
    state = meter.run("L2A atmosphere", lambda: surface.solve(begin, sample))
    records = _blocks(
        meter, "L2A blocks", blocks, lambda block: surface.write_surface(l1c, l2a, block, begin, state),
        lambda block: _surface(meter, l2a, block),
    )  # fmt: skip
    told = surface.finish_tile(l2a, begin, state, records)["record"]  # reads the checklists
    meter.run("L2A end", lambda: surface.finish_tile(l2a, begin, state, records))
    meter.again("L2A end", lambda: (scene_indicator.class_indicators(combine(records)), run_checks("L2A", told)))
    return meter


def main() -> None:
    """Measure and print."""
    root = Path(tempfile.mkdtemp(prefix="quality_cost"))
    try:
        meter = measure(root, *build(root))
        total, quality = sum(meter.total.values()), sum(meter.quality.values())
        cost = 100.0 * quality / (total - quality)
        extra = {"s": total, "quality control s": quality, "quality control %": cost, "at most %": MOST}
        report("quality_cost", [Case("tile to L2A", {"ours": 1 / total}, "tiles/s", extra)])
        for name, seconds in meter.total.items():
            print(f"  {name:<16}{seconds:7.2f} s{1e3 * meter.quality[name]:9.1f} ms")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
