"""Location on one core: direct on relief, direct over the sea, inverse in grid order, and the 3-D grid per pixel.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/location.py [figures.jsonl]

Whole lines of the reference datastrip over Madeira ($S2DASK_REFERENCE_DATA), elevation model and geoid included.
Medians of CPU time are reported; no peer is run.
"""

import os
from pathlib import Path

import numpy as np
from reporting import Case, alternate, cpu_seconds, report

from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.geometry.inverse_grid import lattice_of, locate_nodes, locate_pixels
from s2dask.instrument import band

REPEATS, LINES = 5, 200
PLACES = {"B02 on relief": ("B02", 9, 6700), "B02 over the sea": ("B02", 1, 6700), "B01 over the sea": ("B01", 1, 1000)}


def open_reference() -> tuple[ViewingModel, Terrain]:
    """Return the viewing model and the terrain of the reference data."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("S2DASK_REFERENCE_DATA", root / "shared" / "data")) / "geometry"
    terrain = Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")
    bulletin = next(folder.glob("iers/*.txt"))
    return ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=bulletin), terrain


def located(
    model: ViewingModel, terrain: Terrain, name: str, detector: int, first: int
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """Return lines and columns of whole lines, and the ground that they see."""
    line, column = np.meshgrid(
        np.arange(first, first + LINES, dtype=float), np.arange(band(name).columns, dtype=float), indexing="ij"
    )
    return line, column, model.direct(name, detector, line, column, terrain)


def main() -> None:
    """Measure and print."""
    opening = cpu_seconds(open_reference)
    model, terrain = open_reference()
    set_up = cpu_seconds(lambda: [model.states(plane) for plane in ("VNIR", "SWIR")])
    print(f"metadata, GIPPs, table {opening:.3f} s; states of both focal planes {set_up:.3f} s")
    cases = []
    for title, (name, detector, first) in PLACES.items():
        line, column, ground = located(model, terrain, name, detector, first)
        seconds = alternate(
            {"ours": lambda n=name, d=detector, x=line, y=column: model.direct(n, d, x, y, terrain)}, REPEATS
        )
        cases.append(Case(f"direct, {title}", {"ours": line.size / 1e6 / seconds["ours"]}, "M/s"))
        model.inverse(name, detector, *ground)
        seconds = alternate({"ours": lambda n=name, d=detector, g=ground: model.inverse(n, d, *g)}, REPEATS)
        cases.append(Case(f"inverse, {title}", {"ours": line.size / 1e6 / seconds["ours"]}, "M/s"))
    cases.append(grid_case(model))
    report("location", cases)


def grid_case(model: ViewingModel) -> Case:
    """Return the speed of the 3-D grid, each pixel with its own height."""
    left, top, size = 320_040.0, 3_630_000.0, 1024
    lattice = lattice_of("EPSG:32628", left, top, (0, 0, size // 24 + 3, size // 24 + 3))
    nodes = locate_nodes(model, "B02", 9, lattice, (-50.0, 1900.0))
    if nodes is None:
        raise SystemExit("the detector does not see the window")
    heights = np.random.default_rng(0).uniform(0, 1800, (size, size)).astype(np.float32)
    line, column = np.empty((size, size)), np.empty((size, size))

    def run() -> None:
        locate_pixels(nodes.line, nodes.column_of, 24, 0, 0, heights, 0, nodes.middle, line, column)

    run()
    return Case("3-D grid, per pixel", {"ours": size * size / 1e6 / alternate({"ours": run}, REPEATS)["ours"]})


if __name__ == "__main__":
    main()
