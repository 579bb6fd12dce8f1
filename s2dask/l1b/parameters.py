"""What the correction of one detector needs to know, as checked arrays."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, band
from s2dask.l1b.binning import MEAN_OF_THREE, binning_kernel
from s2dask.l1b.crosstalk import TRIO
from s2dask.l1b.defective_pixels import Defects, defects, only_flagged
from s2dask.l1b.relative_response import CUBIC
from s2dask.l1b.restoration.plan import NONE, RestorationPlan
from s2dask.l1b.restoration.plan import margin as restoration_margin

_Number = TypeVar("_Number", np.float32, np.int64)

STEPS: Final = (
    "dark_signal",
    "blind_pixels",
    "crosstalk",
    "relative_response",
    "swir_rearrangement",
    "defective_pixels",
    "missing_lines",
    "restoration",
    "binning",
)
"""What the correction consists of, in its order; each can be left out (`BandParameters.without`)."""
NEVER_SATURATED: Final = 65536
"""Raw count that no pixel reaches."""


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
        Raw columns of the valid blind pixels; none leaves the line offset in.
    model : int
        `relative_response.CUBIC` or `relative_response.BILINEAR`.
    response : (3, useful_column) float32
        See `relative_response.equalise`.
    defects : Defects
        Defective useful columns and their replacement.
    gain : float
        Absolute calibration coefficient A [LSB per W m-2 sr-1 um-1].
    solar_irradiance : float
        E0 at 1 au [W m-2 um-1].
    binning : (row, tap) float32
        Filter of the 60 m bands, else empty.
    arrangement : (3, useful_column) float32
        See `swir_rearrangement.arrangement_taps`; no column where nothing is re-arranged.
    missing_lines : int
        Longest run of missing lines that is interpolated [line].
    noise_alpha, noise_beta : float
        Noise model of equalised counts, see `noise.noise_sigma` [LSB]; NaN where it is not known.
    restoration : RestorationPlan or None
        None where the image is not restored, as in operations.
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
    arrangement: NDArray[np.float32]
    missing_lines: int = 3
    noise_alpha: float = float("nan")
    noise_beta: float = float("nan")
    restoration: RestorationPlan | None = None

    def __post_init__(self) -> None:
        """Leave no plan that does nothing."""
        if self.restoration is not None and self.restoration.scenario == NONE:
            object.__setattr__(self, "restoration", None)

    @property
    def columns(self) -> int:
        """Columns of the corrected image: those of L1B, or three times as many where binning is left out."""
        useful: int = self.response.shape[1]
        return useful // 3 if self.binning.size else useful

    @property
    def reach(self) -> int:
        """Lines that a line takes from either side, restoration left out."""
        rows: int = self.binning.shape[0]
        return self.missing_lines + bool(self.arrangement.size) + rows // 2

    @property
    def margin(self) -> int:
        """Lines that a line of the corrected image takes from either side."""
        return self.reach + (0 if self.restoration is None else restoration_margin(self.restoration))

    def without(self, steps: Collection[str]) -> "BandParameters":
        """Return the parameters with which some of `STEPS` do nothing; defective pixels are flagged all the same."""
        changed: dict[str, object] = {}
        if "dark_signal" in steps:
            changed["dark"] = _frozen(np.zeros_like(self.dark))
        if "blind_pixels" in steps:
            changed["blind"] = _frozen(self.blind[:0])
        if "relative_response" in steps:
            flat = np.zeros_like(self.response)
            flat[2] = 1
            changed |= {"model": CUBIC, "response": _frozen(flat)}
        if "swir_rearrangement" in steps:
            changed["arrangement"] = _frozen(self.arrangement[:, :0])
        if "defective_pixels" in steps:
            changed["defects"] = only_flagged(self.defects)
        if "missing_lines" in steps:
            changed["missing_lines"] = 0
        if "restoration" in steps:
            changed["restoration"] = None
        if "binning" in steps:
            changed["binning"] = _frozen(self.binning[:0, :0])
        return replace(self, **changed) if changed else self  # type: ignore[arg-type]  # of the fields' own types


def band_parameters(
    name: str,
    *,
    dark: ArrayLike,
    blind: ArrayLike,
    model: int,
    response: ArrayLike,
    defective: tuple[int, ...] | Defects = (),
    gain: float,
    solar_irradiance: float,
    binning: ArrayLike = MEAN_OF_THREE,
    arrangement: ArrayLike | None = None,
    missing_lines: int = 3,
    noise: tuple[float, float] = (float("nan"), float("nan")),
    restoration: RestorationPlan | None = None,
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
    defective : tuple of int or Defects
        Raw columns, 0-based, or a replacement table of useful ones.
    gain, solar_irradiance : float
    binning : (tap) or (row, tap) array_like
        See `binning.binning_kernel`; used by the 60 m bands.
    arrangement : (3, useful_column) array_like, optional
        See `swir_rearrangement.arrangement_taps`.
    missing_lines : int
        Longest run of missing lines that is interpolated [line].
    noise : (float, float)
        Noise model, alpha and beta [LSB].
    restoration : RestorationPlan, optional
    """
    b = band(name)
    darks = np.asarray(dark, np.float32)
    coefficients = np.asarray(response, np.float64)
    staggered = np.zeros((3, 0), np.float32) if arrangement is None else np.asarray(arrangement, np.float32)
    for what, shape, expected in (
        ("dark signal", darks.shape, (b.chronogram_lines, b.raw_columns)),
        ("relative response", coefficients.shape, (3, b.raw_columns)),
        ("re-arrangement", staggered.shape, (3, b.useful_columns if staggered.size else 0)),
    ):
        if shape != expected:
            raise ConfigurationError(f"{what} of shape {shape}, not {expected}", name)
    if np.size(blind) == 0:
        raise ConfigurationError("no valid blind pixel", name)
    if missing_lines < 0:
        raise ConfigurationError(f"longest gap of {missing_lines} lines in {name}", "GIP_R2PARA")
    weights = binning_kernel(binning, name)
    useful = slice(b.blind, b.raw_columns - b.blind)
    return BandParameters(
        name,
        _frozen(darks),
        _frozen(np.asarray(blind, np.int64)),
        model,
        _frozen(coefficients[:, useful].astype(np.float32)),
        defective if isinstance(defective, Defects) else defects([c - b.blind for c in defective], b.useful_columns),
        gain,
        solar_irradiance,
        _frozen(weights if b.binning > 1 else np.zeros((0, 0), np.float32)),
        _frozen(staggered),
        missing_lines,
        *noise,
        restoration,
    )


