"""Orthoimages on one core: a whole block (location, B-spline, reflectance, masks) against GDAL's bare resampling.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/ortho.py [figures.jsonl]

The block is 3660 x 3660 pixels of the four 10 m bands over Madeira, cut from three detectors, with the real geometry
of the reference data ($S2DASK_REFERENCE_DATA). GDAL warps an image of that size by an affine transform with its cubic
spline: no viewing model, no terrain, no prefilter, no masks. Medians of CPU time are reported.

Then the interpolation alone, of an image turned by 12 degrees: location on the grid of nodes, bicubic and B-spline (its
prefilter included) against GDAL's cubic and scipy's spline, with the error of each against the wave that the image is.
"""

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject
from reporting import Case, alternate, cpu_seconds, report
from scipy.ndimage import affine_transform

from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.geometry.inverse_grid import locate_nodes
from s2dask.instrument import band, unit
from s2dask.io.grids import TileGrid
from s2dask.l1c.interpolation import interpolate
from s2dask.l1c.location import locate, pixel_heights
from s2dask.l1c.noise_gain import NO_TABLE
from s2dask.l1c.piecewise import resample_detector
from s2dask.l1c.resampling import Filter, prepare_image
from s2dask.l1c.scratch import Scratch
from s2dask.l1c.stage import OrthoParameters, block_pixels, ortho_images, prepare_tile, tile_frame, tile_terrain

GRID = TileGrid("28SCB", "EPSG:32628", 299_940, 3_643_020, 36_600, 36_600)
NAMES, LINES, DETECTORS, REPEATS = ("B02", "B03", "B04", "B08"), 13_824, (6, 7, 8, 9, 10, 11), 5
NAME = NAMES[0]
NO_GAIN = NO_TABLE, np.empty((0, 0), np.float32)


