"""From top-of-atmosphere to surface reflectance, coded: a few numbers per cell, two multiplications per pixel.

With ``y = rho_toa / Tg - rho_path`` the light that comes from the ground, a pixel of reflectance ``rho`` in
surroundings of reflectance ``e`` on a slope that receives ``f`` times the light of level ground obeys

    y = Td (u f rho + v e) / (1 - S e)

where u and v are the direct and the diffuse transmittance upwards, e the ground around as it is lit, and
``f = a c + b``: c is how the slope faces the sun over how level ground does, a the share of the light that comes from
the sun or close to it, b that of sky and surroundings (Hay's model: of the diffuse light the share Td_direct comes from
around the sun). Where the surroundings are unknown the pixel itself stands for them, ``y = f Td Tu rho / (1 - S rho)``.
Water vapour dims the light that comes from the ground; of the path reflectance, that of the aerosol by half its column
and that of the molecules not at all, as in 6S (Vermote et al., 1997).
"""

from typing import Final

import numpy as np

from s2dask.kernels import bare_kernel, inline_kernel, kernel
from s2dask.l2a.slopes import LEAST_LIGHT
from s2dask.l2a.vector_math import exp, log

OFFSET: Final = 1000
"""Added to the counts: BOA_ADD_OFFSET is its opposite [DN]."""
SATURATED_COUNT: Final = 65535
PATH, BOTH, ALBEDO, LOG_GAS, AIR_MASS, DOWN, DIRECT_DOWN, DIRECT_UP, MOLECULES = range(9)
"""Coefficients of a cell: see `s2dask.l2a.correction.coefficient_table`."""
KINDS: Final = 9
"""How many they are."""
GAIN, LIFT, BEND, FROM_SUN, FROM_SKY, SCATTERED = range(6)
"""Numbers of a cell by which its pixels are inverted: see `cell_lines`."""
LINES: Final = 6
"""How many they are."""


@bare_kernel
def _dim(c, vapour, a, n):  # type: ignore[no-untyped-def]
    """Let water vapour [cm] dim gas and path reflectance of a row of cells."""
    share = 0.5**n
    for j in range(vapour.size):
        power = a * exp(n * log(c[AIR_MASS, j] * max(vapour[j], 0.0)))
        whole, half = exp(power), exp(power * share)
        c[LOG_GAS, j] *= whole
        c[PATH, j] *= (c[MOLECULES, j] + (1.0 - c[MOLECULES, j]) * half) / whole


@bare_kernel
def lines_of_row(c, vapour, a, n, around, sky, cirrus, growth, lines, out):  # type: ignore[no-untyped-def]
    """Turn the coefficients of a row of cells into the numbers of `cell_lines`.

    Parameters
    ----------
    c : (9, column) float64
        Overwritten.
    vapour, a, n, around, sky, cirrus, growth
        See `cell_lines`: (column).
    lines : (6, column) float32
        Overwritten.
    out : (column, 6) float32
        Filled.
    """
    for j in range(vapour.size):
        c[LOG_GAS, j] = exp(c[LOG_GAS, j])
    if a != 0.0:
        _dim(c, vapour, a, n)
    for j in range(vapour.size):
        gas, path, both, albedo, up = c[LOG_GAS, j], c[PATH, j], c[BOTH, j], c[ALBEDO, j], c[DIRECT_UP, j]
        known = abs(around[j]) < np.float32(np.inf)
        level = around[j] / gas - path
        lit = level / (both + albedo * level) if known else 0.0
        trapped = (1.0 - albedo * lit) / up if known else 1.0
        gain, direct = trapped / (gas * both), c[DIRECT_DOWN, j]
        near_sun = direct * c[DOWN, j]
        lines[GAIN, j] = gain
        lines[LIFT, j] = trapped * path / both + gain * growth * cirrus[j]
        lines[BEND, j] = 0.0 if known else albedo
        lines[FROM_SUN, j] = direct + (1.0 - direct) * near_sun
        lines[FROM_SKY, j] = (1.0 - direct) * (1.0 - near_sun) * sky[j] + (1.0 - sky[j]) * lit
        lines[SCATTERED, j] = (1.0 - up) / up * lit
    for j in range(vapour.size):
        for k in range(LINES):
            out[j, k] = lines[k, j]


