"""GIP_R2BINN: how the 60 m bands are filtered across track before one column of three is kept.

The structure of the file is not public beyond "convolution kernel and step per band"; here the kernel stands as an
AN_ARRAY_OF_DOUBLE of the GIPP dictionary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_record import At, Matrix, Table
from s2dask.auxdata.gipp_values import BandIndex, Integer, frozen
from s2dask.instrument import BANDS

BINNED: Final = tuple(name for name, b in BANDS.items() if b.binning > 1)
"""The bands that are binned: B01, B09, B10."""
KERNEL_SHAPE: Final = (3, 7)
"""Lines, columns."""


@dataclass(frozen=True, slots=True, eq=False)
class BinningKernel:
    """What a band is filtered with.

    Attributes
    ----------
    step : int
        One column of so many is kept.
    kernel : (3 line, 7 column) float64
        Sum 1.
    """

    step: Annotated[int, At("STEP", Integer(1, 7))]
    kernel: Annotated[NDArray[np.float64], Matrix("KERNEL", KERNEL_SHAPE)]

    def check(self, at: Fields) -> None:
        """Refuse a kernel that does not keep the flux."""
        total = float(self.kernel.sum())
        if abs(total - 1.0) > 1e-6:
            raise at.refuse(f"its values have the sum {total:.9g} instead of 1", "KERNEL")


@dataclass(frozen=True, slots=True, eq=False)
class Binning(Gipp):
    """GIP_R2BINN.

    Attributes
    ----------
    bands : mapping of str to BinningKernel
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_BINNING"
    IDENTIFICATION: ClassVar[str] = "BINNING_PARAMETERS_FILE"

    bands: Annotated[
        Mapping[str, BinningKernel], Table("BAND", "@band_id", BandIndex(BINNED), BinningKernel, "", BINNED)
    ]

    @property
    def kernels(self) -> Mapping[str, NDArray[np.float64]]:
        """Kernel of each 60 m band: (3 line, 7 column) float64 of sum 1."""
        return MappingProxyType({name: one.kernel for name, one in self.bands.items()})

    @property
    def step(self) -> Mapping[str, int]:
        """How many columns become one, by band."""
        return MappingProxyType({name: one.step for name, one in self.bands.items()})


def binning(unit: str, kernels: Mapping[str, ArrayLike], file: str = "", step: int = 3) -> Binning:
    """Return the binning with these kernels (3 line, 7 column) by band."""
    tables = {name: frozen(np.array(kernel, np.float64)) for name, kernel in kernels.items()}
    return Binning(unit, file, MappingProxyType({n: BinningKernel(step, k) for n, k in tables.items()}))


def read_r2binn(path: Path, unit: str) -> Binning:
    """Read GIP_R2BINN; B01, B09 and B10 must be there."""
    return read_gipp_record(Binning, path, unit)


def write_r2binn(value: Binning) -> str:
    """Return GIP_R2BINN as XML."""
    return write_gipp_record(value)
