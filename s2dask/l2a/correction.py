"""From top-of-atmosphere to surface reflectance, coded."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.instrument.gas import absorptions
from s2dask.kernels import kernel
from s2dask.l2a.atmosphere import coefficients
from s2dask.l2a.cells import cell_coefficients
from s2dask.l2a.conditions import Conditions

OFFSET: Final = 1000
"""Added to the counts: BOA_ADD_OFFSET is its opposite [DN]."""
SATURATED_COUNT: Final = 65535
HEIGHT_STEP: Final = 500.0
"""Between the heights at which coefficients are tabulated [m]."""
PATH: Final = 0
TRANSMITTANCE: Final = 1
ALBEDO: Final = 2
LOG_GAS: Final = 3
AIR_MASS: Final = 4

Field = NDArray[np.float64]


def water_law(unit: str, name: str) -> tuple[float, float]:
    """Return ``a`` and ``n`` of the absorption by water vapour in a band, ``exp(a (m u)^n)``; (0, 1) for none."""
    found = [(absorber.a, absorber.n) for absorber in absorptions(unit, name) if absorber.gas == "h2o"]
    return found[0] if found else (0.0, 1.0)


def height_nodes(low: float, high: float) -> Field:
    """Return the heights [m] of the tables: multiples of `HEIGHT_STEP` around a range, two at least."""
    first = np.floor(low / HEIGHT_STEP)
    last = max(np.ceil(high / HEIGHT_STEP), first + 1)
    return np.asarray(HEIGHT_STEP * np.arange(first, last + 1))


def coefficient_table(conditions: Conditions, name: str, aot: ArrayLike, heights: Field) -> Field:
    """Return what surface reflectance needs, at nodes and heights.

    Parameters
    ----------
    conditions : Conditions
    name : str
    aot : float or (height, ny, nx) float64 [1]
        Above each node, where its ground is at each height.
    heights : (height) float64 [m]

    Returns
    -------
    (slot, height, ny, nx, 5) float64
        Path reflectance, scattering transmittance, spherical albedo, logarithm of the transmittance of all gases but
        water vapour, air mass down and up.
    """
    view = conditions.views[name][:, None]
    pressure = conditions.pressure * np.exp(-heights[:, None, None] / 8000.0)
    sun = conditions.sun
    c = coefficients(
        conditions.unit, name, sun[0], view[:, :, 0], sun[1] - view[:, :, 1], aot, pressure, 0.0, conditions.ozone
    )
    mass = 1 / np.cos(np.radians(sun[0])) + 1 / np.cos(np.radians(view[:, :, 0]))
    parts = (c.path, c.transmittance, c.spherical_albedo, np.log(c.gas), mass)
    shape = (view.shape[0], heights.size, *sun.shape[1:])
    return np.ascontiguousarray(np.stack([np.broadcast_to(part, shape) for part in parts], axis=-1))


def over_cells(
    conditions: Conditions,
    table: Field,
    heights: Field,
    origin: tuple[int, int],
    slot: NDArray[np.uint8],
    elevation: NDArray[np.float32],
) -> Field:
    """Return the coefficients of a rectangle of cells: (row, column, 5) float64.

    Parameters
    ----------
    conditions : Conditions
    table : (slot, height, ny, nx, 5) float64
    heights : (height) float64 [m]
    origin : (int, int)
        First cell of the rectangle in the tile.
    slot : (row, column) uint8
    elevation : (row, column) float32 [m]
    """
    rows, columns = (conditions.positions(first, n) for first, n in zip(origin, slot.shape, strict=True))
    out = np.empty((*slot.shape, table.shape[-1]))
    step = float(heights[1] - heights[0])
    cell_coefficients(table, float(heights[0]), step, rows, columns, slot, elevation, out)
    return out


@kernel
def gas_gain(cells, water_vapour, a, n):  # type: ignore[no-untyped-def]
    """Return one over the transmittance of all gases: (row, column, 5), (row, column) [cm] -> (row, column) float32."""
    rows, columns = water_vapour.shape
    out = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            exponent = cells[i, j, 3]
            if a != 0.0:
                exponent += a * (cells[i, j, 4] * max(water_vapour[i, j], 0.0)) ** n
            out[i, j] = np.exp(-exponent)
    return out


@kernel
def correct(image, cells, gain, factor, out):  # type: ignore[no-untyped-def]
    """Turn top-of-atmosphere reflectance into coded surface reflectance.

    Parameters
    ----------
    image : (y, x) float32 [1]
        NaN without data, infinite or beyond 6.45 where saturated.
    cells : (row, column, 5) float64
        Coefficients, of cells of `factor` x `factor` pixels.
    gain : (row, column) float32 [1]
        One over the transmittance of the gases.
    factor : int
    out : (y, x) uint16 [DN]
        Filled: 0 no data, 65535 saturated, else ``10000 rho + 1000``, rounded, 1 to 65534.

    Notes
    -----
    ``y = rho_toa / Tg - rho_path``, ``rho = y / (Td Tu + S y)``: a flat, uniform, Lambertian surface.
    """
    rows, columns = image.shape
    held = np.empty((4, columns), np.float32)
    one, ten = np.float32(1.0), np.float32(10000.0)
    for y in range(rows):
        if y % factor == 0:
            i = y // factor
            for x in range(columns):
                j = x // factor
                held[0, x], held[1, x] = gain[i, j], cells[i, j, 0]
                held[2, x], held[3, x] = cells[i, j, 1], cells[i, j, 2]
        for x in range(columns):
            value = image[y, x]
            level = value * held[0, x] - held[1, x]
            counts = level / (held[2, x] + held[3, x] * level) * ten + np.float32(1000.5)
            counts = min(max(counts, one), np.float32(65534.0))
            coded = np.int32(counts) if value <= np.float32(6.45) else np.int32(65535)
            out[y, x] = coded if value == value else 0
