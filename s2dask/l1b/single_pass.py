"""The whole radiometric correction of one band in a single pass: raw counts in, coded counts and quality out.

A few lines at a time go through the kernels of the step modules while they stay in the second-level cache; nothing
between the steps is written to memory. The result is bit for bit that of the steps one after the other.

The compiled form is cached on disk by this file alone: after a change in a step module, remove ``__pycache__``.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import DEFECTIVE, MSI_DEGRADED, MSI_LOST, NODATA, PARTIALLY_CORRECTED, SATURATED
from s2dask.kernels import kernel
from s2dask.l1b.binning import bin_columns, bin_quality
from s2dask.l1b.coding import code, raw_saturation
from s2dask.l1b.crosstalk import flag_leak, remove_leak, simultaneous_lines
from s2dask.l1b.defective_pixels import Defects, flag_defective, replace_defective
from s2dask.l1b.missing_lines import fill_missing, flag_missing
from s2dask.l1b.raw_lines import RawLines, offset_free
from s2dask.l1b.relative_response import equalise

BLOCK: Final = 16
"""Lines that go through the steps together: some 160 kB of float32 at 10 m."""


class Source(NamedTuple):
    """A band that leaks into another.

    Attributes
    ----------
    raw : RawLines
    coefficient : float
        Share of it that is subtracted [1]; 0 switches it off.
    """

    raw: RawLines
    coefficient: float


class Chain(NamedTuple):
    """Everything that the correction of one run of lines of a band needs.

    Attributes
    ----------
    raw : RawLines
    degraded : (line) bool
        Lines kept from degraded packets.
    sources : pair of Source
        Bands that leak into this one.
    model : int
        `relative_response.CUBIC` or `relative_response.BILINEAR`.
    response : (3, useful_column) float32
        Coefficients of the model.
    defects : Defects
    weights : (tap) float32
        Across-track binning filter; empty for the bands that are not binned.
    bits : int
        Quality bits of every pixel: the detector, and a crosstalk source that is not there at all.
    shift : int
        Added to the coded count [LSB].
    longest : int
        Longest gap that is interpolated [line].
    """

    raw: RawLines
    degraded: NDArray[np.bool_]
    sources: tuple[Source, Source]
    model: int
    response: NDArray[np.float32]
    defects: Defects
    weights: NDArray[np.float32]
    bits: int
    shift: int
    longest: int


@kernel
def source_range(raw: RawLines, start: int, stop: int, source: RawLines) -> tuple[int, int]:
    """Return the range of indices into a source band that is read with a range of a band, as far as it is there."""
    if stop <= start:
        return 0, 0
    first, _ = simultaneous_lines(raw.first_line + start, raw.factor, source.factor)
    last, count = simultaneous_lines(raw.first_line + stop - 1, raw.factor, source.factor)
    low = min(max(first - source.first_line, 0), source.bad.size)
    return low, min(max(last + count - source.first_line, low), source.bad.size)


@kernel
def without_crosstalk(chain: Chain, start: int, stop: int) -> NDArray[np.float32]:
    """Return a range of the lines without dark signal, line offset, blind pixels and crosstalk.

    Parameters
    ----------
    chain : Chain
    start, stop : int
        Range of indices into the run.

    Returns
    -------
    (line, useful_column) float32 [LSB]
    """
    raw = chain.raw
    image = offset_free(raw, start, stop)
    for source, coefficient in chain.sources:
        if coefficient != 0:
            low, high = source_range(raw, start, stop, source)
            leak = offset_free(source, low, high)
            image = remove_leak(
                image,
                raw.first_line + start,
                raw.factor,
                leak,
                source.bad[low:high],
                source.first_line + low,
                source.factor,
                coefficient,
            )
    return image


@kernel
def pixel_quality(chain: Chain, start: int, stop: int) -> NDArray[np.uint16]:
    """Return the quality of a range of the lines before binning, without the bits that a whole line shares.

    Parameters
    ----------
    chain : Chain
    start, stop : int
        Range of indices into the run.

    Returns
    -------
    (line, useful_column) uint16
    """
    raw = chain.raw
    quality = raw_saturation(raw.lines[start:stop], raw.left, raw.useful, raw.saturation, SATURATED)
    for source, coefficient in chain.sources:
        if coefficient != 0:
            low, high = source_range(raw, start, stop, source)
            full = raw_saturation(source.lines[low:high], source.left, source.useful, source.saturation, SATURATED)
            flag_leak(
                quality,
                raw.first_line + start,
                raw.factor,
                full,
                source.bad[low:high],
                source.first_line + low,
                source.factor,
                SATURATED,
                PARTIALLY_CORRECTED,
            )
    flag_defective(quality, chain.defects, DEFECTIVE)
    return quality


@kernel
def _paste(
    block: NDArray[np.uint16], offset: int, bits: NDArray[np.uint16], out: NDArray[np.uint16], first: int
) -> None:
    # An explicit loop: slice assignment costs four times as much here.
    for i in range(bits.size):
        values, row, shared = block[offset + i], out[first + i], bits[i]
        for x in range(row.size):
            row[x] = values[x] | shared


@kernel
def correct_lines(chain: Chain, start: int, stop: int, counts: NDArray[np.uint16], quality: NDArray[np.uint16]) -> None:
    """Correct a range of the lines of a band.

    Parameters
    ----------
    chain : Chain
    start, stop : int
        Range of indices into the run; lines around it only serve as neighbours.
    counts, quality : (stop - start, column) uint16
        Filled; the caller's, because NumPy asks for large pages and compiled code does not (a factor of 2 in speed).
    """
    raw, weights = chain.raw, chain.weights
    none = np.zeros(BLOCK, np.uint16)
    shared = np.empty(BLOCK, np.uint16)
    for a in range(start, stop, BLOCK):
        b = min(a + BLOCK, stop)
        gaps = raw.bad[a:b].any()
        low, high = (max(0, a - chain.longest), min(raw.bad.size, b + chain.longest)) if gaps else (a, b)
        image = equalise(without_crosstalk(chain, low, high), chain.model, chain.response)
        image = replace_defective(image, chain.defects)
        flags = pixel_quality(chain, low, high)
        if gaps:
            image = fill_missing(image, raw.bad[low:high], chain.longest)
            flag_missing(flags, raw.bad[low:high], chain.longest, MSI_LOST, NODATA)
        if weights.size > 0:
            image, flags = bin_columns(image, weights), bin_quality(flags, weights)
        for i in range(a, b):
            shared[i - a] = np.uint16(chain.bits | (MSI_DEGRADED if chain.degraded[i] else 0))
        _paste(code(image, chain.shift), a - low, none[: b - a], counts, a - start)
        _paste(flags, a - low, shared[: b - a], quality, a - start)
