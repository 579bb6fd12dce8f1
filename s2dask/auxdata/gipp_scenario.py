"""GIP_R2PARA: which corrections the radiometric chain applies, and their parameters.

A_RADIO_PARAMETERS of the GIPP dictionary. RADIOMETRIC_SHIFT is newer than the published dictionary: its name, those of
its children RADIANCE_OFFSET_L1B and REFLECTANCE_OFFSET_L1C and of their RADIO_ADD_OFFSET are public, its position in
the file is not: it is read wherever it is and written last.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, TypeVar

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp, read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_filters import InternalFilter, ResamplingFilter, resampling
from s2dask.auxdata.gipp_record import At, Perhaps, Table
from s2dask.auxdata.gipp_values import BandIndex, Flag, Integer, Real, Word
from s2dask.errors import InputError
from s2dask.instrument import BANDS

V = TypeVar("V")

NAMES: Final = tuple(BANDS)
_MANAGEMENT: Final = Word.of("true", "false", "detection")
_SATURATED: Final = Word({"no": "NO", "L1A": "L1A", "L1B": "L1B", "both": "BOTH"})
BILINEAR: Final = InternalFilter("BLN")
RESTORATIONS: Final = ("NONE", "F_CONVOLUTION", "W_DENOISING", "F_CONVOLUTION_W_DENOISING")


@dataclass(frozen=True, slots=True)
class BandEqualisation:
    """BAND_EQUALIZATION of a band.

    Attributes
    ----------
    equalization : bool
        Whether the relative response is corrected.
    offset, dark_signal : bool
        OFFSET and DARK_SIGNAL_NON_UNIFORMITY: whether the line offset (blind pixels) and the dark signal are.
    """

    equalization: Annotated[bool, At("EQUALIZATION_FLAG", Flag())] = True
    offset: Annotated[bool, At("OFFSET", Flag())] = True
    dark_signal: Annotated[bool, At("DARK_SIGNAL_NON_UNIFORMITY", Flag())] = True


@dataclass(frozen=True, slots=True)
class Convolution:
    """F_CONVOLUTION_PARAMETERS: blocks of the deconvolution.

    Attributes
    ----------
    block_columns, block_lines : int
        BLOCK_SIZE_X and BLOCK_SIZE_Y [pixel].
    normalisation : int
        NORMALIZATION_CONST.
    """

    block_columns: Annotated[int, At("BLOCK_SIZE_X", Integer(1, 65_536))] = 256
    block_lines: Annotated[int, At("BLOCK_SIZE_Y", Integer(1, 65_536))] = 256
    normalisation: Annotated[int, At("NORMALIZATION_CONST", Integer(1))] = 1


@dataclass(frozen=True, slots=True)
class Denoising:
    """W_DENOISING_PARAMETERS of the wavelet-packet denoising.

    Attributes
    ----------
    segment_size, segment_overlap : int
        [pixel]; the overlap is the smaller.
    l2_norm_amplification : float
    objective_sigma : float
        OBJECTIVE_NOISE_SIGMA [LSB].
    largest_count : int
        RADIOMETRIC_MAXIMAL_VALUE of the noise model [LSB].
    largest_threshold : float
        MAXIMAL_DENOISING_THRESHOLD.
    """

    segment_size: Annotated[int, At("SEGMENT_SIZE", Integer(1, 65_536))] = 256
    l2_norm_amplification: Annotated[float, At("L2_NORM_AMPLIFICATION_COEFFICIENT", Real())] = 1.0
    segment_overlap: Annotated[int, At("SEGMENT_OVERLAP_SIZE", Integer(1, 65_536))] = 32
    objective_sigma: Annotated[float, At("OBJECTIVE_NOISE_SIGMA", Real(0.0))] = 1.0
    largest_count: Annotated[int, At("RADIOMETRIC_MAXIMAL_VALUE", Integer(1, 65_535))] = 4095
    largest_threshold: Annotated[float, At("MAXIMAL_DENOISING_THRESHOLD", Real(1.0))] = 100.0

    def check(self, at: Fields) -> None:
        """Refuse an overlap that is no part of a segment."""
        if self.segment_overlap >= self.segment_size:
            raise at.refuse(f"{self.segment_overlap} of segments of {self.segment_size}", "SEGMENT_OVERLAP_SIZE")


@dataclass(frozen=True, slots=True)
class Restoration:
    """RESTORATION_PARAMETERS of a band.

    Attributes
    ----------
    scenario : str
        One of `RESTORATIONS`.
    lowest, highest : int
        LEVELLING_VALUES [LSB].
    convolution : Convolution
    denoising : Denoising
    """

    scenario: Annotated[str, At("RESTORATION_SCENARIO", Word.of(*RESTORATIONS))] = "NONE"
    lowest: Annotated[int, At("LEVELLING_VALUES/XMIN", Integer(0, 65_535))] = 0
    highest: Annotated[int, At("LEVELLING_VALUES/XMAX", Integer(0, 65_535))] = 4095
    convolution: Annotated[Convolution, At("F_CONVOLUTION_PARAMETERS", Convolution)] = Convolution()
    denoising: Annotated[Denoising, At("W_DENOISING_PARAMETERS", Denoising)] = Denoising()

    def check(self, at: Fields) -> None:
        """Refuse levels in the wrong order."""
        if self.lowest >= self.highest:
            raise at.refuse(f"{self.lowest} is not below {self.highest}", "LEVELLING_VALUES/XMIN")


@dataclass(frozen=True, slots=True)
class MissingLines:
    """PIXELS_NO_DATA_PARAMETERS of a band.

    Attributes
    ----------
    filter : InternalFilter or ImageFilter
    threshold : int
        MISSING_LINES_THRESHOLD: the longest run that is interpolated [line].
    """

    filter: Annotated[ResamplingFilter, resampling("INTERPOLATION_FILTER")] = BILINEAR
    threshold: Annotated[int, At("MISSING_LINES_THRESHOLD", Integer(0, 100_000))] = 3


@dataclass(frozen=True, slots=True)
class RadiometricShift:
    """RADIOMETRIC_SHIFT: RADIO_ADD_OFFSET by band, as in the product metadata.

    Attributes
    ----------
    l1b, l1c : mapping of str to int
        What is added to a product's count before it is scaled: -100 and -1000 since baseline 04.00 [LSB].
    """

    l1b: Annotated[
        Mapping[str, int],
        Table("RADIO_ADD_OFFSET", "@band_id", BandIndex(), Integer(-65_535, 0), "RADIANCE_OFFSET_L1B", NAMES),
    ]
    l1c: Annotated[
        Mapping[str, int],
        Table("RADIO_ADD_OFFSET", "@band_id", BandIndex(), Integer(-65_535, 0), "REFLECTANCE_OFFSET_L1C", NAMES),
    ]


def _by_band(tag: str, item: object, inside: str, key: str = "@band_id") -> Table:
    return Table(tag, key, BandIndex(), item, inside, NAMES)


def _common(values: Mapping[str, int], file: str, field: str) -> int:
    found = sorted(set(values.values()))
    if len(found) != 1:
        raise InputError(f"{field}: {found[0]} and {found[-1]} for different bands", file, "ask for the one of a band")
    return found[0]


@dataclass(frozen=True, slots=True, eq=False)
class RadiometricScenario(Gipp):
    """GIP_R2PARA.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    bands : mapping of str to BandEqualisation
    swir_rearrangement : bool
        For the L1A form; at L1B it is always done.
    crosstalk_optical, crosstalk_electronic, remove_blind_pixels, binning : bool
    defective_management, no_data_management : str
        ``true`` (corrected), ``detection`` (found but not corrected) or ``false``.
    restoration_flag : bool
        Without it no band is restored, whatever its scenario.
    saturated_pixels : str
        ``NO``, ``L1A``, ``L1B`` or ``BOTH``: the levels at which saturated pixels are looked for.
    restorations : mapping of str to Restoration
    missing_lines : mapping of str to MissingLines
    spatial_margins : mapping of str to int
        [line]
    shift : RadiometricShift or None
        None in files before baseline 04.00: no offset.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "RADIO_S2_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    bands: Annotated[
        Mapping[str, BandEqualisation],
        _by_band("BAND_EQUALIZATION", BandEqualisation, "NOMINAL_SCENARIO/EQUALIZATION", "BAND_ID"),
    ]
    swir_rearrangement: Annotated[bool, At("NOMINAL_SCENARIO/SWIR_REARRANGEMENT", Flag())]
    crosstalk_optical: Annotated[bool, At("NOMINAL_SCENARIO/CROSSTALK_OPTICAL", Flag())]
    crosstalk_electronic: Annotated[bool, At("NOMINAL_SCENARIO/CROSSTALK_ELECTRONIC", Flag())]
    remove_blind_pixels: Annotated[bool, At("NOMINAL_SCENARIO/REMOVE_BLIND_PIXELS", Flag())]
    defective_management: Annotated[str, At("NOMINAL_SCENARIO/DEFECTIVE_PIXELS", _MANAGEMENT)]
    restoration_flag: Annotated[bool, At("NOMINAL_SCENARIO/RESTORATION", Flag())]
    binning: Annotated[bool, At("NOMINAL_SCENARIO/BINNING", Flag())]
    no_data_management: Annotated[str, At("NOMINAL_SCENARIO/PIXELS_NO_DATA", _MANAGEMENT)]
    saturated_pixels: Annotated[str, At("NOMINAL_SCENARIO/SATURATED_PIXELS", _SATURATED)]
    restorations: Annotated[
        Mapping[str, Restoration], _by_band("RESTORATION_PARAMETERS", Restoration, "RESTORATION_PARAMETERS_LIST")
    ]
    missing_lines: Annotated[Mapping[str, MissingLines], _by_band("BAND", MissingLines, "PIXELS_NO_DATA_PARAMETERS")]
    spatial_margins: Annotated[Mapping[str, int], _by_band("BAND", At("MARGIN", Integer(0, 100_000)), "SPATIAL_MARGIN")]
    shift: Annotated[RadiometricShift | None, Perhaps(At("RADIOMETRIC_SHIFT", RadiometricShift))] = None

    @property
    def equalization(self) -> Mapping[str, bool]:
        """Whether the relative response of a band is corrected."""
        return MappingProxyType({name: one.equalization for name, one in self.bands.items()})

    @property
    def offset(self) -> Mapping[str, bool]:
        """Whether the line offset of a band is corrected; only where it is equalised."""
        return MappingProxyType({name: one.equalization and one.offset for name, one in self.bands.items()})

    @property
    def dark_signal(self) -> Mapping[str, bool]:
        """Whether the dark signal of a band is corrected; only where it is equalised."""
        return MappingProxyType({name: one.equalization and one.dark_signal for name, one in self.bands.items()})

    @property
    def defective_pixels(self) -> bool:
        """Whether defective pixels are corrected."""
        return self.defective_management == "true"

    @property
    def no_data_pixels(self) -> bool:
        """Whether missing lines are interpolated."""
        return self.no_data_management == "true"

    @property
    def restoration(self) -> Mapping[str, str]:
        """Scenario of the restoration of each band, ``NONE`` for all where the flag is off."""
        on = self.restoration_flag
        return MappingProxyType({name: one.scenario if on else "NONE" for name, one in self.restorations.items()})

    @property
    def restoration_parameters(self) -> Mapping[str, Restoration]:
        """Parameters of the restoration by band."""
        return self.restorations

    @property
    def missing_lines_threshold(self) -> int:
        """Longest run of missing lines that is interpolated, where it is the same for every band [line]."""
        thresholds = {name: one.threshold for name, one in self.missing_lines.items()}
        return _common(thresholds, self.file, "PIXELS_NO_DATA_PARAMETERS/BAND/MISSING_LINES_THRESHOLD")

    @property
    def spatial_margin(self) -> int:
        """Margin that is enough for every band [line]."""
        return max(self.spatial_margins.values())

    @property
    def radiance_offset_l1b(self) -> int:
        """RADIO_ADD_OFFSET of L1B, where it is the same for every band: -100, or 0 without a shift [LSB]."""
        return _common(self.shift.l1b, self.file, "RADIANCE_OFFSET_L1B") if self.shift else 0

    @property
    def reflectance_offset_l1c(self) -> int:
        """RADIO_ADD_OFFSET of L1C, where it is the same for every band: -1000, or 0 without a shift [LSB]."""
        return _common(self.shift.l1c, self.file, "REFLECTANCE_OFFSET_L1C") if self.shift else 0


