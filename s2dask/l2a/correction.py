"""What the atmosphere does to a band over a tile: its coefficients at nodes and heights, and between them."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.instrument.gas import absorptions
from s2dask.l2a.atmosphere import PRESSURE_SCALE_HEIGHT, gas_transmittance
from s2dask.l2a.cells import cell_coefficients
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.lut import transfer

HEIGHT_STEP: Final = 500.0
"""Between the heights at which coefficients are tabulated [m]."""
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
    (slot, height, ny, nx, 9) float64
        Path reflectance, scattering transmittance down and up, spherical albedo, logarithm of the transmittance of all
        gases but water vapour, air mass down and up, transmittance down, the direct shares of the transmittances down
        and up, the share of the molecules in the path reflectance.
    """
    view = conditions.views[name][:, None]
    pressure = conditions.pressure * np.exp(-heights[:, None, None] / PRESSURE_SCALE_HEIGHT)
    sun, unit = conditions.sun, conditions.unit
    angles = sun[0], view[:, :, 0], sun[1] - view[:, :, 1]
    air = transfer(unit, name, *angles, aot, pressure, aerosol=conditions.aerosol, clamp=True)
    mass = 1 / np.cos(np.radians(sun[0])) + 1 / np.cos(np.radians(view[:, :, 0]))
    gas = gas_transmittance(unit, name, mass, pressure, 0.0, conditions.ozone)
    molecules = np.ones(())
    if water_law(unit, name)[0] != 0.0:
        clear = transfer(unit, name, *angles, 0.0, pressure, aerosol=conditions.aerosol, clamp=True)
        molecules = np.minimum(clear.path / np.maximum(air.path, 1e-9), 1.0)
    parts = (
        air.path, air.down * air.up, air.spherical_albedo, np.log(gas), mass, air.down, air.direct_down / air.down,
        air.direct_up / air.up, molecules,
    )  # fmt: skip
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
    """Return the coefficients of a rectangle of cells: (row, column, 9) float64.

    Parameters
    ----------
    conditions : Conditions
    table : (slot, height, ny, nx, 9) float64
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
