"""L2A on one core: surface reflectance and scene classification against the same in plain NumPy, and memory copies.

    taskset -c 0 python benchmarks/surface.py [figures.jsonl]

Each measurement alternates ours, NumPy and memcpy; medians of CPU time are reported.
"""

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.l2a.correction import correct, gas_gain
from s2dask.l2a.scene_class import classify

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


def _ramp(value: Image, low: float, high: float) -> Image:
    return np.clip((value - low) / (high - low), 0, 1)


def _surface(bands: list[Image]) -> tuple[NDArray[np.uint8], Image]:
    b02, b03, b04, b8a, _, b11, b12 = bands
    ndvi, green = (b8a - b04) / np.maximum(b8a + b04, 1e-4), b8a / np.maximum(b03, 1e-4)
    blue, mndwi = b02 / np.maximum(b11, 1e-4), (b03 - b11) / np.maximum(b03 + b11, 1e-4)
    rock = _ramp(b8a / np.maximum(b11, 1e-4), 0.9, 1.1)
    tests = [
        (((b03 - b8a) / np.maximum(b03 + b8a, 1e-4) > 0.2) & (b11 < 0.05) & (b8a < 0.12), 6),
        ((b04 >= 0.08) & (ndvi < 0) & (b11 < 0.10) & (b8a < 0.20) & (mndwi > 0.25), 6),
        ((b04 < 0.08) & (b8a > 0.04) & (b8a < 0.15) & (ndvi < 0.47), 2),
        (((ndvi >= 0.47) & (b02 < 0.15)) | ((ndvi > 0.36) & (green >= 2.5)), 4),
        ((blue <= 1.5) & (b02 <= np.clip(-0.4 * blue + 0.46, 0.15, 0.32)), 5),
        ((blue > 4) & (b12 < np.clip(0.1 * blue - 0.09, 0.07, 0.21)) & (b02 - b04 > 0.034) & (b8a < 0.20), 6),
        (rock == 0, 5),
    ]
    kind = np.select([t for t, _ in tests], [np.uint8(k) for _, k in tests], np.uint8(7))
    factor = rock * (1 - _ramp(ndvi, 0.36, 0.47)) * (1 - _ramp(green, 1.5, 2.5))
    factor *= np.where(b12 < 0.21, 1 - _ramp(blue, 2, 4), 1)
    return kind, np.where(kind == 7, factor, 0)


def numpy_classes(bands: list[Image], quality: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Find the same classes, one NumPy expression per test."""
    b02, b03, b04, b8a, b10, b11, b12 = bands
    ndsi = (b03 - b11) / np.maximum(b03 + b11, 1e-4)
    snow = _ramp(ndsi, 0.2, 0.42) * _ramp(b8a, 0.15, 0.35) * _ramp(b02, 0.18, 0.22)
    snow *= _ramp(b02 / np.maximum(b04, 1e-4), 0.85, 0.95)
    kind, factor = _surface(bands)
    cloud = _ramp(b04, 0.08, 0.25) * _ramp(ndsi, -0.24, -0.16) * factor
    kind = np.where((kind == 7) & (b02 < b11), 5, kind)
    kind = np.where((cloud >= 0.35) | (b10 >= 0.035), 8, kind)
    kind = np.where((b10 > 0.012) & (b10 < 0.035) & (b02 < 0.5), 10, kind)
    kind = np.where(cloud >= 0.65, 9, kind)
    kind = np.where((snow > 0) & (b12 < 0.12), 11, kind)
    kind = np.where(quality & 0xB4 != 0, 1, kind)
    return np.where(np.isnan(b02 + b03 + b04 + b8a + b10 + b11 + b12), 0, kind).astype(np.uint8)


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


def classification() -> Case:
    """Measure the classification of a quarter of a tile, of spectra of all kinds."""
    random, edge = np.random.default_rng(1), EDGE // 2
    spectra = np.array([
        (0.085, 0.085, 0.055, 0.40, 0.001, 0.18, 0.08), (0.13, 0.14, 0.17, 0.27, 0.001, 0.33, 0.28),
        (0.095, 0.06, 0.035, 0.015, 0.001, 0.006, 0.004), (0.65, 0.62, 0.64, 0.66, 0.010, 0.45, 0.35),
        (0.9, 0.88, 0.88, 0.8, 0.002, 0.08, 0.06), (0.17, 0.18, 0.21, 0.3, 0.02, 0.33, 0.28),
    ])  # fmt: skip
    kinds = np.repeat(np.repeat(random.integers(0, len(spectra), (61, 61)), 45, 0), 45, 1)
    noise = random.normal(1, 0.05, (edge, edge))
    bands = [np.ascontiguousarray(spectra[kinds, k] * noise, np.float32) for k in range(7)]
    bands[0][:50] = np.nan
    quality = np.where(random.random((edge, edge)) < 1e-3, 128, 0).astype(np.uint8)
    out = [np.empty((edge, edge), np.uint8) for _ in range(3)]

    def ours() -> NDArray[np.uint8]:
        classify(*bands, quality, *out)
        return out[0]

    differing = (ours() != numpy_classes(bands, quality)).mean()
    if differing > 1e-5:
        raise SystemExit(f"the two classifications differ in {100 * differing:.4f} % of the pixels")
    copies = [b.copy() for b in bands]

    def copy() -> None:
        for source, target in zip(bands, copies, strict=True):
            np.copyto(target, source)

    cases = {"ours": ours, "numpy": lambda: numpy_classes(bands, quality), "memcpy": copy}
    return Case("scene classification, 20 m", megapixels_per_second(edge * edge, alternate(cases, REPEATS)))


def main() -> None:
    """Measure both."""
    report("surface", [correction(), classification()])


if __name__ == "__main__":
    main()
