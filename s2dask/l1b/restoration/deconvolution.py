"""Deconvolution: the image convolved with the inverse of the instrument's transfer, as a sum of separable filters.

The ground processor multiplies blocks by the inverse transfer in the frequency domain. The same product is made here
in the image domain, where a line depends on the lines within the half height of the kernel and on nothing else: no
block grid shows in the bytes. The singular vectors of a kernel are its separable filters; a design from the transfer
along and across track has one pair.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel
from s2dask.l1b.restoration.weighted_rows import add_weighted, mirrored

Floats = NDArray[np.float64]


class Design(NamedTuple):
    """A deconvolution kernel and what it does.

    Attributes
    ----------
    kernel : (line, column) float64
        Sum 1.
    mtf_nyquist : (2) float
        Of the instrument and the kernel together, along and across track, at 0.5 cycle per pixel.
    noise_gain : float
        Standard deviation of white noise after over before, ``sqrt(sum k^2)``.
    share : float
        Of the way to the target, in the logarithm of the transfer: 1 when the noise did not stand against it.
    """

    kernel: Floats
    mtf_nyquist: tuple[float, float]
    noise_gain: float
    share: float


def gaussian_transfer(mtf_nyquist: float, frequency: Floats) -> Floats:
    """Return the transfer of a Gaussian point spread that has a given value at Nyquist.

    Parameters
    ----------
    mtf_nyquist : float
        At 0.5 cycle per pixel; above 1 for the inverse of a blur.
    frequency : (frequency) float64 [cycle/pixel]
    """
    transfer: Floats = mtf_nyquist ** ((2 * frequency) ** 2)
    return transfer


def design(
    mtf_nyquist: tuple[float, float], target: tuple[float, float], noise_limit: float = np.inf, radius: int = 10
) -> Design:
    """Return the kernel that brings the transfer at Nyquist to a target, as far as the noise allows.

    Parameters
    ----------
    mtf_nyquist : (2) float
        Of the instrument, along and across track.
    target : (2) float
        To be reached, likewise.
    noise_limit : float
        Largest ``sqrt(sum k^2)`` that is accepted, at least 1.
    radius : int
        Half height and half width of the kernel [pixel]; 50 at most, the margin of the 10 m bands in operations.

    Notes
    -----
    With M the instrument's transfer and T the wanted one, both Gaussian, the kernel has the transfer ``(T / M)^s``,
    which is 1 at frequency 0; s <= 1 is the largest that keeps the noise within the limit, so that the result is never
    less sharp than the instrument. The taps are those of least squared error over the frequencies, exact at 0 and at
    Nyquist. With a radius of 10 no gain between them is off by more than 2 % where the transfer at Nyquist is raised
    by up to 1.6.
    """
    values = (*mtf_nyquist, *target)
    if not all(0 < v <= 1 for v in values) or any(t < m for m, t in zip(mtf_nyquist, target, strict=True)):
        raise ConfigurationError(
            f"transfer at Nyquist {mtf_nyquist}, target {target}", "restoration", "0 < transfer <= target <= 1"
        )
    if not noise_limit >= 1 or not 1 <= radius <= 50:
        raise ConfigurationError(
            f"noise limit {noise_limit}, radius {radius}", "restoration", "a limit of 1 or more, a radius of 1 to 50"
        )
    ratio = target[0] / mtf_nyquist[0], target[1] / mtf_nyquist[1]

    def kernel_of(share: float) -> Floats:
        return np.outer(_taps(ratio[0] ** share, radius), _taps(ratio[1] ** share, radius))

    low, share = 0.0, 1.0
    if np.linalg.norm(kernel_of(1.0)) > noise_limit:
        for _ in range(50):
            middle = 0.5 * (low + share)
            low, share = (low, middle) if np.linalg.norm(kernel_of(middle)) > noise_limit else (middle, share)
        share = low
    reached = mtf_nyquist[0] * ratio[0] ** share, mtf_nyquist[1] * ratio[1] ** share
    return Design(kernel_of(share), reached, float(np.linalg.norm(kernel_of(share))), share)


def response(taps: Floats, frequency: float) -> float:
    """Return the real part of the transfer of centred taps at a frequency [cycle/pixel]."""
    n = np.arange(taps.size) - taps.size // 2
    return float(taps @ np.cos(2 * np.pi * frequency * n))


def _taps(nyquist: float, radius: int) -> Floats:
    """Return centred taps whose transfer is a Gaussian of a given value at Nyquist, 1 or more."""
    return _fit(gaussian_transfer(nyquist, np.linspace(0, 0.5, 16 * radius + 1)), radius)


def _fit(gains: Floats, radius: int) -> Floats:
    """Return centred taps of least squared error to gains from 0 to 0.5 cycle per pixel, exact at both ends.

    Both run along the first axis; a second one holds several filters.
    """
    base = _cosines(len(gains), radius)[:, radius:]
    base[:, 1:] *= 2
    ends = base[[0, -1]]
    system = np.block([[base.T @ base, ends.T], [ends, np.zeros((2, 2))]])  # the constraints border the equations
    half = np.linalg.solve(system, np.concatenate([base.T @ gains, gains[[0, -1]]]))[: radius + 1]
    taps: Floats = np.concatenate([half[:0:-1], half])
    return taps


def _cosines(size: int, radius: int) -> Floats:
    """Return what makes gains at `size` frequencies from 0 to 0.5 cycle per pixel out of centred even taps."""
    cosines: Floats = np.cos(2 * np.pi * np.outer(np.linspace(0, 0.5, size), np.arange(-radius, radius + 1)))
    return cosines


def kernel_of_transfer(transfer: Floats, radius: int = 50, tolerance: float = 0.02) -> Floats:
    """Return the smallest centred kernel that makes an inverse transfer.

    Parameters
    ----------
    transfer : (frequency_line, frequency_column) float64
        Real gains from 0 to 0.5 cycle per pixel, both included, in equal steps; the same at negative frequencies. They
        are divided by the first.
    radius : int
        Largest half height and width of the kernel [pixel].
    tolerance : float
        Largest error of a gain, relative to the largest of them; there is none at 0 and at Nyquist.
    """
    if transfer.ndim != 2 or min(transfer.shape) < 3 or not np.isfinite(transfer).all() or transfer[0, 0] <= 0:
        raise ConfigurationError(
            f"an inverse transfer of shape {transfer.shape}", "GIP_R2DECT", "finite gains, the first of them above 0"
        )
    gains = transfer / transfer[0, 0]
    along, across = _factors(gains, 1e-6)
    largest = min(radius, *(size - 2 for size in gains.shape))
    for r in range(1, largest + 1):
        rows, columns = _fit(along.T, r), _fit(across.T, r)
        made = (_cosines(gains.shape[0], r) @ rows) @ (_cosines(gains.shape[1], r) @ columns).T
        if np.abs(made - gains).max() <= tolerance * np.abs(gains).max():
            found: Floats = rows @ columns.T
            return found
    raise ConfigurationError(f"a kernel that reaches beyond {largest} pixels", "GIP_R2DECT", "a smoother transfer")


def _factors(matrix: Floats, tolerance: float) -> tuple[Floats, Floats]:
    """Return the fewest rows and columns whose products add up to a matrix, within a share of its norm."""
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    left = np.sqrt(np.append(np.cumsum(s[::-1] ** 2)[::-1], 0.0))
    rank = int(np.argmax(left <= tolerance * left[0]))
    root = np.sqrt(s[:rank])
    return (u[:, :rank] * root).T, (v[:rank].T * root).T


def separable_filters(image_kernel: Floats, tolerance: float = 1e-6) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the filters along and across track whose products add up to a kernel.

    Parameters
    ----------
    image_kernel : (line, column) float64
        Odd by odd, sum 1.
    tolerance : float
        Norm of what is left out, relative to the kernel's.

    Returns
    -------
    along : (filter, line) float32
    across : (filter, column) float32
    """
    k = np.asarray(image_kernel, np.float64)
    if k.ndim != 2 or not all(size % 2 for size in k.shape) or not np.isfinite(k).all() or abs(k.sum() - 1) > 1e-3:
        raise ConfigurationError(
            f"a deconvolution kernel of shape {k.shape} and sum {k.sum():.6g}", "GIP_R2DECT", "odd sizes, finite, sum 1"
        )
    along, across = _factors(k / k.sum(), tolerance)
    return along.astype(np.float32, order="C"), across.astype(np.float32, order="C")


