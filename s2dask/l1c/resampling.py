"""Interpolation of one detector image at fractional lines and columns.

The result of a pixel depends on its neighbourhood alone, `MARGIN_LINES` at most: any window of the image that holds
the margin gives the same bytes.
"""

from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument.quality import NODATA, PARTIALLY_CORRECTED
from s2dask.kernels import bare_kernel, inline_kernel, kernel
from s2dask.l1c.taps import LANES, weigh_four

Filter = Literal["SPLINE3", "BCO", "BLN", "PPV"]
"""Names of GIP_RESPAR: cubic B-spline, bicubic (Keys, a = -0.5), bilinear, nearest."""
FILTERS: Final = {"SPLINE3": 3, "BCO": 2, "BLN": 1, "PPV": 0}
INTERPOLATIONS: Final[dict[str, Filter]] = {"bspline": "SPLINE3", "bicubic": "BCO", "bilinear": "BLN", "nearest": "PPV"}
"""What they are called outside GIP_RESPAR."""
HALF: Final = 10
"""Half width of the B-spline prefilter: what is cut off adds up to 2e-6 of the signal."""
MARGIN_LINES: Final = 2 * HALF + 2
"""Lines that must be given before and after those asked for: filter, repair of no data, interpolation support."""
DARK_LEVEL: Final = 100.0
"""Counts of zero radiance; stands in for no data that has no valid line within reach [DN]."""
_PAD = HALF + 2


def filter_of(interpolation: str) -> Filter:
    """Return the filter of a name: one of `INTERPOLATIONS`, or of GIP_RESPAR."""
    known = INTERPOLATIONS | {name: name for name in INTERPOLATIONS.values()}
    if interpolation not in known:
        choice = ", ".join(INTERPOLATIONS)
        raise ConfigurationError(f"interpolation {interpolation!r}", "resampling", f"one of {choice}")
    return known[interpolation]


class DetectorImage(NamedTuple):
    """A window of lines of one detector and band, ready to be interpolated.

    Attributes
    ----------
    samples : (line, column) float32 [DN]
        B-spline coefficients, or counts for the other filters; two columns more on either side.
    flags : (line, column) uint8
        MSK_QUALIT bits of the 2 x 2 pixels from each one on; starts one column before the image.
    flagged : (line) bool
        Where a line of `flags` has any.
    first_line : int
        Line of the image that the first row of both holds.
    lines, columns : int
        Size of the whole image.
    filter : int
        Number of the filter, see `FILTERS`.
    """

    samples: NDArray[np.float32]
    flags: NDArray[np.uint8]
    flagged: NDArray[np.bool_]
    first_line: int
    lines: int
    columns: int
    filter: int


def lines_needed(first: int, last: int, lines: int) -> tuple[int, int]:
    """Return the range of lines to read for interpolating between line `first` and line `last`."""
    return max(first - MARGIN_LINES, 0), min(last + MARGIN_LINES + 1, lines)


def spline_taps() -> NDArray[np.float32]:
    """Return the half filter (HALF + 1) that turns samples into cubic B-spline coefficients, sum one.

    Notes
    -----
    The inverse of (1/6, 4/6, 1/6) is ``sqrt(3) z^|k|`` with ``z = sqrt(3) - 2`` (Unser, Splines, 1999), here cut off.
    """
    taps = np.sqrt(3.0) * (np.sqrt(3.0) - 2.0) ** np.arange(HALF + 1)
    return np.asarray(taps / (taps[0] + 2.0 * taps[1:].sum()), np.float32)


@kernel
def _decode(counts, quality, out, invalid):  # type: ignore[no-untyped-def]
    """Write counts as float32 and where there is no data; return whether there is such a place in each line."""
    rows, columns = counts.shape
    holed = np.zeros(rows, np.bool_)
    for i in range(rows):
        some = False
        for j in range(columns):
            bad = (counts[i, j] == 0) | ((quality[i, j] & NODATA) != 0)
            out[i, j] = np.float32(counts[i, j])
            invalid[i, j] = bad
            some |= bad
        holed[i] = some
    return holed


@kernel
def _repair(counts, invalid, holed, out):  # type: ignore[no-untyped-def]
    """Give no data the nearest valid line of its column within HALF, the upper one of two."""
    rows, columns = counts.shape
    for i in range(rows):
        if not holed[i]:
            continue
        for j in range(columns):
            if not invalid[i, j]:
                continue
            out[i, j] = np.float32(DARK_LEVEL)
            for k in range(1, HALF + 1):
                if i - k >= 0 and not invalid[i - k, j]:
                    out[i, j] = np.float32(counts[i - k, j])
                    break
                if i + k < rows and not invalid[i + k, j]:
                    out[i, j] = np.float32(counts[i + k, j])
                    break


