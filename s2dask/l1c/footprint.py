"""Which detector a pixel is taken from: by default the one in whose image it lies farther from the edges."""

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.kernels import kernel

Cut = Literal["middle", "lower", "higher"]
"""Who keeps the overlap of two detectors: each its half, or all of it the lower or the higher number."""
CUTS: Final[tuple[Cut, ...]] = get_args(Cut)
UNCLAIMED: Final = -1e-9
"""Distance of a pixel that nobody has claimed: below zero, so that the very edge of an image counts."""


@kernel
def _claim(line, column, lines, columns, detector, cut, left, best, footprint):  # type: ignore[no-untyped-def]
    right, bottom = columns - 0.5, lines - 0.5
    claimed, low, high = 0, np.inf, -np.inf
    for r in range(line.shape[0]):
        for x in range(line.shape[1]):
            c = column[r, x]
            distance = min(c + 0.5, right - c)
            if cut > 0 and distance > UNCLAIMED:
                # what counts is the order in which the detectors come, not how far the edges are
                distance = 1.0 if cut == 1 else float(detector)
            if distance > best[r, left + x] and line[r, x] >= -0.5 and line[r, x] <= bottom:
                best[r, left + x] = distance
                footprint[r, left + x] = detector
                claimed += 1
                low, high = min(low, line[r, x]), max(high, line[r, x])
    return claimed, low, high


def claim(
    line: NDArray[np.float64],
    column: NDArray[np.float64],
    size: tuple[int, int],
    detector: int,
    left: int,
    best: NDArray[np.float64],
    footprint: NDArray[np.uint8],
    cut: Cut = "middle",
) -> tuple[int, float, float]:
    """Give a detector the pixels in which it looks farther from its edges than those before it.

    Parameters
    ----------
    line, column : (y, x) float64
        Of the pixels in the detector's image; NaN where it does not look.
    size : (int, int)
        Lines and columns of the image; it answers for half a pixel around its pixel centres.
    detector : int
    left : int
        Column of `best` and `footprint` that `line` begins with.
    best : (y, x) float64
        Distance to the nearer edge of the best detector so far [column], changed in place; UNCLAIMED to
        begin with.
    footprint : (y, x) uint8
        Best detector so far, 0 = none, changed in place.
    cut : {"middle", "lower", "higher"}

    Returns
    -------
    claimed : int
        Pixels that changed hands.
    low, high : float
        Lowest and highest line among them; infinite when there are none.

    Notes
    -----
    Detectors must come in ascending order: of two equal distances the lower detector keeps the pixel. In an overlap
    the cut ``middle`` is where both are as far from their edges. ``lower`` and ``higher`` leave the whole overlap to
    one of them, up to the very edge of its image: both together give each ground point of the overlap as two detectors
    see it, two to seven seconds apart, which is how their calibration and registration are compared.
    """
    if cut not in CUTS:
        raise ConfigurationError(f"cut {cut!r}", "overlap of detectors", f"one of {', '.join(CUTS)}")
    claimed, low, high = _claim(line, column, *size, detector, CUTS.index(cut), left, best, footprint)
    return int(claimed), float(low), float(high)

