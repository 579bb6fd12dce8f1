"""GIP_R2EOB2: the equalisation that the instrument applies before it compresses, one table set per NUC table.

The XML structure is not public. COEFF_D, COEFF_A1, COEFF_A2, COEFF_ZS and NUC_TABLE_ID are the public names; the public
EOPF auxiliary file ADF_REOB2 keeps them by band, table and detector (``<band>/new_table/coeff_d``), as is done here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_record import At, Band, Table
from s2dask.auxdata.gipp_values import DetectorId, Integer, PixelReals
from s2dask.errors import InputError
from s2dask.instrument import BANDS


@dataclass(frozen=True, slots=True, eq=False)
class OnboardTable:
    """What the instrument does to the counts X of one detector: Y = a1 (X - d), beyond zs with the slope a2.

    Attributes
    ----------
    dark : (raw_column) float64 [LSB]
        COEFF_D.
    a1, a2 : (raw_column) float64 [1]
    zs : (raw_column) float64 [LSB]
        Where the slope changes, in X - d.
    """

    dark: Annotated[NDArray[np.float64], At("COEFF_D", PixelReals(0.0, 4095.0))]
    a1: Annotated[NDArray[np.float64], At("COEFF_A1", PixelReals(0.1, 10.0))]
    a2: Annotated[NDArray[np.float64], At("COEFF_A2", PixelReals(0.1, 10.0))]
    zs: Annotated[NDArray[np.float64], At("COEFF_ZS", PixelReals(0.0, 65_535.0))]


@dataclass(frozen=True, slots=True, eq=False)
class OnboardEqualisation(Gipp):
    """GIP_R2EOB2 of one band.

    Attributes
    ----------
    band : str
    tables : mapping of int to (mapping of int to OnboardTable)
        By NUC_TABLE_ID, then detector.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_EQUALIZATION_ONBOARD"
    IDENTIFICATION: ClassVar[str] = "EQUALIZATION_ONBOARD_PARAMETERS_FILE"

    band: Annotated[str, Band()]
    tables: Annotated[
        Mapping[int, Mapping[int, OnboardTable]],
        Table(
            "NUC_TABLE",
            "NUC_TABLE_ID",
            Integer(0, 1023),
            Table("COEFFICIENTS", "@detector_id", DetectorId(), OnboardTable, "COEFFICIENTS_LIST"),
            "NUC_TABLE_LIST",
        ),
    ]

    def check(self, at: Fields) -> None:
        """Refuse sets of tables for different detectors."""
        sets = {identity: frozenset(tables) for identity, tables in self.tables.items()}
        if len(set(sets.values())) > 1:
            raise at.refuse(
                f"the tables {', '.join(map(str, sorted(sets)))} differ in their detectors", "NUC_TABLE_LIST"
            )

    def table(self, nuc_table_id: int, detector: int) -> OnboardTable:
        """Return the table that the packets name.

        Parameters
        ----------
        nuc_table_id : int
            NUC_TABLE_ID of the packets: in operation 3 for S2A, 2 for S2B.
        detector : int
        """
        found = self.tables.get(nuc_table_id)
        if found is None:
            held = ", ".join(map(str, sorted(self.tables)))
            raise InputError(
                f"NUC_TABLE_LIST/NUC_TABLE/NUC_TABLE_ID: no table {nuc_table_id}, which the packets name, but {held}",
                self.file,
                f"give the GIP_R2EOB2 of {self.band} with that table",
            )
        if detector not in found:
            raise InputError(
                f"NUC_TABLE_LIST/NUC_TABLE/COEFFICIENTS_LIST/COEFFICIENTS: no detector {detector:02d}",
                self.file,
                f"give a GIP_R2EOB2 of {self.band} with that detector",
            )
        return found[detector]


def onboard_table(band: str, dark: float, a1: float, a2: float, zs: float) -> OnboardTable:
    """Return the table with the same coefficients in every raw column of a band."""
    columns = BANDS[band].raw_columns
    return OnboardTable(*(np.full(columns, value) for value in (dark, a1, a2, zs)))


def read_r2eob2(path: Path, unit: str, band: str = "", detectors: tuple[int, ...] = ()) -> OnboardEqualisation:
    """Read GIP_R2EOB2 of one band.

    Parameters
    ----------
    path : Path
    unit : str
    band : str
        The band that it must be of.
    detectors : tuple of int
        Those to read, empty: every one; an error if the file holds none of them.
    """
    return read_gipp_record(OnboardEqualisation, path, unit, band, detectors)


def write_r2eob2(value: OnboardEqualisation) -> str:
    """Return GIP_R2EOB2 as XML."""
    return write_gipp_record(value)
