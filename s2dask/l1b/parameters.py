"""What the correction of one detector needs to know, as checked arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, band
from s2dask.l1b.defective_pixels import Defects, defects

_Number = TypeVar("_Number", np.float32, np.int64)

MEAN_OF_THREE: Final = (1 / 3, 1 / 3, 1 / 3)
"""Across-track binning filter that conserves flux pixel by pixel."""


def _frozen(array: NDArray[_Number]) -> NDArray[_Number]:
    """Return a contiguous copy that cannot be written: every worker shares it."""
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


@dataclass(frozen=True, slots=True, eq=False)
class BandParameters:
    """Coefficients of one band of one detector.

    Attributes
    ----------
    name : str
        Band.
    dark : (chronogram_line, raw_column) float32 [LSB]
        Dark signal, blind pixels included.
    blind : (blind) int64
        Raw columns of the valid blind pixels.
    model : int
        `relative_response.CUBIC` or `relative_response.BILINEAR`.
    response : (3, useful_column) float32
        See `relative_response.response_row`.
    defects : Defects
        Defective useful columns and their replacement.
    gain : float
        Absolute calibration coefficient A [LSB per W m-2 sr-1 um-1].
    solar_irradiance : float
        E0 at 1 au [W m-2 um-1].
    binning : (tap) float32
        Across-track filter of the 60 m bands, else empty.
    """

    name: str
    dark: NDArray[np.float32]
    blind: NDArray[np.int64]
    model: int
    response: NDArray[np.float32]
    defects: Defects
    gain: float
    solar_irradiance: float
    binning: NDArray[np.float32]


def band_parameters(
    name: str,
    *,
    dark: ArrayLike,
    blind: ArrayLike,
    model: int,
    response: ArrayLike,
    defective: tuple[int, ...] = (),
    gain: float,
    solar_irradiance: float,
    binning: tuple[float, ...] = MEAN_OF_THREE,
) -> BandParameters:
    """Return the parameters of a band; sizes that do not fit the band are refused.

    Parameters
    ----------
    name : str
    dark : (chronogram_line, raw_column) array_like [LSB]
    blind : (blind) array_like of int
    model : int
    response : (3, raw_column) array_like
        For every raw column, blind ones included.
    defective : tuple of int
        Raw columns, 0-based.
    gain, solar_irradiance : float
    binning : tuple of float
        Odd number of taps of sum 1, used by the 60 m bands.
    """
    b = band(name)
    darks = np.asarray(dark, np.float32)
    coefficients = np.asarray(response, np.float64)
    for what, shape, expected in (
        ("dark signal", darks.shape, (b.chronogram_lines, b.raw_columns)),
        ("relative response", coefficients.shape, (3, b.raw_columns)),
    ):
        if shape != expected:
            raise ConfigurationError(f"{what} of shape {shape}, not {expected}", name)
    if np.size(blind) == 0:
        raise ConfigurationError("no valid blind pixel", name)
    if len(binning) % 2 == 0 or abs(sum(binning) - 1) > 1e-9:
        raise ConfigurationError(f"binning filter {binning}", name, "give an odd number of taps of sum 1")
    useful = slice(b.blind, b.raw_columns - b.blind)
    return BandParameters(
        name,
        _frozen(darks),
        _frozen(np.asarray(blind, np.int64)),
        model,
        _frozen(coefficients[:, useful].astype(np.float32)),
        defects([c - b.blind for c in defective], b.useful_columns),
        gain,
        solar_irradiance,
        _frozen(np.array(binning if b.binning > 1 else (), np.float32)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class RadiometricParameters:
    """Coefficients of one detector.

    Attributes
    ----------
    unit : str
    detector : int
        1 to 12.
    bands : mapping of str to BandParameters
    crosstalk : (13, 13) float64
        Electronic crosstalk [1]: victim, source, in the order of the bands.
    shift : int
        Minus RADIO_ADD_OFFSET: added to the coded counts [LSB].
    saturation : int
        Smallest saturated raw count [LSB].
    missing_lines : int
        Longest run of missing lines that is interpolated [line].
    gipp_id : str
        Identity of the GIPP set that they come from.
    """

    unit: str
    detector: int
    bands: Mapping[str, BandParameters]
    crosstalk: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(BANDS), len(BANDS))))
    shift: int = 100
    saturation: int = 4095
    missing_lines: int = 3
    gipp_id: str = ""

    def __post_init__(self) -> None:
        """Refuse what the correction cannot honour."""
        object.__setattr__(self, "bands", MappingProxyType(dict(self.bands)))
        trio = [b.index for b in BANDS.values() if b.name in ("B10", "B11", "B12")]
        others = self.crosstalk.copy()
        others[np.ix_(trio, trio)] = 0
        if others.any() or np.diagonal(self.crosstalk).any():
            raise ConfigurationError(
                "electronic crosstalk outside B10, B11, B12", "GIP_R2CRCO", "only the SWIR bands are corrected"
            )
        if self.missing_lines < 0:
            raise ConfigurationError(f"longest gap of {self.missing_lines} lines", "GIP_R2PARA")
