"""Denoising: wavelet-packet coefficients that noise alone explains are taken out of the image.

The threshold of a coefficient is that of its packet times the standard deviation of the instrument's noise at the
radiometry around it. What falls below is reconstructed and subtracted, so that an image whose coefficients all stay
keeps its very bytes.

The decomposition lies on the absolute lines of the datatake and on the columns of the detector. A line depends on the
lines within `PacketFilters.reach`, wherever the image is cut.
"""

from math import erfc, exp, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l1b.restoration.weighted_rows import add_weighted, mirrored


class Shrinkage(NamedTuple):
    """How coefficients are cut down.

    Attributes
    ----------
    thresholds : (channel_line, channel_column) float32
        By packet, in standard deviations of the noise of the image before restoration; 0 leaves a packet as it is.
    soft : bool
        Whether what lies above a threshold is brought nearer to 0 by as much; else it is kept.
    variance : float
        Noise at radiometry 0 [LSB2]: the square of ALPHA (GIP_R2NOMO).
    slope : float
        Growth of the variance with radiometry [LSB]: BETA.
    maximum : float
        Radiometry above which the noise does not grow any more [LSB] (GIP_R2PARA ``RADIOMETRIC_MAXIMAL_VALUE``).
    """

    thresholds: NDArray[np.float32]
    soft: bool
    variance: float
    slope: float
    maximum: float


class Packets(NamedTuple):
    """The filters of `PacketFilters` as the kernels take them: their taps filled up to a multiple of the channels.

    Attributes
    ----------
    analysis, synthesis : (channel, tap) float32
    centre, reach : int
    gain : float
        Of the first packet: its coefficient in a flat image of value 1.
    """

    analysis: NDArray[np.float32]
    synthesis: NDArray[np.float32]
    centre: int
    reach: int
    gain: float


def kept_variance(threshold: float, *, soft: bool) -> float:
    """Return the variance of normal noise of standard deviation 1 after a threshold.

    Notes
    -----
    With q the probability of exceeding the threshold t on one side and f the normal density: soft ``2 ((1 + t^2) q -
    t f)``, hard ``2 (t f + q)``.
    """
    if not threshold > 0:
        return 1.0
    tail, density = 0.5 * erfc(threshold / sqrt(2)), exp(-0.5 * threshold**2) / sqrt(2 * pi)
    if soft:
        return 2 * ((1 + threshold**2) * tail - threshold * density)
    return 2 * (threshold * density + tail)


@kernel
def _split(row: NDArray[np.float32], phases: NDArray[np.float32]) -> None:
    """Deal the samples of a row to its phases."""
    m = phases.shape[0]
    for p in range(m):
        for j in range(phases.shape[1]):
            phases[p, j] = row[m * j + p]


