"""Restoration on one core: deconvolution and denoising against SciPy, PyWavelets and copying memory.

    taskset -c 0 python benchmarks/restoration.py [figures.jsonl]

Each measurement alternates the contestants; medians of CPU time are reported. PyWavelets is a contestant where it is
installed.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report
from scipy.fft import irfft2, rfft2
from scipy.ndimage import convolve1d

from s2dask.l1b.restoration.deconvolution import design
from s2dask.l1b.restoration.plan import (
    BOTH,
    CONVOLUTION,
    DENOISING,
    DenoisingParameters,
    RestorationPlan,
    deconvolution_kernel,
    norm_thresholds,
    restoration_plan,
    restore,
)
from s2dask.l1b.restoration.wavelet_packets import FilterPair, least_asymmetric, packet_filters, packet_norms

REPEATS, SHAPE = 5, (2304, 2552)
ALPHA, BETA = 0.529, 0.0104
AMPLIFICATION = 3.0
BLOCK, HALO = 512, 50
Image = NDArray[np.float32]
Work = Callable[[], object]


def _plan(scenario: str, kernel: NDArray[np.float64], pair: FilterPair, depth: int) -> RestorationPlan:
    analysis = packet_filters(pair, depth).analysis
    norms = packet_norms(analysis, kernel if scenario == BOTH else None)
    denoising = DenoisingParameters(pair, depth, norm_thresholds(norms, AMPLIFICATION), ALPHA, BETA)
    return restoration_plan(scenario, kernel, denoising)


def blocks(image: Image, kernel: NDArray[np.float64]) -> Image:
    """Convolve by blocks of frequencies that overlap by twice the margin of operations, as the IPF does."""
    step, (lines, columns) = BLOCK - 2 * HALO, image.shape
    wide = np.pad(image, ((HALO, HALO + step), (HALO, HALO + step)), mode="reflect")
    whole = np.zeros((BLOCK, BLOCK), np.float32)
    whole[: kernel.shape[0], : kernel.shape[1]] = kernel
    transfer = rfft2(np.roll(whole, [-(size // 2) for size in kernel.shape], (0, 1)))
    out = np.empty_like(image)
    for y in range(0, lines, step):
        for x in range(0, columns, step):
            block = irfft2(rfft2(wide[y : y + BLOCK, x : x + BLOCK]) * transfer, s=(BLOCK, BLOCK))
            part = out[y : y + step, x : x + step]
            part[:] = block[HALO : HALO + part.shape[0], HALO : HALO + part.shape[1]]
    return out


def deconvolution(title: str, image: Image, kernel: NDArray[np.float64], pair: FilterPair) -> Case:
    """Alternate ours, SciPy's separable filters, blocks of frequencies and memcpy."""
    plan = _plan(CONVOLUTION, kernel, pair, 2)
    out = np.empty_like(image)

    def separable() -> object:
        total = np.zeros_like(image)
        for along, across in zip(plan.along, plan.across, strict=True):
            total += convolve1d(convolve1d(image, along, 0, mode="mirror"), across, 1, mode="mirror")
        return np.clip(total, 0, 4095, out=total)

    found = restore(image, 0, plan)
    inner = slice(HALO, -HALO), slice(HALO, -HALO)
    for peer in (separable(), blocks(image, deconvolution_kernel(plan))):
        difference = np.abs(found - np.clip(np.asarray(peer), 0, 4095))[inner].max()
        if difference > 0.02:
            raise SystemExit(f"{title}: the convolutions differ by {difference} LSB")
    contestants: dict[str, Work] = {
        "ours": lambda: restore(image, 0, plan),
        "ndimage": separable,
        "fft512": lambda: blocks(image, kernel),
        "memcpy": lambda: np.copyto(out, image),
    }
    return Case(title, megapixels_per_second(image.size, alternate(contestants, REPEATS)))


def _packets_by_pywavelets(image: Image, pair: FilterPair, depth: int) -> Work:
    pywt = import_module("pywt")
    taps = pair.analysis_low, pair.analysis_high, pair.synthesis_low, pair.synthesis_high
    wavelet = pywt.Wavelet("packets", filter_bank=[taps[0][::-1], taps[1][::-1], taps[2], taps[3]])
    thresholds = AMPLIFICATION * np.sqrt(ALPHA**2 + BETA * 500)

    def work() -> object:
        tree = pywt.WaveletPacket2D(image, wavelet, mode="reflect", maxlevel=depth)
        for node in tree.get_level(depth)[1:]:
            node.data = pywt.threshold(node.data, thresholds, "soft")
        return tree.reconstruct(update=False)

    return work


def denoising(title: str, image: Image, kernel: NDArray[np.float64], pair: FilterPair, depth: int) -> Case:
    """Alternate ours, PyWavelets where it is there, and memcpy."""
    plan = _plan(DENOISING, kernel, pair, depth)
    out = np.empty_like(image)
    contestants: dict[str, Work] = {"ours": lambda: restore(image, 0, plan), "memcpy": lambda: np.copyto(out, image)}
    if find_spec("pywt"):
        contestants["pywavelets"] = _packets_by_pywavelets(image, pair, depth)
    return Case(title, megapixels_per_second(image.size, alternate(contestants, REPEATS)))


def both(image: Image, kernel: NDArray[np.float64], pair: FilterPair) -> Case:
    """Time the whole of the restoration."""
    plan = _plan(BOTH, kernel, pair, 2)
    out = np.empty_like(image)
    contestants: dict[str, Work] = {"ours": lambda: restore(image, 0, plan), "memcpy": lambda: np.copyto(out, image)}
    return Case("both", megapixels_per_second(image.size, alternate(contestants, REPEATS)))


def main() -> None:
    """Measure kernels of two sizes, one that is not separable, and two depths of packets."""
    random = np.random.default_rng(0)
    smooth = convolve1d(convolve1d(random.uniform(0, 1000, SHAPE), np.ones(9) / 9, 0), np.ones(9) / 9, 1)
    image = (smooth + random.normal(size=SHAPE) * np.sqrt(ALPHA**2 + BETA * smooth)).astype(np.float32)
    narrow, wide = (design((0.34, 0.36), (0.45, 0.45), radius=r).kernel for r in (7, 50))
    tilted = narrow.copy()
    tilted[1:, 1:] += 0.05 * narrow[:-1, :-1]
    tilted[:-1, :-1] += 0.05 * narrow[1:, 1:]
    pair = least_asymmetric(4)
    report(
        "restoration",
        [
            deconvolution("deconvolution 15 x 15", image, narrow, pair),
            deconvolution("deconvolution 101 x 101", image, wide, pair),
            deconvolution("15 x 15, not separable", image, tilted / tilted.sum(), pair),
            denoising("packets of depth 2, 8 taps", image, narrow, pair, 2),
            denoising("packets of depth 3, 6 taps", image, narrow, least_asymmetric(3), 3),
            both(image, narrow, pair),
        ],
    )


if __name__ == "__main__":
    main()
