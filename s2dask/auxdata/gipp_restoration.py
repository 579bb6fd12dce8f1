"""The GIPPs of the restoration: R2DECT, R2DENT, R2WAFI, R2L2NC, R2MACO, R2NOMO.

R2DENT is A_DENOISING_DATA of the GIPP dictionary. Of the others the names and purposes are public (deconvolution
filter, wavelet filters, L2 norm coefficients, maximum coefficients, noise model), not the structures: here they are put
together from the types of the dictionary, AN_IMAGE_FILTER, AN_UNIDIM_FILTER and the levels of A_DENOISING_DATA.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_filters import ImageFilter
from s2dask.auxdata.gipp_record import At, Band, Matrix, Table, Taps
from s2dask.auxdata.gipp_values import BandIndex, Integer, Real
from s2dask.instrument import BANDS

_NAMES: Final = tuple(BANDS)
LEVELS: Final = 9
"""Largest number of levels of a decomposition (A_DENOISING_DATA)."""
_BY_LEVEL: Final = Table("INFO", "@LEVEL_NUMBER", Integer(1, LEVELS), Matrix(), "DECOMPOSITION_LEVEL")


@dataclass(frozen=True, slots=True, eq=False)
class DeconvolutionTransfer(Gipp):
    """GIP_R2DECT of one band: the transfer function that the deconvolution divides by or multiplies with.

    Attributes
    ----------
    band : str
    filter : ImageFilter
        ``FREQUENTIAL``: real gains (row, column) for the frequencies along and across track, from 0 to 0.5 cycles per
        pixel, both included, in equal steps. ``SPATIAL``: the kernel of the convolution, (line, column).
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_DECONVOLUTION_FILTER"
    IDENTIFICATION: ClassVar[str] = "DECONVOLUTION_FILTER_FILE"

    band: Annotated[str, Band()]
    filter: Annotated[ImageFilter, At("DECONVOLUTION_FILTER", ImageFilter)]

    @property
    def values(self) -> NDArray[np.float64]:
        """Gains or kernel, (row, column) float64."""
        return self.filter.values


def _check_levels(levels: Mapping[int, NDArray[np.float64]], depth: int, at: Fields) -> None:
    if sorted(levels) != list(range(1, depth + 1)):
        raise at.refuse(f"levels {', '.join(map(str, sorted(levels)))} of a depth of {depth}", "DECOMPOSITION_LEVEL")


@dataclass(frozen=True, slots=True, eq=False)
class DenoisingThresholds(Gipp):
    """GIP_R2DENT of one band: A_DENOISING_DATA.

    Attributes
    ----------
    band : str
    noise_sigma : float
        NOISE_IMAGE_SIGMA: standard deviation of the noise before the deconvolution [LSB].
    depth : int
        DECOMPOSITION_DEPTH.
    levels : mapping of int to (row, column) float64
        Thresholds of the packets of each level, 1 to 9; a level that is not there has none.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_DENOISING_THRESHOLDS"
    IDENTIFICATION: ClassVar[str] = "DENOISING_THRESHOLDS_FILE"

    band: Annotated[str, Band()]
    noise_sigma: Annotated[float, At("NOISE_IMAGE_SIGMA", Real(0.0, 4095.0))]
    depth: Annotated[int, At("DECOMPOSITION_DEPTH", Integer(0, LEVELS))]
    levels: Annotated[Mapping[int, NDArray[np.float64]], _BY_LEVEL]


@dataclass(frozen=True, slots=True, eq=False)
class WaveletFilters(Gipp):
    """GIP_R2WAFI of one band: the two analysis and two synthesis filters of the wavelet packets.

    Attributes
    ----------
    band : str
    low_analysis, high_analysis, low_synthesis, high_synthesis : Taps
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_WAVELET_FILTERS"
    IDENTIFICATION: ClassVar[str] = "WAVELET_FILTERS_FILE"

    band: Annotated[str, Band()]
    low_analysis: Annotated[Taps, At("LOW_PASS_ANALYSIS", Taps)]
    high_analysis: Annotated[Taps, At("HIGH_PASS_ANALYSIS", Taps)]
    low_synthesis: Annotated[Taps, At("LOW_PASS_SYNTHESIS", Taps)]
    high_synthesis: Annotated[Taps, At("HIGH_PASS_SYNTHESIS", Taps)]


