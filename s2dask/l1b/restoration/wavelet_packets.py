"""Wavelet packets: the filters of every packet of a full decomposition, and what noise becomes in each of them.

A decomposition of depth n cuts the frequencies of each direction into ``M = 2^n`` channels. Going down level by level
with two filters, or once with the M filters that the levels amount to, is the same decomposition; the second form
passes over the pixels once.
"""

from itertools import product
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError

Floats = NDArray[np.float64]


class FilterPair(NamedTuple):
    """The two channels of one level: ``c[m] = sum_k analysis[k] x[2 m + k]``, ``x[2 m + k] += synthesis[k] c[m]``.

    Attributes
    ----------
    analysis_low, analysis_high : (tap) float64
    synthesis_low, synthesis_high : (tap) float64
        Equal to those of the analysis when the wavelet is orthonormal. All four have one even length.
    """

    analysis_low: Floats
    analysis_high: Floats
    synthesis_low: Floats
    synthesis_high: Floats


class PacketFilters(NamedTuple):
    """The channels of a full decomposition along one direction, from low to high depth-first.

    Attributes
    ----------
    analysis, synthesis : (channel, tap) float64
        ``c[s, m] = sum_k analysis[s, k] x[M m + k - centre]``, likewise the synthesis. Channel 0 is the low pass of
        every level; the highest bit of a channel's number is the choice of the first level.
    centre : int
    """

    analysis: Floats
    synthesis: Floats
    centre: int

    @property
    def reach(self) -> int:
        """Distance of the farthest sample that a reconstructed sample depends on."""
        return int(self.analysis.shape[1]) - 1


def least_asymmetric(moments: int) -> FilterPair:
    """Return Daubechies' orthonormal filters with a number of vanishing moments, those of most linear phase.

    Parameters
    ----------
    moments : int
        1 to 6: half the number of taps.

    Notes
    -----
    The squared response ``(cos^2 w/2)^p P(sin^2 w/2)`` with ``P(y) = sum_k C(p-1+k, k) y^k`` is factored: of every
    pair (z, 1/z) of roots one goes into the filter, here in the combination whose phase deviates least from a line
    (Daubechies, Ten Lectures on Wavelets, 1992, sections 6.1 and 8.1).
    """
    if not 1 <= moments <= 6:
        raise ConfigurationError(f"{moments} vanishing moments", "wavelet", "1 to 6")
    y = np.roots([comb(moments - 1 + k, k) for k in range(moments - 1, -1, -1)])
    inside = [z for z in (_disc_root(v) for v in y) if z.imag >= -1e-9]  # a complex root brings its conjugate
    best, flattest = np.zeros(0), np.inf
    for turned in product((False, True), repeat=len(inside)):
        polynomial = np.poly1d([1.0])
        for z, turn in zip(inside, turned, strict=True):
            root = 1 / z if turn else z
            polynomial *= np.poly1d([1, -root.real] if abs(z.imag) < 1e-9 else [1, -2 * root.real, abs(root) ** 2])
        low = (np.poly1d([1.0, 1.0]) ** moments * polynomial).coeffs
        low = low * (np.sqrt(2) / low.sum())
        bent = _bent_phase(low)
        if bent < flattest - 1e-9:
            best, flattest = low, bent
    high = (-1.0) ** np.arange(best.size) * best[::-1]
    return FilterPair(best, high, best, high)


def _disc_root(y: complex) -> complex:
    """Return the root inside the unit circle of ``y = (2 - z - 1/z) / 4``."""
    half = 1 - 2 * y
    root = half + np.sqrt(complex(half * half - 1))
    return complex(root if abs(root) < 1 else 1 / root)


def _bent_phase(low: Floats) -> float:
    w = np.linspace(0.01, 0.7 * np.pi, 64)
    phase = np.unwrap(np.angle(np.exp(-1j * np.outer(w, np.arange(low.size))) @ low))
    delay = (phase @ w) / (w @ w)
    return float(np.abs(phase - delay * w).max())


def packet_filters(pair: FilterPair, depth: int) -> PacketFilters:
    """Return the channels of a full decomposition.

    Parameters
    ----------
    pair : FilterPair
    depth : int
        Levels (GIP_R2DENT ``DECOMPOSITION_DEPTH``), 1 to 4.
    """
    sizes = {f.size for f in pair}
    if len(sizes) != 1 or min(sizes) % 2 or not all(np.isfinite(f).all() for f in pair):
        raise ConfigurationError(
            f"wavelet filters of {sorted(sizes)} taps", "GIP_R2WAFI", "four filters of one even length, finite"
        )
    if not 1 <= depth <= 4:
        raise ConfigurationError(f"decomposition depth {depth}", "GIP_R2DENT DECOMPOSITION_DEPTH", "1 to 4")
    analysis = _channels(pair.analysis_low, pair.analysis_high, depth)
    synthesis = _channels(pair.synthesis_low, pair.synthesis_high, depth)
    filters = PacketFilters(analysis, synthesis, (analysis.shape[1] - 1) // 2)
    error = _reconstruction_error(filters)
    if not error <= 1e-6:
        raise ConfigurationError(
            f"wavelet filters that reconstruct an image with an error of {error:.2g}",
            "GIP_R2WAFI",
            "four filters of perfect reconstruction",
        )
    return filters


def _channels(low: Floats, high: Floats, depth: int) -> Floats:
    channels = [np.ones(1)]
    for level in range(depth):
        # the taps of a level stand as far apart as the samples that it takes
        spread = [np.zeros((low.size - 1) * 2**level + 1) for _ in range(2)]
        for wide, narrow in zip(spread, (low, high), strict=True):
            wide[:: 2**level] = narrow
        channels = [np.convolve(c, wide) for c in channels for wide in spread]
    return np.array(channels)


def _reconstruction_error(filters: PacketFilters) -> float:
    """Return the largest deviation from the identity of the synthesis after the analysis."""
    m, taps = filters.analysis.shape
    worst = 0.0
    for phase in range(m):
        # samples phase + m j and their neighbours at a distance d both come from coefficients at the same places
        total = np.zeros(2 * taps - 1)
        for k in range(phase, taps, m):
            total[taps - 1 - k : 2 * taps - 1 - k] += filters.synthesis[:, k] @ filters.analysis
        total[taps - 1] -= 1
        worst = max(worst, float(np.abs(total).max()))
    return worst


def packet_norms(analysis: NDArray[np.floating], image_kernel: Floats | None = None) -> Floats:
    """Return the standard deviation that white noise of standard deviation 1 has in every packet.

    Parameters
    ----------
    analysis : (channel, tap) float
        Of `PacketFilters`.
    image_kernel : (line, column) float64, optional
        Of the deconvolution that the noise went through before.

    Returns
    -------
    (channel_line, channel_column) float64
        The L2 norms of the packets (what GIP_R2L2NC tabulates).
    """
    taps = analysis.shape[1]
    size = 2 ** int(np.ceil(np.log2(taps + (1 if image_kernel is None else max(image_kernel.shape)))))
    power = np.abs(np.fft.fft(analysis, size, axis=1)) ** 2
    passed = 1.0 if image_kernel is None else np.abs(np.fft.fft2(image_kernel, (size, size))) ** 2
    norms: Floats = np.sqrt(power @ (passed * np.ones((size, size))) @ power.T) / size
    return norms
