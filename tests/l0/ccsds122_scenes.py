"""Strips to compress: a textured ground with the instrument's noise, and packets around coded strips."""

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES


def texture(columns: int, seed: int = 0, noise: float = 2.0, contrast: float = 250.0) -> NDArray[np.uint16]:
    """Return (16, column) counts of a fractal ground (amplitude as 1/f^1.5) with white noise."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(columns))
    frequency[0, 0] = 1.0
    ground = np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**1.5, (256, columns))[:16]
    counts = 900 + contrast * ground / ground.std() + rng.normal(0, noise, ground.shape)
    return np.clip(np.round(counts), 0, 4095).astype(np.uint16)


def packets_of(strips: list[bytes], size: int | None = None) -> NDArray[np.uint8]:
    """Return packets with nothing but strips in them, of the same size."""
    size = max(len(s) for s in strips) if size is None else size
    out = np.zeros((len(strips), ISP_HEAD_BYTES + size + CRC_BYTES), np.uint8)
    for packet, strip in zip(out, strips, strict=True):
        packet[ISP_HEAD_BYTES : ISP_HEAD_BYTES + len(strip)] = np.frombuffer(strip, np.uint8)
    return out


def psnr(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> float:
    """Return the peak signal-to-noise ratio [dB] of 12-bit counts, infinite where they are equal."""
    error = np.mean((a.astype(float) - b) ** 2)
    return float(10 * np.log10(4095**2 / error)) if error else float("inf")
