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

from s2dask.kernels import bare_kernel, kernel
from s2dask.l2a.slopes import LEAST_LIGHT

OFFSET: Final = 1000
"""Added to the counts: BOA_ADD_OFFSET is its opposite [DN]."""
SATURATED_COUNT: Final = 65535
PATH, BOTH, ALBEDO, LOG_GAS, AIR_MASS, DOWN, DIRECT_DOWN, DIRECT_UP, MOLECULES = range(9)
"""Coefficients of a cell: see `s2dask.l2a.correction.coefficient_table`."""
GAIN, LIFT, BEND, FROM_SUN, FROM_SKY, SCATTERED = range(6)
"""Numbers of a cell by which its pixels are inverted: see `cell_lines`."""
LINES: Final = 6
"""How many they are."""


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
    for i in range(rows):
        for j in range(columns):
            c = cells[i, j]
            gas, path, both = np.exp(c[LOG_GAS]), c[PATH], c[BOTH]
            if a != 0.0:
                slant = c[AIR_MASS] * max(vapour[i, j], 0.0)
                whole, half = np.exp(a * slant**n), np.exp(a * (0.5 * slant) ** n)
                gas *= whole
                path *= (c[MOLECULES] + (1.0 - c[MOLECULES]) * half) / whole
            gain, lift, bend, scattered = 1.0 / (gas * both), path / both, c[ALBEDO], 0.0
            lit = 0.0
            if np.isfinite(around[i, j]):
                level = around[i, j] / gas - path
                lit = level / (both + c[ALBEDO] * level)
                trapped = (1.0 - c[ALBEDO] * lit) / c[DIRECT_UP]
                gain, lift, bend = gain * trapped, lift * trapped, 0.0
                scattered = (1.0 - c[DIRECT_UP]) / c[DIRECT_UP] * lit
            direct = c[DIRECT_DOWN]
            near_sun = direct * c[DOWN]
            out[i, j, GAIN] = gain
            out[i, j, LIFT] = lift + gain * growth * cirrus[i, j]
            out[i, j, BEND] = bend
            out[i, j, FROM_SUN] = direct + (1.0 - direct) * near_sun
            out[i, j, FROM_SKY] = (1.0 - direct) * (1.0 - near_sun) * sky[i, j] + (1.0 - sky[i, j]) * lit
            out[i, j, SCATTERED] = scattered


@bare_kernel
def _hold(cells, first, factor, held):  # type: ignore[no-untyped-def]
    columns = held.shape[1]
    for kind in range(held.shape[0]):
        for j in range(cells.shape[1]):
            value = cells[first, j, kind]
            for x in range(j * factor, min((j + 1) * factor, columns)):
                held[kind, x] = value


@bare_kernel
def _level_row(values, held, out):  # type: ignore[no-untyped-def]
    for x in range(values.size):
        value = values[x]
        x1 = value * held[0, x] - (held[1, x] + held[5, x])
        counts = x1 / (np.float32(1.0) + held[2, x] * x1) * np.float32(10000.0) + np.float32(1000.5)
        counts = min(max(counts, np.float32(1.0)), np.float32(65534.0))
        coded = np.int32(counts) if value <= np.float32(6.45) else np.int32(65535)
        out[x] = coded if value == value else 0


@bare_kernel
def _sloped_row(values, cosine, held, out):  # type: ignore[no-untyped-def]
    for x in range(values.size):
        value = values[x]
        light = max(held[3, x] * cosine[x] + held[4, x], np.float32(LEAST_LIGHT))
        x1 = (value * held[0, x] - (held[1, x] + held[5, x])) / light
        counts = x1 / (np.float32(1.0) + held[2, x] * x1) * np.float32(10000.0) + np.float32(1000.5)
        counts = min(max(counts, np.float32(1.0)), np.float32(65534.0))
        coded = np.int32(counts) if value <= np.float32(6.45) else np.int32(65535)
        out[x] = coded if value == value else 0


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
    held = np.empty((6, columns), np.float32)
    for y in range(rows):
        if y % factor == 0:
            _hold(cells, y // factor, factor, held)
        if cosine.size > 0:
            _sloped_row(image[y], cosine[y], held, out[y])
        else:
            _level_row(image[y], held, out[y])
