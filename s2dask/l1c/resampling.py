"""A detector image made ready for interpolation: samples or spline coefficients, and the quality that goes with them.

The result of a pixel depends on its neighbourhood alone, `margin_lines` at most: any window of the image that holds the
margin gives the same bytes.

Each bit of the quality layer says something else, and reaches a pixel by a rule of its own:

=========================================  ===========================================================================
ANC_LOST, ANC_DEG                          The nearest sample: they tell of the date and attitude of a line, hence of
                                           where the pixel is, which interpolation does not mix.
MSI_LOST, MSI_DEG, QT_DEFECTIVE,           Any of the 2 x 2 samples around: what is wrong with one of them is in the
QT_PARTIALLY_CORRECTED, QT_SATURATED_L1A   value. The ring around them has weights of some percent.
QT_NODATA                                  Any of the 2 x 2 samples around: the pixel has no value.
QT_PARTIALLY_CORRECTED                     Besides: no data in the ring around the 2 x 2, as far as the interpolation
                                           reaches: the value leans on samples that were put in their place.
=========================================  ===========================================================================

The nearest neighbour has one sample around, and no ring; bilinear interpolation has no ring.
"""

from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument.quality import ANC_DEGRADED, ANC_LOST, NODATA, PARTIALLY_CORRECTED
from s2dask.kernels import kernel
from s2dask.l1c.prefilter import HALVES, prefilter, spline_taps
from s2dask.l1c.scratch import Scratch

