"""Location on one core: direct on relief, direct over the sea, inverse in grid order, and the 3-D grid per pixel.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/location.py [figures.jsonl]

Whole lines of the reference datastrip over Madeira ($S2DASK_REFERENCE_DATA), elevation model and geoid included.
Medians of CPU time are reported. The peer, ASGARD, takes its turns in a process of its own, with every tenth of the
lines, when $S2DASK_PEER_PYTHON names an interpreter that has it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from peers.location_peer import MISSING, LocationPeer, apart, location_peer
from reporting import Case, alternate, cpu_seconds, report

from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.geometry.inverse_grid import lattice_of, locate_nodes, locate_pixels
from s2dask.instrument import band

REPEATS, LINES = 5, 200
PEER_STEP = 10
"""The peer locates every so many of the lines: it would take a minute with all of them."""
Turn = tuple[float, np.ndarray]
"""CPU time of a location [s], as the peer measures it itself; distances from our places [m]."""
PLACES = {"B02 on relief": ("B02", 9, 6700), "B02 over the sea": ("B02", 1, 6700), "B01 over the sea": ("B01", 1, 1000)}


def reference_folder() -> Path:
    """Return the folder of the reference data."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("S2DASK_REFERENCE_DATA", root / "shared" / "data")) / "geometry"


def open_reference() -> tuple[ViewingModel, Terrain]:
    """Return the viewing model and the terrain of the reference data."""
    folder = reference_folder()
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
    with location_peer() as peer:
        if peer is None:
            print(MISSING)
        else:
            peer.open("reference", reference_folder(), model, terrain, [p[:2] for p in PLACES.values()])
        cases = [case for title, place in PLACES.items() for case in location_cases(model, terrain, title, place, peer)]
    cases.append(grid_case(model))
    report("location", cases)


def location_cases(
    model: ViewingModel, terrain: Terrain, title: str, place: tuple[str, int, int], peer: LocationPeer | None
) -> list[Case]:
    """Return direct and inverse location of whole lines, ours and, if there is one, the peer's."""
    name, detector, first = place
    line, column, ground = located(model, terrain, name, detector, first)
    image, places = (np.stack(v, -1)[::PEER_STEP].reshape(-1, len(v)) for v in ((line, column), ground))
    sensor = {"name": "reference", "sensor": f"{name}/D{detector:02d}"}
    model.inverse(name, detector, *ground)

    def ours_direct() -> object:
        return model.direct(name, detector, line, column, terrain)

    def ours_inverse() -> object:
        return model.inverse(name, detector, *ground)

    if peer is None:
        return [
            contest(f"direct, {title}", ours_direct, line.size),
            contest(f"inverse, {title}", ours_inverse, line.size),
        ]

    def direct() -> Turn:
        answer = peer.ask("direct", **sensor, line=image[:, 0], column=image[:, 1])
        return answer["seconds"] / len(image), apart(np.array(answer["ground"]), places)

    def inverse() -> Turn:
        answer = peer.ask("inverse", **sensor, ground=places)
        found = np.stack([answer["line"], answer["column"]], -1)
        return answer["seconds"] / len(image), np.linalg.norm(found - image, axis=1) * band(name).resolution

    return [
        contest(f"direct, {title}", ours_direct, line.size, direct),
        contest(f"inverse, {title}", ours_inverse, line.size, inverse),
    ]


def contest(title: str, ours: Callable[[], object], size: int, theirs: Callable[[], Turn] | None = None) -> Case:
    """Return the speeds of us and of the peer, taken in turn after one warm-up, and how far apart the places are."""
    if theirs is None:
        return Case(title, {"ours": size / 1e6 / alternate({"ours": ours}, REPEATS)["ours"]}, "M/s")
    _, metres = theirs()
    turns = [(cpu_seconds(ours) / size, theirs()[0]) for _ in range(REPEATS)]
    us, them = (1e-6 / median(v) for v in zip(*turns, strict=True))
    extra = {"apart rms m": float(np.sqrt(np.mean(metres**2))), "apart max m": float(metres.max())}
    return Case(title, {"ours": us, "ASGARD": them}, "M/s", extra)


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
