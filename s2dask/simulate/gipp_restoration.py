"""The GIPPs of the restoration of a simulated session: they are there, and operations do not use them."""

from collections.abc import Callable
from typing import Final

import numpy as np

from s2dask.auxdata.gipp_file import Gipp
from s2dask.auxdata.gipp_filters import ImageFilter, SquareFilter
from s2dask.auxdata.gipp_record import Taps
from s2dask.auxdata.gipp_restoration import DeconvolutionTransfer, DenoisingThresholds, L2Norms, WaveletFilters
from s2dask.instrument import unit

TARGET: Final = 0.5
"""Modulation at Nyquist that the deconvolution leads to, where the instrument has less."""
FREQUENCIES: Final = 65
"""From 0 to 0.5 cycles per pixel."""
DEPTH: Final = 2


def modulation(satellite: str, band: str) -> tuple[float, float]:
    """Return the modulation of the instrument at Nyquist along and across track: that of its Gaussian point spread."""
    b = unit(satellite).bands[band]
    return tuple(float(np.exp(-0.5 * (np.pi * s) ** 2)) for s in (b.psf_sigma_lines, b.psf_sigma_columns))  # type: ignore[return-value]


def _deconvolution(satellite: str, band: str) -> ImageFilter:
    """Return the gains by frequency along and across track: Gaussian, as the point spread is."""
    f = np.linspace(0, 0.5, FREQUENCIES)
    along, across = (max(TARGET / m, 1.0) ** ((2 * f) ** 2) for m in modulation(satellite, band))
    gains = np.array([float(f"{v:.12g}") for v in np.outer(along, across).ravel()]).reshape(FREQUENCIES, FREQUENCIES)
    return ImageFilter("FREQUENTIAL", 1, 1, 1, 1, SquareFilter(gains))


def restoration(satellite: str, band: str, name: Callable[[str], str]) -> list[Gipp]:
    """Return GIP_R2DECT, R2DENT, R2WAFI and R2L2NC of a band.

    Parameters
    ----------
    satellite, band : str
    name : callable
        Of a type: the name of its file.

    Notes
    -----
    The wavelet is Daubechies' orthonormal one of four taps: what a packet is made of has the norm 1. Thresholds are
    three deviations, and none for the packet of the lowest frequencies.
    """
    root = np.sqrt(3.0)
    low = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * np.sqrt(2.0))
    pair = Taps.across(low), Taps.across((-1.0) ** np.arange(4) * low[::-1])
    noise = unit(satellite).bands[band]
    sigma = float(np.hypot(noise.noise_alpha, np.sqrt(1 / 12)))
    sizes = [2**level for level in range(1, DEPTH + 1)]
    levels = {k: np.array([0.0] + (n * n - 1) * [3.0 * sigma]).reshape(n, n) for k, n in enumerate(sizes, 1)}
    norms = {k: np.ones((n, n)) for k, n in enumerate(sizes, 1)}
    return [
        DeconvolutionTransfer(satellite, name("R2DECT"), band, _deconvolution(satellite, band)),
        DenoisingThresholds(satellite, name("R2DENT"), band, sigma, DEPTH, levels),
        WaveletFilters(satellite, name("R2WAFI"), band, *pair, *pair),
        L2Norms(satellite, name("R2L2NC"), band, DEPTH, norms),
    ]
