"""The blocks of a tile: what one task computes and writes."""

from collections.abc import Iterator
from dataclasses import dataclass

from s2dask.errors import ConfigurationError
from s2dask.io.grids import TileGrid
from s2dask.io.schema import CHUNK

BLOCK = 36_600
"""Edge of a block of a whole tile [m]: 3660 px at 10 m, 2 x 2 Zarr chunks."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of pixels at one resolution.

    Attributes
    ----------
    resolution : int
        [m].
    row, column : int
        Rank of the block in the tile.
    rows, columns : slice
        Pixels, in the grid of the resolution.
    """

    resolution: int
    row: int
    column: int
    rows: slice
    columns: slice

    @property
    def name(self) -> str:
        """Short name for task keys: ``r10m-0-1``."""
        return f"r{self.resolution}m-{self.row}-{self.column}"

    @property
    def origin(self) -> tuple[int, int]:
        """Index of the first pixel."""
        return int(self.rows.start), int(self.columns.start)


@dataclass(frozen=True, slots=True)
class Blocking:
    """How a grid is cut, the same on the ground at every resolution.

    Attributes
    ----------
    edge : int
        Edge of a block [m].
    chunk : int
        Edge of a Zarr chunk [m]; divides `edge`.
    """

    edge: int
    chunk: int

    def __post_init__(self) -> None:
        if self.edge % self.chunk or self.chunk % 60:
            raise ConfigurationError(
                f"blocks of {self.edge} m in chunks of {self.chunk} m", "blocking", "use multiples of 60 m that divide"
            )

    def chunks(self) -> dict[int, int]:
        """Return the Zarr chunk edge at each resolution [px]."""
        return {r: self.chunk // r for r in CHUNK}

    def blocks(self, grid: TileGrid, resolution: int) -> Iterator[Block]:
        """Yield the blocks of a grid at a resolution, row by row."""
        rows, columns = grid.shape(resolution)
        step = self.edge // grid.pixel(resolution)
        for i, y in enumerate(range(0, rows, step)):
            for j, x in enumerate(range(0, columns, step)):
                yield Block(
                    resolution, i, j, slice(y, min(y + step, rows)), slice(x, min(x + step, columns))
                )


def default_blocking(grid: TileGrid) -> Blocking:
    """Return the blocking of a whole tile, one of about 2 x 2 blocks for a small window, one block if decimated."""
    if grid.decimation > 1:
        coarse = 60 * grid.decimation
        whole = -(-max(grid.width, grid.height) // coarse) * coarse
        return Blocking(whole, whole)
    if max(grid.width, grid.height) > BLOCK:
        return Blocking(BLOCK, BLOCK // 2)
    edge = -(-max(grid.width, grid.height) // 120) * 60
    return Blocking(edge, edge)
