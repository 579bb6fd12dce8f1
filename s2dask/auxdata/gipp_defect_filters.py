"""GIP_R2DEFI: the filters by which defective pixels are replaced.

What is public of the file is its name, that there is one per band, and "filters per configuration"; the structure is
ours: a configuration is the length of a run of adjacent defective columns and how many good columns there are to its
left and right; its filter gives each of them as a mean of these neighbours.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_record import At, Band, Matrix, Several
from s2dask.auxdata.gipp_values import Integer

LONGEST_RUN: Final = 64
"""Of adjacent defective columns."""


@dataclass(frozen=True, slots=True, eq=False)
class DefectFilter:
    """The replacement of a run of defective columns.

    Attributes
    ----------
    run, left, right : int
        Adjacent defective columns, and good columns that are used on each side.
    taps : (run, left + right) float64
        Of each defective column from left to right: the weights of the good ones from left to right, of sum 1.
    """

    run: Annotated[int, At("NB_OF_DEFECTIVE_PIXELS", Integer(1, LONGEST_RUN))]
    left: Annotated[int, At("NB_OF_LEFT_NEIGHBOURS", Integer(0, 16))]
    right: Annotated[int, At("NB_OF_RIGHT_NEIGHBOURS", Integer(0, 16))]
    taps: Annotated[NDArray[np.float64], Matrix("FILTER")]

    def check(self, at: Fields) -> None:
        """Refuse a filter of another size than its configuration, or that changes a flat scene."""
        rows, columns = self.taps.shape
        if (rows, columns) != (self.run, self.left + self.right):
            raise at.refuse(f"{rows} x {columns} values instead of {self.run} x {self.left + self.right}", "FILTER")
        wrong = np.flatnonzero(np.abs(self.taps.sum(axis=1) - 1.0) > 1e-6)
        if wrong.size:
            total = self.taps[wrong[0]].sum()
            raise at.refuse(f"row {wrong[0]} has the sum {total:.9g} instead of 1", "FILTER/ARRAY/ROW")


@dataclass(frozen=True, slots=True, eq=False)
class DefectFilters(Gipp):
    """GIP_R2DEFI of one band.

    Attributes
    ----------
    band : str
    filters : tuple of DefectFilter
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_DEFECTIVE_PIXELS_FILTER"
    IDENTIFICATION: ClassVar[str] = "DEFECTIVE_PIXELS_FILTER_FILE"

    band: Annotated[str, Band()]
    filters: Annotated[tuple[DefectFilter, ...], Several("CONFIGURATION", DefectFilter, "CONFIGURATION_LIST")]

    def check(self, at: Fields) -> None:
        """Refuse two filters for one configuration."""
        keys = [(f.run, f.left, f.right) for f in self.filters]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise at.refuse(f"run {twice[0]} with {twice[1]} and {twice[2]} neighbours is there twice", "CONFIGURATION")

    def of(self, run: int, left: int, right: int) -> DefectFilter | None:
        """Return the filter of a run that uses the most of the neighbours there are, None if no filter fits.

        Parameters
        ----------
        run : int
            Adjacent defective columns.
        left, right : int
            Good columns next to it on each side.
        """
        fit = [f for f in self.filters if f.run == run and f.left <= left and f.right <= right]
        return max(fit, key=lambda f: (f.left + f.right, min(f.left, f.right), f.left), default=None)


def read_r2defi(path: Path, unit: str, band: str = "") -> DefectFilters:
    """Read GIP_R2DEFI of one band."""
    return read_gipp_record(DefectFilters, path, unit, band)


def write_r2defi(value: DefectFilters) -> str:
    """Return GIP_R2DEFI as XML."""
    return write_gipp_record(value)
