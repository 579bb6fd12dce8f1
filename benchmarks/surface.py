"""L2A on one core: surface reflectance against the same in plain NumPy, and memory copies.

    taskset -c 0 python benchmarks/surface.py [figures.jsonl]

Each measurement alternates ours, NumPy and memcpy; medians of CPU time are reported.
"""

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.l2a.inversion import BEND, FROM_SKY, FROM_SUN, GAIN, LIFT, LINES, SCATTERED, invert
from s2dask.l2a.slopes import LEAST_LIGHT

EDGE, REPEATS = 5490, 5
"""A whole tile of 20 m pixels."""
FACTOR = 3
Image = NDArray[np.float32]


def numpy_inversion(image: Image, cells: Image, cosine: Image) -> NDArray[np.uint16]:
    """Make the same inversion, one NumPy expression after the other."""
    n = [np.repeat(np.repeat(cells[..., k], FACTOR, 0), FACTOR, 1) for k in range(LINES)]
    x = image * n[GAIN] - (n[LIFT] + n[SCATTERED])
    if cosine.size:
        x /= np.maximum(n[FROM_SUN] * cosine + n[FROM_SKY], np.float32(LEAST_LIGHT))
    counts = np.clip(x / (1 + n[BEND] * x) * np.float32(1e4) + np.float32(1000.5), 1, 65534)
    out: NDArray[np.uint16] = np.where(np.isnan(image), 0, np.where(image > 6.45, 65535, counts)).astype(np.uint16)
    return out


def inversion(title: str, sloped: bool, around: bool) -> Case:
    """Measure the inversion of a 20 m band of a whole tile, on slopes or not, the surroundings known or not."""
    random = np.random.default_rng(0)
    image = random.uniform(0.02, 0.6, (EDGE, EDGE)).astype(np.float32)
    image[:100] = np.nan
    cells = np.empty((EDGE // FACTOR, EDGE // FACTOR, LINES), np.float32)
    limits = {GAIN: (1.2, 1.5), LIFT: (0.07, 0.1), BEND: (0.1, 0.2), FROM_SUN: (0.8, 0.9), FROM_SKY: (0.1, 0.2)}
    for k, (low, high) in (limits | {SCATTERED: (0.0, 0.02)}).items():
        cells[..., k] = random.uniform(low, high, cells.shape[:2])
    if around:
        cells[..., BEND] = 0
    cosine = random.uniform(0.5, 1.2, image.shape if sloped else (0, 0)).astype(np.float32)
    out, copy = np.empty((EDGE, EDGE), np.uint16), image.copy()

    def ours() -> NDArray[np.uint16]:
        invert(image, cells, cosine, FACTOR, out)
        return out

    difference = np.abs(ours().astype(int) - numpy_inversion(image, cells, cosine).astype(int)).max()
    if difference > 1:
        raise SystemExit(f"the two inversions differ by {difference} DN")
    peer = {"numpy": lambda: numpy_inversion(image, cells, cosine), "memcpy": lambda: np.copyto(copy, image)}
    return Case(title, megapixels_per_second(image.size, alternate({"ours": ours} | peer, REPEATS)))


def main() -> None:
    """Measure it."""
    level = inversion("inversion, 20 m, level", sloped=False, around=False)
    report("surface", [level, inversion("inversion, 20 m, slopes", sloped=True, around=True)])


if __name__ == "__main__":
    main()