Filter = Literal["SPLINE3", "SPLINE5", "SPLINE7", "BCO", "BLN", "PPV"]
"""Names of GIP_RESPAR: B-splines of degree 3, 5 and 7, bicubic (Keys, a = -0.5), bilinear, nearest.

Of a wave of 0.35 cycles per pixel the B-spline of degree 3 loses 8.4 %, that of degree 5 2.4 %, that of degree 7 0.7 %;
1 % is lost at 0.23, 0.31 and 0.36 cycles per pixel (Unser, Splines, 1999). An error of 1 % up to 0.35 takes degree 7,
at several times the work.
"""
FILTERS: Final[dict[Filter, int]] = {"SPLINE3": 3, "SPLINE5": 5, "SPLINE7": 7, "BCO": 2, "BLN": 1, "PPV": 0}
INTERPOLATIONS: Final[dict[str, Filter]] = {
    "bspline": "SPLINE3", "bspline5": "SPLINE5", "bspline7": "SPLINE7", "bicubic": "BCO", "bilinear": "BLN",
    "nearest": "PPV",
}  # fmt: skip
"""What they are called outside GIP_RESPAR."""
REPAIR: Final = 10
"""How far away a line may be that stands in for no data."""
DARK_LEVEL: Final = 100.0
"""Counts of zero radiance; stands in for no data that has no valid line within reach [DN]."""
STRIP: Final = 256
"""Columns of the strips by which a part of an image is asked for."""
_OF_LINES: Final = ANC_LOST | ANC_DEGRADED


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
        B-spline coefficients, or counts for the other filters; half the support more columns on either side.
    flags : (line, column) uint8
        MSK_QUALIT bits of the 2 x 2 pixels from each one on, but those of lines; starts one column before the image.
    own : (line, column) uint8
        MSK_QUALIT bits of each pixel.
    flagged : (line) bool
        Where a line of `flags` or two lines of `own` have any. All three are empty where the window has none.
    first_line : int
        Line of the image that the first row of all of them holds.
    lines, columns : int
        Size of the whole image.
    filter : int
        Number of the filter, see `FILTERS`.
    """

    samples: NDArray[np.float32]
    flags: NDArray[np.uint8]
    own: NDArray[np.uint8]
    flagged: NDArray[np.bool_]
    first_line: int
    lines: int
    columns: int
    filter: int


def support(name: Filter) -> int:
    """Return half the samples along a line that make a pixel."""
    return max((FILTERS[name] + 1) // 2, 2)


def prefilter_reach(name: Filter) -> int:
    """Return how many lines a sample takes on either side."""
    return HALVES.get(FILTERS[name], 0)


def margin_lines(name: Filter) -> int:
    """Return how many lines must be given before and after those asked for: filter, repair of no data, support."""
    return prefilter_reach(name) + REPAIR + support(name)


def lines_needed(first: int, last: int, lines: int, name: Filter = "SPLINE3") -> tuple[int, int]:
    """Return the range of lines to read for interpolating between line `first` and line `last`."""
    margin = margin_lines(name)
    return max(first - margin, 0), min(last + margin + 1, lines)


@kernel
def _inspect(counts, quality):  # type: ignore[no-untyped-def]
    """Return whether each line has any flag, and whether it has any place without data."""
    rows, columns = counts.shape
    flagged, holed = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    for i in range(rows):
        bits, least = np.uint16(0), np.uint16(65535)
        for j in range(columns):
            bits |= quality[i, j]
            least = min(least, counts[i, j])
        holed[i] = least == 0 or bits & NODATA != 0
        flagged[i] = bits & 255 != 0 or least == 0
    return flagged, holed


@kernel
def _repair(counts, quality, holed, out):  # type: ignore[no-untyped-def]
    """Write counts as float32, no data as the nearest valid line of its column within REPAIR, the upper one of two."""
    rows, columns = counts.shape
    for i in range(rows):
        for j in range(columns):
            out[i, j] = np.float32(counts[i, j])
        if not holed[i]:
            continue
        for j in range(columns):
            if counts[i, j] != 0 and not quality[i, j] & NODATA:
                continue
            out[i, j] = np.float32(DARK_LEVEL)
            for k in range(1, REPAIR + 1):
                if i - k >= 0 and counts[i - k, j] != 0 and not quality[i - k, j] & NODATA:
                    out[i, j] = np.float32(counts[i - k, j])
                    break
                if i + k < rows and counts[i + k, j] != 0 and not quality[i + k, j] & NODATA:
                    out[i, j] = np.float32(counts[i + k, j])
                    break


@kernel
def _own_flags(counts, quality, flagged, offset, own):  # type: ignore[no-untyped-def]
    """Write the bits of each pixel, NODATA where there is none; beyond the window its ends repeat."""
    rows, columns = counts.shape
    for r in range(own.shape[0]):
        i = min(max(r + offset, 0), rows - 1)
        if not flagged[i]:
            own[r] = 0
            continue
        for x in range(columns):
            own[r, x] = quality[i, x] & 255 | (NODATA if counts[i, x] == 0 else 0)


@kernel
def _line_flags(own, reach, flagged, holed):  # type: ignore[no-untyped-def]
    """Write whether the support of each line has any flag, and whether it has a place without data."""
    rows = own.shape[0]
    every = np.zeros(rows, np.uint8)
    for r in range(rows):
        for x in range(own.shape[1]):
            every[r] |= own[r, x]
    for r in range(rows):
        bits = np.uint8(0)
        for i in range(max(r + 1 - reach, 0), min(r + reach, rows - 1) + 1):
            bits |= every[i]
        flagged[r], holed[r] = bits != 0, bits & NODATA != 0


@kernel
def _lean(own, r, reach, out):  # type: ignore[no-untyped-def]
    """Flag in a line the pixels that have no data in the ring of their support, `reach` pixels from their middle."""
    columns = own.shape[1]
    for x in range(columns + 1):
        if out[x] & NODATA:
            continue
        for i in range(max(r + 1 - reach, 0), min(r + reach, own.shape[0] - 1) + 1):
            for j in range(max(x - reach, 0), min(x + reach - 1, columns - 1) + 1):
                if own[i, j] & NODATA:
                    out[x] |= PARTIALLY_CORRECTED


@kernel
def _support_flags(own, reach, out, flagged):  # type: ignore[no-untyped-def]
    """Write the bits of each 2 x 2 support, and where the whole support has any."""
    rows, columns = own.shape
    holed, carried = np.empty(rows, np.bool_), np.uint8(255 - _OF_LINES)
    _line_flags(own, reach, flagged, holed)
    for r in range(rows):
        out[r] = 0
        if not flagged[r]:
            continue
        here, below = own[r], own[min(r + 1, rows - 1)]
        for x in range(columns + 1):
            a, b = max(x - 1, 0), min(x, columns - 1)
            out[r, x] = (here[a] | here[b] | below[a] | below[b]) & carried
        if holed[r] and reach > 1:
            _lean(own, r, reach, out[r])


def _flag_layers(
    counts: NDArray[np.uint16],
    quality: NDArray[np.uint16],
    flagged: NDArray[np.bool_],
    offset: int,
    rows: int,
    name: Filter,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Return flags, own flags and flagged lines, from line `offset` of the window on."""
    columns = counts.shape[1]
    if not flagged.any():
        return np.empty((0, columns + 1), np.uint8), np.empty((0, columns), np.uint8), np.empty(0, np.bool_)
    flags, own = np.empty((rows, columns + 1), np.uint8), np.empty((rows, columns), np.uint8)
    some = np.empty(rows, np.bool_)
    _own_flags(counts, quality, flagged, offset, own)
    _support_flags(own, support(name) if FILTERS[name] > 1 else 1, flags, some)
    return flags, own, some


