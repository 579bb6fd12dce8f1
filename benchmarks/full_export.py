"""One core over the delivery of a full tile: SAFE with its JPEG 2000 files, Zarr, checksums.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/full_export.py [figures.jsonl]

The L1C store is that of ``full_tile.py``, made before anything is measured. Every piece is what one task of a run does;
CPU time of each kind of file is told, and for one band of each resolution how it compares with OpenJPEG called bare.
"""

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from full_tile import build, make_tile
from reporting import Case, cpu_seconds, report

from s2dask.instrument import BANDS
from s2dask.io.schema import reflectance_path
from s2dask.io.storage import open_array
from s2dask.release.tile import Prepared, TileRelease, release_tile

COMPARED = ("B02", "B05", "B01")


def _limit(url: str, name: str, folder: Path) -> float | None:
    """Return the CPU time of the bare encoder for a band [s], without imagecodecs none."""
    try:
        import imagecodecs
    except ImportError:
        return None
    coding = {"level": 0, "reversible": True, "resolutions": 5, "bitspersample": 15, "codecformat": "j2k"}
    image = np.minimum(np.asarray(open_array(url, reflectance_path(BANDS[name].resolution, name))[...]), 32767)
    bare = folder / "bare.j2k"
    return cpu_seconds(lambda: bare.write_bytes(imagecodecs.jpeg2k_encode(image, **coding)))


def main() -> None:
    """Measure and print."""
    root = Path(tempfile.mkdtemp(prefix="full_export"))
    try:
        url = make_tile(root, *build(root))
        what, parts = TileRelease(url), root / "parts"
        seconds: dict[str, float] = defaultdict(float)
        counts: list[tuple[int, int]] = []
        ours = limit = 0.0
        for piece in what.pieces:
            kind = f"{piece.content if piece.content == 'TCI' else 'bands'}" if piece.kind == "image" else piece.kind
            spent = cpu_seconds(lambda piece=piece: counts.append(what.write_piece(piece, parts)))  # type: ignore[misc]
            seconds[kind] += spent
            if kind == "bands" and piece.content in COMPARED and (bare := _limit(url, piece.content, root)) is not None:
                ours, limit = ours + spent, limit + bare
        seconds["Zarr"] = cpu_seconds(lambda: what.write_zarr(parts))
        prepared = Prepared(str(parts), counts)
        seconds["delivery"] = cpu_seconds(lambda: release_tile(what, str(root / "out"), prepared))
        grid = what.store.grid
        mega = sum(grid.shape(b.resolution)[0] * grid.shape(b.resolution)[1] for b in BANDS.values()) / 1e6
        total = sum(seconds.values())
        extra = {"core-s": total}
        if limit:
            extra["bands over limit"] = ours / limit
        report("full_export", [Case(f"delivery of {mega:.0f} Mpx", {"ours": mega / total}, extra=extra)])
        for name, value in sorted(seconds.items(), key=lambda item: -item[1]):
            print(f"  {name:<16}{value:7.2f} s")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
