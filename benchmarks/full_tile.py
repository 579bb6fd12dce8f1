"""One core over a full tile: L1B Zarr to L1C Zarr, reading and writing included.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/full_tile.py [figures.jsonl]

An L1B datastrip of the scenes and detectors that see tile 28SCB, with the real geometry of the reference data
($S2DASK_REFERENCE_DATA); its pixels, textured and noisy, are the same in every granule. The tasks of production run one
after the other: start of the tile, its blocks at 10, 20 and 60 m, classification, completion. CPU time is reported,
compression and decompression included, and the largest memory.
"""

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reporting import Case, cpu_seconds, report

from s2dask.auxdata.datastrip import read_datastrip
from s2dask.auxdata.gipp_radiometry_text import write_r2abca
from s2dask.instrument import BANDS, Band, band, bands_of
from s2dask.io import schema
from s2dask.io.schema_strip import conditions
from s2dask.io.template import create
from s2dask.io.writer import write_block, write_whole
from s2dask.l1c.memory import block_bytes
from s2dask.l1c.stage import block_pixels
from s2dask.production.blocks import Block, default_blocking
from s2dask.production.footprint import tile_grid
from s2dask.production.ortho import finish_tile, start_tile, write_classification, write_ortho
from s2dask.qc.records import Record
from s2dask.simulate.gipp import absolute_calibration, gipp_name

TILE, SCENES, SCENE_LINES = "28SCB", 6, 2304
DETECTORS = tuple(range(1, 13))


def _folder() -> Path:
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("S2DASK_REFERENCE_DATA", root / "shared" / "data")) / "geometry"


def _aux(root: Path) -> Path:
    reference = _folder()
    for kind, pattern in (("gipp", "*"), ("dem", "**/*.dt*"), ("geoid", "*"), ("iers", "*.txt")):
        (root / kind).mkdir(parents=True)
        for file in (reference / kind).glob(pattern):
            # the reference SPAMOD is listed by its datastrip, though it holds from a later date on
            name = file.name.replace("V20210421T233000", "V20150622T000000")
            (root / kind / (f"{file.parent.name}_{name}" if kind == "dem" else name)).symlink_to(file)
    (root / "gipp" / gipp_name("S2A", "R2ABCA")).write_text(write_r2abca(absolute_calibration("S2A")), "utf-8")
    (root / "dem" / "SEA").touch()
    return root


def _texture(b: Band) -> NDArray[np.uint16]:
    """Return counts of one granule: hills of several sizes and the noise of the detector."""
    y, x = np.mgrid[0 : b.lines_per_scene, 0 : b.columns] * (b.resolution / 10.0)
    hills = 900 + sum(240 / k * np.sin(x / (7 * k) + k) * np.cos(y / (9 * k) - k) for k in (1, 3, 8, 30))
    return np.round(hills + np.random.default_rng(b.index).normal(0, 4, hills.shape)).astype(np.uint16)


def _repeat(store: str, path: str, values: NDArray[np.uint16]) -> None:
    """Write a granule and repeat its chunk for the other scenes."""
    write_block(store, {path: values}, {path: (0, 0)})
    chunks = Path(store) / path / "c"
    for scene in range(1, SCENES):
        (chunks / str(scene)).mkdir()
        os.link(chunks / "0" / "0", chunks / str(scene) / "0")