@dataclass(frozen=True, slots=True, eq=False)
class L2Norms(Gipp):
    """GIP_R2L2NC of one band: the L2 norm of the synthesis of each packet, by which its noise scales.

    Attributes
    ----------
    band : str
    depth : int
    levels : mapping of int to (row, column) float64
        Of the packets of each level from 1 to the depth.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_L2_NORM_COEFFICIENTS"
    IDENTIFICATION: ClassVar[str] = "L2_NORM_COEFFICIENTS_FILE"

    band: Annotated[str, Band()]
    depth: Annotated[int, At("DECOMPOSITION_DEPTH", Integer(1, LEVELS))]
    levels: Annotated[Mapping[int, NDArray[np.float64]], _BY_LEVEL]

    def check(self, at: Fields) -> None:
        """Refuse a level that is missing, or a norm that is none."""
        _check_levels(self.levels, self.depth, at)
        for level, norms in self.levels.items():
            if norms.min() <= 0.0:
                raise at.refuse(f"{norms.min():g} is no norm", f"DECOMPOSITION_LEVEL/INFO[LEVEL_NUMBER={level}]")


@dataclass(frozen=True, slots=True, eq=False)
class MaximumCoefficients(Gipp):
    """GIP_R2MACO of one band: the largest coefficients of the packets.

    Attributes
    ----------
    band : str
    depth : int
    levels : mapping of int to (row, column) float64
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_MAXIMUM_COEFFICIENTS"
    IDENTIFICATION: ClassVar[str] = "MAXIMUM_COEFFICIENTS_FILE"

    band: Annotated[str, Band()]
    depth: Annotated[int, At("DECOMPOSITION_DEPTH", Integer(1, LEVELS))]
    levels: Annotated[Mapping[int, NDArray[np.float64]], _BY_LEVEL]

    def check(self, at: Fields) -> None:
        """Refuse a level that is missing."""
        _check_levels(self.levels, self.depth, at)


@dataclass(frozen=True, slots=True)
class BandNoise:
    """The noise of a band: its variance is alpha² + beta Z for the equalised count Z [LSB²].

    Attributes
    ----------
    alpha : float
        [LSB]
    beta : float
        [LSB]
    """

    alpha: Annotated[float, At("ALPHA", Real(0.0, 100.0))]
    beta: Annotated[float, At("BETA", Real(0.0, 100.0))]


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel(Gipp):
    """GIP_R2NOMO.

    Attributes
    ----------
    bands : mapping of str to BandNoise
    """

    ROOT: ClassVar[str] = "GS2_NOISE_MODEL"
    IDENTIFICATION: ClassVar[str] = "NOISE_MODEL_FILE"

    bands: Annotated[Mapping[str, BandNoise], Table("BAND", "@band_id", BandIndex(), BandNoise, "", _NAMES)]

    @property
    def alpha(self) -> Mapping[str, float]:
        """ALPHA by band [LSB]."""
        return MappingProxyType({name: one.alpha for name, one in self.bands.items()})

    @property
    def beta(self) -> Mapping[str, float]:
        """BETA by band [LSB]."""
        return MappingProxyType({name: one.beta for name, one in self.bands.items()})

    def sigma(self, band: str, count: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of the noise [LSB] for equalised counts (any shape) of a band."""
        one = self.bands[band]
        return np.asarray(np.sqrt(one.alpha**2 + one.beta * np.maximum(count, 0.0)))


def read_r2dect(path: Path, unit: str, band: str = "") -> DeconvolutionTransfer:
    """Read GIP_R2DECT of one band."""
    return read_gipp_record(DeconvolutionTransfer, path, unit, band)


def read_r2dent(path: Path, unit: str, band: str = "") -> DenoisingThresholds:
    """Read GIP_R2DENT of one band."""
    return read_gipp_record(DenoisingThresholds, path, unit, band)


def read_r2wafi(path: Path, unit: str, band: str = "") -> WaveletFilters:
    """Read GIP_R2WAFI of one band."""
    return read_gipp_record(WaveletFilters, path, unit, band)


def read_r2l2nc(path: Path, unit: str, band: str = "") -> L2Norms:
    """Read GIP_R2L2NC of one band."""
    return read_gipp_record(L2Norms, path, unit, band)


def read_r2maco(path: Path, unit: str, band: str = "") -> MaximumCoefficients:
    """Read GIP_R2MACO of one band."""
    return read_gipp_record(MaximumCoefficients, path, unit, band)


def read_r2nomo(path: Path, unit: str) -> NoiseModel:
    """Read GIP_R2NOMO; every band must be there."""
    return read_gipp_record(NoiseModel, path, unit)


write_r2dect = write_r2dent = write_r2wafi = write_r2l2nc = write_r2maco = write_r2nomo = write_gipp_record
"""The XML of each: one writer serves every record."""
