"""What is done to one band of one detector, in plain arrays, and the doing of it.

The steps and their names are those of GIP_R2PARA ``RESTORATION_SCENARIO``. Restoration follows the interpolation of
missing lines and precedes binning.

What the public descriptions of the GIPPs leave open is settled here: the thresholds of GIP_R2DENT are those of a full
decomposition, one table per depth, for an image whose noise is ``NOISE_IMAGE_SIGMA``; they scale with the noise that
GIP_R2NOMO gives at the radiometry around a coefficient. Blocks and segments (``BLOCK_SIZE``, ``SEGMENT_SIZE``) have no
meaning for filters that no block edge cuts, nor have ``OBJECTIVE_NOISE_SIGMA`` and ``MAXIMAL_DENOISING_THRESHOLD``,
which serve the learning of the thresholds, and GIP_R2MACO. Operations have the step switched off.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError, InputError
from s2dask.kernels import kernel
from s2dask.l1b.restoration.deconvolution import convolve, response, separable_filters
from s2dask.l1b.restoration.denoising import Packets, Shrinkage, denoise, kept_variance
from s2dask.l1b.restoration.wavelet_packets import FilterPair, packet_filters, packet_norms

Floats = NDArray[np.float64]

NONE: Final = "NONE"
CONVOLUTION: Final = "F_CONVOLUTION"
DENOISING: Final = "W_DENOISING"
BOTH: Final = "F_CONVOLUTION_W_DENOISING"
SCENARIOS: Final = (CONVOLUTION, DENOISING, BOTH, NONE)
"""The values of A_RESTORATION_SCENARIO in the XSD of the GIPPs; deconvolution goes first."""

SPATIAL_MARGIN: Final = 50
"""Lines that operations give to the restoration on each side at 10 m (PDGS operations concept; GIP_R2PARA)."""


class RestorationPlan(NamedTuple):
    """What is done to one band of one detector.

    Attributes
    ----------
    scenario : str
        One of `SCENARIOS`.
    along, across : (filter, tap) float32
        Separable filters of the deconvolution; no filter without it.
    packets : Packets
    shrinkage : Shrinkage
        Without denoising, of no effect.
    minimum, maximum : float
        Values are levelled to this range [LSB].
    """

    scenario: str
    along: NDArray[np.float32]
    across: NDArray[np.float32]
    packets: Packets
    shrinkage: Shrinkage
    minimum: float
    maximum: float


class DenoisingParameters(NamedTuple):
    """What denoising takes from the GIPPs of a band.

    Attributes
    ----------
    pair : FilterPair
        GIP_R2WAFI.
    depth : int
        GIP_R2DENT ``DECOMPOSITION_DEPTH``.
    thresholds : (channel_line, channel_column) float64
        Of every packet, in standard deviations of the noise of the image before restoration: `norm_thresholds` or
        `table_thresholds`.
    alpha, beta : float
        GIP_R2NOMO: ``sigma^2 = alpha^2 + beta Z`` [LSB].
    maximum : float
        GIP_R2PARA ``RADIOMETRIC_MAXIMAL_VALUE`` [LSB].
    soft : bool
    """

    pair: FilterPair
    depth: int
    thresholds: Floats
    alpha: float
    beta: float
    maximum: float = 4095.0
    soft: bool = True


def norm_thresholds(norms: Floats, amplification: float) -> Floats:
    """Return thresholds that are the noise of every packet times a coefficient; the first packet stays as it is.

    Parameters
    ----------
    norms : (channel_line, channel_column) float64
        GIP_R2L2NC, or `wavelet_packets.packet_norms`.
    amplification : float
        GIP_R2PARA ``L2_NORM_AMPLIFICATION_COEFFICIENT``.
    """
    thresholds = np.array(norms, np.float64) * amplification
    thresholds[0, 0] = 0
    return thresholds


def table_thresholds(table: Floats, noise_sigma: float) -> Floats:
    """Return the thresholds of a table made for an image with a given noise.

    Parameters
    ----------
    table : (channel_line, channel_column) float64 [LSB]
        GIP_R2DENT ``INFO`` of the level that is the depth.
    noise_sigma : float
        GIP_R2DENT ``NOISE_IMAGE_SIGMA`` [LSB].
    """
    if not noise_sigma > 0:
        raise ConfigurationError(f"noise of {noise_sigma} LSB", "GIP_R2DENT NOISE_IMAGE_SIGMA", "a value above 0")
    thresholds: Floats = np.asarray(table, np.float64) / noise_sigma
    return thresholds


def restoration_plan(
    scenario: str,
    image_kernel: Floats | None = None,
    denoising: DenoisingParameters | None = None,
    levels: tuple[float, float] = (0.0, 4095.0),
    spatial_margin: int = SPATIAL_MARGIN,
) -> RestorationPlan:
    """Return the plan of a scenario.

    Parameters
    ----------
    scenario : str
        One of `SCENARIOS`.
    image_kernel : (line, column) float64, optional
        Of the deconvolution: odd by odd, sum 1.
    denoising : DenoisingParameters, optional
    levels : (2) float
        GIP_R2PARA ``LEVELLING_VALUES`` [LSB].
    spatial_margin : int
        Lines that the plan may look at on each side.
    """
    if scenario not in SCENARIOS:
        raise ConfigurationError(
            f"restoration scenario {scenario!r}", "GIP_R2PARA RESTORATION_SCENARIO", f"one of {', '.join(SCENARIOS)}"
        )
    along, across = np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32)
    if scenario in (CONVOLUTION, BOTH):
        if image_kernel is None:
            raise ConfigurationError(f"{scenario} without a kernel", "GIP_R2DECT", "give the deconvolution of the band")
        along, across = separable_filters(image_kernel)
    if scenario in (DENOISING, BOTH):
        if denoising is None:
            raise ConfigurationError(f"{scenario} without wavelet filters", "GIP_R2WAFI", "give those of the band")
        packets, shrinkage = _packets(denoising), _shrinkage(denoising)
    else:
        one = np.ones((1, 1), np.float32)
        packets, shrinkage = Packets(one, one, 0, 0, 1.0), Shrinkage(0 * one, True, 0.0, 0.0, 0.0)
    low, high = levels
    if not low < high:
        raise ConfigurationError(f"levels {low} to {high}", "GIP_R2PARA LEVELLING_VALUES", "XMIN below XMAX")
    plan = RestorationPlan(scenario, along, across, packets, shrinkage, float(low), float(high))
    if margin(plan) > spatial_margin:
        raise ConfigurationError(
            f"a restoration that reaches {margin(plan)} lines, with a margin of {spatial_margin}",
            "GIP_R2PARA SPATIAL_MARGIN",
            "a smaller kernel, shorter wavelet filters or less depth",
        )
    return plan


def _packets(p: DenoisingParameters) -> Packets:
    filters = packet_filters(p.pair, p.depth)
    channels, taps = filters.analysis.shape
    fill = ((0, 0), (0, -taps % channels))
    return Packets(
        np.pad(filters.analysis, fill).astype(np.float32),
        np.pad(filters.synthesis, fill).astype(np.float32),
        filters.centre,
        filters.reach,
        float(filters.analysis[0].sum() ** 2),
    )


def _shrinkage(p: DenoisingParameters) -> Shrinkage:
    t, channels = np.asarray(p.thresholds, np.float32), 2**p.depth
    if t.shape != (channels, channels) or not (t >= 0).all() or not np.isfinite(t).all():
        raise ConfigurationError(
            f"thresholds of shape {t.shape} for depth {p.depth}", "GIP_R2DENT INFO", f"{channels}x{channels}, from 0 up"
        )
    if not all(0 <= v < np.inf for v in (p.alpha, p.beta, p.maximum)):
        raise ConfigurationError(
            f"noise model alpha {p.alpha}, beta {p.beta} up to {p.maximum} LSB", "GIP_R2NOMO", "finite, from 0 up"
        )
    return Shrinkage(t, p.soft, float(p.alpha) ** 2, float(p.beta), float(p.maximum))


def margin(plan: RestorationPlan) -> int:
    """Return the lines on each side that decide about a line."""
    return int(plan.along.shape[1]) // 2 + plan.packets.reach


def deconvolution_kernel(plan: RestorationPlan) -> Floats:
    """Return the (line, column) float64 kernel of a plan; one sample of value 1 without deconvolution."""
    if not plan.along.size:
        return np.ones((1, 1))
    k: Floats = plan.along.T.astype(np.float64) @ plan.across.astype(np.float64)
    return k


def nyquist_gain(plan: RestorationPlan) -> tuple[float, float]:
    """Return what deconvolution multiplies the transfer at Nyquist by, along and across track."""
    k = deconvolution_kernel(plan)
    return response(k.sum(axis=1), 0.5), response(k.sum(axis=0), 0.5)


def noise_gain(plan: RestorationPlan) -> float:
    """Return the standard deviation of the noise of a flat image after restoration over that before.

    Notes
    -----
    White normal noise; after deconvolution ``sqrt(sum k^2)``. Each packet keeps `denoising.kept_variance` of what
    reaches it; the sum over the packets is exact for orthonormal wavelets. Levelling is left out.
    """
    k = deconvolution_kernel(plan)
    if plan.scenario in (NONE, CONVOLUTION):
        return float(np.linalg.norm(k))
    norms = packet_norms(plan.packets.analysis, k)
    energy = (plan.packets.synthesis.astype(np.float64) ** 2).sum(axis=1)
    kept = [
        n**2 * kept_variance(t / n, soft=plan.shrinkage.soft)
        for n, t in zip(norms.ravel(), plan.shrinkage.thresholds.ravel(), strict=True)
    ]
    return float(np.sqrt((np.reshape(kept, norms.shape) * np.outer(energy, energy)).sum() / norms.size))


@kernel
def _missing_columns(image: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many columns of each line have no finite value."""
    missing = np.zeros(image.shape[0], np.int64)
    for i in range(image.shape[0]):
        row = image[i]
        count = 0
        for x in range(row.size):
            count += not abs(row[x]) < np.inf
        missing[i] = count
    return missing