def build(root: Path) -> tuple[str, str, str]:
    """Write the auxiliary folder, an L0 store without packets and an L1B store; return L0, L1B and folder."""
    aux, strip = _aux(root / "aux"), read_datastrip(_folder() / "l1b")
    t, names = strip.trajectory, tuple(BANDS)
    attrs = {
        "level": "L0", "unit": "S2A", "detectors": list(DETECTORS), "bands": list(names), "scenes": SCENES,
        "codec": "raw12", "line_period": strip.line_period, "aux": str(aux), "baseline": "05.11",
        "datatake_id": "GS2A_20200816T120221_026904_N05.11", "absolute_orbit": 26904, "relative_orbit": 23,
        "sensing_start_gps": strip.sensing[0], "sensing_stop_gps": strip.sensing[1],
    }  # fmt: skip
    l0, l1b = str(root / "l0.zarr"), str(root / "l1b.zarr")
    sizes = (len(t.position_time), len(t.attitude_time))
    create(l0, conditions(len(DETECTORS), len(names), *sizes), {"s2dask": attrs})
    write_whole(l0, "conditions/ephemeris/gps_time", t.position_time)
    write_whole(l0, "conditions/ephemeris/position", t.position)
    write_whole(l0, "conditions/attitude/gps_time", t.attitude_time)
    write_whole(l0, "conditions/attitude/quaternion", t.quaternion)
    dates = [[strip.first_line_date[d, name] for name in names] for d in DETECTORS]
    write_whole(l0, "conditions/datation/first_line_date", dates)
    create(l1b, schema.l1b(DETECTORS, names, SCENES, *sizes), {"s2dask": attrs})
    for name in names:
        counts = _texture(band(name))
        for d in DETECTORS:
            _repeat(l1b, schema.image_path(d, name), counts)
            _repeat(l1b, schema.mask_path(d, name), np.full_like(counts, d << 8))
    return l0, l1b, str(aux)


def _projected(blocks: Mapping[int, Block]) -> int:
    """Return the bytes that the largest task takes at most, beside the terrain and the program."""
    return max(
        block_bytes(
            block_pixels(r, block.rows, block.columns), float(r), bands_of(r), 4,
            chunk_bytes=2 * band(bands_of(r)[0]).lines_per_scene * band(bands_of(r)[0]).columns,
        )
        for r, block in blocks.items()
    )  # fmt: skip


def make_tile(root: Path, l0: str, l1b: str, aux: str) -> str:
    """Make the L1C store of the tile in this process, for others to measure what comes after; return it."""
    url, grid = str(root / "l1c.zarr"), tile_grid(TILE)
    blocking = default_blocking(grid)
    init = start_tile(l0, aux, grid, blocking, url)
    blocks = [write_ortho(l0, l1b, aux, url, block, init) for r in (10, 20, 60) for block in blocking.blocks(grid, r)]
    masks = [write_classification(url, block) for block in blocking.blocks(grid, 60)]
    finish_tile(url, init, blocks, masks)
    return url


def main() -> None:
    """Measure and print."""
    root = Path(tempfile.mkdtemp(prefix="full_tile"))
    try:
        l0, l1b, aux = build(root)
        url, grid = str(root / "l1c.zarr"), tile_grid(TILE)
        blocking = default_blocking(grid)
        init = start_tile(l0, aux, grid, blocking, url)
        middle = {r: next(b for b in blocking.blocks(grid, r) if (b.row, b.column) == (1, 1)) for r in (10, 20, 60)}
        for block in middle.values():
            write_ortho(l0, l1b, aux, url, block, init)  # compiles

        seconds = {"start": cpu_seconds(lambda: start_tile(l0, aux, grid, blocking, url))}
        records: list[Record] = []
        clock = time.perf_counter()
        for r in middle:
            seconds[f"{r} m"] = cpu_seconds(
                lambda r=r: records.extend(
                    write_ortho(l0, l1b, aux, url, block, init) for block in blocking.blocks(grid, r)
                )
            )
        masks: list[Record] = []
        seconds["classification"] = cpu_seconds(
            lambda: masks.extend(write_classification(url, block) for block in blocking.blocks(grid, 60))
        )
        seconds["end"] = cpu_seconds(lambda: finish_tile(url, init, records, masks))
        clock = time.perf_counter() - clock
        mega = sum(grid.shape(b.resolution)[0] * grid.shape(b.resolution)[1] for b in BANDS.values()) / 1e6
        total, peak = sum(seconds.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        unseen = sum(value for record in records for key, value in record.items() if key.endswith("unseen")) / 1e6
        extra = {
            "core-s": total, "clock s": clock, "peak GiB": peak, "projected GiB a task": _projected(middle) / 2**30,
            "unseen %": 100 * unseen / mega,
        }  # fmt: skip
        report("full_tile", [Case(f"tile of {mega:.0f} Mpx", {"ours": mega / total}, extra=extra)])
        for name, value in seconds.items():
            print(f"  {name:<16}{value:7.2f} s")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
