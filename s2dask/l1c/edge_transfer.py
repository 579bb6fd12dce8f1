"""How sharp an image is: its modulation transfer from straight edges that lie slanted to the pixels.

An edge between two even fields that crosses the columns at a small angle samples the same profile at many places of a
pixel. Its derivative is the line spread, the transform of which is the modulation transfer along the normal of the edge
(slanted edge, ISO 12233). A soft edge of the landscape looks like a blunt instrument: edges that are straight to a
fifth of a pixel and between even fields are mostly made by people.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

ROWS: Final = 16
"""Of an edge [px]."""
GAP: Final = 5
"""From the middle of an edge to the fields on both sides [px] ..."""
WIDTH: Final = 4
"""... and their width [px]."""
SIDE: Final = GAP + WIDTH
"""Pixels on each side of an edge."""
CLEAR: Final = 20.0
"""A step is this many times the standard deviation of a pixel of the fields, or it is no edge."""
OFF: Final = 1.5
"""Largest distance of an edge from the middle of its strip [px]."""
SLANT: Final = (0.06, 0.3)
"""Least and largest shift of an edge from a row to the next [px]."""
STRAIGHT: Final = 0.2
"""Largest standard deviation of rows from a straight line [px]."""
REACH: Final = 6.0
"""Of the line spread, to each side [px] ..."""
WHOLE: Final = 3.0
"""... and up to where all of it counts [px]."""
BIN: Final = 0.25
"""Of the profile [px]."""
NYQUIST: Final = 0.5
"""Cycles per pixel."""
FEWEST: Final = 5
"""Edges that the transfer of a band is told from."""

Float = NDArray[np.float32]


class Transfer(NamedTuple):
    """Modulation transfer at the Nyquist frequency.

    Attributes
    ----------
    value, error : float [1]
        Median of edges, and its standard error.
    edges : int
    """

    value: float
    error: float
    edges: int


@kernel
def _clearness(image, out):  # type: ignore[no-untyped-def]
    """Write how many standard deviations the step between the fields left and right of each column is, by strip."""
    strips, columns = out.shape
    count = ROWS * WIDTH
    for s in range(strips):
        for x in range(columns):
            out[s, x] = np.float32(0.0)
            if x < GAP + WIDTH or x + GAP + WIDTH > columns:
                continue
            one, two, squares = 0.0, 0.0, 0.0
            for r in range(s * ROWS, (s + 1) * ROWS):
                for k in range(GAP, GAP + WIDTH):
                    a, b = np.float64(image[r, x - 1 - k]), np.float64(image[r, x + k])
                    one += a
                    two += b
                    squares += a * a + b * b
            spread = (squares - (one * one + two * two) / count) / (2 * count)
            step = abs(two - one) / count
            if spread == spread and step > 0:
                out[s, x] = np.float32(step / np.sqrt(max(spread, 1e-6 * step * step)))


def _line(part: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return where the edge of a strip crosses its middle row, and its shift per row [px]; None of what is no line."""
    slope = np.diff(part, axis=1)
    sign = 1.0 if part[:, -WIDTH:].mean() > part[:, :WIDTH].mean() else -1.0
    steep, between = np.maximum(sign * slope, 0.0), np.arange(part.shape[1] - 1) + 0.5
    rows = np.arange(ROWS) - (ROWS - 1) / 2
    at = np.full(ROWS, part.shape[1] / 2 - 0.5)
    shift, middle = 0.0, float((steep.sum(axis=0) @ between) / steep.sum())
    for _ in range(3):
        at = middle + shift * rows
        near = steep * (np.abs(between[None, :] - at[:, None]) <= 3.5)
        weight = near.sum(axis=1)
        if not (weight > 0).all():
            return None
        found = (near @ between) / weight
        shift, middle = (float(v) for v in np.polyfit(rows, found, 1))
    if abs(middle - (part.shape[1] - 1) / 2) > OFF or not SLANT[0] <= abs(shift) <= SLANT[1]:
        return None
    if np.std(found - middle - shift * rows) > STRAIGHT:
        return None
    return middle, shift