@kernel
def _join(phases: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    m = phases.shape[0]
    for p in range(m):
        for j in range(phases.shape[1]):
            row[m * j + p] = phases[p, j]


@kernel
def _remove_large(
    packets: NDArray[np.float32],
    channel: int,
    deviation: NDArray[np.float32],
    lead: int,
    shrinkage: Shrinkage,
) -> None:
    """Leave of the coefficients of one line of one channel what is to be taken away."""
    for t in range(packets.shape[0]):
        c = packets[t]
        threshold = shrinkage.thresholds[channel, t]
        if shrinkage.soft:
            for x in range(deviation.size):
                limit = threshold * deviation[x]
                c[lead + x] = max(-limit, min(limit, c[lead + x]))
        else:
            for x in range(deviation.size):
                small = abs(c[lead + x]) <= threshold * deviation[x]
                c[lead + x] = c[lead + x] if small else np.float32(0)


@kernel
def _deviations(low: NDArray[np.float32], gain: float, shrinkage: Shrinkage, deviation: NDArray[np.float32]) -> None:
    """Fill the standard deviation of the noise at the mean radiometry around each coefficient."""
    scale, top = np.float32(1 / gain), np.float32(shrinkage.maximum)
    variance, slope = np.float32(shrinkage.variance), np.float32(shrinkage.slope)
    for x in range(deviation.size):
        z = min(max(low[x] * scale, np.float32(0)), top)
        deviation[x] = np.sqrt(variance + slope * z)


class _Line(NamedTuple):
    """Room for one channel of one line of coefficients, and where its filters take their samples.

    Attributes
    ----------
    row : (column) float32
        A line of the image, continued on both sides; `lead` is its column 0.
    phases : (channel, coefficient) float32
        The same dealt out: sample ``M j + p`` stands in phase p.
    packs : (channel, coefficient) float32
        Coefficients, with zeros on both sides that no sample of the image needs.
    deviation : (coefficient) float32 [LSB]
    split_starts, join_starts : (tap) int64
        Into the memory of `phases` and of `packs`.
    join_taps : (phase, tap) float32
        Of the synthesis, the channel running fastest.
    lead, zeros : int
    """

    row: NDArray[np.float32]
    phases: NDArray[np.float32]
    packs: NDArray[np.float32]
    deviation: NDArray[np.float32]
    split_starts: NDArray[np.int64]
    join_starts: NDArray[np.int64]
    join_taps: NDArray[np.float32]
    lead: int
    zeros: int


@kernel
def _room(columns: int, packets: Packets) -> _Line:
    channels, taps = packets.analysis.shape
    overlap = taps // channels
    first = -((packets.reach - packets.centre) // channels)  # the first coefficient that column 0 depends on
    count = (columns - 1 + packets.centre) // channels - first + 1
    phases = np.zeros((channels, count + overlap), np.float32)
    packs = np.zeros((channels, count + 2 * overlap), np.float32)
    split_starts, join_starts = np.empty(taps, np.int64), np.empty(taps, np.int64)
    join_taps = np.empty((channels, taps), np.float32)
    for k in range(taps):
        j, s = k // channels, k % channels
        split_starts[k] = s * phases.shape[1] + j
        join_starts[k] = s * packs.shape[1] + overlap - j
        for p in range(channels):
            join_taps[p, k] = packets.synthesis[s, p + channels * j]
    row = np.zeros(channels * (count + overlap), np.float32)
    lead = packets.centre - channels * first
    return _Line(row, phases, packs, np.empty(count, np.float32), split_starts, join_starts, join_taps, lead, overlap)


@kernel
def _noise_of_line(line: _Line, columns: int, channel: int, packets: Packets, shrinkage: Shrinkage) -> None:
    """Replace a line of one channel along track by the part of it that is noise."""
    row, phases, packs, lead = line.row, line.phases, line.packs, line.lead
    for x in range(lead):
        row[x] = row[lead + mirrored(x - lead, columns)]
    for x in range(lead + columns, row.size):
        row[x] = row[lead + mirrored(x - lead, columns)]
    _split(row, phases)
    samples, coefficients = phases.reshape(phases.size), packs.reshape(packs.size)
    inside = slice(line.zeros, line.zeros + line.deviation.size)
    for t in range(packs.shape[0]):
        c = packs[t, inside]
        c[:] = 0
        add_weighted(samples, line.split_starts, packets.analysis[t], c)
    if channel == 0:
        _deviations(packs[0, inside], packets.gain, shrinkage, line.deviation)
    _remove_large(packs, channel, line.deviation, line.zeros, shrinkage)
    for p in range(phases.shape[0]):
        r = phases[p]
        r[:] = 0
        add_weighted(coefficients, line.join_starts, line.join_taps[p], r)
    _join(phases, row)


@kernel
def denoise(
    image: NDArray[np.float32], first_line: int, packets: Packets, shrinkage: Shrinkage, out: NDArray[np.float32]
) -> None:
    """Take the noise out of an image, mirrored about its first and last lines and columns.

    Parameters
    ----------
    image : (line, column) float32 [LSB]
        Contiguous.
    first_line : int
        Absolute number of its first line.
    packets : Packets
    shrinkage : Shrinkage
    out : (line, column) float32 [LSB]
        Filled; not `image`.

    Notes
    -----
    Coefficients are made from the first line to the last; only as many as the taps span are held, in the second-level
    cache.
    """
    lines, columns = image.shape
    channels, taps = packets.analysis.shape
    overlap, centre = taps // channels, packets.centre
    line = _room(columns, packets)
    inner = line.row[line.lead : line.lead + columns]
    held = np.zeros((overlap, channels, columns), np.float32)
    flat, flat_held = image.reshape(image.size), held.reshape(held.size)
    starts = np.empty(taps, np.int64)
    low = -((packets.reach - centre - first_line) // channels)
    high = (first_line + lines - 1 + centre) // channels
    for m in range(low, high + 1):
        origin = channels * m - centre - first_line
        for k in range(taps):
            starts[k] = mirrored(origin + k, lines) * columns
        for s in range(channels):
            inner[:] = 0
            add_weighted(flat, starts, packets.analysis[s], inner)
            _noise_of_line(line, columns, s, packets, shrinkage)
            held[m % overlap, s] = inner
        for k in range(taps):
            starts[k] = ((m - k // channels) % overlap * channels + k % channels) * columns
        for i in range(max(origin, 0), min(origin + channels, lines)):
            inner[:] = 0
            add_weighted(flat_held, starts, line.join_taps[i - origin], inner)
            source, target = image[i], out[i]
            for x in range(columns):
                target[x] = source[x] - inner[x]