def operational_scenario(unit: str, file: str = "") -> RadiometricScenario:
    """Return what operations have done since baseline 04.00.

    Notes
    -----
    The flags of real L1B metadata: everything on but the optical crosstalk, the restoration and, since it is about
    L1A, the SWIR re-arrangement.
    """

    def all_bands(value: V) -> Mapping[str, V]:
        return MappingProxyType(dict.fromkeys(NAMES, value))

    return RadiometricScenario(
        unit,
        file,
        trace=False,
        bands=all_bands(BandEqualisation()),
        swir_rearrangement=False,
        crosstalk_optical=False,
        crosstalk_electronic=True,
        remove_blind_pixels=True,
        defective_management="true",
        restoration_flag=False,
        binning=True,
        no_data_management="true",
        saturated_pixels="BOTH",
        restorations=all_bands(Restoration()),
        missing_lines=all_bands(MissingLines()),
        spatial_margins=all_bands(0),
        shift=RadiometricShift(all_bands(-100), all_bands(-1000)),
    )


def read_r2para(path: Path, unit: str) -> RadiometricScenario:
    """Read GIP_R2PARA; every band must be there in every list."""
    return read_gipp_record(RadiometricScenario, path, unit)


def write_r2para(value: RadiometricScenario) -> str:
    """Return GIP_R2PARA as XML."""
    return write_gipp_record(value)