@kernel
def _prefilter(values, taps, out):  # type: ignore[no-untyped-def]
    """Write B-spline coefficients; `values` holds HALF rows more on either side, `out` two columns more."""
    rows, columns = out.shape[0], values.shape[1]
    wide = columns + 2 * _PAD
    line = np.empty(wide, np.float32)
    for r in range(rows):
        i = r + HALF
        middle = line[_PAD : _PAD + columns]
        here = values[i]
        t = taps[0]
        for x in range(columns):
            middle[x] = t * here[x]
        for k in range(1, HALF + 1):
            above, below, t = values[i - k], values[i + k], taps[k]
            for x in range(columns):
                middle[x] += t * (above[x] + below[x])
        line[:_PAD] = middle[0]
        line[_PAD + columns :] = middle[columns - 1]
        target = out[r]
        t, n = taps[0], columns + 4
        for x in range(n):
            target[x] = t * line[x + HALF]
        for k in range(1, HALF + 1):
            left, right, t = line[HALF - k : HALF - k + n], line[HALF + k : HALF + k + n], taps[k]
            for x in range(n):
                target[x] += t * (left[x] + right[x])


@kernel
def _support_flags(quality, invalid, holed, out):  # type: ignore[no-untyped-def]
    """Write the bits of each 2 x 2 support; the inputs hold one row more before and two after those of `out`.

    No data among the four: NODATA. No data only in the ring of the 4 x 4 support around: PARTIALLY_CORRECTED.
    """
    rows, columns = out.shape[0], quality.shape[1]
    for r in range(rows):
        i = r + 1
        here, below, target = quality[i], quality[i + 1], out[r]
        for x in range(1, columns):
            target[x] = (here[x - 1] | here[x] | below[x - 1] | below[x]) & 255
        target[0], target[columns] = (here[0] | below[0]) & 255, (here[columns - 1] | below[columns - 1]) & 255
        if not holed[i - 1 : i + 3].any():
            continue
        for x in range(columns + 1):
            near, ring = False, False
            for k in range(4):
                for m in range(4):
                    j = min(max(x - 2 + m, 0), columns - 1)
                    if invalid[i - 1 + k, j]:
                        ring = True
                        near = near or (0 < k < 3 and 0 < m < 3)
            if near:
                out[r, x] |= NODATA
            elif ring:
                out[r, x] |= PARTIALLY_CORRECTED


def prepare_image(
    counts: NDArray[np.uint16],
    quality: NDArray[np.uint16],
    first_line: int,
    lines: int,
    name: Filter = "SPLINE3",
) -> DetectorImage:
    """Return a window of an image ready for `interpolate`.

    Parameters
    ----------
    counts, quality : (line, column) uint16
        Lines from `first_line` on, as `lines_needed` asks: no data has counts 0 or the NODATA bit.
    first_line : int
    lines : int
        Of the whole image: what lies before the first and after the last line repeats them, as at the columns' edges.
    name : Filter
    """
    if name not in FILTERS:
        raise ConfigurationError(f"filter {name!r}", "resampling", f"one of {', '.join(FILTERS)}")
    columns, stop = counts.shape[1], first_line + counts.shape[0]
    invalid, values = np.empty(counts.shape, np.bool_), np.empty(counts.shape, np.float32)
    holed = _decode(counts, quality, values, invalid)
    _repair(counts, invalid, holed, values)
    # rows kept: those whose whole neighbourhood is there, or never was part of the image
    low = first_line + 2 * HALF if first_line > 0 else -2
    high = stop - 2 * HALF if stop < lines else lines + 2
    if high - low < 4:
        raise ConfigurationError(f"{counts.shape[0]} lines", "resampling", f"give {MARGIN_LINES} lines of margin")

    def rows(layer: NDArray[Any], before: int, after: int) -> NDArray[Any]:
        """Return lines low - before to high + after; at its ends the image repeats."""
        if low - before >= first_line and high + after <= stop:
            return layer[low - before - first_line : high + after - first_line]
        return np.asarray(layer[np.clip(np.arange(low - before, high + after), 0, lines - 1) - first_line])

    samples = np.empty((high - low, columns + 4), np.float32)
    if name == "SPLINE3":
        _prefilter(rows(values, HALF, HALF), spline_taps(), samples)
    else:
        middle = rows(values, 0, 0)
        samples[:, 2:-2], samples[:, :2], samples[:, -2:] = middle, middle[:, :1], middle[:, -1:]
    flags = np.empty((high - low, columns + 1), np.uint8)
    _support_flags(rows(quality, 1, 2), rows(invalid, 1, 2), rows(holed, 1, 2), flags)
    return DetectorImage(samples, flags, np.asarray(flags.any(axis=1)), low, lines, columns, FILTERS[name])


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
def split_weights(position, shift, number, whole, taps):  # type: ignore[no-untyped-def]
    """Write the whole part of positions, shifted, and the weights (tap, pixel) of what is left."""
    a, b, c, d = taps[0], taps[1], taps[2], taps[3]
    if number == 3:  # one loop for each filter: a choice within it would cost more than the weights
        for q in range(position.size):
            i = np.floor(position[q])
            a[q], b[q], c[q], d[q] = _weights(np.float32(position[q] - i), 3)
            whole[q] = np.int32(i) + shift
    elif number == 2:
        for q in range(position.size):
            i = np.floor(position[q])
            a[q], b[q], c[q], d[q] = _weights(np.float32(position[q] - i), 2)
            whole[q] = np.int32(i) + shift
    else:
        for q in range(position.size):
            i = np.floor(position[q])
            a[q], b[q], c[q], d[q] = _weights(np.float32(position[q] - i), number)
            whole[q] = np.int32(i) + shift