def _no_crosstalk() -> NDArray[np.float64]:
    return np.zeros((len(BANDS), len(BANDS)))


@dataclass(frozen=True, slots=True, eq=False)
class RadiometricParameters:
    """Coefficients of one detector.

    Attributes
    ----------
    unit : str
    detector : int
        1 to 12.
    bands : mapping of str to BandParameters
    crosstalk, optical : (13, 13) float64
        Electronic and optical crosstalk [1]: victim, source, in the order of the bands. Only B10, B11 and B12 disturb
        each other electronically.
    shift : int
        Minus RADIO_ADD_OFFSET: added to the coded counts [LSB].
    saturation : int
        Smallest saturated raw count [LSB]; `NEVER_SATURATED`: not looked for.
    end_of_range : float
        Corrected count from which a pixel is flagged as `SATURATED_L1B` [LSB]; infinity: not looked for.
    gipp_id : str
        Identity of the GIPP set that they come from.
    """

    unit: str
    detector: int
    bands: Mapping[str, BandParameters]
    crosstalk: NDArray[np.float64] = field(default_factory=_no_crosstalk)
    optical: NDArray[np.float64] = field(default_factory=_no_crosstalk)
    shift: int = 100
    saturation: int = 4095
    end_of_range: float = float("inf")
    gipp_id: str = ""

    def __post_init__(self) -> None:
        """Refuse what the correction cannot honour."""
        object.__setattr__(self, "bands", MappingProxyType(dict(self.bands)))
        trio = [band(name).index for name in TRIO]
        others = self.crosstalk.copy()
        others[np.ix_(trio, trio)] = 0
        if others.any():
            raise ConfigurationError(
                "electronic crosstalk outside B10, B11, B12", "GIP_R2CRCO ELECTRICAL", "only the SWIR bands have it"
            )
        for field_name, table in (("ELECTRICAL", self.crosstalk), ("OPTICAL", self.optical)):
            if np.diagonal(table).any() or not np.isfinite(table).all():
                raise ConfigurationError(
                    "crosstalk of a band with itself, or not a number", f"GIP_R2CRCO {field_name}", "correct the file"
                )

    @property
    def leaks(self) -> NDArray[np.float64]:
        """Crosstalk of both kinds, (13, 13) [1]: victim, source."""
        return self.crosstalk + self.optical

    def only(self, steps: Collection[str]) -> "RadiometricParameters":
        """Return the parameters with which only some of `STEPS` do anything."""
        strange = [name for name in steps if name not in STEPS]
        if strange:
            raise ConfigurationError(f"no step {strange[0]!r}", "L1B", f"one of {', '.join(STEPS)}")
        off = [name for name in STEPS if name not in steps]
        changed = replace(self, bands={name: p.without(off) for name, p in self.bands.items()})
        return replace(changed, crosstalk=_no_crosstalk(), optical=_no_crosstalk()) if "crosstalk" in off else changed
