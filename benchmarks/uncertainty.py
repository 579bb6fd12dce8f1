"""The uncertainty of every pixel on one core, L1C and L2A, against the same in plain NumPy.

    taskset -c 0 python benchmarks/uncertainty.py [figures.jsonl]

Each measurement alternates ours, NumPy and memcpy; medians of CPU time are reported.
"""

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.instrument.uncertainty import CountErrors, count_errors
from s2dask.l1c.uncertainty import MORE, STEP, uncertainty_layers
from s2dask.l2a.uncertainty_layers import NUMBERS, RANDOM_STEP, SYSTEMATIC_STEP, layers

EDGE, REPEATS = 5490, 5
"""A whole tile of 20 m pixels."""
SCALE = 5e-4
Image = NDArray[np.float32]


def _coded(sigma: Image, step: float) -> NDArray[np.uint8]:
    out: NDArray[np.uint8] = np.clip(sigma / np.float32(step) + np.float32(0.5), 1, MORE).astype(np.uint8)
    return out


def _slope(rho: Image) -> Image:
    down, across = np.gradient(rho)
    out: Image = np.asarray(down * down + across * across, np.float32)
    return out


def numpy_l1c(values: NDArray[np.uint16], inverse: Image, gain: Image, e: CountErrors) -> list[NDArray[np.uint8]]:
    """Make both layers of L1C, one NumPy expression after the other."""
    rho = np.maximum((values.astype(np.float32) - np.float32(1000)) / np.float32(1e4), np.float32(0))
    c = np.float32(SCALE) * inverse
    own: Image = gain * (np.float32(e.alpha2) * c * c + np.float32(e.beta) * c * rho) + np.float32(e.flat) * c * c
    own += np.float32(e.shift**2) * _slope(rho) + np.float32(e.quantisation)
    both = own + np.float32(e.alike_flat) * c * c + np.float32(e.alike_square) * rho * rho
    return [_coded(np.sqrt(own), STEP), _coded(np.float32(e.bias) * c + np.sqrt(both), STEP)]


def l1c() -> Case:
    """Measure a 20 m band of a whole tile, with the noise gain of every pixel."""
    random = np.random.default_rng(0)
    values = (1500 + 40 * random.integers(0, 9, (EDGE, EDGE))).astype(np.uint16)
    inverse, gain = np.full(values.shape, 1.3, np.float32), np.full(values.shape, 0.7, np.float32)
    e, copy = count_errors("S2A", "B05", 200.0), values.copy()

    def ours() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return uncertainty_layers(values, inverse, e, SCALE, gain=gain)

    _agree(ours(), numpy_l1c(values, inverse, gain, e))
    cases = {
        "ours": ours,
        "numpy": lambda: numpy_l1c(values, inverse, gain, e),
        "memcpy": lambda: np.copyto(copy, values),
    }
    return Case("uncertainty of L1C, 20 m", megapixels_per_second(values.size, alternate(cases, REPEATS)))


def numpy_l2a(image: Image, cells: Image, factor: int) -> list[NDArray[np.uint8]]:
    """Make both layers of L2A, one NumPy expression after the other."""
    rows, columns = image.shape
    n = [np.repeat(np.repeat(cells[..., k], factor, 0), factor, 1)[:rows, :columns] for k in range(11)]
    bent = (1 + n[10] * (n[8] * image - n[9])) ** 2
    own = n[8] / bent * np.sqrt(n[5] + n[6] * image + 4 * n[7] * _slope(image))
    alike = n[0] + image * (n[1] + image * (n[2] + image * (n[3] + image * n[4])))
    return [_coded(own, RANDOM_STEP), _coded(np.sqrt(alike) / bent, SYSTEMATIC_STEP)]


def l2a() -> Case:
    """Measure a 20 m band of a whole tile, with numbers every 300 m."""
    random = np.random.default_rng(0)
    image, factor = random.uniform(0.1, 0.14, (EDGE, EDGE)).astype(np.float32), 15
    cells = np.empty((EDGE // factor, EDGE // factor, NUMBERS), np.float32)
    cells[...] = (1e-5, -3e-5, 3e-4, 1e-4, 1e-5, 1e-8, 1e-7, 5.6e-3, 1.3, 0.1, 0.1, 0.8, 0.2)
    cells *= random.uniform(0.9, 1.1, cells.shape).astype(np.float32)
    out, flat, copy = np.empty((2, EDGE, EDGE), np.uint8), np.zeros((0, 0), np.float32), image.copy()

    def ours() -> NDArray[np.uint8]:
        layers(image, (0, 0), cells, (0, 0), factor, flat, out[0], out[1])
        return out

    _agree(ours(), numpy_l2a(image, cells, factor))
    cases = {"ours": ours, "numpy": lambda: numpy_l2a(image, cells, factor), "memcpy": lambda: np.copyto(copy, image)}
    return Case("uncertainty of L2A, 20 m", megapixels_per_second(image.size, alternate(cases, REPEATS)))


def _agree(ours: object, plain: list[NDArray[np.uint8]]) -> None:
    difference = np.abs(np.asarray(ours, int) - np.asarray(plain, int)).max()
    if difference > 1:
        raise SystemExit(f"the two uncertainties differ by {difference} codes")


def main() -> None:
    """Measure both."""
    report("uncertainty", [l1c(), l2a()])


if __name__ == "__main__":
    main()