def restore(
    image: NDArray[np.float32], first_line: int, plan: RestorationPlan, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Restore the equalised image of one band of one detector.

    Parameters
    ----------
    image : (line, column) float32 [LSB]
        Offset-free counts after the interpolation of missing lines; NaN in whole lines that stay without data.
    first_line : int
        Absolute number of its first line, counted from the start of the datatake.
    plan : RestorationPlan
    out : (line, column) float32, optional
        To be filled; contiguous, not `image`.

    Returns
    -------
    (line, column) float32 [LSB]
        Levelled; `image` itself, or a copy in `out`, for the scenario NONE.

    Notes
    -----
    Every run of lines with data is an image of its own, mirrored about its first and last lines: what lies beyond a
    gap has no say. A line is the same, bit for bit, in any window that has `margin` lines more on each side, or all
    there are.
    """
    if image.ndim != 2 or image.dtype != np.float32:
        raise InputError(f"an image of shape {image.shape} and type {image.dtype}", "restoration", "(line, column) f4")
    if plan.scenario == NONE:
        if out is None:
            return image
        out[:] = image
        return out
    out = np.empty_like(image, order="C") if out is None else out
    if out.shape != image.shape or not out.flags.carray or np.may_share_memory(out, image):
        raise InputError(
            "an output of another shape or layout, or the input itself", "restoration", "an array of its own"
        )
    image = _uniform(image)
    missing = _missing_columns(image)
    part = np.flatnonzero((missing > 0) & (missing < image.shape[1]))
    if part.size:
        raise InputError(
            f"line {first_line + int(part[0])} without data in part", "restoration", "fill defective pixels before"
        )
    ends = np.flatnonzero(np.diff(missing == 0, prepend=False, append=False))
    for start, stop in zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True):
        _restore_run(image[start:stop], first_line + start, plan, out[start:stop])
    out[missing > 0] = np.nan
    return out


def _uniform(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an array of the one layout that the kernels are compiled for: what comes from elsewhere may be locked."""
    return np.require(array, np.float32, ["C", "W"])


def _restore_run(image: NDArray[np.float32], first_line: int, plan: RestorationPlan, out: NDArray[np.float32]) -> None:
    along, across = _uniform(plan.along), _uniform(plan.across)
    packets = plan.packets._replace(
        analysis=_uniform(plan.packets.analysis), synthesis=_uniform(plan.packets.synthesis)
    )
    shrinkage = plan.shrinkage._replace(thresholds=_uniform(plan.shrinkage.thresholds))
    if plan.scenario == CONVOLUTION:
        convolve(image, along, across, out)
    elif plan.scenario == DENOISING:
        denoise(image, first_line, packets, shrinkage, out)
    else:
        sharp = np.empty_like(image)
        convolve(image, along, across, sharp)
        denoise(sharp, first_line, packets, shrinkage, out)
    np.clip(out, np.float32(plan.minimum), np.float32(plan.maximum), out=out)
