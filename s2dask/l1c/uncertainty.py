"""How well the reflectance of each pixel of L1C is known, as the OPT-MPC Radiometric Uncertainty Tool V1.0 states it.

With C the reflectance of one count and ``rho = C Z``, the errors of the counts (`s2dask.instrument.uncertainty`) are

    by itself  v = w (alpha^2 C^2 + beta C rho) + flat C^2 + q^2 + (shift |grad rho|)^2
    alike      a = alike_flat C^2 + alike_square rho^2
    total      bias C + bias_share rho + k sqrt(v + a)

with w the sum of the squared weights by which the samples enter the pixel, where the tool has 0.65^2 for all. A
reflectance below zero counts as none. Source: ATBD OMPC.ACR.MEM.052 (2025).
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.uncertainty import NOISE_FACTOR, TOA_STEP, CountErrors
from s2dask.kernels import bare_kernel, kernel
from s2dask.l1c.reflectance import QUANTIFICATION, RADIO_ADD_OFFSET, SATURATED_VALUE

STEP: Final = TOA_STEP
"""Uncertainty of one code of the layers [1]."""
MORE: Final = 255
"""Code of what is uncertain by more than 254 steps, and of saturated pixels; 0: no data."""

Float = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@bare_kernel
def _read(values, row, first, out):  # type: ignore[no-untyped-def]
    """Write the reflectance of a row, and one pixel more at each end; NaN for no data, saturated or outside."""
    rows, columns = values.shape
    nothing, offset, one = np.float32(np.nan), np.float32(RADIO_ADD_OFFSET), np.float32(QUANTIFICATION)
    if row < 0 or row >= rows:
        out[:] = nothing
        return
    begin, end = max(0, 1 - first), min(out.size, columns - first + 1)
    out[:begin] = nothing
    out[end:] = nothing
    line = values[row]
    for x in range(begin, end):
        value = line[first + x - 1]
        rho = max((np.float32(value) + offset) / one, np.float32(0.0))
        out[x] = rho if value - np.uint16(1) < np.uint16(SATURATED_VALUE - 1) else nothing


@bare_kernel
def _row(above, here, below, inverse, gain, numbers, own, total):  # type: ignore[no-untyped-def]
    """Write both uncertainties of a row; the reflectances have one pixel more at each end."""
    alpha, beta, flat, quantisation = numbers[0], numbers[1], numbers[2], numbers[3]
    shift, alike_flat, alike_square = numbers[4], numbers[5], numbers[6]
    bias, share, k, scale = numbers[7], numbers[8], numbers[9], numbers[10]
    down_tile, across = numbers[12], numbers[13]
    zero, two = np.float32(0.0), np.float32(2.0)
    for x in range(own.size):
        rho, left, right, up, down = here[x + 1], here[x], here[x + 2], above[x + 1], below[x + 1]
        # where one neighbour is missing the difference to the other counts, where both are, nothing
        west = left if left == left else two * rho - right
        east = right if right == right else two * rho - left
        north = up if up == up else two * rho - down
        south = down if down == down else two * rho - up
        dx, dy = east - west - (east + west) * across, south - north - (south + north) * down_tile
        slope = (dx * dx if dx == dx else zero) + (dy * dy if dy == dy else zero)
        c = scale * inverse[x]
        noise = gain[x] * c * (alpha * c + beta * rho)
        variance = noise + flat * c * c + quantisation + shift * slope
        own[x] = np.sqrt(variance)
        variance += alike_flat * c * c + alike_square * rho * rho
        total[x] = bias * c + share * rho + k * np.sqrt(variance)


@bare_kernel
def _code(line, uncertainty, out):  # type: ignore[no-untyped-def]
    per_step, half, more = np.float32(1.0 / STEP), np.float32(0.5), np.int32(MORE)
    for x in range(out.size):
        steps = uncertainty[x] * per_step + half
        code = np.int32(min(max(steps, np.float32(1.0)), np.float32(MORE)))
        known = code if line[x] != SATURATED_VALUE else more
        out[x] = known if line[x] != 0 else np.int32(0)


@kernel
def _fill(values, row, column, inverse, gain, numbers, own, total, codes):  # type: ignore[no-untyped-def]
    """Fill the two uncertainties (y, x), and, unless they are empty, their codes (2, y, x), for which a row will do."""
    rows, columns = inverse.shape
    lines, same = np.empty((3, columns + 2), np.float32), np.full(columns, numbers[11], np.float32)
    _read(values, row - 1, column, lines[0])
    _read(values, row, column, lines[1])
    for y in range(rows):
        below = lines[(y + 2) % 3]
        _read(values, row + y + 1, column, below)
        weights = gain[row + y, column : column + columns] if gain.size > 0 else same
        at = y % own.shape[0]
        _row(lines[y % 3], lines[(y + 1) % 3], below, inverse[y], weights, numbers, own[at], total[at])
        if codes.size > 0:
            line = values[row + y, column : column + columns]
            _code(line, own[at], codes[0, y])
            _code(line, total[at], codes[1, y])


def _numbers(errors: CountErrors, scale: float, k: float, tilt: tuple[float, float]) -> Float:
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"reflectance of one count {scale}", "uncertainty of L1C", "pi / (A E0 U), above 0")
    if not (math.isfinite(k) and k > 0):
        raise InputError(f"coverage factor {k}", "uncertainty of L1C", "above 0")
    e = errors
    parts = (e.alpha2, e.beta, e.flat, e.quantisation, 0.25 * e.shift**2, e.alike_flat, e.alike_square)
    return np.array([*parts, e.bias, e.bias_share, k, scale, NOISE_FACTOR**2, *tilt], np.float32)


def _checked(
    values: NDArray[np.uint16], inverse: Float, gain: Float | None, origin: tuple[int, int]
) -> tuple[tuple[int, int], Float]:
    """Return the shape of the result, and the weights of the noise, empty for the same everywhere."""
    shape = (inverse.shape[0], inverse.shape[1])
    if any(o < 0 or o + n > whole for o, n, whole in zip(origin, shape, values.shape, strict=True)):
        raise InputError(
            f"{shape} pixels at {origin} of an image of {values.shape}", "uncertainty of L1C", "give the image around"
        )
    if gain is not None and gain.shape != values.shape:
        raise InputError(f"noise gain of {gain.shape} pixels", "uncertainty of L1C", f"give one of {values.shape}")
    return shape, np.empty((0, 0), np.float32) if gain is None else np.ascontiguousarray(gain, np.float32)


def uncertainty(
    values: NDArray[np.uint16],
    inverse: Float,
    errors: CountErrors,
    scale: float,
    *,
    gain: Float | None = None,
    origin: tuple[int, int] = (0, 0),
    k: float = 1.0,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> tuple[Float, Float]:
    """Return the uncertainty of the reflectance of pixels.

    Parameters
    ----------
    values : (row, column) uint16 [DN]
        Coded reflectance: 0 no data, 65535 saturated, else ``10000 rho + 1000``; of a block, the image with one pixel
        more to each side that is not an end of the tile.
    inverse : (y, x) float32 [1]
        One over the cosine of the solar zenith angle, of the block.
    errors : CountErrors
    scale : float [1]
        Reflectance of one count under a sun at the zenith, see `s2dask.l1c.reflectance.reflectance_scale`.
    gain : (row, column) float32 [1], optional
        Variance of each pixel of `values` over that of the counts around it, see `s2dask.l1c.noise_gain`; default: that
        of the tool.
    origin : (int, int)
        Row and column of the first pixel of the block in `values`.
    k : float
        Coverage factor.
    tilt : (float, float)
        Relative change of `inverse` from a pixel to the next, down and right: only to say the same as the tool, which
        differentiates counts, where the error of location is one of the reflectance.

    Returns
    -------
    own : (y, x) float32 [1]
        Standard uncertainty of a pixel by itself, ``sqrt(v)``; NaN where nothing was measured or all is saturated.
    total : (y, x) float32 [1]
    """
    shape, weights = _checked(values, inverse, gain, origin)
    own, total = np.empty(shape, np.float32), np.empty(shape, np.float32)
    codes = np.empty((2, 0, 0), np.uint8)
    _fill(np.ascontiguousarray(values), *origin, inverse, weights, _numbers(errors, scale, k, tilt), own, total, codes)
    return own, total


def uncertainty_layers(
    values: NDArray[np.uint16],
    inverse: Float,
    errors: CountErrors,
    scale: float,
    *,
    gain: Float | None = None,
    origin: tuple[int, int] = (0, 0),
    k: float = 1.0,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> tuple[Bytes, Bytes]:
    """Return the same in steps of `STEP`, rounded: 0 no data, 1 to 254, `MORE` for more and for saturated pixels.

    Parameters
    ----------
    values, inverse, errors, scale, gain, origin, k, tilt
        See `uncertainty`.

    Returns
    -------
    own, total : (y, x) uint8
    """
    shape, weights = _checked(values, inverse, gain, origin)
    own, total = np.empty((2, 1, shape[1]), np.float32)
    codes = np.empty((2, *shape), np.uint8)
    _fill(np.ascontiguousarray(values), *origin, inverse, weights, _numbers(errors, scale, k, tilt), own, total, codes)
    return codes[0], codes[1]


@kernel
def _add_up(codes, values):  # type: ignore[no-untyped-def]
    known, coded, level = np.int64(0), np.int64(0), np.int64(0)
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            there = codes[y, x] - np.uint8(1) < MORE - 1
            known += np.int64(there)
            coded += np.int64(codes[y, x]) if there else np.int64(0)
            level += np.int64(values[y, x]) if there else np.int64(0)
    return known, coded, level


def uncertainty_record(codes: Bytes, values: NDArray[np.uint16], prefix: str) -> dict[str, float]:
    """Return sums of a layer of uncertainty and of the coded reflectance of the same pixels, whole numbers all of them.

    Codes of no data and `MORE` are left out.
    """
    known, coded, level = (int(v) for v in _add_up(codes, values))
    sums = {"known": known, "codes": coded, "levels": level}
    return {f"{prefix}:uncertainty_{what}": float(value) for what, value in sums.items()}


def mean_uncertainty(known: float, codes: float, levels: float) -> float:
    """Return the mean uncertainty over the mean reflectance [%] of such sums; NaN where that is not above 0."""
    light = (levels + RADIO_ADD_OFFSET * known) / QUANTIFICATION
    return 100.0 * codes * STEP / light if light > 0 else math.nan


def alike(errors: CountErrors, reflectance: float, scale: float) -> float:
    """Return how far all pixels of a reflectance err alike: the standard uncertainty [1], bias among it.

    Parameters
    ----------
    errors : CountErrors
    reflectance : float [1]
    scale : float [1]
        Reflectance of one count under the sun of the product, ``C``.
    """
    rho = max(reflectance, 0.0)
    variance = errors.alike_flat * scale**2 + errors.alike_square * rho**2
    return float(math.hypot(math.sqrt(variance), errors.bias * scale + errors.bias_share * rho))
