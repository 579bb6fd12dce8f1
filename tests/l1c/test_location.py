"""Whose the pixels of a block are: cell by cell, and as every pixel by itself would have it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.geometry.inverse_grid import InverseGrid
from s2dask.l1c.footprint import CUTS, Cut, cell_heights, choose
from s2dask.l1c.location import Pixels, locate
from s2dask.l1c.resampling import STRIP

SIZE = (900, 400)
"""Lines and columns of the images."""


def _grid(left: float, tilt: float, parallax: float, known: slice = slice(None)) -> InverseGrid:
    """Return a detector that looks at an angle, nodes 24 pixels apart; its first column lies at pixel `left`."""
    y, x = 24.0 * np.mgrid[-2:30, -3:50]
    line = np.stack([y + tilt * (x - left) + 7.3, 0.004 + 0 * x, 1e-7 + 0 * x])
    column = np.stack([x - left - tilt * y, parallax + 0 * x, -1e-6 + 0 * x])
    for terms in (line, column):
        hidden = np.ones(terms.shape[2], np.bool_)
        hidden[known] = False
        terms[:, :, hidden] = np.nan
    return InverseGrid(-2, -3, 500.0, 800.0, line, column)


NODES = {
    3: _grid(-60.3, 0.2, 0.02), 4: _grid(280.1, 0.21, -0.015), 5: _grid(610.7, 0.2, 0.02, slice(10, 44)),
    9: _grid(610.7, 0.2, 0.01, slice(0, 0)),
}  # fmt: skip


def _relief(pixels: Pixels) -> NDArray[np.float32]:
    y, x = np.mgrid[0 : pixels.rows, 0 : pixels.columns]
    y, x = y + pixels.row, x + pixels.column
    return np.asarray(500 + 700 * np.sin(x / 37.0) * np.cos(y / 53.0), np.float32)


def _choose(pixels: Pixels, cut: Cut = "middle") -> tuple[NDArray[np.uint8], dict[int, NDArray[np.int64]]]:
    heights, footprint = _relief(pixels), np.full((pixels.rows, pixels.columns), 77, np.uint8)
    return footprint, choose(NODES, pixels, heights, cell_heights(pixels, heights), SIZE, cut, footprint)


def _one_by_one(pixels: Pixels, cut: Cut) -> NDArray[np.uint8]:
    """Return the footprint by the definition of the cuts, every detector located at every pixel."""
    best, owner = np.full((pixels.rows, pixels.columns), -1e-9), np.zeros((pixels.rows, pixels.columns), np.uint8)
    for detector, nodes in NODES.items():
        line, column = locate(nodes, pixels, _relief(pixels))
        with np.errstate(invalid="ignore"):
            distance = np.minimum(column + 0.5, SIZE[1] - 0.5 - column)
            seen = (distance > -1e-9) & (line >= -0.5) & (line <= SIZE[0] - 0.5)
            rank = {"middle": distance, "lower": np.ones_like(distance), "higher": detector + 0 * distance}[cut]
            better = seen & (rank > best)
        best[better], owner[better] = rank[better], detector
    return owner


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("pixels", [Pixels(10, 0, 0, 640, 1100), Pixels(10, 37, 211, 250, 333), Pixels(10, 0, 5, 1, 9)])
def test_cells_decide_as_their_pixels_would(pixels: Pixels, cut: Cut) -> None:
    footprint, spans = _choose(pixels, cut)
    np.testing.assert_array_equal(footprint, _one_by_one(pixels, cut))
    assert set(spans) == set(np.unique(footprint)) - {0}
    for detector, span in spans.items():
        line, column = locate(NODES[detector], pixels, _relief(pixels))
        mine = footprint == detector
        for reach in (-3, 4):  # what interpolation takes on either side
            strip = np.clip((np.floor(column[mine]) + reach) // STRIP, 0, len(span) - 1).astype(int)
            assert (span[strip, 0] <= line[mine]).all()
            assert (line[mine] <= span[strip, 1]).all()
        # not much more than what is needed: the height of a cell, and of the relief
        assert span[span[:, 0] <= span[:, 1]].min() > line[mine].min() - 60


def test_a_block_without_detectors_is_empty() -> None:
    pixels = Pixels(10, 0, 0, 30, 40)
    footprint, heights = np.full((30, 40), 9, np.uint8), _relief(pixels)
    assert choose({}, pixels, heights, cell_heights(pixels, heights), SIZE, "middle", footprint) == {}
    assert not footprint.any()
    with pytest.raises(ConfigurationError, match="middle, lower, higher"):
        choose({}, pixels, heights, cell_heights(pixels, heights), SIZE, "left", footprint)  # type: ignore[arg-type]
