"""Blocks tile a grid exactly, at every resolution alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.production.blocks import Blocking, default_blocking


@given(st.integers(1, 80), st.integers(1, 80), st.integers(1, 40))
def test_every_pixel_is_in_one_block(width: int, height: int, edge: int) -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 60 * width, 60 * height)
    for resolution in (10, 20, 60):
        seen = np.zeros(grid.shape(resolution), int)
        for block in Blocking(60 * edge, 60 * edge).blocks(grid, resolution):
            seen[block.rows, block.columns] += 1
        assert (seen == 1).all()


def test_a_whole_tile_has_27_tasks() -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 109800, 109800)
    blocking = default_blocking(grid)
    assert sum(1 for r in (10, 20, 60) for _ in blocking.blocks(grid, r)) == 27
    assert blocking.chunks() == {10: 1830, 20: 915, 60: 305}


def test_a_demo_window_has_four_blocks() -> None:
    grid = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 20040, 20040)
    assert [b.name for b in default_blocking(grid).blocks(grid, 10)] == ["r10m-0-0", "r10m-0-1", "r10m-1-0", "r10m-1-1"]


def test_misaligned_blocks_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="60 m"):
        Blocking(1000, 500)