@bare_kernel
def _clamp(at, last):  # type: ignore[no-untyped-def]
    """Bring rows into 1 … last; return how many were outside, and the lowest and highest."""
    low, high = at[0], at[0]
    for q in range(at.size):
        low, high = min(low, at[q]), max(high, at[q])
    outside = 0
    if low < 1 or high > last:
        for q in range(at.size):
            outside += at[q] < 1 or at[q] > last
            at[q] = min(max(at[q], 1), last)
        low, high = 1, last
    return outside, low, high


@bare_kernel
def _run(image, line, column, scratch, out, flags):  # type: ignore[no-untyped-def]
    """Interpolate pixels in a row; return how many of them the window does not hold."""
    n, wide = line.size, image.samples.shape[1]
    at, place, index = scratch.at[:n], scratch.place[:n], scratch.first
    split_weights(line, -image.first_line, image.filter, at, scratch.rows)
    split_weights(column, 1, image.filter, place, scratch.columns)
    outside, low, high = _clamp(at, image.samples.shape[0] - 3)
    for q in range(n):
        index[q] = (at[q] - 1) * wide + place[q]
    room, total = scratch.rows.shape[1], scratch.total
    for q in range(0, n, LANES):
        weigh_four(image.samples, wide, index, scratch.rows, scratch.columns, room, q, total)  # type: ignore[call-arg]
    flagged = False
    for i in range(low, high + 1):
        flagged |= image.flagged[i]
    if not flagged:
        for q in range(n):
            out[q] = total[q]
            flags[q] = 0
        return outside
    for q in range(n):
        bits = image.flags[at[q], place[q]]
        flags[q] = bits
        out[q] = total[q] if not bits & NODATA else np.float32(DARK_LEVEL)
    return outside


class _Scratch(NamedTuple):
    """Memory for the pixels of a row: taps (4, pixel), whole positions, places of samples, sums."""

    rows: NDArray[np.float32]
    columns: NDArray[np.float32]
    at: NDArray[np.int32]
    place: NDArray[np.int32]
    first: NDArray[np.int32]
    total: NDArray[np.float32]


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
        MSK_QUALIT bits; NODATA where the value is none.

    Returns
    -------
    int
        Pixels outside the window, which are an error of the caller.
    """
    rows, columns = line.shape
    room = columns + LANES
    scratch = _Scratch(
        np.zeros((4, room), np.float32), np.zeros((4, room), np.float32), np.zeros(room, np.int32),
        np.zeros(room, np.int32), np.zeros(room, np.int32), np.zeros(room, np.float32),
    )  # fmt: skip
    outside = 0
    for r in range(rows):
        x = 0
        while x < columns:
            start = x
            while x < columns and footprint[r, left + x] == detector:
                x += 1
            if x > start:
                here = slice(left + start, left + x)
                outside += _run(image, line[r, start:x], column[r, start:x], scratch, out[r, here], flags[r, here])
            else:
                x += 1
    return outside