def edge_transfer(part: NDArray[np.float64]) -> float | None:
    """Return the modulation transfer at the Nyquist frequency of an edge, along its normal; None where there is none.

    Parameters
    ----------
    part : (ROWS, column) float64
        Around a step from the left to the right, SIDE pixels on each side.

    Notes
    -----
    Of the line spread the cosine transform about its middle is taken: noise makes it neither larger nor smaller. Means
    over bins and differences of neighbouring bins each take a sinc of the transfer, which is given back.
    """
    line = _line(part)
    if line is None:
        return None
    middle, shift = line
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    away = (columns - middle - shift * (rows - (ROWS - 1) / 2)) / np.hypot(1.0, shift)
    low, high = (float(part[side].mean()) for side in (away < -REACH + 1, away > REACH - 1))
    at = np.floor((away + REACH) / BIN).astype(np.int64)
    inside = (at >= 0) & (at < round(2 * REACH / BIN))
    count = np.bincount(at[inside], minlength=round(2 * REACH / BIN))
    if not (count > 0).all():
        return None
    profile = np.bincount(at[inside], weights=part[inside], minlength=count.size) / count
    spread = np.diff((profile - low) / (high - low))
    place = BIN * np.arange(1, count.size) - REACH
    spread *= np.cos(0.5 * np.pi * np.clip((np.abs(place) - WHOLE) / (REACH - WHOLE), 0, 1)) ** 2
    centre = float(place @ spread / spread.sum())
    value = float((spread * np.cos(2 * np.pi * NYQUIST * (place - centre))).sum() / spread.sum())
    return value / float(np.sinc(NYQUIST * BIN)) ** 2


def _middle(strip: Float, x: int) -> int | None:
    """Return the column that lies right of the middle of an edge near column `x`; None at the ends and without data."""
    for _ in range(2):
        if x < SIDE or x + SIDE > strip.shape[1]:
            return None
        profile = strip[:, x - SIDE : x + SIDE].mean(axis=0, dtype=np.float64)
        steep = np.diff(profile)
        # noise of the fields has no part in it
        steep = np.where(np.abs(steep) > 0.05 * np.abs(profile[-1] - profile[0]), steep, 0.0)
        place = float(steep @ (np.arange(steep.size) + 1 - SIDE) / steep.sum()) if steep.sum() else np.nan
        if not abs(place) < SIDE:
            return None
        x += round(place)
    return x if SIDE <= x <= strip.shape[1] - SIDE else None


def edge_transfers(image: Float) -> Iterator[float]:
    """Yield the modulation transfer at the Nyquist frequency of the edges of an image that run down its columns.

    Parameters
    ----------
    image : (y, x) float32
        Of any unit, NaN without data. Its transpose tells of the edges that run along its rows.
    """
    strips, columns = image.shape[0] // ROWS, image.shape[1]
    clear = np.empty((strips, columns), np.float32)
    _clearness(np.ascontiguousarray(image), clear)
    seen = set[tuple[int, int]]()
    for s, x in np.argwhere(clear > CLEAR):
        # of neighbours the clearest
        if clear[s, x] < clear[s, max(x - GAP, 0) : x + GAP + 1].max():
            continue
        strip = image[s * ROWS : (s + 1) * ROWS]
        at = _middle(strip, int(x))
        if at is None or (int(s), at) in seen:
            continue
        seen.add((int(s), at))
        value = edge_transfer(strip[:, at - SIDE : at + SIDE].astype(np.float64))
        if value is not None:
            yield value


def median_transfer(values: NDArray[np.float64]) -> Transfer | None:
    """Return the transfer of a band from its edges; None of too few."""
    if len(values) < FEWEST:
        return None
    middle = float(np.median(values))
    scatter = 1.4826 * float(np.median(np.abs(values - middle)))
    return Transfer(middle, 1.2533 * scatter / len(values) ** 0.5, len(values))
