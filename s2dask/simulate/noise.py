"""Periodic fractal noise."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

NOISE_SIZE: Final = 1024


def fractal(seed: tuple[int, ...], slope: float, size: int = NOISE_SIZE) -> NDArray[np.float32]:
    """Return a periodic fractal field (size, size) of zero mean and unit deviation, spectrum 1/f^slope."""
    random = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    f[0, 0] = 1.0
    amplitude = f ** (-slope / 2 - 0.5)
    amplitude[0, 0] = 0.0
    phase = np.exp(2j * np.pi * random.random(f.shape))
    field = np.fft.irfft2(amplitude * phase, s=(size, size))
    out: NDArray[np.float32] = ((field - field.mean()) / field.std()).astype(np.float32)
    return out


@kernel
def tile_value(field, x, y):  # type: ignore[no-untyped-def]
    """Return a periodic field, a power of two in size, at a place in units of its cells, bilinear."""
    last = field.shape[0] - 1
    fx, fy = np.floor(x), np.floor(y)
    i, j, u, v = int(fx) & last, int(fy) & last, x - fx, y - fy
    k, m = (i + 1) & last, (j + 1) & last
    top = field[j, i] * (1 - u) + field[j, k] * u
    return top * (1 - v) + (field[m, i] * (1 - u) + field[m, k] * u) * v
