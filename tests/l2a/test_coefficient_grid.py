"""Coefficients between nodes and heights against those of every single cell: what the grid costs, in counts."""

import numpy as np
import pytest

from s2dask.instrument import BANDS
from s2dask.l2a.atmosphere import gas_transmittance, pressure_at
from s2dask.l2a.conditions import Conditions
from s2dask.l2a.correction import coefficient_table, height_nodes, over_cells
from s2dask.l2a.lut import transfer

NODES, CELLS = 23, 1830
HIGHEST = 1500.0


def _tile() -> Conditions:
    """Return a whole tile: angles, pressure and ozone vary over it as they do over real ones."""
    y, x = np.mgrid[:NODES, :NODES] / (NODES - 1.0)
    sun = np.stack([52.0 + 0.9 * y - 0.4 * x, 158.0 + 1.2 * x - 0.3 * y])
    view = np.stack([4.0 + 3.5 * x, 104.0 + 3.0 * y])
    views = {name: np.stack([view, view]) for name in BANDS}
    weather = 2.0 + 0 * x, 1010.0 + 4.0 * x, 300.0 + 8.0 * y
    return Conditions("S2A", 60.0, (6,), sun, views, x, y, *weather)


def _aot(nodes: Conditions, heights: np.ndarray) -> np.ndarray:
    """Return the optical thickness above heights at nodes: a field that thins out, 0.08 to 0.35 at sea level."""
    y, x = np.indices(nodes.sun.shape[1:]) * nodes.step / 110_000.0
    field = 0.2 + 0.1 * np.sin(5 * x) * np.cos(4 * y) + 0.04 * x
    return np.asarray(field * np.exp(-heights / 2000.0))


@pytest.mark.parametrize("name", [name for name in BANDS if name != "B10"])
def test_a_count_at_most_is_lost_between_the_nodes(name: str) -> None:
    tile = _tile()
    nodes, heights = tile.at_boxes(50, (37, 37)), height_nodes(0.0, HIGHEST)
    table = coefficient_table(nodes, name, _aot(nodes, heights[:, None, None]), heights)
    random = np.random.default_rng(8)
    errors = []
    for _ in range(40):
        origin = int(random.integers(0, CELLS - 12)), int(random.integers(0, CELLS - 12))
        elevation = random.uniform(0, HIGHEST, (12, 12)).astype(np.float32)
        slot = np.ones((12, 12), np.uint8)
        cells = over_cells(nodes, table, heights, origin, slot, elevation)
        rows, columns = (np.arange(o, o + 12) for o in origin)
        at = tile.sample(name, *(v.ravel() for v in np.meshgrid(rows, columns, indexing="ij")), slot.ravel())
        y, x = (v.ravel() for v in np.meshgrid(rows, columns, indexing="ij"))
        # the field itself is given at the nodes: it is bilinear between them, and thins out above each cell
        level = np.stack([_between(_aot(nodes, np.zeros(1)), nodes, y, x)])[0] * np.exp(-elevation.ravel() / 2000.0)
        pressure = pressure_at(elevation.ravel(), at["pressure"])
        angles = at["sun_zenith"], at["view_zenith"], at["relative_azimuth"]
        exact = transfer("S2A", name, *angles, level, pressure)
        mass = 1 / np.cos(np.radians(angles[0])) + 1 / np.cos(np.radians(angles[1]))
        gas = gas_transmittance("S2A", name, mass, pressure, 0.0, at["ozone"])
        for rho in (0.02, 0.1, 0.4):
            toa = gas * (exact.path + exact.down * exact.up * rho / (1 - exact.spherical_albedo * rho))
            near = cells.reshape(-1, cells.shape[-1])
            y1 = toa / np.exp(near[:, 3]) - near[:, 0]
            errors.append(1e4 * (y1 / (near[:, 1] + near[:, 2] * y1) - rho))
    error = np.abs(np.concatenate(errors))
    assert np.percentile(error, 99.9) < 1.0, (name, np.percentile(error, [50, 99, 99.9]))


def _between(field: np.ndarray, nodes: Conditions, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, b = nodes.places_of(y), nodes.places_of(x)
    rows, columns = field.shape
    a, b = np.clip(a, 0, rows - 1), np.clip(b, 0, columns - 1)
    i, j = np.minimum(a.astype(int), rows - 2), np.minimum(b.astype(int), columns - 2)
    v, u = a - i, b - j
    upper = field[i, j] * (1 - u) + field[i, j + 1] * u
    lower = field[i + 1, j] * (1 - u) + field[i + 1, j + 1] * u
    return np.asarray(upper * (1 - v) + lower * v)
