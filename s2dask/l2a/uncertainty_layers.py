"""The uncertainty of surface reflectance of every pixel, coded: from a few numbers per cell."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.instrument.uncertainty import RANDOM_STEP, SYSTEMATIC_STEP, CountErrors
from s2dask.kernels import bare_kernel, kernel
from s2dask.l2a.inversion import BEND, FROM_SKY, FROM_SUN, GAIN, LIFT, SCATTERED
from s2dask.l2a.slopes import LEAST_LIGHT

MORE: Final = 255
"""Code of what is uncertain by more than 254 steps, and of saturated pixels; 0: no data."""
NUMBERS: Final = 13
"""Of a cell: a0 … a4; v0, v1 of the noise; slope, lift and bend of the inversion; light from the sun and from the
sky; what no interpolation makes smaller."""


def cell_numbers(variance: ArrayLike, lines: ArrayLike, errors: CountErrors, scale: ArrayLike) -> NDArray[np.float32]:
    """Return the numbers by which `layers` works.

    Parameters
    ----------
    variance : (row, column, 5) float
        See `s2dask.l2a.uncertainty.variance_numbers`.
    lines : (row, column, 6) float
        See `s2dask.l2a.inversion.cell_lines`.
    errors : CountErrors
        Of the L1C band, at its own resolution.
    scale : (row, column) float [1]
        Reflectance of one count under the sun of the cell.

    Returns
    -------
    (row, column, NUMBERS) float32
    """
    told, a = np.asarray(lines, np.float64), np.asarray(variance, np.float64)
    c = np.asarray(scale, np.float64)
    out = np.empty((*a.shape[:-1], NUMBERS), np.float32)
    out[..., :5] = a
    out[..., 5], out[..., 6] = errors.alpha2 * c**2, errors.beta * c
    out[..., 7], out[..., 8] = told[..., GAIN], told[..., LIFT] + told[..., SCATTERED]
    out[..., 9], out[..., 10], out[..., 11] = told[..., BEND], told[..., FROM_SUN], told[..., FROM_SKY]
    out[..., 12] = errors.flat * c**2 + errors.quantisation
    return out


@bare_kernel
def _hold(cells, at, first, factor, held):  # type: ignore[no-untyped-def]
    """Write the numbers of the cell of each pixel; the first pixel is `first` pixels into its cell."""
    for j in range(cells.shape[1]):
        begin, end = max(j * factor - first, 0), min((j + 1) * factor - first, held.shape[1])
        for kind in range(held.shape[0]):
            value = cells[at, j, kind]
            for x in range(begin, end):
                held[kind, x] = value


@bare_kernel
def _row(image, steepness, weights, held, random, systematic):  # type: ignore[no-untyped-def]
    zero, one, half = np.float32(0.0), np.float32(1.0), np.float32(0.5)
    more = np.float32(MORE)
    fine, coarse = np.float32(1.0 / RANDOM_STEP), np.float32(1.0 / SYSTEMATIC_STEP)
    for x in range(image.size):
        t = image[x]
        bent = one + held[9, x] * (held[7, x] * t - held[8, x])
        straight = steepness[x] / (bent * bent)
        own = held[7, x] * straight * np.sqrt(weights[x] * (held[5, x] + held[6, x] * max(t, zero)) + held[12, x])
        alike = held[0, x] + t * (held[1, x] + t * (held[2, x] + t * (held[3, x] + t * held[4, x])))
        a = min(max(own * fine + half, one), more)
        b = min(max(straight * np.sqrt(max(alike, zero)) * coarse + half, one), more)
        code, other = np.int32(a), np.int32(b)
        known = t <= np.float32(6.45)
        none = np.int32(0) if t != t else np.int32(MORE)
        random[x] = code if known else none
        systematic[x] = other if known else none


@kernel
def layers(image, cells, first, factor, cosine, weights, random, systematic):  # type: ignore[no-untyped-def]
    """Fill the codes of both parts of the uncertainty of surface reflectance.

    Parameters
    ----------
    image : (y, x) float32 [1]
        Top-of-atmosphere reflectance, NaN without data, infinite or beyond 6.45 where saturated.
    cells : (row, column, NUMBERS) float32
        See `cell_numbers`; cells of `factor` x `factor` pixels.
    first : (int, int)
        Pixels of the first cell that lie above and left of the image.
    factor : int
    cosine : (y, x) float32 [1]
        How the ground faces the sun over how level ground does; empty where all is level.
    weights : (y, x) float32 [1]
        Variance of each pixel of L1C over that of the counts around it; (1, 1): of all pixels.
    random, systematic : (y, x) uint8
        Filled: standard uncertainty in steps of `RANDOM_STEP` and `SYSTEMATIC_STEP`, rounded, 1 to 254; 0 no data,
        `MORE` for more and for saturated pixels.

    Notes
    -----
    A slope that gets less light than level ground is lifted as much more, and with it its errors.
    """
    rows, columns = random.shape
    held = np.empty((cells.shape[2], columns), np.float32)
    steepness, one = np.ones(columns, np.float32), np.float32(1.0)
    same = np.full(columns, weights[0, 0], np.float32)
    for y in range(rows):
        if y == 0 or (y + first[0]) % factor == 0:
            _hold(cells, (y + first[0]) // factor, first[1], factor, held)
        if cosine.size > 0:
            for x in range(columns):
                steepness[x] = one / max(held[10, x] * cosine[y, x] + held[11, x], np.float32(LEAST_LIGHT))
        own = weights[y] if weights.size > 1 else same
        _row(image[y], steepness, own, held, random[y], systematic[y])