@kernel
def cell_lines(cells, vapour, a, n, around, sky, cirrus, growth, out):  # type: ignore[no-untyped-def]
    """Turn the coefficients of cells into the numbers by which their pixels are inverted.

    Parameters
    ----------
    cells : (row, column, 9) float64
    vapour : (row, column) float64 [cm]
    a, n : float
        Of the absorption by water vapour, ``exp(a (m u)^n)``.
    around : (row, column) float32 [1]
        Top-of-atmosphere reflectance of the surroundings, NaN where unknown.
    sky : (row, column) float32 [1]
        Share of the sky that the ground sees, 1 on level ground.
    cirrus : (row, column) float32 [1]
        Reflectance of cirrus in B10.
    growth : float [1]
        Of the band with B10.
    out : (row, column, 6) float32
        Filled: ``x = (GAIN toa - LIFT - SCATTERED) / (FROM_SUN c + FROM_SKY)`` and ``rho = x / (1 + BEND x)``.
    """
    rows, columns = vapour.shape
    c, lines = np.empty((KINDS, columns)), np.empty((LINES, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            for k in range(KINDS):
                c[k, j] = cells[i, j, k]
        lines_of_row(c, vapour[i], a, n, around[i], sky[i], cirrus[i], growth, lines, out[i])


@bare_kernel
def _hold(cells, first, factor, held):  # type: ignore[no-untyped-def]
    """Write the numbers of its cell to each pixel of a line, and return whether any cell has a bend."""
    columns, bent = held.shape[1], False
    for j in range(cells.shape[1]):
        gain, lift, bend = (
            cells[first, j, GAIN],
            cells[first, j, LIFT] + cells[first, j, SCATTERED],
            cells[first, j, BEND],
        )
        sun, sky = cells[first, j, FROM_SUN], cells[first, j, FROM_SKY]
        bent |= bend != np.float32(0.0)
        for x in range(j * factor, min((j + 1) * factor, columns)):
            held[0, x], held[1, x], held[2, x], held[3, x], held[4, x] = gain, lift, bend, sun, sky
    return bent


@inline_kernel
def _coded(rho, toa):  # type: ignore[no-untyped-def]
    counts = rho * np.float32(10000.0) + np.float32(1000.5)
    counts = min(max(counts, np.float32(1.0)), np.float32(65534.0))
    coded = np.int32(counts) if toa <= np.float32(6.45) else np.int32(65535)
    return coded if toa == toa else np.int32(0)


@bare_kernel
def _level_row(values, held, bent, out):  # type: ignore[no-untyped-def]
    if bent:
        for x in range(values.size):
            x1 = values[x] * held[0, x] - held[1, x]
            out[x] = _coded(x1 / (np.float32(1.0) + held[2, x] * x1), values[x])
    else:  # a division by 1 saved
        for x in range(values.size):
            out[x] = _coded(values[x] * held[0, x] - held[1, x], values[x])


@bare_kernel
def _sloped_row(values, cosine, held, bent, out):  # type: ignore[no-untyped-def]
    if bent:
        for x in range(values.size):
            light = max(held[3, x] * cosine[x] + held[4, x], np.float32(LEAST_LIGHT))
            x1 = (values[x] * held[0, x] - held[1, x]) / light
            out[x] = _coded(x1 / (np.float32(1.0) + held[2, x] * x1), values[x])
    else:
        for x in range(values.size):
            light = max(held[3, x] * cosine[x] + held[4, x], np.float32(LEAST_LIGHT))
            out[x] = _coded((values[x] * held[0, x] - held[1, x]) / light, values[x])


@kernel
def invert(image, cells, cosine, factor, out):  # type: ignore[no-untyped-def]
    """Turn top-of-atmosphere reflectance into coded surface reflectance.

    Parameters
    ----------
    image : (y, x) float32 [1]
        NaN without data, infinite or beyond 6.45 where saturated.
    cells : (row, column, 6) float32
        See `cell_lines`; cells of `factor` x `factor` pixels.
    cosine : (y, x) float32 [1]
        How the ground faces the sun over how level ground does; empty where all is level.
    factor : int
    out : (y, x) uint16 [DN]
        Filled: 0 no data, 65535 saturated, else ``10000 rho + 1000``, rounded, 1 to 65534.
    """
    rows, columns = image.shape
    held, bent = np.empty((5, columns), np.float32), False
    for y in range(rows):
        if y % factor == 0:
            bent = _hold(cells, y // factor, factor, held)
        if cosine.size > 0:
            _sloped_row(image[y], cosine[y], held, bent, out[y])
        else:
            _level_row(image[y], held, bent, out[y])