@kernel
def convolve(
    image: NDArray[np.float32], along: NDArray[np.float32], across: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Convolve an image with the sum of separable filters, mirrored about its first and last lines and columns.

    Parameters
    ----------
    image : (line, column) float32 [LSB]
        Contiguous.
    along : (filter, line) float32
        Centred, an odd number of taps; applied as a convolution.
    across : (filter, column) float32
        Likewise.
    out : (line, column) float32 [LSB]
        Filled; not `image`.
    """
    lines, columns = image.shape
    up, left = along.shape[1] // 2, across.shape[1] // 2
    flat = image.reshape(image.size)
    row = np.empty(columns + 2 * left, np.float32)
    inner = row[left : left + columns]
    starts, shifts = np.empty(along.shape[1], np.int64), np.arange(across.shape[1])
    for i in range(lines):
        target = out[i]
        target[:] = 0
        for k in range(starts.size):
            starts[k] = mirrored(i + up - k, lines) * columns
        for f in range(along.shape[0]):
            inner[:] = 0
            add_weighted(flat, starts, along[f], inner)
            for x in range(left):
                row[x] = inner[mirrored(x - left, columns)]
                row[left + columns + x] = inner[mirrored(columns + x, columns)]
            add_weighted(row, shifts, across[f, ::-1].copy(), target)
