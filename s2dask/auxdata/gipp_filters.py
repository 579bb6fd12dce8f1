"""The filters that several GIPPs hold: AN_IMAGE_FILTER and AN_IMAGE_RESAMPLING_FILTER of the GIPP dictionary."""

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_record import At, Either, Matrix, Perhaps
from s2dask.auxdata.gipp_values import Integer, Reals, Word

SIDE_MANAGEMENT: Final = Word.of("EXACT", "MIRROR")
FILTER_NAMES: Final = Word.of("BCO", "BLN", "PPV", "SPLINE3", "SPLINE5", "SPLINE7")


@dataclass(frozen=True, slots=True)
class InternalFilter:
    """An interpolation that has a name.

    Attributes
    ----------
    name : str
        ``BCO`` (bicubic), ``BLN`` (bilinear), ``PPV`` (nearest neighbour), ``SPLINE3``, ``SPLINE5``, ``SPLINE7``.
    mode : str or None
        ``EXACT``, ``PRECALCULE`` or ``TABULE``; None: exact.
    precision : int or None
        Of the mode PRECALCULE.
    """

    name: Annotated[str, At("FILTER_NAME", FILTER_NAMES)]
    mode: Annotated[str | None, Perhaps(At("MODE", Word.of("EXACT", "PRECALCULE", "TABULE")))] = None
    precision: Annotated[int | None, Perhaps(At("PRECISION", Integer(1)))] = None


@dataclass(frozen=True, slots=True, eq=False)
class SquareFilter:
    """BIDIM_FILTER_DATA: (row, column) float64."""

    values: Annotated[NDArray[np.float64], Matrix()]


@dataclass(frozen=True, slots=True, eq=False)
class SeparableFilter:
    """SEPARABLE_FILTER_DATA: one filter along the rows and one along the columns.

    Attributes
    ----------
    rows, columns, origin : int
    row_coefficients, column_coefficients : (tap) float64
        NB_OF_ROWS and NB_OF_COLS values.
    """

    rows: Annotated[int, At("NB_OF_ROWS", Integer(1, 65_536))]
    columns: Annotated[int, At("NB_OF_COLS", Integer(1, 65_536))]
    origin: Annotated[int, At("ORIGIN", Integer(0, 65_536))]
    row_coefficients: Annotated[NDArray[np.float64], At("ROW_COEFS", Reals())]
    column_coefficients: Annotated[NDArray[np.float64], At("COL_COEFS", Reals())]

    @property
    def values(self) -> NDArray[np.float64]:
        """The filter in two dimensions, (row, column) float64."""
        return np.outer(self.row_coefficients, self.column_coefficients)

    def check(self, at: Fields) -> None:
        """Refuse sizes that do not belong together."""
        for tag, values, size in (
            ("ROW_COEFS", self.row_coefficients, self.rows),
            ("COL_COEFS", self.column_coefficients, self.columns),
        ):
            if values.size != size:
                raise at.refuse(f"{values.size} values instead of {size}", tag)


@dataclass(frozen=True, slots=True, eq=False)
class ImageFilter:
    """AN_IMAGE_FILTER.

    Attributes
    ----------
    kind : str
        ``SPATIAL``, ``FREQUENTIAL`` or ``WAVELET``.
    center_row, center_column : int
        Position of the centre, from 1.
    oversampling_row, oversampling_column : int
        The filter is tabulated at this fraction of a pixel.
    data : SquareFilter or SeparableFilter
    """

    kind: Annotated[str, At("FILTER_TYPE", Word.of("SPATIAL", "FREQUENTIAL", "WAVELET"))]
    center_row: Annotated[int, At("FILTER_CENTER/ROW_INDEX", Integer(1, 65_536))]
    center_column: Annotated[int, At("FILTER_CENTER/COL_INDEX", Integer(1, 65_536))]
    oversampling_row: Annotated[int, At("FILTER_OVERSAMPLING/ROW_WISE", Integer(1, 65_536))]
    oversampling_column: Annotated[int, At("FILTER_OVERSAMPLING/COL_WISE", Integer(1, 65_536))]
    data: Annotated[
        SquareFilter | SeparableFilter,
        Either({"BIDIM_FILTER_DATA": SquareFilter, "SEPARABLE_FILTER_DATA": SeparableFilter}, "FILTER_DATA"),
    ]

    @property
    def values(self) -> NDArray[np.float64]:
        """The filter, (row, column) float64."""
        return self.data.values

    def check(self, at: Fields) -> None:
        """Refuse a centre outside the filter."""
        for tag, position, size in zip(
            ("ROW_INDEX", "COL_INDEX"), (self.center_row, self.center_column), self.values.shape, strict=True
        ):
            if position > size:
                raise at.refuse(f"{position} is behind the last of {size}", f"FILTER_CENTER/{tag}")


ResamplingFilter = InternalFilter | ImageFilter
RESAMPLING_FILTERS: Final = {"INTERNAL_FILTER": InternalFilter, "EXTERNAL_FILTER": ImageFilter}


def resampling(path: str = "") -> Either:
    """Return the place of a resampling filter, by name or by its values."""
    return Either(RESAMPLING_FILTERS, path)
