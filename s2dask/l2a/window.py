"""Rectangles of a tile that begin with a 60 m cell."""

from dataclasses import dataclass
from typing import Final

from s2dask.errors import ConfigurationError

CELL: Final = 60
"""Resolution of the cells [m]."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a tile: pixels of one resolution that begin with a cell."""

    resolution: int
    rows: slice
    columns: slice

    def __post_init__(self) -> None:
        if self.rows.start % self.factor or self.columns.start % self.factor:
            raise ConfigurationError(f"window at {self.rows.start}, {self.columns.start} cuts a 60 m cell", "L2A")

    @property
    def factor(self) -> int:
        """Pixels on the edge of a cell."""
        return CELL // self.resolution

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def origin(self) -> tuple[int, int]:
        """First row and column."""
        return int(self.rows.start), int(self.columns.start)

    def at(self, resolution: int, whole: tuple[int, int]) -> "Window":
        """Return the pixels of another resolution that lie in these, inside a tile of `whole` such pixels."""

        def turn(span: slice, size: int) -> slice:
            first = span.start * self.resolution // resolution
            return slice(first, min(-(-span.stop * self.resolution // resolution), size))

        return Window(resolution, turn(self.rows, whole[0]), turn(self.columns, whole[1]))

    def wider(self, margin: int, whole: tuple[int, int]) -> "Window":
        """Return these cells with `margin` more on every side, inside a tile of `whole` cells."""
        rows, columns = (
            slice(max(span.start - margin, 0), min(span.stop + margin, size))
            for span, size in zip((self.rows, self.columns), whole, strict=True)
        )
        return Window(self.resolution, rows, columns)

    def inside(self, other: "Window") -> tuple[slice, slice]:
        """Return which part of another, wider window this one is."""
        rows, columns = (
            slice(mine.start - its.start, mine.stop - its.start)
            for mine, its in ((self.rows, other.rows), (self.columns, other.columns))
        )
        return rows, columns
