"""Which columns of a block a detector may see."""

import numpy as np
import pytest

from s2dask.geometry.inverse_grid import InverseGrid
from s2dask.l1c.location import Pixels, seen_columns

PIXELS = Pixels(10, 0, 12, 24, 70)


def _grid(known: slice) -> InverseGrid:
    rows, columns = 8, 12
    line = np.full((3, rows, columns), np.nan)
    line[:, :, known] = 1.0
    return InverseGrid(0, 0, 100.0, 100.0, line, line.copy())


@pytest.mark.parametrize(
    ("known", "span"),
    [
        (slice(0, 12), (0, 70)),
        (slice(2, 5), (2 * 24 - 12, 70)),
        (slice(0, 3), (0, 2 * 24 - 12)),
        (slice(0, 0), (0, 0)),
        (slice(0, 1), (0, 0)),
        (slice(4, 12), (0, 0)),
        (slice(3, 12), (3 * 24 - 12, 70)),
    ],
)
def test_columns_between_known_nodes(known: slice, span: tuple[int, int]) -> None:
    assert PIXELS.per_node == 24
    first, stop = seen_columns(_grid(known), PIXELS)
    assert (first, stop) == span
    assert 0 <= first <= stop <= PIXELS.columns
