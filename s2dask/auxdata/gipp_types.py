"""Every GIPP type that the chain knows, as one table: what it is of, how it is chosen, read and written.

Levels, number of files, unit and rule are those of the table of auxiliary types of the public IPF orchestrator
(s2_aux_types.json); every rule there is LatestValCover.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from s2dask.auxdata.gipp_binning import Binning
from s2dask.auxdata.gipp_datation import AncillaryAnalysis, Datation, ImageAnalysis
from s2dask.auxdata.gipp_defect_filters import DefectFilters
from s2dask.auxdata.gipp_equalisation import OnboardEqualisation
from s2dask.auxdata.gipp_file import read_gipp_record, write_gipp_record
from s2dask.auxdata.gipp_geometry import LineCuts, SpacecraftModel, ViewingDirections
from s2dask.auxdata.gipp_production import CloudParameters, Conversion, ImageEncoding, ProcessingBaseline
from s2dask.auxdata.gipp_quicklook import CloudInventory, InventoryLocation, LowResolutionExtraction
from s2dask.auxdata.gipp_radiometry import (
    AbsoluteCalibration,
    BlindPixels,
    CrosstalkCorrection,
    DefectivePixels,
    GroundEqualisation,
    read_blindp,
    read_r2abca,
    read_r2crco,
    read_r2depi,
    read_r2eqog,
)
from s2dask.auxdata.gipp_radiometry_text import (
    write_blindp,
    write_r2abca,
    write_r2crco,
    write_r2depi,
    write_r2eqog,
)
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement
from s2dask.auxdata.gipp_refinement import GeometricParameters
from s2dask.auxdata.gipp_resampling import MaskParameters, ResamplingParameters, TilingParameters
from s2dask.auxdata.gipp_restoration import (
    DeconvolutionTransfer,
    DenoisingThresholds,
    L2Norms,
    MaximumCoefficients,
    NoiseModel,
    WaveletFilters,
)
from s2dask.auxdata.gipp_scenario import RadiometricScenario
from s2dask.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class GippType:
    """A type of GIPP.

    Attributes
    ----------
    levels : tuple of str
        Levels whose processors take it, as the public table groups them: ``L01`` is L0 and L1.
    purpose : str
    record : type
        What it is read into.
    per_band : bool
        One file for each band.
    dictionary : str
        Its complex type of the GIPP dictionary, or the top-level schema; empty: the structure is not public.
    unit_dependent : bool
        Each unit has its own.
    rule : str
        One of `selection.RULES`.
    reader, writer : callable or None
        Where the record is not read or written by its annotations.
    """

    levels: tuple[str, ...]
    purpose: str
    record: type
    per_band: bool = False
    dictionary: str = ""
    unit_dependent: bool = True
    rule: str = "LatestValCover"
    reader: Callable[..., Any] | None = None
    writer: Callable[[Any], str] | None = None

    def read(self, path: Path, unit: str, band: str = "") -> Any:
        """Read a file of this type.

        Parameters
        ----------
        path : Path
        unit : str
        band : str
            Of a type of one file per band; the others have none.
        """
        if self.per_band and not band:
            raise ConfigurationError("one file per band", path.name, "name the band")
        if self.reader is not None:
            return self.reader(path, unit, band) if self.per_band else self.reader(path, unit)
        record: Any = self.record
        return read_gipp_record(record, path, unit, band)

    def write(self, value: Any) -> str:
        """Return a record of this type as XML."""
        return self.writer(value) if self.writer is not None else write_gipp_record(value)


_L0, _L01, _L012 = ("L0", "EISP"), ("L01",), ("L012", "EISP")

TYPES: Final[Mapping[str, GippType]] = MappingProxyType(
    {
        "ATMIMA": GippType(_L0, "image telemetry analysis", ImageAnalysis, dictionary="AN_ANA_TM_IMAGE_PARAMETERS"),
        "ATMSAD": GippType(_L0, "SAD telemetry analysis", AncillaryAnalysis, dictionary="AN_ANA_TM_SAD_PARAMETERS"),
        "BLINDP": GippType(
            _L01, "blind pixels", BlindPixels, dictionary="GS2_BLIND_PIXELS", reader=read_blindp, writer=write_blindp
        ),
        "CLOINV": GippType(_L01, "quick-look cloud mask", CloudInventory, dictionary="A_CLOUD_INV_PARAMETERS"),
        "CLOPAR": GippType(_L01, "L1C cloud mask", CloudParameters),
        "CONVER": GippType(_L01, "TCI and PVI conversion", Conversion),
        "DATATI": GippType(_L012, "line dating", Datation, dictionary="A_DATATION_PARAMETERS"),
        "G2PARA": GippType(_L01, "geometric refinement", GeometricParameters, dictionary="A_GEO_PARAMETERS"),
        "INVLOC": GippType(_L01, "inventory location", InventoryLocation, dictionary="AN_INIT_LOC_INV_PARAMETERS"),
        "JP2KPA": GippType(_L01, "JPEG 2000 encoding", ImageEncoding),
        "LREXTR": GippType(
            _L01, "low-resolution extraction", LowResolutionExtraction, dictionary="A_LR_EXTRACTION_PARAMETERS"
        ),
        "MASPAR": GippType(_L01, "masks", MaskParameters, dictionary="A_MASK_PARAMETERS"),
        "PRDLOC": GippType(_L01, "product location", LineCuts, dictionary="AN_INIT_LOC_PROD_PARAMETERS"),
        "PROBAS": GippType(_L01, "processing baseline", ProcessingBaseline),
        "R2ABCA": GippType(_L01, "absolute calibration", AbsoluteCalibration, reader=read_r2abca, writer=write_r2abca),
        "R2BINN": GippType(_L01, "60 m binning", Binning),
        "R2CRCO": GippType(_L01, "crosstalk", CrosstalkCorrection, reader=read_r2crco, writer=write_r2crco),
        "R2DECT": GippType(_L01, "deconvolution", DeconvolutionTransfer, per_band=True),
        "R2DEFI": GippType(_L01, "defective-pixel filter", DefectFilters, per_band=True),
        "R2DENT": GippType(
            _L01, "denoising thresholds", DenoisingThresholds, per_band=True, dictionary="A_DENOISING_DATA"
        ),
        "R2DEPI": GippType(_L01, "defective pixels", DefectivePixels, reader=read_r2depi, writer=write_r2depi),
        "R2EOB2": GippType(_L01, "on-board equalisation", OnboardEqualisation, per_band=True),
        "R2EQOG": GippType(
            _L01,
            "on-ground equalisation",
            GroundEqualisation,
            per_band=True,
            reader=read_r2eqog,
            writer=write_r2eqog,
        ),
        "R2L2NC": GippType(_L01, "denoising L2 norms", L2Norms, per_band=True),
        "R2MACO": GippType(_L01, "maximum coefficients", MaximumCoefficients, per_band=True),
        "R2NOMO": GippType(_L01, "noise model", NoiseModel),
        "R2PARA": GippType(_L01, "radiometric chain switches", RadiometricScenario, dictionary="A_RADIO_PARAMETERS"),
        "R2SWIR": GippType(_L01, "SWIR re-arrangement", SwirRearrangement),
        "R2WAFI": GippType(_L01, "wavelet filters", WaveletFilters, per_band=True),
        "RESPAR": GippType(_L01, "resampling", ResamplingParameters, dictionary="A_RESAMPLE_PARAMETERS"),
        "SPAMOD": GippType(_L01, "spacecraft model", SpacecraftModel, dictionary="GS2_SPACECRAFT_MODEL_PARAMETERS"),
        "TILPAR": GippType(_L01, "tile grid", TilingParameters, dictionary="A_TILING_PARAMETERS"),
        "VIEDIR": GippType(
            _L01, "viewing directions", ViewingDirections, per_band=True, dictionary="GS2_VIEWING_DIRECTIONS"
        ),
    }
)
"""By the six letters of the file name."""

PER_BAND: Final = tuple(name for name, one in TYPES.items() if one.per_band)
"""The types of 13 files."""


def gipp_type(name: str) -> GippType:
    """Return a type by its six letters."""
    if name not in TYPES:
        raise ConfigurationError(f"no such GIPP type: {name}", "GIPP", f"use one of {', '.join(TYPES)}")
    return TYPES[name]
