"""Interpolation of a prepared detector image at fractional lines and columns, a row of pixels at a time."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import ANC_DEGRADED, ANC_LOST, NODATA
from s2dask.kernels import bare_kernel, inline_kernel, kernel
from s2dask.l1c.resampling import DARK_LEVEL
from s2dask.l1c.taps import LANES, weigh_four

MOST_TAPS: Final = 8
"""Of the filters: those of a B-spline of degree 7."""
_OF_LINES: Final = ANC_LOST | ANC_DEGRADED


@inline_kernel
def _weights(t, number):  # type: ignore[no-untyped-def]
    """Return the weights of the taps at -1, 0, 1, 2 for a fraction t in [0, 1)."""
    zero, one = np.float32(0.0), np.float32(1.0)
    if number == 3:
        u, t2 = one - t, t * t
        sixth = np.float32(1.0 / 6.0)
        a, d = u * u * u * sixth, t2 * t * sixth
        b = np.float32(2.0 / 3.0) - t2 + np.float32(0.5) * t2 * t
        return a, b, one - a - b - d, d
    if number == 2:
        t2, half = t * t, np.float32(0.5)
        t3 = t2 * t
        a, d = t2 - half * (t3 + t), half * (t3 - t2)
        b = np.float32(1.5) * t3 - np.float32(2.5) * t2 + one
        return a, b, one - a - b - d, d
    if number == 1:
        return zero, one - t, t, zero
    near = one if t < np.float32(0.5) else zero
    return zero, near, one - near, zero


@bare_kernel
def _spline_weights(t, degree, taps, q):  # type: ignore[no-untyped-def]
    """Write the weights of the degree + 1 taps of a B-spline, by its recursion on the knots around a fraction t."""
    taps[0, q] = np.float32(1.0)
    for d in range(1, degree + 1):
        carried = np.float32(0.0)
        for k in range(d):
            # knots at whole numbers: from k + 1 on the right to k - d + 1 on the left
            share = taps[k, q] / np.float32(d)
            taps[k, q] = carried + (np.float32(k + 1) - t) * share
            carried = (t - np.float32(k + 1 - d)) * share
        taps[d, q] = carried


@bare_kernel
def split_weights(position, base, shift, number, whole, taps):  # type: ignore[no-untyped-def]
    """Write the whole part of positions that count from `base`, shifted, and the weights (tap, pixel) of what is left.

    Parameters
    ----------
    position : (pixel) float32
    base : (pixel) int32
    shift, number : int
    whole : (pixel) int32
    taps : (tap, pixel) float32
    """
    a, b, c, d = taps[0], taps[1], taps[2], taps[3]
    if number == 3:  # one loop for each filter: a choice within it would cost more than the weights
        for q in range(position.size):
            i = np.floor(position[q])
            a[q], b[q], c[q], d[q] = _weights(position[q] - i, 3)
            whole[q] = np.int32(i) + base[q] + np.int32(shift)
    elif number == 2:
        for q in range(position.size):
            i = np.floor(position[q])
            a[q], b[q], c[q], d[q] = _weights(position[q] - i, 2)
            whole[q] = np.int32(i) + base[q] + np.int32(shift)
    elif number < 2:
        for q in range(position.size):
            i = np.floor(position[q])
            a[q], b[q], c[q], d[q] = _weights(position[q] - i, number)
            whole[q] = np.int32(i) + base[q] + np.int32(shift)
    else:
        for q in range(position.size):
            i = np.floor(position[q])
            _spline_weights(position[q] - i, number, taps, q)
            whole[q] = np.int32(i) + base[q] + np.int32(shift)


@bare_kernel
def split_base(position, base, rest):  # type: ignore[no-untyped-def]
    """Write positions (pixel) float64 as whole numbers and what is left of them, as `split_weights` takes them."""
    for q in range(position.size):
        i = np.floor(position[q])
        base[q], rest[q] = np.int32(i), np.float32(position[q] - i)


@bare_kernel
def _clamp(at, first, last):  # type: ignore[no-untyped-def]
    """Bring rows into first … last; return how many were outside, and the lowest and highest."""
    low, high = at[0], at[0]
    for q in range(at.size):
        low, high = min(low, at[q]), max(high, at[q])
    outside = 0
    if low < first or high > last:
        for q in range(at.size):
            outside += at[q] < first or at[q] > last
            at[q] = min(max(at[q], first), last)
        low, high = first, last
    return outside, low, high


class Places(NamedTuple):
    """Where pixels in a row lie in an image: whole lines and columns, and what is to be added to them."""

    lines: NDArray[np.int32]
    columns: NDArray[np.int32]
    line: NDArray[np.float32]
    column: NDArray[np.float32]


@inline_kernel
def part_of(places, start, stop):  # type: ignore[no-untyped-def]
    """Return the places of some of the pixels."""
    return Places(
        places.lines[start:stop], places.columns[start:stop], places.line[start:stop], places.column[start:stop]
    )


class RunScratch(NamedTuple):
    """Memory for pixels in a row: taps (tap, pixel), whole positions, places of samples, sums."""

    rows: NDArray[np.float32]
    columns: NDArray[np.float32]
    at: NDArray[np.int32]
    place: NDArray[np.int32]
    first: NDArray[np.int32]
    total: NDArray[np.float32]


@inline_kernel
def run_scratch(pixels):  # type: ignore[no-untyped-def]
    """Return memory for so many pixels."""
    n = pixels + LANES
    return RunScratch(
        np.zeros((MOST_TAPS, n), np.float32), np.zeros((MOST_TAPS, n), np.float32), np.zeros(n, np.int32),
        np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, np.float32),
    )  # fmt: skip


@bare_kernel
def _weigh_many(samples, taps, at, place, rows, columns, total):  # type: ignore[no-untyped-def]
    """Write the weighted sums of pixels, by as many taps along lines as along columns."""
    for q in range(at.size):
        value, first = np.float32(0.0), at[q] - taps // 2 + 1
        for k in range(taps):
            line = samples[first + k, place[q] : place[q] + taps]
            row = np.float32(0.0)
            for m in range(taps):
                row += line[m] * columns[m, q]
            value += row * rows[k, q]
        total[q] = value


@bare_kernel
def _flags_of_run(image, places, at, place, flags, out):  # type: ignore[no-untyped-def]
    """Write the bits of pixels, by the rules of the module `resampling`, and the dark level for no data."""
    rows, last = image.own.shape[0] - 1, image.columns - 1
    half = np.float32(0.5)
    for q in range(out.size):
        i = np.int64(np.floor(places.line[q] + half)) + places.lines[q] - image.first_line
        j = np.int64(np.floor(places.column[q] + half)) + places.columns[q]
        own = image.own[min(max(i, 0), rows), min(max(j, 0), last)]
        bits = own if image.filter == 0 else image.flags[at[q], place[q]] | (own & _OF_LINES)
        flags[q] = bits
        if bits & NODATA:
            out[q] = np.float32(DARK_LEVEL)


@bare_kernel
def run(image, places, scratch, out, flags):  # type: ignore[no-untyped-def]
    """Interpolate pixels in a row; return how many of them the window does not hold."""
    n, wide, number = out.size, image.samples.shape[1], image.filter
    at, place, index = scratch.at[:n], scratch.place[:n], scratch.first
    split_weights(places.line, places.lines, -image.first_line, number, at, scratch.rows)
    split_weights(places.column, places.columns, 1, number, place, scratch.columns)
    reach = max((number + 1) // 2, 2)
    outside, low, high = _clamp(at, reach - 1, image.samples.shape[0] - reach - 1)
    total = scratch.total
    if reach == 2:
        room = scratch.rows.shape[1]
        for q in range(n):
            index[q] = (at[q] - 1) * wide + place[q]
        for q in range(0, n, LANES):
            weigh_four(image.samples, wide, index, scratch.rows, scratch.columns, room, q, total)  # type: ignore[call-arg]
    else:
        _weigh_many(image.samples, 2 * reach, at, place, scratch.rows, scratch.columns, total)
    for q in range(n):
        out[q] = total[q]
    if not image.flagged.size:
        return outside
    flagged = False
    for i in range(low, high + 1):
        flagged |= image.flagged[i]
    if flagged:
        _flags_of_run(image, places, at, place, flags, out)
    return outside


@kernel
def interpolate(image, line, column, left, detector, footprint, out, flags):  # type: ignore[no-untyped-def]
    """Fill the pixels that belong to a detector.

    Parameters
    ----------
    image : DetectorImage
    line, column : (y, x) float64
        0-based, whole numbers at pixel centres.
    left : int
        Column of the following arrays that `line` begins with.
    detector : int
    footprint : (y, x) uint8
        Detector of each pixel: the others are left as they are.
    out : (y, x) float32 [DN]
        Interpolated counts; DARK_LEVEL where there is no data.
    flags : (y, x) uint8
        MSK_QUALIT bits, NODATA where the value is none; zero before.

    Returns
    -------
    int
        Pixels outside the window, which are an error of the caller.
    """
    rows, columns = line.shape
    scratch, outside = run_scratch(columns), 0
    places = Places(
        np.empty(columns, np.int32), np.empty(columns, np.int32), np.empty(columns, np.float32),
        np.empty(columns, np.float32),
    )  # fmt: skip
    for r in range(rows):
        split_base(line[r], places.lines, places.line)
        split_base(column[r], places.columns, places.column)
        x = 0
        while x < columns:
            start = x
            while x < columns and footprint[r, left + x] == detector:
                x += 1
            if x > start:
                here = slice(left + start, left + x)
                outside += run(image, part_of(places, start, x), scratch, out[r, here], flags[r, here])
            else:
                x += 1
    return outside
