"""L2A on one core: surface reflectance against the same in plain NumPy, and memory copies.

    taskset -c 0 python benchmarks/surface.py [figures.jsonl]

Each measurement alternates ours, NumPy and memcpy; medians of CPU time are reported.
"""

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.l2a.correction import correct, gas_gain

EDGE, REPEATS = 5490, 5
"""A whole tile of 20 m pixels."""
Image = NDArray[np.float32]


def numpy_correction(image: Image, cells: NDArray[np.float64], gain: Image, factor: int) -> NDArray[np.uint16]:
    """Make the same correction, one NumPy expression after the other."""
    path, reach, albedo = (cells[..., k].astype(np.float32) for k in range(3))
    gain, path, reach, albedo = (
        np.repeat(np.repeat(c, factor, 0), factor, 1)[: image.shape[0], : image.shape[1]]
        for c in (gain, path, reach, albedo)
    )
    level = image * gain - path
    counts = np.clip(level / (reach + albedo * level) * np.float32(1e4) + np.float32(1000.5), 1, 65534)
    out: NDArray[np.uint16] = np.where(np.isnan(image), 0, np.where(image > 6.45, 65535, counts)).astype(np.uint16)
    return out


def correction() -> Case:
    """Measure the correction of a 20 m band of a whole tile, its gases among it."""
    random = np.random.default_rng(0)
    image = random.uniform(0.02, 0.6, (EDGE, EDGE)).astype(np.float32)
    image[:100] = np.nan
    edge, factor = EDGE // 3, 3
    cells = np.empty((edge, edge, 5))
    for k, (low, high) in enumerate(((0.05, 0.08), (0.7, 0.8), (0.1, 0.2), (-0.1, 0.0), (2.1, 2.4))):
        cells[..., k] = random.uniform(low, high, (edge, edge))
    vapour, out, copy = random.uniform(0.5, 3, (edge, edge)), np.empty((EDGE, EDGE), np.uint16), image.copy()

    def ours() -> NDArray[np.uint16]:
        correct(image, cells, gas_gain(cells, vapour, -0.0285, 0.5928), factor, out)
        return out

    def plain() -> NDArray[np.uint16]:
        gain = np.exp(0.0285 * (cells[..., 4] * vapour) ** 0.5928 - cells[..., 3]).astype(np.float32)
        return numpy_correction(image, cells, gain, factor)

    difference = np.abs(ours().astype(int) - plain().astype(int)).max()
    if difference > 1:
        raise SystemExit(f"the two corrections differ by {difference} DN")
    cases = {"ours": ours, "numpy": plain, "memcpy": lambda: np.copyto(copy, image)}
    return Case("surface reflectance, 20 m", megapixels_per_second(image.size, alternate(cases, REPEATS)))


def main() -> None:
    """Measure it."""
    report("surface", [correction()])


if __name__ == "__main__":
    main()
