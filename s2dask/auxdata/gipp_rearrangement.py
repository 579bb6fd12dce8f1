"""GIP_R2SWIR: which detector line each column of a SWIR band comes from.

The XML structure is not public. The names are those of the public variables of the EOPF auxiliary file ADF_RSWIR
(``swir_band_list/swir_band/detector``, ``interpolation_filter/coefs``), the filter an AN_UNIDIM_FILTER of the GIPP
dictionary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_record import At, Pairs, Table, Taps
from s2dask.auxdata.gipp_values import BandIndex, DetectorId, PixelShifts
from s2dask.instrument import BANDS

REARRANGED: Final = tuple(name for name, b in BANDS.items() if b.focal_plane == "SWIR")
"""B10, B11, B12."""
_TAPS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class SwirRearrangement(Gipp):
    """GIP_R2SWIR.

    Attributes
    ----------
    filter : Taps
        The 3-tap filter that shifts B10, a 60 m band, by a third of a line: for a shift of +1; turned round for -1.
    lines : mapping of (str, int) to (raw_column) int8
        By (band, detector): -1, 0 or +1, in lines of 20 m: whole lines of B11 and B12, thirds of a line of B10.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_SWIR_REARRANGEMENT"
    IDENTIFICATION: ClassVar[str] = "SWIR_REARRANGEMENT_PARAMETERS_FILE"

    filter: Annotated[Taps, At("INTERPOLATION_FILTER", Taps)]
    lines: Annotated[
        Mapping[tuple[str, int], NDArray[np.int8]],
        Pairs(
            Table(
                "SWIR_BAND",
                "@band_id",
                BandIndex(REARRANGED),
                Table("DETECTOR", "@detector_id", DetectorId(), PixelShifts()),
                "SWIR_BAND_LIST",
                REARRANGED,
            )
        ),
    ]

    def check(self, at: Fields) -> None:
        """Refuse a filter that is not of three taps and sum 1."""
        taps = self.filter.coefficients
        if taps.size != _TAPS or abs(taps.sum() - 1.0) > 1e-6:
            raise at.refuse(f"{taps.size} taps of sum {taps.sum():.9g} instead of 3 of sum 1", "INTERPOLATION_FILTER")


def read_r2swir(path: Path, unit: str, detectors: tuple[int, ...] = ()) -> SwirRearrangement:
    """Read GIP_R2SWIR; the three bands must be there; `detectors` are those to read, empty: every one."""
    return read_gipp_record(SwirRearrangement, path, unit, detectors=detectors)


def write_r2swir(value: SwirRearrangement) -> str:
    """Return GIP_R2SWIR as XML."""
    return write_gipp_record(value)
