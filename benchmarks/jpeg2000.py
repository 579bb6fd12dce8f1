"""JPEG 2000 files on one core: each profile of s2dask against the encoder that it stands on, called bare.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/jpeg2000.py [figures.jsonl]

A 10 m image of 4092 x 4092 pixels, fractal ground with noise. The limit of s2-strict and of s2-fast is one call of
OpenJPEG for the same image in memory, through imagecodecs (plain) and glymur (BYPASS); that of htj2k is OpenJPH. The
bare codestream is written to a file, too.
Medians of CPU time; decoding is GDAL's. Without the optional encoders their profiles are left out.
"""

import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import rasterio
from codec import scene
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.release.jpeg2000 import PROFILES, Profile, check_profile, write_jp2
from s2dask.release.jpeg2000_splice import encode_tiles, splice

EDGE = 4092
GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 10 * EDGE, 10 * EDGE)
REPEATS = 3
Work = Callable[[], object]


def _limits(image: NDArray[np.uint16], folder: Path) -> dict[str, Work]:
    """Return a bare call of the encoder below each profile."""
    out: dict[str, Work] = {}
    if find_spec("imagecodecs") is not None:
        import imagecodecs

        coding = {"level": 0, "reversible": True, "resolutions": 5, "bitspersample": 15, "codecformat": "j2k"}
        bare = folder / "bare.j2k"
        out["s2-strict"] = lambda: bare.write_bytes(imagecodecs.jpeg2k_encode(image, **coding))
        high = {"tile": (1024, 1024), "resolutions": 4, "reversible": True}
        out["htj2k"] = lambda: bare.write_bytes(imagecodecs.htj2k_encode(image, **high))
    if find_spec("glymur") is not None:
        import glymur

        coding_fast = {"numres": 5, "cbsize": (64, 64), "modesw": 1, "tilesize": (1024, 1024)}
        out["s2-fast"] = lambda: glymur.Jp2k(folder / "bare.j2k", data=image, **coding_fast)
    return out


def _read(path: Path) -> NDArray[np.uint16]:
    with rasterio.open(path) as source:
        found: NDArray[np.uint16] = source.read(1)
    return found


def _measure(profile: Profile, image: NDArray[np.uint16], limit: Work | None, folder: Path) -> Case:
    path = folder / f"{profile}.jp2"
    work: dict[str, Work] = {"ours": lambda: write_jp2(path, image, GRID, 10, profile=profile)}
    if limit is not None:
        work["encoder"] = limit
    if profile == "s2-strict":
        work["spliced"] = lambda: splice(folder / "s.jp2", list(encode_tiles(image)), (EDGE, EDGE), GRID)
    seconds = alternate(work, REPEATS)
    if not np.array_equal(_read(path), image):
        raise ValueError(f"{profile} is not lossless")
    decoding = alternate({"decode": lambda: _read(path)}, REPEATS)
    extra = {"decode Mpx/s": image.size / 1e6 / decoding["decode"], "bpp": 8 * path.stat().st_size / image.size}
    if limit is not None:
        extra["cost over encoder"] = seconds["ours"] / seconds["encoder"]
    return Case(f"encode {profile}", megapixels_per_second(image.size, seconds), extra=extra)


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    image = (4 * scene(EDGE, EDGE)).astype(np.uint16)
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        limits = _limits(image, folder)
        for profile in PROFILES:
            try:
                check_profile(profile)
            except ConfigurationError as error:
                print(error)
                continue
            cases.append(_measure(profile, image, limits.get(profile), folder))
    report("jpeg2000", cases)


if __name__ == "__main__":
    main()