@dataclass
class MemorySource:
    """Random counts, the same for every detector: reading costs a copy."""

    counts: NDArray[np.uint16] = field(
        default_factory=lambda: np.random.default_rng(0).integers(200, 4000, (LINES, band(NAME).columns), np.uint16)
    )

    def lines(self, name: str) -> int:
        """Return the number of lines."""
        return LINES

    def read(self, detector: int, name: str, line0: int, line1: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return counts and a clean quality layer."""
        counts = self.counts[line0:line1].copy()
        return counts, np.full(counts.shape, detector << 8, np.uint16)


def _folder() -> Path:
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("S2DASK_REFERENCE_DATA", root / "shared" / "data")) / "geometry"


def _gdal(image: NDArray[np.uint16], shape: tuple[int, int]) -> NDArray[np.uint16]:
    out = np.zeros(shape, np.uint16)
    turn = rasterio.Affine.rotation(12.0) * rasterio.Affine.scale(0.7)
    reproject(
        image, out, src_transform=turn, dst_transform=rasterio.Affine.identity(), src_crs="EPSG:32628",
        dst_crs="EPSG:32628", resampling=Resampling.cubic_spline, num_threads=1,
    )  # fmt: skip
    return out


@dataclass
class Turned:
    """A wave seen turned: the same pixels for everyone.

    Attributes
    ----------
    size : int
        Edge of the result [px].
    """

    size: int = 2400
    turn: rasterio.Affine = field(
        default_factory=lambda: rasterio.Affine.translation(600.3, 40.7) * rasterio.Affine.rotation(12.0)
    )
    results: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    scratch: Scratch = field(default_factory=Scratch)

    def __post_init__(self) -> None:
        y, x = np.mgrid[0:2950, 0:2960].astype(np.float32)
        self.counts = np.round(self._wave(y, x)).astype(np.uint16)
        self.quality = np.zeros_like(self.counts)
        nodes = 24.0 * np.arange(self.size // 24 + 1)
        column, line = self.turn * np.meshgrid(nodes, nodes)
        flat = np.zeros((3, *line.shape))
        self.line, self.column = flat.copy(), flat.copy()
        self.line[0], self.column[0] = line - 0.5, column - 0.5
        self.heights = np.zeros((self.size, self.size), np.float32)
        self.footprint = np.ones(self.heights.shape, np.uint8)
        self.flags = np.zeros(self.heights.shape, np.uint8)

    def _result(self, name: str) -> NDArray[np.float32]:
        """Return the array of a contestant, the same at every run."""
        return self.results.setdefault(name, np.zeros(self.heights.shape, np.float32))

    @staticmethod
    def _wave(y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(3000 + 1500 * np.sin(2 * np.pi * y / 6.3) * np.cos(2 * np.pi * x / 7.1))

    def ours(self, name: Filter) -> None:
        """Prefilter and resample."""
        image = prepare_image(self.counts, self.quality, 0, len(self.counts), name, scratch=self.scratch)
        out, flags = self._result(f"ours {name}"), self.flags
        arrays = self.line, self.column, 0.0, 24, 0, 0, self.heights, 1, self.footprint, out, flags, *NO_GAIN
        if resample_detector(image, *arrays):
            raise RuntimeError("pixels outside the image")

    def gdal(self) -> None:
        """Warp with GDAL's cubic."""
        reproject(
            self.counts, self._result("GDAL cubic"), src_transform=~self.turn, dst_transform=rasterio.Affine.identity(),
            src_crs="EPSG:32628", dst_crs="EPSG:32628", resampling=Resampling.cubic, num_threads=1,
        )  # fmt: skip

    def scipy(self) -> None:
        """Prefilter and resample with scipy, by its affine transform, which needs no coordinates."""
        a, b, c, d, e, f = tuple(self.turn)[:6]
        shift = (f + 0.5 * (d + e) - 0.5, c + 0.5 * (a + b) - 0.5)
        out = self._result("scipy")
        affine_transform(self.counts, [[e, d], [b, a]], shift, out.shape, out, order=3, mode="nearest")

    def error(self, name: str) -> float:
        """Return the root mean square error of a result away from its edges [DN]."""
        y, x = np.mgrid[40 : self.size - 40, 40 : self.size - 40] + 0.5
        column, line = self.turn * (x, y)
        inside = self.results[name][40:-40, 40:-40]
        return float(np.sqrt(np.mean((inside - self._wave(line - 0.5, column - 0.5)) ** 2)))


def _interpolations() -> list[Case]:
    """Return bicubic and B-spline against their peers."""
    turned = Turned()
    work = {
        "BCO": lambda: turned.ours("BCO"), "SPLINE3": lambda: turned.ours("SPLINE3"), "GDAL cubic": turned.gdal,
        "scipy": turned.scipy,
    }  # fmt: skip
    for run in work.values():
        run()
    mega = turned.size**2 / 1e6
    speed = {name: mega / seconds for name, seconds in alternate(work, REPEATS).items()}
    gdal, scipy = {"GDAL cubic": speed["GDAL cubic"]}, {"scipy": speed["scipy"]}
    rms = {f"rms {name} DN": turned.error(name) for name in turned.results}
    return [
        Case("bicubic", {"ours": speed["BCO"]} | gdal, extra=rms),
        Case("B-spline and prefilter", {"ours": speed["SPLINE3"]} | gdal | scipy, extra=rms),
    ]


def _parts(run: Callable[..., object]) -> dict[str, float]:
    """Return the CPU time of the parts of a block [s]."""
    model, terrain, p, source = run.args  # type: ignore[attr-defined]
    rows, columns = GRID.shape(10)
    pixels = block_pixels(10, slice(0, rows), slice(0, columns))
    lattice, window = tile_frame(GRID).lattice(pixels), tile_terrain(terrain, p.box)
    heights = pixel_heights(lattice, pixels, window.frame, window.heights)
    times = {"heights": cpu_seconds(lambda: pixel_heights(lattice, pixels, window.frame, window.heights))}
    times["nodes, all detectors"] = cpu_seconds(
        lambda: [locate_nodes(model, NAME, d, lattice, p.heights, LINES) for d in DETECTORS]
    )
    nodes = locate_nodes(model, NAME, 9, lattice, p.heights, LINES)
    scratch, strips = Scratch(), pixels.strips(16)
    times["locate, one detector"] = cpu_seconds(lambda: [locate(nodes, s, heights[at], scratch) for at, s in strips])
    counts, quality = source.read(9, NAME, 5000, 9500)
    times["prefilter 4500 lines"] = cpu_seconds(lambda: prepare_image(counts, quality, 5000, LINES))
    image = prepare_image(counts, quality, 5000, LINES)
    y, x = np.mgrid[0:64, 0:2400].astype(float)
    line, column = 6000 + 0.98 * y + 0.2 * x, 80 + 0.98 * x - 0.2 * y
    out, flags, one = np.zeros(y.shape, np.float32), np.zeros(y.shape, np.uint8), np.ones(y.shape, np.uint8)
    interpolate(image, line, column, 0, 1, one, out, flags)
    seconds = cpu_seconds(lambda: interpolate(image, line, column, 0, 1, one, out, flags))
    times["B-spline"] = seconds * rows * columns / y.size
    return times


class Run:
    """Everything that a block needs, opened once."""

    def __init__(self) -> None:
        folder = _folder()
        terrain = Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")
        bulletin = next(folder.glob("iers/*.txt"))
        model = ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=bulletin)
        geometry = prepare_tile(model, terrain, GRID, dict.fromkeys(NAMES, LINES), DETECTORS, views=False)
        b = unit("S2A").bands
        p = OrthoParameters(
            DETECTORS, dict.fromkeys(NAMES, LINES), geometry.box, geometry.heights, geometry.sun[0],
            {n: b[n].gain for n in NAMES}, {n: b[n].solar_irradiance for n in NAMES}, 0.97,
        )  # fmt: skip
        self.args = (model, terrain, p, MemorySource())

    def __call__(self) -> None:
        """Make the block."""
        model, terrain, p, source = self.args
        rows, columns = GRID.shape(10)
        pixels = block_pixels(10, slice(0, rows), slice(0, columns))
        for _ in ortho_images(GRID, pixels, NAMES, source, model, terrain, p):
            pass


def main() -> None:
    """Measure and print."""
    run = Run()
    rows, columns = GRID.shape(10)
    peer = run.args[3].counts[: int(rows * 0.8), :]
    run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = alternate({"ours": run, "GDAL": lambda: _gdal(peer, (rows // 2, columns // 2))}, REPEATS)
    mega = rows * columns / 1e6
    speed = {"ours": len(NAMES) * mega / seconds["ours"], "GDAL cubic spline": mega / 4 / seconds["GDAL"]}
    block = Case(f"block of {len(NAMES)} x {mega:.1f} Mpx", speed, extra={"peak GiB": peak})
    report("ortho", [block, *_interpolations()])
    for name, part in _parts(run).items():
        print(f"  {name:<24}{part:7.3f} s {mega / part:8.0f} Mpx/s")


if __name__ == "__main__":
    main()
