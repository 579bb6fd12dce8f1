"""One core over a full tile: L1C Zarr to L2A Zarr, reading and writing included.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/full_surface.py [figures.jsonl]

The L1C store is that of ``full_tile.py``, made before anything is measured. The tasks of production run one after the
other: start of the tile, its sample of land, its atmosphere, its blocks, completion. CPU time is
reported, compression and decompression included, and the largest memory.
"""

import resource
import shutil
import tempfile
from pathlib import Path

from full_tile import build, make_tile
from reporting import Case, cpu_seconds, report

from s2dask.io.schema import L2A_BANDS
from s2dask.io.tiles import open_tile
from s2dask.production import surface
from s2dask.production.blocks import default_blocking
from s2dask.qc.records import Record


def main() -> None:
    """Measure and print."""
    root = Path(tempfile.mkdtemp(prefix="full_surface"))
    try:
        l0, l1b, aux = build(root)
        source, url = make_tile(root, l0, l1b, aux), str(root / "l2a.zarr")
        grid = open_tile(source).grid
        blocks = list(default_blocking(grid).blocks(grid, 20))
        begin = surface.start_tile(source, aux, url, grid, default_blocking(grid))
        state = surface.solve(begin, [surface.gather(source, block, begin) for block in blocks])
        surface.write_surface(source, url, blocks[4], begin, state)  # compiles, and fills the tables
        results: dict[str, object] = {}

        def keep(name: str, value: object) -> None:
            results[name] = value

        seconds = {
            "start": cpu_seconds(
                lambda: keep("begin", surface.start_tile(source, aux, url, grid, default_blocking(grid)))
            ),
            "sample": cpu_seconds(
                lambda: keep("sample", [surface.gather(source, block, begin) for block in blocks])
            ),
            "atmosphere": cpu_seconds(lambda: keep("state", surface.solve(begin, results["sample"]))),  # type: ignore[arg-type]
        }
        records: list[Record] = []
        seconds["blocks"] = cpu_seconds(
            lambda: records.extend(surface.write_surface(source, url, block, begin, state) for block in blocks)
        )
        seconds["end"] = cpu_seconds(lambda: keep("end", surface.finish_tile(url, begin, state, records)))
        mega = sum(grid.shape(r)[0] * grid.shape(r)[1] * len(names) for r, names in L2A_BANDS.items()) / 1e6
        total, peak = sum(seconds.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        extra = {"core-s": total, "peak GiB": peak, "sloped": float(state.sloped)}
        report("full_surface", [Case(f"L2A tile of {mega:.0f} Mpx", {"ours": mega / total}, extra=extra)])
        for name, value in seconds.items():
            print(f"  {name:<16}{value:7.2f} s")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
