"""The whole radiometric correction in a single pass: raw counts in, coded counts and quality out.

A few lines at a time go through the kernels of the step modules while they stay in the second-level cache; nothing
between the steps is written to memory. Bands that leak into each other go together: what is free of offsets is made
once for the band itself and for all that it disturbs. The result is bit for bit that of the steps one after the other.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import (
    DEFECTIVE,
    MSI_LOST,
    NODATA,
    PARTIALLY_CORRECTED,
    SATURATED,
    SATURATED_L1B,
)
from s2dask.kernels import kernel
from s2dask.l1b.binning import bin_columns, bin_quality
from s2dask.l1b.coding import code, flag_end_of_range
from s2dask.l1b.crosstalk import flag_leak, remove_leak, simultaneous_lines
from s2dask.l1b.defective_pixels import Defects, flag_defective, replace_defective
from s2dask.l1b.missing_lines import fill_missing, flag_missing
from s2dask.l1b.raw_lines import RawLines, largest_count, offset_free, raw_saturation
from s2dask.l1b.relative_response import equalise
from s2dask.l1b.swir_rearrangement import MARGIN, rearrange, rearrange_quality

TOGETHER: Final = 3
"""Bands of a group in one pass: the SWIR trio."""


class Chain(NamedTuple):
    """Everything that the correction of one run of lines of a band needs.

    Attributes
    ----------
    raw : RawLines
    line_bits : (line) uint16
        Quality bits of every pixel of a line: the detector, degraded packets, ancillary data, a crosstalk source that
        is not there at all.
    leaks : (band) float64
        Share of each band of the group that is subtracted [1]; 0 switches it off.
    model : int
        `relative_response.CUBIC` or `relative_response.BILINEAR`.
    response : (3, useful_column) float32
        Coefficients of the model.
    arrangement : (3, useful_column) float32
        See `swir_rearrangement.arrangement_taps`; no column for the bands that are not re-arranged.
    defects : Defects
    weights : (row, tap) float32
        Binning filter; empty for the bands that are not binned.
    shift : int
        Added to the coded count [LSB].
    longest : int
        Longest gap that is interpolated [line].
    end_of_range : float
        Corrected count from which a pixel is flagged as saturated [LSB]; infinity: not looked for.
    """

    raw: RawLines
    line_bits: NDArray[np.uint16]
    leaks: NDArray[np.float64]
    model: int
    response: NDArray[np.float32]
    arrangement: NDArray[np.float32]
    defects: Defects
    weights: NDArray[np.float32]
    shift: int
    longest: int
    end_of_range: float


class Workspace(NamedTuple):
    """Room for the lines of one band on their way, and for what comes out.

    Attributes
    ----------
    free : (line, useful_column) float32
        Offset-free lines. Of a band alone: no line, or all its lines, without crosstalk already.
    full : (line, useful_column) uint16
        Saturated pixels of the same lines, with those that keep crosstalk.
    image, moved : (line, useful_column) float32
    flags, moved_flags : (line, useful_column) uint16
        Lines and their quality before and after the re-arrangement.
    binned : (line, column) float32
    binned_flags : (line, column) uint16
    counts, quality : (line, column) uint16
        The product: the whole window of the band.
    """

    free: NDArray[np.float32]
    full: NDArray[np.uint16]
    image: NDArray[np.float32]
    flags: NDArray[np.uint16]
    moved: NDArray[np.float32]
    moved_flags: NDArray[np.uint16]
    binned: NDArray[np.float32]
    binned_flags: NDArray[np.uint16]
    counts: NDArray[np.uint16]
    quality: NDArray[np.uint16]


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
def _block_range(chain: Chain, window: NDArray[np.int64], begin: int, end: int) -> tuple[int, int, int, int]:
    # Lines of a band that a block of time holds, and with those that they need around them; indices into the run.
    raw = chain.raw
    low, high = window[0] - raw.first_line, window[1] - raw.first_line
    a = min(max(begin // raw.factor - raw.first_line, low), high)
    b = min(max(end // raw.factor - raw.first_line, a), high)
    if a == b:
        return a, b, a, b
    around = (MARGIN if chain.arrangement.shape[1] > 0 else 0) + chain.weights.shape[0] // 2
    low, high = max(a - around, 0), min(b + around, raw.bad.size)
    if raw.bad[low:high].any():
        low, high = max(low - chain.longest, 0), min(high + chain.longest, raw.bad.size)
    return a, b, low, high


@kernel
def _paste(flags: NDArray[np.uint16], bits: NDArray[np.uint16], out: NDArray[np.uint16]) -> None:
    # An explicit loop: slice assignment costs four times as much here.
    for i in range(bits.size):
        values, row, shared = flags[i], out[i], bits[i]
        for x in range(row.size):
            row[x] = values[x] | shared


@kernel
def _finish(
    chain: Chain,
    work: Workspace,
    image: NDArray[np.float32],
    flags: NDArray[np.uint16],
    at: int,
    lines: int,
    first: int,
    bits: NDArray[np.uint16],
) -> None:
    # Binning, coding and the bits of the lines: rows [at, at + lines) of the image become rows from `first` on.
    if chain.weights.size > 0:
        bin_columns(image, chain.weights, at, at + lines, work.binned)
        bin_quality(flags, chain.weights, at, at + lines, NODATA, work.binned_flags)
        image, flags, at = work.binned, work.binned_flags, 0
    if np.isfinite(chain.end_of_range):
        flag_end_of_range(image[at : at + lines], chain.end_of_range, SATURATED_L1B, flags[at : at + lines])
    code(image[at : at + lines], chain.shift, work.counts[first : first + lines])
    _paste(flags[at : at + lines], bits, work.quality[first : first + lines])


@kernel
def _finish_clean(chain: Chain, work: Workspace, a: int, b: int, start: int) -> None:
    # As `_finish` where no pixel but the defective ones has a bit of its own: every line has the flags of the first.
    image, flags, lines = work.image, work.flags[:1], b - a
    flags[0, :] = 0
    flag_defective(flags, chain.defects, DEFECTIVE)
    if chain.weights.size > 0:
        bin_columns(image, chain.weights, 0, lines, work.binned)
        bin_quality(flags, chain.weights, 0, 1, NODATA, work.binned_flags)
        image, flags = work.binned, work.binned_flags
    code(image[:lines], chain.shift, work.counts[a - start : b - start])
    pattern = flags[0]
    for i in range(a, b):
        row, shared = work.quality[i - start], chain.line_bits[i]
        for x in range(row.size):
            row[x] = pattern[x] | shared


@kernel
def _is_clean(chains: tuple[Chain, ...], ranges: NDArray[np.int64], needed: NDArray[np.int64], k: int) -> bool:
    # Whether nothing of one band in a block is saturated or missing, and nothing that leaks into it.
    chain, raw = chains[k], chains[k].raw
    simple = chain.arrangement.shape[1] == 0 and chain.weights.shape[0] < 2 and not np.isfinite(chain.end_of_range)
    if not simple or raw.bad[needed[k, 0] : needed[k, 1]].any():
        return False
    for s in range(len(chains)):
        if chain.leaks[s] != 0 and ranges[k, 0] < ranges[k, 1]:
            source = chains[s].raw
            first, _ = simultaneous_lines(raw.first_line + ranges[k, 2], raw.factor, source.factor)
            last, count = simultaneous_lines(raw.first_line + ranges[k, 3] - 1, raw.factor, source.factor)
            if first < source.first_line or last + count > source.first_line + source.bad.size:
                return False
    return largest_count(raw, needed[k, 0], needed[k, 1]) < raw.saturation


@kernel
def _correct(chain: Chain, work: Workspace, a: int, b: int, low: int, high: int, start: int) -> None:
    # From lines without crosstalk in `work.image` and their flags in `work.flags`, both from `low` on, to the product.
    raw, lines = chain.raw, high - low
    image, flags, bad = work.image[:lines], work.flags[:lines], raw.bad[low:high]
    equalise(image, chain.model, chain.response)
    if chain.arrangement.shape[1] == 0:
        replace_defective(image, chain.defects)
        flag_defective(flags, chain.defects, DEFECTIVE)
        if bad.any():
            fill_missing(image, bad, chain.longest)
            flag_missing(flags, bad, chain.longest, MSI_LOST, NODATA)
        _finish(chain, work, image, flags, a - low, b - a, a - start, chain.line_bits[a:b])
        return
    if bad.any():
        fill_missing(image, bad, chain.longest)
        flag_missing(flags, bad, chain.longest, MSI_LOST, NODATA)
    _paste(flags, chain.line_bits[low:high], flags)
    rows = chain.weights.shape[0] // 2
    first, last = max(a - rows, 0) - low, min(b + rows, raw.bad.size) - low
    rearrange(image, chain.arrangement, first, last, work.moved)
    rearrange_quality(flags, chain.arrangement, first, last, NODATA, work.moved_flags)
    moved, moved_flags = work.moved[: last - first], work.moved_flags[: last - first]
    replace_defective(moved, chain.defects)
    flag_defective(moved_flags, chain.defects, DEFECTIVE)
    _finish(chain, work, moved, moved_flags, a - low - first, b - a, a - start, np.zeros(b - a, np.uint16))


@kernel
def _source_lines(chain: Chain, work: Workspace, low: int, high: int, clean: bool) -> None:
    # Lines [low, high) of one band as the others take their crosstalk from them. One image serves the band itself too:
    # what a defective pixel holds never comes out of it, whether replaced here or only after the response.
    count = high - low
    offset_free(chain.raw, low, high, work.free)
    replace_defective(work.free[:count], chain.defects)
    if not clean:
        raw_saturation(chain.raw, low, high, SATURATED, work.full)
        flag_defective(work.full[:count], chain.defects, 0)


@kernel
def _take_off(
    chain: Chain,
    low: int,
    high: int,
    leak: float,
    source: RawLines,
    first: int,
    last: int,
    other: Workspace,
    work: Workspace,
    clean: bool,
) -> None:
    # Removes one source from lines [low, high) of a band, and flags where it could not.
    raw, bad = chain.raw, source.bad[first:last]
    where, there = raw.first_line + low, source.first_line + first
    lines, flags = work.image[: high - low], work.flags[: high - low]
    remove_leak(lines, where, raw.factor, other.free, bad, there, source.factor, leak)
    if not clean:
        flag_leak(flags, where, raw.factor, other.full, bad, there, source.factor, SATURATED, PARTIALLY_CORRECTED)


@kernel
def _without_crosstalk(
    chains: tuple[Chain, ...],
    works: tuple[Workspace, ...],
    needed: NDArray[np.int64],
    k: int,
    low: int,
    high: int,
    clean: bool,
) -> None:
    # Lines [low, high) of one band: the start of `image` and `flags` of its workspace.
    raw, work = chains[k].raw, works[k]
    if len(chains) == 1 and work.free.shape[0] == 0:
        offset_free(raw, low, high, work.image)
        if not clean:
            raw_saturation(raw, low, high, SATURATED, work.flags)
        return
    at = low - needed[k, 0] if len(chains) > 1 else low
    for i in range(high - low):
        free, row = work.free[at + i], work.image[i]
        for x in range(row.size):
            row[x] = free[x]
        if not clean:
            full, flags = work.full[at + i], work.flags[i]
            for x in range(flags.size):
                flags[x] = full[x]
    for s in range(len(chains)):
        leak = chains[k].leaks[s]
        if leak != 0:
            _take_off(chains[k], low, high, leak, chains[s].raw, needed[s, 0], needed[s, 1], works[s], work, clean)


@kernel
def _lines_needed(chains: tuple[Chain, ...], ranges: NDArray[np.int64], k: int) -> tuple[int, int]:
    # Lines of one band that a block takes, its own and those that leak into others; indices into its run.
    first, last = ranges[k, 2], ranges[k, 3]
    for v in range(len(chains)):
        if chains[v].leaks[k] != 0 and ranges[v, 1] > ranges[v, 0]:
            low, high = source_range(chains[v].raw, ranges[v, 2], ranges[v, 3], chains[k].raw)
            if first == last:
                first, last = low, high
            elif low < high:
                first, last = min(first, low), max(last, high)
    return first, last


@kernel
def _span(chains: tuple[Chain, ...], windows: NDArray[np.int64]) -> tuple[int, int]:
    # First and last + 1 line period of 10 m of all windows.
    begin, end = 2**62, -(2**62)
    for k in range(len(chains)):
        if windows[k, 1] > windows[k, 0]:
            begin = min(begin, windows[k, 0] * chains[k].raw.factor)
            end = max(end, windows[k, 1] * chains[k].raw.factor)
    return begin, end


@kernel
def correct_group(
    chains: tuple[Chain, ...], works: tuple[Workspace, ...], windows: NDArray[np.int64], block: int
) -> None:
    """Correct a window of every band of a group of bands that may leak into each other.

    Parameters
    ----------
    chains, works : tuple of one element per band
        One or `TOGETHER` of them, because every number is compiled anew: an empty window fills up. Of `works`,
        ``counts`` and ``quality`` are filled. They are the caller's, because NumPy asks for large pages and compiled
        code does not (a factor of 2 in speed).
    windows : (band, 2) int64
        Absolute lines to correct, first and last + 1; the others only serve as neighbours and as sources.
    block : int
        Lines of 60 m that go through the steps together.
    """
    n, step = len(chains), 6 * block
    begin, end = _span(chains, windows)
    ranges, needed = np.zeros((n, 4), np.int64), np.zeros((n, 2), np.int64)
    for time in range(begin // step * step, end, step):
        for k in range(n):
            ranges[k] = _block_range(chains[k], windows[k], time, time + step)
        clean = n > 1 or works[0].free.shape[0] == 0
        for k in range(n):
            needed[k] = _lines_needed(chains, ranges, k)
            clean = clean and _is_clean(chains, ranges, needed, k)
        for k in range(n):
            if n > 1:
                _source_lines(chains[k], works[k], needed[k, 0], needed[k, 1], clean)
        for k in range(n):
            a, b, low, high = ranges[k]
            if a == b:
                continue
            chain, start = chains[k], windows[k, 0] - chains[k].raw.first_line
            _without_crosstalk(chains, works, needed, k, low, high, clean)
            if clean:
                image = works[k].image[: b - a]
                equalise(image, chain.model, chain.response)
                replace_defective(image, chain.defects)
                _finish_clean(chain, works[k], a, b, start)
            else:
                _correct(chain, works[k], a, b, low, high, start)