def _spans(wanted: NDArray[np.int64] | None, low: int, high: int, columns: int, reach: int) -> NDArray[np.int64]:
    """Return the rows of the samples (strip, first and last + 1) that the lines wanted in each strip take."""
    strips = -(-columns // STRIP)
    if wanted is None:
        return np.tile(np.array([[0, high - low]]), (strips, 1))
    return np.asarray(np.clip(wanted + np.array([1 - reach, reach + 1]) - low, 0, high - low))


def prepare_image(
    counts: NDArray[np.uint16],
    quality: NDArray[np.uint16],
    first_line: int,
    lines: int,
    name: Filter = "SPLINE3",
    wanted: NDArray[np.int64] | None = None,
    scratch: Scratch | None = None,
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
    wanted : (strip, 2) int64, optional
        First and last line between which pixels lie in each `STRIP` of columns; by default all. The samples of other
        lines are undefined.
    scratch : Scratch, optional
        Where the samples are kept, until its next use.
    """
    if name not in FILTERS:
        raise ConfigurationError(f"filter {name!r}", "resampling", f"one of {', '.join(FILTERS)}")
    columns, stop, space = counts.shape[1], first_line + counts.shape[0], scratch or Scratch()
    reach, inner = support(name), prefilter_reach(name) + REPAIR
    # rows kept: those whose whole neighbourhood is there, or never was part of the image
    low = first_line + inner if first_line > 0 else -reach
    high = stop - inner if stop < lines else lines + reach
    if high - low < 2 * reach:
        raise ConfigurationError(f"{counts.shape[0]} lines", "resampling", f"give {margin_lines(name)} lines of margin")
    flagged, holed = _inspect(counts, quality)
    values: NDArray[Any] = counts
    if holed.any():
        values = space.take("values", counts.shape, np.float32)
        _repair(counts, quality, holed, values)
    samples = space.take("samples", (high - low, columns + 2 * reach), np.float32)
    taps = spline_taps(FILTERS[name]) if FILTERS[name] in HALVES else np.ones(1, np.float32)
    prefilter(values, first_line - low, taps, _spans(wanted, low, high, columns, reach), STRIP, reach, samples)
    layers = _flag_layers(counts, quality, flagged, low - first_line, high - low, name)
    return DetectorImage(samples, *layers, low, lines, columns, FILTERS[name])
